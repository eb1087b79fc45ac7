"""Train members into a run folder: only missing members, steps and measures are computed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from grokscope.errors import InputError, said
from grokscope.experiment import Experiment
from grokscope.interrupts import interruptible
from grokscope.measures import Flavor
from grokscope.progress import Progress, SilentProgress
from grokscope.runs.block import BlockState, Row, by_run, cut_blocks, latest_states
from grokscope.runs.early_stop import has_stopped, stop_rule
from grokscope.runs.measure_plan import MeasurePlan
from grokscope.runs.origins import start_steps
from grokscope.runs.prepare import Prepared, prepare, source_steps
from grokscope.runs.provenance import all_code, collect_provenance
from grokscope.runs.same import require_same
from grokscope.runs.sink import COMMIT_SECONDS, RoutingSink, StoreSink
from grokscope.runs.summary import finish_run
from grokscope.spec.stopping import NO_STEP
from grokscope.spec.streams import Members, Seeds
from grokscope.store.allow import Allow
from grokscope.store.folder import is_run, keep_files, written_spec
from grokscope.store.open import create_store, open_store
from grokscope.store.run_store import RunStore
from grokscope.training.budget import refuse_too_large
from grokscope.training.cache import use_compile_cache
from grokscope.training.devices import in_precision, prepare_devices
from grokscope.training.numerics import numerics_here
from grokscope.training.part_check import check_parts
from grokscope.training.rates import Rates, measure_rates, predict_seconds

__all__ = ["Trainer", "seconds_left", "train_into", "train_rows"]

_SLOW = Rates("cpu", 1, 5.0, 5.0, 1.0, 0.0)  # GFLOP/s; a core of a laptop has ten times as much
_WORTH_MEASURING = 600.0
_MEASURING_SECONDS = 0.3


@interruptible
def train_into(
    folder: Path,
    experiment: Experiment,
    members: Members,
    progress: Progress,
    *,
    allow: Allow,
    commit_seconds: float,
    shown: Path | None = None,
) -> None:
    """Train members into a folder: as a new run, or as an extension of the run in it.

    Args:
        folder: the run folder.
        experiment: the experiment.
        members: the members to train.
        progress: receives the progress.
        allow: differences from an existing run that are accepted; the run is marked.
        commit_seconds: seconds between commits.
        shown: how messages write the folder; None: as it is given.

    Raises:
        InputError: if the learner does not train, the folder holds another run, the members do not fit the
            memory, no member can start, or the numerics or the code of a part differ and that is not allowed.
        StoreError: if the disk cannot be written.
    """
    began = time.monotonic()
    if not experiment.learner.trains:
        raise InputError(
            f"learner '{experiment.learner.kind}': these networks were trained elsewhere; nothing can be "
            "trained, extended or resumed. To train on from one, "
            + said(
                command="branch with --set learner.kind=gradient.",
                python='run.branch(STEP, "learner.kind=gradient").',
            )
        )
    prepare_devices()
    use_compile_cache()
    with in_precision(experiment.precision):
        if _is_done_and_closed(folder, experiment, members, allow):
            return
        _check(experiment, members)
        prepared = None
        if not experiment.is_plain and not is_run(folder):  # before the folder is made, as this can fail
            prepared = prepare(experiment, members, progress, allow=allow)
        numerics = numerics_here(experiment)
        facts = collect_provenance(numerics, code=all_code(experiment))
        with (
            written_spec(experiment, folder) as (toml, files),
            create_store(
                folder,
                toml,
                experiment.identity,
                numerics,
                facts,
                steps_per_epoch=experiment.steps_per_epoch,
                code=experiment.training_code,
                exist_ok=True,
                shown=shown,
            ) as store,
        ):
            require_same(store, experiment, to="train", allow=allow, numerics=numerics)
            keep_files(folder, files)
            trainer = Trainer(store, experiment, progress, allow, prepared, commit_seconds)
            if not trainer.is_done(members):
                store.update_experiment(toml)
                trainer.train(members)
                spent = float(store.provenance.get("wall_seconds") or 0.0) + time.monotonic() - began
                store.update_provenance({**facts, "wall_seconds": round(spent, 3)})
            store.update_events(experiment.events)
            if not store.is_finished or store.keeps_old:
                finish_run(store)


def seconds_left(folder: Path, experiment: Experiment, members: Members) -> float:
    """Predict the wall time of `train_into` on this machine, without the steps that the folder has already.

    The machine's speed is measured where a slow machine would take longer than `_WORTH_MEASURING`.

    Raises:
        InputError: if a new run would be refused: a part fails, or the experiment is too large.
    """
    if not experiment.learner.trains:
        return 0.0
    share = 1.0
    if not is_run(folder):
        prepare_devices()
        with in_precision(experiment.precision):
            _check(experiment, members)
    else:
        store = open_store(folder)
        if store.identity == experiment.identity:
            done = dict(zip(store.seeds, store.steps_done.clip(max=experiment.n_steps).tolist(), strict=True))
            share -= sum(done.get(m, 0) for m in members) / max(1, experiment.n_steps * len(members))
    seconds = predict_seconds(experiment, len(members), _SLOW)
    if seconds * share > _WORTH_MEASURING:
        seconds = predict_seconds(experiment, len(members), measure_rates(_MEASURING_SECONDS))
    return seconds * share


def _check(experiment: Experiment, members: Members) -> None:
    """Check the parts of an experiment and its size, before a run is created."""
    check_parts(experiment)  # before the measures: which of them apply depends on the network
    check_parts(experiment, MeasurePlan.of(experiment).all)
    refuse_too_large(experiment, len(members))


def _is_done_and_closed(folder: Path, experiment: Experiment, members: Members, allow: Allow) -> bool:
    """Whether a folder that may not be written holds the run, finished, with all that is wanted."""
    if not is_run(folder) or os.access(folder, os.W_OK):
        return False
    store = open_store(folder)
    if not store.is_finished or store.identity != experiment.identity or store.events != experiment.events:
        return False
    if not allow.numerics:
        store.require_numerics(numerics_here(experiment), to="train")
    store.require_code(experiment.training_code, to="train", allow=allow.code)
    return Trainer(store, experiment, SilentProgress()).is_done(members)


@dataclass(eq=False)  # equal by identity, so that rows can be keys
class Trainer:
    """Train members of one run to the experiment's length, and add measures.

    Attributes:
        store: the store of the run, open for writing.
        experiment: the experiment, with the requested length and measures.
        progress: receives the progress.
        allow: accepted differences from the run that members start in.
        prepared: the members that are not in the store yet, if they are prepared already.
        commit_seconds: seconds between commits while a block is trained.
    """

    store: RunStore
    experiment: Experiment
    progress: Progress
    allow: Allow = field(default_factory=Allow)
    prepared: Prepared | None = None
    commit_seconds: float = COMMIT_SECONDS

    def is_done(self, members: Members) -> bool:
        """Whether the store has all members, steps and measures."""
        if self._new_members(members):
            return False
        positions = self._positions(members)
        if self.short(positions) or not self.store.complete[positions].all():
            return False
        return next(self._unmeasured(positions), None) is None

    def train(self, members: Members) -> None:
        """Add the missing members, train the missing steps, and take the missing measures.

        Raises:
            InputError: if no new member can start, or the stop rule needs a measure that is not taken.
        """
        self._add(members)
        positions = self._positions(members)
        wanted = MeasurePlan.of(self.experiment)
        stop_rule(self.experiment, wanted)  # raises before training if its measure is not taken
        short = self.short(positions)
        self._mark_stopped_complete([p for p in positions if p not in set(short)])
        done = self.store.steps_done
        steps = sum(wanted.passes * self.experiment.n_steps - int(done[p]) for p in short)
        self.progress.start(steps, self.experiment.name or self.experiment.task.kind)
        rows = [Row(self, position) for position in short]
        train_rows(rows, self.progress.advance, commit_seconds=self.commit_seconds)
        for rows_of, missing in self._unmeasured(positions):
            self.measure(rows_of, missing)
        self.progress.finish()

    def measure(
        self, positions: list[int], wanted: MeasurePlan, *, flavor: Flavor = "predictions", suffix: str = ""
    ) -> None:
        """Add measures to finished members by replay.

        Args:
            positions: the members' positions in the store.
            wanted: the measures to take.
            flavor: how subnetworks are found.
            suffix: added to the stored names of measures of subnetworks.

        Raises:
            GrokscopeError: if the replay does not end in the recorded states.
        """
        todo = [Row(self, position) for position in positions]
        for block, rows in cut_blocks(todo, wanted, flavor=flavor, again=True):
            own, axes = [row.position for row in rows], self.experiment.axes
            sink = StoreSink(self.store, own, wanted, axes, suffix=suffix, every=None, keep_state=False)
            final = self._final(rows)
            block.measure_again(sink, final, self.progress.advance)
            sink.finish(final)

    def _positions(self, members: Members) -> list[int]:
        """The positions of members in the store, without those that could not start."""
        known = {seeds: i for i, seeds in enumerate(self.store.seeds)}
        return [known[member] for member in members if member in known]

    def _new_members(self, members: Members) -> list[Seeds]:
        """The members that are not in the store, without those that could not start before.

        A member that could not start is tried again after its source run was extended.
        """
        known = set(self.store.seeds)
        left_out = {tuple(seeds): steps for seeds, _, steps in self.store.notes.get("left_out", [])}
        if any(member in left_out for member in members):
            now = source_steps(self.experiment.init)
            known |= {member for member, steps in left_out.items() if steps >= now}
        return [member for member in members if member not in known]

    def _add(self, members: Members) -> None:
        """Add new members to the store, with their origins."""
        new = self._new_members(members)
        if self.experiment.is_plain or not new:
            with self.store.transaction("members are added") as t:
                t.add_members(new)
            return
        found = self.prepared or prepare(
            self.experiment,
            Members(tuple(new)),
            self.progress,
            allow=self.allow,
        )
        with self.store.transaction("members are added") as t:
            first = len(self.store.seeds)
            t.add_members(found.members)
            if found.members:
                t.write_origins(range(first, first + len(found.members)), found.leaves)
            before = self.store.notes.get("left_out", [])
            kept = [entry for entry in before if tuple(entry[0]) not in set(new)]
            steps = source_steps(self.experiment.init)
            lacking = [[list(member), reason, steps] for member, reason in found.left_out.items()]
            if before or lacking:
                t.note(left_out=[*kept, *lacking])
            t.note_more(other_numerics=found.other_numerics, changed_code=found.changed_code)

    def short(self, positions: list[int]) -> list[int]:
        """The members that are neither complete at the experiment's length nor stopped early."""
        done, complete = self.store.steps_done, self.store.complete
        stopped = has_stopped(self.store, self.experiment, positions)
        return [
            p
            for p, has_ended in zip(positions, stopped, strict=True)
            if not has_ended and (done[p] < self.experiment.n_steps or not complete[p])
        ]

    def steps_saved(self, positions: list[int]) -> int:
        """Member-steps skipped by early stopping."""
        left = self.experiment.n_steps - self.store.steps_done[positions]
        return int(left[has_stopped(self.store, self.experiment, positions)].clip(min=0).sum())

    def _mark_stopped_complete(self, positions: list[int]) -> None:
        """Mark members as complete that stopped early before their block was interrupted."""
        rows = [p for p in positions if not self.store.complete[p]]
        if rows:
            with self.store.transaction("members have stopped") as t:
                t.mark(rows, complete=True)

    def _unmeasured(self, positions: list[int]) -> Iterator[tuple[list[int], MeasurePlan]]:
        """Groups of members that lack the same measures, each with a plan of these measures."""
        wanted = MeasurePlan.of(self.experiment)
        lacking: dict[frozenset[str], list[int]] = {}
        measured = {m.name: self.store.measured_to(m.name, m.code_version) for m in wanted.all}
        for p in positions:
            end = min(self.experiment.n_steps, int(self.store.steps_done[p]))
            names = frozenset(n for n, to in measured.items() if to[p] < end)
            if names:
                lacking.setdefault(names, []).append(p)
        for names, rows in lacking.items():
            yield rows, MeasurePlan.sorted(self.experiment, (m for m in wanted.all if m.name in names))

    def _final(self, rows: list[Row]) -> BlockState:
        """The final states of complete members, some of which may have been stopped early."""
        each = latest_states(rows)
        done = self.store.steps_done[[row.position for row in rows]]
        if (done >= self.experiment.n_steps).all():
            return each
        until = np.where(done < self.experiment.n_steps, done, NO_STEP).astype(np.int32)
        return BlockState(self.experiment.n_steps, each.leaves, until)


