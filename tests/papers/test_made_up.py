"""Made-up runs: the curves that were asked for, over the axes of the experiment."""

import numpy as np
import pytest
import xarray as xr

from grokscope import Experiment
from grokscope.claims import Claim, Effect, Region, gather, judge
from grokscope.errors import InputError
from grokscope.papers import ContestExperiment, ContestProfile, SweepExperiment, jump, made_up_run
from grokscope.papers.evidence import grokking_times, times_in
from grokscope.sweeps import Contender

BASE = Experiment(task={"kind": "sparse_parity", "n": 10, "k": 2, "n_train": 100}, epochs=50)
SWEEP = SweepExperiment("decays", "Decays.", BASE, over=("optimizer.weight_decay=0.0,0.1",))
FRESH = ContestProfile(seeds="100:105")
CONTEST = ContestExperiment(
    "race",
    "Rates.",
    BASE,
    {"paper": FRESH, "quick": FRESH},
    contenders=(
        Contender("slow", ("optimizer.learning_rate=0.01,0.02",)),
        Contender("fast", ("optimizer.learning_rate=0.1,0.2",)),
    ),
)


def test_events_are_where_they_were_put():
    run = made_up_run(
        BASE,
        {
            "train_accuracy": lambda steps: jump(steps, 40),
            "test_accuracy": lambda steps: jump(steps, [80, np.inf, 120]),
        },
        seeds=3,
        steps=range(0, 201, 10),
    )
    times = grokking_times(run.measures)
    assert times.upper.tolist() == [80, np.inf, 120]
    assert run.measures["epoch"].values[-1] == 200 / BASE.steps_per_epoch


def test_the_scatter_is_that_of_the_values_in_every_process():
    """Two functions that give the same values are told apart by their addresses only."""
    first, second, other = (
        made_up_run(SWEEP, {"excess": curve}, others=None).measures["excess"].values
        for curve in (lambda steps, **_: 2.0, lambda steps, **_: 2.0, lambda steps, **_: 3.0)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first / 2, other / 3, rtol=1e-9, atol=0)
    np.testing.assert_allclose(first / 2, other / 3, rtol=1e-4)


def test_own_measures_and_own_axes():
    curve = np.arange(60.0)
    labeled = xr.DataArray(np.ones((4, 2)), dims=("seed", "mode"))
    run = made_up_run(
        BASE,
        {"excess": curve, "path_norm": 2.0, "size": np.eye(4, 60), "modes": labeled},
        seeds=4,
        others=None,
    )
    assert set(run.measures.data_vars) == {"excess", "path_norm", "size", "modes"}
    np.testing.assert_allclose(run.measures["excess"], np.tile(curve, (4, 1)), rtol=1e-5)
    assert len(np.unique(run.measures["excess"][:, -1])) == 4  # a mean over seeds has an interval
    np.testing.assert_array_equal(run.measures["size"], np.eye(4, 60))
    assert run.measures["path_norm"].dims == ("seed", "step", "neuron")
    np.testing.assert_allclose(run.measures["path_norm"], 2.0, rtol=1e-4)
    assert run.measures["modes"].dims == ("seed", "mode")


def test_curves_of_a_sweep_depend_on_the_cell():
    run = made_up_run(
        SWEEP, {"test_accuracy": lambda steps, weight_decay: jump(steps, 100 if weight_decay else np.inf)}
    )
    assert run.measures["test_accuracy"].dims == ("weight_decay", "seed", "step")
    assert np.isfinite(times_in(run.measures, "grokking", weight_decay=0.1).upper).all()
    assert np.isinf(times_in(run.measures, "grokking", weight_decay=0.0).upper).all()
    assert float(run.measures["train_accuracy"].max()) == 0.5  # all others


def test_curves_of_a_contest_depend_on_the_contender():
    run = made_up_run(CONTEST, {"train_loss": lambda steps, contender: 1.0 if contender == "fast" else 2.0})
    assert run.measures["train_loss"].dims == ("contender", "seed", "step")
    np.testing.assert_allclose(run.measures["train_loss"].sel(contender="fast"), 1.0, rtol=1e-4)
    np.testing.assert_allclose(run.measures["train_loss"].sel(contender="slow"), 2.0, rtol=1e-4)


@pytest.mark.parametrize(
    ("curve", "shape"),
    [(np.ones(7), r"\(1, 7\)"), (np.ones((3, 60)), r"\(3, 60\)"), (np.ones((1, 1, 1)), "1, 1")],
)
def test_other_shapes_are_refused(curve, shape):
    with pytest.raises(InputError, match=rf"^made-up size: a curve is a number or an array .*{shape}"):
        made_up_run(BASE, {"size": curve}, seeds=5)


def test_a_claim_on_a_made_up_run():
    claim = Claim(
        id="A",
        sentence="It shrinks.",
        source="Table 1",
        paper_value="yes",
        estimand="the mean size at the end",
        region=Region.at_most(2.0),
        smallest_effect=Effect(0.5, "half a gate"),
        kind="mean",
        experiment="main",
        evidence=lambda measures: measures["size"][:, -1],
    )
    for size, verdict in ((1.0, "holds"), (3.0, "fails")):
        measures = made_up_run(BASE, {"size": size}).measures
        assert judge([(claim, gather(claim, measures))])[0].verdict == verdict


def test_ratios_of_two_runs_have_a_spread() -> None:
    experiment = Experiment(task={"kind": "sparse_parity", "n": 10, "k": 2}, epochs=30)
    one, two = (
        made_up_run(experiment, {"weight_norm": value}).measures["weight_norm"].to_numpy()[:, -1]
        for value in (1.0, 2.0)
    )
    assert np.std(one / two) > 0
