"""Multitask sparse parity: control bits name one of many parities, with frequencies that fall as a power."""

from __future__ import annotations

import functools
import math
import random
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from grokscope.tasks._task import Task

if TYPE_CHECKING:
    from typing import Self

    import jax

__all__ = ["MultitaskParity"]

_TEST_KEY, _PROBE_KEY = 1_000_003, 1_000_004


class MultitaskParity(Task):
    r"""Multitask sparse parity: the label is $\sum_{j \in S_i} b_j \bmod 2$ for bits b and a subtask i.

    An input is $(c, b) \in \{0, 1\}^{m + n}$: the control c is one-hot and names the subtask i, and the n
    data bits b are uniform. $S_1, \dots, S_m$ are different sets of k data bits, which may overlap. In the
    training and test splits, and online, subtask i is drawn with probability

    $$p_i = \frac{i^{-(1 + \alpha)}}{\sum_{j=1}^m j^{-(1 + \alpha)}}.$$

    In the probe every subtask has the same number of inputs, so that rare ones are measured as well as
    frequent ones; means over the distribution weight them by $p_i$ exactly (`SubtaskMeanLoss`).

    | symbol | is |
    |---|---|
    | m | number of subtasks, ``n_tasks`` |
    | n, k | numbers of data bits, and of those that a label depends on |
    | $\alpha$ | exponent of the loss that is left when the first subtasks are learned, ``alpha`` |

    Labels are classes 0 and 1, and a network has two outputs. ``test_accuracy_large``, on the probe, counts
    all subtasks alike. Measures of subtasks have the axis ``subtask``: the rank i of its frequency, from 1.

    Attributes:
        n_tasks: m, the number of subtasks.
        n: number of data bits.
        k: number of bits of each $S_i$, 1 <= k <= n.
        alpha: $\alpha$, from -1 (all subtasks are equally frequent) on.
        subsets: number of the draw of $S_1, \dots, S_m$, the same for all members.
        n_train: number of training samples, drawn for each data seed.
        n_test: number of test samples: one fixed draw by frequency, the same for all seeds.
        probe_per_subtask: number of probe inputs of each subtask: one fixed draw.
        n_probe: follows; do not give it.

    Raises:
        InputError: if k > n, or n bits have fewer than m sets of k.

    Source: Michaud, Liu, Girit, Tegmark 2023 (arXiv 2303.13506), Section 3.1, and its official code, where
        ``alpha`` is $1 + \alpha$.

    Example:
        >>> task = MultitaskParity(n_tasks=3, n=4, k=2, alpha=0.0)
        >>> task.input_shape, [round(p, 4) for p in task.frequencies]  # 6/11, 3/11, 2/11
        ((7,), [0.5455, 0.2727, 0.1818])
        >>> len(set(task.sets)), {len(set(one)) for one in task.sets}
        (3, {2})
    """

    kind: Literal["multitask_parity"] = "multitask_parity"

    n_tasks: int = Field(default=30, ge=1, le=10_000)
    n: int = Field(default=30, ge=1, le=100_000)
    k: int = Field(default=3, ge=1)
    alpha: float = Field(default=0.4, ge=-1.0, le=10.0)
    subsets: int = Field(default=0, ge=0)
    n_train: int = Field(default=1000, ge=1, le=10**9)
    n_test: int = Field(default=1000, ge=1, le=10**9)
    probe_per_subtask: int = Field(default=100, ge=1, le=10**6)
    # follows from n_tasks and probe_per_subtask; not written to specs
    n_probe: int = Field(default=0, exclude=True, repr=False)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.k > self.n:
            raise ValueError(f"k must be at most n = {self.n}, but k = {self.k}")
        if math.comb(self.n, self.k) < self.n_tasks:
            raise ValueError(
                f"n_tasks must be at most {math.comb(self.n, self.k)}, the number of sets of {self.k} of "
                f"{self.n} bits, but n_tasks = {self.n_tasks}"
            )
        count = self.n_tasks * self.probe_per_subtask
        if self.n_probe not in (0, count):
            raise ValueError(
                f"n_probe follows from n_tasks and probe_per_subtask: {count} (got {self.n_probe}); "
                "leave it out"
            )
        object.__setattr__(self, "n_probe", count)  # frozen, but still being made here
        return self

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The control bits, then the data bits."""
        return (self.n_tasks + self.n,)

    @property
    def n_outputs(self) -> int:
        """Two: one per class."""
        return 2

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """``subtask``: ranks by frequency, from 1."""
        return {"subtask": tuple(range(1, self.n_tasks + 1))}

    @property
    def frequencies(self) -> tuple[float, ...]:
        """p_1, ..., p_m; they add up to 1."""
        weights = np.arange(1, self.n_tasks + 1, dtype=np.float64) ** -(1 + self.alpha)
        return tuple((weights / weights.sum()).tolist())

    @property
    def sets(self) -> tuple[tuple[int, ...], ...]:
        """S_1, ..., S_m: the hidden data bits of each subtask, numbered from 0, sorted; no set twice."""
        return _draw_sets(self.n_tasks, self.n, self.k, self.subsets)

    def value(self, subtask: jax.Array, bits: jax.Array) -> jax.Array:
        """The labels of data bits [sample, n], given the subtasks [sample], from 0: int32."""
        import jax.numpy as jnp

        chosen = jnp.take_along_axis(bits, jnp.asarray(self.sets, jnp.int32)[subtask], axis=1)
        return jnp.sum(chosen, axis=1, dtype=jnp.int32) % 2

    def shared_data(self) -> dict[str, jax.Array]:
        """The test inputs, drawn by frequency, and the probe, with as many inputs of every subtask."""
        import jax
        import jax.numpy as jnp

        test_x, test_y = self.sample(jax.random.key(_TEST_KEY), self.n_test)
        subtask = jnp.repeat(jnp.arange(self.n_tasks, dtype=jnp.int32), self.probe_per_subtask)
        probe_x, probe_y = self._labelled(subtask, jax.random.key(_PROBE_KEY))
        return {"test_x": test_x, "test_y": test_y, "probe_x": probe_x, "probe_y": probe_y}

    def member_data(self, data_key: jax.Array, noise_key: jax.Array) -> dict[str, jax.Array]:
        """The training set."""
        del noise_key
        x, y = self.sample(data_key, self.n_train)
        return {"train_x": x, "train_y": y}

    def sample(self, key: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
        """New samples: subtasks by frequency, uniform data bits."""
        import jax
        import jax.numpy as jnp

        subtask_key, bits_key = jax.random.split(key)
        at = jax.random.uniform(subtask_key, (count,), jnp.float32)
        ends = jnp.asarray(np.cumsum(self.frequencies)[:-1], jnp.float32)
        return self._labelled(jnp.searchsorted(ends, at, side="right").astype(jnp.int32), bits_key)

    def _labelled(self, subtask: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Inputs with these subtasks [sample], from 0, and their labels."""
        import jax
        import jax.numpy as jnp

        bits = jax.random.bits(key, (len(subtask), self.n), "uint8") & 1
        control = jax.nn.one_hot(subtask, self.n_tasks)
        return jnp.concatenate([control, bits.astype(control.dtype)], axis=1), self.value(subtask, bits)

    def facts(self) -> dict[str, Any]:
        """``subsets``: the hidden data bits of each subtask; ``frequencies``."""
        return {"subsets": [list(one) for one in self.sets], "frequencies": list(self.frequencies)}


@functools.lru_cache(maxsize=32)
def _draw_sets(count: int, n: int, k: int, number: int) -> tuple[tuple[int, ...], ...]:
    """Different sets of k of n bits, uniform; the first ones do not depend on how many are drawn."""
    source = random.Random(number)  # random() is the same in every version of Python
    found: dict[tuple[int, ...], None] = {}
    while len(found) < count:
        bits = list(range(n))
        for i in range(k):
            j = i + int(source.random() * (n - i))
            bits[i], bits[j] = bits[j], bits[i]
        found[tuple(sorted(bits[:k]))] = None
    return tuple(found)
