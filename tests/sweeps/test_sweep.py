"""Sweeps: each cell equals, bit for bit, the run of its experiment trained alone; resuming; refusals."""

import json

import numpy as np
import pytest

import grokscope as gs
import grokscope.sweeps.engines.local as engine
from grokscope.errors import InputError, StoreError
from grokscope.runs import verify
from grokscope.spec.streams import Members
from grokscope.sweeps import SweepSpec, plan_for, run_sweep
from grokscope.sweeps.folder import writing
from grokscope.sweeps.work_unit import run_unit
from grokscope.training import cohort
from small_sweeps import OVER, RATES, assert_same_run, assert_same_sweep, small, states


class RecordedProgress:
    """Remember the plans and count the steps."""

    def __init__(self):
        self.plans, self.total, self.done = [], 0, 0

    def plan(self, text):
        self.plans.append(text)

    def start(self, total_steps, label):
        self.total += total_steps

    def advance(self, steps, note=""):
        self.done += steps

    def finish(self):
        pass


@pytest.fixture
def programs(monkeypatch):
    """Counts of compiled programs by function name, starting with an empty cache."""
    made = {}
    compiled = cohort._compiled

    def spy(function, *arguments, **options):
        program = compiled(function, *arguments, **options)
        made.setdefault(function.__name__, []).append(program)
        return program

    monkeypatch.setattr(cohort, "_compiled", spy)
    cohort._program.cache_clear()
    yield lambda: {name: sum(one.n_compiled for one in several) for name, several in made.items()}
    cohort._program.cache_clear()


