"""Early stopping of stored members: the rule of an experiment, and each member's state by its measures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from grokscope.errors import InputError
from grokscope.runs.origins import start_steps
from grokscope.spec.parts import lookup
from grokscope.spec.stopping import NO_STEP, StopRule, StopState, initial_stop_state
from grokscope.training.timeline import Timeline

if TYPE_CHECKING:
    from grokscope.experiment import Experiment
    from grokscope.measures import Measure
    from grokscope.runs.measure_plan import MeasurePlan
    from grokscope.store.reader import RunReader

__all__ = ["has_stopped", "stop_rule", "stop_state"]


def stop_rule(experiment: Experiment, wanted: MeasurePlan) -> StopRule | None:
    """The rule that stops members of an experiment; None if it stops none.

    Raises:
        InputError: if the rule needs a measure that is not among the quick measures.
    """
    rule = experiment.stop.rule(experiment.steps_per_epoch)
    if rule is None or rule.stable is None:
        return rule
    if all(measure.name != rule.measure for measure in wanted.quick):
        lack = cast("Measure", lookup("measure", rule.measure)()).missing(experiment)
        why = f" ({lack})" if lack else ""
        raise InputError(f"stop.grokked_for: looks at {rule.measure}, which is not among the measures{why}.")
    return rule


def stop_state(store: RunReader, experiment: Experiment, positions: Sequence[int]) -> StopState:
    """The early-stopping state of members after their points in the store, arrays [member].

    Args:
        store: the store of the run.
        experiment: the experiment whose rule is applied.
        positions: the members' positions in the store.
    """
    rule = experiment.stop.rule(experiment.steps_per_epoch)
    rows = np.asarray(positions, np.int64)
    if rule is None or not len(rows):
        return initial_stop_state(len(rows))
    origins, done = start_steps(store, positions), store.steps_done[rows]
    timeline = Timeline.of(experiment)
    quick_steps = timeline.steps[timeline.quick]
    steps = np.union1d(quick_steps, origins)
    steps = steps[steps <= done.max(initial=0)]
    regular = np.isin(steps, quick_steps)
    counts = (steps >= origins[:, None]) & (steps <= done[:, None])
    counts &= regular | (steps == origins[:, None])
    values = None
    if rule.stable is not None and len(steps):
        values = store.read_block(rule.measure, rows, steps, (slice(None), slice(None)))
        if values is not None:
            counts &= ~np.isnan(values) | (store.diverged_step[rows] >= 0)[:, None]
    return rule.state_after(steps, values, store.diverged_step[rows].astype(np.int32), counts)


def has_stopped(store: RunReader, experiment: Experiment, positions: Sequence[int]) -> np.ndarray:
    """Whether the early stop of the experiment has stopped each member, bool [member]."""
    if not experiment.stop.is_on:
        return np.zeros(len(positions), bool)
    return stop_state(store, experiment, positions).until < NO_STEP
