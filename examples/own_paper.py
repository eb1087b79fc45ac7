"""A paper in a file of its own: more weight decay, earlier and simpler solutions (a study of one sweep).

    grokscope reproduce decay-study --plugin examples/own_paper.py --out decay

It has a sweep, an analysis (a number that numpy computes of every trained network), a claim for each, and
made-up runs on which the claims are tried. Run the file itself to check it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from grokscope.claims import Claim, Effect, Region, need
from grokscope.experiment import Experiment
from grokscope.papers import (
    Analysis,
    MadeUpRun,
    Paper,
    PaperExperiment,
    Profile,
    SweepExperiment,
    jump,
    made_up_run,
)
from grokscope.papers.evidence import part_of, steps_to
from grokscope.statistics import CensoredTimes, paired_ratios

if TYPE_CHECKING:
    import xarray as xr

LITTLE, MUCH = 0.01, 0.03  # weight decay
N_SEEDS = 12  # of made-up runs

# ---------------------------------------------------------------- analysis


def _take_ranks(run: Any, progress: Any) -> None:
    from grokscope.runs import add_measures

    def rank(run: Any, seeds: Any, step: int) -> dict[str, float]:
        """The effective rank of the hidden weights: exp of the entropy of their singular values."""
        values = np.linalg.svd(np.asarray(run.model(seeds, step).hidden_weight), compute_uv=False)
        share = values / values.sum()
        return {"effective_rank": float(np.exp(-(share * np.log(share + 1e-12)).sum()))}

    add_measures(run, ["effective_rank"], rank, progress=progress)


# ---------------------------------------------------------------- experiment

SWEEP = SweepExperiment(
    name="decays",
    sentence="Parity of 2 of 12 bits at two weight decays.",
    experiment=Experiment(
        name="decays",
        epochs=300,
        task={"kind": "sparse_parity", "n": 12, "k": 2, "n_train": 150, "n_test": 500},
        model={"kind": "fully_connected", "width": 64},
        measures=("train_accuracy", "test_accuracy"),
    ),
    profiles={
        "paper": Profile(seeds=50),
        "quick": Profile(seeds=5, overrides=("epochs=100",), reduced="100 epochs instead of 300"),
    },
    over=(f"optimizer.weight_decay={LITTLE},{MUCH}",),
    analyses=(Analysis("ranks", _take_ranks, seconds=0.01, gives=("effective_rank",)),),
)

# ---------------------------------------------------------------- claims


def speed_up(measures: xr.Dataset) -> CensoredTimes:
    """Per seed: the steps to 95 % test accuracy at little decay over those at much, as far as known."""
    slow, fast = (steps_to(part_of(measures, weight_decay=d), "test", 0.95) for d in (LITTLE, MUCH))
    return paired_ratios(slow, fast)


def fall_of_rank(measures: xr.Dataset) -> np.ndarray:
    """Per seed: how much lower the effective rank is at much decay than at little."""
    need(measures, "effective_rank")
    ranks = [part_of(measures, weight_decay=d)["effective_rank"].to_numpy()[:, -1] for d in (LITTLE, MUCH)]
    return ranks[0] - ranks[1]


class DecayStudy(Paper):
    """More weight decay: earlier and simpler solutions."""

    kind: Literal["decay-study"] = "decay-study"
    title: ClassVar[str] = "More weight decay, earlier and simpler solutions"
    authors: ClassVar[str] = "A. Author"
    year: ClassVar[int] = 2026
    bibtex: ClassVar[str] = (
        "@misc{author2026decay, title = {More weight decay}, author = {A. Author}, year = 2026}"
    )
    experiments: ClassVar[tuple[PaperExperiment, ...]] = (SWEEP,)
    claims: ClassVar[tuple[Claim, ...]] = (
        Claim(
            id="D1",
            sentence="Three times the weight decay generalizes earlier.",
            source="Figure 1",
            paper_value="earlier",
            estimand="the median over seeds of the ratio of the steps to 95 % test accuracy (censored)",
            region=Region.at_least(1.2),
            smallest_effect=Effect(0.1, "a tenth of the time"),
            kind="median",
            experiment="decays",
            evidence=speed_up,
        ),
        Claim(
            id="D2",
            sentence="It ends with hidden weights of lower rank.",
            source="Figure 2",
            paper_value="lower",
            estimand="the mean over seeds of the difference of effective ranks at the end",
            region=Region.at_least(0.5),
            smallest_effect=Effect(0.5, "half a direction of twelve"),
            kind="mean",
            experiment="decays",
            evidence=fall_of_rank,
        ),
    )


def example(much_decay_at: float, its_rank: float) -> dict[str, MadeUpRun]:
    """A made-up result: when networks with much decay generalize, and their rank."""

    def test_accuracy(steps: np.ndarray, weight_decay: float) -> np.ndarray:
        seeds = np.linspace(0.8, 1.2, N_SEEDS)
        return jump(steps, much_decay_at * seeds[::-1] if weight_decay == MUCH else 1000 * seeds)

    def effective_rank(steps: np.ndarray, weight_decay: float) -> float:
        return its_rank if weight_decay == MUCH else 10.0

    curves = {"test_accuracy": test_accuracy, "effective_rank": effective_rank}
    return {"decays": made_up_run(SWEEP, curves, seeds=N_SEEDS)}


if __name__ == "__main__":
    from grokscope.papers import check_paper

    check_paper(DecayStudy(), examples=[example(400, 6.0), example(1000, 9.9)])
    print("decay-study is a valid paper.")
