"""Measures that are asked for later: taken by replay (of an imported run: of its snapshots), and added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from grokscope.errors import InputError
from grokscope.experiment import Recording
from grokscope.progress import Progress
from grokscope.runs._snapshots import measure_snapshots
from grokscope.runs.numerics import TO_REPLAY, check_numerics, numerics_here
from grokscope.runs.replay import not_kept
from grokscope.runs.trainer import Trainer
from grokscope.runs.wanted import Wanted
from grokscope.spec.schedule import Schedule
from grokscope.store.open import open_store
from grokscope.training.cache import use_compile_cache
from grokscope.training.devices import in_precision, prepare_devices

if TYPE_CHECKING:
    from grokscope.measures import Flavor
    from grokscope.runs.run import Run

__all__ = ["add_measures"]

_SUFFIX = {"predictions": "", "accuracy": "_accuracy_flavor"}


def add_measures(
    run: Run, measures: list[Any], schedule: Schedule | None, flavor: str, progress: Progress
) -> list[str]:
    """Take measures of all finished members by replay, or of an imported run from its snapshots.

    Returns:
        The names under which they are stored.

    Raises:
        InputError: if the flavor is not known, no member is finished, or the numerics differ.
    """
    if flavor not in _SUFFIX:
        raise InputError(f"flavor '{flavor}' is not known. Known: {', '.join(_SUFFIX)}.")
    prepare_devices()
    use_compile_cache()
    experiment = run.experiment
    if schedule is not None:
        pieces = schedule.pieces
        experiment = experiment.model_copy(
            update={
                "schedule": Recording(measures=pieces, slow_measures=pieces, follow=pieces, snapshots="ends")
            }
        )
    wanted = Wanted.sorted(experiment, measures)
    suffix = _SUFFIX[flavor]
    stored = [m.name + (suffix if m.pace.startswith("follow") else "") for m in measures]
    if not experiment.learner.trains:
        _of_snapshots(run, wanted, schedule, cast("Flavor", flavor), suffix, progress)
        return stored
    with in_precision(experiment.precision), open_store(run.path, "a") as store:
        check_numerics(store, numerics_here(experiment), advice=TO_REPLAY)
        done = [int(i) for i in store.complete.nonzero()[0]]
        if not done:
            raise InputError(f"{run.path}: no member is finished; go on with grokscope train first.")
        trainer = Trainer(store, experiment, progress)
        for steps in sorted({int(store.steps_done[i]) for i in done}):
            rows = [i for i in done if store.steps_done[i] == steps]
            at_length = experiment.model_copy(update={"steps": steps, "epochs": None})
            trainer.experiment = at_length
            passes = 2 if wanted.follow or wanted.follow_slow else 1
            progress.start(passes * steps * len(rows), "replay")
            trainer.measure(rows, wanted, flavor=cast("Flavor", flavor), suffix=suffix)
            progress.finish()
        store.finish()
    return stored


def _of_snapshots(
    run: Run, wanted: Wanted, schedule: Schedule | None, flavor: Flavor, suffix: str, progress: Progress
) -> None:
    """Take measures of an imported run, at those of its steps that a schedule names."""
    experiment = run.experiment
    with in_precision(experiment.precision), open_store(run.path, "a") as store:
        rows = range(len(store.seeds))
        kept = np.array(store.snapshot_steps(0))
        steps = kept
        if schedule is not None:
            named = {piece for piece in schedule.pieces if isinstance(piece, int) and piece >= 0}
            if named and not named & set(kept.tolist()):
                raise InputError(not_kept(store, 0, min(named)))
            asked = schedule.points(experiment.steps_per_epoch, experiment.n_steps)
            steps = kept[np.isin(kept, asked)]
        passes = 2 if wanted.follow or wanted.follow_slow else 1
        progress.start(passes * len(kept) * len(rows), "measuring")
        measure_snapshots(store, experiment, rows, wanted, steps, progress, flavor=flavor, suffix=suffix)
        progress.finish()
        store.finish()
