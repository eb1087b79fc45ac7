"""Accuracy on each split, and the number of inputs without a prediction because the output is exactly 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from grokscope.measures._measure import Measure
from grokscope.measures.needs import PREDICTIONS, PROBE_SPLIT, SIGNS, TEST_SPLIT, TRAIN_SPLIT

if TYPE_CHECKING:
    import jax

    from grokscope.measures._point import Point

__all__ = [
    "TestAccuracy",
    "TestAccuracyLarge",
    "TestZeroOutputs",
    "TestZeroOutputsLarge",
    "TrainAccuracy",
    "TrainZeroOutputs",
    "accuracy_of",
]


def accuracy_of(f: jax.Array, y: jax.Array, among: jax.Array | None = None) -> jax.Array:
    """The share of right predictions: of all samples, or among some; NaN if there are none.

    Args:
        f: outputs [sample], or [sample, output].
        y: labels [sample]: signs, or classes.
        among: booleans [sample]: the samples that count.
    """
    import jax.numpy as jnp

    if f.ndim > 1:  # classes; argmax takes the lowest index among equals
        right = jnp.argmax(f, axis=-1) == y
        if among is None:
            return jnp.mean(right, dtype=f.dtype)
        return jnp.sum(right & among, dtype=f.dtype) / jnp.sum(among, dtype=f.dtype)
    right, counted = y * f > 0, f != 0
    if among is not None:
        right, counted = right & among, counted & among
    return jnp.sum(right, dtype=f.dtype) / jnp.sum(counted, dtype=f.dtype)


class _Accuracy(Measure):
    split: ClassVar[str]

    def __call__(self, point: Point) -> jax.Array:
        """The share of correct predictions."""
        return accuracy_of(point.outputs(self.split), point.split(self.split).y)


class _ZeroOutputs(Measure):
    split: ClassVar[str]

    def __call__(self, point: Point) -> jax.Array:
        """The number of samples with an output of exactly 0."""
        import jax.numpy as jnp

        return jnp.sum(point.outputs(self.split) == 0, dtype=jnp.int32)


class TrainAccuracy(_Accuracy):
    r"""Training accuracy: the share of correct predictions.

    With labels $\pm 1$: $\#\{i: \mathrm{sign} f(x_i) = y_i\} / \#\{i: f(x_i) \ne 0\}$. An input with
    $f(x) = 0$ has no prediction: it is left out here, and counted by `TrainZeroOutputs`. NaN if all outputs
    are 0. With classes: the share with $\mathrm{argmax}\, f(x_i) = y_i$; ties go to the lowest class.

    In online training the network never learns from the training split: it is a fixed set of ``n_train``
    samples of each member that is only measured, a second held-out set (with random or noisy labels, if the
    task has those). The accuracy on what is learned from is `BatchAccuracy`.

    Source: Merrill, Tsilivis, Shukla 2023, Figure 2 left.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import Hinge
        >>> from grokscope.measures import Point
        >>> data = {"train_x": jnp.array([2.0, 3.0, 0.0, -1.0]), "train_y": jnp.array([1.0, -1.0, 1.0, -1.0])}
        >>> point = Point(lambda x: x, data, Hinge())  # outputs 2, 3, 0, -1: right, wrong, none, right
        >>> round(float(TrainAccuracy()(point)), 3), int(TrainZeroOutputs()(point))
        (0.667, 1)
    """

    kind: Literal["train_accuracy"] = "train_accuracy"
    needs = (PREDICTIONS, TRAIN_SPLIT)
    split = "train"


class TestAccuracy(_Accuracy):
    """Test accuracy, defined as `TrainAccuracy`; the paper has 100 test samples.

    NaN if all outputs are 0.

    Source: Merrill, Tsilivis, Shukla 2023, Figure 2 left.
    """

    __test__: ClassVar[bool] = False  # tells pytest that this is no test class

    kind: Literal["test_accuracy"] = "test_accuracy"
    needs = (PREDICTIONS, TEST_SPLIT)
    split = "test"


class TestAccuracyLarge(_Accuracy):
    """Accuracy on the probe (10,000 held-out samples by default), defined as `TrainAccuracy`.

    More precise than `TestAccuracy`: 100 correct predictions out of 100 are compatible with an error rate of
    several percent. NaN if all outputs are 0.
    """

    __test__: ClassVar[bool] = False

    kind: Literal["test_accuracy_large"] = "test_accuracy_large"
    pace = "slow"
    needs = (PREDICTIONS, PROBE_SPLIT)
    split = "probe"


class TrainZeroOutputs(_ZeroOutputs):
    """Number of training inputs with f(x) = 0, which accuracies leave out."""

    kind: Literal["train_zero_outputs"] = "train_zero_outputs"
    unit = "inputs"
    needs = (SIGNS, TRAIN_SPLIT)
    split = "train"


class TestZeroOutputs(_ZeroOutputs):
    """Number of test inputs with f(x) = 0, which accuracies leave out."""

    __test__: ClassVar[bool] = False

    kind: Literal["test_zero_outputs"] = "test_zero_outputs"
    unit = "inputs"
    needs = (SIGNS, TEST_SPLIT)
    split = "test"


class TestZeroOutputsLarge(_ZeroOutputs):
    """Number of probe inputs with f(x) = 0, which accuracies leave out."""

    __test__: ClassVar[bool] = False

    kind: Literal["test_zero_outputs_large"] = "test_zero_outputs_large"
    pace = "slow"
    unit = "inputs"
    needs = (SIGNS, PROBE_SPLIT)
    split = "probe"
