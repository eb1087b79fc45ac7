"""Training the members of several cells in one cohort: rows of many stores in one block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from grokscope.experiment import Experiment
from grokscope.runs.block import Block, Checkpoint
from grokscope.runs.ended import ending_of
from grokscope.runs.sink import StoreSink
from grokscope.runs.trainer import HISTORY_BYTES, block_execution, on_the_way
from grokscope.runs.wanted import Wanted
from grokscope.spec.stopping import StopState
from grokscope.spec.streams import Lineup
from grokscope.store.run_store import RunStore
from grokscope.training.cohort import Cohort
from grokscope.training.loop import MemberLoop
from grokscope.training.timeline import Timeline

__all__ = ["OpenCell", "Row", "mixed_blocks", "train_rows"]

_COMMIT_SECONDS = 20.0
_SECONDS_PER_CELL = 1.0  # a commit takes some hundredths of a second


@dataclass
class OpenCell:
    """A cell that is being worked on.

    Attributes:
        experiment: what is trained there.
        store: open for writing.
        toml: the resolved spec, as it lies beside the store.
    """

    experiment: Experiment
    store: RunStore
    toml: str


@dataclass(frozen=True)
class Row:
    """One member: the cell, and the member's position in its store."""

    cell: int
    position: int


class MixedSink:
    """Deals a block's results out to the cells that its rows belong to."""

    def __init__(self, cells: Sequence[OpenCell], rows: Sequence[Row], wanted: Wanted) -> None:
        numbers = sorted({row.cell for row in rows})
        every = max(_COMMIT_SECONDS, _SECONDS_PER_CELL * len(numbers))
        self._parts: list[tuple[np.ndarray, StoreSink]] = []
        for number in numbers:
            own = [i for i, row in enumerate(rows) if row.cell == number]
            positions = [rows[i].position for i in own]
            cell = cells[number]
            sink = StoreSink(cell.store, positions, wanted, cell.experiment.axes, every=every)
            self._parts.append((np.array(own), sink))

    def segment(
        self,
        part: Timeline,
        results: dict[str, np.ndarray],
        networks: Callable[[np.ndarray], dict[str, np.ndarray]],
        checkpoint: Callable[[], Checkpoint],
        until: np.ndarray | None = None,
    ) -> None:
        """Deal out the results of a segment."""
        whole: list[Checkpoint] = []
        kept: list[dict[str, np.ndarray]] = []

        def state(own: np.ndarray) -> Checkpoint:
            if not whole:  # fetched from the devices once for all cells
                whole.append(checkpoint())
            return cut(whole[0], own)

        def networks_of(points: np.ndarray, own: np.ndarray) -> dict[str, np.ndarray]:
            if not kept:
                kept.append(networks(points))
            return _rows(kept[0], own)

        for own, sink in self._parts:
            sink.segment(
                part,
                _rows(results, own),
                lambda points, own=own: networks_of(points, own),
                lambda own=own: state(own),
                None if until is None else until[own],
            )

    def followed(self, part: Timeline, results: dict[str, np.ndarray], pace: str) -> None:
        """Deal out measures of subnetworks."""
        for own, sink in self._parts:
            sink.followed(part, _rows(results, own), pace)

    def subnetworks(self, flavor: str, masks: np.ndarray) -> None:
        """Deal out the subnetworks that were found."""
        for own, sink in self._parts:
            sink.subnetworks(flavor, masks[own])

    def finish(self, final: Checkpoint) -> None:
        """Commit what is left in every cell."""
        for own, sink in self._parts:
            sink.finish(cut(final, own))


