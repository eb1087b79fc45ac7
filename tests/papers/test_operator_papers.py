"""The papers on binary operators, on made-up runs: claims hold where they are true, fail where not."""

from __future__ import annotations

import numpy as np
import pytest

from false_two_circuits import FALSE as FALSE_PARITY
from grokscope.claims import Judged, gather
from grokscope.papers import check_paper, find_paper
from grokscope.statistics import CensoredTimes
from paper_tests import judged_alone
from synthetic_operators import GROKKED, LEARNED, operator_run
from synthetic_runs import SyntheticRun, unmeasured

PAPERS = {name: find_paper(name) for name in ("two-circuits", "grokking", "progress-measures")}
CLAIMS = {
    claim.id: claim
    for paper in PAPERS.values()
    for claim in paper.claims
    if claim.id[0] in "GP" or claim.id.startswith("C13")
}
GOOD = operator_run(40)
SLOW, FAST = operator_run(40, grokked=2 * GROKKED), operator_run(40, grokked=GROKKED / 2)
NEVER = operator_run(40, grokked=None)
PLAIN = operator_run(40, grokked=2 * GROKKED, commutes=False)
AT_ONCE = operator_run(40, grokked=1.5 * LEARNED)

# of every claim the runs it is judged by where it is true, and where it is false
CASES: dict[str, tuple[tuple[SyntheticRun, ...], tuple[SyntheticRun, ...]]] = {
    "C13a": ((GOOD,), (PLAIN,)),
    "C13b": ((PLAIN,), (GOOD,)),
    "C13c": ((GOOD,), (NEVER,)),
    "C13d": ((GOOD,), (PLAIN,)),
    "C13e": ((PLAIN,), (GOOD,)),
    "C13f": ((operator_run(40, mirrors=0.0),), (GOOD,)),
    "G1": ((GOOD,), (AT_ONCE,)),
    "G2a": ((SLOW, GOOD), (GOOD, SLOW)),
    "G2b": ((SLOW, GOOD), (GOOD, SLOW)),
    "G3": ((GOOD, operator_run(40, learned=1.1 * LEARNED)), (operator_run(40, learned=3 * LEARNED), GOOD)),
    "G4a": ((SLOW, GOOD), (FAST, GOOD)),
    "G4b": ((SLOW, GOOD), (FAST, GOOD)),
    "G5": ((GOOD, operator_run(40, grokked=1.2 * GROKKED)), (SLOW, FAST)),
    "G6": ((operator_run(40, grokked=None, commutes=False),), (GOOD,)),
    "G7": ((NEVER, GOOD), (FAST, GOOD)),
    "P1": ((GOOD,), (NEVER,)),
    "P2": ((GOOD,), (operator_run(40, keys=12),)),
    "P3": ((GOOD,), (operator_run(40, cosines=0.4),)),
    "P4": ((GOOD,), (operator_run(40, one_frequency=0.3),)),
    "P5": ((GOOD,), (operator_run(40, without_keys=0.7),)),
    "P6": ((GOOD,), (operator_run(40, only_keys=4.0),)),
    "P7": ((GOOD,), (operator_run(40, before=1.3),)),
    "P8": ((GOOD,), (operator_run(40, before=1.3),)),
    "P9": ((GOOD,), (operator_run(40, gini=0.0),)),
    "P10": ((GOOD,), (operator_run(40, norm=1.1),)),
    "P11": ((NEVER,), (GOOD,)),
    "P12": ((AT_ONCE,), (GOOD,)),
}


def verdict(claim_id: str, runs: tuple[SyntheticRun, ...]) -> Judged:
    return judged_alone(CLAIMS[claim_id], runs)


def test_every_claim_has_its_cases() -> None:
    assert set(CASES) == set(CLAIMS)
    assert all(len(CLAIMS[name].experiments) == len(runs) for name, (runs, _) in CASES.items())


@pytest.mark.parametrize("claim_id", CASES)
def test_a_claim_holds_where_it_is_true(claim_id: str) -> None:
    found = verdict(claim_id, CASES[claim_id][0])
    assert found.verdict == "holds", found


@pytest.mark.parametrize("claim_id", CASES)
def test_a_claim_fails_where_it_is_false(claim_id: str) -> None:
    found = verdict(claim_id, CASES[claim_id][1])
    assert found.verdict == "fails", found


@pytest.mark.parametrize("claim_id", CASES)
def test_a_claim_is_not_testable_where_nothing_was_measured(claim_id: str) -> None:
    runs = tuple(unmeasured(run) for run in CASES[claim_id][0])
    found = verdict(claim_id, runs)
    assert found.verdict == "not testable", found
    assert found.note


def test_numbers_are_those_that_were_put_in() -> None:
    assert verdict("C13a", (GOOD,)).value == pytest.approx(0.95, abs=0.05)
    assert verdict("C13d", (GOOD,)).value == pytest.approx(0.94, abs=0.05)
    assert verdict("G2a", (SLOW, GOOD)).value == pytest.approx(2 ** (1 / 5) - 1, rel=0.2)
    assert verdict("G4a", (SLOW, GOOD)).value == pytest.approx(2, rel=0.1)
    assert verdict("P5", (GOOD,)).value == pytest.approx(1.3, rel=0.1)
    assert verdict("P6", (GOOD,)).value == pytest.approx(np.log10(0.3), abs=0.1)
    assert verdict("P7", (GOOD,)).value == pytest.approx(0.5, rel=0.2)
    assert verdict("P10", (GOOD,)).value == pytest.approx(0.36, abs=0.1)


