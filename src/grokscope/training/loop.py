"""The compiled loop of one member: updates between the points of a schedule, measures at the points.

Its functions are traced once per shape; `cohort.py` runs them for many members on all devices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from grokscope.learners import State
from grokscope.measures import Point
from grokscope.measures.needs import INITIAL_NETWORK
from grokscope.spec.stopping import StopRule, StopState
from grokscope.spec.streams import STREAMS, stream_key
from grokscope.training.intervening import MemberPlan, begin, intervened
from grokscope.training.sources import source_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from grokscope.experiment import Experiment
    from grokscope.learners import Batch
    from grokscope.measures import Measure

__all__ = ["Carry", "MemberLoop", "SegmentPlan", "member_keys", "take_measures", "traced_once"]


class SegmentPlan(NamedTuple):
    """The points of a segment, arrays [point]. Padding points repeat the last stop, with flags off.

    Attributes:
        start: steps done at the start of the segment (a scalar).
        stop: steps done at each point.
        quick, slow: whether the quick or slow measures are taken at the point.
        own: whether the point counts only for members that start at it; None: False everywhere.
    """

    start: Any
    stop: Any
    quick: Any
    slow: Any
    own: Any = None


class Carry(NamedTuple):
    """State of a member between segments; a checkpoint contains all of it except ``ending``.

    Attributes:
        state: the learner's state.
        diverged: first step with a batch loss that is not finite; -1 while there is none.
        memory: memory of each intervention; () without interventions.
        ending: early-stopping state (`StopState`) if members may stop early; else ().
    """

    state: State
    diverged: Any
    memory: Any = ()
    ending: Any = ()


def take_measures(measures: tuple[Measure, ...], point: Point) -> dict[str, jax.Array]:
    """Values of measures at a point, by stored name."""
    return {measure.name: measure(point) for measure in measures}


@dataclass(frozen=True)
class MemberLoop:
    """The pure functions of one member: start, train through a segment, measure.

    Attributes:
        experiment: the experiment to train; each member's numbers replace its traced fields.
        quick, slow: measures taken at points with that flag.
        keep: whether a segment also returns the network at every point.
        rule: updates the carry's early-stopping state after a point; None: the state stays as it is.
    """

    experiment: Experiment
    quick: tuple[Measure, ...] = ()
    slow: tuple[Measure, ...] = ()
    keep: bool = False
    rule: StopRule | None = None

    @property
    def needs_initial(self) -> bool:
        """Whether a measure needs the network at the member's start."""
        return any(INITIAL_NETWORK in measure.needs for measure in self.quick + self.slow)

    def start(
        self, seeds: jax.Array, traced: dict[str, jax.Array], shared: dict[str, jax.Array]
    ) -> tuple[Carry, dict[str, jax.Array]]:
        """The member's carry before the first update, and its own data."""
        experiment = with_traced(self.experiment, traced)
        init, data_key, _, noise = member_keys(seeds)
        data = as_precision(experiment.task.member_data(data_key, noise), experiment.precision)
        state = experiment.learner.init(experiment, init, shared | data)
        return Carry(state, jnp.asarray(-1, jnp.int32)), data

    def data(self, seeds: jax.Array, traced: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """The member's own data (not the shared data), without its state."""
        experiment = with_traced(self.experiment, traced)
        _, data_key, _, noise = member_keys(seeds)
        return as_precision(experiment.task.member_data(data_key, noise), experiment.precision)

    def begin(
        self, carry: Carry, data: dict[str, jax.Array], traced: dict[str, jax.Array], member_plan: MemberPlan
    ) -> Carry:
        """The carry after the interventions that begin at the member's start step."""
        experiment = with_traced(self.experiment, traced)
        network, memory = begin(experiment.interventions, carry.state.network, data, member_plan)
        return Carry(carry.state._replace(network=network), carry.diverged, memory)

    def segment(
        self,
        carry: Carry,
        data: dict[str, jax.Array],
        seeds: jax.Array,
        traced: dict[str, jax.Array],
        member_plan: MemberPlan | None,
        plan: SegmentPlan,
        initial: Any = None,
    ) -> tuple[Carry, dict[str, jax.Array], Any]:
        """Train through the points of a plan.

        With a member plan, the member is not updated before its start step; measures before it are invalid.
        ``initial`` is the network at the member's start, if `needs_initial`.

        Returns:
            The carry after the last point; the measures, each [point, ...] (invalid where the plan's flag is
            off); and the networks [point, ...] with ``keep``, else None.
        """
        experiment = with_traced(self.experiment, traced)
        learner, source = experiment.learner, source_of(experiment)
        _, _, order, noise = member_keys(seeds)

        def update(step: jax.Array, inner: tuple[Carry, Any]) -> tuple[Carry, Any]:
            (state, diverged, memory, ending), served = inner
            batch, served = source.batch(served, data, order, step)
            key = jax.random.fold_in(noise, step)
            if member_plan is None or not experiment.interventions:
                state, loss = learner.update(experiment, state, batch, key, step)
            else:
                state, loss, memory = intervened(
                    experiment, state, batch, key, step, data, member_plan, memory
                )
            diverged = jnp.where((diverged < 0) & ~jnp.isfinite(loss), step, diverged)
            return Carry(state, diverged, memory, ending), served

        def visit(
            outer: tuple[Carry, Any, jax.Array], at: SegmentPlan
        ) -> tuple[tuple[Carry, Any, jax.Array], tuple[dict[str, jax.Array], Any]]:
            carry, served, step = outer
            ends = isinstance(carry.ending, StopState)
            stop = jnp.minimum(at.stop, carry.ending.until) if ends else at.stop
            carry, served = lax.fori_loop(step, stop, update, (carry, served))
            # prevents fusion of measures with updates, so that measuring changes no bit of training
            carry = lax.optimization_barrier(carry)
            network = learner.predictor(carry.state)

            def measured(measures: tuple[Measure, ...], flag: jax.Array) -> dict[str, jax.Array]:
                @traced_once
                def take() -> dict[str, jax.Array]:
                    def batch() -> Batch:
                        return source.batch(source.start(order, at.stop), data, order, at.stop)[0]

                    point = Point(
                        network, data, experiment.loss, task=experiment.task, initial=initial, batch=batch
                    )
                    return take_measures(measures, point)

                shapes = jax.eval_shape(take)
                nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
                return lax.cond(flag, take, lambda: nothing) if measures else {}

            quick, slow = at.quick, at.slow
            if ends:  # a stopped member is not measured
                quick, slow = (flag & (at.stop <= carry.ending.until) for flag in (quick, slow))
            results = measured(self.quick, quick) | measured(self.slow, slow)
            if ends and self.rule is not None:
                carry = carry._replace(ending=self._looked(carry, at, results, member_plan))
            step = at.stop if member_plan is None else jnp.maximum(step, at.stop)
            return (carry, served, step), (results, network if self.keep else None)

        start = plan.start if member_plan is None else jnp.maximum(plan.start, member_plan.origin)
        served = source.start(order, start)
        points = plan._replace(start=jnp.zeros_like(plan.stop))
        (carry, _, _), (results, networks) = lax.scan(visit, (carry, served, start), points)
        return carry, results, networks

    def _looked(
        self, carry: Carry, at: SegmentPlan, results: dict[str, jax.Array], member_plan: MemberPlan | None
    ) -> StopState:
        """The member's early-stopping state after a point."""
        assert self.rule is not None
        counts = at.quick
        if member_plan is not None:
            counts &= at.stop >= member_plan.origin
            if at.own is not None:
                counts &= ~at.own | (at.stop == member_plan.origin)
        value = results.get(self.rule.measure)
        return self.rule.update(carry.ending, at.stop, value, carry.diverged, counts, jnp)

    def follow(
        self,
        networks: Any,
        data: dict[str, jax.Array],
        found: dict[str, Any],
        measures: tuple[Measure, ...],
        points: jax.Array,
        count: jax.Array,
    ) -> dict[str, jax.Array]:
        """Take measures of final subnetworks or key frequencies at kept networks [point, ...].

        Args:
            networks: the networks of a segment, each leaf [point, ...].
            data: the member's and the shared arrays.
            found: further arguments of `Point`: masks of subnetworks, key frequencies, the network at the
                member's start.
            measures: the measures to take.
            points: indices of networks; only the first ``count`` entries are used.
            count: number of networks to measure.

        Returns:
            Arrays [point, ...] by measure; rows from ``count`` on are zero and invalid.
        """

        @traced_once
        def take(row: jax.Array) -> dict[str, jax.Array]:
            network = jax.tree.map(lambda leaf: leaf[row], networks)
            experiment = self.experiment
            point = Point(network, data, experiment.loss, task=experiment.task, **found)
            return take_measures(measures, point)

        shapes = jax.eval_shape(take, points[0])
        buffers = {name: jnp.zeros((len(points), *leaf.shape), leaf.dtype) for name, leaf in shapes.items()}

        def visit(i: jax.Array, buffers: dict[str, jax.Array]) -> dict[str, jax.Array]:
            results = take(points[i])
            return {name: buffer.at[i].set(results[name]) for name, buffer in buffers.items()}

        return lax.fori_loop(0, count, visit, buffers)


def traced_once(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function that is traced once for both `jax.eval_shape` and its call.

    The trace is inlined, so the compiled program is the same as for ``function`` itself.
    """
    return jax.jit(function, inline=True)


def member_keys(seeds: jax.Array) -> list[jax.Array]:
    """Random keys of a member's four streams, in the order of `STREAMS`, from its seeds [4]."""
    return [stream_key(stream, seeds[i]) for i, stream in enumerate(STREAMS)]


def as_precision(data: dict[str, jax.Array], precision: str) -> dict[str, jax.Array]:
    """Cast floating-point arrays to the experiment's precision; others are unchanged."""
    return {
        name: array.astype(precision) if jnp.issubdtype(array.dtype, jnp.floating) else array
        for name, array in data.items()
    }


def with_traced(experiment: Experiment, traced: dict[str, jax.Array]) -> Experiment:
    """Replace numbers of an experiment by traced values, by name such as ``optimizer.learning_rate``.

    Numbers of the second intervention have names such as ``interventions.1.factor``.
    """
    tables: dict[str, dict[str, Any]] = {}
    for path, value in traced.items():
        table, name = path.rsplit(".", 1)
        tables.setdefault(table, {})[name] = value
    items = tuple(
        item.with_traced(tables.pop(f"interventions.{i}", {}))
        for i, item in enumerate(experiment.interventions)
    )
    parts = {table: getattr(experiment, table).with_traced(values) for table, values in tables.items()}
    return experiment.model_copy(update={**parts, "interventions": items} if items else parts)
