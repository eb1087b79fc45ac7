"""Reports: one self-contained HTML page from judged claims, figures and runs.

What is here: `reproduce` (train a paper's experiments, judge its claims, draw its figures, write its page),
`write_report` (the page of a run, of two runs, of a sweep, or of a paper's reproduction), `write_page` (any
page of claims, figures and runs). Behind them, one file for each thing on the page: ``_claims``,
``_evidence``, ``_glance``, ``_curves`` with ``_panels``, ``_competition`` with ``_weights``, ``_figures``,
``_tables``, ``_provenance``, ``_sweep``. Numbers are reduced in Python (``_arrays``) and drawn by
``assets/*.js`` (``_bundle``). What goes elsewhere: figures for papers (`grokscope.plots`), judging
(`grokscope.claims`), what belongs together (`grokscope.papers`). A page loads nothing; every text on it is
escaped.
"""

from grokscope.report._contest import finish_contest
from grokscope.report._figures import ReportFigure
from grokscope.report._folder import write_report
from grokscope.report._live import LiveReport
from grokscope.report._page import page_html, write_page
from grokscope.report._provenance import RunInfo, run_info
from grokscope.report._reproduction import Reproduction, reproduce
from grokscope.report._sweep import finish_sweep
from grokscope.report._views import RunView, view_of

__all__ = [
    "LiveReport",
    "ReportFigure",
    "Reproduction",
    "RunInfo",
    "RunView",
    "finish_contest",
    "finish_sweep",
    "page_html",
    "reproduce",
    "run_info",
    "view_of",
    "write_page",
    "write_report",
]
