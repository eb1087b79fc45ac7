"""Propositions 1-3: right at every setting, and runs like any other."""

import itertools
import json
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

import grokscope as gs
import oracles
from grokscope.circuits import (
    active_neurons,
    construction_experiment,
    proposition_1,
    proposition_2,
    proposition_3,
    read_network,
)
from grokscope.cli import main
from grokscope.models.construction import Construction
from grokscope.runs import verify


def arrays(network):
    return tuple(np.asarray(a) for a in (network.hidden_weight, network.hidden_bias, network.output_weight))


def cube(k):
    return np.array(list(itertools.product([1.0, -1.0], repeat=k)))


def inputs(n, bits, seed=0):
    """Every setting of some bits, the other bits at random."""
    settings = cube(len(bits))
    x = np.random.default_rng(seed).choice([-1.0, 1.0], (len(settings), n))
    x[:, list(bits)] = settings
    return x, settings.prod(axis=1)


@pytest.mark.parametrize("k", range(1, 9))
def test_proposition_1_is_the_parity_at_every_setting(k):
    bits = tuple(range(2, 2 + k))[::-1]
    network = proposition_1(k + 4, bits=bits)
    x, parity = inputs(k + 4, bits)
    assert network.hidden_weight.shape == (k + 4, 2**k)
    # whole numbers, so exact
    assert oracles.outputs(arrays(network), x) == parity.tolist()
    np.testing.assert_array_equal(np.asarray(network(jnp.asarray(x, jnp.float32))), parity)


def test_propositions_2_and_3_are_the_papers_formulas():
    def relu(value):
        return max(value, 0)

    x, parity = inputs(6, (1, 2, 4))
    two, three = proposition_2(6, bits=(1, 2, 4)), proposition_3(6, bits=(1, 2, 4))
    assert (two.hidden_bias.shape, three.hidden_bias.shape) == ((6,), (4,))
    for row, y in zip(x, parity, strict=True):
        a, b, c = (int(row[i]) for i in (1, 2, 4))
        expected = (
            -relu(-a - b + 10 * c - 9)
            + 10 * relu(-a - b + c - 2)
            + 10 * relu(a + b + c - 2)
            - relu(a - b - 10 * c - 9)
            + 10 * relu(-a + b - c - 2)
            + 10 * relu(a - b - c - 2)
        )
        assert oracles.outputs(arrays(two), row[None]) == [expected]
        assert expected * y >= 1
        total = a + b + c
        expected = 1 + 2 * relu(total - 1) - relu(total + 1) - relu(-total - 1)
        assert oracles.outputs(arrays(three), row[None]) == [expected] == [y]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: proposition_1(4, 0), "k: must be at least 1"),
        (lambda: proposition_1(40, 17), r"17 bits has 2\^17 neurons; at most 16 bits"),
        (lambda: proposition_1(4, bits=(1, 1)), "must be different numbers from 0"),
        (lambda: proposition_1(4, bits=()), "at least one"),
        (lambda: proposition_1(4, bits=(-1,)), "must be different numbers from 0"),
        (lambda: proposition_3(4, bits=(0, 1, 4)), r"bits \[0, 1, 4\] needs more than 4 input bits"),
        (lambda: proposition_3(4, bits=(0, 1)), "Proposition 3 is for 3 bits, not 2"),
        (lambda: proposition_2(9, width=5), "width must be at least 6"),
        (lambda: construction_experiment(2, n=9, k=4), "Proposition 2 is for 3 bits, not 4"),
    ],
)
def test_what_cannot_be_constructed_is_said(make, text):
    with pytest.raises(gs.InputError, match=f"(?i){text}"):
        make()


def test_a_task_with_classes_is_refused():
    with pytest.raises(gs.InputError, match="a construction has one output; the task needs 3"):
        Construction().network(None, (5,), 3)


