"""Networks as others keep them: small state dicts in their names, and files of them."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

N, WIDTH = 6, 8
TASK = {"kind": "sparse_parity", "n": N, "k": 2, "n_train": 32, "n_test": 16, "n_probe": 32}
SPEC: dict[str, Any] = {"task": TASK, "measures": ["train_accuracy", "test_accuracy"]}
SPEC_TOML = """
measures = ["train_accuracy", "test_accuracy"]
[task]
kind = "sparse_parity"
n = 6
k = 2
n_train = 32
n_test = 16
n_probe = 32
"""


def two_circuits(seed: int, dtype: Any = np.float32) -> dict[str, np.ndarray]:
    """As the official code names them: weights are [neuron, bit]."""
    rng = np.random.default_rng(seed)
    shapes = {"linear1.weight": (WIDTH, N), "linear1.bias": (WIDTH,), "linear2.weight": (1, WIDTH)}
    return {name: rng.normal(size=shape).astype(dtype) for name, shape in shapes.items()}


def sequential(seed: int, sizes: tuple[int, ...] = (N, WIDTH, 1), prefix: str = "") -> dict[str, np.ndarray]:
    """An ``nn.Sequential`` of linear layers with biases, and an activation between each two."""
    rng = np.random.default_rng(seed)
    state: dict[str, np.ndarray] = {}
    for i, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        state[f"{prefix}{2 * i}.weight"] = rng.normal(size=(outputs, inputs)).astype(np.float32)
        state[f"{prefix}{2 * i}.bias"] = rng.normal(size=outputs).astype(np.float32)
    return state


def predicted(state: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """What a chain of linear layers with relu between them gives, in float64; [sample, output]."""
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in state))
    values = np.asarray(x, np.float64)
    for layer in layers:
        if layer != layers[0]:
            values = np.maximum(values, 0.0)
        values = values @ state[f"{layer}.weight"].T.astype(np.float64)
        if f"{layer}.bias" in state:
            values = values + state[f"{layer}.bias"]
    return values


def own_data(seed: int = 0, rows: int = 24) -> dict[str, np.ndarray]:
    """A training and a test set of the parity in `TASK`."""
    x = np.random.default_rng(seed).choice([-1.0, 1.0], (rows + 10, N)).astype(np.float32)
    y = x[:, 0] * x[:, 1]
    return {"train_x": x[:rows], "train_y": y[:rows], "test_x": x[rows:], "test_y": y[rows:]}


def folder_of(
    folder: Path, states: dict[int, dict[str, np.ndarray]], name: str = "model_{}.safetensors"
) -> Path:
    """A folder with one file for each step."""
    folder.mkdir(parents=True, exist_ok=True)
    for step, state in states.items():
        save_file(
            {key: np.ascontiguousarray(array) for key, array in state.items()}, folder / name.format(step)
        )
    return folder
