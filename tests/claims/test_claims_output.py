"""Judged claims as JSON, as a table for the terminal, and in Markdown."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest

from grokscope.claims import Claim, Effect, Region, claims_markdown, claims_table, judge
from grokscope.errors import InputError
from grokscope.statistics import CensoredTimes

HIGH = Region.at_least(0.9)


def claim(kind="mean", region=HIGH, **changes):
    fields = {
        "id": "C1",
        "sentence": "It is so.",
        "source": "Fig. 1",
        "paper_value": 0.95,
        "unit": "",
        "estimand": "the parameter",
        "region": region,
        "smallest_effect": Effect(0.05, "one seed in twenty"),
        "kind": kind,
        "experiment": "standard",
        "evidence": lambda measures: measures["x"],
    }
    return Claim(**(fields | changes))


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
    assert rows[6] == "| E | It is so. | Fig. 1 | same | 0.95 | 2 | - | 5 | undecided |"
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
