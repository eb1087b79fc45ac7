"""Check users' parts before a program is compiled: shapes and types of what their methods return."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NoReturn

import jax
import jax.numpy as jnp

from grokscope.learners import Batch, State
from grokscope.measures import Measure, Point
from grokscope.measures.needs import BATCH, FINAL_NETWORK, INITIAL_NETWORK
from grokscope.spec.axes import SUBNETWORK_LABELS
from grokscope.spec.code import is_own
from grokscope.spec.faults import calling, fault
from grokscope.spec.parts import Part
from grokscope.tasks import Task
from grokscope.training.loop import as_precision
from grokscope.training.sources import source_of

if TYPE_CHECKING:
    from grokscope.experiment import Experiment

__all__ = ["check_parts"]


def check_parts(experiment: Experiment, measures: tuple[Measure, ...] = ()) -> None:
    """Check the parts of an experiment that are not built in, on shapes alone; nothing is computed.

    Args:
        experiment: the experiment.
        measures: the measures that will be taken.

    Raises:
        PartError: naming the part, its file and method, and what it returns instead of what.
    """
    names = ("task", "model", "loss", "penalty", "optimizer", "learner")
    parts = tuple(getattr(experiment, name) for name in names)
    if not all(map(is_own, (*parts, *measures))):
        hashable: Any = experiment  # frozen, which a type checker cannot see
        _check(hashable, tuple(measure for measure in measures if not is_own(measure)))


@functools.lru_cache(maxsize=16)
def _check(experiment: Experiment, measures: tuple[Measure, ...]) -> None:
    data = _data(experiment)
    network = _network(experiment, data)
    if experiment.learner.trains:
        _check_optimizer(experiment, network)
        _check_penalty(experiment, network)
        network = _check_learner(experiment, data)
    for measure in measures:
        _check_measure(experiment, measure, network, data)


def _shown(leaf: Any) -> str:
    """A shape and type, such as ``float32[20, 3]``."""
    if not hasattr(leaf, "shape"):
        return repr(leaf)[:60]
    return f"{leaf.dtype}[{', '.join(map(str, leaf.shape))}]"


def _is_float(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.floating)


def _differ(part: Part, what: str, given: Any, wanted: str) -> NoReturn:
    raise fault(part, f"{what} must be {wanted}, not {_shown(given)}")


def _key() -> Any:
    return jax.eval_shape(lambda: jax.random.key(0))


def _data(experiment: Experiment) -> dict[str, Any]:
    """The shapes of a member's data; those of a user's task are checked."""
    task: Any = experiment.task
    with calling(task, "shared_data"):
        shared = dict(jax.eval_shape(task.shared_data))
    with calling(task, "member_data"):
        member = dict(jax.eval_shape(task.member_data, _key(), _key()))
    data = shared | member
    if not is_own(task):
        for split in ("train", "test"):
            for name in (f"{split}_x", f"{split}_y"):
                if name not in data:
                    given = ", ".join(data) or "nothing"
                    raise fault(task, f"shared_data and member_data must give {name}; they give {given}")
            _check_samples(task, split, getattr(task, f"n_{split}", None), data)
    return jax.eval_shape(lambda: as_precision(_zeros(data), experiment.precision))


def _zeros(shapes: dict[str, Any]) -> dict[str, Any]:
    return {name: jnp.zeros(leaf.shape, leaf.dtype) for name, leaf in shapes.items()}


def _check_samples(task: Task, split: str, count: int | None, data: dict[str, Any]) -> None:
    x, y = data[f"{split}_x"], data[f"{split}_y"]
    rows = x.shape[0] if count is None and x.shape else count
    if x.shape != (rows, *task.input_shape):
        _differ(task, f"{split}_x", x, f"an array of shape {(rows, *task.input_shape)}")
    vector = (task.n_outputs,) if task.label_kind == "real" and task.n_outputs > 1 else ()
    kind = "integers" if task.label_kind == "class" else "floats"
    if y.shape != (rows, *vector) or _is_float(y) != (kind == "floats"):
        _differ(task, f"{split}_y", y, f"{kind} of shape {(rows, *vector)}")


def _outputs(experiment: Experiment, part: Part, what: str, network: Any, x: Any) -> Any:
    """The outputs of a network on inputs, of the right shape."""
    if not callable(network):
        raise fault(part, f"{what} must give a function of the inputs, not {type(network).__name__}")
    with calling(part, f"calling what {what} gives"):
        f = jax.eval_shape(lambda network, x: network(x), network, x)
    wanted = x.shape[:1] if experiment.task.n_outputs == 1 else (x.shape[0], experiment.task.n_outputs)
    if getattr(f, "shape", None) != wanted or not _is_float(f):
        _differ(
            part, f"the output for {x.shape[0]} inputs of what {what} gives", f, f"floats of shape {wanted}"
        )
    return f


def _network(experiment: Experiment, data: dict[str, Any]) -> Any:
    """The network of the model, if the learner uses one; a user's is checked."""
    task: Any = experiment.task
    model: Any = experiment.model
    if not experiment.learner.uses_model:
        return None
    with calling(model, "network"):
        network = jax.eval_shape(lambda key: model.network(key, task.input_shape, task.n_outputs), _key())
    if not is_own(model):
        _outputs(experiment, model, "network", network, data["train_x"])
    return network


def _check_penalty(experiment: Experiment, network: Any) -> None:
    penalty: Any = experiment.penalty
    if is_own(penalty) or network is None:
        return
    with calling(penalty, "the penalty"):
        value = jax.eval_shape(penalty, network)
    if getattr(value, "shape", None) != () or not _is_float(value):
        _differ(penalty, "its value", value, "a scalar float")


