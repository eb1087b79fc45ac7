"""Reproducing: what is written, that it is complete, and that experiments can be added one by one."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from grokscope.errors import InputError, StoreError
from grokscope.experiment import Experiment
from grokscope.report import reproduce, write_report
from grokscope.reproduction import RECORD, Reproduction, plan
from grokscope.spec.streams import Members
from grokscope.training.rates import Rates
from synthetic_runs import SyntheticRun, synthetic_run

RATES = Rates("cpu", cores=8, large=2000.0, at_shape=1200.0, free=1.0, seconds=0.0)
KEYS = {
    "id",
    "sentence",
    "source",
    "paper_value",
    "value",
    "unit",
    "interval",
    "seeds",
    "verdict",
    "experiment",
}


@pytest.fixture(scope="module")
def trained() -> Iterator[dict[Path, SyntheticRun]]:
    """Replace training by made-up runs, remembered by folder."""
    runs: dict[Path, SyntheticRun] = {}

    def train(experiment: Experiment, seeds: Any, *, out: Path, progress: Any = None) -> SyntheticRun:
        never = experiment.task.model_dump()["labels"] == "random"
        fates = ["never" if never else "groks"] * len(Members.parse(seeds))
        run = synthetic_run(fates, every=3, experiment=experiment)
        out.mkdir(parents=True, exist_ok=True)
        (out / "experiment.toml").write_text(experiment.to_toml(), encoding="utf-8")
        runs[out] = run
        return run

    def open_run(path: Path) -> SyntheticRun:
        if path not in runs:
            raise StoreError(f"{path}: is damaged.")
        return runs[path]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("grokscope.runs.train", train, raising=False)
        patch.setattr("grokscope.runs.open_run", open_run, raising=False)
        # made-up runs have no store, in which the code of their measures would be
        patch.setattr("grokscope.runs.given.forget_outdated", lambda run, versions: None)
        patch.setattr("grokscope.papers.RunExperiment.remarks", lambda self, result: [])
        yield runs


@pytest.fixture(scope="module")
def standard(trained: dict[Path, Any], tmp_path_factory: pytest.TempPathFactory) -> Reproduction:
    """The standard experiment, reproduced; drawing its figures is what takes long."""
    out = tmp_path_factory.mktemp("standard") / "out"
    return reproduce("two-circuits", ["standard"], 5, out=out, rates=RATES)


@pytest.fixture
def beside(standard: Reproduction, trained: dict[Path, Any], tmp_path: Path) -> Path:
    """A copy of it, to which something can be added."""
    out = tmp_path / "copy"
    shutil.copytree(standard.folder, out)
    trained[out / "standard"] = trained[Path(standard.folder) / "standard"]
    return out


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_everything_is_written(standard: Reproduction) -> None:
    done, out = standard, Path(standard.folder)
    figures = {f"figures/{name}.{end}" for name in done.figures for end in ("svg", "pdf", "png")}
    assert done.figures == ["figure-2", "figure-3", "figure-5", "thresholds", "sensitivity"]
    assert files(out) == figures | {"claims.json", "report.html", RECORD, "standard/experiment.toml"}
    claims = json.loads((out / "claims.json").read_text())
    assert claims == done.claims
    assert all(claim.keys() >= KEYS for claim in claims)
    verdicts = {claim["id"]: claim["verdict"] for claim in claims}
    assert verdicts["C2"] == "holds"
    assert verdicts["C8"] == "not testable"
    assert "holds" in done.summary()
    assert "report.html" in done.summary()
    sentence = next(one.claim.sentence for one in done.shown if one.claim.id == "C2").split()
    assert sentence[-1] not in done.summary()
    assert sentence[-1] in done.summary(full=True)
    for one in done.shown:
        headline, _, reason = one.words.partition(": ")
        (row,) = [line for line in done.summary().splitlines() if line.split()[0:1] == [one.claim.id]]
        assert row.rstrip().endswith(headline)
        assert reason in " ".join(done.summary().split())
    assert repr(done).startswith(f"Reproduction {done.folder}\n  paper        {done.paper.title}\n")
    assert "holds" in repr(done)
    card = ElementTree.fromstring(f"<div>{done._repr_html_()}</div>")
    rows = card.findall("./table/tr")
    assert [row.findtext("td[2]") for row in rows[1:]] == [one.words for one in done.shown]


@pytest.mark.slow
def test_experiments_can_be_added_one_by_one(beside: Path) -> None:
    done = reproduce("two-circuits", ["random-labels"], 5, out=beside, rates=RATES)
    assert list(done.runs) == ["standard", "random-labels"]
    assert "random-labels" in done.figures
    assert {claim["id"] for claim in done.claims if claim["seeds"] == 5} >= {"C1a", "R3"}


def test_an_earlier_run_that_is_damaged_is_left_out_and_said(beside: Path, trained: dict[Path, Any]) -> None:
    del trained[beside / "standard"]
    done = reproduce("two-circuits", ["random-labels"], 5, out=beside, rates=RATES)
    assert list(done.runs) == ["random-labels"]
    assert "standard: an earlier run is there, but left out" in done.notes[0]
    assert done.notes[0] in done.summary()


@pytest.mark.slow
def test_the_same_runs_give_the_same_bytes(standard: Reproduction, tmp_path: Path) -> None:
    reproduce("two-circuits", ["standard"], 5, out=tmp_path, rates=RATES)
    for name in sorted(files(Path(standard.folder))):
        assert (Path(standard.folder) / name).read_bytes() == (tmp_path / name).read_bytes(), name


@pytest.mark.slow
def test_a_plan_says_all(tmp_path: Path, trained: dict[Path, Any]) -> None:
    planned = plan("two-circuits", ["standard"], "7,9:11", "quick", RATES)
    done = reproduce(planned, out=tmp_path)
    assert isinstance(done, Reproduction)
    assert done.profile == "quick"
    assert trained[tmp_path / "standard"].measures.sizes["seed"] == 3
    assert trained[tmp_path / "standard"].experiment.schedule.follow == "every 5 epochs"
    assert json.loads((tmp_path / RECORD).read_text())["seeds"] == "7,9:11"


@pytest.mark.slow
def test_the_report_can_be_made_again(standard: Reproduction, tmp_path: Path) -> None:
    page = (Path(standard.folder) / "report.html").read_text()
    again = write_report(standard.folder, out=tmp_path / "again.html")
    assert again.read_text() == page
    assert len(page) < 3_000_000
    assert "grokscope reproduce two-circuits standard --seeds 5 --profile paper" in page
    assert "eprint = {2303.11873}" in page
    assert "n_train = 1000" in page
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", re.sub('src="[^"]*"', "", page))


@pytest.mark.usefixtures("trained")
def test_a_folder_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file; give a folder"):
        reproduce("two-circuits", ["standard"], 1, out=tmp_path / "file", rates=RATES)
    (tmp_path / RECORD).write_text('{"paper": "omnigrok"}')
    with pytest.raises(InputError, match="holds a reproduction of omnigrok"):
        reproduce("two-circuits", ["standard"], 1, out=tmp_path, rates=RATES)
    (tmp_path / RECORD).write_text("not JSON")
    with pytest.raises(InputError, match="cannot be read"):
        reproduce("two-circuits", ["standard"], 1, out=tmp_path, rates=RATES)
