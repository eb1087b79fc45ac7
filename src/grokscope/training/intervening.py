"""Interventions in the compiled loop: at a member's start and around each update.

Sets of neurons, steps and strengths are traced values; the kinds and number of interventions are static.
Before an intervention begins, a member's bits equal those of a run without it: `jnp.where` or `lax.cond`
selects results (no arithmetic mixes them), and a barrier prevents fusion with the update. An intervention on
parameters needs `lax.cond`: its sums over whole arrays would else be compiled together with the update's.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from grokscope.interventions import Intervention, NeuronIntervention, Target

if TYPE_CHECKING:
    from grokscope.experiment import Experiment
    from grokscope.learners import Batch, State

__all__ = ["MemberPlan", "begin", "intervened"]


class MemberPlan(NamedTuple):
    """Start step and intervention targets of each member; traced values of the compiled program.

    Attributes:
        origin: step at which the member starts.
        targets: one target per intervention.
    """

    origin: Any
    targets: tuple[Target, ...]


def begin(
    interventions: tuple[Intervention, ...], network: Any, data: dict[str, jax.Array], member_plan: MemberPlan
) -> tuple[Any, tuple[Any, ...]]:
    """The network at the member's start, and the memory of each intervention (zeros if it begins later)."""
    memory: list[Any] = []
    for item, bare in zip(interventions, member_plan.targets, strict=True):
        target = bare._replace(step=member_plan.origin)
        now = target.at == member_plan.origin
        kept = item.record(network, target)
        memory.append(_chosen(now, kept, jax.tree.map(jnp.zeros_like, kept)))
        if "begin" in item.stages:
            network = _chosen(now, item.begin(network, target, data), network)
    return network, tuple(memory)


def intervened(
    experiment: Experiment,
    state: State,
    batch: Batch,
    key: jax.Array,
    step: jax.Array,
    data: dict[str, jax.Array],
    member_plan: MemberPlan,
    memory: tuple[Any, ...],
) -> tuple[State, jax.Array, tuple[Any, ...]]:
    """One update with its interventions; returns the state, the loss of the batch and the memories."""
    targets = [target._replace(step=step) for target in member_plan.targets]
    acts = list(zip(experiment.interventions, targets, strict=True))
    active = [(target.at <= step) & (step < target.until) for _, target in acts]
    before = state.network

    inner = before
    for (item, target), on in zip(acts, active, strict=True):
        if "before_update" in item.stages:
            inner = _chosen(on, item.before_update(inner, target), inner)
    state, loss = _updated(experiment, state._replace(network=inner), batch, key, step, acts, active)

    # fusion of the update with later operations could change its rounding
    network = lax.optimization_barrier(state.network)
    for (item, target), on, kept in zip(acts, active, memory, strict=True):
        if "after_update" not in item.stages:
            continue
        if isinstance(item, NeuronIntervention):  # also those of old runs, whose bits must stay
            network = _chosen(on, item.after_update(before, network, target, kept), network)
        else:
            after = functools.partial(_after, item, target)
            network = lax.cond(on, after, _unchanged, before, network, kept)
    network, memory = _begun(acts, network, step + 1, data, memory)
    return state._replace(network=network), loss, memory


def _updated(
    experiment: Experiment,
    state: State,
    batch: Batch,
    key: jax.Array,
    step: jax.Array,
    acts: list[tuple[Intervention, Target]],
    active: list[jax.Array],
) -> tuple[State, jax.Array]:
    """The learner's update; an active intervention may replace the experiment's loss."""

    def plain() -> tuple[State, jax.Array]:
        return experiment.learner.update(experiment, state, batch, key, step)

    for (item, target), on in zip(acts, active, strict=True):
        if "sample_losses" in item.stages:

            def other(item: Intervention = item, target: Target = target) -> tuple[State, jax.Array]:
                def losses(network: Any, batch: Batch) -> jax.Array:
                    return item.sample_losses(experiment.loss.per_sample, network, batch, target)

                return experiment.learner.update(experiment, state, batch, key, step, losses)

            return lax.cond(on, other, plain)
    return plain()


def _begun(
    acts: list[tuple[Intervention, Target]],
    network: Any,
    step: jax.Array,
    data: dict[str, jax.Array],
    memory: tuple[Any, ...],
) -> tuple[Any, tuple[Any, ...]]:
    """Begin the interventions that begin at a step. This is rare, hence a `lax.cond`."""
    starts = [target.at == step for _, target in acts]

    def work() -> tuple[Any, tuple[Any, ...]]:
        changed, kept = network, list(memory)
        for i, ((item, bare), now) in enumerate(zip(acts, starts, strict=True)):
            target = bare._replace(step=step)
            kept[i] = _chosen(now, item.record(changed, target), kept[i])
            if "begin" in item.stages:
                changed = _chosen(now, item.begin(changed, target, data), changed)
        return changed, tuple(kept)

    if not any("begin" in item.stages for item, _ in acts) and not jax.tree.leaves(memory):
        return network, memory
    return lax.cond(jnp.any(jnp.stack(starts)), work, lambda: (network, memory))


def _after(item: Intervention, target: Target, before: Any, network: Any, kept: Any) -> Any:
    return item.after_update(before, network, target, kept)


def _unchanged(before: Any, network: Any, kept: Any) -> Any:
    del before, kept
    return network


def _chosen(condition: jax.Array, there: Any, elsewhere: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), there, elsewhere)
