"""Boolean functions: values and spectra against sums over all settings of the bits."""

import itertools
import json
import math

import hypothesis.strategies as st
import jax
import numpy as np
import pytest
import scipy.stats
from hypothesis import given

from grokscope import InputError
from grokscope.spec.streams import stream_key
from grokscope.tasks.boolean_function import BooleanFunction
from grokscope.tasks.sparse_parity import SparseParity

SIZES = {"n": 8, "n_train": 64, "n_test": 40, "n_probe": 30}


def prefix_sum(x):
    return sum(math.prod(x[: i + 1]) for i in range(len(x)))


PRESETS = {
    "parity": (3, math.prod),
    "majority": (5, lambda x: 1.0 if sum(x) > 0 else -1.0),
    "and": (3, lambda x: 1.0 if all(bit == 1 for bit in x) else -1.0),
    "staircase": (3, lambda x: 1.0 if prefix_sum(x) > 0 else -1.0),
}


def every(n):
    return np.array(list(itertools.product([-1.0, 1.0], repeat=n)))


def spectrum_by_sums(values, x, bits):
    """y_hat(S) for every subset of the bits, each by a sum over all inputs."""
    found = {}
    for size in range(len(bits) + 1):
        for chosen in itertools.combinations(bits, size):
            coefficient = float(np.mean(values * x[:, list(chosen)].prod(axis=1)))
            if abs(coefficient) > 1e-12:
                found[chosen] = coefficient
    return found


@pytest.mark.parametrize("preset", PRESETS)
def test_presets(preset):
    k, formula = PRESETS[preset]
    task = BooleanFunction(**SIZES, preset=preset, k=k)
    x = every(8)
    y = np.asarray(task.value(jax.numpy.asarray(x), None))
    assert y.tolist() == [formula(row[:k].tolist()) for row in x]
    facts = task.facts()
    assert facts["support"] == list(range(k))
    listed = {tuple(term["bits"]): term["coefficient"] for term in facts["spectrum"]}
    assert listed == pytest.approx(spectrum_by_sums(y, x, range(k)))
    json.dumps(facts)


def test_real_staircase_is_its_sum():
    task = BooleanFunction(**SIZES, preset="staircase", k=4, output="real")
    x = every(8)
    y = np.asarray(task.value(jax.numpy.asarray(x), None))
    np.testing.assert_allclose(y, [prefix_sum(row[:4].tolist()) for row in x])
    assert task.label_kind == "real"
    assert [term["bits"] for term in task.facts()["spectrum"]] == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]]


subsets = st.sets(
    st.sets(st.integers(0, 5), max_size=4).map(lambda bits: tuple(sorted(bits))), min_size=1, max_size=6
)


@pytest.mark.slow
@given(bits=subsets, seed=st.integers(0, 1000), output=st.sampled_from(["sign", "real"]))
def test_any_terms_against_sums(bits, seed, output):
    coefficients = np.random.default_rng(seed).normal(size=len(bits))
    terms = [
        {"bits": list(s), "coefficient": float(c)} for s, c in zip(sorted(bits), coefficients, strict=True)
    ]
    x = every(6)
    sums = sum(term["coefficient"] * x[:, term["bits"]].prod(axis=1) for term in terms)
    if np.abs(sums).min() < 1e-4:
        return  # about a tie; ties have a test of their own
    task = BooleanFunction(n=6, terms=terms, output=output)
    y = np.asarray(task.value(jax.numpy.asarray(x), None))
    wanted = np.sign(sums) if output == "sign" else sums
    np.testing.assert_allclose(y, wanted, rtol=1e-4, atol=1e-5)
    listed = {term.bits: term.coefficient for term in task.walsh_spectrum()}
    assert listed == pytest.approx(spectrum_by_sums(wanted, x, range(6)), abs=1e-9)


@pytest.mark.slow
def test_parity_has_the_very_data_of_sparse_parity():
    for labels in ({}, {"labels": "random"}, {"labels": "shuffled"}, {"labels": "noisy", "noise": 0.3}):
        one = SparseParity(k=3, **SIZES, **labels)
        two = BooleanFunction(preset="parity", k=3, **SIZES, **labels)
        keys = stream_key("data", 4), stream_key("noise", 4)
        for a, b in (
            (one.shared_data(), two.shared_data()),
            (one.member_data(*keys), two.member_data(*keys)),
        ):
            assert a.keys() == b.keys()
            for name in a:
                np.testing.assert_array_equal(a[name], b[name])


@pytest.mark.parametrize(("k", "labels"), [(3, "random"), (3, "shuffled"), (1, "shuffled")])
def test_shuffled_labels_are_as_frequent_as_true_ones_and_independent_of_the_inputs(k, labels):
    """AND of k bits is +1 with probability 2^-k; random labels with 1/2."""
    count, wanted = 20_000, 0.5 if labels == "random" else 0.5**k
    task = BooleanFunction(n=8, n_train=count, preset="and", k=k, labels=labels)
    data = task.member_data(stream_key("data", 4), stream_key("noise", 4))
    x, y = (np.asarray(data[f"train_{name}"]) for name in "xy")
    assert scipy.stats.binomtest(int((y == 1).sum()), count, wanted).pvalue > 1e-3
    true = (x[:, :k] == 1).all(axis=1)
    assert scipy.stats.binomtest(int((y[true] == 1).sum()), int(true.sum()), wanted).pvalue > 1e-3
    _, online = task.sample(jax.random.key(3), count)
    assert scipy.stats.binomtest(int((np.asarray(online) == 1).sum()), count, wanted).pvalue > 1e-3


