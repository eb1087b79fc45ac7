"""Mean field: only the start differs from `fully_connected`, and training is the same at every width."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokscope import Experiment
from grokscope.errors import InputError
from grokscope.learners._learner import Batch
from grokscope.models.fully_connected import FullyConnected
from grokscope.models.mean_field import MeanField
from grokscope.models.networks.one_hidden_layer import OneHiddenLayer

N, BASE, STEPS = 6, 8, 40
RATE, DECAY = 0.2, 0.03


def data():
    rng = np.random.default_rng(3)
    x = rng.choice([-1.0, 1.0], (12, N))
    return x, x[:, 0] * x[:, 1]


def trained(model, network=None):
    """Full-batch SGD on the hinge loss by our learner: the first and the last network."""
    experiment = Experiment(
        task={"kind": "sparse_parity", "n": N, "k": 2, "n_train": 12},
        model=model,
        optimizer={"kind": "sgd", "learning_rate": RATE, "weight_decay": DECAY},
        batch_size="full",
        steps=STEPS,
        precision="float64",
    )
    x, y = map(jnp.asarray, data())
    state = experiment.learner.init(experiment, jax.random.key(0), {})
    state = state if network is None else state._replace(network=network)
    first = state.network

    @jax.jit
    def run(state):
        def step(state, i):
            return experiment.learner.update(experiment, state, Batch(x, y, None), jax.random.key(1), i)

        return jax.lax.scan(step, state, jnp.arange(STEPS))[0]

    return first, run(state).network


def by_hand(omega, beta, upsilon, factor, rate, decay):
    """factor * sum_j upsilon_j relu(omega_j x + beta_j), trained by SGD with these rates, in numpy."""
    x, y = data()
    for _ in range(STEPS):
        z = x @ omega + beta
        h = np.maximum(z, 0)
        out = -y * (y * factor * (h @ upsilon) < 1) / len(y)  # the hinge loss by the output
        to_z = factor * out[:, None] * upsilon * (z > 0)
        steps = (x.T @ to_z, to_z.sum(0), factor * h.T @ out)
        omega, beta, upsilon = (
            p - rate * (g + decay * p) for p, g in zip((omega, beta, upsilon), steps, strict=True)
        )
    return omega, beta, upsilon


@pytest.mark.parametrize("width", [4, 8, 24])
def test_is_the_mean_field_network_with_its_rates(width):
    with jax.enable_x64(True):
        first, last = trained(MeanField(width=width, base_width=BASE))
        share = BASE / width
        start = [
            np.asarray(a) / share**0.5 for a in (first.hidden_weight, first.hidden_bias, first.output_weight)
        ]
        wanted = by_hand(*start, share, RATE / share, DECAY * share)
        for ours, theirs in zip(
            (last.hidden_weight, last.hidden_bias, last.output_weight), wanted, strict=True
        ):
            assert np.abs(np.asarray(ours) - share**0.5 * theirs).max() < 1e-12
        # neurons are drawn as at the base width
        for values, fan_in in zip(start, (N, N, BASE), strict=True):
            assert 0.5 < np.abs(values).max() * fan_in**0.5 <= 1.0


def test_neurons_that_are_doubled_stay_doubled_and_the_function_is_the_same():
    with jax.enable_x64(True):
        first, last = trained(MeanField(width=BASE, base_width=BASE))
        twice = OneHiddenLayer(*(jnp.concatenate([a, a], -1) / 2**0.5 for a in jax.tree.leaves(first)))
        _, wide = trained(MeanField(width=2 * BASE, base_width=BASE), twice)
        x = jnp.asarray(data()[0])
        np.testing.assert_allclose(wide(x), last(x), atol=1e-12)
        assert float(jnp.abs(last(x) - first(x)).max()) > 0.1  # it has moved


def test_at_the_base_width_it_is_fully_connected_bit_for_bit():
    one, other = (
        model.network(jax.random.key(5), (N,), 1)
        for model in (FullyConnected(width=BASE), MeanField(width=BASE, base_width=BASE))
    )
    assert all((a == b).all() for a, b in zip(*map(jax.tree.leaves, (one, other)), strict=True))


def test_only_relu():
    with pytest.raises(InputError, match="activation"):
        MeanField(activation="tanh")
