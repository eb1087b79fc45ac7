"""States and networks of a run's members at any step: read from the store if kept there, else replayed.

All states and networks come from here, for plain runs, branches and imported runs. A replay trains a block of
members again from their start, and compares the state at each recorded checkpoint with its hash.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import jax
import numpy as np

from grokscope.errors import GrokscopeError, InputError, run_again
from grokscope.interrupts import interruptible
from grokscope.models.networks.parameters import named_leaves
from grokscope.runs.networks import network_of, stacked
from grokscope.runs.origins import cohort_of, start_steps
from grokscope.runs.same import require_same
from grokscope.store.allow import NOTHING, Allow
from grokscope.store.checksums import state_sha256
from grokscope.training.cohort import array_leaves
from grokscope.training.devices import choose_execution, in_precision, prepare_devices
from grokscope.training.loop import Carry, MemberLoop, SegmentPlan, as_precision

if TYPE_CHECKING:
    from grokscope.experiment import Experiment
    from grokscope.store.run_store import RunStore

__all__ = [
    "kept_steps",
    "network_arrays",
    "network_at",
    "networks_at",
    "not_kept",
    "state_structure",
    "states_at",
]

NETWORK, MASKS = "state.network.", "state.masks."
MODEL_STATE = "state.model_state."
_FLOPS_A_CALL = 4e9  # work of a member in one call, about a second: a replay can be interrupted in between

Arrays = dict[str, np.ndarray]
Found = dict[tuple[int, int], Arrays]  # by (step, position)


def networks_at(
    store: RunStore, experiment: Experiment, positions: Sequence[int], steps: Sequence[int]
) -> Arrays:
    """The networks of members at steps, on the host: arrays [member, step, ...] by the names of snapshots.

    Networks in the store are read; the others are replayed, each member once.

    Args:
        store: the store of the run.
        experiment: the experiment of the run.
        positions: the members' positions in the store, without repetition.
        steps: the steps, in any order; a step may be given twice.

    Raises:
        InputError: if a member has no such step; or if a network must be replayed and cannot be, because the
            run was imported or the numerics of this machine or the code of a part differ from the run's.
        GrokscopeError: if a replay does not agree with a checkpoint.
    """
    at = np.unique(np.asarray(steps, np.int64)).tolist()
    found = _find(store, experiment, [(step, p) for p in positions for step in at], part="network")
    return stacked([stacked([found[int(step), p] for step in steps]) for p in positions])


def network_at(store: RunStore, experiment: Experiment, position: int, step: int) -> Any:
    """The network of one member at a step, as a pytree of the model's type; see `networks_at`."""
    leaves = networks_at(store, experiment, [position], [step])
    with in_precision(experiment.precision):  # otherwise jax converts stored float64 to float32
        return network_of(experiment, {name: leaf[0, 0] for name, leaf in leaves.items()})


def states_at(
    store: RunStore,
    experiment: Experiment,
    positions: Sequence[int],
    steps: np.ndarray,
    advance: Callable[[int], None],
    *,
    allow: Allow,
) -> Arrays:
    """The whole states of members (as in checkpoints) at one step each: arrays [member, ...] by path.

    Args:
        store: the store of the run.
        experiment: the experiment of the run, at its full length.
        positions: the members' positions in the store; a member may be given more than once.
        steps: a step for each of them.
        advance: called with the member-steps replayed.
        allow: replay even if the numerics of this machine, or the code of a part, differ from the run's.

    Raises:
        InputError: if a member has no such step; or if a state must be replayed and cannot be, because the
            run was imported or the numerics of this machine or the code of a part differ from the run's.
        GrokscopeError: if a replay does not agree with a checkpoint.
    """
    pairs = [(int(step), p) for step, p in zip(steps, positions, strict=True)]
    found = _find(store, experiment, pairs, "state", advance, allow=allow)
    return stacked([found[pair] for pair in pairs])


def kept_steps(store: RunStore, position: int) -> list[int]:
    """The steps at which a member's network is in the store: its snapshots and its latest checkpoint."""
    steps = set(store.snapshot_steps(position))
    if store.checkpoint_trail(position):
        steps.add(int(store.steps_done[position]))
    return sorted(steps)


