"""The experiments of a paper: a run, a sweep or a contest, each trained, opened and planned in the same way.

What goes elsewhere: what a paper is (``_paper.py``), reproducing one (`grokscope.reproduction`), what a page
shows of a run, a sweep or a contest (`grokscope.report`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from grokscope.errors import InputError, did_you_mean
from grokscope.experiment import Experiment
from grokscope.papers._values import FromExperiment, TakenValue
from grokscope.progress import Progress
from grokscope.spec.code import code_of
from grokscope.spec.streams import Members

if TYPE_CHECKING:
    from grokscope.runs import Run
    from grokscope.sweeps import Contender, Contest, ContestSpec, Sweep, SweepSpec
    from grokscope.training.rates import Rates

__all__ = [
    "Analysis",
    "ContestExperiment",
    "ContestProfile",
    "Cost",
    "Failed",
    "Job",
    "PaperExperiment",
    "Profile",
    "RunExperiment",
    "SweepExperiment",
    "SweepProfile",
    "recorded_every",
]

# The process with its libraries and compiled programs, and how many members' states are held at a time.
_BASE_BYTES, _IN_FLIGHT = 600_000_000, 16


def recorded_every(steps: int, *more: str) -> tuple[str, str]:
    """Overrides of a spec: measures every so many steps, the slow ones at the start and the end.

    Args:
        steps: between two points.
        more: further points of the measures, as ``"log 20"``.

    Example:
        >>> recorded_every(20, "log 20")
        ("schedule.measures=['every 20 steps', 'log 20']", "schedule.slow_measures='ends'")
    """
    return f"schedule.measures={[f'every {steps} steps', *more]}", "schedule.slow_measures='ends'"


@dataclass(frozen=True)
class Profile:
    """A version of an experiment: overrides of its spec, and the default seeds.

    Attributes:
        seeds: default value of ``--seeds``.
        overrides: changes of the spec, as for ``--set``.
        reduced: what is smaller than in the paper, as "p = 53 instead of 97"; claims judged under the profile
            are marked with it. Must be given where the overrides change what is trained, or how long.
    """

    seeds: int | str = 5
    overrides: tuple[str, ...] = ()
    reduced: str = ""


@dataclass(frozen=True)
class SweepProfile(Profile):
    """The profile of a sweep.

    Attributes:
        over: axes in place of the experiment's own, as for ``--over``; empty keeps those.
    """

    over: tuple[str, ...] = ()


@dataclass(frozen=True)
class ContestProfile(Profile):
    """The profile of a contest; its ``seeds`` are the fresh ones.

    Attributes:
        contenders: in place of the experiment's own; empty keeps those.
        tuning: seeds on which settings are chosen.
    """

    contenders: tuple[Contender, ...] = ()
    tuning: int | str = 3


@dataclass(frozen=True)
class Analysis:
    """A computation on the networks of a trained run, whose results are kept in the run as measures.

    For results that take too long to be computed each time the claims are judged, such as gates and proofs.

    Attributes:
        name: a label of one or two words.
        take: function of the run and the progress; it writes its measures (`grokscope.runs.add_measures`),
            and does nothing where they exist already. If its code has changed, these are removed before.
        seconds: predicted seconds on one core per member, for the plan.
        gives: the names of these measures, for `grokscope.papers.check_paper`.
        revision: raised by one when the code of one of our own analyses is changed so that its values change.
    """

    name: str
    take: Callable[[Any, Progress], Any]
    seconds: float
    gives: tuple[str, ...] = ()
    revision: int = 1

    @property
    def code_version(self) -> str:
        """A text that differs where the code of ``take`` does."""
        code = code_of(self.take)
        if code is not None:
            return code.sha256[:16] or "?"
        return f"r{self.revision}"


#: called with the name of an analysis that fails, and the error
Failed = Callable[[str, Exception], None]


@dataclass(frozen=True)
class Cost:
    """Predicted cost of an experiment.

    Attributes:
        members: number of members.
        seconds: wall time.
        memory: peak, in bytes.
    """

    members: int
    seconds: float
    memory: int


@dataclass(frozen=True)
class Job:
    """An experiment to be executed in a reproduction (`Paper.job`).

    Attributes:
        spec: the experiment under the profile; of a branch, with the path and identity of its source; with
            the numbers of other experiments for its values.
        profile: its name.
        seeds: as for ``--seeds``.
        folder: of the result.
        values: what was taken from other experiments, by key of the spec.
        notes: texts on values that would be other ones now.
    """

    spec: Experiment
    profile: str
    seeds: int | str
    folder: Path
    values: Mapping[str, TakenValue] = field(default_factory=dict[str, TakenValue])
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PaperExperiment(ABC):
    """One experiment of a paper: the base of `RunExperiment`, `SweepExperiment` and `ContestExperiment`.

    Attributes:
        name: as on the command line.
        sentence: a description, and the figures that it gives.
        experiment: the spec at full size.
        profiles: ``paper`` (as the authors did) and ``quick`` (what is left out where that takes long).
        values: values of the spec that are numbers of other experiments of the paper, by key:
            ``{"interventions.0.norm": from_experiment("free", "weight_norm at grokking")}``. The spec holds
            any valid value there. The other experiments are run first.
        analyses: computed from the networks of each run when it is trained: of a sweep, of every cell; of a
            contest, of the contenders' runs on the fresh seeds.
        group: a name for several experiments together, which stands for all of them on the command line.
        default: whether it is run when no experiment is named.
        needs_gpu: whether it is hopeless without one.
    """

    name: str
    sentence: str
    experiment: Experiment
    profiles: Mapping[str, Profile] = field(
        default_factory=lambda: {"paper": Profile(), "quick": Profile(seeds=2)}
    )
    values: Mapping[str, FromExperiment] = field(default_factory=dict[str, FromExperiment], kw_only=True)
    analyses: tuple[Analysis, ...] = field(default=(), kw_only=True)
    group: str = field(default="", kw_only=True)
    default: bool = field(default=True, kw_only=True)
    needs_gpu: bool = field(default=False, kw_only=True)

    @abstractmethod
    def execute(
        self,
        job: Job,
        progress: Progress,
        rates: Rates | None = None,
        failed: Failed | None = None,
        **options: Any,
    ) -> Run | Sweep | Contest:
        """Train the members that are missing in the job's folder.

        Args:
            job: spec, seeds and folder.
            progress: receives the steps done.
            rates: of this machine; None measures them where they are needed.
            failed: called with the name of each analysis that fails, and the error; None: it is raised.
            options: as for `grokscope.train`.
        """

    @abstractmethod
    def open(self, folder: Path) -> Run | Sweep | Contest | None:
        """Open the result in a folder; None if the folder has none.

        Raises:
            GrokscopeError: if the result is damaged.
        """

    @abstractmethod
    def check_folder(self, job: Job) -> None:
        """Refuse a folder that holds the result of another experiment.

        Raises:
            InputError: if it does.
        """

    def identity(self, job: Job) -> str:
        """The identity that the result has: of the spec."""
        return job.spec.identity

    @abstractmethod
    def cost(self, profile: str, seeds: int | str | None, rates: Rates) -> Cost:
        """Predict the cost; seeds as for ``--seeds``, None for the profile's own."""

    @abstractmethod
    def runs_of(self, result: Any) -> Iterable[Run]:
        """The runs whose networks the analyses read: the run, the cells of a sweep, those of a contest."""

    def remarks(self, result: Any) -> list[str]:
        """What a reader of a result's claims should know, one line each; see `grokscope.Run.remarks`.

        Among it are the measures that analyses of other code have written.
        """
        from grokscope.runs.given import outdated_given
        from grokscope.store.open import open_store

        found: list[str] = list(getattr(result, "remarks", ()))
        old: set[str] = set()
        for run in self.runs_of(result) if self.analyses else ():
            if isinstance(place := getattr(run, "place", None), Path):
                with open_store(place, shown=run.path) as store:
                    old.update(outdated_given(store, self.code_versions))
        if old:
            found.append(
                f"measures {', '.join(sorted(old))}: other code of an analysis has computed them; "
                "reproduce computes them anew."
            )
        return found

    def coordinates(self, profile: str) -> dict[str, tuple[tuple[str, ...], Any]]:
        """Coordinates of the axes that the measures have besides seed and step: name -> ((axis,), labels)."""
        del profile
        return {}

    def measures_taken(self, profile: str) -> set[str]:
        """The names of the measures that the result has under a profile, with those of the analyses."""
        from grokscope.runs.measure_plan import MeasurePlan

        taken = {measure.name for measure in MeasurePlan.of(self.under(profile)[0]).all}
        return taken.union(*(analysis.gives for analysis in self.analyses))

    def analyze(self, result: Any, progress: Progress, failed: Failed | None = None) -> None:
        """Compute the analyses of a result's runs, and keep them there; those of changed code are redone.

        Args:
            result: the run, sweep or contest.
            progress: receives the progress.
            failed: called with the name of an analysis that raises, and the error; None raises it.
        """
        from grokscope.runs.given import forget_outdated, taking

        for run in self.runs_of(result) if self.analyses else ():
            forget_outdated(run, self.code_versions)
            for analysis in self.analyses:
                try:
                    with taking(analysis.name, analysis.code_version):
                        analysis.take(run, progress)
                except Exception as error:
                    if failed is None:
                        raise
                    failed(analysis.name, error)

    @property
    def code_versions(self) -> dict[str, str]:
        """The version of the code of each analysis, by its name."""
        return {analysis.name: analysis.code_version for analysis in self.analyses}

    def analysis_seconds(self, members: int, rates: Rates) -> float:
        """Predicted seconds of the analyses of so many members."""
        return sum(analysis.seconds for analysis in self.analyses) * members / max(1, rates.cores)

    def members(self, seeds: int | str) -> Members:
        """The members for ``--seeds``."""
        return Members.parse(seeds)

    def profile(self, name: str) -> Profile:
        """The profile of a name.

        Raises:
            InputError: for an unknown one.
        """
        if name not in self.profiles:
            raise InputError(
                f"profile '{name}' is not known.{did_you_mean(name, self.profiles)} "
                f"Known: {', '.join(self.profiles)}."
            )
        return self.profiles[name]

    def under(self, profile: str) -> tuple[Experiment, int | str]:
        """The spec and the seeds under a profile.

        Raises:
            InputError: for an unknown profile.
        """
        chosen = self.profile(profile)
        spec = self.experiment.with_(*chosen.overrides) if chosen.overrides else self.experiment
        return spec, chosen.seeds


