"""Accuracy and loss of each subtask, and the loss of the whole weighted by frequency."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from grokscope.measures._measure import Measure
from grokscope.measures.needs import PREDICTIONS, SUBTASKS

if TYPE_CHECKING:
    import jax

    from grokscope.measures._point import Point

__all__ = ["SubtaskAccuracy", "SubtaskLoss", "SubtaskMeanLoss"]


def _by_subtask(point: Point, split: str, values: jax.Array) -> jax.Array:
    """The mean of values [sample] over the samples of each subtask; NaN without samples; [subtask]."""
    import jax.numpy as jnp

    control = point.split(split).x[:, : len(point.facts["frequencies"])]
    return jnp.sum(control * values[:, None], axis=0) / jnp.sum(control, axis=0)


def _bits(point: Point, split: str) -> jax.Array:
    def make() -> jax.Array:
        losses = point.loss.per_sample(point.outputs(split), point.split(split).y)
        return _by_subtask(point, split, losses) / math.log(2)

    return point.cached(f"subtask loss {split}", make)


class _OfSubtask(Measure):
    dims = ("subtask",)

    split: Literal["probe", "train"] = "probe"

    @property
    def name(self) -> str:
        """The kind, with ``_train`` for the training split."""
        return self.kind + ("" if self.split == "probe" else "_train")


class SubtaskAccuracy(_OfSubtask):
    """Accuracy on each subtask; [subtask].

    Attributes:
        split: ``probe``, with the same number of inputs of every subtask, or ``train``, with as many as were
            drawn (NaN for a subtask without a sample). With ``train`` the name of the stored result is
            ``subtask_accuracy_train``.

    Source: Michaud et al. 2023 (arXiv 2303.13506), Figure 2 (there the loss).

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses.cross_entropy import CrossEntropy
        >>> from grokscope.measures import Point
        >>> from grokscope.tasks.multitask_parity import MultitaskParity
        >>> task = MultitaskParity(n_tasks=2, n=3, k=1, probe_per_subtask=4)
        >>> point = Point(lambda x: jnp.zeros((len(x), 2)), task.shared_data(), CrossEntropy(), task=task)
        >>> [round(float(loss), 6) for loss in SubtaskLoss()(point)]  # equal outputs are one bit
        [1.0, 1.0]
        >>> SubtaskAccuracy()(point).shape
        (2,)
    """

    kind: Literal["subtask_accuracy"] = "subtask_accuracy"
    needs = (PREDICTIONS, SUBTASKS)

    def __call__(self, point: Point) -> jax.Array:
        """The mean over the samples of each subtask."""
        import jax.numpy as jnp

        outputs = point.outputs(self.split)
        right = jnp.argmax(outputs, axis=1) == point.split(self.split).y
        return _by_subtask(point, self.split, right.astype(outputs.dtype))


class SubtaskLoss(_OfSubtask):
    r"""Mean loss on each subtask, in bits: the experiment's loss over $\ln 2$; [subtask].

    A network that gives both classes the same probability has 1 bit.

    Attributes:
        split: ``probe`` or ``train``, as of `SubtaskAccuracy` (NaN for a subtask without a sample).

    Source: Michaud et al. 2023 (arXiv 2303.13506), Figure 2.
    """

    kind: Literal["subtask_loss"] = "subtask_loss"
    unit = "bits"
    needs = (SUBTASKS,)

    def __call__(self, point: Point) -> jax.Array:
        """The mean over the samples of each subtask."""
        return _bits(point, self.split)


class SubtaskMeanLoss(Measure):
    r"""Loss over the task's distribution, in bits: $\sum_i p_i L_i$ with $L_i$ of `SubtaskLoss`.

    The weights are the exact frequencies. In a sample drawn by frequency the rarest subtasks have few inputs
    or none; here all of them count.

    Source: Michaud et al. 2023 (arXiv 2303.13506), Figure 2; the exact weights are ours.
    """

    kind: Literal["subtask_mean_loss"] = "subtask_mean_loss"
    unit = "bits"
    needs = (SUBTASKS,)

    def __call__(self, point: Point) -> jax.Array:
        """The weighted sum."""
        import jax.numpy as jnp

        losses = _bits(point, "probe")
        return jnp.sum(point.facts["frequencies"].astype(losses.dtype) * losses)
