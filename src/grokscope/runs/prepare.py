"""Prepare new members of branches and of runs with interventions: start states and intervention targets.

They are found once, before the members train, and stored (`grokscope.runs.origins`).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import jax
import jax.numpy as jnp
import numpy as np

from grokscope.errors import InputError, did_you_mean
from grokscope.interventions import NEURON_PARAMETERS, Intervention, NetworkArrays, Target
from grokscope.measures import active_subnetwork
from grokscope.models.networks.one_hidden_layer import OneHiddenLayer
from grokscope.models.networks.parameters import matching_names
from grokscope.progress import Progress
from grokscope.runs.measure_plan import how_to_find_subnetworks
from grokscope.runs.origins import pack_targets
from grokscope.runs.remarks import outdated_measures
from grokscope.runs.replay import NETWORK, network_arrays, state_structure, states_at
from grokscope.runs.same import require_same
from grokscope.spec.events import Event
from grokscope.spec.moments import Moment, how_to_branch, parse_moment
from grokscope.spec.stopping import NO_STEP
from grokscope.spec.streams import Lineup, Members, Seeds, on_members
from grokscope.starts import FromRun, Init
from grokscope.store.allow import Allow
from grokscope.store.folder import find_run, is_run
from grokscope.store.open import open_store
from grokscope.store.place import BucketPath, as_place, shown_as
from grokscope.store.run_store import RunStore, code_difference, fingerprint_difference
from grokscope.training.cohort import Cohort, array_leaves
from grokscope.training.devices import in_precision, prepare_devices
from grokscope.training.loop import as_precision, member_keys
from grokscope.training.numerics import numerics_here

if TYPE_CHECKING:
    from grokscope.experiment import Experiment
    from grokscope.tasks import Task

__all__ = [
    "Prepared",
    "data_of_member",
    "data_of_task",
    "data_structure",
    "member_data",
    "prepare",
    "source_steps",
]


# paths of the parameters that an optimizer with ``decay_towards = "initial"`` keeps in its state
_INITIAL = re.compile(r"state\.optimizer_state\.(\d+\.)*initial\.")


@dataclass
class Prepared:
    """Members that are ready to train.

    Attributes:
        members: the seeds of each member that can start.
        leaves: their origins for `Transaction.write_origins`, arrays [member, ...] by path.
        left_out: the reason for each member that cannot start, by its seeds.
        other_numerics: the differences between the numerics of the source and those of this machine.
        changed_code: the parts of the source whose code has changed since.
    """

    members: list[Seeds] = field(default_factory=list[Seeds])
    leaves: dict[str, np.ndarray] = field(default_factory=dict[str, np.ndarray])
    left_out: dict[Seeds, str] = field(default_factory=dict[Seeds, str])
    other_numerics: list[str] = field(default_factory=list[str])
    changed_code: list[str] = field(default_factory=list[str])

    def leave_out(self, reasons: np.ndarray) -> np.ndarray:
        """Remove the members that cannot start.

        Args:
            reasons: text for each member; empty if it can start.

        Returns:
            Whether each member is kept, bool [member].
        """
        kept = np.array([not reason for reason in reasons], bool)
        self.left_out |= {m: str(reason) for m, reason in zip(self.members, reasons, strict=True) if reason}
        self.members = [m for m, keep in zip(self.members, kept, strict=True) if keep]
        self.leaves = {name: leaf[kept] for name, leaf in self.leaves.items()}
        return kept


class _ReplayProgress:
    """Progress of replays of the source; it is shown from the first replayed step, and not without one.

    Attributes:
        total: predicted number of member-steps.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._has_started = False
        self.total = 0

    def __call__(self, steps: int) -> None:
        if not self._has_started:
            self._progress.start(self.total, "states of the source")
            self._has_started = True
        self._progress.advance(steps)

    def finish(self) -> None:
        if self._has_started:
            self._progress.finish()


