from __future__ import annotations

import contextlib
import csv
import os

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fake_runs import STEPS, fake_run
from grokscope.errors import InputError, StoreError
from grokscope.interop import export_run
from grokscope.spec.streams import Members


def read_csv(file):
    """The table, its numbers read by Python: pandas's own reader has been a digit off."""
    with open(file, newline="", encoding="utf-8") as stream:
        header, *rows = csv.reader(stream)
    columns = zip(*rows, strict=True) if rows else ([] for _ in header)
    return pd.DataFrame({name: [_value(text) for text in c] for name, c in zip(header, columns, strict=True)})


def _value(text):
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return np.nan if text == "" else text


def test_csv_has_a_row_per_member_and_step_with_the_numbers_of_the_run(tmp_path):
    run = fake_run(groks_at={1: 160})
    done = export_run(run, tmp_path / "a.csv")
    table = read_csv(tmp_path / "a.csv")
    assert len(table) == 3 * len(STEPS)
    assert done.left_out == ("neuron_norm",)
    assert list(table.columns[:3]) == ["seed", "step", "epoch"]
    for seed in (0, 1, 2):
        rows = table[table["seed"] == seed].set_index("step")
        for step in STEPS.tolist():
            point = run.measures.sel(seed=seed, step=step)
            assert rows.loc[step, "epoch"] == step / 32
            assert rows.loc[step, "test_accuracy"] == point["test_accuracy"].item()
            assert rows.loc[step, "train_loss"] == point["train_loss"].item()
            for subnetwork in ("generalizing", "control"):
                for split in ("train", "test"):
                    seen = rows.loc[step, f"faithfulness_{subnetwork}_{split}"]
                    wanted = point["faithfulness"].sel(subnetwork=subnetwork, split=split).item()
                    assert seen == wanted or (np.isnan(seen) and np.isnan(wanted))


def test_what_was_not_measured_is_an_empty_cell(tmp_path):
    export_run(fake_run(), tmp_path / "a.csv", seed=0, step=32)
    header, row = (tmp_path / "a.csv").read_text().splitlines()
    cells = dict(zip(header.split(","), row.split(","), strict=True))
    assert cells["faithfulness_control_test"] == ""
    assert cells["train_accuracy"] == "1.0"


@pytest.mark.tables
@given(
    values=hnp.arrays(
        st.sampled_from([np.float32, np.float64]),
        (2, 3),
        elements=st.floats(width=32, allow_infinity=False),
    )
)
def test_a_table_survives_csv_and_parquet(values, tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    run = fake_run(seeds="9,4")
    run.measures = xr.Dataset({"m": (("seed", "step"), values)}, {"seed": [4, 9], "step": [0, 5, 7]})
    for name, read in (("t.csv", read_csv), ("t.parquet", pd.read_parquet)):
        export_run(run, folder / name)
        table = read(folder / name)
        assert table["seed"].tolist() == [4, 4, 4, 9, 9, 9]
        assert table["step"].tolist() == [0, 5, 7, 0, 5, 7]
        np.testing.assert_array_equal(table["m"].to_numpy().astype(values.dtype), values.ravel())


@pytest.mark.tables
def test_netcdf_holds_everything(tmp_path):
    run = fake_run()
    run.measures.attrs = {"ok": True, "nothing": None, "table": {"a": 1}, "text": "t"}
    done = export_run(run, tmp_path / "a.nc")
    assert done.left_out == ()
    with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as back:
        xr.testing.assert_equal(back.load(), run.measures)
        assert back.attrs["grokscope_identity"] == run.identity
        assert back.attrs["table"] == '{"a": 1}'
    assert run.measures.attrs == {"ok": True, "nothing": None, "table": {"a": 1}, "text": "t"}


def test_weights_are_those_of_the_seed_and_step(tmp_path):
    import safetensors

    run = fake_run(seeds="3,8")
    export_run(run, tmp_path / "w.safetensors", seed=8, step=32)
    wanted = run.model(seed=8, step=32)
    with safetensors.safe_open(tmp_path / "w.safetensors", "numpy") as file:
        assert sorted(file.keys()) == ["hidden_bias", "hidden_weight", "output_weight"]
        for name in file.keys():  # noqa: SIM118 - not a dictionary
            np.testing.assert_array_equal(file.get_tensor(name), getattr(wanted, name))
        metadata = file.metadata()
    assert metadata["seed"] == "8"
    assert metadata["step"] == "32"
    assert metadata["identity"] == run.identity


def test_weights_default_to_the_only_seed_and_the_last_step(tmp_path):
    import safetensors

    export_run(fake_run(seeds="5,"), tmp_path / "w.safetensors")
    with safetensors.safe_open(tmp_path / "w.safetensors", "numpy") as file:
        assert (file.metadata()["seed"], file.metadata()["step"]) == ("5", "320")


def test_step_minus_one_is_the_last_row(tmp_path):
    export_run(fake_run(), tmp_path / "a.csv", step=-1)
    assert pd.read_csv(tmp_path / "a.csv")["step"].tolist() == [320, 320, 320]


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        (
            "a.csw",
            {},
            r"ends in '\.csw'.* Did you mean '\.csv'\? Allowed: \.csv, \.nc, \.parquet, \.safetensors",
        ),
        ("a", {}, "ends in ''"),
        ("a.csv", {"seed": 7}, "seed 7: not recorded in this run; the nearest is 2"),
        ("a.csv", {"step": 33}, "step 33: not recorded in this run; the nearest is 32"),
        ("a.safetensors", {}, "seed is required: this run has 3 members, seeds 0, 1, 2"),
        ("a.safetensors", {"seed": 7}, "seed 7: not in this run; it has seeds 0, 1, 2"),
        ("no/a.csv", {}, "the folder '.*no' does not exist"),
        ("there.csv", {}, "exists; add force=True"),
        ("folder.csv", {}, "is a folder"),
    ],
)
def test_bad_requests_are_refused_and_leave_nothing_behind(tmp_path, name, options, text):
    (tmp_path / "there.csv").write_text("mine")
    (tmp_path / "folder.csv").mkdir()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=text):
        export_run(fake_run(), tmp_path / name, **options)
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "there.csv").read_text() == "mine"


