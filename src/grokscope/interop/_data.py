"""Training and test data of imported networks, and the task that is made from them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from grokscope.errors import InputError
from grokscope.interop._checkpoints import DATA_NAMES
from grokscope.interop._safetensors import SafetensorsFile
from grokscope.tasks import Task
from grokscope.tasks.arrays import Arrays
from grokscope.tasks.samples import Samples

__all__ = ["choose_task", "read_data"]


def read_data(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays ``train_x`` and so on of a safetensors or npz file; other arrays are ignored.

    Raises:
        InputError: if the file cannot be read or has none of them.
    """
    from grokscope.tasks.array_files import load

    if not path.is_file():
        raise InputError(f"--data {path}: is not an existing file.")
    if path.suffix == ".safetensors":
        file = SafetensorsFile(path)
        found = {name: file.read(name) for name in DATA_NAMES if name in file.tensors}
    elif path.suffix == ".npz":
        found = {name: array for name, array in load(path, str(path)).items() if name in DATA_NAMES}
    else:
        raise InputError(f"--data {path}: must end in .safetensors or .npz.")
    if not found:
        raise InputError(f"--data {path}: has none of {', '.join(DATA_NAMES)}.")
    return found


def choose_task(
    rule: Task | None,
    data: Mapping[str, np.ndarray],
    n_outputs: int | None,
    n_tokens: int | None,
    source: str,
) -> Task:
    """The task of an import: that of the spec, samples of it (with data), or arrays (without a spec's task).

    Args:
        rule: the task of the spec, or None.
        data: the arrays, or an empty table.
        n_outputs: number of outputs of the networks, if it is known.
        n_tokens: size of their vocabulary, if inputs are token numbers.
        source: names the data in messages.

    Raises:
        InputError: if there is neither a task nor data, or they contradict each other.
    """
    if not data:
        if rule is None:
            raise InputError(
                "the task of the networks is not known: give a spec with a [task] (--task), or --data."
            )
        return rule
    if isinstance(rule, Arrays):
        raise InputError(
            f"{source}: the spec's task '{rule.kind}' has data of its own; give only one of them."
        )
    arrays: dict[str, Any] = dict(data)
    if n_tokens is None and rule is not None and len(rule.input_shape) == 2:
        n_tokens = rule.input_shape[1]
    for name, array in data.items():
        if name.endswith("_y"):
            arrays[name] = _labels(array, n_outputs)
        elif name.endswith("_x") and n_tokens is not None:
            arrays[name] = _one_hot(array, n_tokens, f"{source}: {name}")
    try:
        own = Arrays.from_numpy(**arrays)
    except InputError as error:
        raise InputError(str(error).replace("from_numpy", source, 1)) from None
    if rule is None:
        return own
    _check_labels(rule, arrays, source)
    return Samples(sha256=own.sha256, of=rule)


def _labels(y: np.ndarray, n_outputs: int | None) -> np.ndarray:
    """Turn labels 0 and 1 of a network with one output into -1 and 1, and whole floats [sample] into classes.

    Labels [sample, output] are real vectors.
    """
    if y.size == 0 or y.dtype.kind not in "biuf" or not np.isfinite(y).all():
        return y
    y = y.reshape(len(y)) if y.ndim == 2 and y.shape[1] == 1 else y
    if n_outputs == 1 and np.isin(y, (0, 1)).all():
        return np.where(y > 0, 1, -1).astype(np.int8)
    if y.ndim == 2:
        return y.astype(np.float64 if y.dtype == np.float64 else np.float32)
    if n_outputs is not None and n_outputs > 1 and y.dtype.kind == "f" and np.all(y == np.round(y)):
        return y.astype(np.int64)
    return y


def _one_hot(x: np.ndarray, n_tokens: int, where: str) -> np.ndarray:
    """Turn token numbers [sample, position] into one-hot [sample, position, token]; keep anything else."""
    if x.ndim != 2 or x.dtype.kind not in "iuf" or not np.isfinite(x).all() or np.any(x != np.round(x)):
        return x
    if x.size and not 0 <= x.min() <= x.max() < n_tokens:
        worst = x.min() if x.min() < 0 else x.max()
        raise InputError(f"{where}: tokens are numbers from 0 to {n_tokens - 1}, but one is {worst}.")
    return (x[..., None] == np.arange(n_tokens)).astype(np.int8)


def _check_labels(rule: Task, data: Mapping[str, np.ndarray], source: str) -> None:
    """Refuse data whose test labels are not those of the task; training labels may be noisy."""
    value = getattr(rule, "value", None)
    if "test_x" not in data:
        return
    x, y = data["test_x"], data["test_y"]
    if value is None or getattr(rule, "is_drawn", False) or x.shape[1:] != rule.input_shape:
        return
    import jax.numpy as jnp

    true = np.asarray(value(jnp.asarray(x, jnp.float32), None))
    wrong = int((~np.isclose(true, y, rtol=1e-5, atol=1e-6)).sum() if y.shape == true.shape else len(y))
    if wrong:
        raise InputError(
            f"{source}: {wrong} of the {len(y)} labels in test_y are not those of the spec's task "
            f"'{rule.kind}'; correct the task, or leave it out."
        )
