"""The official code's weights, imported: every number of its own functions (see ``tests/data/README.md``)."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import grokscope as gs
from grokscope.losses import Hinge
from grokscope.measures import Point
from grokscope.measures.faithfulness import Faithfulness, SubnetworkNorm
from grokscope.measures.sensitivity import Sensitivity

DATA = Path(__file__).parent.parent / "data"
NUMBERS = json.loads((DATA / "parity-nn-seed-0.json").read_text())
QUICK = ("train_accuracy", "test_accuracy", "train_loss", "test_loss")
SPARSITIES = ("effective_sparsity", "effective_sparsity_accuracy")
FOLLOWED = ("faithfulness", "subnetwork_norm", "sensitivity")
SPEC = {"task": {"kind": "sparse_parity", "n": 40, "k": 3, "n_probe": 100}, "measures": [*QUICK, *SPARSITIES]}
each_epoch = pytest.mark.parametrize("numbers", NUMBERS["per_epoch"], ids=lambda numbers: numbers["epoch"])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("reference") / "run"
    made = gs.import_torch(DATA / "parity-nn-seed-0.safetensors", SPEC, out=out)
    made.measure(FOLLOWED, flavor="accuracy")
    return made


@pytest.mark.slow
def test_steps_are_32_times_the_epochs(run):
    assert run.snapshot_steps == sorted(32 * epoch for epoch in NUMBERS["epochs"])
    assert run.measures.epoch.values.tolist() == sorted(NUMBERS["epochs"])


@each_epoch
def test_sizes_shares_and_losses(run, numbers):
    at = run.measures.sel(seed=0, step=32 * numbers["epoch"])
    assert int(at.effective_sparsity) == numbers["effective_sparsity_predictions"]
    assert int(at.effective_sparsity_accuracy) == numbers["effective_sparsity_accuracy"]
    for name in QUICK:
        assert at[name].item() == pytest.approx(numbers[name], abs=1e-6)


def test_the_sets_of_neurons(run):
    sets = run.subnetworks_of("accuracy").sel(seed=0)
    official = NUMBERS["generalizing_neurons_accuracy_flavour"]
    assert np.flatnonzero(sets.sel(subnetwork="generalizing")).tolist() == official
    others = sorted(set(range(1000)) - set(official))
    assert np.flatnonzero(sets.sel(subnetwork="complementary")).tolist() == others


def assert_like(found, wanted):
    """Norm, faithfulness and sensitivity [split] of one set; shares are float32 of whole counts."""
    norm, faithfulness, sensitivity = found
    assert norm == pytest.approx(wanted["norm"], abs=1e-6)
    for i, split in enumerate(("train", "test")):
        assert faithfulness[i] == pytest.approx(wanted[f"{split}_faithfulness"], abs=1e-6)
        assert sensitivity[i] == pytest.approx(wanted[f"{split}_sensitivity"], abs=1e-6)


@each_epoch
@pytest.mark.parametrize("name", ["generalizing", "complementary"])
def test_the_sets_followed_through_training(run, numbers, name):
    at = run.measures.sel(seed=0, step=32 * numbers["epoch"], subnetwork=name)
    names = ("subnetwork_norm", "faithfulness", "sensitivity")
    found = [at[f"{measure}_accuracy_flavor"].values for measure in names]
    assert_like(found, numbers[name])


@pytest.fixture(scope="module")
def of_the_control(run):
    """Measures of the control set, whose neurons the official code drew."""
    mask = np.zeros((1, 1000), bool)
    mask[0, NUMBERS["control_neurons"]] = True
    data = jax.jit(run.experiment.task.shared_data)()

    @jax.jit
    def take(network):
        point = Point(network, data, Hinge(), jnp.asarray(mask))
        return [kind()(point)[0] for kind in (SubnetworkNorm, Faithfulness, Sensitivity)]

    return take


@each_epoch
def test_the_control_set(run, of_the_control, numbers):
    found = of_the_control(run.model(step=32 * numbers["epoch"]))
    assert_like([np.asarray(values) for values in found], numbers["control"])
