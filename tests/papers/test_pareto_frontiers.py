"""Paper pareto-frontiers: every claim on made-up runs where it is true and false; its evidence by hand."""

import itertools

import numpy as np
import pytest
from scipy.special import ndtr

from grokscope.papers import check_paper, find_paper, jump, made_up_run
from grokscope.papers.pareto_frontiers import drop_of_share, luck_decides, more_succeed, solved
from grokscope.statistics import success_frontier
from paper_tests import assert_decides, false_runs, judged_alone

PAPER = find_paper("pareto-frontiers")
CLAIMS = {claim.id: claim for claim in PAPER.claims}
SEEDS = 30


def run(name, seeds=SEEDS, **curves):
    one = PAPER.experiment(name)
    steps = np.arange(0, one.under("quick")[0].n_steps + 1, 250)
    return made_up_run(one, curves, others=0.5, seeds=seeds, steps=steps, profile="quick")


def by_luck(name, share, seeds=SEEDS, at=0.5, train=0.1, draw=0, **more):
    """A sweep in which a share of the seeds, given the cell, learns at a part of the run (given the cell)."""
    rng = np.random.default_rng(draw)

    def test(steps, **cell):
        wins = rng.random(seeds) < share(**cell)
        when = (at(**cell) if callable(at) else at) * steps[-1] * np.exp(0.05 * rng.normal(size=seeds))
        return jump(steps, np.where(wins, when, np.inf))

    def trained(steps, **cell):
        return jump(steps, np.full(seeds, train * steps[-1]))

    return run(name, seeds, train_accuracy=trained, test_accuracy=test, **more)


def frontier(name, m_50, slope, steep=4.0, draw=0):
    """Success by a probit of width and samples: m_50 at width 100, and its exponent in the width."""
    return by_luck(
        name,
        lambda width, n_train=1000: ndtr(steep * (np.log(n_train / m_50) - slope * np.log(width / 100))),
        draw=draw,
    )


def one_axis(name, shares):
    return by_luck(name, lambda **cell: shares.get(int(next(iter(cell.values()))), 0.5))


def orders(name, share):
    """Twenty starts with two orders each."""
    made = by_luck(name, lambda: share, seeds=40)
    labels = {"init_seed": np.repeat(np.arange(20), 2), "order_seed": np.tile(np.arange(2), 20)}
    crossed = made.measures.assign_coords({key: ("seed", values) for key, values in labels.items()})
    made.measures = crossed.set_index(seed=list(labels)).unstack("seed")
    return made


def lucky(strength):
    """Numbers of lucky neurons, and times that fall with them."""
    rng = np.random.default_rng(1)
    number = rng.integers(0, 3, size=SEEDS)
    share = np.zeros((SEEDS, 16))
    for row, count in zip(share, number, strict=True):
        row[:count] = 1
        row[count : count + 10] = 0.5  # one of two inputs is hidden

    def test(steps):
        return jump(steps, 8000 * np.exp(-strength * number + 0.1 * rng.normal(size=SEEDS)))

    bits = lambda steps: np.repeat(share[:, None], len(steps), axis=1)  # noqa: E731
    return run("luck", train_accuracy=1.0, test_accuracy=test, hidden_bit_share=bits)


def delayed(ratio):
    return by_luck("grid", lambda **cell: 1.0, at=0.1 * ratio, train=0.1)


FALLING = one_axis(
    "dense-m", {900: 0.1, 1000: 0.9, 1100: 0.9, 1200: 0.2, 1300: 0.6, 1400: 1, 1500: 1, 1700: 1}
)
RISING = one_axis(
    "dense-m", {900: 0, 1000: 0.1, 1100: 0.2, 1200: 0.4, 1300: 0.5, 1400: 0.7, 1500: 0.8, 1700: 0.97}
)
BEST_TWO = one_axis("sparsity", {1: 0.2, 2: 1, 3: 0.9, 5: 0.5, 10: 0.4, 50: 0.2})
BEST_FIVE = one_axis("sparsity", {1: 0.2, 2: 0.3, 3: 0.5, 5: 1, 10: 0.9, 50: 0.9})
WIDE_HELPS, WIDE_HURTS = frontier("grid", 1500, -0.2), frontier("grid", 1500, 0.2)
SPARSE = frontier("grid-sparse", 900, -0.2)
CASES = {
    "P1": ((WIDE_HELPS,), (WIDE_HURTS,)),
    "P1-sparse": ((SPARSE,), (frontier("grid-sparse", 1500, 0.2),)),
    "P1-mean-field": (
        (frontier("grid-mean-field", 1000, -0.2),),
        (by_luck("grid-mean-field", lambda width: {10: 0.9, 100: 0.4, 1000: 0.1}[width]),),
    ),
    "P2": ((WIDE_HELPS,), (by_luck("grid", lambda width, n_train: 0.5),)),
    "P3": ((WIDE_HELPS,), (WIDE_HURTS,)),
    "P4": ((WIDE_HELPS,), (frontier("grid", 3000, 0.0),)),
    "P5": (
        (by_luck("grid", lambda **cell: 1.0, at=lambda width, n_train: 300 / n_train),),
        (by_luck("grid", lambda **cell: 1.0),),
    ),
    "P6": (
        (BEST_TWO, one_axis("dense-m", {1000: 0.2})),
        (BEST_FIVE, one_axis("dense-m", {1000: 0.9})),
    ),
    "P6-wide": ((SPARSE, WIDE_HELPS), (frontier("grid-sparse", 1500, -0.2, draw=1), WIDE_HELPS)),
    "P6-narrow": ((frontier("grid-sparse", 1900, -0.2, draw=1), WIDE_HELPS), (SPARSE, WIDE_HELPS)),
    "P6-samples": ((SPARSE, WIDE_HELPS), (frontier("grid-sparse", 1900, -0.2), WIDE_HELPS)),
    "P6-two": ((BEST_TWO,), (BEST_FIVE,)),
    "P6-norm": ((BEST_TWO,), (BEST_FIVE,)),
    "P7": ((FALLING,), (RISING,)),
    "P8": ((orders("tickets", 0.95),), (orders("tickets", 0.2),)),
    "P8-fresh": (
        (by_luck("fresh-five", lambda: 0.05, seeds=40),),
        (by_luck("fresh-five", lambda: 0.6, seeds=40),),
    ),
    "P9": ((lucky(0.2),), (lucky(-0.2),)),
    "P10": (
        (orders("tickets", 0.95), orders("tickets-random", 0.2)),
        (orders("tickets", 0.2), orders("tickets-random", 0.6)),
    ),
    "P10-start": (
        (orders("tickets-start", 0.95), orders("tickets-random", 0.2)),
        (orders("tickets-start", 0.2), orders("tickets-random", 0.6)),
    ),
    "P11": ((delayed(8),), (delayed(1.5),)),
    "P11-many": ((delayed(1.1),), (delayed(8),)),
}


