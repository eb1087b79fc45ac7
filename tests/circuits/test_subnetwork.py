"""Active subnetworks and the five that are followed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import oracles
from grokscope.circuits import Subnetwork, active_subnetwork, find_subnetworks, norm_matched
from grokscope.models.networks.one_hidden_layer import OneHiddenLayer
from grokscope.spec.axes import SUBNETWORK_LABELS


def example(seed: int):
    rng = np.random.default_rng(seed)
    network = tuple(rng.integers(-2, 3, shape).astype(np.float32) for shape in ((4, 12), (12,), (12,)))
    x = rng.choice([-1.0, 1.0], (10, 4)).astype(np.float32)
    y = rng.choice([-1.0, 1.0], 10).astype(np.float32)
    return network, x, y


def expected_active(network, x, y, flavor, order):
    if flavor == "predictions":
        m = oracles.effective_sparsity(network, x, order)
    else:
        m = oracles.effective_sparsity_accuracy(network, x, y, order)
    return sorted(oracles.pruning_order(network, order)[:m])


@pytest.mark.parametrize("flavor", ["predictions", "accuracy"])
@pytest.mark.parametrize("order", ["incoming_norm", "path_norm"])
def test_the_active_subnetwork_is_the_shortest_prefix_that_agrees(flavor, order):
    find = jax.jit(lambda network, data: active_subnetwork(OneHiddenLayer(*network), data, flavor, order))
    sizes = set()
    for seed in range(8):
        network, x, y = example(seed)
        found = np.flatnonzero(find(network, {"train_x": x, "train_y": y})).tolist()
        assert found == expected_active(network, x, y, flavor, order)
        sizes.add(len(found))
    assert len(sizes) > 2


# an example whose active subnetwork is neither one neuron nor all
PARTIAL = next(
    seed
    for seed in range(20)
    if 1 < len(expected_active(*example(seed), "predictions", "incoming_norm")) < 11
)


@jax.jit
def found(final, early, x, y, seed, has_memorized):
    data = {"train_x": x, "train_y": y}
    return find_subnetworks(
        OneHiddenLayer(*final),
        OneHiddenLayer(*early),
        data,
        jax.random.key(seed),
        has_memorized=has_memorized,
    )


def test_the_five_subnetworks_are_what_they_are_called():
    for seed in range(8):
        final, x, y = example(seed)
        early, _, _ = example(seed + 100)
        masks = dict(zip(SUBNETWORK_LABELS, np.asarray(found(final, early, x, y, seed, True)), strict=True))
        generalizing = expected_active(final, x, y, "predictions", "incoming_norm")
        assert np.flatnonzero(masks["generalizing"]).tolist() == generalizing
        assert (masks["complementary"] == ~masks["generalizing"]).all()
        memorizing = expected_active(early, x, y, "predictions", "incoming_norm")
        assert np.flatnonzero(masks["memorizing"]).tolist() == memorizing
        assert masks["control"].sum() == len(generalizing)
        matched = oracles.norm_matched(masks["generalizing"].tolist(), oracles.norms(early))
        assert masks["norm_matched"].tolist() == matched


def test_the_control_is_drawn_from_all_neurons_and_by_the_key_alone():
    final, x, y = example(PARTIAL)
    draws = np.stack([found(final, final, x, y, seed, True)[3] for seed in range(60)])
    np.testing.assert_array_equal(draws[7], found(final, final, x, y, 7, True)[3])
    size = draws[0].sum()
    # each neuron is in with probability size / 12; six standard errors of a mean of 60
    share = size / 12
    assert np.abs(draws.mean(axis=0) - share).max() < 6 * np.sqrt(share * (1 - share) / 60)


def test_a_member_that_never_memorized_has_no_memorizing_subnetwork():
    final, x, y = example(PARTIAL)
    masks = np.asarray(found(final, final, x, y, 0, False))
    assert masks.any(axis=1).tolist() == [True, True, False, True, False]


def test_under_vmap_each_member_has_its_own():
    members = [example(seed) for seed in range(4)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)
    seeds = jnp.arange(4)
    together = jax.vmap(lambda m, s: found(m[0], m[0], m[1], m[2], s, True))(stacked, seeds)
    for i, (network, x, y) in enumerate(members):
        np.testing.assert_array_equal(together[i], found(network, network, x, y, i, True))


@pytest.mark.slow
@given(
    mask=arrays(np.bool_, (8,)),
    norm=arrays(np.float32, (8,), elements=st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0, 4.0])),
)
def test_norm_matching_is_greedy_and_takes_every_neuron_once(mask, norm):
    matched = norm_matched(jnp.asarray(mask), jnp.asarray(norm))
    assert matched.tolist() == oracles.norm_matched(mask.tolist(), norm.tolist())
    assert not (matched & mask).any()
    assert matched.sum() == min(mask.sum(), (~mask).sum())


def test_a_subnetwork_knows_its_neurons():
    part = Subnetwork(np.array([True, False, True]), found="by hand")
    assert (part.neurons, part.size) == ([0, 2], 2)
    assert part.complement.neurons == [1]
    assert part.complement.found == "complement of (by hand)"


def test_a_subnetwork_does_not_change_with_the_mask_it_was_made_of():
    mask = np.array([True, False, True])
    part = Subnetwork(mask, found="by hand")
    mask[1] = True
    assert part.neurons == [0, 2]
    with pytest.raises(ValueError, match="read-only"):
        part.mask[1] = True
    assert mask.flags.writeable


@pytest.mark.parametrize("mask", [np.zeros(3), np.zeros((2, 2), bool)])
def test_a_mask_is_a_vector_of_booleans(mask):
    with pytest.raises(ValueError, match="a mask is a vector of booleans"):
        Subnetwork(mask, found="")
