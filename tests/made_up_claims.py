"""A claim of which a test says only what it is about."""

from __future__ import annotations

from typing import Any

from grokscope.claims import Claim, Effect, Region

HIGH = Region.at_least(0.9)


def claim(kind: str = "mean", region: Region = HIGH, **changes: Any) -> Claim:
    fields = {
        "id": "C1",
        "sentence": "It is so.",
        "source": "Fig. 1",
        "paper_value": 0.95,
        "unit": "",
        "estimand": "the parameter",
        "region": region,
        "smallest_effect": Effect(0.05, "one seed in twenty"),
        "kind": kind,
        "experiment": "standard",
        "evidence": lambda measures: measures["x"],
    }
    return Claim(**(fields | changes))
