r"""Penalties: functions of the parameters that are added to the loss of every batch.

Weight decay of an optimizer is a penalty only for plain gradient descent, and only the squared norm. These
are part of what is minimized, so that the optimizer sees their gradient.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, SerializeAsAny

from grokscope.spec.parts import Kind, Part, resolver

if TYPE_CHECKING:
    import jax

    from grokscope.spec.training_spec import TrainingSpec

__all__ = [
    "NeuronNormPenalty",
    "NoPenalty",
    "ParameterNormPenalty",
    "Penalty",
    "PenaltyField",
    "neuron_norms",
]


class Penalty(Part):
    r"""A function of the parameters, which is added to the mean loss of every batch: $\bar L + R(\theta)$.

    The stored losses (`TrainLoss` and others) are those of the samples, without it.
    """

    group = "penalty"

    kind: Kind

    def __call__(self, network: Any) -> jax.Array:
        r"""$R(\theta)$ of a network (a pytree of arrays, masks applied), a scalar. Called inside jit."""
        raise NotImplementedError

    def missing(self, spec: TrainingSpec) -> str | None:
        """The reason why it does not apply to an experiment (one line), or None."""
        del spec
        return None


PenaltyField = Annotated[SerializeAsAny[Penalty], resolver(Penalty)]


class NoPenalty(Penalty):
    """No penalty: the loss of the samples alone is minimized."""

    kind: Literal["none"] = "none"

    def __call__(self, network: Any) -> jax.Array:
        """0."""
        import jax.numpy as jnp

        del network
        return jnp.zeros(())


class _NormPenalty(Penalty):
    traced = ("strength",)

    strength: float = Field(default=1e-4, ge=0.0, le=1e6)
    power: float = Field(default=2.0, ge=1.0, le=100.0)


class ParameterNormPenalty(_NormPenalty):
    r"""$\lambda \sum_i |\theta_i|^q$ over all parameters: L1 with q = 1, L2 with q = 2.

    With SGD and q = 2 it is the weight decay $2 \lambda$. The gradient of $|\theta|$ at 0 is taken as 0.

    Attributes:
        strength: $\lambda$.
        power: q.

    Example:
        >>> import jax.numpy as jnp
        >>> theta = {"w": jnp.array([3.0, -4.0])}
        >>> [float(ParameterNormPenalty(power=q, strength=0.5)(theta)) for q in (1.0, 2.0)]
        [3.5, 12.5]
    """

    kind: Literal["parameter_norm"] = "parameter_norm"

    def __call__(self, network: Any) -> jax.Array:
        """The sum over every array of floats."""
        import jax
        import jax.numpy as jnp

        leaves = [x for x in jax.tree.leaves(network) if jnp.issubdtype(jnp.result_type(x), jnp.floating)]
        return self.strength * jnp.sum(jnp.stack([jnp.sum(_power(jnp.abs(x), self.power)) for x in leaves]))


class NeuronNormPenalty(_NormPenalty):
    r"""$\lambda \lVert \theta \rVert_{2,\nu}^\nu = \lambda \sum_j \lVert \theta_j \rVert_2^\nu$ over neurons.

    $\theta_j$ are all weights of neuron j: incoming weights, bias, outgoing weights. Its gradient is
    $\lambda \nu \lVert \theta_j \rVert^{\nu - 2} \theta_j$. If f is homogeneous of degree $\nu$ in each
    neuron ($\nu = k + 1$ for the activation $z^k$), minima at small $\lambda$ approach the largest margin for
    this norm (`NormalizedMargin`). $\nu = 2$ is the L2 penalty.

    Attributes:
        strength: $\lambda$.
        power: $\nu$.

    Source: Morwani et al. 2023 (arXiv 2311.07568), Section 2: $L_{2,3}$ for $z^2$.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.models.networks.one_hidden_layer import OneHiddenLayer
        >>> network = OneHiddenLayer(jnp.array([[3.0, 0.0]]), jnp.zeros(2), jnp.array([4.0, 1.0]))
        >>> float(NeuronNormPenalty(power=3.0, strength=1.0)(network))  # 5^3 + 1
        126.0
    """

    kind: Literal["neuron_norm"] = "neuron_norm"
    power: float = Field(default=3.0, ge=1.0, le=100.0)

    def __call__(self, network: Any) -> jax.Array:
        """The sum over the neurons of a network of `grokscope.models.networks.neurons.HasNeurons`."""
        import jax.numpy as jnp

        return self.strength * jnp.sum(neuron_norms(network, self.power))

    def missing(self, spec: TrainingSpec) -> str | None:
        """It needs a network with hidden neurons."""
        if spec.model.n_neurons > 0:
            return None
        return f"penalty '{self.kind}' needs a network with hidden neurons, not '{spec.model.kind}'"


def neuron_norms(network: Any, power: float) -> jax.Array:
    r"""$\lVert \theta_j \rVert_2^\nu$ of each neuron's incoming weights, bias and outgoing weights, [neuron].

    Args:
        network: one of `grokscope.models.networks.neurons.HasNeurons`.
        power: $\nu$.
    """
    import jax.numpy as jnp

    squares = jnp.sum(jnp.square(network.incoming), axis=-2) + jnp.square(network.incoming_bias)
    return _power(squares + jnp.sum(jnp.square(network.outgoing), axis=-1), power / 2)


def _power(values: jax.Array, power: float) -> jax.Array:
    """``values ** power`` of numbers from 0 on, with derivative 0 at 0 (where it may be infinite)."""
    import jax.numpy as jnp

    if power == 1:
        return values
    safe = jnp.where(values > 0, values, 1)
    return jnp.where(values > 0, safe**power, 0)
