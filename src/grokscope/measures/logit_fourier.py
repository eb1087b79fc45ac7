r"""Fourier measures of the logits of a + b or a - b mod p: key frequencies, restricted and excluded loss.

The functions $\cos(w_k (a \pm b))$ and $\sin(w_k (a \pm b))$ of a pair, $w_k = 2 \pi k / p$, depend on the
right answer only. The projection of the logits onto them is therefore computed from the mean logits of all
pairs with the same answer, a p x p matrix, by a Fourier transform of its columns. This needs all pairs: the
training and the test split together (one may be empty).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from grokscope.measures._measure import Measure
from grokscope.measures.needs import HIDDEN_NEURONS, KEY_FREQUENCIES, MODULAR_SUM, TEST_SPLIT, TRAIN_SPLIT
from grokscope.spec.axes import SPLIT_LABELS

if TYPE_CHECKING:
    import jax

    from grokscope.measures._point import Point
    from grokscope.measures.needs import Need

__all__ = [
    "ExcludedLoss",
    "ExcludedLossByFrequency",
    "KeyFrequencies",
    "LogitCosines",
    "LogitFourier",
    "RestrictedLoss",
    "key_spectra",
]


def _by_answer(point: Point) -> jax.Array:
    """Coefficients in the Fourier basis of the mean logits by answer, [row, output]."""
    import jax
    import jax.numpy as jnp

    from grokscope.measures._fourier import components

    f = {split: point.outputs(split) for split in point.filled_splits}

    def make() -> jax.Array:
        p = f["train"].shape[1]
        sums = jnp.zeros((p, p), f["train"].dtype)
        for split, logits in f.items():
            answer = jax.nn.one_hot(point.split(split).y, p, dtype=logits.dtype)
            sums += answer.T @ logits
        return components(sums / p)  # p pairs have each answer

    return point.cached("logits by answer", make)


def _at_frequencies(coefficients: jax.Array, keep: jax.Array, *, constant: bool) -> jax.Array:
    """The mean logits by answer with some frequencies only, [answer, output]."""
    import jax.numpy as jnp

    from grokscope.measures._fourier import basis, frequency_of_row

    p = len(coefficients)
    by_number = jnp.concatenate([jnp.full(1, constant, keep.dtype), keep])
    rows = by_number[frequency_of_row(p)].astype(coefficients.dtype)
    return jnp.asarray(basis(p), coefficients.dtype).T @ (rows[:, None] * coefficients)


def _shares(point: Point) -> jax.Array:
    """Share of the logits' variance at each frequency of the answer, [frequency]."""
    import jax.numpy as jnp

    from grokscope.measures._fourier import by_frequency

    coefficients = _by_answer(point)
    total = _variance(point)
    # a constant over all outputs does not change the softmax
    centered = coefficients - jnp.mean(coefficients, axis=1, keepdims=True)
    power = by_frequency(jnp.sum(jnp.square(centered), axis=1)) * len(coefficients)
    return power / jnp.where(total > 0, total, 1)


def _variance(point: Point) -> jax.Array:
    """Sum of squares of all logits, minus their mean over outputs, then minus their mean over pairs."""
    import jax.numpy as jnp

    f = [point.outputs(split) for split in point.filled_splits]

    def make() -> jax.Array:
        logits = jnp.concatenate(f)
        logits = logits - jnp.mean(logits, axis=1, keepdims=True)
        return jnp.sum(jnp.square(logits - jnp.mean(logits, axis=0)))

    return point.cached("variance of the logits", make)


class _OfLogits(Measure):
    pace = "slow"
    default = False
    needs = (MODULAR_SUM, TRAIN_SPLIT)


class LogitFourier(_OfLogits):
    r"""Share of the logits' variance at each frequency of the answer; [frequency].

    The logits L(a, b, c) of all pairs are centered: first over c (which does not change the softmax), then
    over pairs. The share is $\lVert P_k L \rVert^2 / \lVert L \rVert^2$, with $P_k$ the projection onto
    $\cos(w_k c^*)$ and $\sin(w_k c^*)$ of the answer $c^* = a \pm b$. The sum over k is at most 1; it is 1 if
    the logits depend on the answer only. 0 if all logits are equal.

    Source: Nanda et al. 2023 (arXiv 2301.05217), Sections 4.1 and 4.4.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import CrossEntropy
        >>> from grokscope.measures import Point
        >>> c = jnp.arange(5)
        >>> y = (c[:, None] + c).ravel() % 5
        >>> logits = 3 * jnp.cos(2 * jnp.pi * 2 * (y[:, None] - c) / 5)  # frequency 2
        >>> data = {"train_x": logits[:9], "train_y": y[:9], "test_x": logits[9:], "test_y": y[9:]}
        >>> point = Point(lambda x: x, data, CrossEntropy())
        >>> LogitFourier()(point).round(3).tolist(), round(float(LogitCosines()(point)), 3)
        ([0.0, 1.0], 1.0)
        >>> KeyFrequencies()(point).tolist()
        [0, 1]
    """

    kind: Literal["logit_fourier"] = "logit_fourier"
    dims = ("frequency",)

    def __call__(self, point: Point) -> jax.Array:
        """The shares."""
        return _shares(point)


