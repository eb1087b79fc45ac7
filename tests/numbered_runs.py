"""A store whose every transaction carries its number in all it writes, so that a mix of two would show."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from grokscope.errors import GrokscopeError
from grokscope.store.open import create_store, open_store
from grokscope.store.run_store import RunStore

MEMBERS = [(seed, seed, seed, seed) for seed in range(3)]


def new_run(path: Path) -> RunStore:
    store = create_store(path, "x = 1\n", "ab" * 32, {}, {"host": "h"})
    with store.transaction("members") as t:
        t.add_members(MEMBERS)
        write(t, 0)
    return store


def write(t, n: int) -> None:
    """A transaction that carries its number in every array it writes."""
    noise = np.random.default_rng(n).normal(size=(3, 1, 2000)).astype(np.float32)
    noise[..., 0] = n
    t.write_measures("quick", range(3), [n], {"loss": np.full((3, 1), n, np.float32)})
    t.write_measures("slow", range(3), [n], {"norm": noise}, dims={"norm": ("neuron",)})
    t.write_checkpoint(range(3), n, {"w": noise[:, 0]})
    t.mark(range(3), steps_done=n)


def state_of(path: Path) -> int:
    """The number of the last transaction; everything in the store must agree on it."""
    store = open_store(path)
    n = int(store.steps_done[0])
    assert store.steps_done.tolist() == [n] * 3
    data = store.read_measures()
    np.testing.assert_array_equal(data.step, np.arange(n + 1))
    for seed in range(3):
        np.testing.assert_array_equal(data.loss.sel(seed=seed), np.arange(n + 1))
        np.testing.assert_array_equal(data.norm.sel(seed=seed)[:, 0], np.arange(n + 1))
        assert sorted(store.checkpoint_trail(seed)) == list(range(n + 1))
        point = store.read_checkpoint(seed)
        assert point.step == point.leaves["w"][0] == n
    return n


def work(folder: str, last: str) -> int:
    """Make the run if it is not there, write transactions up to a number, finish; say what is done.

    Called in a copy of the nursery; it ends as the command line would.
    """
    try:
        with create_store(folder, "x = 1\n", "ab" * 32, {}, {"host": "h"}, exist_ok=True) as store:
            if not store.seeds:
                with store.transaction("members") as t:
                    t.add_members(MEMBERS)
                    write(t, 0)
            os.write(1, b"done 0\n")
            for n in range(int(store.steps_done[0]) + 1, int(last) + 1):
                with store.transaction(str(n)) as t:
                    write(t, n)
                os.write(1, b"done %d\n" % n)
                if n % 2 == 0:
                    store.finish()
            store.finish()
    except GrokscopeError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0
