"""The three kinds of experiments of a paper: executed, opened, planned and shown in the same way."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from grokscope.claims import Claim, Effect, Region
from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.papers import (
    ContestExperiment,
    ContestProfile,
    Paper,
    PaperExperiment,
    Profile,
    RunExperiment,
    SweepExperiment,
    SweepProfile,
)
from grokscope.progress import SilentProgress
from grokscope.report import reproduce, write_report
from grokscope.reproduction import plan
from grokscope.runs import Run
from grokscope.spec import parts
from grokscope.sweeps import Contender, Contest, Sweep
from paper_tests import RATES

BASE = Experiment(
    task={"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 32, "n_test": 16, "n_probe": 16},
    model={"kind": "fully_connected", "width": 8},
    epochs=2,
    batch_size=16,
    measures=["train_accuracy", "test_accuracy"],
)
RATE = "optimizer.learning_rate"
RUN = RunExperiment("run", "One run.", BASE, {"paper": Profile(seeds=2), "quick": Profile(seeds=1)})
SWEEP = SweepExperiment(
    "sweep",
    "Two rates.",
    BASE,
    {"paper": Profile(seeds=2), "quick": SweepProfile(seeds=1, over=(f"{RATE}=0.1,0.2,0.3",))},
    over=(f"{RATE}=0.1,0.2",),
)
CONTEST = ContestExperiment(
    "contest",
    "Two optimizers.",
    BASE,
    {"paper": ContestProfile(seeds="5,6", tuning=2), "quick": Profile(seeds="7:9")},
    contenders=(
        Contender("sgd", (f"{RATE}=0.1,0.2",)),
        Contender("adamw", (f"{RATE}=0.01,0.02",), ("optimizer.kind=adamw",)),
    ),
)
KINDS = {"run": (RUN, Run), "sweep": (SWEEP, Sweep), "contest": (CONTEST, Contest)}


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> Paper:
    for group in parts._HOMES:  # what is found while it lasts would be forgotten with the paper
        parts.kinds(group)
    monkeypatch.setattr(parts, "_kinds", {group: dict(table) for group, table in parts._kinds.items()})

    class Three(Paper):
        """A paper for tests."""

        kind: Literal["three"] = "three"
        title: ClassVar[str] = "Three kinds"
        experiments: ClassVar[tuple[PaperExperiment, ...]] = (SWEEP, CONTEST, RUN)
        claims: ClassVar[tuple[Claim, ...]] = tuple(
            Claim(
                id=name,
                sentence="It is so.",
                source="Table 1",
                paper_value=None,
                unit="",
                estimand="a number",
                region=Region.at_least(0.5),
                smallest_effect=Effect(0.1, "some"),
                kind="share",
                experiment=name,
                evidence=lambda measures: measures["seed"] * 0 + 1,
            )
            for name in KINDS
        )

    return Three()


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_a_folder_is_executed_and_opened(paper: Paper, tmp_path: Path, name: str) -> None:
    one, kind = KINDS[name]
    job = paper.job(one, "paper", tmp_path)
    assert one.open(job.folder) is None
    one.check_folder(job)
    done = one.execute(job, SilentProgress(), rates=RATES)
    opened = one.open(job.folder)
    assert isinstance(done, kind)
    assert isinstance(opened, kind)
    for axis, labels in one.coordinates("paper").values():
        assert opened.measures.sizes[axis[0]] == len(labels)
    one.check_folder(job)
    cost = one.cost("paper", None, RATES)
    assert cost.members == {"run": 2, "sweep": 4, "contest": 12}[name]
    assert min(cost.seconds, cost.memory) > 0


@pytest.mark.parametrize("name", ["run", "sweep"])
def test_a_folder_of_another_experiment_is_refused(paper: Paper, tmp_path: Path, name: str) -> None:
    one, _ = KINDS[name]
    one.execute(paper.job(one, "paper", tmp_path), SilentProgress(), rates=RATES)
    other = type(one)(one.name, one.sentence, BASE.with_("model.width=9"), one.profiles, **own(one))
    with pytest.raises(InputError, match=name):
        other.check_folder(paper.job(other, "paper", tmp_path))


def own(one: PaperExperiment) -> dict[str, Any]:
    return {"over": one.over} if isinstance(one, SweepExperiment) else {}


def test_profiles_may_change_axes_and_contenders() -> None:
    assert (SWEEP.grid("paper").n_cells, SWEEP.grid("quick").n_cells) == (2, 3)
    assert (len(CONTEST.contest("paper").tuning), len(CONTEST.contest("quick").tuning)) == (2, 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["sweep"], {"sweep", "curves", "numbers"}),
        (["contest"], {"table-0", "curves", "numbers"}),
        (["sweep", "contest"], {"table-0", "curves", "numbers"}),
        (["sweep", "contest", "run"], {"curves", "numbers"}),
    ],
)
def test_a_page_shows_runs_else_a_contest_else_a_sweep(
    paper: Paper, tmp_path: Path, names: list[str], shown: set[str]
) -> None:
    done = reproduce(plan(paper, names, profile="paper", rates=RATES), out=tmp_path, rates=RATES)
    assert done.report == tmp_path / "report.html"
    page = done.report.read_text(encoding="utf-8")
    assert set(re.findall(r'<section id="([^"]*)">', page)) == {"claims", *shown}
    assert json.loads((tmp_path / "claims.json").read_text()) == done.to_json()["claims"]
    again = write_report(tmp_path, out=tmp_path / "again.html")
    assert again.read_text(encoding="utf-8") == page
