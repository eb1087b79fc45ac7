"""Output scale and centering, for any model: the field's knob between lazy and rich training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from grokscope.models._model import Model, ModelField

if TYPE_CHECKING:
    import jax

    from grokscope.models.networks.scaled import ScaledNetwork

__all__ = ["Scaled"]


class Scaled(Model):
    r"""Another model times an output scale: $\alpha f(x)$, or $\alpha (f(x) - f_0(x))$ if it is centered.

    $f_0$ is the network at the start (in a branch, at the start of its source), which is not trained. A large
    $\alpha$ makes training lazy: parameters hardly move, and the network learns as a kernel machine with its
    tangent kernel at the start. Gradients are of order $\alpha$: rates are in units of $1 / \alpha^2$.
    Measures of neurons and of named matrices do not apply; the task `gaussian_teacher` knows exact
    expectations if it does so for f. `weight_norm` is that of f.

    Attributes:
        of: the model of f, a table of its own: ``[model.of]``. Its numbers are fixed in the compiled program.
        output_scale: $\alpha$; no parameter.
        centered: whether $f_0$ is subtracted.

    Source: Chizat, Oyallon, Bach 2019 (arXiv 1812.07956), Section 1.2; centered: Geiger et al. 2020 (arXiv
    1906.08034).

    Example:
        >>> from grokscope.models.mlp import MLP
        >>> Scaled(of=MLP(widths=[10]), output_scale=4.0).n_parameters((5,), 1)  # the last one is the scale
        72
        >>> Scaled(of=MLP(widths=[10]), centered=True).n_parameters((5,), 1)
        143
    """

    kind: Literal["scaled"] = "scaled"
    traced = ("output_scale",)

    of: ModelField
    output_scale: float = Field(default=1.0, gt=0.0, le=1e9)
    centered: bool = False

    @property
    def has_training_mode(self) -> bool:
        """True: the scale is in the network's state."""
        return True

    def check_inputs(self, input_shape: tuple[int, ...], n_outputs: int) -> None:
        """As the model of f.

        Raises:
            InputError: if that refuses them.
        """
        self.of.check_inputs(input_shape, n_outputs)

    def network(self, key: jax.Array, input_shape: tuple[int, ...], n_outputs: int) -> ScaledNetwork:
        """Draw f as its model does."""
        import jax.numpy as jnp

        from grokscope.models.networks.scaled import ScaledNetwork

        drawn = self.of.network(key, input_shape, n_outputs)
        scale = jnp.asarray(self.output_scale, jnp.result_type(float))
        return ScaledNetwork(drawn, scale, drawn if self.centered else None)

    def in_training(self, network: Any, batch: Any, key: jax.Array) -> Any:
        """With f in training; $f_0$ stays in evaluation."""
        import equinox as eqx

        inner = self.of.in_training(network.network, batch, key)
        return eqx.tree_at(lambda n: n.network, network, inner, is_leaf=lambda leaf: leaf is network.network)

    def next_state(self, network: Any, batch: Any, key: jax.Array) -> Any:
        """That of f, with the scale and $f_0$ unchanged."""
        import equinox as eqx

        from grokscope.models.networks.training import split

        state = network.split()[1]
        if isinstance(split(network.network)[1], tuple):  # () without one
            return state
        inner = self.of.next_state(network.network, batch, key)
        return eqx.tree_at(lambda n: n.network, state, inner, is_leaf=lambda leaf: leaf is state.network)

    def n_parameters(self, input_shape: tuple[int, ...], n_outputs: int) -> int:
        """Number of numbers of f and of $f_0$, and 1 for the scale."""
        return self.of.n_parameters(input_shape, n_outputs) * (2 if self.centered else 1) + 1

    def flops_per_sample(self, input_shape: tuple[int, ...], n_outputs: int) -> float:
        """Operations of f, and of a forward pass of $f_0$."""
        return self.of.flops_per_sample(input_shape, n_outputs) * (4 / 3 if self.centered else 1)
