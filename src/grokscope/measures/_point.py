"""Point: one network and its data, as a measure sees them; what several measures need is computed once."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from grokscope.losses import Loss
from grokscope.models._one_hidden_layer import OneHiddenLayer

__all__ = ["Point", "Split"]


class Split(NamedTuple):
    """Inputs [sample, *input] and labels [sample]."""

    x: jax.Array
    y: jax.Array


class Point:
    """A network at one step, with its data. Lives inside one traced function.

    Intermediate results that measures share (outputs, neuron norms, the pruning order) are cached, so that
    they are traced once however many measures ask.

    Attributes:
        network: the predictor, masks applied.
        data: the member's and the shared arrays, ``<split>_x`` and ``<split>_y``.
        loss: the experiment's loss.
        subnetworks: for measures of pace ``follow``: 0/1 masks [subnetwork, neuron], else None.
    """

    def __init__(
        self,
        network: Any,
        data: dict[str, jax.Array],
        loss: Loss,
        subnetworks: Bool[Array, "subnetwork neuron"] | None = None,
    ) -> None:
        self.network = network
        self.data = data
        self.loss = loss
        self.subnetworks = subnetworks
        self._outputs: dict[str, jax.Array] = {}
        self._hidden: dict[str, jax.Array] = {}

    def split(self, name: str) -> Split:
        """The samples of ``train``, ``test`` or ``probe``."""
        return Split(self.data[f"{name}_x"], self.data[f"{name}_y"])

    def hidden(self, split: str) -> Float[Array, "sample neuron"]:
        """The hidden activations on a split."""
        if split not in self._hidden:
            self._hidden[split] = self.layer.hidden(self.split(split).x)
        return self._hidden[split]

    def outputs(self, split: str) -> Float[Array, "sample ..."]:
        """The network's outputs on a split."""
        if split not in self._outputs:
            if isinstance(self.network, OneHiddenLayer):
                self._outputs[split] = self.hidden(split) @ self.network.output_weight
            else:
                self._outputs[split] = self.network(self.split(split).x)
        return self._outputs[split]

    @property
    def layer(self) -> OneHiddenLayer:
        """The network, where it is a one-hidden-layer network."""
        if not isinstance(self.network, OneHiddenLayer):
            raise TypeError(f"{type(self.network).__name__} is not a one-hidden-layer network")
        return self.network

    @cached_property
    def neuron_norm(self) -> Float[Array, " neuron"]:
        r"""$\lVert W_j \rVert_2$, the norm of each neuron's incoming weights."""
        return jnp.linalg.norm(self.layer.hidden_weight, axis=0)

    @cached_property
    def order(self) -> Int[Array, " neuron"]:
        """Neurons by falling incoming norm; equal norms by index."""
        return jnp.argsort(-self.neuron_norm, stable=True)
