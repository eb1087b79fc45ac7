"""The official code's numbers, from its own weights (see ``tests/data/README.md``)."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

from grokscope.circuits import active_subnetwork, find_subnetworks
from grokscope.losses import Hinge
from grokscope.measures import Point
from grokscope.measures.accuracy import TestAccuracy, TrainAccuracy
from grokscope.measures.faithfulness import Faithfulness, SubnetworkNorm
from grokscope.measures.loss import TestLoss, TrainLoss
from grokscope.measures.sensitivity import Sensitivity
from grokscope.measures.sparsity import EffectiveSparsity, EffectiveSparsityAccuracy
from grokscope.models.networks.one_hidden_layer import OneHiddenLayer

DATA = Path(__file__).parent.parent / "data"
NUMBERS = json.loads((DATA / "parity-nn-seed-0.json").read_text())
ARRAYS = load_file(DATA / "parity-nn-seed-0.safetensors")
EPOCHS = NUMBERS["epochs"]
SETS = ("generalizing", "complementary", "control")


def network(epoch: int) -> OneHiddenLayer:
    return OneHiddenLayer(
        jnp.asarray(ARRAYS[f"epoch_{epoch}/linear1.weight"].T),
        jnp.asarray(ARRAYS[f"epoch_{epoch}/linear1.bias"]),
        jnp.asarray(ARRAYS[f"epoch_{epoch}/linear2.weight"][0]),
    )


def data() -> dict[str, jax.Array]:
    splits = ("train_x", "train_y", "test_x", "test_y")
    return {name: jnp.asarray(ARRAYS[name], jnp.float32) for name in splits}


def masks() -> np.ndarray:
    members = np.zeros((3, 1000), bool)
    members[0, NUMBERS["generalizing_neurons_accuracy_flavour"]] = True
    members[1] = ~members[0]
    members[2, NUMBERS["control_neurons"]] = True
    return members


@jax.jit
def measured(layer: OneHiddenLayer, samples: dict[str, jax.Array]) -> dict[str, jax.Array]:
    point = Point(layer, samples, Hinge(), jnp.asarray(masks()))
    kinds = (TrainAccuracy, TestAccuracy, TrainLoss, TestLoss, EffectiveSparsity, EffectiveSparsityAccuracy)
    return {kind().name: kind()(point) for kind in (*kinds, Faithfulness, SubnetworkNorm, Sensitivity)}


@pytest.mark.parametrize("numbers", NUMBERS["per_epoch"], ids=lambda numbers: str(numbers["epoch"]))
def test_every_measure_at_every_epoch(numbers):
    found = measured(network(numbers["epoch"]), data())
    assert int(found["effective_sparsity_accuracy"]) == numbers["effective_sparsity_accuracy"]
    assert int(found["effective_sparsity"]) == numbers["effective_sparsity_predictions"]
    for name in ("train_accuracy", "test_accuracy"):
        assert float(found[name]) == pytest.approx(numbers[name], abs=1e-6)
    for name in ("train_loss", "test_loss"):
        assert float(found[name]) == pytest.approx(numbers[name], rel=1e-4)
    for i, part in enumerate(SETS):
        wanted = numbers[part]
        assert float(found["subnetwork_norm"][i]) == pytest.approx(wanted["norm"], rel=1e-5)
        for j, split in enumerate(("train", "test")):
            for name in ("faithfulness", "sensitivity"):
                assert float(found[name][i, j]) == pytest.approx(wanted[f"{split}_{name}"], abs=1e-5), (
                    part,
                    split,
                    name,
                )


def test_the_generalizing_neurons_are_the_official_ones():
    mask = jax.jit(lambda layer, samples: active_subnetwork(layer, samples, "accuracy"))(network(299), data())
    assert np.flatnonzero(mask).tolist() == NUMBERS["generalizing_neurons_accuracy_flavour"]


def test_the_five_subnetworks_of_the_official_run():
    found = jax.jit(lambda *args: find_subnetworks(*args, flavor="accuracy"))(
        network(299), network(NUMBERS["memorization_epoch"]), data(), jax.random.key(0)
    )
    generalizing, complementary, memorizing, control, matched = np.asarray(found)
    np.testing.assert_array_equal([generalizing, complementary], masks()[:2])
    at_37 = next(n for n in NUMBERS["per_epoch"] if n["epoch"] == NUMBERS["memorization_epoch"])
    assert memorizing.sum() == at_37["effective_sparsity_accuracy"]
    assert control.sum() == matched.sum() == 16
    assert not (matched & generalizing).any()
    norm = np.linalg.norm(ARRAYS["epoch_37/linear1.weight"], axis=1)
    # sixteen of a thousand neurons can be matched to well within the spread (about 0.01) of the norms
    assert abs(norm[matched].mean() - norm[generalizing].mean()) < 1e-3
