"""Normalized margins, penalties and irreps against networks and characters that are known exactly."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.learners import Batch
from grokscope.losses import CrossEntropy, NeuronNormPenalty, ParameterNormPenalty
from grokscope.measures import Point
from grokscope.measures.hidden_bits import HiddenBitShare, HiddenBitSpread
from grokscope.measures.loss import NormalizedMargin
from grokscope.measures.neuron_irreps import NeuronIrrepPower, NeuronsPerIrrep
from grokscope.measures.neuron_waves import NeuronFrequencyPower, NeuronsPerFrequency
from grokscope.models.fully_connected import FullyConnected
from grokscope.models.mlp import MLP
from grokscope.models.modular_construction import ModularConstruction
from grokscope.models.networks.one_hidden_layer import OneHiddenLayer
from grokscope.models.networks.one_hot_mlp import OneHotNeurons
from grokscope.models.one_hot_mlp import OneHotMLP
from grokscope.tasks.groups import irrep_projectors, partitions, symmetric_characters
from grokscope.tasks.modular_operator import ModularOperator
from grokscope.tasks.parity_table import ParityTable
from grokscope.tasks.permutation_operator import PermutationOperator

pytestmark = pytest.mark.usefixtures("float64")

RNG = np.random.default_rng(0)


def pairs(p):
    return {
        "operator": "addition",
        "p": p,
        "train_fraction": 1.0,
        "operator_token": False,
        "equals_token": False,
    }


def point_of(network, task):
    """All equations of a table, in numpy: the data of a task take seconds to compile."""
    rows, one = task.table.rows, np.eye(task.elements)
    data = {"train_x": one[rows[:, :2]], "train_y": rows[:, 2]}
    return Point(
        network, {name: jnp.asarray(array) for name, array in data.items()}, CrossEntropy(), task=task
    )


def one_hot(first, second, out, power=2):
    """A network from weights [neuron, token], [neuron, token], [neuron, output]."""
    table = jnp.stack([jnp.asarray(first).T, jnp.asarray(second).T])
    return OneHotNeurons(table, jnp.asarray(out), "power", power, 1.0)


def written_down(construction, p):
    """The network and its data."""
    task = ModularOperator(**pairs(p))
    model = ModularConstruction(construction=construction, p=p)
    return point_of(model.network(jax.random.key(0), task.input_shape, p), task)


def test_the_waves_have_the_largest_margin_on_every_input():
    p = 23
    point = written_down("waves", p)
    assert point.network.hidden_weight.shape == (2, p, 396)
    assert float(NormalizedMargin()(point)) == pytest.approx(0.00257956524472, abs=5e-15)
    assert math.sqrt(2 / 27) / (math.sqrt(p) * (p - 1)) == pytest.approx(0.00257956524472, abs=5e-15)
    f, y = np.asarray(point.outputs("train")), np.asarray(point.split("train").y)
    own = np.arange(p) == y[:, None]
    margins = f[own] - np.where(own, -np.inf, f).max(axis=1)
    np.testing.assert_allclose(margins, margins[0], rtol=1e-12)
    np.testing.assert_allclose(NeuronFrequencyPower()(point), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(NeuronsPerFrequency()(point), np.full(11, 36))


@pytest.mark.slow
@pytest.mark.parametrize("p", [5, 6])
def test_the_dense_network_is_exact_with_the_margin_by_hand(p):
    point = written_down("pairs", p)
    y = np.asarray(point.split("train").y)
    np.testing.assert_allclose(point.outputs("train"), np.eye(p)[y], atol=1e-15)
    by_hand = 1 / (2 * p**2 * (1 + 1 + 1 / 16) ** 1.5)
    assert float(NormalizedMargin()(point)) == pytest.approx(by_hand, rel=1e-12)


def test_frequency_power_against_numpy():
    for p in (5, 6):
        weights = [RNG.normal(size=(4, p)) for _ in range(3)]
        found = NeuronFrequencyPower()(point_of(one_hot(*weights), ModularOperator(**pairs(p))))
        whole = np.abs(np.fft.fft(np.stack(weights), axis=-1)) ** 2  # [block, neuron, k]
        own = np.array([whole[..., sorted({k, -k % p})].sum(axis=-1) for k in range(p // 2 + 1)])
        np.testing.assert_allclose(found, (own / whole.sum(axis=-1)).max(axis=0), rtol=1e-12)


MODELS = [
    (OneHotMLP(widths=[5]), 3),
    (OneHotMLP(widths=[5], activation="relu"), 2),
    (FullyConnected(width=5, activation="cubic"), 4),
    (FullyConnected(width=5, activation="quartic"), 5),
    (MLP(widths=[5], output_bias=False), 2),
]


@pytest.mark.slow
@pytest.mark.parametrize(("model", "degree"), MODELS, ids=lambda x: str(x))
def test_networks_are_homogeneous_of_the_degree_they_say(model, degree):
    task = ModularOperator(**pairs(3))
    network = model.network(jax.random.key(1), task.input_shape, 3)
    assert network.homogeneity == degree
    larger = jax.tree.map(lambda leaf: 1.7 * leaf, network)
    point, scaled = point_of(network, task), point_of(larger, task)
    np.testing.assert_allclose(scaled.outputs("train"), 1.7**degree * point.outputs("train"), rtol=1e-12)
    assert float(NormalizedMargin()(scaled)) == pytest.approx(float(NormalizedMargin()(point)), rel=1e-12)


def test_other_networks_have_no_normalized_margin():
    task = pairs(3) | {"kind": "modular_operator"}
    for model in ({"kind": "one_hot_mlp", "activation": "tanh"}, {"kind": "mlp", "widths": [4]}):
        spec = Experiment(task=task, model=model, loss="cross_entropy", steps=1)
        assert "homogeneous in its parameters" in (NormalizedMargin().missing(spec) or "")
    fits = Experiment(task=task, model={"kind": "one_hot_mlp"}, loss="cross_entropy", steps=1)
    assert NormalizedMargin().missing(fits) is None


def test_the_margin_of_labels_and_of_two_classes_by_hand():
    network = OneHiddenLayer(jnp.array([[3.0], [0.0]]), jnp.array([0.0]), jnp.array([4.0]), "quadratic")
    data = {"train_x": jnp.array([[1.0, 1.0], [-2.0, 1.0]]), "train_y": jnp.array([1.0, -1.0])}
    assert float(NormalizedMargin()(Point(network, data, CrossEntropy()))) == pytest.approx(-144 / 125)
    two = OneHiddenLayer(jnp.array([[3.0], [0.0]]), jnp.array([0.0]), jnp.array([[0.0, 4.0]]), "quadratic")
    data = {"train_x": data["train_x"], "train_y": jnp.array([1, 1])}
    assert float(NormalizedMargin()(Point(two, data, CrossEntropy()))) == pytest.approx(36 / 125)


# ---------------------------------------------------------------- penalties


def test_the_gradient_of_the_neuron_norm_is_its_formula():
    network = one_hot(*(RNG.normal(size=(4, 5)) for _ in range(3)))
    penalty = NeuronNormPenalty(power=3.0, strength=0.7)
    found = jax.grad(penalty)(network)
    theta = np.concatenate([network.incoming, network.output_weight.T])  # [weight, neuron]
    wanted = 0.7 * 3 * np.linalg.norm(theta, axis=0) * theta
    np.testing.assert_allclose(np.concatenate([found.incoming, found.output_weight.T]), wanted, rtol=1e-12)
    step = 1e-6
    for place in ((0, 2, 1), (1, 0, 3)):
        ends = [
            penalty(
                OneHotNeurons(
                    network.hidden_weight.at[place].add(s * step), network.output_weight, "power", 2, 1.0
                )
            )
            for s in (1, -1)
        ]
        slope = float(ends[0] - ends[1]) / (2 * step)
        assert float(found.hidden_weight[place]) == pytest.approx(slope, rel=1e-6)


def test_at_power_2_both_penalties_are_the_squared_norm():
    network = OneHiddenLayer(*(jnp.asarray(RNG.normal(size=s)) for s in ((3, 4), (4,), (4,))))
    square = sum(float((np.asarray(leaf) ** 2).sum()) for leaf in jax.tree.leaves(network))
    for penalty in (NeuronNormPenalty, ParameterNormPenalty):
        assert float(penalty(power=2.0, strength=0.5)(network)) == pytest.approx(square / 2, rel=1e-12)


@pytest.mark.slow
def test_an_update_with_an_l2_penalty_is_one_with_twice_the_weight_decay():
    task = ModularOperator(**pairs(3))
    data = point_of(None, task).data
    batch = Batch(data["train_x"], data["train_y"])

    def updated(**changes):
        spec = Experiment(task=task, model=OneHotMLP(widths=[4]), loss="cross_entropy", steps=1, **changes)
        state = spec.learner.init(spec, jax.random.key(0), data)
        return spec.learner.update(spec, state, batch, jax.random.key(0), jnp.int32(0))

    (decayed, loss), (penalized, same), (plain, _) = (
        updated(optimizer={"kind": "sgd", "weight_decay": 0.4}),
        updated(
            optimizer={"kind": "sgd", "weight_decay": 0.0},
            penalty={"kind": "parameter_norm", "power": 2.0, "strength": 0.2},
        ),
        updated(optimizer={"kind": "sgd", "weight_decay": 0.0}),
    )
    assert float(loss) == float(same)  # that of the samples
    ours, theirs = (state.network.hidden_weight for state in (penalized, decayed))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    assert not np.allclose(ours, plain.network.hidden_weight)


def test_a_penalty_that_would_not_act_is_refused():
    parts = {"task": pairs(3) | {"kind": "modular_operator"}, "loss": "cross_entropy", "steps": 1}
    with pytest.raises(InputError, match=r"penalty 'neuron_norm': learner 'still' does not use one"):
        Experiment(**parts, model="one_hot_mlp", learner="still", penalty="neuron_norm")
    with pytest.raises(InputError, match=r"penalty 'neuron_norm' needs a network with hidden neurons, not"):
        Experiment(**parts, model={"kind": "one_hot_mlp", "widths": [4, 4]}, penalty="neuron_norm")


def test_a_penalty_is_part_of_the_identity_and_of_the_spec(tmp_path):
    plain = Experiment(task="sparse_parity", epochs=3)
    other = plain.with_("penalty.kind='neuron_norm'", "penalty.strength=0.01")
    assert "penalty" not in plain.to_toml()
    assert plain.with_("penalty.kind='none'").identity == plain.identity != other.identity
    assert other.numbers["penalty.strength"] == 0.01
    assert other.shape == other.with_("penalty.strength=0.5").shape != plain.shape
    (tmp_path / "spec.toml").write_text(other.to_toml())
    assert Experiment.from_toml(tmp_path / "spec.toml") == other


# ---------------------------------------------------------------- groups

# Tables of James and Liebeck, Chapters 18 and 19, in the order of `partitions`, by the cycles of a class.
TABLES = {
    3: {(1, 1, 1): [1, 2, 1], (2, 1): [1, 0, -1], (3,): [1, -1, 1]},
    4: {
        (1, 1, 1, 1): [1, 3, 2, 3, 1],
        (2, 1, 1): [1, 1, 0, -1, -1],
        (2, 2): [1, -1, 2, -1, 1],
        (3, 1): [1, 0, -1, 0, 1],
        (4,): [1, -1, 0, 1, -1],
    },
}


def cycles(g):
    rest, found = set(range(len(g))), []
    while rest:
        orbit, at = [], min(rest)
        while at not in orbit:
            orbit.append(at)
            at = g[at]
        rest -= set(orbit)
        found.append(len(orbit))
    return tuple(sorted(found, reverse=True))


@pytest.mark.parametrize("n", TABLES)
def test_characters_are_those_of_the_textbook(n):
    wanted = [TABLES[n][cycles(g)] for g in itertools.permutations(range(n))]
    np.testing.assert_array_equal(symmetric_characters(n).T, wanted)


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_characters_are_orthogonal(n):
    chi = symmetric_characters(n)
    np.testing.assert_array_equal(chi @ chi.T, math.factorial(n) * np.eye(len(chi)))
    assert (chi[:, 0] ** 2).sum() == math.factorial(n)


@pytest.mark.parametrize("n", [3, 4])
def test_projectors_split_the_functions_on_the_group(n):
    projectors, dimension = irrep_projectors(n), symmetric_characters(n)[:, 0]
    for i, one in enumerate(projectors):
        np.testing.assert_allclose(one, one.T, atol=1e-12)
        assert np.trace(one) == pytest.approx(dimension[i] ** 2)
        for j, other in enumerate(projectors):
            np.testing.assert_allclose(one @ other, one * (i == j), atol=1e-12)
    np.testing.assert_allclose(projectors.sum(axis=0), np.eye(math.factorial(n)), atol=1e-12)


def test_projectors_keep_the_entries_of_permutation_matrices():
    # the permutation representation is the trivial one and that of (n - 1, 1)
    matrices = np.array([np.eye(4)[list(g)] for g in itertools.permutations(range(4))])
    assert partitions(4)[1] == (3, 1)
    for entry in matrices.reshape(24, 16).T:
        first, second = irrep_projectors(4)[:2] @ entry
        np.testing.assert_allclose(first + second, entry, atol=1e-12)
        np.testing.assert_allclose(first, entry.mean(), atol=1e-12)


def test_irreps_of_neurons():
    task = PermutationOperator(degree=3, train_fraction=1.0, operator_token=False, equals_token=False)
    trivial, sign = symmetric_characters(3)[[0, 2]]
    entry = irrep_projectors(3)[1][1]  # in the span of the two-dimensional irrep
    rows = np.array([trivial, sign, entry, sign + trivial, 1e-3 * sign]).astype(float)
    point = point_of(one_hot(rows, rows, rows), task)
    wanted = [[1, 0, 0], [0, 0, 1], [0, 1, 0], [0.5, 0, 0.5], [0, 0, 1]]
    np.testing.assert_allclose(NeuronIrrepPower()(point), wanted, atol=1e-12)
    few = point_of(one_hot(*(rows[[0, 1, 2, 4]],) * 3), task)
    np.testing.assert_array_equal(NeuronsPerIrrep()(few), [1, 1, 1])  # the last neuron is too small


# ---------------------------------------------------------------- parity


def test_all_inputs_of_a_parity():
    task = ParityTable(n=4, k=3)
    data = task.shared_data()
    rows = np.asarray(data["train_x"])
    assert {tuple(row) for row in rows.tolist()} == set(itertools.product((1.0, -1.0), repeat=4))
    np.testing.assert_array_equal(1 - 2 * np.asarray(data["train_y"]), rows[:, :3].prod(axis=1))
    with pytest.raises(InputError, match=r"k must be at most n = 4, but k = 5"):
        ParityTable(n=4, k=5)
    with pytest.raises(InputError, match=r"n_train follows from n: 16 \(got 3\)"):
        ParityTable(n=4, n_train=3)


def test_a_written_down_parity_has_the_margin_of_the_theorem():
    # signs s with product +1 and weights s a on S; f = b sum_s (+-1) (s a . x)^k is k! 2^(k-1) b a^k y
    n, k = 5, 4
    signs = [s for s in itertools.product((1.0, -1.0), repeat=k) if s[0] == 1]
    a = b = 1 / math.sqrt(k + 1)
    hidden = np.zeros((n, len(signs)))
    hidden[:k] = a * np.array(signs).T
    out = np.array([math.prod(s) for s in signs]) * b
    network = OneHiddenLayer(
        jnp.asarray(hidden), jnp.zeros(len(signs)), jnp.asarray(np.stack([out, -out], 1) / 2**0.5), "quartic"
    )
    task = ParityTable(n=n, k=k)
    point = Point(network, task.shared_data(), CrossEntropy(), task=task)
    wanted = math.factorial(k) * math.sqrt(2 * (k + 1.0) ** -(k + 1))
    assert float(NormalizedMargin()(point)) == pytest.approx(wanted, rel=1e-12)
    assert wanted == pytest.approx(0.6071, abs=1e-4)
    np.testing.assert_allclose(HiddenBitShare()(point), 1.0, rtol=1e-12)
    np.testing.assert_allclose(HiddenBitSpread()(point), 0.0, atol=1e-12)


@pytest.mark.slow
def test_weights_off_the_hidden_bits_are_seen():
    network = OneHiddenLayer(
        jnp.array([[1.0, 2.0], [3.0, 2.0], [2.0, 0.0]]), jnp.zeros(2), jnp.ones(2), "quadratic"
    )
    point = Point(network, {}, CrossEntropy(), task=ParityTable(n=3, k=2))
    np.testing.assert_allclose(HiddenBitShare()(point), [10 / 14, 1.0])
    np.testing.assert_allclose(HiddenBitSpread()(point), [1 / 2, 0.0], atol=1e-12)
