"""Reproduce a paper: plan its experiments, train them, judge the claims, draw the figures.

Papers and their experiments are defined in `grokscope.papers`. The HTML page of a reproduction is written by
`grokscope.report`, from the `Reproduction` that `reproduce` returns.
"""

from __future__ import annotations

import errno
import importlib
import json
import math
import shlex
import sys
import textwrap
import threading
import time
import traceback
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from grokscope.cards import Fact, html_card, html_table, text_card
from grokscope.claims import (
    MOST_SEEDS,
    Claim,
    Evidence,
    EvidenceFailed,
    Judged,
    NotTestable,
    claims_overview,
    claims_table,
    gather,
    judge,
    least_seeds,
    tally_text,
)
from grokscope.errors import GrokscopeError, InputError, StoreError, said
from grokscope.interrupts import interruptible, raise_if_interrupted
from grokscope.papers import (
    Failed,
    Figure,
    NotTakenYetError,
    Paper,
    PaperExperiment,
    RunLike,
    find_paper,
    keep_values,
)
from grokscope.papers.drawing import MODULES as DRAWING_MODULES
from grokscope.papers.drawing import DrawingProcess, draw_figure
from grokscope.progress import Progress, SilentProgress, duration
from grokscope.spec.parts import PLUGIN_PREFIX
from grokscope.store.folder import REPRODUCTION_FILE

if TYPE_CHECKING:
    from grokscope.training.rates import Rates

__all__ = [
    "RECORD",
    "Failure",
    "PartsFailed",
    "Plan",
    "PlanRow",
    "Reproduction",
    "command_of",
    "failures_group",
    "judge_again",
    "plan",
    "reproduce",
]

RECORD = REPRODUCTION_FILE  # the plan, so that claims can be judged again from the folder
PROFILE_SECONDS = 600.0  # below this prediction the default profile is ``paper``, else ``quick``
_NO_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)  # the errors that end the whole work
_MOST_IDS = 8  # of claims, named in the plan
_LONGEST = 300  # characters of the message of an error
_MEASURING_SECONDS = 0.5  # to measure the speed of this machine
_LEAST_SECONDS = 10.0  # predicted, for which a second process is worth its start
_FIGURES_SECONDS = 3.0  # drawing all figures of an experiment and judging its claims


@dataclass(frozen=True)
class PlanRow:
    """The plan for one experiment.

    Attributes:
        name: the experiment's name.
        seeds: the seeds, in the syntax of ``--seeds``.
        members: number of members.
        steps: updates per member.
        seconds: predicted wall time.
        memory: predicted peak memory, in bytes.
        needs_gpu: whether the experiment is too slow without a GPU.
        values: what it takes from other experiments, a text for each value.
    """

    name: str
    seeds: str
    members: int
    steps: int
    seconds: float
    memory: int
    needs_gpu: bool
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """The plan of a reproduction; it is printed before the work and stored in the folder.

    Attributes:
        paper: the paper's name.
        profile: ``paper`` or ``quick``.
        reason: why this profile was chosen.
        seeds: the seeds, in the syntax of ``--seeds``; None for the profile's own.
        rows: the plan of each experiment.
        seconds: predicted wall time of all experiments.
        claims: how many claims so many seeds can show, and which need more; empty without claims.
    """

    paper: str
    profile: str
    reason: str
    seeds: str | None
    rows: tuple[PlanRow, ...]
    seconds: float
    claims: str = ""

    def __str__(self) -> str:
        lines = [f"{self.paper}, profile {self.profile} ({self.reason}):"]
        width = max(len(row.name) for row in self.rows)
        for row in self.rows:
            lines.append(
                f"  {row.name:{width}}  {row.members:>5} members x {row.steps:>7,} steps"
                f"  about {duration(row.seconds)}, {row.memory / 1e9:.1f} GB{'  needs a GPU' * row.needs_gpu}"
            )
            lines += [f"  {'':{width}}  {value}" for value in row.values]
        lines.append(f"  in all about {duration(self.seconds)}")
        lines += textwrap.wrap(self.claims, 98, initial_indent="  ", subsequent_indent="    ")
        return "\n".join(lines)


