"""Hidden progress: claims on made-up runs, figures, the published settings, a tiny run."""

import numpy as np
import pytest

from grokscope import train
from grokscope.papers import check_paper, find_paper, jump, made_up_run
from grokscope.papers.hidden_progress import learned_early, share_of_start
from paper_tests import assert_decides, false_runs, judged_alone

PAPER = find_paper("hidden-progress")
CLAIMS = {claim.id: claim for claim in PAPER.claims}
RNG = np.random.default_rng(0)
SEEDS = 40
NOISE = 0.01 * RNG.standard_normal((SEEDS, 1))


def run(name, seeds=SEEDS, others=0.5, **curves):
    one = PAPER.experiment(name)
    last = one.under("quick")[0].n_steps
    steps = np.unique([0, *np.geomspace(min(20, last), last, 200).astype(int)])
    return made_up_run(one, curves, others=others, seeds=seeds, steps=steps, profile="quick")


def learning(name, leaves=0.4, learns=0.5, **curves):
    """Test accuracy leaves chance, and is 1, at about these shares of the run (None: never)."""
    scatter = 1 + 0.02 * RNG.random(SEEDS)

    def accuracy(steps, **cell):
        first, last = (
            (1e9 if one is None else one) * scatter[:, None] * steps[-1] for one in (leaves, learns)
        )
        rise = np.clip((steps - first) / np.maximum(last - first, 1), 0, 1)
        return np.where(steps < first, 0.5, 0.56 + 0.44 * rise)

    return run(name, **{"train_accuracy": 0.5, "test_accuracy": accuracy, "test_loss": 1.0, **curves})


def grown(power, factor=1.0):
    """A curve that goes as a power of the step, another factor for each seed."""
    return lambda steps, **cell: factor * (1 + NOISE) * (steps / steps[-1])[None] ** power


def flat(value):
    return lambda steps, **cell: np.repeat(value * (1 + NOISE), len(steps), axis=1)


def moves(true, null, name, run_name="online"):
    """A run with a measure, and its null with another; the plateau ends within the null."""
    ends = {"online": (0.15, 0.2), "large-batch": (0.3, 0.4)}[run_name]
    return learning(run_name, *ends, **{name: true}), learning(
        f"{run_name}-coins", None, None, **{name: null}
    )


def leading(at, order=0.9):
    """Hidden bits lead from a share of the run on; the loss falls at 0.4 of it."""
    early = lambda steps: jump(steps, 0.4 * (1 + 0.02 * RNG.random(SEEDS)) * steps[-1], 1.0, 0.2)  # noqa: E731
    return learning(
        "online",
        0.5,
        0.6,
        test_loss=early,
        weight_movement_hidden=lambda steps: jump(steps, at * steps[-1], 0.5, 2.0),
        weight_movement_others=1.0,
        relevant_order=flat(order),
    )


def times(name, draws):
    """Networks that learn at these steps."""
    accuracy = lambda steps: jump(steps, np.asarray(draws))  # noqa: E731
    return run(name, len(draws), None, train_accuracy=0.5, test_accuracy=accuracy)


def spread(of_start, of_order):
    """Six orders for each of 20 starts: log-normal times with these deviations."""
    log = of_start * RNG.normal(size=(20, 1)) + of_order * RNG.normal(size=(20, 6))
    made = times("crossed", 5000 * np.exp(log).ravel())
    labels = {"init_seed": np.repeat(np.arange(20), 6), "order_seed": np.tile(np.arange(6), 20)}
    crossed = made.measures.assign_coords({name: ("seed", values) for name, values in labels.items()})
    made.measures = crossed.set_index(seed=list(labels)).unstack("seed")
    return made


def by_cell(name, axis, law):
    """A sweep whose members learn at a step that depends on the cell."""

    def accuracy(steps, **cell):
        return jump(steps, law(cell[axis]) * np.exp(0.05 * RNG.normal(size=SEEDS)))

    return run(name, train_accuracy=0.5, test_accuracy=accuracy)


