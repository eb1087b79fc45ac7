"""Add measures to a finished run: by replay, or for an imported run from its snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from grokscope.errors import InputError
from grokscope.experiment import Recording
from grokscope.progress import Progress
from grokscope.runs.block import BlockState, SnapshotBlock
from grokscope.runs.measure_plan import MeasurePlan
from grokscope.runs.replay import not_kept
from grokscope.runs.sink import StoreSink
from grokscope.runs.trainer import Trainer
from grokscope.spec.schedule import Schedule
from grokscope.spec.streams import Members
from grokscope.store.open import open_store
from grokscope.training.cache import use_compile_cache
from grokscope.training.cohort import Cohort
from grokscope.training.devices import in_precision, prepare_devices
from grokscope.training.numerics import numerics_here
from grokscope.training.timeline import Timeline

if TYPE_CHECKING:
    from grokscope.experiment import Experiment
    from grokscope.measures import Flavor
    from grokscope.store.place import Place
    from grokscope.store.run_store import RunStore

__all__ = ["add_measures", "measure_snapshots"]

_SUFFIX = {"predictions": "", "accuracy": "_accuracy_flavor"}


def add_measures(
    path: Place, measures: list[Any], schedule: Schedule | None, flavor: str, progress: Progress
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
    experiment = open_store(path).experiment
    if schedule is not None:
        pieces = schedule.pieces
        experiment = experiment.model_copy(
            update={
                "schedule": Recording(measures=pieces, slow_measures=pieces, follow=pieces, snapshots="ends")
            }
        )
    wanted = MeasurePlan.sorted(experiment, measures)
    suffix = _SUFFIX[flavor]
    stored = [m.name + (suffix if m.pace.startswith("follow") else "") for m in measures]
    if not experiment.learner.trains:
        _of_snapshots(path, experiment, wanted, schedule, cast("Flavor", flavor), suffix, progress)
        return stored
    with in_precision(experiment.precision), open_store(path, "a") as store:
        store.require_numerics(numerics_here(experiment), to="replay")
        done = [int(i) for i in store.complete.nonzero()[0]]
        if not done:
            raise InputError(f"{path}: no member is finished; go on with grokscope train first.")
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
    path: Place,
    experiment: Experiment,
    wanted: MeasurePlan,
    schedule: Schedule | None,
    flavor: Flavor,
    suffix: str,
    progress: Progress,
) -> None:
    """Take measures of an imported run, at those of its steps that a schedule names."""
    with in_precision(experiment.precision), open_store(path, "a") as store:
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
        progress.start(passes * int(kept[-1]) * len(rows), "measuring")
        measure_snapshots(store, experiment, rows, wanted, steps, progress, flavor=flavor, suffix=suffix)
        progress.finish()
        store.finish()


def measure_snapshots(
    store: RunStore,
    experiment: Experiment,
    positions: Sequence[int],
    wanted: MeasurePlan,
    steps: np.ndarray,
    progress: Progress,
    *,
    flavor: Flavor = "predictions",
    suffix: str = "",
) -> None:
    """Take measures of the networks that an imported run keeps, and add them to it.

    One snapshot of every member is in memory at a time, however many there are.

    Args:
        store: open for writing.
        experiment: the run's.
        positions: members that have the same snapshots.
        wanted: what to measure.
        steps: where: some of the steps of the snapshots.
        progress: told of the work, a unit for each member-step passed; started by the caller.
        flavor: how subnetworks are found.
        suffix: added to the names of measures of subnetworks.
    """
    kept = np.array(store.snapshot_steps(positions[0]))
    nothing = np.zeros(len(kept), bool)
    line = Timeline(kept, nothing, nothing, nothing, nothing)
    members = Members(tuple(store.seeds[position] for position in positions))
    for rows, cohort in Cohort.cut(experiment, members):
        own = list(positions[rows])
        block = SnapshotBlock(
            replace(cohort, loop=replace(cohort.loop, quick=wanted.quick, slow=wanted.slow)),
            line,
            wanted.follow,
            wanted.follow_slow,
            flavor,
            store=store,
            positions=own,
            steps=frozenset(steps.tolist()),
        )
        sink = StoreSink(store, own, wanted, experiment.axes, suffix=suffix, keep_state=False)
        final = BlockState(int(kept[-1]), {})
        block.measure_again(sink, final, progress.advance)
        sink.finish(final)
