"""Blocks: members that are trained or measured together, as many as fit the devices and the memory.

`cut_blocks` is the one place where members are cut into blocks: for training, for measuring again, and for
the cells of a sweep. A block goes from segment to segment, then follows the final subnetworks back through
time. It does not write: its results go to a `Sink` (`grokscope.runs.sink` writes them to the store).
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

import jax
import numpy as np

from grokscope.errors import GrokscopeError
from grokscope.losses import CrossEntropy
from grokscope.measures import Flavor, Measure, Point, find_subnetworks
from grokscope.measures.logit_fourier import KeyFrequencies
from grokscope.measures.needs import KEY_FREQUENCIES
from grokscope.runs.early_stop import stop_state
from grokscope.runs.networks import stacked_network
from grokscope.runs.origins import cohort_of, start_steps
from grokscope.spec.axes import SUBNETWORK_LABELS
from grokscope.spec.stopping import NO_STEP, StopState
from grokscope.spec.streams import STREAMS, Lineup, stream_key
from grokscope.store.arrays import blanked
from grokscope.training import budget
from grokscope.training.cohort import Cohort, array_leaves
from grokscope.training.devices import Execution, in_precision
from grokscope.training.loop import Carry, MemberLoop, take_measures
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
        until: the step at which each member stops, or stopped, before the others [member]; None: none does.
    """

    step: int
    leaves: dict[str, np.ndarray]
    until: np.ndarray | None = None

    @property
    def steps(self) -> int | np.ndarray:
        """Updates done; by each member [member], where some have stopped."""
        return self.step if self.until is None else np.minimum(self.step, self.until)


class Sink(Protocol):
    """Where a block's results go; all arrays have the member as their first axis."""

    def segment(
        self,
        part: Timeline,
        results: dict[str, np.ndarray],
        networks: Callable[[np.ndarray], dict[str, np.ndarray]],
        checkpoint: Callable[[], BlockState],
        until: np.ndarray | None = None,
    ) -> None:
        """Take the results of a segment.

        Args:
            part: its points.
            results: arrays [member, point, ...].
            networks: those of given points.
            checkpoint: the state at its end.
            until: the step at which each member stops, as far as that is known; None: none does.
        """
        ...

    def followed(self, part: Timeline, results: dict[str, np.ndarray], pace: str) -> None:
        """Measures of subnetworks [member, point, ...], of pace ``follow`` or ``follow_slow``."""
        ...

    def subnetworks(self, flavor: str, masks: np.ndarray) -> None:
        """The subnetworks found, bool [member, subnetwork, neuron]."""
        ...


