"""The second process that draws the figures of a reproduction."""

import sys
from pathlib import Path

import pytest

from grokscope import reproduction
from grokscope.papers import Paper, find_paper
from grokscope.papers.drawing import DrawingProcess
from grokscope.reproduction import command_of, judge_again, reproduce
from paper_tests import RATES

PAPER = "separability-edge"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reproduction whose figure this process refuses to draw."""

    def refused(*arguments: object) -> bytes:
        raise AssertionError("drawn here")

    out = tmp_path_factory.mktemp("drawn") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reproduction, "draw_figure", refused)
        patch.setattr("grokscope.training.devices.usable_cores", lambda: 2)
        done = reproduce(PAPER, ["two-point"], 3, profile="quick", out=out, rates=RATES)
    assert done.figures == ["figure-9"]
    assert not done.failures
    return out


def drawn(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted((folder / "figures").iterdir())}


@pytest.mark.slow
def test_it_draws_the_same_bytes(folder: Path) -> None:
    there = drawn(folder)
    assert list(there) == ["figure-9.pdf", "figure-9.png", "figure-9.svg"]
    for file in (folder / "figures").iterdir():
        file.unlink()
    done = judge_again(folder)  # without a second process
    assert drawn(folder) == there
    assert {figure.id: svg for figure, svg in done.drawn} == {"figure-9": there["figure-9.svg"]}


@pytest.mark.slow
def test_a_figure_that_cannot_be_drawn_is_left_to_the_caller(folder: Path) -> None:
    paper = find_paper(PAPER)
    with DrawingProcess(paper, folder) as drawing:
        drawing.start()
        # one that needs an experiment that is not there, and one that does not
        drawing.draw({"figure-1": "a command", "figure-9": "a command"}, ["two-point"])
        assert list(drawing.wait()) == ["figure-9"]


def test_a_process_that_fails_has_drawn_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paper = find_paper(PAPER)
    done = judge_again(folder)
    commands = {"figure-9": command_of(paper, done.runs, "quick")}
    for executable in ("false", "no-such-program", ""):
        monkeypatch.setattr(sys, "executable", executable)
        with DrawingProcess(paper, folder) as drawing:
            drawing.start()
            drawing.draw(commands, done.runs)
            assert drawing.wait() == {}


def test_it_ends_when_it_is_not_asked(folder: Path) -> None:
    with DrawingProcess(find_paper(PAPER), folder) as drawing:
        drawing.start()
        process = drawing.process
        assert process is not None
        assert process.poll() is None
    assert process.poll() is not None


@pytest.mark.usefixtures("registry")
def test_a_paper_of_the_user_is_not_given_away(folder: Path) -> None:
    """The second process has not loaded its file."""

    class Own(Paper):
        """A paper."""

        kind: str = "own_paper"

    with DrawingProcess(Own(), folder) as drawing:
        drawing.start()
        assert drawing.process is None
        drawing.draw({}, [])
        assert drawing.wait() == {}
