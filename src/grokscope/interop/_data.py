"""Training and test data of imported networks, and the task that is made from them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from grokscope.errors import InputError, option
from grokscope.interop._archive import refuse_pointer
from grokscope.interop._contents import DATA_NAMES
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
        raise InputError(f"{option('data')} {path}: is not an existing file.")
    refuse_pointer(path)
    if path.suffix == ".safetensors":
        file = SafetensorsFile(path)
        found = {name: file.read(name) for name in DATA_NAMES if name in file.tensors}
    elif path.suffix == ".npz":
        found = {name: array for name, array in load(path, str(path)).items() if name in DATA_NAMES}
    else:
        raise InputError(f"{option('data')} {path}: must end in .safetensors or .npz.")
    if not found:
        raise InputError(f"{option('data')} {path}: has none of {', '.join(DATA_NAMES)}.")
    return found


def choose_task(
    rule: Task | None,
    data: Mapping[str, np.ndarray],
    n_outputs: int | None,
    n_tokens: int | None,
    source: str,
) -> tuple[Task, list[str]]:
    """The task of an import: that of the spec, samples of it (with data), or arrays (without a spec's task).

    Two outputs on a task of signs are two classes: with class numbers as labels the data become arrays of
    classes.

    Args:
        rule: the task of the spec, or None.
        data: the arrays, or an empty table.
        n_outputs: number of outputs of the networks, if it is known.
        n_tokens: size of their vocabulary, if inputs are token numbers.
        source: names the data in messages.

    Returns:
        the task, and notes on how labels are read.

    Raises:
        InputError: if there is neither a task nor data, or they or the network contradict each other.
    """
    if not data:
        if rule is None:
            raise InputError(
                f"the task of the networks is not known: give a spec with a [task] ({option('task')}), or "
                f"{option('data')}."
            )
        if rule.label_kind == "sign" and n_outputs is not None and n_outputs > 1:
            raise InputError(_two_outputs(rule, n_outputs, f"give {option('data')} with class numbers"))
        return rule, []
    if isinstance(rule, Arrays):
        raise InputError(
            f"{source}: the spec's task '{rule.kind}' has data of its own; give only one of them."
        )
    arrays: dict[str, Any] = dict(data)
    notes: list[str] = []
    if n_tokens is None and rule is not None and len(rule.input_shape) == 2:
        n_tokens = rule.input_shape[1]
    for name, array in data.items():
        if name.endswith("_y"):
            arrays[name], note = _labels(array, n_outputs)
            notes += [] if note is None or note in notes else [note]
        elif name.endswith("_x") and n_tokens is not None:
            arrays[name] = _one_hot(array, n_tokens, f"{source}: {name}")
    if rule is not None and rule.label_kind == "sign":
        _check_bits(rule, arrays, source)
        if n_outputs is not None and n_outputs > 1:
            arrays, more = _as_classes(rule, arrays, n_outputs, source)
            notes += more
            rule = None
    try:
        own = Arrays.from_numpy(**arrays)
    except InputError as error:
        raise InputError(str(error).replace("from_numpy", source, 1)) from None
    if rule is None:
        return own, notes
    _check_labels(rule, arrays, source)
    return Samples(sha256=own.sha256, of=rule), notes


def _labels(y: np.ndarray, n_outputs: int | None) -> tuple[np.ndarray, str | None]:
    """Turn labels 0 and 1 of a network with one output into -1 and 1, and whole floats [sample] into classes.

    One-hot labels [sample, class] become class numbers; others [sample, output] are real vectors. The second
    value is a note on what was changed.
    """
    if y.size == 0 or y.dtype.kind not in "biuf" or not np.isfinite(y).all():
        return y, None
    y = y.reshape(len(y)) if y.ndim == 2 and y.shape[1] == 1 else y
    note = None
    if y.ndim == 2 and np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all():
        note = "labels are one-hot: they are read as class numbers."
        y = y.argmax(axis=1)
    if n_outputs == 1 and np.isin(y, (0, 1)).all():
        return (
            np.where(y > 0, 1, -1).astype(np.int8),
            "labels are 0 and 1: they are read as -1 and +1 (a positive output is label 1).",
        )
    if y.ndim == 2:
        return y.astype(np.float64 if y.dtype == np.float64 else np.float32), None
    if n_outputs is not None and n_outputs > 1 and y.dtype.kind == "f" and np.all(y == np.round(y)):
        return y.astype(np.int64), note
    return y, note


def _check_bits(rule: Task, data: Mapping[str, np.ndarray], source: str) -> None:
    """Refuse inputs of 0 and 1 for a task whose inputs are signs."""
    for name, x in data.items():
        is_plain = name.endswith("_x") and x.ndim == 2 and x.shape[1:] == rule.input_shape
        if is_plain and x.dtype.kind in "biuf" and x.size and np.isin(x, (0, 1)).all() and not (x == 1).all():
            raise InputError(
                f"{source}: the inputs in {name} are 0 and 1, but those of task '{rule.kind}' are -1 and +1 "
                "(bit 0 is +1, bit 1 is -1, so that the product is the parity). A network that was trained "
                "on 0 and 1 is another function of -1 and +1: leave out the task to measure it on its own "
                "inputs."
            )


def _two_outputs(rule: Task, n_outputs: int, advice: str) -> str:
    return (
        f"the network has {n_outputs} outputs, one for each class, but labels of task '{rule.kind}' are -1 "
        f"and +1, for which a network has one output; {advice}."
    )


def _as_classes(
    rule: Task, data: Mapping[str, np.ndarray], n_outputs: int, source: str
) -> tuple[dict[str, Any], list[str]]:
    """The data of a task of signs for a network with an output for each of two classes."""
    known = {name: y for name, y in data.items() if name.endswith("_y")}
    are_numbers = all(
        y.ndim == 1 and y.dtype.kind in "biu" and np.isin(y, (0, 1)).all() for y in known.values()
    )
    if n_outputs > 2 or not known or not are_numbers:
        advice = (
            "give the labels as the class numbers 0 and 1 that it was trained with" if n_outputs == 2 else ""
        )
        raise InputError(f"{source}: " + _two_outputs(rule, n_outputs, advice or "leave out the task"))
    true = _true_labels(rule, data)
    which = ""
    if true is not None:
        positive = {int(c) for c in (0, 1) if np.array_equal(data["test_y"] == c, true > 0)}
        if len(positive) != 1:
            raise InputError(
                f"{source}: the class numbers in test_y are not the labels -1 and +1 of the spec's task "
                f"'{rule.kind}', in either order; correct the task, or leave it out."
            )
        which = f"; class {positive.pop()} is its label +1"
    return {**data, **{name: y.astype(np.int64) for name, y in known.items()}}, [
        f"the network has two outputs: task '{rule.kind}' is measured as two classes{which}. Its hidden bits "
        "and its probe are not used."
    ]


def _one_hot(x: np.ndarray, n_tokens: int, where: str) -> np.ndarray:
    """Turn token numbers [sample, position] into one-hot [sample, position, token]; keep anything else."""
    if x.ndim != 2 or x.dtype.kind not in "iuf" or not np.isfinite(x).all() or np.any(x != np.round(x)):
        return x
    if x.size and not 0 <= x.min() <= x.max() < n_tokens:
        worst = x.min() if x.min() < 0 else x.max()
        raise InputError(f"{where}: tokens are numbers from 0 to {n_tokens - 1}, but one is {worst}.")
    return (x[..., None] == np.arange(n_tokens)).astype(np.int8)


def _true_labels(rule: Task, data: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """What a task says of the test inputs; None if it draws its function, or they are none of its inputs."""
    value = getattr(rule, "value", None)
    if value is None or "test_x" not in data or "test_y" not in data or getattr(rule, "is_drawn", False):
        return None
    if data["test_x"].shape[1:] != rule.input_shape:
        return None
    import jax.numpy as jnp

    return np.asarray(value(jnp.asarray(data["test_x"], jnp.float32), None))


def _check_labels(rule: Task, data: Mapping[str, np.ndarray], source: str) -> None:
    """Refuse data whose test labels are not those of the task; training labels may be noisy."""
    if (true := _true_labels(rule, data)) is None:
        return
    y = data["test_y"]
    same_shape = y.shape == true.shape
    wrong = int((~np.isclose(true, y, rtol=1e-5, atol=1e-6)).sum() if same_shape else len(y))
    if wrong and same_shape and rule.label_kind == "sign" and np.array_equal(true, -y):
        raise InputError(
            f"{source}: the labels in test_y are those of the spec's task '{rule.kind}' with the other sign "
            "(of 0 and 1, label 1 stands for +1, but here for the task's -1). A network that was trained on "
            "them has the other sign too: leave out the task."
        )
    if wrong:
        raise InputError(
            f"{source}: {wrong} of the {len(y)} labels in test_y are not those of the spec's task "
            f"'{rule.kind}'; correct the task, or leave it out."
        )
