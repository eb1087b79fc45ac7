"""Early stopping: the table ``[stop]`` of a spec, and the rule that stops a member.

The rule is a function of the member's own measured points. The compiled loop applies it while it trains
(`grokscope.training.loop`), a run applies it to the measures in its store; both call `StopRule.update`. A
stop changes no bit of the steps before it. Members are not stopped unless the spec asks for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from grokscope.spec.events import GROKKING
from grokscope.spec.parts import Part
from grokscope.spec.streams import MAX_INT32

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["NO_STEP", "StopRule", "StopState", "Stopping", "initial_stop_state"]

NO_STEP = MAX_INT32  # later than every step of a run


class Stopping(Part):
    """Early stopping of single members (table ``[stop]``); by default no member is stopped.

    The condition is tested at every point of the quick measures. A member stops at the first point at which
    the condition holds; its later points are absent, never zero. To continue from the stop, remove this table
    or raise ``grokked_for`` and repeat the command: the results are bit for bit those of a run without a
    stop.

    Attributes:
        grokked_for: number of epochs: stop a member once its test accuracy has been above 0.98 for this many
            epochs and at five measured points or more (the event ``grokking`` needs five). If not given,
            grokking does not stop a member. Online training has no epochs: there it is a number of steps, as
            with the full batch, where an epoch is one step.
        diverged: stop a member once it has diverged.

    Example:
        >>> Stopping(grokked_for=50).is_on, Stopping().is_on
        (True, False)
    """

    group = "stop"

    grokked_for: int | None = Field(default=None, ge=1, le=10**9)
    diverged: bool = False

    @property
    def is_on(self) -> bool:
        """Whether the table can stop a member."""
        return self.grokked_for is not None or self.diverged

    def text(self, steps_per_epoch: int) -> str:
        """The condition in words, counted in steps where an epoch is one step.

        Example:
            >>> Stopping(grokked_for=50, diverged=True).text(steps_per_epoch=32)
            'after 50 epochs (1600 steps) above test accuracy 0.98, or once diverged'
            >>> Stopping(grokked_for=50).text(steps_per_epoch=1)
            'after 50 steps above test accuracy 0.98'
        """
        said: list[str] = []
        if self.grokked_for is not None:
            steps = self.grokked_for * steps_per_epoch
            count = f"{steps} steps" if steps_per_epoch == 1 else f"{self.grokked_for} epochs ({steps} steps)"
            said.append(f"after {count} above {GROKKING.measure.replace('_', ' ')} {GROKKING.threshold:g}")
        if self.diverged:
            said.append("once diverged")
        return ", or ".join(said)

    def rule(self, steps_per_epoch: int) -> StopRule | None:
        """The stopping rule, with times in steps; None if the table stops no member."""
        if not self.is_on:
            return None
        stable = None if self.grokked_for is None else min(self.grokked_for * steps_per_epoch, NO_STEP - 1)
        return StopRule(stable, self.diverged)


class StopState(NamedTuple):
    """Early-stopping state: arrays [member], or numbers of one member.

    Attributes:
        until: the step at which the member stopped; `NO_STEP` if it has not stopped.
        since: the first step from which the test accuracy has stayed above the threshold; -1 if it is below.
        points: number of measured points from that step on.
    """

    until: Any
    since: Any
    points: Any


@dataclass(frozen=True)
class StopRule:
    """The rule by which a member is stopped.

    Attributes:
        stable: number of steps above the threshold after which a member stops; None: grokking stops no
            member.
        diverged: whether divergence stops a member.
    """

    stable: int | None
    diverged: bool

    #: the name of the measure that the rule needs
    measure: ClassVar[str] = GROKKING.measure

    def update(
        self, state: StopState, step: Any, value: Any, diverged: Any, counts: Any, xp: ModuleType
    ) -> StopState:
        """The state after a measured point.

        Args:
            state: before the point.
            step: of the point.
            value: the test accuracy there; None where the rule does not need it.
            diverged: the step at which the member diverged, -1 if it did not.
            counts: whether the point belongs to the member; the state stays the same at other points.
            xp: ``numpy`` or ``jax.numpy``.
        """
        since, points = state.since, state.points
        counts = counts & (state.until == NO_STEP)
        ends = counts & (diverged >= 0) & (diverged < step) & self.diverged
        if self.stable is not None and value is not None:
            # compared in the measure's precision, so that devices and stored measures give the same answer
            holds = value > xp.asarray(GROKKING.threshold, value.dtype)
            since = xp.where(counts, xp.where(holds, xp.where(since < 0, step, since), -1), since)
            points = xp.where(counts, xp.where(holds, points + 1, 0), points)
            long = (points >= GROKKING.sustained) & (step - since >= self.stable)
            ends = ends | (counts & holds & long)
        return StopState(xp.where(ends, step, state.until), since, points)

    def state_after(
        self, steps: np.ndarray, values: np.ndarray | None, diverged: np.ndarray, counts: np.ndarray
    ) -> StopState:
        """The state of members after all of their points.

        Args:
            steps: of the points, [point].
            values: the test accuracy [member, point]; None if it was not measured.
            diverged: as in `update`, [member].
            counts: as in `update`, [member, point].
        """
        state = initial_stop_state(len(diverged))
        for i, step in enumerate(steps.astype(np.int32)):
            value = None if values is None else values[:, i]
            state = self.update(state, step, value, diverged, counts[:, i], np)
        return StopState(*(np.asarray(each, np.int32) for each in state))


def initial_stop_state(n_members: int) -> StopState:
    """The early-stopping state of members before their first measured point."""
    return StopState(
        np.full(n_members, NO_STEP, np.int32), np.full(n_members, -1, np.int32), np.zeros(n_members, np.int32)
    )
