"""States of a run's members at given steps: from the checkpoint or a snapshot, else by replay."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from grokscope.errors import GrokscopeError, InputError
from grokscope.runs._origins import cohort_of, origins_of
from grokscope.runs.networks import not_kept
from grokscope.runs.numerics import TO_REPLAY, check_numerics, numerics_here
from grokscope.store.checksums import state_sha256
from grokscope.training.cohort import leaf_name
from grokscope.training.devices import choose_execution, in_precision
from grokscope.training.loop import Carry, MemberLoop, SegmentPlan

if TYPE_CHECKING:
    from grokscope.experiment import Experiment
    from grokscope.store.run_store import RunStore

__all__ = ["carry_structure", "states_at"]

_NETWORK = "state.network."
_SLOTS = 64
_STEPS_A_CALL = 4e9  # floating-point operations: about a second, so that it can be stopped


def states_at(
    store: RunStore,
    experiment: Experiment,
    rows: Sequence[int],
    steps: np.ndarray,
    advance: Callable[[int], None] = lambda steps: None,
    *,
    allow_other_numerics: bool = False,
) -> dict[str, np.ndarray]:
    """The states (as in checkpoints) of members at steps, one each: arrays [member, ...] by path.

    Args:
        store: the run.
        experiment: its own, at its full length.
        rows: positions of the members; one may be asked for more than once.
        steps: for each of them.
        advance: told how many member-steps were replayed.
        allow_other_numerics: replay also where the numerics of this machine differ from the run's.

    Raises:
        InputError: if a member has not come to a step, or starts later; or if it must be replayed, and the
            numerics of this machine differ from the run's.
        GrokscopeError: if a replay passes a checkpoint and does not agree with it.
    """
    wanted = sorted({(int(step), row) for step, row in zip(steps, rows, strict=True)})
    _check(store, wanted)
    with in_precision(experiment.precision):  # the run's, whatever is made of its states
        found = _kept(store, experiment, wanted)
        found |= _recent(store, [pair for pair in wanted if pair not in found])
        lacking = [pair for pair in wanted if pair not in found]
        if lacking and not experiment.learner.trains:
            raise InputError(not_kept(store, lacking[0][1], lacking[0][0]))
        if lacking and not allow_other_numerics:
            check_numerics(store, numerics_here(experiment), advice=TO_REPLAY)
        last = {row: step for step, row in lacking}  # they are sorted
        members = sorted(last, key=lambda row: last[row])
        execution = choose_execution(max(1, len(members)), _SLOTS, experiment=experiment)
        for low in range(0, len(members), execution.capacity):
            block = members[low : low + execution.capacity]
            asked = {pair for pair in lacking if pair[1] in block}
            again = _replayed(store, experiment, block, asked, advance)
            _remember(store, again)
            found |= again
    each = [found[int(step), row] for step, row in zip(steps, rows, strict=True)]
    return {name: np.stack([leaves[name] for leaves in each]) for name in each[0]}


def carry_structure(experiment: Experiment) -> dict[str, jax.ShapeDtypeStruct]:
    """Shape and type of every leaf of a member's state before its first update, by path."""
    loop = MemberLoop(experiment)

    def start() -> Carry:
        return loop.start(jax.numpy.zeros(4, "uint32"), {})[0]

    paths, _ = jax.tree_util.tree_flatten_with_path(jax.eval_shape(start))
    return {leaf_name(path): leaf for path, leaf in paths}


_Found = dict[tuple[int, int], dict[str, np.ndarray]]


def _check(store: RunStore, wanted: list[tuple[int, int]]) -> None:
    done, starts = store.steps_done, origins_of(store, range(len(store.seeds)))
    for step, row in wanted:
        if not starts[row] <= step <= done[row]:
            raise InputError(
                f"{store.path}: seeds {store.seeds[row]} have steps {starts[row]} to {done[row]}, not {step}."
            )


