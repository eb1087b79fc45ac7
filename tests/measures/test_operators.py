"""Measures of networks on binary operators, by direct sums over all pairs of a tiny p."""

import itertools
import math
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokscope import Experiment, InputError
from grokscope.losses import CrossEntropy
from grokscope.measures import Point
from grokscope.measures._fourier import key_frequencies, token_weights
from grokscope.measures._search import search_prefixes
from grokscope.measures.logit_fourier import ExcludedLoss, KeyFrequencies, RestrictedLoss
from grokscope.runs.measure_plan import MeasurePlan
from grokscope.spec.parts import lookup
from transformer_oracles import embedding_mlp, transformer

MODELS = {
    "transformer": {"kind": "power_transformer", "width": 8, "heads": 2, "mlp_width": 6, "init_scale": 3.0},
    "mlp": {"kind": "embedding_mlp", "embedding": 4, "width": 10},
    "one_hot": {"kind": "fully_connected", "width": 9},
}
# operator, p, model
CASES = [("addition", 5, "transformer"), ("subtraction", 6, "mlp"), ("addition", 7, "one_hot")]
NAMES = [
    "test_accuracy",
    "test_accuracy_mirrored",
    "test_accuracy_unmirrored",
    "mirror_share",
    "train_loss",
    "embedding_fourier",
    "output_fourier",
    "embedding_gini",
    "output_gini",
    "embedding_participation",
    "output_participation",
    "logit_fourier",
    "logit_cosines",
    "key_frequencies",
    "restricted_loss",
    "excluded_loss",
    "excluded_loss_by_frequency",
    "neuron_frequency",
    "neuron_frequency_share",
    "one_frequency_neurons",
    "effective_sparsity",
    "effective_sparsity_accuracy",
    "faithfulness",
    "faithfulness_kappa",
    "subnetwork_norm",
    "neuron_norm",
    "path_norm",
]
KEYS = [0, 2]  # places of the frequencies 1 and 3


class Case:
    """A drawn network, every measure of it (one compiled program), and plain arrays for the oracles."""

    def __init__(self, operator, p, model):
        self.p = p
        self.experiment = Experiment(
            task={"kind": "modular_operator", "operator": operator, "p": p, "operator_token": False},
            model=MODELS[model],
            loss="cross_entropy",
            steps=1,
        )
        self.spec = self.experiment.model
        task = self.experiment.task
        network = self.spec.network(jax.random.key(1), task.input_shape, p)
        data = task.member_data(jax.random.key(2), jax.random.key(2))
        rng = np.random.default_rng(0)
        self.masks = rng.random((5, self.spec.n_neurons)) < 0.6
        self.masks[2] = False
        n_frequencies = p // 2
        keys = np.zeros(n_frequencies, bool)
        keys[[k for k in KEYS if k < n_frequencies]] = True
        self.keys = [k + 1 for k in np.flatnonzero(keys)]
        names = [name for name in NAMES if self._measure(name).missing(self.experiment) is None]
        if model == "transformer":
            names += ["attention_pattern", "head_faithfulness"]
        if model != "one_hot":
            names += ["matrix_norm"]

        @jax.jit
        def take(network, data, masks, keys):
            point = Point(network, data, CrossEntropy(), masks, jnp.stack([keys, keys]).astype(float))
            own = {"by_neurons": KeyFrequencies(rule="neurons")(point)} if "neuron_frequency" in names else {}
            return own | {name: self._measure(name)(point) for name in names}

        self.found = {
            name: np.asarray(value)
            for name, value in take(network, data, jnp.asarray(self.masks), jnp.asarray(keys)).items()
        }
        self.network = network
        self.data = {name: np.asarray(value) for name, value in data.items()}
        self.logits = {split: self.outputs(split) for split in ("train", "test")}
        # L[a, b, c] over all pairs
        self.grid = np.zeros((p, p, p))
        for split, logits in self.logits.items():
            for (a, b), row in zip(self.data[f"{split}_operands"], logits, strict=True):
                self.grid[a, b] = row
        self.answer = np.zeros((p, p), int)
        for a, b, c in task.table.rows:
            self.answer[a, b] = c

    @staticmethod
    def _measure(name):
        return lookup("measure", name)()

    def oracle(self, tokens, on=None, heads_on=None):
        if self.spec.kind == "fully_connected":
            x = np.zeros((len(tokens), self.p + 1))
            x[np.arange(len(tokens)), tokens] = 1
            h = np.maximum(0, x.ravel() @ np.float64(self.network.hidden_weight) + self.network.hidden_bias)
            h = h if on is None else h * on
            return {"logits": h @ np.float64(self.network.output_weight), "hidden": h}
        if self.spec.kind == "embedding_mlp":
            return embedding_mlp(self.network, self.spec, tokens, on)
        on = None if on is None else np.reshape(on, (self.spec.layers, -1))
        return transformer(self.network, self.spec, tokens, on, heads_on)

    def outputs(self, split, name="logits", **switches):
        tokens = self.data[f"{split}_x"].argmax(-1).tolist()
        return np.stack([self.oracle(row, **switches)[name] for row in tokens])


