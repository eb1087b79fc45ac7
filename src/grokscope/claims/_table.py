"""The table of judged claims, for the terminal and for Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from grokscope.claims._judge import Judged, Verdict, number_text
from grokscope.statistics import format_number

if TYPE_CHECKING:
    from rich.table import Table

_T = TypeVar("_T")

HEADER = ("id", "claim", "source", "setting", "paper", "ours", "interval", "n", "verdict")

SETTINGS = {
    "same": "the paper's setting",
    "small": "a reduced setting, which is named",
    "own": "a control or correction that the paper lacks",
}
# The word of the verdict is always shown, so that color is never the only sign.
_STYLE: dict[Verdict, str] = {
    "holds": "bold green",
    "fails": "bold red",
    "undecided": "yellow",
    "not testable": "dim",
}


def claims_table(judged: Sequence[Judged], title: str = "") -> Table:
    """Return a rich table with one row per claim: paper's number, ours, interval, n, verdict.

    Notes follow below the table, one line each, with the seeds used to fix and confirm regions.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, caption=_caption(judged), caption_justify="left")
    for name in HEADER:
        table.add_column(
            name,
            justify="right" if name == "n" else "left",
            ratio=1 if name == "claim" else None,
            no_wrap=name in ("id", "setting", "n", "verdict"),
        )
    for one in judged:
        *cells, verdict = _cells(one)
        # Text, not str: brackets in a sentence must not be read as markup.
        table.add_row(*(Text(cell) for cell in cells), Text(verdict, style=_STYLE[one.verdict]))
    return table


def claims_markdown(judged: Sequence[Judged]) -> str:
    """Return the same table in Markdown, followed by the notes as a paragraph."""
    rows = [HEADER, tuple("---" for _ in HEADER), *(_cells(one) for one in judged)]
    lines = ["| " + " | ".join(_escape(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n\n" + _escape(_caption(judged), newline="  \n") + "\n"


def _cells(one: Judged) -> tuple[str, ...]:
    claim = one.claim
    interval = "-"
    if one.interval is not None and not all(map(math.isinf, one.interval)):
        interval = "[{}, {}]".format(*(format_number(end) for end in one.interval))
    return (
        claim.id,
        claim.sentence,
        claim.source,
        claim.setting,
        number_text(claim.paper_value, claim.unit),
        number_text(one.value, claim.unit),
        interval,
        str(one.n),
        one.verdict,
    )


def _caption(judged: Sequence[Judged]) -> str:
    """Notes: meaning of the verdicts, control of errors, seeds, and the notes of single claims."""
    lines = [
        "holds: interval inside the region; fails: outside; undecided: neither, or not significant"
        " when all the table's claims are taken together."
    ]
    lines += [f"Over the table: {control}." for control in _distinct(one.control for one in judged)]
    splits = _distinct((one.claim.fixed, one.claim.confirmed_on) for one in judged)
    lines += [
        f"Regions were fixed {fixed}; seeds {confirmed} are kept to confirm them."
        for fixed, confirmed in splits
    ]
    lines += [f"Setting {word}: {meaning}." for word, meaning in _settings(judged)]
    for how in _distinct(one.claim.reduced for one in judged):
        ids = [one.claim.id for one in judged if one.claim.reduced == how]
        lines.append(f"{', '.join(ids)}: {how}.")
    lines += [f"{one.claim.id}: {one.note}" for one in judged if one.note]
    return "\n".join(lines)


def _settings(judged: Sequence[Judged]) -> list[tuple[str, str]]:
    """The settings other than the paper's that occur, with their meanings."""
    found = {one.claim.setting for one in judged}
    return [(word, meaning) for word, meaning in SETTINGS.items() if word in found and word != "same"]


def _distinct(items: Iterable[_T]) -> list[_T]:
    """Return the items that are not empty, each once, in order."""
    return list(dict.fromkeys(item for item in items if item))


def _escape(text: str, newline: str = " ") -> str:
    """Escape what would end a Markdown cell or start a tag."""
    safe = text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return safe.replace("\n", newline)