def test_no_step_is_put_in_for_a_run_that_does_not_get_there() -> None:
    last = float(NEVER.measures["step"].max())
    found = verdict("G7", (NEVER, GOOD))
    assert (found.value, found.n) == (np.inf, 40)
    assert found.interval is not None
    assert found.interval[0] == pytest.approx(last / GROKKED, rel=0.1)  # a bound, which a longer run raises
    assert found.interval[1] == np.inf
    # where the other does not get there either, nothing is known
    nothing = verdict("G7", (NEVER, NEVER))
    assert (nothing.verdict, nothing.interval) == ("undecided", (0.0, np.inf))


@pytest.mark.parametrize(
    ("claim_id", "name", "level"), [("P7", "restricted_loss", 10), ("P8", "excluded_loss", 0)]
)
def test_a_loss_that_never_passes_its_level_is_evidence_against_the_claim(
    claim_id: str, name: str, level: float
) -> None:
    claim = CLAIMS[claim_id]
    measures = GOOD.measures.assign({name: GOOD.measures[name].where(GOOD.measures["seed"] < 28, level)})
    evidence = gather(claim, measures)
    assert isinstance(evidence, CensoredTimes)
    assert np.flatnonzero(~evidence.observed).tolist() == [*range(28, 40)]
    assert (evidence.lower[28:] > 1).all()


def test_seeds_that_cannot_be_paired_are_not() -> None:
    found = verdict("G4a", (SLOW, operator_run(12)))
    assert (found.verdict, found.note) == (
        "not testable",
        "the runs have 40 and 12 seeds, and cannot be paired",
    )


def test_seeds_that_diverge_do_not_grok() -> None:
    found = verdict("C13c", (operator_run(40, diverged=20),))
    assert (found.value, found.n) == (0.5, 40)


@pytest.mark.parametrize("name", PAPERS)
def test_the_papers_pass_the_conformance_suite(name: str) -> None:
    paper = PAPERS[name]
    examples = [
        dict(zip(claim.experiments, CASES[claim.id][1], strict=True))
        for claim in paper.claims
        if claim.id in CASES
    ]
    if name == "two-circuits":
        where = {claim.id: claim.experiments for claim in paper.claims}
        for claim_id, given in FALSE_PARITY.items():
            runs = given if isinstance(given, tuple) else (given,)
            examples.append(dict(zip(where[claim_id], runs, strict=True)))
    check_paper(paper, examples=examples)


@pytest.mark.parametrize("name", ["grokking", "progress-measures"])
def test_figures_are_drawn(name: str) -> None:
    paper = PAPERS[name]
    runs = {one.name: GOOD for one in paper.experiments}
    for figure in paper.figures:
        drawn = figure.draw(runs, "grokscope reproduce")
        assert len(drawn.axes) >= 2, figure.id
        assert any(axis.lines or axis.patches for axis in drawn.axes), figure.id


def test_figure_4_has_the_share_of_mirrors_where_there_is_one() -> None:
    paper = PAPERS["two-circuits"]
    runs = {"addition": GOOD, "division": PLAIN, "subtraction": PLAIN}
    runs["addition-unordered"] = operator_run(12, mirrors=0.0)
    published, controls = (
        next(f for f in paper.figures if f.id == name).draw(runs, "")
        for name in ("figure-4", "figure-4-controls")
    )
    dashed = [[line for line in axis.lines if line.get_label() == "mirror share"] for axis in published.axes]
    assert [len(lines) for lines in dashed] == [1, 1]
    assert float(np.ravel(dashed[0][0].get_ydata())[0]) == pytest.approx(0.5, abs=0.02)
    assert not any(line.get_label() == "mirror share" for line in controls.axes[2].lines)


def test_groups_stand_for_their_experiments() -> None:
    paper = PAPERS["two-circuits"]
    names = [one.name for one in paper.chosen("binary-operators")]
    assert names == ["addition", "division", "subtraction", "addition-unordered"]
    both = [one.name for one in paper.chosen(["division", "binary-operators", "standard"])]
    assert both == ["standard", *names]
    assert not set(names) & {one.name for one in paper.chosen()}


def test_the_published_settings() -> None:
    spec, seeds = PAPERS["two-circuits"].experiment("addition").under("paper")
    assert (spec.n_steps, spec.batch_size, seeds) == (100_000, 512, 3)
    assert (spec.task.model_dump()["p"], spec.task.n_train) == (97, 4704)
    table = spec.optimizer.model_dump(include={"learning_rate", "weight_decay", "beta1", "beta2"})
    assert table == {"learning_rate": 1e-3, "weight_decay": 1.0, "beta1": 0.9, "beta2": 0.98}
    model = spec.model.model_dump(include={"layers", "width", "heads"})
    assert model == {"layers": 2, "width": 128, "heads": 4}
    spec, seeds = PAPERS["progress-measures"].experiment("mainline").under("paper")
    assert (spec.n_steps, spec.steps_per_epoch, seeds) == (40_000, 1, 5)
    assert spec.task.n_train in (3830, 3831)
    assert spec.task.input_shape == (3, 114)
    one = PAPERS["two-circuits"].experiment("division").experiment.model_dump(exclude={"name"})
    other = PAPERS["two-circuits"].experiment("addition").experiment.model_dump(exclude={"name"})
    assert one["task"].pop("operator") == "division"
    assert other["task"].pop("operator") == "addition"
    assert one == other
