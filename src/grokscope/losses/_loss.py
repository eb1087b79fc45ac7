"""The base of all losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import SerializeAsAny

from grokscope.spec.parts import Part, resolver

if TYPE_CHECKING:
    import jax

__all__ = ["Loss", "LossField"]


class Loss(Part):
    """A loss of one sample.

    Attributes:
        labels: the kind of labels it is for: ``sign`` (+-1), ``class``, ``real``, or ``any``.
    """

    group = "loss"

    kind: str

    labels: ClassVar[Literal["sign", "class", "real", "any"]] = "any"

    def per_sample(self, outputs: jax.Array, y: jax.Array) -> jax.Array:
        """The loss of each sample, [sample].

        Args:
            outputs: [sample] of a network with one output, else [sample, output].
            y: labels: signs, classes or real numbers [sample], or real vectors [sample, output].
        """
        raise NotImplementedError


LossField = Annotated[SerializeAsAny[Loss], resolver(Loss)]
