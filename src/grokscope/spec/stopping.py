"""Early stop: when a member is trained no further than it is of use. Off unless a spec asks for it.

What is here: the table ``[stop]`` of a spec, and the rule that follows from it, a function of a member's own
measured points. The compiled loop applies it on the way (`grokscope.training.loop`), a run to what is in its
store; both call `StopRule.looked`. A stop changes no bit of the steps that are run.
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

__all__ = ["NO_STEP", "Ending", "StopRule", "Stopping", "fresh_ending"]

NO_STEP = MAX_INT32  # later than every step of a run


class Stopping(Part):
    """When a member is stopped before its experiment's end (table ``[stop]``); by default never.

    It is looked for at the points at which the quick measures are taken, and the point at which it is found
    is the member's last. What the stopped member would have done later is absent, never zero; without this
    table, or with a longer one, the same command goes on from where it stopped, with the bits of a run that
    never did.

    Attributes:
        grokked_for: epochs; stop a member whose test accuracy has been above 0.98 for that long, at five
            measured points or more (so that the event grokking is seen in it); none if it is not given.
        diverged: stop a member that diverged.

    Example:
        >>> Stopping(grokked_for=50).is_on, Stopping().is_on
        (True, False)
    """

    group: ClassVar[str] = "stop"

    grokked_for: int | None = Field(default=None, ge=1, le=10**9)
    diverged: bool = False

    @property
    def is_on(self) -> bool:
        """Whether any member can be stopped."""
        return self.grokked_for is not None or self.diverged

    def rule(self, steps_per_epoch: int) -> StopRule | None:
        """What the loop is to look for; None if nothing."""
        if not self.is_on:
            return None
        stable = None if self.grokked_for is None else min(self.grokked_for * steps_per_epoch, NO_STEP - 1)
        return StopRule(stable, self.diverged)


class Ending(NamedTuple):
    """What is known of the end of members; arrays [member], or numbers of one.

    Attributes:
        until: the step at which it stops; `NO_STEP` while that is not known.
        since: the first measured point of the stretch in which it is grokked; -1 outside of one.
        points: measured points in that stretch.
    """

    until: Any
    since: Any
    points: Any


@dataclass(frozen=True)
class StopRule:
    """When to stop a member.

    Attributes:
        stable: steps for which it must have been grokked; None: that is no reason.
        diverged: whether divergence is one.
    """

    stable: int | None
    diverged: bool

    #: of the measure that the rule looks at
    measure: ClassVar[str] = GROKKING.measure

    def looked(
        self, ending: Ending, step: Any, value: Any, diverged: Any, counts: Any, xp: ModuleType
    ) -> Ending:
        """The ending after a measured point.

        Args:
            ending: before it.
            step: of the point.
            value: the test accuracy there; None where the rule does not ask for it.
            diverged: the step at which the member diverged, -1 for none.
            counts: whether the point is one of the member's; others change nothing.
            xp: numpy, or jax's.
        """
        since, points = ending.since, ending.points
        counts = counts & (ending.until == NO_STEP)
        ends = counts & (diverged >= 0) & (diverged < step) & self.diverged
        if self.stable is not None and value is not None:
            # compared in the measure's own precision: the same on a device and on what was stored
            holds = value > xp.asarray(GROKKING.threshold, value.dtype)
            since = xp.where(counts, xp.where(holds, xp.where(since < 0, step, since), -1), since)
            points = xp.where(counts, xp.where(holds, points + 1, 0), points)
            long = (points >= GROKKING.sustained) & (step - since >= self.stable)
            ends = ends | (counts & holds & long)
        return Ending(xp.where(ends, step, ending.until), since, points)

    def over(
        self, steps: np.ndarray, values: np.ndarray | None, diverged: np.ndarray, counts: np.ndarray
    ) -> Ending:
        """The ending after all points of members.

        Args:
            steps: of the points, [point].
            values: the test accuracy [member, point]; None where it is not known.
            diverged: as for `looked`, [member].
            counts: likewise, [member, point].
        """
        ending = fresh_ending(len(diverged))
        for i, step in enumerate(steps.astype(np.int32)):
            value = None if values is None else values[:, i]
            ending = self.looked(ending, step, value, diverged, counts[:, i], np)
        return Ending(*(np.asarray(each, np.int32) for each in ending))


def fresh_ending(n_members: int) -> Ending:
    """Of members of which nothing is known yet."""
    return Ending(
        np.full(n_members, NO_STEP, np.int32), np.full(n_members, -1, np.int32), np.zeros(n_members, np.int32)
    )
