"""Read access to the members before training, from which sets of neurons are chosen."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

import numpy as np

from grokscope.spec.moments import Moment
from grokscope.spec.streams import STREAMS

__all__ = ["MemberView", "NetworkArrays", "drawn_seeds"]


class NetworkArrays(NamedTuple):
    """The arrays of the members' one-hidden-layer networks.

    Attributes:
        hidden_weight: W, [member, bit, neuron].
        hidden_bias: b, [member, neuron].
        output_weight: u, [member, neuron] or [member, neuron, output].
    """

    hidden_weight: np.ndarray
    hidden_bias: np.ndarray
    output_weight: np.ndarray


class MemberView(Protocol):
    """Read access to members before training; the first axis of every array is the member."""

    @property
    def seeds(self) -> np.ndarray:
        """Each member's seeds (init, data, order, noise), int [member, 4]."""
        ...

    @property
    def source_seeds(self) -> np.ndarray:
        """The seeds of each member's source member; its own where there is no source run. [member, 4]."""
        ...

    @property
    def width(self) -> int:
        """The number of neurons; 0 if the network has not exactly one hidden layer."""
        ...

    @property
    def n_bits(self) -> int:
        """The number of inputs of each neuron; 0 if the network has not exactly one hidden layer."""
        ...

    def support(self) -> np.ndarray:
        """The hidden bits of each member's task, bool [member, bit].

        Raises:
            InputError: if the task does not know them.
        """
        ...

    def parameters(self, at: Moment) -> dict[str, np.ndarray]:
        """The parameters of the source's networks at a moment, arrays [member, ...] by name.

        At ``start`` they are those of the networks in which the members start.

        Raises:
            InputError: if there is no source run, or a member has not reached the moment.
        """
        ...

    def weights(self, at: Moment) -> NetworkArrays:
        """The same of one-hidden-layer networks.

        Raises:
            InputError: if there is no source run, or a member has not reached the moment.
        """
        ...

    def active(self, at: Moment, flavor: Literal["predictions", "accuracy"], order: str) -> np.ndarray:
        """The active subnetworks of the networks at a moment, bool [member, neuron]."""
        ...

    def subnetwork(self, name: str, flavor: Literal["predictions", "accuracy"]) -> np.ndarray:
        """A subnetwork that the source run has stored, bool [member, neuron].

        Raises:
            InputError: if there is no source run, or it has no subnetwork of this name.
        """
        ...


def drawn_seeds(members: MemberView, seed: int) -> np.ndarray:
    """Each member's seed of the noise stream and a further one, uint32 [member, 2]."""
    noise = members.seeds[:, STREAMS.index("noise")]
    return np.stack([noise, np.full(len(noise), seed)], axis=1).astype(np.uint32)
