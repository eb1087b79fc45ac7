"""The page as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from grokscope.report._sections import RunInfo, claims_section, figure_html, run_html, table_html, tally
from grokscope.report._style import STYLE

if TYPE_CHECKING:
    from grokscope.claims import Judged

__all__ = ["ReportFigure", "page_html", "write_page"]


@dataclass(frozen=True)
class ReportFigure:
    """A figure for the page.

    Attributes:
        id: its anchor.
        title: its caption and what is read out for those who cannot see it.
        data: SVG or PNG.
    """

    id: str
    title: str
    data: bytes


def page_html(
    title: str,
    *,
    judged: Sequence[Judged] = (),
    figures: Sequence[ReportFigure] = (),
    runs: Sequence[RunInfo] = (),
    lead: str = "",
    command: str = "",
    bibtex: str = "",
    tables: Sequence[tuple[str, Sequence[tuple[str, str]]]] = (),
) -> str:
    """The page as a string: no scripts, nothing loaded, every text escaped.

    Args:
        title: of the page.
        judged: the claims table.
        figures: in order.
        runs: where the numbers come from.
        lead: a sentence under the title.
        command: what makes this page.
        bibtex: how to cite what was reproduced.
        tables: further tables, each a heading and rows of a name and a text.
    """
    from grokscope import __version__

    parts = [f"<h1>{escape(title)}</h1>"]
    if lead:
        parts.append(f"<p>{escape(lead)}</p>")
    if command:
        parts.append(f"<pre>{escape(command)}</pre>")
    if judged:
        parts += [tally(judged), "<h2>Claims</h2>", claims_section(judged)]
    parts += [table_html(heading, rows) for heading, rows in tables]
    if figures:
        parts += ["<h2>Figures</h2>", *(figure_html(one.id, one.title, one.data) for one in figures)]
    if runs:
        parts += ["<h2>Where the numbers come from</h2>", *(run_html(info) for info in runs)]
    if bibtex:
        parts += ["<h2>To cite</h2>", f"<pre>{escape(bibtex.strip())}</pre>"]
    parts.append(f'<p class="soft">Made by grokscope {escape(__version__)}.</p>')
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        # Nothing may run or be loaded, whatever the texts above contain.
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body><main>\n"
        + "\n".join(parts)
        + "\n</main></body></html>\n"
    )


def write_page(
    path: str | Path,
    title: str,
    *,
    judged: Sequence[Judged] = (),
    figures: Sequence[ReportFigure] = (),
    runs: Sequence[RunInfo] = (),
    lead: str = "",
    command: str = "",
    bibtex: str = "",
    tables: Sequence[tuple[str, Sequence[tuple[str, str]]]] = (),
) -> Path:
    """Write the page, as a whole or not at all. See `page_html` for the arguments.

    Raises:
        StoreError: if it cannot be written.
    """
    from grokscope.plots.save import write_atomically

    text = page_html(
        title,
        judged=judged,
        figures=figures,
        runs=runs,
        lead=lead,
        command=command,
        bibtex=bibtex,
        tables=tables,
    )
    write_atomically(path, text)
    return Path(path)
