"""One-hidden-layer networks that add mod p with given weights: sparse waves, or two neurons for each pair."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from grokscope.errors import InputError
from grokscope.models._model import Model
from grokscope.models.one_hot_mlp import one_hot_axes

if TYPE_CHECKING:
    import jax

    from grokscope.models.networks.one_hot_mlp import OneHotNeurons

__all__ = ["ModularConstruction"]

_PHASES = 6


class ModularConstruction(Model):
    r"""A network $f(a, b)_c = \sum_j (u_{ja} + v_{jb})^2 w_{jc}$ that adds mod p; no number in it is drawn.

    ``waves``: neurons $u = \cos(2 \pi k a / p + \varphi)$, $v = \cos(2 \pi k b / p + \psi)$,
    $w = \cos(2 \pi k c / p + \varphi + \psi)$ for all k from 1 to (p - 1) / 2 and all $\varphi, \psi$ of six
    even phases: 18 (p - 1) neurons. For a prime p it has the largest normalized margin that there is,
    $\sqrt{2/27} / (\sqrt p (p - 1))$ (`NormalizedMargin`).

    ``pairs``: for each pair (a, b) two neurons with the indicators of a, b and a + b, whose outputs
    $(u + v)^2 / 4 - (u - v)^2 / 4 = u v$ are 1 at that pair: $2 p^2$ neurons. Outputs are exactly one-hot,
    and the margin $1 / (2 p^2 (33/16)^{3/2})$ is smaller.

    Use it with the learner ``still``, or train from it. The network is that of ``one_hot_mlp`` with one
    hidden layer, $z^2$ and the factor 1.

    Attributes:
        construction: ``waves`` or ``pairs``.
        p: the modulus; that of the task.

    Raises:
        InputError: in an experiment, if inputs are not pairs of residues mod p, or p is even for ``waves``.

    Source: Morwani et al. 2023 (arXiv 2311.07568), Theorem 7 and Appendix D.

    Example:
        >>> ModularConstruction(p=23).n_neurons, ModularConstruction(p=23, construction="pairs").n_neurons
        (396, 1058)
    """

    kind: Literal["modular_construction"] = "modular_construction"

    construction: Literal["waves", "pairs"] = "waves"
    p: int = Field(default=23, ge=3, le=200)

    @property
    def n_neurons(self) -> int:
        """18 (p - 1), or 2 p^2."""
        return _PHASES**2 * ((self.p - 1) // 2) if self.construction == "waves" else 2 * self.p**2

    def check_inputs(self, input_shape: tuple[int, ...], n_outputs: int) -> None:
        """Inputs must be pairs of one-hot residues, outputs residues.

        Raises:
            InputError: if they are not.
        """
        if input_shape != (2, self.p) or n_outputs != self.p:
            raise InputError(
                f"model '{self.kind}' reads pairs of residues mod p = {self.p}. This task has inputs of "
                f"shape {input_shape} and {n_outputs} outputs; give model.p = task.p, and no tokens of "
                "operator and equals sign (operator_token = false, equals_token = false)."
            )
        if self.construction == "waves" and self.p % 2 == 0:
            raise InputError(f"model.p: the waves are for odd p (got {self.p}).")

    def axes(self, input_shape: tuple[int, ...], n_outputs: int) -> dict[str, tuple[Any, ...]]:
        """Axis ``matrix`` (names of the weights) and axis ``block``."""
        return {"matrix": ("hidden_weight", "output_weight"), **one_hot_axes(input_shape, n_outputs)}

    def network(self, key: jax.Array, input_shape: tuple[int, ...], n_outputs: int) -> OneHotNeurons:
        """Write the weights down; the key is not used."""
        import jax.numpy as jnp
        import numpy as np

        from grokscope.models.networks.one_hot_mlp import OneHotNeurons

        del key
        self.check_inputs(input_shape, n_outputs)
        residue = np.arange(self.p)
        if self.construction == "waves":
            k, i, j = (part.ravel() for part in np.indices(((self.p - 1) // 2, _PHASES, _PHASES)))
            angle = 2 * np.pi / self.p * (residue[:, None] * (k + 1) % self.p)
            phase = 2 * np.pi / _PHASES
            blocks = [np.cos(angle + phase * part) for part in (i, j, i + j)]
        else:
            a, b, sign = (part.ravel() for part in np.indices((self.p, self.p, 2)))
            sign = 1.0 - 2.0 * sign
            at = [residue[:, None] == part for part in (a, b, (a + b) % self.p)]
            blocks = [at[0] * 1.0, at[1] * sign, at[2] * sign / 4]
        first, second, out = (jnp.asarray(block, jnp.result_type(float)) for block in blocks)
        return OneHotNeurons(jnp.stack([first, second]), out.T, "power", 2, 1.0)

    def n_parameters(self, input_shape: tuple[int, ...], n_outputs: int) -> int:
        """Number of weights: those from both tokens, and those to the outputs."""
        return (input_shape[0] * input_shape[1] + n_outputs) * self.n_neurons

    def flops_per_sample(self, input_shape: tuple[int, ...], n_outputs: int) -> float:
        """As in ``one_hot_mlp``."""
        return 6.0 * (n_outputs + input_shape[0]) * self.n_neurons