def _check_optimizer(experiment: Experiment, network: Any) -> None:
    optimizer: Any = experiment.optimizer
    if is_own(optimizer) or network is None or not experiment.learner.uses_optimizer:
        return
    with calling(optimizer, "transform"):
        transform = optimizer.transform(experiment.n_steps)
    if not (hasattr(transform, "init") and hasattr(transform, "update")):
        kind = type(transform).__name__
        raise fault(optimizer, f"transform must return an optax transformation, not {kind}")
    with calling(optimizer, "init of its transform"):
        state = jax.eval_shape(transform.init, network)
    with calling(optimizer, "update of its transform"):
        updates, after = jax.eval_shape(transform.update, network, state, network)
    _check_same(optimizer, "the updates", updates, "the parameters are", network)
    _check_same(optimizer, "its state after an update", after, "before it is", state)


def _check_same(part: Part, what: str, after: Any, before_is: str, before: Any) -> None:
    """Raise unless two trees have the same structure, shapes and types."""
    one, other = (jax.tree_util.tree_flatten_with_path(tree) for tree in (before, after))
    if one[1] != other[1]:
        raise fault(part, f"{what} has another structure than {before_is.removesuffix(' is')} it had")
    for (path, leaf), (_, later) in zip(one[0], other[0], strict=True):
        if leaf.shape != later.shape or leaf.dtype != later.dtype:
            name = jax.tree_util.keystr(path, simple=True, separator=".")
            raise fault(part, f"{what}: {name} is {_shown(later)}, and {before_is} {_shown(leaf)}")


def _check_learner(experiment: Experiment, data: dict[str, Any]) -> Any:
    """Check the learner with the loss; returns its predictor."""
    learner: Any = experiment.learner
    loss: Any = experiment.loss
    with calling(learner, "init"):
        state: Any = jax.eval_shape(lambda key, data: learner.init(experiment, key, data), _key(), data)
    if not isinstance(state, State):
        raise fault(learner, f"init must return a State, not {type(state).__name__}")
    with calling(learner, "predictor"):
        predictor = jax.eval_shape(learner.predictor, state)
    batch = _batch(experiment, data)
    outputs = _outputs(experiment, learner, "predictor", predictor, batch.x)
    with calling(loss, "per_sample"):
        each = jax.eval_shape(loss.per_sample, outputs, batch.y)
    if getattr(each, "shape", None) != batch.x.shape[:1] or not _is_float(each):
        _differ(loss, "per_sample", each, f"one float per sample, of shape {batch.x.shape[:1]}")
    step = jax.ShapeDtypeStruct((), jnp.int32)
    with calling(learner, "update"):
        result: Any = jax.eval_shape(
            lambda state, batch, key, step: learner.update(experiment, state, batch, key, step),
            state,
            batch,
            _key(),
            step,
        )
    if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[0], State):
        raise fault(learner, "update must return a State and the loss of the batch")
    _check_same(learner, "the state after update", result[0], "after init is", state)
    if getattr(result[1], "shape", None) != () or not _is_float(result[1]):
        _differ(learner, "the loss that update returns", result[1], "a scalar float")
    return predictor


def _batch(experiment: Experiment, data: dict[str, Any]) -> Batch:
    """The shapes of a batch; the new samples of a user's task are checked."""
    task: Any = experiment.task
    if experiment.online and not is_own(task):
        count = int(experiment.batch_size)
        with calling(task, "sample"):
            x, y = jax.eval_shape(lambda key: task.sample(key, count), _key())
        _check_samples(task, "fresh", count, {"fresh_x": x, "fresh_y": y})
    source = source_of(experiment)

    def draw(key: Any, step: Any, data: dict[str, Any]) -> Batch:
        return source.batch(source.start(key, step), data, key, step)[0]

    with calling(task, "sample"):
        batch: Any = jax.eval_shape(draw, _key(), jax.ShapeDtypeStruct((), jnp.int32), data)
    return batch


def _check_measure(experiment: Experiment, measure: Measure, network: Any, data: dict[str, Any]) -> None:
    follows: dict[str, Any] = {}
    if measure.pace.startswith("follow"):
        shape = (len(SUBNETWORK_LABELS), experiment.model.n_neurons)
        follows["subnetworks"] = jax.ShapeDtypeStruct(shape, bool)
        if "frequency" in experiment.axes:
            shape = (2, len(experiment.axes["frequency"]))
            follows["final_spectra"] = jax.ShapeDtypeStruct(shape, experiment.precision)

    def take(network: Any, data: Any, batch: Any, follows: Any) -> Any:
        point = Point(
            network,
            data,
            experiment.loss,
            **follows,
            task=experiment.task,
            initial=network if INITIAL_NETWORK in measure.needs else None,
            final=network if FINAL_NETWORK in measure.needs else None,
            batch=None if follows or BATCH not in measure.needs else lambda: batch,
        )
        return measure(point)

    batch = _batch(experiment, data) if experiment.learner.trains else None
    with calling(measure, "the measure"):
        result: Any = jax.eval_shape(take, network, data, batch, follows)
    wanted = measure.shape(experiment)
    allowed = (jnp.dtype(experiment.precision), jnp.dtype("int32"))
    if getattr(result, "shape", None) != wanted or result.dtype not in allowed:
        _differ(measure, "the result", result, f"{experiment.precision} or int32 of shape {wanted}")
