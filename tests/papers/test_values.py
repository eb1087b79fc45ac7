"""Values of a spec that are numbers of another experiment of the paper."""

from __future__ import annotations

import json
import shutil
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import xarray as xr

import grokscope as gs
from grokscope.claims import Claim, Effect, Region
from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.papers import (
    Figure,
    FromExperiment,
    Paper,
    PaperExperiment,
    Profile,
    RunExperiment,
    SweepExperiment,
    check_paper,
    from_experiment,
)
from grokscope.reproduction import plan, reproduce
from grokscope.spec import parts
from grokscope.starts import FromRun
from paper_tests import RATES

LEARNED = "train_accuracy > 0.6 for 2"
FREE = Experiment(
    task={"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 24, "n_test": 12},
    model={"kind": "mlp", "widths": [8, 5]},
    steps=24,
    batch_size=8,
    measures=["train_accuracy", "weight_norm"],
).with_("schedule.measures='every 2 steps'")
HELD = FREE.model_copy(
    update={
        "interventions": Experiment(
            **{**dict(FREE), "interventions": [{"kind": "hold_norm", "of": "absolute", "at": 0}]}
        ).interventions
    }
)
NORM = from_experiment("free", f"weight_norm at {LEARNED}", "median")


def twice_the_last(measures: xr.Dataset) -> Any:
    return 2.0 * measures["weight_norm"].isel(step=-1)


def fails(measures: xr.Dataset) -> Any:
    raise ValueError("no\nway")


def held(name: str = "held", **values: FromExperiment) -> RunExperiment:
    """The held run with values; of their keys ``__`` is the dot."""
    table = {f"interventions.0.{path}": value for path, value in values.items()}
    return RunExperiment(name, "Held at a norm.", HELD, PROFILES, values=table)


PROFILES = {
    "paper": Profile(seeds=4),
    "quick": Profile(seeds=2, overrides=("model.widths=[6]",), reduced="width 6"),
}
MAIN = RunExperiment("free", "Nothing is held.", FREE, PROFILES)


def learned(measures: xr.Dataset) -> xr.DataArray:
    final = measures["train_accuracy"].isel(step=-1)
    final = final.min([dim for dim in final.dims if dim != "seed"], skipna=False)
    return (final > 0.9).where(final.notnull())


def claim(name: str) -> Claim:
    return Claim(
        id=name,
        sentence=f"{name} is learned.",
        source="Section 1",
        paper_value=None,
        unit="",
        estimand="the share of seeds that end above 0.9",
        region=Region.at_least(0.5),
        smallest_effect=Effect(0.1, "it"),
        kind="share",
        experiment=name,
        evidence=learned,
    )


@pytest.fixture
def paper_of(monkeypatch):
    for group in parts._HOMES:  # what is found while it lasts would be forgotten with the paper
        parts.kinds(group)
    monkeypatch.setattr(parts, "_kinds", {group: dict(table) for group, table in parts._kinds.items()})

    def make(*listed: PaperExperiment) -> Paper:
        parts._kinds["paper"].pop("holding", None)

        class Holding(Paper):
            """A paper for tests."""

            kind: Literal["holding"] = "holding"
            title: ClassVar[str] = "Holding"
            authors: ClassVar[str] = "A. Author"
            year: ClassVar[int] = 2026
            bibtex: ClassVar[str] = "@misc{a}"
            experiments: ClassVar[tuple[PaperExperiment, ...]] = listed
            claims: ClassVar[tuple[Claim, ...]] = tuple(claim(one.name) for one in listed)
            figures: ClassVar[tuple[Figure, ...]] = ()

        return Holding()

    return make


def run(paper: Paper, folder: Any, seeds: int | str | None = None, names: Any = None, profile: str = "paper"):
    return reproduce(plan(paper, names, seeds=seeds, rates=RATES, profile=profile), out=folder)


def first_above(curve: np.ndarray, level: float) -> int:
    """The first point at which two consecutive values lie above the level; -1 without one."""
    for i in range(len(curve) - 1):
        if curve[i] > level and curve[i + 1] > level:
            return i
    return -1


def norms_when_learned(free: gs.Run) -> list[float]:
    found = []
    for row in range(len(free.members)):
        at = first_above(free.measures.train_accuracy.to_numpy()[row], 0.6)
        if at >= 0:
            found.append(float(free.measures.weight_norm.to_numpy()[row, at]))
    return found


@pytest.mark.slow
def test_a_number_of_one_experiment_is_a_value_of_another(paper_of, tmp_path):
    paper = paper_of(held(norm=NORM), MAIN)  # the source comes later, and is run first
    planned = plan(paper, "held", seeds=4, rates=RATES, profile="paper")
    assert [row.name for row in planned.rows] == ["free", "held"]
    assert f"interventions.0.norm from free (median of weight_norm at {LEARNED})" in str(planned)
    done = reproduce(planned, out=tmp_path)
    number = float(np.median(norms_when_learned(done.runs["free"])))
    assert done.runs["held"].experiment.interventions[0].norm == number
    np.testing.assert_allclose(done.runs["held"].measures.weight_norm, number, rtol=1e-6)
    # it is part of the spec in the folder, and of the identity
    written = Experiment.from_toml(tmp_path / "held" / "experiment.toml")
    assert written.interventions[0].norm == number
    assert (
        written.identity
        == done.runs["held"].identity
        == HELD.with_(f"interventions.0.norm={number!r}").identity
    )
    seen = len(norms_when_learned(done.runs["free"]))
    (note,) = done.runs["held"].notes["values"]
    assert (note["experiment"], note["identity"], note["seeds"]) == ("free", done.runs["free"].identity, seen)
    assert done.notes[0].startswith(f"held: interventions.0.norm = {number:g}, the median of 'weight_norm at")
    assert gs.open_run(tmp_path / "held").is_complete
    from grokscope.runs import verify

    assert verify(tmp_path / "held") == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("value", "oracle"),
    [
        (from_experiment("free", "weight_norm at end", "max"), lambda w, a: max(w[:, -1])),
        (from_experiment("free", "weight_norm at 9", "min"), lambda w, a: min(w[:, 4])),  # measured at 8
        (from_experiment("free", "weight_norm at start", "mean"), lambda w, a: np.mean(w[:, 0])),
        (from_experiment("free", twice_the_last), lambda w, a: np.median(2 * w[:, -1])),
    ],
)
def test_numbers_and_reductions(paper_of, tmp_path, value, oracle):
    done = run(paper_of(MAIN, held(norm=value)), tmp_path)
    measures = done.runs["free"].measures
    expected = oracle(measures.weight_norm.to_numpy().astype(float), measures.train_accuracy.to_numpy())
    assert done.runs["held"].experiment.interventions[0].norm == pytest.approx(float(expected), rel=1e-12)


