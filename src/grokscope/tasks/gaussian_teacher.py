"""Regression: Gaussian inputs, labelled by a random teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from grokscope.tasks._task import Task

if TYPE_CHECKING:
    from typing import Self

    import jax

__all__ = ["GaussianTeacher"]

# erf(sqrt(2)): the probability that a Gaussian lies within two standard deviations
_TWO_SIGMA = 0.9544997361036416
_WIDTHS, _K = (100, 100), 2


class GaussianTeacher(Task):
    r"""Labels of a random teacher for Gaussian inputs: $x \sim N(0, I_d)$, real labels of length m.

    The teacher is drawn from the data stream, as the inputs are; it is never trained. Each member has a
    teacher, training inputs and test inputs of its own. With s = ``teacher_scale`` labels are

    - ``linear``: $y_j = \langle x, t_j \rangle$, with columns $t_j$ of T, [d, m], whose entries are
      $\sim N(0, s^2/(d m))$. The ratio of inputs to samples, d / ``n_train``, decides how a linear student
      learns.
    - ``quadratic``: $y_j = \langle x, t_j \rangle^2$, with the same T.
    - ``parity``: $y_j = s \prod_{i \in S_j} \mathrm{sign}(x_i)$, with a random set $S_j$ of ``k`` inputs.
      The entries of T are 1 for the inputs in $S_j$, else 0.
    - ``mlp``: the outputs of a network of tanh neurons (the model ``mlp``) with ``teacher_widths`` hidden
      layers and PyTorch's default initial parameters, times s. They are the arrays ``teacher.weights.0``,
      ``teacher.biases.0``, ... of the data.

    Expectations over all inputs are exact for networks that are affine functions (the model ``linear``), but
    for the teacher ``mlp``. With $f(x) = x W + b$ the loss ``squared`` is
    $\frac1m (\lVert W - T \rVert_F^2 + \lVert b \rVert^2)$ for a linear teacher,
    $\frac1m \sum_j \lVert w_j \rVert^2 + (b_j - \lVert t_j \rVert^2)^2 + 2 \lVert t_j \rVert^4$ for a
    quadratic one, and $\frac1m \sum_j \lVert w_j \rVert^2 + b_j^2 + s^2$ for a parity of two or more inputs
    (less $2 s \sqrt{2/\pi}\, \langle w_j, t_j \rangle$ in the sum if ``k`` is 1).

    Memorization and grokking are events of `train_tolerance_accuracy` and of `test_tolerance_accuracy` (or,
    without test samples, `population_tolerance_accuracy`): that of $\mathrm{erf}(\sqrt 2)$, 95.4 %, at one
    measured point.

    Attributes:
        d: number of inputs.
        outputs: length m of the labels.
        n_train: number of training samples.
        n_test: number of test samples; 0: none.
        teacher: ``linear``, ``quadratic``, ``parity`` or ``mlp``.
        teacher_scale: s; the expected Frobenius norm of T, the size of a parity's labels, or a factor on all
            parameters of a network.
        noise: standard deviation of Gaussian noise that is added to training labels; from the noise stream.
        teacher_widths: of ``mlp``: neurons of each hidden layer.
        k: of ``parity``: the number of inputs that a label depends on.

    Source: ``linear`` and ``quadratic``: Levi, Beck, Bar-Sinai 2023 (arXiv 2310.16441), Section 2, with
        $s = 1/\sqrt 2$; ``mlp``: Liu, Michaud, Tegmark 2022 (arXiv 2210.01117), Section 3.

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
    younger = ("teacher_widths", "k")

    d: int = Field(default=100, ge=1, le=10**9)
    outputs: int = Field(default=1, ge=1, le=10**6)
    n_train: int = Field(default=200, ge=1, le=10**9)
    n_test: int = Field(default=1000, ge=0, le=10**9)
    teacher: Literal["linear", "quadratic", "parity", "mlp"] = "linear"
    teacher_scale: float = Field(default=1.0, gt=0.0, le=1e6)
    noise: float = Field(default=0.0, ge=0.0, le=1e6)
    teacher_widths: tuple[int, ...] = _WIDTHS
    k: int = Field(default=_K, ge=1, le=10**9)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.teacher != "mlp" and self.teacher_widths != _WIDTHS:
            raise ValueError("teacher_widths is for teacher = 'mlp'")
        if self.teacher != "parity" and self.k != _K:
            raise ValueError("k is for teacher = 'parity'")
        if self.teacher == "parity" and self.k > self.d:
            raise ValueError(f"k must be at most d = {self.d} (got {self.k})")
        if not self.teacher_widths or not all(1 <= width <= 10**7 for width in self.teacher_widths):
            raise ValueError("teacher_widths must have one width from 1 to 10,000,000 for each hidden layer")
        return self

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
        """Inputs and labels of both splits, and the ``teacher``: T, [d, output], or a network's arrays."""
        import jax
        import jax.numpy as jnp

        def normal(key: jax.Array, *shape: int) -> jax.Array:
            # drawn as float32 in both precisions, which then learn from the same data
            return jax.random.normal(key, shape, jnp.float32).astype(jnp.result_type(float))

        teacher_key, train_key, test_key = jax.random.split(data_key, 3)
        if self.teacher == "mlp":
            teacher = self._network(teacher_key)
        else:
            teacher = normal(teacher_key, self.d, self.outputs)
            if self.teacher == "parity":
                ranks = jnp.argsort(jnp.argsort(teacher, axis=0), axis=0)
                teacher = (ranks < self.k).astype(teacher.dtype)
            else:
                teacher = teacher / jnp.sqrt(1.0 * self.d * self.outputs) * self.teacher_scale
        train_x, test_x = normal(train_key, self.n_train, self.d), normal(test_key, self.n_test, self.d)
        train_y = self._labels(train_x, teacher)
        train_y = train_y + self.noise * normal(noise_key, *train_y.shape)
        found = {"train_x": train_x, "train_y": train_y, "test_x": test_x}
        return {**found, "test_y": self._labels(test_x, teacher), **_arrays(teacher)}

    def _network(self, key: jax.Array) -> Any:
        from grokscope.models.mlp import MLP

        model = MLP(widths=self.teacher_widths, activation="tanh")
        return model.with_traced({"init_scale": self.teacher_scale}).network(key, (self.d,), self.outputs)

    def _labels(self, x: jax.Array, teacher: Any) -> jax.Array:
        import jax.numpy as jnp

        if self.teacher == "mlp":
            return teacher(x)
        if self.teacher == "parity":
            signs = jnp.where(x < 0, -1.0, 1.0)[:, :, None]
            y = self.teacher_scale * jnp.prod(jnp.where(teacher > 0, signs, 1.0), axis=1)
        else:
            y = x @ teacher
            y = y if self.teacher == "linear" else jnp.square(y)
        return y[:, 0] if self.outputs == 1 else y

    @property
    def population_names(self) -> tuple[str, ...]:
        """``loss``; for a linear teacher also ``error_variance`` and ``error_mean``: errors are Gaussian.

        For the teacher ``mlp`` none.
        """
        if self.teacher == "mlp":
            return ()
        return ("loss", "error_variance", "error_mean") if self.teacher == "linear" else ("loss",)

    def population(self, network: Any, loss: Any, data: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """The squared loss over all inputs; of a linear teacher also variance (mean of outputs) and mean."""
        import jax.numpy as jnp

        del loss  # the squared error: see population_losses
        (weight, bias), teacher = network.affine, data["teacher"]
        if self.teacher == "linear":
            variance = jnp.mean(jnp.sum(jnp.square(weight - teacher), axis=0))
            total = variance + jnp.mean(jnp.square(bias))
            return {"loss": total, "error_variance": variance, "error_mean": bias}
        own = jnp.sum(jnp.square(weight), axis=0)
        if self.teacher == "parity":
            s = self.teacher_scale
            each = own + jnp.square(bias) + jnp.square(s)
            if self.k == 1:  # a linear function correlates with one sign: E |x_i| = sqrt(2 / pi)
                each = each - 2 * s * jnp.sqrt(2 / jnp.pi) * jnp.sum(weight * teacher, axis=0)
            return {"loss": jnp.mean(each)}
        size = jnp.sum(jnp.square(teacher), axis=0)
        each = own + jnp.square(bias - size) + 2 * jnp.square(size)
        return {"loss": jnp.mean(each)}


def _arrays(teacher: Any) -> dict[str, jax.Array]:
    """The arrays of a teacher by name, for the data of a member."""
    from grokscope.models.networks.parameters import named_leaves

    leaves = named_leaves(teacher)
    return {f"teacher.{name}".removesuffix("."): leaf for name, leaf in leaves.items()}
