"""Multilayer perceptrons with biases: where they start, what they compute, how many numbers they have."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.models.mlp import MLP
from grokscope.models.networks.one_hidden_layer import Layers, OneHiddenLayer

SIGMA = {
    "relu": lambda z: np.maximum(z, 0),
    "quadratic": np.square,
    "cubic": lambda z: z**3,
    "quartic": lambda z: z**4,
    "tanh": np.tanh,
    "sine": np.sin,
    "gelu": lambda z: 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))),
    "gelu_exact": lambda z: z * scipy.stats.norm.cdf(z),
}


@pytest.mark.parametrize("scale", [1.0, 0.25])
@pytest.mark.parametrize("widths", [(4000,), (300, 200)])
def test_start_is_uniform_in_the_bounds_of_pytorch(widths, scale):
    network = MLP(widths=widths, init_scale=scale).network(jax.random.key(1), (40,), 60)
    parts = (
        [(network.hidden_weight, 40), (network.hidden_bias, 40)]
        if len(widths) == 1
        else [(a, m) for a, m in zip((*network.weights, *network.biases), (40, 300, 40, 300), strict=True)]
    )
    for values, fan_in in [*parts, (network.output_weight, widths[-1]), (network.output_bias, widths[-1])]:
        bound = scale / fan_in**0.5
        drawn = np.asarray(values, np.float64).ravel()[:20_000]
        assert np.abs(drawn).max() <= bound
        assert scipy.stats.kstest(drawn, scipy.stats.uniform(-bound, 2 * bound).cdf).pvalue > 1e-3


def test_parts_are_drawn_apart():
    network = MLP(widths=(500, 500)).network(jax.random.key(2), (500,), 500)
    leaves = [np.asarray(leaf).ravel()[:500] for leaf in jax.tree.leaves(network)]
    assert len(leaves) == 6
    assert np.abs(np.corrcoef(leaves) - np.eye(6)).max() < 5 / 500**0.5


@pytest.mark.parametrize("activation", SIGMA)
@pytest.mark.parametrize("widths", [(5,), (5, 4, 3)])
@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("bias", [True, False])
def test_outputs_and_counts(activation, widths, n_outputs, bias):
    with jax.enable_x64(True):
        model = MLP(widths=widths, activation=activation, output_bias=bias)
        network = model.network(jax.random.key(3), (2, 3), n_outputs)
        assert isinstance(network, OneHiddenLayer if len(widths) == 1 else Layers)
        sizes = [leaf.size for leaf in jax.tree.leaves(network)]
        assert sum(sizes) == model.n_parameters((2, 3), n_outputs)
        x = np.random.default_rng(0).normal(size=(7, 2, 3))
        found = np.asarray(network(jnp.asarray(x)))
        weights = network.weights if len(widths) > 1 else (network.hidden_weight,)
        biases = network.biases if len(widths) > 1 else (network.hidden_bias,)
    values = x.reshape(7, 6)
    for W, b in zip(weights, biases, strict=True):
        values = SIGMA[activation](values @ np.asarray(W) + np.asarray(b))
    wanted = values @ np.asarray(network.output_weight)
    if bias:
        wanted = wanted + np.asarray(network.output_bias)
    else:
        assert network.output_bias is None
    assert found.shape == ((7,) if n_outputs == 1 else (7, 2))
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_neurons_are_looked_into_where_there_is_one_layer():
    from grokscope.runs.measure_plan import MeasurePlan

    task = {"kind": "sparse_parity", "n": 6, "k": 2}
    one, two = (Experiment(task=task, epochs=1, model={"kind": "mlp", "widths": w}) for w in ([4], [4, 3]))
    assert (one.model.width, two.model.width) == (4, None)
    of_neurons = {"effective_sparsity", "neuron_norm", "faithfulness", "sensitivity"}
    assert of_neurons <= {measure.name for measure in MeasurePlan.of(one).all}
    assert not of_neurons & {measure.name for measure in MeasurePlan.of(two).all}
    with pytest.raises(InputError, match="neuron_norm needs a network with hidden neurons, not 'mlp'"):
        MeasurePlan.of(Experiment(task=task, epochs=1, model=two.model, measures=["neuron_norm"]))


@pytest.mark.parametrize("widths", [[], [0], [3, -1], [10**13]])
def test_widths_that_are_none(widths):
    with pytest.raises(InputError, match=r"model\.widths: must have one width"):
        MLP(widths=widths)


def test_it_trains(tmp_path):
    import grokscope as gs

    task = {"kind": "sparse_parity", "n": 6, "k": 1, "n_train": 64}
    model = {"kind": "mlp", "widths": [16, 8]}
    experiment = Experiment(task=task, epochs=60, model=model, measures=["train_accuracy"])
    run = gs.train(experiment, out=tmp_path / "run")
    assert run.measures.train_accuracy.values[0, -1] == 1.0
