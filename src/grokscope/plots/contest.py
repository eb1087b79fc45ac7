"""A contest at a glance: curves at the tuned settings, grokking steps, and what tuning was worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.plots.lines import LOOK
from grokscope.plots.style import legend, panels, small_print
from grokscope.spec.events import GROKKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["contest_figure"]

_SMALL = 7.0


def contest_figure(contest: Any, command: str = "") -> Figure:
    """Three panels: mean test accuracy over steps, each seed's grokking step, each setting's tuning score.

    Args:
        contest: a `grokscope.sweeps.Contest`.
        command: what makes this figure, for the small print.
    """
    figure, axes = panels(
        ["Test accuracy (mean)", "Grokking step, fresh seeds", "Tuning score of each setting"], 1.9
    )
    curves, steps, scores = axes
    names = list(contest.runs)
    length = max(run.experiment.n_steps for run in contest.runs.values())
    for i, (name, (color, mark)) in enumerate(zip(names, LOOK, strict=False)):
        measures = contest.runs[name].measures
        accuracy = measures["test_accuracy"].transpose("seed", "step").to_numpy()
        curves.plot(
            measures["step"].to_numpy(), np.nanmean(accuracy, axis=0), color=color, linewidth=1.1, label=name
        )
        seen = GROKKING.times(measures).upper
        spread = np.linspace(-0.25, 0.25, max(len(seen), 2))[: len(seen)]
        there = np.isfinite(seen)
        steps.plot(i + spread[there], seen[there], mark, color=color, markersize=2.5)
        steps.plot(
            i + spread[~there],
            np.full((~there).sum(), 1.15 * length),
            mark,
            color=color,
            markersize=3,
            fillstyle="none",
        )
        found = np.sort(contest.scores[name])
        scores.plot(
            np.arange(1, len(found) + 1), found, color=color, marker=mark, markersize=2.5, linewidth=0.9
        )
    curves.set_xscale("symlog", linthresh=100)
    curves.set_xlabel("step", fontsize=_SMALL, labelpad=1)
    for axis in (steps, scores):
        axis.set_yscale("log")
    steps.set_xticks(range(len(names)), names)
    scores.set_xlabel("settings, best first", fontsize=_SMALL, labelpad=1)
    legend(figure, curves)
    first = next(iter(contest.tuning.values()))
    fresh = len(next(iter(contest.runs.values())).members)
    small_print(
        figure,
        f"{fresh} fresh seeds. Tuning: {len(first.cells)} settings on {len(first.members)} seeds for each; "
        "the score is the mean grokking step, a member that does not grok counting with twice the run's "
        f"length. Open marks: not within the run.{_ends(contest)}",
        command,
    )
    return figure


def _ends(contest: Any) -> str:
    """Where the chosen setting is at an end of what was tried."""
    each = [
        f"{one.name} ({', '.join(key.rsplit('.', 1)[-1] for key in one.ends)})"
        for one in contest.standings
        if one.ends
    ]
    return f" Chosen at an end of what was tried: {', '.join(each)}." if each else ""
