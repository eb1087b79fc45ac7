"""Experiment: what is asked for, typed and validated; TOML in and out; identity."""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from grokscope.errors import InputError, did_you_mean
from grokscope.learners._learner import LearnerField
from grokscope.learners.gradient import Gradient
from grokscope.losses import Hinge, LossField
from grokscope.models._model import ModelField
from grokscope.models.fully_connected import FullyConnected
from grokscope.optimizers import SGD, OptimizerField
from grokscope.parts import Part, lookup
from grokscope.schedule import Schedule
from grokscope.tasks._task import TaskField

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Experiment"]

# Version of what identity means; part of the hash, so that a change of meaning changes the identity.
_IDENTITY_VERSION = 1
_NOT_IDENTIFYING = {"epochs", "steps", "name", "measures", "schedule"}


class Recording(Part):
    """What is recorded when (table ``[schedule]``); it changes no bit of the training.

    Attributes:
        measures: when the quick measures are taken.
        slow_measures: when measures on the probe, sensitivity and per-neuron arrays are taken.
        follow: when the measures of subnetworks are taken, which are known only at the end.
        snapshots: which states are kept in the store.
    """

    group: ClassVar[str] = "schedule"

    measures: str | int | tuple[str | int, ...] = "epochs"
    slow_measures: str | int | tuple[str | int, ...] = "log"
    follow: str | int | tuple[str | int, ...] = "epochs"
    snapshots: str | int | tuple[str | int, ...] = "ends"

    @field_validator("*", mode="after")
    @classmethod
    def _known(cls, value: Any) -> Any:
        Schedule.parse(value)
        return value


class Experiment(Part):
    """What is trained, for how long, and what is recorded.

    Attributes:
        name: a label for people.
        task, model, loss, optimizer, learner: the parts; each a table with a ``kind``.
        batch_size: samples per update, or ``full``.
        epochs, steps: the length; give one of them. Online tasks count in steps.
        online: draw fresh samples for every update instead of passing over a training set.
        precision: ``float32`` or ``float64`` (of parameters, data and loss).
        measures: what to measure, by name or as a table; None takes the defaults that apply.
        schedule: when (see `Recording`).

    Raises:
        InputError: one line that names the field and says what is allowed.

    Example:
        >>> experiment = Experiment(task="sparse_parity", epochs=300)
        >>> experiment.steps_per_epoch, experiment.n_steps
        (32, 9600)
    """

    group: ClassVar[str] = "experiment"

    name: str = ""
    epochs: int | None = Field(default=None, ge=1, le=10**9)
    steps: int | None = Field(default=None, ge=1, le=10**12)
    batch_size: int | Literal["full"] = 32
    online: bool = False
    precision: Literal["float32", "float64"] = "float32"
    task: TaskField
    model: ModelField = FullyConnected()
    loss: LossField = Hinge()
    optimizer: OptimizerField = SGD(weight_decay=0.01)
    learner: LearnerField = Gradient()
    measures: tuple[Any, ...] | None = None
    schedule: Recording = Recording()

    @field_validator("schedule", mode="before")
    @classmethod
    def _recording(cls, value: Any) -> Any:
        return Recording(**value) if isinstance(value, dict) else value

    @field_validator("batch_size", mode="after")
    @classmethod
    def _batch(cls, value: int | str) -> int | str:
        if isinstance(value, int) and value < 1:
            raise ValueError("must be at least 1, or 'full'")
        return value

    @field_validator("measures", mode="after")
    @classmethod
    def _measures(cls, value: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        if value is None:
            return None
        return tuple(_measure(item) for item in value)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give exactly one of epochs and steps")
        if self.online and self.epochs is not None:
            raise ValueError("an online experiment has no epochs; give steps")
        if self.online and self.batch_size == "full":
            raise ValueError("an online experiment has no full batch; give batch_size as a number")
        if self.online and not self.task.can_sample:
            raise ValueError(f"task '{self.task.kind}' with these settings cannot be sampled online")
        wanted = "sign" if self.task.n_outputs == 1 else "class"
        if self.loss.labels not in (wanted, "any"):
            raise ValueError(
                f"loss '{self.loss.kind}' does not fit a task with {self.task.n_outputs} output(s)"
            )
        return self

    @property
    def steps_per_epoch(self) -> int:
        """Updates per pass over the training set (the last batch may be smaller); else 1."""
        if self.online or self.batch_size == "full":
            return 1
        return math.ceil(self.task.n_train / int(self.batch_size))

    @property
    def n_steps(self) -> int:
        """Updates in all."""
        return self.steps if self.steps is not None else self.steps_per_epoch * (self.epochs or 0)

    @property
    def identity(self) -> str:
        """Hash (64 hex digits) of what determines the numbers: not seeds, length, schedule, measures or name.

        A rate schedule that depends on the length makes the length part of it.
        """
        table = self.model_dump(mode="json", exclude=_NOT_IDENTIFYING)
        if getattr(self.optimizer.schedule, "depends_on_length", False):
            table["n_steps"] = self.n_steps
        text = json.dumps([_IDENTITY_VERSION, table], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def to_toml(self) -> str:
        """The resolved spec as TOML: every field, defaults included."""
        import tomli_w

        return tomli_w.dumps(_without_none(self.model_dump(mode="json")))

    @classmethod
    def from_toml(cls, path: str | Path, overrides: tuple[str, ...] = ()) -> Experiment:
        """Read a spec file, with ``a.b=value`` overrides.

        Raises:
            InputError: if the file cannot be read, is not TOML (with the line), or is not a valid spec.
        """
        file = Path(path)
        try:
            table = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"{file}: cannot be read: {error.strerror}.") from None
        except UnicodeDecodeError:
            raise InputError(f"{file}: is not UTF-8 text.") from None
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"{file}: not valid TOML: {error}.") from None
        return cls.from_table(table, overrides)

    @classmethod
    def from_table(cls, table: dict[str, Any], overrides: tuple[str, ...] = ()) -> Experiment:
        """Make an experiment of a (TOML) table, with ``a.b=value`` overrides."""
        for override in overrides:
            table = _overridden(table, override)
        return cls(**table)

    def with_(self, *overrides: str) -> Experiment:
        """A copy with ``a.b=value`` overrides; changing a ``kind`` resets that table to its defaults."""
        table = _without_none(self.model_dump(mode="json"))
        return type(self).from_table(table, overrides)


