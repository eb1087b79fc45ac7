"""Measures of a network with an output bias, which subnetworks keep. By brute force, it is a neuron.

That neuron has no incoming weights, is always 1, belongs to every subnetwork, and is never ranked.
"""

from __future__ import annotations

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
from grokscope.measures.accuracy import TrainAccuracy
from grokscope.measures.faithfulness import Faithfulness, FaithfulnessKappa, FaithfulnessMeanAblation
from grokscope.measures.sensitivity import Sensitivity, SensitivityFull
from grokscope.measures.sparsity import (
    EffectiveSparsity,
    EffectiveSparsity99,
    EffectiveSparsityAccuracy,
    EffectiveSparsityProbe,
)
from grokscope.models.networks.one_hidden_layer import OneHiddenLayer

N_BITS, WIDTH = 3, 6
KINDS = (
    TrainAccuracy,
    EffectiveSparsity,
    EffectiveSparsityAccuracy,
    EffectiveSparsityProbe,
    EffectiveSparsity99,
    Faithfulness,
    FaithfulnessKappa,
    FaithfulnessMeanAblation,
    Sensitivity,
    SensitivityFull,
)


def measured(W, b, u, c, x, y, masks):
    data = {f"{split}_{part}": a for split in ("train", "test", "probe") for part, a in (("x", x), ("y", y))}
    point = Point(OneHiddenLayer(W, b, u, "relu", c), data, Hinge(), masks)
    return {kind().name: kind()(point) for kind in KINDS}


compiled = jax.jit(measured)


def extended(W, b, u, c):
    """The network with its bias as a last neuron."""
    return (
        np.concatenate([W, np.zeros((len(W), 1))], axis=1),
        np.append(b, 1.0),
        np.append(u, np.asarray(c, np.float64)),
    )


def sparsities(network, extra, x, y):
    """The smallest m by each test, from the definitions."""
    ranked = oracles.pruning_order(network)
    p = len(ranked)
    whole = [oracles.sign(v) for v in oracles.outputs(extra, x)]
    rows = [i for i, s in enumerate(whole) if s]
    found = {}
    for m in range(p, 0, -1):
        part = [oracles.sign(v) for v in oracles.outputs(extra, x, [*ranked[:m], p])]
        agree = sum(part[i] == whole[i] for i in rows)
        if m == p or agree == len(rows):
            found["effective_sparsity"] = found["effective_sparsity_probe"] = m
        if m == p or agree * 100 >= 99 * len(rows):
            found["effective_sparsity_99"] = m
        if m == p or sum(part[i] == y[i] for i in rows) == sum(whole[i] == y[i] for i in rows):
            found["effective_sparsity_accuracy"] = m
    return found


def expected(W, b, u, c, x, y, masks):
    network, extra = (W, b, u), extended(W, b, u, c)
    values = sparsities(network, extra, x, y)
    f = np.array(oracles.outputs(extra, x))
    with np.errstate(invalid="ignore"):
        values["train_accuracy"] = np.sum(y * f > 0) / np.sum(f != 0) if np.any(f) else np.nan
    p = len(u)
    followed = {
        "faithfulness": lambda members: oracles.faithfulness(extra, x, members),
        "faithfulness_mean_ablation": lambda members: oracles.faithfulness(extra, x, members, mean_of=x),
        "faithfulness_kappa": lambda members: oracles.kappa(extra, x, members),
        "sensitivity": lambda members: oracles.sensitivity(extra, x, members),
    }
    for name, of in followed.items():
        found = [of([*np.flatnonzero(mask), p]) if mask.any() else np.nan for mask in masks]
        values[name] = np.repeat(np.array(found)[:, None], 2, axis=1)
    values["sensitivity_full"] = [oracles.sensitivity(extra, x)] * 2
    return values


def assert_same(found, wanted):
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-6, err_msg=name)


def integers(*shape):
    return arrays(np.float32, shape, elements=st.sampled_from([-2.0, -1.0, 0.0, 0.0, 1.0, 2.0]))


def signs(*shape):
    return arrays(np.float32, shape, elements=st.sampled_from([-1.0, 1.0]))


@pytest.mark.slow
@given(
    W=integers(N_BITS, WIDTH),
    b=integers(WIDTH),
    u=integers(WIDTH),
    c=integers(),
    x=signs(8, N_BITS),
    y=signs(8),
    masks=arrays(bool, (5, WIDTH)),
)
def test_any_small_network(W, b, u, c, x, y, masks):
    assert_same(compiled(W, b, u, c, x, y, masks), expected(W, b, u, c, x, y, masks))


def wide(seed, width=90):
    rng = np.random.default_rng(seed)
    W = rng.integers(-1, 2, (4, width)) * np.where(rng.random(width) < 0.2, 2, 1)
    b, u = rng.integers(-1, 2, (2, width))
    x, y = rng.choice([-1.0, 1.0], (16, 4)), rng.choice([-1.0, 1.0], 16)
    given = (np.asarray(a, np.float32) for a in (W, b, u, rng.integers(-9, 10), x, y))
    return *given, rng.random((5, width)) < 0.3


@pytest.mark.slow
@pytest.mark.parametrize("chunk", [5, 1000])
def test_wide_networks_in_pieces_and_by_marks(chunk, monkeypatch):
    """More than a block of neurons; with rows in pieces the searches start from marks."""
    monkeypatch.setattr(_prefixes, "CHUNK", chunk)
    monkeypatch.setattr(_point, "CHUNK", chunk)
    program = jax.jit(lambda *given: measured(*given))
    for seed in range(3):
        given_ = wide(seed)
        assert_same(program(*given_), expected(*given_))


def test_several_outputs_have_a_bias_each():
    rng = np.random.default_rng(0)
    W, b, u, c, x = (rng.normal(size=s).astype(np.float32) for s in ((3, 5), (5,), (5, 2), (2,), (7, 3)))
    network = OneHiddenLayer(*(jnp.asarray(a) for a in (W, b, u)), "relu", jnp.asarray(c))
    for output in range(2):
        wanted = oracles.outputs(extended(W, b, u[:, output], c[output]), x)
        np.testing.assert_allclose(network(jnp.asarray(x))[:, output], wanted, rtol=1e-4, atol=1e-5)
