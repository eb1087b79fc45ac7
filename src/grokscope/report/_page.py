"""The page as a whole: sections of plain HTML, the numbers for the plots, and the script that draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grokscope.report._arrays import embedded_json
from grokscope.report._bundle import script, script_hash, style
from grokscope.report._claims import claims_section, tally
from grokscope.report._evidence import measures_read
from grokscope.report._figures import ReportFigure, figure_html
from grokscope.report._glance import glance_html
from grokscope.report._provenance import RunInfo, block, run_html, summary_html, table_html
from grokscope.report._sweep_view import SweepView
from grokscope.report._tables import competition_tables, curve_tables, folded, table
from grokscope.report._views import RunView
from grokscope.spec.events import GROKKING, MEMORIZATION

if TYPE_CHECKING:
    from grokscope.claims import Evidence, Judged, NotTestable

__all__ = ["page_html", "policy", "write_page"]

_OVER_TIME = (
    "One time axis for all plots: the mean over seeds with the 10th to the 90th percentile, or one seed "
    "alone. Vertical lines: memorization, grokking and, where it was computed, certified (proved from there "
    "to the end): medians, or the seed's own."
)
_CELLS = "Every square is a cell: an experiment with these settings. Choose up to four to see their curves."
_CHOSEN = "The curves of the chosen cells: the mean over seeds with the 10th to the 90th percentile."
_COMPETING = (
    "Every point is a neuron. While the network memorizes, nearly all of them carry the output; when it "
    "groks, a few grow and take it over, and the others fade. Move the slider, or press play."
)


def page_html(
    title: str,
    *,
    judged: Sequence[Judged] = (),
    evidence: Mapping[str, Evidence | NotTestable | None] | None = None,
    figures: Sequence[ReportFigure] = (),
    views: Sequence[RunView] = (),
    overlay: bool = False,
    runs: Sequence[RunInfo] = (),
    kicker: str = "",
    lead: str = "",
    command: str = "",
    bibtex: str = "",
    tables: Sequence[tuple[str, Sequence[tuple[str, str]]]] = (),
    sweep: SweepView | None = None,
    live: bool = False,
) -> str:
    """The page as a string: nothing is loaded, one script of ours runs, every text is escaped.

    Args:
        title: of the page.
        judged: the claims table.
        evidence: by id of the claim, what it was judged by, for the small plots.
        figures: pictures, in order.
        views: runs to be looked at.
        overlay: whether the runs are drawn over each other instead of one at a time.
        runs: where the numbers come from; those of the views if not given.
        kicker: a few words over the title.
        lead: a sentence under the title.
        command: what makes this page.
        bibtex: how to cite what was reproduced.
        tables: further tables, each a heading and rows of a name and a text.
        sweep: a sweep to be looked at, in place of views.
        live: whether the page asks its server for the numbers, again and again.
    """
    sections: list[tuple[str, str, str]] = []  # anchor, name in the navigation, HTML
    data: dict[str, Any] = {}
    if judged:
        panels = _panels_of_claims(judged, views)
        anchors = _figures_of_claims(judged, figures)
        rows = claims_section(judged, evidence, panels, anchors)
        sections.append(("claims", "Claims", f"<h2>Claims</h2>{rows}"))
    if sweep is not None:
        data["sweep"] = sweep.data()
        data["curves"] = {"runs": [one.data() for one in sweep.curves], "overlay": True}
        cells = folded(table("The cells, with 95 % intervals", *sweep.table))
        sections.append(("sweep", "Cells", _interactive("sweep", "The cells", _CELLS, cells)))
        sections.append(("curves", "Over time", _interactive("curves", "Over time", _CHOSEN, "")))
    for i, (heading, facts) in enumerate(tables):
        sections.append((f"table-{i}", heading, table_html(heading, facts)))
    if live:
        data["live"] = True
        sections.append(("curves", "Over time", _interactive("curves", "Over time", _OVER_TIME, "")))
        html = _interactive("competition", "The competition of neurons", _COMPETING, "")
        sections.append(("competition", "Neurons", html))
    if views:
        data["curves"] = {"runs": [view.curves.data() for view in views], "overlay": overlay}
        numbers = curve_tables([view.curves for view in views])
        sections.append(("curves", "Over time", _interactive("curves", "Over time", _OVER_TIME, numbers)))
    competitions = [view.competition for view in views if view.competition is not None]
    if competitions:
        data["competition"] = {"runs": [one.data() for one in competitions]}
        numbers = competition_tables(competitions)
        html = _interactive("competition", "The competition of neurons", _COMPETING, numbers)
        sections.append(("competition", "Neurons", html))
    if figures:
        pictures = "".join(figure_html(one.id, one.title, one.data) for one in figures)
        heading = f"Figures as printed ({len(figures)})"
        sections.append(
            (
                "figures",
                "Figures",
                f"<h2>Figures</h2><details open><summary>{heading}</summary>{pictures}</details>",
            )
        )
    infos = list(runs) or [view.info for view in views]
    if infos:
        html = "".join(run_html(info) for info in infos)
        sections.append(("numbers", "Where from", f"<h2>Where the numbers come from</h2>{html}"))
    if bibtex:
        sections.append(("cite", "Cite", f"<h2>To cite</h2>{block(bibtex, 'the citation')}"))
    head = _head(title, kicker, lead, command, judged, views)
    if infos:
        head += summary_html(infos)
    if live:
        head += (
            '<p id="live" class="live" role="status">waiting for the first numbers</p><div id="glance"></div>'
        )
    return _document(title, head, sections, data)


def write_page(path: str | Path, title: str, **parts: Any) -> Path:
    """Write the page, as a whole or not at all. See `page_html` for its parts.

    Raises:
        StoreError: if it cannot be written.
    """
    from grokscope.plots.save import write_atomically

    write_atomically(path, page_html(title, **parts))
    return Path(path)


def _head(
    title: str, kicker: str, lead: str, command: str, judged: Sequence[Judged], views: Sequence[RunView]
) -> str:
    parts = [f'<p class="kicker">{escape(kicker)}</p>' if kicker else "", f"<h1>{escape(title)}</h1>"]
    if lead:
        parts.append(f'<p class="lead">{escape(lead)}</p>')
    if judged:
        parts.append(tally(judged))
    if views:
        parts.append(glance_html(views))
    if command:
        parts.append(block(command, "the command"))
    return "".join(parts)


def _interactive(name: str, heading: str, lead: str, numbers: str) -> str:
    """A section that the script fills; without scripts its tables are all there is."""
    return (
        f'<div data-component="{name}"><h2>{escape(heading)}</h2><p class="soft">{escape(lead)}</p>'
        f'<div class="app" hidden></div>{numbers}</div>'
    )


def _document(
    title: str, head: str, sections: Sequence[tuple[str, str, str]], data: Mapping[str, Any]
) -> str:
    from grokscope import __version__

    links = "".join(f'<a href="#{escape(anchor)}">{escape(name)}</a>' for anchor, name, _ in sections)
    body = "\n".join(f'<section id="{escape(anchor)}">{html}</section>' for anchor, _, html in sections)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy(live=bool(data.get("live")))}">'
        f"<title>{escape(title)}</title><style>{style()}</style></head>\n<body>\n"
        f'<a class="skip" href="#main">To the content</a>'
        f'<nav class="bar" aria-label="Sections"><div><div>{links}</div>'
        '<button type="button" id="theme" class="tool" hidden></button></div></nav>\n'
        f'<main id="main"><header>{head}</header>\n{body}\n'
        f'<p class="soft foot">Made by grokscope {escape(__version__)}. '
        f"{'' if data.get('live') else 'This page is one file; it loads nothing.'}</p></main>\n"
        '<p id="said" class="sr" role="status" aria-live="polite"></p>\n'
        f'<script type="application/json" id="page-data">{embedded_json(data)}</script>\n'
        f"<script>{script()}</script>\n</body></html>\n"
    )


def policy(*, live: bool = False) -> str:
    """The content security policy: nothing is loaded, and no script runs but our own, whatever texts contain.

    Args:
        live: the page may ask the server that it came from for numbers.
    """
    rules = {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": "'unsafe-inline'",
        "script-src": f"'{script_hash()}'",
        "base-uri": "'none'",
        "form-action": "'none'",
        **({"connect-src": "'self'"} if live else {}),
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _panels_of_claims(judged: Sequence[Judged], views: Sequence[RunView]) -> dict[str, list[str]]:
    """By id of the claim: the plots of the measures that its evidence looks at.

    Accuracies come last: most evidence looks at them only for when a seed memorized and grokked. So does the
    training loss, by which divergence is seen where a run does not record it.
    """
    by_name = {view.name: view.curves for view in views}
    found: dict[str, list[str]] = {}
    for one in judged:
        curves = by_name.get(one.claim.experiment)
        if curves is None:
            continue
        timing = {MEMORIZATION.measure, GROKKING.measure, "train_loss"}
        read = sorted(measures_read(one.claim, curves.measures), key=lambda name: name in timing)
        panels: list[str] = []
        for name in read:
            if "neuron" in curves.measures[name].dims:
                panels.append("competition")
            panels += [panel.id for panel in curves.panels if name in panel.measures]
        found[one.claim.id] = list(dict.fromkeys(panels))
    return found


def _figures_of_claims(judged: Sequence[Judged], figures: Sequence[ReportFigure]) -> dict[str, str]:
    """By id of the claim: the picture that its source names ("Fig. 3 left" is ``figure-3``)."""
    import re

    known = {figure.id for figure in figures}
    found: dict[str, str] = {}
    for one in judged:
        number = re.search(r"Fig(?:ure)?\.? (\d+)", one.claim.source)
        if number and f"figure-{number[1]}" in known:
            found[one.claim.id] = f"figure-{number[1]}"
    return found