def not_kept(store: RunStore, position: int, step: int) -> str:
    """Error text: an imported run has no network at a step; with the steps that it has."""
    steps = store.snapshot_steps(position)
    some = ", ".join(map(str, steps if len(steps) <= 6 else [*steps[:3], "...", steps[-1]]))
    near = min(steps, key=lambda one: abs(one - step))
    return (
        f"{store.path}: was imported and cannot be replayed; it has the steps {some}, and the nearest to "
        f"{step} is {near}."
    )


def network_arrays(state: Iterable[str]) -> dict[str, str]:
    """The paths of a state's arrays that belong to the network, by their names in snapshots.

    Example:
        >>> network_arrays(["state.network.hidden_bias", "state.optimizer_state.0.count"])
        {'hidden_bias': 'state.network.hidden_bias'}
    """
    found: dict[str, str] = {}
    for path in state:
        for prefix in (NETWORK, MODEL_STATE):
            if path.startswith(prefix):
                found[path.removeprefix(prefix)] = path
    return found


def state_structure(experiment: Experiment) -> dict[str, jax.ShapeDtypeStruct]:
    """Shape and type of each leaf of a member's state before its first update, by path."""
    loop = MemberLoop(experiment)

    def start() -> Carry:
        shared = as_precision(experiment.task.shared_data(), experiment.precision)
        return loop.start(jax.numpy.zeros(4, "uint32"), {}, shared)[0]

    return named_leaves(jax.eval_shape(start))


@interruptible
def _find(
    store: RunStore,
    experiment: Experiment,
    pairs: Iterable[tuple[int, int]],
    part: Literal["state", "network"],
    advance: Callable[[int], None] = lambda steps: None,
    *,
    allow: Allow = NOTHING,
) -> Found:
    """Read or replay the states, or only the networks, of (step, position) pairs."""
    wanted = sorted(set(pairs))
    _check_steps(store, wanted)
    prepare_devices()
    with in_precision(experiment.precision):
        found = (_kept_networks if part == "network" else _kept_states)(store, experiment, wanted)
        source = _source(store, experiment, part)
        found |= _recent(source, [pair for pair in wanted if pair not in found])
        lacking = [pair for pair in wanted if pair not in found]
        if not lacking:
            return found
        if not experiment.learner.trains:
            raise InputError(not_kept(store, lacking[0][1], lacking[0][0]))
        require_same(store, experiment, to="replay", allow=allow)
        last = {position: step for step, position in lacking}  # the last step: the pairs are sorted
        members = sorted(last, key=lambda position: last[position])
        execution = choose_execution(len(members), experiment=experiment)
        for low in range(0, len(members), execution.capacity):
            block = members[low : low + execution.capacity]
            of_block = {pair for pair in lacking if pair[1] in block}
            replayed = _replayed(store, experiment, block, of_block, part, advance)
            _remember(source, replayed)
            found |= replayed
    return found


def _check_steps(store: RunStore, wanted: list[tuple[int, int]]) -> None:
    done, starts = store.steps_done, start_steps(store, range(len(store.seeds)))
    for step, position in wanted:
        if not starts[position] <= step <= done[position]:
            raise InputError(
                f"{store.path}: seed {store.seeds[position].label} has steps {starts[position]} to "
                f"{done[position]}, not {step}."
            )


def _kept_networks(store: RunStore, experiment: Experiment, wanted: list[tuple[int, int]]) -> Found:
    """The networks that are in the store: snapshots, and those of latest checkpoints."""
    found: Found = {}
    done = store.steps_done
    for step, position in wanted:
        if step in store.snapshot_steps(position):
            found[step, position] = store.read_snapshot(position, step)
        elif step == done[position] and store.checkpoint_trail(position):
            found[step, position] = _network(store.read_checkpoint(position).leaves)
        elif step == done[position] and experiment.learner.trains:
            raise InputError(
                f"{store.path}: nothing is kept yet of seeds {store.seeds[position]}: the run was stopped "
                f"before its first commit; {run_again()}."
            )
    return found


def _kept_states(store: RunStore, experiment: Experiment, wanted: list[tuple[int, int]]) -> Found:
    """The states that are in the store: latest checkpoints; and snapshots, if the network is the state."""
    found: Found = {}
    done = store.steps_done
    final = [(step, row) for step, row in wanted if step == done[row] and step in store.checkpoint_trail(row)]
    if final:
        for pair, checkpoint in zip(final, store.read_checkpoints([row for _, row in final]), strict=True):
            if checkpoint.step == pair[0]:
                found[pair] = checkpoint.leaves
    if experiment.learner.trains:
        names = set(state_structure(experiment)) - {"diverged"}
        if experiment.interventions or any(not name.startswith(NETWORK) for name in names):
            return found
    diverged = store.diverged_step
    for step, row in wanted:
        if (step, row) not in found and step in store.snapshot_steps(row):
            lost = diverged[row] if 0 <= diverged[row] < step else -1
            leaves = {NETWORK + name: leaf for name, leaf in store.read_snapshot(row, step).items()}
            found[step, row] = {**leaves, "diverged": np.asarray(lost, np.int32)}
    return found


