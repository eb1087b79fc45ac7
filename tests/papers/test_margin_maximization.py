"""Feature emergence via margin maximization: the theorems' numbers, claims on made-up runs, tiny runs."""

import itertools
import math

import numpy as np
import pytest

from grokscope import train
from grokscope.claims import gather
from grokscope.papers import check_paper, find_paper, made_up_run
from grokscope.papers.margin_maximization import largest_of_addition, largest_of_group, largest_of_parity
from grokscope.tasks.groups import symmetric_characters
from paper_tests import assert_decides, false_runs

PAPER = find_paper("margin-maximization")
CLAIMS = {claim.id: claim for claim in PAPER.claims}
RNG = np.random.default_rng(0)
SEEDS = 10


def run(name, **curves):
    return made_up_run(PAPER.experiment(name), curves, seeds=SEEDS, profile="quick")


def scattered(value, spread=0.002):
    """A curve [seed, step] that is flat, at another height for each seed."""
    values = value + spread * RNG.standard_normal((SEEDS, 1))
    return lambda steps, **cell: np.repeat(values, len(steps), axis=1)


# ---------------------------------------------------------------- the theorems


def test_the_largest_margins_are_those_of_the_theorems():
    assert largest_of_addition(23) == pytest.approx(0.00257956524472, abs=5e-15)
    assert largest_of_parity(4) == pytest.approx(24 * math.sqrt(2 / 3125), rel=1e-14)
    # S3 has irreps of dimension 1 and 2 besides the trivial one; S4 of 1, 2, 3 and 3
    assert largest_of_group(3) == pytest.approx(2 / (3 * math.sqrt(18) * (1 + 2**2.5)), rel=1e-14)
    assert largest_of_group(3) == pytest.approx(0.02361, abs=1e-5)
    by_hand = 2 / (3 * math.sqrt(72) * (1 + 2**2.5 + 2 * 3**2.5))
    assert largest_of_group(4) == pytest.approx(by_hand, rel=1e-14)


@pytest.mark.parametrize("n", [3, 4, 5])
def test_the_condition_of_the_theorem_on_groups(n):
    chi = symmetric_characters(n)[1:]
    sums = (chi[:, :1] ** 1.5 * chi).sum(axis=0)
    assert (sums[1:] < 0).all()  # in every class but that of the identity
    assert sums[0] > 0


def test_one_neuron_of_a_parity_cannot_do_better():
    # the mean of y w (u . x)^k over all inputs is k! w prod u_i; unit neurons, on a grid of directions
    k, best = 2, largest_of_parity(2)
    angles = np.linspace(0, np.pi / 2, 101)
    found = [
        math.sqrt(2) * math.factorial(k) * np.cos(s) * (np.sin(s) * np.cos(t)) * (np.sin(s) * np.sin(t))
        for s, t in itertools.product(angles, angles)
    ]
    assert max(found) <= best * (1 + 1e-12)
    assert max(found) == pytest.approx(best, rel=1e-3)


# ---------------------------------------------------------------- claims


def at_ratio(name, value, top):
    return run(name, normalized_margin=scattered(value * top, 0.001 * top))


ADDITION, PARITY, S3, S4, S5 = (
    largest_of_addition(23),
    largest_of_parity(4),
    largest_of_group(3),
    largest_of_group(4),
    largest_of_group(5),
)


def of_neurons(name, axis, large, small, **others):
    """A measure [seed, step, neuron]: half of the neurons are large, the others a fifth as large."""
    width = 16
    norm = np.where(np.arange(width) % 2, 1.0, 0.2)
    noise = 0.001 * RNG.standard_normal((SEEDS, 1, width))

    def curve(steps):
        return np.repeat(np.where(norm == 1.0, large, small) + noise, len(steps), axis=1)

    return run(
        name,
        **{axis: curve, "neuron_norm": lambda steps: np.tile(norm, (SEEDS, len(steps), 1)), **others},
    )


def of_power(name, value):
    shape = (SEEDS, 1, 3, 16)
    noise = 0.001 * RNG.standard_normal(shape)
    return run(
        name,
        neuron_frequency_power=lambda steps: np.repeat(value + noise, len(steps), axis=1),
        neuron_norm=lambda steps: np.ones((SEEDS, len(steps), 16)),
    )


