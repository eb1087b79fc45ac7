"""Multitask parity: frequencies, sets, labels by hand, counts in batches, one subtask as sparse parity."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokscope.errors import InputError
from grokscope.losses.cross_entropy import CrossEntropy
from grokscope.losses.margin import Logistic
from grokscope.models.networks.one_hidden_layer import OneHiddenLayer
from grokscope.tasks.check import check_task
from grokscope.tasks.multitask_parity import MultitaskParity
from grokscope.tasks.sparse_parity import SparseParity

TASK = MultitaskParity(n_tasks=6, n=7, k=3, alpha=0.5, n_train=200, n_test=50, probe_per_subtask=8)


def test_it_keeps_the_contract_of_tasks():
    check_task(TASK)


@pytest.mark.parametrize(("alpha", "count"), [(0.4, 500), (1.0, 20), (-1.0, 7)])
def test_frequencies_are_a_normalized_power_law(alpha, count):
    p = MultitaskParity(n_tasks=count, n=20, alpha=alpha).frequencies
    weights = [math.pow(i, -(1 + alpha)) for i in range(1, count + 1)]
    np.testing.assert_allclose(p, np.array(weights) / math.fsum(weights), rtol=1e-12)
    assert math.fsum(p) == pytest.approx(1, abs=1e-12)


def test_no_set_of_bits_comes_twice():
    every = MultitaskParity(n_tasks=math.comb(6, 3), n=6, k=3).sets  # all there are
    assert len(set(every)) == len(every) == 20
    assert all(len(set(one)) == 3 and set(one) <= set(range(6)) for one in every)
    assert every[:5] == MultitaskParity(n_tasks=5, n=6, k=3).sets
    assert every != MultitaskParity(n_tasks=20, n=6, k=3, subsets=1).sets


def by_hand(x):
    subtask = x[:, : TASK.n_tasks].argmax(axis=1)
    return [
        int(sum(row[TASK.n_tasks + j] for j in TASK.sets[i])) % 2 for i, row in zip(subtask, x, strict=True)
    ]


def test_labels_are_parities_of_the_subtasks_bits():
    data = {**TASK.shared_data(), **TASK.member_data(jax.random.key(0), jax.random.key(1))}
    for split in ("train", "test", "probe"):
        x = np.asarray(data[f"{split}_x"])
        assert set(np.unique(x)) == {0.0, 1.0}
        assert (x[:, : TASK.n_tasks].sum(axis=1) == 1).all()
        assert data[f"{split}_y"].tolist() == by_hand(x)
    assert np.asarray(data["probe_x"])[:, : TASK.n_tasks].sum(axis=0).tolist() == [8.0] * 6


def test_a_batch_has_as_many_samples_of_a_subtask_as_its_frequency_says():
    count = 60_000
    x, _ = TASK.sample(jax.random.key(5), count)
    found = np.asarray(x).mean(axis=0)
    p = np.array(TASK.frequencies)
    errors = np.sqrt(p * (1 - p) / count)
    assert (np.abs(found[: TASK.n_tasks] - p) < 4.5 * errors).all()
    assert (np.abs(found[TASK.n_tasks :] - 0.5) < 4.5 * 0.5 / math.sqrt(count)).all()  # data bits


@pytest.mark.slow
def test_with_one_subtask_it_is_a_sparse_parity():
    """The weights of +-1 inputs, rewritten for 0/1 inputs and two outputs, have the same loss."""
    task = MultitaskParity(n_tasks=1, n=8, k=3, probe_per_subtask=64)
    data = task.shared_data()
    signs = 1 - 2 * data["probe_x"][:, 1:]  # without the control
    order = [*task.sets[0], *(set(range(8)) - set(task.sets[0]))]
    parity = SparseParity(n=8, k=3).value(signs[:, jnp.array(order)], None)
    np.testing.assert_array_equal(parity, 1 - 2 * data["probe_y"])

    weight, bias, out = (
        jax.random.normal(jax.random.key(i), shape) for i, shape in enumerate([(8, 5), (5,), (5,)])
    )
    control = jnp.zeros((1, 5))
    one = OneHiddenLayer(weight, bias, out)
    other = OneHiddenLayer(
        jnp.concatenate([control, -2 * weight]),
        bias + weight.sum(axis=0),
        jnp.stack([out / 2, -out / 2], axis=1),
    )
    losses = Logistic().per_sample(one(signs), parity)
    rewritten = CrossEntropy().per_sample(other(data["probe_x"]), data["probe_y"])
    np.testing.assert_allclose(rewritten, losses, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"n": 3, "k": 4}, "k must be at most n = 3, but k = 4"),
        ({"n": 4, "k": 2, "n_tasks": 7}, "n_tasks must be at most 6, the number of sets of 2 of 4 bits"),
        ({"n_probe": 5}, "n_probe follows from n_tasks and probe_per_subtask: 3000 (got 5)"),
    ],
)
def test_what_cannot_be_is_refused(given, words):
    with pytest.raises(InputError, match=words.replace("(", r"\(").replace(")", r"\)")):
        MultitaskParity(**given)
