"""What a verdict says, and which one is given at the edges."""

from __future__ import annotations

import importlib
import inspect
import math
import time
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from grokscope.circuits import Subnetwork, proposition_2, proposition_3
from grokscope.circuits.relu_network import ReluNetwork, as_relu_network
from grokscope.circuits.support import MOST_BITS, settings_of
from grokscope.circuits.target import target_of
from grokscope.circuits.verification import check_certificate, verify
from grokscope.circuits.verification.problem import VerificationProblem
from grokscope.circuits.verification.verify import TRUSTED, Verdict
from grokscope.errors import InputError
from grokscope.tasks.boolean_function import BooleanFunction
from grokscope.tasks.samples import Samples
from small_circuits import trained
from verification_oracles import exact_value

# the function has the name of its module
module: Any = importlib.import_module("grokscope.circuits.verification.verify")


def made(**changes: Any) -> Verdict:
    facts: dict[str, Any] = {
        "verdict": "counterexample", "margin": -1.0, "input": [1, -1], "seconds": 0.25, "lower": -3.0,
        "upper": -1.0, "worst_input": [1, -1], "lowers": np.array([-3.0]), "uppers": np.array([-1.0]),
    }  # fmt: skip
    return Verdict(**(facts | changes))


def test_a_verdict_as_json_has_what_decides():
    assert made().as_json() == {
        "verdict": "counterexample",
        "margin": -1.0,
        "input": [1, -1],
        "seconds": 0.25,
    }
    assert made().gap == 2.0
    assert (made().leaves, made().certificate) == (0, None)
    for name in ("proved", "counterexample", "undecided"):
        assert made(verdict=name).trusted == TRUSTED[name]
    certificate = verify(proposition_3(n=5), (0, 1, 2)).certificate
    assert "ertificate" not in repr(made(certificate=certificate))  # it may be as long as a book


def test_a_proof_says_what_was_proved():
    network = proposition_2(n=8)
    verdict = verify(network, (0, 1, 2))
    assert verdict.verdict == "proved"
    assert verdict.certificate is not None
    proved = check_certificate(verdict.certificate, network, (0, 1, 2))
    assert [Fraction(one) for one in verdict.lowers] == proved  # whole numbers: floats hold them
    assert verdict.lower == verdict.margin == verdict.lowers.min()
    assert verdict.upper == verdict.uppers.min() == 1.0
    assert verdict.input is None
    assert verdict.leaves == verdict.certificate.n_leaves >= 8
    assert 0 < verdict.seconds < 60
    x = verdict.worst_input
    assert exact_value(as_relu_network(network), x) * int(np.prod(x[:3])) == 1
    assert len(verdict.lowers) == len(verdict.uppers) == 8


def test_a_counterexample_is_one_and_comes_with_its_exact_margin():
    network = proposition_2(n=8)
    verdict = verify(network, (0, 1, 3))
    assert verdict.verdict == "counterexample"
    assert verdict.input == verdict.worst_input
    assert verdict.input is not None
    wrong = exact_value(as_relu_network(network), verdict.input) * int(
        np.prod([verdict.input[b] for b in (0, 1, 3)])
    )
    assert verdict.margin == verdict.upper == float(wrong) <= 0
    assert verdict.lower == -math.inf
    assert (verdict.lowers == -math.inf).all()
    assert (verdict.leaves, verdict.certificate) == (0, None)
    assert verdict.gap == math.inf


def constant(value: float, n: int = 4) -> ReluNetwork:
    """f(x) is the value everywhere."""
    return ReluNetwork(np.zeros((n, 1)), np.array([1.0]), np.array([value]))


@pytest.mark.parametrize("value", [0.0, -0.0, -1e-30])
def test_an_output_of_0_is_wrong(value):
    verdict = verify(constant(value), (0,), target=[1, 1])
    assert verdict.verdict == "counterexample"
    assert verdict.margin == value


def test_an_output_that_cancels_in_floats_only_is_seen_exactly():
    """1 + 2^-60 - 1: float64 says 0, and the network is right."""
    W, b = np.zeros((3, 3)), np.array([1.0, 2.0**-60, 1.0])
    verdict = verify(ReluNetwork(W, b, np.array([1.0, 1.0, -1.0])), (0,), target=[1, 1])
    assert verdict.verdict != "counterexample"
    assert verdict.upper >= 0
    wrong = verify(ReluNetwork(W, b, np.array([1.0, -1.0, -1.0])), (0,), target=[1, 1])
    assert (wrong.verdict, wrong.margin) == ("counterexample", -(2.0**-60))


