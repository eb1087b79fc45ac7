"""The two commonest shapes of a claim: what seeds do (a share), and a number's mean over them.

A paper's other claims are made with `grokscope.claims.Claim` itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from grokscope.claims import Claim, Effect, Region

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Evidence", "mean_over_seeds", "share_of_seeds"]

Evidence = Callable[["xr.Dataset"], Any]

_MOST = Region.at_least(0.8)
_ONE_IN_TEN = Effect(0.1, "one seed in ten behaves otherwise")


def share_of_seeds(
    id: str,
    sentence: str,
    source: str,
    paper: float | str | None,
    what: str,
    experiment: str,
    evidence: Evidence,
) -> Claim:
    """A claim about every seed: the share of seeds that do so is at least 0.8."""
    return Claim(
        id=id,
        sentence=sentence,
        source=source,
        paper_value=paper,
        unit="",
        estimand=f"the share of seeds that {what}",
        region=_MOST,
        smallest_effect=_ONE_IN_TEN,
        kind="share",
        experiment=experiment,
        evidence=evidence,
    )


def mean_over_seeds(
    id: str,
    sentence: str,
    source: str,
    paper: float | str | None,
    estimand: str,
    region: Region,
    effect: Effect,
    evidence: Evidence,
    unit: str = "",
    experiment: str = "standard",
) -> Claim:
    """A claim about a number: its mean over seeds lies in a region."""
    return Claim(
        id=id,
        sentence=sentence,
        source=source,
        paper_value=paper,
        unit=unit,
        estimand=f"the mean over seeds of {estimand}",
        region=region,
        smallest_effect=effect,
        kind="mean",
        experiment=experiment,
        evidence=evidence,
    )
