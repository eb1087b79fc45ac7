"""Accuracy on groups of training samples: those with the task's own labels, and those with drawn labels.

For tasks that can have random or noisy labels and say of each training sample whether its label was drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from grokscope.measures._measure import Measure
from grokscope.measures.accuracy import accuracy_of
from grokscope.measures.needs import GROUPS, PREDICTIONS, TRAIN_SPLIT

if TYPE_CHECKING:
    import jax

    from grokscope.measures._point import Point

__all__ = ["GroupAccuracy", "GroupTrueAccuracy", "GroupWrongShare", "groups_of"]


def groups_of(point: Point) -> jax.Array:
    """Whether each training sample is in each group, [group, sample]."""
    import jax.numpy as jnp

    codes = point.facts["train_group"]
    assert point.task is not None  # it gave the facts
    return codes == jnp.arange(len(point.task.axes["group"]), dtype=codes.dtype)[:, None]


class _OfGroups(Measure):
    dims = ("group",)
    default = False


class _Accuracy(_OfGroups):
    needs = (GROUPS, PREDICTIONS, TRAIN_SPLIT)

    def _against(self, point: Point, labels: jax.Array) -> jax.Array:
        import jax.numpy as jnp

        f = point.outputs("train")
        return jnp.stack([accuracy_of(f, labels, group) for group in groups_of(point)])


class GroupAccuracy(_Accuracy):
    r"""Accuracy on each group of training samples, against the labels that are learned; [group].

    $\#\{i \in G : \hat y(x_i) = y_i\} / |G|$ with $\hat y$ the prediction (`TrainAccuracy`), $y_i$ the label,
    drawn or not, and G the samples of a group: ``clean`` (the label is the task's) or ``corrupted`` (it was
    drawn, and is the true one by chance). NaN for a group without samples.

    Source: the split accuracies of Doshi et al. 2023 (arXiv 2310.13061), Figure 6.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import Squared
        >>> from grokscope.measures import Point
        >>> from grokscope.tasks.modular_operator import ModularOperator
        >>> task = ModularOperator(p=2, operator_token=False, equals_token=False)
        >>> x = jnp.eye(2)[jnp.array([[0, 1], [1, 1]])]  # 0 + 1 = 1, 1 + 1 = 0
        >>> data = {"train_x": x, "train_y": jnp.array([1, 1]), "train_group": jnp.array([0, 1])}
        >>> point = Point(lambda x: jnp.array([[0.0, 1.0]] * 2), data, Squared(), task=task)  # it says 1, 1
        >>> GroupAccuracy()(point).tolist(), GroupTrueAccuracy()(point).tolist()
        ([1.0, 1.0], [1.0, 0.0])
    """

    kind: Literal["group_accuracy"] = "group_accuracy"

    def __call__(self, point: Point) -> jax.Array:
        """The share of predictions that are the label."""
        return self._against(point, point.split("train").y)


class GroupTrueAccuracy(_Accuracy):
    """Accuracy on each group of training samples, against the true labels; [group].

    Defined as `GroupAccuracy`, with the label that the task gives to the input in place of the one that is
    learned: on corrupted samples it says how far the network undoes the corruption. NaN for a group without
    samples.

    Source: Doshi et al. 2023 (arXiv 2310.13061), Section 3 ("inversion").
    """

    kind: Literal["group_true_accuracy"] = "group_true_accuracy"

    def __call__(self, point: Point) -> jax.Array:
        """The share of predictions that are the true label."""
        return self._against(point, point.facts["true_labels"])


class GroupWrongShare(_OfGroups):
    """Share of each group's labels that are not the true ones; [group].

    A label that is drawn uniformly from p classes is the true one with probability 1/p, so the share is about
    1 - 1/p in the group ``corrupted``, and 0 in ``clean``. It depends only on the data and is constant over
    steps. NaN for a group without samples.
    """

    kind: Literal["group_wrong_share"] = "group_wrong_share"
    needs = (GROUPS, TRAIN_SPLIT)

    def __call__(self, point: Point) -> jax.Array:
        """The share of labels that are wrong."""
        import jax.numpy as jnp

        groups, dtype = groups_of(point), point.data["train_x"].dtype
        wrong = jnp.sum(groups & point.facts["wrong_labels"], axis=1, dtype=dtype)
        return wrong / jnp.sum(groups, axis=1, dtype=dtype)
