"""Judged claims as JSON, as a table for the terminal, and in Markdown."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest

from grokscope.claims import (
    Region,
    claims_markdown,
    claims_overview,
    claims_table,
    judge,
    tally,
    tally_text,
)
from grokscope.errors import InputError
from grokscope.statistics import CensoredTimes
from made_up_claims import claim

CONTRACT = {
    "id", "sentence", "source", "paper_value", "value", "unit", "interval", "seeds", "verdict",
    "experiment",
}  # fmt: skip


def examples():
    shape = {"sentence": "a | b [bold] <b>"}
    times = CensoredTimes([1.0] * 8, [math.inf] * 8)
    return judge(
        [
            (claim("share", id="A", unit="of seeds"), np.ones(60)),
            (claim(id="B", **shape), np.linspace(0, 0.5, 10)),
            (claim("median", id="C", paper_value="yes"), times),
            (claim(id="D", paper_value=None), None),
            (claim("median", id="E", confirmed_on="5-9"), np.arange(5.0)),
        ]
    )


def test_json_follows_the_contract():
    entries = json.loads(json.dumps([one.to_json() for one in examples()], allow_nan=False))
    assert all(set(entry) >= CONTRACT for entry in entries)
    a, b, c, d, e = entries
    assert (a["verdict"], a["value"], a["seeds"], a["unit"]) == ("holds", 1.0, 60, "of seeds")
    assert a["interval"] == pytest.approx([0.025 ** (1 / 60), 1.0])
    assert (b["verdict"], b["region"], b["method"]) == ("fails", ">= 0.9", "Student's t")
    assert (c["verdict"], c["value"], c["interval"]) == ("holds", "not reached", [1.0, None])
    assert (d["verdict"], d["value"], d["interval"], d["seeds"]) == ("not testable", None, None, 0)
    assert e["interval"] is None
    assert "over 4 claims (Benjamini-Yekutieli)" in a["control"]


def test_the_terminal_table_says_everything():
    from rich.console import Console

    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(claims_table(examples(), title="two-circuits"))
    text = console.export_text()
    for word in ("two-circuits", "a | b [bold] <b>", "holds", "fails", "undecided", "not testable"):
        assert word in text
    assert "not reached" in text
    assert "[1, inf]" in text
    assert "D: its experiment was not run" in text
    assert "false-discovery rate at most 0.05 over 4 claims" in " ".join(text.split())


def test_markdown_has_one_row_per_claim_and_escapes():
    lines = claims_markdown(examples()).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert rows[:2] == [
        "| id | claim | source | setting | paper | ours | interval | n | verdict |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    assert rows[3].startswith(r"| B | a \| b [bold] &lt;b> | Fig. 1 | same | 0.95 | 0.25 | [0.")
    assert rows[3].endswith("| 10 | fails |")
    words = "undecided, leans to holds: 4 of 5 seeds; about 14 would decide"
    assert rows[6] == f"| E | It is so. | Fig. 1 | same | 0.95 | 2 | - | 5 | {words} |"
    assert any("Regions were fixed on seeds 0-4; seeds 5-9 are kept" in line for line in lines)


def test_regions_that_were_fixed_beforehand_were_fixed_on_no_seeds():
    one = claim(fixed_on="none (fixed beforehand)", confirmed_on="100-124")
    text = claims_markdown(judge([(one, np.array([0.95, 0.96, 0.97]))]))
    assert "Regions were fixed beforehand; seeds 100-124 are kept to confirm them." in text


def test_json_says_the_smallest_effect_that_matters():
    sampled, exact = judge(
        [
            (claim(), np.array([0.95, 0.96, 0.97])),
            (claim("deterministic", id="C2", smallest_effect=None), np.array(1.0)),
        ]
    )
    assert sampled.to_json()["smallest_effect"] == "0.05 (one seed in twenty)"
    assert exact.to_json()["smallest_effect"] is None


def test_tables_say_what_a_small_setting_is():
    judged = judge(
        [
            (claim(id="A"), np.ones(3)),
            (claim(id="B", setting="small", reduced="p = 53 instead of 97"), np.ones(3)),
            (claim(id="C", setting="own"), np.ones(3)),
        ]
    )
    text = claims_markdown(judged)
    assert re.findall(r"\| Fig. 1 \| (\w+) \|", text) == ["same", "small", "own"]
    assert "B: p = 53 instead of 97." in text
    assert "Setting own: a control or correction that the paper lacks." in text
    assert [one.to_json()["setting"] for one in judged] == ["same", "small", "own"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"setting": "tiny"}, "setting = 'tiny', must be one of same, small, own"),
        ({"setting": "small"}, "setting = 'small' needs reduced"),
        ({"reduced": "p = 53"}, "must be empty for setting = 'same'"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        claim(**changes)


# One line a claim


def demo(unit="orders of magnitude"):
    """Claims of all verdicts, as many seeds would give them; entries of claims.json."""
    few = np.array([1.0, 0.0, 0.0, 0.0, 0.0])
    noise = np.random.default_rng(0)
    judged = judge(
        [
            (claim(id="C1a", name="memorizes long before it groks", sentence="It is so."), None),
            (claim("share", id="C2", name="it groks"), np.ones(60)),
            (claim("share", id="C3", sentence="Every network groks in the end, " * 3), np.ones(5)),
            (claim("share", id="C4", sentence="So does every other network."), np.ones(5)),
            (claim("share", id="C5", region=Region.at_most(0.1)), few),
            (claim(id="C6", unit=unit, region=Region.at_least(-12000)), np.linspace(-10001, -9999, 9)),
            (claim(id="C7", setting="small", reduced="p = 53 instead of 97"), noise.normal(0, 0.1, 40)),
            (claim("median", id="N1-constant-c", setting="own"), np.arange(5.0)),
            (claim("median", id="C8"), CensoredTimes([1.0] * 8, [math.inf] * 8)),
        ]
    )
    return [one.to_json() for one in judged]


def test_a_tally_counts_which_way_claims_lean():
    assert tally_text(demo()) == "3 hold, 1 fails, 3 lean to holds, 1 leans to fails, 1 not testable"
    assert tally(demo())[2] == (3, "undecided", "lean to holds")
    # a file of an earlier version says no leaning
    assert tally_text([{"verdict": "undecided"}, {"verdict": "holds"}]) == "1 holds, 1 undecided"
    assert tally_text([]) == ""


@pytest.mark.parametrize("width", [90, 100, 200])
def test_a_claim_is_one_line_of_a_terminal(width):
    lines = claims_overview(demo(), width).plain.split("\n")
    assert max(map(len, lines)) <= width
    header, rows = lines[0], lines[1:10]
    assert [row.split()[0] for row in rows] == [one["id"] for one in demo()]
    at = header.index("verdict")
    assert [row[at:] for row in rows[:4]] == [
        "not testable",
        "holds",
        "undecided, leans to holds",
        "undecided, leans to holds",
    ]
    assert "1 [0.94, 1]" in rows[1]
    assert "-10000 [-10001, -9999]" in rows[5]  # the number stays, whatever is shortened
    assert "not reached [1, inf]" in rows[8]
    assert lines[10] == ""


def test_names_are_complete_in_100_columns_and_units_give_way():
    text = claims_overview(demo(), 100).plain
    assert "memorizes long before it groks" in text
    assert "Every network groks in the..." in text
    assert "-10000 [-10001, -9999]  " in text
    assert "orders of magnitude" not in text
    assert "-9999] orders of magnitude  " in claims_overview(demo(), 200).plain
    assert "-9999] orders of mag...  " in claims_overview(demo(), 119).plain


def test_reasons_come_once_with_the_ids_of_their_claims():
    told = claims_overview(demo(), 200).plain.split("\n")[11:]
    assert told[0] == "3 hold, 1 fails, 3 lean to holds, 1 leans to fails, 1 not testable."
    assert "C3, C4: 5 of 5 seeds; about 36 would decide." in told
    assert told.index("C3, C4: 5 of 5 seeds; about 36 would decide.") < told.index(
        "C5: 1 of 5 seeds; about 50 would decide."
    )
    assert sum("by the interval alone" in line for line in told) == 1
    assert "N1-constant-c: 5 seeds cannot bound a median at 95 %." in told
    assert "C1a: its experiment was not run." in told
    assert "C7: p = 53 instead of 97." in told
    assert "N1-constant-c: a control or correction that the paper lacks." in told


def test_what_is_said_of_all_claims_names_none():
    entries = [one | {"setting": "own"} for one in demo()]
    assert "all claims: a control or correction that the paper lacks." in claims_overview(entries).plain


@pytest.mark.parametrize("width", [10, 40, 60, 80])
def test_a_narrow_terminal_gets_two_lines_a_claim_or_more(width):
    text = claims_overview(demo(), width).plain
    assert max(map(len, text.split("\n"))) <= max(width, 40)
    flat = " ".join(text.split())
    assert "C3 undecided, leans to holds Every network groks in the end, E... 1 [0.478, 1] C4" in flat
    assert "-10000 [-10001, -9999] orders of magnitude" in flat


def test_a_file_of_an_earlier_version_has_its_table():
    old = [{k: one[k] for k in CONTRACT} for one in demo()]
    lines = claims_overview(old, 100).plain.split("\n")
    assert lines[3].split()[-1] == "undecided"
    assert lines[11] == "3 hold, 1 fails, 4 undecided, 1 not testable."


def test_a_file_may_hold_anything():
    odd = {"id": "X", "sentence": "S.", "verdict": "?", "value": ["a"], "interval": ["low", {}], "unit": 3}
    odd |= {"name": 7, "words": 8, "leaning": [1], "seeds_to_decide": "many", "note": 5, "reduced": {}}
    (row,) = [line for line in claims_overview([*demo(), odd]).plain.splitlines() if line.startswith("X ")]
    assert row.split() == ["X", "7", "['a']", "[low,", "{}]", "8"]


def test_the_full_table_has_the_words():
    from rich.console import Console

    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(claims_table(examples()))
    words = " ".join("".join(line.split("│")[-2:-1]).strip() for line in console.export_text().splitlines())
    assert "undecided, leans to holds: 4 of 5 seeds; about 14 would decide" in " ".join(words.split())


def test_json_has_the_words_and_what_they_are_made_of():
    entry = demo()[2]
    assert entry["words"] == "undecided, leans to holds: 5 of 5 seeds; about 36 would decide"
    keys = ("verdict", "leaning", "agreeing", "seeds_to_decide", "withheld", "name")
    assert [entry[key] for key in keys] == ["undecided", "holds", 5, 36, False, ""]
    decided = demo()[1]
    assert [decided[key] for key in keys] == ["holds", None, None, None, False, "it groks"]
    assert decided["words"] == "holds"


def test_a_name_has_at_most_36_characters():
    assert claim(name="x" * 36).name == "x" * 36
    with pytest.raises(InputError, match=r"claim C1: name = .* has 37 characters, at most 36 are allowed"):
        claim(name="x" * 37)
