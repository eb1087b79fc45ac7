"""Regression: Gaussian inputs, labelled by a random teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from grokscope.tasks._task import Task

if TYPE_CHECKING:
    import jax

__all__ = ["GaussianTeacher"]

# erf(sqrt(2)): the probability that a Gaussian lies within two standard deviations
_TWO_SIGMA = 0.9544997361036416
#: Terms of the squared error of a quadratic function.
TERM_LABELS = ("variance", "misalignment", "linear")


class GaussianTeacher(Task):
    r"""Labels of a random teacher for Gaussian inputs: $x \sim N(0, I_d)$, real labels of length m.

    The teacher T, [d, m], has entries $\sim N(0, s^2/(d m))$ with s = ``teacher_scale``, and is drawn from
    the data stream, as the inputs are. Labels are $y_j = \langle x, t_j \rangle$ (``linear``) or
    $y_j = \langle x, t_j \rangle^2$ (``quadratic``), with columns $t_j$ of T. Each member has a teacher,
    training inputs and test inputs of its own. The ratio of inputs to samples, d / ``n_train``, decides how a
    linear student learns.

    Expectations over all inputs are exact for networks that are affine functions (the model ``linear``).
    With $f(x) = x W + b$ the loss ``squared`` is $\frac1m (\lVert W - T \rVert_F^2 + \lVert b \rVert^2)$
    for a linear teacher. For a quadratic one it is
    $\frac1m \sum_j \lVert w_j \rVert^2 + (b_j - \lVert t_j \rVert^2)^2 + 2 \lVert t_j \rVert^4$.

    With one output and a quadratic teacher they are also exact for quadratic functions
    $f(x) = c + b \cdot x + x^T A x$ (the model ``committee``). With $E = A - t t^T$ the squared loss is the sum
    of three terms: ``variance`` $(c + \mathrm{tr} E)^2$, the error of the mean output, ``misalignment``
    $2 \lVert E \rVert_F^2$, and ``linear`` $\lVert b \rVert^2$ (measure `moment_error`).

    Memorization and grokking are events of `train_tolerance_accuracy` and of `test_tolerance_accuracy` (or,
    without test samples, `population_tolerance_accuracy`): that of $\mathrm{erf}(\sqrt 2)$, 95.4 %, at one
    measured point.

    Attributes:
        d: number of inputs.
        outputs: length m of the labels.
        n_train: number of training samples.
        n_test: number of test samples; 0: none.
        teacher: ``linear`` or ``quadratic``.
        teacher_scale: s; the expected Frobenius norm of the teacher.
        noise: standard deviation of Gaussian noise that is added to training labels; from the noise stream.

    Source: Levi, Beck, Bar-Sinai 2023 (arXiv 2310.16441), Section 2, with $s = 1/\sqrt 2$. The three terms:
    Kumar et al. 2023 (arXiv 2310.06110), equation 6.

    Example:
        >>> import jax
        >>> task = GaussianTeacher(d=10, outputs=2, n_train=20, n_test=5)
        >>> data = task.member_data(jax.random.key(0), jax.random.key(1))
        >>> data["train_x"].shape, data["train_y"].shape, data["teacher"].shape
        ((20, 10), (20, 2), (10, 2))
    """

    kind: Literal["gaussian_teacher"] = "gaussian_teacher"
    traced = ("teacher_scale", "noise")
    population_is_affine = True
    population_losses = ("squared",)

    d: int = Field(default=100, ge=1, le=10**9)
    outputs: int = Field(default=1, ge=1, le=10**6)
    n_train: int = Field(default=200, ge=1, le=10**9)
    n_test: int = Field(default=1000, ge=0, le=10**9)
    teacher: Literal["linear", "quadratic"] = "linear"
    teacher_scale: float = Field(default=1.0, gt=0.0, le=1e6)
    noise: float = Field(default=0.0, ge=0.0, le=1e6)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """``(d,)``."""
        return (self.d,)

    @property
    def n_outputs(self) -> int:
        """``outputs``."""
        return self.outputs

    @property
    def label_kind(self) -> Literal["real"]:
        """Real numbers, or vectors."""
        return "real"

    @property
    def is_drawn(self) -> bool:
        """True: the teacher depends on the data seed."""
        return True

    @property
    def has_fixed_test(self) -> bool:
        """False: each member has a teacher and test inputs of its own."""
        return False

    @property
    def events(self) -> dict[str, str]:
        """Tolerance accuracies of 95.4 %, on the training samples and on others."""
        other = "test" if self.n_test else "population"
        return {
            "memorization": f"train_tolerance_accuracy >= {_TWO_SIGMA} for 1",
            "grokking": f"{other}_tolerance_accuracy >= {_TWO_SIGMA} for 1",
        }

    def member_data(self, data_key: jax.Array, noise_key: jax.Array) -> dict[str, jax.Array]:
        """Inputs and labels of both splits, and the ``teacher`` [d, output]."""
        import jax
        import jax.numpy as jnp

        def normal(key: jax.Array, *shape: int) -> jax.Array:
            # drawn as float32 in both precisions, which then learn from the same data
            return jax.random.normal(key, shape, jnp.float32).astype(jnp.result_type(float))

        teacher_key, train_key, test_key = jax.random.split(data_key, 3)
        teacher = normal(teacher_key, self.d, self.outputs)
        teacher = teacher / jnp.sqrt(1.0 * self.d * self.outputs) * self.teacher_scale
        train_x, test_x = normal(train_key, self.n_train, self.d), normal(test_key, self.n_test, self.d)
        train_y = self._labels(train_x, teacher)
        train_y = train_y + self.noise * normal(noise_key, *train_y.shape)
        found = {"train_x": train_x, "train_y": train_y, "test_x": test_x}
        return {**found, "test_y": self._labels(test_x, teacher), "teacher": teacher}

    def _labels(self, x: jax.Array, teacher: jax.Array) -> jax.Array:
        import jax.numpy as jnp

        y = x @ teacher
        y = y if self.teacher == "linear" else jnp.square(y)
        return y[:, 0] if self.outputs == 1 else y

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """Axis ``term`` of the three terms of the loss, with one output and a quadratic teacher."""
        return {"term": TERM_LABELS} if self._has_terms else {}

    @property
    def _has_terms(self) -> bool:
        return self.teacher == "quadratic" and self.outputs == 1

    @property
    def population_of_quadratic(self) -> tuple[str, ...]:
        """``loss`` and ``error_terms`` for a quadratic teacher and one output."""
        return ("loss", "error_terms") if self._has_terms else ()

    @property
    def population_names(self) -> tuple[str, ...]:
        """``loss``; for a linear teacher also ``error_variance`` and ``error_mean``: errors are Gaussian.

        For a quadratic teacher and one output ``error_terms``, [term].
        """
        if self.teacher == "linear":
            return ("loss", "error_variance", "error_mean")
        return ("loss", "error_terms") if self._has_terms else ("loss",)

    def population(self, network: Any, loss: Any, data: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """The squared loss over all inputs; of a linear teacher also variance (mean of outputs) and mean."""
        import jax.numpy as jnp

        del loss  # the squared error: see population_losses
        from grokscope.models.networks.scaled import has_form

        teacher = data["teacher"]
        if not has_form(network, "affine"):
            terms = _error_terms(*network.quadratic_form, teacher[:, 0])
            return {"loss": jnp.sum(terms), "error_terms": terms}
        weight, bias = network.affine
        if self.teacher == "linear":
            variance = jnp.mean(jnp.sum(jnp.square(weight - teacher), axis=0))
            total = variance + jnp.mean(jnp.square(bias))
            return {"loss": total, "error_variance": variance, "error_mean": bias}
        size = jnp.sum(jnp.square(teacher), axis=0)
        each = jnp.sum(jnp.square(weight), axis=0) + jnp.square(bias - size) + 2 * jnp.square(size)
        if not self._has_terms:
            return {"loss": jnp.mean(each)}
        none = jnp.zeros((self.d, self.d), weight.dtype)
        return {
            "loss": jnp.mean(each),
            "error_terms": _error_terms(bias[0], weight[:, 0], none, teacher[:, 0]),
        }


def _error_terms(constant: jax.Array, linear: jax.Array, matrix: jax.Array, teacher: jax.Array) -> jax.Array:
    """The terms of the squared error of $c + b x + x^T A x$ against $(t x)^2$ over $x \sim N(0, I)$, [term]."""
    import jax.numpy as jnp

    error = matrix - jnp.outer(teacher, teacher)
    mean = constant + jnp.trace(error)
    return jnp.stack(
        [jnp.square(mean), 2 * jnp.sum(jnp.square(error)), jnp.sum(jnp.square(linear))],
    )