def test_the_step_of_an_event_is_a_whole_number(paper_of, tmp_path):
    done = run(paper_of(MAIN, held(at=from_experiment("free", LEARNED, "median"))), tmp_path)
    measures = done.runs["free"].measures
    points = [first_above(curve, 0.6) for curve in measures.train_accuracy.to_numpy()]
    steps = [float(measures.step[point]) for point in points if point >= 0]
    at = done.runs["held"].experiment.interventions[0].at
    assert isinstance(at, int)
    assert at == int(np.floor(np.median(steps)))


@pytest.mark.slow
def test_seeds_without_the_number_are_counted_and_named(paper_of, tmp_path):
    event = "train_accuracy > 0.68 for 1"
    done = run(paper_of(MAIN, held(at=from_experiment("free", event))), tmp_path, seeds=8)
    above = (done.runs["free"].measures.train_accuracy.to_numpy() > 0.68).any(axis=1)
    assert 0 < above.sum() < 8, "choose another level"
    (note,) = done.runs["held"].notes["values"]
    assert note["seeds"] == above.sum()
    assert note["without"] == [str(seed) for seed in np.flatnonzero(~above)]
    listed = ", ".join(note["without"])
    assert f"over {above.sum()} of 8 seeds of free; it was not seen in seeds {listed}" in done.notes[0]


@pytest.mark.slow
def test_more_seeds_keep_the_value_and_say_what_it_would_be(paper_of, tmp_path):
    paper = paper_of(MAIN, held(norm=NORM))
    first = run(paper, tmp_path, seeds=2)
    seen_before = len(norms_when_learned(first.runs["free"]))
    more = run(paper, tmp_path, seeds=5)
    assert more.runs["held"].identity == first.runs["held"].identity
    assert len(more.runs["held"].members) == 5
    now = float(np.median(norms_when_learned(more.runs["free"])))
    before = first.runs["held"].experiment.interventions[0].norm
    assert now != before
    (note,) = [note for note in more.notes if "keeps" in note]
    seen = len(norms_when_learned(more.runs["free"]))
    assert note == (
        f"held: keeps interventions.0.norm = {before:g} of its first run; free now gives {now:g} "
        f"({seen} seeds in place of {seen_before}). Remove {tmp_path / 'held'} to run it with that."
    )
    shutil.rmtree(tmp_path / "held")
    again = run(paper, tmp_path, seeds=5)
    assert again.runs["held"].experiment.interventions[0].norm == now
    assert not any("keeps" in note for note in again.notes)


def test_a_value_that_is_asked_for_otherwise_is_refused(paper_of, tmp_path):
    run(paper_of(MAIN, held(norm=NORM)), tmp_path)
    other = paper_of(MAIN, held(norm=from_experiment("free", f"weight_norm at {LEARNED}", "mean")))
    with pytest.raises(InputError) as refused:
        run(other, tmp_path)
    assert str(refused.value).startswith(f"{tmp_path / 'held'}: was run with interventions.0.norm = ")
    assert "the paper now takes the mean of 'weight_norm at" in str(refused.value)
    assert "remove the folder to run it again" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.slow
