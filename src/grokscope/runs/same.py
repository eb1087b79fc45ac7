"""Whether this process computes what a run holds: the same numerics, the same code of the user's parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from grokscope.training.numerics import numerics_here

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grokscope.experiment import Experiment
    from grokscope.store.allow import Allow
    from grokscope.store.run_store import RunStore

__all__ = ["require_same"]


def require_same(
    store: RunStore,
    experiment: Experiment,
    *,
    to: Literal["train", "replay"],
    allow: Allow,
    numerics: Mapping[str, Any] | None = None,
) -> None:
    """Check that this process has the numerics and the code that a run was made with.

    A difference that is allowed is noted in the run, where its store is open for writing and (for numerics)
    the run is trained further.

    Args:
        store: the store of the run.
        experiment: the experiment, with the parts as they are in this process.
        to: the planned operation.
        allow: the differences that are accepted.
        numerics: the fingerprint of this process, if it is known already.

    Raises:
        InputError: if a part is not loaded, or a difference is not allowed; nothing is written then.
    """
    experiment.require_loaded()
    here = numerics_here(experiment) if numerics is None else numerics
    if not allow.numerics:
        store.require_numerics(here, to=to)
    store.require_code(experiment.training_code, to=to, allow=allow.code)
    if allow.numerics and to == "train":
        store.require_numerics(here, to=to, allow=True)
