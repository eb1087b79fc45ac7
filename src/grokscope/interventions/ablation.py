"""Interventions that remove neurons: ablate a set, or prune to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

from grokscope.interventions._intervention import (
    NeuronIntervention,
    NeuronParameterIntervention,
    Target,
    where_masked,
)

if TYPE_CHECKING:
    from typing import Self

    import jax

    from grokscope.models.networks.one_hidden_layer import OneHiddenLayer
    from grokscope.spec.training_spec import TrainingSpec

__all__ = ["Ablate", "Prune"]


class Ablate(NeuronParameterIntervention):
    r"""Ablate neurons: set them to zero or to their mean activation, and hold them there.

    ``zero``: the chosen parameters become 0, also those of any network by name. ``mean``: the neuron's
    contribution becomes constant, its mean over the training inputs: $W_j \leftarrow 0$, $b_j \leftarrow 1$,
    $u_j \leftarrow u_j \overline{\sigma(z_j)} / \sigma(1)$ (so no output bias is needed).

    Attributes:
        value: ``zero`` or ``mean``.
        once: set the neurons once at ``at`` and let them train on; otherwise they are held until ``until``. A
            neuron whose parameters are all 0 has no gradient: to let it grow again, set only
            ``output_weight``.

    Example:
        >>> Ablate(neurons=[4], value="mean").once
        False
    """

    kind: Literal["ablate"] = "ablate"
    value: Literal["zero", "mean"] = "zero"
    once: bool = False

    @property
    def stages(self) -> frozenset[str]:
        """With ``once`` only ``begin``."""
        return frozenset({"begin"}) if self.once else super().stages

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.value == "mean" and (self.parameters is not None or self.bits != "all"):
            raise ValueError("value = 'mean' sets all parameters; leave parameters and bits out")
        if self.once and self.until is not None:
            raise ValueError("once = true allows no until; leave it out")
        return self

    def missing(self, spec: TrainingSpec) -> str | None:
        """As in the base; a mean activation also needs a network with one hidden layer."""
        if self.value == "mean" and not spec.model.has_one_hidden_layer:
            return NeuronIntervention.missing(self, spec)
        return super().missing(spec)

    def begin(self, network: Any, target: Target, data: dict[str, jax.Array]) -> Any:
        """Set the parameters."""
        if self.value == "zero":
            return _zero(self.parameter_mask(network, target), network)
        import jax.numpy as jnp

        from grokscope.models.networks.one_hidden_layer import ACTIVATIONS
        from grokscope.models.networks.parameters import replaced

        u = network.output_weight
        share = jnp.mean(network.hidden(data["train_x"]), axis=0) / ACTIVATIONS[network.activation](
            jnp.ones((), u.dtype)
        )
        fixed = replaced(
            network,
            hidden_weight=jnp.zeros_like(network.hidden_weight),
            hidden_bias=jnp.ones_like(network.hidden_bias),
            output_weight=u * (share if u.ndim == 1 else share[:, None]),
        )
        return where_masked(self.parameter_mask(network, target), fixed, network)

    def after_update(self, before: Any, network: Any, target: Target, recorded: Any) -> Any:
        """Undo the update of these parameters."""
        del recorded
        mask = self.parameter_mask(network, target)
        return _zero(mask, network) if self.value == "zero" else where_masked(mask, before, network)


class Prune(NeuronIntervention):
    """Keep the chosen neurons; set all others to 0 and hold them there.

    Attributes:
        neurons: the neurons that are kept.

    Example:
        >>> Prune(neurons="generalizing", at="memorization").neurons.name
        'generalizing'
    """

    kind: Literal["prune"] = "prune"

    def begin(self, network: OneHiddenLayer, target: Target, data: dict[str, jax.Array]) -> OneHiddenLayer:
        """Set all other neurons to 0."""
        del data
        return self._pruned(network, target)

    def after_update(
        self, before: OneHiddenLayer, network: OneHiddenLayer, target: Target, recorded: Any
    ) -> OneHiddenLayer:
        """Set all other neurons to 0 after each update."""
        del before, recorded
        return self._pruned(network, target)

    def _pruned(self, network: OneHiddenLayer, target: Target) -> OneHiddenLayer:
        import jax.numpy as jnp

        from grokscope.models.networks.parameters import replaced

        kept = target.mask

        def only(leaf: jax.Array) -> jax.Array:
            return jnp.where(kept, leaf, 0)

        u = network.output_weight
        return replaced(
            network,
            hidden_weight=only(network.hidden_weight),
            hidden_bias=only(network.hidden_bias),
            output_weight=only(u) if u.ndim == 1 else jnp.where(kept[:, None], u, 0),
        )


def _zero(mask: Any, network: Any) -> Any:
    import jax
    import jax.numpy as jnp

    return where_masked(mask, jax.tree.map(jnp.zeros_like, network), network)
