"""The conformance check for tasks: call `check_task` on a task of your own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.spec.checking import Checker
from grokscope.tasks._task import SPLITS, Task

if TYPE_CHECKING:
    import jax

__all__ = ["check_task"]

_want = Checker("check_task")


def check_task(task: Task) -> None:
    """Check that a task keeps the contract of `Task`: shapes, types, labels, splits, keys, jit, facts.

    Raises:
        AssertionError: naming the violation and what is required, in one line.

    Example:
        >>> from grokscope.tasks.sparse_parity import SparseParity
        >>> check_task(SparseParity(n=6, k=2, n_train=20, n_test=10, n_probe=10))
    """
    import jax

    _check_spec(task)
    key, other = jax.random.key(11), jax.random.key(12)
    member_data = jax.jit(task.member_data)
    shared, member = dict(jax.jit(task.shared_data)()), dict(member_data(key, key))
    twice = sorted(shared.keys() & member.keys())
    _want(not twice, f"{twice} come from both shared_data and member_data; give each from one")
    _check_data(task, {**shared, **member})
    if task.has_fixed_test:
        _want("test_x" in shared, "test_x must come from shared_data: it is the same for every member")
    _check_keys(task, member, dict(member_data(key, key)), dict(member_data(other, other)))
    # shapes only: compiling it again would take longer than the rest of the check
    keys = jax.random.split(key, 2)
    for name, array in dict(jax.eval_shape(jax.vmap(task.member_data), keys, keys)).items():
        _want(array.shape[1:] == member[name].shape, f"{name} has another shape under vmap")
    _check_traced(task, key, member)
    if task.can_sample:
        _check_sample(task, key, other)


def _check_spec(task: Task) -> None:
    _want.part(task, Task)
    facts: Any = task.facts()
    _want(isinstance(facts, dict), f"facts must be a dictionary (got {type(facts).__name__})")
    try:
        json.dumps(facts, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"check_task: facts must be plain JSON values: {error}.") from None
    shape: Any = task.input_shape
    whole = isinstance(shape, tuple) and all(type(size) is int and size > 0 for size in shape)
    _want(whole, f"input_shape must be a tuple of positive int (got {shape!r})")
    _want(type(task.n_outputs) is int and task.n_outputs >= 1, "n_outputs must be an int of at least 1")
    allowed = ("class", "real") if task.n_outputs > 1 else ("sign", "real")
    _want(
        task.label_kind in allowed, f"with n_outputs = {task.n_outputs} label_kind must be one of {allowed}"
    )


def _check_data(task: Task, data: dict[str, jax.Array]) -> None:
    for split in ("train", "test"):
        for part in ("x", "y"):
            _want(f"{split}_{part}" in data, f"array {split}_{part} is missing")
    for split in SPLITS:
        if f"{split}_x" in data or f"{split}_y" in data:
            _want(f"{split}_x" in data and f"{split}_y" in data, f"{split}_x and {split}_y go together")
            count = getattr(task, f"n_{split}", None)
            rows = len(data[f"{split}_x"])
            _want(rows == count, f"{split}_x has {rows} rows, but n_{split} is {count}")
            _check_samples(task, data[f"{split}_x"], data[f"{split}_y"], split)


def _check_samples(task: Task, x: Any, y: Any, split: str) -> None:
    x, y = np.asarray(x), np.asarray(y)
    _want(x.shape[1:] == task.input_shape, f"{split} inputs have shape {x.shape[1:]}, not {task.input_shape}")
    _want(
        x.dtype.kind in "fi" and bool(np.isfinite(x).all()),
        f"{split} inputs must be finite floats or integers",
    )
    if task.has_binary_inputs:
        _want(bool((np.abs(x) == 1).all()), f"{split} inputs must be +-1, because has_binary_inputs is true")
    wanted = x.shape[:1]
    if task.label_kind == "real" and task.n_outputs > 1:
        wanted += (task.n_outputs,)
    _want(y.shape == wanted, f"{split} labels have shape {y.shape}, not {wanted}")
    if task.label_kind == "class":
        _want(y.dtype == np.int32, f"{split} labels must be int32 (got {y.dtype})")
        _want(
            bool(((y >= 0) & (y < task.n_outputs)).all()), f"{split} labels must be 0..{task.n_outputs - 1}"
        )
        return
    _want(
        y.dtype.kind == "f" and bool(np.isfinite(y).all()),
        f"{split} labels must be finite floats (got {y.dtype})",
    )
    if task.label_kind == "sign":
        _want(bool((np.abs(y) == 1).all()), f"{split} labels must be +-1")


def _check_keys(task: Task, one: dict[str, Any], same: dict[str, Any], other: dict[str, Any]) -> None:
    for name in one:
        _want(bool(np.array_equal(one[name], same[name])), f"{name} differs between two draws with one key")
    if one:
        differs = any(not np.array_equal(one[name], other[name]) for name in one)
        _want(
            differs, "member_data does not depend on its keys; return what all members share from shared_data"
        )
    if task.has_fixed_test and "test_x" in one:
        _want(bool(np.array_equal(one["test_x"], other["test_x"])), "test_x differs between members")


def _check_traced(task: Task, key: jax.Array, member: dict[str, Any]) -> None:
    import jax
    import jax.numpy as jnp

    numbers = {name: getattr(task, name) for name in task.traced}
    numbers = {name: jnp.asarray(float(value)) for name, value in numbers.items() if value is not None}
    if not numbers:
        return

    def draw(numbers: dict[str, jax.Array]) -> dict[str, jax.Array]:
        return task.with_traced(numbers).member_data(key, key)

    for name, array in jax.jit(draw)(numbers).items():
        same = np.allclose(array, member[name], rtol=1e-5, atol=1e-6)
        _want(same, f"{name} differs when {sorted(numbers)} are traced arrays")


def _check_sample(task: Task, key: jax.Array, other: jax.Array) -> None:
    import jax

    sample = jax.jit(task.sample, static_argnums=1)
    x, y = sample(key, 16)
    _want(len(x) == 16, f"sample(key, 16) returned {len(x)} rows")
    _check_samples(task, x, y, "fresh")
    _want(bool(np.array_equal(x, sample(key, 16)[0])), "sample differs between two draws with one key")
    _want(not np.array_equal(x, sample(other, 16)[0]), "sample does not depend on its key")
