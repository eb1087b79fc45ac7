"""The support from the weights: right where there is one, none where there is none."""

import itertools
import json
import math
from pathlib import Path

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

import oracles
from grokscope.circuits import find_support, proposition_1, proposition_2, proposition_3
from grokscope.circuits.relu_network import ReluNetwork
from grokscope.circuits.support import bit_strength, settings_of
from small_circuits import trained

DATA = Path(__file__).parent.parent / "data"


def drawn(seed, n, width, scale=1.0):
    rng = np.random.default_rng(seed)
    return ReluNetwork(*(rng.normal(scale=scale, size=size) for size in ((n, width), width, width)))


def brute_force(weights, bits):
    """The share of the variance of sign f that is a function of some bits, and all Walsh coefficients."""
    n = len(weights.W)
    x = np.array(list(itertools.product([1, -1], repeat=n)))
    g = [oracles.sign(value) for value in oracles.outputs(tuple(weights[:3]), x)]
    cells = {}
    for row, value in zip(x, g, strict=True):
        cells.setdefault(tuple(row[list(bits)]), []).append(value)
    mean = sum(g) / len(g)
    between = sum(len(cell) * (sum(cell) / len(cell) - mean) ** 2 for cell in cells.values())
    within = sum((value - mean) ** 2 for value in g)
    walsh = {}
    for size in range(len(bits) + 1):
        for chosen in itertools.combinations(bits, size):
            total = sum(v * math.prod(int(row[i]) for i in chosen) for row, v in zip(x, g, strict=True))
            walsh[chosen] = total / len(g)
    return (between / within if within else 0.0), walsh


def test_settings_are_counted_like_binary_numbers():
    assert settings_of(3).tolist() == [
        [1 - 2 * int(digit) for digit in f"{position:03b}"] for position in range(8)
    ]


@pytest.mark.parametrize("seed", range(6))
def test_share_and_spectrum_over_all_inputs(seed):
    weights = drawn(seed, 5, 7)
    weights.W[[0, 3]] *= 20  # two bits stand out
    found = find_support(weights)
    assert found.candidates == (0, 3)
    share, walsh = brute_force(weights, (0, 3))
    assert found.share == pytest.approx(share, abs=1e-12)
    assert found.walsh == pytest.approx(walsh, abs=1e-12)
    assert found.error == 0
    assert found.bits == ((0, 3) if share >= 0.5 else ())


def test_sampled_share_and_spectrum_are_near_the_exact_ones():
    weights = drawn(1, 13, 9)
    weights.W[[2, 5, 11]] *= 4
    found = find_support(weights)
    assert found.candidates == (2, 5, 11)
    share, walsh = brute_force(weights, (2, 5, 11))
    # five standard errors; the variance by which the share is divided is near 1
    assert found.error == pytest.approx(8192**-0.5)
    assert found.share == pytest.approx(share, abs=5 * found.error / (1 - walsh[()] ** 2))
    for chosen, coefficient in found.walsh.items():
        assert coefficient == pytest.approx(walsh[chosen], abs=5 * found.error)
    assert find_support(weights, seed=1).share != found.share


@given(st.integers(0, 10**6), st.integers(0, 8))
def test_flipping_a_bit_moves_the_output_by_at_most_twice_its_strength(seed, bit):
    weights = drawn(seed, 9, 5)
    x = np.random.default_rng(seed).choice([-1.0, 1.0], (20, 9))
    flipped = x.copy()
    flipped[:, bit] *= -1
    moved = np.subtract(oracles.outputs(tuple(weights[:3]), x), oracles.outputs(tuple(weights[:3]), flipped))
    assert np.abs(moved).max() <= 2 * bit_strength(weights)[bit] * (1 + 1e-12)


@pytest.mark.parametrize("k", range(1, 9))
@pytest.mark.parametrize("more", [0, 1, 20])
def test_constructions_use_their_bits(k, more):
    bits = tuple(sorted(np.random.default_rng(k).permutation(k + more)[:k].tolist()))
    found = find_support(proposition_1(k + more, bits=bits))
    assert found.bits == bits
    assert found.parity == 1
    assert found.share == 1


@pytest.mark.parametrize("make", [proposition_2, proposition_3])
def test_three_bits_of_any_number(make):
    assert find_support(make(3)).bits == (0, 1, 2)
    assert find_support(make(40, bits=(39, 0, 17))).bits == (0, 17, 39)


@pytest.mark.parametrize("n", [2, 6, 12, 40])
@pytest.mark.parametrize("seed", range(4))
def test_a_network_that_has_learned_nothing_uses_no_few_bits(n, seed):
    found = find_support(drawn(seed, n, 100))
    assert found.bits == ()
    assert "stand out" in found.why or "%" in found.why


