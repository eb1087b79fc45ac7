"""One-hidden-layer networks that compute an operator mod p with waves: weights that are written down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from grokscope.errors import InputError
from grokscope.models._model import Model, check_tokens
from grokscope.models.one_hot_mlp import one_hot_axes

if TYPE_CHECKING:
    import jax

    from grokscope.models.networks.one_hot_mlp import OneHotNeurons

__all__ = ["ModularWaves"]


class ModularWaves(Model):
    r"""A network of neurons with one frequency each that computes an operator mod p, without training.

    Neuron j has a frequency $w_j = 2 \pi k_j / p$ and phases with $\varphi_j + \psi_j = \chi_j$:
    $f(a, b)_c = \frac{1}{2 p N} \sum_j U_{jc} (A_{ja} + B_{jb})^2$ with
    $A_{ja} = h \cos(w_j f_1(a) + \varphi_j)$, $B_{jb} = h \cos(w_j f_2(b) + \psi_j)$,
    $U_{jc} = h \cos(w_j F^{-1}(c) + \chi_j)$, and $h = (4 p)^{1/3}$. The square contains
    $\cos(w_j (f_1(a) + f_2(b)) + \chi_j)$; its product with U adds up over neurons where
    $c = F(f_1(a) + f_2(b))$, to an output of about 1, and averages out elsewhere: the better, the more
    neurons. Frequencies 1, 2, ..., (p - 1) // 2 follow each other, from neuron to neuron, as often as the
    width allows; $\varphi$ and $\psi$ are drawn from $U(-\pi, \pi)$ (init stream).

    Use it with the learner ``still``, or train from it. The network is that of ``one_hot_mlp`` with one
    hidden layer, $z^2$ and ``mean_field``.

    Attributes:
        operator: ``addition`` $a + b$, ``subtraction`` $a - b$, ``sum_of_squares`` $a^2 + b^2$, or
            ``square_of_sum`` $(a + b)^2$. For the last one $F^{-1}(c)$ is the smallest root of c (U is 0 if
            there is none), so that the network is right for one of the two roots only.
        width: the number N of neurons.
        init_scale: factor on all weights; outputs grow with its third power.

    Raises:
        InputError: in an experiment, if inputs are not pairs of tokens, or there are fewer than three outputs
            or fewer tokens than outputs. Tokens that are no residues have weights 0.

    Source: Gromov 2023 (arXiv 2301.02679), Claim I, equations 6 and 7.

    Example:
        >>> ModularWaves(width=96).n_parameters((2, 97), 97)
        27936
    """

    kind: Literal["modular_waves"] = "modular_waves"
    traced = ("init_scale",)

    operator: Literal["addition", "subtraction", "sum_of_squares", "square_of_sum"] = "addition"
    width: int = Field(default=500, ge=1, le=10**7)
    init_scale: float = Field(default=1.0, gt=0.0, le=1e6)

    @property
    def n_neurons(self) -> int:
        """The number of hidden neurons, ``width``."""
        return self.width

    def check_inputs(self, input_shape: tuple[int, ...], n_outputs: int) -> None:
        """Inputs must be pairs of one-hot tokens, outputs residues.

        Raises:
            InputError: if they are not.
        """
        check_tokens(self.kind, input_shape)
        if input_shape[0] != 2 or not 3 <= n_outputs <= input_shape[1]:
            raise InputError(
                f"model '{self.kind}' reads pairs of residues mod p, p >= 3, and has p outputs. "
                f"This task has inputs of shape {input_shape} and {n_outputs} outputs; leave out tokens of "
                "operator and equals sign (operator_token = false, equals_token = false)."
            )

    def axes(self, input_shape: tuple[int, ...], n_outputs: int) -> dict[str, tuple[Any, ...]]:
        """Axis ``matrix`` (names of the weights) and axis ``block``."""
        return {"matrix": ("hidden_weight", "output_weight"), **one_hot_axes(input_shape, n_outputs)}

    def network(self, key: jax.Array, input_shape: tuple[int, ...], n_outputs: int) -> OneHotNeurons:
        """Write the weights down, with phases drawn from the key."""
        import jax
        import jax.numpy as jnp
        import numpy as np

        from grokscope.models.networks.one_hot_mlp import OneHotNeurons

        self.check_inputs(input_shape, n_outputs)
        p, dtype = n_outputs, jnp.result_type(float)
        residue = np.arange(p)
        first, second, answer, has_answer = residue, residue, residue, np.ones(p, bool)
        if self.operator == "subtraction":
            second = -residue % p
        elif self.operator == "sum_of_squares":
            first = second = residue**2 % p
        elif self.operator == "square_of_sum":
            squares = residue**2 % p
            has_answer = np.isin(residue, squares)
            answer = np.array([int(np.argmax(squares == c)) for c in residue])  # the smallest root
        phases = jax.random.uniform(key, (2, self.width), jnp.float32, -np.pi, np.pi).astype(dtype)
        k = 1 + np.arange(self.width) % ((p - 1) // 2)

        def waves(of: np.ndarray, phase: jax.Array) -> jax.Array:
            # k * residue mod p, before it is multiplied by 2 pi: exact, and the same in both precisions
            angle = jnp.asarray(2 * np.pi / p * (of[:, None] * k % p), dtype)
            return (4 * p) ** (1 / 3) * jnp.cos(angle + phase) * self.init_scale

        tables = jnp.stack([waves(first, phases[0]), waves(second, phases[1])])
        tokens = jnp.zeros((2, input_shape[1] - p, self.width), dtype)
        out = waves(answer, phases[0] + phases[1]) * has_answer[:, None]
        factor = 1 / (2 * p * self.width)
        return OneHotNeurons(jnp.concatenate([tables, tokens], axis=1), out.T, "power", 2, factor)

    def n_parameters(self, input_shape: tuple[int, ...], n_outputs: int) -> int:
        """Number of weights: those from both tokens, and those to the outputs."""
        return (input_shape[0] * input_shape[1] + n_outputs) * self.width

    def flops_per_sample(self, input_shape: tuple[int, ...], n_outputs: int) -> float:
        """As in `OneHotMLP`."""
        return 6.0 * (n_outputs + input_shape[0]) * self.width
