"""Layouts of state dicts that are recognized by their names and shapes, without a map.

A layout is a function from the shapes of a state dict to a `LayoutMatch` (the model, and the map from its
tensors to our arrays), or to None. To add one, write a function like `_two_circuits` and name it in
`_LAYOUTS`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from grokscope.errors import InputError, said
from grokscope.interop._weight_map import MapEntry, ShapeOp, WeightMap

__all__ = ["LayoutMatch", "Shapes", "model_of_map", "recognize"]

Shapes = Mapping[str, tuple[int, ...]]

_TRANSPOSED = (ShapeOp("transpose"),)
_IN_SEQUENCE = re.compile(r"(?:(.+)\.)?(\d+)\.(weight|bias)")
_OWN = ("hidden_weight", "hidden_bias", "output_weight", "output_bias")
_NANDA_OUTER = ("embed.W_E", "pos_embed.W_pos", "unembed.W_U")
_NANDA_BLOCK = re.compile(r"blocks\.(\d{1,3})\.(attn\.W_[QKVO]|attn\.mask|mlp\.[Wb]_(?:in|out))")
_LENS_OUTER = (*_NANDA_OUTER, "unembed.b_U", "ln_final.w", "ln_final.b")
_LENS_BLOCK = re.compile(
    r"blocks\.(\d{1,3})\.(attn\.[Wb]_[QKVO]|attn\.mask|attn\.IGNORE|mlp\.[Wb]_(?:in|out)|ln[12]\.[wb])"
)
_LENS_IGNORED = ("blocks.*.attn.mask", "blocks.*.attn.IGNORE")
# Names of TransformerLens' tensors that tell of something that our transformer does not have.
_LENS_OTHERS = {
    r"attn\.rotary_(sin|cos)": "rotary positions",
    r"attn\.rel_pos_bias\..*": "relative positions",
    r"attn\._[Wb]_[KV]": "keys and values that heads share",
    r"attn\.[qk]_norm\..*": "norms of queries and keys",
    r"mlp\.[Wb]_gate": "gated perceptrons",
    r"mlp\.ln\..*": "a layer norm within the perceptrons",
    r"mlp\.(experts|W_router|gate).*": "a mixture of experts",
    r"ln[12]_post\..*": "layer norms after attention and perceptron",
}
_NORM = re.compile(r"(?:blocks\.\d+\.(?:attention|mlp)_norm|final_norm)\.(scale|shift)")


@dataclass(frozen=True)
class LayoutMatch:
    """A layout that fits a state dict.

    Attributes:
        name: name of the layout, for messages.
        model: the table ``[model]``, as far as the weights determine it.
        weights: how our arrays are made from the tensors.
        tokens: size of the vocabulary, if inputs are sequences of token numbers.
        unembedding: shape [feature, token] of the unembedding, if a task may need only the first tokens.
        positions: shape [position, feature] of the position embedding, if a task may need only the first.
        note: what was assumed to recognize it; empty for a layout that its names tell.
    """

    name: str
    model: dict[str, Any]
    weights: WeightMap
    tokens: int | None = None
    unembedding: tuple[int, int] | None = None
    positions: tuple[int, int] | None = None
    note: str = ""

    def fitted(
        self, input_shape: tuple[int, ...], n_outputs: int, wanted: Mapping[str, tuple[int, ...]]
    ) -> LayoutMatch:
        """Drop what a task does not need, and add layer norms that were folded into the weights.

        Logits of tokens that are not answers (such as the equals sign) come last, as do positions after the
        last. A folded layer norm has scale 1 and shift 0.

        Args:
            input_shape: of the task.
            n_outputs: of the task.
            wanted: shapes of our arrays by name.
        """
        entries = dict(self.weights.entries)

        def keep(name: str, sizes: tuple[int, ...]) -> None:
            if name in entries and entries[name].names:
                entry = entries[name]
                entries[name] = replace(entry, ops=(*entry.ops, ShapeOp("first", sizes)))

        if self.unembedding is not None and self.unembedding[1] > n_outputs:
            keep("unembedding", (self.unembedding[0], n_outputs))
            keep("output_bias", (n_outputs,))
        if self.positions is not None and self.positions[0] > input_shape[0]:
            keep("position", (input_shape[0], self.positions[1]))
        if self.unembedding is not None and not any(map(_NORM.fullmatch, entries)):
            norms = {name: match for name in wanted if (match := _NORM.fullmatch(name))}
            entries |= {name: MapEntry(constant=float(m[1] == "scale")) for name, m in norms.items()}
        return replace(self, weights=replace(self.weights, entries=entries))


def recognize(shapes: Shapes) -> LayoutMatch | None:
    """Return the match of the first layout that fits, or None.

    Example:
        >>> match = recognize({"0.weight": (8, 5), "0.bias": (8,), "2.weight": (1, 8), "2.bias": (1,)})
        >>> match.name, match.model
        ('nn.Sequential', {'kind': 'mlp', 'widths': [8], 'output_bias': True})
    """
    for layout in _LAYOUTS:
        if (match := layout(shapes)) is not None:
            return match
    return None


def model_of_map(weights: WeightMap, shapes: Shapes) -> dict[str, Any]:
    """The table ``[model]`` of a user's map that makes a one-hidden-layer network; else empty."""
    names = set(weights.entries)
    if not (set(_OWN[:3]) <= names <= set(_OWN)):
        return {}
    try:
        shape = weights.entries["hidden_weight"].shape(shapes)
    except (KeyError, ValueError):  # `WeightMap.check` reports it with the expected shapes
        return {}
    return _one_hidden(shape[-1], "output_bias" in names) if shape else {}


