"""What is the same for all networks of an import: found out from the first one, the spec and the data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.interop._asked import Asked, task_of
from grokscope.interop._layouts import model_of_map, recognize
from grokscope.interop._map import Entry, WeightMap, spoken_shapes
from grokscope.interop._module import activation_of
from grokscope.interop._recognized import Recognized
from grokscope.interop._tensors import Tensors
from grokscope.spec.parts import Part

if TYPE_CHECKING:
    from grokscope.tasks import Task

__all__ = ["Maker"]

_LAYOUTS = (
    "Without a map these are recognized: linear1/linear2, a plain nn.Sequential of nn.Linear layers with an "
    "activation between each two, the transformer of Nanda et al., and what grokscope exports. For all else "
    "give a map (--map FILE.toml)."
)


@dataclass(frozen=True)
class Maker:
    """What is the same for all networks of an import.

    Attributes:
        asked, task, model, precision: what makes the experiment.
        weights: how our arrays are made of theirs.
        first: the first network, which the others are like.
        layout: in words.
        shapes: of our arrays.
        reads_tokens: whether inputs are token numbers.
        notes: what was assumed, for people.
    """

    asked: Asked
    task: Task
    model: Any
    precision: str
    weights: WeightMap
    first: Tensors
    layout: str
    shapes: dict[str, tuple[int, ...]]
    reads_tokens: bool = False
    notes: list[str] = field(default_factory=list[str])

    @classmethod
    def of(
        cls,
        asked: Asked,
        data: Mapping[str, np.ndarray],
        where: str,
        first: Tensors,
        weights: WeightMap | None,
        module: Any = None,
    ) -> Maker:
        """Find out from the first network, the spec and the data what is imported."""
        if weights is None:
            found = recognize(first.shapes)
        else:
            found = Recognized("map", model_of_map(weights, first.shapes), weights)
        activation = activation_of(module) if found is not None and found.model else None
        model = asked.model(found, {"activation": activation} if activation else {})
        n_outputs, n_tokens = _n_outputs(found, first), None if found is None else found.tokens
        task = task_of(asked, data, n_outputs, n_tokens, where)
        found = found if found is None else found.fitted(task.n_outputs)
        if model is None:
            raise InputError(_unknown(first, weights, None))
        given = asked.table.get("precision")
        precision = first.precision if given is None else str(given)
        experiment = asked.experiment(task, model, first.precision, [0])
        from grokscope.runs.networks import network_shapes

        shapes = network_shapes(experiment)
        if found is None:
            if set(shapes) != set(first.shapes):
                raise InputError(_unknown(first, None, shapes))
            entries = {name: Entry((name,)) for name in shapes}
            found = Recognized("grokscope's own", {}, WeightMap(entries, label="grokscope's own layout"))
        found.weights.check(first, shapes)
        model = experiment.model
        made = cls(
            asked, task, model, precision, found.weights, first, found.name, shapes, n_tokens is not None
        )
        made.notes.extend(_assumed(asked, experiment, has_data=bool(data), knows_activation=bool(activation)))
        return made

    def experiment(self, steps: list[int]) -> Experiment:
        """The experiment of networks at these steps."""
        return self.asked.experiment(self.task, self.model, self.precision, steps)

    def leaves(self, tensors: Tensors) -> dict[str, np.ndarray]:
        """Our arrays of one network."""
        if tensors is not self.first:
            self.weights.check(tensors, self.shapes, like=self.first)
        if tensors.precision == "float64" and self.precision == "float32":
            raise InputError(f"{tensors.label}: has float64 weights, unlike {self.first.label}.")
        return self.weights.take(tensors, self.shapes, self.precision)


def _assumed(
    asked: Asked, experiment: Experiment, *, has_data: bool, knows_activation: bool
) -> Iterator[str]:
    """What neither the weights nor the spec say."""
    import jax

    table, task, model = asked.table, experiment.task, experiment.model
    key = jax.random.key(0)
    if not has_data and jax.eval_shape(task.member_data, key, key):
        yield (
            f"no data were given: measured on the samples that task '{task.kind}' draws for the seed; if the "
            "networks were trained on others, give those as data."
        )
    given = table.get("model")
    stated = isinstance(given, Part) or (isinstance(given, Mapping) and "activation" in given)
    if (activation := getattr(model, "activation", None)) and not stated and not knows_activation:
        yield f"activation {activation} is assumed (model.activation): state dicts do not tell."
    if "loss" not in table:
        yield f"loss {experiment.loss.kind} is assumed; train_loss and test_loss are of that one."


def _n_outputs(found: Recognized | None, tensors: Tensors) -> int | None:
    """The outputs of a network whose layout is known."""
    if found is None or "output_weight" not in found.weights.entries:
        return None
    try:
        shape = found.weights.entries["output_weight"].shape(tensors.shapes)
    except (KeyError, ValueError):  # said later, with what was expected
        return None
    return None if shape is None else shape[1] if len(shape) == 2 else 1


def _unknown(first: Tensors, weights: WeightMap | None, shapes: dict[str, tuple[int, ...]] | None) -> str:
    found = f"Found: {spoken_shapes(first.shapes) or 'nothing'}."
    if weights is not None:
        return f"{weights.label}: which model is it? Give a spec with a [model]. {found}"
    expected = "" if shapes is None else f" Expected: {spoken_shapes(shapes)}."
    return f"{first.label}: its names are not of a layout that is known. {found}{expected} {_LAYOUTS}"
