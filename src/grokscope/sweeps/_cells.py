"""Cells in training: open their stores, and train members of several cells in one compiled cohort."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from grokscope.experiment import Experiment
from grokscope.runs.block import Block, Checkpoint
from grokscope.runs.ended import ending_of
from grokscope.runs.numerics import TO_TRAIN, check_numerics
from grokscope.runs.sink import StoreSink
from grokscope.runs.trainer import HISTORY_BYTES, block_execution, on_the_way
from grokscope.runs.wanted import Wanted
from grokscope.spec.stopping import Ending
from grokscope.spec.streams import Lineup
from grokscope.starts import FromRun
from grokscope.store.place import Place
from grokscope.store.run_store import RunStore
from grokscope.training.cohort import Cohort
from grokscope.training.loop import MemberLoop
from grokscope.training.timeline import Timeline

__all__ = ["OpenCell", "Row", "open_cell", "train_rows"]

_COMMIT_SECONDS = 20.0
_COMMIT_SECONDS_PER_CELL = 1.0  # a commit takes a few hundredths of a second


@dataclass(frozen=True, eq=False)
class OpenCell:
    """A cell whose store is open for writing.

    Attributes:
        experiment: the cell's experiment.
        store: its store.
        toml: its resolved spec, as written beside the store.
    """

    experiment: Experiment
    store: RunStore
    toml: str


@dataclass(frozen=True)
class Row:
    """One member of a mixed block: its cell, and its position in that cell's store."""

    cell: OpenCell
    position: int


@contextmanager
def open_cell(
    place: Place,
    experiment: Experiment,
    numerics: dict[str, Any],
    provenance: Mapping[str, Any],
    allowed: Sequence[str],
) -> Generator[OpenCell]:
    """Open a cell's store for writing, or create it.

    Args:
        place: the cell's folder or address.
        experiment: the cell's experiment.
        numerics: the fingerprint of this process.
        provenance: written into a new store.
        allowed: differences from the sweep's fingerprint that the user allowed; they are noted in the store.

    Raises:
        InputError: if the folder holds another run, or one with other numerics that are not allowed.
        StoreError: if the store cannot be read or written.
    """
    stored = experiment
    if isinstance(place, Path) and isinstance(experiment.init, FromRun):
        stored = experiment.model_copy(update={"init": experiment.init.seen_from(place)})
    toml = stored.to_toml()
    with RunStore.create(
        place,
        toml,
        stored.identity,
        numerics,
        provenance,
        steps_per_epoch=stored.steps_per_epoch,
        exist_ok=True,
    ) as store:
        check_numerics(store, numerics, allow=bool(allowed), advice=TO_TRAIN)
        if allowed:
            noted = sorted({*store.notes.get("other_numerics", []), *allowed})
            if noted != store.notes.get("other_numerics"):
                with store.transaction("other numerics were allowed") as t:
                    t.note(other_numerics=noted)
        yield OpenCell(experiment, store, toml)


def train_rows(
    rows: Sequence[Row],
    max_members: int,
    advance: Callable[[int], None],
    on_done: Callable[[Sequence[Row]], None],
) -> None:
    """Train members of cells of one shape to the end of their experiments.

    Args:
        rows: the members, possibly at different steps; their experiments differ only in traced numbers.
        max_members: the size that the program is compiled for; more members are trained in several blocks.
        advance: called with the number of member-steps done since the last call.
        on_done: called with the rows of each block after its last commit.
    """
    steps = [int(row.cell.store.steps_done[row.position]) for row in rows]
    for start in sorted(set(steps)):
        group = [row for row, step in zip(rows, steps, strict=True) if step == start]
        wanted = Wanted.of(group[0].cell.experiment)
        for cell, own in _by_cell(group):
            wanted = on_the_way(cell.store, _positions(group, own), start, wanted)
        for block, block_rows in _blocks(group, wanted, max_members):
            sink = _CellsSink(block_rows, wanted)
            checkpoint = _checkpoint(block_rows) if start else None
            sink.finish(block.run(sink, checkpoint, advance))
            on_done(block_rows)


