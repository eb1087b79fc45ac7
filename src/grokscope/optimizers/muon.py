"""Muon: SGD with orthogonalized momentum."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from grokscope.optimizers._optimizer import Optimizer, with_decay

if TYPE_CHECKING:
    import optax

__all__ = ["Muon"]

# matrices at the input or the output, which AdamW trains, as in the authors' code
_NOT_HIDDEN = ("embedding", "position", "unembedding", "output_weight")


class Muon(Optimizer):
    r"""Muon: orthogonalized momentum for hidden matrices; AdamW for all other parameters.

    $m \leftarrow \beta m + (1-\beta) g$, $u = \beta m + (1-\beta) g$ (Nesterov), both bias-corrected as in
    optax, and $W \leftarrow W - \eta\,(\sqrt{\max(1, o/i)}\; O(u) + \lambda W)$ for i inputs
    and o neurons. O moves all singular values to about 1 (0.5 to 1.5): $X = u/\|u\|_F$, then five times
    $X \leftarrow 3.4445\,X + (-4.7750\,A + 2.0315\,A^2)\,X$ with $A = X X^\top$. Biases, embeddings and
    output weights are trained by AdamW, with a learning rate of their own and the same $\lambda$.

    Attributes:
        learning_rate: learning rate $\eta$ of the hidden matrices.
        momentum: decay rate $\beta$ of the momentum.
        adam_learning_rate: learning rate of all other parameters; the schedule applies to both rates.
        beta1: decay rate of AdamW's mean of the gradient.
        beta2: decay rate of AdamW's mean of its square.
        epsilon: added to the root of AdamW's mean square.

    Source: Jordan et al. 2024 (github.com/KellerJordan/Muon), by ``optax.contrib``; for grokking: Tveit et
        al. 2025 (arXiv 2504.16041).

    Example:
        >>> Muon(learning_rate=0.01).momentum
        0.95
    """

    kind: Literal["muon"] = "muon"
    traced = (
        *Optimizer.traced,
        *("momentum", "adam_learning_rate", "beta1", "beta2", "epsilon"),
    )

    learning_rate: float = Field(default=0.02, gt=0.0, le=1e6)
    momentum: float = Field(default=0.95, ge=0.0, lt=1.0)
    adam_learning_rate: float = Field(default=1e-3, gt=0.0, le=1e6)
    beta1: float = Field(default=0.9, ge=0.0, lt=1.0)
    beta2: float = Field(default=0.999, ge=0.0, lt=1.0)
    epsilon: float = Field(default=1e-8, gt=0.0, le=1.0)

    def transform(self, n_steps: int) -> optax.GradientTransformation:
        """Combine Muon for hidden matrices with AdamW for the rest."""
        import optax
        from optax import contrib

        orthogonal = optax.chain(
            contrib.scale_by_muon(beta=self.momentum, weight_dimension_numbers=_last_is_output),
            optax.stateless_with_tree_map(_widened),
        )
        moments = optax.scale_by_adam(self.beta1, self.beta2, self.epsilon)
        return optax.partition(
            {
                "matrix": with_decay(
                    orthogonal, self.scheduled_rate(n_steps), self.weight_decay, coupled=False
                ),
                "other": with_decay(
                    moments,
                    self.scheduled_rate(n_steps, self.adam_learning_rate),
                    self.weight_decay,
                    coupled=False,
                ),
            },
            _parts,
        )


def _parts(params: Any) -> Any:
    """For each parameter ``matrix`` or ``other``: the optimizer that trains it."""
    import jax

    def part(path: tuple[Any, ...], leaf: Any) -> str:
        name = str(getattr(path[-1], "name", "")) if path else ""
        return "matrix" if leaf.ndim >= 2 and name not in _NOT_HIDDEN else "other"

    return jax.tree_util.tree_map_with_path(part, params)


def _wide(shape: tuple[int, ...]) -> float:
    """The factor on the update of a matrix: the root of neurons / inputs, at least 1."""
    return math.sqrt(max(1.0, shape[-1] / math.prod(shape[:-1])))


def _widened(update: Any, _: Any) -> Any:
    return update * _wide(update.shape)


def _last_is_output(params: Any) -> Any:
    """The axes of each matrix: all but the last are inputs."""
    import jax
    from optax.contrib import MuonDimensionNumbers

    return jax.tree.map(lambda leaf: MuonDimensionNumbers(tuple(range(leaf.ndim - 1)), leaf.ndim - 1), params)
