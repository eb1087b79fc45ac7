"""Outcomes of members and their summary, on made-up curves with known events."""

import itertools

import numpy as np
import pytest

from grokscope.statistics import clopper_pearson
from grokscope.sweeps import PHASES
from small_sweeps import made_up

STEPS = [*range(0, 3001, 100)]
SEEDS = 8
NEVER = 10**9


def fate(settings, seed):
    """(memorization step, grokking step, divergence step) of a member."""
    decay = settings["optimizer.weight_decay"]
    if decay == 0.0:
        return 200, NEVER, -1  # memorization
    if decay == 0.1:
        return 200, 1500 + 100 * seed, -1  # grokking, at 1500 ... 2200
    if decay == 0.2:
        return 300, 900, -1  # comprehension: 600 steps later
    if decay == 0.3:
        return NEVER, NEVER, -1  # confusion
    # half of them diverge at 900, one after it has grokked
    return 200, (1500 if seed < 4 else NEVER), (2000 if seed == 0 else 900 if seed >= 4 else -1)


def curves(settings, seed):
    memorized, grokked, diverged = fate(settings, seed)
    steps = np.array(STEPS)
    lost = (steps >= diverged) & (diverged >= 0)
    train = np.where(steps >= memorized, 1.0, 0.6)
    test = np.where(steps >= grokked, 0.99, 0.5)
    sparsity = np.linspace(100, 10 + seed, len(steps))
    return {
        "train_accuracy": np.where(lost, np.nan, train).tolist(),
        "test_accuracy": np.where(lost, np.nan, test).tolist(),
        "effective_sparsity": sparsity.tolist(),
        "diverged": diverged,
    }


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    over = ("optimizer.weight_decay=0.0,0.1,0.2,0.3,0.4",)
    return made_up(tmp_path_factory.mktemp("fates"), over, SEEDS, STEPS, curves)


def test_event_times_match_the_curves(sweep):
    outcomes = sweep.outcomes
    for decay, seed in itertools.product(outcomes.weight_decay.values, range(SEEDS)):
        one = outcomes.sel(weight_decay=decay, seed=seed)
        memorized, grokked, diverged = fate({"optimizer.weight_decay": decay}, seed)
        assert one.memorization_upper == (memorized if memorized < NEVER else np.inf)
        if grokked < NEVER:
            assert (one.grokking_lower, one.grokking_upper) == (grokked - 100, grokked)
            assert (one.delay_lower, one.delay_upper) == (
                grokked - 100 - memorized,
                grokked - memorized + 100,
            )
        else:
            assert one.grokking_upper == np.inf
        assert one.diverged == (diverged if diverged >= 0 else np.inf)


def test_phases(sweep):
    names = [[PHASES[int(code)] for code in row] for row in sweep.outcomes.phase.values]
    assert names[:4] == [
        ["memorization"] * SEEDS,
        ["grokking"] * SEEDS,
        ["comprehension"] * SEEDS,
        ["confusion"] * SEEDS,
    ]
    assert names[4] == ["grokking"] * 4 + ["diverged"] * 4
    summary = sweep.statistics
    assert [PHASES[int(code)] for code in summary.phase.values[:4]] == [
        "memorization",
        "grokking",
        "comprehension",
        "confusion",
    ]
    assert summary.phase_share.values.tolist() == [1, 1, 1, 1, 0.5]


def test_final_values_are_the_last_that_were_measured(sweep):
    outcomes = sweep.outcomes
    np.testing.assert_allclose(outcomes.final_effective_sparsity.sel(weight_decay=0.1), 10 + np.arange(SEEDS))
    # a member that diverged ends where it was lost
    assert outcomes.final_test_accuracy.sel(weight_decay=0.4).values.tolist() == pytest.approx(
        [0.99] * 4 + [0.5] * 4
    )


def test_summaries_are_the_statistics_of_the_cells(sweep):
    summary = sweep.statistics
    assert summary.n.values.tolist() == [SEEDS] * 5
    assert summary.share_grokked.values.tolist() == [0, 1, 1, 0, 0.5]
    assert summary.share_diverged.values.tolist() == [0, 0, 0, 0, 5 / 8]
    # grokking is seen at 1500, 1600, ..., 2200: half of the seeds have it by 1800
    assert summary.grokking_step.sel(weight_decay=0.1) == 1800
    assert summary.memorization_step.sel(weight_decay=0.2) == 300
    # divergence competes: of eight, four grok by 1500 and four never will
    assert summary.grokking_step.sel(weight_decay=0.4) == 1500
    assert summary.grokking_step.sel(weight_decay=0.0) == np.inf
    assert summary.final_effective_sparsity.sel(weight_decay=0.1) == pytest.approx(13.5)
    assert (summary.final_test_accuracy_high <= 1).all()
    for place in range(5):
        low, high = summary.share_grokked_low[place].item(), summary.share_grokked_high[place].item()
        exact = clopper_pearson(round(summary.share_grokked[place].item() * SEEDS), SEEDS)
        assert abs(low - exact.low) < 0.1  # Wilson's interval is close to the exact one
        assert abs(high - exact.high) < 0.1


def test_times_of_a_cell(sweep):
    times = sweep.times("grokking", weight_decay=0.1)
    assert times.upper.tolist() == [1500 + 100 * seed for seed in range(SEEDS)]
    assert sweep.times("delay", weight_decay=0.0).observed.sum() == 0


def test_outcomes_without_their_measure_are_absent(tmp_path):
    def only_test(settings, seed):
        return {"test_accuracy": [0.5] * 3}

    sweep = made_up(tmp_path, ("optimizer.weight_decay=0.1,0.2",), 2, [0, 3, 6], only_test)
    assert "phase" not in sweep.outcomes
    assert "share_memorized" not in sweep.statistics
    assert sweep.statistics.share_grokked.values.tolist() == [0, 0]
