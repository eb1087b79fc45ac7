"""The rule of early stop, against a brute-force version on random curves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.spec.events import GROKKING
from grokscope.spec.stopping import NO_STEP, Stopping, StopRule
from grokscope.statistics import event_times


def by_hand(steps, values, stable, diverged_at, stop_at_divergence):
    """The first point at which the condition holds, looked for at every point from its beginning."""
    for i, step in enumerate(steps):
        if stop_at_divergence and 0 <= diverged_at < step:
            return step
        if stable is None:
            continue
        first = i + 1
        while first > 0 and values[first - 1] > np.float32(0.98):
            first -= 1
        if i + 1 - first >= 5 and step - steps[first] >= stable:
            return step
    return NO_STEP


@given(
    st.lists(st.sampled_from([0.5, 0.98, 0.985, 1.0, 1.0, 1.0, 1.0]), min_size=1, max_size=60),
    st.integers(1, 400),
    st.integers(-1, 700),
    st.booleans(),
    st.booleans(),
    st.integers(1, 20),
)
def test_the_rule_is_what_its_words_say(values, stable, diverged_at, by_divergence, by_accuracy, every):
    steps = np.arange(len(values)) * every
    curve = np.array([values], np.float32)
    rule = StopRule(stable if by_accuracy else None, by_divergence)
    counts = np.ones_like(curve, bool)
    found = rule.state_after(steps, curve, np.array([diverged_at], np.int32), counts)
    asked = stable if by_accuracy else None
    assert found.until[0] == by_hand(steps, curve[0], asked, diverged_at, by_divergence)
    # one that was stopped because it had grokked is one in which grokking is seen, in what was measured of it
    stopped = steps <= found.until[0]
    if found.until[0] < NO_STEP and not (by_divergence and diverged_at >= 0):
        seen = event_times(
            steps[stopped], curve[:, stopped], GROKKING.threshold, sustained=GROKKING.sustained
        )
        assert seen.observed.all()


@given(st.lists(st.sampled_from([0.5, 1.0, 1.0, 1.0]), min_size=2, max_size=40), st.integers(1, 39))
def test_points_that_do_not_count_change_nothing(values, at):
    steps, curve = np.arange(len(values)) * 4, np.array([values], np.float32)
    rule, nothing = StopRule(16, False), np.array([-1], np.int32)
    counts = np.ones_like(curve, bool)
    counts[:, at % len(values)] = False
    kept = counts[0]
    found = rule.state_after(steps, curve, nothing, counts)
    without = rule.state_after(steps[kept], curve[:, kept], nothing, counts[:, kept])
    assert found.until == without.until


def test_the_table_of_a_spec():
    base = Experiment(task="sparse_parity", epochs=300)
    assert not base.stop.is_on
    assert base.stop.rule(32) is None
    stopped = base.with_("stop.grokked_for=50", "stop.diverged=true")
    assert stopped.stop == Stopping(grokked_for=50, diverged=True)
    assert stopped.stop.rule(32) == StopRule(1600, True)
    assert stopped.identity == base.identity  # it says how far, not what
    assert stopped.shape == base.shape
    assert Experiment.from_table(__import__("tomllib").loads(stopped.to_toml())) == stopped
    with pytest.raises(InputError, match=r"stop\.grokked_for"):
        base.with_("stop.grokked_for=0")
    with pytest.raises(InputError, match=r"stop\.grokked_for_epochs.*[Dd]id you mean"):
        base.with_("stop.grokked_for_epochs=5")