def finite(gap, hidden=2.0, best=None, output=1.0):
    """Steps of 99 % test over those of 99 % training accuracy in every cell."""
    scatter = 1 + 0.01 * RNG.random(SEEDS)
    return run(
        "finite",
        train_accuracy=lambda steps, n_train: jump(steps, 2000 * scatter),
        test_accuracy=best or (lambda steps, n_train: jump(steps, gap * 2000 * scatter)),
        weight_movement_hidden_rms=flat(hidden),
        weight_movement_others_rms=1.0,
        parity_coefficient=output,
    )


def by_decay(worst_fits):
    groks = {0.001: np.inf, 0.003: 25_000, 0.01: 15_000, 0.03: 8_000, 0.1: np.inf}
    return run(
        "decay",
        train_accuracy=lambda steps, weight_decay: jump(
            steps, np.full(SEEDS, np.inf if weight_decay == 0.1 and not worst_fits else 1000)
        ),
        test_accuracy=lambda steps, weight_decay: jump(steps, np.full(SEEDS, groks[weight_decay])),
    )


def gaps(begin, half):
    """The Fourier gap until the plateau's middle, and from there on."""
    at = lambda steps, init: np.where(steps < 0.15 * steps[-1], begin, half) * (1 + NOISE)  # noqa: E731
    return learning("sine", 0.4, 0.5, fourier_gap=at)


def drops(name, share):
    """t(0.6) is a share short of t(0.9)."""

    def accuracy(steps):
        late = (0.5 + 0.02 * RNG.random((SEEDS, 1))) * steps[-1]
        return np.where(steps >= late, 0.95, np.where(steps >= (1 - share) * late, 0.7, 0.5))

    return run(name, train_accuracy=0.5, test_accuracy=accuracy)


RMS, OTHERS = "weight_movement_hidden_rms", "weight_movement_others_rms"
NULL_OF_FINITE = run(
    "finite-coins",
    train_accuracy=0.5,
    test_accuracy=0.5,
    parity_coefficient=0.0,
    **{RMS: flat(1.0), OTHERS: 1.0},
)


def rms(hidden):
    curves = {RMS: flat(hidden), OTHERS: 1.0}
    return learning("online", 0.15, 0.2, **curves), learning(
        "online-coins", None, None, **{RMS: 1.0, OTHERS: 1.0}
    )


