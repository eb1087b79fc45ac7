"""Interventions that take neurons away: ablate a set, or prune to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

from grokscope.interventions._intervention import Intervention, OnParameters, Target, chosen_of, network_of

if TYPE_CHECKING:
    from typing import Self

    import jax

    from grokscope.models.networks.one_hidden_layer import OneHiddenLayer

__all__ = ["Ablate", "Prune"]


class Ablate(OnParameters):
    r"""Set neurons to zero, or to their mean, and keep them there.

    ``zero``: the chosen parameters become 0. ``mean``: the neuron gives its mean activation over the
    training inputs whatever the input, $W_j \leftarrow 0$, $b_j \leftarrow 1$,
    $u_j \leftarrow u_j \overline{\sigma(z_j)} / \sigma(1)$ (there need not be an output bias to
    put it in).

    Attributes:
        value: ``zero`` or ``mean``.
        once: let go of them after that; without it they are held until ``until``. A neuron all of whose
            parameters are 0 has no gradient: set only the ``output_weight`` to 0 if it is to be able to
            grow again.

    Example:
        >>> Ablate(neurons=[4], value="mean").once
        False
    """

    kind: Literal["ablate"] = "ablate"
    value: Literal["zero", "mean"] = "zero"
    once: bool = False

    @property
    def stages(self) -> frozenset[str]:
        """They are set, and kept there unless it is once."""
        return frozenset({"begin"}) if self.once else super().stages

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.value == "mean" and (self.parameters is not None or self.bits != "all"):
            raise ValueError("value = 'mean' sets all parameters; leave parameters and bits out")
        if self.once and self.until is not None:
            raise ValueError("with once = true there is no until; leave it out")
        return self

    def begin(self, network: OneHiddenLayer, target: Target, data: dict[str, jax.Array]) -> OneHiddenLayer:
        """Zero, or the mean over the training inputs."""
        if self.value == "zero":
            return _zero(self.where(network, target), network)
        import jax.numpy as jnp

        from grokscope.models.networks.one_hidden_layer import ACTIVATIONS

        u = network.output_weight
        share = jnp.mean(network.hidden(data["train_x"]), axis=0) / ACTIVATIONS[network.activation](
            jnp.ones((), u.dtype)
        )
        fixed = network_of(
            network,
            hidden_weight=jnp.zeros_like(network.hidden_weight),
            hidden_bias=jnp.ones_like(network.hidden_bias),
            output_weight=u * (share if u.ndim == 1 else share[:, None]),
        )
        return chosen_of(self.where(network, target), fixed, network)

    def after(
        self, before: OneHiddenLayer, network: OneHiddenLayer, target: Target, memory: Any
    ) -> OneHiddenLayer:
        """Where they were set."""
        del memory
        where = self.where(network, target)
        return _zero(where, network) if self.value == "zero" else chosen_of(where, before, network)


class Prune(Intervention):
    """Keep the chosen neurons and go on with them alone: all others are set to 0 and held there.

    Attributes:
        neurons: those that are kept.

    Example:
        >>> Prune(neurons="generalizing", at="memorization").neurons.name
        'generalizing'
    """

    kind: Literal["prune"] = "prune"

    def begin(self, network: OneHiddenLayer, target: Target, data: dict[str, jax.Array]) -> OneHiddenLayer:
        """The others at 0."""
        del data
        return self._pruned(network, target)

    def after(
        self, before: OneHiddenLayer, network: OneHiddenLayer, target: Target, memory: Any
    ) -> OneHiddenLayer:
        """The others at 0."""
        del before, memory
        return self._pruned(network, target)

    def _pruned(self, network: OneHiddenLayer, target: Target) -> OneHiddenLayer:
        import jax.numpy as jnp

        kept = target.mask

        def only(leaf: jax.Array) -> jax.Array:
            return jnp.where(kept, leaf, 0)

        u = network.output_weight
        return network_of(
            network,
            hidden_weight=only(network.hidden_weight),
            hidden_bias=only(network.hidden_bias),
            output_weight=only(u) if u.ndim == 1 else jnp.where(kept[:, None], u, 0),
        )


def _zero(where: OneHiddenLayer, network: OneHiddenLayer) -> OneHiddenLayer:
    import jax
    import jax.numpy as jnp

    return chosen_of(where, jax.tree.map(jnp.zeros_like, network), network)
