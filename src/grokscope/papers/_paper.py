"""What a paper is to grokscope: experiments to run, claims to judge, figures to draw."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from grokscope.claims import Claim
from grokscope.errors import InputError, did_you_mean
from grokscope.experiment import Experiment
from grokscope.progress import Progress
from grokscope.spec.parts import Part, kinds, lookup
from grokscope.spec.streams import Members
from grokscope.starts import FromRun

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

    from grokscope.sweeps import Contender, ContestSpec, SweepSpec

__all__ = ["Analysis", "Figure", "Paper", "PaperExperiment", "Profile", "RunLike", "find_paper", "papers"]


class RunLike(Protocol):
    """What claims and figures need of a run; `grokscope.Run` has it."""

    @property
    def experiment(self) -> Experiment:
        """What was trained."""
        ...

    @property
    def measures(self) -> xr.Dataset:
        """Labelled arrays over seed, step and further axes; NaN where something was not measured."""
        ...

    @property
    def subnetworks(self) -> xr.DataArray:
        """Booleans [seed, subnetwork, neuron]."""
        ...

    @property
    def provenance(self) -> dict[str, Any]:
        """Versions, commit, host, command, wall time."""
        ...


@dataclass(frozen=True)
class Profile:
    """How much of an experiment is done.

    Attributes:
        seeds: what ``--seeds`` would be.
        overrides: changes of the spec, as for ``--set``.
        over: of a sweep, the axes in place of the experiment's own, as for ``--over``.
        contenders: of a contest, those in place of the experiment's own.
        tuning: of a contest, the seeds on which settings are chosen.
    """

    seeds: int | str = 5
    overrides: tuple[str, ...] = ()
    over: tuple[str, ...] = ()
    contenders: tuple[Contender, ...] = ()
    tuning: int | str = 3


@dataclass(frozen=True)
class Analysis:
    """What is computed from the networks of a run once it is trained, and kept in it as measures.

    For what takes too long to be computed whenever the claims are judged: gates, proofs.

    Attributes:
        name: what it is, in a word or two.
        take: from the run and the progress; it writes its measures (`grokscope.runs.GivenMeasures`), and does
            nothing where they are there already.
        seconds: of one core per member, for the plan.
    """

    name: str
    take: Callable[[Any, Progress], Any]
    seconds: float


@dataclass(frozen=True)
class PaperExperiment:
    """One experiment of a paper.

    With axes it is a sweep: what it leaves behind is a `grokscope.sweeps.Sweep`, whose measures (which claims
    are given) are over the axes, too. With contenders it is a contest, with measures over ``contender``.

    Where the spec's ``init`` names one of the paper's experiments (``FromRun(run="standard", ...)``), members
    start in that one's run: it is trained first, and its identity is filled in.

    Attributes:
        name: as on the command line.
        sentence: what it is and which figures come from it.
        experiment: the spec at full size.
        over: axes of a sweep, as for ``--over``; keys that go in step are joined by ``;``.
        contenders: of a contest; the first is the reference.
        streams: other seeds that each member is run with (of a branch: continued with), as for ``--seeds``
            of ``grokscope branch``: ``order=1000,1001`` or ``data=+0,+1000``.
        most_seeds: of the seeds that are asked for only so many, the first ones; None: all.
        analyses: what is computed from the networks of a run afterwards.
        profiles: ``paper`` (as the authors did) and ``quick`` (what is left out where that takes long).
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
    group: str = ""
    default: bool = True
    needs_gpu: bool = False
    streams: str = ""
    over: tuple[str, ...] = ()
    contenders: tuple[Contender, ...] = ()
    most_seeds: int | None = None
    analyses: tuple[Analysis, ...] = ()

    def members(self, seeds: int | str) -> Members:
        """The members for ``--seeds``: these seeds, or the first of them, each with the other streams."""
        listed = Members.parse(seeds)
        if self.most_seeds is not None:
            listed = listed[: self.most_seeds]
        if not self.streams:
            return listed
        from grokscope.runs import branch_members

        return branch_members(listed, self.streams)

    @property
    def is_sweep(self) -> bool:
        """Whether it is a sweep."""
        return bool(self.over)

    @property
    def is_contest(self) -> bool:
        """Whether it is a contest."""
        return bool(self.contenders)

    def contest(self, profile: str, seeds: int | str | None = None) -> ContestSpec:
        """The contest under a profile.

        Args:
            profile: its name.
            seeds: fresh ones, as for ``--seeds``; None takes the profile's.

        Raises:
            InputError: for an unknown profile, or a contest that is not fair.
        """
        from grokscope.sweeps import ContestSpec

        spec, usual = self.under(profile)
        chosen = self.profiles[profile]
        fresh = usual if seeds is None else seeds
        return ContestSpec.of(spec, chosen.contenders or self.contenders, chosen.tuning, fresh)

    def grid(self, profile: str, seeds: int | str | None = None) -> SweepSpec:
        """The sweep under a profile.

        Args:
            profile: its name.
            seeds: of every cell, as for ``--seeds``; None takes the profile's.

        Raises:
            InputError: for an unknown profile, or axes that are not valid.
        """
        from grokscope.sweeps import SweepSpec

        spec, usual = self.under(profile)
        over = self.profiles[profile].over or self.over
        return SweepSpec.of(spec, over, seeds=usual if seeds is None else seeds)

    def under(self, profile: str) -> tuple[Experiment, int | str]:
        """The spec and the seeds under a profile.

        Raises:
            InputError: for an unknown profile.
        """
        if profile not in self.profiles:
            raise InputError(
                f"profile '{profile}' is not known.{did_you_mean(profile, self.profiles)} "
                f"Known: {', '.join(self.profiles)}."
            )
        chosen = self.profiles[profile]
        spec = self.experiment.with_(*chosen.overrides) if chosen.overrides else self.experiment
        return spec, chosen.seeds


