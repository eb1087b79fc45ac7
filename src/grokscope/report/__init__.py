"""Reports: one self-contained HTML page about a run, a sweep, a contest or a paper's reproduction.

What is here: `write_report` (the page of what is in a folder), `reproduce` (reproduce a paper and
write its page), `write_page` (any page of claims, figures and runs), `LiveReport` (the page of a run while it
trains). There is one file for each section of the page, which reduces its numbers in Python; templates and
scripts (``templates/``, ``assets/``) make the HTML and draw. What goes elsewhere: figures for papers
(`grokscope.plots`), judging (`grokscope.claims`), planning and training a paper (`grokscope.reproduction`).
"""

from grokscope.report._figures import ReportFigure
from grokscope.report._live import LiveReport
from grokscope.report._page import page_html, write_page
from grokscope.report._provenance import RunInfo, run_info
from grokscope.report._results import (
    finish_contest,
    finish_sweep,
    reproduce,
    show,
    write_report,
)
from grokscope.report._runs import RunView, view_of

__all__ = [
    "LiveReport",
    "ReportFigure",
    "RunInfo",
    "RunView",
    "finish_contest",
    "finish_sweep",
    "page_html",
    "reproduce",
    "run_info",
    "show",
    "view_of",
    "write_page",
    "write_report",
]
