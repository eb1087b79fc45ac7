"""What is done of a run, and the summary that a finished run keeps, so that lists need not open its store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from grokscope.errors import GrokscopeError
from grokscope.store.checksums import read_summary
from grokscope.store.folder import FORMAT_VERSION
from grokscope.store.open import open_store
from grokscope.store.reader import RunReader
from grokscope.store.run_store import RunStore

if TYPE_CHECKING:
    from grokscope.experiment import Experiment

__all__ = ["RunSummary", "done_members", "finish_run", "stopped_members", "summary_of"]

_KEPT = {"task": str, "identity": str, "members": int, "complete": int, "steps": int}


@dataclass(frozen=True)
class RunSummary:
    """Summary of a run, a line of `run_summaries`.

    Attributes:
        path: the run folder.
        task: kind of the task.
        identity: hash of what determines the numbers.
        members: number of members.
        complete: number of members that are done.
        steps: length of the experiment in updates.
        problem: the error if the run cannot be opened, else None.
    """

    path: Path
    task: str = ""
    identity: str = ""
    members: int = 0
    complete: int = 0
    steps: int = 0
    problem: str | None = None


def summary_of(path: Path) -> RunSummary:
    """The summary of a run: as a finished run keeps it, else read from its store.

    A summary that is kept is that of the run's spec and newest commit; the other files are not looked at.
    """
    try:
        kept = read_summary(path, FORMAT_VERSION)
        return RunSummary(path, **(kept if _is_valid(kept) else _read(open_store(path))))
    except GrokscopeError as error:
        return RunSummary(path, problem=str(error))


def finish_run(store: RunStore) -> None:
    """Finish a run (`RunStore.finish`) and keep its summary."""
    try:
        summary = _read(store)
    except GrokscopeError:  # its spec needs what is not at hand: lists then say so
        summary = None
    store.finish(summary)


def done_members(store: RunReader, experiment: Experiment) -> np.ndarray:
    """Whether each member has done all steps of the experiment or was stopped early, bool [member]."""
    if not experiment.learner.trains:
        return store.complete
    # members marked complete at a shorter length are not done while the run is being extended
    done = store.steps_done >= experiment.n_steps
    return store.complete & (done | stopped_members(store, experiment))


def stopped_members(store: RunReader, experiment: Experiment) -> np.ndarray:
    """Whether early stopping ended each member before the experiment's last step, bool [member]."""
    stopped = store.complete & (store.steps_done < experiment.n_steps)
    if not experiment.stop.is_on or not stopped.any():
        return np.zeros_like(stopped)
    from grokscope.runs.early_stop import has_stopped  # imports jax

    return stopped & has_stopped(store, experiment, range(len(stopped)))


def _read(store: RunReader) -> dict[str, Any]:
    experiment = store.experiment
    done = done_members(store, experiment)
    return {
        "task": experiment.task.kind,
        "identity": store.identity,
        "members": len(done),
        "complete": int(done.sum()),
        "steps": experiment.n_steps,
    }


def _is_valid(kept: Any) -> TypeGuard[dict[str, Any]]:
    """Whether it is a summary: a file may hold anything, and what is listed must not steer a terminal."""
    if not isinstance(kept, dict) or kept.keys() != _KEPT.keys():
        return False
    if any(type(kept[name]) is not kind for name, kind in _KEPT.items()):
        return False
    return kept["task"].isprintable() and kept["identity"].isprintable()