@dataclass(frozen=True)
class RunExperiment(PaperExperiment):
    """An experiment that is one run.

    Where the spec's ``init`` names another experiment of the paper (``FromRun(run="standard", ...)``),
    members start in that one's run: it is trained first, and its identity is filled in.

    Attributes:
        streams: further seeds that each member is run with (of a branch: continued with), as for ``--seeds``
            of ``grokscope branch``: ``order=1000,1001`` or ``data=+0,+1000``.
        most_seeds: limit on the requested seeds: the first so many are taken; None: all of them.
    """

    streams: str = field(default="", kw_only=True)
    most_seeds: int | None = field(default=None, kw_only=True)

    def members(self, seeds: int | str) -> Members:
        """The members for ``--seeds``: these seeds, or the first of them, each with the other streams."""
        listed = Members.parse(seeds)
        if self.most_seeds is not None:
            listed = listed[: self.most_seeds]
        if not self.streams:
            return listed
        from grokscope.runs import branch_members

        return branch_members(listed, self.streams)

    def execute(
        self,
        job: Job,
        progress: Progress,
        rates: Rates | None = None,
        failed: Failed | None = None,
        **options: Any,
    ) -> Run:
        """Train the members that are missing, and run the analyses."""
        from grokscope.runs import open_run, train

        del rates
        run = train(job.spec, self.members(job.seeds), out=job.folder, progress=progress, **options)
        if job.values:
            from grokscope.runs.given import add_notes

            add_notes(job.folder, values=[asdict(one) for one in job.values.values()])
        self.analyze(run, progress, failed)
        return open_run(job.folder) if self.analyses or job.values else run

    def runs_of(self, result: Any) -> Iterable[Run]:
        """The run."""
        return [result]

    def open(self, folder: Path) -> Run | None:
        """Open the run in a folder; None if the folder has none."""
        from grokscope.runs import open_run

        return open_run(folder) if (folder / "experiment.toml").is_file() else None

    def check_folder(self, job: Job) -> None:
        """Refuse a folder that holds another run."""
        from grokscope.store.folder import is_run
        from grokscope.store.open import open_store

        if is_run(job.folder):
            open_store(job.folder).require_identity(job.spec.identity)

    def cost(self, profile: str, seeds: int | str | None, rates: Rates) -> Cost:
        """Predict the cost of training and of the analyses."""
        from grokscope.training.rates import predict_seconds

        spec, usual = self.under(profile)
        members = len(self.members(usual if seeds is None else seeds))
        seconds = predict_seconds(spec, members, rates) + self.analysis_seconds(members, rates)
        return Cost(members, seconds, _predicted_memory(spec, members))


