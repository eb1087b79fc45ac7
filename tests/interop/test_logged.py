"""Losses and accuracies that files have logged, against those of our forward pass."""

from __future__ import annotations

import math

import numpy as np
import pytest

import grokscope as gs
from foreign import SPEC, SPEC_TOML, own_data, sequential
from grokscope.cli import main
from grokscope.errors import InputError
from grokscope.interop._contents import find_states
from grokscope.interop._logged import LoggedValue, in_percent

DATA = own_data()
NETS = [sequential(seed) for seed in range(4)]


def values(state, activation=np.tanh):
    """Hinge loss and accuracy on each split, by numpy."""
    found = {}
    for split in ("train", "test"):
        h = activation(DATA[f"{split}_x"] @ state["0.weight"].T + state["0.bias"])
        margin = DATA[f"{split}_y"] * (h @ state["2.weight"].T + state["2.bias"])[:, 0]
        found[f"{split}_loss"] = float(np.maximum(0, 1 - margin).mean())
        found[f"{split}_acc"] = float((margin > 0).mean())
    return found


def logged(content, **options):
    """The measures and values that a file's content has of each network."""
    return [
        {one.measure: (one.value, *one.near) for one in state.logged}
        for state in find_states(content, "f", **options).states
    ]


def test_single_numbers_beside_a_network_are_its_own():
    one = {
        "net": NETS[0],
        "epoch": 3,
        "valLoss": 0.5,
        "metrics": {"train/acc": np.float32(0.75), "loss": 9.0},
    }
    assert logged(one) == [{"test_loss": (0.5,), "train_accuracy": (0.75,)}]
    series = {"checkpoints": [{**one, "epoch": 1}, {**one, "epoch": 2, "valLoss": 0.25}]}
    assert [found["test_loss"] for found in logged(series)] == [(0.5,), (0.25,)]
    # what stands above all networks, the best of any, and what is of no split is no network's own
    above = {"checkpoints": NETS[:2], "test_loss": 0.1, "metrics": {"test_loss": 0.1}}
    assert logged(above) == [{}, {}]
    assert logged({"net": NETS[0], "best_val_loss": 0.1, "loss": 0.1, "train_test_loss": 1.0}) == [{}]


def test_lists_have_one_value_for_each_network_or_each_epoch():
    each = {"checkpoints": NETS[:2], "epochs": [0, 9], "test_losses": [5.0, 6.0]}
    assert logged(each) == [{"test_loss": (5.0,)}, {"test_loss": (6.0,)}]
    curve = [10.0 - e for e in range(10)]
    by_epoch = {**each, "test_losses": np.array(curve)}
    assert logged(by_epoch) == [{"test_loss": (10.0, 9.0)}, {"test_loss": (1.0, 2.0)}]
    assert find_states(by_epoch, "f").unread == ()
    # a list that is too long or too short for the epochs tells no places
    assert logged({**each, "test_losses": curve * 9}) == [{}, {}]
    assert logged({**each, "test_losses": curve[:5]}) == [{}, {}]
    assert "test_losses" in find_states({**each, "test_losses": curve[:5]}, "f").unread
    assert logged({"net": NETS[0], "epoch": 10, "test_losses": curve}) == [{"test_loss": (1.0, 2.0)}]
    assert logged({"net": NETS[0], "test_losses": curve}) == [{"test_loss": (1.0, 2.0)}]


@pytest.mark.parametrize(
    ("value", "near", "ours", "agrees"),
    [
        (2.0, (), 2.01, True),
        (2.0, (), 2.1, False),
        (2.0, (1.5, 2.5), 2.9, True),  # a steep curve: before or after an update
        (2.0, (1.5, 2.5), 4.0, False),
        (1e-7, (), 8e-7, True),  # float32
        (1e-7, (), 0.3, False),
        (0.3, (), math.inf, True),
        (math.nan, (), 0.3, True),
    ],
)
def test_what_agrees(value, near, ours, agrees):
    assert LoggedValue((), "test_loss", value, near).agrees(ours, 0.01) is agrees


def test_accuracies_in_percent():
    small, large = LoggedValue((), "test_accuracy", 0.9), LoggedValue((), "test_accuracy", 99.0)
    assert in_percent([[small], [large]]) == {"test_accuracy"}
    assert in_percent([[small]]) == set()
    assert small.as_fraction.value == pytest.approx(0.009)


@pytest.fixture
def folder(tmp_path):
    def write(activation):
        import torch

        (tmp_path / "them").mkdir(exist_ok=True)
        for step, state in enumerate(NETS[:2]):
            tensors = {name: torch.tensor(array) for name, array in state.items()}
            found = values(state, activation)
            found["test_acc"] *= 100
            torch.save({"model": tensors, "step": step, **found}, tmp_path / "them" / f"net_{step}.pt")
        return tmp_path / "them"

    return write


@pytest.mark.slow
@pytest.mark.torch
def test_another_forward_pass_is_refused_or_marked(folder, tmp_path, capsys):
    path, target = folder(np.tanh), tmp_path / "run"
    with pytest.raises(
        InputError, match=r"net_0\.pt: test_loss at step 0 is .* by our forward pass"
    ) as error:
        gs.import_torch(path, SPEC, data=DATA, out=target)
    assert "Assumed: activation relu (model.activation); none after the last layer; loss hinge" in str(
        error.value
    )
    assert not target.exists()
    (tmp_path / "spec.toml").write_text(SPEC_TOML, encoding="utf-8")
    np.savez(tmp_path / "data.npz", **DATA)
    command = ["import", "torch", str(path), "--data", str(tmp_path / "data.npz"), "--out", str(target)]
    assert main([*command, "--task", str(tmp_path / "spec.toml"), "--allow-other-forward"]) == 0
    capsys.readouterr()
    run = gs.open_run(target)
    assert len(run.provenance["imported"]["other_forward"]) == 2
    assert any("imported with another forward pass" in remark for remark in run.remarks)
    right = {**SPEC, "model": {"kind": "mlp", "widths": [8], "activation": "tanh"}}
    run = gs.import_torch(path, right, data=DATA, out=tmp_path / "right")
    assert run.remarks == []
    assert any(
        note == "our forward pass gives what the files have logged (train_loss of 2, train_accuracy of 2, "
        "test_loss of 2, test_accuracy of 2 networks)."
        for note in run.provenance["imported"]["notes"]
    )


@pytest.mark.torch
def test_without_data_nothing_is_compared_and_a_note_says_so(folder, tmp_path):
    run = gs.import_torch(folder(np.tanh), SPEC, out=tmp_path / "run")
    notes = run.provenance["imported"]["notes"]
    assert any("are not compared with ours, because no data were given" in note for note in notes)
