"""`check_task` notices each fault it is for. Every kind of task passes in ``test_conformance.py``."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokscope.spec import parts
from grokscope.tasks import Task
from grokscope.tasks.arrays import Arrays
from grokscope.tasks.check import check_task
from grokscope.tasks.sparse_parity import SparseParity

SIZES = {"n": 7, "n_train": 40, "n_test": 20, "n_probe": 10}


def arrays(y):
    x = np.random.default_rng(0).normal(size=(20, 3))
    return Arrays.from_numpy(train_x=x, train_y=y, test_x=x[:5], test_y=y[:5])


@pytest.mark.parametrize(
    "task",
    [SparseParity(**SIZES, support="drawn"), arrays(np.arange(20) % 3)],
    ids=["sparse_parity", "arrays"],
)
def test_tasks_pass_in_float64(task):
    with jax.enable_x64(True):
        check_task(task)


class Good(SparseParity):
    """A task whose methods the faults below replace."""


@pytest.fixture
def good(registry, monkeypatch):
    monkeypatch.setitem(parts._kinds["task"], "sparse_parity", Good)


def changed(name, change):
    """A method that changes one array of what the right one returns."""

    def method(self, *keys):
        data = dict(getattr(SparseParity, name)(self, *keys))
        change(data)
        return data

    return method


def set_(name, function):
    return lambda data: data.__setitem__(name, function(data[name]))


def move_test(self, data_key, noise_key):
    return {**SparseParity.member_data(self, data_key, noise_key), "test_x": jnp.ones((20, 7))}


FAULTS = [
    ("__doc__", None, "Good has no docstring"),
    ("facts", lambda self: {"support": np.arange(3)}, "facts must be plain JSON values"),
    ("facts", lambda self: {"share": float("nan")}, "facts must be plain JSON values"),
    ("facts", lambda self: [1], "facts must be a dictionary"),
    ("input_shape", property(lambda self: [7]), "input_shape must be a tuple of positive int"),
    ("n_outputs", property(lambda self: 0), "n_outputs must be an int of at least 1"),
    ("label_kind", property(lambda self: "class"), "with n_outputs = 1 label_kind must be one of"),
    ("shared_data", changed("shared_data", lambda d: d.pop("test_y")), "array test_y is missing"),
    ("shared_data", changed("shared_data", lambda d: d.pop("probe_y")), "probe_x and probe_y go together"),
    (
        "shared_data",
        changed("shared_data", set_("test_x", lambda x: x[:9])),
        "test_x has 9 rows, but n_test is 20",
    ),
    ("shared_data", changed("shared_data", set_("test_y", lambda y: y[:9])), "test labels have shape"),
    ("shared_data", changed("shared_data", set_("test_y", lambda y: 0 * y)), "test labels must be +-1"),
    ("shared_data", changed("shared_data", set_("test_y", lambda y: y.astype(int))), "must be finite floats"),
    ("shared_data", changed("shared_data", set_("test_x", lambda x: 2 * x)), "test inputs must be +-1"),
    ("shared_data", changed("shared_data", set_("test_x", lambda x: x / 0)), "test inputs must be finite"),
    (
        "shared_data",
        changed("shared_data", set_("test_x", lambda x: x[:, :5])),
        "test inputs have shape (5,)",
    ),
    ("member_data", move_test, "come from both shared_data and member_data"),
    (
        "member_data",
        lambda self, a, b: SparseParity.member_data(self, jax.random.key(0), b),
        "member_data does not depend on its keys",
    ),
    (
        "member_data",
        lambda self, a, b: SparseParity.member_data(self, jax.random.key(next(COUNTER)), b),
        "differs between two draws",
    ),
    ("sample", lambda self, key, count: SparseParity.sample(self, key, 5), "sample(key, 16) returned 5 rows"),
    (
        "sample",
        lambda self, key, count: SparseParity.sample(self, jax.random.key(0), count),
        "sample does not depend on its key",
    ),
    ("with_traced", lambda self, v: SparseParity(**SIZES, labels="noisy", noise=1.0), "are traced arrays"),
]
COUNTER = iter(range(10**6))


def test_the_task_without_a_fault_passes(good):
    check_task(Good(**SIZES))


@pytest.mark.usefixtures("good")
@pytest.mark.parametrize(("name", "value", "message"), FAULTS)
def test_each_fault_is_noticed(monkeypatch, name, value, message):
    task = Good(**SIZES)
    if "two draws" in message:
        # without jit a new key is drawn at every call, as a task that keeps a generator of its own would
        monkeypatch.setattr(jax, "jit", lambda function, **_: function)
    monkeypatch.setattr(Good, name, value)
    with pytest.raises(AssertionError) as error:
        check_task(task)
    assert message in str(error.value)
    assert str(error.value).startswith("check_task: ")


def test_classes_are_checked(monkeypatch):
    task = arrays(np.arange(20) % 3)
    right = Arrays.shared_data

    def wrong(self):
        data = dict(right(self))
        return {**data, "train_y": data["train_y"] + 1}

    monkeypatch.setattr(Arrays, "shared_data", wrong)
    with pytest.raises(AssertionError, match=r"train labels must be 0\.\.2"):
        check_task(task)
    monkeypatch.setattr(
        Arrays, "shared_data", lambda self: {k: v.astype(float) for k, v in right(self).items()}
    )
    with pytest.raises(AssertionError, match="train labels must be int32"):
        check_task(task)


@pytest.mark.usefixtures("good")
def test_a_task_whose_test_set_is_the_members_own_must_say_so():
    class Split(Task):
        """A finite set, split anew for each data seed."""

        kind: Literal["split_of_a_table"] = "split_of_a_table"
        n_train: int = 6
        n_test: int = 4
        honest: bool = True

        @property
        def input_shape(self):
            return (1,)

        @property
        def has_fixed_test(self):
            return not self.honest

        def member_data(self, data_key, noise_key):
            x = jax.random.permutation(data_key, 10)[:, None].astype(jnp.result_type(float))
            y = jnp.where(x[:, 0] < 5, 1.0, -1.0)
            return {"train_x": x[:6], "train_y": y[:6], "test_x": x[6:], "test_y": y[6:]}

    check_task(Split())
    with pytest.raises(AssertionError, match="test_x must come from shared_data"):
        check_task(Split(honest=False))
