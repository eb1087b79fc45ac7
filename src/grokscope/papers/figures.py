"""Figures that many papers have, as functions for `Figure.draw`: from runs and a command to a drawing.

Example:
    >>> from grokscope.papers import Figure
    >>> Figure("figure-1", "Accuracy and loss.", training_of("standard"), ("standard",)).id
    'figure-1'
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from grokscope.papers import RunLike
from grokscope.plots.runs import (
    neuron_figure,
    null_figure,
    sensitivity_figure,
    subnetwork_figure,
    training_figure,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Draw", "beside_null", "neurons_of", "sensitivity_of", "subnetworks_of", "training_of"]

Draw = Callable[[Mapping[str, RunLike], str], "Figure"]


def _width(run: RunLike) -> int | None:
    return run.experiment.model.n_neurons or None


def training_of(experiment: str) -> Draw:
    """Accuracy, loss and effective sparsity of an experiment."""
    return lambda runs, command: training_figure(runs[experiment].measures, _width(runs[experiment]), command)


def subnetworks_of(experiment: str) -> Draw:
    """Norm and faithfulness of the subnetworks of an experiment."""
    return lambda runs, command: subnetwork_figure(runs[experiment].measures, command=command)


def neurons_of(experiment: str) -> Draw:
    """Norms of single neurons of the first seed of an experiment that groks."""
    return lambda runs, command: neuron_figure(
        runs[experiment].measures, runs[experiment].subnetworks, command=command
    )


def sensitivity_of(experiment: str) -> Draw:
    """Sensitivity of the subnetworks of an experiment."""
    return lambda runs, command: sensitivity_figure(runs[experiment].measures, command)


def beside_null(experiment: str, null: str) -> Draw:
    """An experiment, and beside it the same experiment with random labels."""
    return lambda runs, command: null_figure(
        runs[experiment].measures, runs[null].measures, _width(runs[experiment]), command
    )
