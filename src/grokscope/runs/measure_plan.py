"""Measure plan: the measures that a run takes, grouped by pace."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, cast

from grokscope.errors import InputError, said
from grokscope.spec.parts import kinds
from grokscope.store.transaction import MeasureCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from grokscope.experiment import Experiment
    from grokscope.measures import Measure

__all__ = ["MeasurePlan", "how_to_find_subnetworks", "measure_code", "stored_name"]


def how_to_find_subnetworks() -> str:
    """The piece of a message that says how a run gets subnetworks: by adding a measure of them."""
    return said(command="grokscope measure RUN faithfulness", python='run.measure("faithfulness")')


def stored_name(measure: Measure, suffix: str) -> str:
    """The name of a measure in the store; the suffix is added to measures of subnetworks only."""
    return measure.name + (suffix if measure.pace.startswith("follow") else "")


def measure_code(measure: Measure) -> MeasureCode | None:
    """The code of a measure as it is stored; None for our own at revision 1."""
    if not (version := measure.code_version):
        return None
    code = measure.code
    if code is None:
        return MeasureCode(version, measure.kind)
    return MeasureCode(version, measure.kind, code.file, code.sha256)


@dataclass(frozen=True)
class MeasurePlan:
    """The measures of a run by pace; the fields have the names of the groups in the store.

    Attributes:
        quick: measures taken at the points of ``schedule.measures``.
        slow: measures taken at the points of ``schedule.slow_measures``.
        follow: measures of subnetworks, at the points of ``schedule.follow``.
        follow_slow: measures of subnetworks, at the points of ``schedule.slow_measures``.
    """

    quick: tuple[Measure, ...] = ()
    slow: tuple[Measure, ...] = ()
    follow: tuple[Measure, ...] = ()
    follow_slow: tuple[Measure, ...] = ()

    @classmethod
    def of(cls, experiment: Experiment) -> MeasurePlan:
        """The measures that the experiment lists; if it lists none, all default measures that apply.

        Raises:
            InputError: if a listed measure needs something that the experiment does not have.
        """
        return cls.sorted(experiment, experiment.chosen_measures)

    @classmethod
    def sorted(cls, experiment: Experiment, measures: Iterable[Measure]) -> MeasurePlan:
        """Group measures by pace; ``train_accuracy`` is added if subnetworks are followed.

        Raises:
            InputError: if a measure needs something that the experiment does not have.
        """
        by_name: dict[str, Measure] = {}
        for measure in measures:
            if (lack := measure.missing(experiment)) is not None:
                raise InputError(f"measures: {lack}.")
            by_name[measure.name] = measure
        if any(measure.pace.startswith("follow") for measure in by_name.values()):
            # the memorizing subnetwork is found at the first point with train accuracy above 0.98
            accuracy = cast("Measure", kinds("measure")["train_accuracy"]())
            if (lack := accuracy.missing(experiment)) is not None:
                following = next(name for name, m in by_name.items() if m.pace.startswith("follow"))
                raise InputError(f"measures: {following} needs subnetworks, and {lack}.")
            by_name.setdefault("train_accuracy", accuracy)
        ordered = [by_name[name] for name in sorted(by_name)]
        return cls(**{pace: tuple(m for m in ordered if m.pace == pace) for pace in cls.paces()})

    @classmethod
    def paces(cls) -> tuple[str, ...]:
        """The names of the paces: quick, slow, follow, follow_slow."""
        return tuple(field.name for field in fields(cls))

    @property
    def all(self) -> tuple[Measure, ...]:
        """The measures of all paces."""
        return self.quick + self.slow + self.follow + self.follow_slow

    @property
    def passes(self) -> int:
        """Number of passes over the steps: 2 if subnetworks are followed after the training, else 1."""
        return 2 if self.follow or self.follow_slow else 1

    def only(self, keep: Callable[[Measure], bool]) -> MeasurePlan:
        """The plan without the measures for which ``keep`` is false."""
        return MeasurePlan(**{pace: tuple(filter(keep, getattr(self, pace))) for pace in self.paces()})
