"""A transformer on a binary operator as a run: axes whose labels are numbers, in the store and out of it."""

from __future__ import annotations

import numpy as np
import pytest

import grokscope as gs
from grokscope.cli import main
from grokscope.papers.progress_measures import ProgressMeasures
from grokscope.runs import verify


@pytest.mark.slow
def test_what_is_measured_by_frequency_is_read_back(tmp_path, capsys):
    (mainline,) = (one for one in ProgressMeasures.experiments if one.name == "mainline")
    experiment = mainline.experiment.with_(
        "task.p=5",
        "steps=4",
        "model.width=8",
        "model.heads=2",
        "model.mlp_width=10",
        "schedule.measures=['every 2 steps']",
        "schedule.slow_measures=['every 2 steps']",
        "schedule.follow=['every 2 steps']",
    )
    gs.train(experiment, seeds=2, out=tmp_path / "run")
    run = gs.open_run(tmp_path / "run")
    measures = run.measures.load()
    by_frequency = [name for name in measures if "frequency" in measures[name].dims]
    assert by_frequency
    assert measures["frequency"].to_numpy().tolist() == [1, 2]  # of 5: 1 .. (p - 1) / 2
    for name in by_frequency:
        assert np.isfinite(measures[name].to_numpy()).all(), name
    assert {"restricted_loss", "excluded_loss"} <= set(measures)
    assert verify(run.path) == []
    assert main(["show", str(run.path)]) == 0
    assert "excluded_loss" in capsys.readouterr().out
