"""Find the five subnetworks that are measured through a run, as masks over neurons.

All functions work inside jit and under vmap. Measures of subnetworks are in ``faithfulness.py`` and
``sensitivity.py``; tools for them are in ``circuits/``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from grokscope.measures.sparsity import search

if TYPE_CHECKING:
    import jax
    from jaxtyping import Array, Bool, Float

    from grokscope.measures._point import Order
    from grokscope.models.networks.neurons import HasNeurons

__all__ = ["Flavor", "active_subnetwork", "find_subnetworks", "norm_matched"]

Flavor = Literal["predictions", "accuracy"]

# Folded into the noise stream's key, so that the control set is independent of label noise.
_CONTROL = 0x636F6E


def active_subnetwork(
    network: HasNeurons,
    data: dict[str, jax.Array],
    flavor: Flavor = "predictions",
    order: Order = "incoming_norm",
) -> Bool[Array, " neuron"]:
    r"""The active subnetwork: the m largest neurons, m the effective sparsity on the training inputs.

    Args:
        network: a network with hidden neurons.
        data: ``train_x`` [sample, *input] and ``train_y`` [sample].
        flavor: ``predictions`` (the paper's definition: the same prediction on every training input) or
            ``accuracy`` (the official code's: the same number of right predictions on them).
        order: the norm by which neurons are ranked.

    Source: Merrill, Tsilivis, Shukla 2023, Section 3.1.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.models.networks.one_hidden_layer import OneHiddenLayer
        >>> network = OneHiddenLayer(jnp.array([[1.0, -3.0, 2.0]]), jnp.zeros(3), jnp.array([0.1, 1.0, 1.0]))
        >>> data = {"train_x": jnp.array([[1.0], [-1.0]]), "train_y": jnp.array([1.0, 1.0])}
        >>> active_subnetwork(network, data).tolist()
        [False, True, True]
    """
    import jax.numpy as jnp

    from grokscope.losses import Hinge
    from grokscope.measures._point import Point

    point = Point(network, data, Hinge())  # the search does not use the loss
    m = search(point, "train", order)[flavor]
    neurons = point.order_by(order)
    return jnp.zeros(len(neurons), bool).at[neurons].set(jnp.arange(len(neurons)) < m)


def find_subnetworks(
    final: HasNeurons,
    at_memorization: HasNeurons,
    data: dict[str, jax.Array],
    noise_key: jax.Array,
    flavor: Flavor = "predictions",
    order: Order = "incoming_norm",
    has_memorized: bool | jax.Array = True,
) -> Bool[Array, "subnetwork neuron"]:
    """The five subnetworks that are measured through a run, in the order of ``SUBNETWORK_LABELS``.

    - generalizing: the active subnetwork of the final network;
    - complementary: all other neurons;
    - memorizing: the active subnetwork at the memorization point, the first with train accuracy above 0.98;
    - control: random neurons, as many as in the generalizing one, drawn from all neurons (as in the official
      code: the two share size^2 / width neurons on average);
    - norm-matched: see `norm_matched`, with norms at the memorization point.

    Args:
        final: the network at the end of the run.
        at_memorization: the network at the memorization point (any network if there is none).
        data: the member's ``train_x`` and ``train_y``.
        noise_key: the key of the member's noise stream.
        flavor: see `active_subnetwork`.
        order: see `active_subnetwork`.
        has_memorized: whether there is a memorization point. If not, the memorizing and the norm-matched
            subnetwork are empty, and all their measures are NaN.

    Source: Merrill, Tsilivis, Shukla 2023, Section 3.2; the memorizing one is the official code's.
    """
    import jax
    import jax.numpy as jnp

    generalizing = active_subnetwork(final, data, flavor, order)
    memorizing = active_subnetwork(at_memorization, data, flavor, order)
    drawn = jax.random.permutation(jax.random.fold_in(noise_key, _CONTROL), len(generalizing))
    control = drawn < generalizing.sum()
    matched = norm_matched(generalizing, jnp.linalg.norm(at_memorization.incoming, axis=0))
    return jnp.stack(
        [generalizing, ~generalizing, memorizing & has_memorized, control, matched & has_memorized]
    )


def norm_matched(mask: Bool[Array, " neuron"], norm: Float[Array, " neuron"]) -> Bool[Array, " neuron"]:
    r"""For each neuron of a set, a neuron outside the set with nearly the same norm; a control set.

    Greedy: the neurons i of the set are matched in order of decreasing norm (equal norms: by index), each
    with the neuron j outside the set, not yet taken, of smallest $|\lVert W_i \rVert - \lVert W_j \rVert|$
    (of equal ones the lowest index). If there are fewer neurons outside the set, all of them are taken.

    Args:
        mask: the set.
        norm: the norm of every neuron.

    Example:
        >>> import jax.numpy as jnp
        >>> members = jnp.array([True, False, False, False])
        >>> norm_matched(members, jnp.array([2.0, 9.0, 2.1, 0.5])).tolist()
        [False, False, True, False]
    """
    import jax.numpy as jnp
    from jax import lax

    members_first = lax.top_k(jnp.where(mask, norm, -jnp.inf), len(norm))[1]
    n_pairs = jnp.minimum(mask.sum(), (~mask).sum())

    def serve(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        i, taken = carry
        distance = jnp.abs(norm - norm[members_first[i]])
        return i + 1, taken.at[jnp.argmin(jnp.where(mask | taken, jnp.inf, distance))].set(True)

    start = (jnp.zeros_like(n_pairs), jnp.zeros_like(mask))
    return lax.while_loop(lambda carry: carry[0] < n_pairs, serve, start)[1]
