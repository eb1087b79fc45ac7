"""Foresight: how well the neurons of the final circuit can be predicted at earlier steps.

The precisions are stored as measures of the run, so claims, figures, tables and exports read them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.circuits.circuit import active_neurons
from grokscope.circuits.relu_network import ReluNetwork, relu_network_at
from grokscope.circuits.target import readable_points, readable_positions, target_of, training_inputs
from grokscope.progress import Progress, SilentProgress
from grokscope.runs.given import GivenMeasures, members_lacking
from grokscope.spec.streams import Seeds

if TYPE_CHECKING:
    import xarray as xr

    from grokscope.runs import Run

__all__ = ["MEASURES", "foresee"]

MEASURES = ("precision_path_norm", "precision_support_norm", "circuit_size")
_GROUP = "foresight"
_AT_A_TIME = 8  # members whose networks are in memory at once


def foresee(
    run: Run,
    seeds: Iterable[int | Seeds] | None = None,
    steps: Any = "every 10 epochs",
    *,
    progress: Progress | None = None,
) -> xr.Dataset:
    r"""Measure how well scores of neurons at earlier steps predict the circuit at a run's end.

    With C the circuit at the end (the active neurons by path norm, on the member's training inputs), m = |C|
    and $T_m$ the m neurons of largest score at a step, the precision is $|T_m \cap C| / m$; by chance it is m
    divided by the width. The measures, over seed and step:

    - ``precision_path_norm``: with the score $|u_j|\, \lVert (W_j, b_j) \rVert$, which needs no task;
    - ``precision_support_norm``: with the score $|u_j|\, \lVert W_{Sj} \rVert$ over the task's hidden bits S;
    - ``circuit_size``: m.

    Members measured at all these steps by an earlier call are not measured again.

    Args:
        run: of a Boolean function of few bits on inputs +-1, and one hidden layer of relu; finished.
        seeds: of the members; None: all.
        steps: a schedule (see `Schedule`).
        progress: advanced by one for each member.

    Returns:
        These measures of all members of the run that have been measured, now or before.

    Raises:
        InputError: if the run's networks cannot be read, or it has no such seed.

    Example:
        >>> import tempfile
        >>> import grokscope as gs
        >>> from grokscope.circuits import construction_experiment
        >>> run = gs.train(construction_experiment(2, n=20, width=50, measures=["test_accuracy"]),
        ...                out=tempfile.mkdtemp() + "/run")
        >>> foresee(run).precision_path_norm.values.tolist()
        [[1.0, 1.0]]
    """
    positions = readable_positions(run, seeds, "foresee")
    shown = progress or SilentProgress()
    points = readable_points(run, positions, steps)
    with GivenMeasures(run, _GROUP) as given:
        todo = members_lacking(given.read(MEASURES), run, "circuit_size", points, positions)
        shown.start(len(todo), "foresight")
        for low in range(0, len(todo), _AT_A_TIME):
            rows = todo[low : low + _AT_A_TIME]
            leaves = run.networks(points, [run.members.seeds[row] for row in rows])
            found = [
                _precisions(run, row, [relu_network_at(leaves, i, j) for j in range(len(points))])
                for i, row in enumerate(rows)
            ]
            values = {name: np.stack([one[name] for one in found]) for name in MEASURES}
            given.write(rows, points.tolist(), values)
            shown.advance(len(rows))
        shown.finish()
        read = given.read(MEASURES)
    assert read is not None  # at least one member was measured, now or before
    return read


def _precisions(run: Run, position: int, networks: list[ReluNetwork]) -> dict[str, np.ndarray]:
    """The measures of one member, [step]."""
    circuit = np.array(active_neurons(networks[-1], training_inputs(run, position)))
    bits = list(target_of(run, position)[0])

    def precision(score: np.ndarray) -> float:
        return float(np.isin(np.argsort(-score, kind="stable")[: len(circuit)], circuit).mean())

    by_norm = [precision(network.path_norm) for network in networks]
    by_support = [precision(np.abs(w.u) * np.linalg.norm(w.W[bits], axis=0)) for w in networks]
    size = [float(len(circuit))] * len(networks)
    return dict(zip(MEASURES, map(np.array, (by_norm, by_support, size)), strict=True))
