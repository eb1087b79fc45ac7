"""A run that grows while its networks are trained by another program.

It is an imported run (`grokscope.runs.imported`) of one member, to which networks are added one by one.
Networks wait in memory until a commit, which stores and measures them; subnetworks are followed when the run
is finished. A run that was not finished, or is continued, goes on at its last commit.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.interrupts import interruptible
from grokscope.measures.needs import INITIAL_NETWORK
from grokscope.progress import SilentProgress
from grokscope.runs.imported import at_steps, create_imported
from grokscope.runs.measure import measure_snapshots, require_initial
from grokscope.runs.measure_plan import MeasurePlan
from grokscope.runs.networks import stacked
from grokscope.runs.summary import finish_run
from grokscope.spec.streams import Seeds
from grokscope.spec.toml import parse_toml
from grokscope.store.checksums import state_sha256
from grokscope.store.disk import remove_tree
from grokscope.store.folder import keep_files, written_spec
from grokscope.store.run_store import RunStore
from grokscope.training.cache import use_compile_cache
from grokscope.training.devices import in_precision, prepare_devices

__all__ = ["LOGGED", "RecordedRun", "rewind"]

LOGGED = "logged"  # group of the numbers that the training loop gives
_BYTES_AT_ONCE = 2**24
_SNAPSHOTS_AT_ONCE = 64


class RecordedRun:
    """A recorded run, open for writing.

    Args:
        store: its store, open for writing; the run holds its lock until `close`.
        experiment: its experiment, of any length.
        seed: the seed of its member.
        commit_seconds: seconds between commits.

    Attributes:
        store: the store.
    """

    def __init__(self, store: RunStore, experiment: Experiment, seed: int, commit_seconds: float) -> None:
        self.store, self._experiment = store, experiment
        self._member = Seeds.same(seed)
        self._commit_seconds = commit_seconds
        self._steps = store.snapshot_steps(0) if store.seeds else []
        self._waiting: dict[int, dict[str, np.ndarray]] = {}
        self._logged: dict[int, dict[str, float]] = {}
        self._began = time.monotonic()
        self._committed = float("-inf")
        prepare_devices()
        use_compile_cache()
        with written_spec(experiment) as (toml, files):
            keep_files(store.place, files)  # pyright: ignore[reportArgumentType]
            self._spec = parse_toml(toml)

    @classmethod
    def begin(
        cls,
        folder: Path,
        experiment: Experiment,
        seed: int,
        commit_seconds: float,
        identity: str,
        origin: Mapping[str, Any],
        first: tuple[int, dict[str, np.ndarray], Mapping[str, float]],
    ) -> RecordedRun:
        """Create the run, with its first network; no folder remains if that fails.

        Args:
            folder: the run folder.
            experiment: see `RecordedRun`.
            seed: see `RecordedRun`.
            commit_seconds: see `RecordedRun`.
            identity: of the run.
            origin: what is recorded, for the provenance.
            first: step, arrays and logged numbers of the first network.
        """
        require_initial(
            MeasurePlan.of(experiment) if experiment.measures is not None else MeasurePlan(), first[0]
        )
        store = create_imported(folder, experiment, identity, imported=dict(origin))
        try:
            run = cls(store, experiment, seed, commit_seconds)
            run.add(*first)
        except BaseException:
            store.close()
            remove_tree(folder)
            raise
        return run

    @property
    def last_step(self) -> int | None:
        """The last step of which a network was added; None if there is none."""
        return max(self._waiting, default=self._steps[-1] if self._steps else None)

    def add(self, step: int, leaves: dict[str, np.ndarray], logged: Mapping[str, float]) -> bool:
        """Add a network; commit if the last commit is old enough, or many networks wait.

        Returns:
            False if this very network was added at this step before; it is then skipped.

        Raises:
            InputError: if another network was added at this step, or one at a later step but none at this.
        """
        if (last := self.last_step) is not None and step <= last:
            known = self._waiting.get(step)
            if known is None and step in self._steps:
                known = self.store.read_snapshot(0, step)
            if known is None:
                raise InputError(
                    f"step {step}: comes after step {last} in the recording; steps must increase."
                )
            if state_sha256(known) != state_sha256(leaves):
                raise InputError(
                    f"step {step}: is recorded already, with other weights. If the training was resumed from "
                    "an earlier step, drop what was recorded after it: recorder.rewind(STEP)."
                )
            return False
        self._waiting[step] = leaves
        if logged:
            self._logged[step] = dict(logged)
        n_bytes = sum(leaf.nbytes for leaf in leaves.values()) * len(self._waiting)
        is_much = n_bytes >= _BYTES_AT_ONCE or len(self._waiting) >= _SNAPSHOTS_AT_ONCE
        if is_much or time.monotonic() - self._committed >= self._commit_seconds:
            self.commit()
        return True

    def rewind(self, step: int) -> None:
        """Commit, then remove what was recorded at later steps; see the function `rewind`."""
        self.commit()
        rewind(self.store, step)
        self._steps = self.store.snapshot_steps(0)

    @interruptible
    def commit(self) -> None:
        """Store the networks that wait, and take their quick and slow measures."""
        if self._waiting:
            new = [*self._waiting]
            steps = [*self._steps, *new]
            # before the networks, so that the spec is never shorter than the run
            self.store.update_experiment(tomli_w.dumps(self._spec | at_steps(steps)))
            with self.store.transaction(f"{len(new)} networks") as t:
                t.add_members([self._member])
                t.write_snapshots([0], new, stacked([stacked([*self._waiting.values()])]))
                if self._logged:
                    t.write_measures(LOGGED, [0], [*self._logged], _columns([*self._logged.values()]))
                t.mark([0], steps_done=new[-1], complete=False)
            self._steps = steps
            self._waiting.clear()
            self._logged.clear()
        self._measure()
        self._committed = time.monotonic()

    @interruptible
    def finish(self) -> None:
        """Commit, take the measures of subnetworks, and mark the run as complete."""
        self.commit()
        if self.store.is_finished and self.store.complete.all():
            return
        following = self._wanted.only(lambda m: m.pace.startswith("follow"))
        if following.all:
            # by the train accuracy the memorizing subnetwork is found
            both = self._wanted.only(lambda m: m.pace.startswith("follow") or m.name == "train_accuracy")
            self._take(both, self._steps)
        self.store.update_experiment(tomli_w.dumps(self._spec | at_steps(self._steps)))  # also if rewound
        with self.store.transaction("complete") as t:
            t.mark([0], complete=True)
        facts = self.store.provenance
        spent = float(facts.get("wall_seconds") or 0.0) + time.monotonic() - self._began
        self.store.update_provenance({**facts, "wall_seconds": round(spent, 3)})
        finish_run(self.store)

    @property
    def _wanted(self) -> MeasurePlan:
        wanted = MeasurePlan.of(self._experiment)
        if self._experiment.measures is None and self._steps[0] != 0:
            return wanted.only(lambda measure: INITIAL_NETWORK not in measure.needs)
        return wanted

    def _measure(self) -> None:
        """Take the quick and slow measures at the steps at which one of them was not taken."""
        wanted = self._wanted.only(lambda measure: not measure.pace.startswith("follow"))
        done = [int(self.store.measured_to(m.name, m.code_version)[0]) for m in wanted.all]
        self._take(wanted, [step for step in self._steps if step > min(done, default=step)])

    def _take(self, wanted: MeasurePlan, steps: list[int]) -> None:
        if steps:
            with in_precision(self._experiment.precision):
                measure_snapshots(self.store, self._experiment, wanted, np.array(steps), SilentProgress())


def rewind(store: RunStore, step: int) -> None:
    """Remove the networks and the values of measures at later steps.

    Raises:
        InputError: if nothing would remain.
    """
    kept = [one for one in store.snapshot_steps(0) if one <= step]
    if not kept:
        raise InputError(f"rewind: no network was recorded at step {step} or before.")
    with store.transaction(f"rewound to step {step}") as t:
        t.forget_after(step)
        t.mark([0], steps_done=kept[-1], complete=False)


def _columns(logged: list[dict[str, float]]) -> dict[str, np.ndarray]:
    """Logged numbers as arrays [member, step]; NaN where a name was not given."""
    names = dict.fromkeys(name for one in logged for name in one)
    return {name: np.array([[one.get(name, np.nan) for one in logged]], np.float64) for name in names}