@dataclass
class Block:
    """A cohort small enough for the memory, the points to visit, and what to measure.

    Attributes:
        cohort: the members; its loop takes the quick and slow measures (``train_accuracy`` among them
            where subnetworks are followed).
        timeline: all points of the run.
        follow: measures of subnetworks, on every follow point.
        follow_slow: the same, on the slow points.
        flavor: how subnetworks are found: ``predictions`` or ``accuracy``.
        history_bytes: how much memory the kept networks of all points may take; above it they are
            replayed segment by segment instead.
        ending: what is known of the members' ends when the block begins, arrays [member]; None: all members
            go to the last point.
    """

    cohort: Cohort
    timeline: Timeline
    follow: tuple[Measure, ...] = ()
    follow_slow: tuple[Measure, ...] = ()
    flavor: Flavor = "predictions"
    history_bytes: float = 1e9
    ending: StopState | None = None
    _until: np.ndarray | None = None
    _kept: list[tuple[Timeline, Any]] = field(default_factory=list[tuple[Timeline, Any]])

    def run(
        self,
        sink: Sink,
        checkpoint: BlockState | None = None,
        advance: Callable[[int], None] = lambda steps: None,
    ) -> BlockState:
        """Train from the start, or a checkpoint, to the last point; then follow the subnetworks.

        Args:
            sink: gets the results.
            checkpoint: where to go on.
            advance: told how many member-steps have been done since it was last told.

        Returns:
            The final state.

        Raises:
            GrokscopeError: if a replay does not end in the recorded state.
        """
        carry, data = self._start()
        at = 0
        if checkpoint is not None:
            carry, at = self.restored(carry, checkpoint), checkpoint.step
        memorized = FirstCrossing(len(self.cohort.members)) if checkpoint is None else None
        self._kept = []
        # read now, if it is wanted, for the first segment uses the carry up
        wanted = checkpoint is None and not self.cohort.loop.keep and bool(self.timeline.snapshot[:1].any())
        first = self._network(carry) if wanted else None
        for part, results, networks, after in self._segments(
            carry, data, after=-1 if checkpoint is None else at, measured=True
        ):
            carry = after
            if memorized is not None and (self.follow or self.follow_slow):
                if self._history_fits(networks):
                    if not self._kept:
                        self._compile_ahead(networks, data)
                    self._kept.append((part, networks))
                memorized.update(part.quick, results, networks, self.cohort.rows)
            reader = self._reader(networks) if self.cohort.loop.keep else self._ends(first, part, after)
            sink.segment(part, results, reader, self._saver(part, after), self._until)
            advance((int(part.steps[-1]) - at) * len(self.cohort.members))
            at = int(part.steps[-1])
        advance((int(self.timeline.steps[-1]) - at) * len(self.cohort.members))  # where all have stopped
        final = self.checkpoint(int(self.timeline.steps[-1]), carry)
        if self.follow or self.follow_slow:
            network = self.cohort.experiment.learner.predictor(carry.state)
            self._follow(sink, network, data, final, memorized, advance)
        self._kept = []
        return final

    def measure_again(self, sink: Sink, final: BlockState, advance: Callable[[int], None]) -> None:
        """Take the measures of a finished block by replay.

        Raises:
            GrokscopeError: if the replay does not end in the recorded state.
        """
        following = bool(self.follow or self.follow_slow)
        memorized = FirstCrossing(len(self.cohort.members))
        self._kept, at = [], 0
        for part, results, networks in self.replay(final):
            if following:
                if self._history_fits(networks):
                    self._kept.append((part, networks))
                memorized.update(self._where_accuracy_is_known(part), results, networks, self.cohort.rows)
            sink.segment(part, results, self._reader(networks), lambda: final, self._until)
            advance((int(part.steps[-1]) - at) * len(self.cohort.members))
            at = int(part.steps[-1])
        advance((int(self.timeline.steps[-1]) - at) * len(self.cohort.members))
        if following:
            network, data = self._end(final)
            self._follow(sink, network, data, final, memorized, advance)
        self._kept = []

    def replay(
        self, final: BlockState | None = None
    ) -> Iterator[tuple[Timeline, dict[str, np.ndarray], Any]]:
        """Train again from the start; yields (points, results, networks on the devices) per segment.

        Raises:
            GrokscopeError: at the end, if it does not end in the given final state.
        """
        if final is not None and final.until is not None:
            count = len(final.until)
            until = np.minimum(final.until, np.int32(final.step)).astype(np.int32)
            self.ending = StopState(until, np.full(count, -1, np.int32), np.zeros(count, np.int32))
        carry, data = self._start()
        for part, results, networks, after in self._segments(carry, data, after=-1, measured=True):
            carry = after
            yield part, results, networks
        if final is not None:
            again = self.checkpoint(final.step, carry)
            if not _equal(again.leaves, final.leaves):
                raise GrokscopeError(
                    f"a replay does not end in the state that was recorded at step {final.step}: the "
                    "numerics of this machine differ from those of the run, or the store was changed."
                )

    def checkpoint(self, step: int, carry: Carry) -> BlockState:
        """The state of the block's members as host arrays."""
        return BlockState(step, array_leaves(self.cohort.trim(carry._replace(ending=()))), self._until)

    def restored(self, like: Carry, checkpoint: BlockState) -> Carry:
        """The carry on the devices of a checkpoint; ``like`` gives its structure."""
        plain = self.cohort.placed_carry(like._replace(ending=()), checkpoint.leaves)
        return plain._replace(ending=like.ending)

    def _start(self) -> tuple[Carry, dict[str, jax.Array]]:
        """Carries before the first update, and the members' own data."""
        carry, data = self.cohort.start()
        if self.ending is None:
            return carry, data
        self._until = self.ending.until
        return carry._replace(ending=StopState(*map(self.cohort.place, self.ending))), data

    def _segments(
        self, carry: Carry, data: Any, *, after: int, measured: bool
    ) -> Iterator[tuple[Timeline, dict[str, np.ndarray], Any, Carry]]:
        # by the slots, not by the members in them: the last, smaller block shares the program
        size = self.timeline.segment_size(self.cohort.experiment, self.cohort.execution.slots)
        todo = self.timeline.after(after)
        for rows, plan in todo.segments(max(after, 0), size, measured=measured):
            part = todo.part(rows)
            if self.ending is None:
                plan = plan._replace(own=None)
            elif self._until is not None and (self._until < part.steps[0]).all():
                return
            carry, results, networks = self.cohort.segment(carry, data, plan)
            if self.ending is not None:
                self._until = self.cohort.trim(carry.ending.until)
            trimmed = self.cohort.trim(results)
            shown = {name: array[:, : len(part)] for name, array in trimmed.items()}
            yield part, self._counted(part, shown), networks, carry

    def _counted(self, part: Timeline, results: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Results without those of members that had not started, or that look at a point of another's."""
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
        """Find the subnetworks and take their measures over the whole history."""
        if memorized is None:
            memorized = FirstCrossing(len(self.cohort.members))
            for part, results, networks in self.replay(final):
                memorized.update(part.quick, results, networks, self.cohort.rows)
        measures = self.follow + self.follow_slow
        found = found_at_the_end(self.cohort, final_network, data, memorized, self.flavor, measures)
        sink.subnetworks(self.flavor, self.cohort.trim(found["subnetworks"]))
        history = iter(self._kept) if self._kept else self._history(final)
        at, last = 0, NO_STEP if self._until is None else int(self._until.max())
        for part, networks in history:
            for pace, measures, flags in (
                ("follow", self.follow, part.follow),
                ("follow_slow", self.follow_slow, part.slow),
            ):
                points = np.flatnonzero(flags & (part.steps <= last))
                if measures and len(points):
                    results = self.cohort.follow(networks, data, found, measures, points)
                    looked = part.part(points)
                    sink.followed(looked, self._counted(looked, results), pace)
            advance((int(part.steps[-1]) - at) * len(self.cohort.members))
            at = int(part.steps[-1])
        advance((int(self.timeline.steps[-1]) - at) * len(self.cohort.members))

    def _compile_ahead(self, networks: Any, data: Any) -> None:
        """Compile what comes after the training while that goes on; what fails here fails again there."""

        def work() -> None:
            with contextlib.suppress(Exception), in_precision(self.cohort.experiment.precision):
                nothing = nothing_found(self.cohort.experiment, self.follow + self.follow_slow)
                for measures in filter(None, (self.follow, self.follow_slow)):
                    self.cohort.compile_follow(networks, data, nothing, measures)

        threading.Thread(target=work, daemon=True).start()

    def _where_accuracy_is_known(self, part: Timeline) -> np.ndarray:
        """At which points of a replayed segment its results hold the train accuracy, bool [point]."""
        return part.quick

    def _end(self, final: BlockState) -> tuple[Any, Any]:
        """The members' last networks, and their data, on the devices."""
        carry, data = self._start()
        return self.cohort.experiment.learner.predictor(self.restored(carry, final).state), data

    def _history(self, final: BlockState) -> Iterator[tuple[Timeline, Any]]:
        """The networks of all points on the devices, by segment."""
        return ((part, networks) for part, _, networks in self.replay(final))

    def _history_fits(self, networks: Any) -> bool:
        """Whether the networks of all points fit `history_bytes`; those of one segment are given."""
        leaves = jax.tree.leaves(networks)
        per_point = sum(leaf.nbytes for leaf in leaves) / leaves[0].shape[1]
        return per_point * len(self.timeline) <= self.history_bytes

    def _reader(self, networks: Any) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
        return lambda points: array_leaves(
            self.cohort.trim(jax.tree.map(lambda leaf: np.asarray(leaf)[:, points], networks))
        )

    def _ends(
        self, first: dict[str, np.ndarray] | None, part: Timeline, after: Carry
    ) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
        """As `_reader`, of the run's first and last points, where the networks of points are not kept."""

        def networks(points: np.ndarray) -> dict[str, np.ndarray]:
            last = self._network(after)
            each = [last if first is None or point == len(part) - 1 else first for point in points]
            return {name: np.stack([one[name] for one in each], axis=1) for name in last}

        return networks

    def _network(self, carry: Carry) -> dict[str, np.ndarray]:
        """The members' networks [member, ...] on the host."""
        return array_leaves(self.cohort.trim(self.cohort.experiment.learner.predictor(carry.state)))

    def _saver(self, part: Timeline, carry: Carry) -> Callable[[], BlockState]:
        return lambda: self.checkpoint(int(part.steps[-1]), carry)


def _equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    """Whether two states are the same, bit for bit."""
    return one.keys() == other.keys() and all(
        leaf.dtype == other[name].dtype and leaf.tobytes() == other[name].tobytes()
        for name, leaf in one.items()
    )


@dataclass
class SnapshotBlock(Block):
    """A block of an imported run: its networks are read, one snapshot of every member at a time.

    Attributes:
        store: the run.
        positions: of the members.
        steps: where measures are taken, some of the steps of the snapshots. The memorizing subnetwork is that
            of the first of all snapshots whose train accuracy passes `MEMORIZED`; the others are found from
            the last one.
    """

    store: RunReader = field(kw_only=True)
    positions: list[int] = field(kw_only=True)
    steps: frozenset[int] = field(kw_only=True)

    def replay(
        self, final: BlockState | None = None
    ) -> Iterator[tuple[Timeline, dict[str, np.ndarray], Any]]:
        """Yield (one point, results, networks on the devices) per snapshot that is needed."""
        del final  # nothing is computed that could differ
        loop, data = self.cohort.loop, self._data
        accuracy = tuple(measure for measure in loop.quick if measure.name == "train_accuracy")
        for step in self.timeline.steps.tolist():
            part = self._point(step)
            measures = loop.quick + loop.slow if step in self.steps else accuracy
            if step not in self.steps and not (self.follow or self.follow_slow):
                continue
            network = self._read(step)
            take = _taker(measures, cast("Any", self.cohort.experiment.loss))
            results = self.cohort.trim(self.cohort.each(take, network, data))
            shown = {name: array[:, None] for name, array in results.items()}
            yield part, shown, jax.tree.map(lambda leaf: leaf[:, None], network)

    def _where_accuracy_is_known(self, part: Timeline) -> np.ndarray:
        return np.ones(len(part), bool)

    def _end(self, final: BlockState) -> tuple[Any, Any]:
        return self._read(final.step), self._data

    def _history(self, final: BlockState) -> Iterator[tuple[Timeline, Any]]:
        for step in sorted(self.steps):
            yield self._point(step), jax.tree.map(lambda leaf: leaf[:, None], self._read(step))

    def _history_fits(self, networks: Any) -> bool:
        return False  # there may be any number of snapshots, and reading one again costs little

    @functools.cached_property
    def _data(self) -> dict[str, jax.Array]:
        return self.cohort.data()

    def _point(self, step: int) -> Timeline:
        asked = np.array([step in self.steps])
        quick, slow = (asked & bool(m) for m in (self.cohort.loop.quick, self.cohort.loop.slow))
        return Timeline(
            np.array([step]), quick, slow | (asked & bool(self.follow_slow)), asked, asked & False
        )

    def _read(self, step: int) -> Any:
        """The members' networks at a step, on the devices."""
        leaves = [self.store.read_snapshot(position, step) for position in self.positions]
        return self.cohort.place(stacked_network(self.cohort.experiment, leaves))


@functools.lru_cache(maxsize=64)
def _taker(measures: tuple[Measure, ...], loss: Any) -> Callable[..., dict[str, jax.Array]]:
    """Measures of one member's network; cached, so that it is compiled once."""

    def take(network: Any, own: Any, shared: dict[str, jax.Array]) -> dict[str, jax.Array]:
        return take_measures(measures, Point(network, shared | own, loss))

    return take


class OpenRun(Protocol):
    """A run whose store is open for writing; runs of one shape can share a block."""

    @property
    def experiment(self) -> Experiment:
        """The experiment at the length that is asked for."""
        ...

    @property
    def store(self) -> RunStore:
        """Its store."""
        ...


class Row(NamedTuple):
    """One member: its run, and its position in that run's store."""

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
        rows: the members. Their experiments differ in `Experiment.numbers` only; members that start inside
            another run or are acted on belong to one run.
        wanted: what is measured.
        flavor: how subnetworks are found.
        again: the members are finished and are replayed.
        n_members: the number of members that the program is made for; None: these.
    """
    experiment = rows[0].run.experiment
    timeline = Timeline.of(experiment)
    starts = np.concatenate([start_steps(run.store, own) for run, own in by_run(rows)])
    if starts.any():
        timeline = timeline.starting(starts)
    following = bool(wanted.follow or wanted.follow_slow)
    n_kept = len(timeline) if following else int(timeline.snapshot.sum())
    execution = budget.block_execution(experiment, n_members or len(rows), n_kept)
    keep = following or timeline.has_snapshots_between
    rule = None if again else experiment.stop.rule(experiment.steps_per_epoch)
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
    """The runs of members, in order, each with the positions of its own."""
    found: dict[OpenRun, list[int]] = {}
    for row in rows:
        found.setdefault(row.run, []).append(row.position)
    return list(found.items())


def latest_states(rows: Sequence[Row]) -> BlockState:
    """The latest states of members that are at one step."""
    step = int(rows[0].run.store.steps_done[rows[0].position])
    found = _by_row(rows, lambda run, own: [one.leaves for one in run.store.read_checkpoints(own)])
    return BlockState(step, {name: np.stack([one[name] for one in found]) for name in found[0]})


def _cohort(rows: list[Row], loop: MemberLoop, execution: Execution) -> Cohort:
    """The cohort of members of one run, or of several whose numbers differ."""
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
    """What is read of every row; the store of each run is read once."""
    found: dict[Row, Any] = {}
    for run, own in by_run(rows):
        found |= dict(zip((Row(run, position) for position in own), read(run, own), strict=True))
    return [found[row] for row in rows]


MEMORIZED = 0.98  # the train accuracy above which the official code takes the memorizing network


class FirstCrossing:
    """The network of each member at the first point at which its train accuracy passes `MEMORIZED`.

    Attributes:
        networks: host pytree [member, ...], zeros for members that have not memorized; None before the
            first update.
        found: bool [member].
    """

    def __init__(self, n_members: int) -> None:
        self.networks: Any = None
        self.found = np.zeros(n_members, dtype=bool)

    def update(
        self, known: np.ndarray, results: dict[str, np.ndarray], networks: Any, rows: np.ndarray
    ) -> None:
        """Take the networks of members that memorize within a segment.

        Args:
            known: at which of its points the train accuracy was measured, bool [point].
            results: its measures, [member, point].
            networks: its networks on the devices, [slot, point, ...].
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
                into[member] = np.asarray(leaf[rows[member], point])

            jax.tree.map(store, self.networks, networks)


def found_at_the_end(
    cohort: Cohort,
    final: Any,
    data: Any,
    memorized: FirstCrossing,
    flavor: Flavor,
    measures: tuple[Measure, ...],
) -> dict[str, jax.Array]:
    """Find what measures of pace ``follow`` need, from every member's final network, on the devices.

    Returns:
        ``subnetworks``, bool [member, subnetwork, neuron]; and where a measure needs them
        ``key_frequencies``, bool [member, frequency].
    """
    return cohort.each(
        _finder(flavor, any(KEY_FREQUENCIES in m.needs for m in measures)),
        final,
        cohort.place(memorized.networks),
        cohort.place(memorized.found),
        data,
        cohort.seeds,
    )


def nothing_found(experiment: Experiment, measures: tuple[Measure, ...]) -> dict[str, np.ndarray]:
    """Zeros in the shapes that `found_at_the_end` gives for one member."""
    shape = (len(SUBNETWORK_LABELS), experiment.model.n_neurons)
    nothing: dict[str, np.ndarray] = {"subnetworks": np.zeros(shape, dtype=bool)}
    if any(KEY_FREQUENCIES in m.needs for m in measures):
        nothing["key_frequencies"] = np.zeros(len(experiment.axes["frequency"]), dtype=bool)
    return nothing


@functools.cache
def _finder(flavor: Flavor, with_frequencies: bool) -> Callable[..., Any]:
    """The function of one member; cached, so that it is compiled once."""

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
        masks = find_subnetworks(final, memorized, data, noise, flavor, has_memorized=has_memorized)
        found = {"subnetworks": masks}
        if with_frequencies:
            found["key_frequencies"] = KeyFrequencies()(Point(final, data, CrossEntropy())) > 0
        return found

    return find
