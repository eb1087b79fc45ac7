"""Reading a run: who its members are, its measures, states, subnetworks and facts.

`RunStore` adds opening and writing. Readers see the newest commit as of opening or `refresh`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from grokscope.errors import InputError, StoreError, did_you_mean
from grokscope.spec.streams import Seeds
from grokscope.spec.toml import parse_toml
from grokscope.store.arrays import DamagedError
from grokscope.store.checksums import RUN_FILES, read_checksums, state_sha256
from grokscope.store.disk import explain
from grokscope.store.folder import check_format
from grokscope.store.icechunk import Repository, guard
from grokscope.store.place import BucketPath, Place
from grokscope.store.transaction import MEMBER_ARRAYS, leaf_name, node_name, possible_members
from grokscope.store.tree import Tree

if TYPE_CHECKING:
    import xarray as xr

    from grokscope.experiment import Experiment
    from grokscope.store.labeled import MeasureSource

__all__ = ["Checkpoint", "RunReader", "Subnetworks"]

_EXPERIMENT, _PROVENANCE = RUN_FILES
_ATTRIBUTES = {"identity": str, "fingerprint": dict, "notes": dict, "steps_per_epoch": int, "measured": list}


class Checkpoint(NamedTuple):
    """A member's latest full state: the step, its leaves by name, and their hash."""

    step: int
    leaves: dict[str, np.ndarray]
    sha256: str


class Subnetworks(NamedTuple):
    """A member's subnetworks of one flavor: the step at which they were found, masks [subnetwork, neuron]."""

    step: int
    masks: np.ndarray
    labels: tuple[str, ...]


