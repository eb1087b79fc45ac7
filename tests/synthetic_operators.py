"""Runs on binary operators made up from formulas: when they memorize and grok, and what symmetry tells them.

As in ``synthetic_runs.py``: the truth is known before a claim is asked.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr

from grokscope.experiment import Experiment
from grokscope.spec.axes import SPLIT_LABELS, SUBNETWORK_LABELS
from synthetic_runs import SyntheticRun, rise

LEARNED, GROKKED, LAST, EVERY = 200.0, 3000.0, 8000, 50
P = 31


def operator_run(
    n: int = 12,
    *,
    learned: float = LEARNED,
    grokked: float | None = GROKKED,
    mirrors: float = 0.5,
    commutes: bool = True,
    before: float = 0.5,
    keys: int = 5,
    cosines: float = 0.95,
    one_frequency: float = 0.85,
    without_keys: float = 1.3,
    only_keys: float = 0.3,
    gini: float = 0.4,
    norm: float = 0.6,
    diverged: int = 0,
) -> SyntheticRun:
    """A run of n seeds.

    Args:
        n: seeds.
        learned: step at which training accuracy passes 0.98, about.
        grokked: step at which test accuracy does; None: never.
        mirrors: share of held-out pairs with their mirror in the training set.
        commutes: whether such pairs are right once the training set is learned.
        before: when, in units of the grokking step, restricted loss falls and excluded loss rises.
        keys, cosines, one_frequency: key frequencies, and shares, of the final network.
        without_keys: final excluded loss over log p.
        only_keys: final restricted loss over test loss.
        gini: how much the Gini coefficient rises.
        norm: final weight norm over that at memorization.
        diverged: how many seeds diverge at step 100.
    """
    rng = np.random.default_rng(3)
    step = np.arange(0, LAST + 1, EVERY).astype(float)
    rows: list[dict[str, np.ndarray]] = []
    chance = math.log(P)
    for _ in range(n):
        jitter = float(np.exp(0.05 * rng.standard_normal()))
        fitted = rise(step, learned * jitter)
        late = math.inf if grokked is None else grokked * jitter
        general = np.zeros_like(step) if grokked is None else rise(step, late)
        early = np.zeros_like(step) if grokked is None else rise(step, before * late)
        share = mirrors * (1 + 0.02 * rng.standard_normal())
        noise = 0.004 * rng.standard_normal((3, len(step)))
        told = np.maximum(0.95 * fitted if commutes else 0 * step, general)
        told, untold = np.clip(told + noise[0], 0, 1), np.clip(general + 0.01 + noise[1], 0, 1)
        test = share * told + (1 - share) * untold
        test_loss = 1.5 * chance * (1 - general) * (0.5 + 0.5 * fitted) + 1e-3 * jitter
        frequency = np.arange(1, P // 2 + 1)
        is_key = (frequency <= keys)[None, :] * np.ones((len(step), 1))
        rows.append(
            {
                "train_accuracy": np.where(fitted > 0.97, np.maximum(fitted, 0.995), fitted),
                "test_accuracy": np.where(general > 0.97, np.maximum(general, 0.995), np.clip(test, 0, 1)),
                "test_accuracy_mirrored": told,
                "test_accuracy_unmirrored": untold,
                "mirror_share": np.full(len(step), share),
                "train_loss": chance * (1 - fitted) + 1e-3,
                "test_loss": test_loss,
                "weight_norm": 30 * jitter * (1 - (1 - norm) * rise(step, 4 * learned)),
                "embedding_gini": 0.3 + gini * (general if grokked else 0) + noise[2],
                "logit_cosines": np.clip(cosines * general + noise[2], 0, 1),
                "one_frequency_neurons": np.clip(one_frequency * general + noise[2], 0, 1),
                "key_frequencies": is_key,
                "excluded_loss": chance * np.maximum(1 - fitted, without_keys * early * jitter) + 1e-4,
                "restricted_loss": np.stack(
                    [chance * (1 - early) + only_keys * test_loss * early * jitter] * 2, axis=1
                ),
            }
        )
    dims = {"key_frequencies": ("frequency",), "restricted_loss": ("split",)}
    data: dict[str, Any] = {}
    for name in rows[0]:
        values = np.stack([row[name] for row in rows])
        if diverged:
            values[:diverged, step >= 100] = np.nan
        data[name] = (("seed", "step", *dims.get(name, ())), values)
    coords = {
        "seed": np.arange(n),
        "step": step.astype(int),
        "epoch": ("step", step),
        "split": list(SPLIT_LABELS),
        "frequency": np.arange(1, P // 2 + 1),
    }
    spec = Experiment(
        task={"kind": "modular_operator", "p": P}, model="embedding_mlp", loss="cross_entropy", steps=LAST
    )
    nothing = xr.DataArray(
        np.zeros((n, len(SUBNETWORK_LABELS), 4), bool),
        dims=("seed", "subnetwork", "neuron"),
        coords={"seed": np.arange(n), "subnetwork": list(SUBNETWORK_LABELS)},
    )
    return SyntheticRun(xr.Dataset(data, coords=coords), nothing, spec)
