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
from grokscope.plots.curves import first_seeds, standing
from grokscope.plots.runs import (
    neuron_figure,
    null_figure,
    sensitivity_figure,
    subnetwork_figure,
    training_figure,
)
from grokscope.plots.thresholds import ThresholdPanel, thresholds_figure

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = [
    "Draw",
    "beside_null",
    "neurons_of",
    "sensitivity_of",
    "subnetworks_of",
    "thresholds_of",
    "training_of",
]

Draw = Callable[[Mapping[str, RunLike], str], "Figure"]


def _width(run: RunLike) -> int | None:
    return run.experiment.model.n_neurons or None


def training_of(experiment: str) -> Draw:
    """Accuracy, loss and effective sparsity of an experiment."""
    return lambda runs, command: training_figure(runs[experiment].measures, _width(runs[experiment]), command)


def subnetworks_of(experiment: str) -> Draw:
    """Norm and faithfulness of the subnetworks of an experiment."""
    return lambda runs, command: subnetwork_figure(runs[experiment].measures, command=command)


def neurons_of(
    experiment: str, marked: Callable[[xr.Dataset], np.ndarray] | None = None, label: str = "", seeds: int = 3
) -> Draw:
    """Norms of single neurons of the first seeds of an experiment that grok.

    Args:
        experiment: its name.
        marked: from measures to booleans [seed, neuron]: neurons that are drawn in a color of their own.
        label: what these neurons do.
        seeds: how many seeds, at most.
    """

    def draw(runs: Mapping[str, RunLike], command: str) -> Figure:
        run = runs[experiment]
        chosen = first_seeds(run.measures, seeds)
        one = run.measures.sel(seed=chosen)
        which = None if marked is None else marked(one)
        return neuron_figure(
            run.measures, run.subnetworks, chosen, marked=which, label=label, command=command
        )

    return draw


def sensitivity_of(experiment: str) -> Draw:
    """Sensitivity of the subnetworks of an experiment."""
    return lambda runs, command: sensitivity_figure(runs[experiment].measures, command)


def thresholds_of(experiment: str, panels_of: Callable[[xr.Dataset], list[ThresholdPanel]]) -> Draw:
    """How estimates of an experiment depend on a threshold: the panels are functions of its measures."""
    return lambda runs, command: thresholds_figure(
        panels_of(runs[experiment].measures), standing(runs[experiment].measures, spread=False), command
    )


def beside_null(experiment: str, null: str) -> Draw:
    """An experiment, and beside it the same experiment with random labels."""
    return lambda runs, command: null_figure(
        runs[experiment].measures, runs[null].measures, _width(runs[experiment]), command
    )
