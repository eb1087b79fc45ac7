"""Sparse parity: labels one product at a time, splits, labels that are not true."""

import itertools
import math

import jax
import numpy as np
import pytest
import scipy.stats

from grokscope import InputError
from grokscope.losses import CrossEntropy, Hinge
from grokscope.spec.streams import stream_key
from grokscope.tasks.sparse_parity import SparseParity

SMALL = {"n": 7, "k": 3, "n_train": 200, "n_test": 50, "n_probe": 60}


def member(task, data=0, noise=0):
    return jax.jit(task.member_data)(stream_key("data", data), stream_key("noise", noise))


def parity(row, bits):
    return math.prod(float(row[bit]) for bit in bits)


@pytest.mark.parametrize("support", ["first", "drawn"])
def test_labels_are_the_product_of_the_hidden_bits(support):
    task = SparseParity(**SMALL, support=support)
    mine = member(task)
    data = {**task.shared_data(), **mine}
    bits = mine["support"].tolist() if support == "drawn" else task.facts()["support"]
    assert len(set(bits)) == 3
    for split, count in (("train", 200), ("test", 50), ("probe", 60)):
        x, y = np.asarray(data[f"{split}_x"]), np.asarray(data[f"{split}_y"])
        assert x.shape == (count, 7)
        assert set(np.unique(x)) == {-1.0, 1.0}
        assert y.tolist() == [parity(row, bits) for row in x]


@pytest.mark.slow
@pytest.mark.parametrize("labels", ["true", "random", "shuffled", "noisy"])
def test_classes_are_the_signs_in_other_words(labels):
    """Class 0 where the label is +1, 1 where it is -1; in every split, for samples, and for facts."""
    noise = {"noise": 0.3} if labels == "noisy" else {}
    of_signs = SparseParity(**SMALL, labels=labels, **noise)
    of_classes = SparseParity(**SMALL, labels=labels, output="class", **noise)
    assert of_classes.n_outputs == 2
    for one, other in (
        (member(of_signs), member(of_classes)),
        (of_signs.shared_data(), of_classes.shared_data()),
        *(({"y": t.sample(jax.random.key(3), 40)[1]} for t in (of_signs, of_classes)),),
    ):
        assert one.keys() == other.keys()
        for name, array in one.items():
            wanted = np.asarray(array) if name.endswith("x") else (1 - np.asarray(array)) / 2
            np.testing.assert_array_equal(other[name], wanted)
    facts = [task.point_facts(member(task))["wrong_labels"] for task in (of_signs, of_classes)]
    np.testing.assert_array_equal(*facts)


def test_inputs_are_fair_and_independent_coins():
    x = np.asarray(member(SparseParity(n=30, n_train=20_000))["train_x"])
    assert np.abs(x.mean(axis=0)).max() < 5 / 20_000**0.5
    assert np.abs(np.corrcoef(x.T) - np.eye(30)).max() < 5 / 20_000**0.5


def test_held_out_inputs_are_the_same_for_all_and_apart_from_each_other():
    one, two = SparseParity(n=40), SparseParity(n=40, n_train=5, labels="random")
    for name, array in one.shared_data().items():
        np.testing.assert_array_equal(array, two.shared_data()[name])
    rows = {
        tuple(row) for name in ("test_x", "probe_x") for row in np.asarray(one.shared_data()[name]).tolist()
    }
    rows |= {tuple(row) for row in np.asarray(member(one)["train_x"]).tolist()}
    assert len(rows) == 100 + 10_000 + 1000


def test_hidden_bits_are_drawn_from_the_data_stream_evenly():
    task = SparseParity(n=6, k=2, support="drawn", n_train=1, n_test=1, n_probe=1)

    @jax.jit  # one program: operation by operation each is compiled by itself
    @jax.vmap
    def support(seed):
        key = stream_key("data", seed)
        return task.member_data(key, key)["support"]

    bits = np.asarray(support(np.arange(3000)))
    assert np.all(bits[:, 0] < bits[:, 1])
    pairs = np.bincount(bits[:, 0] * 6 + bits[:, 1], minlength=36)
    counts = [pairs[i * 6 + j] for i in range(6) for j in range(i + 1, 6)]
    assert sum(counts) == 3000
    assert scipy.stats.chisquare(counts).pvalue > 1e-3
    assert task.facts() == {"support": None}


def test_random_labels_are_coins_that_have_nothing_to_do_with_the_inputs():
    task = SparseParity(n=10, n_train=20_000, labels="random")
    true, random = (np.asarray(member(t)["train_y"]) for t in (SparseParity(n=10, n_train=20_000), task))
    np.testing.assert_array_equal(
        member(task)["train_x"], member(SparseParity(n=10, n_train=20_000))["train_x"]
    )
    assert abs(random.mean()) < 5 / 20_000**0.5
    assert abs((true * random).mean()) < 5 / 20_000**0.5
    shared = task.shared_data()
    assert np.asarray(shared["test_y"]).tolist() == [
        parity(row, range(3)) for row in np.asarray(shared["test_x"])
    ]


def test_noise_flips_its_share_from_its_own_stream():
    clean = np.asarray(member(SparseParity(n_train=20_000))["train_y"])
    task = SparseParity(n_train=20_000, labels="noisy", noise=0.2)
    flipped = [np.asarray(member(task, noise=seed)["train_y"]) != clean for seed in (0, 1)]
    for flips in flipped:
        assert abs(flips.mean() - 0.2) < 5 * (0.16 / 20_000) ** 0.5
    # independent draws agree on 0.2 * 0.2 of the samples
    assert abs((flipped[0] & flipped[1]).mean() - 0.04) < 5 * (0.04 / 20_000) ** 0.5
    for noise, wanted in ((0.0, clean), (1.0, -clean)):
        task = SparseParity(n_train=20_000, labels="noisy", noise=noise)
        np.testing.assert_array_equal(member(task)["train_y"], wanted)


