"""What a paper is to grokscope: experiments to run, claims to judge, figures to draw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from grokscope.claims import Claim
from grokscope.errors import InputError, did_you_mean
from grokscope.experiment import Experiment
from grokscope.parts import Part, kinds, lookup

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

__all__ = ["Figure", "Paper", "PaperExperiment", "Profile", "RunLike", "find_paper", "papers"]


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
    """

    seeds: int | str = 5
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class PaperExperiment:
    """One experiment of a paper.

    Attributes:
        name: as on the command line.
        sentence: what it is and which figures come from it.
        experiment: the spec at full size.
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
            return [one for one in self.experiments if one.default]
        groups = self.groups
        asked = {one.name for name in names for one in groups.get(name, ()) or [self.experiment(name)]}
        return [one for one in self.experiments if one.name in asked]


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
