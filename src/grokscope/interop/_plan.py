"""The plan of an import: experiment, weight map and shapes, from the spec, the data and the first network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from grokscope.errors import InputError, said
from grokscope.experiment import Experiment
from grokscope.interop._data import choose_task
from grokscope.interop._layouts import LayoutMatch, model_of_map, recognize
from grokscope.interop._tensors import Tensors
from grokscope.interop._torch import activation_of
from grokscope.interop._weight_map import MapEntry, WeightMap, shapes_text
from grokscope.models.transformer import Transformer
from grokscope.runs.imported import at_steps
from grokscope.spec.parts import Part, looking_in, part_of
from grokscope.spec.toml import read_toml
from grokscope.tasks import Task

__all__ = ["ImportPlan", "PartialSpec", "UnknownLayoutError"]

_TRANSFORMERS = {"transformer", "nanda_transformer", "power_transformer"}  # one model with other defaults
_LOSSES = {"sign": "hinge", "class": "cross_entropy", "real": "squared"}
_MAX_TOML_BYTES = 2**24
_KNOWN_LAYOUTS = (
    "Known layouts: nn.Linear layers that follow each other (as in nn.Sequential, linear1/linear2, fc1/fc2), "
    "two of them after an nn.Embedding, the transformers of Nanda et al. and of TransformerLens, and what "
    "grokscope exports. For any other layout give a map ({map}); {write} writes one to start from."
)


class UnknownLayoutError(InputError):
    """No layout fits the names of the tensors.

    Attributes:
        tensors: the tensors.
        wanted: shapes of our arrays, by the spec's model or, without one, those of one hidden layer.
    """

    def __init__(self, text: str, tensors: Tensors, wanted: Mapping[str, tuple[int, ...]]) -> None:
        super().__init__(text)
        self.tensors = tensors
        self.wanted = wanted


@dataclass(frozen=True)
class PartialSpec:
    """A spec in which every key is optional.

    Attributes:
        table: the keys and tables (or parts) that are given.
        folder: the folder of the spec file, which relative paths in the spec start from.
    """

    table: dict[str, Any] = field(default_factory=dict[str, Any])
    folder: Path = Path()

    @classmethod
    def read(cls, spec: str | Path | Mapping[str, Any] | Experiment | Task | None) -> PartialSpec:
        """Read a spec file, a table of an experiment or a task, an experiment, a task, or nothing.

        Raises:
            InputError: if a file cannot be read or is not TOML.
        """
        if spec is None:
            return cls()
        if isinstance(spec, Experiment):
            return cls({name: getattr(spec, name) for name in spec.model_fields_set})
        if isinstance(spec, Task):
            return cls({"task": spec})
        if isinstance(spec, Mapping):
            return cls(_with_task(dict(spec)))
        file = Path(spec)
        if file.is_file() and (size := file.stat().st_size) > _MAX_TOML_BYTES:
            raise InputError(f"{file}: has {size} bytes, too many for a spec.")
        return cls(_with_task(read_toml(file)), file.parent)

    @property
    def task(self) -> Task | None:
        """The task, or None."""
        given = self.table.get("task")
        if given is None or isinstance(given, Task):
            return given
        with looking_in(self.folder):
            return part_of("task", given if isinstance(given, str) else dict(given))

    def model(self, match: LayoutMatch | None, activation: str | None) -> Any:
        """The model: fields from the weights and the module, overridden by those of the spec; or None."""
        inferred = dict(match.model) if match is not None else {}
        if inferred and activation:
            inferred["activation"] = activation
        given = self.table.get("model")
        if isinstance(given, Part):
            return given
        if isinstance(given, str):
            given = {"kind": given}
        if given is None:
            return inferred or None
        if not isinstance(given, Mapping):
            raise InputError("model: must be a table.")
        kinds = {inferred.get("kind"), given.get("kind", inferred.get("kind"))}
        if len(kinds) == 1 or kinds <= _TRANSFORMERS:
            return {**inferred, **given}
        return dict(given)

    def experiment(self, task: Task, model: Any, precision: str, steps: list[int]) -> Experiment:
        """The experiment of imported networks at these steps.

        Raises:
            InputError: naming the key of the spec that does not fit.
        """
        replaced = ("epochs", "steps", "schedule", "learner", "task")
        given = {key: value for key, value in self.table.items() if key not in replaced}
        if given.get("precision", precision) == "float32" and precision == "float64":
            raise InputError(
                "precision: the weights are float64; set precision = 'float64', or leave it out."
            )
        table: dict[str, Any] = {
            "precision": precision,
            "loss": _LOSSES[task.label_kind],
            **given,
            "task": task,
            "model": model,
            "learner": {"kind": "imported"},
            **at_steps(steps),
        }
        return Experiment(**table)


def _with_task(table: dict[str, Any]) -> dict[str, Any]:
    """Turn the table of a task alone into that of a spec."""
    return {"task": table} if "kind" in table and "task" not in table else table


@dataclass(frozen=True)
class ImportPlan:
    """The plan of an import: values that all of its networks share.

    Attributes:
        spec, task, model, precision: determine the experiment.
        weights: how our arrays are made from the foreign tensors.
        first: the first network; the others must have the same tensors.
        layout: name of the layout.
        shapes: shapes of our arrays by name.
        reads_tokens: whether inputs are token numbers.
        notes: what was assumed, one sentence each.
        assumed: what was assumed about the forward pass, in a few words each.
        has_data: whether data were given.
    """

    spec: PartialSpec
    task: Task
    model: Any
    precision: str
    weights: WeightMap
    first: Tensors
    layout: str
    shapes: dict[str, tuple[int, ...]]
    reads_tokens: bool = False
    notes: list[str] = field(default_factory=list[str])
    assumed: tuple[str, ...] = ()
    has_data: bool = False

    @classmethod
    def make(
        cls,
        spec: PartialSpec,
        data: Mapping[str, np.ndarray],
        data_label: str,
        first: Tensors,
        weights: WeightMap | None,
        module: Any = None,
    ) -> ImportPlan:
        """Plan an import.

        Args:
            spec: the spec.
            data: training and test data, or an empty table.
            data_label: names the data in messages.
            first: the first network.
            weights: the user's map; without it the layout must be a known one.
            module: the ``nn.Module`` of the first network, if there is one.

        Raises:
            InputError: if the layout is not known, or spec, data and network contradict each other.
        """
        if weights is None:
            match = recognize(first.shapes)
        else:
            match = LayoutMatch("map", model_of_map(weights, first.shapes), weights)
        activation = activation_of(module) if match is not None and match.model else None
        model = spec.model(match, activation)
        n_tokens = None if match is None else match.tokens
        task, said_of_labels = choose_task(spec.task, data, _n_outputs(match, first), n_tokens, data_label)
        if model is None:
            wanted = _one_hidden_layer(first, math.prod(task.input_shape), task.n_outputs)
            raise UnknownLayoutError(_unknown_layout(first, weights, None), first, wanted)
        given = spec.table.get("precision")
        precision = first.precision if given is None else str(given)
        experiment = spec.experiment(task, model, first.precision, [0])
        from grokscope.runs.networks import network_shapes

        shapes = network_shapes(experiment)
        if match is None:
            if set(shapes) != set(first.shapes):
                raise UnknownLayoutError(_unknown_layout(first, None, shapes), first, shapes)
            entries = {name: MapEntry((name,)) for name in shapes}
            match = LayoutMatch("grokscope's own", {}, WeightMap(entries, label="grokscope's own layout"))
        match = match.fitted(task.input_shape, task.n_outputs, shapes)
        match.weights.check(first, shapes)
        is_checked = hasattr(module, "state_dict") and callable(module)  # by its predictions
        assumed = () if is_checked else tuple(_forward_pass(spec, experiment))
        loss = f"loss {experiment.loss.kind}"
        notes = [
            *([match.note] if match.note else []),
            *said_of_labels,
            *_assumptions(spec, experiment, bool(data)),
        ]
        if assumed:
            is_one = len(assumed) == 1
            notes.append(
                f"assumed, because state dicts do not contain {'it' if is_one else 'them'}: "
                f"{'; '.join(assumed)}."
            )
        return cls(
            spec,
            task,
            experiment.model,
            precision,
            match.weights,
            first,
            match.name,
            shapes,
            n_tokens is not None,
            notes,
            (*assumed, loss),
            bool(data),
        )

    def experiment(self, steps: list[int]) -> Experiment:
        """The experiment of the networks at these steps."""
        return self.spec.experiment(self.task, self.model, self.precision, steps)

    def leaves(self, tensors: Tensors) -> dict[str, np.ndarray]:
        """Make the arrays of one network from its tensors."""
        if tensors is not self.first:
            self.weights.check(tensors, self.shapes, like=self.first)
        if tensors.precision == "float64" and self.precision == "float32":
            raise InputError(f"{tensors.label}: has float64 weights, unlike {self.first.label}.")
        return self.weights.take(tensors, self.shapes, self.precision)


def _forward_pass(spec: PartialSpec, experiment: Experiment) -> Iterator[str]:
    """What is assumed about the forward pass because neither the weights nor the spec tell it."""
    given, model = spec.table.get("model"), experiment.model
    stated = set(given) if isinstance(given, Mapping) else set()
    if isinstance(given, Part):
        return
    if isinstance(model, Transformer):
        yield from (text for name, text in _of_transformer(model) if name not in stated)
    elif activation := getattr(model, "activation", None):
        if "activation" not in stated:
            yield f"activation {activation} (model.activation)"
        yield "none after the last layer"


def _of_transformer(model: Transformer) -> Iterator[tuple[str, str]]:
    """Each assumption about a transformer, with the key of the spec that states it."""
    yield "causal", f"{'a' if model.causal else 'no'} causal mask (model.causal)"
    mix = "a softmax" if model.softmax_weight == 1 else f"{model.softmax_weight:g} softmax + constant"
    yield (
        "softmax_weight",
        f"attention weights of {mix} (model.softmax_weight)",
    )
    yield "", "attention scores over the square root of a head's width"
    yield "activation", f"activation {model.activation} (model.activation)"
    if model.norm == "none":
        yield "norm", "no layer norm (model.norm; a folded one has no tensors)"
    if model.norm != "none":
        yield "norm_epsilon", f"layer norm with epsilon {model.norm_epsilon:g} (model.norm_epsilon)"
    yield "", "the output is at the last position"


def _assumptions(spec: PartialSpec, experiment: Experiment, has_data: bool) -> Iterator[str]:
    """Notes on settings that neither the weights nor the spec determine."""
    import jax

    table, task = spec.table, experiment.task
    key = jax.random.key(0)
    if not has_data and jax.eval_shape(task.member_data, key, key):
        yield (
            f"no data were given: measured on the samples that task '{task.kind}' draws for the seed; if the "
            "networks were trained on others, give those as data."
        )
    if "loss" not in table:
        yield f"loss {experiment.loss.kind} is assumed for train_loss and test_loss."


def _n_outputs(match: LayoutMatch | None, tensors: Tensors) -> int | None:
    """Number of outputs of a network, if its layout is known."""
    if match is None or "output_weight" not in match.weights.entries:
        return None
    try:
        shape = match.weights.entries["output_weight"].shape(tensors.shapes)
    except (KeyError, ValueError):  # `WeightMap.check` reports it with the expected shapes
        return None
    if shape is not None and match.name == "map" and 1 in shape:
        return 1  # axes of length 1 are ignored in a user's map
    return None if shape is None else shape[1] if len(shape) == 2 else 1


def _one_hidden_layer(tensors: Tensors, n_inputs: int, n_outputs: int) -> dict[str, tuple[int, ...]]:
    """Shapes of our arrays if one tensor has the inputs as an axis: those of one hidden layer."""
    first = [shape for shape in tensors.shapes.values() if len(shape) == 2 and n_inputs in shape]
    width = 0 if len(first) != 1 else first[0][1] if first[0][0] == n_inputs else first[0][0]
    outputs = () if n_outputs == 1 else (n_outputs,)
    return {
        "hidden_weight": (n_inputs, width),
        "hidden_bias": (width,),
        "output_weight": (width, *outputs),
        "output_bias": outputs,
    }


def _unknown_layout(
    first: Tensors, weights: WeightMap | None, shapes: dict[str, tuple[int, ...]] | None
) -> str:
    found = f"Found: {shapes_text(first.shapes) or 'nothing'}."
    if weights is not None:
        return f"{weights.label}: the model is not known: give a spec with a [model]. {found}"
    expected = "" if shapes is None else f" Expected: {shapes_text(shapes)}."
    known = _KNOWN_LAYOUTS.format(
        map=said(command="--map FILE.toml", python="map='FILE.toml'"),
        write=said(command="--write-map FILE.toml", python="write_map='FILE.toml'"),
    )
    return f"{first.label}: the tensor names fit no known layout. {found}{expected} {known}"
