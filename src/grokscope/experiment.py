"""Experiment: what is asked for, typed and validated; TOML in and out; identity."""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from pydantic import Field, ValidationInfo, field_validator, model_validator

from grokscope.errors import InputError
from grokscope.learners import LearnerField
from grokscope.learners.gradient import Gradient
from grokscope.losses import Hinge, LossField
from grokscope.models import ModelField
from grokscope.models.fully_connected import FullyConnected
from grokscope.optimizers import SGD, OptimizerField
from grokscope.spec.axes import SPLIT_LABELS, SUBNETWORK_LABELS
from grokscope.spec.overrides import overridden, without_none
from grokscope.spec.parts import Part, looking_in, lookup
from grokscope.spec.schedule import Schedule
from grokscope.spec.stopping import Stopping
from grokscope.starts import Fresh, FromRun, InitField
from grokscope.tasks import TaskField

if TYPE_CHECKING:
    from typing import Self

    from grokscope.interventions import Intervention
    from grokscope.measures import Measure

__all__ = ["Experiment", "read_spec"]

# Version of what identity means; part of the hash, so that a change of meaning changes the identity.
_IDENTITY_VERSION = 1
_LABELS = {"sign": "labels +-1", "real": "real labels", "class": "classes", "any": "any labels"}


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
    def _known(cls, value: Any, info: ValidationInfo) -> Any:
        try:
            Schedule.parse(value)
        except InputError as error:
            raise InputError(str(error).replace("schedule:", f"schedule.{info.field_name}:", 1)) from None
        return value


