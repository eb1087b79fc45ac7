"""Accuracy of a network from which neurons are cut in the order of a measure of neurons."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from pydantic import field_validator

from grokscope.measures._measure import Measure, MeasureField
from grokscope.measures.accuracy import accuracy_of
from grokscope.measures.groups import groups_of
from grokscope.measures.needs import HIDDEN_NEURONS, PREDICTIONS, TEST_SPLIT, TRAIN_SPLIT
from grokscope.measures.norms import NeuronNorm
from grokscope.spec.axes import PART_LABELS, PRUNING_ORDERS, PRUNING_PERCENTS, SPLIT_LABELS
from grokscope.spec.code import Code
from grokscope.spec.parts import MissingPart

if TYPE_CHECKING:
    import jax

    from grokscope.measures._point import Point
    from grokscope.spec.training_spec import TrainingSpec

__all__ = ["PrunedAccuracy"]

_RANDOM_KEY = 1_000_004  # of the random order: one draw, the same for all networks of a width


class PrunedAccuracy(Measure):
    r"""Accuracy after cutting a share of the neurons, without training; [order, percent, part].

    With neurons $o_1, o_2, \dots$ in some order, the first n are set to 0, n a percentage of the number of
    neurons, rounded; the others stay as they are. Orders: ``lowest`` (by the measure of neurons ``by``, the
    lowest value is cut first), ``highest`` (the highest first), and as a control ``random`` (one fixed
    permutation). Equal values go by index; neurons with the value NaN are cut last. Percentages: 0, 5, ...,
    100. Parts: ``train`` and ``test``, and of the training samples those with the task's label (``clean``)
    and with a drawn one (``corrupted``); the last two are NaN for a task without groups of training samples,
    and for a group without samples. At 0 % it is the accuracy (`TrainAccuracy`, `TestAccuracy`,
    `GroupAccuracy`), at 100 % that of a network without neurons. With labels $\pm 1$ it is NaN where all
    outputs are 0.

    The stored name ends with that of the measure: ``pruned_accuracy_by_neuron_norm``.

    Attributes:
        by: a measure with one value per neuron: its kind, or a table with kind and options.

    Raises:
        InputError: for a measure of another shape, or one that needs subnetworks or batches.

    Source: Doshi et al. 2023 (arXiv 2310.13061), Section 4 and Figure 6, where ``by`` is
        ``neuron_participation``; the random order is our control.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import Hinge
        >>> from grokscope.measures import Point
        >>> from grokscope.models.networks.one_hidden_layer import OneHiddenLayer
        >>> network = OneHiddenLayer(jnp.array([[3.0, 1.0]]), jnp.zeros(2), jnp.array([1.0, -1.0]))
        >>> x = jnp.array([[1.0], [2.0]])
        >>> data = {"train_x": x, "train_y": jnp.ones(2), "test_x": x, "test_y": jnp.ones(2)}
        >>> found = PrunedAccuracy()(Point(network, data, Hinge()))
        >>> found[0, ::10, 0].tolist()  # 0, 50, 100 %: without the smaller neuron it stays right
        [1.0, 1.0, nan]
        >>> found[1, ::10, 0].tolist()  # without the larger neuron it is wrong
        [1.0, 0.0, nan]
    """

    kind: Literal["pruned_accuracy"] = "pruned_accuracy"
    dims = ("order", "percent", "part")
    pace = "slow"
    default = False
    needs = (PREDICTIONS, HIDDEN_NEURONS, TRAIN_SPLIT, TEST_SPLIT)

    by: MeasureField = NeuronNorm()

    @field_validator("by", mode="after")
    @classmethod
    def _of_neurons(cls, value: Measure | MissingPart) -> Measure | MissingPart:
        if isinstance(value, MissingPart):
            return value
        if value.dims != ("neuron",) or value.pace not in ("quick", "slow"):
            raise ValueError(
                "must be a measure with one value per neuron, without subnetworks "
                f"('{value.kind}' has the axes {list(value.dims)} and is taken at pace {value.pace})"
            )
        return value

    @property
    def name(self) -> str:
        """The kind, and the name of the measure by which neurons are cut."""
        by = self.by
        return f"{self.kind}_by_{by.kind if isinstance(by, MissingPart) else by.name}"

    @property
    def code(self) -> Code | None:
        """The code of the measure of neurons, if it is the user's own."""
        return super().code or self.by.code

    def missing(self, spec: TrainingSpec) -> str | None:
        """What it lacks itself, or what the measure of neurons lacks."""
        own = super().missing(spec)
        lack = self.by.missing(spec) if own is None else None
        return f"{self.name} cuts by {lack}" if lack else own

    def __call__(self, point: Point) -> jax.Array:
        """The accuracies."""
        import jax
        import jax.numpy as jnp

        values = self.by(point)
        n = len(values)
        orders = (
            jnp.argsort(values, stable=True),
            jnp.argsort(-values, stable=True),
            jax.random.permutation(jax.random.key(_RANDOM_KEY), n),
        )
        rank = jnp.stack([jnp.zeros(n, jnp.int32).at[o].set(jnp.arange(n, dtype=jnp.int32)) for o in orders])
        labels = {name: point.split(name).y for name in SPLIT_LABELS}
        groups = groups_of(point) if "group" in getattr(point.task, "axes", {}) else ()

        def accuracies(train: jax.Array, test: jax.Array) -> jax.Array:
            found = [accuracy_of(train, labels["train"]), accuracy_of(test, labels["test"])]
            found += [accuracy_of(train, labels["train"], group) for group in groups]
            return jnp.stack(found + [jnp.full_like(found[0], math.nan)] * (len(PART_LABELS) - len(found)))

        whole = accuracies(*(point.outputs(name) for name in SPLIT_LABELS))
        cuts = jnp.asarray([round(percent * n / 100) for percent in PRUNING_PERCENTS[1:]], jnp.int32)
        kept = (rank[:, None] >= cuts[:, None]).reshape(-1, n)
        neurons = point.neurons

        def after(keep: jax.Array) -> jax.Array:
            part = point.with_network(neurons.keeping(keep))
            return accuracies(*(part.outputs(name) for name in SPLIT_LABELS))

        pruned = jax.lax.map(after, kept).reshape(len(PRUNING_ORDERS), len(cuts), -1)
        first = jnp.broadcast_to(whole, (len(PRUNING_ORDERS), 1, len(whole)))
        return jnp.concatenate([first, pruned], axis=1)
