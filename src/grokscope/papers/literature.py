"""The grokking literature, checked: the claims of every paper as they were last judged.

The verdicts that the documentation shows are kept with the package, in ``papers/verdicts``: a file for each
table of claims, written by ``docs/make_claims.py`` from the folder of a reproduction. Nothing is judged here.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grokscope.claims import NOT_RUN, SETTINGS, tally_text
from grokscope.papers._paper import Paper, find_paper, papers

__all__ = ["VERDICTS", "CheckedPaper", "FailingClaim", "JudgedTable", "judged_tables", "literature"]

VERDICTS = Path(__file__).parent / "verdicts"


@dataclass(frozen=True)
class JudgedTable:
    """The claims of one reproduction, as they were judged when the documentation was made.

    Attributes:
        name: of the file and of the place on a page; the paper's name, or that name with a word behind it
            where a paper has several tables.
        paper: the paper's name.
        profile: ``paper`` or ``quick``.
        seeds: what was asked for last, in the syntax of ``--seeds``; None for the profile's own.
        trained: the seeds of each experiment that was run, in the syntax of ``--seeds``.
        seconds: wall time of all runs together; None if it was not recorded.
        version: of the package that trained the runs.
        date: on which the last run began.
        entries: one for each claim, as in ``claims.json``.
    """

    name: str
    paper: str
    profile: str
    seeds: str | None
    trained: Mapping[str, str | None]
    seconds: float | None
    version: str
    date: str
    entries: Sequence[Mapping[str, Any]]

    @classmethod
    def read(cls, file: Path) -> JudgedTable:
        """The table in a file of `VERDICTS`."""
        return cls(name=file.stem, **json.loads(file.read_text(encoding="utf-8")))

    def text(self) -> str:
        """The content of the file."""
        fields = {name: value for name, value in vars(self).items() if name != "name"}
        return json.dumps(fields, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @property
    def judged(self) -> list[Mapping[str, Any]]:
        """The entries of claims whose experiment was run."""
        return [one for one in self.entries if one.get("note") != NOT_RUN]

    @property
    def commands(self) -> list[str]:
        """The commands that make these runs: one for each set of seeds."""
        usual = {one.name for one in find_paper(self.paper).experiments if one.default}
        together: dict[str | None, list[str]] = {}
        for name, which in self.trained.items():
            together.setdefault(which, []).append(name)
        return [
            shlex.join(
                [
                    "grokscope",
                    "reproduce",
                    self.paper,
                    *([] if set(names) == usual else names),
                ]
            )
            + (f" --seeds {which}" if which else "")
            + f" --profile {self.profile}"
            for which, names in together.items()
        ]


@dataclass(frozen=True)
class FailingClaim:
    """A claim that fails.

    Attributes:
        entry: the entry of ``claims.json``.
        reason: why it fails, as far as that was found; empty if it was not.
    """

    entry: Mapping[str, Any]
    reason: str


@dataclass(frozen=True)
class CheckedPaper:
    """A paper with its verdicts.

    Attributes:
        paper: the paper.
        tables: its tables of judged claims; none if it was not judged yet.
    """

    paper: Paper
    tables: tuple[JudgedTable, ...]

    @property
    def entries(self) -> list[Mapping[str, Any]]:
        """The claims that were judged; one that two tables have in the same setting counts once."""
        found: dict[tuple[str, str], Mapping[str, Any]] = {}
        for table in self.tables:
            for one in table.judged:
                found.setdefault((one["id"], one["reduced"]), one)
        return list(found.values())

    @property
    def failing(self) -> list[FailingClaim]:
        """The claims that fail, with the reasons that the paper's file gives."""
        return [
            FailingClaim(one, self.paper.reasons.get(one["id"], ""))
            for one in self.entries
            if one["verdict"] == "fails"
        ]

    @property
    def facts(self) -> dict[str, str]:
        """What a row of the table says: experiments, claims, settings, seeds, time, date, version."""
        if not self.tables:
            return {"experiments": f"0 of {len(self.paper.experiments)}", "claims": "not judged yet"}
        run = {name for table in self.tables for name in table.trained}
        settings = [str(one["setting"]) for one in self.entries]
        return {
            "experiments": f"{len(run)} of {len(self.paper.experiments)}",
            "claims": tally_text(self.entries),
            "settings": ", ".join(f"{settings.count(word)} {word}" for word in SETTINGS if word in settings),
            # a claim without an interval is deterministic, and counts numbers instead of seeds
            "seeds": _span(int(one["seeds"]) for one in self.entries if one["seeds"] and one["interval"]),
            "time": _minutes(table.seconds for table in self.tables),
            "date": max(table.date for table in self.tables),
            "version": ", ".join(dict.fromkeys(table.version for table in self.tables)),
        }

    @property
    def commands(self) -> list[str]:
        """The commands that make all the runs."""
        return [command for table in self.tables for command in table.commands]


def judged_tables(folder: Path = VERDICTS) -> dict[str, JudgedTable]:
    """All tables that are kept, by name.

    Example:
        >>> judged_tables()["delay-law"].profile
        'paper'
    """
    return {
        file.stem: JudgedTable.read(file)
        for file in sorted(folder.glob("*.json"), key=lambda file: file.stem)
    }


def literature(folder: Path = VERDICTS) -> list[CheckedPaper]:
    """Every paper that can be reproduced, with its verdicts; papers of others first, by year.

    Example:
        >>> literature()[0].paper.year
        2022
    """
    tables = judged_tables(folder).values()
    found = [
        CheckedPaper(paper, tuple(table for table in tables if table.paper == name))
        for name, paper in papers().items()
    ]
    return sorted(found, key=lambda one: (not one.paper.arxiv, one.paper.year, one.paper.kind))


def _span(numbers: Iterable[int]) -> str:
    found = sorted(numbers)
    return "-" if not found else str(found[0]) if found[0] == found[-1] else f"{found[0]}-{found[-1]}"


def _minutes(seconds: Iterable[float | None]) -> str:
    found = list(seconds)
    known = [one for one in found if one is not None]
    if len(known) < len(found) or not known:
        return "not recorded"
    return f"{max(1, round(sum(known) / 60)):,} min"