@pytest.mark.parametrize("n", [3, 4, 9, 40])
@pytest.mark.parametrize("width", [0, 50])
@pytest.mark.parametrize(("make", "size"), [(proposition_1, 8), (proposition_2, 6), (proposition_3, 4)])
def test_all_neurons_of_a_construction_are_active_and_no_others(make, size, n, width):
    """Also the constant one of Proposition 3, whose incoming norm is 0, among neurons of zeros."""
    network = make(n, width=width)
    x, _ = inputs(n, (0, 1, 2))
    assert active_neurons(network, x) == tuple(range(size))
    circuit = read_network(network)
    assert circuit.support.bits == (0, 1, 2)
    assert circuit.n_parity == 8
    assert sorted(j for gate in circuit.gates for j in gate.neurons) == list(range(size))


def test_the_order_by_incoming_norm_would_put_a_constant_last():
    network = proposition_3(3, width=9)
    # the constant neuron behind the neurons of zeros
    back = np.array([1, 2, 3, 4, 5, 6, 7, 8, 0])
    moved = replace(
        network,
        hidden_weight=network.hidden_weight[:, back],
        hidden_bias=network.hidden_bias[back],
        output_weight=network.output_weight[back],
    )
    assert active_neurons(moved, cube(3)) == (0, 1, 2, 8)
    assert active_neurons(moved, cube(3), "incoming_norm") == tuple(range(9))


# one measure of each family
MEASURES = ["test_accuracy", "test_accuracy_large", "test_loss", "path_norm", "effective_sparsity"]
MEASURES += ["effective_sparsity_probe", "faithfulness", "sensitivity"]


@pytest.fixture(scope="module")
def experiment():
    """Proposition 3 among neurons of zeros."""
    sizes = {"n_train": 64, "n_test": 30, "n_probe": 50}
    return construction_experiment(3, n=6, width=10, measures=MEASURES, **sizes)


@pytest.fixture(scope="module")
def run(experiment, tmp_path_factory):
    return gs.train(experiment, seeds=2, out=tmp_path_factory.mktemp("construction") / "run")


@pytest.mark.slow
def test_a_construction_is_a_run_like_any_other(run):
    assert verify(run.path) == []
    assert set(MEASURES) <= set(run.measures)
    for name in ("train_accuracy", "test_accuracy", "test_accuracy_large"):
        assert (run.measures[name] == 1).all()
    for name in ("effective_sparsity", "effective_sparsity_probe"):
        assert (run.measures[name] == 4).all()
    # a flip of one of the three bits changes the sign, one of another bit does not
    np.testing.assert_allclose(run.measures.sensitivity.sel(subnetwork="generalizing"), 3, rtol=1e-6)
    assert (run.measures.test_loss == 0).all()
    assert run.measures.path_norm.sel(seed=1, step=1).values.tolist() == [1, 4, 2, 2, 0, 0, 0, 0, 0, 0]
    assert (run.measures.faithfulness.sel(subnetwork="generalizing") == 1).all()


def test_nothing_was_learned(run):
    wanted = arrays(proposition_3(6, width=10))
    for step in (0, -1):
        for array, expected in zip(arrays(run.model(seed=1, step=step)), wanted, strict=True):
            np.testing.assert_array_equal(array, expected)


def test_commands_work_on_a_construction(run, capsys):
    assert main(["circuits", str(run.path), "--seed", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["support"] == [0, 1, 2]
    assert [(gate["neurons"], gate["kind"], gate["output_sign"]) for gate in found["gates"]] == [
        ([1], "and", 1),
        ([3], "and", -1),
        ([2], "other", -1),
        ([0], "other", 1),
    ]
    for words in (["show", str(run.path)], ["verify", str(run.path)], ["circuits", str(run.path)]):
        assert main(words) == 0, capsys.readouterr().err


def test_members_of_crossed_streams_are_named_by_their_four_seeds(experiment, tmp_path, capsys):
    run = gs.train(experiment, seeds="init=0;data=0,1", out=tmp_path / "crossed")
    assert main(["circuits", str(run.path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["seed"] for one in found] == [0, [0, 1, 0, 0]]
    assert main(["circuits", str(run.path), "--seed", "0,1,0,0", "--json", "--out", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out) == found[1]
    assert (tmp_path / "circuit-seed-0-1-0-0-step-1.svg").is_file()
