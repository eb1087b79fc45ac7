"""One-hidden-layer networks that compute a parity by construction: the propositions of the paper."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from grokscope.errors import InputError
from grokscope.models.fully_connected import FullyConnected

if TYPE_CHECKING:
    from typing import Self

    import jax

    from grokscope.models.networks.one_hidden_layer import OneHiddenLayer

__all__ = ["Construction"]


class Construction(FullyConnected):
    r"""A one-hidden-layer relu network whose initial weights compute $\prod_{i \in S} x_i$ exactly.

    The weights are those of a proposition in the paper; they do not depend on the init stream. Training
    starts from them as from any initial network. Propositions 2 and 3 are for three bits.

    Attributes:
        proposition: 1 ($2^k$ neurons, an AND for each setting of the bits), 2 (6 neurons) or 3 (4 neurons,
            one of them constant).
        bits: the bits S, counted from 0; by default the first k.
        k: number of bits, if ``bits`` is not given.
        width: number of neurons; 0 means as many as the construction needs. Extra neurons have zero weights.
        activation: ``relu`` only.
        init: ``torch`` only, and not used: the weights are given.
        init_scale: factor on all initial parameters.

    Raises:
        InputError: if the proposition is not for that number of bits, a bit is given twice, or the width is
            too small.

    Source: Merrill, Tsilivis, Shukla 2023, Propositions 1, 2 and 3.

    Example:
        >>> Construction(proposition=1, k=4).width, Construction(proposition=3, width=10).width
        (16, 10)
    """

    kind: Literal["construction"] = "construction"
    traced = ("init_scale",)

    proposition: Literal[1, 2, 3] = 1
    bits: tuple[int, ...] | None = None
    k: int = Field(default=3, ge=1)
    width: int = Field(default=0, ge=0, le=10**12)
    activation: Literal["relu"] = "relu"
    init: Literal["torch"] = "torch"

    @model_validator(mode="after")
    def _check(self) -> Self:
        from grokscope.models.networks.constructions import MOST_BITS, n_gates

        if self.bits is not None:
            if not self.bits or len(set(self.bits)) < len(self.bits) or min(self.bits) < 0:
                raise ValueError(f"bits must be different numbers from 0, at least one (got {self.bits})")
            object.__setattr__(self, "k", len(self.bits))  # frozen, but still being made here
        if self.proposition != 1 and self.k != 3:
            raise ValueError(
                f"Proposition {self.proposition} is for 3 bits, not {self.k}; Proposition 1 is for any"
            )
        if self.k > MOST_BITS:
            raise ValueError(
                f"Proposition 1 of {self.k} bits has 2^{self.k} neurons; at most {MOST_BITS} bits"
            )
        needed = n_gates(self.proposition, self.k)
        if not self.width:
            object.__setattr__(self, "width", needed)
        if self.width < needed:
            raise ValueError(f"width must be at least {needed} (got {self.width}); 0 takes the number needed")
        return self

    def network(self, key: jax.Array, input_shape: tuple[int, ...], n_outputs: int) -> OneHiddenLayer:
        """The network of the construction; the key is not used.

        Raises:
            InputError: if a bit is not among the inputs, or there are several outputs.
        """
        import jax.numpy as jnp

        from grokscope.models.networks.constructions import construction_weights
        from grokscope.models.networks.one_hidden_layer import OneHiddenLayer

        del key
        n = math.prod(input_shape)
        bits = tuple(range(self.k)) if self.bits is None else self.bits
        if max(bits) >= n:
            raise InputError(f"model: a construction on bits {list(bits)} needs more than {n} input bits.")
        if n_outputs != 1:
            raise InputError(f"model: a construction has one output; the task needs {n_outputs}.")
        weights = construction_weights(self.proposition, n, bits, self.width)
        arrays = (jnp.asarray(a, jnp.result_type(float)) * self.init_scale for a in weights)
        return OneHiddenLayer(*arrays, activation=self.activation)