def train_rows(
    cells: Sequence[OpenCell],
    rows: Sequence[Row],
    most_members: int,
    advance: Callable[[int], None],
    done: Callable[[Sequence[Row]], None],
) -> None:
    """Bring members of cells of one shape to their end.

    Args:
        cells: open; their experiments differ in numbers only.
        rows: the members, which may be at different steps.
        most_members: the size that the program is made for; more members go through it in turn.
        advance: told how many member-steps have been done.
        done: told of the rows of a block that is committed.
    """
    steps = [int(cells[row.cell].store.steps_done[row.position]) for row in rows]
    for start in sorted(set(steps)):
        group = [row for row, step in zip(rows, steps, strict=True) if step == start]
        wanted = Wanted.of(cells[group[0].cell].experiment)
        for number in {row.cell for row in group} if start else ():
            own = [row.position for row in group if row.cell == number]
            wanted = on_the_way(cells[number].store, own, start, wanted)
        for block, own in mixed_blocks(cells, group, wanted, most_members):
            sink = MixedSink(cells, own, wanted)
            checkpoint = _checkpoint(cells, own) if start else None
            sink.finish(block.run(sink, checkpoint, advance))
            done(own)


def mixed_blocks(
    cells: Sequence[OpenCell], rows: Sequence[Row], wanted: Wanted, most_members: int
) -> Iterator[tuple[Block, list[Row]]]:
    """Cut rows into blocks whose kept networks fit the memory, as many as can be in each."""
    experiment = cells[rows[0].cell].experiment
    timeline = Timeline.of(experiment)
    following = bool(wanted.follow or wanted.follow_slow)
    kept = len(timeline) if following else int(timeline.snapshot.sum())
    execution = block_execution(experiment, max(most_members, 1), kept)
    keep = following or timeline.has_snapshots_between
    rule = experiment.stop.rule(experiment.steps_per_epoch)
    loop = MemberLoop(experiment, wanted.quick, wanted.slow, keep, rule)
    for low in range(0, len(rows), execution.capacity):
        own = list(rows[low : low + execution.capacity])
        numbers = [cells[row.cell].experiment.numbers for row in own]
        traced = tuple((path, tuple(each[path] for each in numbers)) for path in numbers[0])
        lineup = Lineup(tuple(cells[row.cell].store.seeds[row.position] for row in own))
        cohort = Cohort(loop, lineup, execution, traced)
        block = Block(
            cohort,
            timeline,
            wanted.follow,
            wanted.follow_slow,
            history_bytes=HISTORY_BYTES,
            ending=None if rule is None else _ending(cells, own),
        )
        yield block, own


def cut(checkpoint: Checkpoint, own: np.ndarray) -> Checkpoint:
    """The state of some of a block's rows."""
    until = None if checkpoint.until is None else checkpoint.until[own]
    return Checkpoint(checkpoint.step, _rows(checkpoint.leaves, own), until)


def _rows(arrays: Mapping[str, np.ndarray], own: np.ndarray) -> dict[str, np.ndarray]:
    return {name: array[own] for name, array in arrays.items()}


def _ending(cells: Sequence[OpenCell], rows: Sequence[Row]) -> StopState:
    """What is known of the ends of rows from the points that they have passed."""
    found: dict[Row, tuple[int, ...]] = {}
    for number in sorted({row.cell for row in rows}):
        own = [row for row in rows if row.cell == number]
        cell = cells[number]
        known = ending_of(cell.store, cell.experiment, [row.position for row in own])
        found |= dict(zip(own, zip(*(each.tolist() for each in known), strict=True), strict=True))
    return StopState(*np.array([found[row] for row in rows], np.int32).T)


def _checkpoint(cells: Sequence[OpenCell], rows: Sequence[Row]) -> Checkpoint:
    """The latest states of rows, which are at one step."""
    found: dict[Row, dict[str, np.ndarray]] = {}
    step = 0
    for number in sorted({row.cell for row in rows}):
        own = [row for row in rows if row.cell == number]
        for row, one in zip(
            own, cells[number].store.read_checkpoints([row.position for row in own]), strict=True
        ):
            found[row], step = one.leaves, one.step
    names = found[rows[0]]
    return Checkpoint(step, {name: np.stack([found[row][name] for row in rows]) for name in names})
