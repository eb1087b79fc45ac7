"""Which subnetworks are followed: found from the final networks and those at memorization."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from grokscope.experiment import Experiment
from grokscope.losses import CrossEntropy
from grokscope.measures import Flavor, Measure, Point, find_subnetworks
from grokscope.measures.logit_fourier import KeyFrequencies
from grokscope.measures.needs import KEY_FREQUENCIES
from grokscope.spec.axes import SUBNETWORK_LABELS
from grokscope.spec.streams import STREAMS, stream_key
from grokscope.training.cohort import Cohort
from grokscope.training.timeline import Timeline

__all__ = ["FirstCrossing", "found_at_the_end", "nothing_found"]

MEMORIZED = 0.98  # the train accuracy above which the official code takes the memorizing network


class FirstCrossing:
    """The network of each member at the first point at which its train accuracy passes `MEMORIZED`.

    Attributes:
        networks: host pytree [member, ...], zeros for members that have not memorized; None before the
            first update.
        found: bool [member].
    """

    def __init__(self, n_members: int) -> None:
        self.networks: Any = None
        self.found = np.zeros(n_members, dtype=bool)

    def update(self, part: Timeline, results: dict[str, np.ndarray], networks: Any, rows: np.ndarray) -> None:
        """Look at a segment.

        Args:
            part: its points.
            results: its measures, [member, point].
            networks: its networks on the devices, [slot, point, ...].
            rows: the slot of each member.
        """
        if self.networks is None:
            self.networks = jax.tree.map(
                lambda leaf: np.zeros((len(self.found), *leaf.shape[2:]), leaf.dtype), networks
            )
        passed = (results["train_accuracy"] > MEMORIZED) & part.quick
        for member in np.flatnonzero(passed.any(axis=1) & ~self.found).tolist():
            point = int(np.argmax(passed[member]))
            self.found[member] = True

            def store(into: np.ndarray, leaf: Any, member: int = member, point: int = point) -> None:
                into[member] = np.asarray(leaf[rows[member], point])

            jax.tree.map(store, self.networks, networks)


def found_at_the_end(
    cohort: Cohort,
    final: Any,
    data: Any,
    memorized: FirstCrossing,
    flavor: Flavor,
    measures: tuple[Measure, ...],
) -> dict[str, jax.Array]:
    """What these measures follow through the run, of every member's final network, on the devices.

    Returns:
        ``subnetworks``, bool [member, subnetwork, neuron]; and where a measure needs them
        ``key_frequencies``, bool [member, frequency].
    """
    return cohort.each(
        _finder(flavor, any(KEY_FREQUENCIES in m.needs for m in measures)),
        final,
        cohort.place(memorized.networks),
        cohort.place(memorized.found),
        data,
        cohort.seeds,
    )


def nothing_found(experiment: Experiment, measures: tuple[Measure, ...]) -> dict[str, np.ndarray]:
    """Of the shapes of what `found_at_the_end` gives for one member."""
    shape = (len(SUBNETWORK_LABELS), experiment.model.n_neurons)
    nothing: dict[str, np.ndarray] = {"subnetworks": np.zeros(shape, dtype=bool)}
    if any(KEY_FREQUENCIES in m.needs for m in measures):
        nothing["key_frequencies"] = np.zeros(len(experiment.axes["frequency"]), dtype=bool)
    return nothing


@functools.cache
def _finder(flavor: Flavor, with_frequencies: bool) -> Callable[..., Any]:
    """A member's function; cached, so that it is compiled once."""

    def find(
        final: Any,
        memorized: Any,
        has_memorized: jax.Array,
        own: dict[str, jax.Array],
        seeds: jax.Array,
        shared: dict[str, jax.Array],
    ) -> dict[str, jax.Array]:
        noise = stream_key("noise", seeds[STREAMS.index("noise")])
        data = shared | own
        masks = find_subnetworks(final, memorized, data, noise, flavor, has_memorized=has_memorized)
        found = {"subnetworks": masks}
        if with_frequencies:
            found["key_frequencies"] = KeyFrequencies()(Point(final, data, CrossEntropy())) > 0
        return found

    return find