def prepare(
    experiment: Experiment,
    members: Members,
    progress: Progress,
    *,
    allow: Allow,
) -> Prepared:
    """Find the start step, start state and intervention targets of new members.

    Args:
        experiment: an experiment that starts from a run or has interventions.
        members: the members to prepare.
        progress: receives the progress of replays of the source.
        allow: branch from a run that was made under other numerics, or by other code of its parts.

    Raises:
        InputError: if no member can start, with the reason of the first; if the source run does not exist, is
            another run, or has states of other shapes; if an intervention names neurons or bits that do not
            exist; or if the source lacks what they are chosen by.
    """
    prepared = Prepared(list(members.seeds))
    replayed = _ReplayProgress(progress)
    source: SourceMembers | None = None
    states: dict[str, np.ndarray] = {}
    if isinstance(experiment.init, FromRun):
        source = _start_in_source(experiment, experiment.init, prepared, replayed, allow)
        if prepared.members:
            states = _start_states(experiment, experiment.init, prepared, source)
    else:
        prepared.leaves = {
            "origin": np.zeros(len(members), np.int64),
            "source": np.full((len(members), 4), -1, np.int64),
        }
        states = _fresh_states(experiment, prepared.members)
    if prepared.members:
        _resolve_interventions(experiment, prepared, states, source)
    replayed.finish()
    if not prepared.members:
        seeds, reason = next(iter(prepared.left_out.items()))
        raise InputError(f"no member of {len(members)} can start: seed {seeds.label}: {reason}.")
    return prepared


def _start_in_source(
    experiment: Experiment, init: FromRun, prepared: Prepared, replayed: _ReplayProgress, allow: Allow
) -> SourceMembers:
    """Find each member's source member and start step; leave out the members that cannot start."""
    store = _open_source(init, prepared, allow)
    found = _match_members(store, Members(tuple(prepared.members)))
    prepared.leave_out(np.array([reason for _, reason in found], object))
    chosen = tuple(seeds for seeds, _ in found if seeds is not None)
    source = SourceMembers(store, chosen, replayed, allow=allow)
    steps = source.moments(parse_moment(init.at, "init.at"))
    done = store.steps_done[[store.position(seeds) for seeds in chosen]].astype(np.float64)
    reasons = np.full(len(chosen), "", object)
    reasons[np.isinf(steps)] = f"{init.at}: was not seen in the source"
    early, late = steps < 0, np.isfinite(steps) & (steps > done)
    reasons[early] = f"{init.at}: lies before step 0"
    reasons[late] = [
        f"step {s:.0f}: the source has only done {d:.0f} steps"
        for s, d in zip(steps[late], done[late], strict=True)
    ]
    origin = np.where(np.isfinite(steps), steps, 0).astype(np.int64)
    start = np.zeros_like(origin) if init.clock == "zero" else origin
    beyond = (reasons == "") & (start > experiment.n_steps)
    reasons[beyond] = f"it would start after the {experiment.n_steps} steps of the experiment"
    prepared.leaves = {"origin": start, "source": np.array(chosen, np.int64).reshape(-1, 4)}
    source.steps, replayed.total = origin, int(origin.sum())
    return source.part(prepared.leave_out(reasons))


def _start_states(
    experiment: Experiment, init: FromRun, prepared: Prepared, source: SourceMembers
) -> dict[str, np.ndarray]:
    """The states in which members start; they are also added to ``prepared.leaves``."""
    states = source.states_at(source.steps)
    wanted = state_structure(experiment)
    if init.takes_all:
        states = {name: leaf for name, leaf in states.items() if not name.startswith("memory.")}
        _check_fit(states, wanted)
    else:
        there = {name: states[path] for name, path in network_arrays(states).items()}
        copied = {NETWORK + name: leaf for name, leaf in there.items()}
        states = _fresh_states(experiment, prepared.members)
        mask = None
        if init.neurons is not None:
            view = StoredMembers(experiment, Members(tuple(prepared.members)), copied, source)
            if not view.width or not source.experiment.model.has_one_hidden_layer:
                raise InputError(
                    "init.neurons: needs one-hidden-layer networks; name init.parameters instead."
                )
            mask = init.neurons.find(view)
        here = network_arrays(states)
        for one, name in _renamed(init, there, here).items():
            new = _transplanted(init, (one, there[one]), (name, states[here[name]]), mask)
            states[here[name]] = new
            for path in [
                path for path in states if (at := _INITIAL.match(path)) and path[at.end() :] == name
            ]:
                states[path] = new  # towards which weight decay pulls
    prepared.leaves |= {f"state/{name}": leaf for name, leaf in states.items()}
    return states


