"""Run: read access to a run folder, replay, measures and branches; and `train`, which creates a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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

_NOT_BEGUN = "was stopped before the first result was kept; run the same command again."


class Run:
    """A run on disk: experiment, members, measures, networks. Only `measure` writes to it.

    Args:
        path: the run folder, or an address in a bucket.

    Raises:
        InputError: if there is no run at the path, or one from a newer format version.
        StoreError: if it is damaged or cannot be read.

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
        """The id of the commit that is read; it differs after every commit of a writer."""
        return self._store.version

    @property
    def identity(self) -> str:
        """The hash of what determines the numbers."""
        return self._store.identity

    @property
    def provenance(self) -> dict[str, Any]:
        """Versions, machine, command, times and numerics of the run."""
        return self._store.provenance

    @property
    def notes(self) -> dict[str, Any]:
        """Remarks, for example that other numerics were allowed."""
        return self._store.notes

    @property
    def members(self) -> Members:
        """The members and their seeds, in order of addition.

        Raises:
            InputError: if the run was stopped before its first member was added.
        """
        if not (seeds := self._store.seeds):
            raise InputError(f"{self.path}: {_NOT_BEGUN}")
        return Members(tuple(seeds))

    @property
    def steps_done(self) -> np.ndarray:
        """Updates done by each member, int64 [member]."""
        return self._store.steps_done

    @property
    def is_complete(self) -> bool:
        """Whether every member is done, see `is_done`."""
        return bool(self.is_done.all() and len(self.is_done))

    @property
    def is_done(self) -> np.ndarray:
        """Whether each member has done all steps of the experiment or was stopped early, bool [member]."""
        if self.is_imported:
            return self._store.complete
        # members marked complete at a shorter length are not done while the run is being extended
        done = self._store.steps_done >= self.experiment.n_steps
        return self._store.complete & (done | self.is_stopped)

    @property
    def is_stopped(self) -> np.ndarray:
        """Whether early stopping ended each member before the experiment's last step, bool [member]."""
        stopped = self._store.complete & (self._store.steps_done < self.experiment.n_steps)
        if not self.experiment.stop.is_on or not stopped.any():
            return np.zeros_like(stopped)
        from grokscope.runs.early_stop import has_stopped

        return stopped & has_stopped(self._store, self.experiment, range(len(stopped)))

    @property
    def steps_saved(self) -> int:
        """Member-steps skipped by early stopping."""
        return int((self.experiment.n_steps - self._store.steps_done)[self.is_stopped].sum())

    @property
    def is_imported(self) -> bool:
        """Whether the networks were trained elsewhere; such a run has snapshots and cannot be replayed."""
        return not self.experiment.learner.trains

    @property
    def snapshot_steps(self) -> list[int]:
        """The steps of the first member's snapshots; networks at other steps are replayed."""
        return self._store.snapshot_steps(0)

    @cached_property
    def measures(self) -> xr.Dataset:
        """All measures over ``seed`` (or the crossed streams), ``step`` and their own axes.

        Measures of different schedules are joined on ``step``; values that were not measured are NaN.
        """
        return self._store.read_measures()

    def read_measure(self, name: str) -> xr.DataArray:
        """One measure, only at the steps at which it was taken.

        Raises:
            InputError: if the run has no such measure.
        """
        return self._store.read_measure(name)

    @cached_property
    def subnetworks(self) -> xr.DataArray:
        """The subnetworks found from the final states: bool over (seed, subnetwork, neuron).

        If streams are crossed, their axes replace ``seed``, as in `measures`; combinations of seeds without
        a member are False.

        Raises:
            InputError: if the run has no subnetworks, because no measure of subnetworks was taken.
        """
        return self.subnetworks_of("predictions")

    def subnetworks_of(self, flavor: str) -> xr.DataArray:
        """The subnetworks found with a flavor: ``predictions`` (the paper's) or ``accuracy`` (its code's).

        Raises:
            InputError: if the run has none of the flavor.
        """
        from grokscope.store.labeled import MemberAxes

        each = ((seeds, self._store.read_subnetworks(flavor, i)) for i, seeds in enumerate(self._store.seeds))
        found = {seeds: one for seeds, one in each if one is not None}
        if not found:
            raise InputError(
                f"{self.path}: has no subnetworks of flavor '{flavor}'; add a measure of subnetworks, for "
                "example: grokscope measure RUN faithfulness."
            )
        masks = np.stack([one.masks for one in found.values()])
        labels = list(next(iter(found.values())).labels)
        axes = MemberAxes.of(list(found))
        return axes.label(masks, {"subnetwork": labels, "neuron": None}, name="subnetworks")

    def position(self, seed: int | Seeds) -> int:
        """The position of a member, by its seed (the same in all four streams) or its four seeds.

        Raises:
            InputError: if there is no such member.
        """
        if not self._store.seeds:
            raise InputError(f"{self.path}: {_NOT_BEGUN}")
        return self._store.position(seed)

    @cached_property
    def origins(self) -> Origins:
        """Start steps, source members and intervention targets of the members."""
        from grokscope.runs.origins import Origins

        return Origins.read(self._store, self.experiment)

    def model(self, seed: int | Seeds = 0, step: int = -1) -> Any:
        """The network of a member at a step (-1: its last), read from the store or replayed.

        Raises:
            InputError: if there is no such seed or step, nothing is stored of the seed yet, or the network
                must be replayed and cannot be.
            GrokscopeError: if a replay does not agree with a checkpoint.
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
        rename: Mapping[str, str] | None = None,
        into: Literal["refuse", "leading"] = "refuse",
        out: str | Path | None = None,
        progress: Progress | None = None,
        allow_other_numerics: bool = False,
    ) -> Run:
        """Train members that start inside this run, with a changed experiment; see docs/branches.md.

        Args:
            at: the step (-1: the last) at which members start; or an event, at whose step each member starts.
            changes: changes of the spec, as for ``--set``: ``"optimizer.learning_rate=0.05"``.
            interventions: interventions of the branch (`grokscope.interventions`), parts or tables; those of
                this run are dropped.
            seeds: None: the members of this run. Otherwise as ``--seeds`` of ``grokscope branch``: ``0:10``,
                ``order=100:110`` (each member with each of these seeds), ``order=+1000``; or `Members`.
            parameters: names of the parameters to copy, see `grokscope.starts.from_run.FromRun`.
            neurons: the neurons whose parameters are copied.
            clock: whether steps continue from this run's step (``source``) or begin at 0 (``zero``).
            rename: names in the branch of parameters that have other names in this run.
            into: a parameter of another shape is refused, or copied into the ``leading`` entries.
            out: the folder; by default ``runs/<task>-<identity>``.
            progress: receives the progress.
            allow_other_numerics: branch even if this run was made under other numerics; the branch is marked.

        Returns:
            The branch. Members that cannot start are listed in ``branch.origins.left_out``.

        Raises:
            InputError: if no member can start, or the experiment is not valid.

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
            rename=dict(rename or {}),
            into=into,
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

        Networks in the store are read (see `kept_steps`); the others are replayed, each member once. A branch
        has networks from the step at which each member starts.

        Raises:
            InputError: if there is no such seed or step, or the run cannot be replayed here.
            GrokscopeError: if a replay does not agree with a checkpoint.
        """
        from grokscope.runs.replay import networks_at

        positions = [self.position(seed) for seed in seeds]
        return networks_at(self._store, self.experiment, positions, list(steps))

    def kept_steps(self, seed: int | Seeds) -> list[int]:
        """The steps at which a member's network is read without a replay, sorted."""
        from grokscope.runs.replay import kept_steps

        return kept_steps(self._store, self.position(seed))

    def measure(
        self,
        measures: Iterable[Any],
        steps: str | int | list[str | int] | None = None,
        flavor: str = "predictions",
        progress: Progress | None = None,
    ) -> xr.Dataset:
        """Take measures by replay (of an imported run: from its snapshots), store and return them.

        Args:
            measures: names, tables or measures.
            steps: a schedule (see `Schedule`); None: the run's own.
            flavor: how subnetworks are found: ``predictions`` or ``accuracy``.
            progress: receives the progress.

        Raises:
            InputError: if a measure is not known, or needs something that the run does not have.
            GrokscopeError: if the replay does not end in the recorded states.
        """
        from grokscope.runs.measure import add_measures

        items = [part_of("measure", item) for item in measures]
        schedule = None if steps is None else Schedule.parse(steps)
        names = add_measures(self.path, items, schedule, flavor, progress or SilentProgress())
        self.reread()
        return self._store.read_measures(names)

    def reread(self) -> None:
        """Read the newest commit from now on."""
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
    """Train members of an experiment into a run folder; the same call again resumes or extends the run.

    Args:
        experiment: the experiment. More seeds, epochs or measures extend the run of the same identity.
        seeds: a count (seeds 0..N-1), a list, a text like ``5,9,20:30``, or `Members`.
        out: the run folder; by default ``runs/<task>-<identity, 8 characters>``.
        progress: receives the progress (see `grokscope.progress`).
        allow_other_numerics: continue a run that was made under another numerics fingerprint, and mark it.
        commit_seconds: seconds between commits; a crash loses the work since the last one.

    Returns:
        The run.

    Raises:
        InputError: if the folder holds another run, the model does not fit the memory, or the numerics
            differ and that is not allowed.
        StoreError: if the disk cannot be written.

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
        progress or SilentProgress(),
        allow_other_numerics=allow_other_numerics,
        commit_seconds=commit_seconds,
    )
    return Run(folder)


def default_folder(experiment: Experiment) -> Path:
    """The default folder of a run: ``runs/<task>-<identity, 8 characters>``."""
    return Path("runs") / f"{experiment.task.kind}-{experiment.identity[:8]}"
