"""The dataset over all cells: values, lazy indexing, absent cells, and settings to cells."""

import numpy as np
import pytest
import xarray as xr

import grokscope as gs
from grokscope.errors import InputError
from grokscope.store.run_store import RunStore
from grokscope.sweeps import SweepSpec, run_sweep
from small_sweeps import RATES, made_up, small

STEPS = [0, 3, 6]


def numbered(settings, seed):
    """Values that encode their decay, samples, seed and step."""
    start = 1000 * settings["optimizer.weight_decay"] + settings["task.n_train"] + seed / 10
    return {"test_accuracy": [start, start + 0.01, start + 0.02], "slow": ([0, 6], [start, -start])}


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    return made_up(
        tmp_path_factory.mktemp("grid"),
        ("optimizer.weight_decay=0.0,0.5,1.0", "task.n_train=20,40"),
        "1,4",
        STEPS,
        numbered,
    )


def truth(name, decay, samples, seed, step):
    column = dict(zip(STEPS, range(3), strict=True))[step]
    values = numbered({"optimizer.weight_decay": decay, "task.n_train": samples}, seed)[name]
    if isinstance(values, tuple):
        return dict(zip(*values, strict=True)).get(step, np.nan)
    return values[column]


def test_every_value_is_at_its_cell_member_and_step(grid):
    measures = grid.measures
    for name in ("test_accuracy", "slow"):
        array = measures[name]
        assert array.dims == ("weight_decay", "n_train", "seed", "step")
        for decay in (0.0, 0.5, 1.0):
            for samples in (20, 40):
                for seed in (1, 4):
                    for step in STEPS:
                        value = array.sel(weight_decay=decay, n_train=samples, seed=seed, step=step).item()
                        np.testing.assert_allclose(value, truth(name, decay, samples, seed, step), rtol=1e-6)


@pytest.mark.parametrize(
    "part",
    [
        {"weight_decay": 1},
        {"weight_decay": [2, 0], "seed": 1},
        {"n_train": slice(None, None, -1), "step": [2, 0]},
        {"seed": np.array([True, False]), "weight_decay": slice(1, 3)},
        {"step": 0, "seed": 0, "n_train": 1, "weight_decay": 2},
        {"weight_decay": []},
    ],
)
def test_lazy_indexing_equals_indexing_the_loaded_array(grid, part):
    lazy = gs.open_sweep(grid.path).measures["test_accuracy"].isel(part)
    whole = gs.open_sweep(grid.path).measures["test_accuracy"].load().isel(part)
    xr.testing.assert_identical(lazy.load(), whole)


def test_only_indexed_cells_are_read(grid, monkeypatch):
    read = []
    real = RunStore.read_block

    def spy(self, name, *arguments):
        read.append(self.path.name)
        return real(self, name, *arguments)

    monkeypatch.setattr(RunStore, "read_block", spy)
    sweep = gs.open_sweep(grid.path)
    array = sweep.measures.test_accuracy
    assert read == []
    array.sel(weight_decay=0.5, n_train=40).load()
    assert read == [sweep.cells[1, 1]]


def test_steps_of_an_epoch_differ_with_the_samples(grid):
    epoch = grid.measures.epoch
    assert epoch.dims == ("n_train", "step")  # 2 or 3 batches of 16
    np.testing.assert_allclose(epoch.sel(n_train=20), np.array(STEPS) / 2)
    np.testing.assert_allclose(epoch.sel(n_train=40), np.array(STEPS) / 3)


@pytest.mark.slow
def test_absent_cells_and_members_are_nan(tmp_path):
    sweep = gs.sweep(
        small("epochs=1"),
        ["optimizer.weight_decay=0.1", "task.n_train=24"],
        seeds=1,
        out=tmp_path,
        rates=RATES,
    )
    sweep = gs.sweep(
        small("epochs=1"),
        ["optimizer.weight_decay=0.2", "task.n_train=40"],
        seeds=2,
        out=tmp_path,
        rates=RATES,
    )
    assert sweep.shape == (2, 2)
    assert len(sweep.cells) == 2
    known = ~np.isnan(sweep.measures.test_accuracy.isel(step=0))
    assert known.values.tolist() == [[[True, False], [False, False]], [[False, False], [True, True]]]
    assert sweep.measures.complete.values.sum() == 3
    assert sweep.measures.diverged_step.values.tolist() == [[[-1, -1]] * 2] * 2
    with pytest.raises(InputError, match="was requested"):
        sweep.cell(weight_decay=0.1, n_train=40)


