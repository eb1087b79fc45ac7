"""Points and segments."""

import numpy as np
import pytest

from grokscope.experiment import Experiment
from grokscope.training.timeline import Timeline


def timeline(**schedule):
    return Timeline.of(Experiment(task="sparse_parity", epochs=20, schedule=schedule))


def test_the_points_are_the_union_with_flags():
    line = timeline(measures="every 5 epochs", slow_measures=[7], follow="ends", snapshots=[320])
    assert line.steps.tolist() == [0, 7, 160, 320, 480, 640]
    assert line.steps[line.quick].tolist() == [0, 160, 320, 480, 640]
    assert line.steps[line.slow].tolist() == [0, 7, 640]
    assert line.steps[line.follow].tolist() == [0, 640]
    assert line.steps[line.snapshot].tolist() == [0, 320, 640]


@pytest.mark.parametrize("size", [1, 4, 21, 64])
def test_segments_cover_every_point_once_and_join(size):
    line = timeline()
    seen, start = [], 0
    for rows, plan in line.segments(0, size):
        count = rows.stop - rows.start
        assert plan.stop.shape == (size,)
        assert plan.start == start
        assert (plan.stop[count:] == plan.stop[count - 1]).all()
        assert not plan.quick[count:].any()
        assert not plan.slow[count:].any()
        seen.extend(plan.stop[:count].tolist())
        start = plan.stop[count - 1]
    assert seen == line.steps.tolist()


def test_after_leaves_out_what_is_done():
    line = timeline().after(320)
    assert line.steps[0] == 352
    (rows, plan), *_ = line.segments(320, 8)
    assert rows == slice(0, 8)
    assert plan.start == 320


def test_unmeasured_segments_have_no_flags():
    for _, plan in timeline().segments(0, 8, measured=False):
        assert not plan.quick.any()
        assert not np.asarray(plan.slow).any()
