"""One block of members from start to end: segments, then the subnetworks followed back through time.

Nothing here touches the disk; what is computed is handed to a sink (`_train.py` writes it to the store).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import jax
import numpy as np

from grokscope.errors import GrokscopeError
from grokscope.measures import Flavor, Measure
from grokscope.runs._subnetworks import FirstCrossing, found_at_the_end, nothing_found
from grokscope.spec.stopping import NO_STEP, StopState
from grokscope.store.arrays import blanked
from grokscope.training.cohort import Cohort, leaf_name
from grokscope.training.devices import in_precision
from grokscope.training.loop import Carry
from grokscope.training.timeline import Timeline

__all__ = ["Block", "Checkpoint", "Sink"]


@dataclass(frozen=True)
class Checkpoint:
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
        checkpoint: Callable[[], Checkpoint],
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
        checkpoint: Checkpoint | None = None,
        advance: Callable[[int], None] = lambda steps: None,
    ) -> Checkpoint:
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
        keeping = checkpoint is None and self._history_fits(carry)
        memorized = FirstCrossing(len(self.cohort.members))
        self._kept = []
        # read now, if it is wanted, for the first segment uses the carry up
        wanted = checkpoint is None and not self.cohort.loop.keep and bool(self.timeline.snapshot[:1].any())
        first = self._network(carry) if wanted else None
        for part, results, networks, after in self._segments(
            carry, data, after=-1 if checkpoint is None else at, measured=True
        ):
            carry = after
            if keeping and not self._kept and (self.follow or self.follow_slow):
                self._compile_ahead(networks, data)
            if keeping and (self.follow or self.follow_slow):
                self._kept.append((part, networks))
                memorized.update(part, results, networks, self.cohort.rows)
            reader = self._reader(networks) if self.cohort.loop.keep else self._ends(first, part, after)
            sink.segment(part, results, reader, self._saver(part, after), self._until)
            advance((int(part.steps[-1]) - at) * len(self.cohort.members))
            at = int(part.steps[-1])
        advance((int(self.timeline.steps[-1]) - at) * len(self.cohort.members))  # where all have stopped
        final = self.checkpoint(int(self.timeline.steps[-1]), carry)
        if self.follow or self.follow_slow:
            self._follow(sink, carry, data, final, memorized if keeping else None, advance)
        self._kept = []
        return final

    def measure_again(self, sink: Sink, final: Checkpoint, advance: Callable[[int], None]) -> None:
        """Take the measures of a finished block by replay.

        Raises:
            GrokscopeError: if the replay does not end in the recorded state.
        """
        keeping = self._history_fits(self.restored(self._start()[0], final))
        memorized = FirstCrossing(len(self.cohort.members))
        self._kept = []
        at = 0
        for part, results, networks in self.replay(final):
            if keeping and (self.follow or self.follow_slow):
                self._kept.append((part, networks))
                memorized.update(part, results, networks, self.cohort.rows)
            sink.segment(part, results, self._reader(networks), lambda: final, self._until)
            advance((int(part.steps[-1]) - at) * len(self.cohort.members))
            at = int(part.steps[-1])
        advance((int(self.timeline.steps[-1]) - at) * len(self.cohort.members))
        if self.follow or self.follow_slow:
            carry, data = self._start()
            carry = self.restored(carry, final)
            self._follow(sink, carry, data, final, memorized if keeping else None, advance)
        self._kept = []

    def replay(
        self, final: Checkpoint | None = None
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

    def checkpoint(self, step: int, carry: Carry) -> Checkpoint:
        """The state of the block's members as host arrays."""
        return Checkpoint(step, _leaves(self.cohort.trim(carry._replace(ending=()))), self._until)

    def restored(self, like: Carry, checkpoint: Checkpoint) -> Carry:
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
        if self.cohort.orders is not None:
            counts &= part.counts_for(self.cohort.orders.origin)
        if self._until is not None:
            counts &= part.steps[None, :] <= self._until[:, None]
        return results if counts.all() else {name: blanked(array, counts) for name, array in results.items()}

    def _follow(
        self,
        sink: Sink,
        carry: Carry,
        data: Any,
        final: Checkpoint,
        memorized: FirstCrossing | None,
        advance: Callable[[int], None],
    ) -> None:
        """Find the subnetworks and take their measures over the whole history."""
        if memorized is None:
            memorized = FirstCrossing(len(self.cohort.members))
            for part, results, networks in self.replay(final):
                memorized.update(part, results, networks, self.cohort.rows)
        final_network = self.cohort.experiment.learner.predictor(carry.state)
        measures = self.follow + self.follow_slow
        found = found_at_the_end(self.cohort, final_network, data, memorized, self.flavor, measures)
        sink.subnetworks(self.flavor, self.cohort.trim(found["subnetworks"]))
        history = iter(self._kept) if self._kept else ((p, n) for p, _, n in self.replay(final))
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

    def _history_fits(self, carry: Carry) -> bool:
        network = self.cohort.experiment.learner.predictor(carry.state)
        per_point = sum(leaf.nbytes for leaf in jax.tree.leaves(network))
        return per_point * len(self.timeline) <= self.history_bytes

    def _reader(self, networks: Any) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
        return lambda points: _leaves(
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
        return _leaves(self.cohort.trim(self.cohort.experiment.learner.predictor(carry.state)))

    def _saver(self, part: Timeline, carry: Carry) -> Callable[[], Checkpoint]:
        return lambda: self.checkpoint(int(part.steps[-1]), carry)


def _equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    """Whether two states are the same, bit for bit."""
    return one.keys() == other.keys() and all(
        leaf.dtype == other[name].dtype and leaf.tobytes() == other[name].tobytes()
        for name, leaf in one.items()
    )


def _leaves(tree: Any) -> dict[str, np.ndarray]:
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {leaf_name(path): np.asarray(leaf) for path, leaf in paths}