def plan(
    paper: str | Paper,
    experiments: Sequence[str] | str | None = None,
    seeds: int | str | None = None,
    profile: str | None = None,
    rates: Rates | None = None,
) -> Plan:
    """Plan a reproduction; nothing is run.

    The default profile is ``paper`` if the experiments are predicted to take less than 10 minutes with the
    paper's seeds, else ``quick``. It does not depend on ``seeds``, so that a later call with more seeds
    extends the same experiments.

    Args:
        paper: the paper, or its name.
        experiments: names of experiments; None takes the default ones.
        seeds: in the syntax of ``--seeds``; None takes the profile's.
        profile: ``paper``, ``quick``, or None for the default.
        rates: speed of this machine; None measures it (in less than a second).

    Raises:
        InputError: for an unknown paper, experiment or profile, or seeds that cannot be read.

    Example:
        >>> from grokscope.training.rates import Rates
        >>> rates = Rates("cpu", cores=2, large=220.0, at_shape=158.0, free=1.0, seconds=0.0)
        >>> planned = plan("two-circuits", ["standard"], seeds=5, rates=rates)
        >>> planned.profile, planned.rows[0].steps
        ('paper', 9600)
    """
    found = find_paper(paper)
    chosen = found.chosen(experiments)
    if not chosen:
        raise InputError(f"{found.kind}: name an experiment; none of them is run by default.")
    if rates is None:
        from grokscope.training.rates import measure_rates

        rates = measure_rates(_MEASURING_SECONDS)
    reason = "asked for"
    if profile is None:
        full_seconds = sum(_plan_row(one, None, "paper", rates).seconds for one in chosen)
        profile = "paper" if full_seconds < PROFILE_SECONDS else "quick"
        than = f"{'less' if profile == 'paper' else 'more'} than {PROFILE_SECONDS / 60:.0f} minutes"
        reason = f"at full size, with the paper's seeds, it takes {than} here"
    for one in chosen:
        found.check_values(one, profile)
    rows = tuple(_plan_row(one, seeds, profile, rates) for one in chosen)
    text = None if seeds is None else str(seeds)
    claims = _can_hold(found, chosen, seeds, profile)
    return Plan(found.kind, profile, reason, text, rows, sum(row.seconds for row in rows), claims)


def _can_hold(paper: Paper, chosen: Sequence[PaperExperiment], seeds: int | str | None, profile: str) -> str:
    """Which claims on these experiments so many seeds can show to hold, in a sentence."""
    counts: dict[str, int] = {}
    for one in chosen:
        members = one.members(one.under(profile)[1] if seeds is None else seeds)
        # crossed streams: as many as the longest of them
        counts[one.name] = max(len(set(stream)) for stream in zip(*members.seeds, strict=True))
    claims = [claim for claim in paper.claims if set(claim.experiments) <= counts.keys()]
    short: dict[int | None, list[str]] = {}
    for claim in claims:
        needed = least_seeds(claim)
        if needed is None or needed > min(counts[name] for name in claim.experiments):
            short.setdefault(needed, []).append(claim.id)
    if not claims:
        return ""
    sampled = [claim for claim in claims if claim.kind != "deterministic"]
    sizes = [counts[name] for claim in sampled for name in claim.experiments] or [*counts.values()]
    few, many = min(sizes), max(sizes)
    number = f"{few} seed{'s' * (few != 1)}" if few == many else f"{few} to {many} seeds"
    able = len(claims) - sum(map(len, short.values()))
    text = f"With {number} {able} of {len(claims)} claims can be shown to hold"
    needs = [
        f"{_some(ids, max(1, _MOST_IDS // len(short)))} "
        f"({f'more than {MOST_SEEDS:,}' if needed is None else f'from {needed}'} seeds)"
        for needed, ids in sorted(short.items(), key=lambda item: item[0] or math.inf)
    ]
    return f"{text}; not {', '.join(needs)}." if needs else f"{text}."


