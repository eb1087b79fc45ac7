"""Losses on each split, and margins: the share of training samples below 1, the least, the mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from grokscope.measures._measure import Measure
from grokscope.measures.needs import PROBE_SPLIT, SIGNS, TEST_SPLIT, TRAIN_SPLIT

if TYPE_CHECKING:
    import jax

    from grokscope.measures._point import Point

__all__ = ["MarginMeanLarge", "TestLoss", "TrainLoss", "TrainMarginBelow1", "TrainMarginLeast"]


class _Loss(Measure):
    split: ClassVar[str]

    def __call__(self, point: Point) -> jax.Array:
        """The mean of the experiment's loss."""
        import jax.numpy as jnp

        return jnp.mean(point.loss.per_sample(point.outputs(self.split), point.split(self.split).y))


class TrainLoss(_Loss):
    r"""Mean loss over the training samples, $\frac1N \sum_i \ell(f(x_i), y_i)$, without weight decay.

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