def _kept(store: RunStore, experiment: Experiment, wanted: list[tuple[int, int]]) -> _Found:
    """States that lie in the store: checkpoints; and snapshots, where the network is all there is."""
    found: _Found = {}
    done = store.steps_done
    final = [(step, row) for step, row in wanted if step == done[row] and step in store.checkpoint_trail(row)]
    if final:
        for pair, checkpoint in zip(final, store.read_checkpoints([row for _, row in final]), strict=True):
            if checkpoint.step == pair[0]:
                found[pair] = checkpoint.leaves
    if experiment.learner.trains:
        names = set(carry_structure(experiment)) - {"diverged"}
        if experiment.interventions or any(not name.startswith(_NETWORK) for name in names):
            return found
    diverged = store.diverged_step
    for step, row in wanted:
        if (step, row) not in found and step in store.snapshot_steps(row):
            leaves = store.read_snapshot(row, step)
            lost = diverged[row] if 0 <= diverged[row] < step else -1
            found[step, row] = {_NETWORK + name: leaf for name, leaf in leaves.items()}
            found[step, row]["diverged"] = np.asarray(lost, np.int32)
    return found


# States that were made again lately: several branches from one place (doses, controls) replay it once.
_RECENT_BYTES = 2e8
_recently: OrderedDict[tuple[str, str, int, int], dict[str, np.ndarray]] = OrderedDict()


def _recent(store: RunStore, wanted: list[tuple[int, int]]) -> _Found:
    found: _Found = {}
    for step, row in wanted:
        key = (str(store.path), store.identity, step, row)
        if key in _recently:
            _recently.move_to_end(key)
            found[step, row] = _recently[key]
    return found


def _remember(store: RunStore, states: _Found) -> None:
    for (step, row), leaves in states.items():
        _recently[str(store.path), store.identity, step, row] = leaves
    held = sum(leaf.nbytes for leaves in _recently.values() for leaf in leaves.values())
    while held > _RECENT_BYTES and _recently:
        _, leaves = _recently.popitem(last=False)
        held -= sum(leaf.nbytes for leaf in leaves.values())


def _replayed(
    store: RunStore,
    experiment: Experiment,
    rows: list[int],
    wanted: set[tuple[int, int]],
    advance: Callable[[int], None],
) -> _Found:
    """Train one block again, and take the states it passes."""
    execution = choose_execution(len(rows), _SLOTS, experiment=experiment)
    cohort = cohort_of(store, experiment, MemberLoop(experiment), rows, execution)
    carry, data = cohort.start()
    trails = {row: store.checkpoint_trail(row) for row in rows}
    starts = origins_of(store, rows)
    last = max(step for step, _ in wanted)
    passed = {step for trail in trails.values() for step in trail if step <= last}
    stops = sorted({step for step, _ in wanted} | passed)
    chunk = _steps_a_call(experiment, len(rows))
    found: _Found = {}
    at, flag = 0, np.zeros(1, bool)
    for stop in stops:
        while at < stop:
            to = min(stop, at + chunk)
            plan = SegmentPlan(np.int32(at), np.array([to], np.int32), flag, flag)
            carry, _, _ = cohort.segment(carry, data, plan)
            advance((to - at) * len(rows))
            at = to
        leaves = _leaves(cohort.trim(carry))
        for i, row in enumerate(rows):
            state = {name: leaf[i] for name, leaf in leaves.items()}
            recorded = trails[row].get(stop)
            if recorded is not None and stop >= starts[i] and state_sha256(state) != recorded:
                raise GrokscopeError(
                    f"{store.path}: a replay of seeds {store.seeds[row]} does not pass the state that was "
                    f"recorded at step {stop}: the numerics of this machine differ from those of the run, or "
                    "the store was changed."
                )
            if (stop, row) in wanted:
                found[stop, row] = {name: leaf.copy() for name, leaf in state.items()}
    return found


def _steps_a_call(experiment: Experiment, n_members: int) -> int:
    task = experiment.task
    samples = task.n_train if experiment.batch_size == "full" else int(experiment.batch_size)
    per_step = samples * experiment.model.flops_per_sample(task.input_shape, task.n_outputs)
    return max(1, int(_STEPS_A_CALL * 16 / (max(1, n_members) * per_step)))


def _leaves(tree: Any) -> dict[str, np.ndarray]:
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {leaf_name(path): np.asarray(leaf) for path, leaf in paths}