class LogitCosines(_OfLogits):
    r"""Share of the logits' variance explained by $\sum_k \alpha_k \cos(w_k (c^* - c))$ (least squares).

    The algorithm that the paper found in grokked networks has logits of this form. The variance is that of
    `LogitFourier`; 0 if all logits are equal.

    Source: Nanda et al. 2023 (arXiv 2301.05217), Section 4.2.
    """

    kind: Literal["logit_cosines"] = "logit_cosines"

    def __call__(self, point: Point) -> jax.Array:
        """The sum over frequencies of the squared coefficients, over the variance."""
        import jax.numpy as jnp

        from grokscope.measures._fourier import basis, frequency_of_row

        coefficients, total = _by_answer(point), _variance(point)
        p = len(coefficients)
        # cos(w (s - c)) = cos(w s) cos(w c) + sin(w s) sin(w c): the diagonal of the 2D transform
        matrix = jnp.asarray(basis(p), coefficients.dtype)
        diagonal = jnp.sum(coefficients * matrix, axis=1)
        rows = frequency_of_row(p)
        alpha = jnp.zeros(p // 2 + 1, diagonal.dtype).at[rows].add(diagonal)[1:]
        terms = jnp.asarray([(rows == k).sum() for k in range(1, p // 2 + 1)], diagonal.dtype)
        return jnp.sum(jnp.square(alpha) / terms) * p / jnp.where(total > 0, total, 1)


def key_spectra(point: Point, *, with_neurons: bool) -> jax.Array:
    """What rules for key frequencies choose from, [2, frequency].

    The power of the logits at each frequency (`LogitFourier`), and the number of neurons of each
    (`grokscope.measures.neuron_fourier.NeuronFrequency`), or zeros.
    """
    import jax.numpy as jnp

    from grokscope.measures.neuron_fourier import NeuronFrequency

    shares = _shares(point)
    counts = jnp.zeros_like(shares)
    if with_neurons:
        of_neurons = NeuronFrequency()(point)  # 0 for a constant neuron
        counts = jnp.zeros(len(shares) + 1, shares.dtype).at[of_neurons].add(1)[1:]
    return jnp.stack([shares, counts])


class _ByKeys(_OfLogits):
    """A measure that uses key frequencies.

    Attributes:
        rule: how key frequencies are chosen. ``gap``: in the sorted shares of the logits' power, those up to
            the last one that is at least ``gap`` times the next; shares below 0.001 count as 0.001, and
            without a gap all from 0.001 on are chosen. ``share``: those with at least ``share`` of the power
            in functions of the answer. ``neurons``: those that explain most of at least one neuron's
            variance, as in the official code.
        gap: the ratio of two shares that is a gap.
        share: the smallest share, with ``rule = "share"``.
    """

    revision = 2  # the rule was a share of 0.05

    rule: Literal["gap", "share", "neurons"] = "gap"
    gap: float = Field(default=5.0, gt=1.0, le=1e6)
    share: float = Field(default=0.05, ge=1e-4, le=1.0)

    @property
    def name(self) -> str:
        """The kind; with another rule or another number, followed by these."""
        number = {"gap": self.gap, "share": self.share, "neurons": None}[self.rule]
        usual = type(self).model_fields[self.rule].default if number is not None else None
        rule = "" if self.rule == "gap" and number == usual else f"_by_{self.rule}"
        return f"{self.kind}{rule}" + ("" if number == usual else f"_{number!r}".replace(".", "_"))

    @property
    def needs_of_options(self) -> tuple[Need, ...]:
        """The rule of neurons needs them."""
        return (HIDDEN_NEURONS,) if self.rule == "neurons" else ()

    def chosen(self, spectra: jax.Array) -> jax.Array:
        """The key frequencies of `key_spectra`, bool [frequency]."""
        from grokscope.measures._fourier import key_frequencies

        return key_frequencies(spectra, self.rule, gap=self.gap, share=self.share)


class KeyFrequencies(_ByKeys):
    r"""Frequencies that the logits use: 1 for each, else 0; [frequency], int32.

    By default those up to the last gap in the sorted shares of `LogitFourier`: the last share that is at
    least 5 times the next. The paper defines key frequencies by "non-trivial" coefficients, without a number;
    its code takes the frequencies of all neurons. `RestrictedLoss` and `ExcludedLoss` use the key frequencies
    of the final network, by a rule of their own.

    Source: Nanda et al. 2023 (arXiv 2301.05217), Section 4.1, and its official code.
    """

    kind: Literal["key_frequencies"] = "key_frequencies"
    dims = ("frequency",)

    def __call__(self, point: Point) -> jax.Array:
        """1 for each key frequency, else 0."""
        import jax.numpy as jnp

        spectra = key_spectra(point, with_neurons=self.rule == "neurons")
        return self.chosen(spectra).astype(jnp.int32)


class _WithKeys(_ByKeys):
    pace = "follow_slow"
    # neurons, because every measure that follows a run is given its subnetworks
    needs = (HIDDEN_NEURONS, MODULAR_SUM, KEY_FREQUENCIES, TRAIN_SPLIT)

    def keys(self, point: Point) -> jax.Array:
        """The key frequencies of the final network.

        Raises:
            ValueError: if the caller has not given the point the final network's spectra.
        """
        if point.final_spectra is None:
            raise ValueError("this measure needs a point with the spectra of the final network")
        return self.chosen(point.final_spectra)


class RestrictedLoss(_WithKeys):
    r"""Loss of the logits with only the key frequencies of the final network; [split].

    $\ell(\overline L + P L)$ with $\overline L$ the mean over all pairs, and P the projection onto
    $\cos(w_k (a \pm b))$ and $\sin(w_k (a \pm b))$ for the key frequencies k (`KeyFrequencies`). In networks
    that grok it falls before the test loss.

    Source: Nanda et al. 2023 (arXiv 2301.05217), Section 5.1 and Figure 7. The paper does not say which pairs
        are used; the official code has two variants, all pairs and training pairs.
    """

    kind: Literal["restricted_loss"] = "restricted_loss"
    dims = ("split",)
    needs = (*_WithKeys.needs, TEST_SPLIT)

    def __call__(self, point: Point) -> jax.Array:
        """The mean of the experiment's loss on each split."""
        import jax.numpy as jnp

        logits = _at_frequencies(_by_answer(point), self.keys(point), constant=True)
        answers = [point.split(split).y for split in SPLIT_LABELS]
        return jnp.stack([jnp.mean(point.loss.per_sample(logits[y], y)) for y in answers])


class ExcludedLoss(_WithKeys):
    r"""Training loss of the logits without the key frequencies of the final network.

    $\ell(L - P L)$ on the training pairs, with P as in `RestrictedLoss`. It measures the part of the network
    that memorizes, and rises as the network relies more on the key frequencies.

    Source: Nanda et al. 2023 (arXiv 2301.05217), Section 5.1 and Figure 7.
    """

    kind: Literal["excluded_loss"] = "excluded_loss"

    def __call__(self, point: Point) -> jax.Array:
        """The mean of the experiment's loss on the training pairs."""
        import jax.numpy as jnp

        without = _at_frequencies(_by_answer(point), self.keys(point), constant=False)
        y = point.split("train").y
        return jnp.mean(point.loss.per_sample(point.outputs("train") - without[y], y))


class ExcludedLossByFrequency(_OfLogits):
    r"""Training loss of the logits without one frequency, for each frequency; [frequency].

    $\ell(L - P_k L)$ as in `ExcludedLoss`, for each k alone; it does not need the final network. Its largest
    value shows how much the network relies on its most important frequency.

    Source: the official code of Nanda et al. 2023 (arXiv 2301.05217).
    """

    kind: Literal["excluded_loss_by_frequency"] = "excluded_loss_by_frequency"
    dims = ("frequency",)

    def __call__(self, point: Point) -> jax.Array:
        """The mean of the experiment's loss on the training pairs."""
        import jax.numpy as jnp
        from jax import lax

        coefficients, f, y = _by_answer(point), point.outputs("train"), point.split("train").y

        def without(keep: jax.Array) -> jax.Array:
            part = _at_frequencies(coefficients, keep, constant=False)
            return jnp.mean(point.loss.per_sample(f - part[y], y))

        return lax.map(without, jnp.eye(len(coefficients) // 2, dtype=bool))
