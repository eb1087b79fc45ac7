"""The page: everything on it, escaped, self-contained, readable without color."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

from grokscope.claims import Claim, Effect, Judged, Leaning, Region
from grokscope.experiment import Experiment
from grokscope.report import ReportFigure, page_html, run_info, view_of, write_page, write_report
from grokscope.report._page import script
from synthetic_runs import SyntheticRun, synthetic_run

EVIL = '<script>alert("x")</script>&"\''
CLAIM = Claim(
    id="C1",
    sentence="Sentence one.",
    source="Fig. 2",
    paper_value=0.5,
    unit="epochs",
    estimand="the estimand",
    region=Region.at_least(0.8),
    smallest_effect=Effect(0.1, "why it matters"),
    kind="share",
    experiment="standard",
    evidence=lambda m: m,
)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><circle r="4"/></svg>'


def judged(verdict: str = "holds", **changes: object) -> Judged:
    return Judged(replace(CLAIM, **changes), 0.9, (0.81, 0.97), 100, verdict, "Wilson")  # type: ignore[arg-type]


def test_an_undecided_verdict_says_which_way_it_leans() -> None:
    lean = replace(judged("undecided"), leaning=Leaning("fails", 3, 5, 120))
    tags = parsed(page_html("Title", judged=[judged(id="C0"), lean]))
    assert "leans to fails: 3 of 5 seeds; about 120 would decide" in tags.text
    assert re.search(r"1\s*holds\s*1\s*leans to fails", tags.text)  # the tally at the top


class Tags(HTMLParser):
    """Collects tags and attributes, and checks that they are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)), f"<{tag}> has an attribute twice: {attrs}"
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["script"]:
            self.scripts.append(data)
        elif self.open[-1:] != ["style"]:
            self.text += data


