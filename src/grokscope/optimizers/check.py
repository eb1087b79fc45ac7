"""The conformance checks for optimizers and rate schedules: `check_optimizer`, `check_rate_schedule`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.optimizers._optimizer import Optimizer
from grokscope.optimizers.rate_schedules import RateSchedule
from grokscope.optimizers.sgd import SGD
from grokscope.spec.checking import Checker, as_arrays, from_arrays, same_bits, same_numbers

if TYPE_CHECKING:
    import jax

__all__ = ["check_optimizer", "check_rate_schedule"]

_check = Checker("check_optimizer")
_check_schedule = Checker("check_rate_schedule")
_N_STEPS = 200
_RATES = (1.0, 0.3, 0.1, 0.03, 0.01)
_LEFT = 0.05  # of the loss at the start, what may be left at the end
# A matrix and a vector, far from and near to the minimum at 0: a rate for vectors may be small.
_START = {"weight": np.array([[0.5, -0.2, 1.0], [4.0, 0.1, -1.0]]), "bias": np.array([0.1, -0.2, 0.15])}
_CURVATURE = {"weight": np.array([[1.5, 1.0, 0.5], [0.7, 2.0, 1.0]]), "bias": np.array([1.0, 0.3, 2.0])}


def check_optimizer(optimizer: Optimizer) -> None:
    """Check that an optimizer keeps the contract of `Optimizer`, on a small convex problem.

    It converges at some learning rate. Updates have the types of the parameters, in float32 and float64. Its
    state is arrays of fixed shapes: stored and read again, it continues with the same bits. Parameters that
    are masked stay zero, and nothing is infinite where a gradient is zero. The numbers in ``traced`` may be
    traced values. Weight decay pulls parameters towards zero, or towards
    those at the start (``decay_towards``); where a field ``decay`` says ``coupled`` or
    ``decoupled``, it is added to the gradient, or to the update.

    Raises:
        AssertionError: naming the violation, in one line.

    Example:
        >>> check_optimizer(SGD(learning_rate=0.1, momentum=0.9))
    """
    _check.part(optimizer, Optimizer)
    _check_types(optimizer)
    _check_convergence(optimizer)
    _check_state(optimizer)
    _check_masks(optimizer)
    _check_decay(optimizer)
    _check_decay_towards_initial(optimizer)


def _start(precision: str = "float32") -> dict[str, Any]:
    return {name: value.astype(precision) for name, value in _START.items()}


def _losses(theta: Any) -> dict[str, Any]:
    return {name: 0.5 * (_CURVATURE[name].astype(leaf.dtype) * leaf**2).sum() for name, leaf in theta.items()}


def _advanced(
    optimizer: Optimizer, theta: Any, state: Any, n_steps: int, mask: Any = None
) -> tuple[Any, Any]:
    """Parameters and state after some steps on the quadratic; called inside jit."""
    import jax
    import optax

    transform = optimizer.transform(_N_STEPS)

    def loss(theta: Any) -> jax.Array:
        seen = theta if mask is None else jax.tree.map(lambda leaf, one: leaf * one, theta, mask)
        return sum(_losses(seen).values(), start=jax.numpy.zeros(()))

    def step(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], None]:
        theta, state = carry
        updates, state = transform.update(jax.grad(loss)(theta), state, theta)
        return (optax.apply_updates(theta, updates), state), None

    return jax.lax.scan(step, (theta, state), length=n_steps)[0]


def _check_types(optimizer: Optimizer) -> None:
    import jax
    import optax

    for precision in ("float32", "float64"):
        with jax.enable_x64(precision == "float64"):
            theta = _start(precision)
            with _check.calling("transform"):
                transform: Any = optimizer.transform(_N_STEPS)
            kind = type(transform).__name__
            _check(
                isinstance(transform, optax.GradientTransformation),
                f"transform must return an optax transformation, not {kind}",
            )
            with _check.calling("init of its transform"):
                state = jax.jit(transform.init)(theta)
            with _check.calling("update of its transform"):
                updates, after = jax.eval_shape(transform.update, theta, state, theta)
            _check.tree(updates, theta, f"the updates in {precision}")
            _check.tree(after, state, f"its state after an update in {precision}")


def _check_convergence(optimizer: Optimizer) -> None:
    import jax
    import jax.numpy as jnp

    numbers = _check.traced(optimizer)
    missing = {"learning_rate", "weight_decay"} - numbers.keys()
    lacking = ", ".join(sorted(missing))
    _check(not missing, f"traced lacks {lacking}: a sweep over it would compile a program for each value")
    rates = jnp.asarray([optimizer.learning_rate, *_RATES])
    theta = jax.tree.map(jnp.asarray, _start())

    @jax.jit
    def ends(numbers: dict[str, Any], rates: jax.Array) -> Any:
        def end(rate: jax.Array) -> Any:
            one = optimizer.with_traced({**numbers, "weight_decay": 0.0 * rate, "learning_rate": rate})
            return _losses(_advanced(one, theta, one.transform(_N_STEPS).init(theta), _N_STEPS)[0])

        # the last: its own numbers, traced
        own = optimizer.with_traced(numbers)
        return jax.vmap(end)(rates), _advanced(own, theta, own.transform(_N_STEPS).init(theta), 3)[0]

    with _check.calling("a run with traced numbers"):
        after, traced = ends({name: jnp.asarray(value) for name, value in numbers.items()}, rates)
    before = _losses(_start())
    left = sum(np.asarray(value) for value in after.values()) / sum(before.values())
    good = left < _LEFT
    tried = ", ".join(f"{rate:g}" for rate in np.asarray(rates))
    _check(
        bool(np.any(good)),
        f"does not converge on a quadratic: {np.nanmin(np.append(left, np.inf)):.2g} of the loss or more is "
        f"left after {_N_STEPS} steps at the learning rates {tried}",
    )
    for name, value in after.items():
        falls = (np.asarray(value) < before[name])[good].any()
        _check(falls, f"does not train the parameter '{name}' ({_START[name].ndim}-dimensional)")

    plain = jax.jit(lambda: _advanced(optimizer, theta, optimizer.transform(_N_STEPS).init(theta), 3)[0])()
    _check(
        same_numbers(plain, traced, rtol=1e-4, atol=1e-5),
        "gives other numbers where its numbers are traced values",
    )


def _check_state(optimizer: Optimizer) -> None:
    import jax
    import jax.numpy as jnp

    theta = jax.tree.map(jnp.asarray, _start())
    state = optimizer.transform(_N_STEPS).init(theta)

    def program() -> Any:
        return jax.jit(lambda theta, state: _advanced(optimizer, theta, state, 4))

    once = program()
    middle = once(theta, state)
    end = once(*middle)
    # as after a restart: the state is read from plain arrays, by a program that is traced anew
    resumed = program()(*from_arrays(as_arrays(middle), middle))
    _check(same_bits(end, resumed), "a run that continues from its stored state has other bits")


def _check_masks(optimizer: Optimizer) -> None:
    import jax
    import jax.numpy as jnp

    theta = jax.tree.map(jnp.asarray, _start())
    mask = {"weight": jnp.asarray([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]), "bias": jnp.zeros(3)}
    state = optimizer.transform(_N_STEPS).init(theta)
    after, state = jax.jit(lambda theta, state: _advanced(optimizer, theta, state, 5, mask))(theta, state)
    _check.finite(after, "a parameter whose gradient is zero (masked)")
    _check.finite(state, "its state where a gradient is zero (masked)")
    zero = all(
        bool((np.asarray(after[name] * mask[name])[np.asarray(mask[name]) == 0] == 0).all()) for name in mask
    )
    _check(zero, "a masked parameter is not zero")


def _check_decay(optimizer: Optimizer) -> None:
    """Compare first updates: with and without weight decay, at zero and at other gradients."""
    import jax
    import jax.numpy as jnp

    theta = jax.tree.map(jnp.asarray, _start())
    decay = 0.25

    @jax.jit
    def first(decay: jax.Array, gradient: Any) -> Any:
        transform = optimizer.with_traced({"weight_decay": decay}).transform(_N_STEPS)
        return transform.update(gradient, transform.init(theta), theta)[0]

    nothing = jax.tree.map(jnp.zeros_like, theta)
    still, shrinks = first(jnp.asarray(0.0), nothing), first(jnp.asarray(decay), nothing)
    for name, leaf in shrinks.items():
        _check.finite(leaf, f"the update of '{name}' at a gradient of zero")
        _check(not np.any(still[name]), f"moves '{name}' at a gradient of zero, without weight decay")
        inwards = np.sign(leaf) == -np.sign(theta[name])
        _check(inwards.all(), f"weight_decay = {decay} does not pull '{name}' towards zero")
    said = getattr(optimizer, "decay", None)
    gradient = jax.tree.map(
        lambda leaf: 1.0 + jnp.arange(leaf.size, dtype=leaf.dtype).reshape(leaf.shape), theta
    )
    if said == "decoupled":
        with_decay, without = first(jnp.asarray(decay), gradient), first(jnp.asarray(0.0), gradient)
        for name, leaf in theta.items():
            share = (np.asarray(with_decay[name]) - np.asarray(without[name])) / np.asarray(leaf)
            even = np.allclose(share, share.flat[0], rtol=1e-2, atol=1e-6) and share.flat[0] < 0
            _check(
                even, f"decay = 'decoupled', but the update of '{name}' is not lowered in proportion to it"
            )
    if said == "coupled":
        added = first(jnp.asarray(0.0), jax.tree.map(lambda leaf: decay * leaf, theta))
        same = same_numbers(shrinks, added, rtol=1e-2)
        _check(
            same, "decay = 'coupled', but weight decay does not act as a gradient of weight_decay * parameter"
        )


def _check_decay_towards_initial(optimizer: Optimizer) -> None:
    """Compare updates at a gradient of zero: at the start, and away from it."""
    import jax
    import jax.numpy as jnp

    theta = jax.tree.map(jnp.asarray, _start())
    one = optimizer.model_copy(
        update={"decay_towards": "initial", "weight_decay": 0.25, "no_decay": (), "clip_norm": None}
    )

    @jax.jit
    def first(now: Any) -> Any:
        transform = one.whole_transform(_N_STEPS)
        return transform.update(jax.tree.map(jnp.zeros_like, now), transform.init(theta), now)[0]

    with _check.calling("a run with decay_towards = 'initial'"):
        at_start, away = first(theta), first(jax.tree.map(lambda leaf: -leaf, theta))
    for name, leaf in away.items():
        still = not np.any(at_start[name])
        _check(still, f"decay_towards = 'initial' moves '{name}' where it is at its start")
        back = np.sign(leaf) == np.sign(theta[name])
        _check(back.all(), f"decay_towards = 'initial' does not pull '{name}' towards its start")


def check_rate_schedule(schedule: RateSchedule) -> None:
    """Check that a rate schedule keeps the contract of `RateSchedule`.

    The factor is a finite number from 0 on at every step, positive at some; the same where the step is a
    traced value, and in an optimizer; it depends on the length of the run only if ``depends_on_length`` says
    so.

    Raises:
        AssertionError: naming the violation, in one line.

    Example:
        >>> from grokscope.optimizers import Cosine
        >>> check_rate_schedule(Cosine(warmup=10))
    """
    import jax
    import jax.numpy as jnp

    check = _check_schedule
    check.part(schedule, RateSchedule)
    n_steps = 40
    steps = np.arange(n_steps, dtype=np.int32)
    with check.calling("the factor"):
        each = [schedule(int(step), n_steps) for step in steps]
        check(all(np.shape(value) == () for value in each), "the factor must be a number")
        factors = np.array([float(value) for value in each])
        traced = np.array(jax.jit(jax.vmap(lambda step: jnp.asarray(schedule(step, n_steps))))(steps))
        longer = np.array([float(schedule(int(step), 3 * n_steps)) for step in steps])
    check(
        bool(np.isfinite(factors).all()), f"the factor at step {_first(~np.isfinite(factors))} is not finite"
    )
    check(bool((factors >= 0).all()), f"the factor at step {_first(factors < 0)} is negative")
    check(bool((factors > 0).any()), "the factor is 0 at every step")
    check(same_numbers(factors, traced), "the factor is another number where the step is a traced value")
    depends = not same_numbers(factors, longer)
    check(
        schedule.depends_on_length or not depends,
        "the factor depends on n_steps, so depends_on_length must be True (a length is an experiment)",
    )
    for precision in ("float32", "float64"):
        with jax.enable_x64(precision == "float64"):
            theta = jnp.ones((), precision)

            def advance(state: Any, _: None, theta: jax.Array = theta) -> tuple[Any, Any]:
                update, state = (
                    SGD(learning_rate=1.0, schedule=schedule).transform(n_steps).update(theta, state, theta)
                )
                return state, update

            with check.calling("an optimizer with this schedule"):
                state = SGD(schedule=schedule).transform(n_steps).init(theta)
                updates = jax.lax.scan(advance, state, length=n_steps)[1]
            check(updates.dtype == precision, f"updates are {updates.dtype} in a run of {precision}")
            check(same_numbers(-updates, factors), "an optimizer has other factors than the schedule")


def _first(where: np.ndarray) -> int:
    return int(np.argmax(where))
