"""The command printed beside a figure makes the runs that the figure shows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import xarray as xr

from grokscope.papers.two_circuits_beyond import TwoCircuitsBeyond
from grokscope.reproduction import command_of
from grokscope.spec.streams import Members

PAPER = TwoCircuitsBeyond()


class Shown(NamedTuple):
    """What the command is found from."""

    measures: xr.Dataset
    members: Members


def shown(members: Members) -> Any:
    seeds = [member[0] for member in members.seeds]
    one_axis = all(len(set(member)) == 1 for member in members.seeds)
    return Shown(xr.Dataset(coords={"seed": seeds} if one_axis else {"order": np.arange(2)}), members)


def runs(asked: str, *names: str) -> dict[str, Any]:
    """The runs that a command with these seeds makes."""
    return {name: shown(PAPER.experiment(name).members(asked)) for name in names}


@pytest.mark.parametrize(
    "names", [("standard", "annealed"), ("standard", "4-bits", "5-bits"), ("standard", "twins-0", "crossed")]
)
@pytest.mark.parametrize("asked", ["100:200", "5"])
def test_experiments_that_take_only_the_first_seeds_are_asked_for_together(asked, names):
    made = runs(asked, *names)
    expected = f"grokscope reproduce two-circuits-beyond {' '.join(names)} --seeds {asked} --profile paper"
    assert command_of(PAPER, made, "paper") == expected


@pytest.mark.parametrize("other", ["4-bits", "crossed"])
def test_runs_of_other_seeds_have_no_command_in_common(other):
    made = {**runs("100:200", "standard"), **runs("300:400", other)}
    assert "--seeds" not in command_of(PAPER, made, "paper")
