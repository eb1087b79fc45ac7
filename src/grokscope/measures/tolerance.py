"""Accuracy of regression: the share of inputs whose squared error is below a tolerance."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from grokscope.measures._measure import Measure
from grokscope.measures.needs import GAUSSIAN_ERRORS, REAL_LABELS, TEST_SPLIT, TRAIN_SPLIT

if TYPE_CHECKING:
    import jax

    from grokscope.measures._point import Point
    from grokscope.spec.training_spec import TrainingSpec

__all__ = ["PopulationToleranceAccuracy", "TestToleranceAccuracy", "TrainToleranceAccuracy"]

_USUAL = 1e-3


class _Tolerance(Measure):
    tolerance: float = Field(default=_USUAL, gt=0.0, le=1e12)

    @property
    def name(self) -> str:
        """The kind; with the tolerance, if it is not 0.001."""
        return self.kind if self.tolerance == _USUAL else f"{self.kind}_{self.tolerance:g}"

    def is_default(self, spec: TrainingSpec) -> bool:
        """Only where an event of the task is on it: a tolerance suits few labels."""
        on_it = any(self.name in condition.split() for condition in spec.task.events.values())
        return on_it and super().is_default(spec)


class _OfSplit(_Tolerance):
    split: ClassVar[str]

    def __call__(self, point: Point) -> jax.Array:
        """The share of samples below the tolerance."""
        import jax.numpy as jnp

        f = point.outputs(self.split)
        error = jnp.square(f - point.split(self.split).y)
        error = error if error.ndim == 1 else jnp.mean(error, axis=1)
        return jnp.mean(error < self.tolerance, dtype=f.dtype)


class TrainToleranceAccuracy(_OfSplit):
    r"""Share of training samples with $\frac1m \sum_{j=1}^m (f_j(x) - y_j)^2 < \varepsilon$, m outputs.

    Taken by default where the task's events are on it.

    Attributes:
        tolerance: $\varepsilon$. The name of the measure ends in it if it is not 0.001.

    Source: Levi, Beck, Bar-Sinai 2023 (arXiv 2310.16441), Section 2.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import Squared
        >>> from grokscope.measures import Point
        >>> data = {"train_x": jnp.array([1.0, 2.0]), "train_y": jnp.array([1.01, 2.1])}
        >>> float(TrainToleranceAccuracy()(Point(lambda x: x, data, Squared())))  # errors 0.0001, 0.01
        0.5
        >>> TrainToleranceAccuracy(tolerance=0.1).name
        'train_tolerance_accuracy_0.1'
    """

    kind: Literal["train_tolerance_accuracy"] = "train_tolerance_accuracy"
    needs = (REAL_LABELS, TRAIN_SPLIT)
    split = "train"


class TestToleranceAccuracy(_OfSplit):
    """Share of test samples with an error below a tolerance, defined as `TrainToleranceAccuracy`."""

    __test__: ClassVar[bool] = False  # tells pytest that this is no test class

    kind: Literal["test_tolerance_accuracy"] = "test_tolerance_accuracy"
    needs = (REAL_LABELS, TEST_SPLIT)
    split = "test"


class PopulationToleranceAccuracy(_Tolerance):
    r"""Probability over all inputs that the error is below a tolerance, as in `TrainToleranceAccuracy`.

    For errors $e \sim N(\mu, \sigma^2)$ with one output it is exact: with $\mu = 0$,
    $\mathrm{erf} \sqrt{\varepsilon / (2 \sigma^2)}$. With m outputs it is
    $P(\frac m2, \frac{m \varepsilon}{2 L})$, P the regularized lower incomplete gamma function and L the mean
    of $E[e_j^2]$ over outputs: exact if the $e_j$ are independent with equal variances and means 0.

    Attributes:
        tolerance: $\varepsilon$. The name of the measure ends in it if it is not 0.001.

    Source: Levi, Beck, Bar-Sinai 2023 (arXiv 2310.16441), Sections 2 and 4.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import Squared
        >>> from grokscope.measures import Point
        >>> from grokscope.models.networks.linear_network import LinearNetwork
        >>> from grokscope.tasks.gaussian_teacher import GaussianTeacher
        >>> data = {"teacher": jnp.zeros((1, 1))}
        >>> network = LinearNetwork((jnp.array([0.5]),))  # errors of standard deviation 0.5
        >>> point = Point(network, data, Squared(), task=GaussianTeacher(d=1))
        >>> round(float(PopulationToleranceAccuracy(tolerance=1.0)(point)), 4)  # within two of them
        0.9545
    """

    kind: Literal["population_tolerance_accuracy"] = "population_tolerance_accuracy"
    needs = (GAUSSIAN_ERRORS,)

    def __call__(self, point: Point) -> jax.Array:
        """The probability."""
        import jax.numpy as jnp
        from jax.scipy.special import gammainc, ndtr

        variance, mean = point.population("error_variance"), point.population("error_mean")
        smallest = jnp.finfo(variance.dtype).tiny
        if len(mean) == 1:
            spread, limit = jnp.sqrt(jnp.maximum(variance, smallest)), jnp.sqrt(self.tolerance)
            # by the smaller tail on each side, for accuracies near 1
            return 1 - ndtr((-limit - mean[0]) / spread) - ndtr((mean[0] - limit) / spread)
        half = 0.5 * len(mean)
        size = jnp.maximum(variance + jnp.mean(jnp.square(mean)), smallest)
        return gammainc(half, half * self.tolerance / size)