@pytest.mark.slow
def test_cells_that_stop_at_different_steps_keep_their_points(tmp_path):
    """Without decay the norm stays above a level, which stops the first cell; the other goes on."""
    base = small(
        "stop.grokked_for=1",
        "events={grokking='weight_norm > 2 for 1'}",
        measures=("train_accuracy", "weight_norm"),
    )
    sweep = run_sweep(
        SweepSpec.of(base, ("optimizer.weight_decay=0.0,5.0",), seeds=2), out=tmp_path / "sweep"
    )
    early, late = (sweep.run((i,)) for i in range(2))
    assert early.steps_done.max() < late.steps_done.min() == base.n_steps
    assert sweep.measures["step"].to_numpy().tolist() == late.measures["step"].to_numpy().tolist()
    np.testing.assert_array_equal(sweep.measures.weight_norm.isel(weight_decay=1), late.measures.weight_norm)


@pytest.mark.slow
def test_neuron_measures_of_different_widths_are_left_out(tmp_path):
    experiment = small("epochs=1", measures=("test_accuracy", "neuron_norm"))
    sweep = gs.sweep(experiment, ["model.width=8,12"], seeds=1, out=tmp_path, rates=RATES)
    assert list(sweep.measures.data_vars) == ["test_accuracy"]
    assert sweep.measures.attrs["left_out"] == ["neuron_norm"]
    assert sweep.cell(width=12).measures.neuron_norm.sizes["neuron"] == 12


def test_paired_keys_share_a_dimension(tmp_path):
    sweep = gs.sweep(
        small("epochs=1"),
        zips=["optimizer.weight_decay=0.2,0.1;model.init_scale=1.0,2.0"],
        seeds=1,
        out=tmp_path,
        rates=RATES,
    )
    assert sweep.measures.weight_decay.values.tolist() == [0.1, 0.2]
    assert sweep.measures.init_scale.dims == ("weight_decay",)
    assert sweep.measures.init_scale.values.tolist() == [2.0, 1.0]
    assert sweep.cell(weight_decay=0.1).experiment.model.init_scale == 2.0
    assert sweep.cell(init_scale=1.0).experiment.optimizer.weight_decay == 0.2


@pytest.mark.slow
def test_texts_are_labels(tmp_path):
    sweep = gs.sweep(small("epochs=1"), ["loss=hinge,logistic"], seeds=1, out=tmp_path, rates=RATES)
    assert sweep.measures.loss.values.tolist() == ["hinge", "logistic"]
    assert sweep.cell(loss="logistic").experiment.loss.kind == "logistic"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"weight_decay": 0.5}, "n_train is required; values: 20, 40"),
        ({"weight_decay": 0.7, "n_train": 20}, "weight_decay has no value 0.7; values: 0, 0.5, 1"),
        ({"decay": 0.5}, "no axis 'decay'; the axes are weight_decay, n_train"),
    ],
)
def test_settings_without_a_cell_are_refused(grid, settings, said):
    with pytest.raises(InputError, match=said):
        grid.cell(**settings)


def test_a_cell_is_found_by_name_or_key(grid):
    by_name = grid.cell(weight_decay=0.5000000001, n_train=40)
    assert by_name.path.name == grid.cells[1, 1]
    assert grid.cell(**{"optimizer.weight_decay": 0.5, "task.n_train": 40}).path == by_name.path


def test_a_sweep_without_results_is_refused(grid, tmp_path):
    (tmp_path / "sweep.json").write_bytes((grid.path / "sweep.json").read_bytes())
    with pytest.raises(InputError, match="no results yet"):
        _ = gs.open_sweep(tmp_path).measures
