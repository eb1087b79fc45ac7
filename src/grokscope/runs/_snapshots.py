"""Measures of networks that are kept, one after the other: for imported runs, which cannot be replayed.

One snapshot of every member is in memory at a time, however many there are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import jax
import numpy as np

from grokscope.measures import Flavor, Measure, Point
from grokscope.progress import Progress
from grokscope.runs._subnetworks import FirstCrossing, found_at_the_end
from grokscope.runs.block import Checkpoint
from grokscope.runs.networks import stacked_network
from grokscope.runs.sink import StoreSink
from grokscope.runs.wanted import Wanted
from grokscope.spec.streams import STREAMS, Members, stream_key
from grokscope.store.run_store import RunStore
from grokscope.training.cohort import Cohort
from grokscope.training.devices import choose_execution
from grokscope.training.loop import MemberLoop, as_precision, take_measures
from grokscope.training.timeline import Timeline

if TYPE_CHECKING:
    from grokscope.experiment import Experiment

__all__ = ["measure_snapshots"]

_PER_COMMIT = 64


def measure_snapshots(
    store: RunStore,
    experiment: Experiment,
    positions: Sequence[int],
    wanted: Wanted,
    steps: np.ndarray,
    progress: Progress,
    *,
    flavor: Flavor = "predictions",
    suffix: str = "",
) -> None:
    """Take measures of kept networks, and add them to the run.

    The memorizing subnetwork is that of the first snapshot whose train accuracy passes 0.98, whether or not
    measures are taken there; the others are found from the last snapshot.

    Args:
        store: open for writing.
        experiment: the run's.
        positions: members that have the same snapshots.
        wanted: what to measure.
        steps: where: some of the steps of the snapshots.
        progress: told of the work, a unit for each network that is looked at; started by the caller.
        flavor: how subnetworks are found.
        suffix: added to the names of measures of subnetworks.
    """
    rows = list(positions)
    kept = store.snapshot_steps(rows[0])
    most = max(1, choose_execution(len(rows), experiment=experiment).capacity)
    for low in range(0, len(rows), most):
        block = _Block(store, experiment, rows[low : low + most], wanted, suffix)
        block.measure(kept, {int(step) for step in steps}, flavor, progress)


class _Block:
    """Members that fit the devices at once."""

    def __init__(
        self, store: RunStore, experiment: Experiment, rows: list[int], wanted: Wanted, suffix: str
    ) -> None:
        self._store, self._experiment, self._rows, self._wanted = store, experiment, rows, wanted
        members = Members(tuple(store.seeds[row] for row in rows))
        execution = choose_execution(len(rows), experiment=experiment)
        self._cohort = Cohort(MemberLoop(experiment), members, execution)
        self._loss: Any = experiment.loss
        self._data = self._cohort.each(_data_of(cast("Any", experiment)), self._cohort.seeds)
        self._sink = StoreSink(
            store, rows, wanted, experiment.axes, suffix=suffix, every=None, keep_state=False
        )

    def measure(self, kept: list[int], asked: set[int], flavor: Flavor, progress: Progress) -> None:
        wanted = self._wanted
        following = bool(wanted.follow or wanted.follow_slow)
        memorized = FirstCrossing(len(self._rows))
        accuracy = tuple(m for m in wanted.quick if m.name == "train_accuracy")
        network: Any = None
        for i, step in enumerate(kept):
            if step not in asked and not following:
                continue
            network = self._network(step)
            measures = wanted.quick + wanted.slow if step in asked else accuracy
            point = _timeline(step, wanted)
            results = self._take(_taker(measures, self._loss), network)
            if step in asked:
                self._sink.segment(point, results, _no_networks, _no_checkpoint)
            if following:
                one_point = jax.tree.map(lambda leaf: leaf[:, None], network)
                memorized.update(point, results, one_point, self._cohort.rows)
            self._tick(i, progress)
        if following:
            self._follow(network, memorized, kept, asked, flavor, progress)
        self._sink.finish(Checkpoint(kept[-1], {}))

    def _follow(
        self,
        final: Any,
        memorized: FirstCrossing,
        kept: list[int],
        asked: set[int],
        flavor: Flavor,
        progress: Progress,
    ) -> None:
        following = self._wanted.follow + self._wanted.follow_slow
        found = found_at_the_end(self._cohort, final, self._data, memorized, flavor, following)
        self._sink.subnetworks(flavor, self._cohort.trim(found["subnetworks"]))
        for i, step in enumerate(kept):
            if step not in asked:
                continue
            network = self._network(step)
            for pace in ("follow", "follow_slow"):
                measures: tuple[Measure, ...] = getattr(self._wanted, pace)
                if measures:
                    take = _follower(measures, self._loss)
                    self._sink.followed(_timeline(step, self._wanted), self._take(take, network, found), pace)
            self._tick(i, progress)

    def _network(self, step: int) -> Any:
        """The members' networks at a step, on the devices."""
        leaves = [self._store.read_snapshot(row, step) for row in self._rows]
        return self._cohort.place(stacked_network(self._experiment, leaves))

    def _take(self, function: Callable[..., Any], *arguments: Any) -> dict[str, np.ndarray]:
        """Results [member, 1, ...]."""
        network, *more = arguments
        results = self._cohort.each(function, network, self._data, *more)
        return {name: array[:, None] for name, array in self._cohort.trim(results).items()}

    def _tick(self, i: int, progress: Progress) -> None:
        if i % _PER_COMMIT == _PER_COMMIT - 1:
            self._sink.flush()
        progress.advance(len(self._rows))


def _timeline(step: int, wanted: Wanted) -> Timeline:
    """One point, at which everything is taken."""
    yes = np.ones(1, dtype=bool)
    quick, slow = (yes & bool(measures) for measures in (wanted.quick, wanted.slow))
    return Timeline(np.array([step]), quick, slow, yes, ~yes)


def _no_networks(points: np.ndarray) -> dict[str, np.ndarray]:
    del points
    return {}


def _no_checkpoint() -> Checkpoint:
    return Checkpoint(0, {})


@functools.lru_cache(maxsize=8)
def _data_of(experiment: Any) -> Callable[..., dict[str, jax.Array]]:
    """A member's own data; cached, so that it is compiled once."""

    def make(seeds: jax.Array, shared: dict[str, jax.Array]) -> dict[str, jax.Array]:
        del shared
        data, noise = (stream_key(name, seeds[STREAMS.index(name)]) for name in ("data", "noise"))
        return as_precision(experiment.task.member_data(data, noise), experiment.precision)

    return make


@functools.lru_cache(maxsize=64)
def _taker(measures: tuple[Measure, ...], loss: Any) -> Callable[..., dict[str, jax.Array]]:
    """Measures of a whole network."""

    def take(network: Any, own: Any, shared: dict[str, jax.Array]) -> dict[str, jax.Array]:
        return take_measures(measures, Point(network, shared | own, loss))

    return take


@functools.lru_cache(maxsize=64)
def _follower(measures: tuple[Measure, ...], loss: Any) -> Callable[..., dict[str, jax.Array]]:
    """Measures of subnetworks."""

    def take(network: Any, own: Any, found: Any, shared: dict[str, jax.Array]) -> dict[str, jax.Array]:
        return take_measures(measures, Point(network, shared | own, loss, **found))

    return take
