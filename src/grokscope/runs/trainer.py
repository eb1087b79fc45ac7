"""Train an experiment's members into a run folder: what is missing is done, what is there is kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.measures import Flavor
from grokscope.progress import Progress, SilentProgress
from grokscope.runs._prepare import Prepared
from grokscope.runs._source import source_steps
from grokscope.runs.block import Block, Checkpoint
from grokscope.runs.ended import ended, ending_of, rule_of
from grokscope.runs.numerics import TO_TRAIN, check_numerics, numerics_here
from grokscope.runs.origins import cohort_of, start_steps
from grokscope.runs.provenance import collect_provenance
from grokscope.runs.sink import COMMIT_SECONDS, StoreSink
from grokscope.runs.wanted import Wanted
from grokscope.spec.stopping import NO_STEP
from grokscope.spec.streams import MAX_INT32, Members, Seeds
from grokscope.store.folder import is_run, keep_files, written_spec
from grokscope.store.open import create_store
from grokscope.store.run_store import RunStore
from grokscope.training.budget import check_memory
from grokscope.training.devices import Execution, choose_execution
from grokscope.training.loop import MemberLoop
from grokscope.training.timeline import Timeline

__all__ = ["HISTORY_BYTES", "Trainer", "block_execution", "on_the_way", "train_into"]

# What the kept networks of one block may take: a part of what a laptop has, and enough for a dozen
# members of the standard run at all 301 points.
HISTORY_BYTES = 7e8


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
        check_numerics(store, numerics, allow=allow_other_numerics, advice=TO_TRAIN)
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


def refuse_too_large(experiment: Experiment, n_members: int) -> None:
    """Check that a block of members fits the memory, and that steps can be counted, before anything is made.

    Raises:
        InputError: if it does not (the message says how much it would take), or there are too many steps.
    """
    if experiment.n_steps > MAX_INT32:
        raise InputError(f"steps: {experiment.n_steps} are too many; at most {MAX_INT32}.")
    check_memory(experiment, 1)
    timeline = Timeline.of(experiment)
    execution = block_execution(experiment, n_members, len(timeline))
    check_memory(experiment, min(n_members, execution.capacity))


@dataclass
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
        wanted = Wanted.of(self.experiment)
        rule_of(self.experiment, wanted)  # says so at once if it cannot be followed
        short = self.short(positions)
        self._settle([p for p in positions if p not in set(short)])
        done = self.store.steps_done
        steps = sum(self.experiment.n_steps - int(done[p]) for p in short)
        if wanted.follow or wanted.follow_slow:
            steps += self.experiment.n_steps * len(short)
        self.progress.start(steps, f"{self.experiment.name or self.experiment.task.kind}")
        for start in sorted({int(done[p]) for p in short}):
            group = [p for p in short if done[p] == start]
            taken = on_the_way(self.store, group, start, wanted)
            for block, rows in self._blocks(group, taken):
                origins = start_steps(self.store, rows)
                axes = self.experiment.axes
                sink = StoreSink(self.store, rows, taken, axes, every=self.commit_seconds, origins=origins)
                checkpoint = self._checkpoint(rows) if start else None
                sink.finish(block.run(sink, checkpoint, self.progress.advance))
        for rows_of, missing in self._unmeasured(positions):
            self.measure(rows_of, missing)
        self.progress.finish()

    def measure(
        self, positions: list[int], wanted: Wanted, *, flavor: Flavor = "predictions", suffix: str = ""
    ) -> None:
        """Add measures to finished members, by replay."""
        for block, rows in self._blocks(positions, wanted, flavor, again=True):
            axes = self.experiment.axes
            sink = StoreSink(self.store, rows, wanted, axes, suffix=suffix, every=None, keep_state=False)
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

    def _settle(self, positions: list[int]) -> None:
        """Members that had stopped when the block that they were in was interrupted are complete."""
        rows = [p for p in positions if not self.store.complete[p]]
        if rows:
            with self.store.transaction("members have stopped") as t:
                t.mark(rows, complete=True)

    def _unmeasured(self, positions: list[int]) -> Iterator[tuple[list[int], Wanted]]:
        """Members that lack measures, by what they lack."""
        wanted = Wanted.of(self.experiment)
        lacking: dict[frozenset[str], list[int]] = {}
        measured = {m.name: self.store.measured_to(m.name) for m in wanted.all}
        for p in positions:
            end = min(self.experiment.n_steps, int(self.store.steps_done[p]))
            names = frozenset(n for n, to in measured.items() if to[p] < end)
            if names:
                lacking.setdefault(names, []).append(p)
        for names, rows in lacking.items():
            yield rows, Wanted.sorted(self.experiment, (m for m in wanted.all if m.name in names))

    def _blocks(
        self,
        positions: list[int],
        wanted: Wanted,
        flavor: Flavor = "predictions",
        *,
        again: bool = False,
    ) -> Iterator[tuple[Block, list[int]]]:
        """Cut members into blocks whose kept networks fit the memory."""
        experiment = self.experiment
        timeline = Timeline.of(experiment)
        origins = start_steps(self.store, positions)
        if origins.any():
            timeline = timeline.starting(origins)
        following = bool(wanted.follow or wanted.follow_slow)
        snapshots = len(timeline) if following else int(timeline.snapshot.sum())
        execution = block_execution(experiment, len(positions), snapshots)
        keep = following or timeline.has_snapshots_between
        loop = MemberLoop(
            experiment,
            wanted.quick,
            wanted.slow,
            keep,
            None if again else experiment.stop.rule(experiment.steps_per_epoch),
        )
        for low in range(0, len(positions), execution.capacity):
            rows = positions[low : low + execution.capacity]
            yield (
                Block(
                    cohort_of(self.store, experiment, loop, rows, execution),
                    timeline,
                    wanted.follow,
                    wanted.follow_slow,
                    flavor,
                    HISTORY_BYTES,
                    None if loop.rule is None else ending_of(self.store, experiment, rows),
                ),
                rows,
            )

    def _final(self, rows: list[int]) -> Checkpoint:
        """The last states of members that are complete, some of which may have stopped before the end."""
        each = self._checkpoint(rows)
        done = self.store.steps_done[rows]
        if (done >= self.experiment.n_steps).all():
            return each
        until = np.where(done < self.experiment.n_steps, done, NO_STEP).astype(np.int32)
        return Checkpoint(self.experiment.n_steps, each.leaves, until)

    def _checkpoint(self, rows: list[int]) -> Checkpoint:
        """The latest states of some members, which are at one step."""
        each = self.store.read_checkpoints(rows)
        names = each[0].leaves
        return Checkpoint(
            each[0].step, {name: np.stack([one.leaves[name] for one in each]) for name in names}
        )


def on_the_way(store: RunStore, positions: list[int], start: int, wanted: Wanted) -> Wanted:
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


def block_execution(experiment: Experiment, n_members: int, n_kept: int) -> Execution:
    """How to lay out members so that the networks kept of one block fit `HISTORY_BYTES`."""
    task = experiment.task
    width = np.dtype(experiment.precision).itemsize
    per_member = width * n_kept * experiment.model.n_parameters(task.input_shape, task.n_outputs)
    fit = choose_execution(n_members, most_slots=64, experiment=experiment)
    most = max(1, int(HISTORY_BYTES / max(per_member, 1)) // fit.n_devices)
    return choose_execution(n_members, most_slots=min(64, most), experiment=experiment)