def test_share_of_noise_can_be_traced():
    task = SparseParity(**SMALL, labels="noisy", noise=0.3)
    traced = jax.jit(lambda noise: member(task.with_traced({"noise": noise}))["train_y"])
    np.testing.assert_array_equal(traced(0.3), member(task)["train_y"])
    assert not np.array_equal(traced(0.9), member(task)["train_y"])


@pytest.mark.slow
@pytest.mark.parametrize("labels", ["true", "random", "shuffled", "noisy"])
def test_both_precisions_have_the_same_data(labels):
    task = SparseParity(**SMALL, support="drawn", labels=labels, noise=0.3 if labels == "noisy" else 0.0)
    single = {**task.shared_data(), **member(task)}
    with jax.enable_x64(True):
        double = {**task.shared_data(), **member(task)}
    assert single.keys() == double.keys()
    for name, array in single.items():
        np.testing.assert_array_equal(array, double[name])
        assert double[name].dtype == (np.int32 if name == "support" else np.float64)


def test_samples_are_true_and_fresh():
    task = SparseParity(**SMALL)
    x, y = task.sample(jax.random.key(3), 100)
    assert np.asarray(y).tolist() == [parity(row, range(3)) for row in np.asarray(x)]
    assert task.can_sample
    assert not SparseParity(**SMALL, support="drawn").can_sample


def test_online_labels_are_random_or_noisy_like_those_of_the_training_set():
    count = 4000
    _, y = SparseParity(**SMALL).sample(jax.random.key(3), count)
    for labels, noise, share in (("random", 0.0, 0.5), ("noisy", 0.2, 0.2), ("noisy", 1.0, 1.0)):
        task = SparseParity(**SMALL, labels=labels, noise=noise)
        assert task.can_sample
        x, given = task.sample(jax.random.key(3), count)
        np.testing.assert_array_equal(x, SparseParity(**SMALL).sample(jax.random.key(3), count)[0])
        wrong = int((np.asarray(given) != np.asarray(y)).sum())
        assert scipy.stats.binomtest(wrong, count, share).pvalue > 1e-3


def test_a_member_knows_which_of_its_labels_are_noise():
    for support in ("first", "drawn"):
        task = SparseParity(**SMALL, labels="noisy", noise=0.3, support=support)
        mine = member(task)
        facts = task.point_facts({**task.shared_data(), **mine})
        bits = np.asarray(facts["support"])
        true = [parity(row, bits) for row in np.asarray(mine["train_x"])]
        np.testing.assert_array_equal(facts["wrong_labels"], np.asarray(mine["train_y"]) != true)
        assert 20 < int(facts["wrong_labels"].sum()) < 100


@pytest.mark.slow
@pytest.mark.parametrize("support", ["first", "drawn"])
def test_the_population_is_all_inputs(support):
    task = SparseParity(**SMALL | {"n": 12}, support=support, labels="random")  # two chunks
    data = {**task.shared_data(), **member(task)}
    bits = np.asarray(data.get("support", range(3)))
    weights = np.random.default_rng(2).normal(size=12)

    def network(x):
        return x @ jax.numpy.asarray(weights, x.dtype) + 5 * x[:, bits[0]] * x[:, bits[1]] * x[:, bits[2]]

    x = np.array(list(itertools.product([-1.0, 1.0], repeat=12)))
    y = x[:, bits].prod(axis=1)
    f = x @ weights + 5 * y
    found = jax.jit(lambda: task.population(network, Hinge(), data))()
    assert set(found) == set(task.population_names) == {"loss", "accuracy"}
    assert float(found["loss"]) == pytest.approx(np.maximum(0, 1 - y * f).mean(), rel=1e-4)
    assert float(found["accuracy"]) == pytest.approx((y * f > 0).mean(), abs=1e-6)
    assert SparseParity(**SMALL | {"n": 17}).population_names == ()


def test_the_population_of_classes():
    task = SparseParity(**SMALL | {"n": 4}, output="class")
    x = np.array(list(itertools.product([-1.0, 1.0], repeat=4)))
    right = x[:, 3] > 0  # of two logits the one of the right class is larger
    loss = np.where(right, np.log1p(np.exp(-2.0)), np.log1p(np.exp(2.0))).mean()

    def network(x):
        return jax.numpy.stack([x[:, :4].prod(axis=1), -x[:, :4].prod(axis=1)], axis=1)

    found = jax.jit(lambda: task.population(network, CrossEntropy(), {}))()
    assert float(found["loss"]) == pytest.approx(loss, rel=1e-5)
    assert float(found["accuracy"]) == 0.5


def test_the_population_accuracy_leaves_out_inputs_without_a_prediction():
    task = SparseParity(n=4, k=1)
    found = task.population(lambda x: x[:, 0] + x[:, 1], Hinge(), {})  # 0 on half of the inputs
    assert float(found["accuracy"]) == 1.0


@pytest.mark.slow
def test_k_up_to_n():
    assert SparseParity(n=3, k=3).facts()["support"] == [0, 1, 2]
    with pytest.raises(InputError, match=r"^task: k must be at most n = 3, but k = 4\.$"):
        SparseParity(n=3, k=4)
