"""The conformance check for interventions: call `check_intervention` on an intervention of your own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from grokscope.errors import InputError
from grokscope.interventions._intervention import Intervention, Selection, Target
from grokscope.interventions._members import NetworkArrays
from grokscope.learners import Batch
from grokscope.losses import CrossEntropy, Hinge
from grokscope.models.fully_connected import FullyConnected
from grokscope.models.mlp import MLP
from grokscope.optimizers import SGD
from grokscope.spec.axes import SUBNETWORK_LABELS
from grokscope.spec.checking import Checker, SmallSpec, is_one_line, same_bits, same_numbers
from grokscope.tasks.modular_operator import ModularOperator
from grokscope.tasks.sparse_parity import SparseParity

if TYPE_CHECKING:
    import jax

    from grokscope.spec.moments import Moment
    from grokscope.spec.training_spec import TrainingSpec

__all__ = ["check_intervention"]

_check = Checker("check_intervention")
_STAGES = ("begin", "before_update", "after_update", "sample_losses")
_N_MEMBERS = 3
_AT, _UNTIL = 4, 9


def check_intervention(intervention: Intervention, experiment: TrainingSpec | None = None) -> None:
    """Check that an intervention keeps the contract of `Intervention`, on small networks.

    Experiments that it is not for: `Intervention.missing` gives a line. On the others, `Intervention.select`
    finds sets of the right shapes, changes no array of the members, and finds the same in a member whatever
    other members there are. The methods in ``stages`` return networks of the same structure, shapes and
    types, with finite numbers, and change something; `Intervention.sample_losses` returns one float per
    sample. They are pure: the same numbers when called again, under ``vmap``, with traced numbers, and where
    the values that differ between members (``per_member``) are known by the target only. A replay from a
    checkpoint then has the same bits.

    Only the training loop decides when the methods are called: never before ``at``, nor from ``until`` on.

    Args:
        intervention: the intervention.
        experiment: the experiment that it changes. By default a small sparse parity with a one-hidden-layer
            network and with two hidden layers, and a small addition (classes).

    Raises:
        AssertionError: naming the violation, in one line.

    Example:
        >>> from grokscope.interventions.holding import Freeze
        >>> check_intervention(Freeze(neurons=[0, 3]))
    """
    _check.part(intervention, Intervention)
    _check_declarations(intervention)
    reason: str | None = None
    applies: list[TrainingSpec] = []
    for spec in _experiments() if experiment is None else (experiment,):
        with _check.calling("missing"):
            said: Any = intervention.missing(spec)
        _check(said is None or is_one_line(said), f"missing() gives {said!r} in place of one line, or None")
        reason = said or reason
        applies += [spec] if said is None else []
    changes: list[bool] = []
    for spec in applies:
        view = _View(spec, *_drawn_networks(spec), np.arange(_N_MEMBERS))
        try:
            selection = _check_selection(intervention, view)
        except AssertionError as error:
            # such as hidden bits of a task that does not know them
            reason = str(error.__cause__)
            if not isinstance(error.__cause__, InputError) or not is_one_line(reason):
                raise
            continue
        changes.append(_check_stages(intervention, view, selection))
    _check(bool(changes), f"applies to none of the small experiments ({reason}); pass experiment")
    _check(any(changes), "changes nothing: every method returns what it was given")


def _experiments() -> tuple[SmallSpec, ...]:
    parity = SparseParity(n=6, k=2, n_train=12, n_test=10, n_probe=14)
    addition = ModularOperator(operator="addition", p=5, operator_token=False)
    return (
        SmallSpec(parity, FullyConnected(width=8), Hinge(), SGD()),
        SmallSpec(addition, FullyConnected(width=8), CrossEntropy(), SGD()),
        SmallSpec(parity, MLP(widths=(5, 4)), Hinge(), SGD()),
    )


def _check_declarations(item: Intervention) -> None:
    stages = item.stages
    _check(bool(stages), f"has no stages: it must define one of {', '.join(_STAGES)}")
    unknown = sorted(stages - set(_STAGES))
    _check(not unknown, f"stages names '{', '.join(unknown)}'; allowed: {', '.join(_STAGES)}")
    fields = type(item).model_fields
    unknown = [name for name in item.per_member if name not in fields]
    _check(not unknown, f"per_member names '{', '.join(unknown)}', which is no field")
    lacking = [name for name in Intervention.per_member if name not in item.per_member]
    _check(not lacking, f"per_member lacks '{', '.join(lacking)}'; begin it with *Intervention.per_member")
    _check(is_one_line(item.label), "its label is not one line")


@dataclass(frozen=True)
class _View:
    """A `MemberView` of members that were never trained; its source run is another draw of networks."""

    spec: TrainingSpec
    start: Any
    later: Any
    rows: np.ndarray

    @property
    def seeds(self) -> np.ndarray:
        return np.repeat(self.rows[:, None], 4, axis=1) + 5

    @property
    def source_seeds(self) -> np.ndarray:
        return self.seeds

    @property
    def width(self) -> int:
        return self.spec.model.n_neurons if self.spec.model.has_one_hidden_layer else 0

    @property
    def n_bits(self) -> int:
        return math.prod(self.spec.task.input_shape) if self.spec.model.has_one_hidden_layer else 0

    def support(self) -> np.ndarray:
        known = self.spec.task.facts().get("support")
        if known is None:
            raise InputError("interventions.bits: this task does not know its hidden bits.")
        return np.repeat(np.isin(np.arange(self.n_bits), known)[None], len(self.rows), axis=0)

    def parameters(self, at: Moment) -> dict[str, np.ndarray]:
        from grokscope.models.networks.parameters import named_leaves

        networks = self.start if at.event == "start" else self.later
        arrays = {name: np.array(leaf)[self.rows] for name, leaf in named_leaves(networks).items()}
        for array in arrays.values():
            array.flags.writeable = False
        return arrays

    def weights(self, at: Moment) -> NetworkArrays:
        arrays = self.parameters(at)
        return NetworkArrays(*(arrays[name] for name in NetworkArrays._fields))

    def active(self, at: Moment, flavor: Literal["predictions", "accuracy"], order: str) -> np.ndarray:
        del at, flavor, order
        return self._sets(len(SUBNETWORK_LABELS))

    def subnetwork(self, name: str, flavor: Literal["predictions", "accuracy"]) -> np.ndarray:
        del flavor
        return self._sets(SUBNETWORK_LABELS.index(name))

    def _sets(self, seed: int) -> np.ndarray:
        return (np.random.default_rng(seed).random((_N_MEMBERS, self.width)) < 0.5)[self.rows]


def _drawn_networks(spec: TrainingSpec) -> tuple[Any, Any]:
    """Networks of the members at their start and later, leaves [member, ...]."""
    import jax

    task = spec.task
    draw = jax.jit(jax.vmap(lambda key: spec.model.network(key, task.input_shape, task.n_outputs)))
    keys = jax.random.split(jax.random.key(7), 2 * _N_MEMBERS)
    return draw(keys[:_N_MEMBERS]), draw(keys[_N_MEMBERS:])


def _check_selection(item: Intervention, view: _View) -> Selection:
    with _check.calling("select"):
        selection: Any = item.select(view)
        again = item.select(view)
        alone = item.select(_View(view.spec, view.start, view.later, view.rows[1:2]))
    _check(isinstance(selection, Selection), f"select gives no Selection, but {type(selection).__name__}")
    for name, size in (("mask", view.width), ("bits", view.n_bits)):
        array = np.asarray(getattr(selection, name))
        shape = (_N_MEMBERS, size)
        good = array.shape == shape and array.dtype == bool
        _check(good, f"select: {name} is {array.dtype}{list(array.shape)}, not bool{list(shape)}")
    for name, value in selection.more.items():
        array = np.asarray(value)
        good = array.shape[:1] == (_N_MEMBERS,) and array.dtype.kind in "biuf"
        _check(good, f"select: more['{name}'] must be numbers with one row per member")
    _check(_equal(selection, again), "select finds other things when it is called again")
    row = Selection(selection.mask[1:2], selection.bits[1:2], {k: v[1:2] for k, v in selection.more.items()})
    _check(_equal(row, alone), "what select finds in a member depends on the other members")
    return selection


def _equal(one: Selection, other: Selection) -> bool:
    return one.more.keys() == other.more.keys() and all(
        np.array_equal(a, b)
        for a, b in zip(
            (one.mask, one.bits, *(one.more[name] for name in one.more)),
            (other.mask, other.bits, *(other.more[name] for name in one.more)),
            strict=True,
        )
    )


def _check_stages(item: Intervention, view: _View, selection: Selection) -> bool:
    """Check the methods that the loop calls; returns whether they change anything."""
    import jax
    import jax.numpy as jnp

    spec = view.spec
    key = jax.random.key(1)
    data = {**spec.task.shared_data(), **spec.task.member_data(key, key)}
    batch = Batch(data["train_x"][:6], data["train_y"][:6])
    each = np.full(_N_MEMBERS, 1, np.int32)
    targets = Target(
        selection.mask, selection.bits, _AT * each, _UNTIL * each, dict(selection.more), _AT * each
    )
    targets = jax.tree.map(jnp.asarray, targets)

    def taken(part: Intervention, network: Any, later: Any, target: Target) -> dict[str, Any]:
        kept = part.record(network, target)
        found: dict[str, Any] = {"record": kept}
        if "begin" in part.stages:
            found["begin"] = part.begin(network, target, data)
        if "before_update" in part.stages:
            found["before_update"] = part.before_update(network, target)
        if "after_update" in part.stages:
            found["after_update"] = part.after_update(network, later, target, kept)
        if "sample_losses" in part.stages:

            def losses(network: Any) -> jax.Array:
                return part.sample_losses(spec.loss.per_sample, network, batch, target)

            found["sample_losses"] = losses(network)
            found["gradient"] = jax.grad(lambda network: jnp.mean(losses(network)))(network)
        return found

    def usual(network: Any) -> jax.Array:
        return spec.loss.per_sample(network(batch.x), batch.y)

    stripped, numbers = item.without_member_values(), _check.traced(item)

    # Everything in one program: compiling takes longest.
    @jax.jit
    def program(numbers: dict[str, float], start: Any, later: Any, targets: Target) -> dict[str, Any]:
        compiled = stripped.with_traced(numbers)
        one = jax.tree.map(lambda leaf: leaf[0], (start, later, targets))
        members = jax.vmap(lambda *member: taken(compiled, *member))(start, later, targets)
        found = {"compiled": jax.tree.map(lambda leaf: leaf[0], members), "alone": taken(item, *one)}
        if "sample_losses" in item.stages:
            found["losses"] = usual(one[0])
            found["gradient"] = jax.grad(lambda network: jnp.mean(usual(network)))(one[0])
        return found

    with _check.calling(f"{' or '.join(sorted(item.stages))} on model '{spec.model.kind}'"):
        found = program(numbers, view.start, view.later, targets)
    one, later = jax.tree.map(lambda leaf: leaf[0], (view.start, view.later))
    alone = found["alone"]
    for name in ("begin", "before_update", "after_update"):
        if name in alone:
            _check.tree(alone[name], one, f"what {name} returns")
    if "sample_losses" in alone:
        each_loss = alone["sample_losses"]
        good = each_loss.shape == (len(batch.x),) and jnp.issubdtype(each_loss.dtype, jnp.floating)
        _check(
            good,
            f"sample_losses must give one float per sample, not {each_loss.dtype}{list(each_loss.shape)}",
        )
    for name, value in alone.items():
        _check.finite(value, f"what {name} returns")
    _check(
        same_numbers(alone, found["compiled"]),
        "gives other numbers in the compiled program: under vmap, with traced numbers, and where fields in "
        "per_member have their defaults, so that they are read from the target",
    )
    return (
        ("begin" in alone and not same_bits(alone["begin"], one))
        or ("before_update" in alone and not same_bits(alone["before_update"], one))
        or ("after_update" in alone and not same_bits(alone["after_update"], later))
        or ("sample_losses" in alone and not same_bits(alone["gradient"], found["gradient"]))
        or ("sample_losses" in alone and not same_bits(alone["sample_losses"], found["losses"]))
    )
