"""Quantization: claims on made-up runs whose exponents are known, the tail of the list, a tiny run."""

import numpy as np
import pytest
from scipy.special import zeta

from grokscope import Experiment, train
from grokscope.papers import check_paper, find_paper, made_up_run
from grokscope.papers.quantization import frequencies, order_of_frequency, quanta_exponent, sharpness, tail
from paper_tests import judged_alone

PAPER = find_paper("quantization")
CLAIMS = {claim.id: claim for claim in PAPER.claims}
RNG = np.random.default_rng(0)
SEEDS, TASKS = 6, 20
RANKS = np.arange(1, TASKS + 1)
JITTER = np.exp(0.02 * RNG.standard_normal((SEEDS, 1)))
SCATTER = np.exp(0.05 * RNG.standard_normal((SEEDS, TASKS)))  # of each subtask


def zipf(alpha=0.4):
    weights = RANKS ** -(1.0 + alpha)
    return weights / weights.sum()


def run(name, **curves):
    one = PAPER.experiment(name)
    last = one.under("quick")[0].n_steps
    steps = np.unique([0, *np.geomspace(10, last, 300).astype(int)])
    return made_up_run(one, {"train_accuracy": 0.5, **curves}, seeds=SEEDS, steps=steps, profile="quick")


def drops(steps, at, width=0.0):
    """Losses of one bit that fall to 0 at steps [seed, subtask]: over a share of the time, or at once."""
    late = steps[None, :, None] / at[:, None, :]
    return np.clip((1 + width / 2 - late) / width, 0, 1) if width else (late < 1) * 1.0


def quanta(name="online", alpha=0.4, power=1.0, scale=60.0, width=0.0, order=None):
    """Subtasks that are learned at steps in proportion to p^-power; of a sweep, with each alpha."""

    def losses(steps, **cell):
        at = scale * (zipf(cell.get("alpha", alpha)) / zipf(alpha)[0]) ** -power * SCATTER
        return drops(steps, at if order is None else at[:, order], width)

    return run(
        name, subtask_loss=losses, subtask_accuracy=lambda steps, **cell: 1 - losses(steps, **cell) / 2
    )


def cells(name, learned):
    """A sweep in which so many subtasks are learned in a cell (a function of its value), half-way.

    Of the next one a part is learned, so that losses differ between seeds.
    """

    def losses(steps, **cell):
        (value,) = cell.values()
        left = np.clip(RANKS - learned(float(str(value).strip("[]"))) * JITTER, 0, 1)
        return np.where((steps < steps[-1] / 2)[:, None], 1.0, left[:, None])

    return run(name, subtask_loss=losses)


def verdict(claim, *runs):
    return judged_alone(CLAIMS[claim], runs)


PERFECT = quanta()
SLOW = quanta(power=0.3, width=1.6)


def finite(delay):
    """The first 4 subtasks are learned; the fourth generalizes so many times later than it is fitted."""
    memory = np.full((SEEDS, TASKS), 100.0) * JITTER
    test = np.where(RANKS < 4, memory, np.where(RANKS == 4, delay * memory, np.inf))
    return run(
        "finite",
        subtask_accuracy_train=lambda steps, **cell: 1 - drops(steps, memory) / 2,
        subtask_accuracy=lambda steps, **cell: 1 - drops(steps, test) / 2,
    )


def sigmoids(power):
    """Skill strengths of the solvable model, at rates in proportion to p^power."""
    rate = 0.05 * zipf() ** power / zipf()[0] ** (power - 1)

    def accuracy(steps):
        reach = np.minimum(rate * JITTER[:, None] * steps[None, :, None], 500)
        return 0.5 + 0.5 / (1 + 99 * np.exp(-reach))

    return run("online", subtask_accuracy=accuracy)


STEEP = {  # too many subtasks for so few neurons or samples
    "width": cells("width", lambda w: 4.2 * (w / 25) ** 2),
    "data": cells("data", lambda d: 4.2 * (d / 2e4) ** 1.3),
}
EXAMPLES = [
    {"online": quanta(order=RANKS[::-1] - 1), "alpha": quanta("alpha", power=0.3)},
    {"online": SLOW, **STEEP},
    {
        "online": sigmoids(0.2),
        "finite": finite(1.2),
        "width": cells("width", lambda w: w / 6),
        "data": STEEP["data"],
    },
]


def test_the_paper_is_complete_and_every_claim_can_fail():
    check_paper(PAPER, EXAMPLES)


def test_quanta_have_the_exponents_that_are_claimed_of_them():
    """Learned at steps c / p_i, at once: order, time on frequency and the exponent of an endless list.

    Times scatter by 5 %, so that the slope of B3 has a standard error of 0.01.
    """
    for claim, value, within in (("B1", 0, 0), ("B2", 1, 0.01), ("B3", -1, 0.05), ("B9", 0, 0)):
        found = CLAIMS[claim].evidence(PERFECT.measures)
        np.testing.assert_allclose(found, value, atol=within + 1e-9, err_msg=claim)
    assert verdict("B4-tail", PERFECT).value == pytest.approx(-0.4 / 1.4, abs=0.02)
    assert verdict("B4", PERFECT).value < -0.8  # the list ends
    alphas = quanta("alpha")
    assert verdict("B8", alphas, PERFECT).value == pytest.approx(1, abs=0.1)


