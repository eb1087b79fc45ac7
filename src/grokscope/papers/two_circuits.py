r"""A Tale of Two Circuits: Grokking as Competition of Sparse and Dense Subnetworks (arXiv 2303.11873).

A one-hidden-layer network learns the parity of 3 hidden bits among 40. It first fits its 1,000 samples with
nearly all of its 1,000 neurons, at chance on other inputs (memorization). Much later a handful of neurons
grow fast in norm and take over the output, and held-out accuracy jumps to 100 % (grokking). The rest decay.

Here: the experiments, the claims, the figures, in this order. `_two_circuits_elsewhere` spells out the
claims beyond the standard run, `_two_circuits_operators` has Figure 4 (modular arithmetic),
`_two_circuits_evidence` has what each claim is judged by. Throughout,
memorization is the step from which on train_accuracy > 0.98 at 5 measured points in a row, grokking the same
for test_accuracy; both are interval-censored by the schedule and right-censored at the end. A seed that
diverges does not do what is claimed. Regions are fixed on seeds 0-4 and confirmed on seeds 100-199.

The paper picks its generalizing neurons by the outcome (the active subnetwork of the last epoch), so where
their curves end holds by construction. Claims C4, C5 and C7 are therefore judged by what does not: when the
curves part, relative to when held-out accuracy moves; agreement beyond chance (kappa) instead of agreement;
and a control matched in norm besides the random one.
"""

from __future__ import annotations

from typing import Literal

from grokscope.claims import Claim, Effect, Region
from grokscope.experiment import Experiment
from grokscope.losses import Hinge
from grokscope.models.fully_connected import FullyConnected
from grokscope.optimizers import SGD
from grokscope.papers._claims import mean_over_seeds, share_of_seeds
from grokscope.papers._paper import Figure, Paper, PaperExperiment, Profile
from grokscope.papers._two_circuits_elsewhere import OTHER_SETTINGS, RANDOM_LABELS
from grokscope.papers._two_circuits_evidence import (
    delay_in_epochs,
    fall_of_complement,
    fall_of_loss_gap,
    fall_of_sparsity,
    is_six_or_eight,
    kappa_of,
    late_grokking,
    norm_ratio,
    rise_and_die,
    share_at_zero,
    sleep_and_explode,
    time_of_faithfulness,
    time_of_norms,
    time_of_sparsity,
)
from grokscope.papers._two_circuits_operators import (
    OPERATOR_CLAIMS,
    OPERATOR_EXPERIMENTS,
    OPERATOR_FIGURES,
)
from grokscope.papers.figures import beside_null, neurons_of, sensitivity_of, subnetworks_of, training_of
from grokscope.tasks.sparse_parity import SparseParity

__all__ = ["TwoCircuits"]

# ---------------------------------------------------------------- experiments (Section 3.1, Appendix C)

_STANDARD = Experiment(
    name="standard",
    epochs=300,
    batch_size=32,
    task=SparseParity(n=40, k=3, n_train=1000, n_test=100),
    model=FullyConnected(width=1000),
    loss=Hinge(),
    optimizer=SGD(learning_rate=0.1, weight_decay=0.01),
)
_COARSE = ("schedule.measures=['every 5 epochs', 'log']", "schedule.follow='every 5 epochs'")
_PROFILES = {"paper": Profile(seeds=5), "quick": Profile(seeds=3, overrides=_COARSE)}

_EXPERIMENTS = (
    PaperExperiment(
        "standard",
        "Parity of 3 of 40 bits, 1,000 samples, 1,000 neurons, SGD with weight decay 0.01 (Figures 2, 3, 5).",
        _STANDARD,
        _PROFILES,
    ),
    PaperExperiment(
        "small-weight-decay",
        "The same at weight decay 0.001; it groks some ten times later (Figures 6 and 7).",
        _STANDARD.with_(
            "name='small-weight-decay'",
            "epochs=2500",
            "optimizer.weight_decay=0.001",
            "schedule.measures=['every 10 epochs', 'log']",
            "schedule.follow='every 10 epochs'",
        ),
        {
            "paper": Profile(seeds=5),
            "quick": Profile(
                seeds=2,
                overrides=(
                    "schedule.measures=['every 25 epochs', 'log']",
                    "schedule.follow='every 25 epochs'",
                ),
            ),
        },
    ),
    PaperExperiment(
        "larger-parity",
        "The same with 4 hidden bits (Figures 8 and 9).",
        _STANDARD.with_(
            "name='larger-parity'",
            "epochs=800",
            "task.k=4",
            "schedule.measures=['every 2 epochs', 'log']",
            "schedule.follow='every 4 epochs'",
        ),
        {"paper": Profile(seeds=5), "quick": Profile(seeds=2, overrides=_COARSE)},
    ),
    PaperExperiment(
        "random-labels",
        "A null that is not in the paper: the standard run with coin flips for labels.",
        _STANDARD.with_("name='random-labels'", "task.labels='random'"),
        _PROFILES,
    ),
    *OPERATOR_EXPERIMENTS,  # Appendix A
)

