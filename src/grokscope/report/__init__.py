"""Reports: one self-contained HTML page from judged claims, figures and runs.

What is here: `write_report`, the page's parts (`_sections`) and its style (`_style`). What goes elsewhere:
drawing (`grokscope.plots`), judging (`grokscope.claims`), deciding what belongs together
(`grokscope.papers`). The page has no scripts and loads nothing; every text on it is escaped.
"""

from grokscope.report._page import ReportFigure, report_html, write_report
from grokscope.report._sections import RunInfo, run_info

__all__ = ["ReportFigure", "RunInfo", "report_html", "run_info", "write_report"]
