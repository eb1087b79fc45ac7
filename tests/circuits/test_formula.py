"""Formulas mean what they say: they are read back and evaluated."""

import itertools
import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from grokscope.circuits import proposition_2, read_network
from grokscope.circuits.circuit import Circuit
from grokscope.circuits.formula import arithmetic, gate_formula, logic
from grokscope.circuits.gates import read_gates
from grokscope.circuits.relu_network import ReluNetwork

WORDS = {"AND": lambda *v: all(v), "OR": lambda *v: any(v)} | {
    f"ATLEAST{t}": lambda *v, t=t: sum(v) >= t for t in range(1, 5)
}


def is_true(formula, setting):
    """Evaluate a Boolean formula at a setting of x0, x1, ..."""
    program = re.sub(r"¬(x\d+)", r"(not \1)", formula)
    return eval(program, {**WORDS, **{f"x{i}": value > 0 for i, value in enumerate(setting)}})


def value_of(formula, setting):
    """Evaluate what stands behind ``f(x) =``."""
    program = re.sub(r"(\d) (?=[xr])", r"\1 * ", formula.removeprefix("f(x) = "))
    names = {f"x{i}": value for i, value in enumerate(setting)}
    return eval(program, {"relu": lambda z: max(z, 0.0), **names})


def drawn(seed, k, width=6):
    rng = np.random.default_rng(seed)
    if seed % 2:
        W = rng.choice([-1.0, 1.0], (k, width)) * rng.uniform(0.5, 2, width)
    else:
        W = rng.integers(-2, 3, (k, width)) * rng.uniform(0.5, 2, width)
    b = rng.integers(-3, 4, width) * np.abs(W).max(axis=0)
    return ReluNetwork(W, b, rng.normal(size=width))


@given(st.integers(0, 10**6), st.integers(1, 4))
def test_the_formula_of_a_gate_is_its_table(seed, k):
    bits = tuple(range(k))
    gates, _ = read_gates(drawn(seed, k), bits, tuple(range(6)))
    for gate in gates:
        formula = gate_formula(gate, bits)
        if gate.is_always_on:
            assert formula == "1" or formula.startswith("LINEAR(")
            continue
        for setting, fires in zip(itertools.product([1, -1], repeat=k), gate.fires, strict=True):
            assert is_true(formula, setting) == fires, formula


@given(st.integers(0, 10**6), st.integers(1, 4))
def test_the_arithmetic_is_the_sum_of_the_gates(seed, k):
    bits = tuple(range(k))
    gates, _ = read_gates(drawn(seed, k), bits, tuple(range(6)), tolerance=0.0)
    text = arithmetic(gates, bits)
    size = sum(float(np.abs(gate.weight).sum() + abs(gate.bias)) for gate in gates)
    for setting, total in zip(
        itertools.product([1, -1], repeat=k), sum((g.levels for g in gates), np.zeros(2**k)), strict=True
    ):
        if gates:
            # weights are rounded to three digits, written as one where they differ by a tenth, and left
            # out below a tenth
            assert abs(value_of(text, setting) - total) <= 0.12 * size


def test_the_arithmetic_of_whole_numbers_is_exact():
    circuit = read_network(proposition_2(3))
    for setting in itertools.product([1, -1], repeat=3):
        a, b, c = setting
        output = value_of(circuit.arithmetic, setting)
        assert output * a * b * c >= 1
        assert output in (-1, 10, -7, 7, 1, -10)
    assert "relu(-x0 - x1 + 10 x2 - 9)" in circuit.arithmetic


def test_a_circuit_is_the_sign_of_signed_gates():
    circuit = read_network(proposition_2(3))
    inside = re.fullmatch(r"sign\((.*)\)", circuit.formula)[1]
    terms = re.findall(r"(?:^|([+-]) )((?:AND|OR)\((?:[^()]|\([^()]*\))*\))", inside)
    assert [("-" if sign == "-" else "+", text) for sign, text in terms] == [
        ("+" if gate.output_sign > 0 else "-", gate_formula(gate, (0, 1, 2))) for gate in circuit.gates
    ]


def test_a_first_minus_is_kept_and_nothing_is_said_of_nothing():
    weights = ReluNetwork(np.array([[1.0]]), np.array([-0.5]), np.array([-2.0]))
    gates, _ = read_gates(weights, (0,), (0,))
    assert logic(gates, (0,)) == "sign(- x0)"
    assert arithmetic(gates, (0,)) == "f(x) = - 2 relu(x0 - 0.5)"
    nothing = read_network(ReluNetwork(np.zeros((20, 2)), np.zeros(2), np.zeros(2)))
    assert isinstance(nothing, Circuit)
    assert (nothing.formula, nothing.arithmetic, nothing.n_parity) == ("", "", 0)