def _some(ids: Sequence[str], most: int) -> str:
    """The first ids, and how many more there are."""
    rest = len(ids) - most
    return ", ".join(ids) if rest <= 1 else f"{', '.join(ids[:most])} and {rest} more"


def _plan_row(one: PaperExperiment, seeds: int | str | None, profile: str, rates: Rates) -> PlanRow:
    spec, default_seeds = one.under(profile)
    cost = one.cost(profile, seeds, rates)
    return PlanRow(
        one.name,
        str(default_seeds if seeds is None else seeds),
        cost.members,
        spec.n_steps,
        cost.seconds + _FIGURES_SECONDS,
        cost.memory,
        one.needs_gpu,
        tuple(
            f"{path} from {value.experiment} ({value.reduction} of {value.label})"
            for path, value in one.values.items()
        ),
    )


_What = Literal["experiment", "analysis", "claim", "figure"]


@dataclass(frozen=True, eq=False)
class Failure:
    """A part of a reproduction that failed; the rest was finished without it.

    Attributes:
        part: what failed.
        name: of the experiment, the analysis (with its experiment), the claim or the figure.
        reason: type and message of the error, and file and line of the code that raised it; one line.
        error: the error; None if the failure was read from the folder.
    """

    part: _What
    name: str
    reason: str
    error: Exception | None = None

    @classmethod
    def of(cls, part: _What, name: str, error: Exception) -> Failure:
        """The failure of a part, from the error that it raised."""
        text = " ".join(str(error).split())
        text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
        kind = "" if isinstance(error, GrokscopeError) else f"{type(error).__name__}: "
        where = "" if isinstance(error, GrokscopeError) else f" ({_place(error)})"
        return cls(part, name, f"{kind}{text}{where}", error)

    def __str__(self) -> str:
        return f"{self.part} {self.name} failed: {self.reason}"

    def to_json(self) -> dict[str, str]:
        """The failure as JSON data."""
        return {"part": self.part, "name": self.name, "reason": self.reason}


class PartsFailed(GrokscopeError):
    """Parts of a reproduction failed; the rest was finished."""

    exit_code = 1

    def __init__(self, failures: Sequence[Failure]) -> None:
        names = ", ".join(f"{one.part} {one.name}" for one in failures[:5])
        more = ", ..." if len(failures) > 5 else ""
        parts = f"{len(failures)} part{'s' * (len(failures) > 1)}"
        tracebacks = said(command="; --debug prints the tracebacks", python="")
        super().__init__(f"{parts} failed ({names}{more}); the rest is finished{tracebacks}.")


def failures_group(failures: Sequence[Failure]) -> ExceptionGroup[Exception] | None:
    """The errors of all failures together, for tracebacks; None if there are none."""
    errors = [one.error for one in failures if one.error is not None]
    return ExceptionGroup("what failed", errors) if errors else None


def _place(error: Exception) -> str:
    """File and line that raised an error: the last of the user's code, else the last."""
    ours, libraries = str(Path(__file__).parent), (f"{sys.prefix}/", f"{sys.base_prefix}/", "site-packages")
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [
        frame
        for frame in frames
        if not frame.filename.startswith((ours, "<")) and not any(one in frame.filename for one in libraries)
    ]
    own = [frame for frame in frames if frame.filename.startswith(ours)]
    last = (theirs or own or list(frames) or [None])[-1]
    return f"{last.filename}, line {last.lineno}" if last is not None else "no traceback"


def _must_end(error: Exception) -> bool:
    """Whether an error ends the whole work: the disk or the memory is full, or the user stopped it."""
    chain: list[BaseException] = [error]
    while (before := chain[-1].__cause__ or chain[-1].__context__) is not None and before not in chain:
        chain.append(before)
    return (
        isinstance(error, StoreError | MemoryError)
        or (isinstance(error, OSError) and error.errno in _NO_DISK)
        or "RESOURCE_EXHAUSTED" in str(error)
        # a callback of compiled code turns an interrupt into another error
        or any(isinstance(one, KeyboardInterrupt) or "KeyboardInterrupt" in str(one) for one in chain)
    )


