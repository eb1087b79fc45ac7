"""The intervention that keeps a fraction of the parameters and holds the others at zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from grokscope.interventions._intervention import ParameterIntervention, Selection, Target
from grokscope.interventions._members import drawn_seeds
from grokscope.spec.streams import MAX_INT32

if TYPE_CHECKING:
    import jax

    from grokscope.interventions._members import MemberView

__all__ = ["Mask"]

# Folded into the noise stream's key, so that masks are independent of all else that is drawn from it.
_MASK = 0x6D61736B


class Mask(ParameterIntervention):
    r"""Multiply parameters by a fixed mask m of zeros and ones: $\theta \leftarrow m \odot \theta$.

    The mask is made when the intervention begins, and holds after each update. Of N chosen numbers it keeps
    round(``keep`` N).

    Attributes:
        keep: the fraction of the numbers that is kept.
        by: ``magnitude`` keeps the numbers of largest size, ``random`` keeps random ones, drawn from each
            member's noise stream.
        each: keep this fraction of each chosen array, in place of all of them together.
        seed: another number gives another random mask from the same stream.

    Example:
        >>> Mask(parameters=["hidden_weight"], keep=0.1, by="magnitude", at="memorization").each
        False
    """

    kind: Literal["mask"] = "mask"
    traced = ("keep",)
    per_member = (*ParameterIntervention.per_member, "seed")
    keep: float = Field(ge=0.0, le=1.0)
    by: Literal["random", "magnitude"]
    each: bool = False
    seed: int = Field(default=0, ge=0, le=MAX_INT32)

    def select(self, members: MemberView) -> Selection:
        """As in the base, and ``drawn_by`` [member, 2]: the seed of the noise stream, and ``seed``."""
        selection = super().select(members)
        return selection._replace(more={**selection.more, "drawn_by": drawn_seeds(members, self.seed)})

    def begin(self, network: Any, target: Target, data: dict[str, jax.Array]) -> Any:
        """Set the other numbers to 0."""
        del data
        return _masked(network, self.record(network, target))

    def record(self, network: Any, target: Target) -> Any:
        """The mask of each chosen array, bool, by name."""
        import jax
        import jax.numpy as jnp

        from grokscope.spec.streams import stream_key

        leaves = self.chosen_leaves(network)
        if self.by == "magnitude":
            scores = [jnp.abs(leaf) for leaf in leaves.values()]
        else:
            noise, seed = target.more["drawn_by"]
            key = jax.random.fold_in(jax.random.fold_in(stream_key("noise", noise), _MASK), seed)
            scores = [
                jax.random.uniform(jax.random.fold_in(key, i), leaf.shape, jnp.float32)
                for i, leaf in enumerate(leaves.values())
            ]
        if self.each:
            kept = [_largest(score.ravel(), self.keep) for score in scores]
        else:
            sizes = [score.size for score in scores]
            ends = [sum(sizes[: i + 1]) for i in range(len(sizes) - 1)]
            kept = jnp.split(_largest(jnp.concatenate([score.ravel() for score in scores]), self.keep), ends)
        return {name: one.reshape(leaf.shape) for (name, leaf), one in zip(leaves.items(), kept, strict=True)}

    def after_update(self, before: Any, network: Any, target: Target, recorded: Any) -> Any:
        """Set the other numbers to 0."""
        del before, target
        return _masked(network, recorded)


def _largest(scores: jax.Array, share: Any) -> jax.Array:
    """Which scores belong to the largest, bool [number]; of equal scores the earlier ones."""
    import jax.numpy as jnp

    count = len(scores)
    ranks = jnp.zeros(count, jnp.int32).at[jnp.argsort(-scores)].set(jnp.arange(count, dtype=jnp.int32))
    return ranks < jnp.round(share * count)


def _masked(network: Any, masks: dict[str, jax.Array]) -> Any:
    import jax.numpy as jnp

    from grokscope.models.networks.parameters import named_leaves, replaced

    leaves = named_leaves(network)
    return replaced(network, **{name: jnp.where(mask, leaves[name], 0) for name, mask in masks.items()})
