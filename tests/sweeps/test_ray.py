"""The Ray engine on a cluster of a head and nodes at loopback addresses of this machine."""

from __future__ import annotations

import os

import numpy as np
import pytest

import grokscope as gs
from grokscope.errors import InputError
from grokscope.store.open import open_store
from grokscope.sweeps import engine_named
from ray_cluster import Cluster, until
from small_sweeps import RATES, assert_same_sweep, small

pytestmark = pytest.mark.ray

OVER = ("optimizer.weight_decay=log:1e-3:1e-1:24",)  # one shape, so that a worker compiles once
LONG = ("epochs=3000", "schedule.measures='log'", "schedule.slow_measures='ends'")
OTHER_FLAGS = "--xla_cpu_enable_fast_min_max=true"


class CallAfter:
    """A progress that calls a function once, after a number of finished units."""

    def __init__(self, after, what):
        self.left, self.what = after, what
        self.notes = []

    def plan(self, text):
        self.text = text

    def start(self, total_steps, label):
        self.total = total_steps

    def advance(self, steps, note=""):
        self.notes.append(note)
        self.left -= 1
        if self.left == 0:
            self.what()

    def finish(self):
        pass


@pytest.fixture(scope="module")
def cluster():
    made = Cluster()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def engine(cluster):
    connected = engine_named("ray", cluster.address)  # nodes need a running head
    cluster.add(3)
    until(lambda: len(connected._nodes()) == 1, "the first node works")
    cluster.add(4)
    until(lambda: len(connected._nodes()) == 2, "the second node works")
    assert connected.workers == 2
    connected.shortest_seconds = 0.01  # one unit per cell
    yield connected
    connected.close()


@pytest.fixture(scope="module")
def swept(cluster, engine, tmp_path_factory):
    """A sweep during which a node was killed, and its recorded progress."""
    progress = CallAfter(3, lambda: cluster.kill_at_work("127.0.0.4"))
    out = tmp_path_factory.mktemp("many") / "sweep"
    done = gs.sweep(small(*LONG), OVER, seeds=2, out=out, rates=RATES, engine=engine, progress=progress)
    return done, progress


def test_a_sweep_that_loses_a_node_equals_a_local_one_bit_for_bit(swept, engine, tmp_path):
    sweep, progress = swept
    assert sweep.is_complete
    assert len(sweep.cells) == 24
    assert engine.lost >= 1
    assert "a worker was lost" in progress.notes
    assert "about" in progress.text
    assert "2 workers" in progress.text
    alone = gs.sweep(small(*LONG), OVER, seeds=2, out=tmp_path / "alone", rates=RATES)
    assert_same_sweep(sweep, alone)


def test_finished_cells_are_skipped_and_nodes_with_other_numerics_get_no_work(swept, cluster, engine):
    sweep, _ = swept
    before = {name: open_store(sweep.path / "cells" / name).version for name in sweep.cells.values()}
    progress = CallAfter(0, None)
    cluster.add(5, XLA_FLAGS=OTHER_FLAGS)
    until(lambda: len(engine._nodes()) == 2, "the node with other numerics is there")
    # repeated: nothing to do, so no unit is submitted
    gs.sweep(small(*LONG), OVER, seeds=2, out=sweep.path, rates=RATES, engine=engine, progress=progress)
    assert progress.notes == []
    # three more decays: all trained by the node with the sweep's numerics
    more = ("optimizer.weight_decay=0.2,0.3,0.4",)
    again = gs.sweep(
        small(*LONG), more, seeds=2, out=sweep.path, rates=RATES, engine=engine, progress=progress
    )
    new = set(again.cells.values()) - set(before)
    assert len(new) == 3
    assert again.is_complete
    assert again.provenance["requests"][-1]["members"] == 6
    for name in new:
        store = open_store(again.path / "cells" / name)
        assert store.fingerprint["xla_flags"] == os.environ.get("XLA_FLAGS", "")
        assert "other_numerics" not in store.notes
    for name, version in before.items():
        assert open_store(again.path / "cells" / name).version == version

    # only the node with other numerics is left: a one-line error, or marked cells if that is allowed
    cluster.kill("127.0.0.3")
    until(lambda: len(engine._nodes()) == 1, "one node is left")
    asked = {"over": more, "seeds": 3, "out": again.path, "rates": RATES, "engine": engine}
    with pytest.raises(InputError, match=r"was made with other numerics .*xla_flags") as refused:
        gs.sweep(small(*LONG), **asked)
    assert "\n" not in str(refused.value)
    marked = gs.sweep(small(*LONG), **asked, allow_other_numerics=True)
    for name in new:
        assert "xla_flags" in str(open_store(marked.path / "cells" / name).notes["other_numerics"])
    assert "xla_flags" in str(marked.notes["other_numerics"])
    untouched = open_store(marked.path / "cells" / next(iter(before)))
    assert "other_numerics" not in untouched.notes
    assert np.isfinite(marked.measures.test_accuracy.isel(step=-1).sel(weight_decay=0.2)).all()


def test_a_folder_invisible_to_workers_and_a_failing_worker_give_one_line_errors(
    engine, tmp_path, monkeypatch
):
    import grokscope.sweeps.engines.ray as module
    from grokscope.errors import GrokscopeError

    absolute = module._with_absolute_place
    hidden = str(tmp_path / "elsewhere")
    monkeypatch.setattr(
        module, "_with_absolute_place", lambda unit: absolute(module.replace(unit, place=hidden))
    )
    # many units are running when the first is refused: they end, and the engine stays usable
    for i in range(3):
        with pytest.raises(InputError, match=r"is not visible on .*s3://BUCKET/PREFIX") as failed:
            gs.sweep(
                small("epochs=1"),
                ["optimizer.weight_decay=log:1e-3:1e-1:48"],
                out=tmp_path / f"sweep-{i}",
                rates=RATES,
                engine=engine,
            )
        assert "\n" not in str(failed.value)
    monkeypatch.setattr(module, "_with_absolute_place", lambda unit: module.replace(unit, cells=()))
    with pytest.raises(GrokscopeError, match=r"a worker failed|no worker of this Ray cluster answers"):
        gs.sweep(small("epochs=1"), ["task.n_train=24,32"], out=tmp_path / "two", rates=RATES, engine=engine)
