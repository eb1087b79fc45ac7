"""Claims of papers as code, and the verdicts on them.

What is here: `Claim` (a sentence, the region of a parameter that means "holds", the evidence per
seed), `judge` (intervals, tests, control of the false-discovery rate over a table) and the table
for the terminal and for Markdown.
What goes elsewhere: the claims themselves (`grokscope.papers`, one file per paper), intervals and
censored times (`grokscope.statistics`), measures (`grokscope.measures`).
"""

from grokscope.claims._claim import Claim, Effect, Kind, Region
from grokscope.claims._evidence import Evidence, NotTestable, gather, need
from grokscope.claims._judge import Judged, Verdict, judge
from grokscope.claims._table import claims_markdown, claims_table

__all__ = [
    "Claim",
    "Effect",
    "Evidence",
    "Judged",
    "Kind",
    "NotTestable",
    "Region",
    "Verdict",
    "claims_markdown",
    "claims_table",
    "gather",
    "judge",
    "need",
]
