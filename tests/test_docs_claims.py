"""Verdicts and pictures are kept from a reproduction's folder; every table of a page is made from these."""

from __future__ import annotations

import io
import itertools
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from grokscope.claims import Claim, Effect, Region, judge
from grokscope.cli import main
from grokscope.papers import papers
from grokscope.papers.literature import JudgedTable, judged_tables, literature
from scripts import script

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def tool() -> Any:
    return script(ROOT / "docs" / "make_claims.py")


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


def table(entries: list[dict[str, Any]], name: str = "two-circuits", **changes: Any) -> JudgedTable:
    fields: dict[str, Any] = {
        "paper": "two-circuits", "profile": "paper", "seeds": "100:200", "trained": {"standard": "100:200"},
        "seconds": 90.0, "version": "0.1.0", "date": "2026-01-02", "entries": entries,
    }  # fmt: skip
    return JudgedTable(name=name, **fields | changes)


RECORD = {"paper": "two-circuits", "profile": "paper", "seeds": "100:200", "rows": [{"name": "standard"}]}


def png(size: tuple[int, int], noise: bool) -> bytes:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (*size[::-1], 3)) if noise else np.zeros((*size[::-1], 3))
    stream = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(stream, "png")
    return stream.getvalue()


def test_every_claim_is_a_row_with_its_numbers(tool: Any) -> None:
    block = tool.render(table(claims()))
    head, _, a, b, after, *_ = block.splitlines()
    assert head.split(" | ")[2:] == ["paper", "ours", "95 % interval", "n", "verdict |"]
    assert a.startswith("| A | It groks. | yes | 1 | [0.964, 1] | 100 | holds |")
    assert "Norms \\| part early. | 0.25 epochs | 2001 epochs | [2001, 2001] | 50 | fails |" in b
    assert after == ""
    assert "false-discovery rate at most 0.05 over 2 claims (Benjamini-Yekutieli)." in block
    assert "`grokscope reproduce two-circuits standard --seeds 100:200 --profile paper`" in block
    assert "fixed on seeds 0-4 and are confirmed on seeds 100-199." in block
    assert "Not shown, for their experiments were not run here: C." in block
    assert "Not shown" not in tool.render(table(claims()[:2]))


@pytest.mark.parametrize("seeds", ["5", "0:5", "0,1", None])
def test_seeds_that_regions_were_fixed_on_confirm_nothing(tool: Any, seeds: str | None) -> None:
    block = tool.render(table(claims(), trained={"standard": seeds}))
    assert "fixed on seeds 0-4; seeds 100-199 are kept to confirm them." in block


def test_claims_that_other_seeds_confirm_are_named_apart(tool: Any) -> None:
    first, second, _ = claims()
    both = [first, second | {"confirmed_on": "200-299"}]
    block = tool.render(table(both))
    assert "Regions of A were fixed on seeds 0-4 and are confirmed on seeds 100-199." in block
    assert "Regions of B were fixed on seeds 0-4; seeds 200-299 are kept to confirm them." in block
    block = tool.render(table(both, trained={"standard": "200:300"}))
    assert "Regions of A were fixed on seeds 0-4 and are confirmed on seeds 100-199 or later ones." in block
    assert "Regions of B were fixed on seeds 0-4 and are confirmed on seeds 200-299." in block


def test_an_open_end_is_a_word(tool: Any) -> None:
    (claim,) = claims()[:1]
    block = tool.render(table([claim | {"interval": [3.5, None], "value": "not reached"}]))
    assert "| not reached | [3.5, no bound] |" in block


def test_an_undecided_claim_says_which_way_it_leans(tool: Any) -> None:
    few = [one.to_json() for one in judge([judged("A", np.ones(4))])]
    block = tool.render(table(few))
    assert "| 4 | undecided, leans to holds: 4 of 4 seeds; about 6 would decide |" in block
    assert "Would decide: so many seeds in all, if all are like these, by the interval alone." in block
    assert "Would decide" not in tool.render(table(claims()))


def test_a_command_names_the_experiments_unless_they_are_all_that_is_run_by_default() -> None:
    paper = papers()["two-circuits-beyond"]
    every = {one.name: "200:300" for one in paper.experiments if one.default}
    kept = table([], paper="two-circuits-beyond", trained=every)
    assert kept.commands == ["grokscope reproduce two-circuits-beyond --seeds 200:300 --profile paper"]
    few = table([], paper="two-circuits-beyond", trained=every | {"5-bits": "200:220"})
    assert [len(command.split()) for command in few.commands] == [3 + len(every) - 1 + 4, 3 + 1 + 4]


# --- all papers ---


@pytest.fixture
def verdicts(tmp_path: Path) -> Path:
    """Two tables of one paper, none of the others; a claim is in both, and once more in a small setting."""
    folder = tmp_path / "verdicts"
    folder.mkdir()
    again = claims()[1]
    entries = [again, again | {"setting": "small", "reduced": "p = 7"}]
    further = table(entries, "two-circuits-more", trained={"addition": "0:4"}, date="2026-01-03")
    for one in (table(claims()), further):
        (folder / f"{one.name}.json").write_text(one.text())
    return folder


