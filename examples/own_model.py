"""A model in a file of its own: a one-hidden-layer network with weight normalization.

    grokscope train SPEC.toml --plugin examples/own_model.py --seeds 5

with a SPEC.toml that says ``epochs = 300``, ``task = "sparse_parity"`` and
``model = {kind = "weight_norm", width = 200}``. The function does not depend on the lengths of the
directions, so weight decay acts on them without any effect on the outputs. Run the file itself to check it.
"""

from __future__ import annotations

import math
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from pydantic import Field

from grokscope.models import Model, draw_normal


class WeightNormNetwork(eqx.Module):
    """f(x) = u . relu(g * (x V / |V|) + b), with |V| the length of each column of V.

    Attributes:
        direction: V, [input, neuron].
        gain, bias: g and b, [neuron].
        output_weight: u, [neuron], or [neuron, output].
    """

    direction: jax.Array
    gain: jax.Array
    bias: jax.Array
    output_weight: jax.Array

    def __call__(self, x: jax.Array) -> jax.Array:
        """Outputs [sample], or [sample, output], of inputs [sample, *input]."""
        length = jnp.sqrt(jnp.sum(jnp.square(self.direction), axis=0) + 1e-12)
        z = x.reshape(x.shape[0], -1) @ (self.direction / length)
        return jax.nn.relu(self.gain * z + self.bias) @ self.output_weight


class WeightNorm(Model):
    r"""Weight normalization: $f(x) = \sum_j u_j\, \sigma(g_j\, V_j \cdot x / \lVert V_j \rVert + b_j)$.

    Attributes:
        width: number of neurons.
        gain: the initial $g_j$.

    Source: Salimans and Kingma 2016 (arXiv 1602.07868), Section 2.
    """

    kind: Literal["weight_norm"] = "weight_norm"
    traced = ("gain",)

    width: int = Field(default=200, ge=1)
    gain: float = Field(default=1.0, gt=0.0)

    def network(self, key: jax.Array, input_shape: tuple[int, ...], n_outputs: int) -> WeightNormNetwork:
        """Draw directions and output weights; all gains are equal, all biases 0."""
        directions, outputs = jax.random.split(key)
        shape = (self.width,) if n_outputs == 1 else (self.width, n_outputs)
        direction = draw_normal(directions, (math.prod(input_shape), self.width), 1.0, 1.0)
        ones = jnp.ones(self.width, direction.dtype)
        return WeightNormNetwork(
            direction, ones * self.gain, 0 * ones, draw_normal(outputs, shape, self.width**-0.5, 1.0)
        )

    def n_parameters(self, input_shape: tuple[int, ...], n_outputs: int) -> int:
        """(n + 2 + outputs) p."""
        return (math.prod(input_shape) + 2 + n_outputs) * self.width


if __name__ == "__main__":
    from grokscope.models.check import check_model

    check_model(WeightNorm(width=8))
    print("weight_norm is a valid model.")