class RunReader:
    """What can be read from a run; see `RunStore`."""

    def __init__(self, path: Place, repository: Repository) -> None:
        self.path = path
        self._repository = repository
        self.refresh()

    @property
    def _folder(self) -> Path:
        """The run's folder; what lies in a bucket has none, and does what needs one otherwise."""
        assert isinstance(self.path, Path)
        return self.path

    def refresh(self) -> None:
        """See the newest commit."""
        with guard(self.path, "cannot be read"):
            session = self._repository.reading()
            self._version = str(session.snapshot_id)
            self._see(Tree(session).load())
            check_format(self.path, self._tree.attributes.get("format_version"))
            for name, kind in _ATTRIBUTES.items():
                if not isinstance(self._tree.attributes.get(name, kind()), kind):
                    raise DamagedError(f"its attribute '{name}' is no {kind.__name__}")

    def _see(self, tree: Tree) -> None:
        self._tree = tree
        self._member_arrays: dict[str, np.ndarray] | None = None

    @property
    def _members(self) -> dict[str, np.ndarray]:
        if self._member_arrays is None:
            with guard(self.path, "cannot be read"):
                found = {n: self._tree.read(f"members/{n}", []) for n in MEMBER_ARRAYS}
                self._member_arrays = possible_members(found)
        return self._member_arrays

    @property
    def version(self) -> str:
        """The id of the commit that is seen."""
        return self._version

    @property
    def identity(self) -> str:
        """The hash of what the run's numbers are a function of."""
        return str(self._tree.attributes.get("identity", ""))

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The numerics under which the run was begun."""
        return dict(self._tree.attributes.get("fingerprint", {}))

    @property
    def notes(self) -> dict[str, Any]:
        """Remarks made by `Transaction.note`."""
        return dict(self._tree.attributes.get("notes", {}))

    @property
    def steps_per_epoch(self) -> int:
        """Updates per epoch."""
        return int(self._tree.attributes.get("steps_per_epoch", 1))

    @property
    def experiment_toml(self) -> str:
        """The resolved spec."""
        return self._text(_EXPERIMENT)

    @property
    def experiment(self) -> Experiment:
        """The resolved spec, as an experiment."""
        from grokscope.experiment import Experiment

        if isinstance(self.path, BucketPath):
            return Experiment.from_table(parse_toml(self.experiment_toml))
        return Experiment.from_toml(self.path / _EXPERIMENT)

    def position(self, seed: int | Seeds) -> int:
        """The position of a member, by its seed (the same in all four streams) or its four seeds.

        Raises:
            InputError: if there is no such member.
        """
        wanted: Any = Seeds.same(int(seed)) if isinstance(seed, int | np.integer) else tuple(seed)
        seeds = self.seeds
        if wanted in seeds:
            return seeds.index(wanted)
        have = ", ".join(str(each.label) for each in seeds[:20])
        raise InputError(f"{self.path}: has no seed {seed}; it has {have}.")

    @property
    def provenance(self) -> dict[str, Any]:
        """Versions, machine, command and times."""
        try:
            return dict(json.loads(self._text(_PROVENANCE)))
        except (ValueError, TypeError, RecursionError):
            raise StoreError(f"{self.path / _PROVENANCE}: is damaged.") from None

    @property
    def is_finished(self) -> bool:
        """Whether the run has its checksums."""
        return read_checksums(self._folder) is not None

    @property
    def seeds(self) -> list[Seeds]:
        """Each member's seeds (init, data, order, noise), in order of addition."""
        names = ("seed_init", "seed_data", "seed_order", "seed_noise")
        return list(map(Seeds, *(self._members[name].tolist() for name in names)))

    @property
    def steps_done(self) -> np.ndarray:
        """Updates done, by member."""
        return self._members["steps_done"].copy()

    @property
    def complete(self) -> np.ndarray:
        """Whether each member has come to its end, as bools."""
        return self._members["complete"] == 1

    @property
    def diverged_step(self) -> np.ndarray:
        """The step at which a member diverged, by member; -1: it has not."""
        return self._members["diverged_step"].copy()

    def _text(self, name: str) -> str:
        try:
            return (self._folder / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise StoreError(f"{self.path / name}: is damaged.") from None
        except OSError as error:
            raise explain(self._folder / name, "cannot be read", error) from error

    @property
    def measures(self) -> dict[str, list[str]]:
        """The schedules in the store, and the measures in each."""
        found: dict[str, list[str]] = {}
        for path in self._tree.below("measures"):
            _, schedule, node = path.split("/")
            found.setdefault(schedule, [])
            if node != "step":
                found[schedule].append(leaf_name(node))
        return found

    def measured_to(self, name: str) -> np.ndarray:
        """Up to which step each member has a measure at all its points; -1: not at all."""
        listed = list(self._tree.attributes.get("measured", []))
        out = np.full(len(self._members["steps_done"]), -1, np.int64)
        if name in listed:
            with guard(self.path, "cannot be read"):
                column = np.flatnonzero(self._tree.read("measured/step", []) == listed.index(name))
                found = self._tree.read("measured/to", [])[:, column[0]] if len(column) else out[:0]
            out[: len(found)] = np.maximum(found, -1)
        return out

    def read_measures(self, names: list[str] | None = None) -> xr.Dataset:
        """All measures (or those named) over ``seed`` (or streams), ``step`` and their own axes, lazily.

        Steps of different schedules are joined; what was not measured at a step is NaN. Steps that no member
        has come to are left out. Coordinates: ``epoch``, and each member's steps_done, complete,
        diverged_step.

        Raises:
            InputError: if there is no measure of a name.
            StoreError: when an array that is damaged or missing is looked at.
        """
        from grokscope.store.labeled import MemberAxes, open_measures

        sources = self.sources()
        for name in names or []:
            if name not in sources:
                known = ", ".join(sorted(sources)) or "none"
                raise InputError(
                    f"measure '{name}' is not in the run.{did_you_mean(name, sources)} There are: {known}."
                )
        chosen = {name: sources[name] for name in (sources if names is None else names)}
        steps = np.unique(np.concatenate([np.empty(0, np.int64), *self._steps_of(chosen)]))
        steps = steps[steps <= self._members["steps_done"].max(initial=0)]
        cohort = MemberAxes.of(self.seeds)
        facts = self.member_facts()
        try:
            return open_measures(self._tree, self.path, cohort, facts, chosen, steps, self.steps_per_epoch)
        except ValueError as error:  # axes or labels that differ between arrays: not what we write
            text = str(error).partition("\n")[0]
            raise StoreError(f"{self.path}: its measures do not fit together: {text}.") from error

    def read_measure(self, name: str) -> xr.DataArray:
        """One measure, at its own steps. See `read_measures`."""
        return self.read_measures([name])[name]

    def sources(self) -> dict[str, list[MeasureSource]]:
        """Where the values of each measure lie."""
        from grokscope.store.labeled import MeasureSource

        sources: dict[str, list[MeasureSource]] = {}
        with guard(self.path, "cannot be read"):
            infos = self._tree.infos(self._tree.below("measures"))
            for schedule, names in self.measures.items():
                steps = self._tree.read(f"measures/{schedule}/step", [])
                for path, info in infos.items():
                    group, _, node = path.rpartition("/")
                    if group == f"measures/{schedule}" and node != "step" and names:
                        if info.dims[:2] != ("member", "step"):
                            raise DamagedError(f"the axes of {path} are not what we write")
                        source = MeasureSource(path, info, steps)
                        sources.setdefault(leaf_name(node), []).append(source)
        return sources

    def read_block(
        self, name: str, members: np.ndarray, steps: np.ndarray, key: tuple[Any, ...]
    ) -> np.ndarray | None:
        """Some values of a measure on axes that are given from outside; None if the run has not measured it.

        Args:
            name: of the measure.
            members: by place along one axis or more, the position of the member there; -1 for none.
            steps: the axis of steps.
            key: an outer index of (*axes of members, step, *the measure's own axes).

        Returns:
            The values, NaN where there are none.
        """
        from grokscope.store.labeled import LazyMeasure

        found = self.sources().get(name)
        if found is None:
            return None
        return LazyMeasure(self._tree, self.path, name, members, found, steps).read(key)

    def member_facts(self) -> dict[str, np.ndarray]:
        """By name, for each member: steps_done, complete, diverged_step."""
        return {
            "steps_done": self.steps_done,
            "complete": self.complete,
            "diverged_step": self.diverged_step,
        }

    @staticmethod
    def _steps_of(sources: Mapping[str, list[MeasureSource]]) -> list[np.ndarray]:
        return [source.steps for several in sources.values() for source in several]

    def read_checkpoint(self, member: int) -> Checkpoint:
        """A member's latest full state. See `read_checkpoints`."""
        return self.read_checkpoints([member])[0]

    def read_checkpoints(self, members: Sequence[int]) -> list[Checkpoint]:
        """The latest full states of members, compared with their hashes.

        Raises:
            KeyError: if a member has none.
            StoreError: if one is damaged, or is not what was written.
        """
        paths = self._tree.below("checkpoints/leaves")
        steps = self._along_members("checkpoints/step", members, -1)
        if np.any(steps < 0):
            raise KeyError(f"no checkpoint of member {members[int(np.argmax(steps < 0))]}")
        rows = np.asarray(members, np.int64)
        with guard(self.path, "a checkpoint cannot be read"):
            stacked = {leaf_name(path.rpartition("/")[2]): self._tree.read(path, [rows]) for path in paths}
        found: list[Checkpoint] = []
        for i, member in enumerate(members):
            leaves = {name: leaf[i] for name, leaf in stacked.items()}
            digest = state_sha256(leaves)
            if self.checkpoint_trail(member).get(int(steps[i])) != digest:
                raise StoreError(f"{self.path}: the checkpoint of member {member} does not match its hash.")
            found.append(Checkpoint(int(steps[i]), leaves, digest))
        return found

    def checkpoint_trail(self, member: int) -> dict[int, str]:
        """The hash of every checkpoint that was ever written of a member, by step."""
        digests, steps = self._table("checkpoints/trail", "sha256", member)
        return {int(step): bytes(row).hex() for step, row in zip(steps, digests, strict=True) if row.any()}

    def read_origins(self, members: Sequence[int]) -> dict[str, np.ndarray]:
        """What members start from and what is done to them, arrays [member, ...] by name; {} if plain."""
        paths = self._tree.below("origins/leaves")
        rows = np.asarray(members, np.int64)
        with guard(self.path, "origins of members cannot be read"):
            return {leaf_name(path.rpartition("/")[2]): self._tree.read(path, [rows]) for path in paths}

    def snapshot_steps(self, member: int) -> list[int]:
        """The steps at which a member's state is kept, sorted."""
        recorded, steps = self._table("snapshots", "recorded", member)
        return sorted(steps[recorded == 1].tolist()) if len(steps) else []

    def read_snapshot(self, member: int, step: int) -> dict[str, np.ndarray]:
        """A member's state at a step: its leaves by name.

        Raises:
            KeyError: if it was not kept.
        """
        if step not in self.snapshot_steps(member):
            raise KeyError(f"no snapshot of member {member} at step {step}")
        with guard(self.path, "a snapshot cannot be read"):
            column = np.flatnonzero(self._tree.read("snapshots/step", []) == step)
            where = [np.array([member]), column]
            return {
                leaf_name(path.rpartition("/")[2]): self._tree.read(path, where)[0, 0]
                for path in self._tree.below("snapshots/leaves")
            }

    @property
    def flavors(self) -> list[str]:
        """The flavors of subnetworks in the store."""
        paths = self._tree.below("subnetworks")
        return [leaf_name(path.split("/")[1]) for path in paths if path.endswith("/mask")]

    def read_subnetworks(self, flavor: str, member: int) -> Subnetworks | None:
        """A member's subnetworks of a flavor; None where they have not been looked for."""
        group = f"subnetworks/{node_name(flavor)}"
        step = int(self._along_members(f"{group}/step", [member], -1)[0])
        if step < 0:
            return None
        with guard(self.path, "subnetworks cannot be read"):
            masks = self._tree.read(f"{group}/mask", [np.array([member])])[0] == 1
            labels = self._tree.info(f"{group}/mask").attributes["labels"]["subnetwork"]
        return Subnetworks(step, masks, tuple(labels))

    def read_data(self) -> dict[str, np.ndarray]:
        """The small facts about the task, by name."""
        with guard(self.path, "the task's data cannot be read"):
            return {
                leaf_name(path.rpartition("/")[2]): self._tree.read(path, [])
                for path in self._tree.below("data")
            }

    def damage(self) -> list[tuple[str, str]]:
        """Read everything; the arrays that cannot be read, each with the reason."""
        found: list[tuple[str, str]] = []
        for path in self._tree.paths:
            try:
                with guard(self.path, f"array {path}"):
                    self._tree.check(path)
            except StoreError as error:
                found.append((path, str(error)))
        try:
            members = range(len(self.seeds))
        except StoreError as error:
            return [*found, ("members", str(error))]
        for member in members:
            try:
                self.read_checkpoint(member)
            except KeyError:
                continue  # it has none yet
            except StoreError as error:
                found.append(("checkpoints", str(error)))
        return found

    def _table(self, group: str, name: str, member: int) -> tuple[np.ndarray, np.ndarray]:
        """One member's row of an array over steps, and the steps."""
        path = f"{group}/{name}"
        with guard(self.path, f"{group} cannot be read"):
            if path not in self._tree.paths or member >= self._tree.info(path).shape[0]:
                return np.zeros((0, 32), np.uint8), np.zeros(0, np.int64)
            row = self._tree.read(path, [np.array([member])])[0]
            return row, self._tree.read(f"{group}/step", [])[: len(row)]

    def _along_members(self, path: str, members: Sequence[int], absent: int) -> np.ndarray:
        """Values of an array [member], which may be shorter than the members or not there."""
        out = np.full(len(members), absent, np.int64)
        if path not in self._tree.paths:
            return out
        rows = np.asarray(members, np.int64)
        with guard(self.path, "cannot be read"):
            there = rows < self._tree.info(path).shape[0]
            out[there] = self._tree.read(path, [rows[there]])
        return np.where(out < 0, absent, out)