def test_what_is_kept_is_read_as_it_was_written(verdicts: Path) -> None:
    kept = judged_tables(verdicts)
    assert list(kept) == ["two-circuits", "two-circuits-more"]
    assert kept["two-circuits"] == table(claims())


def test_a_paper_is_one_row_over_all_its_tables(verdicts: Path) -> None:
    found = {one.paper.kind: one for one in literature(verdicts)}
    assert set(found) == set(papers())
    one = found["two-circuits"]
    assert one.facts == {
        "experiments": f"2 of {len(one.paper.experiments)}", "claims": "1 holds, 2 fail",
        "settings": "2 same, 1 small", "seeds": "50-100",
        "time": "3 min", "date": "2026-01-03", "version": "0.1.0",
    }  # fmt: skip
    assert [failing.entry["id"] for failing in one.failing] == ["B", "B"]
    assert found["grokking"].facts["claims"] == "not judged yet"


def test_a_reason_that_was_found_stands_beside_the_claim_that_fails(tool: Any, tmp_path: Path) -> None:
    paper = papers()["two-circuits"]
    known = next(iter(paper.reasons))
    two = [claims()[1] | {"id": known}, claims()[1] | {"id": "unknown"}]
    (tmp_path / "two-circuits.json").write_text(table(two).text())
    page = tool.literature_page(literature(tmp_path), {})
    lines = [line for line in page.splitlines() if line.startswith("- **")]
    assert [line.split("*")[-2] for line in lines] == [paper.reasons[known], "The reason is open."]
    assert "(same) Norms \\| part early. Ours: 2001 epochs [2001, 2001], n = 50." in lines[0]


def test_the_command_prints_the_same_verdicts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["papers", "--verdicts", "--json"]) == 0
    printed = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    for one in literature():
        assert printed[one.paper.kind]["claims"] == one.facts["claims"]
        assert [row["id"] for row in printed[one.paper.kind]["failing"]] == [
            f.entry["id"] for f in one.failing
        ]
    assert main(["papers", "--verdicts"]) == 0
    text = capsys.readouterr().out
    assert all(
        re.search(rf"^{re.escape(name)} .*{re.escape(one['claims'])}", text, re.M)
        for name, one in printed.items()
    )


def test_every_kept_table_is_of_a_paper_and_of_its_claims() -> None:
    for one in judged_tables().values():
        paper = papers()[one.paper]
        assert {entry["id"] for entry in one.entries} <= {claim.id for claim in paper.claims}
        assert set(one.trained) <= {experiment.name for experiment in paper.experiments}


def test_all_tables_of_the_pages_are_current(tool: Any) -> None:
    for page, text in tool.pages().items():
        assert page.read_text(encoding="utf-8") == text, "run: python docs/make_claims.py"


# --- pages ---


@pytest.fixture
def project(tmp_path: Path, verdicts: Path) -> Path:
    """A project with a page of each sort, its kept verdicts, and a reproduction beside it."""
    (tmp_path / "docs" / "papers").mkdir(parents=True)
    (tmp_path / "docs" / "images").mkdir()
    places = "<!-- literature:begin -->\nold\n<!-- literature:end -->\n"
    (tmp_path / "README.md").write_text(f"![a](docs/images/two-circuits-figure-2.png)\n{places}below\n")
    (tmp_path / "docs" / "index.md").write_text(places)
    (tmp_path / "docs" / "papers" / "mine.md").write_text(
        "above\n![b](../images/two-circuits-figure-3.png) ![c](../images/width-width.png)\n"
        "<!-- claims:begin two-circuits -->\nold\n<!-- claims:end two-circuits -->\nbetween\n"
        "<!-- claims:begin two-circuits-more -->\nold\n<!-- claims:end two-circuits-more -->\nbelow\n"
    )
    figures = tmp_path / "out" / "figures"
    figures.mkdir(parents=True)
    for name in ("figure-2", "figure-3", "figure-9", "width"):
        (figures / f"{name}.png").write_bytes(png((40, 30), noise=False))
    (tmp_path / "out" / "claims.json").write_text(json.dumps(claims()))
    (tmp_path / "out" / "reproduction.json").write_text(json.dumps(RECORD))
    return tmp_path


