"""Gates against truth tables written with plain loops."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oracles
from grokscope.circuits import proposition_1, proposition_2, proposition_3, read_network
from grokscope.circuits.formula import gate_formula, logic
from grokscope.circuits.gates import TOLERANCE, opposites, read_gates
from grokscope.circuits.relu_network import ReluNetwork, as_relu_network

BITS = (1, 3, 4)
CUBE = list(itertools.product([1, -1], repeat=3))


def small(seed, width=12):
    """Small whole numbers: ties, zeros and equal tables are common."""
    rng = np.random.default_rng(seed)
    W, b, u = (rng.integers(-2, 3, size) for size in ((6, width), width, width))
    return ReluNetwork(W.astype(float), b.astype(float), u.astype(float))


def activation(weights, j, setting):
    total = weights.b[j]
    for bit, value in zip(BITS, setting, strict=True):
        total += weights.W[bit, j] * value
    return max(total, 0.0)


def table(weights, j, tolerance):
    values = [activation(weights, j, setting) for setting in CUBE]
    return [value > tolerance * max(values) for value in values] if max(values) > 0 else None


def kind_of(fires):
    """``and`` or ``or`` if some literals give this table by all() or any(), else ``other``."""
    names = {}
    for signs in itertools.product([1, 0, -1], repeat=3):
        met = [[x * s > 0 for x, s in zip(setting, signs, strict=True) if s] for setting in CUBE]
        if any(signs):
            names.setdefault(tuple(map(any, met)), ("or", signs))
            if list(map(all, met)) == fires:
                return "and", signs
    return names.get(tuple(fires), ("other", None))


@given(st.integers(0, 10**6), st.sampled_from([0.0, TOLERANCE, 0.45]))
def test_tables_kinds_signs_and_merging(seed, tolerance):
    weights = small(seed)
    gates, silent = read_gates(weights, BITS, tuple(range(12)), tolerance)
    tables = {j: table(weights, j, tolerance) for j in range(12)}
    dead = {j for j in range(12) if tables[j] is None or weights.u[j] == 0}
    assert set(silent) == dead
    assert sorted(j for gate in gates for j in gate.neurons) == sorted(set(range(12)) - dead)
    for gate in gates:
        for j in gate.neurons:
            assert gate.fires.tolist() == tables[j]
            assert gate.output_sign == np.sign(weights.u[j])
        if gate.is_always_on:
            assert gate.kind == "other"
            continue
        kind, signs = kind_of(tables[gate.neurons[0]])
        assert gate.kind == kind
        if signs is not None:
            assert dict(zip(gate.bits, gate.signs, strict=True)) == {
                bit: sign for bit, sign in zip(BITS, signs, strict=True) if sign
            }
        # its bits are those that can change it, and it wants the sign that it has
        for i, bit in enumerate(BITS):
            changes = {
                setting[i]: None
                for setting, fires in zip(CUBE, gate.fires, strict=True)
                if fires and not gate.fires[CUBE.index(_flipped(setting, i))]
            }
            assert (bit in gate.bits) == bool(changes)
            if changes:
                assert list(changes) == [gate.signs[gate.bits.index(bit)]]
    keys = [(gate.output_sign, gate.fires.tobytes()) for gate in gates if not gate.is_always_on]
    assert len(set(keys)) == len(keys)


def _flipped(setting, i):
    return tuple(-x if place == i else x for place, x in enumerate(setting))


@given(st.integers(0, 10**6))
def test_gates_add_up_to_the_network_and_merged_ones_are_one_neuron(seed):
    weights = small(seed)
    gates, _ = read_gates(weights, BITS, tuple(range(12)), tolerance=0.0)
    x = np.zeros((8, 6))
    x[:, BITS] = CUBE
    total = sum((gate.levels for gate in gates), np.zeros(8))
    np.testing.assert_allclose(total, oracles.outputs(tuple(weights[:3]), x), atol=1e-9)
    for gate in gates:
        merged = gate.output_sign * np.maximum(np.array(CUBE) @ gate.weight + gate.bias, 0)
        np.testing.assert_allclose(gate.levels, merged, atol=1e-9)
        path = oracles.norms(tuple(weights[:3]), "path_norm")
        assert gate.strength == pytest.approx(sum(path[j] for j in gate.neurons))


@given(st.integers(0, 10**6))
def test_opposites_do_at_x_what_the_other_does_at_minus_x(seed):
    gates, _ = read_gates(small(seed, 20), BITS, tuple(range(20)))
    for one, other in itertools.product(gates, repeat=2):
        mirrored = all(
            one.fires[i] == other.fires[CUBE.index(tuple(-x for x in setting))]
            for i, setting in enumerate(CUBE)
        )
        if one.is_always_on or other.is_always_on:
            continue
        assert opposites(one, other) == (mirrored and one is not other)


def test_opposites_stand_next_to_each_other_and_the_strongest_first():
    circuit = read_network(proposition_1(3))
    assert circuit.pairs == [(0, 1), (2, 3), (4, 5), (6, 7)]
    for a, b in circuit.pairs:
        assert circuit.gates[a].signs == tuple(-sign for sign in circuit.gates[b].signs)
    strengths = (
        [max(g.strength for g in pair) for pair in itertools.batched(circuit.gates, 2)]
        if hasattr(itertools, "batched")
        else [gate.strength for gate in circuit.gates[::2]]
    )
    assert strengths == sorted(strengths, reverse=True)


def test_a_kink_that_training_left_near_a_setting_is_silence():
    """relu(X - 0.97) is 0.03 where X = 1 and 2.03 where X = 3: an AND, as relu(X - 1) is."""
    weights = ReluNetwork(np.ones((3, 1)), np.array([-0.97]), np.ones(1))
    (gate,), _ = read_gates(weights, (0, 1, 2), (0,))
    assert gate.kind == "and"
    (strict,), _ = read_gates(weights, (0, 1, 2), (0,), tolerance=0.0)
    assert (strict.kind, strict.at_least((0, 1, 2))) == ("other", 2)


def test_a_bias_of_plus_a_is_no_or():
    """relu(X + 1) is 0 where one of three is met: at least two are needed. An OR needs a larger bias."""
    for bias, kind, least in ((1.0, "other", 2), (1.0 + 1.0, "or", 1), (-1.0, "and", 3), (-0.5, "other", 2)):
        weights = ReluNetwork(np.ones((3, 1)), np.array([bias]), np.ones(1))
        (gate,), _ = read_gates(weights, (0, 1, 2), (0,))
        assert (gate.kind, gate.at_least((0, 1, 2))) == (kind, least)


def test_neurons_that_are_always_on():
    weights = ReluNetwork(
        np.array([[0.0, 1.0], [0.0, 0.01], [0.0, 0.0]]), np.array([2.0, 5.0]), np.array([1.0, -1.0])
    )
    gates, silent = read_gates(weights, (0, 1, 2), (0, 1))
    assert silent == ()
    found = {gate.neurons[0]: (gate.bits, gate.kind, gate_formula(gate, (0, 1, 2))) for gate in gates}
    assert found == {0: ((), "other", "1"), 1: ((0,), "other", "LINEAR(x0)")}


def test_the_readings_of_the_constructions():
    def read(network):
        circuit = read_network(network)
        return {(gate_formula(gate, (0, 1, 2)), gate.output_sign): gate.neurons for gate in circuit.gates}

    cube = itertools.product([1, -1], repeat=3)
    literals = [
        "AND(" + ", ".join(f"x{i}" if s > 0 else f"¬x{i}" for i, s in enumerate(row)) + ")" for row in cube
    ]
    parity = [1, -1, -1, 1, -1, 1, 1, -1]
    assert read(proposition_1(3)) == {
        (name, y): (j,) for j, (name, y) in enumerate(zip(literals, parity, strict=True))
    }
    assert read(proposition_2(3)) == {
        ("OR(AND(¬x0, x2), AND(¬x1, x2))", -1): (0,),
        ("AND(¬x0, ¬x1, x2)", 1): (1,),
        ("AND(x0, x1, x2)", 1): (2,),
        ("OR(AND(x0, ¬x2), AND(¬x1, ¬x2))", -1): (3,),
        ("AND(¬x0, x1, ¬x2)", 1): (4,),
        ("AND(x0, ¬x1, ¬x2)", 1): (5,),
    }
    assert read(proposition_3(3)) == {
        ("1", 1): (0,),
        ("AND(x0, x1, x2)", 1): (1,),
        ("ATLEAST2(x0, x1, x2)", -1): (2,),
        ("AND(¬x0, ¬x1, ¬x2)", -1): (3,),
    }


@settings(max_examples=10)
@given(st.integers(0, 10**6), st.integers(1, 5))
def test_duplicates_of_a_construction_are_one_gate(seed, copies):
    """Neurons split in parts, rescaled and shuffled: the same gates with the same strengths."""
    rng = np.random.default_rng(seed)
    plain = as_relu_network(proposition_2(3))
    share = rng.dirichlet(np.ones(copies), 6)  # [neuron, copy]
    scale = rng.uniform(0.1, 10, (6, copies))
    order = rng.permutation(6 * copies)
    W = (plain.W[:, :, None] * scale).reshape(3, -1)[:, order]
    b = (plain.b[:, None] * scale).ravel()[order]
    u = (plain.u[:, None] * share / scale).ravel()[order]
    gates = read_network(ReluNetwork(W, b, u), neurons=range(6 * copies)).gates
    wanted = read_network(plain).gates
    assert sorted(gate_formula(g, (0, 1, 2)) for g in gates) == sorted(
        gate_formula(g, (0, 1, 2)) for g in wanted
    )
    strength = {gate_formula(g, (0, 1, 2)): g.strength for g in wanted}
    for gate in gates:
        assert len(gate.neurons) == copies
        assert gate.strength == pytest.approx(strength[gate_formula(gate, (0, 1, 2))])


def test_no_gates_no_formula():
    assert logic((), ()) == ""
