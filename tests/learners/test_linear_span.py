"""Descent in the span of the training inputs: against the learner ``gradient``, stored runs, and refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import grokscope as gs
from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.learners import Batch
from grokscope.learners.gradient import Gradient
from grokscope.learners.linear_span import LinearSpan

SPEC = Experiment(
    task={"kind": "gaussian_teacher", "d": 30, "outputs": 2, "n_train": 6, "n_test": 3, "noise": 0.5},
    model={"kind": "linear", "bias": True},
    loss="squared",
    batch_size="full",
    optimizer={"kind": "sgd", "learning_rate": 0.05, "weight_decay": 0.3},
    learner="linear_span",
    precision="float64",
    steps=20,
)
ONE_LABEL = SPEC.with_("task={kind='constant_label', d=30, n_train=6, n_test=3, flipped=0.4}")
CASES = {
    "squared, two outputs and a bias": SPEC,
    "squared, one output": SPEC.with_("task.outputs=1", "model.bias=false"),
    "logistic, momentum": ONE_LABEL.with_("loss.kind='logistic'", "optimizer.momentum=0.9"),
    "exponential, decoupled decay, cosine": ONE_LABEL.with_(
        "loss.kind='exponential'", "optimizer.decay='decoupled'", "optimizer.schedule={kind='cosine'}"
    ),
    "classes": SPEC.with_(
        "task={kind='modular_operator', p=5, train_fraction=0.3}", "loss.kind='cross_entropy'"
    ),
}


def after(spec, learner, steps):
    """The weights and bias after each number of steps, and the losses before."""
    with jax.enable_x64(True):
        key = jax.random.key(1)
        data = {**spec.task.shared_data(), **spec.task.member_data(key, key)}
        data = {
            name: array.astype("float64") if jnp.issubdtype(array.dtype, jnp.floating) else array
            for name, array in data.items()
        }
        batch = Batch(data["train_x"], data["train_y"])

        @jax.jit
        def run(data):
            def one(state, step):
                state, loss = learner.update(spec, state, batch, key, step)
                return state, (learner.predictor(state).affine, loss)

            first = learner.init(spec, key, data)
            return learner.predictor(first).affine, jax.lax.scan(one, first, jnp.arange(steps))[1]

        start, ((matrices, biases), losses) = run(data)
        return *(np.asarray(one) for one in (matrices, biases, losses)), np.asarray(start[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_steps_are_those_of_the_gradient_learner(name):
    spec = CASES[name]
    found, wanted = (after(spec, learner, 20) for learner in (LinearSpan(), Gradient()))
    for one, other in zip(found, wanted, strict=True):
        # tests compile without LLVM's optimizations, and then exp and log have some 8 digits
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)
    assert np.abs(found[0][-1] - found[3]).max() > 1e-3  # it has moved


@pytest.mark.slow
def test_a_stored_run_has_the_measures_and_networks_of_the_gradient_learner(tmp_path):
    measures = ("train_loss", "population_loss", "weight_norm", "start_distance")
    one = SPEC.with_("schedule.measures='every 4 steps'").model_copy(update={"measures": measures})
    runs = {
        kind: gs.train(one.with_(f"learner.kind='{kind}'"), seeds=2, out=tmp_path / kind)
        for kind in ("linear_span", "gradient")
    }
    for name in measures:
        np.testing.assert_allclose(
            runs["linear_span"].measures[name], runs["gradient"].measures[name], rtol=1e-9, atol=1e-13
        )
    assert runs["linear_span"].measures["start_distance"].sel(step=20).min() > 0.1
    opened = gs.open_run(tmp_path / "linear_span").model(seed=1, step=20)
    np.testing.assert_allclose(
        opened.weights[0], runs["gradient"].model(seed=1, step=20).weights[0], rtol=1e-9, atol=1e-13
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("model={kind='linear', widths=[3]}", "needs model 'linear' without widths"),
        ("batch_size=2", "needs batch_size 'full'"),
        ("optimizer.kind='adamw'", "needs optimizer 'sgd'"),
        ("optimizer.clip_norm=1.0", "clip_norm"),
        ("interventions=[{kind='freeze', parameters=['*']}]", "needs no interventions"),
        ("penalty={kind='parameter_norm'}", "does not use one"),
    ],
)
def test_other_experiments_are_refused_with_a_line(change, words):
    with pytest.raises(InputError, match=words) as caught:
        SPEC.with_(change)
    assert "\n" not in str(caught.value)


def test_its_predicted_time_does_not_grow_with_the_inputs():
    from grokscope.training.rates import Rates, predict_seconds

    rates = Rates("cpu", 2, 220.0, 158.0, 1.0, 0.5)
    wide = SPEC.with_(
        "steps=1000000", "task.d=50000", "task.n_train=50", "task.n_test=0", "schedule.measures='ends'"
    )
    slow = predict_seconds(wide.with_("learner.kind='gradient'"), 1, rates)
    assert predict_seconds(wide, 1, rates) < slow / 100
