"""The check of certificates, the only part of verification that is trusted, against rational arithmetic."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokscope.circuits.relu_network import ReluNetwork
from grokscope.circuits.verification import certificate as module
from grokscope.circuits.verification.certificate import (
    SLOPES,
    Certificate,
    Rounded,
    _floor,
    check_certificate,
    exact_lowers,
    exact_output,
)
from grokscope.circuits.verification.problem import VerificationProblem
from grokscope.errors import InputError
from verification_oracles import (
    any_numbers,
    bound_of,
    exact_value,
    inputs_of,
    least,
    tree_of,
    whole_bound,
    whole_numbers,
)

EVERY = 10**6  # cuts: until nothing is free


def problem_of(rng, make, n=6, width=5, support=(0, 2)):
    return VerificationProblem.of(make(rng, n, width), support, rng.choice([-1.0, 1.0], 2 ** len(support)))


@pytest.mark.parametrize("curved", [False, True])
def test_a_tree_of_all_inputs_gives_the_exact_minimum_of_whole_numbers(curved):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        problem = problem_of(rng, whole_numbers)
        certificate, _ = tree_of(problem, EVERY, rng, curved=curved)
        assert certificate.n_leaves == 4 * 2**4
        found = exact_lowers(certificate, problem, Rounded.of(problem))
        assert found == [least(problem, setting) for setting in range(4)]


@pytest.mark.parametrize("cuts", [0, 3, 20])
@pytest.mark.parametrize("curved", [False, True])
@pytest.mark.parametrize("make", [whole_numbers, any_numbers])
def test_no_bound_is_above_the_minimum_and_none_is_looser_than_the_formula(make, cuts, curved):
    """Of any tree with any slopes. Rounding costs little: shares are whole 255ths of v here."""
    gained = 0
    for seed in range(8):
        rng = np.random.default_rng([seed, cuts])
        problem = problem_of(rng, make, width=int(rng.integers(1, 12)))
        certificate, leaves = tree_of(problem, cuts, rng, curved=curved)
        found = exact_lowers(certificate, problem, Rounded.of(problem))
        size = float(
            np.abs(problem.weights.u) @ (np.abs(problem.weights.W).sum(0) + np.abs(problem.weights.b))
        )
        expected = [np.inf] * 4
        for setting, fixed, shares in leaves:
            line, more = bound_of(problem, setting, fixed, shares / SLOPES, curved=curved)
            expected[setting] = min(expected[setting], line + more)
            gained += more > 0
        for setting, bound in enumerate(found):
            assert bound <= least(problem, setting)
            if make is any_numbers:
                # 52 bits are shared by two factors; parabolas are computed from lengths of some ten bits
                off = 3e-3 if curved else 2.0**-18
                assert float(bound) == pytest.approx(expected[setting], abs=off * size)
    assert (gained > 0) == curved


@pytest.mark.parametrize("curved", [False, True])
def test_whole_numbers_in_float64_are_those_of_python(curved):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        weights = any_numbers(rng, 7, 6)
        problem = VerificationProblem.of(weights, (1, 3, 4))
        certificate, _ = tree_of(problem, 25, rng, curved=curved)
        proved = check_certificate(certificate, weights, (1, 3, 4))
        assert proved == check_certificate(certificate, weights, (1, 3, 4), arithmetic="integers")
        assert all(type(one) is Fraction for one in proved)


@pytest.mark.parametrize("curved", [False, True])
@pytest.mark.parametrize("make", [whole_numbers, any_numbers])
def test_every_leaf_has_the_bound_of_the_formula_in_whole_numbers(make, curved):
    """To the last digit; slopes of 0 and of v among them, and pre-activations that just reach 0."""
    for seed in range(12):
        rng = np.random.default_rng([seed, 7])
        problem = problem_of(rng, make, width=int(rng.integers(1, 12)))
        certificate, leaves = tree_of(problem, int(rng.integers(0, 25)), rng, curved=curved)
        shares = np.where(rng.random(certificate.shares.shape) < 0.5, certificate.shares, 0)
        shares = np.where(rng.random(shares.shape) < 0.2, SLOPES, shares).astype(np.uint8)
        rounded = Rounded.of(problem)
        found = exact_lowers(changed(certificate, shares=shares), problem, rounded)
        expected = [np.inf] * 4
        for (setting, fixed, _), row in zip(leaves, shares.tolist(), strict=True):
            bound = whole_bound(rounded, setting, fixed.astype(int).tolist(), row, curved=curved)
            expected[setting] = min(expected[setting], bound)
        assert found == [Fraction(one) / rounded.scale - rounded.error for one in expected]


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_the_bound_is_that_of_the_formula_for_the_smallest_numbers_too(shift):
    """Pre-activations that end at -1, 0 or 1, lengths of one unit: where a rule that is off by one shows."""
    gained = 0
    for seed in range(60):
        rng = np.random.default_rng([seed, shift])
        problem = problem_of(rng, whole_numbers, width=int(rng.integers(1, 9)))
        certificate, leaves = tree_of(problem, int(rng.integers(0, 12)), rng, curved=True)
        A = rng.integers(-2, 3, problem.A.shape).astype(np.float64)
        tiny = replace(
            Rounded.of(problem),
            A=A,
            B=rng.integers(-3, 4, problem.B.shape).astype(np.float64),
            v=rng.integers(-300, 301, problem.v.shape).astype(np.float64),
            coarse=np.rint(np.ldexp(A, -shift)),
            shift=shift,
        )
        for setting in range(4):
            of_leaves = [
                [whole_bound(tiny, s, f.astype(int).tolist(), q.tolist(), curved=curved) for curved in (0, 1)]
                for s, f, q in leaves
                if s == setting
            ]
            gained += sum(flat < curved for flat, curved in of_leaves)
            found = exact_lowers(certificate, problem, tiny)[setting]
            assert found == Fraction(min(curved for _, curved in of_leaves)) / tiny.scale - tiny.error
    assert gained > 20 or shift


def test_python_integers_are_exact_where_float64_is_not():
    """What a certificate proves of a network whose numbers are too large: no digit may be lost."""
    rng = np.random.default_rng(9)
    problem = problem_of(rng, any_numbers)
    certificate, leaves = tree_of(problem, 5, rng, curved=False)
    rounded = Rounded.of(problem)
    # whole numbers of 40 to 53 bits, whose products have a hundred
    large = replace(rounded, A=np.rint(rounded.A * 2.0**20) + 1.0, v=np.rint(rounded.v * 2.0**20) + 1.0)
    expected = [min(whole_bound(large, s, f.astype(int).tolist(), q.tolist(), curved=False)
                    for s, f, q in leaves if s == setting) for setting in range(4)]  # fmt: skip
    exact = exact_lowers(certificate, problem, large, "integers")
    assert exact == [Fraction(one) / large.scale - large.error for one in expected]
    assert exact_lowers(certificate, problem, large) != exact


@given(st.integers(-(2**53) + 1, 2**53 - 1), st.integers(1, 2**53 - 1), st.integers(-1, 1))
def test_quotients_are_rounded_down(above, below, off):
    for one in (above, max(-(2**53) + 1, min(2**53 - 1, above // below * below + off))):
        assert int(_floor(np.array([float(one)]), np.array([float(below)]))[0]) == one // below
        big = one * 2**60 + off
        assert _floor(np.array([big], dtype=object), below)[0] == big // below


def test_leaves_in_pieces_give_the_same(monkeypatch):
    rng = np.random.default_rng(0)
    problem = problem_of(rng, any_numbers)
    certificate, _ = tree_of(problem, 40, rng, curved=True)
    rounded = Rounded.of(problem)
    whole = exact_lowers(certificate, problem, rounded)
    monkeypatch.setattr(module, "_ROWS", 3)
    assert exact_lowers(certificate, problem, rounded) == whole


def test_parabolas_are_left_out_where_their_squares_would_not_be_exact():
    """The bounds stay sound; without the parabolas they are those of the lines."""
    rng = np.random.default_rng(3)
    problem = problem_of(rng, any_numbers, width=10)
    certificate, _ = tree_of(problem, 0, rng, curved=True)
    rounded = Rounded.of(problem)
    fine = replace(rounded, shift=0, coarse=rounded.A)  # lengths of 52 bits, whose squares have 104
    flat = exact_lowers(replace(certificate, curved=False), problem, fine)
    assert exact_lowers(certificate, problem, fine) == flat
    assert exact_lowers(certificate, problem, rounded) != flat


# --- rounding ---


def outputs_of(rounded, problem, setting, x):
    """The rounded network's y f(x), from its whole numbers alone."""
    others = [x[bit] for bit in problem.others]
    total = 0
    for j in range(rounded.v.shape[1]):
        z = int(rounded.B[setting, j]) + sum(int(rounded.A[i, j]) * s for i, s in enumerate(others))
        total += int(rounded.v[setting, j]) * max(0, z)
    return Fraction(total) / rounded.scale


