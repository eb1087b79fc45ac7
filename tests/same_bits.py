"""Whether two runs hold the same: arrays, subnetworks, checkpoints, snapshots and facts, bit for bit.

Object ids, times and the order in which members were added may differ; nothing else may.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from grokscope.runs import Run, open_run, verify
from grokscope.store.open import open_store

_NOT_COMPARED = ("fingerprint",)  # of attributes: one process may have one device and the other two


def contents(folder: Path | str) -> dict[str, str]:
    """A hash of everything that a run holds, by what it is: ``measure/NAME``, ``seed 3/checkpoint``, ..."""
    run: Run = open_run(folder)
    store = open_store(run.path)
    found: dict[str, str] = {"experiment": _hash(store.experiment_toml.encode())}
    measures = run.measures.load()
    order = [name for name in measures.dims if name in measures.coords]
    measures = measures.sortby(order)
    for name in [*measures.data_vars, *measures.coords]:
        array = measures[name]
        found[f"measure/{name}"] = _array(array.values) + _hash(repr((array.dims, array.attrs)).encode())
    for position, seeds in enumerate(store.seeds):
        member = f"seed {seeds}"
        with contextlib.suppress(KeyError):  # what is imported has none
            point = store.read_checkpoint(position)
            found[f"{member}/checkpoint"] = f"{point.step} {point.sha256}"
        facts = (store.steps_done[position], store.complete[position], store.diverged_step[position])
        found[f"{member}/facts"] = repr([int(fact) for fact in facts])
        for step in store.snapshot_steps(position):
            for leaf, value in store.read_snapshot(position, step).items():
                found[f"{member}/snapshot {step}/{leaf}"] = _array(value)
        for flavor in store.flavors:
            masks = store.read_subnetworks(flavor, position)
            found[f"{member}/{flavor}"] = "none" if masks is None else f"{masks.step} {_array(masks.masks)}"
    attributes = {k: v for k, v in store._tree.attributes.items() if k not in _NOT_COMPARED}
    found["attributes"] = _hash(repr(sorted(attributes.items())).encode())
    return found


def differences(folder: Path | str, other: dict[str, str]) -> list[str]:
    """What differs between a run and the contents of another."""
    here = contents(folder)
    return sorted(name for name in here.keys() | other.keys() if here.get(name) != other.get(name))


def assert_same(folder: Path | str, other: dict[str, str]) -> None:
    """A finished, undamaged run with the contents of another."""
    assert verify(Path(folder)) == []
    assert open_run(folder).is_complete
    assert differences(folder, other) == []


def _array(value: Any) -> str:
    value = np.asarray(value)
    return _hash(repr((value.dtype.str, value.shape)).encode() + np.ascontiguousarray(value).tobytes())


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