def _blocks(rows: Sequence[Row], wanted: Wanted, max_members: int) -> Iterator[tuple[Block, Sequence[Row]]]:
    """Cut rows into blocks whose kept networks fit the memory."""
    experiment = rows[0].cell.experiment
    timeline = Timeline.of(experiment)
    following = bool(wanted.follow or wanted.follow_slow)
    snapshots = len(timeline) if following else int(timeline.snapshot.sum())
    execution = block_execution(experiment, max_members, snapshots)
    keep = following or timeline.has_snapshots_between
    rule = experiment.stop.rule(experiment.steps_per_epoch)
    loop = MemberLoop(experiment, wanted.quick, wanted.slow, keep, rule)
    for low in range(0, len(rows), execution.capacity):
        own = rows[low : low + execution.capacity]
        numbers = [row.cell.experiment.numbers for row in own]
        traced = tuple((path, tuple(each[path] for each in numbers)) for path in numbers[0])
        members = Lineup(tuple(row.cell.store.seeds[row.position] for row in own))
        cohort = Cohort(loop, members, execution, traced)
        ending = None if rule is None else _ending(own)
        follow, follow_slow = wanted.follow, wanted.follow_slow
        yield Block(cohort, timeline, follow, follow_slow, "predictions", HISTORY_BYTES, ending), own


class _CellsSink:
    """Route a block's results to each cell's store."""

    def __init__(self, rows: Sequence[Row], wanted: Wanted) -> None:
        groups = _by_cell(rows)
        every = max(_COMMIT_SECONDS, _COMMIT_SECONDS_PER_CELL * len(groups))
        self._sinks = [
            (own, StoreSink(cell.store, _positions(rows, own), wanted, cell.experiment.axes, every=every))
            for cell, own in groups
        ]

    def segment(
        self,
        part: Timeline,
        results: dict[str, np.ndarray],
        networks: Callable[[np.ndarray], dict[str, np.ndarray]],
        checkpoint: Callable[[], Checkpoint],
        until: np.ndarray | None = None,
    ) -> None:
        """Write the results of a segment; networks and states are fetched once for all cells."""
        fetched_state: list[Checkpoint] = []
        fetched_networks: list[dict[str, np.ndarray]] = []

        def state_of(own: np.ndarray) -> Checkpoint:
            if not fetched_state:
                fetched_state.append(checkpoint())
            return _state_rows(fetched_state[0], own)

        def networks_of(points: np.ndarray, own: np.ndarray) -> dict[str, np.ndarray]:
            if not fetched_networks:
                fetched_networks.append(networks(points))
            return _array_rows(fetched_networks[0], own)

        for own, sink in self._sinks:
            sink.segment(
                part,
                _array_rows(results, own),
                lambda points, own=own: networks_of(points, own),
                lambda own=own: state_of(own),
                None if until is None else until[own],
            )

    def followed(self, part: Timeline, results: dict[str, np.ndarray], pace: str) -> None:
        """Write measures of subnetworks."""
        for own, sink in self._sinks:
            sink.followed(part, _array_rows(results, own), pace)

    def subnetworks(self, flavor: str, masks: np.ndarray) -> None:
        """Write the masks of the subnetworks found."""
        for own, sink in self._sinks:
            sink.subnetworks(flavor, masks[own])

    def finish(self, final: Checkpoint) -> None:
        """Commit the final states and everything pending, in every cell."""
        for own, sink in self._sinks:
            sink.finish(_state_rows(final, own))


def _by_cell(rows: Sequence[Row]) -> list[tuple[OpenCell, np.ndarray]]:
    """Each cell among the rows, and the indices of its rows."""
    indices: dict[OpenCell, list[int]] = {}
    for i, row in enumerate(rows):
        indices.setdefault(row.cell, []).append(i)
    return [(cell, np.array(own)) for cell, own in indices.items()]


def _positions(rows: Sequence[Row], own: np.ndarray) -> list[int]:
    return [rows[i].position for i in own]


def _array_rows(arrays: Mapping[str, np.ndarray], own: np.ndarray) -> dict[str, np.ndarray]:
    return {name: array[own] for name, array in arrays.items()}


def _state_rows(state: Checkpoint, own: np.ndarray) -> Checkpoint:
    until = None if state.until is None else state.until[own]
    return Checkpoint(state.step, _array_rows(state.leaves, own), until)


def _ending(rows: Sequence[Row]) -> Ending:
    """The early-stopping state of rows at their latest step."""
    arrays = Ending(*(np.empty(len(rows), np.int32) for _ in Ending._fields))
    for cell, own in _by_cell(rows):
        known = ending_of(cell.store, cell.experiment, _positions(rows, own))
        for array, values in zip(arrays, known, strict=True):
            array[own] = values
    return arrays


def _checkpoint(rows: Sequence[Row]) -> Checkpoint:
    """The latest states of rows, all at the same step."""
    states = {
        int(i): state
        for cell, own in _by_cell(rows)
        for i, state in zip(own, cell.store.read_checkpoints(_positions(rows, own)), strict=True)
    }
    names = states[0].leaves
    leaves = {name: np.stack([states[i].leaves[name] for i in range(len(rows))]) for name in names}
    return Checkpoint(states[0].step, leaves)