def _one_hidden(width: int, has_output_bias: bool) -> dict[str, Any]:
    if has_output_bias:
        return {"kind": "mlp", "widths": [width], "output_bias": True}
    return {"kind": "fully_connected", "width": width}


def _own(shapes: Shapes) -> LayoutMatch | None:
    """A one-hidden-layer network as ``grokscope export`` writes it."""
    names = set(shapes)
    if not set(_OWN[:3]) <= names <= set(_OWN) or len(shapes["hidden_weight"]) != 2:
        return None
    model = _one_hidden(shapes["hidden_weight"][1], "output_bias" in names)
    entries = {name: MapEntry((name,)) for name in _OWN if name in names}
    return LayoutMatch("grokscope's own", model, WeightMap(entries, label="grokscope's own layout"))


def _two_circuits(shapes: Shapes) -> LayoutMatch | None:
    """The official code of the two-circuits paper: ``linear1`` and ``linear2``."""
    names = [f"linear{i}.{part}" for i in (1, 2) for part in ("weight", "bias")]
    if not set(shapes) <= set(names):
        return None
    return _chain("linear1, linear2 (as in the two-circuits code)", shapes, ["linear1", "linear2"])


def _sequential(shapes: Shapes) -> LayoutMatch | None:
    """An ``nn.Sequential`` of ``nn.Linear`` layers with an activation between each two."""
    matches = [_IN_SEQUENCE.fullmatch(name) for name in shapes]
    places = {(match[1] or "", int(match[2])) for match in matches if match}
    if not all(matches) or len({prefix for prefix, _ in places}) != 1:
        return None
    order = sorted(number for _, number in places)
    # layers with adjacent numbers have no activation between them
    if any(after - before < 2 for before, after in itertools.pairwise(order)):
        return None
    prefix = next(prefix for prefix, _ in places)
    return _chain("nn.Sequential", shapes, [f"{prefix}.{n}" if prefix else str(n) for n in order])


