"""The intervention that adds Gaussian noise to parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from grokscope.interventions._intervention import ParameterIntervention, Selection, Target
from grokscope.interventions._members import drawn_seeds
from grokscope.spec.streams import MAX_INT32

if TYPE_CHECKING:
    from typing import Self

    import jax

    from grokscope.interventions._members import MemberView

__all__ = ["Noise"]

# Folded into the noise stream's key, so that this noise is independent of all else that is drawn from it.
_NOISE = 0x6E6F6973


class Noise(ParameterIntervention):
    r"""Add Gaussian noise to parameters: $\theta \leftarrow \theta + s\,\varepsilon$.

    Each number of $\varepsilon$ is drawn from N(0, 1), from the member's noise stream, the step and ``seed``.

    Attributes:
        scale: the standard deviation s of the noise of one number.
        once: add noise once at ``at``; otherwise it is added after each update until ``until``.
        seed: another number gives other noise from the same stream.

    Example:
        >>> Noise(parameters=["layers.*"], scale=0.01).once
        False
    """

    kind: Literal["noise"] = "noise"
    traced = ("scale",)
    per_member = (*ParameterIntervention.per_member, "seed")
    scale: float = Field(ge=0.0, le=1e6)
    once: bool = False
    seed: int = Field(default=0, ge=0, le=MAX_INT32)

    @property
    def stages(self) -> frozenset[str]:
        """``begin`` with ``once``, else ``after_update``."""
        return frozenset({"begin" if self.once else "after_update"})

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.once and self.until is not None:
            raise ValueError("once = true allows no until; leave it out")
        return self

    def select(self, members: MemberView) -> Selection:
        """As in the base, and ``drawn_by`` [member, 2]: the seed of the noise stream, and ``seed``."""
        selection = super().select(members)
        return selection._replace(more={**selection.more, "drawn_by": drawn_seeds(members, self.seed)})

    def begin(self, network: Any, target: Target, data: dict[str, jax.Array]) -> Any:
        """Add the noise of the step."""
        del data
        return self._noisy(network, target)

    def after_update(self, before: Any, network: Any, target: Target, recorded: Any) -> Any:
        """Add the noise of the step."""
        del before, recorded
        return self._noisy(network, target)

    def _noisy(self, network: Any, target: Target) -> Any:
        import jax
        import jax.numpy as jnp

        from grokscope.models.networks.parameters import replaced
        from grokscope.spec.streams import stream_key

        noise, seed = target.more["drawn_by"]
        key = jax.random.fold_in(jax.random.fold_in(stream_key("noise", noise), _NOISE), seed)
        key = jax.random.fold_in(key, target.step)

        def noisy(i: int, leaf: jax.Array) -> jax.Array:
            # drawn as float32 in both precisions, which then get the same noise
            drawn = jax.random.normal(jax.random.fold_in(key, i), leaf.shape, jnp.float32)
            return leaf + (self.scale * drawn.astype(leaf.dtype)).astype(leaf.dtype)

        leaves = self.chosen_leaves(network)
        return replaced(network, **{name: noisy(i, leaf) for i, (name, leaf) in enumerate(leaves.items())})
