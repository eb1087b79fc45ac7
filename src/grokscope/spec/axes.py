"""Labels of the axes of measures, in the order of their codes in a store."""

from __future__ import annotations

from typing import Any

__all__ = [
    "PART_LABELS",
    "PRUNING_ORDERS",
    "PRUNING_PERCENTS",
    "SPLIT_LABELS",
    "SUBNETWORK_LABELS",
    "measure_axes",
]

SUBNETWORK_LABELS = ("generalizing", "complementary", "memorizing", "control", "norm_matched")
SPLIT_LABELS = ("train", "test")
# Of pruning curves: which neurons are cut first, how many of them, and where the accuracy is measured.
PRUNING_ORDERS = ("lowest", "highest", "random")
PRUNING_PERCENTS = tuple(range(0, 101, 5))
PART_LABELS = ("train", "test", "clean", "corrupted")


def measure_axes(task: Any, model: Any) -> dict[str, tuple[Any, ...]]:
    """Labels by axis name of the axes that measures can have besides seed, step and neuron.

    Args:
        task: with ``axes``, ``input_shape`` and ``n_outputs`` (see `grokscope.tasks.Task`).
        model: with ``axes(input_shape, n_outputs)`` (see `grokscope.models.Model`).
    """
    own = model.axes(task.input_shape, task.n_outputs)
    pruning = (
        {"order": PRUNING_ORDERS, "percent": PRUNING_PERCENTS, "part": PART_LABELS} if model.n_neurons else {}
    )
    return {"subnetwork": SUBNETWORK_LABELS, "split": SPLIT_LABELS, **pruning, **task.axes, **own}