# of every claim the runs by which it is judged where it is true, and where it is false
CASES = {
    "H1": ((drops("online", 0.1),), (drops("online", 0.5),)),
    "H1-polynet": ((drops("polynet", 0.1),), (drops("polynet", 0.5),)),
    "H2": (
        (learning("online", weight_movement_hidden=grown(0.5)),),
        (learning("online", weight_movement_hidden=grown(5)),),
    ),
    "H3": (moves(flat(2), 1.0, "weight_movement"), moves(flat(1), 1.0, "weight_movement")),
    "H3-rms": (rms(1.5), rms(1.0)),
    "H3-late": (moves(flat(2), 1.0, "weight_movement"), moves(flat(1), 1.0, "weight_movement")),
    "H3-direction": (
        moves(flat(0.2), 0.01, "movement_alignment"),
        moves(flat(0.01), 0.01, "movement_alignment"),
    ),
    "H3-output": (moves(flat(2e-4), 0.0, "parity_coefficient"), moves(flat(1e-6), 0.0, "parity_coefficient")),
    "H2-output": (
        (learning("online", parity_coefficient=grown(2)),),
        (learning("online", parity_coefficient=grown(0.2)),),
    ),
    "H3-batch": (
        moves(flat(2), 1.0, "weight_movement", "large-batch"),
        moves(flat(1), 1.0, "weight_movement", "large-batch"),
    ),
    "H3-batch-direction": (
        moves(flat(0.8), 0.01, "movement_alignment", "large-batch"),
        moves(flat(0.1), 0.01, "movement_alignment", "large-batch"),
    ),
    "H4": ((leading(0.38),), (leading(0.6),)),
    "H4-neurons": ((leading(0.3),), (leading(0.3, order=0.05),)),
    "H5": (
        (times("luck", RNG.normal(2000, 200, size=1000)),),
        (times("luck", RNG.exponential(2000, size=1000)),),
    ),
    "H5-half": (
        (times("luck", RNG.normal(2000, 200, size=1000)),),
        (times("luck", RNG.exponential(2000, size=1000)),),
    ),
    "H6": ((spread(0.5, 0.1),), (spread(0.1, 0.5),)),
    "H6-small-batch": ((spread(0.5, 0.1),), (spread(0.1, 0.5),)),
    "H7": ((by_cell("width", "width", lambda w: 2000),), (by_cell("width", "width", lambda w: 2e5 / w),)),
    "H7-narrow": (
        (by_cell("width", "width", lambda w: 6000 * w**-0.4),),
        (by_cell("width", "width", lambda w: 2000),),
    ),
    "H8": (
        (by_cell("scaling", "task_n", lambda n: 20 * n**1.4),),
        (by_cell("scaling", "task_n", lambda n: 1000 * n**0.3),),
    ),
    "H8-bend": (
        (by_cell("scaling", "task_n", lambda n: 20 * n * max(1, n / 45)),),
        (by_cell("scaling", "task_n", lambda n: 20 * n),),
    ),
    "H9-10000": ((finite(1.05),), (finite(3),)),
    "H9-1800": ((finite(2),), (finite(1.0),)),
    "H9-1000": ((finite(20),), (finite(3),)),
    "H9-1000-groks": ((finite(20),), (finite(20, best=flat(0.9)),)),
    "H9-700": ((finite(20, best=flat(0.51)),), (finite(20, best=flat(0.9)),)),
    "H10": ((by_decay(worst_fits=False),), (by_decay(worst_fits=True),)),
    **{
        claim: (
            (learning("power", 0.1, 0.5), learning("power-relu", 0.4, 0.5)),
            (learning("power", 0.4, 0.5), learning("power-relu", 0.4, 0.5)),
        )
        for claim in ("H11", "H11-100")
    },
    "H11-steps": (
        (learning("power", 0.1, 0.5), learning("power-relu", 0.4, 0.5)),
        (learning("power", 0.8, 0.9), learning("power-relu", 0.05, 0.1)),
    ),
    "H12": (
        (run("noise", train_accuracy=0.5, test_accuracy=1.0),),
        (run("noise", train_accuracy=0.5, test_accuracy=flat(0.7)),),
    ),
    **{f"H13-{init}": ((gaps(0.01, 0.02),), (gaps(-0.01, 0.02),)) for init in ("torch", "kaiming", "sign")},
    **{
        f"H13-{init}-grows": ((gaps(0.01, 0.02),), (gaps(0.01, 0.005),))
        for init in ("torch", "kaiming", "sign")
    },
    "H14": ((run("majority", fourier_gap=0.004),), (run("majority", fourier_gap=1e-5),)),
    "H15": ((finite(8, hidden=2.0), NULL_OF_FINITE), (finite(8, hidden=1.0), NULL_OF_FINITE)),
    "H15-output": (
        (finite(8, output=flat(2e-3)), NULL_OF_FINITE),
        (finite(8, output=flat(1e-5)), NULL_OF_FINITE),
    ),
    "H15-grows": ((finite(8, output=grown(1)),), (finite(8, output=grown(0.01)),)),
}


def verdict(claim_id, runs):
    return judged_alone(CLAIMS[claim_id], runs)


def test_every_claim_has_its_cases():
    assert set(CASES) == set(CLAIMS)


@pytest.mark.parametrize("claim_id", CASES)
def test_a_claim_holds_where_it_is_true_and_fails_where_it_is_false(claim_id):
    assert_decides(CLAIMS[claim_id], *CASES[claim_id])


def test_numbers_are_those_that_were_put_in():
    assert verdict("H3", CASES["H3"][0]).value == pytest.approx(2, rel=0.02)
    assert verdict("H3-output", CASES["H3-output"][0]).value == pytest.approx(2, rel=0.02)
    assert verdict("H8", CASES["H8"][0]).value == pytest.approx(1.4, abs=0.03)
    assert verdict("H8-bend", CASES["H8-bend"][0]).value == pytest.approx(1.0, abs=0.1)
    assert verdict("H9-1000", CASES["H9-1000"][0]).value == pytest.approx(20, rel=0.1)
    assert verdict("H1", CASES["H1"][0]).value == pytest.approx(0.1, abs=0.05)


