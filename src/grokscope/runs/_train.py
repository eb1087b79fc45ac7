"""Train an experiment's members into a run folder: what is missing is done, what is there is kept."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from grokscope.budget import check_memory
from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.measures._subnetworks import Flavor
from grokscope.progress import Progress, SilentProgress
from grokscope.runs._block import Block, Checkpoint
from grokscope.runs._disk import atomic_write
from grokscope.runs._numerics import TO_TRAIN, check_numerics, numerics_here
from grokscope.runs._provenance import collect_provenance
from grokscope.runs._sink import StoreSink
from grokscope.runs._store import RunStore
from grokscope.runs._wanted import Wanted
from grokscope.streams import Members
from grokscope.training.cohort import Cohort
from grokscope.training.devices import Execution, choose_execution
from grokscope.training.loop import MemberLoop
from grokscope.training.timeline import Timeline

__all__ = ["HISTORY_BYTES", "Trainer", "train_into"]

# What the kept networks of one block may take: a part of what a laptop has, and enough for a dozen
# members of the standard run at all 301 points.
HISTORY_BYTES = 7e8
_MOST_STEPS = 2**31 - 1  # the compiled loop counts in 32 bits


def train_into(
    folder: Path,
    experiment: Experiment,
    members: Members,
    progress: Progress | None = None,
    *,
    allow_other_numerics: bool = False,
) -> None:
    """Train members into a folder: a new run, or an extension of the one that is there.

    Raises:
        InputError: if the folder holds another run, or the numerics differ and that is not allowed.
        StoreError: if the disk does not let us.
    """
    began = time.monotonic()
    refuse_too_large(experiment, len(members))
    numerics = numerics_here(experiment)
    facts = collect_provenance(numerics)
    with (
        _written(experiment) as (toml, files),
        RunStore.create(
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
        for file in files:
            if not (folder / file.name).exists():
                atomic_write(folder / file.name, file.read_bytes())
        trainer = Trainer(store, experiment, progress or SilentProgress())
        if not trainer.is_done(members):
            store.update_experiment(toml)
            trainer.train(members)
            spent = float(store.provenance.get("wall_seconds") or 0.0) + time.monotonic() - began
            store.update_provenance({**facts, "wall_seconds": round(spent, 3)})
        if not store.is_finished:
            store.finish()


@contextmanager
def _written(experiment: Experiment) -> Generator[tuple[str, list[Path]]]:
    """The spec as text, and the files that it names because they lay only in memory (a task's arrays)."""
    with tempfile.TemporaryDirectory(prefix="grokscope-") as name:
        yield experiment.to_toml(name), sorted(Path(name).iterdir())


def refuse_too_large(experiment: Experiment, n_members: int) -> None:
    """Check that a block of members fits the memory, and that steps can be counted, before anything is made.

    Raises:
        InputError: if it does not (the message says how much it would take), or there are too many steps.
    """
    if experiment.n_steps > _MOST_STEPS:
        raise InputError(f"steps: {experiment.n_steps} are too many; at most {_MOST_STEPS}.")
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
    """

    store: RunStore
    experiment: Experiment
    progress: Progress

    def is_done(self, members: Members) -> bool:
        """Whether nothing is missing: members, steps, measures."""
        known = {seeds: i for i, seeds in enumerate(self.store.seeds)}
        if any(member not in known for member in members):
            return False
        positions = [known[member] for member in members]
        return not self._short(positions) and not any(True for _ in self._unmeasured(positions))

    def train(self, members: Members) -> None:
        """Do what is missing."""
        with self.store.transaction("members are added") as t:
            t.add_members(members.seeds)
        known = {seeds: i for i, seeds in enumerate(self.store.seeds)}
        positions = [known[member] for member in members]
        wanted = Wanted.of(self.experiment)
        short = self._short(positions)
        done = self.store.steps_done
        steps = sum(self.experiment.n_steps - int(done[p]) for p in short)
        if wanted.follow or wanted.follow_slow:
            steps += self.experiment.n_steps * len(short)
        self.progress.start(steps, f"{self.experiment.name or self.experiment.task.kind}")
        for start in sorted({int(done[p]) for p in short}):
            group = [p for p in short if done[p] == start]
            for block, rows in self._blocks(group, wanted):
                sink = StoreSink(self.store, rows, wanted, self.experiment.axes)
                checkpoint = self._checkpoint(rows) if start else None
                sink.finish(block.run(sink, checkpoint, self.progress.advance))
        for rows_of, missing in self._unmeasured(positions):
            self.measure(rows_of, missing)
        self.progress.finish()

    def measure(
        self, positions: list[int], wanted: Wanted, *, flavor: Flavor = "predictions", suffix: str = ""
    ) -> None:
        """Add measures to finished members, by replay."""
        for block, rows in self._blocks(positions, wanted, flavor):
            axes = self.experiment.axes
            sink = StoreSink(self.store, rows, wanted, axes, suffix=suffix, every=None, keep_state=False)
            final = self._checkpoint(rows)
            block.measure_again(sink, final, self.progress.advance)
            sink.finish(final)

    def _short(self, positions: list[int]) -> list[int]:
        """Members that have not come to the end."""
        done, complete = self.store.steps_done, self.store.complete
        return [p for p in positions if done[p] < self.experiment.n_steps or not complete[p]]

    def _unmeasured(self, positions: list[int]) -> Iterator[tuple[list[int], Wanted]]:
        """Members that lack measures, by what they lack."""
        wanted = Wanted.of(self.experiment)
        lacking: dict[frozenset[str], list[int]] = {}
        measured = {m.name: self.store.measured_to(m.name) for m in wanted.all}
        for p in positions:
            names = frozenset(n for n, to in measured.items() if to[p] < self.experiment.n_steps)
            if names:
                lacking.setdefault(names, []).append(p)
        for names, rows in lacking.items():
            yield rows, Wanted.sorted(self.experiment, (m for m in wanted.all if m.name in names))

    def _blocks(
        self, positions: list[int], wanted: Wanted, flavor: Flavor = "predictions"
    ) -> Iterator[tuple[Block, list[int]]]:
        """Cut members into blocks whose kept networks fit the memory."""
        experiment = self.experiment
        timeline = Timeline.of(experiment)
        following = bool(wanted.follow or wanted.follow_slow)
        snapshots = len(timeline) if following else int(timeline.snapshot.sum())
        execution = block_execution(experiment, len(positions), snapshots)
        loop = MemberLoop(
            experiment, wanted.quick, wanted.slow, keep=following or bool(timeline.snapshot.any())
        )
        for low in range(0, len(positions), execution.capacity):
            rows = positions[low : low + execution.capacity]
            members = Members(tuple(self.store.seeds[p] for p in rows))
            yield (
                Block(
                    Cohort(loop, members, execution),
                    timeline,
                    wanted.follow,
                    wanted.follow_slow,
                    flavor,
                    HISTORY_BYTES,
                ),
                rows,
            )

    def _checkpoint(self, rows: list[int]) -> Checkpoint:
        """The latest states of some members, which are at one step."""
        each = self.store.read_checkpoints(rows)
        names = each[0].leaves
        return Checkpoint(
            each[0].step, {name: np.stack([one.leaves[name] for one in each]) for name in names}
        )


def block_execution(experiment: Experiment, n_members: int, n_kept: int) -> Execution:
    """How to lay out members so that the networks kept of one block fit `HISTORY_BYTES`."""
    task = experiment.task
    width = np.dtype(experiment.precision).itemsize
    per_member = width * n_kept * experiment.model.n_parameters(task.input_shape, task.n_outputs)
    fit = choose_execution(n_members, most_slots=64)
    most = max(1, int(HISTORY_BYTES / max(per_member, 1)) // fit.n_devices)
    return choose_execution(n_members, most_slots=min(64, most))
