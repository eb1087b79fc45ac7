"""Irreducible representations in the weights of each neuron, for composition in a symmetric group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from grokscope.losses import neuron_norms
from grokscope.measures._measure import Measure
from grokscope.measures.needs import IRREPS, PAIR_BLOCKS

if TYPE_CHECKING:
    import jax

    from grokscope.measures._point import Point

__all__ = ["NeuronIrrepPower", "NeuronsPerIrrep"]

_ALIVE = 0.01  # norm of a neuron that counts, as a share of the largest


def _powers(point: Point) -> jax.Array:
    """Share of each block's squared norm in each irrep, the mean over the three blocks, [neuron, irrep]."""
    import jax.numpy as jnp

    from grokscope.tasks.groups import irrep_projectors

    task: Any = point.task

    def make() -> jax.Array:
        table, out = point.network.hidden_weight, point.network.output_weight
        blocks = jnp.stack([table[0], table[1], out.T])  # [block, element, neuron]
        projectors = jnp.asarray(irrep_projectors(task.degree), blocks.dtype)
        # P is a projection: |P w|^2 = w . P w
        power = jnp.einsum("ben,reh,bhn->bnr", blocks, projectors, blocks)
        total = jnp.sum(jnp.square(blocks), axis=1)[..., None]
        return jnp.mean(power / jnp.where(total > 0, total, 1), axis=0)

    return point.cached("irreps of the neurons", make)


class NeuronIrrepPower(Measure):
    r"""Each irrep's share of a neuron's squared norm; [neuron, irrep]. The shares sum to 1.

    A neuron of a network on one-hot pairs (a, b) has three blocks of weights, each a function w on the group.
    Its share in $\rho$ is $\lVert P_\rho w \rVert^2 / \lVert w \rVert^2$, $P_\rho$ the projection onto the
    span of the matrix entries of $\rho$ (`irrep_projectors`); the measure is the mean over the blocks. Labels
    of the axis are partitions: ``3`` is the trivial irrep of $S_3$, ``2+1`` that of two dimensions, ``1+1+1``
    the sign.

    Source: Morwani et al. 2023 (arXiv 2311.07568), Section 6 and Figure 8; the mean over blocks is ours.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import Squared
        >>> from grokscope.measures import Point
        >>> from grokscope.models.networks.one_hot_mlp import OneHotNeurons
        >>> from grokscope.tasks.permutation_operator import PermutationOperator
        >>> sign = jnp.array([[1.0], [-1.0], [-1.0], [1.0], [1.0], [-1.0]])
        >>> network = OneHotNeurons(jnp.stack([sign, sign]), sign.T, "power", 2, 1.0)
        >>> NeuronIrrepPower()(Point(network, {}, Squared(), task=PermutationOperator(degree=3))).tolist()
        [[0.0, 0.0, 1.0]]
    """

    kind: Literal["neuron_irrep_power"] = "neuron_irrep_power"
    dims = ("neuron", "irrep")
    pace = "slow"
    default = False
    needs = (PAIR_BLOCKS, IRREPS)

    def __call__(self, point: Point) -> jax.Array:
        """The shares."""
        return _powers(point)


class NeuronsPerIrrep(Measure):
    r"""The number of neurons whose largest share (`NeuronIrrepPower`) is in each irrep; [irrep], int32.

    Neurons count whose norm (of all weights, incoming and outgoing) is at least 1 % of the largest.

    Source: Morwani et al. 2023 (arXiv 2311.07568), Figure 8; the threshold is ours.
    """

    kind: Literal["neurons_per_irrep"] = "neurons_per_irrep"
    dims = ("irrep",)
    pace = "slow"
    default = False
    needs = (PAIR_BLOCKS, IRREPS)

    def __call__(self, point: Point) -> jax.Array:
        """The counts."""
        import jax.numpy as jnp

        power = _powers(point)
        norm = neuron_norms(point.network, 1)
        counts = (norm >= _ALIVE * jnp.max(norm)) & (norm > 0)
        one_hot = jnp.argmax(power, axis=1)[:, None] == jnp.arange(power.shape[1])
        return jnp.sum(one_hot & counts[:, None], axis=0, dtype=jnp.int32)
