"""Tables of judged claims: one line a claim for the terminal, all of it for the terminal and for Markdown."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from grokscope.claims._claim import LONGEST_NAME
from grokscope.claims._judge import Judged, Verdict, number_text
from grokscope.statistics import format_number

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_T = TypeVar("_T")

# An entry of `claims.json`, which may have been written by an earlier version, without the later keys.
Entry = Mapping[str, Any]

HEADER = ("id", "claim", "source", "setting", "paper", "ours", "interval", "n", "verdict")

SETTINGS = {
    "same": "the paper's setting",
    "small": "a reduced setting, which is named",
    "own": "a control or correction that the paper lacks",
}
# The word of the verdict is always shown, so that color is never the only sign.
STYLES: dict[Verdict, str] = {
    "holds": "bold green",
    "fails": "bold red",
    "undecided": "yellow",
    "not testable": "dim",
}
# In the order of a tally: of one claim, of several.
_COUNTED = {
    "holds": ("holds", "hold"),
    "fails": ("fails", "fail"),
    "leans to holds": ("leans to holds", "lean to holds"),
    "leans to fails": ("leans to fails", "lean to fails"),
    "undecided": ("undecided", "undecided"),
    "not testable": ("not testable", "not testable"),
}
_GAP = "  "
_SHORTEST_NAME = 16  # characters; where there is less room, a claim takes several lines
_NARROWEST = 40  # columns; a terminal with fewer wraps the lines itself
_LONGEST_LINE = 120  # of the reasons below the table
_WOULD_DECIDE = (
    "Would decide: so many seeds in all, if all are like these, by the interval alone; the error control over"
    " the table may need more."
)


def tally(claims: Iterable[Entry]) -> list[tuple[int, str, str]]:
    """Count the claims by verdict and leaning: (number, verdict, words), for those that occur.

    Example:
        >>> tally([{"verdict": "holds"}, {"verdict": "undecided", "leaning": "holds"}, {"verdict": "holds"}])
        [(2, 'holds', 'hold'), (1, 'undecided', 'leans to holds')]
    """
    keys = [f"leans to {one['leaning']}" if one.get("leaning") else str(one["verdict"]) for one in claims]
    return [
        (keys.count(key), "undecided" if key.startswith("leans") else key, words[keys.count(key) > 1])
        for key, words in _COUNTED.items()
        if key in keys
    ]


def tally_text(claims: Iterable[Entry]) -> str:
    """The same as text, as "4 hold, 12 lean to holds, 1 leans to fails"."""
    return ", ".join(f"{count} {words}" for count, _, words in tally(claims))


def claims_overview(claims: Sequence[Entry], width: int = 100) -> Text:
    """Return a table with one line per claim: id, name, our number with its interval, verdict.

    Below it follow the tally and, each once with the ids of its claims, the reasons: seeds that agree,
    number of seeds that would decide, notes, settings other than the paper's. No line is longer than `width`
    (from 40 on). The sentence stands in for a name that is empty. Units, then names, are shortened where
    there is no room; where there is too little for that, a claim takes two lines or more.

    Args:
        claims: Entries of `claims.json` (`Judged.to_json`).
        width: Number of columns.
    """
    from rich.text import Text

    width = max(width, _NARROWEST)
    rows = [
        (str(one["id"]), str(one.get("name") or one["sentence"]), *_ours(one), *_headline(one))
        for one in claims
    ]
    text = Text("\n").join(_lines(rows, width))
    for line in _reasons(claims):
        wrapped = textwrap.wrap(line, min(width, _LONGEST_LINE), subsequent_indent="  ") or [""]
        text.append("\n" + "\n".join(wrapped))
    return text


def _lines(rows: Sequence[tuple[str, str, str, str, str, str]], width: int) -> list[Text]:
    """The lines of the table, from id, name, number, unit, verdict and style of each claim."""
    from rich.text import Text

    header = ("id", "claim", "ours", "", "verdict", "bold")
    ids, names, numbers, _, verdicts, _ = (
        [len(cell) for cell in column] for column in zip(header, *rows, strict=True)
    )
    room = width - max(ids) - max(verdicts) - 3 * len(_GAP)
    with_units = max(len(f"{row[2]} {row[3]}".rstrip()) for row in (header, *rows))
    of_number = min(with_units, max(max(numbers), room - min(max(names), LONGEST_NAME)))
    of_name = min(max(names), room - of_number)
    in_one_line = of_name >= min(_SHORTEST_NAME, max(names))
    lines: list[Text] = []
    for name, claim, number, unit, verdict, style in (header, *rows) if in_one_line else rows:
        line = Text()
        if in_one_line:
            ours = f"{number} {_cut(unit, of_number - len(number) - 1)}"
            cells = name.ljust(max(ids)), _cut(claim, of_name).ljust(of_name), ours.ljust(of_number), ""
            line.append(_GAP.join(cells))
            line.append(verdict, style=style)
        else:
            line.append(f"{name}  ")
            line.append(verdict, style=style)
            told = f"{_cut(claim, LONGEST_NAME)}  {number} {unit}"
            line.append("\n" + textwrap.fill(told, width, initial_indent="  ", subsequent_indent="  "))
        lines.append(line)
    return lines


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
            max_width=26 if name == "verdict" else None,
            no_wrap=name in ("id", "setting", "n"),
        )
    for one in judged:
        *cells, verdict = _cells(one)
        # Text, not str: brackets in a sentence must not be read as markup.
        table.add_row(*(Text(cell) for cell in cells), Text(verdict, style=STYLES[one.verdict]))
    return table


def claims_markdown(judged: Sequence[Judged]) -> str:
    """Return the same table in Markdown, followed by the notes as a paragraph."""
    rows = [HEADER, tuple("---" for _ in HEADER), *(_cells(one) for one in judged)]
    lines = ["| " + " | ".join(_escape(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n\n" + _escape(_caption(judged), newline="  \n") + "\n"


def _ours(one: Entry) -> tuple[str, str]:
    """Our number with its interval, and the unit."""
    value, ends = one.get("value"), one.get("interval")
    text = "-" if value is None else _short(value)
    if isinstance(ends, list) and len(ends) == 2:
        low, high = (
            sign if end is None else _short(end) for end, sign in zip(ends, ("-inf", "inf"), strict=True)
        )
        text += f" [{low}, {high}]"
    return text, str(one.get("unit") or "") if isinstance(value, int | float) else ""


def _short(value: Any) -> str:
    """Three significant digits; from 1,000 on a whole number; texts as they are."""
    if not isinstance(value, int | float):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _headline(one: Entry) -> tuple[str, str]:
    """The verdict with its leaning, and its style; the rest of its words is a reason."""
    return _words(one).partition(": ")[0], STYLES.get(one["verdict"], "")


def _seeds(one: Entry) -> float:
    seeds = one.get("seeds_to_decide")
    return seeds if isinstance(seeds, int) else math.inf


def _words(one: Entry) -> str:
    return str(one.get("words") or one["verdict"])


def _reasons(claims: Sequence[Entry]) -> list[str]:
    """What is to be said below the table, a line each; what is the same of several claims comes once."""
    lines = ["", f"{tally_text(claims)}."] if claims else []
    decide = [(one, _words(one).partition(": ")[2]) for one in claims]
    lines += _grouped(sorted(decide, key=lambda pair: _seeds(pair[0])))
    if any("would decide" in reason for _, reason in decide):
        lines.append(_WOULD_DECIDE)
    notes: list[tuple[Entry, str]] = []
    for one in claims:
        told = str(one.get("note") or "").split("; ")
        if one.get("withheld"):  # its words say so
            told = [note for note in told if "by its interval alone" not in note]
        notes += [(one, note) for note in told]
    settings = [(one, str(one.get("reduced") or "")) for one in claims]
    settings += [(one, SETTINGS["own"] if one.get("setting") == "own" else "") for one in claims]
    return lines + _grouped(notes) + _grouped(settings)


def _grouped(told: Iterable[tuple[Entry, str]]) -> list[str]:
    """Texts with the ids of the claims that they are about, each text once; without the empty ones."""
    told = list(told)
    every = len({str(one["id"]) for one, _ in told})
    found: dict[str, list[str]] = {}
    for one, text in told:
        if text:
            found.setdefault(text, []).append(str(one["id"]))
    return [
        f"{'all claims' if 2 < every == len(ids) else ', '.join(ids)}: {text}." for text, ids in found.items()
    ]


def _cut(text: str, most: int) -> str:
    """The text, shortened to at most so many characters; empty where that leaves nothing to read."""
    if len(text) <= most:
        return text
    return f"{text[: most - 3].rstrip()}..." if most > 5 else ""


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
        one.words,
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
