"""A run at a glance: the facts of its `repr` and of its card in notebooks.

The class `grokscope.runs.run.Run` calls these functions, so that they cannot import it. They must be
quick and never raise: a run may be unfinished or damaged, or its plug-in may not be loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.cards import Curve, Fact
from grokscope.statistics import format_number

if TYPE_CHECKING:
    from grokscope.experiment import Experiment
    from grokscope.store.run_store import RunStore

__all__ = ["accuracy_curves", "experiment_text", "facts_of_run", "or_problem"]

_SPLITS = ("train", "test")


def facts_of_run(run: Any, store: RunStore) -> list[Fact]:
    """Experiment, members, state and last accuracies of a run."""
    if isinstance(store.path, Path) and not store.path.exists():
        return [("done", "cannot be read: the folder is not there any more")]
    facts = [
        ("experiment", or_problem(lambda: experiment_text(run.experiment))),
        ("members", or_problem(lambda: _members(run, store))),
        ("done", or_problem(lambda: _done(run, store))),
        ("accuracy", or_problem(lambda: _accuracy(store))),
    ]
    return [(name, text) for name, text in facts if text]


def experiment_text(experiment: Experiment) -> str:
    """The experiment in a line.

    Example:
        >>> from grokscope.experiment import Experiment
        >>> experiment_text(Experiment(name="small", task="sparse_parity", epochs=300))
        'small: sparse_parity, fully_connected, hinge loss, sgd, 9600 steps'
    """
    parts = [experiment.task.kind, experiment.model.kind, f"{experiment.loss.kind} loss"]
    if experiment.has_penalty:
        parts.append(f"{experiment.penalty.kind} penalty")
    if experiment.states_optimizer:
        parts.append(experiment.optimizer.kind)
    if experiment.learner.kind != "gradient":
        parts.append(f"learner {experiment.learner.kind}")
    if experiment.interventions:
        parts.append(f"{len(experiment.interventions)} interventions")
    name = f"{experiment.name}: " if experiment.name else ""
    return f"{name}{', '.join([*parts, f'{experiment.n_steps} steps'])}"


def accuracy_curves(store: RunStore) -> dict[str, Curve]:
    """The mean over members of train and test accuracy at some steps, where they were measured."""
    found: dict[str, Curve] = {}
    for split in _SPLITS:
        read = store.read_some(f"{split}_accuracy")
        if read is None:
            continue
        steps, values = read
        taken = np.isfinite(values).any(axis=0)
        if taken.any():
            found[split] = (steps[taken].tolist(), np.nanmean(values[:, taken], axis=0).tolist())
    return found


def or_problem(text: Callable[[], str]) -> str:
    """A text; if it cannot be made, the first line of the error."""
    try:
        return text()
    except Exception as error:  # whatever is wrong with the files: an object must have a repr
        first = str(error).strip().partition("\n")[0]
        return f"cannot be read: {first or type(error).__name__}"


def _members(run: Any, store: RunStore) -> str:
    if not (seeds := store.seeds):
        return "0"
    many = str(len(seeds))
    if not run.members.is_plain:
        return f"{many} of crossed streams"
    numbers = sorted(member[0] for member in seeds)
    if numbers == list(range(numbers[0], numbers[-1] + 1)) and len(numbers) > 2:
        return f"{many} (seeds {numbers[0]} to {numbers[-1]})"
    listed = ", ".join(map(str, numbers if len(numbers) <= 8 else numbers[:7]))
    return f"{many} (seed{'s' * (len(numbers) > 1)} {listed}{', ...' * (len(numbers) > 8)})"


def _done(run: Any, store: RunStore) -> str:
    steps = store.steps_done
    if run.is_imported:
        unfinished = "" if run.is_complete else ", unfinished"
        return f"imported, up to step {int(steps.max(initial=0))}{unfinished}; no replay"
    total, done = run.experiment.n_steps, run.is_done
    if run.is_complete:
        stopped = int(run.is_stopped.sum())
        return "complete" + (f"; {stopped} stopped early" if stopped else "")
    low, high = int(steps.min(initial=total)), int(steps.max(initial=0))
    at = f"step {low}" if low >= high else f"steps {low} to {high}"
    return f"not complete: {int(done.sum())} of {len(done)}" + (f"; at {at}" if len(done) else "")


def _accuracy(store: RunStore) -> str:
    """The mean over members of their last accuracies."""
    texts: list[str] = []
    for split in _SPLITS:
        read = store.read_some(f"{split}_accuracy", most=1)
        if read is None:
            continue
        values = read[1]
        if np.isnan(values).any() and (whole := store.read_some(f"{split}_accuracy", most=None)) is not None:
            values = whole[1]  # members that stopped early have their last values at earlier steps
        last = [row[np.isfinite(row)][-1] for row in values if np.isfinite(row).any()]
        if last:
            texts.append(f"{split} {format_number(float(np.mean(last)))}")
    return ", ".join(texts) + (" (last, mean over members)" if texts else "")
