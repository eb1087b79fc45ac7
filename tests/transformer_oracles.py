"""A decoder-only transformer and an embedding network in numpy, one sample and one head at a time.

Written from the definitions; every position is computed in every layer. Nothing of the package is used but
the arrays of a network.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

SIGMA = {
    "relu": lambda z: np.maximum(z, 0.0),
    "quadratic": lambda z: z * z,
    "tanh": np.tanh,
    "gelu_exact": lambda z: 0.5 * z * (1 + np.vectorize(math.erf)(z / math.sqrt(2))),
    "gelu": lambda z: 0.5 * z * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))),
}


def array(value: Any) -> np.ndarray:
    return np.asarray(value, dtype=np.float64)


def layer_norm(x: np.ndarray, norm: Any, epsilon: float) -> np.ndarray:
    rows = []
    for row in x:
        mean = sum(row) / len(row)
        variance = sum((value - mean) ** 2 for value in row) / len(row)
        rows.append((row - mean) / math.sqrt(variance + epsilon))
    return np.array(rows) * array(norm.scale) + array(norm.shift)


def attention(x: np.ndarray, block: Any, head: int, spec: Any) -> tuple[np.ndarray, np.ndarray]:
    """The pattern [query, position] and the output [query, head feature] of one head."""
    size = spec.head_width or spec.width // spec.heads
    columns = slice(head * size, (head + 1) * size)
    parts = []
    for name in ("query", "key", "value"):
        bias = array(getattr(block, f"{name}_bias"))[columns] if spec.attention_bias else 0.0
        parts.append(x @ array(getattr(block, name))[:, columns] + bias)
    q, k, v = parts
    n = len(x)
    pattern = np.zeros((n, n))
    for i in range(n):
        end = i + 1 if spec.causal else n
        scores = [math.exp(float(q[i] @ k[j]) / math.sqrt(size)) for j in range(end)]
        for j in range(end):
            pattern[i, j] = spec.softmax_weight * scores[j] / sum(scores) + 1 - spec.softmax_weight
    return pattern, pattern @ v


def transformer(
    network: Any,
    spec: Any,
    tokens: list[int],
    neurons_on: np.ndarray | None = None,
    heads_on: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Logits, neurons and patterns at the last position of one sequence.

    Args:
        network: its arrays.
        spec: the model.
        tokens: one sequence.
        neurons_on: [layer, neuron] of 0 and 1, or None for all.
        heads_on: [layer, head], likewise.
    """
    table = array(network.embedding)
    x = np.stack([(table[t] if spec.vocabulary == "by_position" else table)[n] for t, n in enumerate(tokens)])
    epsilon = spec.norm_epsilon
    if spec.positions == "learned":
        x = x + array(network.position)
    elif spec.positions == "sinusoidal":
        for t in range(len(tokens)):
            for i in range(0, spec.width, 2):
                angle = t / 10000 ** (i / spec.width)
                x[t, i] += math.sin(angle)
                if i + 1 < spec.width:
                    x[t, i + 1] += math.cos(angle)
    hidden, patterns = [], []
    for layer, block in enumerate(network.blocks):
        given = layer_norm(x, block.attention_norm, epsilon) if spec.norm == "pre" else x
        parts = []
        for head in range(spec.heads):
            pattern, out = attention(given, block, head, spec)
            on = 1.0 if heads_on is None else heads_on[layer, head]
            parts.append(on * out)
            patterns.append(pattern[-1])
        x = x + np.concatenate(parts, axis=1) @ array(block.attention_out)
        x = x + (array(block.attention_out_bias) if spec.attention_bias else 0.0)
        x = layer_norm(x, block.attention_norm, epsilon) if spec.norm == "post" else x
        given = layer_norm(x, block.mlp_norm, epsilon) if spec.norm == "pre" else x
        z = given @ array(block.mlp_in) + (array(block.mlp_bias) if spec.mlp_bias else 0.0)
        h = SIGMA[spec.activation](z)
        if neurons_on is not None:
            h = h * neurons_on[layer]
        hidden.append(h[-1])
        x = x + h @ array(block.mlp_out) + (array(block.mlp_out_bias) if spec.mlp_bias else 0.0)
        x = layer_norm(x, block.mlp_norm, epsilon) if spec.norm == "post" else x
    if spec.norm == "pre":
        x = layer_norm(x, network.final_norm, epsilon)
    readout = array(network.embedding)[: network.n_outputs].T if spec.tied else array(network.unembedding)
    shape = (len(network.blocks), spec.heads, len(tokens))
    return {
        "logits": x[-1] @ readout + (array(network.output_bias) if spec.output_bias else 0.0),
        "hidden": np.concatenate(hidden),
        "attention": np.array(patterns).reshape(shape),
    }


def embedding_mlp(
    network: Any, spec: Any, tokens: list[int], neurons_on: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Logits and neurons of one sequence."""
    z = np.zeros(spec.width)
    for t, token in enumerate(tokens):
        place = 0 if spec.combine == "add" else t
        z = z + array(network.embedding)[token] @ array(network.hidden_weight)[place]
    if spec.bias:
        z = z + array(network.hidden_bias)
    h = SIGMA[spec.activation](z)
    if neurons_on is not None:
        h = h * neurons_on
    return {"logits": h @ array(network.output_weight), "hidden": h}