def train_rows(
    rows: Sequence[Row],
    advance: Callable[[int], None],
    *,
    commit_seconds: float = COMMIT_SECONDS,
    n_members: int | None = None,
    committed: Callable[[list[Row]], None] = lambda rows: None,
) -> None:
    """Train members to their last step, in common blocks if they belong to several runs of one shape.

    Args:
        rows: the members, which may be at different steps; see `cut_blocks`.
        advance: called with the member-steps done since its last call.
        commit_seconds: seconds between commits of a block; at least one second for each of its runs.
        n_members: the number of members that the program is compiled for; None: the number of rows.
        committed: called with the rows of each block after its last commit.
    """
    steps = [int(row.run.store.steps_done[row.position]) for row in rows]
    for start in sorted(set(steps)):
        group = [row for row, step in zip(rows, steps, strict=True) if step == start]
        wanted = MeasurePlan.of(group[0].run.experiment)
        for run, own in by_run(group) if start else ():
            wanted = _measured_while_training(run.store, own, start, wanted)
        for block, part in cut_blocks(group, wanted, n_members=n_members):
            sink = _block_sink(part, wanted, commit_seconds)
            checkpoint = latest_states(part) if start else None
            block.repeats = not any("other_numerics" in row.run.store.notes for row in part)
            sink.finish(block.run(sink, checkpoint, advance))
            committed(part)


