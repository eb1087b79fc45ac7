"""Interventions that multiply parameters once: boost, and the sham, which keeps the function the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from grokscope.interventions._intervention import (
    NeuronIntervention,
    NeuronParameterIntervention,
    Target,
    where_masked,
)

if TYPE_CHECKING:
    import jax

    from grokscope.models.networks.one_hidden_layer import OneHiddenLayer
    from grokscope.spec.training_spec import TrainingSpec

__all__ = ["Boost", "Sham"]


class Boost(NeuronParameterIntervention):
    r"""Multiply parameters once: $\theta \leftarrow c\,\theta$; those of some neurons, or of any network.

    Attributes:
        factor: the factor c (the dose); below 1 it weakens the neurons.
        parameters: names of parameters, as in ``Run.networks``, or patterns such as ``blocks.*``. By default
            all; of a one-hidden-layer network the incoming ones, $W_j$ and $b_j$ (with ``bits`` only the
            weights): with relu the neuron's contribution to the output is then multiplied by c as well.

    Example:
        >>> Boost(factor=2.0, neurons=[3, 5]).chosen(["hidden_weight", "hidden_bias", "output_weight"])
        ['hidden_weight', 'hidden_bias']
    """

    kind: Literal["boost"] = "boost"
    traced = ("factor",)
    usual = ("hidden_weight", "hidden_bias")
    factor: float = Field(ge=0.0, le=1e6)

    @field_validator("until", mode="after")
    @classmethod
    def _once(cls, value: Any) -> Any:
        if value is not None:
            raise ValueError("a boost acts once; leave until out")
        return value

    def begin(self, network: Any, target: Target, data: dict[str, jax.Array]) -> Any:
        """Multiply."""
        import jax

        del data
        boosted = jax.tree.map(lambda leaf: self.factor * leaf, network)
        return where_masked(self.parameter_mask(network, target), boosted, network)


class Sham(NeuronIntervention):
    r"""Rescale neurons without changing the function: $(W_j, b_j, u_j) \to (cW_j, cb_j, u_j/c)$.

    A control for interventions that change norms. The norm of the incoming weights is multiplied by c, and
    the outputs stay the same: with relu bit for bit if c is a power of two, else up to rounding. With the
    quadratic activation $u_j$ becomes $u_j/c^2$. Later training differs, because a step of gradient descent
    changes $cW_j$ by $1/c$ times the change of $W_j$. With ``compensated`` the updates until ``until`` are
    made in the original coordinates: training is then the same for every optimizer (bit for bit if c is a
    power of two), and only measures of the weights differ.

    Attributes:
        factor: the factor c.
        compensated: whether later training stays the same, too.

    Example:
        >>> Sham(factor=4.0, neurons="generalizing").compensated
        False
    """

    kind: Literal["sham"] = "sham"
    traced = ("factor",)
    factor: float = Field(default=2.0, gt=0.0, le=1e6)
    compensated: bool = False

    @property
    def stages(self) -> frozenset[str]:
        """Without ``compensated`` only ``begin``."""
        return super().stages if self.compensated else frozenset({"begin"})

    def missing(self, spec: TrainingSpec) -> str | None:
        r"""As in the base; the activation must also be homogeneous, $\sigma(cz) = c^d \sigma(z)$."""
        activation = getattr(spec.model, "activation", None)
        if activation not in (None, "relu", "quadratic"):
            return f"{self.label} needs activation relu or quadratic, not '{activation}'"
        return super().missing(spec)

    def begin(self, network: OneHiddenLayer, target: Target, data: dict[str, jax.Array]) -> OneHiddenLayer:
        """Rescale to the new coordinates."""
        del data
        return self._rescaled(network, target, self.factor)

    def before_update(self, network: OneHiddenLayer, target: Target) -> OneHiddenLayer:
        """Rescale to the original coordinates for the update."""
        return self._rescaled(network, target, 1.0 / self.factor)

    def after_update(
        self, before: OneHiddenLayer, network: OneHiddenLayer, target: Target, recorded: Any
    ) -> OneHiddenLayer:
        """Rescale to the new coordinates after each update."""
        del before, recorded
        return self._rescaled(network, target, self.factor)

    def _rescaled(self, network: OneHiddenLayer, target: Target, c: Any) -> OneHiddenLayer:
        import jax.numpy as jnp

        from grokscope.models.networks.parameters import replaced

        c = jnp.where(target.mask, c, 1.0).astype(network.hidden_bias.dtype)
        out = c * c if network.activation == "quadratic" else c
        u = network.output_weight
        return replaced(
            network,
            hidden_weight=network.hidden_weight * c,
            hidden_bias=network.hidden_bias * c,
            output_weight=u / (out if u.ndim == 1 else out[:, None]),
        )
