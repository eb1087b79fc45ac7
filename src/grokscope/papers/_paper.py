"""A paper: experiments to run, claims to judge, figures to draw."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from grokscope.cards import Fact, html_card, html_table, plain_table, text_card
from grokscope.claims import Claim
from grokscope.errors import InputError, did_you_mean
from grokscope.experiment import Experiment
from grokscope.papers._experiments import Job, PaperExperiment
from grokscope.spec.parts import Kind, Part, kinds, lookup
from grokscope.starts import FromRun

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

__all__ = ["Figure", "Paper", "Papers", "RunLike", "find_paper", "papers"]


class RunLike(Protocol):
    """The attributes of a run (`grokscope.Run`) that claims and figures use."""

    @property
    def experiment(self) -> Experiment:
        """The experiment that was trained."""
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
class Figure:
    """One figure of a paper.

    Attributes:
        id: the file's name, as ``figure-2``.
        title: what it shows.
        draw: function of the runs by experiment, and of the command to print on it, to a matplotlib Figure.
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

    kind: Kind

    def __repr__(self) -> str:
        return text_card(f"Paper {self.kind}", self._facts())

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        """The card in notebooks."""
        return html_card(f"Paper {self.kind}", self._facts())

    def _facts(self) -> list[Fact]:
        arxiv = f", arXiv {self.arxiv}" if self.arxiv else ""
        facts = [("title", self.title), ("authors", f"{self.authors}, {self.year}{arxiv}")]
        facts += [(one.name, one.sentence) for one in self.experiments]
        return [*facts, ("claims", ", ".join(claim.id for claim in self.claims))]

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
        named = [one for name in names for one in groups.get(name, ()) or [self.experiment(name)]]
        return self._with_sources(named)

    def source_of(self, one: PaperExperiment) -> PaperExperiment | None:
        """The experiment of this paper from which a branch starts; None for other experiments."""
        init = one.experiment.init
        names = {other.name for other in self.experiments}
        return self.experiment(init.run) if isinstance(init, FromRun) and init.run in names else None

    def job(self, one: PaperExperiment, profile: str, folder: Path, seeds: int | str | None = None) -> Job:
        """An experiment under a profile, to be executed in a reproduction's folder.

        Args:
            one: the experiment; if it is a branch, its source is the run of that name in the folder.
            profile: its name.
            folder: of the reproduction.
            seeds: as for ``--seeds``; None takes the profile's.

        Raises:
            InputError: for an unknown profile.
        """
        spec, usual = one.under(profile)
        source = self.source_of(one)
        if source is not None and isinstance(spec.init, FromRun):
            identity = self.job(source, profile, folder).spec.identity
            init = spec.init.model_copy(update={"run": str(folder / source.name), "source": identity})
            spec = spec.model_copy(update={"init": init})
        return Job(spec, profile, usual if seeds is None else seeds, folder / one.name)

    def _with_sources(self, chosen: Iterable[PaperExperiment]) -> list[PaperExperiment]:
        """The given experiments and their source experiments, each once, in the paper's order."""
        todo, names = list(chosen), set[str]()
        while todo:
            one = todo.pop()
            if one.name not in names:
                names.add(one.name)
                todo += [source] if (source := self.source_of(one)) is not None else []
        return [one for one in self.experiments if one.name in names]


class Papers(dict[str, Paper]):
    """Papers by name; its `repr`, and its card in notebooks, is a table."""

    def __repr__(self) -> str:
        return "\n".join(plain_table(*self.table()))

    def _repr_html_(self) -> str:
        return html_table(*self.table())

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Headers and rows of the table."""
        return ("paper", "title", "experiments", "claims"), [
            (name, paper.title, str(len(paper.experiments)), str(len(paper.claims)))
            for name, paper in self.items()
        ]


def papers() -> Papers:
    """All registered papers, by name.

    Example:
        >>> papers()["two-circuits"].year
        2023
    """
    return Papers({name: find_paper(name) for name in sorted(kinds("paper"))})


def find_paper(paper: str | Paper) -> Paper:
    """The paper of a name.

    Raises:
        InputError: if there is no such paper; the message lists the known ones.
    """
    if isinstance(paper, Paper):
        return paper
    found = lookup("paper", paper)()
    if not isinstance(found, Paper):
        raise InputError(f"paper '{paper}': {type(found).__name__} is not a subclass of Paper.")
    return found
