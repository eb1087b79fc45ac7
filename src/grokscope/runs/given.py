"""Add to a run what was computed outside it: measures, for example verdicts of proofs, and notes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from grokscope.errors import InputError
from grokscope.progress import Progress, SilentProgress
from grokscope.runs.summary import finish_run
from grokscope.spec.streams import Seeds, on_members
from grokscope.store.open import open_store

if TYPE_CHECKING:
    import xarray as xr

    from grokscope.runs.run import Run
    from grokscope.store.reader import RunReader

__all__ = [
    "GivenMeasures",
    "add_measures",
    "add_notes",
    "forget_outdated",
    "members_lacking",
    "missing_members",
    "outdated_given",
    "taking",
]

# name and version of the code of the analysis that writes measures now
_taking: ContextVar[tuple[str, str] | None] = ContextVar("_taking", default=None)


@contextmanager
def taking(name: str, version: str) -> Generator[None]:
    """Context manager: measures written by `GivenMeasures` are those of an analysis.

    Args:
        name: of the analysis.
        version: a text that differs where its code does.
    """
    token = _taking.set((name, version))
    try:
        yield
    finally:
        _taking.reset(token)


def forget_outdated(run: Run, versions: Mapping[str, str]) -> list[str]:
    """Remove the measures of analyses whose code has changed, so that these are taken anew.

    Args:
        run: the run.
        versions: the present version of the code of each analysis, by its name.

    Returns:
        The names of the removed measures.

    Raises:
        StoreError: if another process writes the run, or the disk cannot be written.
    """
    with run.store() as store:
        found = outdated_given(store, versions)
    if not found:
        return []
    with GivenMeasures(run, "") as given:
        given.forget(found, versions)
    return found


def outdated_given(store: RunReader, versions: Mapping[str, str]) -> list[str]:
    """The measures in a store that an analysis has written by code of another version than now."""
    return [
        name
        for name, by in store.given_by.items()
        if any(versions.get(analysis, version) != version for analysis, version in by.items())
    ]


class GivenMeasures:
    """Context manager that holds the lock of a run and writes measures to it; each write is committed.

    If the run was finished before, its checksums are written again on exit.

    Args:
        run: the run to write to.
        group: name of the group in the store; its measures share one axis of steps.

    Raises:
        StoreError: if another process writes the run, or the disk cannot be written.

    Example:
        >>> import tempfile
        >>> import grokscope as gs
        >>> run = gs.train(gs.Experiment(task={"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 32},
        ...                              model={"kind": "fully_connected", "width": 8}, epochs=2),
        ...                out=tempfile.mkdtemp() + "/run")
        >>> with GivenMeasures(run, "mine") as given:
        ...     given.write([0], [2], {"my_number": np.array([[5.0]])})
        >>> gs.open_run(run.path).measures.my_number.sel(seed=0, step=2).item()
        5.0
    """

    def __init__(self, run: Run, group: str) -> None:
        self._run, self._group = run, group

    def __enter__(self) -> Self:
        self._store = self._run.store("a")
        self._was_finished = self._store.is_finished
        return self

    def write(self, positions: Sequence[int], steps: Sequence[int], values: Mapping[str, np.ndarray]) -> None:
        """Write and commit measures.

        Args:
            positions: the members' positions in the store.
            steps: steps at which the measures were taken.
            values: measures by name, arrays [member, step].
        """
        with self._store.transaction(f"{', '.join(values)}: {len(positions)} members") as t:
            t.write_measures(self._group, positions, steps, values)
            if (analysis := _taking.get()) is not None:
                by = self._store.given_by
                new = {name: {**by.get(name, {}), analysis[0]: analysis[1]} for name in values}
                if any(by.get(name) != one for name, one in new.items()):
                    t.set_attributes(given_by={**by, **new})

    def forget(self, names: Sequence[str], versions: Mapping[str, str]) -> None:
        """Remove all values of measures; what their analyses write from now on is by the present versions."""
        by = self._store.given_by
        now = {
            name: {a: versions.get(a, version) for a, version in by.get(name, {}).items()} for name in names
        }
        with self._store.transaction(f"{', '.join(names)}: other code") as t:
            t.forget_measures(slice(None), names)
            t.set_attributes(given_by={**by, **now})

    def read(self, names: Sequence[str]) -> xr.Dataset | None:
        """The named measures of the run; None unless it has all of them."""
        known = self._store.sources()
        return self._store.read_measures(list(names)).load() if all(n in known for n in names) else None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._was_finished:
                finish_run(self._store)
        finally:
            self._store.close()
            self._run.reread()


def add_measures(
    run: Run,
    names: Sequence[str],
    compute: Callable[[Run, Seeds, int], Mapping[str, float]],
    *,
    step: int = -1,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Compute numbers of each member's network in Python, and keep them in the run as measures.

    For what no measure can compute, because it is no function inside a compiled program: proofs, fits, other
    libraries. Members that have the numbers already are skipped, so the same call again computes nothing.

    Args:
        run: the run.
        names: the names of the measures.
        compute: function of the run, a member's seeds and the step that gives these numbers by name;
            ``run.model(seeds, step)`` is the network.
        step: at which step; -1: each member's last one.
        progress: advanced by one for each member.

    Returns:
        The measures of all members, now or before.

    Raises:
        InputError: if a result lacks a name, or no member has reached the step.
        StoreError: if another process writes the run, or the disk cannot be written.

    Example:
        >>> import tempfile
        >>> import grokscope as gs
        >>> run = gs.train(gs.Experiment(task={"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 32},
        ...                              model={"kind": "fully_connected", "width": 8}, epochs=2),
        ...                seeds=2, out=tempfile.mkdtemp() + "/run")
        >>> def largest(run, seeds, step):
        ...     return {"largest_weight": float(abs(run.model(seeds, step).hidden_weight).max())}
        >>> added = add_measures(run, ["largest_weight"], largest)
        >>> added.largest_weight.sel(step=2).dims, bool((added.largest_weight > 0).any())
        (('seed',), True)
    """
    done = [int(steps) for steps in run.steps_done]
    at = {p: steps + 1 + step if step < 0 else step for p, steps in enumerate(done)}
    at = {p: when for p, when in at.items() if 0 <= when <= done[p]}
    if not at:
        raise InputError(f"{', '.join(names)}: no member of {run.path} has reached step {step}.")
    shown = progress or SilentProgress()
    with GivenMeasures(run, names[0]) as given:
        todo = missing_members(given.read(names), run, at)
        shown.start(len(todo), names[0])
        for position in todo:
            found = compute(run, run.members.seeds[position], at[position])
            if lacking := [name for name in names if name not in found]:
                raise InputError(f"{lacking[0]}: is not among the computed numbers ({', '.join(found)}).")
            given.write([position], [at[position]], {name: np.array([[found[name]]]) for name in names})
            shown.advance(1)
        shown.finish()
        result = given.read(names)
    assert result is not None  # at least one member has the numbers, from now or before
    return result


def missing_members(found: xr.Dataset | None, run: Run, at: Mapping[int, int]) -> list[int]:
    """The positions of members that lack given measures at their step.

    Args:
        found: what `GivenMeasures.read` returned.
        run: the run.
        at: the step of each position.
    """
    if found is None:
        return list(at)
    known = on_members(found, run.members)[next(iter(found.data_vars))]
    done = {p for p, step in at.items() if step in known.step and known.sel(step=step)[p].notnull().item()}
    return [p for p in at if p not in done]


def members_lacking(
    found: xr.Dataset | None, run: Run, measure: str, points: np.ndarray, positions: list[int]
) -> list[int]:
    """The positions of members that lack a given measure at one of several points.

    Args:
        found: what `GivenMeasures.read` returned.
        run: the run.
        measure: a measure that has a number wherever it was taken.
        points: the steps.
        positions: the positions to look at.
    """
    if found is None or not np.isin(points, found["step"].to_numpy()).all():
        return positions
    known = on_members(found, run.members)[measure].sel(step=points).transpose("seed", "step")
    done = np.asarray(known.notnull().all("step"))
    return [p for p in positions if not done[p]]


def add_notes(folder: Path, **notes: Any) -> None:
    """Add notes (JSON values) to a run, which `Run.notes` returns; those that it has are not written again.

    Raises:
        StoreError: if another process writes the run, or the disk cannot be written.
    """
    known = open_store(folder).notes
    if all(name in known and known[name] == note for name, note in notes.items()):
        return
    with open_store(folder, "a") as store:
        was_finished = store.is_finished
        with store.transaction("notes are added") as t:
            t.note(**notes)
        if was_finished:
            finish_run(store)
