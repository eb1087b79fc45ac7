"""Losses on each split, and margins: the share below 1, the least, the mean, the least over the norm."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from grokscope.losses import neuron_norms
from grokscope.measures._measure import Measure
from grokscope.measures.needs import (
    CLASSES,
    HIDDEN_NEURONS,
    HOMOGENEOUS,
    PREDICTIONS,
    PROBE_SPLIT,
    SIGNS,
    TEST_SPLIT,
    TRAIN_SPLIT,
)

if TYPE_CHECKING:
    import jax

    from grokscope.measures._point import Point

__all__ = [
    "CorrectClassLoss",
    "MarginMeanLarge",
    "NormalizedMargin",
    "TestLoss",
    "TrainLoss",
    "TrainMarginBelow1",
    "TrainMarginLeast",
    "ZeroLossShare",
]


class _Loss(Measure):
    split: ClassVar[str]

    def __call__(self, point: Point) -> jax.Array:
        """The mean of the experiment's loss."""
        import jax.numpy as jnp

        return jnp.mean(point.loss.per_sample(point.outputs(self.split), point.split(self.split).y))


class TrainLoss(_Loss):
    r"""Mean loss over the training samples, $\frac1N \sum_i \ell(f(x_i), y_i)$, no decay or penalty.

    $\ell$ is the experiment's loss. In online training the training split is only measured (see
    `TrainAccuracy`); the loss on what is learned from is `BatchLoss`.

    Source: Merrill, Tsilivis, Shukla 2023, Figure 2 middle.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import Hinge
        >>> from grokscope.measures import Point
        >>> data = {"train_x": jnp.array([0.5, -3.0]), "train_y": jnp.array([1.0, -1.0])}
        >>> point = Point(lambda x: x, data, Hinge())
        >>> float(TrainLoss()(point)), float(TrainMarginBelow1()(point))
        (0.25, 0.5)
    """

    kind: Literal["train_loss"] = "train_loss"
    needs = (TRAIN_SPLIT,)
    split = "train"


class TestLoss(_Loss):
    """Mean loss over the test samples, defined as `TrainLoss`.

    Source: Merrill, Tsilivis, Shukla 2023, Figure 2 middle.
    """

    __test__: ClassVar[bool] = False  # tells pytest that this is no test class

    kind: Literal["test_loss"] = "test_loss"
    needs = (TEST_SPLIT,)
    split = "test"


class ZeroLossShare(Measure):
    r"""Share of the training samples whose loss is exactly 0, in the precision in which it is computed.

    With the cross-entropy these are the samples whose $\sum_k e^{f_k - \max f}$ is rounded to 1 and whose
    largest logit is that of the right class ("softmax collapse"): the right class's logit has no gradient.
    With the hinge loss it is the share with a margin of 1 or more.

    Source: Prieto et al. 2025 (arXiv 2501.04697), Figure 2.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import CrossEntropy
        >>> from grokscope.measures import Point
        >>> data = {"train_x": jnp.array([[30.0, 0.0], [9.0, 0.0]]), "train_y": jnp.array([0, 0])}
        >>> [float(ZeroLossShare()(Point(lambda x: x, data, CrossEntropy(precision=precision))))
        ...  for precision in ("float16", "as_run", "float64")]
        [1.0, 0.5, 0.0]
    """

    kind: Literal["zero_loss_share"] = "zero_loss_share"
    default = False
    needs = (TRAIN_SPLIT,)

    def __call__(self, point: Point) -> jax.Array:
        """mean(loss == 0)."""
        import jax.numpy as jnp

        f = point.outputs("train")
        return jnp.mean(point.loss.per_sample(f, point.split("train").y) == 0, dtype=f.dtype)


class CorrectClassLoss(Measure):
    r"""Squared error of the output of the right class on the test samples.

    $\frac1N \sum_i (f(x_i)_{y_i} - 1)^2$, the part of the squared error that wrong outputs of the other
    classes, which are the most, do not hide.

    Source: Mallinar et al. 2024 (arXiv 2407.20199), Section 3 ("loss of the correct class").

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import Squared
        >>> from grokscope.measures import Point
        >>> data = {"test_x": jnp.array([[0.5, 0.25], [0.0, 3.0]]), "test_y": jnp.array([0, 1])}
        >>> float(CorrectClassLoss()(Point(lambda x: x, data, Squared())))  # ((0.5 - 1)^2 + (3 - 1)^2) / 2
        2.125
    """

    kind: Literal["correct_class_loss"] = "correct_class_loss"
    default = False
    needs = (CLASSES, TEST_SPLIT)

    def __call__(self, point: Point) -> jax.Array:
        """mean((f_y - 1)^2)."""
        import jax.numpy as jnp

        own = jnp.take_along_axis(point.outputs("test"), point.split("test").y[:, None], axis=1)
        return jnp.mean(jnp.square(own - 1))


