"""Networks with a known circuit: the paper's constructions of a parity, and the least path norm of any.

The constructions' weights are in ``models/networks/constructions.py``, so that a run can start from them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.models.construction import Construction

if TYPE_CHECKING:
    from grokscope.models.networks.constructions import Proposition
    from grokscope.models.networks.one_hidden_layer import OneHiddenLayer

__all__ = [
    "construction_experiment",
    "least_path_norm",
    "proposition_1",
    "proposition_2",
    "proposition_3",
]

_MOST_BITS = 40
_ANGLES = 20_001


def proposition_1(n: int, k: int = 3, *, bits: Sequence[int] | None = None, width: int = 0) -> OneHiddenLayer:
    r"""$2^k$ neurons for the parity of k bits: an AND for each setting s, with output weight the parity of s.

    $f(x) = \sum_{s \in \{-1, 1\}^k} \prod_i s_i\, \mathrm{relu}(s \cdot x_S - (k - 1))$; at every input one
    neuron is 1 and the others are 0, so $f(x) = \prod_{i \in S} x_i$.

    Args:
        n: input bits.
        k: size of S, if ``bits`` is not given.
        bits: S, counted from 0; the first k if not given.
        width: number of neurons, those beyond $2^k$ zero; 0: just $2^k$.

    Raises:
        InputError: if a bit is given twice or is not below n, k is above 16, or the width is below $2^k$.

    Source: Merrill, Tsilivis, Shukla 2023, Proposition 1.

    Example:
        >>> import jax.numpy as jnp
        >>> proposition_1(n=4, k=2)(jnp.array([[1.0, -1, 1, 1], [-1, -1, 1, 1]])).tolist()
        [-1.0, 1.0]
    """
    return _network(1, n, k, bits, width)


def proposition_2(n: int, *, bits: Sequence[int] | None = None, width: int = 0) -> OneHiddenLayer:
    """Six neurons for the parity of three bits; y f(x) is at least 1 at every input.

    Two neurons of output weight -1 fire at three settings each; four of output weight 10 fire at one each.

    Args:
        n: input bits.
        bits: the three, counted from 0; the first three if not given.
        width: number of neurons, those beyond six zero; 0: just six.

    Raises:
        InputError: if the bits are not three different ones below n, or the width is below six.

    Source: Merrill, Tsilivis, Shukla 2023, Proposition 2.

    Example:
        >>> import jax.numpy as jnp
        >>> proposition_2(n=3)(jnp.array([[1.0, 1, 1], [1, 1, -1]])).tolist()
        [10.0, -1.0]
    """
    return _network(2, n, 3, bits, width)


def proposition_3(n: int, *, bits: Sequence[int] | None = None, width: int = 0) -> OneHiddenLayer:
    r"""Four neurons for the parity of three bits.

    $f(x) = 1 + 2\, \mathrm{relu}(X - 1) - \mathrm{relu}(X + 1) - \mathrm{relu}(-X - 1)$ with X the sum of the
    three bits; $f(x) = x_1 x_2 x_3$. The first neuron is constant. The network needs it although its incoming
    norm is 0; its path norm is not 0.

    Args:
        n: input bits.
        bits: the three, counted from 0; the first three if not given.
        width: number of neurons, those beyond four zero; 0: just four.

    Raises:
        InputError: if the bits are not three different ones below n, or the width is below four.

    Source: Merrill, Tsilivis, Shukla 2023, Proposition 3.

    Example:
        >>> import jax.numpy as jnp
        >>> proposition_3(n=5)(jnp.array([[1.0, 1, 1, -1, 1], [-1, 1, 1, -1, 1]])).tolist()
        [1.0, -1.0]
    """
    return _network(3, n, 3, bits, width)


def construction_experiment(
    proposition: Proposition, n: int, k: int = 3, *, width: int = 0, **settings: Any
) -> Experiment:
    """An experiment whose network is a construction on the first k bits and is not trained.

    `grokscope.train` makes a run of it, on which every measure and command works.

    Args:
        proposition: 1, 2 or 3.
        n: input bits.
        k: bits of the parity; 3 for Propositions 2 and 3.
        width: number of neurons, those beyond the construction's zero; 0: just the construction's.
        settings: other arguments of `Experiment` (``measures``, say); ``n_train``, ``n_test`` and ``n_probe``
            are those of its task.

    Raises:
        InputError: for the reasons of the constructions.

    Example:
        >>> experiment = construction_experiment(3, n=10, n_train=100)
        >>> experiment.name, experiment.model.width, experiment.task.n_train, experiment.learner.kind
        ('Proposition 3', 4, 100, 'still')
    """
    task: dict[str, Any] = {"kind": "sparse_parity", "n": n, "k": k}
    task |= {name: settings.pop(name) for name in ("n_train", "n_test", "n_probe") if name in settings}
    chosen: dict[str, Any] = {
        "name": f"Proposition {proposition}",
        "steps": 1,
        "batch_size": "full",
        "learner": "still",
        "schedule": {"measures": "ends", "slow_measures": "ends", "follow": "ends"},
    }
    model = Construction(proposition=proposition, k=k, width=width)
    chosen |= {"task": task, "model": model, **settings}
    return Experiment(**chosen)


def least_path_norm(k: int) -> float:
    r"""The least path norm of a network with margin 1 on the parity of k bits, over all inputs.

    The path norm is $\sum_j |u_j| \lVert (W_j, b_j) \rVert$, and its least value
    $\nu_k = 1 / \max_{\lVert (w, b) \rVert = 1} |E[\chi_S(x)\, \mathrm{relu}(w \cdot x + b)]|$ with x uniform
    on $\{-1, 1\}^k$ and $\chi_S$ the parity. No network has less: if $\chi_S f \ge 1$ everywhere,
    $1 \le E[\chi_S f] = \sum_j u_j E[\chi_S\, \mathrm{relu}(W_j \cdot x + b_j)] \le \sum_j |u_j|
    \lVert (W_j, b_j) \rVert / \nu_k$. Further input bits do not help: at fixed values of these, a neuron is
    one of the k bits with another bias, and the root mean square of the norms of all these is its own norm.

    The maximum is taken over weights $w = a s$ of equal size with signs s (which change only the sign of the
    expectation), so over one angle between a and b. Unequal weights give no larger value: for k up to 6
    `least_norm` proves it. For larger k the value is a proved upper bound on $\nu_k$ only.

    Args:
        k: bits of the parity, 1 to 40.

    Raises:
        InputError: for another k.

    Example:
        >>> [round(least_path_norm(k), 2) for k in (2, 3, 4, 5, 6)]
        [2.83, 8.0, 8.0, 13.06, 13.06]
    """
    if not 1 <= k <= _MOST_BITS:
        raise InputError(f"least_path_norm: k must be from 1 to {_MOST_BITS}, not {k}.")
    minus = np.arange(k + 1)
    # E over x as a sum over the number of -1 among the bits: binomial probability times the parity
    weight = np.array([math.comb(k, int(m)) for m in minus]) * (-1.0) ** minus / 2.0**k

    def gain(angle: np.ndarray) -> np.ndarray:
        a, b = np.cos(angle) / math.sqrt(k), np.sin(angle)
        return np.abs(np.maximum(np.outer(a, k - 2 * minus) + b[:, None], 0.0) @ weight)

    low, high, best = -math.pi / 2, math.pi / 2, 0.0
    for _ in range(6):  # a finer grid around the best angle each time
        angles = np.linspace(low, high, _ANGLES)
        best = float(angles[int(np.argmax(gain(angles)))])
        step = (high - low) / (_ANGLES - 1)
        low, high = best - step, best + step
    return 1.0 / float(gain(np.array([best])).max())


def _network(
    proposition: Proposition, n: int, k: int, bits: Sequence[int] | None, width: int
) -> OneHiddenLayer:
    import jax

    chosen = None if bits is None else tuple(bits)
    model = Construction(proposition=proposition, k=k, bits=chosen, width=width)  # k is ignored with bits
    return model.network(jax.random.key(0), (n,), 1)
