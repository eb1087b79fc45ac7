"""Experiment: the parts put together and validated; TOML in and out; identity."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from pydantic import Field, PrivateAttr, ValidationInfo, field_validator, model_validator

from grokscope.cards import html_card
from grokscope.errors import InputError, did_you_mean, said
from grokscope.interventions import InterventionField
from grokscope.learners import LearnerField
from grokscope.learners.gradient import Gradient
from grokscope.losses import Hinge, LossField, NoPenalty, PenaltyField
from grokscope.measures import MeasureField
from grokscope.models import ModelField
from grokscope.models.fully_connected import FullyConnected
from grokscope.models.none import NoModel
from grokscope.optimizers import SGD, OptimizerField
from grokscope.spec.axes import measure_axes
from grokscope.spec.code import Code, code_of
from grokscope.spec.events import Events, EventsField
from grokscope.spec.moments import moments_in, parse_moment, with_conditions
from grokscope.spec.overrides import merged, overridden, without_none
from grokscope.spec.parts import MissingPart, Part, kinds, looking_in, missing_allowed, part_of, parts_in
from grokscope.spec.schedule import Schedule
from grokscope.spec.stopping import Stopping, StopRule
from grokscope.spec.toml import read_toml
from grokscope.starts import Fresh, FromRun, InitField
from grokscope.tasks import TaskField

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self, TypeAlias

    from grokscope.interventions import Intervention
    from grokscope.learners import Learner
    from grokscope.losses import Loss, Penalty
    from grokscope.measures import Measure
    from grokscope.models import Model
    from grokscope.optimizers import Optimizer
    from grokscope.starts import Init
    from grokscope.tasks import Task

    Spec: TypeAlias = str | dict[str, Any]  # the name of a kind, or a table

    import numpy as np


__all__ = ["Experiment", "Recording"]

# The version of the definition of identity; part of the hash.
_IDENTITY_VERSION = 1
_LABELS = {"sign": "labels +-1", "real": "real labels", "class": "classes", "any": "any labels"}


class Recording(Part):
    """When measures are taken and networks are stored (table ``[schedule]``). It does not affect training.

    Online training has no epochs: ``epochs`` then means 64 log-spaced points per decade of steps (256 points
    for 100,000 steps), and an epoch in other schedules is one step.

    Attributes:
        measures: steps at which quick measures are taken.
        slow_measures: steps at which slow measures are taken (probe, sensitivity, one value per neuron).
        follow: steps for which subnetworks are measured; the subnetworks are found at the end of the run.
        snapshots: steps at which networks are stored.
    """

    group = "schedule"

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
    """A training experiment: its parts, its length, and what is recorded.

    Attributes:
        name: a label, which has no effect on the results.
        task, model, loss, penalty, optimizer, learner: the parts; each a table with a ``kind``.
        init: the initial state of each member: a fresh network, or a state of another run.
        interventions: changes to parameters or neurons during training, applied in this order; tables with a
            ``kind``.
        batch_size: samples per update, or ``full``.
        epochs, steps: the length of the run; give exactly one of them (``steps`` if ``online`` is true).
        online: draw fresh samples for every update, instead of batches of a training set. The training split
            (``task.n_train`` samples) is then only measured.
        precision: ``float32`` or ``float64``: the type of parameters, data and loss.
        measures: the measures to take, as names or tables; if not given, all default measures that apply.
        schedule: when measures are taken and networks are stored (see `Recording`).
        stop: early stopping (see `grokscope.spec.stopping.Stopping`); none by default.
        events: conditions on measures by name, as ``half = "test_accuracy > 0.5 for 3"`` (at 3 consecutive
            measured points; 5 if not given); ``memorization`` and ``grokking`` are accuracies above 0.98.

    Raises:
        InputError: if a field is not valid; one line that names the field and says what is allowed.

    Example:
        >>> experiment = Experiment(task="sparse_parity", epochs=300)
        >>> experiment.steps_per_epoch, experiment.n_steps
        (32, 9600)
    """

    group = "experiment"
    not_identifying = ("epochs", "steps", "name", "measures", "schedule", "stop", "events")
    younger = ("penalty",)

    name: str = ""
    epochs: int | None = Field(default=None, ge=1, le=10**9)
    steps: int | None = Field(default=None, ge=1, le=10**12)
    batch_size: int | Literal["full"] = 32
    online: bool = False
    precision: Literal["float32", "float64"] = "float32"
    task: TaskField
    model: ModelField = FullyConnected()
    loss: LossField = Hinge()
    penalty: PenaltyField = NoPenalty()
    optimizer: OptimizerField = SGD(weight_decay=0.01)
    learner: LearnerField = Gradient()
    init: InitField = Fresh()
    interventions: tuple[InterventionField, ...] = ()
    measures: tuple[MeasureField, ...] | None = None
    schedule: Recording = Recording()
    stop: Stopping = Stopping()
    events: EventsField = Events()
    _steps_per_epoch: int = PrivateAttr(0)  # as stored, where a part is missing; 0: not needed

    if TYPE_CHECKING:  # what the fields can be made of

        def __init__(
            self,
            *,
            task: Task | Spec,
            model: Model | Spec = ...,
            loss: Loss | Spec = ...,
            penalty: Penalty | Spec = ...,
            optimizer: Optimizer | Spec = ...,
            learner: Learner | Spec = ...,
            init: Init | Spec = ...,
            interventions: Iterable[Intervention | Spec] = ...,
            measures: Iterable[Measure | Spec] | None = ...,
            schedule: Recording | dict[str, Any] = ...,
            stop: Stopping | dict[str, Any] = ...,
            events: Events | dict[str, str] = ...,
            epochs: int | None = ...,
            steps: int | None = ...,
            batch_size: int | Literal["full"] = ...,
            online: bool = ...,
            precision: Literal["float32", "float64"] = ...,
            name: str = ...,
        ) -> None: ...

    @field_validator("schedule", "stop", mode="before")
    @classmethod
    def _table(cls, value: Any, info: ValidationInfo) -> Any:
        part = Recording if info.field_name == "schedule" else Stopping
        return part(**value) if isinstance(value, dict) else value

    @field_validator("batch_size", mode="after")
    @classmethod
    def _batch(cls, value: int | str) -> int | str:
        if isinstance(value, int) and value < 1:
            raise ValueError("must be at least 1, or 'full'")
        return value

    @field_validator("measures", mode="after")
    @classmethod
    def _measures(cls, value: tuple[MeasureField, ...] | None) -> tuple[MeasureField, ...] | None:
        names = [m.kind if isinstance(m, MissingPart) else m.name for m in value or ()]
        for name in names:
            if names.count(name) > 1:
                raise InputError(
                    f"measures: '{name}' is given twice; two options of one measure need two names "
                    "(the property `name` of its class)."
                )
        return value

    @model_validator(mode="after")
    def _match_model(self) -> Self:
        """A learner that does not use the model has the model ``none``."""
        if not self.learner.uses_model and not isinstance(self.model, NoModel):
            object.__setattr__(self, "model", NoModel())  # frozen, but still being made here
        elif self.learner.uses_model and isinstance(self.model, NoModel):
            raise InputError(
                f"model.kind: 'none' is for learners without a network; learner '{self.learner.kind}' needs "
                "another model."
            )
        return self

    @model_validator(mode="after")
    def _check_events(self) -> Self:
        """Add the events of the task; those of the spec must be on measures that are taken."""
        own = Events.parse(self.task.events, f"task '{self.task.kind}': events")
        found = Events(self.events.given, own)
        object.__setattr__(self, "events", found)  # frozen, but still being made here
        if found.given and not self.missing_parts:
            taken = sorted(measure.name for measure in self.chosen_measures if not measure.dims)
            for name, event in found.given.items():
                if event.measure not in taken:
                    raise InputError(
                        f"events.{name}: '{event.measure}' is not a measure of this experiment with one "
                        f"value per step.{did_you_mean(event.measure, taken)} There are: {', '.join(taken)}."
                    )
        return self

    @model_validator(mode="after")
    def _check_interventions(self) -> Self:
        if self.missing_parts:
            return self
        for item in self.interventions:
            if (lack := item.missing(self)) is not None:
                raise InputError(f"interventions: {lack}.")
        if sum("sample_losses" in item.stages for item in self.interventions) > 1:
            raise InputError("interventions: at most one stop_gradient; give all groups in it.")
        return self

    @model_validator(mode="after")
    def _source(self) -> Self:
        """Fill in the identity of the source run: it is part of this experiment's identity.

        Events of the source that moments name are written out, unless they are the usual ones.
        """
        events: Events | None = None
        if not isinstance(self.init, FromRun):
            events = self.events
        elif not self.init.source:
            source = _source_of(self.init)
            if source is None:
                raise InputError(
                    f"init.run: '{self.init.run}' is not the folder of a run (it has no experiment.toml)."
                )
            events = source.events
            found = self.init.model_copy(update={"source": source.identity})
            object.__setattr__(self, "init", found)  # frozen, but still being made here
        if events is not None:
            items = with_conditions(self.interventions, events)
            object.__setattr__(self, "init", with_conditions(self.init, events))
            object.__setattr__(self, "interventions", items)
        for where, value in [*moments_in(self.init), *(m for i in self.interventions for m in moments_in(i))]:
            parse_moment(value, where)
        return self

    @property
    def chosen_measures(self) -> tuple[Measure, ...]:
        """The measures that the spec lists; if it lists none, all default measures that apply.

        With measures of subnetworks comes ``train_accuracy``, by which these are found.
        """
        chosen = self.measures
        if chosen is None:
            every = [cast("Measure", kind()) for kind in kinds("measure").values()]
            chosen = tuple(measure for measure in every if measure.is_default(self))
        follows = any(measure.pace.startswith("follow") for measure in chosen)
        if follows and all(measure.name != "train_accuracy" for measure in chosen):
            # the memorizing subnetwork is found at the first point with train accuracy above 0.98
            chosen = (*chosen, cast("Measure", kinds("measure")["train_accuracy"]()))
        return chosen

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give exactly one of epochs and steps")
        if self.online and self.epochs is not None:
            raise ValueError("an online experiment has no epochs; give steps")
        if self.online and self.batch_size == "full":
            raise ValueError("an online experiment has no full batch; give batch_size as a number")
        if self.missing_parts:
            return self
        if self.online and not self.task.can_sample:
            raise ValueError(f"task '{self.task.kind}' with these settings cannot be sampled online")
        self.model.check_inputs(self.task.input_shape, self.task.n_outputs)
        if self.loss.labels not in (self.task.label_kind, "any"):
            raise ValueError(
                f"loss '{self.loss.kind}' is for {_LABELS[self.loss.labels]}; "
                f"task '{self.task.kind}' has {_LABELS[self.task.label_kind]}"
            )
        if self.has_penalty and not self.learner.uses_penalty:
            raise ValueError(f"penalty '{self.penalty.kind}': learner '{self.learner.kind}' does not use one")
        if (lack := self.penalty.missing(self)) is not None:
            raise ValueError(lack)
        if (lack := self.learner.missing(self)) is not None:
            raise ValueError(f"learner '{self.learner.kind}' {lack}")
        return self

    @model_validator(mode="after")
    def _check_training_mode(self) -> Self:
        """The learner must use what is set; each name in ``optimizer.no_decay`` must be a parameter's."""
        if self.missing_parts:
            return self
        if self.learner.trains and not self.learner.uses_training_mode:
            given = {
                "optimizer.no_decay": self.optimizer.no_decay,
                "optimizer.clip_norm": self.optimizer.clip_norm,
                "optimizer.perpendicular": self.optimizer.perpendicular != "none",
                "model: a training mode (dropout, batch_norm)": self.model.has_training_mode,
            }
            for name in (name for name, value in given.items() if value):
                raise InputError(f"{name}: learner '{self.learner.kind}' does not use it.")
        if self.optimizer.no_decay and self.learner.uses_model:
            from grokscope.models.networks.parameters import matching_names, parameter_shapes

            names = parameter_shapes(self.model, self.task.input_shape, self.task.n_outputs)
            try:
                matching_names(self.optimizer.no_decay, names)
            except InputError as error:
                raise InputError(f"optimizer.no_decay: {error}") from None
        return self

    @property
    def steps_per_epoch(self) -> int:
        """Updates per pass over the training set; 1 for full batches and online experiments."""
        if self.online or self.batch_size == "full":
            return 1
        return self._steps_per_epoch or math.ceil(self.task.n_train / int(self.batch_size))

    @property
    def n_steps(self) -> int:
        """Number of updates."""
        return self.steps if self.steps is not None else self.steps_per_epoch * (self.epochs or 0)

    def points(self, recorded: Literal["measures", "slow_measures", "follow", "snapshots"]) -> np.ndarray:
        """The steps of one of the schedules of the table ``[schedule]``; int64 [point]."""
        schedule = Schedule.parse(getattr(self.schedule, recorded))
        return schedule.points(self.steps_per_epoch, self.n_steps, online=self.online)

    @property
    def stop_rule(self) -> StopRule | None:
        """The rule of early stopping; None if no member is stopped."""
        return self.stop.rule(self.steps_per_epoch, self.events["grokking"])

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """Labels of the axes that measures can have besides seed, step and neuron, by axis name."""
        return measure_axes(self.task, self.model)

    @property
    def numbers(self) -> dict[str, float]:
        """The numbers that the compiled program takes as traced values, by path (``task.noise``, say).

        Always passed as traced values, so a member's result does not depend on the other members.
        """
        found: dict[str, float] = {}
        for table, name in self._traced():
            value = getattr(getattr(self, table), name)
            if value is not None:  # None makes another program (no momentum, say)
                found[f"{table}.{name}"] = float(value)
        for i, item in enumerate(self.interventions):
            found |= {f"interventions.{i}.{name}": float(getattr(item, name)) for name in item.traced}
        return found

    @property
    def shape(self) -> Experiment:
        """The experiment without its traced values: the compile key. Not validated.

        The `numbers` are set to 1; fields that do not determine the results, the states in which members
        start and the sets of neurons are reset.
        """
        paths = [path.split(".") for path in self.numbers if not path.startswith("interventions.")]
        parts = {
            table: getattr(self, table).model_copy(update={name: 1.0 for at, name in paths if at == table})
            for table, _ in paths
        }
        length = {} if self.optimizer.schedule.depends_on_length else {"epochs": None, "steps": 1}
        blank: dict[str, Any] = {"name": "", "measures": None, "schedule": Recording()}
        blank |= {"stop": Stopping(), "events": Events()}
        items = tuple(item.without_member_values() for item in self.interventions)
        start = {"init": Fresh(), "interventions": items}
        return self.model_copy(update={**parts, **length, **blank, **start})

    def _traced(self) -> list[tuple[str, str]]:
        """The traced fields, as (table, name)."""
        tables = {name: getattr(self, name) for name in type(self).model_fields}
        return [(t, n) for t, part in tables.items() if isinstance(part, Part) for n in part.traced]

    def identifying(self) -> dict[str, Any]:
        """The experiment as a JSON table, without the fields that do not determine the results."""
        table = super().identifying()
        if self.is_plain:  # the identity of plain runs is older than these two keys
            del table["init"], table["interventions"]
        else:
            table["interventions"] = [item.identifying() for item in self.interventions]
        return table

    @property
    def identity(self) -> str:
        """Hash (64 hex digits) of what determines the results.

        Seeds, length, schedule, measures, stop and name are not in it; the length is, where the rate
        schedule depends on it.
        """
        table = self.identifying()
        if self.optimizer.schedule.depends_on_length:
            table["n_steps"] = self.n_steps
        text = json.dumps([_IDENTITY_VERSION, table], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def missing_parts(self) -> list[MissingPart]:
        """The parts whose kind is not loaded; empty but for a stored experiment (`from_stored`)."""
        return [part for part in parts_in(self) if isinstance(part, MissingPart)]

    def require_loaded(self) -> None:
        """Check that all parts are loaded.

        Raises:
            InputError: if one is not; one line that names it, its file and how it is loaded.
        """
        for part in self.missing_parts:
            raise InputError(part.reason)

    @property
    def training_code(self) -> dict[str, Code]:
        """The code of the parts that train and are not the package's own, by part (``optimizer my_adam``)."""
        parts = (
            part for part in parts_in(self) if part.group != "measure" and not isinstance(part, MissingPart)
        )
        return {code.part: code for code in map(code_of, parts) if code is not None}

    @property
    def is_plain(self) -> bool:
        """Whether members start from fresh networks and there are no interventions."""
        return not self.interventions and isinstance(self.init, Fresh)

    @property
    def has_penalty(self) -> bool:
        """Whether something is added to the loss of a batch."""
        return not isinstance(self.penalty, NoPenalty)

    @property
    def states_optimizer(self) -> bool:
        """Whether the spec has an optimizer; imported runs and learners without one need not have it."""
        used = self.learner.trains and self.learner.uses_optimizer
        return used or self.optimizer != type(self).model_fields["optimizer"].default

    def to_toml(self, folder: str | Path | None = None) -> str:
        """The resolved spec as TOML: every field, defaults included.

        Args:
            folder: the folder to which arrays of the task that exist only in memory are written, and in
                which the spec will lie.

        Raises:
            InputError: if the task has arrays only in memory, and no folder is given.
        """
        import tomli_w

        task = self.task.written(Path(folder) if folder is not None else None)
        table = without_none(self.model_copy(update={"task": task}).model_dump(mode="json"))
        if not self.states_optimizer:
            del table["optimizer"]
        if not self.has_penalty:
            del table["penalty"]
        # also those of the task, so that the run can be read where the task's code is not at hand
        table["events"] = self.events.unusual
        if not table["events"]:
            del table["events"]
        return tomli_w.dumps(table)

    @classmethod
    def from_toml(cls, path: str | Path, overrides: tuple[str, ...] = ()) -> Experiment:
        """Read a spec file, with ``a.b=value`` overrides.

        Raises:
            InputError: if the file cannot be read, is not TOML (with the line), or is not a valid spec.
        """
        file = Path(path)
        table = read_toml(file)
        with looking_in(file.parent):
            return cls.from_table(table, overrides)

    @classmethod
    def from_stored(cls, table: dict[str, Any], folder: Path | None, files: Mapping[str, str]) -> Experiment:
        """The experiment of a stored run. Parts whose kind is not loaded are `MissingPart`.

        Args:
            table: the spec.
            folder: where the files that it names may lie; None: only in the working folder.
            files: part (``task my_task``) -> the file that defined it, where that is known.
        """
        with looking_in(folder or Path()), missing_allowed(files):
            return cls.from_table(table)

    def know_steps_per_epoch(self, steps: int) -> None:
        """Take the updates per epoch from the store, where the part that says them is missing."""
        self._steps_per_epoch = steps

    @classmethod
    def from_table(cls, table: dict[str, Any], overrides: tuple[str, ...] = ()) -> Experiment:
        """Make an experiment from a (TOML) table, with ``a.b=value`` overrides."""
        if "sweep" in table:
            how = said(
                command="give it to grokscope sweep",
                python="read it with SweepSpec.from_toml of grokscope.sweeps",
            )
            raise InputError(f"sweep: this is the spec of a sweep; {how}.")
        return cls(**overridden(cls, table, overrides))

    def with_(self, *overrides: str, **values: Any) -> Experiment:
        """A copy with other values; changing a ``kind`` resets that table to its defaults.

        Args:
            overrides: ``"a.b=value"``, as for ``--set``; applied after the values.
            values: fields of the experiment. A dict is merged into the part's table, at any depth; a part, or
                the name of one, replaces the part; so does a list.

        Raises:
            InputError: if a field does not exist or a value is not valid.

        Example:
            >>> experiment = Experiment(task="sparse_parity", epochs=300)
            >>> changed = experiment.with_(optimizer={"weight_decay": 0.1}, task={"k": 4}, epochs=100)
            >>> changed.optimizer.weight_decay, changed.optimizer.learning_rate, changed.task.k
            (0.1, 0.1, 4)
        """
        names = type(self).model_fields
        given = {name: value for name in names if (value := getattr(self, name)) is not None}
        table = overridden(type(self), merged(type(self), given, values), overrides)
        init = part_of("init", table.get("init", Fresh()))
        # new moments name events of the source run; where the source is not given yet, that is done below
        starts = ("init", "interventions")
        moved = any(override.strip().startswith(starts) for override in overrides) or any(
            name in values for name in starts
        )
        if moved and isinstance(init, FromRun) and init.source and (source := _source_of(init)):
            old = {value for part in (self.init, *self.interventions) for _, value in moments_in(part)}
            for key in starts:
                if key in table:
                    table[key] = with_conditions(table[key], source.events, old, key)
        return type(self).from_table(table)

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        """The card in notebooks."""
        parts = ["task", "model", "loss", "optimizer", "learner", "init"]
        if self.has_penalty:
            parts.insert(3, "penalty")
        facts = [(name, repr(getattr(self, name))) for name in parts]
        facts += [("interventions", repr(item)) for item in self.interventions]
        length = f"{self.n_steps} steps" + (f" ({self.epochs} epochs)" if self.epochs is not None else "")
        facts += [("length", length), ("identity", self.identity[:16])]
        return html_card(f"Experiment {self.name}".strip(), facts)


def _source_of(init: FromRun) -> Experiment | None:
    """The experiment of the run in which members start; None if that run is not at hand."""
    file = init.place / "experiment.toml"
    found = Experiment.from_toml(file) if file.is_file() else None
    return found if found is not None and init.source in ("", found.identity) else None
