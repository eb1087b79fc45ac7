"""Reports: one self-contained HTML page from judged claims, figures and runs.

What is here: `reproduce` (train a paper's experiments, judge its claims, draw its figures, write its page),
`write_report` (the page of a run, of two runs, of a sweep, or of a paper's reproduction), `write_page` (any
page of claims, figures and runs), the parts of a page (`_sections`) and its style (`_style`). What goes
elsewhere: drawing (`grokscope.plots`), judging (`grokscope.claims`), what belongs together
(`grokscope.papers`). A page has no scripts and loads nothing; every text on it is escaped.
"""

from grokscope.report._folder import write_report
from grokscope.report._page import ReportFigure, page_html, write_page
from grokscope.report._reproduction import Reproduction, reproduce
from grokscope.report._sections import RunInfo, run_info
from grokscope.report._sweep import finish_sweep

__all__ = [
    "ReportFigure",
    "Reproduction",
    "RunInfo",
    "finish_sweep",
    "page_html",
    "reproduce",
    "run_info",
    "write_page",
    "write_report",
]
