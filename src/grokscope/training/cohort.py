"""Cohort: members of equal shapes that run in one compiled program on all devices."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

from grokscope.interrupts import raise_if_interrupted
from grokscope.models.networks.parameters import leaf_name, named_leaves
from grokscope.training.devices import Execution, choose_execution
from grokscope.training.executables import KeptProgram
from grokscope.training.loop import Carry, MemberLoop, SegmentPlan, as_precision, traced_once

if TYPE_CHECKING:
    from grokscope.experiment import Experiment
    from grokscope.measures import Measure
    from grokscope.spec.streams import Members
    from grokscope.tasks import Task
    from grokscope.training.intervening import MemberPlan

__all__ = ["Cohort", "array_leaves"]

_MEMBER = PartitionSpec("member")
_SHARED = PartitionSpec()


@dataclass(frozen=True)
class Cohort:
    """Members of equal shapes that run together.

    Training and measuring methods call one compiled program over all members. Arrays on the devices have one
    row per slot (`Execution.rows`); `place` converts from members to slots, `trim` from slots to members.

    Attributes:
        loop: the functions of one member.
        members: seeds of the members.
        execution: layout of the members on the devices.
        traced: numbers that differ between members, e.g. ``optimizer.learning_rate`` -> [member]; all others
            come from the experiment.
        member_plan: start step and intervention targets of each member, arrays [member, ...]; None: all start
            at step 0 without interventions.
        initial_states: initial states of the members, arrays [member, ...] by path; None: fresh states.
    """

    loop: MemberLoop
    members: Members
    execution: Execution
    traced: tuple[tuple[str, tuple[float, ...]], ...] = ()
    member_plan: MemberPlan | None = field(default=None, compare=False)
    initial_states: dict[str, np.ndarray] | None = field(default=None, compare=False)

    @classmethod
    def cut(cls, experiment: Experiment, members: Members) -> Iterator[tuple[slice, Cohort]]:
        """Cut members into cohorts that fit the devices, with fresh starts and without interventions.

        Yields:
            The slice of ``members``, and its cohort.
        """
        loop = MemberLoop(experiment.model_copy(update={"interventions": ()}))
        execution = choose_execution(len(members), experiment=experiment)
        for low in range(0, len(members), execution.capacity):
            rows = slice(low, low + execution.capacity)
            yield rows, cls(loop, members[rows], execution)

    @property
    def experiment(self) -> Experiment:
        """The experiment of all members."""
        return self.loop.experiment

    @functools.cached_property
    def seeds(self) -> jax.Array:
        """Seeds [slot, stream]."""
        return self._placed(np.array(self.members.seeds, dtype=np.uint32))

    @functools.cached_property
    def numbers(self) -> dict[str, jax.Array]:
        """Traced numbers [slot] by name: the member's own value (``traced``), else the experiment's."""
        same = {name: (value,) * len(self.members) for name, value in self.experiment.numbers.items()}
        return {
            name: self._placed(np.array(values, dtype=self.experiment.precision))
            for name, values in {**same, **dict(self.traced)}.items()
        }

    @functools.cached_property
    def shared(self) -> dict[str, jax.Array]:
        """Data shared by all members, copied to every device."""
        task: Any = self.experiment.task  # hashable because frozen; a type checker cannot see it
        make = _shared(task, self.experiment.precision)
        return jax.device_put(make(), NamedSharding(self.mesh, _SHARED))

    @functools.cached_property
    def mesh(self) -> Mesh:
        """One-dimensional mesh of the devices, with the axis ``member``."""
        return Mesh(np.array(jax.devices()[: self.execution.n_devices]), ("member",))

    @functools.cached_property
    def placed_plan(self) -> MemberPlan | None:
        """The member plan on the devices, arrays [slot, ...]."""
        return None if self.member_plan is None else self.place(self.member_plan)

    def start(self) -> tuple[Carry, dict[str, jax.Array]]:
        """Carries before the first update, and the data of each member."""
        carry, data = self._program("start")(self.counts, self.seeds, self.numbers, self.shared)
        if self.initial_states is not None:
            carry = self.placed_carry(carry, self.initial_states)
        if self.experiment.interventions:
            program = self._program("begin")
            carry = program(self.counts, carry, data, self.numbers, self.placed_plan, self.shared)
        return carry, data

    def data(self) -> dict[str, jax.Array]:
        """The data of each member, without its state."""
        return self._program("data")(self.counts, self.seeds, self.numbers)

    def placed_carry(self, like: Carry, leaves: dict[str, np.ndarray]) -> Carry:
        """Place host arrays [member, ...] by path as a carry on the devices; ``like`` gives the structure."""
        paths, structure = jax.tree_util.tree_flatten_with_path(like)
        return self.place(jax.tree_util.tree_unflatten(structure, [leaves[leaf_name(at)] for at, _ in paths]))

    def networks(self, carry: Carry) -> Any:
        """The networks of members, each leaf [slot, ...]."""
        return jax.vmap(self.experiment.learner.predictor)(carry.state)

    def segment(
        self, carry: Carry, data: dict[str, jax.Array], plan: SegmentPlan, initial: Any = None
    ) -> tuple[Carry, dict[str, jax.Array], Any]:
        """Train through a segment (`MemberLoop.segment`). The buffers of ``carry`` are donated.

        ``initial`` are the networks at the members' starts, leaves [slot, ...], if a measure needs them.
        """
        return self._program("segment")(
            self.counts, carry, data, self.seeds, self.numbers, self.placed_plan, initial, self.shared, plan
        )

    def follow(
        self,
        networks: Any,
        data: dict[str, jax.Array],
        found: dict[str, jax.Array],
        measures: tuple[Measure, ...],
        points: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """Take measures of final subnetworks or frequencies at earlier points (`MemberLoop.follow`).

        Args:
            networks: kept networks, leaves [slot, point, ...].
            data: the data of each member.
            found: findings at the end, arrays [slot, ...] by name.
            measures: the measures to take.
            points: indices of the kept networks.

        Returns:
            Arrays [member, len(points), ...] on the host.
        """
        size = jax.tree.leaves(networks)[0].shape[1]
        rows = np.zeros(size, dtype=np.int32)
        rows[: len(points)] = points
        program = self._program("follow", measures)
        results = program(self.counts, networks, data, found, self.shared, rows, np.int32(len(points)))
        return {name: array[:, : len(points)] for name, array in self.trim(results).items()}

    def compile_follow(
        self,
        networks: Any,
        data: Any,
        nothing: dict[str, np.ndarray],
        measures: tuple[Measure, ...],
        initial: dict[str, Any],
    ) -> None:
        """Compile `follow` ahead of its use by a call with zero members and zero points.

        Args:
            networks: as for `follow`.
            data: as for `follow`.
            nothing: arrays of the shapes of one member's ``found``.
            measures: as for `follow`.
            initial: the entry ``initial`` of ``found``, or nothing.
        """
        size = jax.tree.leaves(networks)[0].shape[1]
        found = {name: self._placed(array[None], rows=False) for name, array in nothing.items()} | initial
        program = self._program("follow", measures)
        nobody = jax.device_put(self.execution.counts(0), NamedSharding(self.mesh, _MEMBER))
        program(nobody, networks, data, found, self.shared, np.zeros(size, np.int32), np.int32(0))

    def each(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Apply a pure function to each member's arguments (arrays [slot, ...]) and the shared data."""
        return self._program("each", function)(self.counts, arguments, self.shared)

    def trim(self, tree: Any) -> Any:
        """Convert arrays [slot, ...] on the devices to numpy arrays [member, ...]."""
        return jax.tree.map(lambda leaf: np.asarray(leaf)[self.rows], tree)

    def place(self, tree: Any) -> Any:
        """Convert numpy arrays [member, ...] to arrays [slot, ...] on the devices."""
        return jax.tree.map(self._placed, tree)

    @functools.cached_property
    def rows(self) -> np.ndarray:
        """Slot of each member."""
        return self.execution.rows(len(self.members))

    @functools.cached_property
    def counts(self) -> jax.Array:
        """Number of members on each device."""
        return jax.device_put(self.execution.counts(len(self.members)), NamedSharding(self.mesh, _MEMBER))

    @functools.cached_property
    def _static(self) -> tuple[MemberLoop, Execution]:
        # excludes all traced values, so that experiments of one shape share one program
        return replace(self.loop, experiment=self.experiment.shape), self.execution

    def _program(self, what: str, extra: Any = None) -> Any:
        """The compiled program of a method, to be called now."""
        raise_if_interrupted()
        return _program(self._static, what, extra)

    def _placed(self, array: np.ndarray, *, rows: bool = True) -> jax.Array:
        # empty slots repeat the first member: vmap computes them, and their values must stay finite
        slots = np.repeat(array[:1], self.execution.capacity, axis=0)
        if rows:
            slots[self.rows] = array
        return jax.device_put(slots, NamedSharding(self.mesh, _MEMBER))


