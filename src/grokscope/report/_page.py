"""The page as a whole: sections from templates, the numbers for the plots, and the script that draws them.

Every text is escaped by the templates (``templates/*.html``, with autoescape). The page loads nothing, and
its content security policy lets no script run but ours (``assets/*.js``).
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grokscope.claims import tally
from grokscope.report._arrays import Table, embedded_json
from grokscope.report._claims import claims_section, figures_of_claims, panels_of_claims
from grokscope.report._competition import competition_tables
from grokscope.report._curves import curve_tables
from grokscope.report._figures import ReportFigure
from grokscope.report._provenance import RunInfo, summary
from grokscope.report._runs import RunView, facts_of
from grokscope.report._sweeps import SweepView

if TYPE_CHECKING:
    from jinja2 import Environment

    from grokscope.claims import Evidence, Judged, NotTestable

__all__ = ["page_html", "policy", "script", "script_hash", "write_page"]

# Joined in this order: a file may use what those before it define.
_SCRIPTS = (
    "core.js",
    "scale.js",
    "pen.js",
    "plot.js",
    "panel.js",
    "curves.js",
    "luck.js",
    "sweep.js",
    "neurons.js",
    "weights.js",
    "circuit.js",
    "proof.js",
    "player.js",
    "competition-files.js",
    "competition.js",
    "live.js",
    "page.js",
)
_OVER_TIME = (
    "One time axis for all plots: the mean over seeds with the 10th to the 90th percentile, or one seed "
    "alone. Vertical lines: memorization, grokking and, where it was computed, certified (proved from there "
    "to the end): medians, or the seed's own."
)
_CELLS = (
    "Every square is a cell: an experiment with these settings. Choose up to four to see when their seeds "
    "succeed"
)
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
    """The page as a string: nothing is loaded, only our script runs, every text is escaped.

    Args:
        title: of the page.
        judged: the claims table.
        evidence: by id of the claim, what it was judged by, for the small plots.
        figures: pictures, in order.
        views: runs to show.
        overlay: whether the runs are drawn over each other instead of one at a time.
        runs: provenance; that of the views if not given.
        kicker: a few words above the title.
        lead: a sentence under the title.
        command: the command that makes this page.
        bibtex: how to cite what was reproduced.
        tables: further tables, each a heading and rows of a name and a text.
        sweep: a sweep to show, in place of views.
        live: whether the page asks its server for the numbers, again and again.
    """
    from grokscope import __version__

    sections: list[dict[str, Any]] = []
    data: dict[str, Any] = {}

    def add(template: str, anchor: str, name: str, **context: Any) -> None:
        sections.append({"template": f"{template}.html", "id": anchor, "name": name, **context})

    def interactive(
        anchor: str, name: str, heading: str, text: str, numbers: Sequence[Table] | None = None
    ) -> None:
        add("interactive", anchor, name, heading=heading, lead=text, tables=numbers)

    if judged:
        panels = panels_of_claims(judged, [view.curves for view in views])
        anchors = figures_of_claims(judged, [figure.id for figure in figures])
        add("claims", "claims", "Claims", **claims_section(judged, evidence or {}, panels, anchors))
    if sweep is not None:
        data["sweep"] = sweep.data()
        text = f"{_CELLS}, and their curves." if sweep.curves else f"{_CELLS}."
        interactive("sweep", "Cells", "The cells", text, [sweep.table])
        if sweep.curves:
            data["curves"] = {"runs": [one.data() for one in sweep.curves], "overlay": True}
            interactive("curves", "Over time", "Over time", _CHOSEN)
    for i, (heading, rows) in enumerate(tables):
        add("facts", f"table-{i}", heading, rows=rows)
    if views:
        data["curves"] = {"runs": [view.curves.data() for view in views], "overlay": overlay}
    if views or live:
        numbers = None if live else curve_tables([view.curves for view in views])
        interactive("curves", "Over time", "Over time", _OVER_TIME, numbers)
    competitions = [view.competition for view in views if view.competition is not None]
    if competitions:
        data["competition"] = {"runs": [one.data() for one in competitions]}
    if competitions or live:
        numbers = None if live else competition_tables(competitions)
        interactive("competition", "Neurons", "The competition of neurons", _COMPETING, numbers)
    if figures:
        add("figures", "figures", "Figures", figures=figures)
    infos = list(runs) or [view.info for view in views]
    if infos:
        add("provenance", "numbers", "Provenance", runs=infos)
    if bibtex:
        add("citation", "cite", "Cite", bibtex=bibtex)
    if live:
        data["live"] = True
    return (
        _templates()
        .get_template("page.html")
        .render(
            title=title,
            kicker=kicker,
            lead=lead,
            command=command,
            counts=tally(one.to_json() for one in judged),
            facts=[{"name": view.name, "facts": facts_of(view)} for view in views],
            summary=summary(infos),
            has_provenance=bool(infos),
            sections=sections,
            live=live,
            data=embedded_json(data),
            policy=policy(live=live),
            style=_asset("page.css"),
            script=script(),
            version=__version__,
        )
    )


def write_page(path: str | Path, title: str, **parts: Any) -> Path:
    """Write the page, as a whole or not at all. See `page_html` for its parts.

    Raises:
        StoreError: if it cannot be written.
    """
    from grokscope.files import atomic_write

    atomic_write(path, page_html(title, **parts), parents=True)
    return Path(path)


def policy(*, live: bool = False) -> str:
    """The content security policy: nothing is loaded, and no script runs but ours, whatever texts contain.

    Args:
        live: whether the page may ask the server that it came from for numbers.
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


@functools.cache
def script() -> str:
    """The page's script, in a scope of its own."""
    body = "\n".join(_asset(name) for name in _SCRIPTS)
    return f'(() => {{\n"use strict";\n{body}\n}})();\n'


@functools.cache
def script_hash() -> str:
    """The script's hash, as a content security policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script().encode()).digest()).decode()}"


@functools.cache
def _asset(name: str) -> str:
    return files("grokscope.report").joinpath("assets", name).read_text(encoding="utf-8")


@functools.cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("grokscope.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