@pytest.mark.parametrize("seed", range(8))
def test_what_rounding_does_is_bounded_at_every_input(seed):
    rng = np.random.default_rng(seed)
    problem = problem_of(rng, any_numbers)
    rounded, worst = Rounded.of(problem), Fraction(0)
    for setting in range(4):
        for x in inputs_of(problem, setting):
            own = int(problem.target[setting]) * exact_value(problem.weights, x)
            worst = max(worst, abs(own - outputs_of(rounded, problem, setting, x)))
    assert 0 < worst <= rounded.error
    # and the bound is not idle: rounded as finely as 52 bits allow
    W, b, u = problem.weights
    size = float(np.abs(u) @ (np.abs(W).sum(axis=0) + np.abs(b)))
    assert float(rounded.error) < 2.0**-18 * size
    for array in (rounded.A, rounded.B, rounded.v, rounded.coarse):
        assert (array == np.rint(array)).all()
    reach = np.abs(rounded.A).sum(axis=0) + np.abs(rounded.B).max(axis=0)
    assert 2.0**44 < float(np.abs(rounded.v[0]) @ reach) < 2.0**52
    assert np.abs(rounded.A - 2.0**rounded.shift * rounded.coarse).max() <= 2.0**rounded.shift / 2


def test_whole_numbers_are_not_rounded():
    problem = problem_of(np.random.default_rng(1), whole_numbers)
    rounded = Rounded.of(problem)
    assert rounded.error == 0
    assert rounded.scale > 1
    for setting in range(4):
        for x in inputs_of(problem, setting):
            own = int(problem.target[setting]) * exact_value(problem.weights, x)
            assert own == outputs_of(rounded, problem, setting, x)