def of_irreps(name, value, n_irreps):
    """A share of this size in the second irrep, the rest in the trivial one."""
    power = np.zeros((SEEDS, 1, 16, n_irreps))
    power[..., 1] = value + 0.001 * RNG.standard_normal((SEEDS, 1, 16))
    power[..., 0] = 1 - power[..., 1]
    return run(
        name,
        neuron_irrep_power=lambda steps: np.repeat(power, len(steps), axis=1),
        neuron_norm=lambda steps: np.ones((SEEDS, len(steps), 16)),
    )


def counted(name, measure, counts):
    """Counts on an axis; in each seed one more of the first."""
    rows = np.tile(np.asarray(counts, float), (SEEDS, 1, 1))
    rows[:, 0, 0] += np.arange(SEEDS) % 2
    return run(name, **{measure: lambda steps: np.repeat(rows, len(steps), axis=1)})


def frequencies(used):
    return counted("addition", "neurons_per_frequency", [5] * used + [0] * (11 - used))


def split(ratios, accuracies):
    """Margins over the largest one and test accuracies, by share of the table from 0.3 to 0.9."""
    at = dict(zip((0.3, 0.5, 0.7, 0.9), zip(ratios, accuracies, strict=True), strict=True))
    noise = 0.01 * RNG.standard_normal((SEEDS, 1))
    return run(
        "addition-split",
        normalized_margin=lambda s, train_fraction: np.repeat(
            (at[train_fraction][0] + noise) * ADDITION, len(s), axis=1
        ),
        test_accuracy=lambda s, train_fraction: np.full((SEEDS, len(s)), at[train_fraction][1]),
    )


THEOREM = tuple(
    at_ratio(name, 0.99, top) for name, top in (("addition", ADDITION), ("parity", PARITY), ("s3", S3))
)
# of every claim the runs by which it is judged where it is true, and where it is false
CASES = {
    "K1": ((at_ratio("addition", 0.995, ADDITION),), (at_ratio("addition", 0.9, ADDITION),)),
    "K2": (THEOREM, (*THEOREM[:2], at_ratio("s3", 1.05, S3))),
    "K3": ((of_power("addition", 0.99),), (of_power("addition", 0.7),)),
    "K4": ((frequencies(11),), (frequencies(8),)),
    "K5": (
        (run("addition", phase_alignment=scattered(0.99)),),
        (run("addition", phase_alignment=scattered(0.6)),),
    ),
    "K6": ((of_power("addition-relu", 0.9),), (of_power("addition-relu", 0.999),)),
    "K7": ((at_ratio("parity", 0.99, PARITY),), (at_ratio("parity", 0.5, PARITY),)),
    "K8": (
        (of_neurons("parity", "hidden_bit_share", 0.999, 0.999),),
        (of_neurons("parity", "hidden_bit_share", 0.999, 0.0),),
    ),
    "K8-large": (
        (of_neurons("parity", "hidden_bit_share", 0.999, 0.0),),
        (of_neurons("parity", "hidden_bit_share", 0.9, 0.999),),
    ),
    "K8-equal": (
        (of_neurons("parity", "hidden_bit_spread", 0.01, 0.01),),
        (of_neurons("parity", "hidden_bit_spread", 0.01, 0.9),),
    ),
    "K8-equal-large": (
        (of_neurons("parity", "hidden_bit_spread", 0.01, 0.9),),
        (of_neurons("parity", "hidden_bit_spread", 0.2, 0.01),),
    ),
    "K9": ((at_ratio("s3", 0.97, S3),), (at_ratio("s3", 0.5, S3),)),
    "K9-s4": ((at_ratio("s4", 0.97, S4),), (at_ratio("s4", 0.5, S4),)),
    "K9-s5": ((at_ratio("s5", 0.97, S5),), (at_ratio("s5", 0.5, S5),)),
    "K10": ((of_irreps("s3", 0.99, 3),), (of_irreps("s3", 0.7, 3),)),
    "K10-s4": ((of_irreps("s4", 0.99, 5),), (of_irreps("s4", 0.7, 5),)),
    "K10-count": (
        (counted("s3", "neurons_per_irrep", [0, 26, 4]),),
        (counted("s3", "neurons_per_irrep", [0, 5, 25]),),
    ),
    "K12": (
        (split((1.2, 0.8, 0.8, 0.9), (0.0, 0.5, 1.0, 1.0)),),
        (split((1.2, 0.8, 1.1, 0.9), (0.0, 0.5, 1.0, 1.0)),),
    ),
    "K12-memorizes": (
        (split((1.2, 0.8, 0.8, 0.9), (0.0, 0.5, 1.0, 1.0)),),
        (split((0.9, 0.8, 0.8, 0.9), (0.0, 0.5, 1.0, 1.0)),),
    ),
    "K1-waves": (
        (run("waves", normalized_margin=lambda s: np.full((SEEDS, len(s)), ADDITION)),),
        (run("waves"),),
    ),
    "K11": (
        (run("pairs", normalized_margin=lambda s: np.full((SEEDS, len(s)), 0.1 * ADDITION)),),
        (run("pairs", normalized_margin=lambda s: np.full((SEEDS, len(s)), ADDITION)),),
    ),
}


