"""Prepare members: where they start, and on which neurons interventions act.

For branches and for runs with interventions. It is resolved once, before the members train, and stored
(`grokscope.runs.origins`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import jax
import jax.numpy as jnp
import numpy as np

from grokscope.errors import InputError
from grokscope.interventions import Intervention, NetworkArrays, Target
from grokscope.measures import active_subnetwork
from grokscope.models.networks.one_hidden_layer import OneHiddenLayer
from grokscope.progress import Progress, SilentProgress
from grokscope.runs.origins import pack_targets
from grokscope.runs.replay import NETWORK, state_structure, states_at
from grokscope.spec.moments import Moment, parse_moment
from grokscope.spec.stopping import NO_STEP
from grokscope.spec.streams import Lineup, Members, Seeds, on_members
from grokscope.starts import FromRun, Init
from grokscope.store.folder import find_run, is_run
from grokscope.store.open import open_store
from grokscope.store.place import BucketPath, as_place
from grokscope.store.run_store import RunStore, fingerprint_difference
from grokscope.training.cohort import Cohort, array_leaves
from grokscope.training.devices import in_precision
from grokscope.training.numerics import numerics_here

if TYPE_CHECKING:
    from grokscope.experiment import Experiment

__all__ = ["Prepared", "member_data", "prepare", "source_steps"]

_NO_SOURCE = (
    "neurons: this set is chosen by a source run, and there is none; branch from a run: "
    "grokscope branch RUN --at STEP|EVENT."
)


@dataclass
class Prepared:
    """Members ready to train.

    Attributes:
        members: those that can.
        leaves: for `Transaction.write_origins`, arrays [member, ...].
        left_out: those that cannot: their seeds, and why.
        other_numerics: in what the numerics of the source differ from this machine's.
    """

    members: list[Seeds] = field(default_factory=list[Seeds])
    leaves: dict[str, np.ndarray] = field(default_factory=dict[str, np.ndarray])
    left_out: dict[Seeds, str] = field(default_factory=dict[Seeds, str])

    other_numerics: list[str] = field(default_factory=list[str])

    @classmethod
    def of(
        cls,
        experiment: Experiment,
        members: Members,
        progress: Progress | None = None,
        *,
        allow_other_numerics: bool = False,
    ) -> Prepared:
        """Prepare members (see `prepare`), and refuse if none of them can train.

        Raises:
            InputError: if there is none, with the reason of the first; and as `prepare` does.
        """
        told = _Told(progress or SilentProgress())
        prepared = prepare(experiment, members, told, allow_other_numerics=allow_other_numerics)
        told.finish()
        if not prepared.members:
            seeds, why = next(iter(prepared.left_out.items()))
            raise InputError(f"no member of {len(members)} can start: seed {seeds.label}: {why}.")
        return prepared

    def leave_out(self, why: np.ndarray) -> np.ndarray:
        """Take members out: a reason for each, or an empty text; returns which are kept."""
        kept = np.array([not reason for reason in why], bool)
        self.left_out |= {m: str(reason) for m, reason in zip(self.members, why, strict=True) if reason}
        self.members = [m for m, keep in zip(self.members, kept, strict=True) if keep]
        self.leaves = {name: leaf[kept] for name, leaf in self.leaves.items()}
        return kept


class _Told:
    """Passes on how far the source is replayed; says nothing where nothing is."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._begun = False
        self.total = 0

    def __call__(self, steps: int) -> None:
        if not self._begun:
            self._progress.start(self.total, "states of the source")
            self._begun = True
        self._progress.advance(steps)

    def finish(self) -> None:
        if self._begun:
            self._progress.finish()


