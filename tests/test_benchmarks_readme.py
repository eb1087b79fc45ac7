"""The README's claims and pictures are put there from a reproduction's folder, and nothing else changes."""

from __future__ import annotations

import importlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from grokscope.claims import Claim, Effect, Region, judge

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("readme_claims")


def judged(id: str, evidence: np.ndarray | None, **changes: Any) -> tuple[Claim, np.ndarray | None]:
    fields: dict[str, Any] = {
        "id": id, "sentence": "It groks.", "source": "Fig. 2", "paper_value": "yes", "unit": "",
        "estimand": "the share of seeds that grok", "region": Region.at_least(0.5),
        "smallest_effect": Effect(0.1, "one in ten"), "kind": "share", "experiment": "standard",
        "evidence": lambda measures: measures,
    }  # fmt: skip
    return Claim(**fields | changes), evidence


def claims() -> list[dict[str, Any]]:
    times = {"sentence": "Norms | part early.", "kind": "mean", "paper_value": 0.25, "unit": "epochs"}
    table = judge(
        [
            judged("A", np.ones(100)),
            judged("B", np.linspace(2000, 2002, 50), region=Region.at_most(9.0), **times),
            judged("C", None),
        ]
    )
    return [one.to_json() for one in table]


RECORD = {"paper": "two-circuits", "profile": "paper", "seeds": "100:200", "rows": [{"name": "standard"}]}


def png(size: tuple[int, int], noise: bool) -> bytes:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (*size[::-1], 3)) if noise else np.zeros((*size[::-1], 3))
    stream = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(stream, "png")
    return stream.getvalue()


def test_every_claim_is_a_row_with_its_numbers(tool: Any) -> None:
    block = tool.render(claims(), RECORD)
    head, _, a, b, after, *_ = block.splitlines()
    assert head.split(" | ")[2:] == ["paper", "ours", "95 % interval", "n", "verdict |"]
    assert a.startswith("| A | It groks. | yes | 1 | [0.964, 1] | 100 | holds |")
    assert "Norms \\| part early. | 0.25 epochs | 2001 epochs | [2001, 2001] | 50 | fails |" in b
    assert after == ""
    assert "false-discovery rate at most 0.05 over 2 claims (Benjamini-Yekutieli)." in block
    assert "`grokscope reproduce two-circuits standard --seeds 100:200 --profile paper`" in block
    assert "fixed on seeds 0-4 and are confirmed on seeds 100-199." in block
    assert "Not shown, for their experiments were not run here: C." in block
    assert "Not shown" not in tool.render(claims()[:2], RECORD)


@pytest.mark.parametrize("seeds", ["5", "0:5", "0,1", None])
def test_seeds_that_regions_were_fixed_on_confirm_nothing(tool: Any, seeds: str | None) -> None:
    block = tool.render(claims(), RECORD | {"seeds": seeds})
    assert "fixed on seeds 0-4; seeds 100-199 are kept to confirm them." in block


def test_claims_that_other_seeds_confirm_are_named_apart(tool: Any) -> None:
    first, second, _ = claims()
    both = [first, second | {"confirmed_on": "200-299"}]
    block = tool.render(both, RECORD)
    assert "Regions of A were fixed on seeds 0-4 and are confirmed on seeds 100-199." in block
    assert "Regions of B were fixed on seeds 0-4; seeds 200-299 are kept to confirm them." in block
    block = tool.render(both, RECORD | {"seeds": "200:300"})
    assert "Regions of A were fixed on seeds 0-4 and are confirmed on seeds 100-199 or later ones." in block
    assert "Regions of B were fixed on seeds 0-4 and are confirmed on seeds 200-299." in block


def test_an_open_end_is_a_word(tool: Any) -> None:
    (claim,) = claims()[:1]
    block = tool.render([claim | {"interval": [3.5, None], "value": "not reached"}], RECORD)
    assert "| not reached | [3.5, no bound] |" in block


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A README with its pictures' names, and a reproduction beside it."""
    (tmp_path / "README.md").write_text(
        "above\n![a](docs/images/figure-2.png)\n<!-- claims:begin -->\nold\n<!-- claims:end -->\nbelow\n"
    )
    figures = tmp_path / "out" / "figures"
    figures.mkdir(parents=True)
    (figures / "figure-2.png").write_bytes(png((40, 30), noise=False))
    (figures / "figure-9.png").write_bytes(b"not shown in the README")
    (tmp_path / "out" / "claims.json").write_text(json.dumps(claims()))
    (tmp_path / "out" / "reproduction.json").write_text(json.dumps(RECORD))
    return tmp_path


def test_only_the_block_and_the_pictures_shown_change(tool: Any, project: Path) -> None:
    for _ in range(2):
        written = tool.update(project / "out", project)
        assert [file.name for file in written] == ["README.md", "figure-2.png"]
    text = (project / "README.md").read_text()
    above, block, below = text.split("<!-- claims:begin -->")[0], *text.split("<!-- claims:")[1:]
    assert above == "above\n![a](docs/images/figure-2.png)\n"
    assert below == "end -->\nbelow\n"
    assert "\nold\n" not in block
    assert block.count("| holds |") == 1
    copied = [file.name for file in (project / "docs" / "images").iterdir()]
    assert copied == ["figure-2.png"]


