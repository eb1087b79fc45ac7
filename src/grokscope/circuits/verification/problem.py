"""`VerificationProblem`: a network, the bits of a Boolean function, and its value at each setting of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from grokscope.circuits.relu_network import ReluNetwork, as_relu_network, width_of
from grokscope.circuits.subnetwork import Subnetwork
from grokscope.circuits.support import MOST_BITS, settings_of
from grokscope.errors import InputError

__all__ = ["VerificationProblem", "kept_weights"]


@dataclass(frozen=True, eq=False)
class VerificationProblem:
    r"""Decide whether $y_s f(x) > 0$ for each setting s of the support and each input x with that setting.

    With the support set to s, $y_s f(x) = \sum_j v_{sj}\, \mathrm{relu}(B_{sj} + A_j \cdot x')$ where x' are
    the other bits, $v_{sj} = y_s u_j$, and $B_{sj}$ is the support's part of the pre-activation and the bias.

    Attributes:
        weights: the network's arrays.
        support: the bits of the function, in the order of the columns of ``settings``.
        others: the other bits, rising.
        settings: of the support, in the order of `settings_of`, [setting, k].
        target: the function's value +-1 at each setting, [setting].
        A: weights of the other bits, [other, neuron].
        B, v: [setting, neuron].
    """

    weights: ReluNetwork
    support: tuple[int, ...]
    others: Int[np.ndarray, " other"]
    settings: Float[np.ndarray, "setting k"]
    target: Float[np.ndarray, " setting"]
    A: Float[np.ndarray, "other neuron"]
    B: Float[np.ndarray, "setting neuron"]
    v: Float[np.ndarray, "setting neuron"]

    @classmethod
    def of(cls, weights: ReluNetwork, support: Sequence[int], target: Any = None) -> VerificationProblem:
        """Split a network's weights along the support; the target is the parity unless a table is given.

        Raises:
            InputError: if a bit does not exist or is named twice, there are too many bits, or the table does
                not fit.
        """
        n = len(weights.W)
        bits = tuple(int(bit) for bit in support)
        if len(set(bits)) != len(bits):
            raise InputError(f"verify: a bit of the support {list(bits)} is named twice.")
        if any(not 0 <= bit < n for bit in bits):
            raise InputError(
                f"verify: the support {list(bits)} must lie in bits 0 to {n - 1} of the network."
            )
        if len(bits) > MOST_BITS:
            raise InputError(f"verify: the support may have {MOST_BITS} bits at most, not {len(bits)}.")
        settings = settings_of(len(bits))
        table = settings.prod(axis=1) if target is None else np.asarray(target, dtype=np.float64)
        if table.shape != (len(settings),) or not (np.abs(table) == 1).all():
            raise InputError(
                f"verify: the target must be a truth table of {len(settings)} values +-1, one for each "
                f"setting of the {len(bits)} bits."
            )
        others = np.setdiff1d(np.arange(n), bits)
        return cls(
            weights=weights,
            support=bits,
            others=others,
            settings=settings,
            target=table,
            A=weights.W[others],
            B=settings @ weights.W[list(bits)] + weights.b,
            v=table[:, None] * weights.u,
        )

    def input(self, setting: int, x: np.ndarray) -> list[int]:
        """The whole input, a list of +-1, of a setting of the support and the other bits x."""
        whole = np.empty(len(self.weights.W), dtype=np.int64)
        whole[list(self.support)] = self.settings[setting]
        whole[self.others] = x
        return [int(bit) for bit in whole]


def kept_weights(network: Any, neurons: Any = None) -> ReluNetwork:
    """The arrays of a network, of all its neurons or of some.

    Args:
        network: one hidden layer of relu with one output, or three arrays (W [bit, neuron], b, u [neuron]).
        neurons: to keep: a `Subnetwork`, a mask or positions; None: all.

    Raises:
        InputError: if it is not such a network, shapes do not fit, a weight is not finite, or a neuron does
            not exist.
    """
    weights = _arrays(network) if type(network) in (tuple, list) else as_relu_network(network)
    if not weights.are_finite:
        raise InputError("verify: the network has weights that are not finite; its training diverged.")
    if neurons is None:
        return weights
    width = len(weights.u) if type(network) in (tuple, list) else width_of(network)
    # an output bias is the last neuron, which every subnetwork keeps
    return weights.only(np.append(_positions(neurons, width), np.arange(width, len(weights.u))))


def _arrays(network: Any) -> ReluNetwork:
    if len(network) != 3:
        raise InputError(f"verify: a network is given by three arrays W, b, u; these are {len(network)}.")
    W, b, u = (np.asarray(array, dtype=np.float64) for array in network)
    if W.ndim != 2 or b.shape != (W.shape[1],) or u.shape != b.shape:
        raise InputError(
            f"verify: W {W.shape}, b {b.shape}, u {u.shape} do not fit; needed are W [bit, neuron], "
            "b [neuron] and u [neuron]."
        )
    return ReluNetwork(W, b, u)


def _positions(neurons: Any, width: int) -> np.ndarray:
    chosen = np.asarray(neurons.mask if isinstance(neurons, Subnetwork) else neurons)
    if chosen.dtype == np.bool_:
        if chosen.shape != (width,):
            raise InputError(f"verify: a mask of {chosen.shape} neurons; the network has {width}.")
        return np.flatnonzero(chosen)
    chosen = chosen.astype(np.int64).reshape(-1)
    if chosen.size and not (chosen.min() >= 0 and chosen.max() < width):
        wrong = next(one for one in chosen.tolist() if not 0 <= one < width)
        raise InputError(f"verify: neuron {wrong} does not exist; the network has 0 to {width - 1}.")
    return np.unique(chosen)
