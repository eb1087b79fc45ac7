"""Labels as others write them: 0 and 1, one-hot, two outputs for two signs."""

from __future__ import annotations

import numpy as np
import pytest

import grokscope as gs
from foreign import SPEC, own_data, predicted, sequential, two_circuits
from grokscope.errors import InputError
from grokscope.interop._data import choose_task
from grokscope.interop._plan import PartialSpec

TASK = PartialSpec.read(SPEC).task
DATA = own_data()
TWO = {name: ((1 - a) / 2).astype(np.int64) if name[-1] == "y" else a for name, a in DATA.items()}  # XOR
READ_AS_CLASSES = "labels are one-hot: they are read as class numbers."


def one_hot(data):
    return {name: np.eye(2)[a] if name[-1] == "y" else a for name, a in data.items()}


def refused(data, n_outputs, *texts):
    with pytest.raises(InputError) as error:
        choose_task(TASK, data, n_outputs, None, "data")
    for text in texts:
        assert text in str(error.value)


def test_bits_of_0_and_1_are_named():
    bits = {name: ((1 - a) / 2).astype(np.uint8) for name, a in DATA.items()}
    cause = (
        "data: the inputs in train_x are 0 and 1, but those of task 'sparse_parity' are -1 and +1 (bit 0 is"
    )
    refused(bits, 1, cause, "leave out the task")
    refused({**DATA, "train_x": bits["train_x"].astype(np.float32)}, 1, cause)
    task, _ = choose_task(None, bits, 1, None, "data")
    assert (task.label_kind, task.n_train) == ("sign", 24)


def test_labels_of_0_and_1():
    positive = {name: (a > 0).astype(int) if name[-1] == "y" else a for name, a in DATA.items()}
    task, notes = choose_task(TASK, positive, 1, None, "data")
    assert notes == ["labels are 0 and 1: they are read as -1 and +1 (a positive output is label 1)."]
    np.testing.assert_array_equal(task.shared_data()["train_y"], DATA["train_y"])
    refused(TWO, 1, "those of the spec's task 'sparse_parity' with the other sign", "label 1 stands for +1")


def test_one_hot_labels():
    task, notes = choose_task(None, one_hot(TWO), 2, None, "data")
    assert (task.label_kind, task.n_outputs, notes) == ("class", 2, [READ_AS_CLASSES])
    np.testing.assert_array_equal(task.shared_data()["test_y"], TWO["test_y"])
    # of two columns the second is label 1
    positive = {name: (a > 0).astype(int) if name[-1] == "y" else a for name, a in DATA.items()}
    task, _ = choose_task(TASK, one_hot(positive), 1, None, "data")
    np.testing.assert_array_equal(task.shared_data()["train_y"], DATA["train_y"])
    # nearly one-hot: real vectors
    halves = {name: a / 2 if name[-1] == "y" else a for name, a in one_hot(TWO).items()}
    task, notes = choose_task(None, halves, 2, None, "data")
    assert (task.label_kind, notes) == ("real", [])


@pytest.mark.parametrize(("data", "positive"), [(TWO, 0), (one_hot(TWO), 0)], ids=["numbers", "one-hot"])
def test_two_outputs_are_two_classes_where_labels_are_class_numbers(data, positive, tmp_path):
    state = sequential(1, (6, 8, 2))
    run = gs.from_torch(state, SPEC, data=data, out=tmp_path / "run")
    notes = run.provenance["imported"]["notes"]
    assert any(f"is measured as two classes; class {positive} is its label +1" in note for note in notes)
    right = predicted(state, DATA["test_x"]).argmax(axis=1) == TWO["test_y"]
    assert run.measures.test_accuracy.item() == pytest.approx(right.mean())
    assert run.experiment.loss.kind == "cross_entropy"


def test_two_outputs_for_signs_are_named():
    cause = "the network has 2 outputs, one for each class, but labels of task 'sparse_parity' are -1 and +1"
    refused(DATA, 2, f"data: {cause}", "give the labels as the class numbers 0 and 1")
    refused({}, 2, cause, "give data with class numbers")
    refused(TWO, 3, "the network has 3 outputs", "leave out the task")
    wrong = {**TWO, "test_y": np.roll(TWO["test_y"], 1)}
    refused(wrong, 2, "are not the labels -1 and +1 of the spec's task 'sparse_parity', in either order")


def test_the_command_gives_the_cause_not_the_shapes(tmp_path):
    with pytest.raises(InputError, match="the network has 2 outputs, one for each class"):
        gs.from_torch(sequential(1, (6, 8, 2)), SPEC, data=DATA, out=tmp_path / "run")
    with pytest.raises(InputError, match=r"with the other sign"):
        gs.from_torch(two_circuits(1), SPEC, data=TWO, out=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
