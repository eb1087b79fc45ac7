"""Loss and accuracy on the batch of the next update: what a training script prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from grokscope.measures._measure import Measure
from grokscope.measures.needs import BATCH, PREDICTIONS

if TYPE_CHECKING:
    import jax

    from grokscope.measures._point import Point

__all__ = ["BatchAccuracy", "BatchLoss"]


class _OfBatch(Measure):
    default = False
    default_online = True


class BatchLoss(_OfBatch):
    r"""Mean loss over the batch of the next update, before it: $\frac1B \sum_i \ell(f(x_i), y_i)$.

    At step t this is the batch with which update t + 1 is made, and the network after t updates; it is the
    number that a training script prints. Online the network has never seen the batch, so the value estimates
    the population loss from B samples. Without weight decay and without interventions.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.learners import Batch
        >>> from grokscope.losses import Hinge
        >>> from grokscope.measures import Point
        >>> batch = Batch(jnp.array([0.5, -3.0]), jnp.array([1.0, 1.0]))
        >>> point = Point(lambda x: x, {}, Hinge(), batch=lambda: batch)
        >>> float(BatchLoss()(point)), float(BatchAccuracy()(point))
        (2.25, 0.5)
    """

    kind: Literal["batch_loss"] = "batch_loss"
    needs = (BATCH,)

    def __call__(self, point: Point) -> jax.Array:
        """The mean over the samples of the batch."""
        losses = point.loss.per_sample(point.batch_outputs, point.batch.y)
        return _mean(losses, point.batch.weight)


class BatchAccuracy(_OfBatch):
    """Accuracy on the batch of the next update, before it (see `BatchLoss`), defined as `TrainAccuracy`.

    NaN if all outputs are 0.
    """

    kind: Literal["batch_accuracy"] = "batch_accuracy"
    needs = (PREDICTIONS, BATCH)

    def __call__(self, point: Point) -> jax.Array:
        """The share of correct predictions."""
        import jax.numpy as jnp

        f, (_, y, weight) = point.batch_outputs, point.batch
        if f.ndim > 1:
            return _mean((jnp.argmax(f, axis=-1) == y).astype(f.dtype), weight)
        counted = (f != 0).astype(f.dtype)
        return _mean((y * f > 0).astype(f.dtype), counted if weight is None else counted * weight)


def _mean(values: jax.Array, weight: jax.Array | None) -> jax.Array:
    import jax.numpy as jnp

    return jnp.mean(values) if weight is None else jnp.sum(values * weight) / jnp.sum(weight)