def test_only_the_tables_of_a_page_change(tool: Any, project: Path, verdicts: Path) -> None:
    made = tool.pages(project, verdicts)
    assert {file.relative_to(project).as_posix() for file in made} == {
        "README.md", "docs/index.md", "docs/literature.md", "docs/papers/mine.md"
    }  # fmt: skip
    page = made[project / "docs" / "papers" / "mine.md"]
    above, between, below = re.split(
        r"<!-- claims:begin [\w-]+ -->.*?<!-- claims:end [\w-]+ -->", page, flags=re.S
    )
    assert above.startswith("above\n![b]")
    assert (between, below) == ("\nbetween\n", "\nbelow\n")
    assert (page.count("| holds |"), page.count("| fails |"), page.count("\nold\n")) == (1, 3, 0)
    readme = made[project / "README.md"]
    assert readme.endswith("<!-- literature:end -->\nbelow\n")
    assert "](docs/papers/mine.md) | [2303.11873]" in readme
    assert "](papers/mine.md) | [2303.11873]" in made[project / "docs" / "literature.md"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("begin two-circuits-more", "begin other"), "place for the table other"),
        (lambda text: text.split("between")[0], "no page .* claims:begin two-circuits-more"),
        (lambda text: text.replace("<!-- claims:end two-circuits -->", ""), "needs one line .*, below it"),
    ],
)
def test_a_table_and_its_place_need_each_other(
    tool: Any, project: Path, verdicts: Path, change: Any, message: str
) -> None:
    page = project / "docs" / "papers" / "mine.md"
    page.write_text(change(page.read_text()))
    with pytest.raises(ValueError, match=message):
        tool.pages(project, verdicts)


def test_the_place_of_a_paper_that_was_not_judged_says_so(tool: Any, project: Path, verdicts: Path) -> None:
    page = project / "docs" / "papers" / "other.md"
    page.write_text(
        "above\n<!-- claims:begin gromov-modular -->\n<!-- claims:end gromov-modular -->\nbelow\n"
    )
    above, block, below = re.split(r"\n<!-- claims:\w+ [\w-]+ -->\n", tool.pages(project, verdicts)[page])
    assert (above, block, below) == ("above", "No claim has been judged on fresh seeds yet.", "below\n")


def test_a_folder_is_kept_with_the_pictures_that_pages_show(tool: Any, project: Path, verdicts: Path) -> None:
    (verdicts / "two-circuits.json").unlink()
    written = tool.keep(project / "out", "", project, verdicts)
    names = ["two-circuits.json", "two-circuits-figure-2.png", "two-circuits-figure-3.png"]
    assert [file.name for file in written] == names
    assert all(file.is_file() for file in written)
    kept = judged_tables(verdicts)["two-circuits"]
    assert (kept.entries, kept.trained) == (claims(), {"standard": "100:200"})
    (further, *_) = tool.keep(project / "out", "two-circuits-third", project, verdicts)
    assert further == verdicts / "two-circuits-third.json"


def test_the_cells_of_a_sweep_are_one_experiment(
    tool: Any, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cell(first: int, last: int, seconds: float) -> Any:
        return SimpleNamespace(
            members=[(seed,) * 4 for seed in range(100, 104)],
            is_done=[first <= seed < last for seed in range(100, 104)],
            provenance={
                "wall_seconds": seconds,
                "started": "2026-11-30T01:02:03",
                "packages": {"grokscope": "0.2"},
            },
        )

    # two cells that were trained together, in 5 seconds
    cells = [((0,), cell(100, 103, 5.0)), ((1,), cell(100, 104, 5.0))]
    sweep = SimpleNamespace(runs=lambda: iter(cells), provenance={"wall_seconds": 5.0})
    monkeypatch.setattr(tool, "sweep_folders", lambda folder: [folder / "larger-parity"])
    monkeypatch.setattr(tool, "open_sweep", lambda path: sweep)
    table = tool.table_of(project / "out")
    assert table.trained == {"larger-parity": "100:104"}
    assert (table.seconds, table.date, table.version) == (5.0, "2026-11-30", "0.2")


@pytest.mark.parametrize("name", ["claims.json", "reproduction.json"])
def test_a_folder_that_lacks_something_changes_nothing(
    tool: Any, project: Path, verdicts: Path, name: str
) -> None:
    (project / "out" / name).unlink()
    before = (verdicts / "two-circuits.json").read_text()
    with pytest.raises(ValueError, match=re.escape(name)):
        tool.keep(project / "out", "", project, verdicts)
    assert (verdicts / "two-circuits.json").read_text() == before
    assert not any((project / "docs" / "images").iterdir())


def test_the_script_says_what_is_missing(tool: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["make_claims.py", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"lacks .*claims\.json"):
        tool.main()


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


def test_the_quick_profiles_are_judged_on_seeds_on_which_no_region_was_fixed(tool: Any) -> None:
    for name, paper in papers().items():
        least = max(int(claim.confirmed_on.split("-")[0]) for claim in paper.claims)
        given = tool.fresh_seeds(paper)
        usual = {one.name: one.members(one.under("quick")[1]) for one in paper.experiments if one.default}
        assert sorted(itertools.chain(*given.values())) == sorted(usual)
        for seeds, experiments in given.items():
            for one in experiments:
                members = paper.experiment(one).members(seeds)
                assert len(members) == len(usual[one]), (name, one)
                assert min(member[1] for member in members) >= least, (name, one)


@pytest.mark.slow
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
