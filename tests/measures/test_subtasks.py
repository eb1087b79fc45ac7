"""Measures of subtasks: the sum of quanta, means by hand, subtasks without samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokscope import Experiment
from grokscope.losses.cross_entropy import CrossEntropy
from grokscope.measures import Point
from grokscope.measures.subtasks import SubtaskAccuracy, SubtaskLoss, SubtaskMeanLoss
from grokscope.tasks.multitask_parity import MultitaskParity

TASK = MultitaskParity(n_tasks=5, n=6, k=2, alpha=0.4, n_train=30, probe_per_subtask=16)
DATA = {**TASK.shared_data(), **TASK.member_data(jax.random.key(0), jax.random.key(1))}


def knows_first(count):
    """Certain of the first subtasks; both classes have the same probability in the others."""

    def network(x):
        subtask = jnp.argmax(x[:, : TASK.n_tasks], axis=1)
        y = TASK.value(subtask, x[:, TASK.n_tasks :].astype(jnp.int32))
        return jnp.where((subtask < count)[:, None], 200.0 * jax.nn.one_hot(y, 2), 0.0)

    return network


@pytest.mark.parametrize("count", range(6))
def test_the_mean_loss_is_the_sum_of_the_frequencies_that_are_left(count):
    point = Point(knows_first(count), DATA, CrossEntropy(), task=TASK)
    np.testing.assert_allclose(SubtaskLoss()(point), [0.0] * count + [1.0] * (5 - count), atol=1e-6)
    assert float(SubtaskMeanLoss()(point)) == pytest.approx(sum(TASK.frequencies[count:]), abs=1e-6)
    assert SubtaskAccuracy()(point)[:count].tolist() == [1.0] * count


@pytest.mark.parametrize("split", ["probe", "train"])
def test_means_are_over_the_samples_of_a_subtask(split):
    weight = jax.random.normal(jax.random.key(3), (11, 2))
    x, y = DATA[f"{split}_x"], DATA[f"{split}_y"]
    if split == "train":  # without the samples of subtask 2
        keep = np.asarray(x[:, 2] == 0)
        x, y = x[keep], y[keep]
    point = Point(lambda x: x @ weight, {f"{split}_x": x, f"{split}_y": y}, CrossEntropy(), task=TASK)
    outputs = np.asarray(x, np.float64) @ np.asarray(weight, np.float64)
    losses = np.log2(np.exp(outputs).sum(axis=1)) - outputs[np.arange(len(y)), y] / np.log(2)
    right = outputs.argmax(axis=1) == np.asarray(y)
    of = [np.asarray(x)[:, i] == 1 for i in range(5)]
    means = lambda values: [values[own].mean() if own.any() else np.nan for own in of]  # noqa: E731
    np.testing.assert_allclose(SubtaskLoss(split=split)(point), means(losses), rtol=1e-5)
    np.testing.assert_allclose(SubtaskAccuracy(split=split)(point), means(right), rtol=1e-6)
    assert np.isnan(means(right)[2]) == (split == "train")


def test_other_tasks_have_no_subtasks():
    spec = Experiment(task="sparse_parity", epochs=1)
    assert (
        SubtaskLoss().missing(spec)
        == "subtask_loss needs a task with subtasks; task 'sparse_parity' has none"
    )
