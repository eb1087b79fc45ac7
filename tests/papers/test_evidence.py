"""What claims of papers are made of: the examples run, and values agree with those that were put in."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from grokscope.claims import NotTestable
from grokscope.papers import evidence
from synthetic_runs import synthetic_run, unmeasured


def test_examples_run() -> None:
    result = doctest.testmod(evidence)
    assert result.attempted >= 15
    assert result.failed == 0


def test_a_value_is_that_of_the_last_measured_point_up_to_a_step() -> None:
    measures = synthetic_run(["groks"] * 3).measures
    curve = evidence.curve(measures, "test_accuracy")
    steps = evidence.steps_of(measures)
    gaps = curve.copy()
    gaps[:, 4:7] = np.nan
    at = np.array([steps[3] + 1, steps[6], np.inf])
    found = evidence.value_at(measures, gaps, at)
    np.testing.assert_array_equal(found, [curve[0, 3], curve[1, 3], np.nan])


def test_a_measure_that_was_taken_of_no_finished_seed_is_not_testable() -> None:
    run = synthetic_run(["groks"] * 3)
    with pytest.raises(NotTestable, match="effective_sparsity was measured for no seed"):
        evidence.curve(unmeasured(run, "effective_sparsity").measures, "effective_sparsity")
    with pytest.raises(NotTestable, match="no measure 'test_accuracy'"):
        evidence.grokked(run.measures.drop_vars("test_accuracy"))


def test_truth_values_tell_a_seed_that_fails_from_one_that_was_not_measured() -> None:
    measures = synthetic_run(["groks", "groks", "never", "diverges"]).measures
    value = np.array([1.0, np.nan, np.nan, np.nan])
    found = evidence.truth_values(measures, value > 0, value)
    np.testing.assert_array_equal(found, [1.0, np.nan, 0.0, 0.0])
    complete = measures.assign_coords(complete=("seed", [0, 1, 1, 1]))
    np.testing.assert_array_equal(evidence.grokked(complete), [np.nan, 1.0, 0.0, 0.0])
