"""Attention heads: their attention weights, and how much predictions depend on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from grokscope.measures._measure import Measure
from grokscope.measures.needs import PREDICTIONS, TEST_SPLIT, TRAIN_SPLIT, TRANSFORMER

if TYPE_CHECKING:
    import jax

    from grokscope.measures._point import Point

__all__ = ["AttentionPattern", "HeadFaithfulness"]


class _OfHeads(Measure):
    pace = "slow"
    default = False


class AttentionPattern(_OfHeads):
    r"""The mean attention weights of the last position; [layer, head, position].

    $\overline{\mathrm{softmax}_t (q \cdot k_t / \sqrt{d_h})}$, mean over training inputs. The sum over
    positions is 1.

    Source: Nanda et al. 2023 (arXiv 2301.05217), Figure 2 and Section 4.3 (patterns of single inputs).

    Example:
        >>> AttentionPattern().dims
        ('layer', 'head', 'position')
    """

    kind: Literal["attention_pattern"] = "attention_pattern"
    dims = ("layer", "head", "position")
    needs = (TRANSFORMER, TRAIN_SPLIT)

    def __call__(self, point: Point) -> jax.Array:
        """The mean patterns."""
        import jax.numpy as jnp

        return jnp.mean(point.network.attention(point.split("train").x), axis=0)


class HeadFaithfulness(_OfHeads):
    """Share of test inputs whose prediction stays the same without one attention head; [layer, head].

    The head is removed by setting its output to 0. 1 if no prediction depends on the head.
    """

    kind: Literal["head_faithfulness"] = "head_faithfulness"
    dims = ("layer", "head")
    needs = (PREDICTIONS, TRANSFORMER, TEST_SPLIT)

    def __call__(self, point: Point) -> jax.Array:
        """The agreement with the whole network, for each head."""
        import jax.numpy as jnp
        from jax import lax

        from grokscope.measures._predictions import predictions

        network, x, f = point.network, point.split("test").x, point.outputs("test")
        n_outputs = 1 if f.ndim == 1 else f.shape[1]
        shape = (len(network.blocks), network.blocks[0].heads)
        whole = predictions(f, n_outputs)
        off = 1 - jnp.eye(shape[0] * shape[1], dtype=f.dtype).reshape(-1, *shape)

        def agreement(keep: jax.Array) -> jax.Array:
            part = predictions(network.keeping_heads(keep)(x), n_outputs)
            return jnp.mean(part == whole, dtype=f.dtype)

        return lax.map(agreement, off).reshape(shape)