def _stack(shapes: Shapes) -> LayoutMatch | None:
    """``nn.Linear`` layers of any names whose shapes chain in one way, such as ``fc1`` and ``fc2``."""
    parts = [name.rpartition(".") for name in shapes]
    if not all(layer and part in ("weight", "bias") for layer, _, part in parts):
        return None
    layers = sorted({layer for layer, _, _ in parts}, key=_in_order)
    sizes = {layer: shapes.get(f"{layer}.weight", ()) for layer in layers}
    if any(len(size) != 2 for size in sizes.values()):
        return None
    if all(layer.isdecimal() for layer in layers):  # an nn.Sequential with something else in it
        return None
    order = _chained(layers, sizes)
    if order is None:
        return None
    match = _chain(f"linear layers {', '.join(order)}", shapes, order)
    note = (
        f"the layers {', '.join(order)} are taken to follow each other, with an activation between each two."
    )
    return None if match is None else replace(match, note=note)


def _in_order(name: str) -> list[tuple[bool, int, str]]:
    """A key that sorts names by their texts and the values of their numbers."""
    return [
        (text.isdecimal(), int(text) if text.isdecimal() else 0, text) for text in re.split(r"(\d+)", name)
    ]


def _chained(layers: list[str], sizes: Mapping[str, tuple[int, ...]]) -> list[str] | None:
    """The order in which each layer [output, input] takes what the one before gives; None if it is not clear.

    Layers of the same shape could change places: they must differ in a number, which is then their order.
    """
    alike: dict[tuple[int, ...], set[str]] = {}
    for layer in layers:
        alike.setdefault(sizes[layer], set()).add(re.sub(r"\d+", "0", layer))
    if any(len(forms) > 1 for forms in alike.values()):
        return None
    outputs = [size[0] for size in sizes.values()]
    starts = [layer for layer in layers if outputs.count(sizes[layer][1]) == 0]
    if all(sizes[b][1] == sizes[a][0] for a, b in itertools.pairwise(layers)):
        return layers
    if len(starts) != 1 or len(alike) < len(layers):
        return None
    order = starts
    while len(order) < len(layers):
        rest = [one for one in layers if one not in order and sizes[one][1] == sizes[order[-1]][0]]
        if len(rest) != 1:
            return None
        order.append(rest[0])
    return order


def _chain(name: str, shapes: Shapes, layers: list[str]) -> LayoutMatch | None:
    """A chain of ``nn.Linear`` layers: weights [output, input], and optional biases."""
    weights = [shapes.get(f"{layer}.weight", ()) for layer in layers]
    if len(layers) < 2 or any(len(shape) != 2 for shape in weights):
        return None
    for layer, weight in zip(layers, weights, strict=True):
        if shapes.get(f"{layer}.bias", weight[:1]) != weight[:1]:
            return None
    if any(after[1] != before[0] for before, after in itertools.pairwise(weights)):
        return None

    def bias(layer: str) -> MapEntry:
        return MapEntry((f"{layer}.bias",)) if f"{layer}.bias" in shapes else MapEntry(constant=0.0)

    *hidden, last = layers
    has_output_bias = f"{last}.bias" in shapes
    widths = [weight[0] for weight in weights[:-1]]
    entries: dict[str, MapEntry] = {}
    if len(hidden) == 1:
        model = _one_hidden(widths[0], has_output_bias)
        entries["hidden_weight"] = MapEntry((f"{hidden[0]}.weight",), _TRANSPOSED)
        entries["hidden_bias"] = bias(hidden[0])
    else:
        model = {"kind": "mlp", "widths": widths, "output_bias": has_output_bias}
        for i, layer in enumerate(hidden):
            entries[f"weights.{i}"] = MapEntry((f"{layer}.weight",), _TRANSPOSED)
            entries[f"biases.{i}"] = bias(layer)
    entries["output_weight"] = MapEntry((f"{last}.weight",), _TRANSPOSED)
    if has_output_bias:
        entries["output_bias"] = bias(last)
    return LayoutMatch(name, model, WeightMap(entries, label=f"layout {name}"))