def _renamed(init: FromRun, there: Iterable[str], here: Iterable[str]) -> dict[str, str]:
    """The parameters of the source that are copied, each with its name in this experiment's network.

    Raises:
        InputError: if a name does not exist on its side, or two parameters would have the same name.
    """
    chosen = list(there)
    try:
        if init.parameters != "all":
            chosen = matching_names(init.parameters, chosen, "the source")
    except InputError as error:
        raise InputError(f"init.parameters: {error}") from None
    if init.neurons is not None:  # an output bias belongs to no neuron
        chosen = [name for name in chosen if name in NEURON_PARAMETERS]
    names = dict(init.rename)
    for name in names:
        if name not in chosen:
            raise InputError(f"init.rename: '{name}' is not copied from the source: {', '.join(chosen)}.")
    found = {name: names.get(name, name) for name in chosen}
    known = list(here)
    for one, name in found.items():
        if name not in known:
            where = "init.rename" if one in names else "init.parameters"
            hint = "" if one in names else " Give it another name with init.rename."
            raise InputError(
                f"{where}: '{name}' is no parameter of this experiment's network."
                f"{did_you_mean(name, known)} It has: {', '.join(known)}.{hint}"
            )
        if list(found.values()).count(name) > 1:
            raise InputError(f"init.rename: two parameters of the source would be copied to '{name}'.")
    return found


def _transplanted(
    init: FromRun, source: tuple[str, np.ndarray], own: tuple[str, np.ndarray], mask: np.ndarray | None
) -> np.ndarray:
    """A parameter [member, ...] of this experiment's networks, with the source's values copied into it.

    Raises:
        InputError: if shapes or types differ, and ``init.into`` does not allow it.
    """
    (there, new), (here, old) = source, own
    same = new.shape == old.shape
    if new.dtype != old.dtype or not (same or (init.into == "leading" and new.ndim == old.ndim)):
        raise InputError(_misfit(there, new, old.dtype, old.shape[1:], here))
    if same:
        return new if mask is None else _replace_neurons(here, mask, new, old)
    block = tuple(slice(min(sizes)) for sizes in zip(new.shape, old.shape, strict=True))
    value = old.copy()
    value[block] = new[block]
    return value


def _misfit(there: str, leaf: np.ndarray, dtype: Any, shape: tuple[int, ...], here: str = "") -> str:
    """Error text: a parameter of the source has another shape or type than this experiment's."""
    name = "" if here in ("", there) else f" network.{here}"
    hint = ""
    if here and dtype == leaf.dtype and len(shape) == leaf.ndim - 1:
        hint = "; init.into = 'leading' copies the leading entries"
    return (
        f"init: the source's network.{there} is {leaf.dtype} of shape {leaf.shape[1:]};"
        f" this experiment's{name} is {dtype} of shape {shape}{hint}."
    )


def _replace_neurons(name: str, mask: np.ndarray, new: np.ndarray, old: np.ndarray) -> np.ndarray:
    """A parameter with new values for the neurons of the mask and the old values for the others."""
    if name.endswith("hidden_weight"):
        mask = mask[:, None, :]
    elif new.ndim > mask.ndim:
        mask = mask[:, :, None]
    return np.where(mask, new, old)