def _network(state: Arrays) -> Arrays:
    """The network of a state with its masks applied, by the names of snapshots."""
    network = {name: state[path] for name, path in network_arrays(state).items()}
    masks = {name.removeprefix(MASKS): leaf for name, leaf in state.items() if name.startswith(MASKS)}
    return {name: leaf * masks[name] if name in masks else leaf for name, leaf in network.items()}


# Cache of replayed states and networks: several branches from the same step replay it once.
_RECENT_BYTES = 2e8
_recently: OrderedDict[tuple[str, ...], Arrays] = OrderedDict()


def _source(store: RunStore, experiment: Experiment, part: str) -> tuple[str, ...]:
    """The start of the keys of a run's states or networks."""
    return str(store.path), store.identity, part, *(one.sha256 for one in experiment.training_code.values())


def _recent(source: tuple[str, ...], wanted: list[tuple[int, int]]) -> Found:
    found: Found = {}
    for pair in wanted:
        key = (*source, *map(str, pair))
        if key in _recently:
            _recently.move_to_end(key)
            found[pair] = _recently[key]
    return found


def _remember(source: tuple[str, ...], found: Found) -> None:
    for pair, leaves in found.items():
        _recently[*source, *map(str, pair)] = leaves
    held = sum(leaf.nbytes for leaves in _recently.values() for leaf in leaves.values())
    while held > _RECENT_BYTES and _recently:
        _, leaves = _recently.popitem(last=False)
        held -= sum(leaf.nbytes for leaf in leaves.values())


def _replayed(
    store: RunStore,
    experiment: Experiment,
    rows: list[int],
    wanted: set[tuple[int, int]],
    part: Literal["state", "network"],
    advance: Callable[[int], None],
) -> Found:
    """Train one block of members again, and copy the wanted states or networks."""
    execution = choose_execution(len(rows), experiment=experiment)
    cohort = cohort_of(store, experiment, MemberLoop(experiment), rows, execution)
    carry, data = cohort.start()
    trails = {row: store.checkpoint_trail(row) for row in rows}
    starts = start_steps(store, rows)
    last = max(step for step, _ in wanted)
    passed = {step for trail in trails.values() for step in trail if step <= last}
    stops = sorted({step for step, _ in wanted} | passed)
    chunk = _steps_a_call(experiment, len(rows))
    found: Found = {}
    at, flag = 0, np.zeros(1, bool)
    for stop in stops:
        while at < stop:
            to = min(stop, at + chunk)
            plan = SegmentPlan(np.int32(at), np.array([to], np.int32), flag, flag)
            carry, _, _ = cohort.segment(carry, data, plan)
            advance((to - at) * len(rows))
            at = to
        whole = part == "state" or stop in passed  # the hash of a checkpoint is that of the whole state
        leaves = array_leaves(cohort.trim(carry if whole else cohort.networks(carry)))
        for i, row in enumerate(rows):
            state = {name: leaf[i] for name, leaf in leaves.items()}
            recorded = trails[row].get(stop)
            if recorded is not None and stop >= starts[i] and state_sha256(state) != recorded:
                raise GrokscopeError(
                    f"{store.path}: a replay of seed {store.seeds[row].label} does not pass the state that "
                    f"was recorded at step {stop}: the numerics of this machine or the code of a part differ "
                    "from those of the run, or the store was changed."
                )
            if (stop, row) in wanted:
                kept = _network(state) if part == "network" and whole else state
                found[stop, row] = {name: leaf.copy() for name, leaf in kept.items()}
    return found


def _steps_a_call(experiment: Experiment, n_members: int) -> int:
    task = experiment.task
    samples = task.n_train if experiment.batch_size == "full" else int(experiment.batch_size)
    per_step = samples * experiment.model.flops_per_sample(task.input_shape, task.n_outputs)
    return max(1, int(_FLOPS_A_CALL * 16 / (max(1, n_members) * per_step)))
