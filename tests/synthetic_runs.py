"""Runs made up from formulas, with known truth: which seeds memorize, grok or diverge, and when.

Curves are logistic in log epoch. Nothing here is measured: the point is that a claim's verdict, an event's
time or a figure's line is known before it is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from grokscope.experiment import Experiment
from grokscope.spec.axes import SPLIT_LABELS, SUBNETWORK_LABELS
from grokscope.spec.streams import Members

MEMORIZED, GROKKED = 30.0, 120.0  # epochs at which the curves of a seed that groks pass 0.98, about
STEPS_PER_EPOCH = 32


@dataclass
class SyntheticRun:
    """What a run gives its readers."""

    measures: xr.Dataset
    subnetworks: xr.DataArray
    experiment: Experiment
    path: Path = Path("nowhere")
    provenance: dict[str, Any] = field(default_factory=lambda: {"command": "grokscope reproduce"})

    @property
    def measures_so_far(self) -> xr.Dataset:
        return self.measures

    @property
    def members(self) -> Members:
        return Members.of_seeds(self.measures["seed"].to_numpy().tolist())


def synthetic_run(
    fates: list[str] | None = None,
    *,
    epochs: int = 300,
    every: int = 1,
    width: int = 150,
    final_size: int = 6,
    seed: int = 0,
    experiment: Experiment | None = None,
) -> SyntheticRun:
    """A run of one seed per fate: ``groks``, ``never`` (memorizes only), ``at once``, ``diverges``.

    Circuits have ``final_size`` and two more neurons in turn. ``at once``: test accuracy rises together with
    training accuracy. ``diverges``: groks, but every measure is NaN from epoch 50 on.
    """
    fates = ["groks"] * 5 if fates is None else fates
    rng = np.random.default_rng(seed)
    epoch = np.unique([*range(0, epochs + 1, every), epochs]).astype(float)
    log = np.isin(epoch, [0, epochs, *np.round(10 ** (np.arange(0, 4 * 12) / 12))])
    values = {name: np.full((len(fates), len(epoch), *shape), np.nan) for name, shape in _shapes(width)}
    sets = np.zeros((len(fates), len(SUBNETWORK_LABELS), width), bool)
    for i, fate in enumerate(fates):
        jitter = float(np.exp(0.08 * rng.standard_normal()))
        one = _seed(fate, epoch, width, final_size + 2 * (i % 2), jitter, rng, sets[i])
        for name, array in one.items():
            values[name][i] = array
        if fate == "diverges":
            for array in values.values():
                array[i, epoch >= 50] = np.nan
    for name in ("neuron_norm", "output_share", "sensitivity", "test_accuracy_large"):
        values[name][:, ~log] = np.nan
    step = (epoch * STEPS_PER_EPOCH).astype(int)
    dims = {2: (), 3: ("neuron",), 4: ("subnetwork", "split")}
    data = {
        name: (("seed", "step", *(("subnetwork",) if name == "subnetwork_norm" else dims[a.ndim])), a)
        for name, a in values.items()
    }
    coords = {
        "seed": np.arange(len(fates)),
        "step": step,
        "epoch": ("step", epoch),
        "subnetwork": list(SUBNETWORK_LABELS),
        "split": list(SPLIT_LABELS),
        "neuron": np.arange(width),
    }
    subnetworks = xr.DataArray(
        sets,
        dims=("seed", "subnetwork", "neuron"),
        coords={"seed": np.arange(len(fates)), "subnetwork": list(SUBNETWORK_LABELS)},
    )
    spec = experiment or Experiment(task="sparse_parity", epochs=epochs)
    return SyntheticRun(xr.Dataset(data, coords=coords), subnetworks, spec)


def unmeasured(run: SyntheticRun, *names: str) -> SyntheticRun:
    """The same run with these measures (none named: all) never taken."""
    gone = {name: run.measures[name] * np.nan for name in (names or map(str, run.measures))}
    return SyntheticRun(run.measures.assign(gone), run.subnetworks, run.experiment)


def changed(run: SyntheticRun, **values: Any) -> SyntheticRun:
    """The same run with some measures replaced (a DataArray, or a function of the old one)."""
    new = {name: value(run.measures[name]) if callable(value) else value for name, value in values.items()}
    return SyntheticRun(run.measures.assign(new), run.subnetworks, run.experiment)


def _shapes(width: int) -> list[tuple[str, tuple[int, ...]]]:
    plain = "train_accuracy test_accuracy train_loss test_loss test_accuracy_large train_margin_below_1"
    sparse = "effective_sparsity effective_sparsity_accuracy effective_sparsity_probe effective_sparsity_99"
    pairs = "faithfulness faithfulness_kappa faithfulness_mean_ablation sensitivity"
    kinds, splits = len(SUBNETWORK_LABELS), len(SPLIT_LABELS)
    return [
        *((name, ()) for name in f"{plain} {sparse}".split()),
        *((name, (width,)) for name in ("neuron_norm", "path_norm", "output_share")),
        *((name, (kinds, splits)) for name in pairs.split()),
        ("subnetwork_norm", (kinds,)),
    ]


def rise(time: np.ndarray, at: float, sharp: float = 12.0) -> np.ndarray:
    """0 to 1, at 0.98 when the step, or the epoch, is ``at``."""
    return 1 / (1 + np.exp(-sharp * np.log(np.maximum(time, 1e-3) / at) - np.log(0.98 / 0.02)))


def _seed(
    fate: str,
    epoch: np.ndarray,
    width: int,
    size: int,
    jitter: float,
    rng: np.random.Generator,
    sets: np.ndarray,
) -> dict[str, np.ndarray]:
    learned = rise(epoch, MEMORIZED * jitter)
    late = {"never": 1e9, "at once": MEMORIZED * jitter}.get(fate, GROKKED * jitter)
    general = rise(epoch, late)
    noise = 0.01 * rng.standard_normal((4, len(epoch)))
    half = np.where(general > 0.97, 1.0, np.clip(0.5 + 0.5 * general + noise[0], 0, 1))
    dense = float(np.round(0.6 * width * jitter))
    shrunk = (
        np.maximum(np.round(dense * (size / dense) ** general), 1) if fate != "never" else dense + 0 * epoch
    )

    members = rng.permutation(width)
    sets[0, members[:size]] = True
    sets[1] = ~sets[0]
    sets[2, members[: int(dense)]] = True
    sets[3, rng.permutation(width)[:size]] = True
    sets[4, members[size : 2 * size]] = True
    decay = 0.58 * np.exp(-epoch * jitter / 60)
    grown = decay + 0.8 * rise(epoch, late, 8)
    memorizing = decay * (1 + 0.15 * learned)
    norms = np.stack([grown, decay, memorizing, decay * 1.02, decay * 1.05], axis=1)
    scatter = 1 + 0.1 * rng.standard_normal(width)
    # Ten neurons grow while the training set is learned, and die like all others.
    bump = np.isin(np.arange(width), members[size : size + 10])
    hill = 0.3 * np.exp(-((np.log(np.maximum(epoch, 0.1) / (1.3 * MEMORIZED)) / 0.3) ** 2))
    neurons = np.where(sets[0], grown[:, None], decay[:, None] * scatter + hill[:, None] * bump)

    kappa = np.stack([general, 1 - 0.7 * general, 1 - 0.6 * general, 0 * epoch, 0 * epoch], axis=1)
    kappa = kappa[..., None] + 0.02 * rng.standard_normal((len(epoch), 5, 2)) * (kappa[..., None] < 0.9)
    bits = np.stack([3 + 0 * epoch, 18 + 0 * epoch, 17 + 0 * epoch, 19 + 0 * epoch, 20 + 0 * epoch], axis=1)
    test_loss = (1 + 0.25 * learned) * (1 - general) + 0.03 + 0.01 * noise[1]
    return {
        "train_accuracy": np.where(learned > 0.97, np.maximum(learned, 0.985), 0.5 + 0.5 * learned),
        "test_accuracy": half,
        "test_accuracy_large": half,
        "train_loss": 1.0 - 0.97 * learned + 0.005 * noise[2] ** 2,
        "test_loss": test_loss if fate != "at once" else 1.0 - 0.97 * learned,
        "train_margin_below_1": 1.0 - 0.9 * learned,
        "effective_sparsity": shrunk,
        "effective_sparsity_accuracy": np.maximum(shrunk * 0.9, 1),
        "effective_sparsity_probe": np.minimum(shrunk * 1.2, width),
        "effective_sparsity_99": np.maximum(shrunk * 0.8, 1),
        "neuron_norm": neurons,
        "path_norm": neurons**2,
        "output_share": neurons**2 / (neurons**2).sum(axis=-1, keepdims=True),
        "subnetwork_norm": norms,
        "faithfulness": 0.5 + 0.5 * kappa,
        "faithfulness_kappa": kappa,
        "faithfulness_mean_ablation": 0.5 + 0.5 * kappa,
        "sensitivity": np.broadcast_to(bits[..., None], (len(epoch), 5, 2)).astype(float),
    }
