"""Write an imported run: into a staging folder next to the target, which is renamed when it is complete.

The staging folder is hidden, so no listing of runs shows it. An import that fails removes it; after a kill it
remains, and the next import to the same target removes it.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from grokscope.errors import InputError, StoreError
from grokscope.experiment import Experiment
from grokscope.files import explain, sync_folder
from grokscope.measures.needs import INITIAL_NETWORK
from grokscope.progress import Progress
from grokscope.runs.measure import measure_snapshots
from grokscope.runs.measure_plan import MeasurePlan
from grokscope.runs.networks import stacked
from grokscope.runs.provenance import all_code, collect_provenance
from grokscope.runs.summary import finish_run
from grokscope.spec.schedule import Schedule
from grokscope.spec.streams import Seeds
from grokscope.store.checksums import RUN_FILES, state_sha256
from grokscope.store.disk import remove_tree
from grokscope.store.folder import is_run, keep_files, written_spec
from grokscope.store.lock import LOCK_FILE, WriterLock
from grokscope.store.open import create_store, open_store
from grokscope.store.run_store import RunStore
from grokscope.training.cache import use_compile_cache
from grokscope.training.devices import in_precision, prepare_devices
from grokscope.training.numerics import numerics_here

__all__ = ["Network", "at_steps", "check_target", "create_imported", "write_imported"]

_IDENTITY_VERSION = 1
_BYTES_AT_ONCE = 2**24
_SNAPSHOTS_AT_ONCE = 64


class Network(NamedTuple):
    """One network to import.

    Attributes:
        seed: seed of its member.
        step: updates done.
        leaves: its arrays, by the names of snapshots.
        label: its origin, for messages.
    """

    seed: int
    step: int
    leaves: dict[str, np.ndarray]
    label: str


class _Received:
    """The networks received so far.

    Attributes:
        digests: hash of each network, by (seed, step).
        labels: label of each network, by (seed, step).
    """

    def __init__(self) -> None:
        self.digests: dict[tuple[int, int], str] = {}
        self.labels: dict[tuple[int, int], str] = {}

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
        """The steps of the networks, sorted.

        Raises:
            InputError: if two seeds do not have the same steps.
        """
        by_seed: dict[int, list[int]] = {}
        for seed, step in sorted(self.labels):
            by_seed.setdefault(seed, []).append(step)
        first, *rest = by_seed
        for seed in rest:
            if by_seed[seed] != by_seed[first]:
                odd = min(set(by_seed[seed]) ^ set(by_seed[first]))
                raise InputError(
                    f"seeds {first} and {seed} do not have the same steps (step {odd} is there for one of "
                    "them); import them into separate folders."
                )
        return by_seed[first]

    def identity(self, experiment: Experiment) -> str:
        table = [_IDENTITY_VERSION, experiment.identity, sorted([*k, v] for k, v in self.digests.items())]
        return hashlib.sha256(json.dumps(table, separators=(",", ":")).encode()).hexdigest()


def at_steps(steps: Sequence[int]) -> dict[str, Any]:
    """The length and the schedule of a spec whose networks are at these steps, sorted.

    Example:
        >>> at_steps([0, 32, 64])["steps"], at_steps([0, 32, 64])["schedule"]["snapshots"]
        (64, 'every 32 steps')
    """
    last, given = max(1, *steps), [*steps]
    schedule: str | list[str | int] = "ends" if given == [0, last] else [*given]
    if len(given) > 1 and given[0] == 0:
        text = f"every {given[1]} steps"
        if last // given[1] == len(given) - 1 and Schedule.parse(text).points(1, last).tolist() == given:
            schedule = text
    return {
        "steps": last,
        "schedule": dict.fromkeys(("measures", "slow_measures", "follow", "snapshots"), schedule),
    }


def check_target(target: Path | None) -> None:
    """Check that an imported run can be written to a folder; called before any work.

    Raises:
        InputError: if the target is a file, holds a trained run, or holds other files.
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
    """Write networks into a run, take its measures, and move it to its folder.

    No file remains if an error is raised.

    Args:
        target: the run folder; None: ``runs/<task>-<identity, 8 characters>``.
        name: name of the staging folder if there is no target.
        networks: the networks; each is taken from the iterator after the one before is stored.
        experiment_of: function from the steps of the networks to their experiment.
        origin: description of the imported files, for the provenance; ``other_forward``, if it is there once
            the networks are taken, marks the run.
        progress: receives the progress.
        total: number of networks, if known.

    Returns:
        The run folder. If it holds the same import already, it is not changed.

    Raises:
        InputError: if a network is given twice, the seeds differ in their steps, or the target holds
            something else.
        StoreError: if the disk cannot be written.
    """
    began = time.monotonic()
    check_target(target)
    beside = Path("runs") / name if target is None else target
    staging = beside.parent / f".{beside.name}.importing-{os.getpid()}"
    _clear_leftovers(staging)
    try:
        with create_imported(staging, experiment_of([0])) as store:
            received = _store_all(store, networks, progress, total)
            steps = received.steps()
            experiment = experiment_of(steps)
            identity = received.identity(experiment)
            place = target or Path("runs") / f"{experiment.task.kind}-{identity[:8]}"
            if _is_same_run(place, identity):
                return place
            with store.transaction("what was imported") as t:
                t.identify(identity)
                t.note_more(other_forward=origin.get("other_forward", []))
                t.mark(slice(None), steps_done=steps[-1], complete=True)
            with written_spec(experiment) as (toml, files):
                keep_files(staging, files)
                store.update_experiment(toml)
            with in_precision(experiment.precision):
                wanted = MeasurePlan.of(experiment)
                if experiment.measures is None and steps[0] != 0:
                    wanted = wanted.only(lambda measure: INITIAL_NETWORK not in measure.needs)
                measure_snapshots(store, experiment, wanted, np.array(steps), progress)
            spent = round(time.monotonic() - began, 3)
            facts = {**store.provenance, "wall_seconds": spent, "imported": origin}
            store.update_provenance(facts)
            finish_run(store)
        (staging / LOCK_FILE).unlink(missing_ok=True)
        _move(staging, place)
        return place
    finally:
        progress.finish()
        remove_tree(staging)


