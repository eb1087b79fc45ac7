"""Read access to a run: members, measures, states and subnetworks.

`RunStore` adds opening and writing. A reader sees the newest commit as of opening or `RunReader.refresh`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from grokscope.errors import GrokscopeError, InputError, StoreError, did_you_mean
from grokscope.files import explain
from grokscope.spec.events import Events
from grokscope.spec.streams import Seeds
from grokscope.spec.toml import parse_toml, read_toml
from grokscope.store.arrays import DamagedError
from grokscope.store.checksums import RUN_FILES, read_checksums, state_sha256
from grokscope.store.folder import check_format
from grokscope.store.icechunk import Repository, translate_errors
from grokscope.store.place import BucketPath, Place, shown_as
from grokscope.store.transaction import (
    MEMBER_ARRAYS,
    MeasureCode,
    checked_members,
    leaf_name,
    measure_label,
    node_name,
    split_label,
)
from grokscope.store.tree import Tree

if TYPE_CHECKING:
    import xarray as xr

    from grokscope.experiment import Experiment
    from grokscope.store.labeled import MeasureSource

__all__ = ["Checkpoint", "RunReader", "Subnetworks"]

_EXPERIMENT, _PROVENANCE = RUN_FILES
_ATTRIBUTES = {
    "identity": str,
    "fingerprint": dict,
    "code": dict,
    "notes": dict,
    "steps_per_epoch": int,
    "measured": list,
    "measured_by": dict,
    "given_by": dict,
}


class Checkpoint(NamedTuple):
    """A member's latest full state: step, leaves by name, and hash."""

    step: int
    leaves: dict[str, np.ndarray]
    sha256: str


class Subnetworks(NamedTuple):
    """A member's subnetworks of one flavor: step of the state, masks [subnetwork, neuron], labels."""

    step: int
    masks: np.ndarray
    labels: tuple[str, ...]


