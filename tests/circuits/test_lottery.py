"""Lottery tickets and their controls are what they say, on a small run."""

import numpy as np
import pytest

import grokscope as gs
from grokscope.circuits import lottery_ticket
from grokscope.errors import InputError

WIDTH, SEEDS = 16, 2


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    spec = gs.Experiment(
        task={"kind": "sparse_parity", "n": 8, "k": 2, "n_train": 40, "n_test": 20, "n_probe": 64},
        model={"kind": "fully_connected", "width": WIDTH},
        epochs=40,
        batch_size=16,
        measures=["train_accuracy", "test_accuracy", "faithfulness"],
    )
    return gs.train(spec, seeds=SEEDS, out=tmp_path_factory.mktemp("run") / "run")


@pytest.mark.slow
def test_the_ticket_and_its_controls(run, tmp_path):
    found = lottery_ticket(run, "generalizing", "measures=['test_accuracy']", "steps=6", out=tmp_path)
    assert list(found) == ["ticket", "random", "norm_matched", "fresh_weights", "other_data"]
    kept = run.subnetworks.sel(subnetwork="generalizing").values
    sets = {
        name: one.origins.neurons.sel(intervention="prune")
        .transpose(..., "neuron")
        .values.reshape(SEEDS, WIDTH)
        for name, one in found.items()
    }
    for name in ("ticket", "fresh_weights", "other_data"):
        np.testing.assert_array_equal(sets[name], kept)
    for name in ("random", "norm_matched"):
        assert sets[name].sum(axis=1).tolist() == kept.sum(axis=1).tolist()
        assert not (sets[name] & kept).any()
    for name, one in found.items():
        assert one.origins.steps.tolist() == [0] * SEEDS
        assert one.origins.source_members == run.members.seeds
        for seed, (init, data, order, noise) in enumerate(one.members):
            assert (order, noise) == (seed, seed)
            assert init == seed + (1_000_000 if name == "fresh_weights" else 0)
            assert data == seed + (1_000_000 if name == "other_data" else 0)
            start, initial = one.model((init, data, order, noise), 0), run.model(seed, 0)
            mask = sets[name][seed]
            alive = np.asarray(start.output_weight) != 0
            np.testing.assert_array_equal(alive, mask)
            same = np.array_equal(
                np.asarray(start.hidden_weight)[:, mask], np.asarray(initial.hidden_weight)[:, mask]
            )
            assert same is (name != "fresh_weights")


def test_a_control_that_is_not_known(run):
    with pytest.raises(InputError, match=r"control 'randm' is not known\. Did you mean 'random'"):
        lottery_ticket(run, controls=["randm"])