def test_a_function_that_is_no_parity_has_a_support_too():
    """Majority: x + y + z, as the difference of two neurons, with a little of every other bit."""
    w = np.full(20, 0.02)
    w[[4, 9, 15]] = 1.0
    found = find_support(ReluNetwork(np.stack([w, -w], axis=1), np.zeros(2), np.array([1.0, -1.0])))
    assert found.bits == (4, 9, 15)
    assert found.parity == pytest.approx(-0.5, abs=5 * found.error)
    assert found.walsh[(4,)] == pytest.approx(0.5, abs=5 * found.error)


def test_bits_that_stand_out_but_decide_nothing_are_no_support():
    """Before the transition: the hidden bits are strong already, and the others decide."""
    rng = np.random.default_rng(0)
    rest = drawn(0, 40, 300)
    loud = np.zeros((40, 2))
    loud[:3] = 200 * rng.choice([-1, 1], (3, 2))
    # two loud neurons that cancel
    loud[:, 1] = loud[:, 0]
    weights = ReluNetwork(np.hstack([rest.W, loud]), np.append(rest.b, [0, 0]), np.append(rest.u, [1, -1]))
    found = find_support(weights)
    assert found.candidates == (0, 1, 2)
    assert found.gap > 2
    assert found.bits == ()


@given(st.integers(0, 10**6))
def test_rescaling_and_reordering_neurons_change_nothing_and_bits_are_followed(seed):
    rng = np.random.default_rng(seed)
    plain = find_support(proposition_2(7, bits=(1, 2, 5)))
    W, b, u = (np.asarray(a, dtype=float) for a in _arrays(proposition_2(7, bits=(1, 2, 5))))
    # powers of two, so that rounding changes nothing
    scale, neurons, order = 2.0 ** rng.integers(-3, 4, 6), rng.permutation(6), rng.permutation(7)
    moved = find_support(
        ReluNetwork((W * scale)[order][:, neurons], (b * scale)[neurons], (u / scale)[neurons])
    )
    assert moved.bits == tuple(sorted(order.tolist().index(bit) for bit in plain.bits))
    np.testing.assert_allclose(moved.strength, plain.strength[order], rtol=1e-12)


def _arrays(network):
    return network.hidden_weight, network.hidden_bias, network.output_weight


@pytest.mark.parametrize("fill", [0.0, math.nan, math.inf])
def test_networks_that_say_nothing(fill):
    found = find_support(ReluNetwork(np.full((20, 4), fill), np.full(4, fill), np.full(4, fill)))
    assert found.bits == ()
    assert ("not finite" in found.why) == (fill != 0)


NUMBERS = json.loads((DATA / "parity-nn-seed-0.json").read_text())


@pytest.mark.slow
def test_the_official_run_before_and_after_its_transition():
    """Its test accuracy leaves chance between epochs 40 and 120 (100 points)."""
    arrays = load_file(DATA / "parity-nn-seed-0.safetensors")
    seen = set()
    for numbers in NUMBERS["per_epoch"]:
        names = (
            f"epoch_{numbers['epoch']}/{name}"
            for name in ("linear1.weight", "linear1.bias", "linear2.weight")
        )
        W, b, u = (arrays[name].astype(float) for name in names)
        found = find_support(ReluNetwork(W.T, b, u[0]))
        if numbers["test_accuracy"] >= 0.95:
            assert found.bits == (0, 1, 2)
            assert found.parity > 0.9
            seen.add("after")
        elif numbers["test_accuracy"] <= 0.65:
            assert found.bits == ()
            seen.add("before")
    assert seen == {"before", "after"}


def test_drawn_bits_are_found_by_every_seed_that_learned_and_at_no_start():
    run = trained()
    assert (run.measures.test_accuracy.isel(step=-1) == 1).all()
    supports = set()
    for seed in range(3):
        x = run.model(seed=seed)
        assert find_support(run.model(seed=seed, step=0)).bits == ()
        found = find_support(x)
        # the hidden bits, from the samples: the only pair whose product is the label of a fresh sample
        test = _samples(run, seed)
        pairs = [p for p in itertools.combinations(range(10), 2) if (test[0][:, p].prod(1) == test[1]).all()]
        assert [found.bits] == pairs
        supports.add(found.bits)
    assert len(supports) > 1


def _samples(run, seed):
    from grokscope.spec.streams import stream_key

    draw = jax.jit(run.experiment.task.member_data)
    data = draw(stream_key("data", seed), stream_key("noise", seed))
    return np.asarray(data["train_x"]), np.asarray(data["train_y"])
