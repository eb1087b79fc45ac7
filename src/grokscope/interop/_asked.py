"""From a spec, data and weights to the experiment of an imported run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.spec.parts import Part, looking_in, part_of
from grokscope.spec.schedule import Schedule
from grokscope.spec.toml import read_toml
from grokscope.tasks import Task
from grokscope.tasks.arrays import Arrays
from grokscope.tasks.samples import Samples

if TYPE_CHECKING:
    from grokscope.interop._recognized import Recognized

__all__ = ["Asked", "read_data", "task_of"]

_LENGTHS = ("epochs", "steps")
_LOSSES = {"sign": "hinge", "class": "cross_entropy", "real": "squared"}
_MOST_TOML = 2**24


@dataclass(frozen=True)
class Asked:
    """A spec as far as it is given: of an imported run only ``[task]`` is needed, or data instead.

    Attributes:
        table: the spec's keys and tables (or parts).
        folder: the spec file's, where files that it names are looked for.
    """

    table: dict[str, Any] = field(default_factory=dict[str, Any])
    folder: Path = Path()

    @classmethod
    def read(cls, spec: str | Path | Mapping[str, Any] | Experiment | Task | None) -> Asked:
        """A spec file, a (TOML) table of an experiment or a task, an experiment, a task, or nothing.

        Raises:
            InputError: if a file cannot be read or is not TOML.
        """
        if spec is None:
            return cls()
        if isinstance(spec, Experiment):
            return cls({name: getattr(spec, name) for name in spec.model_fields_set})
        if isinstance(spec, Task):
            return cls({"task": spec})
        if isinstance(spec, Mapping):
            return cls(_whole(dict(spec)))
        file = Path(spec)
        if file.is_file() and file.stat().st_size > _MOST_TOML:
            raise InputError(f"{file}: has {file.stat().st_size} bytes; this is no spec.")
        return cls(_whole(read_toml(file)), file.parent)

    @property
    def task(self) -> Task | None:
        """The task of the spec, if it has one."""
        found = self.table.get("task")
        if found is None or isinstance(found, Task):
            return found
        with looking_in(self.folder):
            return part_of("task", found if isinstance(found, str) else dict(found))

    @property
    def length(self) -> dict[str, int]:
        """``epochs`` or ``steps``, where the spec says so."""
        return {name: self.table[name] for name in _LENGTHS if name in self.table}

    def model(self, found: Recognized | None, more: Mapping[str, Any]) -> Any:
        """The model: what the weights tell, what is known besides, and above all what the spec says."""
        inferred = {**found.model, **more} if found is not None and found.model else {}
        given = self.table.get("model")
        if isinstance(given, Part):
            return given
        if isinstance(given, str):
            given = {"kind": given}
        if given is None:
            return inferred or None
        if not isinstance(given, Mapping):
            raise InputError("model: must be a table.")
        if given.get("kind", inferred.get("kind")) == inferred.get("kind"):
            return {**inferred, **given}
        return dict(given)

    def experiment(self, task: Task, model: Any, precision: str, steps: list[int]) -> Experiment:
        """The experiment of networks of a model at these steps.

        Raises:
            InputError: naming the key of the spec that does not fit.
        """
        known = {k: v for k, v in self.table.items() if k not in (*_LENGTHS, "schedule", "learner", "task")}
        if known.get("precision", precision) == "float32" and precision == "float64":
            raise InputError(
                "precision: the weights are float64; set precision = 'float64', or leave it out."
            )
        last = max(1, *steps)
        known = {"precision": precision, "loss": _LOSSES[task.label_kind], **known}
        when = _when(steps, last)
        whole: dict[str, Any] = {
            **known,
            "task": task,
            "model": model,
            "learner": {"kind": "imported"},
            "steps": last,
            "schedule": dict.fromkeys(("measures", "slow_measures", "follow", "snapshots"), when),
        }
        return Experiment(**whole)


def _whole(table: dict[str, Any]) -> dict[str, Any]:
    """A table of a task alone is the task of a spec."""
    return {"task": table} if "kind" in table and "task" not in table else table


def _when(steps: list[int], last: int) -> str | list[str | int]:
    """The steps as a schedule, in few words where they are regular."""
    if len(steps) > 1 and steps[0] == 0:
        text = f"every {steps[1]} steps"
        if steps[-1] // steps[1] == len(steps) - 1 and Schedule.parse(text).points(1, last).tolist() == steps:
            return text
    return "ends" if steps == [0, last] else [*steps]


def read_data(path: Path) -> dict[str, np.ndarray]:
    """The arrays ``train_x`` and so on of a safetensors or npz file; others in it are passed over.

    Raises:
        InputError: if it cannot be read or has none of them.
    """
    from grokscope.interop._safetensors import SafetensorsFile
    from grokscope.interop._sources import DATA_NAMES
    from grokscope.tasks.array_files import load

    if not path.is_file():
        raise InputError(f"--data {path}: is not a file that exists.")
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


def task_of(
    asked: Asked, data: Mapping[str, np.ndarray], n_outputs: int | None, n_tokens: int | None, source: str
) -> Task:
    """The task: the spec's; with data, samples of the spec's task, or arrays where it names none.

    Args:
        asked: the spec.
        data: arrays, or none.
        n_outputs: of the networks, where that can be told.
        n_tokens: how many tokens the networks know, where inputs are token numbers.
        source: where the data are from, for messages.

    Raises:
        InputError: if there is neither, or they contradict each other.
    """
    rule = asked.task
    if not data:
        if rule is None:
            raise InputError("what were they trained on? Give a spec with a [task] (--task), or --data.")
        return rule
    if isinstance(rule, Arrays):
        raise InputError(f"{source}: the spec's task '{rule.kind}' has data too; give one of them.")
    arrays: dict[str, Any] = dict(data)
    for name in [name for name in arrays if name.endswith("_y")]:
        arrays[name] = _labels(arrays[name], n_outputs)
    if n_tokens is None and rule is not None and len(rule.input_shape) == 2:
        n_tokens = rule.input_shape[1]
    if n_tokens is not None:
        for name in [name for name in arrays if name.endswith("_x")]:
            arrays[name] = _one_hot(arrays[name], n_tokens, f"{source}: {name}")
    try:
        own = Arrays.from_numpy(**arrays)
    except InputError as error:
        raise InputError(str(error).replace("from_numpy", source, 1)) from None
    if rule is None:
        return own
    _check_labels(rule, arrays, source)
    return Samples(sha256=own.sha256, of=rule)


def _labels(y: np.ndarray, n_outputs: int | None) -> np.ndarray:
    """Labels 0 and 1 of a network with one output as -1 and 1; whole numbers as class numbers."""
    if y.size == 0 or y.dtype.kind not in "biuf" or not np.isfinite(y).all():
        return y
    y = y.reshape(len(y)) if y.ndim == 2 and y.shape[1] == 1 else y
    if n_outputs == 1 and np.isin(y, (0, 1)).all():
        return np.where(y > 0, 1, -1).astype(np.int8)
    if n_outputs is not None and n_outputs > 1 and y.dtype.kind == "f" and np.all(y == np.round(y)):
        return y.astype(np.int64)
    return y


def _one_hot(x: np.ndarray, n_tokens: int, where: str) -> np.ndarray:
    """Token numbers [sample, position] as ones among zeros, [sample, position, token]; others as they are."""
    if x.ndim != 2 or x.dtype.kind not in "iuf" or not np.isfinite(x).all() or np.any(x != np.round(x)):
        return x
    if x.size and not 0 <= x.min() <= x.max() < n_tokens:
        worst = x.min() if x.min() < 0 else x.max()
        raise InputError(f"{where}: tokens are numbers from 0 to {n_tokens - 1}, but one is {worst}.")
    return (x[..., None] == np.arange(n_tokens)).astype(np.int8)


def _check_labels(rule: Task, data: Mapping[str, np.ndarray], source: str) -> None:
    """Refuse data whose held-out labels are not those of the rule (training labels may be noisy)."""
    value = getattr(rule, "value", None)
    x, y = data["test_x"], data["test_y"]
    if value is None or getattr(rule, "is_drawn", False) or x.shape[1:] != rule.input_shape:
        return
    import jax.numpy as jnp

    wrong = int((np.asarray(value(jnp.asarray(x, jnp.float32), None)) != y).sum())
    if wrong:
        raise InputError(
            f"{source}: {wrong} of the {len(y)} labels in test_y are not those of the spec's task "
            f"'{rule.kind}'; set the task right, or leave it out."
        )
