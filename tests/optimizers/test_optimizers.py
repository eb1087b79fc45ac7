"""Updates of every optimizer and rate schedule against their formulas in plain numpy.

What every optimizer must do is checked in ``test_conformance.py``. Whole runs against PyTorch are in
``learners/test_gradient.py``.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from grokscope.errors import InputError
from grokscope.optimizers import SGD, Adam, AdamW, Constant, Cosine, Grokfast, Linear, Muon, Steps
from grokscope.optimizers.grokfast import amplify_window_mean
from grokscope.spec.parts import kinds

OPTIMIZERS = [
    SGD(),
    SGD(weight_decay=0.05),
    SGD(momentum=0.9, learning_rate=0.02),
    SGD(momentum=0.5, weight_decay=0.05, decay="decoupled"),
    SGD(schedule=Constant(warmup=10)),
    SGD(schedule=Linear(last=0.5)),
    SGD(schedule=Steps(at=[20, 30], by=0.5)),
    Adam(learning_rate=0.05),
    Adam(learning_rate=0.05, weight_decay=0.01, beta1=0.8, beta2=0.9),
    Adam(learning_rate=0.05, schedule=Cosine(warmup=5, warmup_from_zero=True)),
    AdamW(learning_rate=0.05),
    AdamW(learning_rate=0.05, weight_decay=0.1),
    Grokfast(learning_rate=0.05, weight_decay=0.01, alpha=0.9, lamb=3.0),
    Grokfast(learning_rate=0.05, weight_decay=0.1, decay="decoupled", schedule=Linear()),
    Grokfast(learning_rate=0.02, weight_decay=0.01, window=7, lamb=3.0),
    Grokfast(learning_rate=0.02, weight_decay=0.1, decay="decoupled", window=1),
    Muon(learning_rate=0.03, weight_decay=0.1, adam_learning_rate=0.05, beta1=0.8),
    Muon(learning_rate=0.05, adam_learning_rate=0.06, momentum=0.5, schedule=Cosine()),
    SGD(momentum=0.5, learning_rate=0.02, weight_decay=0.5, no_decay=["a"], clip_norm=0.5),
    AdamW(learning_rate=0.05, weight_decay=0.1, no_decay=["b*"], clip_norm=3.0),
    Grokfast(learning_rate=0.05, weight_decay=0.1, alpha=0.9, no_decay=["a"]),
    Muon(learning_rate=0.03, weight_decay=0.1, adam_learning_rate=0.05, no_decay=["b"]),
    SGD(momentum=0.5, learning_rate=0.02, weight_decay=0.5, decay_towards="initial"),
    SGD(learning_rate=0.02, weight_decay=0.5, decay="decoupled", decay_towards="initial", no_decay=["a"]),
    Adam(learning_rate=0.05, weight_decay=0.5, decay_towards="initial", clip_norm=0.5),
    AdamW(learning_rate=0.05, weight_decay=0.5, decay_towards="initial"),
    Muon(learning_rate=0.03, weight_decay=0.5, adam_learning_rate=0.05, decay_towards="initial"),
    SGD(momentum=0.5, learning_rate=0.02, weight_decay=0.5, perpendicular="rescaled", clip_norm=0.5),
    AdamW(learning_rate=0.05, weight_decay=0.1, perpendicular="unscaled"),
    Grokfast(learning_rate=0.05, weight_decay=0.1, alpha=0.9, perpendicular="rescaled", no_decay=["a"]),
    AdamW(learning_rate=0.05, weight_decay=0.5, perpendicular="unscaled", decay_towards="initial"),
]
N_STEPS = 200
START = {"a": np.array([1.0, -2.0, 3.0]), "b": np.array([[0.5, -0.2, 1.0], [4.0, 0.1, -1.0]])}
CURVATURE = {"a": np.array([1.0, 0.3, 2.0]), "b": np.array([[1.5, 1.0, 0.5], [0.7, 2.0, 1.0]])}


def quadratic(theta):
    return sum(jnp.sum(0.5 * CURVATURE[name] * theta[name] ** 2) for name in theta)


def descend(optimizer, n_steps=N_STEPS):
    """Parameters after every step of gradient descent on the quadratic, with the last state."""
    step = optimizer.whole_transform(N_STEPS)
    theta = jax.tree.map(jnp.asarray, START)

    def advance(carry, _):
        theta, state = carry
        updates, state = step.update(jax.grad(quadratic)(theta), state, theta)
        theta = optax.apply_updates(theta, updates)
        return (theta, state), theta

    (_, state), path = jax.lax.scan(advance, (theta, step.init(theta)), length=n_steps)
    return path, state


def by_hand(optimizer, n_steps=N_STEPS):
    """The same, from the formulas of the papers, one number at a time."""
    theta = {name: value.copy() for name, value in START.items()}
    memory = {name: np.zeros_like(value) for name, value in theta.items()}
    square = {name: np.zeros_like(value) for name, value in theta.items()}
    slow, last = {}, {}
    for step in range(n_steps):
        gradients = {name: CURVATURE[name] * value for name, value in theta.items()}
        norm = math.sqrt(sum(np.square(gradient).sum() for gradient in gradients.values()))
        clip = math.inf if optimizer.clip_norm is None else optimizer.clip_norm
        for name, value in theta.items():
            is_listed = any(pattern.strip("*") == name for pattern in optimizer.no_decay)
            decay = 0.0 if is_listed else optimizer.weight_decay
            gradient = gradients[name] * min(1.0, clip / (norm + 1e-6))
            if optimizer.perpendicular != "none":
                gradient = perpendicular(gradient, value, optimizer.perpendicular == "rescaled")
            rate = optimizer.learning_rate * factor(optimizer.schedule, step)
            if isinstance(optimizer, Grokfast) and optimizer.window is not None:
                last.setdefault(name, []).append(gradient)  # every one
                mean = np.mean(last[name][-optimizer.window :], axis=0)
                is_full = len(last[name]) >= optimizer.window
                gradient = gradient + optimizer.lamb * mean * is_full
            elif isinstance(optimizer, Grokfast):
                before = slow.get(name, gradient)  # the average starts as the first gradient
                slow[name] = optimizer.alpha * before + (1 - optimizer.alpha) * gradient
                gradient = gradient + optimizer.lamb * slow[name]
            if isinstance(optimizer, Muon) and value.ndim == 1:
                rate *= optimizer.adam_learning_rate / optimizer.learning_rate
            coupled = isinstance(optimizer, Adam) or getattr(optimizer, "decay", "") == "coupled"
            pull = decay * (value - START[name] if optimizer.decay_towards == "initial" else value)
            if coupled:
                gradient = gradient + pull
            if isinstance(optimizer, SGD):
                memory[name] = (optimizer.momentum or 0.0) * memory[name] + gradient
                move = memory[name]
            elif isinstance(optimizer, Muon) and value.ndim == 2:
                beta = optimizer.momentum
                memory[name] = beta * memory[name] + (1 - beta) * gradient
                ahead = beta * memory[name] / (1 - beta ** (step + 2))
                move = orthogonalized(ahead + (1 - beta) * gradient / (1 - beta ** (step + 1)))
                move *= math.sqrt(max(1, value.shape[1] / value.shape[0]))
            else:
                b1, b2 = optimizer.beta1, optimizer.beta2
                memory[name] = b1 * memory[name] + (1 - b1) * gradient
                square[name] = b2 * square[name] + (1 - b2) * gradient**2
                mean, spread = memory[name] / (1 - b1 ** (step + 1)), square[name] / (1 - b2 ** (step + 1))
                move = mean / (np.sqrt(spread) + optimizer.epsilon)
            if not coupled:
                move = move + pull
            theta[name] = value - rate * move
    return theta


def comparable(optimizer):
    """For how many steps two computations agree.

    Muon's have one size, and are chaotic at the minimum; so are rescaled gradients, which do not vanish.
    """
    if optimizer.perpendicular == "rescaled":
        return 20
    return 50 if isinstance(optimizer, Muon) else N_STEPS


def perpendicular(gradient, value, rescale):
    """What is left of the gradient along an orthonormal basis without the direction of the parameter."""
    size = value.size
    basis = np.linalg.qr(np.column_stack([value.ravel(), np.eye(size)]))[0][:, 1:]
    rest = basis @ (basis.T @ gradient.ravel())
    if rescale:
        rest *= np.linalg.norm(gradient) / np.linalg.norm(rest)
    return rest.reshape(value.shape)


def orthogonalized(matrix):
    """Five Newton-Schulz steps, done on the singular values alone."""
    u, s, vt = np.linalg.svd(matrix, full_matrices=False)
    s = s / (np.linalg.norm(s) + 1e-8)
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return u @ np.diag(s) @ vt


def factor(schedule, step):
    """The rate schedules from their descriptions."""
    first = 0 if schedule.warmup_from_zero else 1
    warm = min(1.0, (step + first) / schedule.warmup) if schedule.warmup else 1.0
    if isinstance(schedule, Linear):
        return warm * min(1.0, (N_STEPS - step) / (schedule.last * N_STEPS))
    if isinstance(schedule, Cosine):
        return warm * (1 + math.cos(math.pi * step / N_STEPS)) / 2
    if isinstance(schedule, Steps):
        return warm * schedule.by ** sum(step >= at for at in schedule.at)
    return warm


@pytest.mark.usefixtures("registry")
def test_every_kind_runs_through_the_suite():
    assert {optimizer.kind for optimizer in OPTIMIZERS} == kinds("optimizer").keys()
    assert {optimizer.schedule.kind for optimizer in OPTIMIZERS} == kinds("rate_schedule").keys()


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_follows_its_formula(optimizer):
    with jax.enable_x64(True):
        path, _ = descend(optimizer)
        steps = comparable(optimizer)
        for name, value in by_hand(optimizer, steps).items():
            # Parameters start near 1 and end near 0, so what is lost to rounding on the way (other processors
            # round sums otherwise) is a share of 1, not of what is left.
            np.testing.assert_allclose(path[name][steps - 1], value, rtol=1e-9, atol=1e-10)


def test_a_window_forgets_large_gradients():
    """In float32: after gradients of size 1 those of size 1e-9 have their own mean, one turn later."""
    window, rng = 7, np.random.default_rng(0)
    gradients = rng.normal(size=(60, 3)).astype(np.float32)
    gradients[30:] *= 1e-9
    filtered = amplify_window_mean(window, 2.0)
    _, found = jax.lax.scan(
        lambda state, g: filtered.update(g, state)[::-1], filtered.init(gradients[0]), gradients
    )
    for step in (5, 6, 20, 29, 43, 44, 59):  # before the window is full, when it is, ... after the change
        mean = gradients[max(0, step + 1 - window) : step + 1].astype(np.float64).mean(axis=0)
        wanted = gradients[step] + 2.0 * mean * (step + 1 >= window)
        np.testing.assert_allclose(found[step], wanted, rtol=1e-4, atol=1e-15)


def test_a_window_and_alpha_exclude_each_other():
    with pytest.raises(InputError, match="alpha is for the exponential average; with a window leave it out"):
        Grokfast(window=10, alpha=0.9)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_traced_rates_give_the_numbers_of_plain_ones(optimizer):
    with jax.enable_x64(True):
        given = {name: getattr(optimizer, name) for name in optimizer.traced}
        numbers = {name: jnp.asarray(value) for name, value in given.items() if value is not None}
        assert {"learning_rate", "weight_decay"} <= numbers.keys()
        plain, _ = descend(optimizer)
        traced = jax.jit(lambda numbers: descend(optimizer.with_traced(numbers))[0])(numbers)
        for name in plain:
            steps = slice(comparable(optimizer))
            np.testing.assert_allclose(traced[name][steps], plain[name][steps], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_members_with_other_rates_share_one_program(optimizer):
    with jax.enable_x64(True):
        rates, steps = jnp.asarray([0.5, 1.0]) * optimizer.learning_rate, comparable(optimizer)

        @jax.jit
        @jax.vmap
        def last(rate):
            path, _ = descend(optimizer.with_traced({"learning_rate": rate}))
            return path["a"][steps - 1]

        for i, rate in enumerate(rates.tolist()):
            alone = by_hand(type(optimizer)(**{**dict(optimizer), "learning_rate": rate}), steps)
            np.testing.assert_allclose(last(rates)[i], alone["a"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "schedule", [Linear(), Linear(last=0.1), Cosine(), Cosine(warmup=3), Constant(warmup=2)]
)
def test_rate_schedules_of_very_long_runs(schedule):
    # steps are int32 inside the program; the length may be more than that holds
    early, late = (float(schedule(jnp.int32(step), 10**12)) for step in (5, 2**31 - 2))
    assert early == pytest.approx(1.0)
    assert late == pytest.approx(1.0, abs=0.01)


@pytest.mark.torch
def test_a_warm_up_from_zero_is_that_of_pytorch_codes():
    import torch

    theta = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([theta], lr=1.0)
    theirs = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: min(s / 10, 1))
    schedule = Constant(warmup=10, warmup_from_zero=True)
    for step in range(15):
        assert float(schedule(step, 15)) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-7)
        optimizer.step()
        theirs.step()


@pytest.mark.parametrize("schedule", [Linear(), Linear(last=0.25), Cosine(), Constant()])
def test_rate_schedules_start_at_the_full_rate_and_end_low(schedule):
    factors = np.array([float(schedule(step, 100)) for step in range(101)])
    assert factors[0] == 1.0
    assert np.all(np.diff(factors) <= 0)
    assert factors[-1] == (1.0 if isinstance(schedule, Constant) else pytest.approx(0.0, abs=1e-7))
    assert schedule.depends_on_length is not isinstance(schedule, Constant)


def test_steps_of_a_schedule_are_in_order():
    for at in ([5, 3], [3, 3], [0, 4]):
        with pytest.raises(InputError, match=r"schedule\.at: must have steps from 1 on, each later than"):
            Steps(at=at)
    assert float(Steps()(5, 10)) == 1.0


@pytest.mark.parametrize("how", ["rescaled", "unscaled"])
def test_the_perpendicular_gradient_has_no_component_along_the_parameter(how):
    rng = np.random.default_rng(4)
    theta = {"w": jnp.asarray(rng.normal(size=(30, 20)), jnp.float32), "b": jnp.zeros(20), "c": jnp.ones(1)}
    g = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), theta)
    g["w"] += 10 * theta["w"]  # mostly along it
    step = SGD(learning_rate=1.0, perpendicular=how).whole_transform(1)
    update, _ = jax.jit(step.update)(g, step.init(theta), theta)
    rest, w = -np.asarray(update["w"], np.float64), np.asarray(theta["w"], np.float64)
    assert abs((rest * w).sum()) < 1e-5 * np.linalg.norm(rest) * np.linalg.norm(w)
    sizes = np.linalg.norm(rest), np.linalg.norm(g["w"])
    assert sizes[0] == pytest.approx(sizes[1], rel=1e-5) if how == "rescaled" else sizes[0] < 0.2 * sizes[1]
    for name in ("b", "c"):  # no direction to leave out
        np.testing.assert_allclose(-update[name], g[name], rtol=1e-6)
    nothing, _ = step.update(jax.tree.map(jnp.zeros_like, g), step.init(theta), theta)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(nothing))


@pytest.mark.torch
def test_a_perpendicular_step_is_that_of_pytorch():
    import torch

    rng = np.random.default_rng(5)
    start, slopes = rng.normal(size=(4, 3)), rng.normal(size=(9, 4, 3))
    with jax.enable_x64(True):
        optimizer = AdamW(learning_rate=0.1, weight_decay=0.2, perpendicular="rescaled")
        step = optimizer.whole_transform(9)
        theta = jnp.asarray(start)
        state = step.init(theta)
        other = torch.nn.Parameter(torch.tensor(start))
        base = torch.optim.AdamW([other], lr=0.1, weight_decay=0.2)
        for slope in slopes:
            update, state = step.update(jnp.asarray(slope), state, theta)
            theta = theta + update
            w, g = other.detach().flatten(), torch.tensor(slope).flatten()
            rest = g - torch.dot(w, g) / torch.dot(w, w) * w
            other.grad = (rest * g.norm() / rest.norm()).reshape(4, 3)
            base.step()
        np.testing.assert_allclose(theta, other.detach().numpy(), rtol=1e-9)
