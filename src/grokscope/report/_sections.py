"""The parts of the page: the claims table, figures, runs and how to cite. Each returns escaped HTML."""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from grokscope.statistics import format_number

if TYPE_CHECKING:
    from grokscope.claims import Judged

__all__ = ["RunInfo", "claims_section", "figure_html", "run_html", "run_info", "table_html", "tally"]

VERDICTS = ("holds", "fails", "undecided", "not testable")
_MEANING = {
    "holds": "the interval lies inside the region that means so",
    "fails": "the interval lies outside of it",
    "undecided": "the interval reaches across its edge, or the table is too long to be sure of this row",
    "not testable": "there is no evidence to judge by",
}
_FIRST = ("command", "wall_seconds", "git_commit", "git_dirty", "versions", "device", "host")
# What may stand in an address between double quotes as it is.
_PLAIN = " !$'()*+,-./:;=?@[]_~"


@dataclass(frozen=True)
class RunInfo:
    """What the page says of one run.

    Attributes:
        name: of the experiment.
        seeds: in words.
        spec: the resolved spec as TOML.
        provenance: whatever is known of where the numbers come from.
        sentence: what the experiment is.
    """

    name: str
    seeds: str
    spec: str
    provenance: Mapping[str, Any]
    sentence: str = ""


def run_info(name: str, run: Any, sentence: str = "") -> RunInfo:
    """What the page says of a run (anything with ``experiment``, ``measures`` and ``provenance``)."""
    from grokscope.plots.curves import seeds_text

    text = "crossed streams: " + ", ".join(
        f"{dim} {n}" for dim, n in run.measures.sizes.items() if "seed" in str(dim)
    )
    if "seed" in run.measures.sizes:
        seeds = run.measures["seed"].to_numpy()
        text = f"{len(seeds)} ({seeds_text(seeds)})"
    return RunInfo(name, text, run.experiment.to_toml(), dict(run.provenance), sentence)


def tally(judged: Sequence[Judged]) -> str:
    """How many claims have which verdict, by word and color."""
    counts = Counter(one.verdict for one in judged)
    items = "".join(
        f"<li><b>{counts[verdict]}</b> {verdict_html(verdict)}</li>"
        for verdict in VERDICTS
        if counts[verdict]
    )
    return f'<ul class="tally">{items}</ul>'


def verdict_html(verdict: str) -> str:
    """A verdict in its color, with its word and a mark of its own shape."""
    return f'<span class="verdict {escape(verdict.replace(" ", "-"))}">{escape(verdict)}</span>'


def claims_section(judged: Sequence[Judged]) -> str:
    """The table: sentence and source, the paper's number, ours with its interval, seeds, verdict."""
    names = ("", "Claim", "Paper", "Ours", "95 % interval", "Seeds", "Verdict")
    head = "".join(f"<th>{name}</th>" for name in names)
    rows = "\n".join(_claim_row(one) for one in judged)
    words = "; ".join(f"{verdict_html(verdict)}: {_MEANING[verdict]}" for verdict in VERDICTS)
    splits = sorted({(one.claim.fixed_on, one.claim.confirmed_on) for one in judged})
    fixed = " ".join(
        f"Regions were fixed on seeds {escape(a)} and are confirmed on seeds {escape(b)}; numbers from the "
        "former show no more than that the regions fit what they were made from."
        for a, b in splits
    )
    return (
        f'<table class="claims"><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table>'
        f'<p class="soft">{words}. Over all claims together the share of false verdicts is kept below 5 % '
        f"(Benjamini-Yekutieli). {fixed}</p>"
    )


def _claim_row(one: Judged) -> str:
    claim = one.claim
    interval = "-"
    if one.interval is not None and any(map(math.isfinite, one.interval)):
        interval = "{} to {}".format(*map(format_number, one.interval))
    note = f'<span class="soft">{escape(one.note)}</span>' if one.note else ""
    detail = f"Holds if {claim.estimand} is {claim.region}{' ' + claim.unit if claim.unit else ''}."
    if claim.smallest_effect is not None:
        detail += f" Smallest effect that matters: {claim.smallest_effect}."
    if one.method:
        detail += f" Interval: {one.method}."
    cells = (
        ("", "id", f"<b>{escape(claim.id)}</b>"),
        (
            "",
            "",
            f'{escape(claim.sentence)} <span class="soft">{escape(claim.source)} &middot; '
            f"{escape(claim.experiment)}</span>{note}<details><summary>how it is judged</summary>"
            f'<span class="soft">{escape(detail)}</span></details>',
        ),
        ("Paper", "number", _number(claim.paper_value, claim.unit)),
        ("Ours", "number", _number(one.value, claim.unit)),
        ("95 % interval", "number interval", escape(interval)),
        ("Seeds", "number", str(one.n)),
        ("", "", verdict_html(one.verdict)),
    )
    html = "".join(
        f"<td{f' class={kind!r}' if kind else ''}{f' data-label={label!r}' if label else ''}>{cell}</td>"
        for label, kind, cell in cells
    )
    return f"<tr>{html}</tr>"


def _number(value: float | str | None, unit: str) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return escape(value)
    if value == float("inf"):
        return "not reached"
    return escape(f"{format_number(value)} {unit}".strip())


def figure_html(name: str, title: str, data: bytes) -> str:
    """A figure (SVG or PNG) embedded as an image of its own, so that no two figures' ids can meet."""
    if data.startswith(b"\x89PNG"):
        source = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    else:
        # An SVG is mostly digits: escaped it is a quarter smaller than in base 64.
        source = f"data:image/svg+xml,{quote(data, safe=_PLAIN)}"
    return (
        f'<figure id="{escape(name)}"><div><img alt="{escape(title)}" src="{source}"></div>'
        f"<figcaption>{escape(title)}</figcaption></figure>"
    )


def run_html(info: RunInfo) -> str:
    """A run's seeds, provenance and spec."""
    rows = [("seeds", info.seeds)]
    order = [*(k for k in _FIRST if k in info.provenance), *(k for k in info.provenance if k not in _FIRST)]
    rows += [(key.replace("_", " "), _plain(info.provenance[key])) for key in order]
    sentence = f"<p>{escape(info.sentence)}</p>" if info.sentence else ""
    return (
        f"<h3>{escape(info.name)}</h3>{sentence}{_rows_html(rows)}"
        f"<details><summary>the resolved spec (TOML)</summary><pre>{escape(info.spec)}</pre></details>"
    )


def table_html(heading: str, rows: Sequence[tuple[str, str]]) -> str:
    """A heading and a table of names and texts."""
    return f"<h2>{escape(heading)}</h2>{_rows_html(rows)}"


def _rows_html(rows: Sequence[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><th>{escape(key)}</th><td>{escape(value)}</td></tr>" for key, value in rows)
    return f"<table>{cells}</table>"


def _plain(value: Any) -> str:
    """A provenance value as text: mappings and lists in one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return " ".join(_plain(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "unknown"
    return format_number(value) if isinstance(value, float) else str(value)
