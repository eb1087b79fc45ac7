"""The conformance checks for losses and penalties: `check_loss`, `check_penalty`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from grokscope.losses._loss import Loss
from grokscope.losses.penalties import NoPenalty, Penalty
from grokscope.spec.checking import Checker, same_numbers

if TYPE_CHECKING:
    import jax

__all__ = ["check_loss", "check_penalty"]

_check = Checker("check_loss")
_check_penalty = Checker("check_penalty")
_N_SAMPLES, _N_OUTPUTS = 8, 3
_STEP = 1e-5  # of the finite differences
_LARGE = 1e4


def check_loss(loss: Loss) -> None:
    """Check that a loss keeps the contract of `Loss`, on each kind of labels that it is for.

    Signs, classes, real numbers and real vectors: one float per sample, of the type of the outputs (float32
    and float64), which depends on that sample only; its gradient is that of finite differences, in float64;
    loss and gradient are finite for outputs up to 10,000. The same numbers under ``jit`` and where the
    numbers in ``traced`` are traced values.

    Raises:
        AssertionError: naming the violation, in one line.

    Example:
        >>> from grokscope.losses import Logistic
        >>> check_loss(Logistic())
    """
    import jax

    _check.part(loss, Loss)
    allowed = ("sign", "class", "real", "any")
    _check(loss.labels in allowed, f"labels must be one of {', '.join(allowed)} (got {loss.labels!r})")
    for what, (f, y) in _cases(loss.labels).items():
        _check_values(loss, what, f.astype(np.float32), y)
        with jax.enable_x64(True):
            _check_gradient(loss, what, f, y)


def _cases(labels: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Outputs and labels in float64, by what they are."""
    rng = np.random.default_rng(5)
    f, rows = 2 * rng.normal(size=_N_SAMPLES), 2 * rng.normal(size=(_N_SAMPLES, _N_OUTPUTS))
    every = {
        "signs": (f, rng.choice([-1.0, 1.0], _N_SAMPLES)),
        "classes": (rows, rng.integers(0, _N_OUTPUTS, _N_SAMPLES).astype(np.int32)),
        "real numbers": (f, rng.normal(size=_N_SAMPLES)),
        "real vectors": (rows, rng.normal(size=rows.shape)),
    }
    names = {"sign": ("signs",), "class": ("classes",), "real": ("real numbers", "real vectors")}
    return {name: every[name] for name in names.get(labels, every)}