def test_chains_sweeps_and_branches(paper_of, tmp_path):
    """A value of a value, in the base of a sweep, and a branch of a run with a value."""
    second = held("again", norm=from_experiment("held", "weight_norm at end", "max"))
    sweep = SweepExperiment(
        "grid",
        "Rates.",
        HELD,
        {"paper": Profile(seeds=2), "quick": Profile(seeds=2)},
        values={"interventions.0.norm": NORM},
        over=("optimizer.learning_rate=0.1,0.2",),
    )
    branch = RunExperiment(
        "later",
        "Let go.",
        Experiment(**{**dict(FREE), "init": FromRun(run="held", source="ab" * 32, at=10)}),
        PROFILES,
    )
    paper = paper_of(second, branch, sweep, MAIN, held(norm=NORM))
    names = [one.name for one in paper.chosen()]
    assert names == ["free", "held", "again", "later", "grid"]
    for _ in range(2):  # the second time everything is there
        done = run(paper, tmp_path)
        number = done.runs["held"].experiment.interventions[0].norm
        assert done.runs["again"].experiment.interventions[0].norm == pytest.approx(number, rel=1e-6)
        assert done.runs["later"].experiment.init.source == done.runs["held"].identity
        for place in ((0,), (1,)):
            assert done.runs["grid"].run(place).experiment.interventions[0].norm == number
    assert set(json.loads((tmp_path / "values.json").read_text())) == {"held", "again", "grid"}


CYCLE = (
    held("one", norm=from_experiment("two", "weight_norm at end")),
    held("two", norm=from_experiment("one", "weight_norm at end")),
)
BAD = [
    (
        (held(norm=from_experiment("fre", "weight_norm at end")), MAIN),
        "held: interventions.0.norm: holding has no experiment 'fre'. Did you mean 'free'?",
    ),
    (CYCLE, "holding: experiments need each other in a circle: one -> two -> one."),
    (
        (held(norm=from_experiment("held", "weight_norm at end")),),
        "holding: experiments need each other in a circle: held -> held.",
    ),
    (
        (MAIN, held(norm=from_experiment("free", "weigth_norm at end"))),
        "held: interventions.0.norm: 'weigth_norm at end' of free: free does not take the "
        "measure 'weigth_norm'. "
        "Did you mean 'weight_norm'?",
    ),
    (
        (MAIN, held(norm=from_experiment("free", "weight_norm at grokking"))),
        "free does not take the measure 'test_accuracy'.",
    ),
    (
        (MAIN, held(norm=from_experiment("free", "weight_norm at groking"))),
        "event 'groking' is not known. Did you mean 'grokking'?",
    ),
    (
        (MAIN, held(nrm=NORM)),
        "held: values: 'interventions.0.nrm' is no key of the spec ('nrm' is not there).",
    ),
]


@pytest.mark.parametrize(("listed", "message"), BAD)
def test_what_cannot_be_known_is_said_before_anything_is_run(paper_of, tmp_path, listed, message):
    paper = paper_of(*listed)
    with pytest.raises(InputError) as refused:
        run(paper, tmp_path / "out")
    assert message in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    assert not (tmp_path / "out").exists()
    with pytest.raises(AssertionError, match="check_paper: "):
        check_paper(paper)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            from_experiment("free", "weight_norm at train_accuracy > 5"),
            "held: interventions.0.norm: 'weight_norm at train_accuracy > 5' of free: was not "
            "seen in any of its 4 seeds.",
        ),
        (
            from_experiment("free", fails),
            "held: interventions.0.norm: 'fails' of free: the function failed: ValueError: no way",
        ),
        (
            from_experiment("free", lambda m: 3.0),
            "the function must return one number per seed (got shape ()).",
        ),
    ],
)
def test_a_number_that_is_not_there_is_named(paper_of, tmp_path, value, message):
    (failure,) = run(paper_of(MAIN, held(norm=value)), tmp_path).failures
    assert message in failure.reason
    assert len(str(failure).splitlines()) == 1
    assert not (tmp_path / "held").exists()


@pytest.mark.parametrize(
    ("number", "reduction", "message"),
    [
        ("640", "median", "must be MEASURE at MOMENT, an event, or a function (got '640')"),
        ("end", "median", "must be MEASURE at MOMENT, an event, or a function (got 'end')"),
        ("grokking", "middle", "reduction must be one of median, mean, min, max (got 'middle')"),
    ],
)
def test_a_number_that_cannot_be_read(number, reduction, message):
    with pytest.raises(InputError) as refused:
        from_experiment("free", number, reduction)
    assert message in str(refused.value)


def test_the_check_of_papers_accepts_values(paper_of):
    check_paper(paper_of(MAIN, held(norm=NORM)))
