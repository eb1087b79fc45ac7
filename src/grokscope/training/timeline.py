"""Timeline: all points of a run at which something is looked at, cut into segments of one shape."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from grokscope.spec.schedule import Schedule
from grokscope.training.loop import SegmentPlan

if TYPE_CHECKING:
    from grokscope.experiment import Experiment

__all__ = ["Timeline"]

_MOST_POINTS = 64
_FEWEST_POINTS = 8
# A segment is also a progress tick and a chance to stop: aim at this much work per member of a device.
_TARGET_FLOPS = 4e9


@dataclass(frozen=True)
class Timeline:
    """The points of a run, sorted, and what is done at each; arrays [point].

    Attributes:
        steps: steps done at the point.
        quick, slow, follow, snapshot: whether measures of that pace are taken, or the state is kept.
        own: whether the point counts only for members that start there; None: no point does.
    """

    steps: np.ndarray
    quick: np.ndarray
    slow: np.ndarray
    follow: np.ndarray
    snapshot: np.ndarray
    own: np.ndarray | None = None

    @classmethod
    def of(cls, experiment: Experiment) -> Timeline:
        """The points that an experiment's ``[schedule]`` asks for."""
        recording = experiment.schedule
        asked = {
            "quick": recording.measures,
            "slow": recording.slow_measures,
            "follow": recording.follow,
            "snapshot": recording.snapshots,
        }
        points = {
            name: Schedule.parse(value).points(experiment.steps_per_epoch, experiment.n_steps)
            for name, value in asked.items()
        }
        steps = np.unique(np.concatenate(list(points.values())))
        return cls(steps, **{name: np.isin(steps, at) for name, at in points.items()})

    def __len__(self) -> int:
        return len(self.steps)

    def starting(self, origins: np.ndarray) -> Timeline:
        """The timeline of members that start at later steps (one each).

        Where all start at one step everything is looked at there, as in the initial state of a run; where
        they do not, each one's quick measures are taken at the step at which it starts.
        """
        at = np.unique(origins)
        steps = np.union1d(self.steps[self.steps > at[0]], at)
        flags = [
            np.isin(steps, self.steps[flag]) for flag in (self.quick, self.slow, self.follow, self.snapshot)
        ]
        own = ~np.isin(steps, self.steps)
        if len(at) == 1:
            for flag in flags:
                flag[0] = True
            own[0] = False
        flags[0] |= own
        return Timeline(steps, *flags, own=own)

    def counts_for(self, origins: np.ndarray) -> np.ndarray:
        """Which points count for which of the members that start at these steps, bool [member, point]."""
        counts = self.steps[None, :] >= origins[:, None]
        if self.own is not None:
            counts &= ~self.own[None, :] | (self.steps[None, :] == origins[:, None])
        return counts

    @property
    def has_snapshots_between(self) -> bool:
        """Whether a snapshot is taken at another point than the first and the last."""
        return bool(self.snapshot[1:-1].any())

    def part(self, rows: slice | np.ndarray) -> Timeline:
        """Some of the points: a slice, or a mask [point]."""
        return Timeline(
            self.steps[rows],
            self.quick[rows],
            self.slow[rows],
            self.follow[rows],
            self.snapshot[rows],
            None if self.own is None else self.own[rows],
        )

    def after(self, step: int) -> Timeline:
        """The points later than a step."""
        return self.part(self.steps > step)

    def segments(
        self, start: int, size: int, *, measured: bool = True
    ) -> Iterator[tuple[slice, SegmentPlan]]:
        """Cut into plans of ``size`` points each, the last one padded.

        Args:
            start: steps done before the first point.
            size: points per segment.
            measured: False turns all measures off (a replay that only keeps networks).
        """
        for low in range(0, len(self.steps), size):
            rows = slice(low, min(low + size, len(self.steps)))
            padding = size - (rows.stop - rows.start)
            yield (
                rows,
                SegmentPlan(
                    start=np.int32(start),
                    stop=np.pad(self.steps[rows], (0, padding), mode="edge").astype(np.int32),
                    quick=np.pad(self.quick[rows] & measured, (0, padding)),
                    slow=np.pad(self.slow[rows] & measured, (0, padding)),
                    own=None if self.own is None else np.pad(self.own[rows], (0, padding)),
                ),
            )
            start = int(self.steps[rows.stop - 1])

    def segment_size(self, experiment: Experiment, members_per_device: int) -> int:
        """Points per segment, so that one lasts about a second.

        Where all points fit into one segment it is a power of two: a run of some more epochs, or a branch
        that starts elsewhere, has the same program.
        """
        task = experiment.task
        samples = task.n_train if experiment.batch_size == "full" else int(experiment.batch_size)
        per_step = samples * experiment.model.flops_per_sample(task.input_shape, task.n_outputs)
        steps_per_point = max(1.0, float(self.steps[-1]) / max(1, len(self.steps) - 1))
        points = _TARGET_FLOPS * 16 / (members_per_device * per_step * steps_per_point)
        fit = 1 << (len(self.steps) - 1).bit_length()
        return int(np.clip(points, 1, min(_MOST_POINTS, max(_FEWEST_POINTS, fit))))