# ---------------------------------------------------------------- claims

_FACTOR = Region.between(2 / 3, 1.5)

_CLAIMS = (
    share_of_seeds(
        "C1a",
        "Training accuracy is near 100 % well before test accuracy leaves 50 %.",
        "Fig. 2 left",
        "yes",
        "have held-out accuracy (10,000 inputs) of at most 0.65 at memorization, and grok a quarter later or "
        "more",
        "standard",
        lambda m: late_grokking(m, 0.65),
    ),
    Claim(
        id="C1b",
        sentence="The delay from memorization to grokking is long.",
        source="Fig. 2 left",
        paper_value=None,
        unit="epochs",
        estimand="the median over seeds that memorize of the epochs from memorization to grokking (censored)",
        region=Region.at_least(30),
        smallest_effect=Effect(10, "a thirtieth of the training"),
        kind="median",
        experiment="standard",
        evidence=delay_in_epochs,
    ),
    mean_over_seeds(
        "C2",
        "Grokking shows in the loss too: test loss stays high after training loss has fallen, then follows.",
        "Fig. 2 middle",
        "yes",
        "test minus training loss at memorization, less the same at the end (median of the last 50 epochs)",
        Region.at_least(0.5),
        Effect(0.1, "a tenth of the initial loss"),
        fall_of_loss_gap,
    ),
    mean_over_seeds(
        "C3a",
        "Effective sparsity, measured on training data alone, falls by orders of magnitude.",
        "Fig. 2 right",
        "about 1000 to below 10",
        "log10 of effective sparsity up to memorization (median) over that of the last 50 epochs (median)",
        Region.at_least(1.0),
        Effect(0.3, "a factor of two"),
        fall_of_sparsity,
        "orders of magnitude",
    ),
    mean_over_seeds(
        "C3b",
        "It falls at the same time as test accuracy rises.",
        "Fig. 2 right",
        "yes",
        "the step at which effective sparsity passes the geometric middle of both levels, over the grokking "
        "step",
        _FACTOR,
        Effect(0.2, "a fifth of the time to grokking"),
        time_of_sparsity,
    ),
    mean_over_seeds(
        "C4a",
        "Generalizing and random control neurons have like norms well before the transition.",
        "Fig. 3 left",
        "yes",
        "the generalizing set's mean norm over the random control's, half-way to where test accuracy leaves "
        "chance",
        Region.between(0.75, 4 / 3),
        Effect(1 / 3, "a third of the norm"),
        lambda m: norm_ratio(m, "control"),
    ),
    mean_over_seeds(
        "C4b",
        "The same against a control matched in norm (not in the paper).",
        "Fig. 3 left",
        None,
        "the generalizing set's mean norm over the norm-matched control's, half-way to where test accuracy "
        "leaves chance",
        Region.between(0.75, 4 / 3),
        Effect(1 / 3, "a third of the norm"),
        lambda m: norm_ratio(m, "norm_matched"),
    ),
    mean_over_seeds(
        "C4c",
        "Slightly before the transition the generalizing set's norm begins to grow away from the control's.",
        "Fig. 3 left",
        "slightly before",
        "the step at which the generalizing norm exceeds 1.5 times the random control's, over the step at "
        "which test accuracy leaves chance",
        Region.between(0.5, 1.0),
        Effect(0.1, "a tenth of the time to the transition"),
        lambda m: time_of_norms(m, "control"),
    ),
    mean_over_seeds(
        "C5a",
        "The generalizing set becomes fully faithful at the transition.",
        "Fig. 3 right",
        "yes",
        "the step at which the generalizing set's agreement beyond chance (kappa, test set) passes 0.9, over "
        "the grokking step",
        _FACTOR,
        Effect(0.2, "a fifth of the time to grokking"),
        time_of_faithfulness,
    ),
    mean_over_seeds(
        "C5b",
        "The complementary set loses faithfulness at the transition.",
        "Fig. 3 right",
        "yes",
        "the complementary set's kappa (test set) at memorization, less that at grokking",
        Region.at_least(0.25),
        Effect(0.1, "a tenth of full agreement"),
        fall_of_complement,
    ),
    mean_over_seeds(
        "C5c",
        "A random control stays at chance throughout.",
        "Fig. 3 right",
        0.0,
        "the random control's kappa (test set), averaged over the run",
        Region.between(-0.2, 0.2),
        Effect(0.2, "slight agreement"),
        lambda m: kappa_of(m, "control"),
    ),
    mean_over_seeds(
        "C5d",
        "So does a control matched in norm (not in the paper).",
        "Fig. 3 right",
        None,
        "the norm-matched control's kappa (test set), averaged over the run",
        Region.between(-0.2, 0.2),
        Effect(0.2, "slight agreement"),
        lambda m: kappa_of(m, "norm_matched"),
    ),
    share_of_seeds(
        "C6a",
        "The sparse subnetwork ends with 6 or 8 neurons: at the final epoch.",
        "Sec. 3.3",
        "6, 6, 6, 8, 8",
        "have an effective sparsity of 6 or 8 at the final epoch",
        "standard",
        lambda m: is_six_or_eight(m, "final"),
    ),
    share_of_seeds(
        "C6b",
        "The sparse subnetwork ends with 6 or 8 neurons: in the median of the last 50 epochs.",
        "Sec. 3.3",
        "6, 6, 6, 8, 8",
        "have a median effective sparsity of 6 or 8 over the last 50 epochs",
        "standard",
        lambda m: is_six_or_eight(m, "last 50"),
    ),
    mean_over_seeds(
        "C7a",
        "Most neurons end at zero.",
        "Fig. 5",
        "yes",
        "the share of neurons whose final norm is below a tenth of their initial norm",
        Region.at_least(0.9),
        Effect(0.05, "one neuron in twenty"),
        share_at_zero,
    ),
    share_of_seeds(
        "C7b",
        "Some neurons grow a little during memorization, then die.",
        "Fig. 5",
        "yes",
        "have 6 neurons or more that grow by 5 % at some time before grokking and end below a tenth of their "
        "initial norm",
        "standard",
        rise_and_die,
    ),
    share_of_seeds(
        "C7c",
        "The generalizing neurons sleep, then explode.",
        "Fig. 5",
        "yes",
        "have a generalizing norm within 10 % of its least value so far half-way to where test accuracy "
        "leaves chance, that ends at twice its least value or more",
        "standard",
        sleep_and_explode,
    ),
    *OTHER_SETTINGS,  # C8, C9: Appendix C
    *OPERATOR_CLAIMS,  # C13: Appendix A
    *RANDOM_LABELS,  # R1-R3: not in the paper
)