def parsed(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    assert not tags.open
    return tags


def test_a_claim_is_shown_with_all_that_belongs_to_it() -> None:
    tags = parsed(page_html("Title", judged=[judged()]))
    for text in (
        "C1",
        "Sentence one.",
        "Fig. 2",
        "0.5 epochs",
        "0.9 epochs",
        "0.81 to 0.97",
        "100",
        "Holds if the estimand is >= 0.8 epochs.",
        "0.1 (why it matters)",
        "fixed on seeds 0-4 and are confirmed on seeds 100-199",
    ):
        assert text in tags.text, text


@pytest.mark.parametrize("verdict", ["holds", "fails", "undecided", "not testable"])
def test_a_verdict_has_its_word_besides_its_color(verdict: str) -> None:
    tags = parsed(page_html("Title", judged=[judged(verdict)]))
    assert ("span", {"class": f"verdict {verdict.replace(' ', '-')}"}) in tags.seen
    assert verdict in tags.text


def test_every_text_is_escaped() -> None:
    run = synthetic_run(["groks"], experiment=Experiment(task="sparse_parity", epochs=300, name=EVIL))
    run.provenance.update({EVIL: EVIL, "versions": {EVIL: [EVIL]}})
    evil = judged(id=EVIL, sentence=EVIL, source=EVIL, paper_value=EVIL, unit=EVIL, estimand=EVIL,
                  experiment=EVIL, fixed_on=EVIL, confirmed_on=EVIL,
                  smallest_effect=Effect(0.1, EVIL))  # fmt: skip
    run.measures = run.measures.assign({EVIL: run.measures["train_loss"]})
    run.measures[EVIL].attrs["units"] = EVIL
    page = page_html(
        EVIL,
        judged=[replace(evil, note=EVIL, method=EVIL)],
        evidence={EVIL: np.array([1.0, 0.0])},
        figures=[ReportFigure(EVIL, EVIL, SVG)],
        views=[view_of(run, EVIL, EVIL)],
        tables=[(EVIL, [(EVIL, EVIL)])],
        kicker=EVIL,
        lead=EVIL,
        command=EVIL,
        bibtex=EVIL,
    )
    tags = parsed(page)
    # The numbers, which are no program, and our own script.
    assert [attributes for tag, attributes in tags.seen if tag == "script"] == [
        {"type": "application/json", "id": "page-data"},
        {},
    ]
    assert tags.scripts[1] == script()
    assert not re.search("[<>]script|<!--", tags.scripts[0])
    assert EVIL in json.loads(tags.scripts[0])["curves"]["runs"][0]["name"]
    assert not [name for _, attributes in tags.seen for name in attributes if name.startswith("on")]
    assert tags.text.count(EVIL) >= 24


def test_only_our_script_may_run() -> None:
    page = page_html("Title")
    policy = next(
        attributes["content"] or "" for tag, attributes in parsed(page).seen if "http-equiv" in attributes
    )
    digest = base64.b64encode(hashlib.sha256(parsed(page).scripts[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "connect-src" not in policy


def test_nothing_is_loaded_and_figures_are_inside() -> None:
    png = b"\x89PNG\r\n\x1a\n"
    figures = [ReportFigure("a", "First.", SVG), ReportFigure("b", "Second.", png)]
    page = page_html("Title", figures=figures)
    sources = [attributes["src"] for tag, attributes in parsed(page).seen if tag == "img"]
    assert [re.split("[;,]", source or "")[0] for source in sources] == [
        "data:image/svg+xml",
        "data:image/png",
    ]
    assert unquote((sources[0] or "").partition(",")[2]).encode() == SVG
    # The one address is the name of SVG's vocabulary, which is never fetched.
    bare = re.sub('src="[^"]*"', "", page).replace("http://www.w3.org/2000/svg", "")
    # The script of a page that is served asks its server; the policy of a page on disk forbids that.
    assert "default-src 'none'" in page
    assert "connect-src" not in page
    bare = bare.replace('fetch("data"', "")
    assert not re.search(r"https?://|@import|url\((?!#)|\bfetch\(|XMLHttpRequest|EventSource|WebSocket", bare)


def test_where_numbers_come_from_is_told() -> None:
    run = synthetic_run(["groks"] * 3)
    run.provenance.update(
        {"wall_seconds": 12.3456, "git_dirty": False, "versions": {"jax": "0.10"}, "host": None}
    )
    text = parsed(page_html("Title", runs=[run_info("standard", run, "What it is.")])).text
    for wanted in (
        "standard",
        "What it is.",
        "3 (0-2)",
        "12.35",
        "git dirtyno",
        "jax 0.10",
        "weight_decay = 0.01",
    ):
        assert wanted in text, wanted


def test_the_page_is_written_as_a_whole(tmp_path: Path) -> None:
    file = write_page(tmp_path / "new" / "report.html", "Title", judged=[judged()])
    assert file.read_text(encoding="utf-8") == page_html("Title", judged=[judged()])
    assert [path.name for path in file.parent.iterdir()] == ["report.html"]


def test_a_runs_page_and_that_of_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stored(SyntheticRun):
        """What the overview asks for besides."""

        identity, steps_done, is_complete = "0" * 64, (9600,), True

    def open_run(path: Path) -> Stored:
        made = synthetic_run(["groks", "never"], seed=len(str(path)))
        return Stored(made.measures, made.subnetworks, made.experiment, Path(path))

    monkeypatch.setattr("grokscope.runs.open_run", open_run, raising=False)
    one = parsed(write_report(tmp_path).read_text())
    assert "grokking" in one.text
    assert "1 of 2" in one.text  # one of the two groks
    assert [json.loads(one.scripts[0])[key]["runs"][0]["members"] for key in ("curves", "competition")] == [
        ["0", "1"],
        ["0", "1"],
    ]
    two = parsed(write_report(tmp_path / "a", tmp_path / "bb", out=tmp_path / "two.html").read_text())
    assert "ratio of times, first over second" in two.text
    assert json.loads(two.scripts[0])["curves"]["overlay"] is True
    assert len(json.loads(two.scripts[0])["curves"]["runs"]) == 2
    ids = [attributes["id"] for tag, attributes in two.seen if "id" in attributes]
    assert len(set(ids)) == len(ids)