def test_without_time_it_is_undecided_and_says_how_far_it_came():
    rng = np.random.default_rng(0)
    base = as_relu_network(proposition_2(n=40, width=160))
    network = ReluNetwork(*(array + 0.023 * rng.standard_normal(array.shape) for array in base))
    verdict = verify(network, (0, 1, 2), budget=1e-9)
    assert verdict.verdict == "undecided"
    assert -math.inf < verdict.lower <= 0 < verdict.upper
    assert verdict.margin == verdict.lower
    assert verdict.certificate is not None
    whole = verify(network, (0, 1, 2), budget=60.0)
    assert whole.verdict == "proved"
    assert verdict.lower < whole.lower <= whole.upper <= verdict.upper
    assert verdict.leaves < whole.leaves


@pytest.mark.parametrize("budget", [0.0, -1.0, math.nan])
def test_a_budget_is_above_0(budget):
    with pytest.raises(InputError, match="must be above 0 seconds"):
        verify(proposition_3(n=5), (0, 1, 2), budget=budget)


def test_the_budget_is_ten_seconds_unless_said_otherwise():
    assert inspect.signature(verify).parameters["budget"].default == module.BUDGET == 10.0


def test_another_target_and_some_neurons():
    network = proposition_3(n=6)
    parity = settings_of(3).prod(axis=1)
    assert verify(network, (0, 1, 2), target=parity).verdict == "proved"
    assert verify(network, (0, 1, 2), target=-parity).verdict == "counterexample"
    size = as_relu_network(network).W.shape[1]
    everything = Subnetwork(np.ones(size, bool), found="all")
    assert verify(network, (0, 1, 2), neurons=everything).verdict == "proved"
    none = verify(network, (0, 1, 2), neurons=[])
    assert (none.verdict, none.margin) == ("counterexample", 0.0)


def test_the_search_starts_elsewhere_with_another_seed(monkeypatch):
    seeds = []
    search = module.search
    monkeypatch.setattr(module, "search", lambda problem, seed: seeds.append(seed) or search(problem, seed))
    verify(proposition_3(n=5), (0, 1, 2))
    verify(proposition_3(n=5), (0, 1, 2), seed=7)
    assert seeds == [0, 7]


def test_the_size_is_the_largest_output_that_could_be():
    """|u| (sum |W| + |b|), at which an input of the signs of W comes out if b and u are positive."""
    rng = np.random.default_rng(0)
    W, b, u = rng.standard_normal((4, 1)), np.array([0.3]), np.array([2.0])
    problem = VerificationProblem.of(ReluNetwork(W, b, u), (0,))
    assert module._size(problem) == pytest.approx(float(ReluNetwork(W, b, u).outputs(np.sign(W.T))[0]))
    assert module._size(VerificationProblem.of(ReluNetwork(W, -b, -u), (0,))) == module._size(problem)


def noisy(n: int = 8) -> ReluNetwork:
    """Proposition 2 with noise: nothing about it is whole or equal."""
    rng = np.random.default_rng(0)
    return ReluNetwork(
        *(a + 0.01 * rng.standard_normal(a.shape) for a in as_relu_network(proposition_2(n=n)))
    )


def asked_of(monkeypatch, network: ReluNetwork, budget: float = 10.0) -> dict[str, float]:
    """What the cover is asked for."""
    asked: dict[str, float] = {}
    cover = module.cover
    monkeypatch.setattr(module, "cover", lambda *args, **words: asked.update(words) or cover(*args, **words))
    verify(network, (0, 1, 2), budget=budget)
    monkeypatch.undo()
    return asked


def test_a_bound_counts_only_above_what_rounding_could_do(monkeypatch):
    from grokscope.circuits.verification.certificate import Rounded

    network = noisy()
    asked = asked_of(monkeypatch, network)
    problem = VerificationProblem.of(network, (0, 1, 2))
    size, error = module._size(problem), float(Rounded.of(problem).error)
    eps = float(np.finfo(np.float64).eps)
    assert 2 * error + eps * size < asked["enough"] < 2 * error + 100 * eps * size
    # and what is within a tiny share of the largest output may be 0
    assert eps * size < asked["zero"] < 1e-9 * size
    # in units of the output
    scaled = asked_of(monkeypatch, network._replace(u=network.u * 1024.0))
    assert scaled["zero"] == pytest.approx(1024 * asked["zero"])
    assert scaled["enough"] == pytest.approx(1024 * asked["enough"], rel=0.5)


