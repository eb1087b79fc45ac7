"""Circuits of a whole run: what is counted is what is read one by one, and kept."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import grokscope as gs
from grokscope.circuits import construction_experiment, proposition_2, read_network
from grokscope.circuits.circuit import merged_network
from grokscope.circuits.counting import MEASURES, count_gates
from grokscope.circuits.foresight import foresee
from grokscope.circuits.relu_network import ReluNetwork, as_relu_network
from grokscope.circuits.support import settings_of
from grokscope.errors import InputError
from small_circuits import trained


@pytest.fixture
def run(tmp_path):
    """A copy, because measures are added."""
    shutil.copytree(trained().path, tmp_path / "run")
    return gs.open_run(tmp_path / "run")


@pytest.mark.slow
def test_what_is_counted_is_what_is_read(run):
    found = count_gates(run).sel(step=1400)
    for seed in range(3):
        circuit = gs.read_circuit(run, seed).circuit
        one = found.sel(seed=seed)
        assert one.gates == len(circuit.gates) > 0
        assert one.circuit_neurons == len(circuit.active)
        assert one.support_bits == 2
        assert one.and_gates == sum(gate.kind == "and" and len(gate.bits) == 2 for gate in circuit.gates)


def test_a_proof_of_the_merged_network_is_right_about_all_inputs(run):
    """n = 10: all 1,024 inputs."""
    found = count_gates(run).sel(step=1400)
    x = settings_of(10)
    for seed in range(3):
        reading = gs.read_circuit(run, seed)
        merged = merged_network(reading.network, reading.circuit)
        assert len(merged.u) == len(reading.circuit.gates)
        bits = list(reading.circuit.support.bits)
        margin = (merged.outputs(x) * x[:, bits].prod(axis=1)).min()
        assert bool(found.merged_proved.sel(seed=seed)) == (margin > 0)
        if margin > 0:
            assert found.merged_margin.sel(seed=seed) <= margin + 1e-6


def test_nothing_is_read_twice_and_only_what_is_asked_for(run, monkeypatch):
    count_gates(run, [1])
    again = gs.open_run(run.path)
    assert again.measures.gates.notnull().sum() == 1
    monkeypatch.setattr("grokscope.circuits.counting._count", lambda *_: pytest.fail("read again"))
    assert set(count_gates(again, [1]).data_vars) == set(MEASURES)


def test_before_the_transition_there_are_no_gates(run):
    found = count_gates(run, [0], step=0).sel(seed=0, step=0)
    assert (found.gates, found.merged_proved) == (0, 0)
    assert found.merged_margin.isnull()


def test_doubled_neurons_are_one_gate():
    """Each neuron of Proposition 2 cut in two unequal parts, and shuffled."""
    weights = as_relu_network(proposition_2(n=6))
    order = np.random.default_rng(0).permutation(12)
    double = ReluNetwork(*(np.concatenate([0.3 * array, 0.7 * array], axis=-1) for array in weights))
    double = ReluNetwork(double.W, double.b, np.concatenate([weights.u, weights.u])).only(order)
    circuit = read_network(double, neurons=range(12))
    merged = merged_network(double, circuit)
    assert len(merged.u) == 6
    x = settings_of(6)
    np.testing.assert_allclose(merged.outputs(x), weights.outputs(x), atol=1e-12)


def test_foresight_by_hand(run):
    """At the last step the circuit is the largest by definition; at the first, from the weights."""
    found = foresee(run, steps=[0, 700])
    assert (found.precision_path_norm.sel(step=1400) == 1).all()
    for seed in range(3):
        circuit = set(gs.read_circuit(run, seed).circuit.active)
        first = as_relu_network(run.model(seed, 0))
        bits = list(gs.read_circuit(run, seed).circuit.support.bits)
        score = np.abs(first.u) * np.sqrt((first.W[bits] ** 2).sum(axis=0))
        best = set(np.argsort(-score)[: len(circuit)].tolist())
        one = found.sel(seed=seed, step=0)
        assert one.precision_support_norm == pytest.approx(len(best & circuit) / len(circuit))
        assert one.circuit_size == len(circuit)


def test_foresight_is_kept(run, monkeypatch):
    foresee(run, [2], steps=[700])
    monkeypatch.setattr("grokscope.circuits.foresight._precisions", lambda *_: pytest.fail("measured again"))
    assert foresee(gs.open_run(run.path), [2], steps=[700]).circuit_size.notnull().sum() == 3


@pytest.mark.parametrize("measure", [count_gates, foresee])
def test_what_cannot_be_done_is_said(measure, run, tmp_path):
    with pytest.raises(InputError, match="has no seed 7"):
        measure(run, [7])
    with pytest.raises(InputError, match="no seeds"):
        measure(run, [])
    deep = construction_experiment(2, n=6, measures=["test_accuracy"]).with_(
        "model={kind='mlp', widths=[4, 4]}"
    )
    other = gs.train(deep, out=tmp_path / "deep")
    with pytest.raises(InputError, match="one hidden layer"):
        measure(other)
