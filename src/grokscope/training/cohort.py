"""Cohort: many members in one compiled program, on the devices there are."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from grokscope.training.devices import Execution
from grokscope.training.loop import Carry, MemberLoop, SegmentPlan, as_precision

if TYPE_CHECKING:
    from grokscope.experiment import Experiment
    from grokscope.measures._measure import Measure
    from grokscope.streams import Members

__all__ = ["Cohort"]

_MEMBER = PartitionSpec("member")
_SHARED = PartitionSpec()


@dataclass(frozen=True)
class Cohort:
    """Members of equal shapes that run together.

    Every method is one call of a compiled program over all members. Arrays have the member as their first
    axis, padded to whole blocks (`Execution.padded`) by repeats of the last member; `trim` takes them off.

    Attributes:
        loop: the functions of one member.
        members: who they are.
        execution: how they are laid out.
        traced: numbers per member, e.g. ``optimizer.learning_rate`` -> [member]; the rest is the spec's.
    """

    loop: MemberLoop
    members: Members
    execution: Execution
    traced: tuple[tuple[str, tuple[float, ...]], ...] = ()

    @property
    def experiment(self) -> Experiment:
        """What is trained."""
        return self.loop.experiment

    @functools.cached_property
    def seeds(self) -> jax.Array:
        """Seeds [member, stream], padded."""
        return self._placed(np.array(self.members.seeds, dtype=np.uint32))

    @functools.cached_property
    def numbers(self) -> dict[str, jax.Array]:
        """The traced numbers [member], padded."""
        return {
            name: self._placed(np.array(values, dtype=self.experiment.precision))
            for name, values in self.traced
        }

    @functools.cached_property
    def shared(self) -> dict[str, jax.Array]:
        """The data that all members share, on every device."""

        @jax.jit
        def make() -> dict[str, jax.Array]:
            return as_precision(self.experiment.task.shared_data(), self.experiment.precision)

        return jax.device_put(make(), NamedSharding(self.mesh, _SHARED))

    @functools.cached_property
    def mesh(self) -> Mesh:
        """The devices in a row."""
        return Mesh(np.array(jax.devices()[: self.execution.n_devices]), ("member",))

    def start(self) -> tuple[Carry, dict[str, jax.Array]]:
        """Carries before the first update and the members' own data."""
        return _program(self._static, "start")(self.seeds, self.numbers)

    def segment(
        self, carry: Carry, data: dict[str, jax.Array], plan: SegmentPlan
    ) -> tuple[Carry, dict[str, jax.Array], Any]:
        """Train through a segment (`MemberLoop.segment`). The carry given is used up."""
        return _program(self._static, "segment")(
            carry, data, self.seeds, self.numbers, self.shared, plan
        )

    def follow(
        self,
        networks: Any,
        data: dict[str, jax.Array],
        subnetworks: jax.Array,
        measures: tuple[Measure, ...],
    ) -> dict[str, jax.Array]:
        """Measures of subnetworks over kept networks (`MemberLoop.follow`)."""
        return _program(self._static, "follow", measures)(networks, data, subnetworks, self.shared)

    def each(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Apply a pure function to every member's slice of the arguments; ``shared`` comes as the last one."""
        return _program(self._static, "each", function)(arguments, self.shared)

    def trim(self, tree: Any) -> Any:
        """Take the padding members off, as numpy arrays on the host."""
        count = len(self.members)
        return jax.tree.map(lambda leaf: np.asarray(leaf)[:count], tree)

    def place(self, tree: Any) -> Any:
        """Put host arrays [member, ...] on the devices, padded."""
        return jax.tree.map(self._placed, tree)

    @property
    def _static(self) -> tuple[MemberLoop, Execution]:
        return self.loop, self.execution

    def _placed(self, array: np.ndarray) -> jax.Array:
        padding = self.execution.padded(len(array)) - len(array)
        padded = np.concatenate([array, np.repeat(array[-1:], padding, axis=0)])
        return jax.device_put(padded, NamedSharding(self.mesh, _MEMBER))


@functools.lru_cache(maxsize=64)
def _program(static: tuple[MemberLoop, Execution], what: str, extra: Any = None) -> Any:
    """The compiled program of a cohort's method; made once per (loop, layout, method)."""
    loop, execution = static
    if what == "start":
        member: Any = loop.start
        return _compiled(lambda seeds, numbers: _over(execution, lambda m: member(*m), (seeds, numbers)),
                         execution, (_MEMBER, _MEMBER), _MEMBER)
    if what == "segment":

        def segment(carry: Any, data: Any, seeds: Any, numbers: Any, shared: Any, plan: Any) -> Any:
            def one(m: Any) -> Any:
                carry, own, seeds, numbers = m
                return loop.segment(carry, shared | own, seeds, numbers, plan)

            return _over(execution, one, (carry, data, seeds, numbers))

        specs = (_MEMBER, _MEMBER, _MEMBER, _MEMBER, _SHARED, _SHARED)
        return _compiled(segment, execution, specs, _MEMBER, donate=(0,))
    if what == "follow":

        def follow(networks: Any, data: Any, subnetworks: Any, shared: Any) -> Any:
            def one(m: Any) -> Any:
                networks, own, subnetworks = m
                return loop.follow(networks, shared | own, subnetworks, extra)

            return _over(execution, one, (networks, data, subnetworks))

        return _compiled(follow, execution, (_MEMBER, _MEMBER, _MEMBER, _SHARED), _MEMBER)

    def each(arguments: Any, shared: Any) -> Any:
        return _over(execution, lambda m: extra(*m, shared), arguments)

    return _compiled(each, execution, (_MEMBER, _SHARED), _MEMBER)


def _over(execution: Execution, function: Callable[[Any], Any], members: Any) -> Any:
    """Apply a member's function to all members of one device: one by one, or block by block."""
    if execution.path == "map":
        return lax.map(function, members)
    blocks = jax.tree.map(lambda leaf: leaf.reshape(-1, execution.block, *leaf.shape[1:]), members)
    results = lax.map(jax.vmap(function), blocks)
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), results)


def _compiled(
    function: Any, execution: Execution, in_specs: Any, out_specs: Any, donate: tuple[int, ...] = ()
) -> Any:
    mesh = Mesh(np.array(jax.devices()[: execution.n_devices]), ("member",))
    sharded = jax.shard_map(
        function, mesh=mesh, in_specs=in_specs, out_specs=out_specs, check_vma=False
    )
    return jax.jit(sharded, donate_argnums=donate)
