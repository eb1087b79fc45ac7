"""The Fourier spectrum of each hidden neuron over all pairs, for addition or subtraction mod p."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from grokscope.measures._measure import Measure
from grokscope.measures.needs import HIDDEN_NEURONS, MODULAR_SUM, TRAIN_SPLIT

if TYPE_CHECKING:
    import jax

    from grokscope.measures._point import Point

__all__ = ["NeuronFrequency", "NeuronFrequencyShare", "OneFrequencyNeurons"]


def _shares(point: Point) -> jax.Array:
    """Share of each neuron's variance in the span of one frequency, [frequency, neuron]."""
    import jax.numpy as jnp

    from grokscope.measures._fourier import basis, by_frequency

    p = point.outputs("train").shape[1]
    hidden = [point.hidden(split) for split in point.filled_splits]
    operands = [point.data[f"{split}_operands"] for split in point.filled_splits]

    def make() -> jax.Array:
        a, b = jnp.concatenate(operands).T
        h = jnp.concatenate(hidden)
        grid = jnp.zeros((p, p, h.shape[1]), h.dtype).at[a, b].set(h - jnp.mean(h, axis=0))
        matrix = jnp.asarray(basis(p), h.dtype)
        power = jnp.square(jnp.einsum("ka,lb,abn->kln", matrix, matrix, grid))
        # for each k the block {1, cos_k, sin_k} x {1, cos_k, sin_k}; its constant term is 0 here
        own = by_frequency(power[:, 0]) + by_frequency(power[0])
        own += jnp.stack([_block(power, k) for k in range(1, p // 2 + 1)])
        total = jnp.sum(power, axis=(0, 1))
        return own / jnp.where(total > 0, total, 1)

    return point.cached("neurons by frequency", make)


def _block(power: jax.Array, k: int) -> jax.Array:
    rows = slice(2 * k - 1, min(2 * k + 1, len(power)))
    return power[rows, rows].sum(axis=(0, 1))


class _OfNeurons(Measure):
    pace = "slow"
    default = False
    needs = (HIDDEN_NEURONS, MODULAR_SUM, TRAIN_SPLIT)


class NeuronFrequencyShare(_OfNeurons):
    r"""The largest share of a neuron's variance that one frequency explains; [neuron].

    The activation minus its mean, as a function of all pairs (a, b), is projected onto the products of
    $1, \cos w_k a, \sin w_k a$ with $1, \cos w_k b, \sin w_k b$; the largest share over k is taken. 1 for a
    neuron with one frequency only, 0 for a constant neuron.

    Source: Nanda et al. 2023 (arXiv 2301.05217), Section 4.3, and its official code.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.measures._fourier import basis
        >>> F = basis(5)  # a neuron cos_1(a) sin_1(b) has one frequency
        >>> bool(abs((F[1][:, None] * F[2]).sum()) < 1e-9)
        True
    """

    kind: Literal["neuron_frequency_share"] = "neuron_frequency_share"
    dims = ("neuron",)

    def __call__(self, point: Point) -> jax.Array:
        """The largest share over frequencies."""
        import jax.numpy as jnp

        return jnp.max(_shares(point), axis=0)


class NeuronFrequency(_OfNeurons):
    """The frequency that explains most of a neuron's variance, as in `NeuronFrequencyShare`; [neuron], int32.

    0 for a constant neuron.

    Source: Nanda et al. 2023 (arXiv 2301.05217), Section 4.3, and its official code.
    """

    kind: Literal["neuron_frequency"] = "neuron_frequency"
    dims = ("neuron",)

    def __call__(self, point: Point) -> jax.Array:
        """The number of the frequency."""
        import jax.numpy as jnp

        shares = _shares(point)
        best = 1 + jnp.argmax(shares, axis=0).astype(jnp.int32)
        return jnp.where(jnp.max(shares, axis=0) > 0, best, 0)


class OneFrequencyNeurons(_OfNeurons):
    """Share of hidden neurons of which one frequency explains more than ``above`` of the variance.

    Attributes:
        above: the threshold; 0.85 in the paper.

    Source: Nanda et al. 2023 (arXiv 2301.05217), Section 4.3 (there 84.6 %).
    """

    kind: Literal["one_frequency_neurons"] = "one_frequency_neurons"

    above: float = Field(default=0.85, ge=0.0, lt=1.0)

    def __call__(self, point: Point) -> jax.Array:
        """The mean over neurons."""
        import jax.numpy as jnp

        shares = _shares(point)
        return jnp.mean(jnp.max(shares, axis=0) > self.above, dtype=shares.dtype)
