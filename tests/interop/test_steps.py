"""The step of a snapshot: numbers in names, and which source is trusted."""

from __future__ import annotations

import pytest

from grokscope.errors import InputError
from grokscope.interop._steps import Numbers, Pattern, numbers_in, numbers_in_names, step_of

IN_A_NAME = [
    # name, step, epoch
    ("epoch=7-step=49.ckpt", 49, 7),
    ("epoch=7-step=49-val_loss=0.23.ckpt", 49, 7),
    ("step_1k.pt", 1000, None),
    ("net_1.5k_steps.pt", 1500, None),
    ("model_2M_steps.pt", 2_000_000, None),
    ("step_0049.pt", 49, None),
    ("ep-3.pt", None, 3),
    ("modelEpoch5.pt", None, 5),
    ("2024-01-15_10-30-00_step_100.pt", 100, None),
    ("checkpoint-500/model.safetensors", 500, None),
    ("lr1e-3_step_5.pt", 5, None),
    ("seed_0_step_12.pt", 12, None),
    ("best.pt", None, None),
    ("net_20240115.pt", None, None),
    ("10km.pt", None, None),
]


@pytest.mark.parametrize(("name", "step", "epoch"), IN_A_NAME)
def test_what_a_name_calls_a_step(name, step, epoch):
    found = numbers_in(name)
    assert (found.step, found.epoch) == (step, epoch)


IN_NAMES = [
    # names, their steps, their epochs, whether the numbers are only taken for steps; None: not clear
    (["a1.pt", "a20.pt"], ([1, 20], [None, None], True)),
    (["net_500.pt", "net_1k.pt", "net_1.5k.pt"], ([500, 1000, 1500], [None] * 3, True)),
    (["a01.pt", "a10.pt"], ([1, 10], [None, None], True)),
    (["epoch=0-step=7.ckpt", "epoch=7-step=56.ckpt"], ([7, 56], [0, 7], False)),
    (["e_1-acc=0.5.pt", "e_2-acc=0.75.pt"], ([None, None], [1, 2], False)),
    (["2024-01-15_5.pt", "2024-01-16_7.pt"], ([5, 7], [None, None], True)),
    (["step_1/net.pt", "step_2/net.pt"], ([1, 2], [None, None], False)),
    (["step_20240115.pt", "step_20240116.pt"], ([20240115, 20240116], [None, None], False)),
    (["net_20240115.pt", "net_20240116.pt"], None),
    (["seed0.pt", "seed1.pt"], None),
    (["lr0.1_step_1.pt", "lr0.2_step_2.pt"], None),
    (["a1.pt", "b2.pt"], None),
    (["a.pt", "a.pth"], None),
]


@pytest.mark.parametrize(("names", "wanted"), IN_NAMES)
def test_the_number_in_which_names_differ(names, wanted):
    found = numbers_in_names(names)
    if wanted is None:
        assert found is None
        return
    assert found is not None
    numbers, are_bare = found
    assert ([one.step for one in numbers], [one.epoch for one in numbers], are_bare) == wanted


def test_a_pattern_reads_k_and_both_numbers():
    found = Pattern("s{seed}/e{epoch}-{step}*.pt").match("s3/e7-1.5k-best.pt")
    assert found == Numbers("the pattern", step=1500, epoch=7, seed=3)
    assert Pattern("{step}.pt").match("10km.pt") is None


FILE, PATTERN, NAME = "the file", "the pattern", "its name"
# what is said, the step where an epoch is 7 steps, and what the note says (None: nothing is contradicted)
TRUSTED = [
    ([Numbers(FILE, 49), Numbers(PATTERN, 49)], 49, None),
    ([Numbers(FILE, 49, 7)], 49, None),
    ([Numbers(FILE, 56, 7)], 56, None),  # after epoch 7, counted from 0
    (
        [Numbers(FILE, 49), Numbers(PATTERN, 50), Numbers(NAME, 50)],
        49,
        "the file says step 49, but the pattern",
    ),
    ([Numbers(PATTERN, 5), Numbers(NAME, 6)], 5, "the pattern says step 5, but its name says step 6"),
    (
        [Numbers(FILE, 49, 9)],
        49,
        "x: the file says step 49 and epoch 9 (an epoch is 7 steps); step 49 is taken",
    ),
    ([Numbers(FILE, None, 7), Numbers(NAME, 52)], 52, None),  # the name is more exact
    ([Numbers(FILE, None, 7), Numbers(NAME, 100)], 49, "the file says epoch 7, but its name says step 100"),
    ([Numbers(FILE, None, 7)], 49, None),
    ([Numbers(PATTERN, None, None, 3)], None, None),
    ([], None, None),
]


@pytest.mark.parametrize(("said_by", "step", "note"), TRUSTED, ids=range(len(TRUSTED)))
def test_the_first_that_knows_is_trusted_and_contradictions_are_said(said_by, step, note):
    found, said = step_of("x", said_by, 7)
    assert found == step
    assert (said is None) if note is None else note in str(said)


def test_a_pattern_without_a_step():
    with pytest.raises(InputError, match=r"must hold \{step\} or \{epoch\}"):
        Pattern("{seed}.pt")