def prepare(
    experiment: Experiment,
    members: Members,
    told: _Told | None = None,
    *,
    allow_other_numerics: bool = False,
) -> Prepared:
    """Find where members start, in which states, and which neurons are acted on when.

    Args:
        experiment: theirs; not a plain one.
        members: new ones.
        told: of the steps that the source is replayed.
        allow_other_numerics: branch from a run that was made under other numerics.

    Raises:
        InputError: if the source is not there or is another, its states do not fit, neurons or bits do not
            exist, or what they are chosen by is not there.
    """
    prepared = Prepared(list(members.seeds))
    source: SourceMembers | None = None
    init, told = experiment.init, told or _Told(SilentProgress())
    if isinstance(init, FromRun):
        source = _branched(experiment, init, prepared, told, allow_other_numerics)
        if not prepared.members:
            return prepared
        states = _states(experiment, init, prepared, source)
    else:
        prepared.leaves = {
            "origin": np.zeros(len(members), np.int64),
            "source": np.full((len(members), 4), -1, np.int64),
        }
        states = _fresh(experiment, prepared.members)
    _resolve(experiment, prepared, states, source)
    return prepared


def _branched(
    experiment: Experiment,
    init: FromRun,
    prepared: Prepared,
    told: _Told,
    allow: bool,
) -> SourceMembers:
    """Find the source's members and the steps at which they are left."""
    store, prepared.other_numerics = open_source(init, allow_other_numerics=allow)
    found = source_members(store, Members(tuple(prepared.members)))
    prepared.leave_out(np.array([why for _, why in found], object))
    chosen = tuple(seeds for seeds, _ in found if seeds is not None)
    source = SourceMembers(store, chosen, told, allow_other_numerics=allow)
    moment = parse_moment(init.at, "init.at")
    steps = source.moments(moment)
    done = store.steps_done[[store.position(seeds) for seeds in chosen]].astype(np.float64)
    why = np.full(len(chosen), "", object)
    why[np.isinf(steps)] = f"{init.at}: was not seen in the source"
    early, late = steps < 0, np.isfinite(steps) & (steps > done)
    why[early] = f"{init.at}: lies before step 0"
    why[late] = [
        f"step {s:.0f}: the source has only come to {d:.0f}"
        for s, d in zip(steps[late], done[late], strict=True)
    ]
    origin = np.where(np.isfinite(steps), steps, 0).astype(np.int64)
    start = np.zeros_like(origin) if init.clock == "zero" else origin
    beyond = (why == "") & (start > experiment.n_steps)
    why[beyond] = f"it would start after the {experiment.n_steps} steps of the experiment"
    prepared.leaves = {"origin": start, "source": np.array(chosen, np.int64).reshape(-1, 4)}
    source.steps, told.total = origin, int(origin.sum())
    return source.part(prepared.leave_out(why))


def _states(
    experiment: Experiment, init: FromRun, prepared: Prepared, source: SourceMembers
) -> dict[str, np.ndarray]:
    """The states in which members start, which are kept too."""
    states = source.states_at(source.steps)
    wanted = state_structure(experiment)
    if init.takes_all:
        states = {name: leaf for name, leaf in states.items() if not name.startswith("memory.")}
        _check_fit(states, wanted, whole=True)
    else:
        taken = {name: leaf for name, leaf in states.items() if name.startswith(NETWORK)}
        _check_fit(taken, {name: w for name, w in wanted.items() if name.startswith(NETWORK)}, whole=False)
        states = _fresh(experiment, prepared.members)
        look = StoredMembers(experiment, Members(tuple(prepared.members)), taken, source)
        mask = init.neurons.find(look) if init.neurons is not None else None
        names = init.parameters if init.parameters != "all" else None
        for name, leaf in taken.items():
            if names is None or name.removeprefix(NETWORK) in names:
                states[name] = leaf if mask is None else _of_neurons(name, mask, leaf, states[name])
    prepared.leaves |= {f"state/{name}": leaf for name, leaf in states.items()}
    return states


def _of_neurons(name: str, mask: np.ndarray, there: np.ndarray, elsewhere: np.ndarray) -> np.ndarray:
    """The chosen neurons' numbers from one array, the others' from the other."""
    if name.endswith("hidden_weight"):
        mask = mask[:, None, :]
    elif there.ndim > mask.ndim:
        mask = mask[:, :, None]
    return np.where(mask, there, elsewhere)


