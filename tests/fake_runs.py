"""A run made up for tests of what reads runs: known numbers in the shape that `grokscope.Run` has."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from grokscope.experiment import Experiment
from grokscope.spec.streams import Members

STEPS = np.array([0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320])
WIDTH = 7


@dataclass
class FakeRun:
    path: Path
    members: Members
    experiment: Experiment
    measures: xr.Dataset
    provenance: dict[str, Any] = field(default_factory=lambda: {"command": "grokscope train"})
    identity: str = "ab" * 32
    is_complete: bool = True
    steps_saved: int = 0
    asked: list[Any] = field(default_factory=list)

    @property
    def place(self) -> Path:
        return self.path

    @property
    def measures_so_far(self) -> xr.Dataset:
        return self.measures

    @property
    def steps_done(self) -> np.ndarray:
        return np.full(len(self.members), 320)

    def position(self, seed: int) -> int:
        return [member[0] for member in self.members].index(seed)

    def model(self, seed: int, step: int) -> Any:
        from jax import numpy as jnp

        from grokscope.models.networks.one_hidden_layer import OneHiddenLayer

        rng = np.random.default_rng([seed, step % 1000])
        arrays = [
            jnp.asarray(rng.standard_normal(shape), jnp.float32)
            for shape in ((40, WIDTH), (WIDTH,), (WIDTH,))
        ]
        return OneHiddenLayer(*arrays)

    def measure(
        self, names: list[str], steps: Any = None, flavor: str = "", progress: Any = None, **allowed: bool
    ) -> None:
        self.asked.append((names, steps, flavor))
        progress.start(10, "replay")
        progress.advance(10)
        progress.finish()


def fake_run(path: Path | str = "fake", seeds: Any = 3, groks_at: dict[int, int] | None = None) -> FakeRun:
    """A run of 320 steps measured every 32; each memorizes at 32 and groks as given (else never)."""
    members = Members.parse(seeds)
    count = len(members)
    groks_at = {} if groks_at is None else groks_at
    test = np.full((count, len(STEPS)), 0.5)
    for i, member in enumerate(sorted(members)):
        test[i, groks_at.get(member[0], 10**9) <= STEPS] = 1.0
    train = np.where(STEPS >= 32, 1.0, 0.5) * np.ones((count, 1))
    rng = np.random.default_rng(0)
    slow = rng.random((count, len(STEPS), 2, 2))
    slow[:, 1::2] = np.nan
    data = xr.Dataset(
        {
            "train_accuracy": (("seed", "step"), train.astype(np.float32)),
            "test_accuracy": (("seed", "step"), test.astype(np.float32)),
            "train_loss": (("seed", "step"), rng.random((count, len(STEPS)))),
            "faithfulness": (("seed", "step", "subnetwork", "split"), slow),
            "neuron_norm": (("seed", "step", "neuron"), rng.random((count, len(STEPS), WIDTH))),
        },
        {
            "seed": sorted(member[0] for member in members),  # whatever the order of addition
            "step": STEPS,
            "epoch": ("step", STEPS / 32),
            "subnetwork": ["generalizing", "control"],
            "split": ["train", "test"],
        },
    )
    return FakeRun(Path(path), members, Experiment(task="sparse_parity", epochs=10), data)