def _embedding_mlp(shapes: Shapes) -> LayoutMatch | None:
    """An ``nn.Embedding`` and two ``nn.Linear`` layers on the embeddings of all positions.

    The hidden layer takes them one after the other, or their sum; its shape tells which.
    """
    found = [name for name in shapes if "emb" in name.lower() and len(shapes[name]) == 2]
    if len(found) != 1:
        return None
    rest = {name: shape for name, shape in shapes.items() if name != found[0]}
    parts = [name.rpartition(".") for name in rest]
    layers = sorted({layer for layer, _, _ in parts}, key=_in_order)
    if not all(layer and part in ("weight", "bias") for layer, _, part in parts) or len(layers) != 2:
        return None
    sizes = {layer: rest.get(f"{layer}.weight", ()) for layer in layers}
    tokens, feature = shapes[found[0]]
    order = _chained(layers, sizes) if all(len(size) == 2 for size in sizes.values()) else None
    if order is None or sizes[order[0]][1] % feature or _chain("", rest, order) is None:
        return None
    hidden, output = order
    positions = sizes[hidden][1] // feature
    width = sizes[hidden][0]
    entries = {
        "embedding": MapEntry((found[0],)),
        "hidden_weight": MapEntry(
            (f"{hidden}.weight",), (*_TRANSPOSED, ShapeOp("reshape", (positions, feature, width)))
        ),
        "output_weight": MapEntry((f"{output}.weight",), _TRANSPOSED),
    }
    model = {
        "kind": "embedding_mlp",
        "embedding": feature,
        "width": width,
        "combine": "add" if positions == 1 else "concatenate",
        "bias": f"{hidden}.bias" in rest,
        "output_bias": f"{output}.bias" in rest,
    }
    if model["bias"]:
        entries["hidden_bias"] = MapEntry((f"{hidden}.bias",))
    if model["output_bias"]:
        entries["output_bias"] = MapEntry((f"{output}.bias",))
    name = f"embedding and linear layers {hidden}, {output}"
    how = "added" if positions == 1 else "put one after the other"
    note = f"{found[0]} is taken to be the embedding of every position; the embeddings are {how}."
    return LayoutMatch(name, model, WeightMap(entries, label=f"layout {name}"), tokens, note=note)


def _nanda(shapes: Shapes) -> LayoutMatch | None:
    """The transformer of Nanda et al.: ``embed.W_E``, ``blocks.0.attn.W_Q`` [head, inner, model], ...

    Each head has width / heads features.

    Source: the official code of Nanda et al. 2023 (arXiv 2301.05217).
    """
    if not set(_NANDA_OUTER) <= set(shapes):
        return None
    layers = _layers_of(shapes, _NANDA_BLOCK, _NANDA_OUTER)
    if not layers:
        return None
    query, mlp_in = shapes.get("blocks.0.attn.W_Q", ()), shapes.get("blocks.0.mlp.W_in", ())
    unembedding = shapes["unembed.W_U"]
    if len(shapes["embed.W_E"]) != 2 or len(unembedding) != 2 or len(query) != 3 or len(mlp_in) != 2:
        return None
    if len(shapes.get("blocks.0.attn.W_O", ())) == 3:  # as in TransformerLens
        return None
    width, tokens = shapes["embed.W_E"]
    entries = {
        "embedding": MapEntry(("embed.W_E",), _TRANSPOSED),
        "position": MapEntry(("pos_embed.W_pos",)),
        "unembedding": MapEntry(("unembed.W_U",)),
    }
    for i in layers:
        entries |= _nanda_block(f"blocks.{i}", width)
    model = {
        "kind": "nanda_transformer",
        "layers": len(layers),
        "width": width,
        **_heads(query[0], query[1], width),
        "mlp_width": mlp_in[0],
        "norm": "none",
        "positions": "learned",
        "mlp_bias": True,
    }
    name = "transformer (as in the code of Nanda et al.)"
    weights = WeightMap(entries, ignore=("blocks.*.attn.mask",), label=f"layout {name}")
    positions = shapes["pos_embed.W_pos"]
    return LayoutMatch(name, model, weights, tokens, (unembedding[0], unembedding[1]), _pair(positions))