# ---------------------------------------------------------------- figures


def _both(first: int, experiment: str, setting: str) -> tuple[Figure, Figure]:
    """The paper's pair of figures for one experiment: training, and subnetworks."""
    return (
        Figure(
            f"figure-{first}",
            f"Figure {first}: accuracy, loss and effective sparsity{setting}.",
            training_of(experiment),
            (experiment,),
        ),
        Figure(
            f"figure-{first + 1}",
            f"Figure {first + 1}: norm and faithfulness of subnetworks{setting}.",
            subnetworks_of(experiment),
            (experiment,),
        ),
    )


_FIGURES = (
    *_both(2, "standard", ""),
    *OPERATOR_FIGURES,
    Figure(
        "figure-5", "Figure 5: norms of single neurons over training.", neurons_of("standard"), ("standard",)
    ),
    *_both(6, "small-weight-decay", " at weight decay 0.001"),
    *_both(8, "larger-parity", " with 4 hidden bits"),
    Figure(
        "sensitivity",
        "Sensitivity of the subnetworks (measured in the official code, not shown in the paper).",
        sensitivity_of("standard"),
        ("standard",),
    ),
    Figure(
        "random-labels",
        "True labels beside random ones: effective sparsity falls for both (not in the paper).",
        beside_null("standard", "random-labels"),
        ("standard", "random-labels"),
    ),
)


class TwoCircuits(Paper):
    """Merrill, Tsilivis, Shukla 2023: grokking as competition of a sparse and a dense subnetwork."""

    kind: Literal["two-circuits"] = "two-circuits"
    title = "A Tale of Two Circuits: Grokking as Competition of Sparse and Dense Subnetworks"
    authors = "William Merrill, Nikolaos Tsilivis, Aman Shukla"
    year = 2023
    arxiv = "2303.11873"
    bibtex = """@misc{merrill2023two,
  title = {A Tale of Two Circuits: Grokking as Competition of Sparse and Dense Subnetworks},
  author = {William Merrill and Nikolaos Tsilivis and Aman Shukla},
  year = {2023},
  eprint = {2303.11873},
  archivePrefix = {arXiv}
}"""
    experiments = _EXPERIMENTS
    claims = _CLAIMS
    figures = _FIGURES
