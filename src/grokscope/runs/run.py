"""Run: read access to a run folder, replay, measures and branches; and `train`, which creates a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from grokscope.cards import html_card, text_card
from grokscope.errors import InputError, run_again
from grokscope.experiment import Experiment
from grokscope.progress import Progress, SilentProgress
from grokscope.provided import provided
from grokscope.runs.measure_plan import how_to_find_subnetworks
from grokscope.runs.summary import done_members, stopped_members
from grokscope.spec.events import Event, events_of, parse_event
from grokscope.spec.schedule import Schedule
from grokscope.spec.streams import Members, Seeds, on_members
from grokscope.store.allow import Allow
from grokscope.store.open import open_again, open_store
from grokscope.store.place import Place, as_place, located, shown_as

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from grokscope.measures import MeasureLike
    from grokscope.runs.origins import Origins
    from grokscope.runs.overview import Overview
    from grokscope.runs.times import EventTimes
    from grokscope.store.run_store import RunStore

__all__ = ["Run", "default_folder", "seconds_to_train", "train"]

_NOT_BEGUN = "was stopped before the first result was kept"


class Run:
    """A run on disk: experiment, members, measures, networks. Only `measure` writes to it.

    Args:
        path: the run folder, or an address in a bucket.
        shown: how messages write the path; None: as it is given.

    Attributes:
        path: the path as it was given.
        place: the absolute path: changing the working folder does not change which run this is.

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

    def __init__(self, path: str | Place, *, shown: Place | None = None) -> None:
        self.path, self.place = shown or as_place(path), located(path)
        self._store = open_store(self.place, shown=self.path)

    def __repr__(self) -> str:
        from grokscope.runs.glance import facts_of_run

        return text_card(f"Run {self.path}", facts_of_run(self, self._store))

    def _repr_html_(self) -> str:
        """The card in notebooks: facts, and the curves of train and test accuracy."""
        from grokscope.runs.glance import accuracy_curves, facts_of_run

        try:
            curves = accuracy_curves(self._store)
        except Exception:  # a card has no curves of damaged files; its facts say what is wrong
            curves = {}
        return html_card(f"Run {self.path}", facts_of_run(self, self._store), curves)

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
    def remarks(self) -> list[str]:
        """What a reader of the results should know, one line each.

        Other numerics, changed code or another forward pass that were allowed, measures whose values other
        code has computed, and parts that are not loaded.
        """
        from grokscope.runs.remarks import remarks_on

        return remarks_on(self._store, self.experiment)

    @property
    def members(self) -> Members:
        """The members and their seeds, in order of addition.

        Raises:
            InputError: if the run was stopped before its first member was added.
        """
        if not (seeds := self._store.seeds):
            raise InputError(f"{self.path}: {_NOT_BEGUN}; {run_again()}.")
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
        return done_members(self._store, self.experiment)

    @property
    def is_stopped(self) -> np.ndarray:
        """Whether early stopping ended each member before the experiment's last step, bool [member]."""
        return stopped_members(self._store, self.experiment)

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

        Raises:
            InputError: if nothing is committed yet.
        """
        self._require_results()
        return self._store.read_measures()

    @property
    def measures_so_far(self) -> xr.Dataset:
        """The same as `measures`, but without any before the first commit."""
        has_results = "measures" in self.__dict__ or self._has_results
        return self.measures if has_results else self._store.read_measures()

    @property
    def _has_results(self) -> bool:
        return bool(self._store.measures) or bool(self._store.steps_done.any()) or self.is_complete

    def _require_results(self) -> None:
        if not self._has_results:
            raise InputError(f"{self.path}: has no results yet, not even of its start; {run_again()}.")

    def read_measure(self, name: str) -> xr.DataArray:
        """One measure, only at the steps at which it was taken.

        Raises:
            InputError: if the run has no such measure.
        """
        self._require_results()
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
                f"example: {how_to_find_subnetworks()}."
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
            raise InputError(f"{self.path}: {_NOT_BEGUN}; {run_again()}.")
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
        allow_changed_code: bool = False,
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
            allow_changed_code: branch even if the code of a part, from a plug-in, has changed; the branch is
                marked.

        Returns:
            The branch. Members that cannot start are listed in ``branch.origins.left_out``.

        Raises:
            InputError: if no member can start, or the experiment is not valid.

        Example:
            >>> slow = run.branch("memorization", interventions=[  # doctest: +SKIP
            ...     {"kind": "prune", "neurons": "generalizing"}])
        """
        from grokscope.runs.branch import branch_experiment, branch_members

        self.experiment.require_loaded()
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
            allow_changed_code=allow_changed_code,
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

    def data(self, seed: int | Seeds = 0) -> dict[str, np.ndarray]:
        """The arrays of a member's data, also those that all members share: ``train_x``, ``train_y``, ...

        Raises:
            InputError: if there is no such seed.

        Example:
            >>> run.data(seed=3)["train_x"].shape  # doctest: +SKIP
            (1000, 40)
        """
        from grokscope.runs.prepare import data_of_member

        return data_of_member(self.experiment, self.members.seeds[self.position(seed)])

    def times(self, event: str | Event = "grokking") -> EventTimes:
        """The step of an event in each member: censored times with a readable `repr`.

        Args:
            event: the name of an event of the run (``grokking``, ``memorization``, ...), a text like
                ``"test_accuracy > 0.9 for 3"``, or an `Event`.

        Raises:
            InputError: if the text is no event, or the run lacks the event's measure.

        Example:
            >>> run.times("grokking").share()  # doctest: +SKIP
            Estimate(value=1.0, low=0.5655, high=1.0, n=5, ...)
        """
        from grokscope.runs.times import EventTimes

        measures = on_members(self.measures, self.members)
        wanted = event if isinstance(event, Event) else parse_event(event, events_of(measures))
        return EventTimes(wanted, self.members, wanted.times(measures))

    def summary(self, circuits: int = 3) -> Overview:
        """State, events, curves and circuits of the run: what ``grokscope show`` prints.

        Args:
            circuits: number of members whose last network is read as a circuit, where that is possible.

        Example:
            >>> print(run.summary())  # doctest: +SKIP
            run         runs/parity
            ...
        """
        return provided("overview_of")(self, circuits=circuits)

    def plot(self, *measures: str, by: Literal["epoch", "step"] = "epoch") -> Figure:
        """Draw measures against time: the mean over members, and a band from the 10th to the 90th percentile.

        Args:
            measures: names; measures of one unit share a panel. None given: train and test accuracy.
            by: the horizontal axis.

        Returns:
            A matplotlib Figure.

        Raises:
            InputError: if the run has no such measure, or it has an axis that cannot be drawn as lines.

        Example:
            >>> run.plot("train_accuracy", "test_accuracy").savefig("accuracy.png")  # doctest: +SKIP
        """
        from grokscope.plots.runs import measures_figure

        return measures_figure(on_members(self.measures, self.members), measures, by)

    def report(self, path: str | Path | None = None) -> Path:
        """Write the page of the run, one self-contained HTML file.

        Args:
            path: the file; None takes ``report.html`` in the run's folder.

        Returns:
            The path of the page.

        Raises:
            StoreError: if it cannot be written.
        """
        with shown_as(self.place, self.path):
            return provided("write_report")(self.place, out=path, shown=self.path)

    def export(
        self,
        path: str | Path,
        seed: int | None = None,
        step: int | None = None,
        *,
        torch_module: str | Path | None = None,
        force: bool = False,
    ) -> Path:
        """Write the measures (.csv, .parquet, .nc) or one member's weights (.safetensors) to a file.

        Args:
            path: the file; its suffix decides the format.
            seed: only this member. Required for weights if the run has several members.
            step: only this step (-1: the last). Default: all steps of measures, the last step of weights.
            torch_module: a ``.py`` file to write beside the weights: a PyTorch module that loads them.
            force: replace files that exist.

        Returns:
            The path of the file.

        Raises:
            InputError: for an unknown suffix, seed or step, a target that exists, or a missing extra.
            StoreError: if the file cannot be written.
        """
        exported = provided("export_run")(self, path, seed, step, torch_module=torch_module, force=force)
        return exported.path

    def measure(
        self,
        measures: MeasureLike | Iterable[MeasureLike],
        steps: str | int | list[str | int] | None = None,
        flavor: str = "predictions",
        progress: Progress | None = None,
        *,
        name: str | None = None,
        dims: tuple[str, ...] | None = None,
        allow_changed_code: bool = False,
    ) -> xr.Dataset:
        """Take measures by replay (of an imported run: from its snapshots), store and return them.

        Args:
            measures: one measure or several, each a name, a table, a measure, or a plain function of a
                `Point` that JAX can trace, which returns a number or an array.
            steps: a schedule (see `Schedule`); None: the run's own.
            flavor: how subnetworks are found: ``predictions`` or ``accuracy``.
            progress: receives the progress.
            name: the name under which a function is stored; None takes the function's own.
            dims: names of the axes of a function's result, ``("neuron",)`` for example.
            allow_changed_code: go on if the code of a part of the run, from a plug-in, has changed, and mark
                the run.

        Raises:
            InputError: if a measure is not known, or needs something that the run does not have; if a
                function has no name or cannot be traced; if a part of the run is not loaded or has changed.
            GrokscopeError: if the replay does not end in the recorded states.

        Example:
            >>> def weight_sum(point):
            ...     return point.network.hidden_weight.sum()
            >>> run.measure(["sensitivity", weight_sum], steps="log")  # doctest: +SKIP
        """
        from grokscope.runs.measure import measure_items, measure_run

        items = measure_items(self.experiment, measures, name, dims)
        schedule = None if steps is None else Schedule.parse(steps)
        allow = Allow(code=allow_changed_code)
        names = measure_run(self._store, items, schedule, flavor, progress or SilentProgress(), allow)
        self.reread()
        return self._store.read_measures(names)

    def reread(self) -> None:
        """Read the newest commit from now on.

        Raises:
            InputError: if there is another run in the folder by now.
            StoreError: if it cannot be read.
        """
        self._store = self.store()
        for cached in ("measures", "subnetworks", "experiment"):
            self.__dict__.pop(cached, None)

    def store(self, mode: Literal["r", "a"] = "r") -> RunStore:
        """Open the store of this run at its newest commit; for code of grokscope.

        Args:
            mode: ``r`` to read, ``a`` to write too.

        Raises:
            InputError: if there is another run in the folder by now.
            StoreError: if it cannot be read, or another process writes it.
        """
        return open_again(self._store, mode)


