"""Accuracy, loss and norms, on outputs that can be checked by hand."""

import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import grokscope as gs
import oracles
from grokscope.losses import CrossEntropy, Hinge
from grokscope.measures import Point, _point, _prefixes
from grokscope.measures._predictions import has_prediction, margins, predictions
from grokscope.measures.accuracy import (
    TestAccuracy,
    TestAccuracyLarge,
    TestZeroOutputs,
    TestZeroOutputsLarge,
    TrainAccuracy,
    TrainZeroOutputs,
)
from grokscope.measures.logit_scale import LogitScale
from grokscope.measures.loss import (
    MarginMeanLarge,
    TestLoss,
    TrainLoss,
    TrainMarginBelow1,
    TrainMarginLeast,
)
from grokscope.measures.norms import MatrixNorm, NeuronNorm, PathNorm, PathNormTotal, WeightNorm
from grokscope.measures.sensitivity import Sensitivity, SensitivityFull
from grokscope.measures.share import OutputShare
from grokscope.models.networks.one_hidden_layer import OneHiddenLayer

OUTPUTS = jnp.array([2.0, 1.0, 0.5, -3.0, 0.0])
LABELS = jnp.array([1.0, -1.0, 1.0, -1.0, 1.0])  # right, wrong, right, right, no prediction


class Same(eqx.Module):
    """A network that returns its input."""

    def __call__(self, x):
        return x


def on_every_split(outputs, labels, loss):
    data = {f"{split}_x": outputs for split in ("train", "test", "probe")}
    return Point(Same(), data | {f"{split}_y": labels for split in ("train", "test", "probe")}, loss)


@pytest.mark.parametrize("kind", [TrainAccuracy, TestAccuracy, TestAccuracyLarge])
def test_accuracy_leaves_out_outputs_of_zero(kind):
    assert float(kind()(on_every_split(OUTPUTS, LABELS, Hinge()))) == 0.75


@pytest.mark.parametrize("kind", [TrainZeroOutputs, TestZeroOutputs, TestZeroOutputsLarge])
def test_outputs_of_zero_are_counted(kind):
    assert int(kind()(on_every_split(OUTPUTS, LABELS, Hinge()))) == 1


def test_accuracy_of_a_network_that_predicts_nothing_is_nan():
    assert math.isnan(TrainAccuracy()(on_every_split(jnp.zeros(5), LABELS, Hinge())))


