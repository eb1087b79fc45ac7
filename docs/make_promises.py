"""Write the table of docs/promises.md from what ``make torture`` saw: ``python docs/make_promises.py``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "promises.md"
RESULTS = ROOT / "benchmarks" / "results"
BEGIN, END = "<!-- table:begin (docs/make_promises.py) -->", "<!-- table:end -->"

# by number: what is promised, and the file of its tests
PROMISES = {
    1: ("killed and begun again, a command ends in the same bits", "test_kills"),
    2: ("wherever the disk fails or the process dies, the run is the old or the new", "test_nth_operation"),
    3: ("`grokscope verify` finds any damage to a finished run", "test_bit_rot"),
    4: ("of two writers exactly one proceeds; a dead one is taken over", "test_two_writers"),
    5: ("a run is a function of its configuration, bit for bit", "test_determinism"),
    6: ("no input brings a traceback, much memory, or a file elsewhere", "test_hostile"),
    7: ("the tests notice changes of the code", "test_mutants"),
    8: ("verdicts err, and intervals cover, as often as they say", "test_statistics"),
    9: ("nothing loaded runs code, nobody is called, licenses are known", "test_surface"),
    10: ("in long work memory is flat, commits are cheap, files are few", "test_long_work"),
    11: (
        "in daily use an open run stays as it was opened, signals are obeyed, no call spoils the next",
        "test_life",
    ),
}


def records() -> list[dict[str, Any]]:
    """The results of each part on its newest day; those of several seeds are added up."""
    found = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(RESULTS.glob("torture-*.json"))]
    return [
        added([r for r in found if r["name"] == name and r["date"] == date])
        for name, date in newest_days(found).items()
    ]


def newest_days(found: list[dict[str, Any]]) -> dict[str, str]:
    """The newest date by name."""
    days: dict[str, str] = {}
    for record in found:
        days[record["name"]] = max(record["date"], days.get(record["name"], ""))
    return days


def added(several: list[dict[str, Any]]) -> dict[str, Any]:
    """Records of one part with different seeds as one: counts and failures added, results side by side."""
    several = sorted(several, key=lambda record: record["seed"])
    results = list(dict.fromkeys(record["result"] for record in several))
    return several[-1] | {
        "count": sum(record["count"] for record in several),
        "result": "; ".join(results),
        "failures": [failure for record in several for failure in record["failures"]],
        "seed": ", ".join(str(record["seed"]) for record in several),
    }


def table() -> str:
    """One row for each part, under its promise."""
    lines = [
        "| promise, and its test | count | what was done | result | seed | date |",
        "|---|--:|---|---|--:|---|",
    ]
    found = records()
    for number, (promise, test) in PROMISES.items():
        rows = [record for record in found if Path(record["test"]).stem == test]
        for i, record in enumerate(sorted(rows, key=lambda record: record["name"])):
            first = f"{number}. {promise} (`{test}`)" if i == 0 else ""
            result = f"**{record['result']}**" if record["failures"] else record["result"]
            cells = (
                first,
                f"{record['count']:,}",
                record["what"],
                result,
                record["seed"],
                record["date"],
            )
            lines.append(f"| {' | '.join(str(cell) for cell in cells)} |")
        if not rows:
            lines.append(f"| {number}. {promise} (`{test}`) | | not run in full yet | | | |")
    return "\n".join(lines)


def page() -> str:
    """The page, with the table as it should be."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
