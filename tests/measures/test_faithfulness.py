"""Faithfulness, kappa, norms and sensitivity of subnetworks against brute force."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import oracles
from grokscope.losses import Hinge
from grokscope.measures import Point
from grokscope.measures.faithfulness import (
    Faithfulness,
    FaithfulnessKappa,
    FaithfulnessMeanAblation,
    SubnetworkAccuracy,
    SubnetworkNorm,
)
from grokscope.measures.sensitivity import Sensitivity, SensitivityFull
from grokscope.models.networks.one_hidden_layer import OneHiddenLayer

KINDS = (
    Faithfulness,
    FaithfulnessMeanAblation,
    FaithfulnessKappa,
    SubnetworkAccuracy,
    SubnetworkNorm,
    Sensitivity,
    SensitivityFull,
)


@jax.jit
def measured(network, train_x, test_x, masks):
    data = {"train_x": train_x, "train_y": train_x[:, 0], "test_x": test_x, "test_y": test_x[:, 0]}
    data |= {"probe_x": train_x, "probe_y": train_x[:, 0] * train_x[:, 1]}
    point = Point(OneHiddenLayer(*network), data, Hinge(), masks)
    return {kind().name: kind()(point) for kind in KINDS}


def expected(network, train_x, test_x, masks):
    norm = oracles.norms(network)
    values = {kind().name: [] for kind in KINDS}
    for mask in masks:
        members = np.flatnonzero(mask).tolist()
        both = (train_x, test_x)
        values["faithfulness"].append([oracles.faithfulness(network, x, members) for x in both])
        values["faithfulness_mean_ablation"].append(
            [oracles.faithfulness(network, x, members, mean_of=train_x) for x in both]
        )
        values["faithfulness_kappa"].append([oracles.kappa(network, x, members) for x in both])
        right = [
            oracles.sign(value) == row[0] * row[1]
            for row, value in zip(train_x, oracles.outputs(network, train_x, members), strict=True)
        ]
        values["subnetwork_accuracy"].append(np.mean(right) if members else np.nan)
        values["subnetwork_norm"].append(np.mean([norm[j] for j in members]) if members else np.nan)
        values["sensitivity"].append([oracles.sensitivity(network, x[:100], members) for x in both])
    values["sensitivity_full"] = [oracles.sensitivity(network, x[:100]) for x in (train_x, test_x)]
    return values


def assert_same(found, wanted):
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-6, err_msg=name)


def integers(*shape: int) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float32, shape, elements=st.sampled_from([-2.0, -1.0, 0.0, 1.0, 2.0]))


def signs(*shape: int) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float32, shape, elements=st.sampled_from([-1.0, 1.0]))


@given(
    W=integers(3, 5),
    b=integers(5),
    u=integers(5),
    train_x=signs(8, 3),  # means over 8 samples are exact
    test_x=signs(5, 3),
    masks=arrays(np.bool_, (5, 5)),
)
def test_any_small_network(W, b, u, train_x, test_x, masks):
    network = (W, b, u)
    assert_same(measured(network, train_x, test_x, masks), expected(network, train_x, test_x, masks))


@pytest.fixture
def example():
    rng = np.random.default_rng(0)
    network = tuple(rng.integers(-2, 3, shape).astype(np.float32) for shape in ((6, 20), (20,), (20,)))
    x = rng.choice([-1.0, 1.0], (192, 6)).astype(np.float32)
    masks = rng.random((5, 20)) < np.array([0.2, 0.8, 0.5, 0.2, 0.2])[:, None]
    return network, x[:128], x[128:], masks


def test_sensitivity_uses_the_first_100_rows_only(example):
    network, train_x, test_x, masks = example
    assert_same(measured(network, train_x, test_x, masks), expected(network, train_x, test_x, masks))
    changed = train_x.copy()
    changed[100:] *= -1
    again = measured(network, changed, test_x, masks)
    np.testing.assert_array_equal(
        again["sensitivity"], measured(network, train_x, test_x, masks)["sensitivity"]
    )


def test_train_and_test_are_kept_apart(example):
    """The official code hands out the training loader twice, so that its two curves are one."""
    network, train_x, test_x, masks = example
    for kind in (Faithfulness, FaithfulnessKappa, FaithfulnessMeanAblation, Sensitivity):
        values = np.asarray(measured(network, train_x, test_x, masks)[kind().name])
        assert not np.allclose(values[:, 0], values[:, 1])
        only_test = np.asarray(measured(network, train_x, train_x[:64], masks)[kind().name])
        np.testing.assert_array_equal(only_test[:, 0], values[:, 0])
        assert not np.allclose(only_test[:, 1], values[:, 1])


def test_the_whole_network_is_fully_faithful_and_nothing_has_no_value(example):
    network, train_x, test_x, masks = example
    masks = masks.copy()
    masks[0], masks[2] = True, False
    found = measured(network, train_x, test_x, masks)
    for name in ("faithfulness", "faithfulness_mean_ablation", "faithfulness_kappa"):
        np.testing.assert_allclose(found[name][0], 1.0, atol=1e-6)
    for name in ("faithfulness", "faithfulness_mean_ablation", "faithfulness_kappa", "sensitivity"):
        assert np.isnan(found[name][2]).all()
        assert np.isfinite(found[name][3]).all()
    assert np.isnan(found["subnetwork_norm"][2])


def test_kappa_is_undefined_where_both_always_say_the_same():
    network = (np.zeros((3, 2), np.float32), np.ones(2, np.float32), np.ones(2, np.float32))  # f = 2
    x = np.ones((8, 3), np.float32)
    found = measured(network, x, x, np.eye(5, 2, dtype=bool))
    assert found["faithfulness"][0].tolist() == [1.0, 1.0]
    assert np.isnan(found["faithfulness_kappa"][0]).all()


def test_a_point_without_subnetworks_says_so():
    network = OneHiddenLayer(jnp.zeros((3, 2)), jnp.ones(2), jnp.ones(2))
    with pytest.raises(ValueError, match="needs a point with subnetworks"):
        SubnetworkNorm()(Point(network, {}, Hinge()))