@contextmanager
def _contained(failures: list[Failure], part: _What, name: str) -> Generator[None]:
    """Context manager: an error in it becomes a failure, unless it must end the whole work."""
    raise_if_interrupted()
    try:
        yield
    except Exception as error:
        raise_if_interrupted()
        if _must_end(error):
            raise
        failures.append(Failure.of(part, name, error))


@dataclass(frozen=True, eq=False, repr=False)
class Reproduction:
    """The result of a reproduction.

    Attributes:
        paper: the paper.
        profile, reason: ``paper`` or ``quick``, and why this profile was chosen.
        folder: the folder of the runs, figures and claims, as it was given.
        place: its absolute path.
        runs: the run, sweep or contest of each experiment, by its name, in the paper's order.
        evidence: the evidence for each claim, by the claim's id; None if the experiment was not run.
        judged: all claims of the paper with their verdicts.
        drawn: the figures whose experiments were run, as SVG.
        notes: values that experiments took from others; warnings about earlier runs in the folder that could
            not be used.
        seconds: wall time.
        report: path of the HTML page; None if none was written.
        failures: the experiments, analyses, claims and figures that failed; the rest was finished.
    """

    paper: Paper
    profile: str
    reason: str
    folder: Path
    runs: Mapping[str, Any]
    evidence: Mapping[str, Evidence | NotTestable | None]
    judged: Sequence[Judged]
    drawn: Sequence[tuple[Figure, bytes]]
    notes: Sequence[str]
    seconds: float
    report: Path | None = None
    failures: Sequence[Failure] = ()
    place: Path = field(kw_only=True)

    @property
    def claims(self) -> list[dict[str, Any]]:
        """The entries of ``claims.json``."""
        return [one.to_json() for one in self.judged]

    @property
    def shown(self) -> list[Judged]:
        """The claims whose experiment was run, or failed."""
        there = {*self.runs, *(one.name for one in self.failures if one.part == "experiment")}
        return [one for one in self.judged if one.claim.experiment in there]

    @property
    def figures(self) -> list[str]:
        """Names of the figure files, without the suffixes (svg, pdf, png)."""
        return [figure.id for figure, _ in self.drawn]

    @property
    def command(self) -> str:
        """The command that reproduces these runs."""
        return command_of(self.paper, self.runs, self.profile)

    def __repr__(self) -> str:
        return f"{text_card(f'Reproduction {self.folder}', self._facts())}\n{self._claims()}"

    def _repr_html_(self) -> str:
        """The card in notebooks: facts, and the verdicts."""
        rows = [(one.claim.id, one.words, one.claim.sentence) for one in self.shown]
        card = html_card(f"Reproduction {self.folder}", self._facts())
        return f"{card}{html_table(('claim', 'verdict', 'sentence'), rows)}"

    def _facts(self) -> list[Fact]:
        facts = [
            ("paper", self.paper.title),
            ("profile", f"{self.profile} ({self.reason})"),
            ("experiments", ", ".join(self.runs)),
            ("claims", tally_text(one.to_json() for one in self.shown)),
        ]
        facts += [("failed", str(one)) for one in self.failures]
        return facts if self.report is None else [*facts, ("report", str(self.report))]

    def summary(self, *, full: bool = False) -> str:
        """Text: the table of claims and the paths of the files; in color if standard output is a terminal.

        Args:
            full: the table with sentences, sources, settings and the paper's numbers; else one line a claim.
        """
        lines = [
            *self.notes,
            *map(str, self.failures),
            f"claims:  {self.folder / 'claims.json'}",
            f"figures: {self.folder / 'figures'} ({', '.join(self.figures)})",
        ]
        if self.report is not None:
            lines.append(f"report:  {self.report}")
        return self._claims(full=full, color=sys.stdout.isatty()) + "\n".join(lines)

    def _claims(self, *, full: bool = False, color: bool = False) -> str:
        import io
        import shutil

        from rich.console import Console

        text = io.StringIO()
        width = shutil.get_terminal_size((100, 24)).columns
        if full:
            drawn, width = claims_table(self.shown), max(width, 100)
        else:
            drawn = claims_overview([one.to_json() for one in self.shown], width)
        Console(file=text, width=max(width, 40), force_terminal=color).print(drawn)
        return text.getvalue()

    def to_json(self) -> dict[str, Any]:
        """The result as JSON data, for ``grokscope reproduce --json``."""
        return {
            "paper": self.paper.kind,
            "profile": self.profile,
            "folder": str(self.folder),
            "experiments": {name: str(self.folder / name) for name in self.runs},
            "claims": self.claims,
            "figures": self.figures,
            "report": None if self.report is None else str(self.report),
            "notes": list(self.notes),
            "failures": [one.to_json() for one in self.failures],
            "seconds": self.seconds,
        }