@dataclass(frozen=True)
class SweepExperiment(PaperExperiment):
    """An experiment that is a sweep; its measures, which claims are given, are over its axes, too.

    Attributes:
        over: its axes, as for ``--over``; keys that go in step are joined by ``;``.
    """

    over: tuple[str, ...] = field(kw_only=True)

    def grid(self, profile: str, seeds: int | str | None = None) -> SweepSpec:
        """The sweep under a profile.

        Args:
            profile: its name.
            seeds: of every cell, as for ``--seeds``; None takes the profile's.

        Raises:
            InputError: for an unknown profile, or axes that are not valid.
        """
        spec, usual = self.under(profile)
        return self._grid(spec, profile, usual if seeds is None else seeds)

    def _grid(self, spec: Experiment, profile: str, seeds: int | str) -> SweepSpec:
        from grokscope.sweeps import SweepSpec

        chosen = self.profile(profile)
        own = chosen.over if isinstance(chosen, SweepProfile) else ()
        return SweepSpec.of(spec, own or self.over, seeds=seeds)

    def identity(self, job: Job) -> str:
        """The identity of the sweep: of the base spec without the keys of the axes."""
        return self._grid(job.spec, job.profile, job.seeds).identity

    def execute(
        self,
        job: Job,
        progress: Progress,
        rates: Rates | None = None,
        failed: Failed | None = None,
        **options: Any,
    ) -> Sweep:
        """Train the cells that are missing, and run the analyses of every cell."""
        from grokscope.sweeps import open_sweep, run_sweep

        grid = self._grid(job.spec, job.profile, job.seeds)
        sweep = run_sweep(grid, out=job.folder, progress=progress, rates=rates, **options)
        self.analyze(sweep, progress, failed)
        return open_sweep(job.folder) if self.analyses else sweep

    def runs_of(self, result: Any) -> Iterable[Run]:
        """The runs of the cells that have been started."""
        return (run for _, run in result.runs())

    def open(self, folder: Path) -> Sweep | None:
        """Open the sweep in a folder; None if the folder has none."""
        from grokscope.sweeps import is_sweep, open_sweep

        return open_sweep(folder) if is_sweep(folder) else None

    def check_folder(self, job: Job) -> None:
        """Refuse a folder that holds another sweep."""
        from grokscope.sweeps import is_sweep, plan_for

        if is_sweep(job.folder):
            plan_for(self._grid(job.spec, job.profile, job.seeds), job.folder)

    def cost(self, profile: str, seeds: int | str | None, rates: Rates) -> Cost:
        """Predict the cost of all cells."""
        from grokscope.sweeps import plan_sweep

        plan = plan_sweep(self.grid(profile, seeds), None, rates)
        seconds = plan.seconds + self.analysis_seconds(plan.n_members, rates)
        return Cost(plan.n_members, seconds, max(program.memory for program in plan.programs))

    def coordinates(self, profile: str) -> dict[str, tuple[tuple[str, ...], Any]]:
        """Coordinates of the sweep's axes: name -> ((axis,), labels)."""
        from grokscope.sweeps import axis_coordinates

        grid = self.grid(profile)
        return axis_coordinates(grid.names, grid.axes)


