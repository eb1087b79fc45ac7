"""Accuracy by group of training samples, and after cutting neurons: by numpy, and on written-down weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokscope import Experiment, InputError
from grokscope.losses import Hinge, Squared
from grokscope.measures import Point
from grokscope.measures.accuracy import TestAccuracy, TrainAccuracy
from grokscope.measures.groups import GroupAccuracy, GroupTrueAccuracy, GroupWrongShare
from grokscope.measures.pruning import PrunedAccuracy
from grokscope.models.modular_waves import ModularWaves
from grokscope.models.networks.one_hidden_layer import OneHiddenLayer
from grokscope.models.one_hot_mlp import OneHotMLP
from grokscope.spec.axes import PRUNING_PERCENTS
from grokscope.spec.streams import stream_key
from grokscope.tasks.modular_operator import ModularOperator

P, WIDTH = 11, 20


def task_of(**options):
    return ModularOperator(p=P, operator_token=False, equals_token=False, **options)


def point(task, network, seed=1):
    data = jax.jit(task.member_data)(stream_key("data", seed), stream_key("noise", seed))
    return Point(network, {**task.shared_data(), **data}, Squared(), task=task)


@pytest.fixture(scope="module")
def noisy():
    task = task_of(labels="noisy", noise=0.35)
    network = OneHotMLP(widths=(WIDTH,)).network(jax.random.key(3), task.input_shape, P)
    return point(task, network)


def arrays(at):
    return {name: np.asarray(array) for name, array in at.data.items()}


def outputs(network, operands, keep=None):
    """By numpy, in float64: W2 (W1[a] + W1[b])^2 with the other neurons left out."""
    w, u = (np.asarray(a, np.float64) for a in (network.hidden_weight, network.output_weight))
    keep = np.ones(w.shape[2], bool) if keep is None else keep
    h = (w[0][operands[:, 0]] + w[1][operands[:, 1]]) ** 2
    return h[:, keep] @ u[keep]


def test_groups_by_numpy(noisy):
    data = arrays(noisy)
    said = outputs(noisy.network, data["train_operands"]).argmax(axis=1)
    true = data["train_operands"].sum(axis=1) % P
    groups = [data["train_group"] == code for code in (0, 1)]
    for measure, right in (
        (GroupAccuracy(), said == data["train_y"]),
        (GroupTrueAccuracy(), said == true),
        (GroupWrongShare(), data["train_y"] != true),
    ):
        np.testing.assert_allclose(measure(noisy), [right[group].mean() for group in groups], rtol=1e-6)
    assert GroupWrongShare()(noisy)[0] == 0 < GroupWrongShare()(noisy)[1]


def test_a_group_without_samples_has_no_accuracy():
    network = OneHotMLP(widths=(WIDTH,)).network(jax.random.key(3), (2, P), P)
    for task, empty in (
        (task_of(), 1),
        (task_of(labels="noisy", noise=0.0), 1),
        (task_of(labels="random"), 0),
        (task_of(labels="noisy", noise=1.0), 0),
    ):
        at = point(task, network)
        for measure in (GroupAccuracy(), GroupTrueAccuracy(), GroupWrongShare()):
            assert np.isnan(measure(at)).tolist() == [empty == 0, empty == 1]
        whole = GroupAccuracy()(at)[1 - empty]
        assert float(whole) == pytest.approx(float(TrainAccuracy()(at)))


def test_a_network_that_knows_the_operator_gives_corrupted_samples_their_true_label():
    task = task_of(labels="noisy", noise=0.5)
    at = point(task, ModularWaves(width=200).network(jax.random.key(0), (2, P), P))
    assert float(TestAccuracy()(at)) == pytest.approx(1)
    np.testing.assert_allclose(GroupTrueAccuracy()(at), [1, 1], rtol=1e-6)
    # on corrupted samples it has the labels that stayed right by chance
    np.testing.assert_allclose(GroupAccuracy()(at), 1 - np.asarray(GroupWrongShare()(at)), rtol=1e-6)


ACCURACIES = (TrainAccuracy(), TestAccuracy(), GroupAccuracy())


@pytest.fixture(scope="module")
def measured(noisy):
    """The pruning curves, and the accuracies of the network and of one without neurons, in one program."""

    def measure(network):
        empty = network.keeping(jnp.zeros(WIDTH))
        ends = [
            jnp.concatenate([jnp.atleast_1d(one(noisy.with_network(end))) for one in ACCURACIES])
            for end in (network, empty)
        ]
        return PrunedAccuracy(by="neuron_norm")(noisy.with_network(network)), *ends

    return [np.asarray(one) for one in jax.jit(measure)(noisy.network)]


@pytest.fixture(scope="module")
def pruned(measured):
    return measured[0]


def parts(at, keep):
    data = arrays(at)
    right = {
        split: outputs(at.network, data[f"{split}_operands"], keep).argmax(axis=1) == data[f"{split}_y"]
        for split in ("train", "test")
    }
    groups = [right["train"][data["train_group"] == code] for code in (0, 1)]
    return [one.mean() for one in (right["train"], right["test"], *groups)]


def test_pruned_accuracy_by_numpy(noisy, pruned):
    norm = np.linalg.norm(np.asarray(noisy.network.hidden_weight, np.float64), axis=(0, 1))
    for order, ranked in enumerate((np.argsort(norm), np.argsort(-norm))):
        for i, percent in enumerate(PRUNING_PERCENTS):
            keep = np.ones(WIDTH, bool)
            keep[ranked[: round(percent * WIDTH / 100)]] = False
            np.testing.assert_allclose(pruned[order, i], parts(noisy, keep), rtol=1e-6)


def test_the_random_order_cuts_one_neuron_after_the_other(noisy, pruned):
    """5 % of 20 neurons is one: each cut is one of those that are possible after the cut before."""
    kept = [np.ones(WIDTH, bool)]
    for found in pruned[2, 1:]:
        nexts = [mask & (np.arange(WIDTH) != j) for mask in kept for j in np.flatnonzero(mask)]
        kept = [mask for mask in nexts if np.allclose(parts(noisy, mask), found, rtol=1e-6)]
        kept = list({mask.tobytes(): mask for mask in kept}.values())
        assert kept


def test_the_ends_of_a_pruning_curve_are_the_whole_and_the_empty_network(measured):
    curves, whole, empty = measured
    for curve in curves:
        assert curve[0].tolist() == whole.tolist()
        assert curve[-1].tolist() == empty.tolist()


def test_neurons_without_a_value_are_cut_last_and_equal_ones_by_index():
    network = OneHiddenLayer(jnp.array([[1.0, 1.0]]), jnp.zeros(2), jnp.array([-2.0, 1.0]))
    x = jnp.ones((1, 1))
    data = {"train_x": x, "train_y": jnp.ones(1), "test_x": x, "test_y": jnp.ones(1)}
    found = np.asarray(PrunedAccuracy()(Point(network, data, Hinge())))
    half = PRUNING_PERCENTS.index(50)
    # equal norms: neuron 0 is cut first, in both orders, and the output turns from -1 to 1
    assert found[:2, [0, half], 0].tolist() == [[0, 1]] * 2
    assert np.isnan(found[:, -1, :2]).all()  # no outputs, no predictions
    assert np.isnan(found[:, :, 2:]).all()  # no groups
    shares = PrunedAccuracy(by="output_share")(
        Point(
            OneHiddenLayer(-network.hidden_weight, network.hidden_bias, network.output_weight), data, Hinge()
        )
    )
    assert np.isnan(shares[:, :, :2]).all()  # shares are NaN, all outputs 0


def test_what_it_cuts_by_must_be_of_neurons():
    for by, message in (
        ("train_accuracy", "one value per neuron"),
        ("subnetwork_norm", "one value per neuron"),
        ("neuron_phase", "one value per neuron"),
        ("neuron_nrom", "neuron_norm"),
    ):
        with pytest.raises(InputError, match=message):
            PrunedAccuracy(by=by)
    spec = Experiment(task={"kind": "sparse_parity", "n": 4, "k": 2}, steps=1)
    assert (
        PrunedAccuracy(by="neuron_participation")
        .missing(spec)
        .startswith("pruned_accuracy_by_neuron_participation_rfft cuts by neuron_participation_rfft needs")
    )
    assert GroupAccuracy().missing(spec) == (
        "group_accuracy needs a task with groups of training samples; task 'sparse_parity' has none"
    )
