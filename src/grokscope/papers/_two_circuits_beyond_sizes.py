"""N1, N7 and C10-C12: how many gates there are at the end, of what norm, and how few suffice.

A gate is what the active neurons say of the hidden bits, neurons that say the same counted once
(`grokscope.circuits.count_gates`); a network "has 4 gates" here only if the network of 4 neurons that is made
of them is proved right on all 2^40 inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from grokscope.claims import Claim, Effect, NotTestable, Region
from grokscope.papers._claims import Evidence, share_of_seeds
from grokscope.papers._two_circuits_beyond_evidence import Cohort

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["NORM_CLAIMS", "PROPOSITION_CLAIMS", "RUNS_BY_BITS", "SIZE_CLAIMS", "gates_of"]

_KS = (2, 3, 4, 5)
_ONE_IN_TEN = Effect(0.1, "one seed in ten")


# ---------------------------------------------------------------- N1: sizes at convergence


def gates_of(measures: xr.Dataset) -> np.ndarray:
    """Gates of each member that groks, at the end; NaN for those that do not."""
    cohort = Cohort(measures)
    return np.where(cohort.grokking.observed, cohort.last("gates"), np.nan)


def _has(*sizes: int) -> Evidence:
    """Whether a seed ends with one of these numbers of gates; one that does not grok does not."""

    def evidence(measures: xr.Dataset) -> np.ndarray:
        cohort = Cohort(measures)
        gates = cohort.last("gates")
        return np.where(np.isnan(gates), np.nan, np.isin(gates, sizes) & cohort.grokking.observed)

    return evidence


def proved_four(measures: xr.Dataset) -> np.ndarray:
    """Whether a seed ends with four gates whose network of four neurons is proved right everywhere."""
    cohort = Cohort(measures)
    gates, proved = cohort.last("gates"), cohort.last("merged_proved")
    return np.where(np.isnan(gates), np.nan, (gates == 4) & (proved == 1))


def _sizes(id: str, experiment: str, when: str) -> tuple[Claim, ...]:
    return (
        share_of_seeds(
            f"{id}a",
            f"The circuit ends with 6 or 8 gates, duplicates merged: {when}.",
            "Sec. 3.3; issue N1",
            "6, 6, 6, 8, 8",
            "end with 6 or 8 gates",
            experiment,
            _has(6, 8),
        ),
        Claim(
            id=f"{id}b",
            sentence=f"It ends with 4, 6, 7 or 8 gates: {when}.",
            source="issue N1",
            paper_value=None,
            unit="",
            estimand="the share of seeds that end with 4, 6, 7 or 8 gates",
            region=Region.at_least(0.8),
            smallest_effect=_ONE_IN_TEN,
            kind="share",
            experiment=experiment,
            evidence=_has(4, 6, 7, 8),
        ),
        Claim(
            id=f"{id}c",
            sentence=f"SGD finds 4, and the 4 neurons are proved: {when}.",
            source="Prop. 3; issue N1",
            paper_value="no",
            unit="",
            estimand="the share of seeds that end with 4 gates whose merged network is proved on all 2^40 inputs",
            region=Region.between(0.02, 0.25),
            smallest_effect=Effect(0.02, "one seed in fifty"),
            kind="share",
            experiment=experiment,
            evidence=proved_four,
        ),
    )


SIZE_CLAIMS = (
    *_sizes("N1-constant-", "standard", "constant rate, epoch 300"),
    *_sizes("N1-annealed-", "annealed", "rate annealed to 0"),
)

# ---------------------------------------------------------------- N7: norms against the optimum


def _norm_ratio(k: int) -> Callable[[xr.Dataset], np.ndarray]:
    def evidence(measures: xr.Dataset) -> np.ndarray:
        from grokscope.circuits.constructions import least_path_norm

        cohort = Cohort(measures)
        ratio = cohort.last("path_norm_total") / least_path_norm(k)
        return np.where(cohort.grokking.observed, ratio, np.nan)

    return evidence


def _fewer(bound: int) -> Evidence:
    def evidence(measures: xr.Dataset) -> np.ndarray:
        gates = gates_of(measures)
        return np.where(np.isnan(gates), np.nan, gates < bound)

    return evidence


def _norm_claims(k: int, experiment: str, samples: str) -> tuple[Claim, ...]:
    return (
        Claim(
            id=f"N7-norm-{k}",
            sentence=f"The final path norm is near the least possible: {k} bits, {samples} samples.",
            source="issue N7",
            paper_value=None,
            unit="",
            estimand="the mean over seeds that grok of the final path norm over the least with which a network can "
            "have margin 1 on all inputs",
            region=Region.between(1.0, 1.5),
            smallest_effect=Effect(0.1, "a tenth of the least norm"),
            kind="mean",
            experiment=experiment,
            evidence=_norm_ratio(k),
        ),
        share_of_seeds(
            f"N7-groks-{k}",
            f"Every seed groks: {k} bits, {samples} samples.",
            "issue N7",
            None,
            "grok",
            experiment,
            _groks,
        ),
    )


def _groks(measures: xr.Dataset) -> np.ndarray:
    cohort = Cohort(measures)
    return (cohort.grokking.observed & ~cohort.diverged).astype(float)


RUNS_BY_BITS = {
    2: ("2-bits", "1,000"),
    3: ("standard", "1,000"),
    4: ("4-bits", "1,000"),
    5: ("5-bits", "5,000"),
}
NORM_CLAIMS = (
    *(claim for k in _KS for claim in _norm_claims(k, *RUNS_BY_BITS[k])),
    *(
        share_of_seeds(
            f"N7-size-{k}",
            f"Fewer than 2^{k} gates do it: {k} bits.",
            "Prop. 1; issue N7",
            None,
            f"that grok end with fewer than {2**k} gates",
            RUNS_BY_BITS[k][0],
            _fewer(2**k),
        )
        for k in (3, 4, 5)
    ),
)

# ---------------------------------------------------------------- C10-C12: the paper's propositions


def _right_everywhere(k: int) -> float:
    """Share of the 2^k settings at which Proposition 1 for k bits, with its 2^k neurons, is right."""
    from grokscope.circuits import proposition_1
    from grokscope.circuits.relu_network import as_relu_network
    from grokscope.circuits.support import settings_of

    weights, settings = as_relu_network(proposition_1(n=k, k=k)), settings_of(k)
    if len(weights.u) != 2**k:
        return 0.0
    return float((np.sign(weights.outputs(settings)) == settings.prod(axis=1)).mean())


def _proposition(ks: tuple[int, ...]) -> Evidence:
    def evidence(measures: xr.Dataset) -> np.ndarray:
        proved = Cohort(measures).last("proved")
        return np.concatenate([[_right_everywhere(k) for k in ks], proved])

    return evidence


def _four_is_not_found(standard: xr.Dataset, annealed: xr.Dataset) -> np.ndarray:
    found = np.concatenate([proved_four(standard), proved_four(annealed)])
    known = found[~np.isnan(found)]
    if not len(known):
        raise NotTestable("no circuit was read")
    return known


def _deterministic(
    id: str, sentence: str, source: str, estimand: str, region: Region, experiment: str, evidence: Evidence
) -> Claim:
    return Claim(
        id=id,
        sentence=sentence,
        source=source,
        paper_value="yes",
        unit="",
        estimand=estimand,
        region=region,
        smallest_effect=None,
        kind="deterministic",
        experiment=experiment,
        evidence=evidence,
    )


_ALL = Region.at_least(1.0)
PROPOSITION_CLAIMS = (
    _deterministic(
        "C10",
        "2^k neurons suffice for the parity of k bits.",
        "Prop. 1",
        "for k = 1 to 8, the share of the 2^k settings at which the construction is right; and 1 if that for "
        "3 of 40 bits is proved on all 2^40 inputs",
        _ALL,
        "proposition-1",
        _proposition(tuple(range(1, 9))),
    ),
    _deterministic(
        "C11",
        "6 neurons suffice for 3 bits.",
        "Prop. 2",
        "1 if the construction is proved on all 2^40 inputs",
        _ALL,
        "proposition-2",
        _proposition(()),
    ),
    _deterministic(
        "C12a",
        "4 neurons suffice for 3 bits.",
        "Prop. 3",
        "1 if the construction is proved on all 2^40 inputs",
        _ALL,
        "proposition-3",
        _proposition(()),
    ),
    Claim(
        id="C12b",
        sentence="SGD does not find 4.",
        source="Prop. 3",
        paper_value="yes",
        unit="",
        estimand="for each seed of the standard and the annealed run, 1 if it ends with 4 gates whose network of 4 "
        "neurons is proved on all 2^40 inputs: one is enough to refute it",
        region=Region.at_most(0.0),
        smallest_effect=None,
        kind="deterministic",
        experiment="standard",
        evidence=_four_is_not_found,
        beside=("annealed",),
    ),
)
