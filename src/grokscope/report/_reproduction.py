"""Reproducing a paper: train its experiments, judge its claims, draw its figures, write the report."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grokscope.claims import Evidence, Judged, NotTestable, gather, judge
from grokscope.errors import GrokscopeError, InputError
from grokscope.papers import Paper, PaperExperiment, Plan, RunLike, find_paper, plan
from grokscope.papers._preload import preloading
from grokscope.progress import SilentProgress
from grokscope.report._figures import ReportFigure
from grokscope.report._page import write_page
from grokscope.report._views import view_of
from grokscope.spec.parts import PLUGIN_PREFIX

if TYPE_CHECKING:
    from grokscope.experiment import Experiment
    from grokscope.progress import Progress
    from grokscope.sweeps import SweepSpec
    from grokscope.training.rates import Rates

__all__ = ["RECORD", "Reproduction", "judge_paper", "remake", "reproduce"]

RECORD = "reproduction.json"  # what was asked for, so that the report can be made again


@dataclass(frozen=True)
class Reproduction:
    """What a reproduction left behind.

    Attributes:
        paper, profile: what was reproduced, and how much of it.
        folder: where everything is.
        experiments: folder of each run.
        claims: the entries of ``claims.json``.
        figures: the files drawn, as names without their three endings.
        report: the page.
        notes: what a reader must know: earlier runs in the folder that could not be used.
        seconds: wall time.
    """

    paper: str
    profile: str
    folder: str
    experiments: dict[str, str]
    claims: list[dict[str, Any]]
    figures: list[str]
    report: str
    notes: list[str]
    seconds: float
    live: InitVar[tuple[list[Judged], Mapping[str, Any]]]

    def __post_init__(self, live: tuple[list[Judged], Mapping[str, Any]]) -> None:
        # Not fields: a document made of the fields is plain data.
        object.__setattr__(self, "_live", live)

    @property
    def judged(self) -> list[Judged]:
        """The claims with their verdicts."""
        return self.__dict__["_live"][0]

    @property
    def runs(self) -> Mapping[str, Any]:
        """The runs by experiment."""
        return self.__dict__["_live"][1]

    @property
    def summary(self) -> str:
        """The claims table, and where things lie; in color where standard output is a terminal."""
        import io
        import shutil
        import sys

        from rich.console import Console

        from grokscope.claims import claims_table

        width = max(100, shutil.get_terminal_size((120, 24)).columns)
        text = io.StringIO()
        console = Console(file=text, width=width, force_terminal=sys.stdout.isatty())
        shown = [one for one in self.judged if one.claim.experiment in self.runs]
        console.print(claims_table(shown))
        lines = [
            *self.notes,
            f"claims:  {Path(self.folder) / 'claims.json'}",
            f"figures: {Path(self.folder) / 'figures'} ({', '.join(self.figures)})",
            f"report:  {self.report}",
        ]
        return text.getvalue() + "\n".join(lines)


def reproduce(
    paper: str | Paper | Plan,
    experiments: Sequence[str] | str | None = None,
    seeds: int | str | None = None,
    *,
    out: str | Path | None = None,
    profile: str | None = None,
    rates: Rates | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Reproduction:
    """Reproduce a paper into a folder; given again, resume, extend, or complete what is there.

    Runs of the paper's other experiments that are already in the folder are judged and drawn along, so that
    experiments can be added one by one.

    Args:
        paper: its name, the paper, or a plan (which then says all the rest).
        experiments: as for `plan`, like the next three.
        seeds: how many, or which.
        out: the folder; None takes ``runs/<paper>``.
        profile: how much.
        rates: of this machine.
        progress: told what is going on.
        options: passed on to `grokscope.train`.

    Raises:
        InputError: for what `plan` raises, or where the folder holds another paper's reproduction.
        StoreError: if something cannot be written.

    Example:
        >>> done = reproduce("two-circuits", ["standard"], seeds=5, out="demo")  # doctest: +SKIP
        >>> done.claims[0]["verdict"]  # doctest: +SKIP
        'undecided'
    """
    began = time.perf_counter()
    planned = paper if isinstance(paper, Plan) else plan(paper, experiments, seeds, profile, rates)
    found = find_paper(planned.paper)
    folder = Path(out) if out is not None else Path("runs") / found.kind
    _same_paper(folder, found.kind)
    from grokscope.runs import open_run, train
    from grokscope.sweeps import run_contest, run_sweep

    chosen = [found.experiment(row.name) for row in planned.rows]
    todo = [(one, *found.placed(one, planned.profile, folder)) for one in chosen]
    for one, spec, _ in todo:
        if one.is_sweep:
            _same_sweep(folder / one.name, one.grid(planned.profile))
        elif not one.is_contest:
            _same_run(folder / one.name, spec)
    runs: dict[str, Any] = {}
    for one, spec, usual in todo:
        place, teller = folder / one.name, preloading(progress)
        if one.is_contest:
            asked = one.contest(planned.profile, planned.seeds)
            runs[one.name] = run_contest(asked, out=place, progress=teller, rates=rates, **options)
        elif one.is_sweep:
            grid = one.grid(planned.profile, planned.seeds)
            runs[one.name] = run_sweep(grid, out=place, progress=teller, rates=rates, **options)
        else:
            members = one.members(usual if planned.seeds is None else planned.seeds)
            run = train(spec, members, out=place, progress=teller, **options)
            for analysis in one.analyses:
                analysis.take(run, progress or SilentProgress())
            runs[one.name] = open_run(folder / one.name) if one.analyses else run
    return remake(found, folder, runs, planned, began)


def remake(
    paper: Paper,
    folder: Path,
    runs: Mapping[str, Any] | None = None,
    planned: Plan | None = None,
    began: float | None = None,
) -> Reproduction:
    """Judge, draw and report what is in a reproduction's folder; nothing is trained.

    Args:
        paper: whose folder it is.
        folder: the folder.
        runs: those that are open already; all others that the folder has are opened.
        planned: recorded if given; else what was recorded before is kept.
        began: when the work began (of ``time.perf_counter``), for the seconds.
    """
    from grokscope.plots.save import save_figure, write_atomically

    began = time.perf_counter() if began is None else began
    together, notes = _with_earlier(paper, folder, runs or {})
    if planned is not None:
        write_atomically(folder / RECORD, json.dumps(asdict(planned), indent=2) + "\n")
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))

    evidence = evidence_of(paper, together)
    judged = judge((claim, evidence[claim.id]) for claim in paper.claims)
    claims = [one.to_json() for one in judged]
    write_atomically(folder / "claims.json", json.dumps(claims, indent=2, allow_nan=False) + "\n")

    figures: list[ReportFigure] = []
    for figure in paper.figures:
        if not set(figure.needs) <= together.keys():
            continue
        command = command_of(paper, {name: together[name] for name in figure.needs}, record["profile"])
        drawing = figure.draw(together, command)
        files = save_figure(drawing, folder / "figures", figure.id)
        figures.append(ReportFigure(figure.id, figure.title, files["svg"]))
    arxiv = f" (arXiv {paper.arxiv})" if paper.arxiv else ""
    report = write_page(
        folder / "report.html",
        paper.title,
        judged=[one for one in judged if one.claim.experiment in together],
        evidence=evidence,
        figures=figures,
        **_looked_at(paper, together),
        kicker=f"grokscope reproduction: {paper.kind}",
        lead=f"{paper.authors}, {paper.year}{arxiv}. Profile: {record['profile']} ({record['reason']}).",
        command=command_of(paper, together, record["profile"]),
        bibtex=paper.bibtex,
    )
    return Reproduction(
        paper.kind,
        record["profile"],
        str(folder),
        {name: str(folder / name) for name in together},
        claims,
        [figure.id for figure in figures],
        str(report),
        notes,
        time.perf_counter() - began,
        (judged, together),
    )


def evidence_of(paper: Paper, runs: Mapping[str, RunLike]) -> dict[str, Evidence | NotTestable | None]:
    """What each claim of a paper is judged by; None where its experiment was not run."""
    return {
        claim.id: gather(claim, *(runs[name].measures for name in claim.experiments))
        if set(claim.experiments) <= runs.keys()
        else None
        for claim in paper.claims
    }


def judge_paper(paper: Paper, runs: Mapping[str, RunLike]) -> list[Judged]:
    """All claims of a paper, judged together; those whose experiment was not run are not testable."""
    evidence = evidence_of(paper, runs)
    return judge((claim, evidence[claim.id]) for claim in paper.claims)


def command_of(paper: Paper, runs: Mapping[str, RunLike], profile: str) -> str:
    """The command that makes what these runs show."""
    words = ["grokscope", "reproduce", paper.kind, *runs]
    # Where no one command makes them all, each run's own is in its provenance.
    if (seeds := _asked(paper, runs)) is not None:
        words += ["--seeds", seeds]
    module = type(paper).__module__
    if module.startswith(PLUGIN_PREFIX):
        words += ["--plugin", Path(str(sys.modules[module].__file__)).name]
    return shlex.join([*words, "--profile", profile])


def _asked(paper: Paper, runs: Mapping[str, RunLike]) -> str | None:
    """The seeds to ask for to get these runs, some of which may take only the first of them."""
    from grokscope.plots.curves import seeds_argument

    seeds = {
        name: [int(seed) for seed in run.measures["seed"].to_numpy()]
        for name, run in runs.items()
        if "seed" in run.measures.sizes
    }
    if not seeds:
        return None
    most = max(seeds.values(), key=len)
    asked = seeds_argument(most)
    known = {one.name: one for one in paper.experiments}
    for name, run in runs.items():
        if seeds.get(name) == most:
            continue
        members = list(known[name].members(asked).seeds) if name in known else []
        own: Any = getattr(getattr(run, "members", None), "seeds", None)
        if own is None:
            same = name in seeds and [member[0] for member in members] == seeds[name]
        else:
            same = list(own) == members
        if not same:
            return None
    return asked


def _with_earlier(paper: Paper, folder: Path, runs: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """These runs and those of the paper's other experiments in the folder, in the paper's order."""
    together: dict[str, Any] = {}
    notes: list[str] = []
    for one in paper.experiments:
        if one.name in runs:
            together[one.name] = runs[one.name]
        elif (opener := _opener(one, folder / one.name)) is not None:
            try:
                together[one.name] = opener(folder / one.name)
            except GrokscopeError as error:
                notes.append(f"{one.name}: an earlier run is there, but left out: {error}")
    if not together:
        raise InputError(f"{folder}: holds no run of {paper.kind}.")
    return together, notes


def _opener(one: PaperExperiment, folder: Path) -> Callable[[Path], Any] | None:
    """What opens the result of an experiment that is in a folder; None where there is none."""
    from grokscope.runs import open_run
    from grokscope.sweeps import is_contest, is_sweep, open_contest, open_sweep

    if one.is_contest:
        return open_contest if is_contest(folder) else None
    if one.is_sweep:
        return open_sweep if is_sweep(folder) else None
    return open_run if (folder / "experiment.toml").is_file() else None


def _looked_at(paper: Paper, runs: Mapping[str, Any]) -> dict[str, Any]:
    """What the page shows: curves and neurons of runs, else the contest, else the first sweep's cells."""
    from grokscope.report._contest import contest_parts
    from grokscope.report._sweep import sweep_info, sweep_shown

    there = [one for one in paper.experiments if one.name in runs]
    views = {
        one.name: view_of(runs[one.name], one.name, one.sentence)
        for one in there
        if not (one.is_sweep or one.is_contest)
    }
    sweeps = {one.name: sweep_info(runs[one.name], one.name, one.sentence) for one in there if one.is_sweep}
    contests = [one.name for one in there if one.is_contest]
    if views:
        infos = {**sweeps, **{name: view.info for name, view in views.items()}}
        return {
            "views": list(views.values()),
            "runs": [infos[one.name] for one in there if one.name in infos],
        }
    if contests:
        return contest_parts(runs[contests[0]])
    return {"sweep": sweep_shown(runs[there[0].name]), "runs": list(sweeps.values())}


def _same_sweep(folder: Path, spec: SweepSpec) -> None:
    """Refuse a folder that holds another sweep, before hours of work on those that come first."""
    from grokscope.sweeps import is_sweep, plan_for

    if is_sweep(folder):
        plan_for(spec, folder)


def _same_run(folder: Path, spec: Experiment) -> None:
    """Refuse a folder that holds another run, before hours of work on those that come first."""
    from grokscope.store.folder import is_run
    from grokscope.store.open import open_store

    if is_run(folder):
        open_store(folder).require_identity(spec.identity)


def _same_paper(folder: Path, kind: str) -> None:
    """Refuse a path that is no folder, or another paper's."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder}: is a file; give a folder.")
    record = folder / RECORD
    if record.is_file():
        try:
            other = json.loads(record.read_text(encoding="utf-8")).get("paper")
        except (OSError, ValueError, AttributeError):
            raise InputError(f"{record}: cannot be read; give another folder, or remove it.") from None
        if other != kind:
            raise InputError(f"--out {folder}: holds a reproduction of {other}; give another folder.")
