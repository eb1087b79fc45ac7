"""Layouts of transformers."""

from __future__ import annotations

import re

from grokscope.interop._map import Entry, Op, WeightMap
from grokscope.interop._recognized import Recognized, Shapes

__all__ = ["nanda"]

_TURNED = (Op("transpose"),)
_BUFFERS = ("blocks.*.attn.mask",)
_AROUND = ("embed.W_E", "pos_embed.W_pos", "unembed.W_U")
_IN_BLOCK = re.compile(r"blocks\.(\d{1,3})\.(attn\.W_[QKVO]|attn\.mask|mlp\.[Wb]_(?:in|out))")
_OURS = {"W_Q": "query", "W_K": "key", "W_V": "value"}


def nanda(shapes: Shapes) -> Recognized | None:
    """The transformer of Nanda et al.: ``embed.W_E``, ``blocks.0.attn.W_Q`` [head, inner, model], ...

    Heads have width / heads features each. Logits of tokens that are no answers are left out.

    Source: the official code of Nanda et al. 2023 (arXiv 2301.05217).
    """
    if not set(_AROUND) <= set(shapes):
        return None
    inside = [name for name in shapes if name not in _AROUND]
    found = [_IN_BLOCK.fullmatch(name) for name in inside]
    if not all(found):
        return None
    layers = sorted({int(match[1]) for match in found if match})
    if not layers or layers != list(range(len(layers))):
        return None
    query, mlp_in = shapes.get("blocks.0.attn.W_Q", ()), shapes.get("blocks.0.mlp.W_in", ())
    unembedding = shapes["unembed.W_U"]
    if len(shapes["embed.W_E"]) != 2 or len(unembedding) != 2 or len(query) != 3 or len(mlp_in) != 2:
        return None
    width, tokens = shapes["embed.W_E"]
    entries = {
        "embedding": Entry(("embed.W_E",), _TURNED),
        "position": Entry(("pos_embed.W_pos",)),
        "unembedding": Entry(("unembed.W_U",)),
    }
    for i in layers:
        entries |= _block(f"blocks.{i}", width)
    model = {
        "kind": "nanda_transformer",
        "layers": len(layers),
        "width": width,
        "heads": query[0],
        "mlp_width": mlp_in[0],
    }
    name = "transformer (as in the code of Nanda et al.)"
    weights = WeightMap(entries, _BUFFERS, label=f"layout {name}")
    return Recognized(name, model, weights, tokens, (unembedding[0], unembedding[1]))


def _block(block: str, width: int) -> dict[str, Entry]:
    # [head, inner, model]: heads lie side by side in the columns of ours, [model, head x inner]
    side_by_side = (Op("transpose", (2, 0, 1)), Op("reshape", (width, -1)))
    return {
        **{
            f"{block}.{ours}": Entry((f"{block}.attn.{theirs}",), side_by_side)
            for theirs, ours in _OURS.items()
        },
        f"{block}.attention_out": Entry((f"{block}.attn.W_O",), _TURNED),
        f"{block}.mlp_in": Entry((f"{block}.mlp.W_in",), _TURNED),
        f"{block}.mlp_bias": Entry((f"{block}.mlp.b_in",)),
        f"{block}.mlp_out": Entry((f"{block}.mlp.W_out",), _TURNED),
        f"{block}.mlp_out_bias": Entry((f"{block}.mlp.b_out",)),
    }
