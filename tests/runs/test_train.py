"""A run is extended by seeds, epochs and measures, and its bits are those of one made at once."""

import shutil
from functools import partial

import numpy as np
import pytest
import xarray as xr

import grokscope as gs
from grokscope.errors import GrokscopeError, InputError
from grokscope.runs import run_summaries, verify
from grokscope.runs.block import Block, BlockState
from grokscope.runs.trainer import latest_states
from grokscope.spec.streams import Members
from grokscope.store.open import open_store
from interrupted import stopped_at_every_segment
from small_sweeps import small

MEASURES = ["train_accuracy", "test_accuracy", "path_norm_total", "neuron_norm", "faithfulness"]
experiment = partial(small, measures=MEASURES)


def contents(run):
    """Everything a run holds, as one dataset."""
    return xr.merge([run.measures.load(), run.subnetworks], compat="override", join="outer")


def states(run):
    store = open_store(run.path)
    return [store.read_checkpoint(i) for i in range(len(store.seeds))]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Three seeds, four epochs, all measures, at once."""
    return gs.train(experiment(), seeds=3, out=tmp_path_factory.mktemp("whole") / "run")


@pytest.mark.slow
def test_a_run_has_what_was_asked_for(whole):
    assert whole.is_complete
    assert set(MEASURES) <= set(whole.measures)
    assert whole.measures.sizes["seed"] == 3
    assert whole.measures.step.values.tolist() == [0, 3, 6, 9, 12]
    assert whole.measures.epoch.values.tolist() == [0, 1, 2, 3, 4]
    assert not whole.measures.train_accuracy.isnull().any()
    assert verify(whole.path) == []


def test_the_final_network_is_the_one_measured(whole):
    for seed in range(3):
        network = whole.model(seed=seed)
        x = np.asarray(network.hidden_weight)
        norm = np.linalg.norm(x, axis=0)
        measured = whole.measures.neuron_norm.sel(seed=seed, step=12).values
        np.testing.assert_allclose(norm, measured, rtol=1e-6)


def test_more_seeds_extend(whole, tmp_path):
    gs.train(experiment(), seeds=1, out=tmp_path / "run")
    run = gs.train(experiment(), seeds="1,2", out=tmp_path / "run")
    xr.testing.assert_identical(contents(run), contents(whole))


def test_more_epochs_extend(whole, tmp_path):
    gs.train(experiment("epochs=2"), seeds=3, out=tmp_path / "run")
    run = gs.train(experiment(), seeds=3, out=tmp_path / "run")
    assert run.experiment.epochs == 4
    xr.testing.assert_identical(contents(run), contents(whole))
    assert [s.sha256 for s in states(run)] == [s.sha256 for s in states(whole)]


@pytest.mark.slow
def test_more_epochs_and_measures_at_once_extend(whole, tmp_path):
    gs.train(experiment("epochs=2", measures=["test_accuracy"]), seeds=3, out=tmp_path / "run")
    run = gs.train(experiment(), seeds=3, out=tmp_path / "run")
    xr.testing.assert_identical(contents(run), contents(whole))


def test_more_measures_extend(whole, tmp_path):
    gs.train(experiment(measures=["test_accuracy"]), seeds=3, out=tmp_path / "run")
    run = gs.train(experiment(), seeds=3, out=tmp_path / "run")
    xr.testing.assert_identical(contents(run), contents(whole))


@pytest.mark.slow
def test_measures_asked_for_later_are_the_same(whole, tmp_path):
    run = gs.train(experiment(measures=["train_accuracy"]), seeds=3, out=tmp_path / "run")
    later = run.measure(["path_norm_total", "faithfulness"])
    for name in ("path_norm_total", "faithfulness"):
        xr.testing.assert_identical(later[name].load(), whole.measures[name].load())


def test_the_same_again_does_nothing(whole, monkeypatch):
    def no(*_, **__):
        raise AssertionError("nothing is left to do")

    monkeypatch.setattr(Block, "run", no)
    before = {file: file.stat().st_mtime_ns for file in whole.path.rglob("*") if file.name != ".lock"}
    assert gs.train(experiment(), seeds=3, out=whole.path).is_complete
    after = {file: file.stat().st_mtime_ns for file in whole.path.rglob("*") if file.name != ".lock"}
    assert before == after


def test_networks_of_any_step_by_replay(whole):
    replayed = whole.model(seed=1, step=6)
    norm = np.linalg.norm(np.asarray(replayed.hidden_weight), axis=0)
    run_norm = gs.train(
        experiment("epochs=2"), seeds=2, out=whole.path.parent / "short"
    ).measures.neuron_norm.sel(seed=1, step=6)
    np.testing.assert_allclose(norm, run_norm, rtol=1e-6)


@pytest.mark.parametrize("step", [13, -14])
def test_a_step_that_is_not_there(whole, step):
    with pytest.raises(InputError, match=r"seed 1 has steps 0 to 12"):
        whole.model(seed=1, step=step)


def test_a_seed_that_is_not_there(whole):
    with pytest.raises(InputError, match="has no seed 9; it has 0, 1, 2"):
        whole.model(seed=9)


def test_another_experiment_is_refused(whole):
    with pytest.raises(InputError, match="holds another run"):
        gs.train(experiment("optimizer.learning_rate=0.2"), seeds=1, out=whole.path)


def test_other_numerics_are_refused_or_marked(tmp_path, monkeypatch):
    short = experiment("epochs=1", measures=["train_accuracy"])
    run = gs.train(short, seeds=1, out=tmp_path / "run")
    from grokscope.runs import trainer as _trainer

    real = _trainer.numerics_here
    monkeypatch.setattr(_trainer, "numerics_here", lambda e: real(e) | {"jax": "0.0.1"})
    with pytest.raises(InputError, match=r"other numerics \(jax.*allow_other_numerics=True"):
        gs.train(short, seeds=2, out=run.path)
    run = gs.train(short, seeds=2, out=run.path, allow_other_numerics=True)
    assert "jax" in str(run.notes["other_numerics"])


@pytest.mark.slow
def test_a_run_that_is_resumed_under_other_numerics_gets_to_its_end(tmp_path, monkeypatch):
    """What is followed needs a replay from step 0, which cannot end in a state of two numerics."""
    spec = experiment(measures=["train_accuracy", "test_accuracy", "faithfulness"])
    stopped_at_every_segment(monkeypatch, 2, lambda: gs.train(spec, seeds=2, out=tmp_path / "run"), most=1)
    run = gs.open_run(tmp_path / "run")
    assert 0 < run.steps_done.max() < spec.n_steps
    there = latest_states

    def other_bits(rows):
        state = there(rows)
        leaves = {
            name: leaf * np.float32(1 + 1e-6) if name.endswith("hidden_weight") else leaf
            for name, leaf in state.leaves.items()
        }
        return BlockState(state.step, leaves, state.until)

    monkeypatch.setattr("grokscope.runs.trainer.latest_states", other_bits)
    with pytest.raises(GrokscopeError, match="a replay does not end in the state"):  # the same numerics
        gs.train(spec, seeds=2, out=shutil.copytree(run.path, tmp_path / "same"))
    monkeypatch.setattr("grokscope.runs.trainer.numerics_here", lambda _: {"jax": "another"})
    run = gs.train(spec, seeds=2, out=run.path, allow_other_numerics=True)
    assert run.is_complete
    assert "jax" in str(run.notes["other_numerics"])
    assert run.measures.faithfulness.sel(subnetwork="generalizing").notnull().all()
    assert verify(run.path) == []


def test_a_replay_under_other_numerics_is_refused_with_advice_that_can_be_followed(tmp_path, monkeypatch):
    run = gs.train(experiment("epochs=1", measures=["train_accuracy"]), seeds=1, out=tmp_path / "run")
    from grokscope.runs import same

    real = same.numerics_here
    monkeypatch.setattr(same, "numerics_here", lambda e: real(e) | {"jax": "0.0.1"})
    for replay in (lambda: run.measure(["train_loss"]), lambda: run.model(0, step=1)):
        with pytest.raises(InputError, match=r"other numerics \(jax.*train again into another") as refused:
            replay()
        assert "allow_other_numerics" not in str(refused.value)  # neither has such an option


def test_an_interrupted_block_goes_on_with_the_same_bits(whole, tmp_path, monkeypatch):
    """Stopped at every segment in turn, with a commit after each."""

    def work():
        return gs.train(experiment(), seeds=3, out=tmp_path / "run")

    assert stopped_at_every_segment(monkeypatch, 2, work) == 3
    xr.testing.assert_identical(contents(work()), contents(whole))


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 64], ids=["several segments", "one segment"])
def test_networks_at_both_ends_are_those_that_are_kept_everywhere(tmp_path, monkeypatch, size):
    """Where only these are asked for, none is kept on the way."""
    quick = ["train_accuracy", "path_norm_total"]
    monkeypatch.setattr("grokscope.training.timeline.Timeline.segment_size", lambda *_: size)
    few = gs.train(experiment(measures=quick), seeds=3, out=tmp_path / "few")
    all_of_them = experiment("schedule.snapshots='epochs'", measures=quick)
    every = gs.train(all_of_them, seeds=3, out=tmp_path / "every")
    for seed in range(3):
        assert open_store(few.path).snapshot_steps(seed) == [0, 12]
        assert open_store(every.path).snapshot_steps(seed) == [0, 3, 6, 9, 12]
        for step in (0, 12):
            kept, asked = (open_store(run.path).read_snapshot(seed, step) for run in (every, few))
            assert kept.keys() == asked.keys()
            for name, array in kept.items():
                np.testing.assert_array_equal(asked[name], array)
    xr.testing.assert_identical(few.measures.load(), every.measures.load())


@pytest.mark.slow
def test_a_short_memory_changes_no_number(whole, tmp_path, monkeypatch):
    """Where the history does not fit, it is replayed."""
    monkeypatch.setattr("grokscope.training.budget.HISTORY_BYTES", 10.0)
    run = gs.train(experiment(), seeds=3, out=tmp_path / "run")
    xr.testing.assert_identical(contents(run), contents(whole))


def test_crossed_streams_are_axes(tmp_path):
    run = gs.train(experiment(measures=["train_accuracy"]), seeds="init=0,1;data=3,4,5", out=tmp_path / "run")
    assert dict(run.measures.train_accuracy.sizes) == {"init_seed": 2, "data_seed": 3, "step": 5}


@pytest.mark.slow
@pytest.mark.parametrize("seeds", ["init=0,1;data=3,4", [(0, 3, 0, 0), (1, 4, 0, 0), (1, 3, 0, 0)]])
def test_subnetworks_have_the_axes_of_the_measures(tmp_path, seeds):
    members = seeds if isinstance(seeds, str) else Members(tuple(seeds))
    run = gs.train(experiment(measures=["faithfulness"]), seeds=members, out=tmp_path / "run")
    assert run.subnetworks.sizes["init_seed"] == run.subnetworks.sizes["data_seed"] == 2
    for i, (init, data, _, _) in enumerate(run.members):
        kept = run._store.read_subnetworks("predictions", i).masks
        labeled = run.subnetworks.sel(init_seed=init, data_seed=data)
        assert np.array_equal(labeled.transpose("subnetwork", "neuron").to_numpy(), kept)
        assert kept.any()
    for axis in ("init_seed", "data_seed"):
        assert run.subnetworks[axis].equals(run.measures[axis])
    if len(run.members) == 3:
        assert not run.subnetworks.sel(init_seed=0, data_seed=4).any()


@pytest.mark.slow
def test_double_precision(tmp_path):
    run = gs.train(experiment("precision='float64'", measures=["train_loss"]), seeds=1, out=tmp_path / "run")
    assert run.measures.train_loss.dtype == np.float64
    assert run.model(seed=0).hidden_weight.dtype == np.float64


def test_run_summaries(whole):
    summary = next(s for s in run_summaries(whole.path.parent) if s.path == whole.path)
    assert (summary.task, summary.members, summary.complete, summary.steps) == ("sparse_parity", 3, 3, 12)
