"""Blocks: members that are trained or measured together, as many as fit the devices and the memory.

`cut_blocks` is the one place where members are cut into blocks: for training, for replay, and for the cells
of a sweep. A block trains segment by segment, then measures the subnetworks of the final networks at earlier
steps. Its results go to a `Sink`; `grokscope.runs.sink` writes them to the store.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from grokscope.errors import GrokscopeError
from grokscope.losses import CrossEntropy
from grokscope.measures import Flavor, Measure, Point, find_subnetworks
from grokscope.measures.logit_fourier import key_spectra
from grokscope.measures.needs import FINAL_NETWORK, INITIAL_NETWORK, KEY_FREQUENCIES
from grokscope.models.networks.neurons import has_neurons
from grokscope.runs.early_stop import stop_state
from grokscope.runs.networks import stacked, stacked_network
from grokscope.runs.origins import cohort_of, start_steps
from grokscope.spec.axes import SUBNETWORK_LABELS
from grokscope.spec.stopping import NO_STEP, StopState
from grokscope.spec.streams import STREAMS, Lineup, stream_key
from grokscope.store.arrays import blanked
from grokscope.training import budget
from grokscope.training.cohort import Cohort, array_leaves
from grokscope.training.devices import Execution, in_precision
from grokscope.training.loop import Carry, MemberLoop, take_measures
from grokscope.training.part_check import check_parts
from grokscope.training.timeline import Timeline

if TYPE_CHECKING:
    from grokscope.experiment import Experiment
    from grokscope.runs.measure_plan import MeasurePlan
    from grokscope.store.reader import RunReader
    from grokscope.store.run_store import RunStore

__all__ = [
    "Block",
    "BlockState",
    "OpenRun",
    "Row",
    "Sink",
    "SnapshotBlock",
    "by_run",
    "cut_blocks",
    "latest_states",
]


@dataclass(frozen=True)
class BlockState:
    """The whole state of a block's members at one step.

    Attributes:
        step: updates done.
        leaves: arrays [member, ...] by path, e.g. ``state.network.hidden_weight``.
        until: the step at which early stopping stops each member, `NO_STEP` where it does not [member]; None:
            no member is stopped.
    """

    step: int
    leaves: dict[str, np.ndarray]
    until: np.ndarray | None = None

    @property
    def steps(self) -> int | np.ndarray:
        """Updates done; an array [member] if members can have stopped earlier than others."""
        return self.step if self.until is None else np.minimum(self.step, self.until)


class Sink(Protocol):
    """Receives a block's results; the first axis of every array is the member."""

    def segment(
        self,
        part: Timeline,
        results: dict[str, np.ndarray],
        networks: Callable[[np.ndarray], dict[str, np.ndarray]],
        checkpoint: Callable[[], BlockState],
        until: np.ndarray | None = None,
    ) -> None:
        """Receive the results of a segment.

        Args:
            part: the points of the segment.
            results: measures by name, arrays [member, point, ...].
            networks: function from points to the networks there, arrays [member, point, ...] by name.
            checkpoint: function that returns the state at the end of the segment.
            until: the step at which early stopping stops each member, as far as known; None: no member is
                stopped.
        """
        ...

    def followed(self, part: Timeline, results: dict[str, np.ndarray], pace: str) -> None:
        """Receive measures of subnetworks.

        Args:
            part: the points.
            results: measures by name, arrays [member, point, ...].
            pace: ``follow`` or ``follow_slow``.
        """
        ...

    def subnetworks(self, flavor: str, masks: np.ndarray) -> None:
        """Receive the subnetworks that were found, bool [member, subnetwork, neuron]."""
        ...


