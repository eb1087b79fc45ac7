"""Labels of the axes that measures of any run can have, in the order of their codes."""

from __future__ import annotations

__all__ = ["SPLIT_LABELS", "SUBNETWORK_LABELS"]

SUBNETWORK_LABELS = ("generalizing", "complementary", "memorizing", "control", "norm_matched")
SPLIT_LABELS = ("train", "test")