class TrainMarginBelow1(Measure):
    r"""Share of the training samples with margin $y_i f(x_i) < 1$.

    With the hinge loss these are the samples whose loss and gradient are not 0.
    """

    kind: Literal["train_margin_below_1"] = "train_margin_below_1"
    needs = (SIGNS, TRAIN_SPLIT)

    def __call__(self, point: Point) -> jax.Array:
        """mean(y f < 1)."""
        import jax.numpy as jnp

        f = point.outputs("train")
        return jnp.mean(point.split("train").y * f < 1, dtype=f.dtype)


class TrainMarginLeast(Measure):
    r"""Least margin of the training samples, $\min_i y_i f(x_i)$; below 0 if one is predicted wrong.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import Hinge
        >>> from grokscope.measures import Point
        >>> split = {"x": jnp.array([0.5, -3.0]), "y": jnp.array([1.0, -1.0])}
        >>> data = {f"{name}_{key}": value for name in ("train", "probe") for key, value in split.items()}
        >>> point = Point(lambda x: x, data, Hinge())
        >>> float(TrainMarginLeast()(point)), float(MarginMeanLarge()(point))
        (0.5, 1.75)
    """

    kind: Literal["train_margin_least"] = "train_margin_least"
    default = False
    needs = (SIGNS, TRAIN_SPLIT)

    def __call__(self, point: Point) -> jax.Array:
        """min(y f)."""
        import jax.numpy as jnp

        return jnp.min(point.split("train").y * point.outputs("train"))


class MarginMeanLarge(Measure):
    r"""Mean margin on the probe (10,000 held-out samples by default), $\frac1N \sum_i y_i f(x_i)$.

    An estimate of $E[y f(x)]$, which bounds the path norm of a network from below: see
    `grokscope.circuits.least_path_norm`.
    """

    kind: Literal["margin_mean_large"] = "margin_mean_large"
    pace = "slow"
    default = False
    needs = (SIGNS, PROBE_SPLIT)

    def __call__(self, point: Point) -> jax.Array:
        """mean(y f)."""
        import jax.numpy as jnp

        return jnp.mean(point.split("probe").y * point.outputs("probe"))


class NormalizedMargin(Measure):
    r"""The smallest margin on the training split over the norm of the network, to the power of its degree.

    $\min_i \big(f(x_i)_{y_i} - \max_{c \ne y_i} f(x_i)_c\big) \,/\, \lVert \theta \rVert_{2,\nu}^\nu$ with
    $\lVert \theta \rVert_{2,\nu}^\nu = \sum_j \lVert \theta_j \rVert_2^\nu$ over neurons j and all weights
    $\theta_j$ of a neuron, and $\nu$ the degree of the network: $f_{c\theta} = c^\nu f_\theta$ (the
    ``homogeneity`` of the network: k + 1 for the activation $z^k$, 2 for relu). It does not depend on the
    scale of the parameters. With labels $\pm 1$ the margin is $y f(x)$. Negative if an input is classified
    wrongly; NaN if all parameters are 0.

    Source: Morwani et al. 2023 (arXiv 2311.07568), Section 2.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import Hinge
        >>> from grokscope.measures import Point
        >>> from grokscope.models.networks.one_hidden_layer import OneHiddenLayer
        >>> network = OneHiddenLayer(jnp.array([[3.0]]), jnp.zeros(1), jnp.array([4.0]))  # 4 relu(3 x)
        >>> data = {"train_x": jnp.array([[1.0], [2.0]]), "train_y": jnp.ones(2)}
        >>> round(float(NormalizedMargin()(Point(network, data, Hinge()))), 3)  # 12 / (3^2 + 4^2)
        0.48
    """

    kind: Literal["normalized_margin"] = "normalized_margin"
    default = False
    needs = (PREDICTIONS, TRAIN_SPLIT, HIDDEN_NEURONS, HOMOGENEOUS)

    def __call__(self, point: Point) -> jax.Array:
        """The smallest margin over the norm."""
        import jax.numpy as jnp

        f, y = point.outputs("train"), point.split("train").y
        if f.ndim == 1:
            margin = y * f
        else:
            own = jnp.arange(f.shape[1]) == y[:, None]
            others = jnp.max(jnp.where(own, -jnp.inf, f), axis=1)
            margin = jnp.sum(jnp.where(own, f, 0), axis=1) - others
        return jnp.min(margin) / jnp.sum(neuron_norms(point.neurons, point.network.homogeneity))
