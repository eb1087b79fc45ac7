"""Arity against plain loops, and against the official code's fault."""

import numpy as np
import pytest

import grokscope as gs
import oracles
from grokscope.circuits import arity, measure_arity, proposition_1, proposition_3
from grokscope.circuits.relu_network import ReluNetwork
from grokscope.circuits.support import settings_of
from grokscope.circuits.target import training_inputs


def drawn(seed, n=7, width=3):
    rng = np.random.default_rng(seed)
    return ReluNetwork(*(rng.normal(size=size) for size in ((n, width), width, width)))


def predictions(weights, x):
    return [oracles.sign(value) for value in oracles.outputs(tuple(weights[:3]), x)]


def kept(weights, j, mask):
    W = weights.W.copy()
    W[~mask, j] = 0.0
    return weights._replace(W=W)


def by_rank(weights, j, m):
    """The mask of the m largest weights."""
    size = np.abs(weights.W[:, j])
    return np.array([sum(other > own for other in size) < m for own in size])


def by_argsort_position(weights, j, m):
    """What the official code does: positions that would sort the weights, taken for their ranks."""
    return np.argsort(-np.abs(weights.W[:, j])) < m


def search(weights, j, x, mask_of):
    x = x[np.array(predictions(weights, x)) != 0]  # a row without a prediction has none to change
    whole = predictions(weights, x)
    n = len(weights.W)
    return next(m for m in range(n + 1) if predictions(kept(weights, j, mask_of(weights, j, m)), x) == whole)


def test_the_smallest_number_of_weights_that_changes_no_prediction():
    x = np.random.default_rng(0).choice([-1.0, 1.0], (25, 7))
    found, official = [], []
    for seed in range(15):
        weights = drawn(seed)
        for j in range(3):
            found.append(arity(weights, j, x))
            assert found[-1] == search(weights, j, x, by_rank)
            official.append(search(weights, j, x, by_argsort_position))
    assert len(set(found)) > 4
    # the fault is no matter of taste: it gives other numbers
    assert sum(a != b for a, b in zip(found, official, strict=True)) > 10


def test_the_largest_weights_are_kept_wherever_they_stand():
    """Three large weights behind small ones: the fault keeps others, and says 7."""
    w = np.array([0.1, 0.1, 0.1, 0.1, 5.0, 6.0, 7.0])
    # against a constant of 3
    weights = ReluNetwork(np.column_stack([w, 0 * w]), np.array([-10.0, 1.0]), np.array([1.0, -3.0]))
    x = settings_of(7)
    assert arity(weights, 0, x) == search(weights, 0, x, by_rank) == 3
    assert search(weights, 0, x, by_argsort_position) > 3


def test_that_m_is_enough_says_nothing_of_more():
    """Every m is tried, from 0: with none of its weights the neuron may do what one of them spoils."""
    weights = ReluNetwork(np.array([[2.0], [-2.0]]), np.array([1.0]), np.array([1.0]))
    x = np.array([[1.0, 1.0], [-1.0, -1.0]])
    assert predictions(weights, x) == [1, 1]
    assert predictions(kept(weights, 0, np.array([True, False])), x) == [1, 0]
    assert arity(weights, 0, x) == 0


@pytest.mark.parametrize("k", [1, 2, 4])
def test_a_gate_of_proposition_1_needs_its_bits(k):
    network = proposition_1(k + 3, bits=tuple(range(3, 3 + k)))
    assert [arity(network, j, settings_of(k + 3)) for j in range(2**k)] == [k] * 2**k


def test_a_constant_neuron_needs_none_and_rows_without_prediction_are_left_out():
    network = proposition_3(3)
    assert arity(network, 0, settings_of(3)) == 0
    nothing = ReluNetwork(np.ones((3, 1)), np.zeros(1), np.zeros(1))
    assert arity(nothing, 0, settings_of(3)) == 0


def test_a_neuron_that_is_not_there():
    with pytest.raises(gs.InputError, match="neuron 4: the network has neurons 0 to 3"):
        arity(proposition_3(3), 4, settings_of(3))
    with pytest.raises(gs.InputError, match="neuron -1"):
        arity(proposition_3(3), -1, settings_of(3))


@pytest.mark.slow
def test_arities_of_a_run_are_those_of_its_neurons_one_by_one(tmp_path):
    experiment = gs.Experiment(
        task={"kind": "sparse_parity", "n": 7, "k": 2, "n_train": 40, "n_test": 20, "n_probe": 64},
        model={"kind": "fully_connected", "width": 24},
        epochs=30,
        batch_size=10,
        measures=["test_accuracy", "faithfulness"],
    )
    run = gs.train(experiment, seeds=2, out=tmp_path / "run")
    found = measure_arity(run, [1], "every 15 epochs")
    assert found.step.values.tolist() == [0, 60, 120]
    x = training_inputs(run, 1)
    some = []
    for step in (0, 60, 120):
        model = run.model(1, step)
        for name in ("generalizing", "control", "norm_matched"):
            mask = run.subnetworks.sel(seed=1, subnetwork=name).values
            one_by_one = np.array([arity(model, int(j), x) for j in np.flatnonzero(mask)])
            at = found.sel(seed=1, step=step)
            assert at[f"needed_{name}"] == pytest.approx((one_by_one > 0).mean())
            needed = one_by_one[one_by_one > 0]
            wanted = needed.mean() if len(needed) else np.nan
            assert at[f"arity_{name}"].item() == pytest.approx(wanted, nan_ok=True)
            some += needed.tolist()
    assert len(set(some)) > 2
    assert np.isnan(found.needed_generalizing.sel(seed=0)).all()
    again = measure_arity(run, [0, 1], "every 15 epochs")
    assert not np.isnan(again.needed_generalizing).any()
    assert again.sel(seed=1).equals(found.sel(seed=1))
