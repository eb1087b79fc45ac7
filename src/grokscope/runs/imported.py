"""Writing an imported run: beside its place, to be renamed when it is complete.

What is being written lies in a hidden folder next to the target, which no listing of runs looks into. An
import that fails removes it; one that is killed leaves it, and the next import to the same target removes it.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from grokscope.errors import InputError, StoreError
from grokscope.experiment import Experiment
from grokscope.progress import Progress
from grokscope.runs.measure import measure_snapshots
from grokscope.runs.measure_plan import MeasurePlan
from grokscope.runs.provenance import collect_provenance
from grokscope.spec.streams import Seeds
from grokscope.store.checksums import RUN_FILES, state_sha256
from grokscope.store.disk import explain, remove_tree, sync_folder
from grokscope.store.folder import is_run, keep_files, written_spec
from grokscope.store.lock import LOCK_FILE, WriterLock
from grokscope.store.open import create_store, open_store
from grokscope.store.run_store import RunStore
from grokscope.training.cache import use_compile_cache
from grokscope.training.devices import in_precision, prepare_devices
from grokscope.training.numerics import numerics_here

__all__ = ["Network", "check_target", "write_imported"]

_IDENTITY_VERSION = 1
_BYTES_AT_ONCE = 2**24
_SNAPSHOTS_AT_ONCE = 64


class Network(NamedTuple):
    """One network on its way into a run: who it is, when, its arrays by our names, and where it is from."""

    seed: int
    step: int
    leaves: dict[str, np.ndarray]
    label: str


@dataclass
class _Seen:
    """What has come: the digest of every network, and where each was from."""

    digests: dict[tuple[int, int], str] = field(default_factory=dict[tuple[int, int], str])
    labels: dict[tuple[int, int], str] = field(default_factory=dict[tuple[int, int], str])

    def add(self, network: Network) -> None:
        place = network.seed, network.step
        if place in self.labels:
            raise InputError(
                f"{network.label}: is step {network.step}, as {self.labels[place]} is already; each step "
                "once."
            )
        self.labels[place] = network.label
        self.digests[place] = state_sha256(network.leaves)

    def steps(self) -> list[int]:
        """The steps that every seed has."""
        of = {seed: sorted(t for s, t in self.labels if s == seed) for seed in self.seeds()}
        first, *rest = of
        for seed in rest:
            if of[seed] != of[first]:
                odd = min(set(of[seed]) ^ set(of[first]))
                raise InputError(
                    f"seeds {first} and {seed} do not have the same steps (step {odd} is there for one of "
                    "them); import them into folders of their own."
                )
        return of[first]

    def seeds(self) -> list[int]:
        return sorted({seed for seed, _ in self.labels})

    def identity(self, experiment: Experiment) -> str:
        table = [_IDENTITY_VERSION, experiment.identity, sorted([*k, v] for k, v in self.digests.items())]
        return hashlib.sha256(json.dumps(table, separators=(",", ":")).encode()).hexdigest()


def check_target(target: Path | None) -> None:
    """Check before any work that a run could be put there.

    Raises:
        InputError: if something else is there.
    """
    if target is None or not target.exists():
        return
    if is_run(target):
        if Experiment.from_toml(target / RUN_FILES[0]).learner.trains:
            raise InputError(f"{target}: holds a run that was trained here; choose another folder.")
        return
    if not target.is_dir():
        raise InputError(f"{target}: is a file; choose a folder.")
    if any(entry.name != LOCK_FILE for entry in target.iterdir()):
        raise InputError(f"{target}: holds other files; choose an empty or a new folder.")


def write_imported(
    target: Path | None,
    name: str,
    networks: Iterable[Network],
    experiment_of: Callable[[list[int]], Experiment],
    origin: dict[str, Any],
    progress: Progress,
    total: int = 0,
) -> Path:
    """Write networks, measure them, and put the run in its place; nothing is left behind if anything fails.

    Args:
        target: the run's folder; None takes ``runs/<task>-<identity, 8 characters>``.
        name: stands for the target while that is not known.
        networks: each is taken when the one before is stored.
        experiment_of: the experiment of networks at these steps.
        origin: where they are from, for the provenance.
        progress: told of the work.
        total: how many networks there are, if that is known.

    Returns:
        The run's folder. If it holds the same import already, nothing is changed.

    Raises:
        InputError: if a network comes twice, or the target holds something else.
        StoreError: if the disk does not let us.
    """
    began = time.monotonic()
    check_target(target)
    beside = Path("runs") / name if target is None else target
    workplace = beside.parent / f".{beside.name}.importing-{os.getpid()}"
    _clear_leftovers(workplace)
    try:
        with _created(workplace, experiment_of([0])) as store:
            seen = _store_all(store, networks, progress, total)
            steps = seen.steps()
            experiment = experiment_of(steps)
            identity = seen.identity(experiment)
            place = target or Path("runs") / f"{experiment.task.kind}-{identity[:8]}"
            if (there := _there(place, identity)) is not None:
                return there
            with store.transaction("what was imported") as t:
                t.identify(identity)
                t.mark(slice(None), steps_done=steps[-1], complete=True)
            with written_spec(experiment) as (toml, files):
                keep_files(workplace, files)
                store.update_experiment(toml)
            _measure_all(store, experiment, steps, progress)
            spent = round(time.monotonic() - began, 3)
            facts = {**store.provenance, "wall_seconds": spent, "imported": origin}
            store.update_provenance(facts)
            store.finish()
        (workplace / LOCK_FILE).unlink(missing_ok=True)
        _move(workplace, place)
        return place
    finally:
        progress.finish()
        remove_tree(workplace)


def _clear_leftovers(workplace: Path) -> None:
    """Remove what killed imports to the same target left; one that is at work holds its lock."""
    common = workplace.name.rpartition("-")[0]
    if not workplace.parent.is_dir():
        return
    for entry in os.scandir(workplace.parent):
        if entry.name.rpartition("-")[0] != common or not entry.is_dir(follow_symlinks=False):
            continue
        with suppress(StoreError):
            WriterLock.acquire(Path(entry.path)).release()
            remove_tree(Path(entry.path))


def _created(workplace: Path, experiment: Experiment) -> RunStore:
    prepare_devices()
    use_compile_cache()
    with in_precision(experiment.precision):
        numerics = numerics_here(experiment)
    with written_spec(experiment) as (toml, _):
        return create_store(
            workplace,
            toml,
            "",
            numerics,
            collect_provenance(numerics),
            steps_per_epoch=experiment.steps_per_epoch,
        )


def _store_all(store: RunStore, networks: Iterable[Network], progress: Progress, total: int) -> _Seen:
    """Take the networks one by one; commit some at a time."""
    seen = _Seen()
    waiting: list[Network] = []
    progress.start(total, "reading")

    def commit() -> None:
        if not waiting:
            return
        with store.transaction(f"{len(waiting)} networks") as t:
            t.add_members([Seeds.same(one.seed) for one in waiting])
        rows = {seeds[0]: row for row, seeds in enumerate(store.seeds)}
        with store.transaction(f"{len(waiting)} networks") as t:
            for seed in dict.fromkeys(one.seed for one in waiting):
                own = [one for one in waiting if one.seed == seed]
                stacked = {name: np.stack([one.leaves[name] for one in own])[None] for name in own[0].leaves}
                t.write_snapshots([rows[seed]], [one.step for one in own], stacked)
        progress.advance(len(waiting))
        waiting.clear()

    n_bytes = 0
    for network in networks:
        seen.add(network)
        waiting.append(network)
        n_bytes += sum(leaf.nbytes for leaf in network.leaves.values())
        if n_bytes >= _BYTES_AT_ONCE or len(waiting) >= _SNAPSHOTS_AT_ONCE:
            commit()
            n_bytes = 0
    commit()
    if not seen.labels:
        raise InputError("there is no network to import.")
    progress.finish()
    return seen


def _measure_all(store: RunStore, experiment: Experiment, steps: list[int], progress: Progress) -> None:
    wanted = MeasurePlan.of(experiment)
    passes = 2 if wanted.follow or wanted.follow_slow else 1
    rows = range(len(store.seeds))
    progress.start(passes * steps[-1] * len(rows), "measuring")
    with in_precision(experiment.precision):
        measure_snapshots(store, experiment, rows, wanted, np.array(steps), progress)
    progress.finish()


def _there(place: Path, identity: str) -> Path | None:
    """The place if it holds this very run.

    Raises:
        InputError: if it holds another one, or other files.
    """
    check_target(place)
    if not is_run(place):
        return None
    open_store(place).require_identity(identity)
    return place


def _move(workplace: Path, place: Path) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            (place / LOCK_FILE).unlink()
        workplace.rename(place)  # an empty folder may be there
        sync_folder(place.parent)
    except OSError as error:
        raise explain(place, "cannot be written", error) from error
