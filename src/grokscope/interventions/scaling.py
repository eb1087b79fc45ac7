"""Interventions that multiply parameters once: boost, and the sham that leaves the function as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from grokscope.interventions._intervention import (
    Intervention,
    OnParameters,
    Parameter,
    Target,
    chosen_of,
    network_of,
)

if TYPE_CHECKING:
    import jax

    from grokscope.experiment import Experiment
    from grokscope.models.networks.one_hidden_layer import OneHiddenLayer

__all__ = ["Boost", "Sham"]


class Boost(OnParameters):
    r"""Multiply once: $\theta \leftarrow c\,\theta$ for the chosen parameters of the chosen neurons.

    Attributes:
        factor: c, the dose; below 1 weakens.
        parameters: by default the incoming ones, $W_j$ and $b_j$ (with ``bits`` the weights alone): with relu
            the neuron's contribution is then multiplied by c too.

    Example:
        >>> Boost(factor=2.0, neurons=[3, 5]).changed
        ('hidden_weight', 'hidden_bias')
    """

    kind: Literal["boost"] = "boost"
    traced: ClassVar[tuple[str, ...]] = ("factor",)
    factor: float = Field(ge=0.0, le=1e6)

    @property
    def changed(self) -> tuple[Parameter, ...]:
        """The parameters that are multiplied."""
        incoming: tuple[Parameter, ...] = ("hidden_weight", "hidden_bias")
        return super().changed if self.parameters or self.bits != "all" else incoming

    @field_validator("until", mode="after")
    @classmethod
    def _once(cls, value: Any) -> Any:
        if value is not None:
            raise ValueError("a boost happens once; leave until out")
        return value

    def begin(self, network: OneHiddenLayer, target: Target, data: dict[str, jax.Array]) -> OneHiddenLayer:
        """C times what is chosen."""
        import jax

        del data
        boosted = jax.tree.map(lambda leaf: self.factor * leaf, network)
        return chosen_of(self.where(network, target), boosted, network)


class Sham(Intervention):
    r"""Rescale neurons so that the function stays as it is: $(W_j, b_j, u_j) \to (cW_j, cb_j, u_j/c)$.

    Norms of incoming weights change by c, outputs do not: with relu, and c a power of two, not by one bit at
    the step at which it is done (else by the rounding of c). With the quadratic activation $u_j/c^2$. What
    comes after is not the same: a step of gradient descent moves $cW_j$ by $1/c$ of what it moves $W_j$.
    With ``compensated`` updates are made in the old coordinates from then on, until ``until``; then the
    training is the same too, for every optimizer (bit for bit where c is a power of two), and only what is
    measured of the weights differs.

    Attributes:
        factor: c.
        compensated: whether the training that follows must not change either.

    Example:
        >>> Sham(factor=4.0, neurons="generalizing").compensated
        False
    """

    kind: Literal["sham"] = "sham"
    traced: ClassVar[tuple[str, ...]] = ("factor",)
    factor: float = Field(default=2.0, gt=0.0, le=1e6)
    compensated: bool = False

    @property
    def stages(self) -> frozenset[str]:
        """Updates are left alone unless they are compensated."""
        return super().stages if self.compensated else frozenset({"begin"})

    def missing(self, experiment: Experiment) -> str | None:
        r"""An activation with $\sigma(cz) = c^d \sigma(z)$."""
        activation = getattr(experiment.model, "activation", None)
        if activation not in (None, "relu", "quadratic"):
            return f"{self.label} needs activation relu or quadratic, not '{activation}'"
        return super().missing(experiment)

    def begin(self, network: OneHiddenLayer, target: Target, data: dict[str, jax.Array]) -> OneHiddenLayer:
        """Into the new coordinates."""
        del data
        return self._rescaled(network, target, self.factor)

    def enter(self, network: OneHiddenLayer, target: Target) -> OneHiddenLayer:
        """Into the old coordinates."""
        return self._rescaled(network, target, 1.0 / self.factor)

    def after(
        self, before: OneHiddenLayer, network: OneHiddenLayer, target: Target, memory: Any
    ) -> OneHiddenLayer:
        """Back into the new ones."""
        del before, memory
        return self._rescaled(network, target, self.factor)

    def _rescaled(self, network: OneHiddenLayer, target: Target, c: Any) -> OneHiddenLayer:
        import jax.numpy as jnp

        c = jnp.where(target.mask, c, 1.0).astype(network.hidden_bias.dtype)
        out = c * c if network.activation == "quadratic" else c
        u = network.output_weight
        return network_of(
            network,
            hidden_weight=network.hidden_weight * c,
            hidden_bias=network.hidden_bias * c,
            output_weight=u / (out if u.ndim == 1 else out[:, None]),
        )
