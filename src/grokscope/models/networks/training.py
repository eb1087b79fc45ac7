"""What networks do otherwise in training than in evaluation: dropout, and batch normalization.

A network in evaluation mode has no `TrainingMode`. The running means of `BatchNorm` are arrays of the
network, but no parameters: `split` takes them out, and a learner keeps them in `State.model_state`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["BatchNorm", "TrainingMode", "batch_norms", "joined", "split", "without_running_means"]

_EPSILON, _MOMENTUM = 1e-5, 0.1  # PyTorch's defaults


class TrainingMode(eqx.Module):
    """How a network acts on the batch of an update.

    Attributes:
        key: random key of the update, for dropout.
        rate: the share p of neurons that are dropped; None: no dropout.
        weight: 0 for padding of the batch, else 1, [sample]; None: no padding.
    """

    key: Any = None
    rate: Any = None
    weight: Any = None

    def of(self, network: Any) -> Any:
        """The network in this mode."""
        return eqx.tree_at(lambda n: n.mode, network, self, is_leaf=lambda leaf: leaf is None)

    def dropped(self, values: Float[Array, "sample neuron"], layer: int) -> Float[Array, "sample neuron"]:
        r"""Each value is 0 with probability p, else multiplied by $1/(1-p)$, as by PyTorch's ``Dropout``."""
        if self.rate is None:
            return values
        key = jax.random.fold_in(self.key, layer)
        # drawn as float32 in both precisions, which then drop the same neurons
        keep = jax.random.uniform(key, values.shape, jnp.float32) >= jnp.asarray(self.rate, jnp.float32)
        return jnp.where(keep, values / (1.0 - self.rate), 0.0)


class BatchNorm(NamedTuple):
    r"""Batch normalization: $\gamma\,(z - \mu)/\sqrt{v + 10^{-5}} + \beta$, for each neuron.

    In training $\mu$ and v are mean and (biased) variance over the batch. In evaluation they are their
    running means: after each update $\mu_r \leftarrow 0.9\,\mu_r + 0.1\,\mu$, and $v_r$ likewise with the
    unbiased variance of the batch. Padding does not count.

    Attributes:
        scale: $\gamma$, [neuron]; at the start 1.
        shift: $\beta$, [neuron]; at the start 0.
        mean: $\mu_r$, [neuron]; at the start 0.
        variance: $v_r$, [neuron]; at the start 1.

    Source: Ioffe and Szegedy 2015 (arXiv 1502.03167), Algorithm 1; PyTorch ``torch.nn.BatchNorm1d``.
    """

    scale: Any
    shift: Any
    mean: Any
    variance: Any

    def __call__(
        self, z: Float[Array, "sample neuron"], mode: TrainingMode | None
    ) -> Float[Array, "sample neuron"]:
        """The normalized values."""
        mean, variance = (self.mean, self.variance) if mode is None else _moments(z, mode.weight)[:2]
        return (z - mean) / jnp.sqrt(variance + _EPSILON) * self.scale + self.shift

    def after(self, z: Float[Array, "sample neuron"], mode: TrainingMode) -> BatchNorm:
        """With the running means after an update with these values."""
        mean, variance, count = _moments(z, mode.weight)
        unbiased = variance * (count / jnp.maximum(count - 1, 1))
        return self._replace(
            mean=(1 - _MOMENTUM) * self.mean + _MOMENTUM * mean,
            variance=(1 - _MOMENTUM) * self.variance + _MOMENTUM * unbiased,
        )


def _moments(z: jax.Array, weight: jax.Array | None) -> tuple[jax.Array, jax.Array, Any]:
    """Mean and biased variance over the samples, and their number."""
    weight = jnp.ones(len(z), z.dtype) if weight is None else weight.astype(z.dtype)
    count = weight.sum()
    mean = weight @ z / count
    return mean, weight @ jnp.square(z - mean) / count, count


def batch_norms(widths: Sequence[int]) -> dict[str, Any]:
    """The fields of `BatchNorm` at the start, by their names in a network, for layers of these widths."""
    ones, zeros = (tuple(fill(m) for m in widths) for fill in (jnp.ones, jnp.zeros))
    return {"scales": ones, "shifts": zeros, "means": zeros, "variances": ones}


def split(network: Any) -> tuple[Any, Any]:
    """A network's trained part and its state, each with None in the place of the other; no state is ().

    A network that has a state says so by a method ``split``, which returns both.

    Example:
        >>> split({"weight": 1.0})
        ({'weight': 1.0}, ())
    """
    return network.split() if hasattr(network, "split") else (network, ())


def without_running_means(network: Any) -> tuple[Any, Any]:
    """A network's parameters, and its running means: the fields ``means`` and ``variances``.

    For the ``split`` of networks with the fields of `BatchNorm` for each layer; ``scales`` is empty without
    batch normalization, and then there is no state.
    """
    if not network.scales:
        return network, ()

    def is_trained(path: Any, leaf: Any) -> bool:
        del leaf
        return path[0].name not in ("means", "variances")

    return eqx.partition(network, jax.tree_util.tree_map_with_path(is_trained, network))


def joined(network: Any, state: Any) -> Any:
    """The network of a trained part and a state; the inverse of `split`."""
    return eqx.combine(network, state) if type(state) is type(network) else network