def test_force_replaces(tmp_path):
    (tmp_path / "a.csv").write_text("old")
    export_run(fake_run(), tmp_path / "a.csv", force=True)
    assert (tmp_path / "a.csv").read_text().startswith("seed,step,")


def test_crossed_streams_have_no_seed_to_choose_weights_by(tmp_path):
    run = fake_run()
    run.members = Members.crossed(data=range(3))
    with pytest.raises(InputError, match="crossed streams"):
        export_run(run, tmp_path / "a.safetensors", seed=0)


@pytest.mark.parametrize("suffix", [".parquet", ".nc"])
def test_a_missing_extra_is_named(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr("grokscope.interop.export.importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs \w+: pip install grokscope\[tables\]"):
        export_run(fake_run(), tmp_path / f"a{suffix}")


def test_a_failed_write_keeps_the_old_file_and_no_temporary_one(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("old")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StoreError, match=r"a\.csv: cannot be written: No space left on device"):
        export_run(fake_run(), tmp_path / "a.csv", force=True)
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]
    assert (tmp_path / "a.csv").read_text() == "old"


def test_members_of_crossed_streams_are_rows_of_a_table(tmp_path):
    run = fake_run()
    run.members = Members(((0, 10, 2, 2), (1, 10, 2, 2), (1, 11, 2, 2)))  # (0, 11) is no member
    axes = ("init_seed", "data_seed", "step")
    run.measures = xr.Dataset(
        {"m": (axes, np.arange(8.0).reshape(2, 2, 2)), "once": (axes[:1], [5.0, 6.0])},
        {"init_seed": [0, 1], "data_seed": [10, 11], "step": [0, 32], "order_seed": 2},
    )
    export_run(run, tmp_path / "a.csv")
    table = read_csv(tmp_path / "a.csv")
    assert table["m"].tolist() == [0.0, 1.0, 4.0, 5.0, 6.0, 7.0]
    assert table["once"].tolist() == [5.0, 5.0, 6.0, 6.0, 6.0, 6.0]
    assert table["init_seed"].tolist() == [0, 0, 1, 1, 1, 1]
    assert table["data_seed"].tolist() == [10, 10, 10, 10, 11, 11]
    assert table["order_seed"].tolist() == [2] * 6
    with pytest.raises(InputError, match="seed 1: this run has no axis 'seed'"):
        export_run(run, tmp_path / "b.csv", seed=1)


def test_arrays_that_do_not_lie_in_order_are_written_as_they_read(tmp_path):
    import safetensors

    run = fake_run(seeds="5,")
    weight = np.arange(6.0).reshape(2, 3)
    run.model = lambda seed, step: {"layers": [{"weight": weight.T}], "name": "x"}
    export_run(run, tmp_path / "w.safetensors")
    with safetensors.safe_open(tmp_path / "w.safetensors", "numpy") as file:
        np.testing.assert_array_equal(file.get_tensor("layers.0.weight"), weight.T)
        assert list(file.keys()) == ["layers.0.weight"]
