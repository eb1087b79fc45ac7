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
from grokscope.papers._values import NotTakenYetError, TakenValue, check_value, kept_values
from grokscope.spec.moments import with_conditions
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
        reasons: why claims fail, as far as that was found, by id; shown where the verdict is "fails".
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
    reasons: ClassVar[Mapping[str, str]] = {}

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

    def sources_of(self, one: PaperExperiment) -> list[PaperExperiment]:
        """The experiments that are run before this one: where it branches, and where its values are from.

        Raises:
            InputError: if a value is from an experiment that the paper does not have.
        """
        source = self.source_of(one)
        found = {} if source is None else {source.name: source}
        for path, value in one.values.items():
            try:
                found[value.experiment] = self.experiment(value.experiment)
            except InputError as error:
                raise InputError(f"{one.name}: {path}: {error}") from None
        return list(found.values())

    def check_values(self, one: PaperExperiment, profile: str) -> None:
        """Check the values of an experiment that are numbers of other experiments, before anything is run.

        Raises:
            InputError: if the spec has no such key, or the other experiment does not take the measure.
        """
        spec, _ = one.under(profile)
        for path, value in one.values.items():
            source = self.experiment(value.experiment)
            try:
                check_value(path, value, spec, source.under(profile)[0], source.measures_taken(profile))
            except InputError as error:
                raise InputError(f"{one.name}: {error}") from None

    def job(self, one: PaperExperiment, profile: str, folder: Path, seeds: int | str | None = None) -> Job:
        """An experiment under a profile, to be executed in a reproduction's folder.

        The values from other experiments are numbers of their results in the folder. If the experiment has
        been run there, they are those of that time; a note says so if they would be other ones now.

        Args:
            one: the experiment; if it is a branch, its source is the run of that name in the folder.
            profile: its name.
            folder: of the reproduction.
            seeds: as for ``--seeds``; None takes the profile's.

        Raises:
            InputError: for an unknown profile; if the source of a value has not been run in the folder
                (`NotTakenYetError`), has no such number, or is another one than that of an earlier run.
        """
        spec, usual = one.under(profile)
        values, notes = self._taken(one, profile, folder)
        if values:
            spec = spec.with_(*(f"{path}={taken.value!r}" for path, taken in values.items()))
        source = self.source_of(one)
        if source is not None and isinstance(spec.init, FromRun):
            origin = self.job(source, profile, folder).spec
            init = spec.init.model_copy(update={"run": str(folder / source.name), "source": origin.identity})
            # "grokking" is what the source means by it
            items = with_conditions(spec.interventions, origin.events)
            update = {"init": with_conditions(init, origin.events), "interventions": items}
            spec = spec.model_copy(update=update)
        given = usual if seeds is None else seeds
        return Job(spec, profile, given, folder / one.name, values, tuple(notes))

    def _taken(
        self, one: PaperExperiment, profile: str, folder: Path
    ) -> tuple[dict[str, TakenValue], list[str]]:
        """The values of an experiment that come from others, by key; and notes on those that would differ."""
        values: dict[str, TakenValue] = {}
        notes: list[str] = []
        kept = kept_values(folder, one.name) if one.values else {}
        place = folder / one.name
        for path, value in one.values.items():
            source = self.experiment(value.experiment)
            identity = source.identity(self.job(source, profile, folder))
            result = source.open(folder / source.name)
            now = None
            if result is not None:
                own = getattr(result, "identity", identity)
                if own != identity:
                    raise InputError(
                        f"{folder / source.name}: is another run than {source.name} of this paper."
                    )
                try:
                    now = value.take(path, result.measures, identity)
                except InputError as error:
                    raise InputError(f"{one.name}: {error}") from None
            before = kept.get(path)
            if before is None:
                if now is None:
                    raise NotTakenYetError(
                        f"{one.name}: {path} is a number of {source.name}, not run yet in {folder}."
                    )
                values[path] = now
                continue
            asked = (value.experiment, identity, value.label, value.reduction)
            if asked != (before.experiment, before.identity, before.number, before.reduction):
                raise InputError(
                    f"{place}: was run with {before} (identity {before.identity[:8]}); the paper now takes "
                    f"the {value.reduction} of '{value.label}' of {value.experiment} (identity "
                    f"{identity[:8]}); remove the folder to run it again."
                )
            values[path] = before
            if now is not None and now.value != before.value:
                notes.append(
                    f"{one.name}: keeps {path} = {before.value:g} of its first run; {source.name} now gives "
                    f"{now.value:g} ({now.seeds} seeds in place of {before.seeds}). Remove {place} to run it "
                    "with that."
                )
        return values, notes

    def _with_sources(self, chosen: Iterable[PaperExperiment]) -> list[PaperExperiment]:
        """The given experiments and those that they need, each once; in the paper's order, but sources first.

        Raises:
            InputError: if experiments need each other in a circle.
        """
        needed = self._sources_first({one.name for one in chosen})
        return list(self._sources_first(set(needed)).values())

    def _sources_first(self, names: set[str]) -> dict[str, PaperExperiment]:
        """The experiments of these names in the paper's order, each after those that it needs."""
        done: dict[str, PaperExperiment] = {}

        def add(one: PaperExperiment, above: tuple[str, ...]) -> None:
            if one.name in above:
                circle = " -> ".join([*above[above.index(one.name) :], one.name])
                raise InputError(f"{self.kind}: experiments need each other in a circle: {circle}.")
            if one.name not in done:
                for source in self.sources_of(one):
                    add(source, (*above, one.name))
                done[one.name] = one

        for one in self.experiments:
            if one.name in names:
                add(one, ())
        return done


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
