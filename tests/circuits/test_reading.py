"""Circuits of runs: any step, by snapshot or replay; what cannot be read; what is proved."""

import dataclasses
import itertools
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

import grokscope as gs
from grokscope.circuits import arity, draw, proposition_3, read_network
from grokscope.circuits.reading import _proof
from grokscope.circuits.support import settings_of
from grokscope.circuits.target import hidden_bits, training_inputs
from grokscope.circuits.verification import verify
from grokscope.models.networks.one_hidden_layer import OneHiddenLayer
from small_circuits import trained


@pytest.fixture(scope="module")
def run():
    return trained()


def test_a_reading_finds_the_hidden_bits_of_each_seed_by_itself(run):
    for seed in range(3):
        reading = gs.read_circuit(run, seed)
        assert (reading.seed, reading.step, reading.epoch) == (seed, 1400, 200)
        assert reading.circuit.support.bits == hidden_bits(run, seed)
        assert reading.circuit.n_parity == 4
        assert reading.proof is None


def test_before_the_transition_there_is_no_circuit(run):
    reading = gs.read_circuit(run, 1, 0)
    assert reading.circuit.support.bits == ()
    assert reading.as_json() == {
        "seed": 1,
        "step": 0,
        "support": [],
        "gates": [],
        "subnetwork": None,
        "whole": None,
    }


def test_a_step_without_a_snapshot_is_replayed(run):
    """Step 700 is kept, and 699 is not; 1,400 is reached from either side."""
    kept, near = gs.read_circuit(run, 2, 700), gs.read_circuit(run, 2, 699)
    assert near.step == 699
    assert near.circuit.support.bits == kept.circuit.support.bits
    far = np.abs(np.asarray(near.network.hidden_weight) - np.asarray(kept.network.hidden_weight)).max()
    assert 0 < far < 0.1
    assert gs.read_circuit(run, 2, -1).step == gs.read_circuit(run, 2, 1400).step == 1400


def test_the_training_inputs_are_those_of_the_run(run):
    """The train accuracy that the run recorded, from the inputs drawn again and the found bits."""
    for seed in range(3):
        x = training_inputs(run, seed)
        assert x.shape == (100, 10)
        network = run.model(seed)
        f = np.maximum(x @ np.asarray(network.hidden_weight) + network.hidden_bias, 0) @ network.output_weight
        y = x[:, hidden_bits(run, seed)].prod(axis=1)
        recorded = float(run.measures.train_accuracy.sel(seed=seed, step=1400))
        assert np.mean(np.sign(f) == y) == pytest.approx(recorded)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"seed": 9}, "has no seed 9; it has 0, 1, 2"),
        ({"seed": (0, 1, 0, 0)}, r"has no seed \(0, 1, 0, 0\)"),
        ({"step": 1401}, "seed 0 has steps 0 to 1400, not 1401"),
        ({"step": -1402}, "seed 0 has steps 0 to 1400, not -1402"),
    ],
)
def test_what_is_not_there(run, arguments, text):
    with pytest.raises(gs.InputError, match=text):
        gs.read_circuit(run, **arguments)