def _layers_of(shapes: Shapes, block: re.Pattern[str], outer: tuple[str, ...]) -> list[int]:
    """The numbers of the layers; none if one is missing, or a name is neither of a layer nor in ``outer``."""
    matches = [block.fullmatch(name) for name in shapes if name not in outer]
    layers = sorted({int(match[1]) for match in matches if match})
    return layers if all(matches) and layers == list(range(len(layers))) else []


def _heads(heads: int, head_width: int, width: int) -> dict[str, int]:
    found = {"heads": heads}
    return found if heads * head_width == width else {**found, "head_width": head_width}


def _pair(shape: tuple[int, ...]) -> tuple[int, int] | None:
    return (shape[0], shape[1]) if len(shape) == 2 else None


def _nanda_block(block: str, width: int) -> dict[str, MapEntry]:
    # from [head, inner, model] to our [model, head x inner]
    merge_heads = (ShapeOp("transpose", (2, 0, 1)), ShapeOp("reshape", (width, -1)))
    return {
        f"{block}.query": MapEntry((f"{block}.attn.W_Q",), merge_heads),
        f"{block}.key": MapEntry((f"{block}.attn.W_K",), merge_heads),
        f"{block}.value": MapEntry((f"{block}.attn.W_V",), merge_heads),
        f"{block}.attention_out": MapEntry((f"{block}.attn.W_O",), _TRANSPOSED),
        f"{block}.mlp_in": MapEntry((f"{block}.mlp.W_in",), _TRANSPOSED),
        f"{block}.mlp_bias": MapEntry((f"{block}.mlp.b_in",)),
        f"{block}.mlp_out": MapEntry((f"{block}.mlp.W_out",), _TRANSPOSED),
        f"{block}.mlp_out_bias": MapEntry((f"{block}.mlp.b_out",)),
    }


def _transformer_lens(shapes: Shapes) -> LayoutMatch | None:
    """TransformerLens' ``HookedTransformer``, with ``blocks.0.attn.W_Q`` [head, model, inner] and so on.

    With or without biases of attention and logits; with layer norms, or with none, or with folded ones; with
    an unembedding, or tied to the embedding.

    Raises:
        InputError: if it has something that our transformer does not have.

    Source: the code of TransformerLens (``components``).
    """
    query, out = (shapes.get(f"blocks.0.attn.W_{name}", ()) for name in "QO")
    if len(query) != 3 or len(out) != 3 or len(shapes.get("embed.W_E", ())) != 2:
        return None
    _refuse_others(shapes)
    layers = _layers_of(shapes, _LENS_BLOCK, _LENS_OUTER)
    mlp_in, unembedding = shapes.get("blocks.0.mlp.W_in", ()), shapes.get("unembed.W_U")
    tokens, width = shapes["embed.W_E"]
    if not layers or len(mlp_in) != 2 or (unembedding is not None and len(unembedding) != 2):
        return None
    has_norm = "ln_final.w" in shapes
    model = {
        "kind": "transformer",
        "layers": len(layers),
        "width": width,
        **_heads(query[0], query[2], width),
        "mlp_width": mlp_in[1],
        "norm": "pre" if has_norm else "none",
        "positions": "learned",
        "tied": unembedding is None,
        "mlp_bias": "blocks.0.mlp.b_in" in shapes,
        "attention_bias": any(".attn.b_" in name for name in shapes),
        "output_bias": "unembed.b_U" in shapes,
    }
    entries = {"embedding": MapEntry(("embed.W_E",)), "position": MapEntry(("pos_embed.W_pos",))}
    if unembedding is not None:
        entries["unembedding"] = MapEntry(("unembed.W_U",))
    if model["output_bias"]:
        entries["output_bias"] = MapEntry(("unembed.b_U",))
    if has_norm:
        entries |= _lens_norm("final_norm", "ln_final")
    for i in layers:
        entries |= _lens_block(f"blocks.{i}", shapes, model)
    name = "transformer (as in TransformerLens)"
    weights = WeightMap(entries, ignore=_LENS_IGNORED, label=f"layout {name}")
    logits = (width, tokens) if unembedding is None else (unembedding[0], unembedding[1])
    return LayoutMatch(name, model, weights, tokens, logits, _pair(shapes["pos_embed.W_pos"]))