class RunReader:
    """Read access to a run; base class of `RunStore`.

    Attributes:
        path: the run as it was given, for messages.
        place: where it is, whatever the working folder.
    """

    def __init__(self, place: Place, repository: Repository) -> None:
        self.path = self.place = place
        self._repository = repository
        self.refresh()

    @property
    def _folder(self) -> Path:
        """The run folder. A run in a bucket has none and overrides every method that uses it."""
        assert isinstance(self.place, Path)
        return self.place

    def refresh(self) -> None:
        """Move to the newest commit."""
        with translate_errors(self.path, "cannot be read"):
            session, lock = self._repository.reading()
            self._version = str(session.snapshot_id)
            self._set_tree(Tree(session, lock).load())
            check_format(self.path, self._tree.attributes.get("format_version"))
            for name, kind in _ATTRIBUTES.items():
                if not isinstance(self._tree.attributes.get(name, kind()), kind):
                    raise DamagedError(f"its attribute '{name}' is no {kind.__name__}")
        self._spec: str | None = None
        if isinstance(self.place, Path):
            with contextlib.suppress(StoreError):  # it may never be asked for
                self._spec = self._text(_EXPERIMENT)

    def _set_tree(self, tree: Tree) -> None:
        self._tree = tree
        self._member_arrays: dict[str, np.ndarray] | None = None

    @property
    def _members(self) -> dict[str, np.ndarray]:
        if self._member_arrays is None:
            with translate_errors(self.path, "cannot be read"):
                found = {n: self._tree.read(f"members/{n}", []) for n in MEMBER_ARRAYS}
                self._member_arrays = checked_members(found)
        return self._member_arrays

    @property
    def version(self) -> str:
        """Id of the commit that is read."""
        return self._version

    @property
    def identity(self) -> str:
        """Hash of everything that determines the run's numbers."""
        return str(self._tree.attributes.get("identity", ""))

    @property
    def fingerprint(self) -> dict[str, Any]:
        """Numerics fingerprint of the process that created the run."""
        return dict(self._tree.attributes.get("fingerprint", {}))

    @property
    def events(self) -> Events:
        """The events of the run, as its spec defines them; also where a part of the spec is not at hand."""
        try:
            return self.experiment.events
        except GrokscopeError:
            return Events.parse(parse_toml(self.experiment_toml).get("events", {}))

    @property
    def code(self) -> dict[str, dict[str, str]] | None:
        """File and hash of each part that trains and is not the package's own, by part; None if not recorded.

        It is that of the process that created the run.
        """
        found = self._tree.attributes.get("code")
        return None if found is None else dict(found)

    @property
    def files(self) -> dict[str, str]:
        """The file of each part that is not the package's own (``task my_task``), as far as recorded."""
        measures = self._tree.attributes.get("measured_by", {}).values()
        found = {f"measure {one['kind']}": one["file"] for one in measures if one.get("file")}
        return found | {part: one["file"] for part, one in (self.code or {}).items() if one.get("file")}

    @property
    def notes(self) -> dict[str, Any]:
        """Remarks added by `Transaction.note`."""
        return dict(self._tree.attributes.get("notes", {}))

    @property
    def steps_per_epoch(self) -> int:
        """Updates per epoch."""
        return int(self._tree.attributes.get("steps_per_epoch", 1))

    @property
    def experiment_toml(self) -> str:
        """The resolved spec as TOML; that of a folder as of opening, as an extension replaces the file."""
        return self._text(_EXPERIMENT) if self._spec is None else self._spec

    @property
    def experiment(self) -> Experiment:
        """The resolved spec as an `Experiment`; parts whose kind is not loaded are `MissingPart`."""
        from grokscope.experiment import Experiment

        if isinstance(self.place, BucketPath):
            table, folder = parse_toml(self.experiment_toml), None
        else:
            with shown_as(self.place, self.path):
                table = read_toml(self.place / _EXPERIMENT, self.experiment_toml)
            folder = self.place
        found = Experiment.from_stored(table, folder, self.files)
        if found.missing_parts:
            found.know_steps_per_epoch(self.steps_per_epoch)
        return found

    def position(self, seed: int | Seeds) -> int:
        """Position of a member, given its seed (the same in all four streams) or its four seeds.

        Raises:
            InputError: if the run has no such member.
        """
        wanted: Any = Seeds.same(int(seed)) if isinstance(seed, int | np.integer) else tuple(seed)
        seeds = self.seeds
        if wanted in seeds:
            return seeds.index(wanted)
        have = ", ".join(str(each.label) for each in seeds[:20])
        raise InputError(f"{self.path}: has no seed {seed}; it has {have}.")

    @property
    def provenance(self) -> dict[str, Any]:
        """Versions, machine, command and times of the run."""
        try:
            return dict(json.loads(self._text(_PROVENANCE)))
        except (ValueError, TypeError, RecursionError):
            raise StoreError(f"{self.path / _PROVENANCE}: is damaged.") from None

    @property
    def is_finished(self) -> bool:
        """Whether the run has checksums; every write removes them."""
        with shown_as(self.place, self.path):
            return read_checksums(self._folder) is not None

    @property
    def seeds(self) -> list[Seeds]:
        """Seeds (init, data, order, noise) of each member, in order of addition."""
        names = ("seed_init", "seed_data", "seed_order", "seed_noise")
        return list(map(Seeds, *(self._members[name].tolist() for name in names)))

    @property
    def steps_done(self) -> np.ndarray:
        """Updates done, int [member]."""
        return self._members["steps_done"].copy()

    @property
    def complete(self) -> np.ndarray:
        """Whether each member has reached its end, bool [member]."""
        return self._members["complete"] == 1

    @property
    def diverged_step(self) -> np.ndarray:
        """Step at which each member diverged, int [member]; -1: not diverged."""
        return self._members["diverged_step"].copy()

    def _text(self, name: str) -> str:
        try:
            return (self._folder / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise StoreError(f"{self.path / name}: is damaged.") from None
        except OSError as error:
            raise explain(self.path / name, "cannot be read", error) from error

    @property
    def measures(self) -> dict[str, list[str]]:
        """Names of the stored measures, by schedule."""
        found: dict[str, list[str]] = {}
        for path in self._tree.below("measures"):
            _, schedule, node = path.split("/")
            found.setdefault(schedule, [])
            if node != "step":
                found[schedule].append(leaf_name(node))
        return found

    def measured_to(self, name: str, version: str = "") -> np.ndarray:
        """Step up to which each member has a measure at all its points, int [member]; -1: not measured.

        Args:
            name: the measure.
            version: of the code that computes it; values of another version do not count.
        """
        listed, name = list(self._tree.attributes.get("measured", [])), measure_label(name, version)
        out = np.full(len(self._members["steps_done"]), -1, np.int64)
        if name in listed:
            with translate_errors(self.path, "cannot be read"):
                column = np.flatnonzero(self._tree.read("measured/step", []) == listed.index(name))
                found = self._tree.read("measured/to", [])[:, column[0]] if len(column) else out[:0]
            out[: len(found)] = np.maximum(found, -1)
        return out

    def measure_codes(self, name: str) -> dict[str, MeasureCode]:
        """The code that computed a measure, by version, of all versions that any member has or had."""
        known = self._tree.attributes.get("measured_by", {})
        labels = [one for one in self._tree.attributes.get("measured", []) if split_label(one)[0] == name]
        return {
            split_label(one)[1]: MeasureCode(split_label(one)[1], **known.get(one, {"kind": ""}))
            for one in labels
        }

    def outdated(self, name: str, version: str) -> np.ndarray:
        """Whether each member has a measure's values from another version of its code, bool [member]."""
        others = [one for one in self.measure_codes(name) if one != version]
        found = [self.measured_to(name, other) >= 0 for other in others]
        return np.any(found, axis=0) if found else np.zeros(len(self._members["steps_done"]), bool)

    def read_measures(self, names: list[str] | None = None) -> xr.Dataset:
        """Lazy dataset of all (or the named) measures over ``seed`` (or streams), ``step`` and further axes.

        The steps of all schedules are joined; a value that was not measured is NaN. Steps that no member has
        reached are omitted. Coordinates: ``epoch``, and each member's steps_done, complete, diverged_step.

        Raises:
            InputError: if the run lacks a named measure.
            StoreError: on access to an array that is damaged or missing.
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
        sampled = [source.steps for several in chosen.values() for source in several]
        steps = np.unique(np.concatenate([np.empty(0, np.int64), *sampled]))
        steps = steps[steps <= self._members["steps_done"].max(initial=0)]
        cohort = MemberAxes.of(self.seeds)
        facts = self.member_facts()
        try:
            found = open_measures(self._tree, self.path, cohort, facts, chosen, steps, self.steps_per_epoch)
        except ValueError as error:  # axes or labels differ between arrays: the store is damaged
            text = str(error).partition("\n")[0]
            raise StoreError(f"{self.path}: its measures do not fit together: {text}.") from error
        return found.assign_attrs(events=self.events.to_json())

    def read_measure(self, name: str) -> xr.DataArray:
        """One measure at its own steps; see `read_measures`."""
        return self.read_measures([name])[name]

    def read_some(self, name: str, most: int | None = 120) -> tuple[np.ndarray, np.ndarray] | None:
        """A scalar measure at some of its steps, the last one among them, without xarray (slow to import).

        Args:
            name: the measure.
            most: number of steps; None: all.

        Returns:
            Steps [step] and values [member, step], NaN where missing; None if the run lacks the measure.
        """
        schedule = next((group for group, names in self.measures.items() if name in names), None)
        if schedule is None:
            return None
        with translate_errors(self.path, f"measure '{name}' cannot be read"):
            path = f"measures/{schedule}/{node_name(name)}"
            n_rows, n_columns, *own = self._tree.info(path).shape
            steps = self._tree.read(f"measures/{schedule}/step", [])[:n_columns]
            columns = np.argsort(steps)
            columns = columns[steps[columns] <= self._members["steps_done"].max(initial=0)]
            if own or not len(columns):
                return None
            every = 1 if most is None else -(-len(columns) // most)
            columns = columns[::-1][::every][::-1]
            values = self._tree.read(path, [np.arange(n_rows), columns]).astype(np.float64)
        return steps[columns], values

    def sources(self) -> dict[str, list[MeasureSource]]:
        """Stored arrays of each measure, one per schedule."""
        from grokscope.store.labeled import MeasureSource

        sources: dict[str, list[MeasureSource]] = {}
        with translate_errors(self.path, "cannot be read"):
            infos = self._tree.infos(self._tree.below("measures"))
            for schedule, names in self.measures.items():
                steps = self._tree.read(f"measures/{schedule}/step", [])
                for path, info in infos.items():
                    group, _, node = path.rpartition("/")
                    if group == f"measures/{schedule}" and node != "step" and names:
                        if info.dims[:2] != ("member", "step"):
                            raise DamagedError(f"the axes of {path} do not begin with member, step")
                        source = MeasureSource(path, info, steps)
                        sources.setdefault(leaf_name(node), []).append(source)
        return sources

    def read_block(
        self, name: str, members: np.ndarray, steps: np.ndarray, key: tuple[Any, ...]
    ) -> np.ndarray | None:
        """Values of a measure on given axes of members and steps; None if the run lacks the measure.

        Args:
            name: the measure.
            members: positions of members on one or more axes; -1 for none.
            steps: steps along the step axis.
            key: an outer index of (*axes of members, step, *the measure's own axes).

        Returns:
            The values at ``key``; NaN where missing.
        """
        from grokscope.store.labeled import LazyMeasure

        found = self.sources().get(name)
        if found is None:
            return None
        return LazyMeasure(self._tree, self.path, name, members, found, steps).read(key)

    def member_facts(self) -> dict[str, np.ndarray]:
        """The arrays steps_done, complete and diverged_step, each [member]."""
        return {
            "steps_done": self.steps_done,
            "complete": self.complete,
            "diverged_step": self.diverged_step,
        }

    def read_checkpoint(self, member: int) -> Checkpoint:
        """A member's latest full state; see `read_checkpoints`."""
        return self.read_checkpoints([member])[0]

    def read_checkpoints(self, members: Sequence[int]) -> list[Checkpoint]:
        """The latest full states of members, verified by their hashes.

        Raises:
            KeyError: if a member has no checkpoint.
            StoreError: if a checkpoint is damaged or does not match its hash.
        """
        paths = self._tree.below("checkpoints/leaves")
        steps = self._along_members("checkpoints/step", members, -1)
        if np.any(steps < 0):
            raise KeyError(f"no checkpoint of member {members[int(np.argmax(steps < 0))]}")
        rows = np.asarray(members, np.int64)
        with translate_errors(self.path, "a checkpoint cannot be read"):
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
        """Hashes of all checkpoints ever written of a member, by step."""
        digests, steps = self._table("checkpoints/trail", "sha256", member)
        return {int(step): bytes(row).hex() for step, row in zip(steps, digests, strict=True) if row.any()}

    def read_origins(self, members: Sequence[int]) -> dict[str, np.ndarray]:
        """Starts and intervention targets of members, arrays [member, ...] by name; {} for a plain run."""
        paths = self._tree.below("origins/leaves")
        rows = np.asarray(members, np.int64)
        with translate_errors(self.path, "origins of members cannot be read"):
            return {leaf_name(path.rpartition("/")[2]): self._tree.read(path, [rows]) for path in paths}

    def snapshot_steps(self, member: int) -> list[int]:
        """Steps of a member's snapshots, sorted."""
        recorded, steps = self._table("snapshots", "recorded", member)
        return sorted(steps[recorded == 1].tolist()) if len(steps) else []

    def read_snapshot(self, member: int, step: int) -> dict[str, np.ndarray]:
        """A member's snapshot at a step: leaves by name.

        Raises:
            KeyError: if the member has no snapshot at this step.
        """
        if step not in self.snapshot_steps(member):
            raise KeyError(f"no snapshot of member {member} at step {step}")
        with translate_errors(self.path, "a snapshot cannot be read"):
            column = np.flatnonzero(self._tree.read("snapshots/step", []) == step)
            where = [np.array([member]), column]
            return {
                leaf_name(path.rpartition("/")[2]): self._tree.read(path, where)[0, 0]
                for path in self._tree.below("snapshots/leaves")
            }

    @property
    def given_by(self) -> dict[str, dict[str, str]]:
        """By measure that an analysis has written: the version of the analysis' code, by its name."""
        return dict(self._tree.attributes.get("given_by", {}))

    @property
    def flavors(self) -> list[str]:
        """Flavors of the stored subnetworks."""
        paths = self._tree.below("subnetworks")
        return [leaf_name(path.split("/")[1]) for path in paths if path.endswith("/mask")]

    def read_subnetworks(self, flavor: str, member: int) -> Subnetworks | None:
        """A member's subnetworks of a flavor; None if none are stored."""
        group = f"subnetworks/{node_name(flavor)}"
        step = int(self._along_members(f"{group}/step", [member], -1)[0])
        if step < 0:
            return None
        with translate_errors(self.path, "subnetworks cannot be read"):
            masks = self._tree.read(f"{group}/mask", [np.array([member])])[0] == 1
            labels = self._tree.info(f"{group}/mask").attributes["labels"]["subnetwork"]
        return Subnetworks(step, masks, tuple(labels))

    def damage(self) -> list[tuple[str, str]]:
        """Read all arrays and checkpoints; return each failure as (array, reason)."""
        found: list[tuple[str, str]] = []
        for path in self._tree.paths:
            try:
                with translate_errors(self.path, f"array {path}"):
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
                continue  # no checkpoint yet
            except StoreError as error:
                found.append(("checkpoints", str(error)))
        return found

    def _table(self, group: str, name: str, member: int) -> tuple[np.ndarray, np.ndarray]:
        """One member's row of an array [member, step, ...], and the steps."""
        path = f"{group}/{name}"
        with translate_errors(self.path, f"{group} cannot be read"):
            if path not in self._tree.paths or member >= self._tree.info(path).shape[0]:
                return np.zeros((0, 32), np.uint8), np.zeros(0, np.int64)
            row = self._tree.read(path, [np.array([member])])[0]
            return row, self._tree.read(f"{group}/step", [])[: len(row)]

    def _along_members(self, path: str, members: Sequence[int], absent: int) -> np.ndarray:
        """Values of an array [member]; ``absent`` if there is no array, beyond its end, or negative."""
        out = np.full(len(members), absent, np.int64)
        if path not in self._tree.paths:
            return out
        rows = np.asarray(members, np.int64)
        with translate_errors(self.path, "cannot be read"):
            there = rows < self._tree.info(path).shape[0]
            out[there] = self._tree.read(path, [rows[there]])
        return np.where(out < 0, absent, out)