def test_the_error_counts_what_is_off():
    """One weight between two multiples: |u| half a unit; one output weight: |z'| half a unit."""
    W, b, u = np.array([[1.0], [1.0]]), np.array([2.0]), np.array([1.0])
    off = np.array([[0.0], [2.0**-50]])
    sound = Rounded.of(VerificationProblem.of(ReluNetwork(W, b, u), (0,)))
    assert sound.error == 0
    off_W = Rounded.of(VerificationProblem.of(ReluNetwork(W + off, b, u), (0,)))
    half = Fraction(1, 2) / off_W.scale
    assert off_W.error == half * int(off_W.v[0, 0])
    off_u = Rounded.of(VerificationProblem.of(ReluNetwork(W, b, u + 2.0**-50), (0,)))
    size = int(abs(off_u.A).sum() + max(abs(off_u.B[:, 0])))
    assert off_u.error == Fraction(1, 2) / off_u.scale * size
    both = Rounded.of(VerificationProblem.of(ReluNetwork(W + off, b, u + 2.0**-50), (0,)))
    size = int(abs(both.A).sum() + max(abs(both.B[:, 0])))
    assert both.error == Fraction(1, 2) / both.scale * (int(both.v[0, 0]) + 1 + size)


def test_a_network_of_zeros_can_be_rounded():
    problem = VerificationProblem.of(ReluNetwork(np.zeros((4, 3)), np.zeros(3), np.zeros(3)), (0, 1))
    rounded = Rounded.of(problem)
    assert (rounded.scale, rounded.error, rounded.shift) == (1, 0, 0)
    certificate, _ = tree_of(problem, 2, np.random.default_rng(0), curved=True)
    assert exact_lowers(certificate, problem, rounded) == [0, 0, 0, 0]


