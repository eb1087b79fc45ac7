"""The two-circuits paper's claims beyond its standard run: Appendix C, and a null with random labels.

C8 and C9 say "all of it also ...": one row for the seeds that show all parts, and one for each part. Per
seed each part is meant in a wider sense than in C1-C5, since one seed must show all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grokscope.claims import Claim, Effect, Region
from grokscope.papers._claims import Evidence, mean_over_seeds, share_of_seeds
from grokscope.papers._two_circuits_evidence import (
    all_of,
    fall_of_complement,
    fall_of_loss_gap,
    fall_of_sparsity,
    groks,
    inside,
    kappa_of,
    late_grokking,
    time_of_faithfulness,
    time_of_norms,
    time_of_sparsity,
)

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["OTHER_SETTINGS", "RANDOM_LABELS"]


def _accuracy_part(m: xr.Dataset) -> np.ndarray:
    return late_grokking(m, 0.75)


def _loss_part(m: xr.Dataset) -> np.ndarray:
    return inside(fall_of_loss_gap(m), 0.25, np.inf, m)


_sparsity_part = all_of(
    lambda m: inside(fall_of_sparsity(m), 1, np.inf, m),
    lambda m: inside(time_of_sparsity(m), 0.5, 2, m),
)


def _norm_part(m: xr.Dataset) -> np.ndarray:
    return inside(time_of_norms(m, "control"), 1 / 3, 1.25, m)


_faithfulness_part = all_of(
    lambda m: inside(time_of_faithfulness(m), 0.5, 2, m),
    lambda m: inside(fall_of_complement(m), 0.1, np.inf, m),
    lambda m: inside(kappa_of(m, "control"), -0.3, 0.3, m),
)

_PARTS: tuple[tuple[str, str, Evidence], ...] = (
    (
        "grokking in accuracy",
        "memorize with held-out accuracy of at most 0.75 and grok a quarter later or more",
        _accuracy_part,
    ),
    (
        "grokking in loss",
        "lose a gap of 0.25 or more between test and training loss after memorization",
        _loss_part,
    ),
    (
        "effective sparsity falls at the same time",
        "see effective sparsity fall tenfold or more, half of it between 1/2 and 2 times the grokking step",
        _sparsity_part,
    ),
    (
        "norms part shortly before the transition",
        "see the generalizing norm exceed 1.5 times the control's between 1/3 and 5/4 of the time at which "
        "test accuracy leaves chance",
        _norm_part,
    ),
    (
        "the generalizing set takes over the output",
        "see the generalizing kappa pass 0.9 between 1/2 and 2 times the grokking step, the complement's "
        "fall by 0.1 or more from memorization to grokking, and the control's average within 0.3 of 0",
        _faithfulness_part,
    ),
)


def _all_of_it(id: str, experiment: str, setting: str, source: str) -> tuple[Claim, ...]:
    """C8 or C9: one row for the seeds that show all parts, and one for each part."""
    whole = share_of_seeds(
        id,
        f"All of it also {setting}.",
        source,
        "yes",
        f"show all of {id}.1 to {id}.{len(_PARTS)}",
        experiment,
        all_of(*(evidence for _, _, evidence in _PARTS)),
    )
    return whole, *(
        share_of_seeds(
            f"{id}.{i}", f"{name[0].upper()}{name[1:]}, {setting}.", source, "yes", what, experiment, evidence
        )
        for i, (name, what, evidence) in enumerate(_PARTS, 1)
    )


OTHER_SETTINGS = (
    *_all_of_it("C8", "small-weight-decay", "at weight decay 0.001", "App. C, Figs. 6, 7"),
    *_all_of_it("C9", "larger-parity", "with 4 hidden bits", "App. C, Figs. 8, 9"),
)

RANDOM_LABELS = (
    mean_over_seeds(
        "R1",
        "With random labels effective sparsity falls too.",
        "null, not in the paper",
        None,
        "log10 of effective sparsity up to memorization (median) over that of the last 50 epochs (median)",
        Region.at_least(0.1),
        Effect(0.1, "a fifth of the neurons"),
        fall_of_sparsity,
        "orders of magnitude",
        "random-labels",
    ),
    mean_over_seeds(
        "R2",
        "With random labels effective sparsity does not fall by as much as half an order of magnitude.",
        "null, not in the paper",
        None,
        "log10 of effective sparsity up to memorization (median) over that of the last 50 epochs (median)",
        Region.below(0.5),
        Effect(0.1, "a fifth of the neurons"),
        fall_of_sparsity,
        "orders of magnitude",
        "random-labels",
    ),
    Claim(
        id="R3",
        sentence="With random labels nothing groks.",
        source="null, not in the paper",
        paper_value=None,
        unit="",
        estimand="the share of seeds that grok",
        region=Region.at_most(0.05),
        smallest_effect=Effect(0.05, "one seed in twenty"),
        kind="share",
        experiment="random-labels",
        evidence=groks,
    ),
)
