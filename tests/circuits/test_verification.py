"""Proofs and counterexamples against all 2^n inputs; and what certification over training keeps."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import grokscope as gs
from grokscope.circuits import proposition_1, proposition_2, proposition_3
from grokscope.circuits.relu_network import ReluNetwork, as_relu_network
from grokscope.circuits.support import settings_of
from grokscope.circuits.verification import CERTIFIED, FIRST_PROVED, certify, check_certificate, verify
from grokscope.errors import InputError
from small_circuits import trained
from verification_oracles import exact_value


def random_network(rng):
    """A construction with noise of any size on all weights and a few neurons more, or noise alone."""
    n = int(rng.integers(3, 9))
    make = (proposition_1, proposition_2, proposition_3)[int(rng.integers(3))]
    base = as_relu_network(make(n=n, width=10))
    noise = 10.0 ** rng.uniform(-3, 0)
    arrays = [a + noise * rng.standard_normal(a.shape) for a in base]
    return n, ReluNetwork(*arrays)


def test_no_verdict_disagrees_with_all_inputs():
    """200 random networks; few are left undecided, and both other verdicts come."""
    rng = np.random.default_rng(0)
    seen = {"proved": 0, "counterexample": 0, "undecided": 0}
    for _ in range(200):
        n, weights = random_network(rng)
        x = settings_of(n)
        margins = weights.outputs(x) * x[:, :3].prod(axis=1)
        verdict = verify(weights, (0, 1, 2), budget=5.0)
        seen[verdict.verdict] += 1
        if verdict.verdict == "proved":
            assert 0 < verdict.lower <= margins.min() + 1e-12
            assert verdict.upper >= margins.min() - 1e-12
        elif verdict.verdict == "counterexample":
            found = np.array(verdict.input)
            assert set(found.tolist()) <= {-1, 1}
            assert exact_value(weights, found.tolist()) * int(found[:3].prod()) <= 0
            assert margins.min() <= 1e-9
    assert min(seen["proved"], seen["counterexample"]) > 30
    assert seen["undecided"] == 0


def test_a_certificate_is_checked_against_the_network_that_it_is_shown():
    network = as_relu_network(proposition_2(n=12))
    verdict = verify(network, (0, 1, 2))
    assert verdict.verdict == "proved"
    assert min(check_certificate(verdict.certificate, network, (0, 1, 2))) > 0
    other = ReluNetwork(network.W, network.b, -network.u)
    assert min(check_certificate(verdict.certificate, other, (0, 1, 2))) <= 0


@pytest.fixture
def run(tmp_path):
    shutil.copytree(trained().path, tmp_path / "run")
    return gs.open_run(tmp_path / "run")


def test_certified_accuracy_over_training_against_all_inputs(run):
    """n = 10: every verdict that is kept, at three steps of three seeds."""
    found = certify(run, steps=[0, 700, 1400])
    x = settings_of(10)
    for seed in range(3):
        bits = list(gs.read_circuit(run, seed).circuit.support.bits)
        for step in (0, 700, 1400):
            margin = (as_relu_network(run.model(seed, step)).outputs(x) * x[:, bits].prod(axis=1)).min()
            one = found.sel(seed=seed, step=step)
            assert (one.proved, one.refuted) == (margin > 0, margin <= 0)
            if margin > 0:
                assert one.worst_margin_lower <= margin + 1e-9 <= one.worst_margin_upper + 2e-9
    proved = found.proved.sel(step=[0, 700, 1400]).values
    for seed, times in enumerate(
        zip(FIRST_PROVED.times(found).upper, CERTIFIED.times(found).upper, strict=True)
    ):
        at = np.flatnonzero(proved[seed])
        assert times[0] == ((0, 700, 1400)[at[0]] if len(at) else np.inf)
        last = [s for s, ok in zip((0, 700, 1400), proved[seed], strict=True) if not ok]
        after = [s for s in (0, 700, 1400) if not last or s > last[-1]]
        assert times[1] == (after[0] if after else np.inf)


def test_what_is_decided_is_not_decided_again(run, monkeypatch):
    found = certify(run, [1], steps=[-1])
    assert found.proved.notnull().sum() == 1  # that step of that seed, and no other
    monkeypatch.setattr(
        "grokscope.circuits.verification.over_training._verify", lambda *_: pytest.fail("again")
    )
    certify(gs.open_run(run.path), [1], steps=[1400])


def test_steps_and_seeds_that_are_not_there_are_refused(run):
    with pytest.raises(InputError, match="has steps 0 to 1400"):
        certify(run, steps=[1401])
    with pytest.raises(InputError, match="has no seed 9"):
        certify(run, [9])