def test_a_random_search_has_the_shares_that_the_claims_name():
    """Geometric times below a fifth and a half of their median: 1 - 2^(-1/5) and 1 - 2^(-1/2)."""
    made = times("luck", RNG.geometric(1 / 2000, size=4000)).measures
    for share in (0.2, 0.5):
        assert learned_early(made, share).mean() == pytest.approx(1 - 2**-share, abs=0.025)


def test_the_share_of_the_start_is_the_intraclass_correlation():
    """Of 20 starts with six orders; the sum of squares by hand."""
    made = spread(0.4, 0.2).measures
    accuracy = made["test_accuracy"].transpose("init_seed", "order_seed", "step").to_numpy()
    log = np.log(made["step"].to_numpy()[np.argmax(accuracy >= 1, axis=-1)])
    within = ((log - log.mean(axis=1, keepdims=True)) ** 2).sum() / (20 * 5)
    between = (6 * (log.mean(axis=1) - log.mean()) ** 2).sum() / 19
    icc = (between - within) / (between + 5 * within)
    assert share_of_start(made).mean() == pytest.approx(icc, abs=0.03)


def test_the_paper_passes_the_conformance_suite():
    check_paper(PAPER, examples=false_runs(CLAIMS, CASES))


def test_the_printed_settings():
    spec, _ = PAPER.experiment("online").under("paper")
    assert (spec.task.n, spec.task.k, spec.task.n_test, spec.model.width, spec.batch_size) == (
        50,
        3,
        8192,
        100,
        32,
    )
    assert (spec.loss.kind, spec.optimizer.kind, spec.optimizer.learning_rate) == ("hinge", "sgd", 0.1)
    assert spec.online
    assert spec.optimizer.weight_decay == 0
    crossed, _ = PAPER.experiment("crossed").under("paper")
    assert (crossed.batch_size, crossed.optimizer.learning_rate) == (128, 0.01)
    assert len(PAPER.experiment("crossed").members("2")) == 12


@pytest.mark.slow
def test_figures_are_drawn(tmp_path):
    """Of made-up runs; the run with crossed streams and the sine neurons are trained, so that axes are "
    "real."""
    tiny = ("steps=4", "task.n=6", "task.n_test=16", "schedule.measures=['every 2 steps']")
    runs = {name: CASES[claim][0][0] for name, claim in (("luck", "H5"), ("scaling", "H8"), ("width", "H7"))}
    runs |= {"finite": CASES["H9-1000"][0][0], "decay": CASES["H10"][0][0], "noise": CASES["H12"][0][0]}
    runs["sine"] = CASES["H13-sign"][0][0]
    for name in ("online", "online-coins", "large-batch", "large-batch-coins", "polynet"):
        runs[name] = learning(name)
    for name in ("crossed", "crossed-small-batch"):
        one = PAPER.experiment(name)
        runs[name] = train(one.experiment.with_(*tiny), seeds=one.members("2"), out=tmp_path / name)
        assert {"init_seed", "order_seed"} <= set(runs[name].measures.dims)
    for figure in PAPER.figures:
        drawing = figure.draw(runs, "grokscope reproduce hidden-progress")
        assert any(axis.lines or axis.patches for axis in drawing.axes), figure.id


def test_a_tiny_run_moves_as_it_says(tmp_path):
    """The measures of `online`, in the loop and by hand from the networks."""
    one = PAPER.experiment("online").experiment
    tiny = one.with_("steps=6", "task.n=8", "task.n_test=16", "model.width=4", "schedule.measures=['ends']")
    trained = train(tiny, seeds=1, out=tmp_path / "run")
    before, after = trained.networks([0, 6], [0])["hidden_weight"].reshape(2, 8, 4)
    last = trained.measures.isel(seed=0, step=-1)
    moved = np.abs(after - before)
    assert float(last.weight_movement) == pytest.approx(moved.max(), rel=1e-4)
    assert float(last.weight_movement_hidden) == pytest.approx(moved[:3].max(), rel=1e-4)
    assert float(last.weight_movement_others_rms) == pytest.approx((moved[3:] ** 2).mean() ** 0.5, rel=1e-4)