def small(**parts):
    table = {
        "task": {"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 32},
        "model": {"kind": "fully_connected", "width": 8},
        "measures": ["train_accuracy"],
        "learner": "still",
        "steps": 1,
    }
    return gs.Experiment(**{**table, **parts})


def arrays_task(x, y):
    from grokscope.tasks.arrays import Arrays

    return Arrays.from_numpy(train_x=x, train_y=y, test_x=x, test_y=y)


SIGNS = np.random.default_rng(0).choice([-1.0, 1.0], (12, 6))
NOT_READABLE = {
    "not binary": (
        lambda: {"task": arrays_task(SIGNS * 1.5, np.sign(SIGNS[:, 0]))},
        r"those of task 'arrays' are not all so\. Write them in bits",
    ),
    "classes": (
        lambda: {"task": arrays_task(SIGNS, np.arange(12) % 3), "loss": "cross_entropy"},
        "one output; task 'arrays' has 3 classes",
    ),
    "not relu": (
        lambda: {"model": {"kind": "fully_connected", "width": 8, "activation": "gelu"}},
        "a neuron of 'gelu' is never silent",
    ),
}


@pytest.mark.parametrize("name", NOT_READABLE)
def test_runs_that_cannot_be_read_say_why(run, monkeypatch, name):
    parts, text = NOT_READABLE[name]
    monkeypatch.setitem(run.__dict__, "experiment", small(**parts()))
    with pytest.raises(gs.InputError, match=text) as error:
        gs.read_circuit(run)
    assert str(error.value).startswith(str(run.path))


def test_a_deeper_network_is_refused(run, monkeypatch):
    deeper = run.experiment.with_("model.kind='mlp'", "model.widths=[8, 8]")
    monkeypatch.setitem(run.__dict__, "experiment", deeper)
    with pytest.raises(gs.InputError, match="one hidden layer, not from this 'mlp'"):
        gs.read_circuit(run)


def test_a_run_that_cannot_be_replayed_says_why(run, monkeypatch):
    monkeypatch.setattr(
        "grokscope.runs.same.numerics_here", lambda experiment: {"packages": {"jax": "0.0.1"}}
    )
    assert gs.read_circuit(run, 0, 700).step == 700  # kept
    with pytest.raises(gs.InputError, match="numerics"):
        gs.read_circuit(run, 0, 698)


def test_the_subnetwork_and_the_whole_network_are_proved(run):
    for seed in range(3):
        reading = gs.read_circuit(run, seed, prove=True)
        assert reading.proof.bits == hidden_bits(run, seed)
        assert reading.as_json()["whole"] == reading.proof.whole.as_json()
        x = np.array(list(itertools.product([1.0, -1.0], repeat=10)))
        y = x[:, hidden_bits(run, seed)].prod(axis=1)
        arrays = tuple(
            np.asarray(a, dtype=float)
            for a in (
                reading.network.hidden_weight,
                reading.network.hidden_bias,
                reading.network.output_weight,
            )
        )
        part = tuple(array[..., list(reading.circuit.active)] for array in arrays)
        for network, verdict in ((arrays, reading.proof.whole), (part, reading.proof.subnetwork)):
            margin = min(y * (np.maximum(x @ network[0] + network[1], 0) @ network[2]))
            assert verdict.verdict == ("proved" if margin > 0 else "counterexample")
            assert (verdict.input is None) == (margin > 0)
            if margin > 0:
                assert 0 < verdict.margin <= margin * (1 + 1e-6)


def test_an_output_bias_is_no_gate_and_is_proved_with_the_rest():
    """Every subnetwork keeps it."""
    plain = proposition_3(3)
    # the constant neuron of Proposition 3 as an output bias
    biased = OneHiddenLayer(
        plain.hidden_weight[:, 1:],
        plain.hidden_bias[1:],
        plain.output_weight[1:],
        output_bias=jnp.asarray(1.0),
    )
    circuit = read_network(biased)
    assert (len(circuit.gates), circuit.n_parity, circuit.output_bias) == (3, 8, 1.0)
    assert (circuit.active, circuit.n_neurons) == ((0, 1, 2), 3)
    assert circuit.formula == "sign(AND(x0, x1, x2) - AND(¬x0, ¬x1, ¬x2) - ATLEAST2(x0, x1, x2) + 1)"
    assert circuit.arithmetic == read_network(plain).arithmetic
    assert "bias +1" in draw(circuit)
    proof = _proof(biased, circuit, (0, 1, 2), 10.0)
    assert (proof.subnetwork.verdict, proof.whole.verdict) == ("proved", "proved")
    without = dataclasses.replace(biased, output_bias=None)
    assert _proof(without, circuit, (0, 1, 2), 10.0).whole.verdict == "counterexample"
    # without the gate of +1 the bias is what is left at (1, 1, 1): refuted there, or where it is wrong
    assert verify(biased, (0, 1, 2), neurons=[1, 2]).verdict == "counterexample"
    with pytest.raises(gs.InputError, match="neuron 3 does not exist"):
        verify(biased, (0, 1, 2), neurons=[3])
    with pytest.raises(gs.InputError, match="neuron 3: the network has neurons 0 to 2"):
        arity(biased, 3, settings_of(3))


def test_samples_of_a_known_rule_are_proved_against_its_bits():
    x = np.random.default_rng(0).choice([-1.0, 1.0], (12, 6))
    own = arrays_task(x, x[:, 0] * x[:, 1])
    task = {"kind": "samples", "sha256": own.sha256, "of": {"kind": "sparse_parity", "n": 6, "k": 2}}
    assert hidden_bits(SimpleNamespace(path="some/run", experiment=small(task=task)), 0) == (0, 1)


def test_without_a_circuit_the_tasks_own_parity_is_proved_or_refuted(run):
    reading = gs.read_circuit(run, 1, 0, prove=True)
    assert reading.circuit.support.bits == ()
    assert reading.proof.bits == hidden_bits(run, 1)
    assert reading.proof.whole.verdict == "counterexample"
    x = np.array([reading.proof.whole.input], np.float32)
    wrong = float(reading.network(jnp.asarray(x))[0]) * x[0, list(hidden_bits(run, 1))].prod()
    assert wrong <= 0


def test_a_task_that_does_not_tell_is_proved_against_the_support_or_not_at_all(run, monkeypatch):
    task = arrays_task(SIGNS, SIGNS[:, 1] * SIGNS[:, 4])
    assert hidden_bits(SimpleNamespace(path="some/run", experiment=small(task=task)), 0) is None
    known = hidden_bits(run, 1)
    monkeypatch.setattr("grokscope.circuits.reading.hidden_bits", lambda run, position: None)
    proof = gs.read_circuit(run, 1, prove=True).proof
    assert proof.bits == known
    reading = gs.read_circuit(run, 1, 0, prove=True)
    assert (reading.circuit.support.bits, reading.proof) == ((), None)


def test_what_is_known_to_be_no_parity_is_not_proved():
    def of(task):
        return SimpleNamespace(path="some/run", experiment=small(task={"kind": "boolean_function", **task}))

    with pytest.raises(gs.InputError, match=r"some/run: --prove decides .* labels are not one\."):
        hidden_bits(of({"n": 6, "preset": "majority", "k": 3}), 0)
    negative = [{"bits": [0, 4], "coefficient": -1.0}]
    with pytest.raises(gs.InputError, match="--prove decides"):
        hidden_bits(of({"n": 6, "terms": negative}), 0)
    assert hidden_bits(of({"n": 6, "preset": "parity", "k": 2}), 0) == (0, 1)
    # more bits than a spectrum is listed for
    assert hidden_bits(of({"n": 20, "preset": "majority", "k": 17}), 0) is None
