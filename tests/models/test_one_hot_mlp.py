"""Networks on one-hot tokens without biases, by numpy; and weights that are written down."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokscope import Experiment, InputError
from grokscope.losses import Squared
from grokscope.models.modular_waves import ModularWaves
from grokscope.models.one_hot_mlp import OneHotMLP

pytestmark = pytest.mark.usefixtures("float64")

TOKENS, OUTPUTS = 5, 3
PAIRS = np.array([(a, b) for a in range(TOKENS) for b in range(TOKENS)])
X = np.eye(TOKENS)[PAIRS]
MODELS = {
    "one layer": OneHotMLP(widths=(6,)),
    "cubes": OneHotMLP(widths=(6,), power=3, output_factor=0.25),
    "three layers": OneHotMLP(widths=(6, 4, 3), activation="relu", output_factor=2.0),
    "squares of squares": OneHotMLP(widths=(6, 4)),
}
SIGMA = {"relu": lambda z, _: np.maximum(z, 0), "power": lambda z, k: z**k}


def drawn(model, seed=0, shape=(2, TOKENS), outputs=OUTPUTS):
    return model.network(jax.random.key(seed), shape, outputs)


def by_hand(model, network, x, off=()):
    """The dense product of the flat one-hot inputs, layer after layer."""
    z = x.reshape(len(x), -1) @ np.asarray(network.hidden_weight).reshape(-1, model.widths[0])
    for weight in getattr(network, "weights", ()):
        z = SIGMA[model.activation](z, model.power) @ np.asarray(weight)
    h = SIGMA[model.activation](z, model.power)
    h[:, list(off)] = 0
    mean_field = model.output_factor == "mean_field"
    factor = 1 / (2 * TOKENS * model.widths[-1]) if mean_field else model.output_factor
    return factor * h @ np.asarray(network.output_weight)


@pytest.mark.parametrize("name", MODELS)
def test_the_look_up_is_the_product_with_one_hot_inputs(name):
    model, network = MODELS[name], drawn(MODELS[name])
    np.testing.assert_allclose(network(jnp.asarray(X)), by_hand(model, network, X), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("name", ["cubes", "squares of squares"])
def test_gradients_are_those_of_finite_differences(name):
    network, y = drawn(MODELS[name]), PAIRS.sum(axis=1) % OUTPUTS
    loss = jax.jit(lambda n: jnp.mean(Squared().per_sample(n(jnp.asarray(X)), jnp.asarray(y))))
    leaves, tree = jax.tree.flatten(network)
    found = jax.tree.leaves(jax.grad(loss)(network))
    rng = np.random.default_rng(1)
    directions = [rng.normal(size=leaf.shape) for leaf in leaves]
    moved = [
        float(loss(jax.tree.unflatten(tree, [w + h * d for w, d in zip(leaves, directions, strict=True)])))
        for h in (1e-5, -1e-5)
    ]
    slope = sum(float(jnp.sum(g * d)) for g, d in zip(found, directions, strict=True))
    assert slope == pytest.approx((moved[0] - moved[1]) / 2e-5, rel=1e-6)


def test_two_signs_of_a_neuron_are_one_function():
    network = drawn(MODELS["one layer"])
    flipped = jax.tree.unflatten(
        jax.tree.structure(network), [network.hidden_weight * -1, network.output_weight]
    )
    np.testing.assert_array_equal(network(jnp.asarray(X)), flipped(jnp.asarray(X)))


def test_neurons_that_are_off_add_nothing():
    model = MODELS["one layer"]
    network = drawn(model)
    keep = jnp.asarray([True, False, True, True, False, True])
    wanted, x = by_hand(model, network, X, off=(1, 4)), jnp.asarray(X)
    np.testing.assert_allclose(network.keeping(keep)(x), wanted, rtol=1e-10, atol=1e-14)
    masked = jax.tree.map(jnp.multiply, network, network.neuron_masks(keep))
    np.testing.assert_allclose(masked(x), wanted, rtol=1e-10, atol=1e-14)
    assert not np.asarray(masked.incoming)[:, [1, 4]].any()
    np.testing.assert_allclose(network.hidden(x) @ network.output_map, network(x), rtol=1e-12)


def test_every_layer_has_its_standard_deviation():
    model = OneHotMLP(widths=(60, 50, 40), stds=(1.0, 0.5, 2.0, 0.1), init_scale=3.0)
    network = drawn(model, shape=(2, 40), outputs=40)
    layers = [network.hidden_weight, *network.weights, network.output_weight]
    for layer, std in zip(layers, (3.0, 1.5, 6.0, 0.3), strict=True):
        values = np.ravel(layer)
        # of n normal numbers: relative error of the standard deviation 1 / sqrt(2 n), of the mean 1 / sqrt(n)
        assert values.std() == pytest.approx(std, rel=4 / np.sqrt(2 * len(values)))
        assert abs(values.mean()) < 4 * std / np.sqrt(len(values))


def test_an_input_that_is_not_one_hot_gives_nan_and_not_another_numbers_output():
    bad = X[:4].copy()
    bad[0, 1], bad[1, 0, 0], bad[2, 1] = 0.0, 2.0, [1.0, 1.0, -1.0, 0.0, 0.0]
    found = np.asarray(drawn(MODELS["one layer"])(jnp.asarray(bad)))
    assert np.isnan(found).all(axis=1).tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"widths": []}, "one to three widths"),
        ({"widths": [2, 2, 2, 2]}, "one to three widths"),
        ({"stds": [1.0, 2.0, 3.0]}, "3 standard deviations for 2 layers"),
        ({"stds": [0.0]}, "numbers above 0"),
        ({"output_factor": 0.0}, "'mean_field' or a number other than 0"),
        ({"activation": "relu", "power": 3}, "power is the exponent"),
    ],
)
def test_bad_settings_are_refused_in_one_line(fields, said):
    with pytest.raises(InputError, match=said):
        Experiment(task={"kind": "modular_operator"}, model={"kind": "one_hot_mlp", **fields}, steps=1)


# ---------------------------------------------------------------- weights that are written down

OPERATORS = {
    "addition": lambda a, b, p: (a + b) % p,
    "subtraction": lambda a, b, p: (a - b) % p,
    "sum_of_squares": lambda a, b, p: (a * a + b * b) % p,
    "square_of_sum": lambda a, b, p: (a + b) ** 2 % p,
}


def table(p):
    """All pairs [pair, operand] and their one-hot inputs."""
    pairs = np.array([(a, b) for a in range(p) for b in range(p)])
    return pairs, jnp.asarray(np.eye(p)[pairs])


def accuracies(operator, p, width, seeds):
    pairs, x = table(p)
    right = OPERATORS[operator](pairs[:, 0], pairs[:, 1], p)
    model = ModularWaves(operator=operator, width=width)
    answers = jax.jit(lambda key, x: jnp.argmax(model.network(key, (2, p), p)(x), axis=1))
    return np.array([np.mean(np.asarray(answers(jax.random.key(s), x)) == right) for s in range(seeds)])


@pytest.mark.slow
@pytest.mark.parametrize(("width", "bar", "spread"), [(48, 0.881, 0.028), (96, 0.997, 0.0045)])
def test_the_accuracy_at_97_is_that_of_another_implementation(width, bar, spread):
    # the bars are means over phases of a program that is not ours; spread is that of one draw of the phases
    with jax.enable_x64(False):
        found = accuracies("addition", 97, width, 16)
    assert found.mean() == pytest.approx(bar, abs=4 * spread / 4)


def test_at_97_three_and_four_copies_of_each_frequency_are_enough():
    with jax.enable_x64(False):
        assert accuracies("addition", 97, 144, 4).min() > 0.999
        assert accuracies("addition", 97, 192, 4).min() == 1.0


@pytest.mark.parametrize("operator", OPERATORS)
def test_wide_networks_are_right_on_every_pair_that_has_the_root(operator):
    p = 11
    pairs, _ = table(p)
    found = accuracies(operator, p, 400, 2)
    if operator != "square_of_sum":
        assert found.tolist() == [1.0, 1.0]
        return
    # of a sum s and its negative, which have one square, the smaller is the root; s = 0 is its own negative
    sums = pairs.sum(axis=1) % p
    assert found.min() >= np.mean(sums <= p - sums)
    assert found.max() < 0.75


@pytest.mark.parametrize("p", [6, 11])
def test_the_outputs_are_the_sums_of_the_formula(p):
    width = 5
    pairs, x = table(p)
    network = drawn(ModularWaves(width=width, init_scale=1.5), shape=(2, p), outputs=p)
    # amplitude and phases are read off the weights: cos(phase) at residue 0, sin(phase) from residue 1
    h = 1.5 * (4 * p) ** (1 / 3)
    w = 2 * np.pi / p * (1 + np.arange(width) % ((p - 1) // 2))
    blocks = [*np.asarray(network.hidden_weight) / h, np.asarray(network.output_weight).T / h]
    phases = [np.arctan2((block[0] * np.cos(w) - block[1]) / np.sin(w), block[0]) for block in blocks]
    for block, phase in zip(blocks, phases, strict=True):
        np.testing.assert_allclose(block, np.cos(w * np.arange(p)[:, None] + phase), atol=1e-6)
    np.testing.assert_allclose(np.exp(1j * (phases[0] + phases[1] - phases[2])), 1, atol=1e-6)
    sums = np.zeros((p * p, p))
    for i, (a, b) in enumerate(pairs):
        for c in range(p):
            both = np.cos(w * a + phases[0]) + np.cos(w * b + phases[1])
            sums[i, c] = h**3 / (2 * p * width) * np.sum(both**2 * np.cos(w * c + phases[2]))
    np.testing.assert_allclose(network(x), sums, atol=1e-5)


def test_the_answer_of_a_wide_network_is_about_one():
    p = 11
    pairs, x = table(p)
    outputs = np.asarray(drawn(ModularWaves(width=5000), shape=(2, p), outputs=p)(x))
    right = outputs[np.arange(p * p), pairs.sum(axis=1) % p]
    # h^3 N / 2 / (2 p N) = 1, less the terms that average out as 1 / sqrt(N)
    np.testing.assert_allclose(right, 1, atol=0.15)


@pytest.mark.parametrize("fields", [{}, {"operator_token": False}])
def test_tokens_besides_the_operands_are_refused_in_one_line(fields):
    with pytest.raises(InputError, match="reads pairs of residues mod p") as error:
        Experiment(
            task={"kind": "modular_operator", "p": 7, **fields},
            model="modular_waves",
            learner="still",
            steps=1,
        )
    assert "\n" not in str(error.value)
