"""Figures that many papers have, as what `Figure.draw` wants: from the runs and a command to a drawing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from grokscope.papers._paper import RunLike

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Draw", "beside_null", "neurons_of", "sensitivity_of", "subnetworks_of", "training_of"]

Draw = Callable[[Mapping[str, RunLike], str], "Figure"]


def _width(run: RunLike) -> int | None:
    return run.experiment.model.n_neurons or None


def training_of(experiment: str) -> Draw:
    """Accuracy, loss and effective sparsity of an experiment."""

    def draw(runs: Mapping[str, RunLike], command: str) -> Figure:
        from grokscope.plots.training import training_figure

        run = runs[experiment]
        return training_figure(run.measures, _width(run), command)

    return draw


def subnetworks_of(experiment: str) -> Draw:
    """Norm and faithfulness of an experiment's subnetworks."""

    def draw(runs: Mapping[str, RunLike], command: str) -> Figure:
        from grokscope.plots.subnetworks import subnetwork_figure

        return subnetwork_figure(runs[experiment].measures, command=command)

    return draw


def neurons_of(experiment: str) -> Draw:
    """Norms of the single neurons of an experiment's first seed that groks."""

    def draw(runs: Mapping[str, RunLike], command: str) -> Figure:
        from grokscope.plots.neurons import neuron_figure

        run = runs[experiment]
        return neuron_figure(run.measures, run.subnetworks, command=command)

    return draw


def sensitivity_of(experiment: str) -> Draw:
    """Sensitivity of an experiment's subnetworks."""

    def draw(runs: Mapping[str, RunLike], command: str) -> Figure:
        from grokscope.plots.subnetworks import sensitivity_figure

        return sensitivity_figure(runs[experiment].measures, command)

    return draw


def beside_null(experiment: str, null: str) -> Draw:
    """An experiment beside its null."""

    def draw(runs: Mapping[str, RunLike], command: str) -> Figure:
        from grokscope.plots.null import null_figure

        run = runs[experiment]
        return null_figure(run.measures, runs[null].measures, _width(run), command)

    return draw
