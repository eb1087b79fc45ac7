"""Whether a run may go on here: its numerics fingerprint against this machine's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grokscope.errors import InputError
from grokscope.runs.fingerprint import fingerprint_difference, numerics_fingerprint
from grokscope.training.devices import choose_execution

if TYPE_CHECKING:
    from grokscope.experiment import Experiment
    from grokscope.store.run_store import RunStore

__all__ = ["TO_REPLAY", "TO_TRAIN", "check_numerics", "numerics_here"]

TO_TRAIN = "Choose another folder, or go on with --allow-other-numerics (the run is then marked)."
TO_REPLAY = "A replay must repeat them: do so where the run was made, or train again into another folder."


def numerics_here(experiment: Experiment) -> dict[str, Any]:
    """The fingerprint under which this process would run an experiment."""
    execution = choose_execution(1, experiment=experiment)
    return numerics_fingerprint(
        execution=execution.path, block_width=execution.block, precision=experiment.precision
    )


def check_numerics(store: RunStore, numerics: dict[str, Any], *, allow: bool = False, advice: str) -> None:
    """Refuse to go on with a run under other numerics, or mark it.

    Args:
        store: the run.
        numerics: of this process.
        allow: go on, and mark the run.
        advice: what else can be done, a sentence for the message.

    Raises:
        InputError: if they differ and that is not allowed.
    """
    difference = fingerprint_difference(store.fingerprint, numerics)
    if not difference:
        return
    if not allow:
        raise InputError(
            f"{store.path}: was made with other numerics ({'; '.join(difference)}), so bits would not match. "
            f"{advice}"
        )
    with store.transaction("other numerics were allowed") as t:
        t.note(other_numerics=sorted({*store.notes.get("other_numerics", []), *difference}))
