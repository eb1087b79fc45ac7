"""The one-hidden-layer network in a mean-field parametrization, in which rates do not depend on width."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from grokscope.models.fully_connected import FullyConnected

__all__ = ["MeanField"]


class MeanField(FullyConnected):
    r"""`fully_connected` in a mean-field parametrization: learning rates do not depend on the width.

    In `fully_connected` the effective rate grows with width: at the same learning rate the outputs of a wider
    network change faster, and each neuron changes less. Here, with SGD, the network is
    $\frac{p_0}{p} \sum_j \upsilon_j\, \sigma(\omega_j \cdot x + \beta_j)$, with neurons drawn as in a
    `fully_connected` network of width $p_0$ and trained with rate $\eta\, p/p_0$ and decay $\lambda\, p_0/p$.
    Because relu is homogeneous, this is the same as $\sum_j u_j\, \sigma(W_j \cdot x + b_j)$ with
    $(W, b, u) = \sqrt{p_0/p}\,(\omega, \beta, \upsilon)$, rate $\eta$ and decay $\lambda$, which is how it is
    implemented: only the initial W and b differ from `fully_connected`, by the factor $\sqrt{p_0/p}$.

    Attributes:
        activation: ``relu`` only.
        init: ``torch`` only.
        base_width: $p_0$, the width at which the network equals `fully_connected`.

    Source: Mei, Montanari, Nguyen 2018 (arXiv 1804.06561), Section 2, with decay.

    Example:
        >>> MeanField(width=4000).base_width
        1000
    """

    kind: Literal["mean_field"] = "mean_field"
    traced = ("init_scale",)

    activation: Literal["relu"] = "relu"
    init: Literal["torch"] = "torch"
    base_width: int = Field(default=1000, ge=1, le=10**12)

    def _hidden_fan_in(self, n_inputs: int) -> float:
        return n_inputs * (self.width / self.base_width)
