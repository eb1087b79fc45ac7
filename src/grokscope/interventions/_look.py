"""What neurons are chosen by: the networks, data and subnetworks of a run's members, before it trains."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

import numpy as np

from grokscope.spec.moments import Moment

__all__ = ["Look", "Weights"]


class Weights(NamedTuple):
    """Weights of one-hidden-layer networks: W [member, bit, neuron], b [member, neuron], u [member, ...]."""

    hidden_weight: np.ndarray
    hidden_bias: np.ndarray
    output_weight: np.ndarray


class Look(Protocol):
    """What can be seen of the members before they train; all arrays have the member as first axis."""

    @property
    def seeds(self) -> np.ndarray:
        """Each member's seeds (init, data, order, noise), [member, 4]."""
        ...

    @property
    def source_seeds(self) -> np.ndarray:
        """The seeds of the source's member; the member's own where there is no source."""
        ...

    @property
    def width(self) -> int:
        """The number of neurons."""
        ...

    def support(self) -> np.ndarray:
        """The hidden bits of each member's task, bool [member, bit].

        Raises:
            InputError: if the task does not know them.
        """
        ...

    def weights(self, at: Moment) -> Weights:
        """The source's networks at a moment (``start``: what the members start from).

        Raises:
            InputError: if there is no source, or a member has not come to that step.
        """
        ...

    def active(self, at: Moment, flavor: Literal["predictions", "accuracy"], order: str) -> np.ndarray:
        """The active subnetworks of the networks at a moment, bool [member, neuron]."""
        ...

    def subnetwork(self, name: str, flavor: Literal["predictions", "accuracy"]) -> np.ndarray:
        """A subnetwork that the source run keeps, bool [member, neuron].

        Raises:
            InputError: if there is no source, or it has none of this name.
        """
        ...
