"""check_paper: passes the paper in the package, and names what is wrong with others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from grokscope.claims import Claim, Effect, Region, need
from grokscope.experiment import Experiment
from grokscope.papers import Analysis, Figure, Paper, Profile, RunExperiment, check_paper, made_up_run
from synthetic_runs import synthetic_run


def make(**changes: Any) -> Paper:
    """A small paper outside the package, with changes."""
    claim = Claim(
        id="A",
        sentence="It is learned.",
        source="Table 1",
        paper_value=1.0,
        unit="",
        estimand="the share of seeds with a training accuracy of 1 at the end",
        region=Region.at_least(0.9),
        smallest_effect=Effect(0.1, "one seed in ten"),
        kind="share",
        experiment="main",
        evidence=lambda measures: (measures["train_accuracy"][:, -1] == 1).where(
            measures["train_accuracy"][:, -1].notnull()
        ),
    )
    main = RunExperiment("main", "All there is.", Experiment(task="sparse_parity", epochs=3))
    attributes: dict[str, Any] = {
        "title": "A paper",
        "authors": "A. Author",
        "year": 2024,
        "arxiv": "2401.00001",
        "bibtex": "@misc{a, eprint = {2401.00001}}",
        "experiments": (main,),
        "claims": (claim,),
        "figures": (Figure("one", "A figure.", lambda runs, command: None, ("main",)),),
        "reasons": {},
        "__doc__": "A paper for tests.",
        "__annotations__": {},
        "__module__": __name__,
    }
    changed = {name: change(attributes[name]) for name, change in changes.items()}
    return type("Small", (Paper,), {**attributes, **changed})(kind="small")


def test_a_small_paper_passes() -> None:
    check_paper(make())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"title": lambda _: " "}, "small has no title"),
        ({"reasons": lambda _: {"B": "it is another claim"}}, r"reasons names \['B'\], which is no claim"),
        ({"bibtex": lambda _: "@misc{a}"}, "bibtex does not contain the arXiv number"),
        ({"claims": lambda claims: ()}, "there are no claims"),
        ({"claims": lambda claims: claims * 2}, r"claim \['A'\] comes twice"),
        ({"claims": lambda c: (replace(c[0], source=" "),)}, "claim A has no source"),
        ({"claims": lambda c: (replace(c[0], experiment="other"),)}, "claim A is on no experiment"),
        ({"claims": lambda c: (replace(c[0], sentence="It is learned"),)}, "must end with a full stop"),
        (
            {"figures": lambda f: (replace(f[0], needs=("other",)),)},
            "figure one: no experiment 'other'; the paper has main",
        ),
        ({"figures": lambda f: f * 2}, r"figure \['one'\] comes twice"),
        ({"experiments": lambda e: (replace(e[0], profiles={"paper": Profile()}),)}, "no profile 'quick'"),
        (
            {"claims": lambda c: (replace(c[0], evidence=lambda m: m["train_accuracy"][:, -1] * 0 + 1),)},
            "never as fails",
        ),
        (
            {"claims": lambda c: (replace(c[0], evidence=lambda m: m["train_accuracy"][:, -1] >= 0),)},
            "claim A is 'fails' although nothing was measured",
        ),
        (
            {"claims": lambda c: (replace(c[0], evidence=lambda m: m["no_such"]),)},
            "claim A on nothing measured: KeyError",
        ),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_paper(make(**changes))


def test_examples_count() -> None:
    stubborn = make(
        claims=lambda c: (replace(c[0], evidence=lambda m: (m["effective_sparsity"] != 7).all("step")),)
    )
    with pytest.raises(AssertionError):
        check_paper(stubborn)
    run = synthetic_run(["groks"] * 30, final_size=7)
    with pytest.raises(AssertionError, match="although nothing was measured"):
        check_paper(stubborn, examples=[{"main": run}])


def accurate(measures: Any) -> Any:
    """Evidence that needs a measure."""
    need(measures, "test_accuracy_large")
    last = measures["test_accuracy_large"][:, -1]
    return (last == 1).where(last.notnull())


def taking(*names: str, quick: tuple[str, ...] = (), gives: tuple[str, ...] = ()) -> RunExperiment:
    analysis = Analysis("other", lambda run, progress: None, 0.1, gives)
    profiles = {"paper": Profile(), "quick": Profile(overrides=quick)}
    experiment = Experiment(task="sparse_parity", epochs=3, measures=names)
    return RunExperiment("main", "All there is.", experiment, profiles, analyses=(analysis,))


FEW = ("train_accuracy", "test_accuracy")


@pytest.mark.parametrize(
    ("experiment", "profile"),
    [
        (taking(*FEW), "paper"),
        (taking(*FEW, "test_accuracy_large", quick=("measures=['train_accuracy']",)), "quick"),
    ],
)
def test_a_measure_that_the_experiment_does_not_take_is_named(
    experiment: RunExperiment, profile: str
) -> None:
    paper = make(claims=lambda c: (replace(c[0], evidence=accurate),), experiments=lambda e: (experiment,))
    message = (
        "^check_paper: claim A needs the measure 'test_accuracy_large', which experiment main does not take "
        f"under '{profile}'"
    )
    with pytest.raises(AssertionError, match=message):
        check_paper(paper)


@pytest.mark.parametrize(
    "experiment", [taking(*FEW, "test_accuracy_large"), taking(*FEW, gives=("test_accuracy_large",))]
)
def test_measures_of_the_experiment_and_of_its_analyses_are_taken(experiment: RunExperiment) -> None:
    check_paper(
        make(claims=lambda c: (replace(c[0], evidence=accurate),), experiments=lambda e: (experiment,))
    )


def test_own_measures_of_examples_must_be_given_by_an_analysis() -> None:
    def small(measures: Any) -> Any:
        need(measures, "size")
        last = measures["size"][:, -1]
        return (last < 3).where(last.notnull())

    def examples(one: RunExperiment) -> list[Any]:
        return [{"main": made_up_run(one, {"size": size})} for size in (1.0, 5.0)]

    def paper(one: RunExperiment) -> Paper:
        return make(claims=lambda c: (replace(c[0], evidence=small),), experiments=lambda e: (one,))

    without, given = taking(*FEW), taking(*FEW, gives=("size",))
    check_paper(paper(given), examples(given))
    with pytest.raises(AssertionError, match="claim A needs the measure 'size', which experiment main"):
        check_paper(paper(without), examples(without))
