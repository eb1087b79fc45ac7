"""Schedules against a slow oracle that asks of every step whether it is a point."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from grokscope import InputError
from grokscope.spec.schedule import Schedule


def is_point(piece, step, steps_per_epoch, n_steps):
    """Whether a step is a point of one piece, from the piece's meaning in words."""
    if isinstance(piece, int):
        return step == piece or (piece < 0 and step == n_steps + 1 + piece)
    words = piece.split()
    if piece == "ends":
        return step in (0, n_steps)
    epoch, rest = divmod(step, steps_per_epoch)
    if piece == "epochs":
        return rest == 0
    if words[0] == "every" and words[2].startswith("epoch"):
        return rest == 0 and epoch % int(words[1]) == 0
    if words[0] == "every":
        return step % int(words[1]) == 0
    per_decade = int(words[1]) if len(words) == 2 else 32
    # 10 ** 7 epochs are more than any length tested here
    return rest == 0 and epoch in {round(10 ** (i / per_decade)) for i in range(7 * per_decade)}


pieces = st.one_of(
    st.sampled_from(["epochs", "ends", "log"]),
    st.integers(1, 40).map(lambda n: f"log {n}"),
    st.builds(
        "every {} {}".format, st.integers(1, 60), st.sampled_from(["step", "steps", "epoch", "epochs"])
    ),
    st.integers(-300, 5000),
)
lists = st.lists(pieces, max_size=4)


@given(pieces=lists, steps_per_epoch=st.integers(1, 50), n_steps=st.integers(1, 3000))
def test_points_against_the_oracle(pieces, steps_per_epoch, n_steps):
    found = Schedule.parse(pieces).points(steps_per_epoch, n_steps)
    wanted = [
        step
        for step in range(n_steps + 1)
        if step in (0, n_steps) or any(is_point(piece, step, steps_per_epoch, n_steps) for piece in pieces)
    ]
    assert found.tolist() == wanted
    assert found.dtype == np.int64


@given(
    pieces=st.lists(pieces.filter(lambda piece: isinstance(piece, str) or piece >= 0), max_size=4),
    steps_per_epoch=st.integers(1, 50),
    lengths=st.tuples(st.integers(1, 3000), st.integers(1, 3000)).map(sorted),
)
def test_a_longer_run_has_the_points_of_a_shorter_one(pieces, steps_per_epoch, lengths):
    short, long = (set(Schedule.parse(pieces).points(steps_per_epoch, n).tolist()) for n in lengths)
    assert short - {lengths[0]} == {step for step in long if step < lengths[0]}


@given(one=lists, two=lists, steps_per_epoch=st.integers(1, 50), n_steps=st.integers(1, 3000))
def test_union(one, two, steps_per_epoch, n_steps):
    def points(schedule):
        return set(schedule.points(steps_per_epoch, n_steps).tolist())

    a, b = Schedule.parse(one), Schedule.parse(two)
    assert points(a | b) == points(a) | points(b)


def test_the_standard_run_has_301_epochs_and_about_60_log_points():
    assert Schedule.parse("epochs").points(32, 9600).tolist() == [32 * epoch for epoch in range(301)]
    assert 55 <= len(Schedule.parse("log").points(32, 9600)) <= 70
    assert Schedule.parse(-1).points(32, 9600).tolist() == [0, 9600]


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "epoch",
        "every epochs",
        "every 0 steps",
        "every 00 steps",
        "every -1 steps",
        "log 0",
        "log x",
        "Log",
    ],
)
def test_unknown_piece(bad):
    with pytest.raises(
        InputError, match=f"^schedule: '{bad}' is not known. Allowed: 'epochs', 'every 10 epochs'"
    ):
        Schedule.parse(bad)


@pytest.mark.parametrize("bad", [0.5, True, [0, 1.5], None, [["epochs"]]])
def test_what_is_no_piece(bad):
    with pytest.raises(InputError, match=r"^schedule: .* is not known\. Allowed:"):
        Schedule.parse(bad)


def test_too_many_points_are_refused_before_they_are_listed():
    with pytest.raises(InputError) as error:
        Schedule.parse("every 2 steps").points(1, 10**12)
    assert str(error.value) == (
        "schedule: 'every 2 steps' makes 500000000000 points of 1000000000000 steps; at most 10000000."
    )
    with pytest.raises(InputError, match="'epochs' makes 1000000000000 points"):
        Schedule.parse("epochs").points(1, 10**12)
    with pytest.raises(InputError, match="'log 1000000000': at most 100000 points a decade"):
        Schedule.parse("log 1000000000")
    assert len(Schedule.parse("log").points(1, 10**12)) < 32 * 13
