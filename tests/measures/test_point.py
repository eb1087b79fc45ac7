"""What a point knows besides the network: the start, the batch, facts, exact expectations."""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import grokscope as gs
from grokscope.errors import InputError
from grokscope.losses import Hinge
from grokscope.measures import Measure, Point
from grokscope.measures.needs import INITIAL_NETWORK
from grokscope.spec.streams import stream_key
from grokscope.tasks.sparse_parity import SparseParity

PARITY = {"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 20, "n_test": 10, "n_probe": 10}
EXTRA = ["batch_accuracy", "batch_loss", "population_accuracy", "population_loss", "start_distance"]


class FollowedDistance(Measure):
    """Distance of the neurons from the start, at the points where subnetworks are followed."""

    kind: Literal["followed_distance"] = "followed_distance"
    pace = "follow"
    default = False
    needs = (INITIAL_NETWORK,)

    def __call__(self, point: Point) -> jax.Array:
        return jnp.linalg.norm(point.neurons.incoming - point.initial.hidden_weight)


def experiment(**more) -> gs.Experiment:
    table = {"task": PARITY, "model": {"kind": "fully_connected", "width": 8}, "epochs": 4, "batch_size": 8}
    return gs.Experiment(**table | {"measures": ["train_loss", "train_accuracy"]} | more)


def distance(one, other) -> float:
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return float(np.sqrt(sum(((np.asarray(a, float) - np.asarray(b, float)) ** 2).sum() for a, b in pairs)))


@pytest.mark.slow
def test_measures_of_the_start_and_the_batch_change_no_bit_and_are_right(tmp_path):
    plain = gs.train(experiment(), seeds=2, out=tmp_path / "plain")
    names = ["train_accuracy", "train_loss", *EXTRA, "followed_distance"]
    run = gs.train(experiment(measures=names), seeds=2, out=tmp_path / "run")
    np.testing.assert_array_equal(run.measures.train_loss, plain.measures.train_loss)
    for seed in (0, 1):
        own = run.measures.sel(seed=seed)
        start = run.model(seed, 0)
        for step in (0, 3, 12):
            network = run.model(seed, step)
            if step == 3:  # every epoch is measured, which is 3 steps
                assert float(own.start_distance.sel(step=step)) > 0
            moved = distance(network, start)
            assert float(own.start_distance.sel(step=step)) == pytest.approx(moved, rel=1e-4, abs=1e-7)
            neurons = float(np.linalg.norm(np.asarray(network.hidden_weight - start.hidden_weight)))
            assert float(own.followed_distance.sel(step=step)) == pytest.approx(neurons, rel=1e-4, abs=1e-7)
    later = plain.measure([*EXTRA, "followed_distance"])
    for name in [*EXTRA, "followed_distance"]:
        np.testing.assert_array_equal(later[name], run.measures[name])


def test_a_batch_is_the_one_of_the_next_update(tmp_path):
    run = gs.train(
        experiment(measures=["batch_loss", "batch_accuracy"], schedule={"measures": "every 1 steps"}),
        seeds=1,
        out=tmp_path / "run",
    )
    data_key, order = stream_key("data", 0), stream_key("order", 0)
    data = SparseParity(**PARITY).member_data(data_key, data_key)
    for step in (0, 2, 4):  # batches of 8, 8 and 4 of 20 samples; step 2 is the smaller one
        rows = jax.random.permutation(jax.random.fold_in(order, step // 3), 20)[8 * (step % 3) :][:8]
        f = np.asarray(run.model(0, step)(data["train_x"][rows]), float)
        y = np.asarray(data["train_y"][rows], float)
        own = run.measures.sel(seed=0, step=step)
        assert float(own.batch_loss) == pytest.approx(np.maximum(0, 1 - y * f).mean(), rel=1e-5)
        assert float(own.batch_accuracy) == pytest.approx((y * f > 0).sum() / (f != 0).sum(), rel=1e-5)


def test_the_start_of_a_branch_is_where_its_members_begin(tmp_path):
    run = gs.train(experiment(), seeds=2, out=tmp_path / "run")
    branch = run.branch(
        6,
        "measures=['start_distance']",
        interventions=[{"kind": "ablate", "neurons": {"kind": "listed", "neurons": [0, 3]}}],
        out=tmp_path / "branch",
    )
    own = branch.measures.start_distance
    assert float(own.sel(seed=1, step=6)) == 0.0
    moved = distance(branch.model(1, 12), branch.model(1, 6))
    assert float(own.sel(seed=1, step=12)) == pytest.approx(moved, rel=1e-4)
    assert moved > 0


def test_a_resumed_run_has_the_start_of_the_whole_run(tmp_path):
    made = experiment(measures=["start_distance"])
    gs.train(made.with_("epochs=2"), seeds=2, out=tmp_path / "run")
    longer = gs.train(made, seeds=2, out=tmp_path / "run")
    whole = gs.train(made, seeds=2, out=tmp_path / "whole")
    np.testing.assert_array_equal(longer.measures.start_distance, whole.measures.start_distance)


def test_facts_are_arrays_of_the_member():
    task = SparseParity(**PARITY, labels="noisy", noise=0.5)
    data = {**task.shared_data(), **task.member_data(jax.random.key(0), jax.random.key(1))}
    point = Point(lambda x: x[:, 0], data, Hinge(), task=task)
    assert point.facts["support"].tolist() == [0, 1]
    assert point.facts["wrong_labels"].shape == (20,)
    assert point.population("accuracy") == 0.5
    large = Point(lambda x: x[:, 0], {}, Hinge(), task=SparseParity())
    with pytest.raises(LookupError, match="task 'sparse_parity' does not give 'loss'"):
        large.population("loss")
    for name in ("initial", "batch"):
        with pytest.raises(LookupError, match=f"point.{name}: "):
            getattr(point, name)


def test_measures_that_do_not_apply_say_so_in_one_line(tmp_path):
    big = experiment(task=PARITY | {"n": 17}, measures=["population_loss"])
    with pytest.raises(InputError, match=r"^measures: population_loss needs an exact population loss; task "):
        gs.train(big, out=tmp_path / "big")
    real = experiment(
        task=PARITY | {"kind": "boolean_function", "preset": "staircase", "output": "real"}, loss="squared"
    )
    said = "train_accuracy needs labels that are signs or classes; task 'boolean_function' has real labels"
    with pytest.raises(InputError, match=said):
        gs.train(real, out=tmp_path / "real")
    with pytest.raises(
        InputError,
        match=r"^stop\.grokked_for: looks at test_accuracy, which is not among .* real labels\)\.$",
    ):
        gs.train(real.with_("measures=['train_loss']", "stop.grokked_for=3"), out=tmp_path / "real")
