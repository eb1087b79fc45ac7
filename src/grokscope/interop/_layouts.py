"""Layouts of state dicts that are recognized by their names and shapes, without a map.

A layout looks at names and shapes and says which model they are of and how our arrays are made of theirs.
To add one: a function like `_two_circuits`, named in `_LAYOUTS`. Transformers: ``_transformers.py``.
"""

from __future__ import annotations

import itertools
import re
from typing import Any

from grokscope.interop._map import Entry, Op, WeightMap
from grokscope.interop._recognized import Recognized, Shapes
from grokscope.interop._transformers import nanda

__all__ = ["model_of_map", "recognize"]

_TURNED = (Op("transpose"),)
_IN_SEQUENCE = re.compile(r"(?:(.+)\.)?(\d+)\.(weight|bias)")
_OWN = ("hidden_weight", "hidden_bias", "output_weight", "output_bias")


def recognize(shapes: Shapes) -> Recognized | None:
    """The first layout that fits; None if there is none.

    Example:
        >>> found = recognize({"0.weight": (8, 5), "0.bias": (8,), "2.weight": (1, 8), "2.bias": (1,)})
        >>> found.name, found.model
        ('nn.Sequential', {'kind': 'mlp', 'widths': [8], 'output_bias': True})
    """
    for layout in _LAYOUTS:
        if (found := layout(shapes)) is not None:
            return found
    return None


def model_of_map(weights: WeightMap, shapes: Shapes) -> dict[str, Any]:
    """The table ``[model]`` as far as a user's map tells it: where it makes a one-hidden-layer network."""
    names = set(weights.entries)
    if not (set(_OWN[:3]) <= names <= set(_OWN)):
        return {}
    try:
        shape = weights.entries["hidden_weight"].shape(shapes)
    except (KeyError, ValueError):  # said later, with what was expected
        return {}
    return _one_hidden(shape[-1], "output_bias" in names) if shape else {}


def _one_hidden(width: int, has_output_bias: bool) -> dict[str, Any]:
    if has_output_bias:
        return {"kind": "mlp", "widths": [width], "output_bias": True}
    return {"kind": "fully_connected", "width": width}


def _own(shapes: Shapes) -> Recognized | None:
    """What ``grokscope export`` writes of a one-hidden-layer network."""
    names = set(shapes)
    if not set(_OWN[:3]) <= names <= set(_OWN) or len(shapes["hidden_weight"]) != 2:
        return None
    model = _one_hidden(shapes["hidden_weight"][1], "output_bias" in names)
    entries = {name: Entry((name,)) for name in _OWN if name in names}
    return Recognized("grokscope's own", model, WeightMap(entries, label="grokscope's own layout"))


def _two_circuits(shapes: Shapes) -> Recognized | None:
    """The official code of the two-circuits paper: ``linear1`` and ``linear2``."""
    names = [f"linear{i}.{part}" for i in (1, 2) for part in ("weight", "bias")]
    if not set(shapes) <= set(names):
        return None
    return _chain("linear1, linear2 (as in the two-circuits code)", shapes, ["linear1", "linear2"])


def _sequential(shapes: Shapes) -> Recognized | None:
    """A plain ``nn.Sequential`` of ``nn.Linear`` layers with an activation between each two."""
    found = [_IN_SEQUENCE.fullmatch(name) for name in shapes]
    places = {(match[1] or "", int(match[2])) for match in found if match}
    if not all(found) or len({prefix for prefix, _ in places}) != 1:
        return None
    order = sorted(number for _, number in places)
    # two layers side by side have no activation between them
    if any(after - before < 2 for before, after in itertools.pairwise(order)):
        return None
    prefix = next(prefix for prefix, _ in places)
    return _chain("nn.Sequential", shapes, [f"{prefix}.{n}" if prefix else str(n) for n in order])


def _chain(name: str, shapes: Shapes, layers: list[str]) -> Recognized | None:
    """``nn.Linear`` layers, one after the other: weights [output, input], and biases where there are any."""
    weights = [shapes.get(f"{layer}.weight", ()) for layer in layers]
    if len(layers) < 2 or any(len(shape) != 2 for shape in weights):
        return None
    for layer, weight in zip(layers, weights, strict=True):
        if shapes.get(f"{layer}.bias", weight[:1]) != weight[:1]:
            return None
    if any(after[1] != before[0] for before, after in itertools.pairwise(weights)):
        return None

    def bias(layer: str) -> Entry:
        return Entry((f"{layer}.bias",)) if f"{layer}.bias" in shapes else Entry(constant=0.0)

    *hidden, last = layers
    has_output_bias = f"{last}.bias" in shapes
    widths = [weight[0] for weight in weights[:-1]]
    entries: dict[str, Entry] = {}
    if len(hidden) == 1:
        model = _one_hidden(widths[0], has_output_bias)
        entries["hidden_weight"] = Entry((f"{hidden[0]}.weight",), _TURNED)
        entries["hidden_bias"] = bias(hidden[0])
    else:
        model = {"kind": "mlp", "widths": widths, "output_bias": has_output_bias}
        for i, layer in enumerate(hidden):
            entries[f"weights.{i}"] = Entry((f"{layer}.weight",), _TURNED)
            entries[f"biases.{i}"] = bias(layer)
    entries["output_weight"] = Entry((f"{last}.weight",), _TURNED)
    if has_output_bias:
        entries["output_bias"] = bias(last)
    return Recognized(name, model, WeightMap(entries, label=f"layout {name}"))


_LAYOUTS = (_own, _two_circuits, _sequential, nanda)