@dataclass(frozen=True)
class ContestExperiment(PaperExperiment):
    """An experiment that is a contest; its measures, which claims are given, are over ``contender``, too.

    Attributes:
        contenders: two or more; the first is the reference.
    """

    contenders: tuple[Contender, ...] = field(kw_only=True)

    def contest(self, profile: str, seeds: int | str | None = None) -> ContestSpec:
        """The contest under a profile.

        Args:
            profile: its name.
            seeds: fresh ones, as for ``--seeds``; None takes the profile's.

        Raises:
            InputError: for an unknown profile, or a contest that is not fair.
        """
        spec, usual = self.under(profile)
        return self._contest(spec, profile, usual if seeds is None else seeds)

    def _contest(self, spec: Experiment, profile: str, seeds: int | str) -> ContestSpec:
        from grokscope.sweeps import ContestSpec

        chosen = self.profile(profile)
        own = chosen if isinstance(chosen, ContestProfile) else ContestProfile()
        return ContestSpec.of(spec, own.contenders or self.contenders, own.tuning, seeds)

    def execute(
        self,
        job: Job,
        progress: Progress,
        rates: Rates | None = None,
        failed: Failed | None = None,
        **options: Any,
    ) -> Contest:
        """Tune the contenders and train the chosen settings, and run the analyses of these runs."""
        from grokscope.sweeps import open_contest, run_contest

        spec = self._contest(job.spec, job.profile, job.seeds)
        contest = run_contest(spec, out=job.folder, progress=progress, rates=rates, **options)
        self.analyze(contest, progress, failed)
        return open_contest(job.folder) if self.analyses else contest

    def runs_of(self, result: Any) -> Iterable[Run]:
        """The contenders' runs on the fresh seeds."""
        return result.runs.values()

    def open(self, folder: Path) -> Contest | None:
        """Open the contest in a folder; None if the folder has none."""
        from grokscope.sweeps import is_contest, open_contest

        return open_contest(folder) if is_contest(folder) else None

    def check_folder(self, job: Job) -> None:
        """Do nothing: `grokscope.sweeps.run_contest` refuses another contest's folder before it trains."""

    def cost(self, profile: str, seeds: int | str | None, rates: Rates) -> Cost:
        """Predict the cost of the tuning and of the comparison."""
        from grokscope.sweeps import plan_sweep
        from grokscope.training.rates import predict_seconds

        contest = self.contest(profile, seeds)
        tuned = [plan_sweep(grid, None, rates) for grid in contest.grids.values()]
        last = [predict_seconds(grid.base, len(contest.fresh), rates) for grid in contest.grids.values()]
        memory = max(program.memory for plan in tuned for program in plan.programs)
        seconds = sum(plan.seconds for plan in tuned) + sum(last)
        seconds += self.analysis_seconds(len(tuned) * len(contest.fresh), rates)
        return Cost(contest.n_members, seconds, memory)

    def coordinates(self, profile: str) -> dict[str, tuple[tuple[str, ...], Any]]:
        """The coordinate ``contender``."""
        return {"contender": (("contender",), [one.name for one in self.contest(profile).contenders])}


def _predicted_memory(experiment: Experiment, members: int) -> int:
    """Predict the peak in bytes: the process, the measures of all members, the states of those in flight."""
    from grokscope.runs.measure_plan import MeasurePlan

    def points(name: Literal["measures", "slow_measures", "follow"]) -> int:
        return len(experiment.points(name))

    task = experiment.task
    parameters = experiment.model.n_parameters(task.input_shape, task.n_outputs)
    inputs = math.prod(task.input_shape)
    width = max(1, experiment.model.n_neurons)
    # Scalars and subnetworks at every point; two arrays of neurons at the slow ones.
    measures = 4 * (50 * points("measures") + 2 * width * points("slow_measures"))
    follows = MeasurePlan.of(experiment).passes > 1  # then the networks of all these points are kept
    history = 4 * (parameters * points("follow") * follows + inputs * task.n_train)
    rows = max(int(getattr(task, f"n_{split}", 0)) for split in ("train", "test", "probe"))
    return _BASE_BYTES + members * measures + min(members, _IN_FLIGHT) * history + 8 * rows * (width + inputs)
