"""The table ``[events]``: levels of events, who uses them, and what a branch keeps of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pytest
import xarray as xr

import grokscope as gs
from grokscope.analysis.comparison import compare
from grokscope.analysis.overview import overview_of
from grokscope.errors import InputError
from grokscope.papers import from_experiment
from grokscope.papers.evidence import grokked, grokking_times, happened_in, memorization_times
from grokscope.plots.curves import standing
from grokscope.spec.events import Event, Events, event_of, events_of, grokking_delay, parse_event
from grokscope.spec.moments import parse_moment
from grokscope.spec.parts import _kinds
from grokscope.tasks.sparse_parity import SparseParity

SMALL = {
    "task": {"kind": "sparse_parity", "n": 8, "k": 2, "n_train": 40, "n_test": 20, "n_probe": 64},
    "model": {"kind": "fully_connected", "width": 16},
    "batch_size": 8,
    "epochs": 6,
    "measures": ["train_accuracy", "test_accuracy", "train_loss", "test_loss", "neuron_norm"],
}
LEVELS = {"memorization": "train_accuracy > 0.61 for 2", "quarter": "train_loss < 0.9 for 1"}


def first_step(measures: xr.Dataset, name: str, level: float, points: int, above: bool) -> list[float]:
    """The first step from which a measure is beyond a level at so many points, by a plain loop."""
    found: list[float] = []
    for curve in measures[name].transpose("seed", "step").to_numpy():
        good = [value > level if above else value < level for value in curve]
        at = [i for i in range(len(good) - points + 1) if all(good[i : i + points])]
        found.append(float(measures.step[at[0]]) if at else np.inf)
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> gs.Run:
    folder = tmp_path_factory.mktemp("events") / "run"
    return gs.train(gs.Experiment(**SMALL, events=LEVELS), seeds=3, out=folder)


def test_the_spec_defines_events_over_the_usual_ones() -> None:
    plain, own = gs.Experiment(**SMALL), gs.Experiment(**SMALL, events=LEVELS)
    assert list(plain.events) == ["memorization", "grokking"]
    assert list(own.events) == ["memorization", "grokking", "quarter"]
    assert own.events["memorization"] == Event("memorization", "train_accuracy", ">", 0.61, 2)
    assert own.events["grokking"] == plain.events["grokking"]
    assert own.identity == plain.identity
    assert own.shape == plain.shape
    assert "events" not in plain.to_toml()
    assert own.with_("epochs=7").events == own.events
    five = plain.with_("events.grokking=test_loss<=1e-1")
    assert five.events["grokking"] == Event("grokking", "test_loss", "<=", 0.1, 5)
    assert own.with_("events.half=test_accuracy > 0.5").events.keys() == {*own.events, "half"}


def test_the_table_is_read_and_written(tmp_path: Path) -> None:
    own = gs.Experiment(**SMALL, events=LEVELS)
    file = tmp_path / "spec.toml"
    file.write_text(own.to_toml())
    assert gs.Experiment.from_toml(file) == own
    assert (
        gs.Experiment.from_toml(file, ("events.quarter=train_loss < 0.25",)).events["quarter"].threshold
        == 0.25
    )


BAD = [
    (
        {"half": "test_acuracy > 0.5"},
        r"events.half: 'test_acuracy' is not .* Did you mean 'test_accuracy'\? There",
    ),
    (
        {"half": "neuron_norm > 0.5"},
        r"events.half: 'neuron_norm' is not a measure .* with one value per step",
    ),
    (
        {"half": "weight_norm > 5"},
        r"events.half: 'weight_norm'.* There are: test_accuracy, test_loss, train_acc",
    ),
    ({"half": "grokking"}, r"events.half: must be MEASURE > NUMBER .* \(got 'grokking'\)"),
    ({"half": 0.5}, r"events.half: must be MEASURE > NUMBER .* \(got 0.5\)"),
    ({"half": "test_accuracy > 0.5 for 0"}, r"events.half|event 'test_accuracy > 0.5 for 0'"),
    ({"start": "test_accuracy > 0.5"}, r"events.start: is used for something else"),
    ({"Half": "test_accuracy > 0.5"}, r"events.Half: the name must be of lower-case letters"),
    ("half", r"events: must be a table of events"),
]


@pytest.mark.parametrize(("table", "message"), BAD)
def test_a_bad_event_is_refused_in_one_line(table: object, message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        gs.Experiment(**SMALL, events=table)
    assert len(str(refused.value).splitlines()) == 1


def test_the_usual_events_need_no_measure() -> None:
    assert (
        gs.Experiment(**{**SMALL, "measures": ["train_loss"]}).events["grokking"].measure == "test_accuracy"
    )


def test_what_reads_measures_uses_the_events_of_the_run(run: gs.Run) -> None:
    measures = run.measures
    memorized = first_step(measures, "train_accuracy", 0.61, 2, above=True)
    quarter = first_step(measures, "train_loss", 0.9, 1, above=False)
    assert memorized != first_step(measures, "train_accuracy", 0.98, 5, above=True)
    assert np.isfinite(memorized).all()
    assert np.isfinite(quarter).all()
    assert events_of(measures) == run.experiment.events
    assert memorization_times(measures).upper.tolist() == memorized
    assert event_of(measures, "quarter").times(measures).upper.tolist() == quarter
    expected = grokking_times(measures).upper - memorized
    assert grokking_delay(measures).upper.tolist() == pytest.approx(expected)
    overview = overview_of(run)
    assert [event.name for event in overview.events] == ["memorization", "grokking", "quarter"]
    assert [event.share.value for event in overview.events[::2]] == [1.0, 1.0]
    assert standing(measures).endswith("3 reach quarter. Vertical lines: medians.")
    with pytest.raises(InputError, match=r"'third' is not known.* Known: memorization, grokking, quarter"):
        event_of(measures, "third")


def test_events_survive_selections_and_files(run: gs.Run, tmp_path: Path) -> None:
    part = run.measures[["train_accuracy", "test_accuracy"]].sel(seed=[0, 1]).isel(step=slice(5, None))
    assert events_of(part) == run.experiment.events
    run.measures.to_netcdf(tmp_path / "measures.nc")
    assert events_of(xr.open_dataset(tmp_path / "measures.nc")) == run.experiment.events


def test_training_again_with_other_events_changes_only_them(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    first = gs.train(gs.Experiment(**SMALL), seeds=2, out=folder)
    before = first.measures.load()
    states = (folder / "checksums.json").read_text()
    again = gs.train(gs.Experiment(**SMALL, events=LEVELS).with_("epochs=3"), seeds=1, out=folder)
    assert again.experiment == gs.Experiment(**SMALL, events=LEVELS)  # as long as before
    np.testing.assert_array_equal(again.measures.train_loss, before.train_loss)
    assert events_of(again.measures) == again.experiment.events
    back = gs.train(gs.Experiment(**SMALL), seeds=2, out=folder)
    assert back.experiment == gs.Experiment(**SMALL)
    assert (folder / "checksums.json").read_text() == states


def test_early_stopping_looks_at_the_run_s_own_grokking(tmp_path: Path) -> None:
    own = {"grokking": "train_accuracy >= 0.61 for 2"}
    whole = gs.train(gs.Experiment(**SMALL), 3, out=tmp_path / "a")
    stopped = gs.train(gs.Experiment(**SMALL, events=own, stop={"grokked_for": 1}), 3, out=tmp_path / "b")
    assert stopped.is_complete
    for seed, done in zip((0, 1, 2), stopped.steps_done, strict=True):
        good = (whole.measures.train_accuracy.sel(seed=seed) >= np.float32(0.61)).to_numpy()
        steps, per_epoch = whole.measures.step.to_numpy(), whole.experiment.steps_per_epoch
        ends = [
            steps[i]
            for i in range(len(steps))
            for j in range(i)
            if good[j : i + 1].all() and i - j >= 1 and steps[i] - steps[j] >= per_epoch
        ]
        assert done == (min(ends) if ends else whole.experiment.n_steps)
    assert (stopped.steps_done < whole.experiment.n_steps).any()


@pytest.mark.slow
def test_a_branch_keeps_the_condition_that_the_event_had(run: gs.Run, tmp_path: Path) -> None:
    usual = gs.train(gs.Experiment(**SMALL), seeds=3, out=tmp_path / "usual")
    assert usual.identity == run.identity
    branch = run.branch("memorization", "epochs=8", out=tmp_path / "branch")
    assert branch.experiment.init.at == "train_accuracy > 0.61 for 2"
    memorized = first_step(run.measures, "train_accuracy", 0.61, 2, above=True)
    assert branch.origins.steps.tolist() == memorized
    assert gs.open_run(tmp_path / "branch").experiment.init.at == "train_accuracy > 0.61 for 2"
    same = usual.branch("train_accuracy > 0.61 for 2", "epochs=8", out=tmp_path / "same")
    assert same.identity == branch.identity
    freeze = [
        {"kind": "freeze", "at": "quarter + 2", "neurons": {"kind": "largest", "count": 2, "at": "quarter"}}
    ]
    acted = run.branch(0, interventions=freeze, out=tmp_path / "acted").experiment
    assert acted.interventions[0].at == "train_loss < 0.9 for 1 + 2"
    assert acted.interventions[0].neurons.at == "train_loss < 0.9 for 1"
    with pytest.raises(InputError, match=r"init.at: event 'quartr' .* Did you mean 'quarter'"):
        run.branch("quartr", out=tmp_path / "none")


@pytest.mark.parametrize(
    "at", ["train_loss > 99", "train_loss>0.5 for 2", "memorization", "0.5 * grokking - 3"]
)
def test_conditions_and_usual_events_stay_as_they_are_written(at: str, tmp_path: Path) -> None:
    usual = gs.train(gs.Experiment(**SMALL), seeds=1, out=tmp_path / "usual")
    freeze = [{"kind": "freeze", "at": at, "neurons": {"kind": "active", "at": at}}]
    init = {"kind": "from_run", "run": str(usual.path), "at": at, "clock": "zero"}
    read = gs.Experiment(**SMALL, init=init, interventions=freeze)
    given = gs.Experiment(**SMALL, init={**init, "source": usual.identity}, interventions=freeze)
    assert read.identity == given.identity == read.with_("epochs=9").identity
    assert (read.init.at, read.interventions[0].at, read.interventions[0].neurons.at) == (at, at, at)


def test_a_spec_of_a_branch_names_events_of_its_source(run: gs.Run) -> None:
    init = {"kind": "from_run", "run": str(run.path), "at": "quarter", "clock": "zero"}
    spec = gs.Experiment(**SMALL, init=init)
    assert spec.init.at == "train_loss < 0.9 for 1"
    assert spec.with_("init.at=memorization").init.at == "train_accuracy > 0.61 for 2"
    assert spec.with_("init.at=grokking").init.at == "grokking"  # the usual one
    assert (
        gs.Experiment(**SMALL, init={**init, "source": run.identity, "at": "memorization"}).init.at
        == "memorization"
    )


def test_runs_with_different_events_are_not_compared_silently(run: gs.Run, tmp_path: Path) -> None:
    usual = gs.train(gs.Experiment(**SMALL), seeds=3, out=tmp_path / "usual")
    with pytest.raises(
        InputError, match=r"memorization is 'train_accuracy > 0.61 for 2' in .*both: event 'MEASURE"
    ):
        compare(run, usual, "memorization")
    assert compare(run, usual, "train_accuracy > 0.61 for 2").ratio.value == 1.0
    assert compare(run, usual).event.startswith("test_accuracy > 0.98")


@pytest.mark.slow
def test_a_sweep_has_the_events_of_its_base(tmp_path: Path) -> None:
    base = gs.Experiment(**SMALL, events=LEVELS)
    sweep = gs.sweep(base, ["optimizer.learning_rate=0.05,0.1"], seeds=2, out=tmp_path)
    assert events_of(sweep.measures) == base.events
    slow = first_step(sweep.run((0,)).measures, "train_loss", 0.9, 1, above=False)
    assert sweep.times("quarter", learning_rate=0.05).upper.tolist() == slow
    assert sweep.statistics.share_quarter.sel(learning_rate=0.05) == np.isfinite(slow).mean()
    assert happened_in(sweep.measures, "quarter", "learning_rate")[0].tolist() == np.isfinite(slow).tolist()
    usual = gs.sweep(gs.Experiment(**SMALL), ["optimizer.learning_rate=0.05,0.1"], seeds=2, out=tmp_path)
    assert list(events_of(usual.measures)) == ["memorization", "grokking"]
    assert "share_quarter" not in usual.statistics


class Noisy(SparseParity):
    """A task with events of its own."""

    kind: Literal["noisy_of_this_test"] = "noisy_of_this_test"  # type: ignore[assignment]
    levels: ClassVar[dict[str, str]] = {"memorization": "train_accuracy > 0.55"}

    @property
    def events(self) -> dict[str, str]:
        return self.levels


del _kinds["task"]["noisy_of_this_test"]


def test_a_task_brings_its_own_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_kinds["task"], "noisy_of_this_test", Noisy)
    spec = gs.Experiment(**{**SMALL, "task": Noisy(n=8, k=2, n_train=40)})
    assert spec.events["memorization"].threshold == 0.55
    assert "train_accuracy > 0.55 for 5" in spec.to_toml()
    assert spec.with_("task=sparse_parity").events == gs.Experiment(**SMALL).events
    given = spec.with_("events.memorization=train_accuracy > 0.7")
    assert given.events["memorization"].threshold == 0.7
    assert given.with_("events.memorization=train_accuracy > 0.55").events == spec.events


def test_events_that_differ_between_cells_are_not_mixed_up() -> None:
    text = Events.parse({"half": "test_accuracy > 0.5"}).to_json(
        Events.parse({"half": "test_accuracy > 0.6"})
    )
    assert json.loads(text) == {
        "memorization": "train_accuracy > 0.98 for 5",
        "grokking": "test_accuracy > 0.98 for 5",
        "half": None,
    }
    mixed = xr.Dataset(attrs={"events": text.replace('"test_accuracy > 0.98 for 5"', "null")})
    assert list(events_of(mixed)) == ["memorization"]
    with pytest.raises(InputError, match="differs between cells"):
        event_of(mixed, "grokking")
    with pytest.raises(InputError, match="must be a JSON table"):
        events_of(xr.Dataset(attrs={"events": "["}))


def test_evidence_on_losses_alone() -> None:
    levels = {"memorization": "train_loss < 0.5 for 1", "grokking": "test_loss < 0.5 for 2"}
    steps = np.arange(0, 60, 10)
    measures = xr.Dataset(
        {
            "train_loss": (("seed", "step"), np.where(steps < [[10], [10]], 1.0, 0.1)),
            "test_loss": (("seed", "step"), np.where(steps < [[30], [99]], 1.0, 0.1)),
        },
        {"seed": [0, 1], "step": steps},
        {"events": Events.parse(levels).to_json()},
    )
    assert memorization_times(measures).upper.tolist() == [10, 10]
    assert grokking_times(measures).upper.tolist() == [30, np.inf]
    assert grokked(measures).tolist() == [1, 0]


@pytest.mark.parametrize("name", ["test_tolerance_accuracy_0.01", "test_tolerance_accuracy_1e-05"])
def test_names_of_measures_may_end_in_numbers(name: str) -> None:
    event = parse_event(f"{name} >= 0.95 for 1")
    assert (event.measure, event.threshold, event.sustained) == (name, 0.95, 1)
    assert parse_event(event.condition).measure == name
    moment = parse_moment(f"0.5 * {name} > 0.9 for 2 - 10")
    assert isinstance(moment.event, Event)
    assert (moment.event.measure, moment.factor, moment.offset) == (name, 0.5, -10)
    assert from_experiment("free", f"{name} at grokking").needs(Events()) == [name, "test_accuracy"]
    assert parse_moment("grokking-10").offset == -10
