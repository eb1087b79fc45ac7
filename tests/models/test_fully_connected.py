"""The one-hidden-layer network: its numbers at the start, and its formula."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from grokscope.errors import InputError
from grokscope.models.fully_connected import FullyConnected
from grokscope.models.networks.one_hidden_layer import OneHiddenLayer

N, WIDTH = 40, 3000


def drawn(seed=0, n_outputs=1, **fields):
    model = FullyConnected(width=WIDTH, **fields)
    return model.network(jax.random.key(seed), (N,), n_outputs)


def p_value(values, bound):
    """Of the Kolmogorov-Smirnov test of U(-bound, bound), on at most 20,000 values."""
    values = np.asarray(values, dtype=np.float64).ravel()[:20_000]
    return scipy.stats.kstest(values, scipy.stats.uniform(-bound, 2 * bound).cdf).pvalue


@pytest.mark.parametrize("n_outputs", [1, 7])
@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_start_is_uniform_in_the_bounds_of_pytorch(n_outputs, scale):
    network = drawn(n_outputs=n_outputs, init_scale=scale)
    for values, fan_in in [
        (network.hidden_weight, N),
        (network.hidden_bias, N),
        (network.output_weight, WIDTH),
    ]:
        bound = scale / fan_in**0.5
        assert float(jnp.abs(values).max()) <= bound
        assert p_value(values, bound) > 1e-3
        # a bound that is off by a tenth is told apart
        assert p_value(values, 1.1 * bound) < 1e-3


@pytest.mark.torch
def test_start_is_distributed_as_pytorch_draws_it():
    import torch

    torch.manual_seed(0)
    hidden, output = torch.nn.Linear(N, WIDTH), torch.nn.Linear(WIDTH, 1, bias=False)
    network = drawn()
    for ours, theirs in [
        (network.hidden_weight, hidden.weight),
        (network.hidden_bias, hidden.bias),
        (network.output_weight, output.weight),
    ]:
        ours, theirs = (np.asarray(a).ravel()[:20_000] for a in (ours, theirs.detach().numpy()))
        assert scipy.stats.ks_2samp(ours, theirs).pvalue > 1e-3


def test_a_sparse_start_has_s_signs_a_neuron_in_random_places():
    """Norm 1; the chance that both active inputs are among 3 given ones is that of a hypergeometric draw."""
    sparse = drawn(init="sparse", active_inputs=2)
    weights = np.asarray(sparse.hidden_weight)
    active = weights != 0
    assert (active.sum(axis=0) == 2).all()
    np.testing.assert_allclose(np.abs(weights[active]), 2**-0.5, rtol=1e-6)
    assert abs(np.sign(weights[active]).mean()) < 4 / (2 * WIDTH) ** 0.5
    overlaps = np.bincount(active[:3].sum(axis=0), minlength=3) / WIDTH
    expected = scipy.stats.hypergeom(N, 3, 2).pmf([0, 1, 2])
    np.testing.assert_array_less(np.abs(overlaps - expected), 4 * (expected * (1 - expected) / WIDTH) ** 0.5)
    np.testing.assert_array_equal(sparse.output_weight, drawn().output_weight)
    every = drawn(init="sparse", active_inputs=N)
    np.testing.assert_array_equal(every.hidden_weight, drawn(init="sign").hidden_weight)


def test_a_sparse_start_is_refused_without_its_number_and_beyond_the_inputs():
    from grokscope.experiment import Experiment

    for fields in ({"init": "sparse"}, {"active_inputs": 2}):
        with pytest.raises(InputError, match="active_inputs goes with init = 'sparse'"):
            FullyConnected(**fields)
    with pytest.raises(InputError, match="must be at most the 40 inputs"):
        Experiment(task="sparse_parity", epochs=1, model=FullyConnected(init="sparse", active_inputs=41))


def test_other_starts_have_their_distributions():
    """Gaussian weights of variance 2 / m (He et al. 2015), or signs over sqrt(m); biases as always."""
    from grokscope.experiment import Experiment

    gaussian, signs, usual = (drawn(init=init, init_scale=0.5) for init in ("kaiming", "sign", "torch"))
    for weights, fan_in in ((gaussian.hidden_weight, N), (gaussian.output_weight, WIDTH)):
        values = np.asarray(weights, np.float64).ravel()[:20_000]
        std = 0.5 * (2 / fan_in) ** 0.5
        assert scipy.stats.kstest(values, scipy.stats.norm(0, std).cdf).pvalue > 1e-3
        assert scipy.stats.kstest(values, scipy.stats.norm(0, 1.2 * std).cdf).pvalue < 1e-3
    for weights, fan_in in ((signs.hidden_weight, N), (signs.output_weight, WIDTH)):
        np.testing.assert_allclose(np.abs(weights), 0.5 / fan_in**0.5, rtol=1e-6)
        assert abs(float(jnp.mean(jnp.sign(weights)))) < 4 / weights.size**0.5
    for network in (gaussian, signs):
        np.testing.assert_array_equal(network.hidden_bias, usual.hidden_bias)
    # identities of specs without the field, which are older, stay; other starts are other experiments
    specs = [
        Experiment(task="sparse_parity", epochs=1, model=FullyConnected(init=i)) for i in ("torch", "sign")
    ]
    assert "init" not in specs[0].identifying()["model"]
    assert specs[0].identity == Experiment(task="sparse_parity", epochs=1).identity != specs[1].identity


def test_start_depends_on_the_key_alone_and_parts_are_independent():
    one, same, other = drawn(1), drawn(1), drawn(2)
    assert jax.tree.all(jax.tree.map(jnp.array_equal, one, same))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 5 / a.size**0.5
    rows = np.stack([one.hidden_weight[0], one.hidden_bias, one.output_weight])
    assert np.abs(np.corrcoef(rows) - np.eye(3)).max() < 5 / WIDTH**0.5


def test_both_precisions_start_from_the_same_numbers():
    single = drawn()
    with jax.enable_x64(True):
        double = drawn()
        for a, b in zip(jax.tree.leaves(single), jax.tree.leaves(double), strict=True):
            assert (a.dtype, b.dtype) == (jnp.float32, jnp.float64)
            np.testing.assert_allclose(a, b, rtol=3e-7)


def test_scale_multiplies_and_can_be_traced():
    one = drawn(init_scale=1.0)
    half = jax.jit(
        lambda scale: (
            FullyConnected(width=WIDTH).with_traced({"init_scale": scale}).network(jax.random.key(0), (N,), 1)
        )
    )(jnp.float32(0.5))
    assert jax.tree.all(jax.tree.map(lambda a, b: jnp.allclose(a, 0.5 * b, rtol=1e-6), half, one))


SIGMA = {
    "relu": lambda z: max(z, 0.0),
    "quadratic": lambda z: z * z,
    "cubic": lambda z: z * z * z,
    "quartic": lambda z: z * z * z * z,
    "tanh": np.tanh,
    "sine": np.sin,
    "gelu": lambda z: 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))),
}


@pytest.mark.parametrize("activation", SIGMA)
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_outputs_one_number_at_a_time(activation, n_outputs):
    rng = np.random.default_rng(0)
    w, b, u = rng.normal(size=(4, 5)), rng.normal(size=5), rng.normal(size=(5, n_outputs))
    x = rng.normal(size=(6, 4))
    with jax.enable_x64(True):
        output_weight = jnp.asarray(u[:, 0] if n_outputs == 1 else u)
        network = OneHiddenLayer(jnp.asarray(w), jnp.asarray(b), output_weight, activation)
        found = np.asarray(network(jnp.asarray(x))).reshape(6, n_outputs)
        assert network(jnp.asarray(x)).ndim == (1 if n_outputs == 1 else 2)
    for sample, output in itertools.product(range(6), range(n_outputs)):
        total = 0.0
        for neuron in range(5):
            z = sum(x[sample, bit] * w[bit, neuron] for bit in range(4)) + b[neuron]
            total += u[neuron, output] * SIGMA[activation](z)
        assert found[sample, output] == pytest.approx(total, rel=1e-10)


def test_inputs_of_any_shape_are_flattened():
    network = FullyConnected(width=5).network(jax.random.key(0), (2, 3), 1)
    x = jnp.arange(24.0).reshape(4, 2, 3)
    np.testing.assert_array_equal(network(x), network(x.reshape(4, 6)))


@pytest.mark.parametrize("n_outputs", [1, 5])
def test_parameters_are_counted(n_outputs):
    model = FullyConnected(width=7)
    network = model.network(jax.random.key(0), (3, 4), n_outputs)
    assert sum(leaf.size for leaf in jax.tree.leaves(network)) == model.n_parameters((3, 4), n_outputs)


def test_predicted_work_of_a_step_is_the_known_one():
    # 5.25 MFLOP for 32 samples of 40 bits and 1,000 neurons
    assert 32 * FullyConnected(width=1000).flops_per_sample((40,), 1) == pytest.approx(5.25e6, rel=1e-3)
