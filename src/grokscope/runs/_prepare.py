"""Preparing members: what they start from and what is done to them, resolved once before they train."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import numpy as np

from grokscope.errors import InputError
from grokscope.interventions import Intervention, MemberView, Target
from grokscope.progress import Progress, SilentProgress
from grokscope.runs._look import MembersLook
from grokscope.runs._origins import packed_targets
from grokscope.runs._source import Source, open_source, source_members
from grokscope.runs._states import carry_structure
from grokscope.spec.moments import parse_moment
from grokscope.spec.stopping import NO_STEP
from grokscope.spec.streams import Members, Seeds
from grokscope.starts import Fresh, FromRun
from grokscope.training.cohort import Cohort, leaf_name
from grokscope.training.devices import choose_execution
from grokscope.training.loop import MemberLoop

if TYPE_CHECKING:
    from grokscope.experiment import Experiment

__all__ = ["Prepared", "prepare"]

_NETWORK = "state.network."
_SLOTS = 64


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
    source: Source | None = None
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
) -> Source:
    """Find the source's members and the steps at which they are left."""
    run, prepared.other_numerics = open_source(init, allow_other_numerics=allow)
    found = source_members(run, Members(tuple(prepared.members)))
    prepared.leave_out(np.array([why for _, why in found], object))
    chosen = tuple(seeds for seeds, _ in found if seeds is not None)
    source = Source(run, chosen, told, allow_other_numerics=allow)
    moment = parse_moment(init.at, "init.at")
    steps = source.moments(moment)
    done = np.array([run.steps_done[run.position(seeds)] for seeds in chosen], np.float64)
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
    experiment: Experiment, init: FromRun, prepared: Prepared, source: Source
) -> dict[str, np.ndarray]:
    """The states in which members start, which are kept too."""
    states = source.states_at(source.steps)
    wanted = carry_structure(experiment)
    if init.takes_all:
        states = {name: leaf for name, leaf in states.items() if not name.startswith("memory.")}
        _check_fit(states, wanted, whole=True)
    else:
        taken = {name: leaf for name, leaf in states.items() if name.startswith(_NETWORK)}
        _check_fit(taken, {name: w for name, w in wanted.items() if name.startswith(_NETWORK)}, whole=False)
        states = _fresh(experiment, prepared.members)
        look: MemberView = MembersLook(experiment, Members(tuple(prepared.members)), taken, source)
        mask = init.neurons.find(look) if init.neurons is not None else None
        names = init.parameters if init.parameters != "all" else None
        for name, leaf in taken.items():
            if names is None or name.removeprefix(_NETWORK) in names:
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
    import jax

    plain = experiment.model_copy(update={"init": Fresh(), "interventions": ()})
    everyone = Members(tuple(members))
    execution = choose_execution(len(everyone), _SLOTS, experiment=experiment)
    pieces: list[dict[str, np.ndarray]] = []
    for low in range(0, len(everyone), execution.capacity):
        cohort = Cohort(MemberLoop(plain), everyone[low : low + execution.capacity], execution)
        paths, _ = jax.tree_util.tree_flatten_with_path(cohort.trim(cohort.start()[0]))
        pieces.append({leaf_name(path): leaf for path, leaf in paths})
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def _resolve(
    experiment: Experiment, prepared: Prepared, states: dict[str, np.ndarray], source: Source | None
) -> None:
    """Which neurons each intervention acts on, and when."""
    items = cast("tuple[Intervention, ...]", experiment.interventions)
    look: MemberView = MembersLook(experiment, Members(tuple(prepared.members)), states, source)
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
    prepared.leaves |= packed_targets(targets)
    prepared.leave_out(why)


def _steps(value: int | str, prepared: Prepared, experiment: Experiment, source: Source | None) -> np.ndarray:
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