BAD = [
    ({}, "task: give exactly one of terms and preset."),
    ({"preset": "parity", "k": 2, "terms": [{"bits": [0]}]}, "task: give exactly one of terms and preset."),
    ({"preset": "parity"}, "task: k and preset belong together: give both, or neither."),
    ({"terms": [{"bits": [0]}], "k": 2}, "task: k and preset belong together: give both, or neither."),
    ({"preset": "parity", "k": 9}, "task: k must be at most n = 8, but k = 9."),
    ({"preset": "majority", "k": 4}, "task: preset 'majority' needs an odd k (got 4)."),
    (
        {"preset": "majorty", "k": 3},
        "task.preset: must be 'parity', 'majority', 'and' or 'staircase' (got 'majorty'). "
        "Did you mean 'majority'?",
    ),
    ({"terms": [{"bits": [0, 8]}]}, "task: terms have bit 8; the last of n = 8 bits is 7."),
    ({"terms": [{"bits": [0, -1]}]}, "task.terms.bits: bits count from 0, but one is -1."),
    ({"terms": [{"bits": [2, 2]}]}, "task.terms.bits: a bit is named twice in [2, 2]."),
    ({"terms": [{"bits": [0, 1]}, {"bits": [1, 0]}]}, "task: terms have bits [0, 1] twice."),
    (
        {"terms": [{"bits": [0], "coefficient": 0.0}]},
        "task: the term of bits [0] has coefficient 0; leave it out.",
    ),
    ({"terms": [{"bits": [0], "coefficient": "1"}]}, "task.terms.coefficient: must be a number (got '1')."),
    (
        {"terms": [{"bit": [0]}]},
        "task.terms.bit: no such key. Did you mean 'bits'? Allowed: bits, coefficient.",
    ),
    ({"terms": 3}, "task.terms: must be a list (got 3)."),
    (
        {"preset": "staircase", "k": 2},
        "task.preset: the sum is 0 (a tie) at x[0] = 1, x[1] = -1; change a coefficient, "
        "or take output = 'real'.",
    ),
    (
        {"terms": [{"bits": [1]}, {"bits": [5]}]},
        "task.terms: the sum is 0 (a tie) at x[1] = -1, x[5] = 1; change a coefficient, "
        "or take output = 'real'.",
    ),
    (
        # 0.1 + 0.2 - 0.3 is not 0 in binary, but it is a tie
        {"terms": [{"bits": [i], "coefficient": c} for i, c in enumerate((0.1, 0.2, 0.3))]},
        "task.terms: the sum is 0 (a tie) at x[0] = -1, x[1] = -1, x[2] = 1; change a coefficient, "
        "or take output = 'real'.",
    ),
    (
        {"preset": "and", "k": 3, "output": "real"},
        "task: preset 'and' is a sign; output = 'real' needs terms or another preset.",
    ),
    (
        {"preset": "parity", "k": 3, "labels": "noisy", "noise": 1.5},
        "task.noise: must be at most 1 (got 1.5).",
    ),
]


@pytest.mark.parametrize(("values", "message"), BAD)
def test_bad_functions(values, message):
    with pytest.raises(InputError) as error:
        BooleanFunction(n=8, **values)
    assert str(error.value) == message


@pytest.mark.parametrize("preset", ["staircase", "parity"])
def test_ties_found_are_real_ones(preset):
    for k in range(1, 7):
        tied = preset == "staircase" and any(prefix_sum(x) == 0 for x in every(k).tolist())
        if tied:
            with pytest.raises(InputError, match="a tie"):
                BooleanFunction(n=8, preset=preset, k=k)
        else:
            BooleanFunction(n=8, preset=preset, k=k)


def test_many_bits_are_not_listed_and_a_tie_there_is_plus_one():
    task = BooleanFunction(n=20, terms=[{"bits": [i]} for i in range(18)])
    x = np.ones((3, 20))
    x[0, :9] = x[1, :10] = -1
    assert np.asarray(task.value(jax.numpy.asarray(x), None)).tolist() == [1.0, -1.0, 1.0]
    assert task.facts()["spectrum"] is None
    with pytest.raises(InputError, match="more than 16 bits is not computed"):
        task.walsh_spectrum()


def test_a_constant_and_its_spectrum():
    task = BooleanFunction(**SIZES, terms=[{"bits": [], "coefficient": -2.0}])
    assert set(np.asarray(task.shared_data()["test_y"]).tolist()) == {-1.0}
    assert task.facts() == {"support": [], "spectrum": [{"bits": [], "coefficient": -1.0}]}
