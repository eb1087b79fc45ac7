"""Sources: how a task's samples are served in batches. Finite with epochs, full batch, or online."""

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
    """Serves batches. Pure functions of (key, step), called inside jit.

    What a source carries from step to step (an epoch's permutation) is a cache: `start` makes it anew at
    any step, so it is never stored.
    """

    def start(self, key: jax.Array, step: jax.Array) -> Any:
        """What `batch` needs at a step, made from nothing."""
        del key, step
        return ()

    def batch(
        self, carry: Any, data: dict[str, jax.Array], key: jax.Array, step: jax.Array
    ) -> tuple[Batch, Any]:
        """The batch of update ``step`` (0 is the first) and what the next call needs."""
        raise NotImplementedError


@dataclass(frozen=True)
class EpochSource(Source):
    """Passes over a training set that is reshuffled for every epoch; the last batch of one may be smaller.

    Epoch e takes the permutation drawn from ``fold_in(order key, e)``. A smaller last batch is padded to
    ``batch_size`` with samples of weight 0, so that all steps are one program.

    Attributes:
        n_train: training samples.
        batch_size: samples per batch, at most ``n_train``.
    """

    n_train: int
    batch_size: int

    @property
    def steps_per_epoch(self) -> int:
        """Batches per epoch, the smaller last one included."""
        return math.ceil(self.n_train / self.batch_size)

    def start(self, key: jax.Array, step: jax.Array) -> jax.Array:
        """The permutation of the epoch in which the step lies."""
        return self._permutation(key, step // self.steps_per_epoch)

    def batch(
        self, carry: jax.Array, data: dict[str, jax.Array], key: jax.Array, step: jax.Array
    ) -> tuple[Batch, jax.Array]:
        """The next ``batch_size`` samples of the epoch's permutation."""
        epoch, place = step // self.steps_per_epoch, step % self.steps_per_epoch
        permutation = lax.cond(place == 0, lambda: self._permutation(key, epoch), lambda: carry)
        rows = lax.dynamic_slice(permutation, (place * self.batch_size,), (self.batch_size,))
        x, y = data["train_x"][rows], data["train_y"][rows]
        weight = None
        if self.n_train % self.batch_size:
            real = place * self.batch_size + jnp.arange(self.batch_size) < self.n_train
            weight = real.astype(x.dtype if jnp.issubdtype(x.dtype, jnp.floating) else jnp.float32)
        return Batch(x, y, weight), permutation

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
        """All training samples, in their order."""
        del key, step
        return Batch(data["train_x"], data["train_y"]), carry


@dataclass(frozen=True)
class OnlineSource(Source):
    """Every batch is fresh: drawn from ``fold_in(order key, step)``."""

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
    """The source an experiment asks for. A batch size of at least the training set is the full batch."""
    if experiment.online:
        return OnlineSource(experiment.task, int(experiment.batch_size))
    if experiment.batch_size == "full" or experiment.batch_size >= experiment.task.n_train:
        return FullBatchSource()
    return EpochSource(experiment.task.n_train, int(experiment.batch_size))