def test_time_is_kept_for_the_check(monkeypatch):
    start = time.perf_counter()
    asked = asked_of(monkeypatch, noisy(), budget=1000.0)
    assert start + 500 < asked["deadline"] < start + 900


def test_a_bound_of_exactly_0_proves_nothing(monkeypatch):
    for bound, verdict in ((Fraction(0), "undecided"), (Fraction(1, 10**30), "proved")):
        monkeypatch.setattr(module, "exact_lowers", lambda *_, bound=bound: [Fraction(1)] * 7 + [bound])
        assert verify(noisy(), (0, 1, 2)).verdict == verdict


def test_a_counterexample_that_only_the_cover_meets_is_one(monkeypatch):
    """One input in 2^12 is wrong, and the search is led to others."""
    n = 12
    W = np.column_stack([np.zeros(n), np.ones(n)])
    network = ReluNetwork(W, np.array([1.0, 1.0 - n]), np.array([1.0, -3.0]))  # 1, and -2 at all ones
    bad = module.LowestPoints(np.ones(2), -np.ones((2, n - 1)))
    monkeypatch.setattr(module, "search", lambda *_: bad)
    verdict = verify(network, (0,), target=[1, 1])
    assert (verdict.verdict, verdict.margin, verdict.input) == ("counterexample", -2.0, [1] * n)
    assert verdict.certificate is None


def test_bounds_are_rounded_down():
    assert module._below(Fraction(1, 2)) == 0.5
    for exact in (Fraction(1, 3), Fraction(2, 3), Fraction(-1, 3), Fraction(-2, 3), Fraction(10**30 + 1)):
        found = module._below(exact)
        assert Fraction(found) < exact < Fraction(math.nextafter(found, math.inf))


# --- what a task wants ---


def run_of(task: Any) -> Any:
    return SimpleNamespace(experiment=SimpleNamespace(task=task), path="runs/one")


def test_the_target_of_a_boolean_function_is_its_truth_table():
    task = BooleanFunction(n=6, preset="majority", k=3, n_train=32)
    bits, table = target_of(run_of(task), 0)
    assert bits == (0, 1, 2)
    assert table.tolist() == [1.0 if sum(setting) > 0 else -1.0 for setting in settings_of(3)]
    # on other bits than the first
    terms = [{"bits": (1, 4), "coefficient": 1.0}, {"bits": (4,), "coefficient": -0.5}]
    task = BooleanFunction(n=6, terms=terms, n_train=32)
    bits, table = target_of(run_of(task), 0)
    assert bits == (1, 4)
    assert table.tolist() == [float(np.sign(a * b - 0.5 * b)) for a, b in settings_of(2)]


def test_the_target_of_a_parity_is_the_product_of_its_hidden_bits():
    run = trained()
    for position in range(3):
        bits, table = target_of(run, position)
        assert len(bits) == 2
        assert table.tolist() == [1.0, -1.0, -1.0, 1.0]
    assert len({target_of(run, position)[0] for position in range(3)}) > 1  # each seed has its own


def test_real_labels_and_too_many_bits_are_refused():
    real = BooleanFunction(n=6, preset="parity", k=3, n_train=32, output="real")
    with pytest.raises(InputError, match="runs/one: the labels are real numbers"):
        target_of(run_of(real), 0)
    most = BooleanFunction(n=20, preset="parity", k=MOST_BITS, n_train=32)
    assert len(target_of(run_of(most), 0)[0]) == MOST_BITS
    many = BooleanFunction(n=20, preset="parity", k=MOST_BITS + 1, n_train=32)
    with pytest.raises(InputError, match=f"a function of {MOST_BITS + 1} bits; proofs go up to {MOST_BITS}"):
        target_of(run_of(many), 0)


def test_samples_of_a_function_have_its_target(monkeypatch):
    inner = BooleanFunction(n=6, preset="and", k=2, n_train=32)
    task = Samples.model_construct(of=inner)
    bits, table = target_of(run_of(task), 0)
    assert bits == (0, 1)
    assert table.tolist() == target_of(run_of(inner), 0)[1].tolist()


def test_a_task_that_does_not_tell_its_function_is_refused(monkeypatch):
    monkeypatch.setattr("grokscope.circuits.target.hidden_bits", lambda *_: None)
    with pytest.raises(InputError, match="task 'arrays' does not tell the function"):
        target_of(run_of(SimpleNamespace(kind="arrays")), 0)