def _check_fit(states: dict[str, np.ndarray], wanted: Mapping[str, Any]) -> None:
    """Raise an error if whole states differ from the experiment's in their leaves, shapes or types."""
    there, here = (
        {name: leaf for name, leaf in leaves.items() if name.startswith(NETWORK)}
        for leaves in (states, wanted)
    )
    if set(there) != set(here):
        lists = [", ".join(name.removeprefix(NETWORK) for name in names) for names in (there, here)]
        raise InputError(
            f"init: the source's network has the parameters {lists[0]}; this experiment's has {lists[1]}; "
            "name those to copy with init.parameters, and their names here with init.rename."
        )
    for name, leaf in states.items():
        own = wanted.get(name)
        if own is not None and (own.shape != leaf.shape[1:] or own.dtype != leaf.dtype):
            if name in there:
                raise InputError(_misfit(name.removeprefix(NETWORK), leaf, own.dtype, own.shape))
            break
    else:
        if set(states) == set(wanted):
            return
    raise InputError(
        "init: the source's optimizer state does not fit this optimizer; take only the network over: "
        "init.parameters = ['*']."
    )


def _fresh_states(experiment: Experiment, members: list[Seeds]) -> dict[str, np.ndarray]:
    """The states of members before their first update, arrays [member, ...] by path."""
    cohorts = Cohort.cut(experiment, Members(tuple(members)))
    pieces = [array_leaves(cohort.trim(cohort.start()[0])) for _, cohort in cohorts]
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def _resolve_interventions(
    experiment: Experiment, prepared: Prepared, states: dict[str, np.ndarray], source: SourceMembers | None
) -> None:
    """Find the targets of the interventions; leave out the members that lack one."""
    items = cast("tuple[Intervention, ...]", experiment.interventions)
    view = StoredMembers(experiment, Members(tuple(prepared.members)), states, source)
    origin = prepared.leaves["origin"]
    reasons = np.full(len(prepared.members), "", object)
    targets: list[Target] = []
    for item in items:
        mask, bits, more = item.select(view)
        at = _steps(item.at, prepared, experiment, source)
        until = np.full(len(at), np.inf)
        if item.until is not None:
            until = _steps(item.until, prepared, experiment, source)
        for fails, text in (
            (~mask.any(axis=1) & (mask.shape[1] > 0), "has no neurons to act on"),
            (np.isinf(at), f"{item.at} was not seen in the source"),
            (at < origin, f"{item.at} lies before its start"),
            (until <= at, "it would end before it begins"),
        ):
            reasons = np.where((reasons == "") & fails, f"{item.label}: {text}", reasons)
        targets.append(Target(mask, bits, _as_int32(at), _as_int32(until), more))
    prepared.leaves |= pack_targets(targets)
    prepared.leave_out(reasons)


def _steps(
    value: int | str, prepared: Prepared, experiment: Experiment, source: SourceMembers | None
) -> np.ndarray:
    """The step of each member at a moment of an intervention, in the member's own step count."""
    moment = parse_moment(value)
    origin = prepared.leaves["origin"]
    if moment.event == "end":
        return moment.steps(None, origin, np.full(len(origin), experiment.n_steps))
    if moment.event == "start" or source is None or not moment.is_event:
        return moment.steps(None, origin, origin)
    return source.moments(moment)


def _as_int32(steps: np.ndarray) -> np.ndarray:
    """Steps as int32 from 0 on; infinity becomes `NO_STEP`."""
    return np.clip(np.where(np.isfinite(steps), steps, NO_STEP), 0, NO_STEP).astype(np.int32)


