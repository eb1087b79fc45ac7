"""Which frequency each hidden neuron computes with, over all pairs of addition or subtraction mod p."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from grokscope.measures._measure import Measure, Pace
from grokscope.measures.needs import DataSplits, HiddenNeurons, ModularSum, Need
from grokscope.spec.axes import SPLIT_LABELS

if TYPE_CHECKING:
    import jax

    from grokscope.measures._point import Point

__all__ = ["NeuronFrequency", "NeuronFrequencyShare", "OneFrequencyNeurons"]


def _shares(point: Point) -> jax.Array:
    """Share of each neuron's variance in the span of one frequency, [frequency, neuron]."""
    import jax.numpy as jnp

    from grokscope.measures._fourier import basis, by_frequency

    p = point.outputs("train").shape[1]
    hidden = [point.hidden(split) for split in SPLIT_LABELS]
    operands = [point.data[f"{split}_operands"] for split in SPLIT_LABELS]

    def make() -> jax.Array:
        a, b = jnp.concatenate(operands).T
        h = jnp.concatenate(hidden)
        grid = jnp.zeros((p, p, h.shape[1]), h.dtype).at[a, b].set(h - jnp.mean(h, axis=0))
        matrix = jnp.asarray(basis(p), h.dtype)
        power = jnp.square(jnp.einsum("ka,lb,abn->kln", matrix, matrix, grid))
        # for each k the block {1, cos_k, sin_k} x {1, cos_k, sin_k}, less the constant, which is 0 here
        own = by_frequency(power[:, 0]) + by_frequency(power[0])
        own += jnp.stack([_block(power, k) for k in range(1, p // 2 + 1)])
        total = jnp.sum(power, axis=(0, 1))
        return own / jnp.where(total > 0, total, 1)

    return point.cached("neurons by frequency", make)


def _block(power: jax.Array, k: int) -> jax.Array:
    rows = slice(2 * k - 1, min(2 * k + 1, len(power)))
    return power[rows, rows].sum(axis=(0, 1))


class _OfNeurons(Measure):
    pace: ClassVar[Pace] = "slow"
    default: ClassVar[bool] = False
    needs: ClassVar[tuple[Need, ...]] = (HiddenNeurons(), ModularSum(), DataSplits(SPLIT_LABELS))


class NeuronFrequencyShare(_OfNeurons):
    r"""The largest share of a neuron's variance that one frequency explains; [neuron].

    Over all pairs (a, b): the activation less its mean, projected onto products of two of
    $1, \cos w_k, \sin w_k$, one of a and one of b, for the best k. 1 for a neuron that computes with one
    frequency only; 0 for one that is constant.

    Source: Nanda et al. 2023 (arXiv 2301.05217), Section 4.3, and its official code.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.measures._fourier import basis
        >>> F = basis(5)  # a neuron cos_1(a) sin_1(b) has one frequency
        >>> bool(abs((F[1][:, None] * F[2]).sum()) < 1e-9)
        True
    """

    kind: Literal["neuron_frequency_share"] = "neuron_frequency_share"
    dims: ClassVar[tuple[str, ...]] = ("neuron",)

    def __call__(self, point: Point) -> jax.Array:
        """The largest share over frequencies."""
        import jax.numpy as jnp

        return jnp.max(_shares(point), axis=0)


class NeuronFrequency(_OfNeurons):
    """The frequency that explains most of a neuron's variance, as in `NeuronFrequencyShare`; [neuron], int32.

    0 for a neuron that is constant.

    Source: Nanda et al. 2023 (arXiv 2301.05217), Section 4.3, and its official code.
    """

    kind: Literal["neuron_frequency"] = "neuron_frequency"
    dims: ClassVar[tuple[str, ...]] = ("neuron",)

    def __call__(self, point: Point) -> jax.Array:
        """The number of the frequency."""
        import jax.numpy as jnp

        shares = _shares(point)
        best = 1 + jnp.argmax(shares, axis=0).astype(jnp.int32)
        return jnp.where(jnp.max(shares, axis=0) > 0, best, 0)


class OneFrequencyNeurons(_OfNeurons):
    """Share of the hidden neurons of which one frequency explains more than ``above`` of the variance.

    Attributes:
        above: the paper's 0.85.

    Source: Nanda et al. 2023 (arXiv 2301.05217), Section 4.3 (there 84.6 %).
    """

    kind: Literal["one_frequency_neurons"] = "one_frequency_neurons"

    above: float = Field(default=0.85, ge=0.0, lt=1.0)

    def __call__(self, point: Point) -> jax.Array:
        """The mean over neurons."""
        import jax.numpy as jnp

        shares = _shares(point)
        return jnp.mean(jnp.max(shares, axis=0) > self.above, dtype=shares.dtype)