def verdict(claim_id, runs):
    return judged_alone(CLAIMS[claim_id], runs)


def test_every_claim_has_its_cases():
    assert set(CASES) == set(CLAIMS)


@pytest.mark.parametrize("claim_id", CASES)
def test_a_claim_holds_where_it_is_true_and_fails_where_it_is_false(claim_id):
    assert_decides(CLAIMS[claim_id], *CASES[claim_id])


def test_numbers_are_those_that_were_put_in():
    assert verdict("P3", CASES["P3"][0]).value == pytest.approx(-0.2, abs=0.06)
    at_1000 = 1500 * 10**-0.2
    assert verdict("P4", CASES["P4"][0]).value == pytest.approx(at_1000 / 50**3, rel=0.15)
    assert verdict("P6-samples", CASES["P6-samples"][0]).value == pytest.approx(900 / 1500, rel=0.15)
    assert verdict("P5", CASES["P5"][0]).value == pytest.approx(-1, abs=0.1)


def test_pairs_of_cells_are_counted_by_hand():
    wins = solved(WIDE_HELPS.measures, "width", "n_train")
    found = more_succeed(WIDE_HELPS.measures, "width", "n_train")
    for seed in (0, 7):
        one = wins[:, :, seed]
        steps = [one[b, j] - one[a, j] for a, b in itertools.combinations(range(5), 2) for j in range(4)]
        assert found[seed] == pytest.approx(steps.count(1) / (steps.count(1) + steps.count(-1)))


def test_a_drop_that_chance_makes_is_none():
    """Equal shares in all cells: the largest of 28 drops is not 0, but the drop by the other seeds is."""
    flat = by_luck("dense-m", lambda **cell: 0.5, seeds=200).measures
    assert abs(drop_of_share(flat).mean()) < 3 * 0.71 / 200**0.5
    shares = solved(flat, "n_train").mean(axis=1)
    assert max(a - b for a, b in itertools.combinations(shares, 2)) > 0.03
    assert drop_of_share(FALLING.measures).mean() == pytest.approx(0.7, abs=0.2)


def test_luck_counts_pairs_as_harrell_does():
    made = lucky(0.3).measures
    number = np.array([(row == 1).sum() for row in made["hidden_bit_share"].isel(step=0).to_numpy()])
    accuracy = made["test_accuracy"].transpose("seed", "step").to_numpy()
    times = made["step"].to_numpy()[np.argmax(accuracy >= 1, axis=1)].astype(float)
    times[~(accuracy >= 1).any(axis=1)] = np.inf
    pairs = [
        number[i] > number[j]
        for i, j in itertools.permutations(range(SEEDS), 2)
        if times[i] < times[j] and number[i] != number[j]
    ]
    assert luck_decides(made).mean() == pytest.approx(np.mean(pairs), abs=0.02)


def test_the_frontier_in_the_figure_is_that_of_the_cells():
    wins = solved(WIDE_HELPS.measures, "width", "n_train")[2].sum(axis=1)
    found = success_frontier([700, 1000, 1500, 3000], wins, [SEEDS] * 4)
    assert found.low < 1500 < found.high


def test_the_paper_passes_the_conformance_suite():
    check_paper(PAPER, examples=false_runs(CLAIMS, CASES))


def test_the_printed_settings():
    spec, seeds = PAPER.experiment("grid").under("paper")
    assert (spec.task.k, spec.optimizer.weight_decay, spec.n_steps, seeds) == (3, 0.01, 100_000, 50)
    ticket, _ = PAPER.experiment("tickets").under("paper")
    assert (ticket.task.n, ticket.task.k, ticket.model.width, ticket.model.active_inputs) == (50, 5, 100, 2)
    assert (ticket.optimizer.learning_rate, ticket.batch_size, ticket.online) == (0.1, 32, True)
    assert len(PAPER.experiment("tickets").members("2")) == 4


def test_figures_are_drawn():
    runs = {"grid": WIDE_HELPS, "grid-sparse": SPARSE, "dense-m": FALLING, "sparsity": BEST_TWO}
    runs |= {"luck": lucky(1.0), "fresh-five": CASES["P8-fresh"][0][0]}
    runs |= {"tickets-full": by_luck("tickets-full", lambda: 1.0, seeds=4)}
    runs |= {name: orders(name, 0.5) for name in ("tickets", "tickets-random", "tickets-start")}
    for figure in PAPER.figures:
        drawing = figure.draw(runs, "grokscope reproduce pareto-frontiers")
        assert any(axis.lines or axis.images for axis in drawing.axes), figure.id
