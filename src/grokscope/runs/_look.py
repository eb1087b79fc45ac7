"""What interventions choose neurons by: networks, data and subnetworks of the source and the members."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from grokscope.errors import InputError
from grokscope.interventions import NetworkArrays
from grokscope.measures import active_subnetwork
from grokscope.models.networks.one_hidden_layer import OneHiddenLayer
from grokscope.spec.streams import Members
from grokscope.training.cohort import Cohort
from grokscope.training.devices import choose_execution, in_precision
from grokscope.training.loop import MemberLoop

if TYPE_CHECKING:
    from grokscope.experiment import Experiment
    from grokscope.runs._source import Source
    from grokscope.spec.moments import Moment

__all__ = ["MembersLook", "member_data"]

_SLOTS = 64
_NO_SOURCE = (
    "neurons: this set is chosen by a source run, and there is none; branch from a run: "
    "grokscope branch RUN --at STEP|EVENT."
)


class MembersLook:
    """Members before they train; see `grokscope.interventions.MemberView`.

    Args:
        experiment: of the members.
        members: who they are.
        states: what they start from, arrays [member, ...] by path.
        source: their source, or None.
    """

    def __init__(
        self, experiment: Experiment, members: Members, states: dict[str, np.ndarray], source: Source | None
    ) -> None:
        self._experiment, self._members, self._states, self._source = experiment, members, states, source
        self._found: dict[Any, Any] = {}

    @property
    def seeds(self) -> np.ndarray:
        """[member, 4]."""
        return np.array(self._members.seeds, np.int64)

    @property
    def source_seeds(self) -> np.ndarray:
        """[member, 4]."""
        return self.seeds if self._source is None else np.array(self._source.members.seeds, np.int64)

    @property
    def width(self) -> int:
        """The number of neurons."""
        return int(self._states["state.network.hidden_bias"].shape[-1])

    def support(self) -> np.ndarray:
        """The task's hidden bits, or those drawn for each member's data seed."""
        task = self._experiment.task
        n_bits = self._states["state.network.hidden_weight"].shape[1]
        bits = np.zeros((len(self._members), n_bits), bool)
        known = task.facts().get("support")
        if known is not None:
            bits[:, list(known)] = True
            return bits
        drawn = self._own_data().get("support")
        if drawn is None:
            raise InputError(
                f"interventions.bits: task '{task.kind}' does not know its hidden bits; list them."
            )
        np.put_along_axis(bits, drawn.astype(np.int64), True, axis=1)
        return bits

    def weights(self, at: Moment) -> NetworkArrays:
        """Networks at a moment of the source; what the members start from at ``start``."""
        if at.event == "start" and not at.offset and at.factor == 1:
            leaves = self._states
        else:
            leaves = self._needed().states(at)
        names = ("hidden_weight", "hidden_bias", "output_weight")
        return NetworkArrays(*(leaves[f"state.network.{name}"] for name in names))

    def active(self, at: Moment, flavor: Literal["predictions", "accuracy"], order: str) -> np.ndarray:
        """Searched for on the source's training inputs (on the members' own, where there is no source)."""
        key = (at, flavor, order)
        if key not in self._found:
            weights = self.weights(at)
            where = (self._experiment, self._members)
            if self._source is not None:
                where = (self._source.experiment, self._source.members)
            activation = getattr(where[0].model, "activation", "relu")
            finder = _finder(flavor, order, activation)
            self._found[key] = over_members(*where, finder, tuple(weights))
        return self._found[key]

    def subnetwork(self, name: str, flavor: Literal["predictions", "accuracy"]) -> np.ndarray:
        """As the source keeps it."""
        return self._needed().subnetwork(name, flavor)

    def _needed(self) -> Source:
        if self._source is None:
            raise InputError(_NO_SOURCE)
        return self._source

    def _own_data(self) -> dict[str, np.ndarray]:
        return member_data(self._experiment, self._members)


def over_members(experiment: Experiment, members: Members, function: Any, arrays: tuple[Any, ...]) -> Any:
    """A pure function of (arrays of a member, its own data, shared data) for all members, on the host.

    A member may be there more than once.
    """
    pieces: list[Any] = []
    execution = choose_execution(len(members), _SLOTS, experiment=experiment)
    loop = MemberLoop(experiment.model_copy(update={"interventions": ()}))
    with in_precision(experiment.precision):
        for low in range(0, len(members), execution.capacity):
            rows = slice(low, low + execution.capacity)
            cohort = Cohort(loop, members[rows], execution)
            _, data = cohort.start()
            placed = cohort.place(tuple(array[rows] for array in arrays))
            pieces.append(cohort.trim(cohort.each(function, placed, data)))
    return jax.tree.map(lambda *parts: np.concatenate(parts), *pieces)


def member_data(experiment: Experiment, members: Members) -> dict[str, np.ndarray]:
    """The members' own data on the host, arrays [member, ...]."""
    return over_members(experiment, members, _data, ())


def _data(nothing: Any, data: dict[str, jax.Array], shared: dict[str, jax.Array]) -> dict[str, jax.Array]:
    del nothing, shared
    return data


@functools.cache
def _finder(flavor: Any, order: Any, activation: str) -> Any:
    def find(arrays: Any, data: dict[str, jax.Array], shared: dict[str, jax.Array]) -> jax.Array:
        network = OneHiddenLayer(*(jnp.asarray(array) for array in arrays), activation=activation)
        return active_subnetwork(network, shared | data, flavor, order)

    return find
