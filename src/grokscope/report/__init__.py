"""Reports: one self-contained HTML page from judged claims, figures and runs.

What is here: `write_report` (the page of a run, of two runs, or of a paper's reproduction), `write_page`
(any page of claims, figures and runs), the parts of a page (`_sections`) and its style (`_style`). What goes
elsewhere: drawing (`grokscope.plots`), judging (`grokscope.claims`), deciding what belongs together
(`grokscope.papers`). A page has no scripts and loads nothing; every text on it is escaped.
"""

from grokscope.report._folder import write_report
from grokscope.report._page import ReportFigure, page_html, write_page
from grokscope.report._sections import RunInfo, run_info

__all__ = ["ReportFigure", "RunInfo", "page_html", "run_info", "write_page", "write_report"]
