"""Test accuracy on pairs (a, b) whose mirror (b, a) is a training pair, and on the others.

For tasks on pairs; their data mark the test samples whose mirror is a training sample.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from grokscope.measures._measure import Measure
from grokscope.measures.accuracy import accuracy_of
from grokscope.measures.needs import PAIRS, TEST_SPLIT

if TYPE_CHECKING:
    import jax

    from grokscope.measures._point import Point

__all__ = ["MirrorShare", "TestAccuracyMirrored", "TestAccuracyUnmirrored"]


class _OfMirrors(Measure):
    needs = (PAIRS, TEST_SPLIT)


class MirrorShare(_OfMirrors):
    r"""Share of the held-out pairs (a, b) whose mirror (b, a) is in the training set.

    It is the test accuracy of a network that knows only the training set and that the operator commutes, and
    is wrong on all other pairs. It depends only on the split and is constant over steps.

    Source: Merrill, Tsilivis, Shukla 2023, Figure 4 (the dashed line).

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import CrossEntropy
        >>> from grokscope.measures import Point
        >>> data = {"test_x": jnp.zeros((4, 1)), "test_mirrored": jnp.array([1, 0, 0, 0])}
        >>> float(MirrorShare()(Point(lambda x: x, data, CrossEntropy())))
        0.25
    """

    kind: Literal["mirror_share"] = "mirror_share"

    def __call__(self, point: Point) -> jax.Array:
        """The mean over held-out pairs."""
        import jax.numpy as jnp

        return jnp.mean(point.data["test_mirrored"], dtype=point.data["test_x"].dtype)


class _AccuracyOfMirrors(_OfMirrors):
    mirrored: ClassVar[int]

    def __call__(self, point: Point) -> jax.Array:
        """The share of right predictions among the held-out pairs with, or without, a mirror."""
        selected = point.data["test_mirrored"] == self.mirrored
        return accuracy_of(point.outputs("test"), point.split("test").y, selected)


class TestAccuracyMirrored(_AccuracyOfMirrors):
    """Test accuracy on the held-out pairs whose mirror is in the training set.

    NaN if there is no such pair.
    """

    __test__: ClassVar[bool] = False  # tells pytest that this is no test class

    kind: Literal["test_accuracy_mirrored"] = "test_accuracy_mirrored"
    mirrored = 1


class TestAccuracyUnmirrored(_AccuracyOfMirrors):
    """Test accuracy on the held-out pairs whose mirror is not in the training set.

    NaN if there is no such pair.
    """

    __test__: ClassVar[bool] = False

    kind: Literal["test_accuracy_unmirrored"] = "test_accuracy_unmirrored"
    mirrored = 0