@dataclass(frozen=True)
class Figure:
    """One figure of a paper.

    Attributes:
        id: the file's name, as ``figure-2``.
        title: what it shows.
        draw: from the runs by experiment, and the command for the small print, to a matplotlib Figure.
        needs: experiments without which it cannot be drawn.
    """

    id: str
    title: str
    draw: Callable[[Mapping[str, RunLike], str], Drawing]
    needs: tuple[str, ...]


class Paper(Part):
    """A paper: the base of all. Subclasses set the class attributes, and ``kind`` to the name.

    Attributes:
        title, authors, year: of the paper.
        arxiv: its number, or empty.
        bibtex: how to cite it.
        experiments: in the paper's order.
        claims: in the table's order; their ids are unique.
        figures: in the paper's order; their ids are unique.
    """

    group: ClassVar[str] = "paper"
    title: ClassVar[str] = ""
    authors: ClassVar[str] = ""
    year: ClassVar[int] = 0
    arxiv: ClassVar[str] = ""
    bibtex: ClassVar[str] = ""
    experiments: ClassVar[tuple[PaperExperiment, ...]] = ()
    claims: ClassVar[tuple[Claim, ...]] = ()
    figures: ClassVar[tuple[Figure, ...]] = ()

    kind: str

    def experiment(self, name: str) -> PaperExperiment:
        """The experiment of a name.

        Raises:
            InputError: if the paper has no such experiment; the message lists those it has.
        """
        known = {one.name: one for one in self.experiments}
        if name not in known:
            names = [*known, *self.groups]
            raise InputError(
                f"{self.kind} has no experiment '{name}'.{did_you_mean(name, names)} "
                f"It has: {', '.join(names)}."
            )
        return known[name]

    @property
    def groups(self) -> dict[str, list[PaperExperiment]]:
        """The experiments of each group, in the paper's order."""
        found: dict[str, list[PaperExperiment]] = {}
        for one in self.experiments:
            if one.group:
                found.setdefault(one.group, []).append(one)
        return found

    def chosen(self, names: str | Sequence[str] | None = None) -> list[PaperExperiment]:
        """The experiments of these names or groups, in the paper's order; without names the default ones."""
        if isinstance(names, str):
            names = (names,)
        if not names:
            return self._with_sources(one for one in self.experiments if one.default)
        groups = self.groups
        asked = [one for name in names for one in groups.get(name, ()) or [self.experiment(name)]]
        return self._with_sources(asked)

    def source_of(self, one: PaperExperiment) -> PaperExperiment | None:
        """The experiment of the paper in whose run the members of another start, if they do."""
        init = one.experiment.init
        names = {other.name for other in self.experiments}
        return self.experiment(init.run) if isinstance(init, FromRun) and init.run in names else None

    def placed(self, one: PaperExperiment, profile: str, folder: Path) -> tuple[Experiment, int | str]:
        """The spec and the seeds under a profile, in a reproduction's folder, where its source lies.

        Raises:
            InputError: for an unknown profile.
        """
        spec, seeds = one.under(profile)
        source = self.source_of(one)
        if source is None or not isinstance(spec.init, FromRun):
            return spec, seeds
        identity = self.placed(source, profile, folder)[0].identity
        init = spec.init.model_copy(update={"run": str(folder / source.name), "source": identity})
        return spec.model_copy(update={"init": init}), seeds

    def _with_sources(self, chosen: Iterable[PaperExperiment]) -> list[PaperExperiment]:
        """Experiments and those in whose runs they start, each once, in the paper's order."""
        todo, names = list(chosen), set[str]()
        while todo:
            one = todo.pop()
            if one.name not in names:
                names.add(one.name)
                todo += [source] if (source := self.source_of(one)) is not None else []
        return [one for one in self.experiments if one.name in names]


def papers() -> dict[str, Paper]:
    """All papers there are, by name."""
    return {name: find_paper(name) for name in sorted(kinds("paper"))}


def find_paper(paper: str | Paper) -> Paper:
    """The paper of a name.

    Raises:
        InputError: if there is no such paper; the message lists those there are.
    """
    if isinstance(paper, Paper):
        return paper
    found = lookup("paper", paper)()
    if not isinstance(found, Paper):
        raise InputError(f"paper '{paper}': {type(found).__name__} is not a subclass of Paper.")
    return found