def _check_fit(states: dict[str, np.ndarray], wanted: Mapping[str, object], *, whole: bool) -> None:
    """Refuse states of another shape, type or kind than the experiment's."""
    for name, leaf in states.items():
        shape = getattr(wanted.get(name), "shape", None)
        dtype = getattr(wanted.get(name), "dtype", None)
        if shape is not None and (shape != leaf.shape[1:] or dtype != leaf.dtype):
            raise InputError(
                f"init: the source's {name.removeprefix('state.')} is {leaf.dtype} of shape {leaf.shape[1:]};"
                f" this experiment's is {dtype} of shape {shape}."
            )
    if whole and set(states) != set(wanted):
        raise InputError(
            "init: the source's optimizer state does not fit this optimizer; take only the network over: "
            "init.parameters = ['hidden_weight', 'hidden_bias', 'output_weight']."
        )


def _fresh(experiment: Experiment, members: list[Seeds]) -> dict[str, np.ndarray]:
    """The states of fresh members, arrays [member, ...] by path."""
    cohorts = Cohort.cut(experiment, Members(tuple(members)))
    pieces = [array_leaves(cohort.trim(cohort.start()[0])) for _, cohort in cohorts]
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def _resolve(
    experiment: Experiment, prepared: Prepared, states: dict[str, np.ndarray], source: SourceMembers | None
) -> None:
    """Which neurons each intervention acts on, and when."""
    items = cast("tuple[Intervention, ...]", experiment.interventions)
    look = StoredMembers(experiment, Members(tuple(prepared.members)), states, source)
    why = np.full(len(prepared.members), "", object)
    targets: list[Target] = []
    for item in items:
        mask, bits, more = item.select(look)
        at = _steps(item.at, prepared, experiment, source)
        until = np.full(len(at), np.inf)
        if item.until is not None:
            until = _steps(item.until, prepared, experiment, source)
        origin = prepared.leaves["origin"]
        why = np.where((why == "") & ~mask.any(axis=1), f"{item.label}: has no neurons to act on", why)
        why = np.where((why == "") & np.isinf(at), f"{item.label}: {item.at} was not seen in the source", why)
        why = np.where((why == "") & (at < origin), f"{item.label}: {item.at} lies before its start", why)
        why = np.where((why == "") & (until <= at), f"{item.label}: it would end before it begins", why)
        targets.append(Target(mask, bits, _limited(at), _limited(until), more))
    prepared.leaves |= pack_targets(targets)
    prepared.leave_out(why)


def _steps(
    value: int | str, prepared: Prepared, experiment: Experiment, source: SourceMembers | None
) -> np.ndarray:
    """The step of each member at a moment, in its own clock."""
    moment = parse_moment(value)
    origin = prepared.leaves["origin"]
    if moment.event == "start":
        return moment.steps(None, origin, origin)
    if moment.event == "end":
        return moment.steps(None, origin, np.full(len(origin), experiment.n_steps))
    if source is None or not moment.is_event:
        return moment.steps(None, origin, origin)
    return source.moments(moment)


def _limited(steps: np.ndarray) -> np.ndarray:
    return np.clip(np.where(np.isfinite(steps), steps, NO_STEP), 0, NO_STEP).astype(np.int32)


