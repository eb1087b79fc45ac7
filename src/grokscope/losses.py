"""Losses: per-sample functions of a network's outputs and the labels. The batch loss is their mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import SerializeAsAny

from grokscope.parts import Part, resolver

if TYPE_CHECKING:
    import jax

__all__ = ["CrossEntropy", "Hinge", "Logistic", "Loss", "LossField", "Squared"]


class Loss(Part):
    """A loss of one sample."""

    group: ClassVar[str] = "loss"

    kind: str

    # whether it is for one output with labels +-1, for classes, or for either
    labels: ClassVar[Literal["sign", "class", "any"]] = "any"

    def per_sample(self, outputs: jax.Array, y: jax.Array) -> jax.Array:
        """The loss of each sample, [sample], of outputs [sample] or [sample, output]."""
        raise NotImplementedError


LossField = Annotated[SerializeAsAny[Loss], resolver(Loss)]


class Hinge(Loss):
    r"""$\max(0,\, 1 - y f(x))$ for labels $\pm 1$ (the paper's loss, Section 2).

    Example:
        >>> import jax.numpy as jnp
        >>> Hinge().per_sample(jnp.array([2.0, 0.5]), jnp.array([1.0, -1.0])).tolist()
        [0.0, 1.5]
    """

    kind: Literal["hinge"] = "hinge"
    labels: ClassVar[Literal["sign", "class", "any"]] = "sign"

    def per_sample(self, outputs: jax.Array, y: jax.Array) -> jax.Array:
        """max(0, 1 - y f)."""
        import jax.numpy as jnp

        return jnp.maximum(0.0, 1.0 - y * outputs)


class Logistic(Loss):
    r"""$\log(1 + e^{-y f(x)})$ for labels $\pm 1$.

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(Logistic().per_sample(jnp.zeros(1), jnp.ones(1))[0]), 4)
        0.6931
    """

    kind: Literal["logistic"] = "logistic"
    labels: ClassVar[Literal["sign", "class", "any"]] = "sign"

    def per_sample(self, outputs: jax.Array, y: jax.Array) -> jax.Array:
        """log(1 + exp(-y f)), computed without overflow."""
        import jax.numpy as jnp

        return jnp.logaddexp(0.0, -y * outputs)


class Squared(Loss):
    r"""$(f(x) - y)^2$; with classes, the squared distance to the one-hot label, mean over outputs.

    Example:
        >>> import jax.numpy as jnp
        >>> Squared().per_sample(jnp.array([0.5]), jnp.array([1.0])).tolist()
        [0.25]
    """

    kind: Literal["squared"] = "squared"

    def per_sample(self, outputs: jax.Array, y: jax.Array) -> jax.Array:
        """(f - y)^2."""
        import jax
        import jax.numpy as jnp

        if outputs.ndim == 1:
            return jnp.square(outputs - y)
        target = jax.nn.one_hot(y, outputs.shape[-1], dtype=outputs.dtype)
        return jnp.mean(jnp.square(outputs - target), axis=-1)


class CrossEntropy(Loss):
    r"""$-\log \mathrm{softmax}(f(x))_y$ for class labels.

    In float32 the loss of a sample is 0, and its gradient rounded away, once the other classes have less than
    $6 \cdot 10^{-8}$ of the probability. Long runs at small loss feel that; ``float64`` computes the loss and
    its gradient with respect to the logits in double precision, from the float32 logits of the network, and
    rounds both only at the end.

    Attributes:
        precision: ``as_run`` (that of the run), or ``float64``.

    Source: float64 as in Nanda et al. 2023 (arXiv 2301.05217), Appendix D.2.

    Example:
        >>> import jax.numpy as jnp
        >>> loss = CrossEntropy().per_sample(jnp.zeros((1, 4)), jnp.array([2]))
        >>> round(float(loss[0]), 4)
        1.3863
        >>> certain = jnp.array([[0.0, 30.0]])
        >>> [float(CrossEntropy(precision=p).per_sample(certain, jnp.array([1]))[0]) > 0
        ...  for p in ("as_run", "float64")]
        [False, True]
    """

    kind: Literal["cross_entropy"] = "cross_entropy"
    labels: ClassVar[Literal["sign", "class", "any"]] = "class"

    precision: Literal["as_run", "float64"] = "as_run"

    def per_sample(self, outputs: jax.Array, y: jax.Array) -> jax.Array:
        """-log softmax(f)[y]."""
        import jax
        import jax.numpy as jnp

        if self.precision == "float64":
            from grokscope._float64 import cross_entropy

            return cross_entropy(outputs, y.astype(jnp.int32))
        log_p = jax.nn.log_softmax(outputs, axis=-1)
        return -jnp.take_along_axis(log_p, y[:, None].astype(jnp.int32), axis=-1)[:, 0]
