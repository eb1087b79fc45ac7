"""The conformance check for measures: call `check_measure` on a measure of your own."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from grokscope.learners import Batch
from grokscope.learners.gradient import Gradient
from grokscope.learners.recursive_features import RecursiveFeatures
from grokscope.losses import CrossEntropy, Hinge, Logistic, Squared
from grokscope.measures._measure import Measure, Pace
from grokscope.measures.needs import BATCH, FINAL_NETWORK, INITIAL_NETWORK, Need
from grokscope.models.committee import Committee
from grokscope.models.fully_connected import FullyConnected
from grokscope.models.linear import LinearModel
from grokscope.models.none import NoModel
from grokscope.models.one_hot_mlp import OneHotMLP
from grokscope.models.transformer import Transformer
from grokscope.optimizers import SGD
from grokscope.spec.axes import SPLIT_LABELS, SUBNETWORK_LABELS
from grokscope.spec.checking import Checker, SmallSpec, is_one_line, same_numbers
from grokscope.spec.code import is_own
from grokscope.spec.parts import Part, kinds, lookup
from grokscope.tasks import Task
from grokscope.tasks.constant_label import ConstantLabel
from grokscope.tasks.gaussian_teacher import GaussianTeacher
from grokscope.tasks.modular_operator import ModularOperator
from grokscope.tasks.multitask_parity import MultitaskParity
from grokscope.tasks.permutation_operator import PermutationOperator
from grokscope.tasks.sparse_parity import SparseParity

if TYPE_CHECKING:
    import jax

    from grokscope.measures._point import Point
    from grokscope.spec.training_spec import TrainingSpec

__all__ = ["check_measure"]

_N_MEMBERS = 3
_drawn: dict[str, tuple[Any, ...]] = {}
_crowded: dict[tuple[Any, ...], Point] = {}


class _Classes(Task):
    """A task with classes, real inputs and only a training split. Not registered: its kind has no default."""

    kind: Literal["classes"]
    n_train: int = 8

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (3, 5)

    @property
    def n_outputs(self) -> int:
        return 5


def check_measure(measure: type[Measure] | Measure, experiment: TrainingSpec | None = None) -> None:
    """Check that a measure keeps the contract of `Measure`, on small random networks.

    Declarations: a registered kind, a docstring, a pace, axes of known size, a name. Result: the declared
    shape; the float type of the network, or int32; no infinity, and NaN only if the docstring says "NaN".
    Purity: the same bits in a second call; the same numbers under jit, vmap and ``lax.map``, and after all
    other measures of the same point. `missing` returns None or one line, and raises nothing.

    Args:
        measure: the class (made with its defaults), or an instance.
        experiment: the experiment to measure on. By default the first one to which the measure applies: a
            small sparse parity with a one-hidden-layer network, a small addition with a transformer, or with
            a network on one-hot pairs, such a network on permutations, a small multitask parity, such pairs
            with a kernel machine or with batch normalization, a linear model of a teacher or of one label, or
            a committee machine of a quadratic teacher.

    Raises:
        AssertionError: naming the measure and the violation, in one line.

    Example:
        >>> from grokscope.measures.accuracy import TrainAccuracy
        >>> check_measure(TrainAccuracy)
    """
    made = _made(measure) if isinstance(measure, type) else measure
    if experiment is None:
        small = (_small_parity(), _small_addition(), _small_pairs(), _small_group())
        small = (*small, _small_subtasks(), _small_kernel(), _small_normalized(), _small_teacher())
        small = (*small, _small_label(), _small_committee())
        experiment = next((spec for spec in small if made.missing(spec) is None), small[1])
    _check_declarations(made)
    _check_missing(made, experiment)
    _check_results(made, experiment)


def _require(holds: object, measure: Measure, fault: str) -> None:
    Checker(f"measure '{measure.kind}'")(holds, fault)


def _small_parity() -> SmallSpec:
    task = SparseParity(n=6, k=2, n_train=12, n_test=10, n_probe=14)
    return SmallSpec(task, FullyConnected(width=8), Hinge(), SGD(), Gradient())


def _small_addition() -> SmallSpec:
    task = ModularOperator(operator="addition", p=5, operator_token=False)
    return SmallSpec(task, Transformer(width=8, heads=2, mlp_width=6), CrossEntropy(), SGD(), Gradient())


def _small_pairs() -> SmallSpec:
    task = ModularOperator(operator="addition", p=5, operator_token=False, equals_token=False)
    return SmallSpec(task, OneHotMLP(widths=(7,)), Squared(), SGD(), Gradient())


def _small_group() -> SmallSpec:
    task = PermutationOperator(degree=3, operator_token=False, equals_token=False)
    return SmallSpec(task, OneHotMLP(widths=(7,)), Squared(), SGD(), Gradient())


def _small_subtasks() -> SmallSpec:
    task = MultitaskParity(n_tasks=3, n=5, k=2, n_train=12, n_test=10, probe_per_subtask=4)
    return SmallSpec(task, FullyConnected(width=8), CrossEntropy(), SGD(), Gradient())


def _small_kernel() -> SmallSpec:
    task = ModularOperator(operator="addition", p=5, operator_token=False, equals_token=False)
    return SmallSpec(task, NoModel(), Squared(), SGD(), RecursiveFeatures())


def _small_normalized() -> SmallSpec:
    task = ModularOperator(operator="addition", p=5, operator_token=False, equals_token=False)
    return SmallSpec(task, OneHotMLP(widths=(7,), batch_norm=True), Squared(), SGD(), Gradient())


def _small_teacher() -> SmallSpec:
    task = GaussianTeacher(d=4, n_train=8, n_test=6)
    return SmallSpec(task, LinearModel(), Squared(), SGD(), Gradient())


def _small_label() -> SmallSpec:
    task = ConstantLabel(d=4, n_train=8, n_test=6)
    return SmallSpec(task, LinearModel(), Logistic(), SGD(), Gradient())


def _small_committee() -> SmallSpec:
    task = GaussianTeacher(d=4, n_train=8, n_test=6, teacher="quadratic")
    return SmallSpec(task, Committee(width=5), Squared(), SGD(), Gradient())


def _made(cls: type[Part]) -> Measure:
    return cast("Measure", cls())


def _check_declarations(measure: Measure) -> None:
    cls = type(measure)
    _require(lookup("measure", measure.kind) is cls, measure, "another class is registered under its kind")
    _require(cls.__dict__.get("__doc__"), measure, "its class has no docstring")
    summary = (inspect.getdoc(cls) or "").split("\n\n")[0]
    _require("\n" not in summary, measure, "the first line of its docstring is not a sentence of its own")
    _require(cls.pace in get_args(Pace), measure, f"pace '{cls.pace}' is none of {get_args(Pace)}")
    _require(
        measure.name.isidentifier() and measure.name.startswith(measure.kind),
        measure,
        f"its name '{measure.name}' is not an identifier that starts with its kind",
    )


def _check_missing(measure: Measure, experiment: TrainingSpec) -> None:
    reason = measure.missing(experiment)
    _require(reason is None, measure, f"cannot be checked on this experiment: {reason}")
    other = SmallSpec(_Classes(kind="classes"), experiment.model, experiment.loss, SGD(), experiment.learner)
    said = measure.missing(other)
    _require(
        said is None or is_one_line(said),
        measure,
        f"missing() says {said!r} instead of one line",
    )
    lacking = [need for need in measure.needs if need.missing(other) is not None]
    _require(said is not None or not lacking, measure, "missing() returns None though a need is not met")


def _key(experiment: TrainingSpec) -> str:
    return repr(
        (experiment.task, experiment.model, experiment.loss, experiment.learner, experiment.precision)
    )


def _members(experiment: TrainingSpec) -> tuple[Any, ...]:
    """Network, data, findings at the end, and start of some members; cached: compiling takes longest."""
    if (key := _key(experiment)) not in _drawn:
        _drawn[key] = _draw_members(experiment)
    return _drawn[key]


def _draw_members(experiment: TrainingSpec) -> tuple[Any, ...]:
    import jax
    import numpy as np

    task = experiment.task
    width = max(1, experiment.model.n_neurons)
    n_frequencies = len(experiment.axes.get("frequency", ()))

    @jax.jit
    def draw(key: jax.Array) -> tuple[Any, dict[str, jax.Array], dict[str, jax.Array], Any]:
        init, data, noise, masks = jax.random.split(key, 4)
        own = task.member_data(data, noise)

        def network_of(drawn: jax.Array) -> Any:
            if experiment.learner.uses_model:
                return experiment.model.network(drawn, task.input_shape, task.n_outputs)
            state = experiment.learner.init(experiment, drawn, {**task.shared_data(), **own})
            return experiment.learner.predictor(state)

        network, initial = (network_of(drawn) for drawn in (init, jax.random.fold_in(init, 1)))
        subnetworks = jax.random.bernoulli(masks, 0.5, (len(SUBNETWORK_LABELS), width))
        # the complement as in a run, and an empty memorizing subnetwork (the member never memorized)
        subnetworks = subnetworks.at[1].set(~subnetworks[0]).at[2].set(False)
        found = {"subnetworks": subnetworks}
        if n_frequencies:
            uses = jax.numpy.arange(n_frequencies) % 2 == 0
            found["final_spectra"] = jax.numpy.stack([uses, uses]).astype(float)
        return network, own, found, initial

    shared = task.shared_data()
    drawn = map(draw, jax.random.split(jax.random.key(0), _N_MEMBERS))
    members = [(network, {**shared, **data}, found, initial) for network, data, found, initial in drawn]
    return tuple(jax.tree.map(np.asarray, member) for member in members)


def _check_results(measure: Measure, experiment: TrainingSpec) -> None:
    import jax
    import numpy as np

    members = _members(experiment)
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *members)

    def value(member: Any) -> jax.Array:
        return measure(_point(experiment, member, measure.needs, follows="follow" in measure.pace))

    jitted = jax.jit(value)
    with Checker(f"measure '{measure.kind}'").calling("its call"):
        results = np.stack([jitted(member) for member in members])
    again = np.stack([jitted(member) for member in members])
    _require(results.tobytes() == again.tobytes(), measure, "gives other numbers the second time")
    result = results[0]
    shape = measure.shape(experiment)
    _require(len(shape) == len(measure.dims), measure, f"{len(measure.dims)} dims but shape {shape}")
    _require(result.shape == shape, measure, f"gives shape {result.shape}, says {shape}")
    for dim, labels in (("subnetwork", SUBNETWORK_LABELS), ("split", SPLIT_LABELS)):
        if dim in measure.dims:
            size = shape[measure.dims.index(dim)]
            _require(size == len(labels), measure, f"axis {dim} has size {size}, not {len(labels)}")
    _require(
        result.dtype in (np.dtype(experiment.precision), np.dtype("int32")),
        measure,
        f"gives {result.dtype}, not {experiment.precision} or int32",
    )
    _require(not np.isinf(result).any(), measure, "gives infinity")
    documented = "NaN" in (type(measure).__doc__ or "")
    _require(documented or not np.isnan(result).any(), measure, "gives NaN, and its docstring has no 'NaN'")

    batched, mapped = jax.jit(lambda stack: (jax.vmap(value)(stack), jax.lax.map(value, stack)))(stacked)
    # not one program, which would be slower: many measures are taken, and one is needed
    crowded = measure(_crowded_point(experiment, follows="follow" in measure.pace))
    ways = {"under vmap": batched, "under lax.map": mapped, "after other measures": crowded}
    for way, array in ways.items():
        found = np.asarray(array)
        expected = results if found.shape == results.shape else result
        _require(same_numbers(expected, found), measure, f"gives other numbers {way}")


def _point(experiment: TrainingSpec, member: Any, needs: tuple[Need, ...], *, follows: bool) -> Point:
    """The point of a member, with the start and a batch only if the needs say so."""
    from grokscope.measures._point import Point

    network, data, found, initial = member
    batch = Batch(data["train_x"][:4], data["train_y"][:4])
    return Point(
        network,
        data,
        experiment.loss,
        **found if follows else {},
        task=experiment.task,
        initial=initial if INITIAL_NETWORK in needs else None,
        final=initial if FINAL_NETWORK in needs and follows else None,  # another network
        batch=(lambda: batch) if BATCH in needs and not follows else None,
    )


def _crowded_point(experiment: TrainingSpec, *, follows: bool) -> Point:
    """A copy of a cached point at which all built-in measures that apply have been taken."""
    import jax

    known = {kind: cls for kind, cls in kinds("measure").items() if is_own(cls)}
    name = (_key(experiment), follows, tuple(known.values()))
    if name not in _crowded:
        member = jax.tree.map(jax.numpy.asarray, _members(experiment)[0])
        point = _point(experiment, member, (INITIAL_NETWORK, FINAL_NETWORK, BATCH), follows=follows)
        for measure in map(_made, known.values()):
            if follows and BATCH in measure.needs:
                continue
            if (follows or "follow" not in measure.pace) and measure.missing(experiment) is None:
                measure(point)
        for old in [key for key in _crowded if key[2] != name[2]]:
            del _crowded[old]  # the known measures have changed
        _crowded[name] = point
    return _crowded[name].copied()
