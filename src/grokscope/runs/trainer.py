"""Train an experiment's members into a run folder: what is missing is done, what is there is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.measures import Flavor
from grokscope.progress import Progress, SilentProgress
from grokscope.runs.block import BlockState, Row, by_run, cut_blocks, latest_states
from grokscope.runs.early_stop import ended, stop_rule
from grokscope.runs.measure_plan import MeasurePlan
from grokscope.runs.origins import start_steps
from grokscope.runs.prepare import Prepared, source_steps
from grokscope.runs.provenance import collect_provenance
from grokscope.runs.sink import COMMIT_SECONDS, RoutingSink, StoreSink
from grokscope.spec.stopping import NO_STEP
from grokscope.spec.streams import Members, Seeds
from grokscope.store.folder import is_run, keep_files, written_spec
from grokscope.store.open import create_store
from grokscope.store.run_store import RunStore
from grokscope.training.budget import refuse_too_large
from grokscope.training.cache import use_compile_cache
from grokscope.training.devices import in_precision, prepare_devices
from grokscope.training.numerics import numerics_here

__all__ = ["Trainer", "train_into", "train_rows"]


def train_into(
    folder: Path,
    experiment: Experiment,
    members: Members,
    progress: Progress | None = None,
    *,
    allow_other_numerics: bool = False,
    commit_seconds: float = COMMIT_SECONDS,
) -> None:
    """Train members into a folder: a new run, or an extension of the one that is there.

    Raises:
        InputError: if the folder holds another run, or the numerics differ and that is not allowed.
        StoreError: if the disk does not let us.
    """
    began = time.monotonic()
    if not experiment.learner.trains:
        raise InputError(
            f"learner '{experiment.learner.kind}': these networks were trained elsewhere; nothing can be "
            "trained, extended or resumed. To train on from one, branch with --set learner.kind=gradient."
        )
    prepare_devices()
    use_compile_cache()
    with in_precision(experiment.precision):
        refuse_too_large(experiment, len(members))
        first = None
        if not experiment.is_plain and not is_run(folder):  # what cannot be branched leaves no folder behind
            first = Prepared.of(experiment, members, progress, allow_other_numerics=allow_other_numerics)
        numerics = numerics_here(experiment)
        facts = collect_provenance(numerics)
        with (
            written_spec(experiment, folder) as (toml, files),
            create_store(
                folder,
                toml,
                experiment.identity,
                numerics,
                facts,
                steps_per_epoch=experiment.steps_per_epoch,
                exist_ok=True,
            ) as store,
        ):
            store.require_numerics(numerics, to="train", allow=allow_other_numerics)
            keep_files(folder, files)
            trainer = Trainer(
                store, experiment, progress or SilentProgress(), allow_other_numerics, first, commit_seconds
            )
            if not trainer.is_done(members):
                store.update_experiment(toml)
                trainer.train(members)
                spent = float(store.provenance.get("wall_seconds") or 0.0) + time.monotonic() - began
                store.update_provenance({**facts, "wall_seconds": round(spent, 3)})
            if not store.is_finished:
                store.finish()


@dataclass(eq=False)  # rows refer to it
class Trainer:
    """Brings members of one run to the experiment's length, and adds measures.

    Attributes:
        store: open for writing.
        experiment: what is asked for now.
        progress: told of the work.
        allow_other_numerics: branch from a run that was made under other numerics.
        prepared: of members that are not in the store yet, where that has been done already.
        commit_seconds: how often what is done is kept, while a block of members is trained.
    """

    store: RunStore
    experiment: Experiment
    progress: Progress
    allow_other_numerics: bool = False
    prepared: Prepared | None = None
    commit_seconds: float = COMMIT_SECONDS

    def is_done(self, members: Members) -> bool:
        """Whether nothing is missing: members, steps, measures."""
        if self._new(members):
            return False
        positions = self._positions(members)
        if self.short(positions) or not self.store.complete[positions].all():
            return False
        return not any(True for _ in self._unmeasured(positions))

    def train(self, members: Members) -> None:
        """Do what is missing."""
        self._add(members)
        positions = self._positions(members)
        wanted = MeasurePlan.of(self.experiment)
        stop_rule(self.experiment, wanted)  # says so at once if it cannot be followed
        short = self.short(positions)
        self._mark_stopped_complete([p for p in positions if p not in set(short)])
        done = self.store.steps_done
        steps = sum(self.experiment.n_steps - int(done[p]) for p in short)
        if wanted.follow or wanted.follow_slow:
            steps += self.experiment.n_steps * len(short)
        self.progress.start(steps, f"{self.experiment.name or self.experiment.task.kind}")
        rows = [Row(self, position) for position in short]
        train_rows(rows, self.progress.advance, commit_seconds=self.commit_seconds)
        for rows_of, missing in self._unmeasured(positions):
            self.measure(rows_of, missing)
        self.progress.finish()

    def measure(
        self, positions: list[int], wanted: MeasurePlan, *, flavor: Flavor = "predictions", suffix: str = ""
    ) -> None:
        """Add measures to finished members, by replay."""
        todo = [Row(self, position) for position in positions]
        for block, rows in cut_blocks(todo, wanted, flavor=flavor, again=True):
            own, axes = [row.position for row in rows], self.experiment.axes
            sink = StoreSink(self.store, own, wanted, axes, suffix=suffix, every=None, keep_state=False)
            final = self._final(rows)
            block.measure_again(sink, final, self.progress.advance)
            sink.finish(final)

    def _positions(self, members: Members) -> list[int]:
        """Where members lie in the store; those that could not be branched are left out."""
        known = {seeds: i for i, seeds in enumerate(self.store.seeds)}
        return [known[member] for member in members if member in known]

    def _new(self, members: Members) -> list[Seeds]:
        """Members that are not in the store, and have not been found to have no place in it."""
        known = set(self.store.seeds)
        left_out = {tuple(seeds): steps for seeds, _, steps in self.store.notes.get("left_out", [])}
        if any(member in left_out for member in members):  # unless their source has gone on since
            now = source_steps(self.experiment.init)
            known |= {member for member, steps in left_out.items() if steps >= now}
        return [member for member in members if member not in known]

    def _add(self, members: Members) -> None:
        """Add new members to the store, with what they start from and what is done to them."""
        new = self._new(members)
        if self.experiment.is_plain or not new:
            with self.store.transaction("members are added") as t:
                t.add_members(new)
            return
        found = self.prepared or Prepared.of(
            self.experiment,
            Members(tuple(new)),
            self.progress,
            allow_other_numerics=self.allow_other_numerics,
        )
        with self.store.transaction("members are added") as t:
            first = len(self.store.seeds)
            t.add_members(found.members)
            if found.members:
                t.write_origins(range(first, first + len(found.members)), found.leaves)
            before = self.store.notes.get("left_out", [])
            kept = [entry for entry in before if tuple(entry[0]) not in set(new)]
            steps = source_steps(self.experiment.init)
            lacking = [[list(member), why, steps] for member, why in found.left_out.items()]
            if before or lacking:
                t.note(left_out=[*kept, *lacking])
            if found.other_numerics:
                known = {*self.store.notes.get("other_numerics", []), *found.other_numerics}
                t.note(other_numerics=sorted(known))

    def short(self, positions: list[int]) -> list[int]:
        """Members that have not come to the end: the experiment's, or their own by its early stop."""
        done, complete = self.store.steps_done, self.store.complete
        stopped = dict(zip(positions, ended(self.store, self.experiment, positions), strict=True))
        return [
            p for p in positions if not stopped[p] and (done[p] < self.experiment.n_steps or not complete[p])
        ]

    def steps_saved(self, positions: list[int]) -> int:
        """Member-steps that early stopping left out."""
        left = self.experiment.n_steps - self.store.steps_done[positions]
        return int(left[ended(self.store, self.experiment, positions)].clip(min=0).sum())

    def _mark_stopped_complete(self, positions: list[int]) -> None:
        """Mark members as complete that had stopped early when their block was interrupted."""
        rows = [p for p in positions if not self.store.complete[p]]
        if rows:
            with self.store.transaction("members have stopped") as t:
                t.mark(rows, complete=True)

    def _unmeasured(self, positions: list[int]) -> Iterator[tuple[list[int], MeasurePlan]]:
        """Members that lack measures, by what they lack."""
        wanted = MeasurePlan.of(self.experiment)
        lacking: dict[frozenset[str], list[int]] = {}
        measured = {m.name: self.store.measured_to(m.name) for m in wanted.all}
        for p in positions:
            end = min(self.experiment.n_steps, int(self.store.steps_done[p]))
            names = frozenset(n for n, to in measured.items() if to[p] < end)
            if names:
                lacking.setdefault(names, []).append(p)
        for names, rows in lacking.items():
            yield rows, MeasurePlan.sorted(self.experiment, (m for m in wanted.all if m.name in names))

    def _final(self, rows: list[Row]) -> BlockState:
        """The last states of members that are complete, some of which may have stopped before the end."""
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
    """Train members of one run, or of several runs of one shape in common blocks, to their ends.

    Args:
        rows: the members, which may be at different steps; see `cut_blocks`.
        advance: told how many member-steps have been done.
        commit_seconds: between commits of a block; where it holds several runs, at least a second for each.
        n_members: the number of members that the program is made for; None: these.
        committed: called with the rows of each block that is done and committed.
    """
    steps = [int(row.run.store.steps_done[row.position]) for row in rows]
    for start in sorted(set(steps)):
        group = [row for row, step in zip(rows, steps, strict=True) if step == start]
        wanted = MeasurePlan.of(group[0].run.experiment)
        for run, own in by_run(group) if start else ():
            wanted = measured_on_the_way(run.store, own, start, wanted)
        for block, part in cut_blocks(group, wanted, n_members=n_members):
            sink = block_sink(part, wanted, commit_seconds)
            checkpoint = latest_states(part) if start else None
            sink.finish(block.run(sink, checkpoint, advance))
            committed(part)


