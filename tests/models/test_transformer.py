"""Transformers and embedding networks: formulas one sample at a time, masks, starts, bad input."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from grokscope import Experiment, InputError
from grokscope.models.embedding_mlp import EmbeddingMLP
from grokscope.models.fully_connected import FullyConnected
from grokscope.models.transformer import NandaTransformer, PowerTransformer, Transformer
from transformer_oracles import embedding_mlp, transformer

pytestmark = pytest.mark.usefixtures("float64")

POSITIONS, TOKENS, OUTPUTS = 4, 7, 5
SMALL = {"width": 8, "heads": 2, "mlp_width": 6}
TRANSFORMERS = [
    NandaTransformer(**SMALL),
    PowerTransformer(**SMALL),
    Transformer(**SMALL, layers=3, norm="pre", activation="gelu", init="torch"),
    Transformer(**SMALL, layers=2, positions="none", tied=True, mlp_bias=False, activation="quadratic"),
    Transformer(width=9, heads=3, mlp_width=4, layers=2, norm="post", positions="sinusoidal", mlp_bias=True),
    Transformer(
        **{**SMALL, "width": 7, "layers": 2, "head_width": 3, "norm": "pre", "norm_epsilon": 0.01},
        causal=False,
        softmax_weight=0.4,
        vocabulary="by_position",
        activation="gelu_exact",
        attention_bias=True,
        output_bias=True,
    ),
    NandaTransformer(**SMALL, layers=2, softmax_weight=0.3),
]
MLPS = [
    EmbeddingMLP(embedding=3, width=6),
    EmbeddingMLP(embedding=3, width=6, activation="quadratic", combine="add", bias=False),
]
MODELS = [*TRANSFORMERS, *MLPS]
ORACLE = {True: transformer, False: embedding_mlp}

# compiled as a whole: that is quicker than operation by operation
draw = functools.cache(lambda model: jax.jit(functools.partial(_draw, model)))
outputs = jax.jit(lambda network, x: network(x))
everything = jax.jit(lambda network, x: (network(x), network.hidden(x)))
attention = jax.jit(lambda network, x: network.attention(x))


def _draw(model, key):
    return model.network(key, (POSITIONS, TOKENS), OUTPUTS)


def drawn(model, seed=0):
    """A network whose biases and norms are not at their start, or they would not be tested."""
    network = draw(model)(jax.random.key(seed))
    leaves, tree = jax.tree.flatten(network)
    rng = np.random.default_rng(seed)
    moved = [leaf + 0.3 * rng.normal(size=leaf.shape) if leaf.ndim == 1 else leaf for leaf in leaves]
    return jax.tree.unflatten(tree, [jnp.asarray(leaf) for leaf in moved])


def sequences(count=6):
    tokens = np.random.default_rng(1).integers(0, TOKENS, (count, POSITIONS))
    return tokens.tolist(), jax.nn.one_hot(tokens, TOKENS, dtype=jnp.float64)


def expected(model, network, tokens, name, **switches):
    oracle = ORACLE[isinstance(model, Transformer)]
    return np.stack([oracle(network, model, row, **switches)[name] for row in tokens])


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS, ids=str)
def test_logits_and_neurons_one_sample_at_a_time(model):
    network, (tokens, x) = drawn(model), sequences()
    logits, hidden = everything(network, x)
    np.testing.assert_allclose(logits, expected(model, network, tokens, "logits"), rtol=1e-10)
    np.testing.assert_allclose(hidden, expected(model, network, tokens, "hidden"), rtol=1e-9, atol=1e-12)
    if isinstance(model, Transformer):
        patterns = attention(network, x)
        np.testing.assert_allclose(patterns, expected(model, network, tokens, "attention"), rtol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS, ids=str)
def test_neurons_that_are_off_add_nothing_and_masks_say_the_same(model):
    network, (tokens, x) = drawn(model), sequences()
    keep = np.random.default_rng(2).random(model.n_neurons) < 0.5
    on = keep.reshape(model.layers, -1) if isinstance(model, Transformer) else keep
    wanted = expected(model, network, tokens, "logits", neurons_on=on)
    part = network.keeping(jnp.asarray(keep))
    np.testing.assert_allclose(outputs(part, x), wanted, rtol=1e-9, atol=1e-12)
    masks = network.neuron_masks(jnp.asarray(keep))
    masked = jax.tree.map(jnp.multiply, network, masks)
    np.testing.assert_allclose(outputs(masked, x), wanted, rtol=1e-9, atol=1e-12)
    # nothing of a neuron is left, and nothing else is touched
    assert not np.asarray(masked.incoming)[:, ~keep].any()
    assert not np.asarray(masked.outgoing)[~keep].any()
    assert not np.asarray(masked.incoming_bias)[~keep].any()
    np.testing.assert_array_equal(masked.incoming[:, keep], network.incoming[:, keep])
    counted = sum(int((leaf == 0).sum()) for leaf in jax.tree.leaves(masks))
    has_bias = getattr(model, "mlp_bias", getattr(model, "bias", None))
    per_neuron = network.incoming.shape[0] + network.outgoing.shape[1] + has_bias
    assert counted == (~keep).sum() * per_neuron


@pytest.mark.parametrize("model", TRANSFORMERS, ids=str)
def test_heads_that_are_off_add_nothing(model):
    network, (tokens, x) = drawn(model), sequences()
    keep = np.random.default_rng(3).random((model.layers, model.heads)) < 0.5
    keep[0, 0] = False
    wanted = expected(model, network, tokens, "logits", heads_on=keep)
    without = outputs(network.keeping_heads(jnp.asarray(keep)), x)
    np.testing.assert_allclose(without, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("model", [PowerTransformer(**SMALL), *MLPS], ids=str)
def test_parameters_that_are_masked_act_and_train_as_zero(model):
    from grokscope.learners._learner import Batch

    experiment = Experiment(
        task={"kind": "modular_operator", "p": 5},
        model=model,
        loss="cross_entropy",
        optimizer={"kind": "adamw", "learning_rate": 0.01},
        precision="float64",
        steps=5,
    )
    task, learner = experiment.task, experiment.learner
    data = jax.jit(task.member_data)(jax.random.key(0), jax.random.key(0))
    state = jax.jit(lambda data: learner.init(experiment, jax.random.key(0), data))(data)
    keep = jnp.arange(model.n_neurons) % 3 > 0
    state = state._replace(masks=state.network.neuron_masks(keep))
    before = state.network
    batch = Batch(data["train_x"], data["train_y"])
    update = jax.jit(lambda *arguments: learner.update(experiment, *arguments))
    for step in range(5):
        state, _ = update(state, batch, jax.random.key(1), jnp.asarray(step))
    network, unmasked = learner.predictor(state), state.network
    x = data["test_x"]
    np.testing.assert_allclose(outputs(network, x), outputs(unmasked.keeping(keep), x), atol=1e-12)
    # weight decay alone moves what is masked: 5 times a factor of 1 - 0.01 * 0.01
    off = ~np.asarray(keep)
    shrunk = np.asarray(before.incoming)[:, off] * (1 - 1e-4) ** 5
    np.testing.assert_allclose(np.asarray(unmasked.incoming)[:, off], shrunk, rtol=1e-9)
    assert not np.allclose(np.asarray(unmasked.incoming)[:, ~off], np.asarray(before.incoming)[:, ~off])


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_parameters_and_matrices_are_counted(model):
    network = draw(model)(jax.random.key(0))
    leaves, _ = jax.tree_util.tree_flatten_with_path(network)
    assert sum(leaf.size for _, leaf in leaves) == model.n_parameters((POSITIONS, TOKENS), OUTPUTS)
    names = [jax.tree_util.keystr(path, simple=True, separator=".") for path, leaf in leaves if leaf.ndim > 1]
    assert tuple(names) == model.axes((POSITIONS, TOKENS), OUTPUTS)["matrix"]
    assert network.incoming.shape[1] == model.n_neurons == network.outgoing.shape[0]


def test_one_hidden_layer_has_neurons_as_the_others_do():
    model = FullyConnected(width=6)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(5, 3)))
    for n_outputs in (1, 4):
        network = model.network(jax.random.key(0), (3,), n_outputs)
        keep = jnp.array([True, False, True, True, False, False])
        hidden = np.asarray(network.hidden(x)) * np.asarray(keep)
        wanted = hidden @ np.asarray(network.output_weight)
        np.testing.assert_allclose(network.keeping(keep)(x), wanted, rtol=1e-10)
        masked = jax.tree.map(jnp.multiply, network, network.neuron_masks(keep))
        np.testing.assert_allclose(masked(x), wanted, rtol=1e-10)
        assert not np.asarray(masked.incoming)[:, ~np.asarray(keep)].any()
        assert network.outgoing.shape == (6, n_outputs)


def normal_p(values, std):
    return scipy.stats.kstest(np.asarray(values).ravel()[:20_000], scipy.stats.norm(0, std).cdf).pvalue


def uniform_p(values, bound):
    values = np.asarray(values).ravel()[:20_000]
    return scipy.stats.kstest(values, scipy.stats.uniform(-bound, 2 * bound).cdf).pvalue


def test_nanda_starts_as_its_code_draws_it():
    network = NandaTransformer().network(jax.random.key(0), (3, 114), 113)
    block = network.blocks[0]
    for name in ("query", "key", "value", "attention_out", "mlp_in", "mlp_out"):
        assert normal_p(getattr(block, name), 128**-0.5) > 1e-3, name
    assert normal_p(network.embedding, 128**-0.5) > 1e-3
    assert normal_p(network.unembedding, 114**-0.5) > 1e-3
    assert normal_p(network.unembedding, 128**-0.5) < 1e-3  # the two are told apart
    assert not np.asarray(block.mlp_bias).any()
    assert not np.asarray(block.mlp_out_bias).any()


def test_power_starts_as_pytorch_draws_it():
    network = PowerTransformer().network(jax.random.key(0), (4, 99), 97)
    assert normal_p(network.embedding, 1.0) > 1e-3
    for block in network.blocks:
        for name in ("query", "key", "value", "attention_out", "mlp_in"):
            assert uniform_p(getattr(block, name), 128**-0.5) > 1e-3, name
        assert uniform_p(block.mlp_out, 512**-0.5) > 1e-3
        assert np.asarray(block.attention_norm.scale).tolist() == [1.0] * 128
    assert uniform_p(network.unembedding, 128**-0.5) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("model", [TRANSFORMERS[0], TRANSFORMERS[1], MLPS[0]], ids=str)
def test_both_precisions_start_from_the_same_numbers_and_scale_is_a_factor(model):
    double = model.network(jax.random.key(3), (POSITIONS, TOKENS), OUTPUTS)
    with jax.enable_x64(False):
        single = model.network(jax.random.key(3), (POSITIONS, TOKENS), OUTPUTS)
        half = model.with_traced({"init_scale": jnp.float32(0.5)}).network(
            jax.random.key(3), (POSITIONS, TOKENS), OUTPUTS
        )
    for a, b in zip(jax.tree.leaves(single), jax.tree.leaves(double), strict=True):
        assert (a.dtype, b.dtype) == (jnp.float32, jnp.float64)
        np.testing.assert_allclose(a, b, rtol=3e-7)
    np.testing.assert_allclose(half.incoming, 0.5 * single.incoming, rtol=1e-6)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            {"kind": "transformer", "heads": 3},
            r"^model: heads must divide width = 128, but heads = 3; or give head_width\.$",
        ),
        (
            {"kind": "transformer", "tied": True, "vocabulary": "by_position"},
            "tied = true needs one embedding, but vocabulary = 'by_position'",
        ),
        ({"kind": "transformer", "softmax_weight": 1.5}, "model.softmax_weight: must be at most 1"),
        ({"kind": "power_transformer", "width": 10}, "heads must divide width = 10, but heads = 4"),
        ({"kind": "transformer", "positions": "fixed"}, "model.positions: must be 'learned', 'sinusoidal'"),
        ({"kind": "transformer", "layers": 0}, "model.layers: must be at least 1"),
    ],
)
def test_bad_tables(table, message):
    with pytest.raises(InputError, match=message):
        Experiment(task={"kind": "modular_operator", "p": 5}, model=table, loss="cross_entropy", steps=1)


@pytest.mark.parametrize("kind", ["transformer", "embedding_mlp"])
def test_inputs_must_be_tokens(kind):
    with pytest.raises(
        InputError, match=rf"'{kind}' reads sequences of one-hot tokens .* have shape \(40,\)"
    ):
        Experiment(task="sparse_parity", model=kind, epochs=1)


@pytest.mark.slow
@pytest.mark.parametrize(("bits", "tokens"), [(4, 16), (12, 59), (20, 113)])
def test_binary_embeddings_are_different_codes_of_the_seed(bits, tokens):
    model = EmbeddingMLP(embedding=bits, width=3, embedding_init="binary", embedding_scale=0.5)
    first, again, other = (
        np.asarray(model.network(jax.random.key(seed), (2, tokens), tokens).embedding) for seed in (0, 0, 1)
    )
    assert set(np.unique(first)) == {0.0, 0.5}
    assert len(np.unique(first, axis=0)) == tokens
    assert 0.35 < (first > 0).mean() < 0.65
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_too_few_bits_for_the_tokens_are_refused():
    with pytest.raises(InputError) as error:
        Experiment(
            task={"kind": "modular_operator", "p": 17, "operator_token": False, "equals_token": False},
            model={"kind": "embedding_mlp", "embedding": 4, "embedding_init": "binary"},
            loss="cross_entropy",
            steps=1,
        )
    assert str(error.value) == (
        "model.embedding: 4 bits are too few for 17 different codes; give at least 5."
    )
