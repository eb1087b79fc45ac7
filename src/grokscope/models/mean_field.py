"""The one-hidden-layer network in a mean-field parametrization: rates mean the same at every width."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from grokscope.models.fully_connected import FullyConnected

__all__ = ["MeanField"]


class MeanField(FullyConnected):
    r"""`fully_connected` with hidden weights drawn smaller by $\sqrt{p_0/p}$: width changes no rate.

    In `fully_connected` width changes the effective rate: the wider the network, the faster its outputs move
    at one learning rate, and the less each neuron does. Here, with SGD, the network is
    $\frac{p_0}{p} \sum_j \upsilon_j\, \sigma(\omega_j \cdot x + \beta_j)$, every neuron drawn as in a
    `fully_connected` network of width $p_0$ and trained with rate $\eta\, p/p_0$ and decay
    $\lambda\, p_0/p$. For ReLU a factor can be moved between the layers, so it is written as $\sum_j u_j\,
    \sigma(W_j \cdot x + b_j)$ with $(W, b, u) = \sqrt{p_0/p}\,(\omega, \beta, \upsilon)$, rate $\eta$ and
    decay $\lambda$: only the start differs, and at $p = p_0$ nothing does.

    Attributes:
        width: number p of hidden neurons.
        activation: only ``relu``.
        init_scale: factor on all initial parameters.
        base_width: $p_0$, where it is `fully_connected`.

    Source: Mei, Montanari, Nguyen 2018 (arXiv 1804.06561), Section 2, with decay.

    Example:
        >>> MeanField(width=4000).base_width
        1000
    """

    kind: Literal["mean_field"] = "mean_field"
    traced: ClassVar[tuple[str, ...]] = ("init_scale",)

    activation: Literal["relu"] = "relu"
    base_width: int = Field(default=1000, ge=1, le=10**12)

    def _hidden_fan_in(self, n_inputs: int) -> float:
        return n_inputs * (self.width / self.base_width)