@interruptible
def reproduce(
    paper: str | Paper | Plan,
    experiments: Sequence[str] | str | None = None,
    seeds: int | str | None = None,
    *,
    out: str | Path | None = None,
    profile: str | None = None,
    rates: Rates | None = None,
    progress: Progress | None = None,
    meanwhile: Callable[[Paper, Mapping[str, Any]], None] | None = None,
    **options: Any,
) -> Reproduction:
    """Reproduce a paper into a folder; the same call again resumes or extends the runs in it.

    Claims and figures also use runs of the paper's other experiments that are already in the folder, so
    experiments can be added one by one. An experiment, analysis, claim or figure that fails is listed in
    ``failures``, and the rest is finished.

    Args:
        paper: the paper, its name, or a plan, which replaces ``experiments``, ``seeds`` and ``profile``.
        experiments: names of experiments; None takes the default ones.
        seeds: a number of seeds, or text in the syntax of ``--seeds``.
        out: the folder; None takes ``runs/<paper>``.
        profile: ``paper``, ``quick``, or None for the default: see `plan`.
        rates: speed of this machine; None measures it.
        progress: receives the plan and the steps done.
        meanwhile: called with the paper and the results by experiment when the claims are judged; if a second
            process draws the figures, while it does.
        options: passed to `grokscope.train`.

    Raises:
        InputError: see `plan`; also if the folder holds another paper's reproduction, or other runs.
        StoreError: if something cannot be written.
        GrokscopeError: if no experiment could be trained.

    Example:
        >>> done = reproduce("two-circuits", ["standard"], seeds="100:108", out="demo")  # doctest: +SKIP
        >>> done.claims[0]["words"]  # doctest: +SKIP
        'undecided, leans to holds: 8 of 8 seeds; about 17 would decide'
    """
    began = time.perf_counter()
    planned = paper if isinstance(paper, Plan) else plan(paper, experiments, seeds, profile, rates)
    found = find_paper(planned.paper)
    folder = Path(out) if out is not None else Path("runs") / found.kind
    _check_folder(folder, found.kind)
    chosen = [found.experiment(row.name) for row in planned.rows]
    from grokscope.training.devices import usable_cores

    for one in chosen:  # check all folders before the first experiment, which may take hours
        with suppress(NotTakenYetError):
            one.check_folder(found.job(one, planned.profile, folder, planned.seeds))
    with DrawingProcess(found, folder) as drawing:
        # an experiment of a few seconds is drawn before the second process has started
        helper = drawing if planned.seconds > _LEAST_SECONDS and usable_cores() > 1 else None
        preloading = _PreloadingProgress(progress or SilentProgress(), helper)
        runs: dict[str, Any] = {}
        failures: list[Failure] = []
        value_notes: list[str] = []
        for one in chosen:
            with _contained(failures, "experiment", one.name):
                source = found.source_of(one)
                if source is not None and any(lost.name == source.name for lost in failures):
                    raise InputError(f"not trained, because {source.name} failed.")
                # its values may be known only now
                job = found.job(one, planned.profile, folder, planned.seeds)
                one.check_folder(job)
                keep_values(folder, one.name, job.values)
                failed = _analysis_failed(failures, one.name)
                runs[one.name] = one.execute(job, preloading, rates=rates, failed=failed, **options)
                value_notes += [*(f"{one.name}: {taken}" for taken in job.values.values()), *job.notes]
        if not runs and (first := failures[0].error) is not None:
            raise first
        from grokscope.files import atomic_write

        old, now = _record_in(folder), {row.name for row in planned.rows}
        earlier = [one for one in _failures_in(old) if one.name.rpartition(" of ")[2] not in now]
        failures = [*earlier, *failures]
        record = {
            **asdict(planned),
            "profiles": _profiles_after(found, planned, old),
            "failures": [one.to_json() for one in failures],
        }
        atomic_write(folder / RECORD, json.dumps(record, indent=2) + "\n", parents=True)
        done = _judge_and_draw(found, folder, runs, record, began, failures, drawing, meanwhile)
    return replace(done, notes=[*value_notes, *done.notes])


