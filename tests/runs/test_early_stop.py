"""Members that are stopped before the end: what is there is what a run without stops has, and no more."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import grokscope as gs
from grokscope.errors import InputError
from grokscope.runs import verify
from grokscope.spec.events import GROKKING
from grokscope.store.open import open_store
from interrupted import stopped_at_every_segment
from small_sweeps import RATES, states

STABLE = 6  # epochs


def experiment(*overrides):
    """One whose members grok after some ten epochs of six steps, each at its own."""
    return gs.Experiment(
        task={"kind": "sparse_parity", "n": 8, "k": 2, "n_train": 120, "n_test": 60, "n_probe": 64},
        model={"kind": "fully_connected", "width": 32},
        optimizer={"kind": "sgd", "learning_rate": 0.2, "weight_decay": 0.01},
        epochs=30,
        batch_size=20,
        measures=("train_accuracy", "test_accuracy", "neuron_norm", "faithfulness"),
    ).with_(*overrides)


STOP = f"stop.grokked_for={STABLE}"
QUICK = "measures=['train_accuracy', 'test_accuracy']"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return gs.train(experiment(), seeds=5, out=tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    return gs.train(experiment(STOP), seeds=5, out=tmp_path_factory.mktemp("stopped") / "run")


def expected(whole):
    """Where each member should stop, from the curves of the run without stops."""
    curves = whole.measures.test_accuracy.transpose("seed", "step").to_numpy()
    steps = whole.measures.step.to_numpy()
    found = []
    for curve in curves:
        since = None
        end = steps[-1]
        for i, step in enumerate(steps):
            if not curve[i] > np.float32(0.98):
                since = None
                continue
            since = i if since is None else since
            if i - since + 1 >= 5 and step - steps[since] >= STABLE * 6:
                end = step
                break
        found.append(int(end))
    return found


def cut(measures, ends):
    """A run's measures without what is later than each member's end."""
    until = xr.DataArray(ends, dims="seed", coords={"seed": measures.seed})
    return measures.where(measures.step <= until)


@pytest.mark.slow
def test_a_stopped_run_is_the_whole_one_cut_off(stopped, whole):
    names = [name for name in whole.measures if name != "faithfulness"]  # it is about each one's last network
    ends = expected(whole)
    assert len(set(ends)) > 1  # else the test shows little
    assert max(ends) < whole.experiment.n_steps
    assert stopped.steps_done.tolist() == ends
    mine, theirs = stopped.measures[names].load(), whole.measures[names].load()
    for name in names:
        xr.testing.assert_equal(
            mine[name].drop_vars(["steps_done", "complete"]),
            cut(theirs, ends)[name].drop_vars(["steps_done", "complete"]).sel(step=mine.step),
        )
    assert stopped.is_complete
    assert stopped.is_stopped.all()
    assert stopped.steps_saved == 5 * 180 - sum(ends)
    assert verify(stopped.path) == []
    # subnetworks are of the last state that there is; later they are absent
    later = stopped.measures.faithfulness.step > xr.DataArray(ends, dims="seed")
    assert stopped.measures.faithfulness.where(later).isnull().all()
    trail = open_store(stopped.path)
    for i, end in enumerate(ends):
        assert trail.read_checkpoint(i).step == end
        assert trail.snapshot_steps(i) == [0]  # nothing is kept of a state that the member was not in


@pytest.mark.slow
def test_each_last_state_is_that_of_a_run_of_that_length(stopped, whole, tmp_path):
    ends = expected(whole)
    seed = int(np.argmax(ends))
    shorter = experiment().model_copy(update={"epochs": None, "steps": ends[seed]})
    alone = gs.train(shorter, [seed], out=tmp_path / "run")
    assert states(alone)[(seed,) * 4] == states(stopped)[(seed,) * 4]


def test_grokking_is_seen_and_not_censored(stopped, whole):
    one, other = GROKKING.times(stopped.measures), GROKKING.times(whole.measures)
    np.testing.assert_array_equal(one.upper, other.upper)
    np.testing.assert_array_equal(one.lower, other.lower)
    assert one.observed.all()
    assert np.isinf(one.diverged).all()


@pytest.mark.slow
def test_the_same_again_does_nothing_and_more_goes_on(stopped, whole, tmp_path):
    out = tmp_path / "run"
    gs.train(experiment(STOP, QUICK), seeds=3, out=out)
    before = open_store(out).version
    assert open_store(gs.train(experiment(STOP, QUICK), seeds=3, out=out).path).version == before
    more = gs.train(experiment(STOP, QUICK), seeds=5, out=out)
    assert states(more) == states(stopped)
    longer = gs.train(
        experiment(STOP, QUICK, "epochs=60"), seeds=5, out=out
    )  # nobody goes on: all have stopped
    assert longer.steps_done.tolist() == stopped.steps_done.tolist()
    assert longer.is_complete
    # without the stop it is the run that never had one
    again = gs.train(experiment(QUICK), seeds=5, out=out)
    assert states(again) == states(whole)
    names = ["train_accuracy", "test_accuracy"]
    xr.testing.assert_identical(again.measures[names].load(), whole.measures[names].load())
    # and a stop that is asked for afterwards takes nothing away
    assert gs.train(experiment(STOP, QUICK), seeds=5, out=out).steps_done.tolist() == [180] * 5


@pytest.mark.slow
def test_interrupted_at_every_segment_it_has_the_same_bits(stopped, tmp_path, monkeypatch):
    def work():
        return gs.train(experiment(STOP), seeds=5, out=tmp_path / "run")

    assert stopped_at_every_segment(monkeypatch, 3, work) > 3
    run = work()
    assert run.is_complete
    assert states(run) == states(stopped)
    xr.testing.assert_identical(run.measures.load(), stopped.measures.load())


@pytest.mark.slow
def test_a_short_memory_changes_no_number(stopped, tmp_path, monkeypatch):
    monkeypatch.setattr("grokscope.training.budget.HISTORY_BYTES", 10.0)
    run = gs.train(experiment(STOP), seeds=5, out=tmp_path / "run")
    xr.testing.assert_identical(run.measures.load(), stopped.measures.load())


@pytest.mark.slow
def test_measures_that_are_asked_for_later_end_where_the_members_did(tmp_path, stopped):
    out = tmp_path / "run"
    first = gs.train(experiment(STOP, QUICK), seeds=5, out=out)
    first.measure(["neuron_norm"], steps="epochs")
    again = gs.open_run(out)
    later = again.measures.neuron_norm.load()
    ends = xr.DataArray(stopped.steps_done, dims="seed", coords={"seed": later.seed})
    assert later.where(later.step > ends).isnull().all()
    xr.testing.assert_equal(
        later.drop_vars(["steps_done", "complete"]),
        again.measures.neuron_norm.where(later.step <= ends).drop_vars(["steps_done", "complete"]),
    )
    assert later.sel(step=12).notnull().all()
    # asked for in the spec, likewise
    spec = gs.train(experiment(STOP), seeds=5, out=out)
    xr.testing.assert_identical(spec.measures.faithfulness.load(), stopped.measures.faithfulness.load())


def test_a_member_that_diverges_is_stopped_and_counted_as_such(tmp_path):
    wild = experiment("optimizer.learning_rate=1e6", "stop.diverged=true", "epochs=12", QUICK)
    run = gs.train(wild, seeds=2, out=tmp_path / "run")
    assert run.is_complete
    lost = open_store(run.path).diverged_step
    assert (lost >= 0).all()
    assert (run.steps_done == (lost // 6 + 1) * 6).all()  # the first measured point after it
    times = GROKKING.times(run.measures)
    assert not times.observed.any()
    np.testing.assert_array_equal(times.diverged, lost)


def test_the_measure_that_is_looked_at_must_be_taken(tmp_path):
    blind = experiment(STOP, "measures=['train_accuracy']")
    with pytest.raises(InputError, match=r"stop\.grokked_for: looks at test_accuracy"):
        gs.train(blind, seeds=1, out=tmp_path / "run")


@pytest.mark.slow
def test_a_branch_is_stopped_by_its_own_points(stopped, whole, tmp_path):
    whole_branch = whole.branch(30, QUICK, out=tmp_path / "whole")
    branch = whole.branch(30, QUICK, STOP, out=tmp_path / "branch")
    ends = np.array([max(e, 0) for e in expected(whole)])
    assert (branch.steps_done >= ends).all()  # what came before it starts does not count
    assert (branch.steps_done < 180).any()
    cut_off = cut(whole_branch.measures.test_accuracy.load(), branch.steps_done)
    mine = branch.measures.test_accuracy.load()
    xr.testing.assert_equal(
        mine.drop_vars(["steps_done", "complete"]),
        cut_off.drop_vars(["steps_done", "complete"]).sel(step=mine.step),
    )


@pytest.mark.slow
def test_a_sweep_stops_each_member_and_says_what_that_saved(stopped, tmp_path):
    asked = {
        "over": ["optimizer.weight_decay=0.01,0.02"],
        "seeds": 5,
        "out": tmp_path / "sweep",
        "rates": RATES,
    }
    sweep = gs.sweep(experiment(STOP, QUICK), **asked)
    assert sweep.is_complete
    assert states(sweep.cell(weight_decay=0.01)) == states(stopped)
    saved = sum(run.steps_saved for _, run in sweep.runs())
    assert saved > stopped.steps_saved > 0
    last = sweep.provenance["requests"][-1]
    assert last["steps_saved"] == saved
    assert last["steps_run"] == 2 * 5 * 180 - saved
    assert np.isfinite(sweep.outcomes.final_test_accuracy).all()
    assert np.isfinite(sweep.outcomes.grokking_upper).all()
    again = gs.sweep(experiment(STOP, QUICK), **asked)
    assert len(again.provenance["requests"]) == 1
