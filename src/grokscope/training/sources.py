"""Sources of batches: epochs over a finite training set, the full batch, or online samples."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax import lax

from grokscope.learners import Batch

if TYPE_CHECKING:
    from grokscope.experiment import Experiment
    from grokscope.tasks import Task

__all__ = ["EpochSource", "FullBatchSource", "OnlineSource", "Source", "source_of"]


class Source:
    """A source of batches: pure functions of (key, step), called inside jit.

    The carry between steps (such as an epoch's permutation) is a cache: `start` recomputes it at any step, so
    it is never stored.
    """

    def start(self, key: jax.Array, step: jax.Array) -> Any:
        """The carry of `batch` at a step."""
        del key, step
        return ()

    def batch(
        self, carry: Any, data: dict[str, jax.Array], key: jax.Array, step: jax.Array
    ) -> tuple[Batch, Any]:
        """The batch of update ``step`` (from 0), and the carry of the next call."""
        raise NotImplementedError


@dataclass(frozen=True)
class EpochSource(Source):
    """Epochs over a training set, reshuffled for each epoch. The last batch of an epoch may be smaller.

    Epoch e uses the permutation drawn from ``fold_in(order key, e)``. A smaller last batch is padded to
    ``batch_size`` with samples of weight 0, so that all batches have one shape.

    Attributes:
        n_train: training samples.
        batch_size: samples per batch, at most ``n_train``.
    """

    n_train: int
    batch_size: int

    @property
    def steps_per_epoch(self) -> int:
        """Batches per epoch, including a smaller last one."""
        return math.ceil(self.n_train / self.batch_size)

    def start(self, key: jax.Array, step: jax.Array) -> tuple[jax.Array, jax.Array]:
        """No permutation yet, and no epoch: `batch` draws it, so that a program has the code only once."""
        del key, step
        return jnp.zeros(self.steps_per_epoch * self.batch_size, jnp.int32), jnp.int32(-1)

    def batch(
        self,
        carry: tuple[jax.Array, jax.Array],
        data: dict[str, jax.Array],
        key: jax.Array,
        step: jax.Array,
    ) -> tuple[Batch, tuple[jax.Array, jax.Array]]:
        """The next ``batch_size`` samples of the epoch's permutation."""
        epoch, place = step // self.steps_per_epoch, step % self.steps_per_epoch
        last, drawn = carry
        permutation = lax.cond(drawn == epoch, lambda: last, lambda: self._permutation(key, epoch))
        rows = lax.dynamic_slice(permutation, (place * self.batch_size,), (self.batch_size,))
        x, y = data["train_x"][rows], data["train_y"][rows]
        weight = None
        if self.n_train % self.batch_size:
            real = place * self.batch_size + jnp.arange(self.batch_size) < self.n_train
            weight = real.astype(x.dtype if jnp.issubdtype(x.dtype, jnp.floating) else jnp.float32)
        return Batch(x, y, weight), (permutation, epoch)

    def _permutation(self, key: jax.Array, epoch: jax.Array) -> jax.Array:
        rows = jax.random.permutation(jax.random.fold_in(key, epoch), self.n_train)
        padding = self.steps_per_epoch * self.batch_size - self.n_train
        return jnp.concatenate([rows, rows[:padding]]).astype(jnp.int32)


@dataclass(frozen=True)
class FullBatchSource(Source):
    """Every batch is the whole training set."""

    def batch(
        self, carry: Any, data: dict[str, jax.Array], key: jax.Array, step: jax.Array
    ) -> tuple[Batch, Any]:
        """All training samples in stored order."""
        del key, step
        return Batch(data["train_x"], data["train_y"]), carry


@dataclass(frozen=True)
class OnlineSource(Source):
    """Every batch has new samples, drawn with the key ``fold_in(order key, step)``."""

    task: Task
    batch_size: int

    def batch(
        self, carry: Any, data: dict[str, jax.Array], key: jax.Array, step: jax.Array
    ) -> tuple[Batch, Any]:
        """``batch_size`` new samples of the task."""
        del data
        x, y = self.task.sample(jax.random.fold_in(key, step), self.batch_size)
        return Batch(x, y), carry


def source_of(experiment: Experiment) -> Source:
    """The source of an experiment. A batch size of ``n_train`` or more means the full batch."""
    if experiment.online:
        return OnlineSource(experiment.task, int(experiment.batch_size))
    if experiment.batch_size == "full" or experiment.batch_size >= experiment.task.n_train:
        return FullBatchSource()
    return EpochSource(experiment.task.n_train, int(experiment.batch_size))
