"""Sweeps in a bucket, against a real server process on this machine."""

from __future__ import annotations

import pytest
import xarray as xr

import grokscope as gs
from grokscope.errors import InputError, StoreError
from grokscope.store.open import open_store
from grokscope.store.place import as_place
from grokscope.sweeps.folder import read_manifest, writing
from s3_server import Server
from small_sweeps import RATES, assert_same_sweep, small

pytestmark = pytest.mark.s3
OVER = ("optimizer.weight_decay=0.0,0.05",)


@pytest.fixture(scope="module")
def environment():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_REGION", "us-east-1")
        yield patch


@pytest.fixture(scope="module")
def bucket(environment):
    server = Server()
    environment.setenv("AWS_ENDPOINT_URL", server.url)
    server.make_bucket("results")
    yield "s3://results/sweeps"
    server.stop()


@pytest.fixture(scope="module")
def swept(bucket):
    return gs.sweep(small(), OVER, seeds=2, out=f"{bucket}/one", rates=RATES)


def versions(sweep):
    return {name: open_store(sweep.path / "cells" / name).version for name in sweep.cells.values()}


def test_a_sweep_in_a_bucket_equals_one_in_a_folder_bit_for_bit(swept, bucket, tmp_path):
    folder = gs.sweep(small(), OVER, seeds=2, out=tmp_path / "sweep", rates=RATES)
    opened = gs.open_sweep(f"{bucket}/one")
    assert opened.is_complete
    assert_same_sweep(opened, folder)
    assert opened.experiment == folder.experiment
    assert opened.cell(weight_decay=0.05).experiment == folder.cell(weight_decay=0.05).experiment
    xr.testing.assert_identical(opened.outcomes, folder.outcomes)


def test_a_larger_request_trains_only_new_cells_and_members(bucket, tmp_path):
    place = f"{bucket}/two"
    before = versions(gs.sweep(small("epochs=2"), OVER, seeds=1, out=place, rates=RATES))
    again = gs.sweep(small("epochs=2"), OVER, seeds=1, out=place, rates=RATES)
    assert versions(again) == before
    wider = gs.sweep(small("epochs=2"), ["optimizer.weight_decay=0.1"], seeds=1, out=place, rates=RATES)
    assert {name: versions(wider)[name] for name in before} == before
    # longer, and with one more seed: cells are extended
    longer = gs.sweep(small(), OVER, seeds=2, out=place, rates=RATES)
    folder = gs.sweep(small(), OVER, seeds=2, out=tmp_path / "sweep", rates=RATES)
    for value in (0.0, 0.05):
        one, other = longer.cell(weight_decay=value), folder.cell(weight_decay=value)
        assert one.measures.test_accuracy.load().equals(other.measures.test_accuracy.load())


def test_one_driver_at_a_time(swept, bucket):
    with writing(as_place(f"{bucket}/one")), pytest.MonkeyPatch.context() as patch:
        patch.setattr("grokscope.sweeps.folder.platform.node", lambda: "another machine")
        with pytest.raises(
            StoreError, match=r"is being worked on by process .*its lease expires in \d+ s"
        ) as refused:
            gs.sweep(small(), OVER, seeds=3, out=f"{bucket}/one", rates=RATES)
    assert "\n" not in str(refused.value)
    assert read_manifest(as_place(f"{bucket}/one")).requests  # the lease was released
    with writing(as_place(f"{bucket}/one")):
        pass


def test_of_two_writers_of_a_cell_the_slower_fails_and_changes_nothing(swept):
    place = swept.path / "cells" / next(iter(swept.cells.values()))
    one, other = open_store(place, "a"), open_store(place, "a")

    def slower():
        with other.transaction("b") as t:
            with one.transaction("a") as first:
                first.note(a=1)
            t.note(b=2)

    with pytest.raises(StoreError, match="another process wrote it meanwhile"):
        slower()
    assert open_store(place).notes == {"a": 1}


def test_another_sweep_and_a_missing_sweep_are_refused(swept, bucket):
    with pytest.raises(InputError, match="holds another sweep"):
        gs.sweep(small("optimizer.learning_rate=0.5"), OVER, seeds=1, out=f"{bucket}/one", rates=RATES)
    with pytest.raises(InputError, match="there is no sweep"):
        gs.open_sweep(f"{bucket}/nothing")


def test_a_missing_or_forbidden_bucket_gives_a_one_line_error(bucket, environment):
    guarded = Server(open_requests=1)
    try:
        with pytest.MonkeyPatch.context() as patch:
            for server, place, said in (
                (None, "s3://nothing-here/sweep", "The specified bucket does not exist"),
                (guarded, "s3://private/sweep", "Access Key"),
            ):
                if server is not None:
                    server.make_bucket("private")
                    patch.setenv("AWS_ENDPOINT_URL", server.url)
                with pytest.raises(StoreError, match=f"cannot be .*: .*{said}") as refused:
                    gs.sweep(small(), OVER, seeds=1, out=place, rates=RATES)
                assert "\n" not in str(refused.value)
                assert len(str(refused.value)) < 200
    finally:
        guarded.stop()
