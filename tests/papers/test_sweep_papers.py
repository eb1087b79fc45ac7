"""The papers whose experiments are sweeps, on made-up curves: claims hold where true, fail where not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from grokscope.claims import Judged, gather, judge
from grokscope.papers import MadeUpRun, check_paper, find_paper, jump, made_up_run
from paper_tests import judged_alone

PAPERS = {name: find_paper(name) for name in ("phase-diagram", "delay-law", "width", "optimizers")}
CLAIMS = {claim.id: (paper, claim) for paper in PAPERS.values() for claim in paper.claims}
SEEDS, NEVER = 40, np.inf
Law = Callable[[dict[str, Any]], tuple[float, float]]  # settings -> steps of memorization and grokking


def run(claim_id: str, law: Law, scatter: float = 0.1) -> MadeUpRun:
    """A sweep like that of the claim's experiment, whose members jump at the steps of a law, more or less."""
    paper, claim = CLAIMS[claim_id]
    one = paper.experiment(claim.experiment)
    rng = np.random.default_rng(0)

    def curve(event: int) -> Callable[..., np.ndarray]:
        def accuracy(steps: np.ndarray, **cell: Any) -> np.ndarray:
            return jump(steps, law(cell)[event] * np.exp(scatter * rng.normal(size=SEEDS)))

        return accuracy

    curves = {"train_accuracy": curve(0), "test_accuracy": curve(1)}
    steps = np.unique([0, *np.geomspace(1, one.experiment.n_steps, 300).astype(int)])
    return made_up_run(one, curves, others=None, seeds=SEEDS, steps=steps)


def usual_map(cell: dict[str, Any]) -> tuple[float, float]:
    """What a phase diagram looks like: too much decay confuses, too few samples are never generalized."""
    decay, samples = cell["weight_decay"], cell["n_train"]
    if decay > 0.06:
        return NEVER, NEVER
    grokked = 300 + 2e7 / (decay / 0.01) / samples**1.3 * 2
    return 300.0, grokked if samples > 300 and grokked < 9000 else NEVER


def with_more_steps(cell: dict[str, Any]) -> tuple[float, float]:
    """The delay goes as one over weight decay where there are samples enough."""
    return 300.0, 30 / cell["weight_decay"] if cell["n_train"] > 300 else NEVER