@functools.lru_cache(maxsize=8)  # few entries: a program contains the user's arrays as constants
def _shared(task: Task, precision: str) -> Callable[[], dict[str, jax.Array]]:
    """The compiled function that creates the shared data of a task, cached by task."""

    def shared() -> dict[str, jax.Array]:
        return as_precision(task.shared_data(), precision)

    device = SingleDeviceSharding(jax.devices()[0])
    return KeptProgram(shared, ("shared", task, precision), (), device)


def array_leaves(tree: Any) -> dict[str, np.ndarray]:
    """Leaves of a pytree as numpy arrays, by `leaf_name`."""
    return {name: np.asarray(leaf) for name, leaf in named_leaves(tree).items()}


# enough for two experiments; the programs and traces of each one more would take some 45 MB
@functools.lru_cache(maxsize=20)
def _program(static: tuple[MemberLoop, Execution], what: str, extra: Any = None) -> Any:
    """The compiled program of a cohort method, cached by loop, execution and method."""
    loop, execution = static
    made_of = (static, what, extra)

    if what == "start":

        def start(count: Any, seeds: Any, numbers: Any, shared: Any) -> Any:
            return _over(execution, lambda m: loop.start(m[0], m[1], shared), count, (seeds, numbers))

        return _compiled(start, made_of, execution, (*(_MEMBER,) * 3, _SHARED))

    if what == "data":

        def data(count: Any, seeds: Any, numbers: Any) -> Any:
            return _over(execution, lambda m: loop.data(m[0], m[1]), count, (seeds, numbers))

        return _compiled(data, made_of, execution, (_MEMBER,) * 3)

    if what == "begin":

        def begin(count: Any, carry: Any, data: Any, numbers: Any, member_plan: Any, shared: Any) -> Any:
            def one(m: Any) -> Any:
                carry, own, numbers, member_plan = m
                return loop.begin(carry, shared | own, numbers, member_plan)

            return _over(execution, one, count, (carry, data, numbers, member_plan))

        return _compiled(begin, made_of, execution, (*(_MEMBER,) * 5, _SHARED))

    if what == "segment":

        def segment(
            count: Any,
            carry: Any,
            data: Any,
            seeds: Any,
            numbers: Any,
            member_plan: Any,
            initial: Any,
            shared: Any,
            plan: Any,
        ) -> Any:
            def one(m: Any) -> Any:
                carry, own, seeds, numbers, member_plan, initial = m
                return loop.segment(carry, shared | own, seeds, numbers, member_plan, plan, initial)

            return _over(execution, one, count, (carry, data, seeds, numbers, member_plan, initial))

        return _compiled(segment, made_of, execution, (*(_MEMBER,) * 7, _SHARED, _SHARED), donate=(1,))

    if what == "follow":

        def follow(
            count: Any, networks: Any, data: Any, found: Any, shared: Any, points: Any, n_points: Any
        ) -> Any:
            def one(m: Any) -> Any:
                networks, own, found = m
                return loop.follow(networks, shared | own, found, extra, points, n_points)

            return _over(execution, one, count, (networks, data, found))

        return _compiled(follow, made_of, execution, (*(_MEMBER,) * 4, *(_SHARED,) * 3))

    def each(count: Any, arguments: Any, shared: Any) -> Any:
        return _over(execution, lambda m: extra(*m, shared), count, arguments)

    return _compiled(each, made_of, execution, (_MEMBER, _MEMBER, _SHARED))


