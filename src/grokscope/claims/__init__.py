"""Claims of papers as code, and the verdicts on them.

`Claim` is a sentence, the region of a parameter that means "holds", and a function that computes the
evidence per seed. `judge` computes intervals and tests, and controls the false-discovery rate over a
table, and says which way an undecided claim leans. `claims_overview`, `claims_table` and
`claims_markdown` write the table.

Elsewhere: the claims themselves (`grokscope.papers`, one file per paper), intervals and censored
times (`grokscope.statistics`), measures (`grokscope.measures`).
"""

from grokscope.claims._claim import Claim, Effect, Kind, Region, Setting
from grokscope.claims._evidence import Evidence, EvidenceFailed, NotTestable, gather, need
from grokscope.claims._judge import NOT_RUN, Judged, Verdict, judge
from grokscope.claims._leaning import MOST_SEEDS, Leaning, least_seeds
from grokscope.claims._table import (
    SETTINGS,
    STYLES,
    claims_markdown,
    claims_overview,
    claims_table,
    tally,
    tally_text,
)

__all__ = [
    "MOST_SEEDS",
    "NOT_RUN",
    "SETTINGS",
    "STYLES",
    "Claim",
    "Effect",
    "Evidence",
    "EvidenceFailed",
    "Judged",
    "Kind",
    "Leaning",
    "NotTestable",
    "Region",
    "Setting",
    "Verdict",
    "claims_markdown",
    "claims_overview",
    "claims_table",
    "gather",
    "judge",
    "least_seeds",
    "need",
    "tally",
    "tally_text",
]
