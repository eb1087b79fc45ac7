"""The transformer of Nanda et al., by the names of its official code, against its formulas, one by one."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

import grokscope as gs
from grokscope.errors import InputError
from grokscope.interop._layouts import recognize

P, WIDTH, HEADS, MLP = 5, 8, 2, 12
INNER = WIDTH // HEADS
TASK = {"kind": "modular_operator", "p": P, "operator_token": False, "train_fraction": 0.6}
SPEC = {"task": TASK, "batch_size": "full", "measures": ["train_accuracy", "test_accuracy"]}


def state(layers=1, seed=0):
    rng = np.random.default_rng(seed)
    shapes = {"embed.W_E": (WIDTH, P + 1), "pos_embed.W_pos": (3, WIDTH), "unembed.W_U": (WIDTH, P + 1)}
    for i in range(layers):
        shapes |= {f"blocks.{i}.attn.W_{name}": (HEADS, INNER, WIDTH) for name in "KQV"}
        shapes |= {
            f"blocks.{i}.attn.W_O": (WIDTH, WIDTH),
            f"blocks.{i}.mlp.W_in": (MLP, WIDTH),
            f"blocks.{i}.mlp.b_in": (MLP,),
            f"blocks.{i}.mlp.W_out": (WIDTH, MLP),
            f"blocks.{i}.mlp.b_out": (WIDTH,),
        }
    weights = {name: 0.4 * rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return {
        **weights,
        **{f"blocks.{i}.attn.mask": np.tril(np.ones((3, 3), np.float32)) for i in range(layers)},
    }


def logits(weights, tokens, layers=1, rate=1.0, masked=True):
    """For one sequence, at its last position; weights of attention are rate * softmax + 1 - rate."""
    w = {name: np.asarray(array, np.float64) for name, array in weights.items()}
    x = [w["embed.W_E"][:, token] + w["pos_embed.W_pos"][i] for i, token in enumerate(tokens)]
    for layer in range(layers):
        b = f"blocks.{layer}."
        after = []
        for q in range(len(x)):
            heads = []
            for h in range(HEADS):
                seen = range(q + 1 if masked else len(x))
                query = w[b + "attn.W_Q"][h] @ x[q]
                scores = [query @ (w[b + "attn.W_K"][h] @ x[k]) / np.sqrt(INNER) for k in seen]
                share = np.exp(scores - np.max(scores))
                share = rate * share / share.sum() + 1 - rate
                heads.append(sum(s * (w[b + "attn.W_V"][h] @ x[k]) for k, s in enumerate(share)))
            middle = x[q] + w[b + "attn.W_O"] @ np.concatenate(heads)
            neurons = np.maximum(w[b + "mlp.W_in"] @ middle + w[b + "mlp.b_in"], 0)
            after.append(middle + w[b + "mlp.W_out"] @ neurons + w[b + "mlp.b_out"])
        x = after
    return (x[-1] @ w["unembed.W_U"])[:P]  # the answer is never the equals sign


def all_pairs():
    return np.array([(a, b, P) for a in range(P) for b in range(P)])


def own_data():
    x = np.random.default_rng(1).permutation(all_pairs())
    y = (x[:, 0] + x[:, 1]) % P
    return {"train_x": x[:15], "train_y": y[:15], "test_x": x[15:], "test_y": y[15:]}


@pytest.mark.slow
@pytest.mark.parametrize("layers", [1, 2])
def test_it_is_recognized_and_predicts_the_same(tmp_path, layers):
    weights = state(layers)
    run = gs.from_torch({7: weights}, SPEC, data=own_data(), out=tmp_path / "run")
    model = run.experiment.model
    assert (model.kind, model.layers, model.width, model.heads, model.mlp_width) == (
        "nanda_transformer",
        layers,
        WIDTH,
        HEADS,
        MLP,
    )
    ones = (all_pairs()[..., None] == np.arange(P + 1)).astype(np.float32)
    found = np.asarray(run.model(step=7)(jnp.asarray(ones)))
    wanted = [logits(weights, pair, layers) for pair in all_pairs()]
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    data = own_data()
    for split in ("train", "test"):
        right = [
            np.argmax(logits(weights, x, layers)) == y
            for x, y in zip(data[f"{split}_x"], data[f"{split}_y"], strict=True)
        ]
        assert run.measures[f"{split}_accuracy"].item() == pytest.approx(np.mean(right))
    again = gs.from_torch(
        gs.to_torch(run, numpy=True), run.experiment, data=None, step=7, out=tmp_path / "again"
    )
    assert again.identity == run.identity


def test_attention_of_another_form_is_said_to_be_assumed_and_can_be_given(tmp_path):
    weights = state(2)
    assumed = gs.from_torch({7: weights}, SPEC, data=own_data(), out=tmp_path / "assumed")
    [note] = [note for note in assumed.provenance["imported"]["notes"] if "do not contain" in note]
    for text in (
        "a causal mask (model.causal)",
        "a softmax (model.softmax_weight)",
        "square root of a head's",
    ):
        assert text in note
    model = {"kind": "nanda_transformer", "softmax_weight": 0.25, "causal": False}
    run = gs.from_torch({7: weights}, {**SPEC, "model": model}, data=own_data(), out=tmp_path / "run")
    [note] = [note for note in run.provenance["imported"]["notes"] if "do not contain" in note]
    assert "causal" not in note
    assert "softmax" not in note
    ones = (all_pairs()[..., None] == np.arange(P + 1)).astype(np.float32)
    wanted = [logits(weights, pair, 2, rate=0.25, masked=False) for pair in all_pairs()]
    np.testing.assert_allclose(run.model(step=7)(jnp.asarray(ones)), wanted, rtol=1e-4, atol=1e-4)


def test_all_measures_that_apply(tmp_path):
    spec = {"task": TASK, "batch_size": "full"}
    run = gs.from_torch({0: state(), 9: state(seed=1)}, spec, out=tmp_path / "run")
    assert {"train_loss", "weight_norm"} <= set(run.measures.data_vars)
    assert np.isfinite(run.measures.train_loss.values).all()


@pytest.mark.parametrize(
    "change",
    [
        {"ln_final.w": np.ones(WIDTH)},
        {"blocks.2.mlp.b_in": np.ones(MLP)},
        {"blocks.0.attn.W_Q": np.ones((WIDTH, WIDTH))},
        {"embed.W_E": np.ones(WIDTH)},
    ],
)
def test_relatives_are_not_taken_for_it(change):
    assert recognize({name: np.shape(a) for name, a in {**state(), **change}.items()}) is None


def test_tokens_that_are_none(tmp_path):
    data = own_data()
    data["test_x"] = data["test_x"] + 1
    with pytest.raises(InputError, match="data: test_x: tokens are numbers from 0 to 5, but one is 6"):
        gs.from_torch(state(), SPEC, data=data, out=tmp_path / "run")


def test_more_logits_than_answers_are_left_out_and_fewer_refused(tmp_path):
    weights = {**state(), "unembed.W_U": np.ones((WIDTH, P - 1), np.float32)}
    with pytest.raises(
        InputError, match=r"'unembed.W_U' \[8, 4\] gives shape \[8, 4\], but our 'unembedding'"
    ):
        gs.from_torch(weights, SPEC, out=tmp_path / "run")


@pytest.mark.slow
@pytest.mark.torch
def test_a_module_of_it_is_checked_by_its_predictions(tmp_path):
    import torch

    class Network(torch.nn.Module):
        """Of these weights, with a number in between that may be wrong."""

        def __init__(self, factor):
            super().__init__()
            self.inner = torch.nn.ParameterDict()
            self.arrays, self.factor = state(), factor
            self.anything = torch.nn.Parameter(torch.zeros(1))

        def state_dict(self):
            return {name: torch.tensor(array) for name, array in self.arrays.items()}

        def forward(self, tokens):
            rows = [self.factor * logits(self.arrays, row.tolist()) for row in tokens]
            last = torch.tensor(np.array(rows))
            spare = torch.full((len(rows), 1), 99.0, dtype=torch.float64)
            whole = torch.cat([last, spare], dim=1)
            return torch.stack([whole * 0, whole * 0, whole], dim=1)

    assert gs.from_torch(Network(1.0), SPEC, data=own_data(), out=tmp_path / "run").is_complete
    with pytest.raises(InputError, match="our network does not predict what the module does"):
        gs.from_torch(Network(1.01), SPEC, data=own_data(), out=tmp_path / "other")


@pytest.mark.torch
def test_logged_losses_tell_another_attention(tmp_path):
    import torch

    states, data = [state(seed=1), state(seed=2)], own_data()

    def loss(weights, split):
        f = np.array([logits(weights, x, rate=0.0, masked=False) for x in data[f"{split}_x"]])
        right = f[np.arange(len(f)), data[f"{split}_y"]]
        return float(np.mean(np.log(np.exp(f).sum(axis=1)) - right))

    table = {
        "state_dicts": [{name: torch.tensor(a) for name, a in one.items()} for one in states],
        "epochs": [0, 100],
        **{f"{split}_losses": [loss(one, split) for one in states] for split in ("train", "test")},
    }
    torch.save(table, tmp_path / "run.pth")
    spec = {**SPEC, "measures": []}
    with pytest.raises(
        InputError, match=r"test_loss at step 0 is .* Assumed: a causal mask \(model.causal\)"
    ):
        gs.import_torch(tmp_path / "run.pth", spec, data=data, out=tmp_path / "run")
    own = {**spec, "model": {"kind": "transformer", "softmax_weight": 0.0, "causal": False}}
    run = gs.import_torch(tmp_path / "run.pth", own, data=data, out=tmp_path / "run")
    notes = run.provenance["imported"]["notes"]
    assert any("have logged (train_loss of 2, test_loss of 2 networks)" in note for note in notes)