class SourceMembers:
    """The members of the source run that members branch from, one for each (the same one may come twice).

    Attributes:
        store: of the source run.
        seeds: of its members.
        steps: the step at which each branch begins.
    """

    def __init__(
        self,
        store: RunStore,
        seeds: tuple[Seeds, ...],
        advance: Callable[[int], None],
        *,
        allow_other_numerics: bool = False,
    ) -> None:
        self.store, self.seeds, self._advance, self._allow = store, seeds, advance, allow_other_numerics
        self.experiment = store.experiment
        self._rows = [store.position(each) for each in seeds]
        self.steps = np.zeros(len(seeds), np.int64)
        self._states: dict[Moment, dict[str, np.ndarray]] = {}

    @property
    def members(self) -> Lineup:
        """The members, in order."""
        return Lineup(self.seeds)

    def part(self, rows: np.ndarray) -> SourceMembers:
        """Some of the members."""
        chosen = tuple(seeds for seeds, kept in zip(self.seeds, rows, strict=True) if kept)
        part = SourceMembers(self.store, chosen, self._advance, allow_other_numerics=self._allow)
        part.steps = self.steps[rows]
        return part

    def moments(self, at: Moment) -> np.ndarray:
        """The step of each member at a moment, inf where its event was not seen; NaN never."""
        measures = on_members(self.store.read_measures(), self.seeds) if at.is_event else None
        return at.steps(measures, self.steps, self.store.steps_done[self._rows])

    def states(self, at: Moment) -> dict[str, np.ndarray]:
        """The members' states at a moment, arrays [member, ...] by path.

        Raises:
            InputError: if a member has not come to it.
        """
        if at not in self._states:
            steps = self.moments(at)
            if np.isinf(steps).any():
                seeds = self.seeds[int(np.argmax(np.isinf(steps)))]
                raise InputError(f"{self.store.path}: the event of '{at}' was not seen in seeds {seeds}.")
            self._states[at] = self.states_at(steps.astype(np.int64))
        return self._states[at]

    def states_at(self, steps: np.ndarray) -> dict[str, np.ndarray]:
        """The members' states at these steps."""
        return states_at(
            self.store,
            self.experiment,
            self._rows,
            steps,
            self._advance,
            allow_other_numerics=self._allow,
        )

    def subnetwork(self, name: str, flavor: str) -> np.ndarray:
        """A kept subnetwork of each member, bool [member, neuron].

        Raises:
            InputError: if a member has none.
        """
        masks: list[np.ndarray] = []
        for seeds, row in zip(self.seeds, self._rows, strict=True):
            found = self.store.read_subnetworks(flavor, row)
            if found is None:
                raise InputError(
                    f"{self.store.path}: keeps no subnetworks of flavor '{flavor}' of seeds {seeds}; find "
                    "them: grokscope measure RUN faithfulness, or take neurons = {kind = 'active'}."
                )
            masks.append(found.masks[list(found.labels).index(name)])
        return np.stack(masks)


def open_source(init: FromRun, *, allow_other_numerics: bool) -> tuple[RunStore, list[str]]:
    """Open the run to branch from; also in what its numerics differ from this machine's.

    Raises:
        InputError: if it is not there, is another than the spec says, or was made under other numerics.
    """
    if isinstance(as_place(init.run), BucketPath):
        raise InputError(f"init.run: {init.run}: lies in a bucket; members start from a run in a folder.")
    if not Path(init.run).is_dir():
        raise InputError(f"init.run: {init.run}: there is no such folder, and members are to start from it.")
    store = open_store(find_run(init.run))
    if store.identity != init.source:
        raise InputError(
            f"init.run: {store.path}: is another run (identity {store.identity[:8]}, not {init.source[:8]})."
        )
    if not store.experiment.learner.trains:  # an imported run is never replayed
        return store, []
    here = numerics_here(store.experiment)
    if not allow_other_numerics:
        store.require_numerics(here, to="replay")
    return store, fingerprint_difference(store.fingerprint, here)


def source_members(store: RunStore, members: Members) -> list[tuple[Seeds | None, str]]:
    """For each member the source's member that shares most of its seeds; or None and why there is none."""
    candidates = store.seeds
    exact = set(candidates)
    table = np.array(candidates, np.int64)
    weights = np.array([8, 4, 2, 1])  # of as many shared streams, the first count more
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
            found.append((None, f"{len(best)} members of {store.path} share as many seeds with it"))
        else:
            found.append((candidates[int(best[0])], ""))
    return found


def source_steps(init: Init) -> int:
    """How many steps the source's members have done, all together; 0 where it is not there any more."""
    if not isinstance(init, FromRun) or not is_run(init.run):
        return 0
    return int(open_store(init.run).steps_done.sum())