@pytest.fixture(scope="module", params=CASES, ids=str)
def case(request):
    return Case(*request.param)


def cross_entropy(logits, y):
    total = sum(math.log(sum(math.exp(v) for v in row)) - row[c] for row, c in zip(logits, y, strict=True))
    return total / len(y)


def close(found, expected, tolerance=2e-4):
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def power(columns, p, k):
    """Of each column: its squared norm in the span of cos and sin of frequency k."""
    w = 2 * math.pi * k / p
    total = np.zeros(columns.shape[1])
    for wave in (np.cos(w * np.arange(p)), np.sin(w * np.arange(p))):
        size = float(wave @ wave)
        if size > 1e-9:  # the sine of frequency p / 2 is zero
            total += (wave @ columns) ** 2 / size
    return total


def gini(values):
    n = len(values)
    return sum(abs(a - b) for a in values for b in values) / (2 * n * sum(values))


@pytest.mark.slow
def test_the_answer_of_a_network_is_the_oracles(case):
    close(case.found["train_loss"], cross_entropy(case.logits["train"], case.data["train_y"]))


def test_accuracy_on_both_sorts_of_held_out_pairs(case):
    learned = {tuple(pair) for pair in case.data["train_operands"].tolist()}
    right = {0: [], 1: []}
    for (a, b), row, c in zip(
        case.data["test_operands"].tolist(), case.logits["test"], case.data["test_y"], strict=True
    ):
        right[int((b, a) in learned)].append(int(row.argmax() == c))
    close(case.found["mirror_share"], len(right[1]) / (len(right[0]) + len(right[1])))
    close(case.found["test_accuracy_mirrored"], np.mean(right[1]))
    close(case.found["test_accuracy_unmirrored"], np.mean(right[0]))
    close(case.found["test_accuracy"], np.mean(right[0] + right[1]))


def weights(case, where):
    """[residue, feature]: the embedding, or what neurons add to the logits."""
    network, p = case.network, case.p
    if where == "embedding":
        if case.spec.kind == "fully_connected":
            first = np.float64(network.hidden_weight).reshape(3, p + 1, -1)
            return np.concatenate([first[0, :p], first[1, :p]], axis=1)
        return np.float64(network.embedding)[:p]
    if case.spec.kind == "power_transformer":
        return (np.float64(network.blocks[-1].mlp_out) @ np.float64(network.unembedding)).T
    return np.float64(network.output_weight).T