class SourceMembers:
    """The source member of each member of a branch; several members may have the same one.

    Args:
        store: the store of the source run.
        seeds: the seeds of each source member.
        advance: called with the member-steps replayed.
        allow: replay under numerics or by code that differ from the source's.

    Attributes:
        experiment: the experiment of the source run.
        steps: the step of the source at which each branch begins, [member].
    """

    def __init__(
        self,
        store: RunStore,
        seeds: tuple[Seeds, ...],
        advance: Callable[[int], None],
        *,
        allow: Allow,
    ) -> None:
        self.store, self.seeds, self._advance, self._allow = store, seeds, advance, allow
        self.experiment = store.experiment
        self._rows = [store.position(each) for each in seeds]
        self.steps = np.zeros(len(seeds), np.int64)
        self._states: dict[Moment, dict[str, np.ndarray]] = {}

    @property
    def members(self) -> Lineup:
        """The source members, in the order of the branch's members."""
        return Lineup(self.seeds)

    def part(self, rows: np.ndarray) -> SourceMembers:
        """The members for which the mask ``rows`` [member] holds."""
        chosen = tuple(seeds for seeds, kept in zip(self.seeds, rows, strict=True) if kept)
        part = SourceMembers(self.store, chosen, self._advance, allow=self._allow)
        part.steps = self.steps[rows]
        return part

    def moments(self, at: Moment) -> np.ndarray:
        """The step of each member at a moment; inf if the event was not seen in it. Never NaN.

        Raises:
            InputError: if other code than the present one has computed the measure of the event.
        """
        if isinstance(at.event, Event):
            outdated = outdated_measures(self.store, self.experiment)
            if at.event.measure in outdated:
                raise InputError(f"{self.store.path}: {outdated[at.event.measure]}")
        measures = on_members(self.store.read_measures(), self.seeds) if at.is_event else None
        return at.steps(measures, self.steps, self.store.steps_done[self._rows])

    def states(self, at: Moment) -> dict[str, np.ndarray]:
        """The members' states at a moment, arrays [member, ...] by path.

        Raises:
            InputError: if the event of the moment was not seen in a member.
        """
        if at not in self._states:
            steps = self.moments(at)
            if np.isinf(steps).any():
                seeds = self.seeds[int(np.argmax(np.isinf(steps)))]
                raise InputError(f"{self.store.path}: the event of '{at}' was not seen in seeds {seeds}.")
            self._states[at] = self.states_at(steps.astype(np.int64))
        return self._states[at]

    def states_at(self, steps: np.ndarray) -> dict[str, np.ndarray]:
        """The members' states at one step each, arrays [member, ...] by path; see `replay.states_at`."""
        return states_at(
            self.store,
            self.experiment,
            self._rows,
            steps,
            self._advance,
            allow=self._allow,
        )

    def subnetwork(self, name: str, flavor: str) -> np.ndarray:
        """A stored subnetwork of each member, bool [member, neuron].

        Raises:
            InputError: if the store has none of a member.
        """
        masks: list[np.ndarray] = []
        for seeds, row in zip(self.seeds, self._rows, strict=True):
            found = self.store.read_subnetworks(flavor, row)
            if found is None:
                raise InputError(
                    f"{self.store.path}: keeps no subnetworks of flavor '{flavor}' of seeds {seeds}; find "
                    f"them: {how_to_find_subnetworks()}, or take neurons = {{kind = 'active'}}."
                )
            masks.append(found.masks[list(found.labels).index(name)])
        return np.stack(masks)


def _open_source(init: FromRun, prepared: Prepared, allow: Allow) -> RunStore:
    """Open the store of the source run; allowed differences from this process are noted in ``prepared``.

    Raises:
        InputError: if there is no run, it has another identity than ``init.source``, or its numerics or the
            code of its parts differ and that is not allowed.
    """
    if isinstance(as_place(init.run), BucketPath):
        raise InputError(f"init.run: {init.run}: lies in a bucket; members start from a run in a folder.")
    if not init.place.is_dir():
        raise InputError(f"init.run: {init.run}: there is no such folder; members start from the run in it.")
    given = Path(init.run)
    with shown_as(init.place, given):
        place = find_run(init.place)
    store = open_store(place, shown=given / place.relative_to(init.place))
    if store.identity != init.source:
        raise InputError(
            f"init.run: {store.path}: is another run (identity {store.identity[:8]}, not {init.source[:8]})."
        )
    if not store.experiment.learner.trains:  # an imported run is never replayed
        return store
    here = numerics_here(store.experiment)
    require_same(store, store.experiment, to="replay", allow=allow, numerics=here)
    prepared.other_numerics = fingerprint_difference(store.fingerprint, here)
    prepared.changed_code = code_difference(store.code or {}, store.experiment.training_code)
    return store


