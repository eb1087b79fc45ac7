"""The network of the model ``scaled``: another network, less its initial self, times an output scale."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float

from grokscope.models.networks.training import split

__all__ = ["ScaledNetwork", "has_form"]


class ScaledNetwork(eqx.Module):
    r"""$\alpha f(x)$, or $\alpha (f(x) - f_0(x))$.

    Attributes:
        network: f.
        scale: $\alpha$, a number; it is not trained (None in the trained part of `split`).
        initial: $f_0$, which is not trained; None: it is not subtracted.
    """

    network: Any
    scale: Any
    initial: Any = None

    def __call__(self, x: Float[Array, "sample ..."]) -> Float[Array, "sample ..."]:
        """The outputs."""
        outputs = self.network(x)
        return self.scale * (outputs if self.initial is None else outputs - self.initial(x))

    def split(self) -> tuple[Any, Any]:
        """The trained part of f; its state, the scale and $f_0$."""
        trained = jax.tree.map(_is_array, split(self.network)[0], is_leaf=lambda leaf: leaf is None)
        nothing = jax.tree.map(lambda leaf: False, self)
        return eqx.partition(self, eqx.tree_at(lambda n: n.network, nothing, trained))

    @property
    def affine(self) -> tuple[jax.Array, ...]:
        """As `LinearNetwork.affine`, if f has one."""
        return self._form("affine")

    @property
    def quadratic_form(self) -> tuple[jax.Array, ...]:
        """As `CommitteeNetwork.quadratic_form`, if f has one."""
        return self._form("quadratic_form")

    def _form(self, name: str) -> tuple[jax.Array, ...]:
        # coefficients of a function are linear in the function
        now = getattr(self.network, name)
        if self.initial is None:
            return tuple(self.scale * one for one in now)
        return tuple(
            self.scale * (one - start) for one, start in zip(now, getattr(self.initial, name), strict=True)
        )


def _is_array(leaf: Any) -> bool:
    return leaf is not None


def has_form(network: Any, name: str) -> bool:
    """Whether a network is ``affine`` or a ``quadratic_form``: has the property of this name.

    Example:
        >>> from grokscope.models.networks.linear_network import LinearNetwork
        >>> [has_form(ScaledNetwork(LinearNetwork(()), None), name) for name in ("affine", "quadratic_form")]
        [True, False]
    """
    while isinstance(network, ScaledNetwork):
        network = network.network
    return hasattr(type(network), name)