def _measure(item: Any) -> Any:
    if isinstance(item, str):
        item = {"kind": item}
    if isinstance(item, dict):
        table: dict[str, Any] = dict(item)
        kind = table.pop("kind", None)
        if not isinstance(kind, str):
            raise InputError("measures: each one is a name or a table with a kind.")
        return lookup("measure", kind)(**table)
    return item


def _overridden(table: dict[str, Any], override: str) -> dict[str, Any]:
    """Apply one ``a.b=value``; the value is TOML, else a bare string."""
    path, equals, text = override.partition("=")
    names = path.strip().split(".")
    if not equals or not all(names):
        raise InputError(f"--set '{override}': write a.b=value, for example optimizer.weight_decay=0.001.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    changed = dict(table)
    if names[0] not in Experiment.model_fields:
        raise InputError(
            f"--set {path}: no such key.{did_you_mean(names[0], Experiment.model_fields)} "
            f"Allowed: {', '.join(Experiment.model_fields)}."
        )
    # the length is one of two keys; setting one takes the other's place
    for one, other in (("epochs", "steps"), ("steps", "epochs")):
        if names == [one]:
            changed.pop(other, None)
    inner = changed
    for name in names[:-1]:
        below = inner.get(name, {})
        if isinstance(below, str):
            below = {"kind": below}
        if not isinstance(below, dict):
            raise InputError(f"--set {path}: '{name}' is not a table.")
        inner[name] = dict(below)
        inner = inner[name]
    if names[-1] == "kind" and inner.get("kind") != value:
        inner.clear()
    if len(names) == 1 and isinstance(inner.get(names[0]), dict) and isinstance(value, str):
        value = {"kind": value}
    inner[names[-1]] = value
    return changed


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_none(item) for item in value]
    return value
