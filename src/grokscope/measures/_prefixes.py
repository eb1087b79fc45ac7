"""The exact search behind effective sparsity: the smallest m for which f_m passes a test.

f_m keeps the first m neurons of an order. If f_m passes a test, f_{m+1} need not pass it. This file is for
one hidden layer with one output; ``_search.py`` is for other networks; the measures are in ``sparsity.py``.

Neurons are visited in blocks, in order; the search ends at the first block with an m that passes. In each
block all m are first tested on a few "hard" rows, which are most likely to fail (smallest |f|) and rule out
most m. The remaining m are tested on all rows, so the result is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from grokscope.models.networks.one_hidden_layer import ACTIVATIONS, OneHiddenLayer

__all__ = ["CHUNK", "Counts", "Test", "in_pieces", "outputs_and_marks", "passes", "smallest_prefixes"]

Test = Literal["predictions", "accuracy", "predictions_99"]

_BLOCK = 64  # neurons per block
_GROUP = 16  # prefix sums within a group are one product with a triangular matrix of ones
CHUNK = 1000  # rows tested at once
_MARKS = 8  # largest number of m with stored prefix sums, p included


class _Rows(NamedTuple):
    """Inputs, signs of f, and whether f is right; both ``right`` and ``wrong`` are False where f(x) is 0."""

    x: Float[Array, "... sample bit"]
    sign: Float[Array, "... sample"]
    right: Bool[Array, "... sample"]
    wrong: Bool[Array, "... sample"]


class Counts(NamedTuple):
    """For each m of a block: number of rows by agreement of f_m with f and correctness of f."""

    lost: Int[Array, " block"]  # f right, sign f_m another
    wrong_lost: Int[Array, " block"]  # f wrong, sign f_m another
    gained: Int[Array, " block"]  # f wrong, f_m right


def smallest_prefixes(
    layer: OneHiddenLayer,
    order: Int[Array, " neuron"],
    x: Float[Array, "sample ..."],
    f: Float[Array, " sample"],
    right: Bool[Array, " sample"],
    tests: tuple[Test, ...],
    n_hard: int,
    hidden: Float[Array, "sample neuron"] | None = None,
    marks: Float[Array, "sample mark"] | None = None,
) -> tuple[Int[Array, ""], ...]:
    r"""For each test the smallest m in 1..p such that $f_m$ passes it; all tests in one search.

    $f_m(x) = c + \sum_{j \le m} u_{o_j} \sigma(W_{o_j} \cdot x + b_{o_j})$ for the order o, with the output
    bias c if there is one. Rows with f(x) = 0 are left out; sign(0) agrees with no sign; m = p passes by
    definition, also with rounding errors. Tests:

    - ``predictions``: sign f_m = sign f on every row;
    - ``accuracy``: as many rows right under f_m as under f;
    - ``predictions_99``: sign f_m = sign f on at least 99 % of the rows.

    Args:
        layer: the network, with one output.
        order: the neurons, in the order in which they are kept.
        x: inputs.
        f: the whole network's outputs on them.
        right: whether sign f is the label (used by ``accuracy`` only).
        tests: the tests.
        n_hard: number of hard rows; it does not change the result.
        hidden: the hidden activations on x, if known and x is one chunk: sums of skipped blocks are computed
            from them.
        marks: the prefix sums of `outputs_and_marks` for the same order: sums of skipped blocks start there.
    """
    p = layer.hidden_weight.shape[1]
    block, every = _block(p), _mark_every(p)
    padded = jnp.pad(order, (0, -p % block), constant_values=p)
    everything = _rows(x.reshape(len(x), -1), f, right)
    hard, slack = _hardest(everything, f, min(n_hard, len(x)))
    n_rows = jnp.sum(f != 0, dtype=jnp.int32)
    chunks = jax.tree.map(_in_chunks, everything)
    known = None if marks is None or marks.shape[1] == 0 else _in_chunks(marks)

    def prefixes(x: jax.Array, start: jax.Array, k: jax.Array) -> jax.Array:
        """f_m on rows for all m of block k, given the sums at its start; [sample, block]."""
        return _prefix_sums(
            _contributions(layer, x, lax.dynamic_slice_in_dim(padded, k * block, block)), start
        )

    def advanced(i: jax.Array, start: jax.Array, at: jax.Array, to: jax.Array) -> jax.Array:
        """The sums of chunk i at the start of block ``to``, from those at the start of block ``at``."""
        if hidden is not None and len(chunks.x) == 1:
            activations = hidden
            place = jnp.arange(p, dtype=jnp.int32)
            skipped = jnp.where((place >= at * block) & (place < to * block), layer.output_weight[order], 0)
            output = jnp.zeros(p, f.dtype).at[order].set(skipped)
            return lax.cond(at < to, lambda: start + activations @ output, lambda: start)
        if known is not None:
            mark = jnp.minimum(to // every, known.shape[-1])
            start = jnp.where(mark * every > at, known[i, :, mark - 1], start)
            at = jnp.maximum(mark * every, at)

        def step(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            total, k = carry
            neurons = lax.dynamic_slice_in_dim(padded, k * block, block)
            return total + _contributions(layer, chunks.x[i], neurons).sum(axis=1), k + 1

        return lax.while_loop(lambda carry: carry[1] < to, step, (start, at))[0]

    def try_all_rows(
        possible: Bool[Array, "test block"], k: jax.Array, sums: jax.Array, at: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """The candidate m that pass on all rows, tested chunk by chunk until no candidate is left."""

        def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
            i, counts, _, sums, at = carry
            rows = jax.tree.map(lambda a: a[0] if len(a) == 1 else a[i], chunks)
            values = prefixes(rows.x, advanced(i, sums[i], at[i], k), k)
            counts = jax.tree.map(jnp.add, counts, _count(values, rows))
            complete = i + 1 == len(at)
            left = possible & passes(counts, tests, n_rows, jnp.where(complete, 0, n_rows), complete)
            return i + 1, counts, left, sums.at[i].set(values[:, -1]), at.at[i].set(k + 1)

        zero = jnp.zeros(block, jnp.int32)
        carry: tuple[Any, ...] = (jnp.int32(0), Counts(zero, zero, zero), possible, sums, at)
        carry = lax.while_loop(lambda c: (c[0] < len(at)) & jnp.any(c[2]), step, carry)
        return carry[2], carry[3], carry[4]

    def walk(carry: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        k, found, hard_sum, sums, at = carry
        values = prefixes(hard.x, hard_sum, k)
        m = k * block + 1 + jnp.arange(block, dtype=jnp.int32)
        possible = passes(_count(values, hard), tests, n_rows, slack, jnp.bool_(False))
        possible &= (m < p) & (found[:, None] == p)
        passed, sums, at = lax.cond(
            jnp.any(possible), try_all_rows, lambda some, k, sums, at: (some, sums, at), possible, k, sums, at
        )
        found = jnp.minimum(found, jnp.min(jnp.where(passed, m, p), axis=1))
        return k + 1, found, values[:, -1], sums, at

    n_blocks = len(padded) // block
    start = (
        jnp.int32(0),
        jnp.full(len(tests), p, jnp.int32),
        layer.shifted(jnp.zeros(hard.sign.shape, f.dtype)),
        layer.shifted(jnp.zeros(chunks.sign.shape, f.dtype)),
        jnp.zeros(len(chunks.sign), jnp.int32),
    )
    end = lax.while_loop(lambda c: (c[0] < n_blocks) & jnp.any(c[1] == p), walk, start)
    return tuple(end[1])


def outputs_and_marks(
    layer: OneHiddenLayer, order: Int[Array, " neuron"], x: Float[Array, "sample ..."]
) -> tuple[Float[Array, " sample"], Float[Array, "sample mark"]]:
    """f(x), and from the same forward pass the prefix sums f_m(x) at a few m, for a search on many rows.

    A second pass over 10,000 rows would take longer than all other measures of a point.
    """
    p = len(order)
    every = _mark_every(p) * _block(p)
    rank = jnp.zeros(p, jnp.int32).at[order].set(jnp.arange(p, dtype=jnp.int32))
    ends = jnp.array([p, *range(every, p, every)], jnp.int32)
    output = jnp.where(rank[:, None] < ends, layer.output_weight[:, None], 0)
    sums = in_pieces(lambda rows: layer.shifted(layer.hidden(rows) @ output), x)
    return sums[:, 0], sums[:, 1:]


def in_pieces(function: Callable[[jax.Array], jax.Array], x: jax.Array) -> jax.Array:
    """Apply a function of rows to `CHUNK` rows at a time, so that the hidden layer fits a CPU cache."""
    n_whole = len(x) // CHUNK * CHUNK
    if not n_whole:
        return function(x)
    whole = lax.map(function, x[:n_whole].reshape(-1, CHUNK, *x.shape[1:]))
    whole = whole.reshape(n_whole, *whole.shape[2:])
    return whole if n_whole == len(x) else jnp.concatenate([whole, function(x[n_whole:])])


def _block(p: int) -> int:
    """Neurons per block: `_BLOCK`, or fewer in a small network."""
    return min(_BLOCK, -(-p // _GROUP) * _GROUP)


def _mark_every(p: int) -> int:
    """Number of blocks between two stored prefix sums (marks)."""
    return -(-p // (_block(p) * _MARKS))


def _rows(x: jax.Array, f: jax.Array, right: jax.Array) -> _Rows:
    return _Rows(x, jnp.sign(f), right & (f != 0), ~right & (f != 0))


def _hardest(rows: _Rows, f: jax.Array, count: int) -> tuple[_Rows, jax.Array]:
    """The hard rows, and the number of wrong rows that are not among them.

    Wrong rows come first: if all of them are included, the hard rows alone can rule out ``accuracy``.
    """
    hardness = jnp.where(rows.wrong, jnp.inf, jnp.where(rows.right, -jnp.abs(f), -jnp.inf))
    _, index = lax.top_k(hardness, count)
    hard = jax.tree.map(lambda a: a[index], rows)
    return hard, jnp.sum(rows.wrong, dtype=jnp.int32) - jnp.sum(hard.wrong, dtype=jnp.int32)


def _in_chunks(a: jax.Array) -> jax.Array:
    """Rows as [chunk, sample, ...], padded with zeros (which are neither ``right`` nor ``wrong``)."""
    size = min(CHUNK, len(a))
    more = -len(a) % size
    padded = jnp.pad(a, [(0, more)] + [(0, 0)] * (a.ndim - 1)) if more else a
    return padded.reshape(-1, size, *a.shape[1:])


def _contributions(layer: OneHiddenLayer, x: jax.Array, neurons: Int[Array, " block"]) -> jax.Array:
    """u_j sigma(z_j) for some neurons, 0 for an index out of range; [sample, block]."""
    weight = jnp.take(layer.hidden_weight, neurons, axis=1, mode="fill", fill_value=0)
    bias = jnp.take(layer.hidden_bias, neurons, mode="fill", fill_value=0)
    output = jnp.take(layer.output_weight, neurons, mode="fill", fill_value=0)
    return ACTIVATIONS[layer.activation](x @ weight + bias) * output


def _prefix_sums(parts: Float[Array, "sample block"], start: Float[Array, " sample"]) -> jax.Array:
    """The sums of start and the first 1, 2, ... columns; on a CPU much faster than ``jnp.cumsum``."""
    n, block = parts.shape
    within = parts.reshape(-1, _GROUP) @ jnp.triu(jnp.ones((_GROUP, _GROUP), parts.dtype))
    within = within.reshape(n, block // _GROUP, _GROUP)
    before = [start]
    for g in range(block // _GROUP - 1):
        before.append(before[-1] + within[:, g, -1])
    return (within + jnp.stack(before, axis=1)[:, :, None]).reshape(n, block)


def _count(values: Float[Array, "sample block"], rows: _Rows) -> Counts:
    agreement = values * rows.sign[:, None]

    def count(which: jax.Array) -> jax.Array:
        return jnp.sum(which, axis=0, dtype=jnp.int32)

    other = ~(agreement > 0)  # true also if f_m is 0 or NaN
    return Counts(
        lost=count(other & rows.right[:, None]),
        wrong_lost=count(other & rows.wrong[:, None]),
        gained=count((agreement < 0) & rows.wrong[:, None]),
    )


def passes(
    counts: Counts, tests: tuple[Test, ...], n_rows: jax.Array, unseen: jax.Array, complete: jax.Array
) -> Bool[Array, "test block"]:
    """For each test, the m that can still pass, if up to ``unseen`` wrong rows are not counted yet."""
    lost = counts.lost + counts.wrong_lost
    passes = {
        "predictions": lost == 0,
        "predictions_99": lost * 100 <= n_rows,
        # it fails at once if more are lost than can be gained; if fewer are lost, only when all are counted
        "accuracy": (counts.lost <= counts.gained + unseen) & (~complete | (counts.lost >= counts.gained)),
    }
    return jnp.stack([passes[test] for test in tests])
