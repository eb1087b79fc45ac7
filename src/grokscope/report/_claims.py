"""The claims on the page: the tally, and the table with a small plot of each claim's evidence."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from grokscope.report._evidence import evidence_svg
from grokscope.statistics import format_number

if TYPE_CHECKING:
    from grokscope.claims import Evidence, Judged, NotTestable

__all__ = ["VERDICTS", "claims_section", "tally", "verdict_html"]

VERDICTS = ("holds", "fails", "undecided", "not testable")
_MEANING = {
    "holds": "the interval lies inside the region that means so",
    "fails": "the interval lies outside of it",
    "undecided": "the interval reaches across its edge, or the table is too long to be sure of this row",
    "not testable": "there is no evidence to judge by",
}
_FORMER = "show no more than that the regions fit what they were made from"
_KEY = (
    "Plots: the shaded region means “holds”; small dots are seeds (filled squares: it is true of the seed); "
    "the bar is the interval around our number; a diamond is the paper's."
)


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


def claims_section(
    judged: Sequence[Judged],
    evidence: Mapping[str, Evidence | NotTestable | None] | None = None,
    panels: Mapping[str, Sequence[str]] | None = None,
    figures: Mapping[str, str] | None = None,
) -> str:
    """The table: sentence and source, the paper's number, ours with its interval, seeds, evidence, verdict.

    Args:
        judged: the rows.
        evidence: by id of the claim, for the small plots.
        panels: by id of the claim, the plots over time that show what it is judged by.
        figures: by id of the claim, the anchor to go to where no script runs.
    """
    names = ("", "Claim", "Paper", "Ours", "Seeds", "Evidence", "Verdict")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    rows = "\n".join(
        _claim_row(
            one,
            (evidence or {}).get(one.claim.id),
            (panels or {}).get(one.claim.id, ()),
            (figures or {}).get(one.claim.id, "curves"),
        )
        for one in judged
    )
    words = "; ".join(f"{verdict_html(verdict)}: {_MEANING[verdict]}" for verdict in VERDICTS)
    splits = sorted({(one.claim.fixed, one.claim.confirmed_on) for one in judged})
    about_regions = " ".join(
        f"Regions were fixed {escape(fixed)} and are confirmed on seeds {escape(confirmed)}"
        + ("." if fixed == "beforehand" else f"; numbers from the former {_FORMER}.")
        for fixed, confirmed in splits
    )
    return (
        f'<table class="claims"><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table>'
        f'<p class="soft">{words}. Over all claims together the share of false verdicts is kept below 5 % '
        f"(Benjamini-Yekutieli). {about_regions} {_KEY}</p>"
    )


def _claim_row(
    one: Judged, evidence: Evidence | NotTestable | None, panels: Sequence[str], figure: str
) -> str:
    claim = one.claim
    interval = ""
    if one.interval is not None and any(map(math.isfinite, one.interval)):
        level = format_number(100 * claim.confidence)
        interval = (
            f'<span class="soft interval"><span class="sr">{level} % interval: </span>'
            f"{escape('{} to {}'.format(*map(format_number, one.interval)))}</span>"
        )
    note = f'<span class="soft">{escape(one.note)}</span>' if one.note else ""
    detail = f"Holds if {claim.estimand} is {claim.region}{' ' + claim.unit if claim.unit else ''}."
    if claim.smallest_effect is not None:
        detail += f" Smallest effect that matters: {claim.smallest_effect}."
    if one.method:
        detail += f" Interval: {one.method}."
    anchor = f"claim-{claim.id}"
    shown = evidence_svg(one, evidence)
    name = f"<b>{escape(claim.id)}</b>"
    if panels:
        link = (
            f'href="#{escape(figure)}" data-panels="{escape(" ".join(panels))}" '
            f'data-run="{escape(claim.experiment)}" title="to the curves it is judged by"'
        )
        name = f"<a {link}>{name}</a>"
        shown = f'<a {link} tabindex="-1">{shown}</a>' if shown else ""
    cells = (
        ("", "id", name),
        (
            "",
            "",
            f'{escape(claim.sentence)} <span class="soft">{escape(claim.source)} &middot; '
            f"{escape(claim.experiment)}</span>{note}<details><summary>how it is judged</summary>"
            f'<span class="soft">{escape(detail)}</span></details>',
        ),
        ("Paper", "number", _number(claim.paper_value, claim.unit)),
        ("Ours", "number", f"<b>{_number(one.value, claim.unit)}</b>{interval}"),
        ("Seeds", "number", str(one.n)),
        ("", "seen", shown),
        ("", "", verdict_html(one.verdict)),
    )
    html = "".join(
        f"<td{f' class={kind!r}' if kind else ''}{f' data-label={label!r}' if label else ''}>{cell}</td>"
        for label, kind, cell in cells
    )
    return f'<tr id="{escape(anchor)}" class="{escape(one.verdict.replace(" ", "-"))}-row">{html}</tr>'


def _number(value: float | str | None, unit: str) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return escape(value)
    if value == float("inf"):
        return "not reached"
    return escape(f"{format_number(value)} {unit}".strip())