class StoredMembers:
    """Read access to members before they train; implements `grokscope.interventions.MemberView`.

    Args:
        experiment: of the members.
        members: who they are.
        states: what they start from, arrays [member, ...] by path.
        source: their source, or None.
    """

    def __init__(
        self,
        experiment: Experiment,
        members: Members,
        states: dict[str, np.ndarray],
        source: SourceMembers | None,
    ) -> None:
        self._experiment, self._members, self._states, self._source = experiment, members, states, source
        self._found: dict[Any, Any] = {}

    @property
    def seeds(self) -> np.ndarray:
        """[member, 4]."""
        return np.array(self._members.seeds, np.int64)

    @property
    def source_seeds(self) -> np.ndarray:
        """[member, 4]."""
        return self.seeds if self._source is None else np.array(self._source.members.seeds, np.int64)

    @property
    def width(self) -> int:
        """The number of neurons."""
        return int(self._states["state.network.hidden_bias"].shape[-1])

    def support(self) -> np.ndarray:
        """The task's hidden bits, or those drawn for each member's data seed."""
        task = self._experiment.task
        n_bits = self._states["state.network.hidden_weight"].shape[1]
        bits = np.zeros((len(self._members), n_bits), bool)
        known = task.facts().get("support")
        if known is not None:
            bits[:, list(known)] = True
            return bits
        drawn = self._own_data().get("support")
        if drawn is None:
            raise InputError(
                f"interventions.bits: task '{task.kind}' does not know its hidden bits; list them."
            )
        np.put_along_axis(bits, drawn.astype(np.int64), True, axis=1)
        return bits

    def weights(self, at: Moment) -> NetworkArrays:
        """Networks at a moment of the source; what the members start from at ``start``."""
        if at.event == "start" and not at.offset and at.factor == 1:
            leaves = self._states
        else:
            leaves = self._needed().states(at)
        names = ("hidden_weight", "hidden_bias", "output_weight")
        return NetworkArrays(*(leaves[f"state.network.{name}"] for name in names))

    def active(self, at: Moment, flavor: Literal["predictions", "accuracy"], order: str) -> np.ndarray:
        """Searched for on the source's training inputs (on the members' own, where there is no source)."""
        key = (at, flavor, order)
        if key not in self._found:
            weights = self.weights(at)
            where = (self._experiment, self._members)
            if self._source is not None:
                where = (self._source.experiment, self._source.members)
            activation = getattr(where[0].model, "activation", "relu")
            finder = _finder(flavor, order, activation)
            self._found[key] = _over_members(*where, finder, tuple(weights))
        return self._found[key]

    def subnetwork(self, name: str, flavor: Literal["predictions", "accuracy"]) -> np.ndarray:
        """As the source keeps it."""
        return self._needed().subnetwork(name, flavor)

    def _needed(self) -> SourceMembers:
        if self._source is None:
            raise InputError(_NO_SOURCE)
        return self._source

    def _own_data(self) -> dict[str, np.ndarray]:
        return member_data(self._experiment, self._members)


def _over_members(experiment: Experiment, members: Members, function: Any, arrays: tuple[Any, ...]) -> Any:
    """A pure function of (arrays of a member, its own data, shared data) for all members, on the host.

    A member may be there more than once.
    """
    pieces: list[Any] = []
    with in_precision(experiment.precision):
        for rows, cohort in Cohort.cut(experiment, members):
            placed = cohort.place(tuple(array[rows] for array in arrays))
            pieces.append(cohort.trim(cohort.each(function, placed, cohort.start()[1])))
    return jax.tree.map(lambda *parts: np.concatenate(parts), *pieces)


def member_data(experiment: Experiment, members: Members) -> dict[str, np.ndarray]:
    """The members' own data on the host, arrays [member, ...]."""
    return _over_members(experiment, members, _data, ())


def _data(nothing: Any, data: dict[str, jax.Array], shared: dict[str, jax.Array]) -> dict[str, jax.Array]:
    del nothing, shared
    return data


@functools.cache
def _finder(flavor: Any, order: Any, activation: str) -> Any:
    def find(arrays: Any, data: dict[str, jax.Array], shared: dict[str, jax.Array]) -> jax.Array:
        network = OneHiddenLayer(*(jnp.asarray(array) for array in arrays), activation=activation)
        return active_subnetwork(network, shared | data, flavor, order)

    return find