def both(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Law:
    return lambda cell: usual_map(change(cell))


def power(decay: float, rate: float = -1.0, memorized: float = 0.0, factor: float = 1.0) -> Law:
    """A delay of two decay times at decay 1e-3 and rate 0.3, with these exponents."""

    def law(cell: dict[str, Any]) -> tuple[float, float]:
        d, r = cell["weight_decay"] / 1e-3, cell["learning_rate"] / 0.3
        first = 100 * d**memorized
        return first, first + factor * 2 / 3e-4 * d**decay * r**rate

    return law


def bent(cell: dict[str, Any]) -> tuple[float, float]:
    return power(-1.0 if cell["weight_decay"] >= 3e-4 else -0.4)(cell)


def by_width(exponent: float, narrow: float = NEVER) -> Law:
    return lambda cell: (
        200.0,
        200 + 3000 * (cell["width"] / 128) ** exponent if cell["width"] > 8 else narrow,
    )


def by_contender(name: str, steps: float) -> Law:
    """All grok at step 1000, but for one."""
    return lambda cell: (200.0, steps if cell["contender"] == name else 1000.0)


RIVALS = {  # of a claim, the contender that is said to be faster
    claim_id: claim.name.split(",")[0].split(" over ")[0]
    for claim_id, (paper, claim) in CLAIMS.items()
    if paper.kind == "optimizers"
}


# of every claim the laws where it is true, and where it is false; one for each experiment it is judged by
CASES: dict[str, tuple[tuple[Law, ...], tuple[Law, ...]]] = {
    "R1": ((usual_map,), (lambda cell: (300.0, 2500.0),)),
    "R2": ((usual_map,), (lambda cell: (300.0, 2500.0),)),
    "R3": ((usual_map,), (lambda cell: (300.0, 2500.0),)),
    "R4": ((usual_map,), (lambda cell: (300.0, 2500.0),)),
    "R5": ((usual_map,), (both(lambda cell: {**cell, "weight_decay": 0.01}),)),
    "R6": ((usual_map,), (both(lambda cell: {**cell, "n_train": 1000}),)),
    "R7": ((with_more_steps,), (lambda cell: (300.0, 5e4),)),
    "R8": ((with_more_steps,), (lambda cell: (300.0, NEVER),)),
    "L1": ((power(-1.0),), (power(-0.7),)),
    "L2": ((power(-1.0),), (power(-1.0, rate=-1.6),)),
    "L3": ((power(-1.0),), (power(-1.0, memorized=-0.3),)),
    "L4": ((power(-1.0),), (bent,)),
    "L5": ((power(-1.0),), (power(-1.0, factor=4.0),)),
    "W1": ((by_width(0.0),), (by_width(0.3),)),
    "W2": ((by_width(0.15), by_width(0.0)), (by_width(0.0), by_width(0.15))),
    "W3": ((by_width(0.0),), (by_width(1.0),)),  # the widest are not done by the end
    "W4": ((by_width(0.0),), (by_width(0.0, narrow=5000.0),)),
}
for claim_id, rival in RIVALS.items():
    faster, equal, never = (by_contender(rival, steps) for steps in (500, 950, NEVER))
    CASES[claim_id] = {
        "parity": ((faster,), (equal,)),
        "sum": ((faster,), (never,)),
        "both": ((faster, faster), (faster, equal)),
    }[claim_id.split("-")[1]]


def runs(claim_id: str, laws: tuple[Law, ...]) -> dict[str, MadeUpRun]:
    names = CLAIMS[claim_id][1].experiments
    return {name: run(claim_id, law) for name, law in zip(names, laws, strict=True)}


def verdict(claim_id: str, laws: tuple[Law, ...]) -> Judged:
    return judged_alone(CLAIMS[claim_id][1], runs(claim_id, laws))


def test_every_claim_has_its_cases() -> None:
    assert set(CASES) == set(CLAIMS)


@pytest.mark.parametrize("claim_id", CASES)
def test_a_claim_holds_where_it_is_true_and_fails_where_it_is_false(claim_id: str) -> None:
    true, false = (verdict(claim_id, laws) for laws in CASES[claim_id])
    assert true.verdict == "holds", true
    assert false.verdict == "fails", false


def test_exponents_are_those_that_were_put_in() -> None:
    for exponent in (-1.0, -0.8):
        found = verdict("L1", (power(exponent),))
        assert found.interval is not None
        assert found.value == pytest.approx(exponent, abs=0.02)
    assert verdict("L2", (power(-1.0, rate=-1.6),)).value == pytest.approx(-1.6, abs=0.05)
    assert verdict("L5", (power(-1.0),)).value == pytest.approx(2.0, rel=0.1)
    assert verdict("O1-sum", (by_contender("grokfast", 500),)).value == pytest.approx(2.0, rel=0.1)
    both = (by_contender("muon", 500), by_contender("muon", 250))
    assert verdict("O3-both", both).value == pytest.approx(2.0, rel=0.1)
    assert verdict("W2", (by_width(0.15), by_width(0.0))).value == pytest.approx(0.15, abs=0.02)


def test_every_contender_of_both_contests_has_a_rival_claim_and_its_own_settings() -> None:
    for one in PAPERS["optimizers"].experiments:
        for profile in ("paper", "quick"):
            contest = one.contest(profile)  # type: ignore[attr-defined]
            assert {each.name for each in contest.contenders} == {"no-decay", *RIVALS.values()}
            bases = {grid.base.identity for grid in contest.grids.values()}
            assert len(bases) == len(contest.contenders) - 1  # a smaller start begins as AdamW does
    spec = PAPERS["optimizers"].experiment("parity").contest("paper").grids["stablemax"].base  # type: ignore[attr-defined]
    assert (spec.task.n_outputs, spec.loss.kind, spec.optimizer.kind) == (2, "stablemax", "adamw")


@pytest.mark.parametrize("name", PAPERS)
def test_the_papers_pass_the_conformance_suite(name: str) -> None:
    examples = [runs(claim.id, CASES[claim.id][1]) for claim in PAPERS[name].claims]
    check_paper(PAPERS[name], examples=examples)


def test_members_that_were_not_measured_are_not_counted_as_late() -> None:
    claim = CLAIMS["L1"][1]
    measures = run("L1", power(-1.0)).measures
    lost = measures.where(measures["seed"] != 3)
    found = judge([(claim, gather(claim, lost))])[0]
    assert (found.verdict, found.value) == ("not testable", None)
    assert "was not measured for every seed" in found.note
