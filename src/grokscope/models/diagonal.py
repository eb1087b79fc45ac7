"""Diagonal linear networks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from grokscope.models._model import Model

if TYPE_CHECKING:
    import jax

    from grokscope.models.networks.diagonal import DiagonalNetwork

__all__ = ["Diagonal"]


class Diagonal(Model):
    r"""A diagonal linear network $f(x) = \langle u^D - v^D, x \rangle$, powers by entry.

    Initially all entries of u and v are $\alpha$ = ``init_scale``, so that f is 0, in every member. Gradient
    flow on an underdetermined problem goes to the interpolating weights $\beta$ of least $l_2$ norm for
    large $\alpha$ (lazy) and of least $l_1$ norm for small $\alpha$ (rich). For D = 2 it conserves
    $u_i v_i$, and $\mathrm{arsinh}(\beta_i / 2 \alpha^2)$ is a linear combination of the training inputs.
    There are no neurons: measures of neurons do not apply.

    Attributes:
        depth: D.
        init_scale: $\alpha$.

    Source: Woodworth et al. 2020 (arXiv 2002.09277), Section 3 (D = 2) and Section 5.

    Example:
        >>> Diagonal(init_scale=0.1).n_parameters((40,), 1)
        80
    """

    kind: Literal["diagonal"] = "diagonal"
    traced = ("init_scale",)

    depth: int = Field(default=2, ge=2, le=100)
    init_scale: float = Field(default=1.0, gt=0.0, le=1e6)

    def network(self, key: jax.Array, input_shape: tuple[int, ...], n_outputs: int) -> DiagonalNetwork:
        """All entries at the scale of the start; nothing is drawn."""
        import jax.numpy as jnp

        from grokscope.models.networks.diagonal import DiagonalNetwork

        del key
        outside = () if n_outputs == 1 else (n_outputs,)
        start = jnp.ones((math.prod(input_shape), *outside)) * self.init_scale
        return DiagonalNetwork(start, start, self.depth)

    def n_parameters(self, input_shape: tuple[int, ...], n_outputs: int) -> int:
        """Number of entries of u and v."""
        return 2 * math.prod(input_shape) * n_outputs
