"""Active neurons, and what cannot be read."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import grokscope as gs
import oracles
from grokscope.circuits import active_neurons, active_subnetwork, proposition_1, read_network
from grokscope.circuits.relu_network import ReluNetwork
from grokscope.circuits.support import settings_of
from grokscope.models.networks.one_hidden_layer import OneHiddenLayer


def whole_numbers(seed, n=4, width=12):
    rng = np.random.default_rng(seed)
    arrays = (rng.integers(-2, 3, size).astype(float) for size in ((n, width), width, width))
    return ReluNetwork(*arrays), rng.choice([-1.0, 1.0], (15, n))


@pytest.mark.parametrize("order", ["incoming_norm", "path_norm"])
def test_the_fewest_neurons_that_predict_what_all_do(order):
    sizes = set()
    for seed in range(25):
        weights, x = whole_numbers(seed)
        m = oracles.effective_sparsity(tuple(weights[:3]), x, order)
        expected = sorted(oracles.pruning_order(tuple(weights[:3]), order)[:m])
        assert list(active_neurons(weights, x, order)) == expected
        sizes.add(m)
    assert len(sizes) > 3


def test_many_rows_go_through_in_pieces_unchanged(monkeypatch):
    weights, x = whole_numbers(3)
    whole = active_neurons(weights, x)
    monkeypatch.setattr("grokscope.circuits.circuit._MOST_CELLS", 40)
    assert active_neurons(weights, x) == whole


def test_it_is_the_subnetwork_that_is_followed_through_a_run():
    """The compiled search, on the same network."""
    rng = np.random.default_rng(0)
    arrays = (jnp.asarray(rng.normal(size=size), jnp.float32) for size in ((8, 40), 40, 40))
    network = OneHiddenLayer(*arrays)
    x = rng.choice([-1.0, 1.0], (30, 8)).astype(np.float32)
    data = {"train_x": jnp.asarray(x), "train_y": jnp.ones(30)}
    find = jax.jit(active_subnetwork, static_argnames=("flavor", "order"))
    mask = find(network, data, "predictions", "incoming_norm")
    assert list(active_neurons(network, x, "incoming_norm")) == np.flatnonzero(mask).tolist()


def test_a_circuit_accounts_for_every_active_neuron():
    rng = np.random.default_rng(1)
    plain = proposition_1(9, bits=(2, 7))
    noise = [0.001 * rng.normal(size=size) for size in ((9, 30), 30, 30)]
    W, b, u = (
        np.concatenate([np.asarray(a, dtype=float), extra], axis=-1)
        for a, extra in zip((plain.hidden_weight, plain.hidden_bias, plain.output_weight), noise, strict=True)
    )
    circuit = read_network(ReluNetwork(W, b, u), neurons=range(34))
    assert circuit.support.bits == (2, 7)
    assert sorted([*(j for gate in circuit.gates for j in gate.neurons), *circuit.silent]) == list(range(34))
    assert circuit.active == tuple(range(34))
    # what the gates add up to is what the whole network says, other bits at 0
    x = np.zeros((4, 9))
    x[:, [2, 7]] = settings_of(2)
    np.testing.assert_allclose(circuit.values, oracles.outputs((W, b, u), x), atol=1e-5)
    assert circuit.n_parity == 4
    assert read_network(ReluNetwork(W, b, u)).active == (0, 1, 2, 3)


def test_a_network_whose_training_diverged_has_no_circuit():
    circuit = read_network(ReluNetwork(np.full((5, 3), np.nan), np.zeros(3), np.ones(3)))
    assert (circuit.support.bits, circuit.gates, circuit.active) == ((), (), ())
    assert "not finite" in circuit.support.why


def test_what_is_no_such_network_is_refused():
    arrays = [jnp.ones((4, 3)), jnp.ones(3), jnp.ones(3)]
    with pytest.raises(gs.InputError, match="a neuron of 'tanh' is never silent"):
        read_network(OneHiddenLayer(*arrays, activation="tanh"))
    with pytest.raises(gs.InputError, match="one output, not 5"):
        read_network(OneHiddenLayer(*arrays[:2], jnp.ones((3, 5))))
    with pytest.raises(gs.InputError, match="one-hidden-layer networks, not from dict"):
        read_network({"hidden_weight": arrays[0]})
