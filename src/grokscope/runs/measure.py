"""Add measures to a finished run: by replay, or for an imported run from its snapshots."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from grokscope.errors import InputError, said
from grokscope.experiment import Recording
from grokscope.interrupts import interruptible
from grokscope.measures import FunctionMeasure, Measure
from grokscope.measures.needs import INITIAL_NETWORK
from grokscope.progress import Progress
from grokscope.runs.block import BlockState, SnapshotBlock
from grokscope.runs.measure_plan import MeasurePlan, stored_name
from grokscope.runs.networks import network_structure
from grokscope.runs.prepare import data_structure
from grokscope.runs.replay import not_kept
from grokscope.runs.same import require_same
from grokscope.runs.sink import StoreSink
from grokscope.runs.summary import finish_run
from grokscope.runs.trainer import Trainer
from grokscope.spec.parts import part_of
from grokscope.spec.schedule import Schedule
from grokscope.spec.streams import Members
from grokscope.store.allow import NOTHING, Allow
from grokscope.store.open import open_again
from grokscope.training.cache import use_compile_cache
from grokscope.training.cohort import Cohort
from grokscope.training.devices import in_precision, prepare_devices
from grokscope.training.part_check import check_parts
from grokscope.training.timeline import Timeline

if TYPE_CHECKING:
    from grokscope.experiment import Experiment
    from grokscope.measures import Flavor
    from grokscope.store.run_store import RunStore

__all__ = ["measure_items", "measure_run", "measure_snapshots", "require_initial"]

_SUFFIX = {"predictions": "", "accuracy": "_accuracy_flavor"}


@interruptible
def measure_run(
    run: RunStore,
    measures: list[Any],
    schedule: Schedule | None,
    flavor: str,
    progress: Progress,
    allow: Allow = NOTHING,
) -> list[str]:
    """Take measures of all finished members by replay, or of an imported run from its snapshots.

    Args:
        run: the store of the run, which is opened again for writing.
        measures: the measures to add.
        schedule: the points at which they are taken; None: the points of the run's own schedule.
        flavor: how subnetworks are found: ``predictions`` or ``accuracy``.
        progress: receives the progress.
        allow: measure even if the code of a part has changed, and mark the run.

    Returns:
        The names under which the measures are stored.

    Raises:
        InputError: if the flavor is not known, no member is finished, a measure does not apply, or the
            numerics or the code of a part differ.
        GrokscopeError: if the replay does not end in the recorded states.
    """
    if flavor not in _SUFFIX:
        raise InputError(f"flavor '{flavor}' is not known. Known: {', '.join(_SUFFIX)}.")
    prepare_devices()
    use_compile_cache()
    experiment = open_again(run).experiment
    experiment.require_loaded()
    if schedule is not None:
        pieces = schedule.pieces
        experiment = experiment.model_copy(
            update={
                "schedule": Recording(measures=pieces, slow_measures=pieces, follow=pieces, snapshots="ends")
            }
        )
    wanted = MeasurePlan.sorted(experiment, measures)
    suffix = _SUFFIX[flavor]
    stored = [stored_name(m, suffix) for m in measures]
    if not experiment.learner.trains:
        _measure_imported(run, experiment, wanted, schedule, cast("Flavor", flavor), suffix, progress, allow)
        return stored
    with in_precision(experiment.precision), open_again(run, "a") as store:
        require_same(store, experiment, to="replay", allow=Allow(code=allow.code))
        done = [int(i) for i in store.complete.nonzero()[0]]
        if not done:
            how = said(command="grokscope train", python="gs.train")
            raise InputError(f"{run.path}: no member is finished; finish it with {how} first.")
        for steps in sorted({int(store.steps_done[i]) for i in done}):
            rows = [i for i in done if store.steps_done[i] == steps]
            at_length = experiment.model_copy(update={"steps": steps, "epochs": None})
            progress.start(wanted.passes * steps * len(rows), "replay")
            trainer = Trainer(store, at_length, progress)
            trainer.measure(rows, wanted, flavor=cast("Flavor", flavor), suffix=suffix)
            progress.finish()
        finish_run(store)
    return stored


def measure_items(
    experiment: Experiment, measures: Any, name: str | None = None, dims: tuple[str, ...] | None = None
) -> list[Measure]:
    """The measures that are named, described or given as functions; see `Run.measure`.

    Raises:
        InputError: if a measure is not known, or a function has no name or cannot be traced.
    """
    if isinstance(measures, str | dict | type) or callable(measures):
        measures = [measures]
    elif not isinstance(measures, Iterable):
        raise InputError(f"measures: names, tables, measures or functions (got {type(measures).__name__}).")
    items: list[Any] = list(measures)
    if (name is not None or dims is not None) and len(items) != 1:
        raise InputError("name, dims: are for one function; measure several functions one after the other.")
    return [_measure_item(experiment, item, name, dims) for item in items]


def _measure_item(
    experiment: Experiment, item: Any, name: str | None, dims: tuple[str, ...] | None
) -> Measure:
    if isinstance(item, type) and issubclass(item, Measure):
        made_of: Any = item
        item = made_of()
    made = part_of("measure", item)
    if isinstance(made, Measure):
        if name is not None or dims is not None:
            raise InputError(f"name, dims: are for functions; '{made.name}' is a measure.")
        return made
    if not callable(made) or isinstance(made, type):
        raise InputError(f"measures: {made!r:.60} is no name, table, measure or function.")
    hashable: Any = experiment  # frozen, which a type checker cannot see
    with in_precision(experiment.precision):
        network, data = network_structure(hashable), data_structure(experiment)
        return FunctionMeasure.of(made, experiment, network, data, name=name, dims=dims)


def _measure_imported(
    run: RunStore,
    experiment: Experiment,
    wanted: MeasurePlan,
    schedule: Schedule | None,
    flavor: Flavor,
    suffix: str,
    progress: Progress,
    allow: Allow,
) -> None:
    """Take measures of an imported run at the snapshots whose steps the schedule contains (None: all)."""
    with in_precision(experiment.precision), open_again(run, "a") as store:
        store.require_code(experiment.training_code, to="replay", allow=allow.code)
        steps = np.array(store.snapshot_steps(0))
        if schedule is not None:
            named = {piece for piece in schedule.pieces if isinstance(piece, int) and piece >= 0}
            if named and not named & set(steps.tolist()):
                raise InputError(not_kept(store, 0, min(named)))
            points = schedule.points(experiment.steps_per_epoch, experiment.n_steps)
            steps = steps[np.isin(steps, points)]
        measure_snapshots(store, experiment, wanted, steps, progress, flavor=flavor, suffix=suffix)
        finish_run(store)


def require_initial(wanted: MeasurePlan, first: int) -> None:
    """Check that imported networks begin at step 0, if a measure needs the network at the start.

    Raises:
        InputError: naming the measure and the first step.
    """
    for measure in wanted.all:
        if INITIAL_NETWORK in measure.needs and first != 0:
            raise InputError(
                f"measures: {measure.name} needs the network at the start, and the first of the imported "
                f"networks is of step {first}."
            )


def measure_snapshots(
    store: RunStore,
    experiment: Experiment,
    wanted: MeasurePlan,
    steps: np.ndarray,
    progress: Progress,
    *,
    flavor: Flavor = "predictions",
    suffix: str = "",
) -> None:
    """Take measures of all members of an imported run from its snapshots, and write them to its store.

    The networks of one step are in memory at a time.

    Args:
        store: the store of the run, open for writing; all members have snapshots at the same steps.
        experiment: the experiment of the run.
        wanted: the measures to take.
        steps: the steps at which they are taken, a subset of those of the snapshots.
        progress: receives the progress, in member-steps.
        flavor: how subnetworks are found.
        suffix: added to the stored names of measures of subnetworks.
    """
    check_parts(experiment, wanted.all)
    kept = np.array(store.snapshot_steps(0))
    require_initial(wanted, int(kept[0]))
    off = np.zeros(len(kept), bool)
    timeline = Timeline(kept, off, off, off, off)
    members = Members(tuple(store.seeds))
    progress.start(wanted.passes * int(kept[-1]) * len(members), "measuring")
    for rows, cohort in Cohort.cut(experiment, members):
        own = list(range(len(members))[rows])
        block = SnapshotBlock(
            replace(cohort, loop=replace(cohort.loop, quick=wanted.quick, slow=wanted.slow)),
            timeline,
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
    progress.finish()