@pytest.fixture
def units(monkeypatch):
    """The work units that the local engine runs."""
    seen = []

    def spy(unit, progress=None):
        seen.append(unit)
        return run_unit(unit, progress)

    monkeypatch.setattr(engine, "run_unit", spy)
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("place", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_a_cell_equals_its_experiment_trained_alone(swept, place, tmp_path):
    cell = swept.run(place)
    alone = gs.train(small(*(f"{k}={v}" for k, v in swept.settings(place).items())), 3, out=tmp_path / "run")
    assert cell.experiment == alone.experiment
    assert_same_run(cell, alone)
    assert verify(cell.path) == []


@pytest.mark.slow
def test_seven_decays_and_twenty_seeds_are_one_program(tmp_path, programs):
    progress = RecordedProgress()
    sweep = gs.sweep(
        small("epochs=2"),
        ["optimizer.weight_decay=log:1e-3:1e-1:7"],
        seeds=20,
        out=tmp_path / "sweep",
        rates=RATES,
        progress=progress,
    )
    assert sweep.is_complete
    assert programs() == {"start": 1, "segment": 1}
    assert "7 cells x 20 seeds = 140 members" in progress.plans[0]
    assert "in all 1 program" in progress.plans[0]
    assert progress.done == progress.total == 140 * small("epochs=2").n_steps


def test_cells_of_different_shapes_have_separate_programs(tmp_path, programs):
    gs.sweep(small("epochs=1"), OVER, seeds=2, out=tmp_path / "sweep", rates=RATES)
    assert programs() == {"start": 2, "segment": 2}  # one for each training set


def test_repeating_a_sweep_trains_nothing(swept, units):
    before = (swept.path / "sweep.json").read_bytes()
    again = gs.sweep(small(), OVER, seeds=3, out=swept.path, rates=RATES)
    assert units == []
    assert again.is_complete
    assert (swept.path / "sweep.json").read_bytes() == before


@pytest.mark.slow
def test_more_values_and_seeds_add_only_what_is_new(swept, units, tmp_path):
    out = tmp_path / "sweep"
    first = gs.sweep(
        small(), ["optimizer.weight_decay=0.05", "task.n_train=24"], seeds=2, out=out, rates=RATES
    )
    name = first.cells[0, 0]
    assert [len(unit.cells) for unit in units] == [1]
    states_before = states(first.run((0, 0)))
    progress = RecordedProgress()
    # the axes in another order, more values, and one seed more
    more = gs.sweep(small(), OVER[::-1], seeds=3, out=out, rates=RATES, progress=progress)
    assert more.cells[1, 0] == name  # the axes keep their order
    assert progress.total == (3 + 1) * 8 + (3 + 3) * 12  # 2 or 3 steps an epoch
    assert_same_sweep(more, swept)
    after = states(more.run((1, 0)))
    assert {seeds: after[seeds] for seeds in states_before} == states_before
    assert verify(more.run((1, 0)).path) == []
    del units[:]
    part = gs.sweep(
        small(), ["optimizer.weight_decay=0.05", "task.n_train=40"], seeds="2,", out=out, rates=RATES
    )
    assert units == []
    assert part.shape == (2, 2)


@pytest.mark.slow
def test_more_epochs_and_measures_extend_the_cells(swept, tmp_path):
    out = tmp_path / "sweep"
    gs.sweep(small("epochs=2", measures=("test_accuracy",)), OVER, seeds=3, out=out, rates=RATES)
    longer = gs.sweep(small(), OVER, seeds=3, out=out, rates=RATES)
    assert_same_sweep(longer, swept)
    assert longer.experiment.epochs == 4


@pytest.mark.slow
def test_an_interrupted_sweep_resumes(swept, tmp_path, monkeypatch):
    out = tmp_path / "sweep"
    done = 0

    def stop_at_the_second(unit, progress=None):
        nonlocal done
        done += 1
        if done == 2:
            raise KeyboardInterrupt
        return run_unit(unit, progress)

    with monkeypatch.context() as patch:
        patch.setattr(engine, "run_unit", stop_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            gs.sweep(small(), OVER, seeds=3, out=out, rates=RATES)
    half = gs.open_sweep(out)
    assert not half.is_complete
    assert len(list(half.runs())) == 2
    assert np.isnan(half.measures.test_accuracy.sel(n_train=40)).all()
    assert not np.isnan(half.measures.test_accuracy.sel(n_train=24, step=8)).any()
    whole = gs.sweep(small(), OVER, seeds=3, out=out, rates=RATES)
    assert_same_sweep(whole, swept)


@pytest.mark.slow
def test_members_at_different_steps_are_resumed_together(swept, tmp_path):
    out = tmp_path / "sweep"
    settings = swept.settings((1, 1))
    spec = SweepSpec.of(small(), OVER, seeds=3)
    # a run that is half done lies where the sweep's cell will be
    half = small("epochs=2", *(f"{k}={v}" for k, v in settings.items()))
    (out / "cells").mkdir(parents=True)
    gs.train(half, "1,2", out=out / "cells" / swept.cells[1, 1])
    (out / "sweep.json").write_bytes(_empty(swept))
    whole = run_sweep(spec, out=out, rates=RATES)
    a, b = whole.run((1, 1)), swept.run((1, 1))
    assert states(a) == states(b)
    np.testing.assert_array_equal(a.measures.test_accuracy.values, b.measures.test_accuracy.values)


def _empty(sweep):
    """The manifest of the sweep before its first cell."""
    table = json.loads((sweep.path / "sweep.json").read_text())
    return json.dumps(table | {"done": {}, "requests": [], "keys": [], "history": []}).encode()


@pytest.mark.slow
def test_crossed_streams_are_axes_too(tmp_path):
    seeds = Members.crossed(init=[0, 1], data=[5, 6, 7])
    sweep = gs.sweep(
        small("epochs=1"),
        ["optimizer.weight_decay=0.0,0.1"],
        seeds=seeds,
        out=tmp_path / "sweep",
        rates=RATES,
    )
    assert sweep.is_complete
    accuracy = sweep.measures.test_accuracy
    assert accuracy.dims == ("weight_decay", "init_seed", "data_seed", "step")
    alone = sweep.cell(weight_decay=0.1).measures.test_accuracy
    np.testing.assert_array_equal(accuracy.sel(weight_decay=0.1).values, alone.values)
    assert gs.sweep(
        small("epochs=1"), ["optimizer.weight_decay=0.1"], seeds=seeds, out=sweep.path
    ).is_complete


@pytest.mark.slow
def test_measures_of_subnetworks_are_followed_in_every_cell(tmp_path):
    experiment = small("epochs=2", measures=("faithfulness", "effective_sparsity"))
    sweep = gs.sweep(experiment, ["optimizer.weight_decay=0.0,0.3"], seeds=2, out=tmp_path / "s", rates=RATES)
    for decay in (0.0, 0.3):
        alone = gs.train(experiment.with_(f"optimizer.weight_decay={decay}"), 2, out=tmp_path / f"run{decay}")
        cell = sweep.cell(weight_decay=decay)
        assert_same_run(cell, alone)
        np.testing.assert_array_equal(cell.subnetworks.values, alone.subnetworks.values)
    assert sweep.measures.faithfulness.dims == ("weight_decay", "seed", "step", "subnetwork", "split")


def test_arrays_in_memory_are_written_once_and_found_in_every_cell(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.choice([-1.0, 1.0], (48, 5))
    from grokscope.tasks.arrays import Arrays

    task = Arrays.from_numpy(train_x=x[:32], train_y=x[:32, 0], test_x=x[32:], test_y=x[32:, 0])
    experiment = gs.Experiment(
        task=task, model={"kind": "fully_connected", "width": 8}, epochs=1, measures=["test_accuracy"]
    )
    out = tmp_path / "sweep"
    sweep = gs.sweep(experiment, ["optimizer.weight_decay=0.0,0.1"], seeds=1, out=out, rates=RATES)
    files = [*out.rglob("arrays-*.safetensors")]
    assert len(files) == 3
    assert len({file.stat().st_ino for file in files}) == 1  # one file with three names
    assert sweep.cell(weight_decay=0.1).model(seed=0, step=0).hidden_weight.shape == (5, 8)


# --- what is refused


def test_a_folder_of_another_sweep_is_refused(swept):
    for experiment, over in (
        (small("model.width=17"), OVER),
        (small(), ["optimizer.weight_decay=0.1"]),
        (small(), ["optimizer.weight_decay=0.1", "task.n_train=24", "task.k=1,2"]),
    ):
        with pytest.raises(InputError, match="holds another sweep"):
            gs.sweep(experiment, over, out=swept.path, rates=RATES)
    with pytest.raises(InputError, match="pairs its keys differently"):
        gs.sweep(small(), ["optimizer.weight_decay=0.1;task.n_train=24"], out=swept.path, rates=RATES)


def test_a_folder_with_other_files_is_refused(swept, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds other files \(notes.txt\)"):
        gs.sweep(small(), OVER, out=tmp_path, rates=RATES)
    with pytest.raises(InputError, match="is a run"):
        gs.sweep(small(), OVER, out=swept.run((0, 0)).path, rates=RATES)
    # before anything else is said or asked
    progress = RecordedProgress()
    spec = SweepSpec.of(small(), OVER, seeds=1)
    for ask in (
        lambda: plan_for(spec, tmp_path, RATES),
        lambda: run_sweep(spec, out=tmp_path, progress=progress),
    ):
        with pytest.raises(InputError, match="holds other files"):
            ask()
    assert progress.plans == []
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(InputError, match="is a file"):
        gs.sweep(small(), OVER, out=tmp_path / "notes.txt", rates=RATES)


def test_one_sweep_at_a_time(swept):
    with writing(swept.path), pytest.raises(StoreError, match="is being written by process"):
        gs.sweep(small(), OVER, seeds=4, out=swept.path, rates=RATES)


def test_an_invalid_cell_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(InputError, match="k must be at most n"):
        gs.sweep(small(), ["task.k=2,9"], out=tmp_path / "sweep", rates=RATES)
    with pytest.raises(InputError, match="memory"):
        gs.sweep(small(), ["model.width=16,1000000000000"], out=tmp_path / "sweep", rates=RATES)

    def decline(*_):
        raise InputError("not today")

    with pytest.raises(InputError, match="not today"):
        gs.sweep(small(), ["task.k=1,2"], out=tmp_path / "sweep", rates=RATES, confirm=decline)
    assert not (tmp_path / "sweep").exists()


def test_a_huge_grid_is_not_even_listed_before_it_is_confirmed(tmp_path):
    over = ["optimizer.weight_decay=lin:0:1:1000", "optimizer.learning_rate=lin:0.1:1:1000"]
    with pytest.raises(InputError, match=r"1,000,000 cells x 1 seeds = 1,000,000 members, about"):
        gs.sweep(small(), over, out=tmp_path / "sweep", rates=RATES)
    asked = []

    def refuse(text, seconds, always):
        asked.append((seconds > 1000, always))
        raise InputError("no")

    with pytest.raises(InputError, match="no"):
        gs.sweep(small(), over, out=tmp_path / "sweep", rates=RATES, confirm=refuse)
    assert asked == [(True, True)]
    assert not (tmp_path / "sweep").exists()


def test_other_numerics_are_refused_or_marked(swept, tmp_path):
    import shutil

    out = tmp_path / "sweep"
    shutil.copytree(swept.path, out)
    table = json.loads((out / "sweep.json").read_text())
    table["numerics"]["jax"] = "0.0.1"
    (out / "sweep.json").write_text(json.dumps(table))
    over = ["optimizer.weight_decay=0.0,0.05,0.5", "task.n_train=24"]
    with pytest.raises(InputError, match=r"other numerics \(jax: 0\.0\.1 there"):
        gs.sweep(small(), over, seeds=3, out=out, rates=RATES)
    marked = gs.sweep(small(), over, seeds=3, out=out, rates=RATES, allow_other_numerics=True)
    assert marked.is_complete
    assert marked.notes["other_numerics"][0].startswith("jax: 0.0.1 there")
    assert marked.cell(weight_decay=0.5, n_train=24).notes["other_numerics"] == marked.notes["other_numerics"]
    assert "other_numerics" not in marked.cell(weight_decay=0.0, n_train=24).notes


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"{", "is damaged"), (b"{}", "is damaged"), (b'{"format_version": 99}', "newer format version")],
)
def test_an_unreadable_manifest_is_refused(tmp_path, content, said):
    (tmp_path / "sweep.json").write_bytes(content)
    with pytest.raises((InputError, StoreError), match=said):
        gs.open_sweep(tmp_path)


def test_a_folder_without_a_sweep_is_refused(swept, tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        gs.open_sweep(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is not a sweep"):
        gs.open_sweep(tmp_path)
    with pytest.raises(InputError, match="is not a sweep"):
        gs.open_sweep(swept.run((0, 0)).path)
