"""Sinks for the results of a block: results are collected in memory and committed to the store."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from grokscope.interrupts import raise_if_interrupted
from grokscope.runs.block import BlockState
from grokscope.runs.measure_plan import MeasurePlan, measure_code, stored_name
from grokscope.spec.axes import SUBNETWORK_LABELS
from grokscope.store.run_store import RunStore
from grokscope.store.transaction import Transaction
from grokscope.training.timeline import Timeline

__all__ = ["COMMIT_SECONDS", "RoutingSink", "StoreSink"]

COMMIT_SECONDS = 20.0

_RECORDED = "recorded"  # stored beside a snapshot's leaves; no leaf has this name


class StoreSink:
    """Write the results of one block to a store; the run can be resumed from every commit.

    Args:
        store: the store of the run, open for writing.
        positions: the members' positions in the store.
        wanted: the measures that are taken, with their axes and units.
        labels: the labels of the axes (`Experiment.axes`).
        suffix: added to the stored names of measures of subnetworks; it tells the flavor.
        every: seconds between commits within a block; None: one commit, at the end.
        keep_state: whether checkpoints and snapshots are written; False in a replay.
        origins: the step at which each member starts, [member]; None: 0 for all.
    """

    def __init__(
        self,
        store: RunStore,
        positions: list[int],
        wanted: MeasurePlan,
        labels: Mapping[str, Sequence[Any]],
        *,
        suffix: str = "",
        every: float | None = COMMIT_SECONDS,
        keep_state: bool = True,
        origins: np.ndarray | None = None,
    ) -> None:
        self._store, self._positions, self._wanted = store, positions, wanted
        self._labels = labels
        self._origins = np.zeros(len(positions), np.int64) if origins is None else origins
        self._suffix, self._every, self._keep_state = suffix, every, keep_state
        self._pending: dict[str, list[tuple[np.ndarray, dict[str, np.ndarray]]]] = {}
        self._masks: tuple[str, np.ndarray] | None = None
        self._last_commit = time.monotonic()

    def segment(
        self,
        part: Timeline,
        results: dict[str, np.ndarray],
        networks: Callable[[np.ndarray], dict[str, np.ndarray]],
        checkpoint: Callable[[], BlockState],
        until: np.ndarray | None = None,
    ) -> None:
        """Collect the results of a segment; commit if the last commit is old enough."""
        for pace, flags in (("quick", part.quick), ("slow", part.slow)):
            names = [measure.name for measure in getattr(self._wanted, pace)]
            if names and flags.any():
                self._add(pace, part.steps[flags], {name: results[name][:, flags] for name in names})
        if self._keep_state and part.snapshot.any():
            points = np.flatnonzero(part.snapshot)
            recorded = part.part(points).counts_for(self._origins)
            if until is not None:
                recorded &= part.steps[points][None, :] <= until[:, None]
            self._add("snapshots", part.steps[points], {**networks(points), _RECORDED: recorded})
        if self._every is not None and time.monotonic() - self._last_commit > self._every:
            self._commit(checkpoint() if self._keep_state else None, complete=False)

    def followed(self, part: Timeline, results: dict[str, np.ndarray], pace: str) -> None:
        """Collect measures of subnetworks."""
        self._add(pace, part.steps, {name + self._suffix: array for name, array in results.items()})

    def subnetworks(self, flavor: str, masks: np.ndarray) -> None:
        """Keep the subnetworks for the next commit that has a state."""
        self._masks = (flavor, masks)

    def finish(self, final: BlockState) -> None:
        """Commit the remaining results, and mark the members as complete."""
        self._commit(final, complete=True)

    def _add(self, group: str, steps: np.ndarray, arrays: dict[str, np.ndarray]) -> None:
        self._pending.setdefault(group, []).append((steps, arrays))

    def _commit(self, checkpoint: BlockState | None, *, complete: bool) -> None:
        raise_if_interrupted()
        wanted, positions = self._wanted, self._positions
        dims = {stored_name(m, self._suffix): m.dims for m in wanted.all}
        units = {m.name: m.unit for m in wanted.all}
        step = None if checkpoint is None else checkpoint.step
        with self._store.transaction(f"{len(positions)} members to step {step}") as t:
            self._forget_outdated(t)
            for group, pieces in self._pending.items():
                steps = np.concatenate([at for at, _ in pieces])
                arrays = {
                    name: np.concatenate([piece[name] for _, piece in pieces], axis=1)
                    for name in pieces[0][1]
                }
                if group == "snapshots":
                    t.write_snapshots(positions, steps, arrays, arrays.pop(_RECORDED))
                else:
                    t.write_measures(
                        group, positions, steps, arrays, dims=dims, labels=self._labels, units=units
                    )
            if checkpoint is not None:
                if self._masks is not None:
                    flavor, masks = self._masks
                    steps = checkpoint.steps
                    t.write_subnetworks(flavor, positions, masks, steps=steps, labels=SUBNETWORK_LABELS)
                    self._masks = None
                self._mark(t, checkpoint, complete=complete)
        self._pending = {}
        self._last_commit = time.monotonic()

    def _forget_outdated(self, t: Transaction) -> None:
        """Remove values that other code has computed: values of two codes must not be mixed."""
        for measure in self._wanted.all:
            name = stored_name(measure, self._suffix)
            outdated = self._store.outdated(name, measure.code_version)[self._positions]
            if outdated.any():
                t.forget_measures(
                    [p for p, old in zip(self._positions, outdated, strict=True) if old], [name]
                )

    def _mark(self, t: Transaction, checkpoint: BlockState, *, complete: bool) -> None:
        """Record how far the members and their measures have come; with the state, unless in a replay."""
        measures = self._wanted.all if complete else self._wanted.quick + self._wanted.slow
        names = [stored_name(m, self._suffix) for m in measures]
        found = {stored_name(m, self._suffix): measure_code(m) for m in measures}
        codes = {name: code for name, code in found.items() if code is not None}
        if self._keep_state:
            t.write_checkpoint(self._positions, checkpoint.steps, checkpoint.leaves)
            t.mark(
                self._positions,
                steps_done=checkpoint.steps,
                complete=complete,
                diverged_step=checkpoint.leaves["diverged"],
            )
        t.mark_measured(self._positions, names, checkpoint.steps, codes)


class RoutingSink:
    """Route a block's results to the stores of the runs that its members belong to.

    Args:
        parts: for each run, the indices of its members within the block, and their sink.
    """

    def __init__(self, parts: Sequence[tuple[np.ndarray, StoreSink]]) -> None:
        self._parts = parts

    def segment(
        self,
        part: Timeline,
        results: dict[str, np.ndarray],
        networks: Callable[[np.ndarray], dict[str, np.ndarray]],
        checkpoint: Callable[[], BlockState],
        until: np.ndarray | None = None,
    ) -> None:
        """Route the results of a segment; states and networks are fetched from the devices once."""
        whole = functools.cache(checkpoint)
        kept: list[dict[str, np.ndarray]] = []

        def networks_of(points: np.ndarray, own: np.ndarray) -> dict[str, np.ndarray]:
            if not kept:
                kept.append(networks(points))
            return _rows(kept[0], own)

        for own, sink in self._parts:
            sink.segment(
                part,
                _rows(results, own),
                lambda points, own=own: networks_of(points, own),
                lambda own=own: _cut(whole(), own),
                None if until is None else until[own],
            )

    def followed(self, part: Timeline, results: dict[str, np.ndarray], pace: str) -> None:
        """Route measures of subnetworks."""
        for own, sink in self._parts:
            sink.followed(part, _rows(results, own), pace)

    def subnetworks(self, flavor: str, masks: np.ndarray) -> None:
        """Route the subnetworks that were found."""
        for own, sink in self._parts:
            sink.subnetworks(flavor, masks[own])

    def finish(self, final: BlockState) -> None:
        """Commit the remaining results in every store, and mark the members as complete."""
        for own, sink in self._parts:
            sink.finish(_cut(final, own))


def _cut(checkpoint: BlockState, own: np.ndarray) -> BlockState:
    until = None if checkpoint.until is None else checkpoint.until[own]
    return BlockState(checkpoint.step, _rows(checkpoint.leaves, own), until)


def _rows(arrays: Mapping[str, np.ndarray], own: np.ndarray) -> dict[str, np.ndarray]:
    return {name: array[own] for name, array in arrays.items()}