def _over(execution: Execution, function: Callable[[Any], Any], count: Any, members: Any) -> Any:
    """Apply the function of one member to all members of a device: one by one (map) or in blocks (vmap)."""
    if execution.path == "vmap":
        blocks = jax.tree.map(lambda leaf: leaf.reshape(-1, execution.block, *leaf.shape[1:]), members)
        results = lax.map(jax.vmap(function), blocks)
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), results)

    @traced_once
    def member(i: Any) -> Any:
        return function(jax.tree.map(lambda leaf: leaf[i], members))

    def visit(i: Any, buffers: Any) -> Any:
        return jax.tree.map(lambda buffer, leaf: buffer.at[i].set(leaf), buffers, member(i))

    shapes = jax.eval_shape(member, jnp.int32(0))
    buffers = jax.tree.map(lambda leaf: jnp.zeros((execution.slots, *leaf.shape), leaf.dtype), shapes)
    # The number of members is traced, so that one program serves every cohort that fits. The first index has
    # the type that `eval_shape` was given: with a Python 0 the function would be traced a second time.
    return lax.fori_loop(jnp.int32(0), count[0], visit, buffers)


def _compiled(
    function: Any, made_of: Any, execution: Execution, in_specs: Any, donate: tuple[int, ...] = ()
) -> Any:
    mesh = Mesh(np.array(jax.devices()[: execution.n_devices]), ("member",))
    sharded = jax.shard_map(function, mesh=mesh, in_specs=in_specs, out_specs=_MEMBER, check_vma=False)
    # fewer, larger pieces than by default compile faster; a GPU does not have the option
    options = {"xla_cpu_parallel_codegen_split_count": 4} if execution.path == "map" else None
    arguments = tuple(NamedSharding(mesh, spec) for spec in in_specs)
    results = NamedSharding(mesh, _MEMBER)
    return KeptProgram(sharded, made_of, arguments, results, donate=donate, options=options)
