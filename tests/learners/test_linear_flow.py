"""Linear regression in the eigenbasis: against gradient descent by numpy, a fine flow, and refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.learners import Batch
from grokscope.learners.check import check_learner
from grokscope.learners.linear_flow import LinearFlow
from grokscope.models.linear import LinearModel
from grokscope.spec.checking import SmallSpec

SPEC = Experiment(
    task={"kind": "gaussian_teacher", "d": 4, "outputs": 2, "n_train": 6, "n_test": 3, "noise": 0.5},
    model={"kind": "linear", "bias": True},
    loss="squared",
    batch_size="full",
    optimizer={"kind": "sgd", "learning_rate": 0.05, "weight_decay": 0.3},
    learner={"kind": "linear_flow", "time": "discrete"},
    precision="float64",
    steps=20,
)


def descent(x, y, weight, rate, decay, steps):
    """Gradient descent on the mean of squares, with coupled decay; the last input is 1."""
    for _ in range(steps):
        gradient = 2 * x.T @ (x @ weight - y) / y.size
        weight = weight - rate * (gradient + decay * weight)
    return weight


@pytest.fixture(scope="module")
def trained():
    """After 20 steps of each kind: the weights [input and bias, output], the losses before; and the data."""
    found = {}
    with jax.enable_x64(True):
        key = jax.random.key(1)
        data = SPEC.task.member_data(key, key)
        data = {name: array.astype("float64") for name, array in data.items()}
        batch = Batch(data["train_x"], data["train_y"])
        for time in ("discrete", "continuous"):
            learner = LinearFlow(time=time)

            @jax.jit
            def run(data, learner=learner):
                state = learner.init(SPEC, key, data)

                def one(state, step):
                    return learner.update(SPEC, state, batch, key, step)

                last, losses = jax.lax.scan(one, state, jnp.arange(20))
                return learner.predictor(state).affine, learner.predictor(last).affine, losses

            first, last, losses = run(data)
            found[time] = (np.vstack(first), np.vstack(last), np.asarray(losses))
        x = np.hstack([np.asarray(data["train_x"]), np.ones((6, 1))])
    return found, x, np.asarray(data["train_y"])


def test_discrete_steps_are_those_of_gradient_descent(trained):
    (first, last, losses), x, y = trained[0]["discrete"], *trained[1:]
    np.testing.assert_allclose(last, descent(x, y, first, 0.05, 0.3, 20), rtol=1e-10)
    before = [np.mean((x @ descent(x, y, first, 0.05, 0.3, n) - y) ** 2) for n in (0, 7, 19)]
    np.testing.assert_allclose(losses[[0, 7, 19]], before, rtol=1e-10)


def test_continuous_steps_are_the_limit_of_small_ones(trained):
    (first, last, _), x, y = trained[0]["continuous"], *trained[1:]
    small = descent(x, y, first, 0.05 / 4000, 0.3, 20 * 4000)
    np.testing.assert_allclose(last, small, rtol=1e-4)
    assert not np.allclose(last, trained[0]["discrete"][1], rtol=1e-3)


def test_without_decay_directions_without_data_stay():
    """More inputs than samples: the part of the start that is orthogonal to all inputs does not move."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(3, 5)).astype(np.float32), rng.normal(size=3).astype(np.float32)
    sgd = SPEC.optimizer.model_copy(update={"weight_decay": 0.0})
    spec = SmallSpec(Task(5), LinearModel(), SPEC.loss, sgd, LinearFlow())
    learner, key = LinearFlow(), jax.random.key(0)
    state = learner.init(spec, key, {"train_x": jnp.asarray(x), "train_y": jnp.asarray(y)})
    start = np.asarray(learner.predictor(state).weights[0])
    for step in range(3):
        state, _ = learner.update(spec, state, Batch(x, y), key, jnp.asarray(step))
    moved = np.asarray(learner.predictor(state).weights[0]) - start
    null = np.linalg.svd(x)[2][3:]
    assert np.abs(moved).max() > 1e-3
    np.testing.assert_allclose(null @ moved, 0, atol=1e-5)


class Task:
    """As much of a task as the learner reads."""

    n_outputs = 1

    def __init__(self, d):
        self.input_shape = (d,)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("model={kind='linear', widths=[3]}", "needs model 'linear' without widths"),
        ("model.kind='fully_connected'", "needs model 'linear' without widths"),
        ("batch_size=2", "needs batch_size 'full'"),
        ("optimizer.momentum=0.9", "needs optimizer 'sgd' without momentum, at a constant rate"),
        ("optimizer.schedule={kind='cosine'}", "needs optimizer 'sgd' without momentum, at a constant rate"),
        ("interventions=[{kind='freeze', parameters=['*']}]", "needs no interventions"),
        ("penalty={kind='parameter_norm'}", "does not use one"),
    ],
)
def test_other_experiments_are_refused_with_a_line(change, words):
    with pytest.raises(InputError, match=words) as caught:
        SPEC.with_(change)
    assert "\n" not in str(caught.value)


def test_a_check_of_a_learner_that_refuses_its_experiment_says_so():
    with pytest.raises(AssertionError, match="missing refuses the experiment: needs batch_size 'full'"):
        check_learner(LinearFlow(), SPEC.model_copy(update={"batch_size": 2}))


def test_its_predicted_time_does_not_grow_with_the_samples():
    """Measuring does; 40,000 steps are those of the eigenbasis."""
    from grokscope.training.rates import Rates, predict_seconds

    rates = Rates("cpu", 2, 220.0, 158.0, 1.0, 0.5)
    longer = SPEC.with_("steps=1000000", "task.d=500", "task.n_train=50000", "schedule.measures='ends'")
    slow = predict_seconds(longer.with_("learner.kind='gradient'"), 1, rates)
    assert predict_seconds(longer, 1, rates) < slow / 100