@dataclass
class Block:
    """A cohort that fits the memory, with the points of its run and the measures of subnetworks.

    Attributes:
        cohort: the members. Its loop takes the quick and slow measures; ``train_accuracy`` is one of them if
            subnetworks are followed.
        timeline: all points of the run.
        follow: measures of subnetworks, taken at the follow points.
        follow_slow: measures of subnetworks, taken at the slow points.
        flavor: how subnetworks are found: ``predictions`` or ``accuracy``.
        history_bytes: memory allowed for the networks of all points; if they need more, they are replayed
            segment by segment.
        ending: early-stopping state at the start of the block, arrays [member]; None: no member is stopped.
        repeats: whether a replay must end in the recorded state. Members that were continued under other
            numerics cannot be repeated anywhere; what is followed is then measured on a replay with those of
            this process, and the run is marked.
    """

    cohort: Cohort
    timeline: Timeline
    follow: tuple[Measure, ...] = ()
    follow_slow: tuple[Measure, ...] = ()
    flavor: Flavor = "predictions"
    history_bytes: float = 1e9
    ending: StopState | None = None
    repeats: bool = True
    _until: np.ndarray | None = None
    _initial: Any = None  # the networks at the members' starts, if a measure needs them
    _kept: list[tuple[Timeline, Any]] = field(default_factory=list[tuple[Timeline, Any]])

    def run(
        self,
        sink: Sink,
        checkpoint: BlockState | None = None,
        advance: Callable[[int], None] = lambda steps: None,
    ) -> BlockState:
        """Train from the start, or from a checkpoint, to the last point; then measure the subnetworks.

        Args:
            sink: receives the results.
            checkpoint: the state to continue from; None: start.
            advance: called with the member-steps done since its last call.

        Returns:
            The final state.

        Raises:
            GrokscopeError: if a replay does not end in the recorded state.
        """
        carry, data = self._start()
        last = int(self.timeline.steps[-1])
        advance_to = self._advance_to(advance, 0 if checkpoint is None else checkpoint.step)
        if checkpoint is not None:
            carry = self.restored(carry, checkpoint)
        memorized = FirstCrossing(len(self.cohort.members)) if checkpoint is None else None
        self._kept = []
        # copied before the training, because the first segment overwrites the carry
        wanted = checkpoint is None and not self.cohort.loop.keep and bool(self.timeline.snapshot[:1].any())
        first = self._network(carry) if wanted else None
        for part, results, networks, after in self._segments(
            carry, data, after=-1 if checkpoint is None else checkpoint.step
        ):
            carry = after
            if memorized is not None and (self.follow or self.follow_slow):
                if self._history_fits(networks):
                    if not self._kept:
                        self._compile_ahead(networks, data)
                    self._kept.append((part, networks))
                memorized.update(part.quick, results, networks, self.cohort.rows)
            reader = self._reader(networks) if self.cohort.loop.keep else self._end_reader(first, part, after)
            step = int(part.steps[-1])
            sink.segment(part, results, reader, functools.partial(self.checkpoint, step, after), self._until)
            advance_to(step)
        advance_to(last)  # all members may have stopped before the last point
        final = self.checkpoint(last, carry)
        if self.follow or self.follow_slow:
            network = self.cohort.networks(carry)
            self._follow(sink, network, data, final, memorized, advance)
        self._kept = []
        return final

    def measure_again(self, sink: Sink, final: BlockState, advance: Callable[[int], None]) -> None:
        """Take the measures of a finished block by replay.

        Args:
            sink: receives the results.
            final: the recorded final state.
            advance: called with the member-steps done since its last call.

        Raises:
            GrokscopeError: if the replay does not end in the recorded state.
        """
        following = bool(self.follow or self.follow_slow)
        memorized = FirstCrossing(len(self.cohort.members))
        advance_to = self._advance_to(advance)
        self._kept = []
        for part, results, networks in self.replay(final):
            if following:
                if self._history_fits(networks):
                    self._kept.append((part, networks))
                memorized.update(self._accuracy_points(part), results, networks, self.cohort.rows)
            sink.segment(part, results, self._reader(networks), lambda: final, self._until)
            advance_to(int(part.steps[-1]))
        advance_to(int(self.timeline.steps[-1]))
        if following:
            network, data = self._final_networks(final)
            self._follow(sink, network, data, final, memorized, advance)
        self._kept = []

    def replay(
        self, final: BlockState | None = None
    ) -> Iterator[tuple[Timeline, dict[str, np.ndarray], Any]]:
        """Train again from the start, segment by segment.

        Args:
            final: the recorded final state; None: it is not compared.

        Yields:
            The points of a segment, its results, and its networks on the devices.

        Raises:
            GrokscopeError: after the last segment, if the replay does not end in the given state.
        """
        if final is not None and final.until is not None:
            count = len(final.until)
            until = np.minimum(final.until, np.int32(final.step)).astype(np.int32)
            self.ending = StopState(until, np.full(count, -1, np.int32), np.zeros(count, np.int32))
        carry, data = self._start()
        for part, results, networks, after in self._segments(carry, data, after=-1):
            carry = after
            yield part, results, networks
        if final is not None and self.repeats:
            again = self.checkpoint(final.step, carry)
            if not _equal(again.leaves, final.leaves):
                raise GrokscopeError(
                    f"a replay does not end in the state that was recorded at step {final.step}: the "
                    "numerics of this machine or the code of a part differ from those of the run, or the "
                    "store was changed."
                )

    def checkpoint(self, step: int, carry: Carry) -> BlockState:
        """The state of the block's members as host arrays."""
        return BlockState(step, array_leaves(self.cohort.trim(carry._replace(ending=()))), self._until)

    def restored(self, like: Carry, checkpoint: BlockState) -> Carry:
        """The carry on the devices from a checkpoint; ``like`` gives its structure."""
        plain = self.cohort.placed_carry(like._replace(ending=()), checkpoint.leaves)
        return plain._replace(ending=like.ending)

    def _start(self) -> tuple[Carry, dict[str, jax.Array]]:
        """Carry before the first update, and the members' own data."""
        carry, data = self.cohort.start()
        if self._needs_initial:  # copied, because the first segment overwrites the carry
            self._initial = jax.tree.map(jax.numpy.copy, self.cohort.networks(carry))
        if self.ending is None:
            return carry, data
        self._until = self.ending.until
        return carry._replace(ending=StopState(*map(self.cohort.place, self.ending))), data

    def _advance_to(self, advance: Callable[[int], None], at: int = 0) -> Callable[[int], None]:
        """Function that takes the step reached and reports the member-steps done since step ``at``."""

        def advance_to(step: int) -> None:
            nonlocal at
            advance((step - at) * len(self.cohort.members))
            at = step

        return advance_to

    def _segments(
        self, carry: Carry, data: Any, *, after: int
    ) -> Iterator[tuple[Timeline, dict[str, np.ndarray], Any, Carry]]:
        """Train the segments later than a step; yields (points, results, networks, carry) of each."""
        # the size depends on the slots, not on the members: the last, smaller block shares the program
        size = self.timeline.segment_size(self.cohort.experiment, self.cohort.execution.slots)
        todo = self.timeline.after(after)
        for rows, plan in todo.segments(max(after, 0), size):
            part = todo.part(rows)
            if self.ending is None:
                plan = plan._replace(own=None)
            elif self._until is not None and (self._until < part.steps[0]).all():
                return
            initial = self._initial if self.cohort.loop.needs_initial else None
            carry, results, networks = self.cohort.segment(carry, data, plan, initial)
            if self.ending is not None:
                self._until = self.cohort.trim(carry.ending.until)
            trimmed = self.cohort.trim(results)
            unpadded = {name: array[:, : len(part)] for name, array in trimmed.items()}
            yield part, self._masked(part, unpadded), networks, carry

    def _masked(self, part: Timeline, results: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Blank results before a member's start, after its stop, and at other members' start points."""
        counts = np.ones((len(self.cohort.members), len(part)), bool)
        if self.cohort.member_plan is not None:
            counts &= part.counts_for(self.cohort.member_plan.origin)
        if self._until is not None:
            counts &= part.steps[None, :] <= self._until[:, None]
        return results if counts.all() else {name: blanked(array, counts) for name, array in results.items()}

    def _follow(
        self,
        sink: Sink,
        final_network: Any,
        data: Any,
        final: BlockState,
        memorized: FirstCrossing | None,
        advance: Callable[[int], None],
    ) -> None:
        """Find the subnetworks of the final networks and take their measures at all follow points."""
        if memorized is None:
            memorized = FirstCrossing(len(self.cohort.members))
            for part, results, networks in self.replay(final):
                memorized.update(part.quick, results, networks, self.cohort.rows)
        measures = self.follow + self.follow_slow
        found = _follow_inputs(self.cohort, final_network, data, memorized, self.flavor, measures)
        masks = self.cohort.trim(found["subnetworks"])
        if masks.shape[-1]:  # a learner without neurons has none
            sink.subnetworks(self.flavor, masks)
        history = iter(self._kept) if self._kept else self._history(final)
        advance_to = self._advance_to(advance)
        last = NO_STEP if self._until is None else int(self._until.max())
        for part, networks in history:
            for pace, measures, flags in (
                ("follow", self.follow, part.follow),
                ("follow_slow", self.follow_slow, part.slow),
            ):
                points = np.flatnonzero(flags & (part.steps <= last))
                if measures and len(points):
                    given = found | self._ends_of(measures, final_network)
                    results = self.cohort.follow(networks, data, given, measures, points)
                    chosen = part.part(points)
                    sink.followed(chosen, self._masked(chosen, results), pace)
            advance_to(int(part.steps[-1]))
        advance_to(int(self.timeline.steps[-1]))

    def _compile_ahead(self, networks: Any, data: Any) -> None:
        """Compile the follow programs in a thread during training.

        Errors are ignored here; `_follow` compiles again and raises them.
        """

        def work() -> None:
            with contextlib.suppress(Exception), in_precision(self.cohort.experiment.precision):
                zeros = _zero_follow_inputs(self.cohort.experiment, self.follow + self.follow_slow)
                for measures in filter(None, (self.follow, self.follow_slow)):
                    first = jax.tree.map(lambda leaf: leaf[:, 0], networks)  # in the shapes of the final one
                    ends = self._ends_of(measures, first)
                    self.cohort.compile_follow(networks, data, zeros, measures, ends)

        threading.Thread(target=work, daemon=True).start()

    @property
    def _needs_initial(self) -> bool:
        return self.cohort.loop.needs_initial or bool(self._initial_needs(self.follow + self.follow_slow))

    @staticmethod
    def _initial_needs(measures: tuple[Measure, ...]) -> list[Measure]:
        return [measure for measure in measures if INITIAL_NETWORK in measure.needs]

    def _ends_of(self, measures: tuple[Measure, ...], final: Any) -> dict[str, Any]:
        """The entries ``initial`` and ``final`` of the findings for `Cohort.follow`, where needed."""
        found = {"initial": self._initial} if self._initial_needs(measures) else {}
        return found | ({"final": final} if any(FINAL_NETWORK in m.needs for m in measures) else {})

    def _accuracy_points(self, part: Timeline) -> np.ndarray:
        """The points of a replayed segment at which the train accuracy was measured, bool [point]."""
        return part.quick

    def _final_networks(self, final: BlockState) -> tuple[Any, Any]:
        """The members' final networks, and their data, on the devices."""
        carry, data = self._start()
        return self.cohort.networks(self.restored(carry, final)), data

    def _history(self, final: BlockState) -> Iterator[tuple[Timeline, Any]]:
        """The networks of all points on the devices, by segment."""
        return ((part, networks) for part, _, networks in self.replay(final))

    def _history_fits(self, networks: Any) -> bool:
        """Whether the networks of all points fit `history_bytes`, judged by those of one segment."""
        leaves = jax.tree.leaves(networks)
        per_point = sum(leaf.nbytes for leaf in leaves) / leaves[0].shape[1]
        return per_point * len(self.timeline) <= self.history_bytes

    def _reader(self, networks: Any) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
        """Function from points of a segment to their networks on the host."""
        return lambda points: array_leaves(
            self.cohort.trim(jax.tree.map(lambda leaf: np.asarray(leaf)[:, points], networks))
        )

    def _end_reader(
        self, first: dict[str, np.ndarray] | None, part: Timeline, after: Carry
    ) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
        """As `_reader`, for the run's first and last points only; used if no others are kept."""

        def networks(points: np.ndarray) -> dict[str, np.ndarray]:
            last = self._network(after)
            each = [last if first is None or point == len(part) - 1 else first for point in points]
            return stacked(each, axis=1)

        return networks

    def _network(self, carry: Carry) -> dict[str, np.ndarray]:
        """The members' networks [member, ...] on the host."""
        return array_leaves(self.cohort.trim(self.cohort.networks(carry)))


def _equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    """Whether two states have the same bits."""
    return one.keys() == other.keys() and all(
        leaf.dtype == other[name].dtype and leaf.tobytes() == other[name].tobytes()
        for name, leaf in one.items()
    )


@dataclass
class SnapshotBlock(Block):
    """A block of an imported run: networks are read from snapshots, one step of all members at a time.

    The memorizing subnetwork is found from the first of all snapshots whose train accuracy is above
    `MEMORIZED`, the other subnetworks from the last snapshot.

    Attributes:
        store: the store of the run.
        positions: the members' positions in the store.
        steps: the steps at which measures are taken, a subset of those of the snapshots.
    """

    store: RunReader = field(kw_only=True)
    positions: list[int] = field(kw_only=True)
    steps: frozenset[int] = field(kw_only=True)

    def replay(
        self, final: BlockState | None = None
    ) -> Iterator[tuple[Timeline, dict[str, np.ndarray], Any]]:
        """Yield (one point, results, networks on the devices) for each snapshot that is needed."""
        del final  # nothing is recomputed, so there is nothing to compare
        loop, data = self.cohort.loop, self._data
        if self._needs_initial:
            self._initial = self._read(0)
        accuracy = tuple(measure for measure in loop.quick if measure.name == "train_accuracy")
        for step in self.timeline.steps.tolist():
            part = self._point(step)
            measures = loop.quick + loop.slow if step in self.steps else accuracy
            if step not in self.steps and not (self.follow or self.follow_slow):
                continue
            network = self._read(step)
            experiment: Any = self.cohort.experiment  # its parts are hashable, because frozen
            take = _measure_function(measures, experiment.loss, experiment.task)
            results = self.cohort.trim(self.cohort.each(take, network, data, self._initial))
            with_point = {name: array[:, None] for name, array in results.items()}
            yield part, with_point, jax.tree.map(lambda leaf: leaf[:, None], network)

    def _accuracy_points(self, part: Timeline) -> np.ndarray:
        return np.ones(len(part), bool)

    def _final_networks(self, final: BlockState) -> tuple[Any, Any]:
        return self._read(final.step), self._data

    def _history(self, final: BlockState) -> Iterator[tuple[Timeline, Any]]:
        for step in sorted(self.steps):
            yield self._point(step), jax.tree.map(lambda leaf: leaf[:, None], self._read(step))

    def _history_fits(self, networks: Any) -> bool:
        return False  # the number of snapshots has no limit, and reading one again is cheap

    @functools.cached_property
    def _data(self) -> dict[str, jax.Array]:
        return self.cohort.data()

    def _point(self, step: int) -> Timeline:
        """The timeline of one step."""
        measured = np.array([step in self.steps])
        quick, slow = (measured & bool(m) for m in (self.cohort.loop.quick, self.cohort.loop.slow))
        slow |= measured & bool(self.follow_slow)
        return Timeline(np.array([step]), quick, slow, measured, np.array([False]))

    def _read(self, step: int) -> Any:
        """The members' networks at a step, on the devices."""
        leaves = [self.store.read_snapshot(position, step) for position in self.positions]
        return self.cohort.place(stacked_network(self.cohort.experiment, leaves))


@functools.lru_cache(maxsize=64)
def _measure_function(
    measures: tuple[Measure, ...], loss: Any, task: Any
) -> Callable[..., dict[str, jax.Array]]:
    """Function that takes the measures of one member's network; cached, so that it is compiled once."""

    def take(network: Any, own: Any, initial: Any, shared: dict[str, jax.Array]) -> dict[str, jax.Array]:
        point = Point(network, shared | own, loss, task=task, initial=initial)
        return take_measures(measures, point)

    return take


class OpenRun(Protocol):
    """A run whose store is open for writing; members of several runs of one shape can share a block."""

    @property
    def experiment(self) -> Experiment:
        """The experiment, with the requested length and measures."""
        ...

    @property
    def store(self) -> RunStore:
        """The store of the run."""
        ...


class Row(NamedTuple):
    """One member of a block.

    Attributes:
        run: the run that the member belongs to.
        position: its position in the store of that run.
    """

    run: OpenRun
    position: int


def cut_blocks(
    rows: Sequence[Row],
    wanted: MeasurePlan,
    *,
    flavor: Flavor = "predictions",
    again: bool = False,
    n_members: int | None = None,
) -> Iterator[tuple[Block, list[Row]]]:
    """Cut members into blocks that fit the devices, and whose kept networks fit `budget.HISTORY_BYTES`.

    Args:
        rows: the members. Their experiments differ only in `Experiment.numbers`; members with start steps or
            intervention targets of their own belong to one run.
        wanted: the measures to take.
        flavor: how subnetworks are found.
        again: whether the members are finished and are replayed.
        n_members: the number of members that the program is compiled for; None: the number of rows.

    Yields:
        A block and its members.
    """
    experiment = rows[0].run.experiment
    check_parts(experiment, wanted.all)
    timeline = Timeline.of(experiment)
    starts = np.concatenate([start_steps(run.store, own) for run, own in by_run(rows)])
    if starts.any():
        timeline = timeline.starting(starts)
    following = bool(wanted.follow or wanted.follow_slow)
    n_kept = len(timeline) if following else int(timeline.snapshot.sum())
    execution = budget.block_execution(experiment, n_members or len(rows), n_kept)
    keep = following or timeline.has_snapshots_between
    rule = None if again else experiment.stop_rule
    loop = MemberLoop(experiment, wanted.quick, wanted.slow, keep, rule)
    for low in range(0, len(rows), execution.capacity):
        part = list(rows[low : low + execution.capacity])
        ending = None if rule is None else StopState(*np.array(_by_row(part, _stop_states), np.int32).T)
        cohort = _cohort(part, loop, execution)
        yield (
            Block(cohort, timeline, wanted.follow, wanted.follow_slow, flavor, budget.HISTORY_BYTES, ending),
            part,
        )


def by_run(rows: Sequence[Row]) -> list[tuple[OpenRun, list[int]]]:
    """The runs of members, in order, each with the positions of its members."""
    found: dict[OpenRun, list[int]] = {}
    for row in rows:
        found.setdefault(row.run, []).append(row.position)
    return list(found.items())


def latest_states(rows: Sequence[Row]) -> BlockState:
    """The latest checkpoints of members, with the step of the first of them."""
    step = int(rows[0].run.store.steps_done[rows[0].position])
    leaves = _by_row(rows, lambda run, own: [one.leaves for one in run.store.read_checkpoints(own)])
    return BlockState(step, stacked(leaves))


def _cohort(rows: list[Row], loop: MemberLoop, execution: Execution) -> Cohort:
    """The cohort of members of one run, or of several runs whose numbers differ."""
    first = rows[0].run
    if all(row.run is first for row in rows):
        loop = replace(loop, experiment=first.experiment)
        own = [row.position for row in rows]
        return cohort_of(first.store, first.experiment, loop, own, execution)
    numbers = [row.run.experiment.numbers for row in rows]
    traced = tuple((path, tuple(each[path] for each in numbers)) for path in numbers[0])
    lineup = Lineup(tuple(row.run.store.seeds[row.position] for row in rows))
    return Cohort(loop, lineup, execution, traced)


def _stop_states(run: OpenRun, positions: list[int]) -> list[tuple[int, ...]]:
    state = stop_state(run.store, run.experiment, positions)
    return list(zip(*(array.tolist() for array in state), strict=True))


def _by_row(rows: Sequence[Row], read: Callable[[OpenRun, list[int]], Sequence[Any]]) -> list[Any]:
    """Read one value for each row, in order; ``read`` is called once for each run."""
    found: dict[Row, Any] = {}
    for run, own in by_run(rows):
        found |= dict(zip((Row(run, position) for position in own), read(run, own), strict=True))
    return [found[row] for row in rows]


MEMORIZED = 0.98  # train accuracy above which the official code finds the memorizing subnetwork


class FirstCrossing:
    """The network of each member at the first point at which its train accuracy is above `MEMORIZED`.

    Attributes:
        networks: host pytree [member, ...], zeros for members that have not memorized; None before the
            first call of `update`.
        found: whether each member has memorized, bool [member].
    """

    def __init__(self, n_members: int) -> None:
        self.networks: Any = None
        self.found = np.zeros(n_members, dtype=bool)

    def update(
        self, known: np.ndarray, results: dict[str, np.ndarray], networks: Any, rows: np.ndarray
    ) -> None:
        """Copy the networks of members that memorize within a segment.

        Args:
            known: the points of the segment at which the train accuracy was measured, bool [point].
            results: the measures of the segment, arrays [member, point].
            networks: the networks of the segment on the devices, [slot, point, ...].
            rows: the slot of each member.
        """
        if self.networks is None:
            self.networks = jax.tree.map(
                lambda leaf: np.zeros((len(self.found), *leaf.shape[2:]), leaf.dtype), networks
            )
        passed = (results["train_accuracy"] > MEMORIZED) & known
        for member in np.flatnonzero(passed.any(axis=1) & ~self.found).tolist():
            point = int(np.argmax(passed[member]))
            self.found[member] = True

            def store(into: np.ndarray, leaf: Any, member: int = member, point: int = point) -> None:
                into[member] = _row(leaf, int(rows[member]), point)

            jax.tree.map(store, self.networks, networks)


def _row(leaf: Any, slot: int, point: int) -> np.ndarray:
    """One slot and point of an array on the devices, on the host; only the device that holds it is read."""
    for shard in leaf.addressable_shards:
        first = shard.index[0].start or 0
        if first <= slot < first + len(shard.data):
            found = shard.data if shard.device.platform == "cpu" else shard.data[slot - first, point]
            # a view of a CPU's memory, where indexing would compile a program for each shape
            return np.asarray(found)[slot - first, point] if found is shard.data else np.asarray(found)
    raise IndexError(f"no device holds slot {slot}")


def _follow_inputs(
    cohort: Cohort,
    final: Any,
    data: Any,
    memorized: FirstCrossing,
    flavor: Flavor,
    measures: tuple[Measure, ...],
) -> dict[str, jax.Array]:
    """The inputs of measures of pace ``follow``, found from every member's final network, on the devices.

    Returns:
        ``subnetworks``, bool [member, subnetwork, neuron]; and, if a measure needs them,
        ``final_spectra``, float [member, 2, frequency].
    """
    return cohort.each(
        _member_follow_inputs(flavor, *_spectra_needed(measures)),
        final,
        cohort.place(memorized.networks),
        cohort.place(memorized.found),
        data,
        cohort.seeds,
    )


def _zero_follow_inputs(experiment: Experiment, measures: tuple[Measure, ...]) -> dict[str, np.ndarray]:
    """False in the shapes of one member's `_follow_inputs`."""
    shape = (len(SUBNETWORK_LABELS), experiment.model.n_neurons)
    zeros: dict[str, np.ndarray] = {"subnetworks": np.zeros(shape, dtype=bool)}
    if any(KEY_FREQUENCIES in m.needs for m in measures):
        zeros["final_spectra"] = np.zeros((2, len(experiment.axes["frequency"])), experiment.precision)
    return zeros


def _spectra_needed(measures: tuple[Measure, ...]) -> tuple[bool, bool]:
    """Whether measures need the spectrum of the final network's logits, and that of its neurons."""
    needing = [measure for measure in measures if KEY_FREQUENCIES in measure.needs]
    return bool(needing), any(getattr(measure, "rule", "") == "neurons" for measure in needing)


@functools.cache
def _member_follow_inputs(flavor: Flavor, with_frequencies: bool, with_neurons: bool) -> Callable[..., Any]:
    """Function that finds the `_follow_inputs` of one member; cached, so that it is compiled once."""

    def find(
        final: Any,
        memorized: Any,
        has_memorized: jax.Array,
        own: dict[str, jax.Array],
        seeds: jax.Array,
        shared: dict[str, jax.Array],
    ) -> dict[str, jax.Array]:
        noise = stream_key("noise", seeds[STREAMS.index("noise")])
        data = shared | own
        if has_neurons(final):
            masks = find_subnetworks(final, memorized, data, noise, flavor, has_memorized=has_memorized)
        else:
            masks = jnp.zeros((len(SUBNETWORK_LABELS), 0), bool)
        found = {"subnetworks": masks}
        if with_frequencies:
            point = Point(final, data, CrossEntropy())
            found["final_spectra"] = key_spectra(point, with_neurons=with_neurons)
        return found

    return find