def _lens_block(block: str, shapes: Shapes, model: Mapping[str, Any]) -> dict[str, MapEntry]:
    # from [head, model, inner] to our [model, head x inner]
    merge_heads = (ShapeOp("transpose", (1, 0, 2)), ShapeOp("reshape", (model["width"], -1)))
    flat = (ShapeOp("reshape", (-1,)),)
    entries = {
        f"{block}.{ours}": MapEntry((f"{block}.attn.W_{name}",), merge_heads)
        for ours, name in (("query", "Q"), ("key", "K"), ("value", "V"))
    }
    entries[f"{block}.attention_out"] = MapEntry(
        (f"{block}.attn.W_O",), (ShapeOp("reshape", (-1, model["width"])),)
    )
    entries[f"{block}.mlp_in"] = MapEntry((f"{block}.mlp.W_in",))
    entries[f"{block}.mlp_out"] = MapEntry((f"{block}.mlp.W_out",))
    if model["mlp_bias"]:
        entries[f"{block}.mlp_bias"] = MapEntry((f"{block}.mlp.b_in",))
        entries[f"{block}.mlp_out_bias"] = MapEntry((f"{block}.mlp.b_out",))
    if model["attention_bias"]:
        for ours, name in (("query", "Q"), ("key", "K"), ("value", "V"), ("attention_out", "O")):
            theirs = f"{block}.attn.b_{name}"
            entries[f"{block}.{ours}_bias"] = MapEntry((theirs,), flat) if theirs in shapes else MapEntry()
    if model["norm"] == "pre":
        entries |= _lens_norm(f"{block}.attention_norm", f"{block}.ln1")
        entries |= _lens_norm(f"{block}.mlp_norm", f"{block}.ln2")
    return entries


def _lens_norm(ours: str, theirs: str) -> dict[str, MapEntry]:
    return {f"{ours}.scale": MapEntry((f"{theirs}.w",)), f"{ours}.shift": MapEntry((f"{theirs}.b",))}


def _refuse_others(shapes: Shapes) -> None:
    """Raise an error for a ``HookedTransformer`` with something that our transformer does not have."""
    others = {
        what
        for name in shapes
        for pattern, what in _LENS_OTHERS.items()
        if re.fullmatch(rf"blocks\.\d+\.{pattern}", name)
    }
    norms = {name[:-2] for name in shapes if re.fullmatch(r"(?:blocks\.\d+\.ln[12]|ln_final)\.[wb]", name)}
    if norms and not all(f"{name}.b" in shapes for name in norms):
        others.add("RMS norms (a scale without a shift)")
    elif norms and len(norms) != 1 + 2 * sum(name.endswith(".attn.W_Q") for name in shapes):
        others.add("layer norms in some places only")
    if any(name.startswith("embed.ln.") for name in shapes):
        others.add("a layer norm of the embedding")
    if "pos_embed.W_pos" not in shapes and not any("positions" in what for what in others):
        others.add("no position embedding (as with alibi)")
    if not any(".mlp." in name for name in shapes):
        others.add("layers without a perceptron")
    if others:
        raise InputError(
            f"a HookedTransformer of TransformerLens with {', '.join(sorted(others))}: our transformer has "
            f"no such thing. A map ({said(command='--map', python='map=')}) cannot add it."
        )


_LAYOUTS = (_own, _two_circuits, _sequential, _nanda, _transformer_lens, _embedding_mlp, _stack)