def test_a_page_shows_pictures_by_the_name_of_their_paper(tool: Any, project: Path) -> None:
    page = project / "docs" / "papers" / "two-circuits.md"
    page.parent.mkdir(parents=True)
    page.write_text(
        "![a](../images/two-circuits-figure-2.png) ![b](../images/figure-9.png)\n"
        "<!-- claims:begin -->\n<!-- claims:end -->\n"
    )
    before = (project / "README.md").read_text()
    written = tool.update(project / "out", project, "docs/papers/two-circuits.md")
    names = ["two-circuits.md", "two-circuits-figure-2.png", "figure-9.png"]
    assert [file.name for file in written] == names
    assert page.read_text().count("| holds |") == 1
    assert (project / "README.md").read_text() == before


def test_another_page_is_rewritten_in_the_same_way(tool: Any, project: Path) -> None:
    page = project / "docs" / "papers" / "mine.md"
    page.parent.mkdir(parents=True)
    page.write_text("![a](../images/figure-2.png)\n<!-- claims:begin -->\n<!-- claims:end -->\n")
    readme = (project / "README.md").read_text()
    written = tool.update(project / "out", project, "docs/papers/mine.md")
    assert [file.name for file in written] == ["mine.md", "figure-2.png"]
    assert page.read_text().count("| holds |") == 1
    assert (project / "README.md").read_text() == readme


def test_an_experiment_that_takes_the_first_seeds_was_made_by_the_same_command(tool: Any) -> None:
    record = {"paper": "two-circuits-beyond", "seeds": "100:200"}
    trained = {
        "standard": "100:200",
        "crossed": "100:150",
        "sham-compensated": "100:110",
        "boost-2": "100:130",
    }
    assert tool.as_asked(trained, record) == {
        "standard": "100:200",
        "crossed": "100:200",
        "sham-compensated": "100:200",
        "boost-2": "100:130",
    }


@pytest.mark.parametrize("name", ["claims.json", "reproduction.json", "figures/figure-2.png"])
def test_a_folder_that_lacks_something_changes_nothing(tool: Any, project: Path, name: str) -> None:
    (project / "out" / name).unlink()
    before = (project / "README.md").read_text()
    with pytest.raises(ValueError, match=Path(name).name):
        tool.update(project / "out", project)
    assert (project / "README.md").read_text() == before
    assert not (project / "docs").exists()


def test_a_readme_without_the_place_is_refused(tool: Any, project: Path) -> None:
    (project / "README.md").write_text("nothing")
    with pytest.raises(ValueError, match="claims:begin"):
        tool.update(project / "out", project)


def test_a_large_picture_is_made_smaller_and_a_small_one_is_not(tool: Any) -> None:
    small, large = png((100, 80), noise=False), png((700, 500), noise=True)
    assert tool.smaller(small) == small
    made = tool.smaller(large)
    assert len(large) > 1_000_000
    assert len(made) <= 150_000
    shown = Image.open(io.BytesIO(made))
    assert shown.width / shown.height == pytest.approx(1.4, rel=0.02)
    with pytest.raises(ValueError, match="cannot be brought below"):
        tool.smaller(large, most=10)


def test_the_script_says_what_is_missing(tool: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["readme_claims.py", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"lacks .*claims\.json"):
        tool.main()


def test_the_readme_of_the_project_has_the_places(tool: Any) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = importlib.import_module("_table")
    assert "new" in tool.replace_block(text, "new")
    assert "new" in table.replace_block(text, "new")


def test_a_page_of_several_papers_has_a_block_for_each(tool: Any, project: Path) -> None:
    page = project / "docs" / "regimes.md"
    page.parent.mkdir(exist_ok=True)
    page.write_text(
        "![a](../images/two-circuits-figure-2.png)\n<!-- claims:begin two-circuits -->\nstale\n"
        "<!-- claims:end two-circuits -->\n![b](../images/width-width.png)\n<!-- claims:begin width -->\n"
        "its own\n<!-- claims:end width -->\n"
    )
    written = tool.update(project / "out", project, "docs/regimes.md")
    assert [file.name for file in written] == ["regimes.md", "two-circuits-figure-2.png"]
    text = page.read_text()
    assert "stale" not in text
    assert "its own" in text
    assert text.index("| A | It groks.") < text.index("claims:end two-circuits")


def test_a_page_with_two_tables_of_a_paper_has_a_block_for_each_folder(tool: Any, project: Path) -> None:
    page = project / "docs" / "papers" / "mine.md"
    page.parent.mkdir(parents=True)
    page.write_text(
        "![a](../images/figure-2.png)\n<!-- claims:begin one -->\nstale\n<!-- claims:end one -->\n"
        "![b](../images/figure-4.png)\n<!-- claims:begin two -->\nits own\n<!-- claims:end two -->\n"
    )
    written = tool.update(project / "out", project, "docs/papers/mine.md", block="one")
    assert [file.name for file in written] == ["mine.md", "figure-2.png"]
    text = page.read_text()
    assert ("stale" in text, "its own" in text) == (False, True)
    assert text.index("| A | It groks.") < text.index("claims:end one")
    with pytest.raises(ValueError, match="claims:begin three"):
        tool.update(project / "out", project, "README.md", block="three")
    with pytest.raises(ValueError, match=r"figure-4\.png"):  # without the block all pictures are asked for
        tool.update(project / "out", project, "docs/papers/mine.md")


def test_an_undecided_claim_says_which_way_it_leans(tool: Any) -> None:
    few = [one.to_json() for one in judge([judged("A", np.ones(4))])]
    block = tool.render(few, RECORD)
    assert "| 4 | undecided, leans to holds: 4 of 4 seeds; about 6 would decide |" in block
    assert "Would decide: so many seeds in all, if all are like these, by the interval alone." in block
    assert "Would decide" not in tool.render(claims(), RECORD)