def train(
    experiment: Experiment,
    seeds: Any = 1,
    *,
    out: str | Path | None = None,
    progress: Progress | None = None,
    allow_other_numerics: bool = False,
    allow_changed_code: bool = False,
    commit_seconds: float = 20.0,
) -> Run:
    """Train members of an experiment into a run folder; the same call again resumes or extends the run.

    Args:
        experiment: the experiment. More seeds, epochs or measures extend the run of the same identity.
        seeds: a count (seeds 0..N-1), a list, a text like ``5,9,20:30``, or `Members`.
        out: the run folder; by default ``runs/<task>-<identity, 8 characters>``.
        progress: receives the progress (see `grokscope.progress`).
        allow_other_numerics: continue a run that was made under another numerics fingerprint, and mark it.
        allow_changed_code: continue a run although the code of a part, from a plug-in, has changed, and mark
            it.
        commit_seconds: seconds between commits; a crash loses the work since the last one.

    Returns:
        The run.

    Raises:
        InputError: if the folder holds another run, the model does not fit the memory, or the numerics or
            the code of a part differ and that is not allowed.
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
    shown = Path(out) if out is not None else default_folder(experiment)
    folder = shown.absolute()
    train_into(
        folder,
        experiment,
        members,
        progress or SilentProgress(),
        allow=Allow(allow_other_numerics, allow_changed_code),
        commit_seconds=commit_seconds,
        shown=shown,
    )
    return Run(folder, shown=shown)


def seconds_to_train(
    experiment: Experiment, seeds: int | str | Members = 1, *, out: str | Path | None = None
) -> float:
    """Predict the wall time of `train` with these arguments on this machine.

    Raises:
        InputError: see `train`.
    """
    from grokscope.runs.trainer import seconds_left

    place = Path(out) if out is not None else default_folder(experiment)
    return seconds_left(place, experiment, Members.parse(seeds))


def default_folder(experiment: Experiment) -> Path:
    """The default folder of a run: ``runs/<task>-<identity, 8 characters>``."""
    return Path("runs") / f"{experiment.task.kind}-{experiment.identity[:8]}"
