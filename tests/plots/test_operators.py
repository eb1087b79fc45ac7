"""Figures of binary operators: many points are drawn as medians of windows."""

from __future__ import annotations

import math
from statistics import median

import numpy as np
import pytest
import xarray as xr

from grokscope.plots.operators import in_windows, operators_figure


def measures(n: int, *, spikes: bool = False) -> xr.Dataset:
    steps = np.arange(n) * 50
    curve = np.tile(np.linspace(0.0, 1.0, n, dtype=np.float32), (3, 1))
    if spikes:
        curve[:, 7::9] = 0.0
    return xr.Dataset(
        {"train_accuracy": (("seed", "step"), curve), "test_accuracy": (("seed", "step"), curve)},
        {"seed": [0, 1, 2], "step": steps, "epoch": ("step", steps.astype(float))},
    )


def test_few_points_are_drawn_as_they_are() -> None:
    few = measures(120)
    assert in_windows(few) is few


@pytest.mark.parametrize("n", [121, 501, 2000])
def test_windows_are_medians_on_a_logarithmic_axis(n: int) -> None:
    whole = measures(n, spikes=True)
    found = in_windows(whole)
    places = [int(120 * math.log1p(step) / math.log1p((n - 1) * 50)) for step in range(0, n * 50, 50)]
    windows: dict[int, list[int]] = {}
    for point, place in enumerate(places):
        windows.setdefault(min(place, 119), []).append(point)
    assert found["step"].to_numpy().tolist() == [points[-1] * 50 for points in windows.values()]
    for name in ("train_accuracy", "test_accuracy"):
        curves = whole[name].to_numpy()
        expected = [[median(curve[points].tolist()) for points in windows.values()] for curve in curves]
        np.testing.assert_allclose(found[name].to_numpy(), expected, rtol=1e-6)


def test_what_was_not_measured_stays_out() -> None:
    whole = measures(501)
    whole["test_accuracy"][1, 250:] = np.nan
    found = in_windows(whole)["test_accuracy"]
    late = found["step"].to_numpy() > 250 * 50 * 1.1
    assert np.isnan(found[1].to_numpy()[late]).all()
    assert np.isfinite(found[1].to_numpy()[found["step"].to_numpy() < 250 * 50 * 0.9]).all()
    assert np.isfinite(found[0].to_numpy()).all()


def test_seeds_that_lose_what_they_memorized_are_named() -> None:
    def print_of(train: list[float]) -> str:
        n = len(train)
        curves = {"train_accuracy": [train, [1.0] * n], "test_accuracy": [[0.1] * n] * 2}
        run = xr.Dataset(
            {name: (("seed", "step"), values) for name, values in curves.items()},
            {"seed": [0, 1], "step": np.arange(n) * 50, "epoch": ("step", np.arange(n, dtype=float))},
        )
        return " ".join(operators_figure({"Division": run}, "a command").texts[0].get_text().split())

    # the first seed memorizes at the third of 12 points, the second at the first: 10 + 12 points after that
    kept = [0.5, 0.9, *[1.0] * 10]
    assert "Later, training accuracy" not in print_of(kept)
    lost = [0.5, 0.9, *[1.0] * 6, 0.66, 1.0, 0.98, 1.0]
    assert "0.98 or less at 9 % of the points (in 1 seeds), down to 0.66." in print_of(lost)


def test_the_figure_says_so() -> None:
    def print_of(n: int) -> str:
        return operators_figure({"Addition": measures(n)}, "a command").texts[0].get_text()

    assert "medians within up to 120 windows" in print_of(501)
    assert "windows" not in print_of(100)