@pytest.mark.parametrize(("of_W", "of_u"), [(2.0**150, 1.0), (1.0, 2.0**150), (2.0**-150, 2.0**-150)])
def test_weights_of_any_usual_size_can_be_rounded(of_W, of_u):
    rng = np.random.default_rng(2)
    weights = whole_numbers(rng, 5, 4)
    problem = VerificationProblem.of(ReluNetwork(weights.W * of_W, weights.b * of_W, weights.u * of_u), (0,))
    certificate, _ = tree_of(problem, EVERY, rng, curved=True)
    found = exact_lowers(certificate, problem, Rounded.of(problem))
    assert found == [least(problem, setting) for setting in range(2)]


@pytest.mark.parametrize(("of_W", "of_u"), [(1e300, 1.0), (1e-300, 1.0), (1.0, 1e300), (1.0, 1e-300)])
def test_weights_that_cannot_be_rounded_are_refused(of_W, of_u):
    weights = whole_numbers(np.random.default_rng(2), 5, 4)
    problem = VerificationProblem.of(ReluNetwork(weights.W * of_W, weights.b * of_W, weights.u * of_u), (0,))
    with pytest.raises(InputError, match="too large or too small to be rounded"):
        Rounded.of(problem)


# --- trees ---


def small():
    problem = problem_of(np.random.default_rng(0), whole_numbers)
    return problem, tree_of(problem, 6, np.random.default_rng(0), curved=False)[0]


def changed(certificate, **arrays):
    copies = {name: np.array(getattr(certificate, name)) for name in ("bit", "child", "shares")}
    return Certificate(**(copies | arrays), curved=certificate.curved)


def inner(certificate):
    return np.flatnonzero(certificate.bit >= 0)


def test_what_is_no_tree_of_subcubes_proves_nothing():
    problem, sound = small()
    rounded = Rounded.of(problem)
    node = int(inner(sound)[0])
    bit, child = sound.bit.copy(), sound.child.copy()

    def refused(one: Certificate) -> None:
        with pytest.raises(InputError, match="no tree of subcubes"):
            exact_lowers(one, problem, rounded)

    exact_lowers(sound, problem, rounded)
    refused(changed(sound, bit=np.where(np.arange(len(bit)) == node, len(problem.others), bit)))
    for other in (node, 0, len(bit), 10**6):  # itself, one before it, none
        wrong = child.copy()
        wrong[node, 1] = other
        refused(changed(sound, child=wrong))
    # a bit that is cut twice on one path: the halves would not be halves
    twice = bit.copy()
    path = next((n for n in inner(sound) for c in sound.child[n] if bit[c] >= 0), None)
    assert path is not None
    under = next(int(c) for c in sound.child[path] if bit[c] >= 0)
    twice[under] = bit[path]
    refused(changed(sound, bit=twice))


def test_a_certificate_of_another_network_is_refused():
    problem, sound = small()
    rounded = Rounded.of(problem)
    for one in (
        changed(sound, shares=sound.shares[:-1]),
        changed(sound, shares=sound.shares[:, :-1]),
        changed(sound, bit=np.full(3, -1), child=np.full((3, 2), -1), shares=sound.shares[:3]),
    ):
        with pytest.raises(InputError, match="another network or another number of bits"):
            exact_lowers(one, problem, rounded)
    assert len(exact_lowers(changed(sound, bit=np.full(4, -1), child=np.full((4, 2), -1),
                                    shares=sound.shares[:4]), problem, rounded)) == 4  # fmt: skip


# --- one input ---


@pytest.mark.parametrize("make", [whole_numbers, any_numbers])
def test_an_output_is_exact(make):
    rng = np.random.default_rng(5)
    problem = problem_of(rng, make)
    for setting in range(4):
        for x in inputs_of(problem, setting)[::5]:
            others = np.array([x[bit] for bit in problem.others])
            expected = int(problem.target[setting]) * exact_value(problem.weights, x)
            assert exact_output(problem, setting, others) == expected
