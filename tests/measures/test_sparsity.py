"""Effective sparsity against brute force, on networks whose sums are exact in float32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import oracles
from grokscope.losses import Hinge
from grokscope.measures import Point, _point, _prefixes
from grokscope.measures.sparsity import (
    EffectiveSparsity,
    EffectiveSparsity99,
    EffectiveSparsityAccuracy,
    EffectiveSparsityProbe,
)
from grokscope.models.networks.one_hidden_layer import OneHiddenLayer

N_ROWS, N_BITS = 10, 3
ORDERS = ("incoming_norm", "path_norm")


def small_integers(shape: tuple[int, ...]) -> st.SearchStrategy[np.ndarray]:
    # few values: equal norms, dead neurons, outputs of 0 and networks that are 0 everywhere are common
    return arrays(np.float32, shape, elements=st.sampled_from([-2.0, -1.0, 0.0, 0.0, 1.0, 2.0]))


def measured(network, x, y) -> dict[str, int]:
    """All kinds and orders, with the same rows as training set and as probe."""
    data = {"train_x": x, "train_y": y, "probe_x": x, "probe_y": y}
    point = Point(OneHiddenLayer(*network), data, Hinge())
    kinds = (EffectiveSparsity, EffectiveSparsityAccuracy, EffectiveSparsityProbe, EffectiveSparsity99)
    return {made.name: made(point) for kind in kinds for order in ORDERS for made in [kind(order=order)]}


def expected(network, x, y) -> dict[str, int]:
    values = {}
    for order, suffix in zip(ORDERS, ("", "_by_path_norm"), strict=True):
        exact = oracles.effective_sparsity(network, x, order)
        values[f"effective_sparsity{suffix}"] = exact
        values[f"effective_sparsity_probe{suffix}"] = exact
        values[f"effective_sparsity_accuracy{suffix}"] = oracles.effective_sparsity_accuracy(
            network, x, y, order
        )
        values[f"effective_sparsity_99{suffix}"] = oracles.effective_sparsity(network, x, order, (99, 100))
    return values


compiled = jax.jit(measured)


def as_ints(values) -> dict[str, int]:
    return {name: int(value) for name, value in values.items()}


@given(
    W=small_integers((N_BITS, 6)),
    b=small_integers((6,)),
    u=small_integers((6,)),
    x=arrays(np.float32, (N_ROWS, N_BITS), elements=st.sampled_from([-1.0, 1.0])),
    y=arrays(np.float32, (N_ROWS,), elements=st.sampled_from([-1.0, 1.0])),
)
def test_any_small_network(W, b, u, x, y):
    assert as_ints(compiled((W, b, u), x, y)) == expected((W, b, u), x, y)


def wide_network(seed: int, width: int = 90):
    """Two blocks of neurons, with many equal norms; later neurons weaker, so that sparsities differ."""
    rng = np.random.default_rng(seed)
    strong = rng.random(width) < 0.1 * (1 + seed % 4)
    W = rng.integers(-1, 2, (4, width)) * np.where(strong, 2, 1)
    b = rng.integers(-1, 2, width)
    u = rng.integers(-1, 2, width) * np.where(strong, 4, 1)
    x = rng.choice([-1.0, 1.0], (16, 4))
    y = rng.choice([-1.0, 1.0], 16)
    return tuple(a.astype(np.float32) for a in (W, b, u)), x.astype(np.float32), y.astype(np.float32)


@pytest.mark.parametrize("seed", range(4))
def test_more_neurons_than_a_block(seed):
    network, x, y = wide_network(seed)
    assert as_ints(compiled(network, x, y)) == expected(network, x, y)


@pytest.mark.slow
@pytest.mark.parametrize("pool", [1, 16])
def test_blocks_chunks_and_hard_rows_change_no_result(monkeypatch, pool):
    """Six blocks, three chunks (the last one padded), prefix sums at marks; few hard rows, or all."""
    monkeypatch.setattr(_prefixes, "_BLOCK", 16)
    monkeypatch.setattr(_prefixes, "CHUNK", 7)
    monkeypatch.setattr(_point, "CHUNK", 7)
    monkeypatch.setattr("grokscope.measures.sparsity._N_HARD", {"train": pool, "probe": pool})
    fresh = jax.jit(lambda *args: measured(*args))  # not the program compiled for other blocks
    for seed in range(4):
        network, x, y = wide_network(seed)
        assert as_ints(fresh(network, x, y)) == expected(network, x, y)


@pytest.mark.slow
def test_vmap_gives_each_member_its_own():
    members = [wide_network(seed) for seed in range(4)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)
    together = jax.jit(jax.vmap(measured))(*stacked)
    for i, (network, x, y) in enumerate(members):
        assert {name: int(value[i]) for name, value in together.items()} == expected(network, x, y)


def test_float64_networks_are_searched_in_float64():
    rng = np.random.default_rng(5)
    network = (rng.normal(size=(4, 40)), rng.normal(size=40), rng.normal(size=40))
    x, y = rng.choice([-1.0, 1.0], (16, 4)), rng.choice([-1.0, 1.0], 16)
    with jax.enable_x64(True):
        assert jnp.asarray(network[0]).dtype == jnp.float64
        assert as_ints(jax.jit(lambda *args: measured(*args))(network, x, y)) == expected(network, x, y)


CUBE = np.array([[1 - 2 * (i >> bit & 1) for bit in range(3)] for i in range(8)], np.float32)
PARITY = CUBE.prod(axis=1)
# the six and four neurons of the paper's Propositions 2 and 3
PROPOSITION_2 = (
    np.array([[-1, -1, 10], [-1, -1, 1], [1, 1, 1], [1, -1, -10], [-1, 1, -1], [1, -1, -1]], np.float32).T,
    np.array([-9, -2, -2, -9, -2, -2], np.float32),
    np.array([-1, 10, 10, -1, 10, 10], np.float32),
)
PROPOSITION_3 = (
    np.array([[0, 0, 0], [1, 1, 1], [1, 1, 1], [-1, -1, -1]], np.float32).T,
    np.array([1, -1, 1, -1], np.float32),
    np.array([1, 2, -1, -1], np.float32),
)


@pytest.mark.slow
@pytest.mark.parametrize(("network", "size"), [(PROPOSITION_2, 6), (PROPOSITION_3, 4)])
def test_the_constructions_need_all_their_neurons(network, size):
    """Full width is found (the official search never tries it).

    Proposition 3 without its constant neuron, whose norm is 0, has output exactly 0 at (1, 1, 1).
    """
    assert np.sign(oracles.outputs(network, CUBE)).tolist() == PARITY.tolist()
    assert int(jax.jit(measured)(network, CUBE, PARITY)["effective_sparsity"]) == size


def on_one_input(*contributions: float):
    """A network whose neurons, in order, add these numbers on the one input 1."""
    norm = np.arange(len(contributions), 0, -1, dtype=np.float32)
    return (norm[None], np.zeros_like(norm), np.array(contributions, np.float32) / norm)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("contributions", "size"),
    [
        ((4.0, -6.0, 4.0), 1),  # prefixes 4, -2, 2: agreement at 1 and 3, not at 2
        ((-4.0, 6.0, -4.0, 2.0, 6.0), 2),  # -4, 2, -2, 0, 6: a binary search would say 5
        ((4.0, -4.0, -8.0), 3),  # 4, 0, -8: sign 0 does not agree
        ((4.0, -4.0, 0.0, 2.0), 1),
        ((-4.0, 4.0, 8.0), 3),
        ((4.0, -4.0), 1),  # the whole is 0 on all inputs: no input is left to disagree on
    ],
)
def test_agreement_is_not_taken_to_be_monotone(contributions, size):
    one = np.ones((1, 1), np.float32)
    assert int(jax.jit(measured)(on_one_input(*contributions), one, one[0])["effective_sparsity"]) == size


def test_a_network_of_nans_agrees_with_nothing():
    """So only the full width passes; by accuracy one neuron does, for it is right as often: never."""
    network = (np.full((3, 6), np.nan, np.float32), np.zeros(6, np.float32), np.ones(6, np.float32))
    found = as_ints(compiled(network, CUBE[:1].repeat(N_ROWS, 0), PARITY[:1].repeat(N_ROWS)))
    assert found == {name: 1 if "accuracy" in name else 6 for name in found}


def test_the_stored_name_tells_the_orders_apart():
    assert EffectiveSparsity().name == "effective_sparsity"
    assert EffectiveSparsity99(order="path_norm").name == "effective_sparsity_99_by_path_norm"