@pytest.mark.parametrize("where", ["embedding", "output"])
def test_spectra_of_weights(case, where):
    columns, p = weights(case, where), case.p
    by_frequency = [power(columns, p, k) for k in range(1, p // 2 + 1)]
    close(case.found[f"{where}_fourier"], [math.sqrt(one.sum()) for one in by_frequency])
    shares = np.array(by_frequency) / np.sum(by_frequency, axis=0)
    close(case.found[f"{where}_participation"], (shares**2).sum(axis=0).mean())
    rows = [np.ones(p)]
    for k in range(1, p // 2 + 1):
        rows.append(np.cos(2 * math.pi * k * np.arange(p) / p))
        rows.append(np.sin(2 * math.pi * k * np.arange(p) / p))
    norms = [np.linalg.norm(row @ columns) / np.linalg.norm(row) for row in rows[:p]]
    close(case.found[f"{where}_gini"], gini(norms))


def waves(case, k):
    """cos and sin of w_k times the answer, built from waves of a and of b; each over all pairs, norm 1."""
    p, w = case.p, 2 * math.pi * k / case.p
    sign = 1 if case.experiment.task.operator == "addition" else -1
    cosine, sine = np.zeros((p, p)), np.zeros((p, p))
    for a, b in itertools.product(range(p), repeat=2):
        cosine[a, b] = math.cos(w * a) * math.cos(w * b) - sign * math.sin(w * a) * math.sin(w * b)
        sine[a, b] = math.sin(w * a) * math.cos(w * b) + sign * math.cos(w * a) * math.sin(w * b)
    return [wave / np.linalg.norm(wave) for wave in (cosine, sine) if np.linalg.norm(wave) > 1e-9]


def projection(case, frequencies, logits=None):
    """The part of the logits in the span of the waves of these frequencies, [a, b, c]."""
    logits = case.grid if logits is None else logits
    part = np.zeros_like(logits)
    for k in frequencies:
        for wave in waves(case, k):
            part += wave[:, :, None] * np.einsum("ab,abc->c", wave, logits)
    return part


def on(case, grid, split):
    return np.array([grid[a, b] for a, b in case.data[f"{split}_operands"]])


def test_shares_of_the_logits_by_frequency(case):
    centered = case.grid - case.grid.mean(axis=2, keepdims=True)
    centered = centered - centered.mean(axis=(0, 1))
    total = (centered**2).sum()
    frequencies = range(1, case.p // 2 + 1)
    shares = [(projection(case, [k], centered) ** 2).sum() / total for k in frequencies]
    close(case.found["logit_fourier"], shares)
    ordered = [max(share / sum(shares), 0.001) for share in sorted(shares, reverse=True)] + [0.001]
    before = max(m for m in range(len(shares)) if ordered[m] >= 5 * ordered[m + 1])
    keys = [int(share / sum(shares) >= ordered[before] - 1e-9) for share in shares]
    assert case.found["key_frequencies"].tolist() == keys
    p = case.p
    columns = [
        np.cos(2 * math.pi * k * (case.answer[:, :, None] - np.arange(p)) / p).ravel() for k in frequencies
    ]
    fit = np.stack(columns, axis=1) @ np.linalg.lstsq(np.stack(columns, axis=1), centered.ravel())[0]
    close(case.found["logit_cosines"], (fit**2).sum() / total)


def test_restricted_and_excluded_loss(case):
    kept = projection(case, case.keys)
    mean = case.grid.mean(axis=(0, 1))
    for i, split in enumerate(("train", "test")):
        expected = cross_entropy(on(case, kept, split) + mean, case.data[f"{split}_y"])
        close(case.found["restricted_loss"][i], expected)
    y = case.data["train_y"]
    close(case.found["excluded_loss"], cross_entropy(on(case, case.grid - kept, "train"), y))
    for k in range(1, case.p // 2 + 1):
        expected = cross_entropy(on(case, case.grid - projection(case, [k]), "train"), y)
        close(case.found["excluded_loss_by_frequency"][k - 1], expected)


def test_frequencies_of_neurons(case):
    p = case.p
    hidden = np.zeros((p, p, case.spec.n_neurons))
    for split in ("train", "test"):
        for (a, b), row in zip(case.data[f"{split}_operands"], case.outputs(split, "hidden"), strict=True):
            hidden[a, b] = row
    hidden -= hidden.mean(axis=(0, 1))
    shares = np.zeros((p // 2, case.spec.n_neurons))
    ones = np.ones(p)
    for k in range(1, p // 2 + 1):
        own = [np.cos(2 * math.pi * k * np.arange(p) / p), np.sin(2 * math.pi * k * np.arange(p) / p)]
        own = [wave for wave in own if np.linalg.norm(wave) > 1e-9]
        for f, g in itertools.product([ones, *own], repeat=2):
            size = np.linalg.norm(f) * np.linalg.norm(g)
            shares[k - 1] += (np.einsum("a,b,abn->n", f, g, hidden) / size) ** 2
    total = (hidden**2).sum(axis=(0, 1))
    alive = total > 1e-9
    shares[:, alive] /= total[alive]
    close(case.found["neuron_frequency_share"][alive], shares.max(axis=0)[alive])
    clear = np.sort(shares, axis=0)[-1] - np.sort(shares, axis=0)[-2] > 1e-3
    assert clear.any()
    np.testing.assert_array_equal(case.found["neuron_frequency"][clear], shares.argmax(axis=0)[clear] + 1)
    used = [int(k in case.found["neuron_frequency"]) for k in range(1, p // 2 + 1)]
    assert case.found["by_neurons"].tolist() == used
    assert not case.found["neuron_frequency"][~alive].any()
    close(case.found["one_frequency_neurons"], (shares.max(axis=0) > 0.85).mean())


def sizes(case):
    """Incoming norms, and path norms."""
    network = case.network
    incoming, outgoing = np.float64(network.incoming), np.float64(network.outgoing)
    bias = np.float64(network.incoming_bias)
    into = [math.sqrt(sum(w * w for w in incoming[:, j])) for j in range(incoming.shape[1])]
    full = [math.sqrt(into[j] ** 2 + bias[j] ** 2) for j in range(len(into))]
    out = [math.sqrt(sum(w * w for w in outgoing[j])) for j in range(len(into))]
    return into, [a * b for a, b in zip(full, out, strict=True)]


def test_norms_of_neurons_and_subnetworks(case):
    into, path = sizes(case)
    close(case.found["neuron_norm"], into)
    close(case.found["path_norm"], path)
    for i, mask in enumerate(case.masks):
        wanted = np.mean([into[j] for j in np.flatnonzero(mask)]) if mask.any() else math.nan
        close(case.found["subnetwork_norm"][i], wanted)


def prefixes(case, split):
    """Outputs of every f_m, m = 1, 2, ..., in the order of falling incoming norm."""
    into, _ = sizes(case)
    ranked = sorted(range(len(into)), key=lambda j: (-into[j], j))
    for m in range(1, len(ranked) + 1):
        keep = np.zeros(len(ranked))
        keep[ranked[:m]] = 1
        yield m, case.outputs(split, on=keep)


def test_effective_sparsity_tries_every_prefix(case):
    whole, y = case.logits["train"].argmax(-1), case.data["train_y"]
    agree, accurate = [], []
    for m, logits in prefixes(case, "train"):
        part = logits.argmax(-1)
        if (part == whole).all():
            agree.append(m)
        if (part == y).sum() == (whole == y).sum():
            accurate.append(m)
    assert case.found["effective_sparsity"] == min(agree)
    assert case.found["effective_sparsity_accuracy"] == min(accurate)


@pytest.mark.parametrize("split", ["train", "test"])
def test_faithfulness_and_kappa_with_classes(case, split):
    column = ["train", "test"].index(split)
    whole = case.logits[split].argmax(-1)
    for i, mask in enumerate(case.masks):
        if not mask.any():
            assert math.isnan(case.found["faithfulness"][i, column])
            assert math.isnan(case.found["faithfulness_kappa"][i, column])
            continue
        part = case.outputs(split, on=mask.astype(float)).argmax(-1)
        share = np.mean(part == whole)
        close(case.found["faithfulness"][i, column], share)
        chance = sum(np.mean(part == c) * np.mean(whole == c) for c in range(case.p))
        kappa = (share - chance) / (1 - chance) if chance < 1 else math.nan
        close(case.found["faithfulness_kappa"][i, column], kappa)


def test_heads_and_matrices(case):
    if "attention_pattern" in case.found:
        close(case.found["attention_pattern"], case.outputs("train", "attention").mean(axis=0))
        shape = (case.spec.layers, case.spec.heads)
        for layer, head in itertools.product(*map(range, shape)):
            heads_on = np.ones(shape)
            heads_on[layer, head] = 0
            part = case.outputs("test", heads_on=heads_on).argmax(-1)
            share = np.mean(part == case.logits["test"].argmax(-1))
            close(case.found["head_faithfulness"][layer, head], share)
    if "matrix_norm" in case.found:
        axes = case.experiment.axes["matrix"]
        for name, found in zip(axes, case.found["matrix_norm"], strict=True):
            leaf = case.network
            for step in name.split("."):
                leaf = leaf[int(step)] if step.isdigit() else getattr(leaf, step)
            close(found, math.sqrt((np.float64(leaf) ** 2).sum()))


def test_agreement_is_not_taken_to_be_monotone():
    # of two inputs and three neurons, f_1 agrees, f_2 does not, f_3 = f does
    from grokscope.models.networks.one_hidden_layer import OneHiddenLayer

    output = jnp.array([[1.0, 0.0], [-3.0, 0.0], [2.5, 0.0]])
    network = OneHiddenLayer(
        jnp.array([[3.0, 2.0, 1.0]]), jnp.zeros(3), output / jnp.array([[3.0], [2.0], [1.0]])
    )
    x = jnp.array([[1.0], [2.0]])
    f = network(x)
    order, y = jnp.arange(3), jnp.argmax(f, axis=-1)
    assert [int(m) for m in search_prefixes(network, order, x, f, y, ("predictions", "accuracy"))] == [1, 1]
    # with the first neuron weak the first agreement is at the end
    weak = OneHiddenLayer(
        network.hidden_weight, network.hidden_bias, network.output_weight.at[0, 0].set(-0.01)
    )
    f = weak(x)
    found = search_prefixes(weak, order, x, f, jnp.argmax(f, axis=-1), ("predictions",))
    assert [int(m) for m in found] == [3] if bool((jnp.argmax(f, -1) == 0).all()) else [1]


@pytest.mark.slow
@pytest.mark.parametrize("n_rows", [1, 63, 64, 65, 200])
def test_rows_are_tried_in_chunks_without_changing_the_answer(n_rows):
    rng = np.random.default_rng(n_rows)
    from grokscope.models.networks.one_hidden_layer import OneHiddenLayer

    W, b, u = rng.normal(size=(6, 40)), rng.normal(size=40), rng.normal(size=(40, 4))
    network = OneHiddenLayer(*(jnp.asarray(a, jnp.float32) for a in (W, b, u)))
    x = jnp.asarray(rng.normal(size=(n_rows, 6)), jnp.float32)
    f, y = network(x), jnp.asarray(rng.integers(0, 4, n_rows))
    order = jnp.asarray(rng.permutation(40))
    tests = ("predictions", "accuracy", "predictions_99")
    found = [int(m) for m in jax.jit(search_prefixes, static_argnums=5)(network, order, x, f, y, tests)]
    hidden, whole = np.asarray(network.hidden(x)), np.asarray(f).argmax(-1)
    agree, accurate, most = [], [], []
    for m in range(1, 41):
        kept = np.asarray(order)[:m]
        part = (hidden[:, kept] @ np.asarray(network.output_weight)[kept]).argmax(-1)
        same = int((part == whole).sum())
        agree += [m] * (same == n_rows)
        most += [m] * (same * 100 >= 99 * n_rows)
        accurate += [m] * (int((part == np.asarray(y)).sum()) == int((whole == np.asarray(y)).sum()))
    assert found == [min(agree), min(accurate), min(most)]


def test_what_does_not_apply_is_said_and_left_out_of_the_defaults():
    division = Experiment(
        task={"kind": "modular_operator", "operator": "division", "p": 5},
        model="embedding_mlp",
        loss="cross_entropy",
        steps=1,
    )
    names = {measure.name for measure in MeasurePlan.of(division).all}
    assert {"mirror_share", "test_accuracy_mirrored", "matrix_norm", "neuron_norm"} <= names
    assert not names & {"effective_sparsity", "faithfulness", "restricted_loss"}
    for name, message in (
        (
            "restricted_loss",
            "restricted_loss needs addition or subtraction mod p; task 'modular_operator' is not",
        ),
        ("attention_pattern", "attention_pattern needs a transformer, not 'embedding_mlp'"),
        ("sensitivity", "sensitivity needs one output with labels"),
    ):
        with pytest.raises(InputError, match=message):
            MeasurePlan.of(division.model_copy(update={"measures": (lookup("measure", name)(),)}))
    parity = Experiment(task="sparse_parity", epochs=1)
    assert "needs a task on pairs" in (lookup("measure", "mirror_share")().missing(parity) or "")
    assert "names its matrices" in (lookup("measure", "matrix_norm")().missing(parity) or "")


PUBLISHED = (0.814, 0.0003, 0.074, 0.0004, 0.039, 0.031, 0.021, 0.0002)  # a network of Nanda et al.


@pytest.mark.parametrize(
    ("rule", "powers", "expected"),
    [
        ("gap", PUBLISHED, (1, 0, 1, 0, 1, 1, 1, 0)),
        ("gap", [200 * share for share in PUBLISHED], (1, 0, 1, 0, 1, 1, 1, 0)),
        ("share", PUBLISHED, (1, 0, 1, 0, 0, 0, 0, 0)),  # two of five
        ("gap", (0.99, 0.003, 0.002, 0.001), (1, 0, 0, 0)),
        ("gap", (0.3, 0.3, 0.2, 0.19, 1e-9, 0.0), (1, 1, 1, 1, 0, 0)),  # what is below 0.001 has no gaps
        ("gap", (0.4, 0.2, 0.1, 0.06, 0.04, 0.02, 0.01, 0.004, 0.0005), (1,) * 8 + (0,)),  # no gap
        ("gap", (0.5, 0.5), (1, 1)),
        ("gap", (1.0,) * 300, (1,) * 300),  # none stands out
        ("gap", (0.0, 0.0, 0.0), (0, 0, 0)),
        ("share", (0.6, 0.05, 0.3, 0.0, 0.04), (1, 1, 1, 0, 0)),  # 0.05 of 0.99, and more
        ("share", (0.0, 0.0, 0.0), (0, 0, 0)),
        ("neurons", (0, 3, 1, 0), (0, 1, 1, 0)),
    ],
)
def test_key_frequencies_of_written_down_spectra(rule, powers, expected):
    own = jnp.array(powers, jnp.float32)
    spectra = jnp.stack([own, own])
    assert key_frequencies(spectra, rule, gap=5.0, share=0.05).astype(int).tolist() == list(expected)
    for kind in (KeyFrequencies, RestrictedLoss, ExcludedLoss):  # every measure that uses them has the rule
        assert kind(rule=rule).chosen(spectra).astype(int).tolist() == list(expected)
    if rule == "gap":  # the default, also for measures of users
        assert KeyFrequencies().chosen(spectra).astype(int).tolist() == list(expected)
        own_point = Point(None, {}, CrossEntropy(), None, spectra)
        assert own_point.key_frequencies.astype(int).tolist() == list(expected)


def test_measures_by_another_rule_have_another_name():
    assert KeyFrequencies().name == "key_frequencies"
    assert KeyFrequencies(rule="share").name == "key_frequencies_by_share"
    assert RestrictedLoss(rule="neurons").name == "restricted_loss_by_neurons"
    assert ExcludedLoss(rule="share", share=0.02).name == "excluded_loss_by_share_0_02"
    assert KeyFrequencies(gap=10.0).name == "key_frequencies_by_gap_10_0"
    assert all(kind().revision == 2 for kind in (KeyFrequencies, RestrictedLoss, ExcludedLoss))


@pytest.mark.parametrize("operator_token", [True, False])
@pytest.mark.parametrize("form", ["hidden_weight", "embedding"])
def test_weights_from_numbers_are_not_those_from_the_operator(form, operator_token):
    p, positions, features = 5, 3 + operator_token, 2
    tokens = p + 1 + operator_token
    weights = np.random.default_rng(0).normal(size=(positions, tokens, features)).astype(np.float32)
    own = weights if form == "embedding" else weights.reshape(positions * tokens, features)
    network = types.SimpleNamespace(**{form: jnp.asarray(own)})
    sequence = [3, p, 4, p + 1] if operator_token else [3, 4, p]
    x = jax.nn.one_hot(jnp.array([sequence]), tokens)
    second = 2 if operator_token else 1
    wanted = np.concatenate([weights[0, :p], weights[second, :p]], axis=1)
    np.testing.assert_array_equal(jax.jit(lambda x: token_weights(network, x, p))(x), wanted)
