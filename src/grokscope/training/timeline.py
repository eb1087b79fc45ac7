"""Timeline: the points of a run where measures or snapshots are taken, cut into segments of one shape."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from grokscope.training.loop import SegmentPlan

if TYPE_CHECKING:
    from grokscope.experiment import Experiment

__all__ = ["Timeline"]

_MOST_POINTS = 64
_FEWEST_POINTS = 8
# Work of a segment; `segment_size` aims at 16 times this per device. After each segment the run reports
# progress and can be stopped.
_TARGET_FLOPS = 4e9


@dataclass(frozen=True)
class Timeline:
    """The sorted points of a run with their flags; arrays [point].

    Attributes:
        steps: steps done at the point.
        quick, slow: whether the quick or slow measures are taken.
        follow: whether the final subnetworks or frequencies are measured here after the end of the run.
        snapshot: whether a snapshot is kept.
        own: whether the point counts only for members that start at it; None: False everywhere.
    """

    steps: np.ndarray
    quick: np.ndarray
    slow: np.ndarray
    follow: np.ndarray
    snapshot: np.ndarray
    own: np.ndarray | None = None

    @classmethod
    def of(cls, experiment: Experiment) -> Timeline:
        """The points of an experiment's ``[schedule]`` table."""
        points = {
            "quick": experiment.points("measures"),
            "slow": experiment.points("slow_measures"),
            "follow": experiment.points("follow"),
            "snapshot": experiment.points("snapshots"),
        }
        steps = np.unique(np.concatenate(list(points.values())))
        return cls(steps, **{name: np.isin(steps, at) for name, at in points.items()})

    def __len__(self) -> int:
        return len(self.steps)

    def starting(self, origins: np.ndarray) -> Timeline:
        """The timeline of members with start steps ``origins`` [member].

        If all start at one step, its point has all flags, like the initial state of a run. Else each start
        step is a point with the quick measures, which counts only for the members that start there.
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
        """Which points count for members with these start steps, bool [member, point]."""
        counts = self.steps[None, :] >= origins[:, None]
        if self.own is not None:
            counts &= ~self.own[None, :] | (self.steps[None, :] == origins[:, None])
        return counts

    @property
    def has_snapshots_between(self) -> bool:
        """Whether a snapshot is taken at a point between the first and the last."""
        return bool(self.snapshot[1:-1].any())

    def part(self, rows: slice | np.ndarray) -> Timeline:
        """A selection of points, by a slice or a mask [point]."""
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
        """Cut into plans of ``size`` points each; the last one is padded.

        Args:
            start: steps done before the first point.
            size: points per segment.
            measured: False turns off all measures (for a replay that only keeps networks).

        Yields:
            The slice of points, and its plan.
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
        """Points per segment, such that a segment lasts about a second.

        If all points fit into one segment, the size is a power of two, so that a slightly longer run or a
        branch with another start step uses the same compiled program.
        """
        task = experiment.task
        samples = task.n_train if experiment.batch_size == "full" else int(experiment.batch_size)
        per_step = samples * experiment.model.flops_per_sample(task.input_shape, task.n_outputs)
        steps_per_point = max(1.0, float(self.steps[-1]) / max(1, len(self.steps) - 1))
        points = _TARGET_FLOPS * 16 / (members_per_device * per_step * steps_per_point)
        fit = 1 << (len(self.steps) - 1).bit_length()
        return int(np.clip(points, 1, min(_MOST_POINTS, max(_FEWEST_POINTS, fit))))