def test_every_claim_has_its_runs():
    assert CASES.keys() == CLAIMS.keys()


@pytest.mark.parametrize("claim", CASES)
def test_a_claim_holds_where_it_is_true_and_fails_where_it_is_not(claim):
    assert_decides(CLAIMS[claim], *CASES[claim])


def test_the_paper_passes_its_check():
    check_paper(PAPER, false_runs(CLAIMS, CASES))


def test_settings_are_those_that_are_printed():
    spec = PAPER.experiment("addition").experiment
    assert (spec.task.p, spec.model.widths, spec.n_steps, spec.penalty.strength) == (71, (500,), 40_000, 1e-4)
    rates = [0.05 * float(spec.optimizer.schedule(step, 40_000)) for step in (0, 999, 1000, 10_000)]
    np.testing.assert_allclose(rates, [0.05, 0.05, 0.1, 51.2])
    s3 = PAPER.experiment("s3").experiment
    assert 0.05 * float(s3.optimizer.schedule(10_000, 50_000)) == pytest.approx(1638.4)
    parity = PAPER.experiment("parity").experiment
    assert parity.interventions[0].parameters == ("hidden_bias",)  # no biases
    assert (parity.task.n, parity.task.k, parity.penalty.power, parity.n_steps) == (10, 4, 5.0, 30_000)


# ---------------------------------------------------------------- runs


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small, short run of addition, and made-up runs of the other experiments of the figures."""
    spec = PAPER.experiment("addition").experiment.with_(
        "precision='float64'",
        "task.p=5",
        "model.widths=[8]",
        "steps=4",
        "schedule.measures=['every 2 steps']",
    )
    trained = train(spec, seeds=2, out=tmp_path_factory.mktemp("margin") / "addition")
    return {"addition": trained} | {name: run(name) for name in ("addition-relu", "parity", "s3")}


def test_a_small_run_gives_evidence(small):
    measures = small["addition"].measures
    for claim in ("K1", "K3", "K4"):
        evidence = gather(CLAIMS[claim], measures)
        assert evidence.shape == (2,)
        assert np.isfinite(evidence).all()
    margins = measures["normalized_margin"].values / largest_of_addition(5)
    np.testing.assert_allclose(gather(CLAIMS["K1"], measures), margins[:, -1], rtol=1e-12)


def test_figures_are_drawn(small):
    for figure in PAPER.figures:
        assert figure.draw(small, "the command").axes


def test_given_weights_have_the_margin_by_hand(tmp_path):
    spec = PAPER.experiment("pairs").experiment.with_("task.p=5", "model.p=5")
    margin = train(spec, seeds=1, out=tmp_path / "pairs").measures["normalized_margin"].values
    np.testing.assert_allclose(margin, 1 / (50 * (33 / 16) ** 1.5), rtol=1e-12)
