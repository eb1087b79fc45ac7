"""Which measures a run takes, sorted by when they are taken."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, cast

from grokscope.errors import InputError
from grokscope.spec.parts import kinds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from grokscope.experiment import Experiment
    from grokscope.measures import Measure

__all__ = ["MeasurePlan"]


@dataclass(frozen=True)
class MeasurePlan:
    """Measures by pace; the names of the fields are also those of the groups in the store."""

    quick: tuple[Measure, ...] = ()
    slow: tuple[Measure, ...] = ()
    follow: tuple[Measure, ...] = ()
    follow_slow: tuple[Measure, ...] = ()

    @classmethod
    def of(cls, experiment: Experiment) -> MeasurePlan:
        """What the experiment asks for; where it does not say, all default measures that apply.

        Raises:
            InputError: if a measure that is asked for needs what the experiment does not have.
        """
        if experiment.measures is not None:
            return cls.sorted(experiment, experiment.measures)
        every = [cast("Measure", kind()) for kind in kinds("measure").values()]
        return cls.sorted(
            experiment,
            (m for m in every if m.is_default(experiment)),
        )

    @classmethod
    def sorted(cls, experiment: Experiment, measures: Iterable[Measure]) -> MeasurePlan:
        """Sort measures by pace; adds the train accuracy where subnetworks are followed."""
        by_name: dict[str, Measure] = {}
        for measure in measures:
            if (lack := measure.missing(experiment)) is not None:
                raise InputError(f"measures: {lack}.")
            by_name[measure.name] = measure
        if any(measure.pace.startswith("follow") for measure in by_name.values()):
            # the memorizing subnetwork is found where the train accuracy first passes 0.98
            by_name.setdefault("train_accuracy", cast("Measure", kinds("measure")["train_accuracy"]()))
        ordered = [by_name[name] for name in sorted(by_name)]
        return cls(**{pace: tuple(m for m in ordered if m.pace == pace) for pace in cls.paces()})

    @classmethod
    def paces(cls) -> tuple[str, ...]:
        """quick, slow, follow, follow_slow."""
        return tuple(field.name for field in fields(cls))

    @property
    def all(self) -> tuple[Measure, ...]:
        """All of them."""
        return self.quick + self.slow + self.follow + self.follow_slow

    def only(self, keep: Callable[[Measure], bool]) -> MeasurePlan:
        """Those for which ``keep`` holds."""
        return MeasurePlan(**{pace: tuple(filter(keep, getattr(self, pace))) for pace in self.paces()})