class Experiment(Part):
    """What is trained, for how long, and what is recorded.

    Attributes:
        name: a label for people.
        task, model, loss, optimizer, learner: the parts; each a table with a ``kind``.
        init: where members start: from a fresh network, or inside another run.
        interventions: what is done to neurons while members train, in this order; tables with a ``kind``.
        batch_size: samples per update, or ``full``.
        epochs, steps: the length; give one of them. Online tasks count in steps.
        online: draw fresh samples for every update instead of passing over a training set.
        precision: ``float32`` or ``float64`` (of parameters, data and loss).
        measures: what to measure, by name or as a table; None takes the defaults that apply.
        schedule: when (see `Recording`).
        stop: when a member is trained no further (see `grokscope.spec.stopping.Stopping`); never by default.

    Raises:
        InputError: one line that names the field and says what is allowed.

    Example:
        >>> experiment = Experiment(task="sparse_parity", epochs=300)
        >>> experiment.steps_per_epoch, experiment.n_steps
        (32, 9600)
    """

    group: ClassVar[str] = "experiment"
    not_identifying: ClassVar[tuple[str, ...]] = ("epochs", "steps", "name", "measures", "schedule", "stop")

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
    init: InitField = Fresh()
    interventions: tuple[Any, ...] = ()
    measures: tuple[Any, ...] | None = None
    schedule: Recording = Recording()
    stop: Stopping = Stopping()

    @field_validator("schedule", mode="before")
    @classmethod
    def _recording(cls, value: Any) -> Any:
        return Recording(**value) if isinstance(value, dict) else value

    @field_validator("stop", mode="before")
    @classmethod
    def _stop(cls, value: Any) -> Any:
        return Stopping(**value) if isinstance(value, dict) else value

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
        measures = tuple(cast("Measure", _part_of("measure", item, "measures", named=True)) for item in value)
        names = [measure.kind for measure in measures]
        for name in names:
            if names.count(name) > 1:
                raise InputError(f"measures: '{name}' is given twice.")
        return measures

    @field_validator("interventions", mode="before")
    @classmethod
    def _interventions(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        return tuple(_part_of("intervention", item, "interventions", named=False) for item in value)

    @model_validator(mode="after")
    def _check_interventions(self) -> Self:
        for item in cast("tuple[Intervention, ...]", self.interventions):
            if (lack := item.missing(self)) is not None:
                raise InputError(f"interventions: {lack}.")
        if sum("losses" in item.stages for item in self.interventions) > 1:
            raise InputError("interventions: one stop_gradient at most; name all groups in it.")
        return self

    @model_validator(mode="after")
    def _source(self) -> Self:
        """Fill in the identity of the run that members start in: it is part of ours."""
        if isinstance(self.init, FromRun) and not self.init.source:
            file = Path(self.init.run) / "experiment.toml"
            if not file.is_file():
                raise InputError(
                    f"init.run: '{self.init.run}' is not the folder of a run (it has no {file.name})."
                )
            found = self.init.model_copy(update={"source": Experiment.from_toml(file).identity})
            object.__setattr__(self, "init", found)  # it is frozen for others; here it is still being made
        return self

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
        self.model.check_inputs(self.task.input_shape, self.task.n_outputs)
        if self.loss.labels not in (self.task.label_kind, "any"):
            raise ValueError(
                f"loss '{self.loss.kind}' is for {_LABELS[self.loss.labels]}; "
                f"task '{self.task.kind}' has {_LABELS[self.task.label_kind]}"
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
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """Labels of the axes that measures can have besides seed, step and neuron, by axis name."""
        task = self.task
        return {
            "subnetwork": SUBNETWORK_LABELS,
            "split": SPLIT_LABELS,
            **task.axes,
            **self.model.axes(task.input_shape, task.n_outputs),
        }

    @property
    def numbers(self) -> dict[str, float]:
        """What the compiled program takes as values, by path, e.g. ``optimizer.learning_rate``.

        Always, so that a member has the same bits whether its company has the same numbers or others.
        """
        found: dict[str, float] = {}
        for table, name in self._traced():
            value = getattr(getattr(self, table), name)
            if value is not None:  # None is another program (no momentum, say)
                found[f"{table}.{name}"] = float(value)
        for i, item in enumerate(self.interventions):
            found |= {f"interventions.{i}.{name}": float(getattr(item, name)) for name in item.traced}
        return found

    @property
    def shape(self) -> Experiment:
        """What of the experiment the compiled program is made of: equal shapes share one program.

        The `numbers` are 1 in it, and what does not determine the numbers is left out, as are the states from
        which members start and the sets of neurons, which are values too. Not validated.
        """
        paths = [path.split(".") for path in self.numbers if not path.startswith("interventions.")]
        parts = {
            table: getattr(self, table).model_copy(update={name: 1.0 for at, name in paths if at == table})
            for table, _ in paths
        }
        length = {} if self.optimizer.schedule.depends_on_length else {"epochs": None, "steps": 1}
        blank = {"name": "", "measures": None, "schedule": Recording(), "stop": Stopping()}
        items = tuple(item.as_program() for item in self.interventions)
        start = {"init": Fresh(), "interventions": items}
        return self.model_copy(update={**parts, **length, **blank, **start})

    def _traced(self) -> list[tuple[str, str]]:
        """The fields that are values of the compiled program, as (table, name)."""
        tables = {name: getattr(self, name) for name in type(self).model_fields}
        return [(t, n) for t, part in tables.items() if isinstance(part, Part) for n in part.traced]

    def identifying(self) -> dict[str, Any]:
        """The experiment as a JSON table, without what does not determine the numbers."""
        table = super().identifying()
        if self.is_plain:  # as it was before there were branches
            del table["init"], table["interventions"]
        else:
            table["interventions"] = [item.identifying() for item in self.interventions]
        return table

    @property
    def identity(self) -> str:
        """Hash (64 hex digits) of what determines the numbers: not seeds, length, schedule, measures or name.

        A rate schedule that depends on the length makes the length part of it.
        """
        table = self.identifying()
        if self.optimizer.schedule.depends_on_length:
            table["n_steps"] = self.n_steps
        text = json.dumps([_IDENTITY_VERSION, table], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def is_plain(self) -> bool:
        """Whether members start fresh and nothing is done to them."""
        return not self.interventions and isinstance(self.init, Fresh)

    @property
    def states_optimizer(self) -> bool:
        """Whether the optimizer was asked for: how networks of others were trained may not be known."""
        return self.learner.trains or self.optimizer != type(self).model_fields["optimizer"].default

    def to_toml(self, folder: str | Path | None = None) -> str:
        """The resolved spec as TOML: every field, defaults included.

        Args:
            folder: where to write what lies only in memory (a task's arrays), so that the spec can name it;
                `from_toml` finds it there, beside the spec.

        Raises:
            InputError: if something lies only in memory and no folder is given.
        """
        import tomli_w

        task = self.task.written(Path(folder) if folder is not None else None)
        table = without_none(self.model_copy(update={"task": task}).model_dump(mode="json"))
        if not self.states_optimizer:
            del table["optimizer"]
        return tomli_w.dumps(table)

    @classmethod
    def from_toml(cls, path: str | Path, overrides: tuple[str, ...] = ()) -> Experiment:
        """Read a spec file, with ``a.b=value`` overrides.

        Raises:
            InputError: if the file cannot be read, is not TOML (with the line), or is not a valid spec.
        """
        file = Path(path)
        table = read_spec(file)
        with looking_in(file.parent):
            return cls.from_table(table, overrides)

    @classmethod
    def from_table(cls, table: dict[str, Any], overrides: tuple[str, ...] = ()) -> Experiment:
        """Make an experiment of a (TOML) table, with ``a.b=value`` overrides."""
        if "sweep" in table:
            raise InputError("sweep: this spec is one of a sweep; give it to grokscope sweep.")
        return cls(**overridden(cls, table, overrides))

    def with_(self, *overrides: str) -> Experiment:
        """A copy with ``a.b=value`` overrides; changing a ``kind`` resets that table to its defaults."""
        table = without_none(self.model_dump(mode="json"))
        return type(self).from_table(table, overrides)


def read_spec(file: Path) -> dict[str, Any]:
    """The table in a spec file.

    Raises:
        InputError: if the file cannot be read, or is not TOML (with the line).
    """
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise InputError(f"{file}: is not UTF-8 text.") from None
    except RecursionError:
        raise InputError(f"{file}: not valid TOML: it is nested too deeply.") from None
    except ValueError as error:  # TOMLDecodeError is one; a number of thousands of digits is another
        raise InputError(f"{file}: not valid TOML: {str(error).partition(';')[0]}.") from None


def _part_of(group: str, item: Any, field: str, *, named: bool) -> Part:
    """An item of a list of parts: a part, a table with a kind, or (where allowed) the kind's name."""
    if named and isinstance(item, str):
        item = {"kind": item}
    if isinstance(item, dict):
        table: dict[str, Any] = dict(item)
        kind = table.pop("kind", None)
        if isinstance(kind, str):
            item = lookup(group, kind)(**table)
    if not (isinstance(item, Part) and item.group == group):
        a_name = "a name or " if named else ""
        raise InputError(f"{field}: each one is {a_name}a table with a kind.")
    return item
