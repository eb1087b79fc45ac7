"""Training without the gradient of the right class's logit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import grokscope as gs
from grokscope.errors import InputError
from grokscope.interventions.right_logit import StopRightLogit
from grokscope.learners import Batch
from grokscope.losses import CrossEntropy, StableMax

X = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
Y = np.array([0, 1, 2, 3, 0, 2], np.int32)


@pytest.mark.parametrize("value", ["kept", "zero"])
@pytest.mark.parametrize("loss", [CrossEntropy(), StableMax()])
def test_only_wrong_logits_have_a_gradient(value, loss):
    def losses(f):
        batch, of = Batch(f, jnp.asarray(Y)), StopRightLogit(value=value)
        return of.sample_losses(loss.per_sample, lambda x: x, batch, None)

    right = np.eye(4, dtype=bool)[Y]
    seen = np.where(right, 0, X) if value == "zero" else X
    np.testing.assert_allclose(losses(jnp.asarray(X)), loss.per_sample(jnp.asarray(seen), Y), rtol=1e-6)
    gradient = np.asarray(jax.grad(lambda f: jnp.sum(losses(f)))(jnp.asarray(X)))
    whole = np.asarray(jax.grad(lambda f: jnp.sum(loss.per_sample(f, jnp.asarray(Y))))(jnp.asarray(seen)))
    np.testing.assert_array_equal(gradient[right], 0)
    np.testing.assert_allclose(gradient[~right], whole[~right], rtol=1e-5)


@pytest.mark.slow
def test_it_begins_at_its_step_and_needs_classes(tmp_path):
    table = {
        "task": {"kind": "modular_operator", "p": 5, "operator_token": False, "equals_token": False},
        "model": {"kind": "one_hot_mlp", "widths": [8], "activation": "relu", "output_factor": 1.0},
        "loss": "cross_entropy",
        "optimizer": {"kind": "sgd", "learning_rate": 0.5},
        "batch_size": "full",
        "steps": 20,
        "measures": ["train_loss"],
    }
    plain = gs.train(gs.Experiment(**table), seeds=1, out=tmp_path / "plain").measures.train_loss
    stop = {"kind": "stop_right_logit", "at": 10}
    changed = gs.train(gs.Experiment(**table, interventions=[stop]), seeds=1, out=tmp_path / "changed")
    after = changed.measures.train_loss
    np.testing.assert_array_equal(after.sel(step=slice(0, 10)), plain.sel(step=slice(0, 10)))
    assert float(after.sel(step=20)[0]) != float(plain.sel(step=20)[0])
    with pytest.raises(InputError, match="'stop_right_logit' needs a task with classes, not 'sparse_parity'"):
        gs.Experiment(task="sparse_parity", steps=1, interventions=["stop_right_logit"])
