"""The interface of networks with hidden neurons, for measures and circuit tools.

A network with these methods can be pruned and measured neuron by neuron. Neurons are numbered through all
layers; an "off" neuron has activation 0 at every position.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeGuard, runtime_checkable

import jax
from jaxtyping import Array, Bool, Float

__all__ = ["HasNeurons", "has_neurons", "ones_like"]


@runtime_checkable
class HasNeurons(Protocol):
    """A network with hidden neurons: `OneHiddenLayer`, embedding MLP, one-hot MLP, transformer."""

    def __call__(self, x: Float[Array, "sample ..."]) -> Float[Array, "sample ..."]:
        """The outputs: [sample], or [sample, output]."""
        ...

    def hidden(self, x: Float[Array, "sample ..."]) -> Float[Array, "sample neuron"]:
        """The activations of all neurons (in a transformer: at the last position)."""
        ...

    @property
    def incoming(self) -> Float[Array, "*member feature neuron"]:
        """Weights into each neuron."""
        ...

    @property
    def incoming_bias(self) -> Float[Array, "*member neuron"]:
        """Bias of each neuron; zeros if there are no biases."""
        ...

    @property
    def outgoing(self) -> Float[Array, "*member neuron feature"]:
        """Weights out of each neuron."""
        ...

    def keeping(self, keep: Bool[Array, " neuron"] | Float[Array, " neuron"]) -> HasNeurons:
        """The network with all other neurons set to 0."""
        ...

    def neuron_masks(self, keep: Bool[Array, " neuron"] | Float[Array, " neuron"]) -> HasNeurons:
        """Factors for `State.masks`: 0 for every parameter of the other neurons, else 1."""
        ...


def has_neurons(network: Any) -> TypeGuard[HasNeurons]:
    """Whether a network implements `HasNeurons` (its properties are not evaluated)."""
    return all(hasattr(type(network), name) for name in ("hidden", "incoming", "outgoing", "keeping"))


def ones_like(network: Any) -> Any:
    """Masks of ones, which change nothing."""
    return jax.tree.map(lambda leaf: jax.numpy.ones_like(leaf), network)
