"""Remarks on a run that follow from its experiment alone."""

from types import SimpleNamespace

import pytest

import grokscope as gs
from grokscope.optimizers import SGD
from grokscope.optimizers.rate_schedules import Constant, Linear
from grokscope.runs.remarks import remarks_on
from grokscope.starts import FromRun

STORE = SimpleNamespace(notes={}, seeds=[])


@pytest.mark.parametrize(
    ("clock", "parameters", "schedule", "remarks"),
    [
        ("zero", "all", Linear(last=0.5), 1),
        ("zero", "all", Constant(warmup=10), 1),
        ("zero", "all", Constant(), 0),
        ("zero", ("*",), Linear(last=0.5), 0),
        ("source", "all", Linear(last=0.5), 0),
    ],
)
def test_a_schedule_that_goes_on_in_a_branch_from_step_0_is_said(
    tmp_path, clock, parameters, schedule, remarks
):
    init = FromRun(run=str(tmp_path), source="ab" * 32, at=10, clock=clock, parameters=parameters)
    experiment = gs.Experiment(
        task={"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 20},
        optimizer=SGD(schedule=schedule),
        init=init,
        epochs=2,
    )
    found = remarks_on(STORE, experiment)
    assert len(found) == remarks
    assert all("goes on from the source's last update" in text for text in found)