def test_cells_have_the_exponents_that_are_claimed_of_them():
    width, data = (
        cells("width", lambda w: w / 6),
        cells("data", lambda d: 20 * (d / 2e5) ** (1 / 1.4)),
    )
    assert verdict("B5-tail", width).value == pytest.approx(-0.4, abs=0.05)
    assert verdict("B6-tail", data).value == pytest.approx(-0.4 / 1.4, abs=0.04)
    assert verdict("B7", data, width).value == pytest.approx(0, abs=0.06)
    assert verdict("B5", width).value < -0.8


def test_the_tail_is_what_an_endless_list_would_add():
    """Against a sum of two million terms and the integral of the rest."""
    ranks = np.arange(1, 2_000_001, dtype=np.float64)
    weights = ranks**-1.4
    rest = (weights[TASKS:].sum() + 2_000_000.5**-0.4 / 0.4) / weights[:TASKS].sum()
    assert tail(PERFECT.measures, 0.4) == pytest.approx(rest, rel=1e-9)
    np.testing.assert_allclose(frequencies(PERFECT.measures, 0.4), zipf())
    # after n of an endless list: the Hurwitz zeta function
    left = zipf()[8:].sum() + rest
    assert left == pytest.approx(zeta(1.4, 9) / weights[:TASKS].sum(), rel=1e-9)


def test_the_list_itself_has_another_exponent():
    left = np.array([zipf()[n:].sum() for n in range(4, 17)])
    expected = np.polyfit(np.log(np.arange(4, 17)), np.log(left), 1)[0]
    assert quanta_exponent(PERFECT.measures) == pytest.approx(expected, rel=1e-9)
    assert verdict("B4-list", PERFECT).verdict == "fails"


def test_slow_drops_are_not_sharp_and_not_few_are_on_the_way():
    assert sharpness(SLOW.measures) == pytest.approx(0.8 * 1.6, abs=0.1)  # (1.72 - 0.44) / 1.08 of the time
    assert {verdict(claim, SLOW).verdict for claim in ("B1", "B9")} == {"fails"}


def test_subtasks_that_are_never_learned_are_last():
    at = np.where(RANKS < 5, 100.0 * RANKS, 1e9) * JITTER
    few = run("online", subtask_loss=lambda steps: drops(steps, at))
    ranked = np.where(RANKS < 5, RANKS, 12.5)  # the other sixteen are tied
    expected = np.corrcoef(RANKS, ranked)[0, 1]
    assert order_of_frequency(few.measures) == pytest.approx(expected)


@pytest.mark.parametrize(("delay", "expected"), [(1.2, "fails"), (4.0, "holds")])
def test_grokking_is_of_the_rarest_subtask_that_generalizes(delay, expected):
    found = verdict("B10", finite(delay))
    assert found.verdict == expected
    assert found.value == pytest.approx(delay, rel=0.05)


@pytest.mark.parametrize(("power", "expected"), [(1.0, "holds"), (0.2, "fails")])
def test_one_rate_is_enough_where_rates_are_in_proportion_to_frequency(power, expected):
    assert verdict("B11", sigmoids(power)).verdict == expected


@pytest.mark.parametrize("learned", [True, False])
def test_figures_are_drawn_whatever_was_learned(learned):
    never = {"subtask_loss": 1.0, "subtask_accuracy": 0.5, "subtask_accuracy_train": 0.5}
    runs = {
        "online": PERFECT if learned else run("online", **never),
        "alpha": quanta("alpha") if learned else run("alpha", **never),
        "width": cells("width", lambda w: w / 6 if learned else 0.0),
        "data": cells("data", lambda d: d / 6e3 if learned else 0.0),
        "finite": finite(2.0) if learned else run("finite", **never),
    }
    for figure in PAPER.figures:
        drawing = figure.draw(runs, "grokscope reproduce quantization")
        assert all(axis.lines for axis in drawing.axes), figure.id


def test_a_tiny_run_can_be_judged(tmp_path):
    one = PAPER.experiment("online").under("quick")[0]
    tiny = one.with_("task.n_tasks=3", "task.n=4", "task.k=1", "task.probe_per_subtask=20", "steps=60")
    tiny = tiny.with_("batch_size=50", "model.widths=[12]", "optimizer.learning_rate=0.05")
    run = train(tiny.with_("schedule.measures=['every 5 steps']"), seeds=2, out=tmp_path)
    assert isinstance(tiny, Experiment)
    losses = run.measures["subtask_loss"]
    assert losses["subtask"].values.tolist() == [1, 2, 3]
    weights = np.array(tiny.task.frequencies)
    np.testing.assert_allclose(
        (losses * weights).sum("subtask").transpose("seed", "step"),
        run.measures["subtask_mean_loss"].transpose("seed", "step"),
        rtol=1e-5,
    )
    assert losses.isel(step=-1).sel(subtask=1).max() < 0.5  # single bits are learned
    for claim in ("B1", "B2", "B9"):
        assert verdict(claim, run).value is not None
