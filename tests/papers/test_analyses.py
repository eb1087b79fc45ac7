"""Analyses of the experiments of a paper: on runs, on every cell of a sweep, on the runs of a contest."""

from dataclasses import replace

import numpy as np
import pytest

import grokscope as gs
from grokscope.errors import InputError
from grokscope.papers import (
    Analysis,
    ContestExperiment,
    ContestProfile,
    Job,
    Profile,
    RunExperiment,
    SweepExperiment,
)
from grokscope.papers.two_circuits_beyond import standard
from grokscope.progress import SilentProgress
from grokscope.runs import add_measures, verify
from grokscope.sweeps import Contender, verify_sweep
from grokscope.training.rates import Rates

SMALL = gs.Experiment(
    task={"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 16, "n_test": 10, "n_probe": 10},
    model={"kind": "fully_connected", "width": 8},
    epochs=2,
    measures=("train_accuracy", "test_accuracy"),
)
SEEN = []


def largest(run, seeds, step):
    SEEN.append((run.path.name, seeds.init, step))
    return {"largest_weight": float(np.abs(run.model(seeds, step).hidden_weight).max())}


def take(run, progress):
    add_measures(run, ["largest_weight"], largest, progress=progress)


def take_twice(run, progress):
    """The same by other code."""
    add_measures(run, ["largest_weight"], largest, step=-1, progress=progress)


LARGEST = Analysis("largest weight", take, seconds=2.0, gives=("largest_weight",))
PROFILES = {"paper": Profile(seeds=2), "quick": Profile(seeds=2)}


@pytest.fixture(autouse=True)
def nothing_seen():
    SEEN.clear()


def executed(one, folder, seeds=2):
    job = Job(one.experiment, "paper", seeds, folder / one.name)
    rates = Rates("cpu", cores=2, large=220.0, at_shape=158.0, free=1.0, seconds=0.0)
    return one.execute(job, SilentProgress(), rates=rates)


@pytest.mark.slow
def test_an_analysis_of_a_run_is_kept_and_not_taken_again(tmp_path):
    one = RunExperiment("one", "One.", SMALL, PROFILES, analyses=(LARGEST,))
    run = executed(one, tmp_path)
    found = run.measures["largest_weight"]
    for seed in range(2):
        weights = np.abs(run.model(seed).hidden_weight).max()
        assert found.sel(seed=seed, step=run.experiment.n_steps).item() == pytest.approx(weights)
    assert len(SEEN) == 2
    more = executed(one, tmp_path, seeds=3)
    assert len(SEEN) == 3  # only of the new seed
    assert np.isfinite(more.measures["largest_weight"].sel(step=run.experiment.n_steps)).all()
    assert verify(more.path) == []


@pytest.mark.slow
def test_an_analysis_of_a_sweep_is_kept_in_every_cell(tmp_path):
    one = SweepExperiment(
        "sweep", "Several.", SMALL, PROFILES, over=("model.init_scale=0.5,2.0",), analyses=(LARGEST,)
    )
    sweep = executed(one, tmp_path)
    found = sweep.measures["largest_weight"].isel(step=-1)
    assert found.dims == ("init_scale", "seed")
    assert (found.sel(init_scale=2.0) > found.sel(init_scale=0.5)).all()
    assert sweep.cell(init_scale=2.0).measures["largest_weight"][0, -1].item() == found[1, 0].item()
    assert len(SEEN) == 4
    executed(one, tmp_path)
    assert len(SEEN) == 4
    assert verify_sweep(sweep.path) == []
    assert one.remarks(sweep) == []
    changed = replace(one, analyses=(replace(LARGEST, take=take_twice),))
    assert [remark for remark in changed.remarks(sweep) if "largest_weight: other code" in remark]
    executed(changed, tmp_path)  # in every cell
    assert len(SEEN) == 8


@pytest.mark.slow
def test_an_analysis_of_a_contest_is_kept_in_the_runs_on_fresh_seeds(tmp_path):
    contenders = (
        Contender("small", ("optimizer.learning_rate=0.1,0.2",), ("model.init_scale=0.5",)),
        Contender("large", ("optimizer.learning_rate=0.1,0.2",), ("model.init_scale=2.0",)),
    )
    profile = ContestProfile(seeds="100:102", tuning=1)
    one = ContestExperiment(
        "race",
        "Two.",
        SMALL,
        {"paper": profile, "quick": profile},
        contenders=contenders,
        analyses=(LARGEST,),
    )
    contest = executed(one, tmp_path, seeds="100:102")
    found = contest.measures["largest_weight"].isel(step=-1)
    assert (found.sel(contender="large") > found.sel(contender="small")).all()
    assert sorted({(name, seed) for name, seed, _ in SEEN}) == [
        (name, seed) for name in ("large", "small") for seed in (100, 101)
    ]


def test_plans_count_the_seconds_of_analyses():
    rates = Rates("cpu", cores=2, large=220.0, at_shape=158.0, free=1.0, seconds=0.0)
    for one in (
        RunExperiment("one", "One.", SMALL, PROFILES),
        SweepExperiment("sweep", "Several.", SMALL, PROFILES, over=("model.init_scale=0.5,2.0",)),
    ):
        plain, more = (kind.cost("paper", None, rates) for kind in (one, replace(one, analyses=(LARGEST,))))
        assert more.seconds - plain.seconds == pytest.approx(2.0 * plain.members / 2)


def test_the_measures_that_an_experiment_takes():
    one = RunExperiment("one", "One.", SMALL, PROFILES, analyses=(LARGEST,))
    assert one.measures_taken("paper") == {"train_accuracy", "test_accuracy", "largest_weight"}


def test_numbers_that_are_not_computed_or_not_there_are_named(tmp_path):
    run = gs.train(SMALL, seeds=1, out=tmp_path / "run")
    with pytest.raises(
        InputError, match=r"^smallest: is not among the computed numbers \(largest_weight\)\.$"
    ):
        add_measures(run, ["smallest"], largest)
    with pytest.raises(InputError, match=r"^x: no member of .* has reached step 99\.$"):
        add_measures(run, ["x"], largest, step=99)


def test_analyses_of_the_package_give_what_they_say():
    from grokscope.circuits import counting, foresight
    from grokscope.circuits.verification import over_training

    assert standard.GATES.gives == counting.MEASURES
    assert standard.PROOFS_AT_THE_END.gives == over_training.MEASURES
    gives = {one.name: one.gives for one in standard.STANDARD_RUN.analyses}
    assert gives["foresight"] == foresight.MEASURES
    assert gives["proofs over training"] == over_training.MEASURES
