"""A run as the page shows it: its curves, its neurons, and where its numbers come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from grokscope.report._competition import Competition, competition_of
from grokscope.report._curves import Curves
from grokscope.report._provenance import RunInfo, run_info

__all__ = ["RunView", "view_of"]


@dataclass(frozen=True, eq=False)
class RunView:
    """One run on a page.

    Attributes:
        name: of the experiment.
        info: where its numbers come from.
        curves: its measures over time.
        competition: its neurons over time; None if they were not measured.
        width: hidden neurons; None if the model has no such number.
        sizes: neurons of the generalizing subnetwork, one per member; empty if none was found.
    """

    name: str
    info: RunInfo
    curves: Curves
    competition: Competition | None
    width: int | None
    sizes: tuple[int, ...]


def view_of(run: Any, name: str, sentence: str = "", *, with_networks: bool = True) -> RunView:
    """Read what the page shows of a run.

    Args:
        run: anything with ``experiment``, ``measures``, ``members``, ``subnetworks`` and ``provenance``.
        name: of the experiment.
        sentence: what the experiment is.
        with_networks: whether to look for the networks themselves, by replay where that is quick.
    """
    return RunView(
        name,
        run_info(name, run, sentence),
        Curves(run, name),
        competition_of(run, name, with_networks=with_networks),
        run.experiment.model.n_neurons or None,
        _sizes(run),
    )


def _sizes(run: Any) -> tuple[int, ...]:
    from grokscope.errors import GrokscopeError

    try:
        found = run.subnetworks.sel(subnetwork="generalizing").sum("neuron").to_numpy().ravel()
    except (GrokscopeError, KeyError):
        return ()
    return tuple(int(size) for size in found if size > 0)