def _block_sink(rows: Sequence[Row], wanted: MeasurePlan, commit_seconds: float) -> StoreSink | RoutingSink:
    """The sink of a block: for the store of its run, or for the stores of its several runs."""
    runs = by_run(rows)
    every = commit_seconds if len(runs) == 1 else max(commit_seconds, float(len(runs)))
    parts: list[tuple[np.ndarray, StoreSink]] = []
    for run, own in runs:
        places = np.array([i for i, row in enumerate(rows) if row.run is run])
        starts = start_steps(run.store, own)
        sink = StoreSink(run.store, own, wanted, run.experiment.axes, every=every, origins=starts)
        parts.append((places, sink))
    return parts[0][1] if len(parts) == 1 else RoutingSink(parts)


def _measured_while_training(
    store: RunStore, positions: list[int], start: int, wanted: MeasurePlan
) -> MeasurePlan:
    """The measures to take while members continue from a step > 0.

    Measures that lack earlier points are left to a replay; if there are any, measures of subnetworks are too.
    """
    late = {
        measure.name
        for measure in wanted.quick + wanted.slow
        if bool((store.measured_to(measure.name, measure.code_version)[positions] < start).any())
    }
    if not late:
        return wanted
    return wanted.only(lambda m: m.pace in ("quick", "slow") and m.name not in late)
