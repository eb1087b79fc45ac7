"""The plan: profiles, seeds, and messages for what is not there."""

from __future__ import annotations

import pytest

import grokscope as gs
from grokscope.errors import InputError
from grokscope.papers import papers
from grokscope.reproduction import Plan, plan
from grokscope.training.rates import Rates

FAST = Rates("cpu", cores=8, large=2000.0, at_shape=1200.0, free=1.0, seconds=0.0)
SLOW = Rates("cpu", cores=1, large=10.0, at_shape=5.0, free=1.0, seconds=0.0)


def test_a_fast_machine_does_all_and_a_slow_one_less() -> None:
    full, less = plan("two-circuits", rates=FAST), plan("two-circuits", rates=SLOW)
    assert (full.profile, less.profile) == ("paper", "quick")
    assert [row.name for row in full.rows] == [row.name for row in less.rows]
    assert all(a.members >= b.members for a, b in zip(full.rows, less.rows, strict=True))
    assert full.seconds == pytest.approx(sum(row.seconds for row in full.rows))


def test_seeds_that_are_asked_for_do_not_change_the_profile() -> None:
    many = plan("two-circuits", seeds=10_000, rates=FAST)
    assert many.seconds > 600
    assert (many.profile, many.rows[0].members, many.rows[0].seeds) == ("paper", 10_000, "10000")


def test_one_can_ask_for_a_profile() -> None:
    assert plan("two-circuits", profile="quick", rates=FAST).reason == "asked for"
    assert plan("two-circuits", "standard", profile="paper", rates=SLOW).rows[0].members == 5


def test_more_members_take_more_time_and_memory() -> None:
    few = plan("two-circuits", "standard", 10, rates=FAST).rows[0]
    many = plan("two-circuits", "standard", 1000, rates=FAST).rows[0]
    assert many.seconds > few.seconds
    assert few.memory < many.memory < 2.5e9


def test_experiments_come_in_the_papers_order_once() -> None:
    planned = plan("two-circuits", ["larger-parity", "standard", "standard"], rates=FAST)
    assert [row.name for row in planned.rows] == ["standard", "larger-parity"]


def test_the_plan_can_be_read() -> None:
    text = str(plan("two-circuits", ["standard"], seeds="5,9,20:30", rates=FAST))
    assert "two-circuits, profile paper" in text
    assert "standard     12 members x   9,600 steps" in text


def test_the_plan_says_which_claims_so_many_seeds_can_show() -> None:
    """A share of at least 0.8 is shown by 17 true seeds: 0.025^(1/17) = 0.805, and 0.025^(1/16) = 0.794."""
    eight = plan("two-circuits", "standard", "100:108", rates=FAST).claims
    claims = [one for one in papers()["two-circuits"].claims if one.experiments == ("standard",)]
    shares = [one.id for one in claims if one.kind == "share"]
    assert eight.startswith(f"With 8 seeds {len(claims) - len(shares)} of {len(claims)} claims can be shown")
    named = f"{', '.join(shares[:8])} and {len(shares) - 8} more"
    assert eight.endswith(f"; not {named} (from 17 seeds).")
    enough = plan("two-circuits", "standard", 17, rates=FAST)
    assert enough.claims == f"With 17 seeds {len(claims)} of {len(claims)} claims can be shown to hold."
    assert str(enough).endswith(f"\n  {enough.claims}")
    # a median of five is not bounded: 2 / 2^5 = 0.0625
    assert "C1b (from 6 seeds), " in plan("two-circuits", "standard", 5, rates=FAST).claims
    assert plan("two-circuits", "standard", 1, rates=FAST).claims.startswith("With 1 seed 0 of ")
    long = str(plan("two-circuits", seeds=1, rates=FAST))
    assert " and " in long.split("With 1 seed")[1]
    assert max(map(len, long.splitlines()[1:])) <= 100


def test_seeds_of_a_plan_are_those_of_the_longest_stream() -> None:
    crossed = plan("two-circuits", "standard", "init=0;data=0:17", rates=FAST).claims
    assert crossed.startswith("With 17 seeds")
    assert "can be shown to hold." in crossed
    both = plan("two-circuits-beyond", seeds="100:120", rates=FAST).claims
    assert not both.startswith("With 1 ")  # a construction is one network without seeds


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("two-circuit",), "paper 'two-circuit' is not known. Did you mean 'two-circuits'?"),
        (("two-circuits", ["standart"]), "has no experiment 'standart'. Did you mean 'standard'?"),
        (("two-circuits", None, 0), "the count must be at least 1"),
        (("two-circuits", None, "x"), "neither a seed nor a range"),
        (("two-circuits", None, 1, "fast"), "profile 'fast' is not known."),
    ],
)
def test_what_is_not_there_is_said(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(InputError) as error:
        plan(*arguments, rates=FAST)
    assert message in str(error.value)


def test_papers_are_found_by_name() -> None:
    assert papers()["two-circuits"].arxiv == "2303.11873"
    assert isinstance(plan(papers()["two-circuits"], rates=FAST), Plan)


def test_networks_are_counted_in_the_memory_only_where_subnetworks_are_followed() -> None:
    from grokscope.papers._experiments import _predicted_memory

    online = gs.Experiment(task="sparse_parity", online=True, steps=40_000, measures=["test_loss"])
    followed = online.with_(measures=["test_loss", "faithfulness"])
    parameters = online.model.n_parameters(online.task.input_shape, online.task.n_outputs)
    networks = 4 * parameters * len(online.points("follow"))
    assert _predicted_memory(followed, 1) - _predicted_memory(online, 1) == networks