def _match_members(store: RunStore, members: Members) -> list[tuple[Seeds | None, str]]:
    """The source member of each member: the one that shares most seeds with it; else None and the reason."""
    candidates = store.seeds
    exact = set(candidates)
    table = np.array(candidates, np.int64)
    weights = np.array([8, 4, 2, 1])  # among equal numbers of shared seeds, earlier streams count more
    found: list[tuple[Seeds | None, str]] = []
    for seeds in members:
        if seeds in exact:
            found.append((seeds, ""))
            continue
        shared = table == np.array(seeds)
        score = shared.sum(axis=1) * 16 + shared @ weights
        best = np.flatnonzero(score == score.max())
        if score.max() == 0:
            found.append((None, f"{store.path} has no member that shares a seed with it"))
        elif len(best) > 1:
            found.append((None, f"{len(best)} members of {store.path} share equally many seeds with it"))
        else:
            found.append((candidates[int(best[0])], ""))
    return found


def source_steps(init: Init) -> int:
    """The member-steps that the source run has done; 0 without a source, or if its folder is gone."""
    if not isinstance(init, FromRun) or not is_run(init.place):
        return 0
    return int(open_store(init.place, shown=Path(init.run)).steps_done.sum())


class StoredMembers:
    """Read access to members before training; implements `grokscope.interventions.MemberView`.

    Args:
        experiment: the experiment of the members.
        members: the members.
        states: their start states, arrays [member, ...] by path.
        source: their source members, or None.
    """

    def __init__(
        self,
        experiment: Experiment,
        members: Members,
        states: dict[str, np.ndarray],
        source: SourceMembers | None,
    ) -> None:
        self._experiment, self._members, self._states, self._source = experiment, members, states, source
        self._active: dict[Any, Any] = {}

    @property
    def seeds(self) -> np.ndarray:
        """Each member's seeds, int64 [member, 4]."""
        return np.array(self._members.seeds, np.int64)

    @property
    def source_seeds(self) -> np.ndarray:
        """The seeds of each member's source member; its own without a source; int64 [member, 4]."""
        return self.seeds if self._source is None else np.array(self._source.members.seeds, np.int64)

    @property
    def width(self) -> int:
        """The number of neurons; 0 if the network has not exactly one hidden layer."""
        return self._hidden_shape[1]

    @property
    def n_bits(self) -> int:
        """The number of inputs of each neuron; 0 if the network has not exactly one hidden layer."""
        return self._hidden_shape[0]

    @property
    def _hidden_shape(self) -> tuple[int, int]:
        if not self._experiment.model.has_one_hidden_layer:
            return 0, 0
        _, bits, neurons = self._states[f"{NETWORK}hidden_weight"].shape
        return bits, neurons

    def support(self) -> np.ndarray:
        """The task's hidden bits, or those drawn from each member's data seed; bool [member, bit].

        Raises:
            InputError: if the task does not know them.
        """
        task = self._experiment.task
        bits = np.zeros((len(self._members), self.n_bits), bool)
        known = task.facts().get("support")
        if known is not None:
            bits[:, list(known)] = True
            return bits
        drawn = member_data(self._experiment, self._members).get("support")
        if drawn is None:
            raise InputError(
                f"interventions.bits: task '{task.kind}' does not know its hidden bits; list them."
            )
        np.put_along_axis(bits, drawn.astype(np.int64), True, axis=1)
        return bits

    def parameters(self, at: Moment) -> dict[str, np.ndarray]:
        """The source's networks at a moment; at ``start`` the networks with which the members start."""
        is_start = at.event == "start" and not at.offset and at.factor == 1
        leaves = self._states if is_start else self._require_source().states(at)
        return {name.removeprefix(NETWORK): leaf for name, leaf in leaves.items() if name.startswith(NETWORK)}

    def weights(self, at: Moment) -> NetworkArrays:
        """The same of one-hidden-layer networks."""
        arrays = self.parameters(at)
        return NetworkArrays(*(arrays[name] for name in NetworkArrays._fields))

    def active(self, at: Moment, flavor: Literal["predictions", "accuracy"], order: str) -> np.ndarray:
        """The active subnetwork on the source's training inputs; without a source, on the members' own."""
        key = (at, flavor, order)
        if key not in self._active:
            weights = self.weights(at)
            experiment, members = self._experiment, self._members
            if self._source is not None:
                experiment, members = self._source.experiment, self._source.members
            find = _active_function(flavor, order, getattr(experiment.model, "activation", "relu"))
            self._active[key] = _over_members(experiment, members, find, tuple(weights))
        return self._active[key]

    def subnetwork(self, name: str, flavor: Literal["predictions", "accuracy"]) -> np.ndarray:
        """A subnetwork from the store of the source, bool [member, neuron]."""
        return self._require_source().subnetwork(name, flavor)

    def _require_source(self) -> SourceMembers:
        if self._source is None:
            raise InputError(
                "neurons: this set is chosen by a source run, but this experiment has none; branch from a "
                f"run: {how_to_branch()}."
            )
        return self._source


