"""Values of a spec that are numbers of another experiment of the paper: ``from_experiment``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from grokscope.errors import InputError, did_you_mean
from grokscope.spec.events import MEASURE_NAME, Event, diverged_steps, events_of, member_curves
from grokscope.spec.moments import Moment, check_moment, parse_moment
from grokscope.spec.streams import MEMBER_DIMS

if TYPE_CHECKING:
    import xarray as xr

    from grokscope.experiment import Experiment

__all__ = [
    "FromExperiment",
    "NotTakenYetError",
    "TakenValue",
    "check_value",
    "from_experiment",
    "keep_values",
    "kept_values",
]

_RECORD = "values.json"  # in a reproduction's folder: the values of each experiment in it
_REDUCTIONS: dict[str, Callable[[np.ndarray], Any]] = {
    "median": np.median,
    "mean": np.mean,
    "min": np.min,
    "max": np.max,
}
_FORM = re.compile(rf"\s*({MEASURE_NAME})\s+at\s+(.+)")
_MOST_SEEDS = 10


class NotTakenYetError(InputError):
    """A value comes from an experiment that has not been run yet."""


@dataclass(frozen=True)
class TakenValue:
    """A value of a spec that was taken from another experiment.

    Attributes:
        path: the key of the spec.
        value: the number.
        experiment: the experiment that it was taken from.
        identity: the identity of that experiment.
        number: what was taken in each seed.
        reduction: how one number was made of those of all seeds.
        seeds: the number of seeds that have the number.
        without: the seeds that do not, as texts.
    """

    path: str
    value: int | float
    experiment: str
    identity: str
    number: str
    reduction: str
    seeds: int
    without: tuple[str, ...]

    def __str__(self) -> str:
        total = self.seeds + len(self.without)
        some = ", ".join(self.without[:_MOST_SEEDS]) + ", ..." * (len(self.without) > _MOST_SEEDS)
        return (
            f"{self.path} = {self.value:g}, the {self.reduction} of '{self.number}' over {self.seeds} "
            f"of {total} seeds of {self.experiment}"
            + f"; it was not seen in seeds {some}"
            * bool(self.without)
        )


@dataclass(frozen=True)
class FromExperiment:
    """A number of another experiment of the paper, as a value of a spec: see `from_experiment`.

    Attributes:
        experiment: name of the other experiment.
        number: ``MEASURE at MOMENT``, an event, or a function of the measures.
        reduction: ``median``, ``mean``, ``min`` or ``max`` over the seeds that have the number.
    """

    experiment: str
    number: str | Callable[[xr.Dataset], Any]
    reduction: Literal["median", "mean", "min", "max"] = "median"

    def __post_init__(self) -> None:
        if self.reduction not in _REDUCTIONS:
            raise InputError(
                f"from_experiment: reduction must be one of {', '.join(_REDUCTIONS)} "
                f"(got {self.reduction!r})."
            )
        self._check_form()

    @property
    def label(self) -> str:
        """The number as text; of a function its name."""
        return self.number if isinstance(self.number, str) else getattr(self.number, "__name__", "a function")

    def needs(self, events: Mapping[str, Event]) -> list[str]:
        """The measures that the other experiment, with these events, must take; of a function none are known.

        Raises:
            InputError: if the other experiment has no such event.
        """
        measure, moment = self._parsed(events)
        event = moment.event if moment is not None else None
        return [*filter(None, [measure]), *([event.measure] if isinstance(event, Event) else [])]

    def take(self, path: str, measures: xr.Dataset, identity: str) -> TakenValue:
        """The number from the measures of the other experiment.

        Raises:
            InputError: if a measure is not there or has further axes, no seed has the number, or the function
                fails.
        """
        where = f"{path}: '{self.label}' of {self.experiment}"
        each, is_whole = self._each(where, measures)
        seen = np.isfinite(each)
        if not seen.any():
            raise InputError(f"{where}: was not seen in any of its {len(each)} seeds.")
        number = float(_REDUCTIONS[self.reduction](each[seen]))
        value = int(np.floor(number)) if is_whole else number
        labels = _seed_labels(measures, len(each))
        without = tuple(label for label, has in zip(labels, seen, strict=True) if not has)
        return TakenValue(
            path, value, self.experiment, identity, self.label, self.reduction, int(seen.sum()), without
        )

    def _check_form(self) -> None:
        """Check the text; which events there are depends on the other experiment."""
        if not isinstance(self.number, str):
            return
        match = _FORM.fullmatch(self.number)
        name = check_moment(match[2] if match is not None else self.number, "from_experiment")
        if match is None and name in ("", "start", "end"):
            raise InputError(
                f"from_experiment: must be MEASURE at MOMENT, an event, or a function (got '{self.number}')."
            )

    def _parsed(self, events: Mapping[str, Event]) -> tuple[str, Moment | None]:
        """The measure (or empty) and the moment of a number given as text; ("", None) of a function."""
        if not isinstance(self.number, str):
            return "", None
        match = _FORM.fullmatch(self.number)
        if match is not None:
            return match[1], parse_moment(match[2], "from_experiment", events)
        return "", parse_moment(self.number, "from_experiment", events)

    def _each(self, where: str, measures: xr.Dataset) -> tuple[np.ndarray, bool]:
        """The number of each seed, NaN where it has none; and whether it is a whole number."""
        events = events_of(measures)
        measure, moment = self._parsed(events)
        if moment is None:
            assert callable(self.number)
            return _of_function(where, self.number, measures)
        needed = self.needs(events)
        for name in needed:
            if name not in measures:
                known = [str(one) for one in measures.data_vars]
                raise InputError(
                    f"{where}: {self.experiment} does not take the measure '{name}'."
                    f"{did_you_mean(name, known)}"
                )
            if more := [str(dim) for dim in measures[name].dims if dim not in (*MEMBER_DIMS, "step")]:
                raise InputError(f"{where}: '{name}' has the axes {', '.join(more)}; give a function.")
        steps = measures["step"].to_numpy()
        if not measure:
            count = len(member_curves(measures[needed[0]]))
            at = moment.steps(measures, np.zeros(count), np.full(count, steps[-1]))
            return np.where(np.isfinite(at), at, np.nan), True
        curves = member_curves(measures[measure])
        taken = np.isfinite(curves)
        some = taken.any(axis=1)
        first = np.where(some, steps[np.argmax(taken, axis=1)], 0)
        last = np.where(some, steps[len(steps) - 1 - np.argmax(taken[:, ::-1], axis=1)], 0)
        at = moment.steps(measures, first, last)
        # the last measured value up to the moment; none of a member that has diverged, or ended before
        usable = taken & (steps <= at[:, None])
        place = len(steps) - 1 - np.argmax(usable[:, ::-1], axis=1)
        has = usable.any(axis=1) & np.isfinite(at) & (at <= last) & (at < diverged_steps(measures))
        return np.where(has, curves[np.arange(len(curves)), place], np.nan), False


def from_experiment(
    experiment: str,
    number: str | Callable[[xr.Dataset], Any],
    reduction: Literal["median", "mean", "min", "max"] = "median",
) -> FromExperiment:
    """A number of another experiment of the paper, as a value of a spec (``values`` of an experiment).

    The other experiment is run first. Its number is put into the spec before the run, as if it had been
    written there.

    Args:
        experiment: name of the other experiment.
        number: ``MEASURE at MOMENT`` (``weight_norm at grokking``, ``... at 640``, ``... at end``): the last
            measured value up to the moment, of a measure without further axes. Or the step of an event
            (``grokking``, ``0.5 * grokking``), rounded down. Or a function from the measures to one number
            per seed, NaN where there is none.
        reduction: ``median``, ``mean``, ``min`` or ``max`` over the seeds that have the number.

    Raises:
        InputError: if the number or the reduction is none of these.

    Example:
        >>> from grokscope.spec.events import Events
        >>> from_experiment("free", "weight_norm at grokking").needs(Events())
        ['weight_norm', 'test_accuracy']
    """
    return FromExperiment(experiment, number, reduction)


def kept_values(folder: Path, name: str) -> dict[str, TakenValue]:
    """The recorded values of an experiment of a reproduction, by path; {} if it has not been run there.

    Raises:
        InputError: if the record cannot be read.
    """
    file = folder / _RECORD
    if not file.is_file() or not (folder / name).exists():
        return {}
    return {path: TakenValue(**one) for path, one in _read(file).get(name, {}).items()}


def keep_values(folder: Path, name: str, values: Mapping[str, TakenValue]) -> None:
    """Record the values of an experiment in a reproduction's folder.

    Raises:
        StoreError: if the record cannot be written.
    """
    from grokscope.files import atomic_write

    file = folder / _RECORD
    before = _read(file) if file.is_file() else {}
    now = {**before, name: {path: asdict(one) for path, one in values.items()}}
    text = json.dumps(now, indent=2) + "\n"
    if values and (not file.is_file() or file.read_text(encoding="utf-8") != text):
        atomic_write(file, text, parents=True)


def _read(file: Path) -> dict[str, dict[str, Any]]:
    try:
        table = json.loads(file.read_text(encoding="utf-8"))
        for values in table.values():
            for one in values.values():
                one["without"] = tuple(one["without"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"{file}: cannot be read; remove it together with the runs that it is about."
        ) from None
    return table


def _of_function(
    where: str, function: Callable[[xr.Dataset], Any], measures: xr.Dataset
) -> tuple[np.ndarray, bool]:
    """The numbers that a function returns, float64 [seed], and whether they are whole numbers."""
    try:
        found = np.asarray(function(measures))
        each = found.astype(np.float64)
    except Exception as error:
        text = " ".join(str(error).split())
        raise InputError(f"{where}: the function failed: {type(error).__name__}: {text}") from error
    if each.ndim != 1:
        raise InputError(f"{where}: the function must return one number per seed (got shape {each.shape}).")
    return each, bool(np.issubdtype(found.dtype, np.integer))


def _seed_labels(measures: xr.Dataset, count: int) -> list[str]:
    """The seeds of the members in the order of `member_curves`, as texts."""
    if "seed" in measures.coords and measures["seed"].size == count:
        return [str(seed) for seed in measures["seed"].to_numpy()]
    return [f"number {i}" for i in range(count)]


def check_value(
    path: str, value: FromExperiment, spec: Experiment, source: Experiment, taken: Iterable[str]
) -> None:
    """Refuse a value for a key that the spec does not have, or of a measure that the source does not take.

    Args:
        path: the key.
        value: the value.
        spec: the experiment that the key is of.
        source: the experiment that the number is of.
        taken: the names of the measures that the source takes.

    Raises:
        InputError: if it is one of these.
    """
    level: Any = spec.model_dump(mode="json")
    for name in path.split("."):
        if isinstance(level, dict) and name in level:
            level = level[name]
        elif isinstance(level, list) and name.isdigit() and int(name) < len(level):
            level = level[int(name)]
        else:
            raise InputError(f"values: '{path}' is no key of the spec ('{name}' is not there).")
    for name in value.needs(source.events):
        if name not in taken:
            raise InputError(
                f"{path}: '{value.label}' of {value.experiment}: {value.experiment} does not take the "
                f"measure '{name}'.{did_you_mean(name, taken)}"
            )
