"""Sensitivity: the number of input bits that change the prediction, of the network and its subnetworks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from grokscope.measures._measure import Measure
from grokscope.measures.faithfulness import masked_outputs, subnetworks_of
from grokscope.measures.needs import BINARY_INPUTS, ONE_HIDDEN_LAYER, SIGNS, TEST_SPLIT, TRAIN_SPLIT
from grokscope.spec.axes import SPLIT_LABELS

if TYPE_CHECKING:
    import jax
    from jaxtyping import Array, Float

    from grokscope.measures._point import Point

__all__ = ["Sensitivity", "SensitivityFull"]

# Each flipped bit is a forward pass (40 for each row); 100 rows per split are enough.
_N_ROWS = 100
_NEEDS = (SIGNS, ONE_HIDDEN_LAYER, BINARY_INPUTS, TRAIN_SPLIT, TEST_SPLIT)


def _mean_flips(point: Point, weights: Float[Array, "neuron column"]) -> Float[Array, "column split"]:
    """Per column of output weights: number of bits whose flip changes the sign, mean over rows."""
    import jax.numpy as jnp
    from jax import lax

    from grokscope.models.networks.one_hidden_layer import ACTIVATIONS

    layer = point.layer
    activation = ACTIVATIONS[layer.activation]
    rows = [point.split(split).x[:_N_ROWS] for split in SPLIT_LABELS]
    rows = [x.reshape(len(x), -1) for x in rows]
    x = jnp.concatenate(rows)
    z = layer.preactivations(x)
    sign = jnp.sign(layer.shifted(activation(z) @ weights))

    def flip(bit: int | jax.Array, changed: jax.Array) -> jax.Array:
        # x_i -> -x_i moves the pre-activations by -2 x_i W_i
        step = lax.dynamic_index_in_dim(x, bit, axis=1) * lax.dynamic_index_in_dim(layer.hidden_weight, bit)
        return changed + (jnp.sign(layer.shifted(activation(z - 2 * step) @ weights)) != sign)

    changed = lax.fori_loop(0, x.shape[1], flip, jnp.zeros(sign.shape, jnp.int32))
    parts = jnp.split(changed, [len(rows[0])])
    return jnp.stack([jnp.mean(part, axis=0, dtype=z.dtype) for part in parts], axis=1)


class Sensitivity(Measure):
    r"""Mean sensitivity: the number of input bits whose flip changes a subnetwork's prediction.

    $\frac1N \sum_i \#\{b \in 1..n : \mathrm{sign} f_S(x_i^{\oplus b}) \ne \mathrm{sign} f_S(x_i)\}$, where
    $x^{\oplus b}$ is x with bit b negated; [subnetwork, split]. The sign is -1, 0 or 1; no input is left out.
    The mean is over the first 100 inputs of each split. The parity of k bits has sensitivity k. NaN for a
    subnetwork without neurons.

    Source: the official code of Merrill, Tsilivis, Shukla 2023.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import Hinge
        >>> from grokscope.measures import Point
        >>> from grokscope.models.networks.one_hidden_layer import OneHiddenLayer
        >>> network = OneHiddenLayer(jnp.eye(2), jnp.zeros(2), jnp.array([2.0, -1.0]))
        >>> x = jnp.array([[1.0, 1.0]])  # f = 2 relu(x1) - relu(x2)
        >>> data = {"train_x": x, "train_y": x[:, 0], "test_x": -x, "test_y": x[:, 0]}
        >>> point = Point(network, data, Hinge(), jnp.array([[True, True]]))
        >>> Sensitivity()(point).tolist()  # at (1,1) only bit 1 matters; at (-1,-1) f is 0, and both do
        [[1.0, 2.0]]
    """

    kind: Literal["sensitivity"] = "sensitivity"
    dims = ("subnetwork", "split")
    pace = "follow_slow"
    unit = "bits"
    needs = _NEEDS

    def __call__(self, point: Point) -> jax.Array:
        """The sensitivity of every subnetwork on every split."""
        import jax.numpy as jnp

        masks = subnetworks_of(point)
        flips = _mean_flips(point, masked_outputs(point.layer.output_weight, masks))
        return jnp.where(jnp.any(masks > 0, axis=1)[:, None], flips[: len(masks)], jnp.nan)


class SensitivityFull(Measure):
    """`Sensitivity` of the whole network; [split]."""

    kind: Literal["sensitivity_full"] = "sensitivity_full"
    dims = ("split",)
    pace = "slow"
    unit = "bits"
    needs = _NEEDS

    def __call__(self, point: Point) -> jax.Array:
        """The sensitivity on every split."""
        return _mean_flips(point, point.layer.output_weight[:, None])[0]
