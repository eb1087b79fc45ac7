"""Experiments, analyses, claims and figures that raise: the rest is finished, and each failure is said."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from grokscope.claims import NOT_RUN
from grokscope.cli import main
from grokscope.errors import StoreError
from grokscope.papers import find_paper
from grokscope.report import write_report
from grokscope.reproduction import RECORD, Reproduction, judge_again, reproduce
from grokscope.spec import parts
from grokscope.spec.parts import load_plugin
from paper_tests import RATES

PAPER = '''
"""A paper of which half fails."""
from typing import ClassVar, Literal

from matplotlib.figure import Figure as Drawing

from grokscope.claims import Claim, Effect, Region
from grokscope.experiment import Experiment
from grokscope.papers import Analysis, Figure, Paper, Profile, RunExperiment
from grokscope.starts import FromRun

BASE = Experiment(
    task={"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 32, "n_test": 16, "n_probe": 16},
    model={"kind": "fully_connected", "width": 8},
    epochs=2, batch_size=16, measures=["train_accuracy", "test_accuracy"],
)
RAISED = {}


def take(run, progress):
    if "analysis" in RAISED:
        raise RAISED["analysis"]


class Broken(RunExperiment):
    def execute(self, job, progress, rates=None, failed=None, **options):
        if "experiment" in RAISED:
            raise RAISED["experiment"]
        return super().execute(job, progress, rates, failed, **options)


def evidence(measures):
    return measures["test_accuracy"].isel(step=-1).to_numpy()


def bad_evidence(measures):
    if "claim" in RAISED:
        raise RAISED["claim"]
    return evidence(measures)


def draw(runs, command):
    if "figure" in RAISED:
        raise RAISED["figure"]
    return Drawing()


def claim(id, experiment="good", evidence=evidence, **more):
    return Claim(
        id=id, sentence="It is so.", source="Fig. 1", estimand="the mean test accuracy",
        region=Region.at_least(0.1), smallest_effect=Effect(0.1, "a tenth"), kind="mean",
        experiment=experiment, evidence=evidence, **more,
    )


PROFILES = {
    "paper": Profile(seeds=2),
    "quick": Profile(seeds=2, overrides=("epochs=1",), reduced="1 epoch instead of 2"),
}


class HalfBroken(Paper):
    """A paper of which half fails."""

    kind: Literal["half_broken"] = "half_broken"
    title: ClassVar[str] = "A paper"
    authors: ClassVar[str] = "A. Author"
    year: ClassVar[int] = 2026
    experiments = (
        Broken("broken", "Fails.", BASE.with_("task.n_train=30"), PROFILES),
        RunExperiment("good", "Works.", BASE, PROFILES, analyses=(Analysis("gates", take, 1.0),)),
        RunExperiment(
            "branch", "Starts in the broken one.",
            BASE.with_("task.n_train=30").model_copy(
                update={"init": FromRun(run="broken", source="ab" * 32, at=1)}
            ),
            PROFILES,
        ),
    )
    claims = (
        claim("A"), claim("B", evidence=bad_evidence), claim("C", experiment="broken"),
        claim("D", experiment="branch"), claim("E", setting="own"),
        claim("F", setting="small", reduced="p = 53 instead of 97"),
    )
    figures = (
        Figure("figure-1", "The first.", draw, ("good",)),
        Figure("figure-2", "The second.", lambda runs, command: Drawing(), ("good",)),
        Figure("figure-3", "Of the broken one.", draw, ("broken",)),
    )
'''


@pytest.fixture
def raised(tmp_path: Path) -> Any:
    """What the parts of the paper raise, by part; nothing at first."""
    file = tmp_path / "half_broken.py"
    file.write_text(PAPER)
    load_plugin(file)
    yield sys.modules[type(find_paper("half_broken")).__module__].RAISED
    del parts._kinds["paper"]["half_broken"]


def reproduced(out: Path, **options: Any) -> Reproduction:
    return reproduce("half_broken", out=out, rates=RATES, **{"profile": "paper", **options})


def test_everything_that_fails_is_said_in_its_place(
    raised: dict[str, Exception], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raised |= {
        "experiment": RuntimeError("no network\nand more"),
        "analysis": KeyError("gates"),
        "claim": ZeroDivisionError("division by zero"),
        "figure": ValueError("<b>no</b>"),
    }
    out, plugin = tmp_path / "out", str(tmp_path / "half_broken.py")
    words = ["reproduce", "half_broken", "--profile", "paper", "--yes", "--out", str(out)]
    assert main(words) == 1
    seen = capsys.readouterr()
    parts_failed = (
        "5 parts failed (experiment broken, analysis gates of good, experiment branch, claim B, figure"
    )
    assert parts_failed in seen.err
    assert "Traceback (most recent" not in seen.err
    at = {}
    for name in raised:
        (number,) = [i for i, line in enumerate(PAPER.splitlines(), 1) if f'raise RAISED["{name}"]' in line]
        at[name] = f"({plugin}, line {number})"
    lines = " ".join(seen.out.split())
    assert f"experiment broken failed: RuntimeError: no network and more {at['experiment']}" in lines
    assert f"analysis gates of good failed: KeyError: 'gates' {at['analysis']}" in lines
    assert "experiment branch failed: not trained, because broken failed." in lines
    assert f"claim B failed: ZeroDivisionError: division by zero {at['claim']}" in lines
    assert f"figure figure-1 failed: ValueError: <b>no</b> {at['figure']}" in lines
    claims = {one["id"]: one for one in json.loads((out / "claims.json").read_text())}
    assert [claims[id]["verdict"] == "not testable" for id in "ABCD"] == [False, True, True, True]
    assert claims["A"]["error"] is None
    assert claims["B"]["error"] == f"failed: ZeroDivisionError: division by zero {at['claim']}"
    assert (
        claims["C"]["error"]
        == f"experiment broken failed: RuntimeError: no network and more {at['experiment']}"
    )
    assert claims["D"]["error"].startswith("experiment branch failed: not trained")
    assert (out / "figures" / "figure-2.svg").is_file()
    assert not (out / "figures" / "figure-1.svg").exists()
    page = (out / "report.html").read_text()
    for text in ("division by zero", "&lt;b&gt;no&lt;/b&gt;", "no network and more", "gates of good"):
        assert text in page
    assert "<b>no</b>" not in page


@pytest.mark.slow
def test_the_failures_stay_with_the_folder_until_it_is_done_again(
    raised: dict[str, Exception], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    raised |= {"experiment": RuntimeError("no network"), "analysis": KeyError("gates")}
    first = reproduced(out)
    assert [one.part for one in first.failures] == ["experiment", "analysis", "experiment"]
    assert list(first.runs) == ["good"]
    assert "no network" in write_report(out).read_text()
    raised.clear()
    reproduced(out, experiments=["good"])
    assert [one["name"] for one in json.loads((out / RECORD).read_text())["failures"]] == ["broken", "branch"]
    again = reproduced(out, experiments=["broken", "good"])
    assert [one.name for one in again.failures] == ["branch"]
    assert "no network" not in write_report(out).read_text()


def test_with_debug_every_traceback_is_printed(
    raised: dict[str, Exception], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raised |= {"claim": ZeroDivisionError("division by zero"), "figure": ValueError("no axes")}
    words = [
        "reproduce",
        "half_broken",
        "good",
        "--profile",
        "paper",
        "--yes",
        "--out",
        str(tmp_path / "out"),
    ]
    assert main([*words, "--debug"]) == 1
    err = capsys.readouterr().err
    assert "ZeroDivisionError: division by zero" in err
    assert "ValueError: no axes" in err
    assert 'raise RAISED["claim"]' in err


def test_where_nothing_could_be_trained_the_error_is_raised(
    raised: dict[str, Exception], tmp_path: Path
) -> None:
    raised["experiment"] = RuntimeError("no network")
    with pytest.raises(RuntimeError, match="no network"):
        reproduced(tmp_path / "out", experiments=["broken"])


@pytest.mark.slow
@pytest.mark.parametrize("part", ["experiment", "analysis", "claim", "figure"])
@pytest.mark.parametrize(
    "error",
    [
        StoreError("the disk is full."),
        OSError(28, "No space left on device"),
        KeyboardInterrupt(),
        MemoryError(),
    ],
)
def test_what_must_end_the_work_ends_it(
    raised: dict[str, BaseException], tmp_path: Path, part: str, error: BaseException
) -> None:
    raised[part] = error
    with pytest.raises(type(error)):
        reproduced(tmp_path / "out", experiments=["broken", "good"])


def test_an_interrupt_that_compiled_code_has_wrapped_ends_the_work(
    raised: dict[str, BaseException], tmp_path: Path
) -> None:
    raised["experiment"] = RuntimeError("CpuCallback error: ... KeyboardInterrupt")
    with pytest.raises(RuntimeError, match="CpuCallback"):
        reproduced(tmp_path / "out", experiments=["broken", "good"])


def test_claims_say_in_which_setting_they_are_judged(raised: dict[str, Exception], tmp_path: Path) -> None:
    del raised

    def settings(done: Reproduction) -> dict[str, tuple[str, str]]:
        return {one["id"]: (one["setting"], one["reduced"]) for one in done.claims}

    quick = reproduced(tmp_path / "quick", experiments=["good"], profile="quick")
    smaller = "1 epoch instead of 2"
    assert settings(quick)["A"] == ("small", smaller)
    assert settings(quick)["E"] == ("own", smaller)
    assert settings(quick)["F"] == ("small", f"p = 53 instead of 97; {smaller}")
    assert settings(quick)["C"] == ("same", "")  # of another experiment, which was not run
    assert smaller in quick.summary()
    assert f"<b>small</b>: {smaller}" in write_report(tmp_path / "quick").read_text()
    full = reproduced(tmp_path / "quick", experiments=["good"], profile="paper")  # the same run, longer
    assert settings(full)["A"] == ("same", "")
    assert settings(full)["F"] == ("small", "p = 53 instead of 97")
    back = reproduced(tmp_path / "quick", experiments=["good"], profile="quick")  # it stays as long as it is
    assert settings(back)["A"] == ("same", "")


def test_a_run_put_into_the_folder_by_hand_is_of_the_profile_whose_spec_it_has(
    raised: dict[str, Exception], tmp_path: Path
) -> None:
    del raised
    reproduced(tmp_path / "from", experiments=["good"], profile="quick")
    reproduced(tmp_path / "to", experiments=["broken"], profile="quick")
    shutil.copytree(tmp_path / "from" / "good", tmp_path / "to" / "good")
    moved = judge_again(tmp_path / "to")
    assert {one["id"]: one["setting"] for one in moved.claims}["A"] == "small"
    shutil.copytree(tmp_path / "from" / "good", tmp_path / "to" / "branch")
    again = judge_again(tmp_path / "to")
    assert (
        "branch: an earlier run is there, but left out: it is of none of the profiles paper, quick."
        in again.notes
    )
    assert {one["id"]: one["note"] for one in again.claims}["D"] == NOT_RUN
