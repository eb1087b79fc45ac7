"""What the page says can be read: each kind is written with PyTorch, and predicts what PyTorch does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

import grokscope as gs
from foreign import SPEC, WIDTH, N, own_data
from grokscope.errors import InputError
from grokscope.interop._layouts import recognize

PAGE = Path(__file__).parent.parent.parent / "docs" / "your-own-networks.md"
SPEC_6 = {**SPEC, "batch_size": 4, "measures": []}  # 24 samples: an epoch is 6 steps


def module(seed: int) -> Any:
    import torch

    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(N, WIDTH), torch.nn.ReLU(), torch.nn.Linear(WIDTH, 1))


def state(seed: int, prefix: str = "") -> dict[str, Any]:
    return {f"{prefix}{name}": tensor for name, tensor in module(seed).state_dict().items()}


def arrays(seed: int) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in state(seed).items()}


Written = tuple[Path, dict[int, int]]  # the path to import, and the seed of the network at each step


def a_state_dict(torch: Any, folder: Path) -> Written:
    torch.save(state(1), folder / "step_1k.pt")
    return folder / "step_1k.pt", {1000: 1}


def a_folder(torch: Any, folder: Path) -> Written:
    for epoch in (0, 5):
        torch.save(state(epoch), folder / f"net_epoch_{epoch:03d}.pth")
    return folder, {0: 0, 30: 5}


def folders(torch: Any, folder: Path) -> Written:
    for step in (10, 20):
        (folder / f"step_{step}").mkdir()
        save_file(arrays(step), folder / f"step_{step}" / "net.safetensors")
    return folder, {10: 10, 20: 20}


def wrapped(torch: Any, folder: Path) -> Written:
    optimizer = torch.optim.AdamW(module(1).parameters())
    torch.save(
        {"net": {"state_dict": state(1)}, "opt": optimizer.state_dict(), "epoch": 7, "step": 42},
        folder / "best.pt",
    )
    return folder / "best.pt", {42: 1}


def averaged(torch: Any, folder: Path) -> Written:
    torch.save(
        {"epoch": 2, "swa": torch.optim.swa_utils.AveragedModel(module(1)).state_dict()}, folder / "a.pt"
    )
    return folder / "a.pt", {12: 1}


def compiled(torch: Any, folder: Path) -> Written:
    torch.save(state(1, "_orig_mod.module."), folder / "step_3.pt")
    return folder / "step_3.pt", {3: 1}


def a_list(torch: Any, folder: Path) -> Written:
    table = {
        "model": state(9),
        "checkpoints": [state(1), state(2)],
        "checkpoint_epochs": torch.tensor([0, 4]),
    }
    torch.save(table, folder / "run.pth")
    return folder / "run.pth", {0: 1, 24: 2}


def a_list_with_an_array(torch: Any, folder: Path) -> Written:
    torch.save({"state_dicts": [state(1), state(2)], "steps": np.array([5, 9])}, folder / "run.pth")
    return folder / "run.pth", {5: 1, 9: 2}


def a_list_of_checkpoints(torch: Any, folder: Path) -> Written:
    torch.save([{"epoch": e, "model": state(e)} for e in (1, 2)], folder / "run.pt")
    return folder / "run.pt", {6: 1, 12: 2}


def by_step(torch: Any, folder: Path) -> Written:
    torch.save({0: state(1), 100: state(2)}, folder / "run.pt")
    return folder / "run.pt", {0: 1, 100: 2}


def by_name(torch: Any, folder: Path) -> Written:
    torch.save({"epoch_0": state(1), "epoch_2": state(2)}, folder / "run.pt")
    return folder / "run.pt", {0: 1, 12: 2}


def by_prefix(torch: Any, folder: Path) -> Written:
    save_file({f"step_{s}/{n}": a for s in (1, 4) for n, a in arrays(s).items()}, folder / "run.safetensors")
    return folder / "run.safetensors", {1: 1, 4: 4}


def lightning(torch: Any, folder: Path) -> Written:
    for epoch, step in ((0, 6), (7, 48)):
        table = {"epoch": epoch, "global_step": step, "pytorch-lightning_version": "2.4.0", "loops": {}}
        name = f"epoch={epoch}-step={step}-val_loss=0.{step}.ckpt"
        torch.save({**table, "state_dict": state(step, "net."), "optimizer_states": []}, folder / name)
    return folder, {6: 6, 48: 48}


def hugging_face(torch: Any, folder: Path) -> Written:
    (folder / "config.json").write_text("{}")
    save_file(arrays(1), folder / "model.safetensors")
    (folder / "trainer_state.json").write_text('{"global_step": 8, "epoch": 1.5}')
    torch.save({}, folder / "training_args.bin")
    return folder, {8: 1}


def shards(torch: Any, folder: Path) -> Written:
    folder = folder / "checkpoint-30"
    folder.mkdir()
    names = {name: f"model-0000{1 + i // 2}-of-00002.safetensors" for i, name in enumerate(arrays(1))}
    for file in set(names.values()):
        save_file({name: a for name, a in arrays(1).items() if names[name] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))
    return folder, {30: 1}


def trainer(torch: Any, folder: Path) -> Written:
    for step in (500, 1000):
        (folder / f"checkpoint-{step}").mkdir()
        save_file(arrays(step), folder / f"checkpoint-{step}" / "model.safetensors")
        torch.save({}, folder / f"checkpoint-{step}" / "optimizer.pt")
    return folder, {500: 500, 1000: 1000}


KINDS: dict[str, Callable[[Any, Path], Written]] = {
    "a state dict": a_state_dict,
    "a folder of them": a_folder,
    "a folder of folders with one each": folders,
    "a checkpoint with the state dict under any keys": wrapped,
    "`AveragedModel` (EMA, SWA)": averaged,
    "from `DataParallel`, `torch.compile`": compiled,
    "a list of state dicts, with a list or tensor of steps or epochs": a_list,
    "the same, with a numpy array": a_list_with_an_array,
    "a list of checkpoints": a_list_of_checkpoints,
    "a table by step": by_step,
    "a table by name": by_name,
    "names with a prefix": by_prefix,
    "Lightning's `.ckpt`": lightning,
    "a folder of Hugging Face's libraries": hugging_face,
    "the same, in shards": shards,
    "the folder of a `Trainer`": trainer,
}


P, WIDTH_T, HEADS, HEAD, MLP, CONTEXT = 5, 6, 2, 4, 7, 4
LENS_SPEC = {
    "task": {"kind": "modular_operator", "p": P, "operator_token": False, "train_fraction": 0.6},
    "batch_size": "full",
    "measures": [],
}


def lens_state(torch: Any, *, biases: bool = True, norm: bool = False, tied: bool = False) -> dict[str, Any]:
    """The tensors of a ``HookedTransformer`` of two layers, by the names and shapes of TransformerLens."""
    torch.manual_seed(0)

    def drawn(*shape: int) -> Any:
        return 0.5 * torch.randn(*shape, dtype=torch.float64)

    state = {
        "embed.W_E": drawn(P + 1, WIDTH_T),
        "pos_embed.W_pos": drawn(CONTEXT, WIDTH_T),
        **({} if tied else {"unembed.W_U": drawn(WIDTH_T, P + 1)}),
        **({"unembed.b_U": drawn(P + 1)} if biases else {}),
        **({"ln_final.w": 1 + drawn(WIDTH_T), "ln_final.b": drawn(WIDTH_T)} if norm else {}),
    }
    for i in range(2):
        b = f"blocks.{i}."
        state |= {b + f"attn.W_{name}": drawn(HEADS, WIDTH_T, HEAD) for name in "QKV"}
        state |= {b + "attn.W_O": drawn(HEADS, HEAD, WIDTH_T)}
        state |= {b + "attn.mask": torch.tril(torch.ones(CONTEXT, CONTEXT)).bool()}
        state |= {b + "attn.IGNORE": torch.tensor(-torch.inf)}
        state |= {b + "mlp.W_in": drawn(WIDTH_T, MLP), b + "mlp.b_in": drawn(MLP)}
        state |= {b + "mlp.W_out": drawn(MLP, WIDTH_T), b + "mlp.b_out": drawn(WIDTH_T)}
        if biases:
            state |= {b + f"attn.b_{name}": drawn(HEADS, HEAD) for name in "QKV"}
            state |= {b + "attn.b_O": drawn(WIDTH_T)}
        for ln in ("ln1", "ln2") if norm else ():
            state |= {b + f"{ln}.w": 1 + drawn(WIDTH_T), b + f"{ln}.b": drawn(WIDTH_T)}
    return state


def lens_logits(torch: Any, state: dict[str, Any], tokens: Any, *, normed: bool) -> Any:
    """What TransformerLens computes: pre-norm layers, causal attention, and the logits at every position."""

    def norm(name: str, x: Any) -> Any:
        if not normed:
            return x
        w, b = state.get(f"{name}.w"), state.get(f"{name}.b")  # none where they are folded
        return torch.nn.functional.layer_norm(x, (WIDTH_T,), w, b, eps=1e-5)

    x = state["embed.W_E"][tokens] + state["pos_embed.W_pos"][: tokens.shape[1]]
    for i in range(2):
        b = f"blocks.{i}."
        given = norm(b + "ln1", x)
        parts = []
        for name in "QKV":
            part = torch.einsum("bpm,hmd->bhpd", given, state[b + f"attn.W_{name}"])
            bias = state.get(b + f"attn.b_{name}")
            parts.append(part if bias is None else part + bias[:, None])
        mixed = torch.nn.functional.scaled_dot_product_attention(*parts, is_causal=True)
        x = x + torch.einsum("bhpd,hdm->bpm", mixed, state[b + "attn.W_O"]) + state.get(b + "attn.b_O", 0)
        h = torch.relu(norm(b + "ln2", x) @ state[b + "mlp.W_in"] + state[b + "mlp.b_in"])
        x = x + h @ state[b + "mlp.W_out"] + state[b + "mlp.b_out"]
    unembedding = state.get("unembed.W_U", state["embed.W_E"].T)
    return norm("ln_final", x) @ unembedding + state.get("unembed.b_U", 0)


LENS: dict[str, tuple[dict[str, bool], dict[str, Any]]] = {
    "TransformerLens' `HookedTransformer`, with biases": ({"biases": True}, {}),
    "the same without biases of attention and logits": ({"biases": False}, {}),
    "the same with layer norm, tied": ({"norm": True, "tied": True}, {}),
    "the same with layer norm folded (`LNPre`)": ({"biases": True}, {"norm": "pre"}),
}


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize("kind", LENS)
def test_transformers_are_read_and_predict_what_pytorch_does(kind, tmp_path):
    import torch

    options, model = LENS[kind]
    state = lens_state(torch, **options)
    torch.save(state, tmp_path / "step_8.pt")
    spec = {**LENS_SPEC, "model": {"kind": "transformer", **model}}
    run = gs.import_torch(tmp_path / "step_8.pt", spec, out=tmp_path / "run")
    pairs = torch.cartesian_prod(torch.arange(P), torch.arange(P))
    tokens = torch.cat([pairs, torch.full((len(pairs), 1), P)], 1)
    normed = options.get("norm", False) or "norm" in model
    theirs = lens_logits(torch, state, tokens, normed=normed)[:, -1, :P].numpy()
    with jax.enable_x64(True):
        ours = run.model(step=8)(jnp.asarray(np.eye(P + 1)[tokens.numpy()]))
        np.testing.assert_allclose(np.asarray(ours), theirs, rtol=0, atol=1e-6)
    assert run.experiment.model.head_width == HEAD


EMBEDDED = {
    "`nn.Embedding` and two linear layers on the embeddings of all positions": (2, True),
    "the same on their sum, without biases": (1, False),
}


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize("kind", EMBEDDED)
def test_embeddings_are_read_and_predict_what_pytorch_does(kind, tmp_path):
    import torch

    positions, biases = EMBEDDED[kind]
    torch.manual_seed(0)
    embedding = torch.nn.Embedding(P, 3)
    hidden, output = torch.nn.Linear(3 * positions, 7, bias=biases), torch.nn.Linear(7, P, bias=biases)
    named = {"embed": embedding, "fc1": hidden, "fc2": output}
    state = {f"{name}.{part}": x for name, layer in named.items() for part, x in layer.state_dict().items()}
    torch.save(state, tmp_path / "step_8.pt")
    task = {**LENS_SPEC["task"], "equals_token": False}
    run = gs.import_torch(tmp_path / "step_8.pt", {**LENS_SPEC, "task": task}, out=tmp_path / "run")
    pairs = torch.cartesian_prod(torch.arange(P), torch.arange(P))
    with torch.no_grad():
        given = embedding(pairs).flatten(1) if positions == 2 else embedding(pairs).sum(1)
        theirs = output(torch.relu(hidden(given))).numpy()
    ours = run.model(step=8)(jnp.asarray(np.eye(P, dtype=np.float32)[pairs.numpy()]))
    np.testing.assert_allclose(np.asarray(ours), theirs, rtol=0, atol=1e-6)
    assert any("embedding of every position" in note for note in run.provenance["imported"]["notes"])


@pytest.mark.parametrize(
    "shapes",
    [
        {"embed.weight": (5, 3), "fc1.weight": (7, 4), "fc2.weight": (5, 7)},  # 4 is no multiple of 3
        {"embed.weight": (5, 3), "pos_emb.weight": (2, 3), "fc1.weight": (7, 6), "fc2.weight": (5, 7)},
        {"embed.weight": (5, 3), "fc1.weight": (7, 6)},
        {"embed.weight": (5, 3), "fc1.weight": (7, 6), "fc1.bias": (6,), "fc2.weight": (5, 7)},
    ],
)
def test_other_embeddings_are_not_taken_for_these(shapes):
    assert recognize(shapes) is None


@pytest.mark.parametrize(
    ("more", "without", "message"),
    [
        ({"blocks.0.ln1.w": (6,), "ln_final.w": (6,)}, (), r"RMS norms \(a scale without a shift\)"),
        ({"ln_final.w": (6,), "ln_final.b": (6,)}, (), "layer norms in some places only"),
        ({"blocks.0.mlp.W_gate": (6, 7)}, (), "gated perceptrons"),
        ({"blocks.0.attn.rotary_sin": (4, 4)}, ("pos_embed.W_pos",), "with rotary positions: our"),
        ({}, ("pos_embed.W_pos",), r"no position embedding \(as with alibi\)"),
        ({}, ("blocks.0.mlp.W_in", "blocks.0.mlp.W_out"), "layers without a perceptron"),
    ],
)
def test_what_a_hooked_transformer_may_have_and_ours_has_not(more, without, message):
    block = {f"blocks.0.attn.W_{name}": (2, 6, 4) for name in "QKV"}
    block |= {"blocks.0.attn.W_O": (2, 4, 6), "blocks.0.mlp.W_in": (6, 7), "blocks.0.mlp.W_out": (7, 6)}
    shapes = {"embed.W_E": (6, 6), "pos_embed.W_pos": (4, 6), "unembed.W_U": (6, 6), **block}
    assert recognize(shapes) is not None
    wrong = {name: shape for name, shape in {**shapes, **more}.items() if name not in without}
    with pytest.raises(InputError, match=message):
        recognize(wrong)


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_read_and_predicts_what_pytorch_does(kind, tmp_path):
    import torch

    (tmp_path / "them").mkdir()
    path, seeds = KINDS[kind](torch, tmp_path / "them")
    run = gs.import_torch(path, SPEC_6, data=own_data(), out=tmp_path / "run")
    assert run.snapshot_steps == sorted(seeds)
    x = own_data()["test_x"]
    for step, seed in seeds.items():
        with torch.no_grad():
            theirs = module(seed)(torch.tensor(x))[:, 0].numpy()
        np.testing.assert_allclose(
            np.asarray(run.model(step=step)(jnp.asarray(x))), theirs, rtol=0, atol=1e-6
        )


def test_the_page_has_these_kinds_and_no_others():
    table = PAGE.read_text(encoding="utf-8").partition("| what can be read |")[2].partition("\n\n")[0]
    rows = [re.split(r"(?<!\\)\|", line)[1].strip() for line in table.splitlines()[2:]]
    assert rows == [*KINDS, *LENS, *EMBEDDED]