def _clear_leftovers(staging: Path) -> None:
    """Remove the staging folders of killed imports to the same target; a running import holds its lock."""
    common = staging.name.rpartition("-")[0]
    if not staging.parent.is_dir():
        return
    for entry in os.scandir(staging.parent):
        if entry.name.rpartition("-")[0] != common or not entry.is_dir(follow_symlinks=False):
            continue
        with suppress(StoreError):
            WriterLock.acquire(Path(entry.path)).release()
            remove_tree(Path(entry.path))


def create_imported(folder: Path, experiment: Experiment, identity: str = "", **facts: Any) -> RunStore:
    """Create the store of a run of networks that were trained elsewhere, without members.

    Args:
        folder: the run folder.
        experiment: its experiment.
        identity: its identity; empty while it is not known.
        facts: further facts for the provenance.
    """
    prepare_devices()
    use_compile_cache()
    with in_precision(experiment.precision):
        numerics = numerics_here(experiment)
    with written_spec(experiment) as (toml, _):
        return create_store(
            folder,
            toml,
            identity,
            numerics,
            {**collect_provenance(numerics, code=all_code(experiment)), **facts},
            steps_per_epoch=experiment.steps_per_epoch,
            code=experiment.training_code,
        )


def _store_all(store: RunStore, networks: Iterable[Network], progress: Progress, total: int) -> _Received:
    """Take the networks one by one; commit several at a time."""
    received = _Received()
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
                leaves = stacked([stacked([one.leaves for one in own])])
                t.write_snapshots([rows[seed]], [one.step for one in own], leaves)
        progress.advance(len(waiting))
        waiting.clear()

    n_bytes = 0
    for network in networks:
        received.add(network)
        waiting.append(network)
        n_bytes += sum(leaf.nbytes for leaf in network.leaves.values())
        if n_bytes >= _BYTES_AT_ONCE or len(waiting) >= _SNAPSHOTS_AT_ONCE:
            commit()
            n_bytes = 0
    commit()
    if not received.labels:
        raise InputError("there is no network to import.")
    progress.finish()
    return received


def _is_same_run(place: Path, identity: str) -> bool:
    """Whether a folder holds the run of an identity already.

    Raises:
        InputError: if the folder holds another run, or other files.
    """
    check_target(place)
    if not is_run(place):
        return False
    open_store(place).require_identity(identity)
    return True


def _move(staging: Path, place: Path) -> None:
    """Rename the staging folder to the run folder."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            (place / LOCK_FILE).unlink()
        staging.rename(place)  # replaces an empty folder
        sync_folder(place.parent)
    except OSError as error:
        raise explain(place, "cannot be written", error) from error
