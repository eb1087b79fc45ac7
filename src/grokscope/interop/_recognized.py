"""What a layout says of a state dict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from grokscope.interop._map import Op, WeightMap

__all__ = ["Recognized", "Shapes"]

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Recognized:
    """What was found.

    Attributes:
        name: of the layout, for people.
        model: the table ``[model]`` as far as the weights tell it.
        weights: how our arrays are made.
        tokens: how many tokens there are, where inputs are sequences of token numbers.
        unembedding: shape of the weights [feature, token] of the logits, of which a task may need the first.
    """

    name: str
    model: dict[str, Any]
    weights: WeightMap
    tokens: int | None = None
    unembedding: tuple[int, int] | None = None

    def fitted(self, n_outputs: int) -> Recognized:
        """Without the logits of tokens that are no answers (the equals sign, say), which come last."""
        if self.unembedding is None or self.unembedding[1] <= n_outputs:
            return self
        entry = self.weights.entries["unembedding"]
        first = replace(entry, ops=(*entry.ops, Op("first", (self.unembedding[0], n_outputs))))
        return replace(
            self, weights=replace(self.weights, entries={**self.weights.entries, "unembedding": first})
        )
