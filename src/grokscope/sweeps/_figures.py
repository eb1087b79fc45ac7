"""The figures that a sweep has: a phase diagram for two axes, curves for one, small multiples for more."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from grokscope.sweeps._sweep import Sweep

__all__ = ["sweep_figures"]


def sweep_figures(sweep: Sweep, command: str = "") -> list[tuple[str, str, Figure]]:
    """The figures of a sweep: for each its name, its title and the drawing.

    Axes with a single value do not count. Without ``train_accuracy`` and ``test_accuracy`` there are no
    phases, and no phase diagram.

    Args:
        sweep: with at least one cell that has results.
        command: what makes them, for the small print.
    """
    from grokscope.plots.phases import multiples_figure, phase_figure
    from grokscope.plots.sweeps import axis_figure

    summary = sweep.summary.squeeze([name for name in sweep.names if sweep.summary.sizes[name] == 1])
    names = [name for name in sweep.names if name in summary.dims]
    if len(names) == 1:
        title = f"Shares, steps and accuracy against {_words(names)}."
        return [("curves", title, axis_figure(summary, names[0], command))]
    if not names or "phase" not in summary:
        return []
    if len(names) == 2:
        title = f"Phase diagram over {_words(names)}."
        return [("phase-diagram", title, phase_figure(summary, names, command))]
    title = f"Phase diagrams over {_words(names[-2:])}, by {_words(names[:-2])}."
    return [("phase-diagrams", title, multiples_figure(summary, names, command))]


def _words(names: list[str]) -> str:
    return " and ".join(name.replace("_", " ") for name in names)
