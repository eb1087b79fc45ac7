"""Sweeps whose cells branch from another run: each equals the branch made alone."""

import pytest

import grokscope as gs
from grokscope.starts import FromRun
from grokscope.sweeps import SweepSpec
from grokscope.training import cohort
from small_sweeps import assert_same_run, small


@pytest.mark.slow
def test_doses_are_cells_of_a_sweep(tmp_path):
    run = gs.train(small("epochs=6"), seeds=2, out=tmp_path / "run")
    init = FromRun(run=str(run.path), source=run.identity, at=5)
    boost = {"kind": "boost", "factor": 1.0, "neurons": [1, 2]}
    base = gs.Experiment(**{**dict(run.experiment), "init": init, "interventions": [boost]})
    over = ["interventions.0.factor=1.0,2.0,4.0"]
    sweep = gs.sweep(base, over=over, seeds=2, out=tmp_path / "sweep")
    compiled = cohort._program.cache_info().misses
    for place, factor in enumerate((1.0, 2.0, 4.0)):
        alone = run.branch(5, interventions=[{**boost, "factor": factor}], out=tmp_path / f"{factor}")
        assert sweep.run((place,)).identity == alone.identity
        assert_same_run(sweep.run((place,)), alone)
    assert cohort._program.cache_info().misses == compiled
    other = SweepSpec.of(base.with_("interventions.0.factor=3.0"), over)
    assert other.identity == SweepSpec.of(base, over).identity
    assert other.identity != SweepSpec.of(base.with_("interventions.0.neurons=[3]"), over).identity
