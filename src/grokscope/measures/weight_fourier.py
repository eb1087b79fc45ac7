"""Fourier spectra over residues mod p of the embedding, and of the weights from neurons to logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from grokscope.measures._measure import Measure
from grokscope.measures.needs import KNOWN_EMBEDDING, MODULAR_SUM

if TYPE_CHECKING:
    import jax

    from grokscope.measures._point import Point

__all__ = [
    "EmbeddingFourier",
    "EmbeddingGini",
    "EmbeddingParticipation",
    "OutputFourier",
    "OutputGini",
    "OutputParticipation",
]


class _OfWeights(Measure):
    pace = "slow"
    default = False
    needs = (KNOWN_EMBEDDING, MODULAR_SUM)
    where: ClassVar[Literal["embedding", "output"]]

    def components(self, point: Point) -> jax.Array:
        """Coefficients of the weights in the Fourier basis, [row, feature]."""
        from grokscope.measures._fourier import components, token_weights

        p = point.outputs("train").shape[1]
        if self.where == "output":
            return components(point.network.output_map.T)
        return components(token_weights(point.network, point.split("train").x, p))


class _Norms(_OfWeights):
    dims = ("frequency",)

    def __call__(self, point: Point) -> jax.Array:
        """The norm of each frequency's components."""
        import jax.numpy as jnp

        from grokscope.measures._fourier import by_frequency

        return jnp.sqrt(by_frequency(jnp.sum(jnp.square(self.components(point)), axis=1)))


class _Gini(_OfWeights):
    def __call__(self, point: Point) -> jax.Array:
        """The Gini coefficient of the norms of the rows."""
        import jax.numpy as jnp

        from grokscope.measures._fourier import gini

        return gini(jnp.linalg.norm(self.components(point), axis=1))


class _Participation(_OfWeights):
    def __call__(self, point: Point) -> jax.Array:
        """The mean over features."""
        import jax.numpy as jnp

        from grokscope.measures._fourier import by_frequency, participation

        return jnp.mean(participation(by_frequency(jnp.square(self.components(point)))))


class EmbeddingFourier(_Norms):
    r"""Norm of the embedding's components of frequency k, $\lVert F_k W_E \rVert$; [frequency].

    The two rows of $F_k$ are the cosine and the sine of frequency k over the residues, each of norm 1; $W_E$
    has a row per residue. In a one-hidden-layer network on one-hot tokens $W_E$ is the first layer, with the
    weights of both operands.

    Source: Nanda et al. 2023 (arXiv 2301.05217), Figure 3.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.measures._fourier import basis, by_frequency, components
        >>> cosine = jnp.asarray(basis(7)[3])[:, None]  # frequency 2
        >>> jnp.sqrt(by_frequency(components(cosine)[:, 0] ** 2)).round(3).tolist()
        [0.0, 1.0, 0.0]
    """

    kind: Literal["embedding_fourier"] = "embedding_fourier"
    where = "embedding"


class OutputFourier(_Norms):
    r"""Norm of frequency k in the weights to the logits, $\lVert F_k W_L^T \rVert$; [frequency].

    $W_L$ [neuron, answer] is the map from the last hidden layer to the logits; in a transformer
    $W_{out} W_U$, without the layer norm between them.

    Source: Nanda et al. 2023 (arXiv 2301.05217), Section 4.2.
    """

    kind: Literal["output_fourier"] = "output_fourier"
    where = "output"


class EmbeddingGini(_Gini):
    r"""The Gini coefficient of the norms of the embedding's p Fourier components.

    $\sum_{ij} |x_i - x_j| / (2 p \sum_i x_i)$ with $x_i$ the norm of row i of $F W_E$, with the constant row.
    It is larger if fewer frequencies have most of the norm.

    Source: Nanda et al. 2023 (arXiv 2301.05217), Section 5.1.
    """

    kind: Literal["embedding_gini"] = "embedding_gini"
    where = "embedding"


class OutputGini(_Gini):
    """`EmbeddingGini` of the weights from the last hidden layer to the logits (see `OutputFourier`).

    Source: Nanda et al. 2023 (arXiv 2301.05217), Section 5.1.
    """

    kind: Literal["output_gini"] = "output_gini"
    where = "output"


class EmbeddingParticipation(_Participation):
    r"""The inverse participation ratio of each embedding feature's spectrum, mean over features.

    $\sum_k P_k^2 / (\sum_k P_k)^2$ with $P_k$ the power of frequency k, without the constant. 1 if each
    feature has one frequency, 2 / (p - 1) if each has all with the same power.

    Source: Gromov 2023 (arXiv 2301.02679), Section 3; Doshi et al. 2023 (arXiv 2310.13061).
    """

    kind: Literal["embedding_participation"] = "embedding_participation"
    where = "embedding"


class OutputParticipation(_Participation):
    """`EmbeddingParticipation` of each neuron's weights to the logits, mean over neurons.

    Source: Gromov 2023 (arXiv 2301.02679), Section 3; Doshi et al. 2023 (arXiv 2310.13061).
    """

    kind: Literal["output_participation"] = "output_participation"
    where = "output"
