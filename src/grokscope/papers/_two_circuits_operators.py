"""Figure 4 of the two-circuits paper (Appendix A, claim C13): addition and division mod p, and two controls.

Before it groks addition, a network is already right on about half of the held-out pairs: those (a, b) whose
mirror (b, a) it was trained on. Division does not commute, and stays near chance. That this is the reason is
not tested in the paper. Here it is, three times: subtraction, which is like addition but for commutativity;
addition split by unordered pairs, so that no mirror is ever trained on; and the accuracy on held-out pairs
with and without a mirror, apart.

Under ``quick`` the table is smaller (p = 31 instead of 97, and 60 % of it instead of half, which is what it
takes to grok so small a table), the network has one layer instead of two and half the width, batches are
full (small ones keep so small a network from fitting its pairs for good), and updates are fewer. Optimizer,
weight decay and architecture are the published ones. What is claimed is a relation of two numbers of one run,
accuracy on the plateau and share of mirrors, which both profiles have; that the plateau ends in grokking is
claimed of the run that was made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from grokscope.claims import Claim, Effect, Region
from grokscope.experiment import Experiment
from grokscope.losses import CrossEntropy
from grokscope.models.transformer import PowerTransformer
from grokscope.optimizers import AdamW, Constant
from grokscope.papers._claims import mean_over_seeds
from grokscope.papers._operators_evidence import (
    difference_on_plateau,
    mean_on_plateau,
    plateau,
    plateau_over_mirrors,
)
from grokscope.papers._paper import Figure, PaperExperiment, Profile, RunLike
from grokscope.papers._two_circuits_evidence import groks
from grokscope.papers.figures import Draw
from grokscope.tasks.modular_operator import ModularOperator

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

__all__ = ["OPERATOR_CLAIMS", "OPERATOR_EXPERIMENTS", "OPERATOR_FIGURES"]

GROUP = "binary-operators"
_MEASURES = (
    "train_accuracy",
    "test_accuracy",
    "train_loss",
    "test_loss",
    "mirror_share",
    "test_accuracy_mirrored",
    "test_accuracy_unmirrored",
    "weight_norm",
)
_ADDITION = Experiment(
    name="addition",
    steps=100_000,
    batch_size=512,
    task=ModularOperator(operator="addition", p=97, train_fraction=0.5),
    model=PowerTransformer(),
    loss=CrossEntropy(),
    optimizer=AdamW(learning_rate=1e-3, weight_decay=1.0, beta2=0.98, schedule=Constant(warmup=10)),
    measures=_MEASURES,
).with_("schedule.measures=['every 100 steps']", "schedule.slow_measures='ends'", "schedule.follow='ends'")

_SMALLER = (
    "batch_size='full'",
    "task.p=31",
    "task.train_fraction=0.6",
    "model.layers=1",
    "model.width=64",
    "model.mlp_width=256",
    "schedule.measures=['every 50 steps']",
)


def _experiment(name: str, sentence: str, quick_steps: int, *overrides: str) -> PaperExperiment:
    quick = Profile(seeds=4, overrides=(f"steps={quick_steps}", *_SMALLER))
    return PaperExperiment(
        name,
        sentence,
        _ADDITION.with_(f"name='{name}'", *overrides),
        {"paper": Profile(seeds=3), "quick": quick},
        group=GROUP,
        default=False,
    )


OPERATOR_EXPERIMENTS = (
    _experiment(
        "addition",
        "Addition mod 97, half of the table, with the transformer of Power et al. (Figure 4).",
        25_000,
    ),
    _experiment("division", "Division mod 97, likewise (Figure 4).", 4_000, "task.operator='division'"),
    _experiment(
        "subtraction",
        "A control that is not in the paper: subtraction, which does not commute.",
        4_000,
        "task.operator='subtraction'",
    ),
    _experiment(
        "addition-unordered",
        "A control that is not in the paper: addition with (a, b) and (b, a) always on the same side.",
        4_000,
        "task.pairs='unordered'",
    ),
)

_PLATEAU = (
    "test accuracy on the plateau (median from memorization to where accuracy on held-out pairs without a "
    "mirror in the training set exceeds 0.25)"
)
_SOURCE = "Fig. 4, App. A"

OPERATOR_CLAIMS = (
    mean_over_seeds(
        "C13a",
        "On addition the network is above chance before it groks, as much as commutativity explains.",
        _SOURCE,
        "yes",
        f"{_PLATEAU}, over the share of held-out pairs whose mirror is in the training set",
        Region.between(0.75, 1.1),
        Effect(0.1, "a tenth of the pairs that a mirror explains"),
        plateau_over_mirrors,
        experiment="addition",
    ),
    mean_over_seeds(
        "C13b",
        "On division it is near 0 before it groks.",
        _SOURCE,
        "near 0",
        _PLATEAU,
        Region.at_most(0.1),
        Effect(0.05, "one held-out pair in twenty"),
        plateau,
        experiment="division",
    ),
    Claim(
        id="C13c",
        sentence="Addition is grokked after all.",
        source=_SOURCE,
        paper_value="yes",
        unit="",
        estimand="the share of seeds that grok",
        region=Region.at_least(0.8),
        smallest_effect=Effect(0.1, "one seed in ten behaves otherwise"),
        kind="share",
        experiment="addition",
        evidence=groks,
    ),
    mean_over_seeds(
        "C13d",
        "What it is right on before it groks addition are the pairs with a mirror (not in the paper).",
        _SOURCE,
        None,
        "accuracy on held-out pairs with a mirror in the training set less that on those without, both as "
        "medians over the plateau",
        Region.at_least(0.7),
        Effect(0.1, "a tenth of the pairs"),
        difference_on_plateau,
        experiment="addition",
    ),
    mean_over_seeds(
        "C13e",
        "On subtraction, which is addition without commutativity, it is near 0 too (not in the paper).",
        _SOURCE,
        None,
        _PLATEAU,
        Region.at_most(0.1),
        Effect(0.05, "one held-out pair in twenty"),
        plateau,
        experiment="subtraction",
    ),
    mean_over_seeds(
        "C13f",
        "Addition split by unordered pairs leaves it near 0 (not in the paper).",
        _SOURCE,
        None,
        _PLATEAU.replace("median", "mean"),
        Region.at_most(0.1),
        Effect(0.05, "one held-out pair in twenty"),
        mean_on_plateau,
        experiment="addition-unordered",
    ),
)


def _panels(titles: Mapping[str, str], *, by_mirror: bool = False) -> Draw:
    """A panel for each of these experiments."""

    def draw(runs: Mapping[str, RunLike], command: str) -> Drawing:
        from grokscope.plots.operators import operators_figure

        chosen = {title: runs[name].measures for name, title in titles.items()}
        return operators_figure(chosen, command, by_mirror=by_mirror)

    return draw


_PUBLISHED = {"addition": "Addition", "division": "Division"}
_CONTROLS = {
    "addition": "Addition, by sort of pair",
    "subtraction": "Subtraction",
    "addition-unordered": "Addition, unordered split",
}

OPERATOR_FIGURES = (
    Figure(
        "figure-4",
        "Figure 4: addition and division mod p; the dashed line is what commutativity explains.",
        _panels(_PUBLISHED),
        tuple(_PUBLISHED),
    ),
    Figure(
        "figure-4-controls",
        "Controls of Figure 4: pairs with and without a mirror, subtraction, and addition split by unordered "
        "pairs (not in the paper).",
        _panels(_CONTROLS, by_mirror=True),
        tuple(_CONTROLS),
    ),
)
