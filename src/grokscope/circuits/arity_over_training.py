"""Arity of the neurons of a run's subnetworks at many steps, stored as measures of the run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.circuits.gates import least_weights
from grokscope.circuits.relu_network import ReluNetwork, relu_network_at
from grokscope.circuits.target import readable_points, readable_positions, training_inputs
from grokscope.progress import Progress, SilentProgress
from grokscope.runs.given import GivenMeasures, members_lacking
from grokscope.spec.streams import Seeds, on_members

if TYPE_CHECKING:
    import xarray as xr

    from grokscope.runs import Run

__all__ = ["MEASURES", "measure_arity"]

SUBNETWORKS = ("generalizing", "control", "norm_matched")
MEASURES = tuple(f"{what}_{name}" for what in ("arity", "needed") for name in SUBNETWORKS)
_GROUP = "arity"


def measure_arity(
    run: Run,
    seeds: Iterable[int | Seeds] | None = None,
    steps: Any = "every 10 epochs",
    *,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Measure how many incoming weights the neurons of a run's subnetworks need, at many steps.

    The arity of a neuron (`grokscope.circuits.arity`) is taken on the member's training inputs, with all
    other neurons as they are. It is 0 for a neuron of which only the bias, or nothing, is needed. The
    measures, over seed and step, for the generalizing subnetwork, the random control and the control matched
    in norm:

    - ``arity_<subnetwork>``: the mean arity of the neurons whose arity is not 0; NaN if there are none;
    - ``needed_<subnetwork>``: the share of these neurons.

    Members measured at all these steps by an earlier call are not measured again.

    Args:
        run: of one hidden layer of relu on inputs +-1, with subnetworks; finished.
        seeds: of the members; None: all.
        steps: a schedule (see `Schedule`).
        progress: advanced by one for each member.

    Returns:
        These measures of all members of the run that have been measured, now or before.

    Raises:
        InputError: if the run's networks cannot be read, or it has no such seed or no subnetworks.

    Source: the official code of Merrill, Tsilivis, Shukla 2023 has an arity; it keeps other weights than it
        means to (see `grokscope.circuits.arity`).
    """
    positions = readable_positions(run, seeds, "measure_arity")
    masks = on_members(run.subnetworks.to_dataset(name="mask"), run.members)["mask"]
    masks = masks.sel(subnetwork=list(SUBNETWORKS)).transpose("seed", "subnetwork", "neuron")
    sets = np.asarray(masks, bool)
    points = readable_points(run, positions, steps)
    shown = progress or SilentProgress()
    with GivenMeasures(run, _GROUP) as given:
        todo = members_lacking(given.read(MEASURES), run, "needed_generalizing", points, positions)
        shown.start(len(todo), "arity")
        for row in todo:
            leaves = run.networks(points, [run.members.seeds[row]])
            x = np.asarray(training_inputs(run, row), np.float64)
            values = np.full((len(MEASURES), 1, len(points)), np.nan)
            for j in range(len(points)):
                values[:, 0, j] = _of_subnetworks(relu_network_at(leaves, 0, j), sets[row], x)
            given.write([row], points.tolist(), dict(zip(MEASURES, values, strict=True)))
            shown.advance(1)
        shown.finish()
        found = given.read(MEASURES)
    assert found is not None  # at least one member was measured, now or before
    return found


def _of_subnetworks(weights: ReluNetwork, sets: np.ndarray, x: np.ndarray) -> list[float]:
    """The measures of sets of neurons [subnetwork, neuron], in the order of MEASURES."""
    chosen = np.flatnonzero(sets.any(axis=0))
    some = weights.only(chosen)
    rest = weights.only(np.setdiff1d(np.arange(len(weights.u)), chosen)).outputs(x)
    parts = np.maximum(x @ some.W + some.b, 0.0) * some.u
    arities = np.zeros(len(weights.u))
    for i, j in enumerate(chosen):
        others = rest + np.delete(parts, i, axis=1).sum(axis=1)
        arities[j] = least_weights(some.W[:, i], some.b[i], some.u[i], x, others)
    means, shares = [], []
    for mask in sets:
        own = arities[mask]
        means.append(float(own[own > 0].mean()) if (own > 0).any() else np.nan)
        shares.append(float((own > 0).mean()) if len(own) else np.nan)
    return means + shares
