"""The run that members branch from: which of its members, at which steps, and in which states."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from grokscope.errors import InputError
from grokscope.runs.numerics import TO_REPLAY, check_numerics, fingerprint_difference, numerics_here
from grokscope.runs.replay import states_at
from grokscope.runs.run import Run
from grokscope.spec.moments import Moment
from grokscope.spec.streams import Lineup, Members, Seeds, on_members
from grokscope.starts import FromRun, Init
from grokscope.store.folder import find_run, is_run
from grokscope.store.open import open_store
from grokscope.store.place import BucketPath, as_place

__all__ = ["Source", "open_source", "source_members", "source_steps"]


class Source:
    """The source's members that some members branch from, one each (one may be there more than once).

    Attributes:
        run: the source.
        members: its members.
        steps: the step at which each branch begins.
    """

    def __init__(
        self,
        run: Run,
        members: tuple[Seeds, ...],
        advance: Callable[[int], None],
        *,
        allow_other_numerics: bool = False,
    ) -> None:
        self.run, self.seeds, self._advance, self._allow = run, members, advance, allow_other_numerics
        self.experiment = run.experiment
        self._store = open_store(run.path)
        self._rows = [run.position(seeds) for seeds in members]
        self.steps = np.zeros(len(members), np.int64)
        self._states: dict[Moment, dict[str, np.ndarray]] = {}

    @property
    def members(self) -> Lineup:
        """The members, in order."""
        return Lineup(self.seeds)

    def part(self, rows: np.ndarray) -> Source:
        """Some of the members."""
        chosen = tuple(seeds for seeds, kept in zip(self.seeds, rows, strict=True) if kept)
        part = Source(self.run, chosen, self._advance, allow_other_numerics=self._allow)
        part.steps = self.steps[rows]
        return part

    def moments(self, at: Moment) -> np.ndarray:
        """The step of each member at a moment, inf where its event was not seen; NaN never."""
        measures = on_members(self.run.measures, self.seeds) if at.is_event else None
        return at.steps(measures, self.steps, self._store.steps_done[self._rows])

    def states(self, at: Moment) -> dict[str, np.ndarray]:
        """The members' states at a moment, arrays [member, ...] by path.

        Raises:
            InputError: if a member has not come to it.
        """
        if at not in self._states:
            steps = self.moments(at)
            if np.isinf(steps).any():
                seeds = self.seeds[int(np.argmax(np.isinf(steps)))]
                raise InputError(f"{self.run.path}: the event of '{at}' was not seen in seeds {seeds}.")
            self._states[at] = self.states_at(steps.astype(np.int64))
        return self._states[at]

    def states_at(self, steps: np.ndarray) -> dict[str, np.ndarray]:
        """The members' states at these steps."""
        return states_at(
            self._store,
            self.experiment,
            self._rows,
            steps,
            self._advance,
            allow_other_numerics=self._allow,
        )

    def subnetwork(self, name: str, flavor: str) -> np.ndarray:
        """A kept subnetwork of each member, bool [member, neuron].

        Raises:
            InputError: if a member has none.
        """
        masks: list[np.ndarray] = []
        for seeds, row in zip(self.seeds, self._rows, strict=True):
            found = self._store.read_subnetworks(flavor, row)
            if found is None:
                raise InputError(
                    f"{self.run.path}: keeps no subnetworks of flavor '{flavor}' of seeds {seeds}; find "
                    "them: grokscope measure RUN faithfulness, or take neurons = {kind = 'active'}."
                )
            masks.append(found.masks[list(found.labels).index(name)])
        return np.stack(masks)


def open_source(init: FromRun, *, allow_other_numerics: bool) -> tuple[Run, list[str]]:
    """The run to branch from, and in what its numerics differ from this machine's.

    Raises:
        InputError: if it is not there, is another than the spec says, or was made under other numerics.
    """
    if isinstance(as_place(init.run), BucketPath):
        raise InputError(f"init.run: {init.run}: lies in a bucket; members start from a run in a folder.")
    if not Path(init.run).is_dir():
        raise InputError(f"init.run: {init.run}: there is no such folder, and members are to start from it.")
    run = Run(find_run(init.run))
    if run.identity != init.source:
        raise InputError(
            f"init.run: {run.path}: is another run (identity {run.identity[:8]}, not {init.source[:8]})."
        )
    if not run.experiment.learner.trains:  # its states are made by nothing that we could repeat
        return run, []
    store, here = open_store(run.path), numerics_here(run.experiment)
    if not allow_other_numerics:
        check_numerics(store, here, advice=TO_REPLAY)
    return run, fingerprint_difference(store.fingerprint, here)


def source_members(run: Run, members: Members) -> list[tuple[Seeds | None, str]]:
    """For each member the source's member that shares most of its seeds; or None and why there is none."""
    candidates = list(run.members)
    exact = set(candidates)
    table = np.array(candidates, np.int64)
    weights = np.array([8, 4, 2, 1])  # of as many shared streams, the first count more
    found: list[tuple[Seeds | None, str]] = []
    for seeds in members:
        if seeds in exact:
            found.append((seeds, ""))
            continue
        shared = table == np.array(seeds)
        score = shared.sum(axis=1) * 16 + shared @ weights
        best = np.flatnonzero(score == score.max())
        if score.max() == 0:
            found.append((None, f"{run.path} has no member that shares a seed with it"))
        elif len(best) > 1:
            found.append((None, f"{len(best)} members of {run.path} share as many seeds with it"))
        else:
            found.append((candidates[int(best[0])], ""))
    return found


def source_steps(init: Init) -> int:
    """How many steps the source's members have done, all together; 0 where it is not there any more."""
    if not isinstance(init, FromRun) or not is_run(init.run):
        return 0
    return int(open_store(init.run).steps_done.sum())