def _analysis_failed(failures: list[Failure], experiment: str) -> Failed:
    """What is called where an analysis of an experiment fails."""

    def failed(name: str, error: Exception) -> None:
        raise_if_interrupted()
        if _must_end(error):
            raise error
        failures.append(Failure.of("analysis", f"{name} of {experiment}", error))

    return failed


def _profiles_after(paper: Paper, planned: Plan, old: Mapping[str, Any]) -> dict[str, str]:
    """The profile of each experiment in the folder, by the record before and the plan."""
    profiles = _profiles_in(old)
    for row in planned.rows:
        smaller = _reduced(paper, row.name, planned.profile)
        # the same run as before: it is as long as it was
        if not smaller or row.name not in profiles or _reduced(paper, row.name, profiles[row.name]):
            profiles[row.name] = planned.profile
    return profiles


def _record_in(folder: Path) -> dict[str, Any]:
    """The contents of ``reproduction.json``; empty if there is none that can be read."""
    try:
        found = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _profiles_in(record: Mapping[str, Any]) -> dict[str, str]:
    """The profile of each experiment; earlier versions recorded that of the last command alone."""
    rows = record.get("rows") or ()
    profiles = record.get("profiles") or {row["name"]: record.get("profile", "") for row in rows}
    return {str(name): str(profile) for name, profile in profiles.items()}


def _failures_in(record: Mapping[str, Any]) -> list[Failure]:
    return [Failure(one["part"], one["name"], one["reason"]) for one in record.get("failures") or ()]


def _reduced(paper: Paper, name: str, profile: str) -> str:
    """What is smaller in an experiment under a profile than in the paper; empty if nothing is."""
    known = {one.name: one for one in paper.experiments}
    found = known[name].profiles.get(profile) if name in known else None
    return found.reduced if found is not None else ""


def _profile_of(paper: Paper, one: PaperExperiment, result: Any, folder: Path) -> str:
    """The profile that a result is of, by its identity; the most reduced one where several have it.

    A profile that is only shorter, or has fewer cells, has the same identity as the full one.

    Raises:
        InputError: if it is of none.
    """
    found: list[str] = []
    for name in one.profiles:
        with suppress(InputError):  # a value that the folder cannot give
            wanted = one.identity(paper.job(one, name, folder))
            if getattr(result, "identity", wanted) == wanted:
                found.append(name)
    if not found:
        raise InputError(f"it is of none of the profiles {', '.join(one.profiles)}.")
    return max(found, key=lambda name: bool(one.profiles[name].reduced))


