from __future__ import annotations

import io

import pytest

from grokscope.progress import Progress, RichProgress, SilentProgress, duration


class Closed(io.StringIO):
    def write(self, text):
        raise BrokenPipeError

    def flush(self):
        raise BrokenPipeError


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_both_kinds_are_progress():
    assert isinstance(SilentProgress(), Progress)
    assert isinstance(RichProgress(io.StringIO()), Progress)


def test_plain_lines_come_at_tenths_of_the_work():
    stream = io.StringIO()
    progress = RichProgress(stream)
    progress.plan("two experiments")
    progress.start(1000, "standard")
    for i in range(200):
        progress.advance(5, f"piece {i}")
    progress.finish()
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["two experiments", "standard: started"]
    assert [line.split(",")[0] for line in lines[2:]] == [f"standard: {10 * i} %" for i in range(1, 11)]
    assert " left; piece 19" in lines[2]
    assert ", took " in lines[-1]


def test_one_big_advance_writes_one_line():
    stream = io.StringIO()
    progress = RichProgress(stream)
    progress.start(10, "x")
    progress.advance(7)
    assert stream.getvalue().splitlines()[1].startswith("x: 70 %, about ")
    assert len(stream.getvalue().splitlines()) == 2


def test_no_escape_codes_where_it_is_no_terminal_and_a_bar_where_it_is():
    plain, live = io.StringIO(), Terminal()
    for stream in (plain, live):
        with RichProgress(stream) as progress:
            progress.start(10, "training")
            progress.advance(10, "[note]")
    assert "\x1b" not in plain.getvalue()
    assert "\x1b" in live.getvalue()
    assert "training" in live.getvalue()
    assert "[note]" in live.getvalue()
    assert "100 %" in live.getvalue()


@pytest.mark.parametrize("live", [False, True])
def test_a_closed_stream_does_not_stop_the_work(live):
    with RichProgress(Closed(), live=live) as progress:
        progress.plan("a")
        progress.start(2, "b")
        progress.advance(1)
        progress.advance(1)


def test_no_steps_at_all_is_no_error():
    stream = io.StringIO()
    with RichProgress(stream) as progress:
        progress.start(0, "nothing to do")
        progress.advance(0)
    assert stream.getvalue().splitlines()[-1].startswith("nothing to do: 100 %, took ")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (9.96, "10 s"), (59.6, "1 min"), (61, "1 min 1 s"), (3600, "1 h"), (90000, "1 d 1 h")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text