def _over_members(experiment: Experiment, members: Members, function: Any, arrays: tuple[Any, ...]) -> Any:
    """Apply a pure function of (a member's arrays, its own data, shared data) to all members.

    Returns:
        Its results on the host, arrays [member, ...]. A member may occur more than once.
    """
    pieces: list[Any] = []
    with in_precision(experiment.precision):
        for rows, cohort in Cohort.cut(experiment, members):
            placed = cohort.place(tuple(array[rows] for array in arrays))
            pieces.append(cohort.trim(cohort.each(function, placed, cohort.data())))
    return jax.tree.map(lambda *parts: np.concatenate(parts), *pieces)


def member_data(experiment: Experiment, members: Members) -> dict[str, np.ndarray]:
    """The members' own data on the host, arrays [member, ...]."""
    return _over_members(experiment, members, _own_data, ())


def data_of_member(experiment: Experiment, member: Seeds) -> dict[str, np.ndarray]:
    """All data of one member on the host, its own and those that all members share, by name."""
    prepare_devices()
    with in_precision(experiment.precision):
        shared = as_precision(experiment.task.shared_data(), experiment.precision)
        own = member_data(experiment, Members((member,)))
    return {name: np.asarray(array) for name, array in shared.items()} | {
        name: array[0] for name, array in own.items()
    }


def data_of_task(task: Task, member: Seeds, precision: str = "float32") -> dict[str, np.ndarray]:
    """All data of one member of any experiment with a task, as `data_of_member`."""
    prepare_devices()

    @jax.jit
    def own(seeds: jax.Array) -> dict[str, jax.Array]:
        _, data, _, noise = member_keys(seeds)
        return as_precision({**task.shared_data(), **task.member_data(data, noise)}, precision)

    with in_precision(precision):
        return {name: np.asarray(array) for name, array in own(np.array(member, np.uint32)).items()}


def data_structure(experiment: Experiment) -> dict[str, Any]:
    """All data of a member, with shapes in place of arrays, by name."""

    def make() -> dict[str, jax.Array]:
        key = jax.random.key(0)
        arrays = {**experiment.task.shared_data(), **experiment.task.member_data(key, key)}
        return as_precision(arrays, experiment.precision)

    return jax.eval_shape(make)


def _own_data(arrays: Any, data: dict[str, jax.Array], shared: dict[str, jax.Array]) -> dict[str, jax.Array]:
    del arrays, shared
    return data


@functools.cache
def _active_function(flavor: Any, order: Any, activation: str) -> Any:
    """Function that finds the active subnetwork of one member; cached, so that it is compiled once."""

    def find(arrays: Any, data: dict[str, jax.Array], shared: dict[str, jax.Array]) -> jax.Array:
        network = OneHiddenLayer(*(jnp.asarray(array) for array in arrays), activation=activation)
        return active_subnetwork(network, shared | data, flavor, order)

    return find
