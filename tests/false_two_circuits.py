"""For every claim of the two-circuits paper a made-up run in which it is false."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from synthetic_runs import SyntheticRun, changed, synthetic_run

GROKS = synthetic_run(["groks"] * 40)
NEVER = synthetic_run(["never"] * 40)
AT_ONCE = synthetic_run(["at once"] * 40)


def scaled(factor: float) -> Callable[[xr.DataArray], xr.DataArray]:
    return lambda values: values * factor


def late(run: SyntheticRun, measure: str, subnetwork: str, factor: float) -> SyntheticRun:
    """The run with one subnetwork's curve stretched in time: what was at epoch e comes at factor * e."""
    values = run.measures[measure].copy()
    one = values.sel(subnetwork=subnetwork)
    epochs = run.measures["epoch"].to_numpy()
    source = np.clip(np.searchsorted(epochs, epochs / factor), 0, len(epochs) - 1)
    values.loc[{"subnetwork": subnetwork}] = one.isel(step=source).to_numpy()
    return changed(run, **{measure: values})


def like(run: SyntheticRun, measure: str, subnetwork: str, other: str) -> SyntheticRun:
    """The run with one subnetwork's curve replaced by another's."""
    values = run.measures[measure].copy()
    values.loc[{"subnetwork": subnetwork}] = values.sel(subnetwork=other).to_numpy()
    return changed(run, **{measure: values})


def slower(run: SyntheticRun, factor: float) -> SyntheticRun:
    """The run with training accuracy stretched in time."""
    epochs = run.measures["epoch"].to_numpy()
    source = np.clip(np.searchsorted(epochs, epochs / factor), 0, len(epochs) - 1)
    accuracy = run.measures["train_accuracy"]
    return changed(run, train_accuracy=accuracy.copy(data=accuracy.to_numpy()[:, source]))


def nearly_constant(values: xr.DataArray) -> xr.DataArray:
    """The values with a drift of their own for each seed: a mean of equal numbers has no interval."""
    return values * (1 - 1e-4 * values["seed"] * values["epoch"] / 300)


def immortal(values: xr.DataArray) -> xr.DataArray:
    """Neurons that keep their norm, but for one in every other seed."""
    dies = (values["neuron"] == 0) & (values["seed"] % 2 == 0) & (values["epoch"] > 100)
    return (values * 0 + 1).where(~dies | values.isnull(), 0.0)


def falling(values: xr.DataArray) -> xr.DataArray:
    """Neurons whose norm only falls, to zero."""
    return values * 0 + values.isel(step=0) * np.exp(-values["epoch"] / 50)


# a claim on two experiments has two runs
FALSE: dict[str, SyntheticRun | tuple[SyntheticRun, ...]] = {
    "C1a": AT_ONCE,
    "C1b": AT_ONCE,
    "C1c": AT_ONCE,
    "C1d": AT_ONCE,
    "C2": AT_ONCE,
    "C2b": changed(GROKS, test_loss=lambda v: v * 0.2),
    "C3a": changed(NEVER, effective_sparsity=nearly_constant),
    "C3b": changed(GROKS, effective_sparsity=lambda v: v.roll(step=-70)),
    "C4a": late(GROKS, "subnetwork_norm", "generalizing", 0.3),
    "C4b": changed(
        GROKS, subnetwork_norm=lambda v: v * xr.where(v["subnetwork"] == "norm_matched", 3.0, 1.0)
    ),
    "C4c": late(GROKS, "subnetwork_norm", "generalizing", 0.3),
    "C4d": late(GROKS, "subnetwork_norm", "generalizing", 0.2),
    "C4e": late(GROKS, "subnetwork_norm", "generalizing", 0.2),
    "C4f": late(GROKS, "subnetwork_norm", "generalizing", 0.1),
    "C4g": late(GROKS, "subnetwork_norm", "generalizing", 0.3),
    "C4h": late(GROKS, "subnetwork_norm", "generalizing", 0.3),
    "C5a": late(GROKS, "faithfulness_kappa", "generalizing", 2.0),
    "C5b": like(GROKS, "faithfulness_kappa", "complementary", "control"),
    "C5c": like(GROKS, "faithfulness_kappa", "control", "complementary"),
    "C5d": like(GROKS, "faithfulness_kappa", "norm_matched", "complementary"),
    "C5e": like(GROKS, "faithfulness_kappa", "complementary", "control"),
    "C6a": synthetic_run(["groks"] * 40, final_size=7),
    "C6b": synthetic_run(["groks"] * 40, final_size=12),
    "C7a": changed(GROKS, neuron_norm=immortal),
    "C7b": changed(GROKS, neuron_norm=falling),
    "C7c": like(GROKS, "subnetwork_norm", "generalizing", "control"),
    **{f"C7{part}": changed(GROKS, neuron_norm=falling) for part in "defg"},
    **{f"C{i}{part}": NEVER for i in (8, 9) for part in (".1", ".2", ".3", ".4", ".5")},
    **{f"C{i}{part}": NEVER for i in (0, 8, 9) for part in ("", "-strict", "-whole")},
    "R1": GROKS,
    "R3": GROKS,
    "R4": (slower(NEVER, 2), GROKS),
    "R5": (NEVER, GROKS),
    "R6": GROKS,
}