def judge_again(folder: str | Path) -> Reproduction:
    """Judge and draw the runs in a reproduction's folder again; nothing is trained.

    Raises:
        InputError: if the folder has no readable ``reproduction.json``, or no run.
        StoreError: if something cannot be written.
    """
    began = time.perf_counter()
    record = Path(folder) / RECORD
    try:
        planned = json.loads(record.read_text(encoding="utf-8"))
        paper = find_paper(planned["paper"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{record}: cannot be read.") from None
    idle = DrawingProcess(paper, Path(folder))  # not started: what it does not draw is drawn here
    return _judge_and_draw(paper, Path(folder), {}, planned, began, _failures_in(planned), idle)


def _judge_and_draw(
    paper: Paper,
    folder: Path,
    runs: Mapping[str, Any],
    planned: Mapping[str, Any],
    began: float,
    failed: Sequence[Failure],
    drawing: DrawingProcess,
    meanwhile: Callable[[Paper, Mapping[str, Any]], None] | None = None,
) -> Reproduction:
    """Judge the claims and draw the figures, from the given runs and the other runs in the folder."""
    from grokscope.files import atomic_write

    failures = list(failed)
    lost = {one.name: one for one in failures if one.part == "experiment"}
    profiles = _profiles_in(planned)
    together, notes = _with_runs_in_folder(paper, folder, runs, lost, profiles)
    profile = str(planned["profile"])
    commands = {
        figure.id: command_of(paper, {name: together[name] for name in figure.needs}, profile)
        for figure in paper.figures
        if set(figure.needs) <= together.keys()
    }
    drawing.draw(commands, together)
    evidence: dict[str, Evidence | NotTestable | None] = {}
    claims_under: list[Claim] = []
    for claim in paper.claims:
        evidence[claim.id] = _evidence(claim, together, lost, failures)
        claims_under.append(
            claim.under(*(_reduced(paper, name, profiles.get(name, "")) for name in claim.experiments))
        )
    judged = judge((claim, evidence[claim.id]) for claim in claims_under)
    claims = [one.to_json() for one in judged]
    atomic_write(folder / "claims.json", json.dumps(claims, indent=2, allow_nan=False) + "\n", parents=True)
    if meanwhile is not None:
        meanwhile(paper, together)
    there = drawing.wait()
    drawn: list[tuple[Figure, bytes]] = []
    for figure in paper.figures:
        if figure.id in commands:
            with _contained(failures, "figure", figure.id):
                svg = there.get(figure.id) or draw_figure(figure, together, commands[figure.id], folder)
                drawn.append((figure, svg))
    seconds = time.perf_counter() - began
    reason = str(planned["reason"])
    return Reproduction(
        paper,
        profile,
        reason,
        folder,
        together,
        evidence,
        judged,
        drawn,
        notes,
        seconds,
        failures=failures,
        place=folder.absolute(),
    )


def _evidence(
    claim: Claim, runs: Mapping[str, Any], lost: Mapping[str, Failure], failures: list[Failure]
) -> Evidence | NotTestable | None:
    """The evidence for a claim; the reason why there is none; None if an experiment was not run."""
    if not set(claim.experiments) <= runs.keys():
        reasons = [str(lost[name]) for name in claim.experiments if name in lost]
        return EvidenceFailed(reasons[0]) if reasons else None
    found: Evidence | NotTestable | None = None
    before = len(failures)
    with _contained(failures, "claim", claim.id):
        found = gather(claim, *(runs[name].measures for name in claim.experiments))
        judge([(claim, found)])  # an error in the claim is its own, not that of the table
    return found if len(failures) == before else EvidenceFailed(f"failed: {failures[-1].reason}")


def _with_runs_in_folder(
    paper: Paper, folder: Path, runs: Mapping[str, Any], lost: Collection[str], profiles: dict[str, str]
) -> tuple[dict[str, Any], list[str]]:
    """The given runs and those of other experiments in the folder, in the paper's order; and warnings.

    Experiments that failed are left out, whatever is in their folders. The profiles of runs that were put
    there by hand are added to ``profiles``.
    """
    together: dict[str, Any] = {}
    notes: list[str] = []
    for one in paper.experiments:
        if one.name in lost:
            continue
        try:
            result = runs[one.name] if one.name in runs else one.open(folder / one.name)
            if result is not None and one.name not in profiles:
                profiles[one.name] = _profile_of(paper, one, result, folder)
            remarks = one.remarks(result) if result is not None else []
        except GrokscopeError as error:
            notes.append(f"{one.name}: an earlier run is there, but left out: {error}")
            continue
        if result is not None:
            together[one.name] = result
            notes += [f"{one.name}: {remark}" for remark in remarks]
    if not together:
        raise InputError(f"{folder}: holds no run of {paper.kind}.")
    return together, notes


def command_of(paper: Paper, runs: Mapping[str, RunLike], profile: str) -> str:
    """The command that reproduces these runs."""
    words = ["grokscope", "reproduce", paper.kind, *runs]
    # Without common seeds no single command makes all runs; each run's provenance has its own command.
    if (seeds := _common_seeds(paper, runs)) is not None:
        words += ["--seeds", seeds]
    module = type(paper).__module__
    if module.startswith(PLUGIN_PREFIX):
        words += ["--plugin", Path(str(sys.modules[module].__file__)).name]
    return shlex.join([*words, "--profile", profile])


def _common_seeds(paper: Paper, runs: Mapping[str, RunLike]) -> str | None:
    """The value of ``--seeds`` that gives all these runs, each with all or the first of them; or None."""
    from grokscope.plots.curves import seeds_argument

    seeds = {
        name: [int(seed) for seed in run.measures["seed"].to_numpy()]
        for name, run in runs.items()
        if "seed" in run.measures.sizes
    }
    if not seeds:
        return None
    longest = max(seeds.values(), key=len)
    argument = seeds_argument(longest)
    known = {one.name: one for one in paper.experiments}
    for name, run in runs.items():
        if seeds.get(name) == longest:
            continue
        members = list(known[name].members(argument).seeds) if name in known else []
        own: Any = getattr(getattr(run, "members", None), "seeds", None)
        if own is None:
            same = name in seeds and [member[0] for member in members] == seeds[name]
        else:
            same = list(own) == members
        if not same:
            return None
    return argument


def _check_folder(folder: Path, kind: str) -> None:
    """Refuse a path that is a file, or holds another paper's reproduction."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; give a folder.")
    record = folder / RECORD
    if record.is_file():
        try:
            other = json.loads(record.read_text(encoding="utf-8")).get("paper")
        except (OSError, ValueError, AttributeError):
            raise InputError(f"{record}: cannot be read; give another folder, or remove it.") from None
        if other != kind:
            raise InputError(f"{folder}: holds a reproduction of {other}; give another folder.")


# Modules for judging. A thread imports them, and those for drawing where no second process draws, while
# compiled programs run, which do not hold the interpreter lock.
_JUDGING = ("xarray", "scipy.special", "scipy.stats")


class _PreloadingProgress:
    """Pass progress on; at the first steps done, start the second process, or import what it would."""

    def __init__(self, progress: Progress, drawing: DrawingProcess | None) -> None:
        self._progress = progress
        self._drawing = drawing
        self._started = False

    def plan(self, text: str) -> None:
        self._progress.plan(text)

    def start(self, total_steps: int, label: str) -> None:
        self._progress.start(total_steps, label)

    def advance(self, steps: int, note: str = "") -> None:
        self._progress.advance(steps, note)
        if not self._started:
            self._started = True
            if self._drawing is not None:
                self._drawing.start()
            modules = _JUDGING if self._drawing is not None else _JUDGING + DRAWING_MODULES
            threading.Thread(target=_preload, args=(modules,), daemon=True).start()

    def finish(self) -> None:
        self._progress.finish()


def _preload(modules: Sequence[str]) -> None:
    for name in modules:
        importlib.import_module(name)