def test_accuracy_of_classes_takes_the_lowest_of_equal_ones():
    outputs = jnp.array([[0.0, 2.0, 1.0], [3.0, 3.0, 0.0], [0.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    point = on_every_split(outputs, jnp.array([1, 0, 2, 0]), CrossEntropy())
    assert float(TrainAccuracy()(point)) == 0.75


@pytest.mark.parametrize("kind", [TrainLoss, TestLoss])
def test_loss_is_the_mean_over_samples(kind):
    # hinge: 0, 2, 0.5, 0, 1
    assert float(kind()(on_every_split(OUTPUTS, LABELS, Hinge()))) == pytest.approx(0.7)


def test_right_on_100_inputs_is_told_apart_from_right_on_all():
    """A network with a flaw that 100 test inputs do not show; the probe of 10,000 does.

    |x_0 + x_1| - 1 is x_0 x_1; the last neuron fires where the bits 2..9 are all +1, and turns +1 into -2.
    """
    weight = np.zeros((10, 4), np.float32)
    weight[:2, 0], weight[:2, 1], weight[2:, 3] = 1.0, -1.0, 1.0
    network = OneHiddenLayer(
        jnp.array(weight), jnp.array([0.0, 0.0, 1.0, -7.0]), jnp.array([1.0, 1.0, -1.0, -3.0])
    )
    rng = np.random.default_rng(0)
    probe, test = (rng.choice(np.array([-1.0, 1.0], np.float32), (rows, 10)) for rows in (10_000, 100))
    test[:, 2] = -1.0
    data = {
        f"{split}_{name}": jnp.array(values)
        for split, x in (("test", test), ("probe", probe))
        for name, values in (("x", x), ("y", x[:, 0] * x[:, 1]))
    }
    point = Point(network, data, Hinge())
    wrong = sum(all(bit == 1 for bit in x[2:]) and x[0] == x[1] for x in probe.tolist())
    assert 0 < wrong < 50  # one in 512: most samples of 100 have none
    assert float(TestAccuracy()(point)) == 1.0
    assert float(TestAccuracyLarge()(point)) == pytest.approx(1 - wrong / 10_000, abs=1e-7)


def test_margins_below_1():
    # margins 2, -1, 0.5, 3, 0
    assert float(TrainMarginBelow1()(on_every_split(OUTPUTS, LABELS, Hinge()))) == pytest.approx(0.6)


def test_splits_are_not_mixed_up():
    data = {}
    for split, value in (("train", 1.0), ("test", -1.0), ("probe", 0.0)):
        data |= {f"{split}_x": jnp.full(4, value), f"{split}_y": jnp.ones(4)}
    point = Point(Same(), data, Hinge())
    values = [kind()(point).item() for kind in (TrainAccuracy, TestAccuracy, TrainLoss, TestLoss)]
    assert values == [1.0, 0.0, 0.0, 2.0]
    assert [int(kind()(point)) for kind in (TestZeroOutputs, TestZeroOutputsLarge)] == [0, 4]


@pytest.mark.parametrize("n_rows", [6, 7, 8, 21, 25])
@pytest.mark.parametrize("network", ["one hidden layer", "another"])
def test_large_splits_go_through_in_pieces_unchanged(monkeypatch, n_rows, network):
    monkeypatch.setattr(_prefixes, "CHUNK", 7)
    monkeypatch.setattr(_point, "CHUNK", 7)
    rng = np.random.default_rng(n_rows)
    weights = tuple(rng.integers(-2, 3, shape).astype(np.float32) for shape in ((4, 10), (10,), (10,)))
    x = rng.choice([-1.0, 1.0], (n_rows, 4)).astype(np.float32)
    layer = OneHiddenLayer(*map(jnp.asarray, weights))
    predict = layer if network == "one hidden layer" else layer.__call__
    point = Point(predict, {"probe_x": jnp.asarray(x), "probe_y": jnp.ones(n_rows)}, Hinge())
    np.testing.assert_array_equal(point.outputs("probe"), oracles.outputs(weights, x))


def test_norms():
    rng = np.random.default_rng(0)
    weights = (rng.normal(size=(4, 6)), rng.normal(size=6), rng.normal(size=6))
    point = Point(OneHiddenLayer(*(jnp.asarray(a, jnp.float32) for a in weights)), {}, Hinge())
    np.testing.assert_allclose(NeuronNorm()(point), oracles.norms(weights), rtol=1e-5)
    path = oracles.norms(weights, "path_norm")
    np.testing.assert_allclose(PathNorm()(point), path, rtol=1e-5)
    assert float(PathNormTotal()(point)) == pytest.approx(sum(path), rel=1e-5)
    total = math.sqrt(sum(float((a**2).sum()) for a in weights))
    assert float(WeightNorm()(point)) == pytest.approx(total, rel=1e-5)


def test_norm_of_named_parameters():
    rng = np.random.default_rng(4)
    W, b, u = (rng.normal(size=s).astype(np.float32) for s in ((4, 6), (6,), (6, 3)))
    point = Point(OneHiddenLayer(*(jnp.asarray(a) for a in (W, b, u))), {}, CrossEntropy())
    for patterns, arrays, name in (
        (None, (W, b, u), "weight_norm"),
        (["*_weight"], (W, u), "weight_norm_all_weight"),
        (["output_weight", "hidden_bias"], (b, u), "weight_norm_output_weight_hidden_bias"),
    ):
        measure = WeightNorm(parameters=patterns)
        flat = np.concatenate([array.ravel() for array in arrays])
        assert float(measure(point)) == pytest.approx(np.linalg.norm(flat), rel=1e-6)
        assert measure.name == name
    lack = WeightNorm(parameters=["hiden_bias"]).missing(gs.Experiment(task="sparse_parity", epochs=1))
    assert lack == (
        "weight_norm: parameters: 'hiden_bias' is no parameter of this network. Did you mean 'hidden_bias'? "
        "It has: hidden_weight, hidden_bias, output_weight"
    )


def test_logit_scale_is_the_spread_of_the_logits_over_classes():
    rng = np.random.default_rng(5)
    sizes = {"train": 7, "test": 4}
    logits = {split: rng.normal(3.0, 2.0, (n, 5)).astype(np.float32) for split, n in sizes.items()}
    data = {f"{split}_x": jnp.asarray(values) for split, values in logits.items()}
    data |= {f"{split}_y": jnp.zeros(len(values), jnp.int32) for split, values in logits.items()}
    point = Point(Same(), data, CrossEntropy())
    for split, values in logits.items():
        wanted = math.sqrt(np.mean([np.var(row) for row in values]))
        measure = LogitScale(split=split)
        assert float(measure(point)) == pytest.approx(wanted, rel=1e-5)
        # a constant for each sample does not matter, a factor does
        shift = rng.normal(size=(len(values), 1)).astype(np.float32)
        moved = Point(Same(), {**data, f"{split}_x": jnp.asarray(3 * values + shift)}, CrossEntropy())
        assert float(measure(moved)) == pytest.approx(3 * wanted, rel=1e-5)
    assert [LogitScale(split=split).name for split in sizes] == ["logit_scale", "logit_scale_test"]


def test_path_norm_does_not_change_when_a_neuron_is_rescaled():
    rng = np.random.default_rng(1)
    W, b, u = (jnp.asarray(rng.normal(size=s), jnp.float32) for s in ((4, 6), (6,), (6, 3)))
    scale = jnp.array([1.0, 2.0, 0.5, 3.0, 10.0, 0.1])
    before = Point(OneHiddenLayer(W, b, u), {}, CrossEntropy())
    after = Point(OneHiddenLayer(W * scale, b * scale, u / scale[:, None]), {}, CrossEntropy())
    np.testing.assert_allclose(PathNorm()(after), PathNorm()(before), rtol=1e-5)
    assert not np.allclose(NeuronNorm()(after), NeuronNorm()(before))


def test_shares_of_the_output_are_those_of_neurons_alone():
    rng = np.random.default_rng(2)
    weights = (rng.normal(size=(4, 6)), rng.normal(size=6), rng.normal(size=6))
    x = rng.normal(size=(9, 4))
    alone = [np.abs(oracles.outputs(weights, x, [j])).sum() for j in range(6)]
    layer = OneHiddenLayer(*(jnp.asarray(a, jnp.float32) for a in weights))
    data = {"test_x": jnp.asarray(x, jnp.float32), "test_y": jnp.ones(9)}
    share = OutputShare()(Point(layer, data, Hinge()))
    np.testing.assert_allclose(share, np.array(alone) / sum(alone), rtol=1e-5)
    silent = OneHiddenLayer(
        *(jnp.zeros_like(leaf) for leaf in (layer.hidden_weight, layer.hidden_bias)), jnp.ones(6)
    )
    assert np.isnan(OutputShare()(Point(silent, data, Hinge()))).all()


def test_a_margin_is_the_product_and_1_is_not_below_1():
    outputs, labels = jnp.array([4.0, 0.25, 1.5, -1.0]), jnp.array([1.0, 1.0, 1.0, -1.0])
    assert float(TrainMarginBelow1()(on_every_split(outputs, labels, Hinge()))) == 0.25


def test_least_and_mean_margin_are_of_their_own_splits():
    data = {}
    for split, margins_there in (
        ("train", [2.0, -1.0, 0.5]),
        ("test", [9.0, 9.0, -9.0]),
        ("probe", [3, -1, 4]),
    ):
        labels = jnp.array([1.0, -1.0, 1.0])
        data |= {f"{split}_x": labels * jnp.array(margins_there), f"{split}_y": labels}
    point = Point(Same(), data, Hinge())
    assert float(TrainMarginLeast()(point)) == -1.0
    assert float(MarginMeanLarge()(point)) == 2.0


def test_shares_of_several_outputs_are_by_the_norm_of_the_outgoing_weights():
    network = OneHiddenLayer(jnp.array([[1.0, 3.0]]), jnp.zeros(2), jnp.array([[3.0, 4.0], [0.0, 1.0]]))
    point = Point(network, {"test_x": jnp.array([[1.0], [2.0]]), "test_y": jnp.array([0, 1])}, CrossEntropy())
    # mean activations 1.5 and 4.5, norms 5 and 1
    assert OutputShare()(point).tolist() == pytest.approx([7.5 / 12, 4.5 / 12])


def test_what_is_predicted():
    assert predictions(jnp.array([2.0, 0.0, -3.0]), 1).tolist() == [1.0, 0.0, -1.0]
    assert has_prediction(jnp.array([1.0, 0.0, -1.0, jnp.nan]), 1).tolist() == [True, False, True, False]
    assert margins(jnp.array([2.0, 0.0, -3.0]), 1).tolist() == [2.0, 0.0, 3.0]
    # not as many samples as classes: the axes are not to be mixed up
    classes = jnp.array([[3.0, 1.0, 3.0], [0.0, 1.0, 5.0], [0.0, jnp.nan, 1.0], [0.0, 2.0, 1.0]])
    assert predictions(classes, 3).tolist() == [0, 2, -1, 1]
    assert has_prediction(jnp.array([0, 2, -1]), 3).tolist() == [True, True, False]
    assert margins(classes[:2], 3).tolist() == [0.0, 4.0]


class Matrices(eqx.Module):
    """Two matrices (one of them a stack), and biases."""

    bias: jnp.ndarray
    first: jnp.ndarray
    heads: jnp.ndarray


def test_matrix_norms_are_of_matrices_and_stacks_of_them():
    network = Matrices(jnp.array([9.0]), jnp.array([[3.0, 4.0]]), jnp.full((2, 2, 2), 0.5))
    assert MatrixNorm()(Point(network, {}, Hinge())).tolist() == pytest.approx([5.0, math.sqrt(2.0)])


def test_what_a_measure_lacks_is_said():
    parity = gs.Experiment(task="sparse_parity", epochs=1)
    classes = gs.Experiment(
        task={"kind": "modular_operator", "p": 5},
        model={"kind": "nanda_transformer"},
        loss="cross_entropy",
        epochs=1,
    )
    assert "matrix_norm needs a model that names its matrices" in str(MatrixNorm().missing(parity))
    assert MatrixNorm().missing(classes) is None
    for kind in (Sensitivity, SensitivityFull, TrainZeroOutputs, TrainMarginBelow1):
        assert kind().missing(parity) is None
        assert kind().missing(classes)
