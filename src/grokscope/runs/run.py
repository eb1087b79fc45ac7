"""Run: a folder of results, with everything that can be asked of it; and `train`, which makes one."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.progress import Progress, SilentProgress
from grokscope.spec.parts import part_of
from grokscope.spec.schedule import Schedule
from grokscope.spec.streams import Members, Seeds
from grokscope.store.open import open_store
from grokscope.store.place import Place, as_place

if TYPE_CHECKING:
    import xarray as xr

    from grokscope.runs.origins import Origins

__all__ = ["Run", "default_folder", "train"]

_NOT_BEGUN = "was stopped before the first result was kept; give the command that began it again."


class Run:
    """A run on disk: experiment, members, measures, networks. Reading only, but for `measure`.

    Example:
        >>> import tempfile
        >>> import grokscope as gs
        >>> experiment = gs.Experiment(task={"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 32},
        ...                            model={"kind": "fully_connected", "width": 8}, epochs=2)
        >>> run = gs.train(experiment, seeds=2, out=tempfile.mkdtemp() + "/run")
        >>> run.measures.train_accuracy.sizes
        Frozen({'seed': 2, 'step': 3})
    """

    def __init__(self, path: str | Place) -> None:
        self.path = as_place(path)
        self._store = open_store(self.path)

    def __repr__(self) -> str:
        done = "complete" if self.is_complete else "not complete"
        return f"Run({str(self.path)!r}, {len(self._store.seeds)} members, {done})"

    @cached_property
    def experiment(self) -> Experiment:
        """The resolved spec."""
        return self._store.experiment

    @property
    def version(self) -> str:
        """The id of the commit that is seen: another one means that the run has gone on."""
        return self._store.version

    @property
    def identity(self) -> str:
        """The hash of what determines the numbers."""
        return self._store.identity

    @property
    def provenance(self) -> dict[str, Any]:
        """Versions, machine, command, times, numerics."""
        return self._store.provenance

    @property
    def notes(self) -> dict[str, Any]:
        """Remarks, for example that other numerics were allowed."""
        return self._store.notes

    @property
    def members(self) -> Members:
        """The members and their seeds, in order of addition.

        Raises:
            InputError: if the run was stopped before it had any.
        """
        if not (seeds := self._store.seeds):
            raise InputError(f"{self.path}: {_NOT_BEGUN}")
        return Members(tuple(seeds))

    @property
    def steps_done(self) -> np.ndarray:
        """Updates done, by member."""
        return self._store.steps_done

    @property
    def is_complete(self) -> bool:
        """Whether every member has come to the experiment's end."""
        return bool(self.is_done.all() and len(self.is_done))

    @property
    def is_done(self) -> np.ndarray:
        """Whether each member has come to the experiment's end, as bools."""
        if self.is_imported:
            return self._store.complete
        # what was complete is not so any more while a longer run is under way
        done = self._store.steps_done >= self.experiment.n_steps
        return self._store.complete & (done | self.is_stopped)

    @property
    def is_stopped(self) -> np.ndarray:
        """Whether each member was stopped before the experiment's end, by its early stop, as bools."""
        stopped = self._store.complete & (self._store.steps_done < self.experiment.n_steps)
        if not self.experiment.stop.is_on or not stopped.any():
            return np.zeros_like(stopped)
        from grokscope.runs.early_stop import ended

        return stopped & ended(self._store, self.experiment, range(len(stopped)))

    @property
    def steps_saved(self) -> int:
        """Member-steps that early stopping left out."""
        return int((self.experiment.n_steps - self._store.steps_done)[self.is_stopped].sum())

    @property
    def is_imported(self) -> bool:
        """Whether its networks were trained elsewhere: then it has snapshots, and no replay."""
        return not self.experiment.learner.trains

    @property
    def snapshot_steps(self) -> list[int]:
        """The steps at which networks are kept (of the first member); others are made again by replay."""
        return self._store.snapshot_steps(0)

    @cached_property
    def measures(self) -> xr.Dataset:
        """All measures over ``seed`` (or the crossed streams), ``step`` and their own axes.

        Measures of different schedules are joined on ``step``; what was not measured is NaN.
        """
        return self._store.read_measures()

    def read_measure(self, name: str) -> xr.DataArray:
        """One measure at the steps at which it was taken."""
        return self._store.read_measure(name)

    @cached_property
    def subnetworks(self) -> xr.DataArray:
        """The subnetworks found from the final states: bool over (seed, subnetwork, neuron).

        Where streams are crossed their axes stand for ``seed``, as in `measures`; False where the box of
        seeds has no member.

        Raises:
            InputError: if the run has none (no measure of subnetworks was asked for).
        """
        return self.subnetworks_of("predictions")

    def subnetworks_of(self, flavor: str) -> xr.DataArray:
        """The subnetworks found with a flavor: ``predictions`` (the paper's) or ``accuracy`` (its code's)."""
        from grokscope.store.labeled import MemberAxes

        found = [self._store.read_subnetworks(flavor, i) for i in range(len(self._store.seeds))]
        rows = [i for i, one in enumerate(found) if one is not None]
        if not rows:
            raise InputError(
                f"{self.path}: has no subnetworks of flavor '{flavor}'; add a measure of subnetworks, for "
                "example: grokscope measure RUN faithfulness."
            )
        masks = np.stack([one.masks for one in found if one is not None])
        labels = next(list(one.labels) for one in found if one is not None)
        cohort = MemberAxes.of([self._store.seeds[i] for i in rows])
        return cohort.label(masks, {"subnetwork": labels, "neuron": None}, name="subnetworks")

    def position(self, seed: int | Seeds) -> int:
        """The position of a member, by its seed (all four streams alike) or its four seeds.

        Raises:
            InputError: if there is no such member.
        """
        if not self._store.seeds:
            raise InputError(f"{self.path}: {_NOT_BEGUN}")
        return self._store.position(seed)

    @cached_property
    def origins(self) -> Origins:
        """Where the members start and what is done to them: steps, source's members, sets of neurons."""
        from grokscope.runs.origins import Origins

        return Origins.read(self._store, self.experiment)

    def model(self, seed: int | Seeds = 0, step: int = -1) -> Any:
        """The network of a member at a step (-1: its last), from a snapshot, else by replay.

        Raises:
            InputError: if there is no such seed or step, or nothing was kept of the seed yet.
        """
        from grokscope.runs.replay import network_at

        position = self.position(seed)
        last = int(self._store.steps_done[position])
        at = last + 1 + step if -last - 1 <= step < 0 else step
        return network_at(self._store, self.experiment, position, at)

    def branch(
        self,
        at: int | str,
        *changes: str,
        interventions: Iterable[Any] = (),
        seeds: Any = None,
        parameters: Any = "all",
        neurons: Any = None,
        clock: Literal["source", "zero"] = "source",
        out: str | Path | None = None,
        progress: Progress | None = None,
        allow_other_numerics: bool = False,
    ) -> Run:
        """Train members that start inside this run, with a changed experiment; see docs/branches.md.

        Args:
            at: a step (-1: the last), or an event, at which each member starts at its own step.
            changes: of the spec, as for ``--set``: ``"optimizer.learning_rate=0.05"``.
            interventions: what is done to neurons (`grokscope.interventions`), parts or tables. Those of this
                run end where the branch begins.
            seeds: None: the members of this run. Else as ``--seeds`` of ``grokscope branch``: ``0:10``,
                ``order=100:110`` (every member with each of these), ``order=+1000``; or `Members`.
            parameters: which are taken over, see `grokscope.starts.from_run.FromRun`.
            neurons: of which neurons.
            clock: whether steps go on from the source's or begin anew.
            out: the folder; by default ``runs/<task>-<identity>``.
            progress: told of the work.
            allow_other_numerics: also where this run was made under other numerics; the branch is marked.

        Returns:
            The branch. Members to which the moment did not come are left out: ``branch.origins.left_out``.

        Raises:
            InputError: if there is no such moment in any member, or the experiment is not valid.

        Example:
            >>> slow = run.branch("memorization", interventions=[  # doctest: +SKIP
            ...     {"kind": "prune", "neurons": "generalizing"}])
        """
        from grokscope.runs.branch import branch_experiment, branch_members

        experiment = branch_experiment(
            self._store,
            at,
            changes,
            interventions=tuple(interventions),
            parameters=parameters,
            neurons=neurons,
            clock=clock,
        )
        return train(
            experiment,
            branch_members(self.members, seeds),
            out=out,
            progress=progress,
            allow_other_numerics=allow_other_numerics,
        )

    def networks(self, steps: Iterable[int], seeds: Iterable[int | Seeds]) -> dict[str, np.ndarray]:
        """The parameters of several members at several steps: arrays [seed, step, ...] by name, on the host.

        Networks that are kept are read (see `kept_steps`); the others are replayed, each member once. Of a
        branch they are those of the branch, from the step at which each member starts.

        Raises:
            InputError: if there is no such seed or step, or the run cannot be replayed here.
            GrokscopeError: if a replay passes a checkpoint and does not agree with it.
        """
        from grokscope.runs.replay import networks_at

        positions = [self.position(seed) for seed in seeds]
        return networks_at(self._store, self.experiment, positions, list(steps))

    def kept_steps(self, seed: int | Seeds) -> list[int]:
        """The steps at which a member's network can be had without training again, sorted."""
        from grokscope.runs.replay import kept_steps

        return kept_steps(self._store, self.position(seed))

    def measure(
        self,
        measures: Iterable[Any],
        steps: str | int | list[str | int] | None = None,
        flavor: str = "predictions",
        progress: Progress | None = None,
    ) -> xr.Dataset:
        """Add measures by replay (of an imported run: from its snapshots); returns them.

        Args:
            measures: names, tables or measures.
            steps: a schedule (see `Schedule`); None takes the run's own.
            flavor: how subnetworks are found: ``predictions`` or ``accuracy``.
            progress: told of the work.

        Raises:
            InputError: if a measure is not known, or needs what the run does not have.
            GrokscopeError: if the replay does not end in the recorded states.
        """
        from grokscope.runs.measure import add_measures

        items = [part_of("measure", item) for item in measures]
        schedule = None if steps is None else Schedule.parse(steps)
        names = add_measures(self.path, items, schedule, flavor, progress or SilentProgress())
        self.reread()
        return self._store.read_measures(names)

    def reread(self) -> None:
        """See what was committed since the run was opened."""
        self._store = open_store(self.path)
        for cached in ("measures", "subnetworks", "experiment"):
            self.__dict__.pop(cached, None)


def train(
    experiment: Experiment,
    seeds: Any = 1,
    *,
    out: str | Path | None = None,
    progress: Progress | None = None,
    allow_other_numerics: bool = False,
    commit_seconds: float = 20.0,
) -> Run:
    """Train members of an experiment into a run folder; the same call again resumes, extends, or is done.

    Args:
        experiment: what to train. More seeds, epochs or measures extend the run of the same identity.
        seeds: a count (seeds 0..N-1), a list, a text like ``5,9,20:30``, or `Members`.
        out: the run folder; by default ``runs/<task>-<identity, 8 characters>``.
        progress: told of the work (see `grokscope.progress`).
        allow_other_numerics: go on with a run that was made under another numerics fingerprint, and mark it.
        commit_seconds: how often what is done is kept; what a crash can cost, and how fresh others see it.

    Returns:
        The run.

    Raises:
        InputError: if the folder holds another run, the model does not fit the memory, or the numerics are
            others.
        StoreError: if the disk does not let us.

    Example:
        >>> import tempfile
        >>> small = {"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 32}
        >>> experiment = Experiment(task=small, model={"kind": "fully_connected", "width": 8}, epochs=2)
        >>> train(experiment, seeds=3, out=tempfile.mkdtemp() + "/run").is_complete
        True
    """
    from grokscope.runs.trainer import train_into

    members = Members.parse(seeds)
    folder = Path(out) if out is not None else default_folder(experiment)
    train_into(
        folder,
        experiment,
        members,
        progress,
        allow_other_numerics=allow_other_numerics,
        commit_seconds=commit_seconds,
    )
    return Run(folder)


def default_folder(experiment: Experiment) -> Path:
    """``runs/<task>-<identity, 8 characters>``."""
    return Path("runs") / f"{experiment.task.kind}-{experiment.identity[:8]}"
