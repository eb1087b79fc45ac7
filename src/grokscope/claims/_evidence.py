"""Compute the evidence for a claim, or the reason why there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from grokscope.claims._claim import Claim
from grokscope.errors import GrokscopeError, InputError, did_you_mean
from grokscope.statistics import CensoredTimes

Evidence = NDArray[np.float64] | CensoredTimes


class NotTestable(GrokscopeError):
    """The measures do not contain a claim's evidence; the message is the reason."""


class EvidenceFailed(NotTestable):
    """Computing a claim's evidence raised an error, or its experiment did; the message says which."""


def need(measures: Any, *names: str) -> None:
    """Raise `NotTestable` unless `measures` (a dataset or mapping) has all of `names`.

    Example:
        >>> need({"test_accuracy": 1}, "test_accuracy")
    """
    for name in names:
        if name not in measures:
            hint = did_you_mean(name, [str(known) for known in measures])
            raise NotTestable(f"the run has no measure {name!r}.{hint}")


def gather(claim: Claim, measures: Any, *others: Any) -> Evidence | NotTestable:
    """Return the claim's evidence from `measures`, checked, or the reason why there is none.

    Args:
        claim: The claim.
        measures: Of its experiment.
        others: Of the experiments beside it, in the claim's order.

    Raises:
        InputError: if the evidence does not have the form that the claim's kind requires. That is an
            error in the claim, not in the run.
    """
    try:
        return checked(claim, claim.evidence(measures, *others))
    except NotTestable as reason:
        return reason


def checked(claim: Claim, evidence: Any) -> Evidence:
    """Return `evidence` as numbers or censored times, or raise `InputError` naming the claim."""
    if isinstance(evidence, CensoredTimes):
        if claim.kind != "median":
            raise InputError(f"claim {claim.id}: censored times need kind = 'median'")
        return evidence
    try:
        values = np.asarray(evidence, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"claim {claim.id}: evidence is no array of numbers") from None
    if values.ndim > 1 or (values.ndim == 0 and claim.kind != "deterministic"):
        raise InputError(f"claim {claim.id}: evidence of shape {values.shape}, must have one entry per seed")
    if claim.kind == "share" and not np.isin(values[~np.isnan(values)], (0.0, 1.0)).all():
        raise InputError(f"claim {claim.id}: evidence for a share must be true or false per seed")
    return values
