"""Sweeps of which only the outcomes are kept: equal to those of a sweep that keeps all, and much smaller."""

import numpy as np
import pytest
import xarray as xr

import grokscope as gs
from grokscope.errors import InputError
from grokscope.report import write_report
from grokscope.store.folder import holding
from grokscope.sweeps import open_sweep, verify_sweep
from grokscope.sweeps._outcomes import KeptOutcomes
from small_sweeps import OVER, RATES, small

ACCURACIES = ("train_accuracy", "test_accuracy")


def size(folder):
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The same sweep twice; the second with two of its three seeds first, and more later."""
    folder, base = tmp_path_factory.mktemp("kept"), small(measures=ACCURACIES)
    whole = gs.sweep(base, OVER, seeds=3, out=folder / "all", rates=RATES)
    gs.sweep(base, OVER, seeds="0,1", out=folder / "few", rates=RATES, keep="outcomes")
    return whole, gs.sweep(base, OVER, seeds="1,2", out=folder / "few", rates=RATES)


@pytest.mark.slow
def test_outcomes_are_those_of_the_sweep_that_keeps_all(both):
    whole, few = both
    assert (whole.keep, few.keep) == ("all", "outcomes")
    xr.testing.assert_identical(whole.outcomes, few.outcomes.sortby("seed"))
    place = {"weight_decay": 0.05, "n_train": 40}
    np.testing.assert_array_equal(
        np.sort(whole.times("memorization", **place).upper), np.sort(few.times("memorization", **place).upper)
    )
    assert few.is_complete
    assert size(few.place / "outcomes") < size(whole.place / "cells") / 10
    assert not list((few.place / "cells").iterdir())


def test_the_same_command_again_trains_nothing(both):
    _, few = both
    again = gs.sweep(
        small(measures=ACCURACIES), OVER, seeds="1,2", out=few.place, rates=RATES, keep="outcomes"
    )
    assert again.provenance["requests"] == few.provenance["requests"]


def test_curves_are_refused_in_one_line_and_a_sweep_is_of_one_sort(both):
    whole, few = both
    with pytest.raises(InputError, match="of its cells only outcomes were kept"):
        _ = few.measures
    with pytest.raises(InputError, match="of its cells only outcomes were kept"):
        few.cell(weight_decay=0.0, n_train=24)
    for sweep, keep, said in ((whole, "outcomes", "everything"), (few, "all", "only outcomes")):
        with pytest.raises(InputError, match=f"holds a sweep that keeps {said}"):
            gs.sweep(small(measures=ACCURACIES), OVER, seeds=3, out=sweep.place, rates=RATES, keep=keep)


def test_it_is_shown_and_verified(both, tmp_path):
    _, few = both
    assert holding(few.place) == "sweep"
    assert "complete" in str(few.summary())
    page = write_report(few.place, out=tmp_path / "page.html").read_text()
    assert '"curves": null' in page.replace('"curves":null', '"curves": null')
    assert verify_sweep(few.place) == []
    file = next((few.place / "outcomes").iterdir())
    content = file.read_bytes()
    file.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    try:
        (problem,) = verify_sweep(few.place)
        assert (problem.kind, problem.file) == ("changed", f"outcomes/{file.name}")
    finally:
        file.write_bytes(content)


def test_members_of_two_calls_are_joined_and_the_later_ones_count(tmp_path):
    seeds = [(i, i, i, i) for i in range(3)]
    early = KeptOutcomes(tuple(seeds[:2]), {"diverged": np.array([1.0, 2.0]), "old": np.array([7.0, 8.0])})
    late = KeptOutcomes(tuple(seeds[1:]), {"diverged": np.array([20.0, 30.0]), "new": np.array([5.0, 6.0])})
    late.joined(early).write(tmp_path / "a.npz")
    found = KeptOutcomes.read(tmp_path / "a.npz")
    assert found.seeds == ((1,) * 4, (2,) * 4, (0,) * 4)
    assert found.columns["diverged"].tolist() == [20, 30, 1]
    assert np.isnan(found.columns["new"][2])
    assert "old" not in found.columns


def test_what_an_interrupted_call_has_left_is_removed(both):
    _, few = both
    name = next(iter(few.cells.values()))
    (few.place / "cells" / name).mkdir()
    gs.sweep(small(measures=ACCURACIES), OVER, seeds="1,2", out=few.place, rates=RATES)
    assert not (few.place / "cells" / name).exists()
    assert open_sweep(few.place).is_complete