def _check_values(loss: Loss, what: str, f: np.ndarray, y: np.ndarray) -> None:
    import jax
    import jax.numpy as jnp

    labels = y if y.dtype.kind == "i" else y.astype(np.float32)
    with _check.calling(f"per_sample on {what}"):
        each = jax.eval_shape(loss.per_sample, f, labels)
    shape = getattr(each, "shape", type(each).__name__)
    _check(shape == (_N_SAMPLES,), f"per_sample on {what} gives shape {shape}, not {(_N_SAMPLES,)}")
    _check(each.dtype == f.dtype, f"per_sample on {what} gives {each.dtype} for outputs of {f.dtype}")

    @jax.jit
    def both(numbers: dict[str, float], f: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
        traced = loss.with_traced(numbers)
        return traced.per_sample(f, y), jax.grad(lambda f: jnp.sum(traced.per_sample(f, y)))(f)

    numbers = _check.traced(loss)
    values, _ = both(numbers, f, labels)
    plain = loss.per_sample(jnp.asarray(f), jnp.asarray(labels))
    _check(
        same_numbers(values, plain),
        f"per_sample on {what} gives other numbers under jit, or with traced numbers",
    )
    other_f, other_y = np.roll(f, 1, axis=0), np.roll(labels, 1, axis=0)
    other_f[0], other_y[0] = f[0], labels[0]
    first = both(numbers, other_f, other_y)[0][0]
    _check(same_numbers(values[0], first), f"the loss of a sample depends on other samples ({what})")
    for sign in (1, -1):
        far = (sign * _LARGE * np.sign(f)).astype(f.dtype)
        value, gradient = both(numbers, far, labels)
        _check.finite(value, f"the loss of outputs of size {_LARGE:g} ({what})")
        _check.finite(gradient, f"the gradient at outputs of size {_LARGE:g} ({what})")


def _check_gradient(loss: Loss, what: str, f: np.ndarray, y: np.ndarray) -> None:
    """Compare with central differences; called in float64."""
    import jax
    import jax.numpy as jnp

    value = jax.jit(loss.per_sample)
    found = value(f, y)
    _check(found.dtype == np.float64, f"per_sample on {what} gives {found.dtype} for outputs of float64")
    _check.finite(found, f"the loss ({what})")
    labels = jnp.asarray(y)
    gradient = np.asarray(jax.grad(lambda f: jnp.sum(loss.per_sample(f, labels)))(jnp.asarray(f)))
    _check.finite(gradient, f"the gradient ({what})")
    for place in [(slice(None), i) for i in range(f.shape[1])] if f.ndim > 1 else [(slice(None),)]:
        move = np.zeros_like(f)
        move[place] = _STEP
        slope = np.asarray(value(f + move, y) - value(f - move, y)) / (2 * _STEP)
        right = np.allclose(gradient[place], slope, rtol=1e-4, atol=1e-6)
        _check(right, f"the gradient differs from finite differences ({what})")


def check_penalty(penalty: Penalty, network: Any = None) -> None:
    """Check that a penalty keeps the contract of `Penalty`, on a small network.

    A finite scalar of the type of the parameters, in float32 and float64, which depends on them; its gradient
    is that of finite differences, in float64, and finite where all parameters are 0. The same numbers under
    ``jit`` and where the numbers in ``traced`` are traced values.

    Args:
        penalty: the penalty.
        network: a network of another kind than one with a hidden layer, if it is only for these.

    Raises:
        AssertionError: naming the violation, in one line.

    Example:
        >>> from grokscope.losses import NeuronNormPenalty
        >>> check_penalty(NeuronNormPenalty(power=3.0))
    """
    import jax
    import jax.numpy as jnp

    check = _check_penalty
    check.part(penalty, Penalty)
    network = _small_network() if network is None else network
    numbers = check.traced(penalty)
    for precision in ("float32", "float64"):
        with jax.enable_x64(precision == "float64"):
            theta = jax.tree.map(lambda leaf, t=precision: jnp.asarray(np.asarray(leaf), t), network)
            with check.calling("the penalty"):
                value = penalty(theta)
            check(jnp.shape(value) == (), f"the penalty has shape {jnp.shape(value)}, not ()")
            check(
                value.dtype == precision or isinstance(penalty, NoPenalty),
                f"it is {value.dtype} in a run of {precision}",
            )
            check.finite(value, "the penalty")
            traced = jax.jit(lambda numbers, theta: penalty.with_traced(numbers)(theta))(numbers, theta)
            check(same_numbers(value, traced), "it is another number under jit, or with traced numbers")
            zero = jax.grad(penalty)(jax.tree.map(jnp.zeros_like, theta))
            check.finite(zero, "the gradient where all parameters are 0")
            if precision == "float64":
                _check_slopes(penalty, theta)


class _SmallNetwork(NamedTuple):
    """The parameters of one hidden layer, by the names of `grokscope.models.networks.neurons.HasNeurons`."""

    hidden_weight: Any
    hidden_bias: Any
    output_weight: Any

    @property
    def incoming(self) -> Any:
        return self.hidden_weight

    @property
    def incoming_bias(self) -> Any:
        return self.hidden_bias

    @property
    def outgoing(self) -> Any:
        return self.output_weight


def _small_network() -> _SmallNetwork:
    rng = np.random.default_rng(5)
    return _SmallNetwork(*(rng.normal(size=shape) for shape in ((4, 3), (3,), (3, 2))))


def _check_slopes(penalty: Penalty, theta: Any) -> None:
    """Compare the gradient with central differences along two directions; called in float64."""
    import jax

    value = jax.jit(penalty)
    gradient = jax.grad(penalty)(theta)
    rng = np.random.default_rng(6)
    for _ in range(2):
        move = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), theta)
        ends = [value(jax.tree.map(lambda a, b, s=s: a + s * _STEP * b, theta, move)) for s in (1, -1)]
        slope = float(ends[0] - ends[1]) / (2 * _STEP)
        dots = jax.tree.map(lambda a, b: float(np.sum(np.asarray(a) * b)), gradient, move)
        found = sum(jax.tree.leaves(dots))
        right = np.allclose(found, slope, rtol=1e-4, atol=1e-8)
        _check_penalty(right, "the gradient differs from finite differences")
    moved = isinstance(penalty, NoPenalty) or any(np.any(leaf) for leaf in jax.tree.leaves(gradient))
    _check_penalty(moved, "it does not depend on the parameters")
