"""The paper's constructions: networks that compute the parity of some bits of n, exactly.

The weights are in ``models/networks/constructions.py``, below the training loop, so that a run can start
from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from grokscope.experiment import Experiment
from grokscope.models.construction import Construction

if TYPE_CHECKING:
    from grokscope.models.networks.constructions import Proposition
    from grokscope.models.networks.one_hidden_layer import OneHiddenLayer

__all__ = ["construction_experiment", "proposition_1", "proposition_2", "proposition_3"]


def proposition_1(n: int, k: int = 3, *, bits: Sequence[int] | None = None, width: int = 0) -> OneHiddenLayer:
    r"""$2^k$ neurons for the parity of k bits: an AND for each setting s, with the parity of s behind it.

    $f(x) = \sum_{s \in \{-1, 1\}^k} \prod_i s_i\, \mathrm{relu}(s \cdot x_S - (k - 1))$; at every input one
    neuron is 1 and the others are 0, so $f(x) = \prod_{i \in S} x_i$.

    Args:
        n: input bits.
        k: how many of them are in S, where ``bits`` is not given.
        bits: S, counted from 0; the first k if not given.
        width: neurons; those beyond $2^k$ are zero, 0 adds none.

    Raises:
        InputError: if a bit is given twice or is not below n, k is above 16, or the width is too small.

    Source: Merrill, Tsilivis, Shukla 2023, Proposition 1.

    Example:
        >>> import jax.numpy as jnp
        >>> proposition_1(n=4, k=2)(jnp.array([[1.0, -1, 1, 1], [-1, -1, 1, 1]])).tolist()
        [-1.0, 1.0]
    """
    return _network(1, n, k, bits, width)


def proposition_2(n: int, *, bits: Sequence[int] | None = None, width: int = 0) -> OneHiddenLayer:
    """Six neurons for the parity of three bits; at every input y f(x) is at least 1.

    Two of the neurons, of output weight -1, fire at three settings each; the others, of weight 10, at one.

    Args:
        n: input bits.
        bits: the three, counted from 0; the first three if not given.
        width: neurons; those beyond six are zero, 0 adds none.

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
    three bits; $f(x) = x_1 x_2 x_3$. The first neuron is constant: its incoming norm is 0, and yet nothing
    works without it, which an order by path norm sees and one by incoming norm does not.

    Args:
        n: input bits.
        bits: the three, counted from 0; the first three if not given.
        width: neurons; those beyond four are zero, 0 adds none.

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
    """An experiment whose network is a construction on the first k bits, and stays it.

    Trained with `grokscope.train`, it is a run like any other: every measure and command works on it.

    Args:
        proposition: 1, 2 or 3.
        n: input bits.
        k: bits of the parity; 3 for Propositions 2 and 3.
        width: neurons; those beyond the construction's are zero, 0 adds none.
        settings: of the `Experiment` (``measures``, say), and of its task (``n_train``, ``n_test``,
            ``n_probe``).

    Raises:
        InputError: as the constructions do.

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


def _network(
    proposition: Proposition, n: int, k: int, bits: Sequence[int] | None, width: int
) -> OneHiddenLayer:
    import jax

    # with bits, their number is k
    chosen = None if bits is None else tuple(bits)
    model = Construction(proposition=proposition, k=k, bits=chosen, width=width)
    return model.network(jax.random.key(0), (n,), 1)