def block_sink(rows: Sequence[Row], wanted: MeasurePlan, commit_seconds: float) -> StoreSink | RoutingSink:
    """The sink of a block: the store of its run, or the stores of its several runs."""
    runs = by_run(rows)
    every = commit_seconds if len(runs) == 1 else max(commit_seconds, float(len(runs)))
    parts: list[tuple[np.ndarray, StoreSink]] = []
    for run, own in runs:
        places = np.array([i for i, row in enumerate(rows) if row.run is run])
        starts = start_steps(run.store, own)
        sink = StoreSink(run.store, own, wanted, run.experiment.axes, every=every, origins=starts)
        parts.append((places, sink))
    return parts[0][1] if len(parts) == 1 else RoutingSink(parts)


def measured_on_the_way(
    store: RunStore, positions: list[int], start: int, wanted: MeasurePlan
) -> MeasurePlan:
    """What can be measured while members go on from a step: not what lacks the points before it.

    That is left to a replay, and with it the subnetworks, which need the whole way.
    """
    late = {
        measure.name
        for measure in wanted.quick + wanted.slow
        if start and bool((store.measured_to(measure.name)[positions] < start).any())
    }
    if not late:
        return wanted
    return wanted.only(lambda m: m.pace in ("quick", "slow") and m.name not in late)
