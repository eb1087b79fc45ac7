"""Labels of the axes of measures, in the order of their codes in a store."""

from __future__ import annotations

from typing import Any

__all__ = ["SPLIT_LABELS", "SUBNETWORK_LABELS", "measure_axes"]

SUBNETWORK_LABELS = ("generalizing", "complementary", "memorizing", "control", "norm_matched")
SPLIT_LABELS = ("train", "test")


def measure_axes(task: Any, model: Any) -> dict[str, tuple[Any, ...]]:
    """Labels by axis name of the axes that measures can have besides seed, step and neuron.

    Args:
        task: with ``axes``, ``input_shape`` and ``n_outputs`` (see `grokscope.tasks.Task`).
        model: with ``axes(input_shape, n_outputs)`` (see `grokscope.models.Model`).
    """
    own = model.axes(task.input_shape, task.n_outputs)
    return {"subnetwork": SUBNETWORK_LABELS, "split": SPLIT_LABELS, **task.axes, **own}
