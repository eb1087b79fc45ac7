"""The exact search behind effective sparsity for any network with hidden neurons, by masked forward passes.

As in ``_prefixes.py``, a test need not be monotone in m. Values of m are tested in blocks, in order; in a
block, rows are tested in chunks, those most likely to fail first, until every m has failed or all rows have
been tested.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, Num

from grokscope.measures._predictions import has_prediction, margins, predictions
from grokscope.measures._prefixes import Counts, Test, passes
from grokscope.models.networks.neurons import HasNeurons

__all__ = ["search_prefixes"]

# Values of m per block, and rows per chunk; they do not change the result.
_BLOCK, _CHUNK = 16, 64


def search_prefixes(
    network: HasNeurons,
    order: Int[Array, " neuron"],
    x: Float[Array, "sample ..."],
    f: Float[Array, "sample ..."],
    y: Num[Array, " sample"],
    tests: tuple[Test, ...],
) -> tuple[Int[Array, ""], ...]:
    r"""For each test the smallest m in 1..p such that $f_m$, the network with m neurons on, passes it.

    Tests as in `smallest_prefixes`, with predictions instead of signs; m = p passes by definition.

    Args:
        network: any network with hidden neurons.
        order: the neurons, in the order in which they are kept.
        x: inputs.
        f: the whole network's outputs on them.
        y: their labels (used by ``accuracy`` only).
        tests: the tests.
    """
    p, n_outputs = len(order), 1 if f.ndim == 1 else f.shape[1]
    rank = jnp.zeros(p, jnp.int32).at[order].set(jnp.arange(p, dtype=jnp.int32))
    whole = predictions(f, n_outputs)
    counted = has_prediction(whole, n_outputs)
    right = counted & (whole == y)
    wrong = counted & ~right
    # wrong rows first: after all of them, the rows tested so far can rule out ``accuracy``
    hardness = jnp.where(wrong, jnp.inf, jnp.where(right, -margins(f, n_outputs), -jnp.inf))
    rows = jnp.argsort(-hardness, stable=True)
    size = min(_CHUNK, len(x))
    n_chunks = -(-len(x) // size)
    rows = jnp.pad(rows, (0, n_chunks * size - len(rows))).reshape(n_chunks, size)
    real = (jnp.arange(n_chunks * size) < len(x)).reshape(n_chunks, size)
    n_rows, n_wrong = jnp.sum(counted, dtype=jnp.int32), jnp.sum(wrong, dtype=jnp.int32)

    def count(m: jax.Array, i: jax.Array) -> tuple[Counts, jax.Array]:
        """The counts of each m on chunk i, and the number of wrong rows in the chunk."""
        at, is_row = rows[i], real[i]
        is_right, is_wrong = right[at] & is_row, wrong[at] & is_row

        def one(m: jax.Array) -> Counts:
            predicted = predictions(network.keeping(rank < m)(x[at]), n_outputs)
            other = predicted != whole[at]
            gained = predicted == y[at]
            lost, wrong_lost, won = (
                jnp.sum(which, dtype=jnp.int32)
                for which in (other & is_right, other & is_wrong, gained & is_wrong)
            )
            return Counts(lost, wrong_lost, won)

        return jax.vmap(one)(m), jnp.sum(is_wrong, dtype=jnp.int32)

    def try_rows(m: jax.Array, possible: jax.Array) -> jax.Array:
        """The candidate m that pass on all rows."""

        def step(
            carry: tuple[jax.Array, Counts, jax.Array, jax.Array],
        ) -> tuple[jax.Array, Counts, jax.Array, jax.Array]:
            i, counts, unseen, _ = carry
            more, seen = count(m, i)
            counts, unseen = jax.tree.map(jnp.add, counts, more), unseen - seen
            left = possible & passes(counts, tests, n_rows, unseen, i + 1 == n_chunks)
            return i + 1, counts, unseen, left

        zero = jnp.zeros(len(m), jnp.int32)
        carry = (jnp.int32(0), Counts(zero, zero, zero), n_wrong, possible)
        return lax.while_loop(lambda c: (c[0] < n_chunks) & jnp.any(c[3]), step, carry)[3]

    def walk(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        k, found = carry
        m = k * _BLOCK + 1 + jnp.arange(_BLOCK, dtype=jnp.int32)
        passed = try_rows(m, (m < p) & (found[:, None] == p))
        return k + 1, jnp.minimum(found, jnp.min(jnp.where(passed, m, p), axis=1))

    start = (jnp.int32(0), jnp.full(len(tests), p, jnp.int32))
    n_blocks = -(-p // _BLOCK)
    found = lax.while_loop(lambda c: (c[0] < n_blocks) & jnp.any(c[1] == p), walk, start)[1]
    return tuple(found)
