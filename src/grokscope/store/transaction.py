"""Writes to a run: members, measures, snapshots, checkpoints, subnetworks, origins.

The writes of one transaction become visible together or not at all. Groups of the store::

    members/      seed_init seed_data seed_order seed_noise steps_done complete diverged_step   [member]
    measures/S/   step and, for each measure on the schedule S, an array [member, step, *dims]
    measured/     step: here codes of measures; to [member, code]: the step up to which it has the measure
    snapshots/    step, recorded, and leaves [member, step, ...]
    checkpoints/  step [member]; leaves/ [member, ...]: the latest only; trail/: the hash of each so far
    subnetworks/  for each flavor: mask [member, subnetwork, neuron] (-1: not found), step [member]
    origins/      leaves/ [member, ...]: starts and intervention targets of the members of a branch

Steps are columns in order of addition; readers sort them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import quote, unquote

import numpy as np

from grokscope.spec.streams import MAX_INT32, Seeds
from grokscope.store.arrays import ArrayInfo, DamagedError, fill_value
from grokscope.store.checksums import state_sha256
from grokscope.store.tree import Tree

__all__ = [
    "MEMBER_ARRAYS",
    "MeasureCode",
    "Transaction",
    "checked_members",
    "leaf_name",
    "measure_label",
    "member_arrays",
    "node_name",
    "split_label",
]

_SEEDS = ("seed_init", "seed_data", "seed_order", "seed_noise")
MEMBER_ARRAYS = (*_SEEDS, "steps_done", "complete", "diverged_step")

Indices: TypeAlias = Sequence[int] | np.ndarray | slice


def member_arrays() -> dict[str, ArrayInfo]:
    """Metadata of the member arrays of a run without members."""
    kinds = {"complete": np.dtype(np.int8)}
    return {
        f"members/{name}": ArrayInfo((0,), (512,), kinds.get(name, np.dtype(np.int64)), ("member",))
        for name in MEMBER_ARRAYS
    }


def checked_members(members: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the member arrays unchanged after a check of their lengths and ranges.

    Raises:
        DamagedError: if a length differs or a value is out of range.
    """
    for name, values in members.items():
        low, high = (0, MAX_INT32) if name.startswith("seed_") else (-1, 2**40)
        if len(values) != len(members["steps_done"]) or np.any((values < low) | (values > high)):
            raise DamagedError(f"members/{name} holds what cannot be")
    return members


@dataclass(frozen=True)
class MeasureCode:
    """The code that computes a measure, as it is stored beside its values.

    Attributes:
        version: differs where the code does; empty for the package's own measures at their first revision.
        kind: of the measure.
        file: in which it is defined; empty for the package's own.
        sha256: the hash of its code; empty for the package's own, or where it is not known.
    """

    version: str
    kind: str
    file: str = ""
    sha256: str = ""

    def to_json(self) -> dict[str, str]:
        """Kind, file and hash."""
        return {"kind": self.kind, "file": self.file, "sha256": self.sha256}


_BY = " by code "


def measure_label(name: str, version: str) -> str:
    """The entry of a measure in the attribute ``measured``."""
    return f"{name}{_BY}{version}" if version else name


def split_label(label: str) -> tuple[str, str]:
    """Name and version of an entry of the attribute ``measured``.

    Example:
        >>> split_label(measure_label("share", "r2")), split_label("share")
        (('share', 'r2'), ('share', ''))
    """
    name, _, version = label.partition(_BY)
    return name, version


def leaf_name(node: str) -> str:
    """Decode the name of an array (`node_name`) to the name of its leaf or measure."""
    return unquote(node)


class Transaction:
    """Write access to a run; created by `RunStore.transaction`. Members are given by position."""

    def __init__(self, tree: Tree, steps: dict[str, np.ndarray]) -> None:
        self._tree = tree
        self._steps = steps

    def add_members(self, seeds: Iterable[Seeds]) -> None:
        """Append members in order; existing ones are skipped.

        Args:
            seeds: the seeds (init, data, order, noise) of each member.
        """
        count = self._n_members
        all_rows = [np.arange(count)]
        have = zip(*(self._tree.read(f"members/{name}", all_rows).tolist() for name in _SEEDS), strict=True)
        known = set(have)
        new = [tuple(member) for member in dict.fromkeys(seeds) if tuple(member) not in known]
        if not new:
            return
        rows = [np.arange(count, count + len(new))]
        table = np.array(new, np.int64).reshape(len(new), len(_SEEDS))
        for i, name in enumerate(_SEEDS):
            self._tree.write(f"members/{name}", rows, table[:, i])
        for name, value in (("steps_done", 0), ("complete", 0), ("diverged_step", -1)):
            self._tree.write(f"members/{name}", rows, np.full(len(new), value))

    def mark(
        self,
        members: Indices,
        *,
        steps_done: int | np.ndarray | None = None,
        complete: bool | np.ndarray | None = None,
        diverged_step: int | np.ndarray | None = None,
    ) -> None:
        """Set the progress of members; None leaves a value as it is. ``diverged_step`` -1: not diverged."""
        rows = self._rows(members)
        given = {"steps_done": steps_done, "complete": complete, "diverged_step": diverged_step}
        for name, value in given.items():
            if value is not None:
                self._tree.write(f"members/{name}", [rows], np.broadcast_to(np.asarray(value), rows.shape))

    def mark_measured(
        self,
        members: Indices,
        names: Iterable[str],
        step: int | np.ndarray,
        codes: Mapping[str, MeasureCode] | None = None,
    ) -> None:
        """Record that members have these measures at all their points up to a step (one, or one per member).

        All names share one array [member, code]; the attribute ``measured`` lists the names in code order,
        each with the version of the code that computed it, if it has one. Of the versions of a measure a
        member has one: the others are unmarked.

        Args:
            members: positions.
            names: of the measures.
            step: updates done.
            codes: by name, the code of a measure whose version is not empty.
        """
        given = {name: (codes or {}).get(name) for name in dict.fromkeys(names)}
        labels = {name: measure_label(name, code.version if code else "") for name, code in given.items()}
        listed = list(self._tree.attributes.get("measured", []))
        listed += [label for label in labels.values() if label not in listed]
        known = self._tree.attributes.get("measured_by", {})
        if new := {labels[name]: code.to_json() for name, code in given.items() if code}:
            self.set_attributes(measured=listed, measured_by={**known, **new})
        else:
            self.set_attributes(measured=listed)
        others = [one for one in listed if split_label(one)[0] in labels and one not in labels.values()]
        rows = self._rows(members)
        columns = self._columns("measured", [listed.index(label) for label in (*labels.values(), *others)])
        each = np.broadcast_to(np.asarray(step, np.int64), rows.shape)
        values = np.repeat(each[:, None], len(columns), axis=1)
        values[:, len(labels) :] = -1
        info = ArrayInfo.of(np.dtype(np.int64), ("member", "step"), ())
        self._write({"measured/to": info}, {"measured/to": values}, [rows, columns])

    def forget_measures(self, members: Indices, names: Iterable[str]) -> None:
        """Remove the values of measures of some members, at all steps and in all groups."""
        rows, forgotten = self._rows(members), set(names)
        for path in self._tree.below("measures"):
            node = path.rpartition("/")[2]
            if node == "step" or leaf_name(node) not in forgotten:
                continue
            info = self._tree.info(path)
            there = rows[rows < info.shape[0]]
            shape = (len(there), *info.shape[1:])
            if math.prod(shape):
                blank = np.full(shape, fill_value(info.dtype), info.dtype)
                self._tree.write(path, [there, np.arange(info.shape[1])], blank)

    def forget_after(self, step: int) -> None:
        """Remove the snapshots and the values of measures at later steps, of all members."""
        for path in (*self._tree.below("measures"), "snapshots/recorded"):
            group, _, node = path.rpartition("/")
            if node == "step" or path not in self._tree.paths:
                continue
            info = self._tree.info(path)
            at = self._tree.read(f"{group}/step", [])[: info.shape[1]]
            later, rows = np.flatnonzero(at > step), np.arange(info.shape[0])
            shape = (len(rows), len(later), *info.shape[2:])
            if math.prod(shape):
                empty = 0 if path.startswith("snapshots/") else fill_value(info.dtype)
                self._tree.write(path, [rows, later], np.full(shape, empty, info.dtype))
        if "measured/to" in self._tree.paths:
            shape = self._tree.info("measured/to").shape
            every = [np.arange(size) for size in shape]
            self._tree.write("measured/to", every, np.minimum(self._tree.read("measured/to", every), step))

    def write_measures(
        self,
        schedule: str,
        members: Indices,
        steps: Sequence[int] | np.ndarray,
        values: Mapping[str, np.ndarray],
        *,
        dims: Mapping[str, tuple[str, ...]] | None = None,
        labels: Mapping[str, Sequence[Any]] | None = None,
        units: Mapping[str, str] | None = None,
    ) -> None:
        """Write measures of some members at some steps.

        Args:
            schedule: name of the group; its measures share their steps.
            members: positions.
            steps: steps of the columns; new steps are appended.
            values: arrays [member, step, *dims] by measure. Bools are stored as 0 and 1, counts as integers.
            dims: names of the further axes by measure; missing for a measure without any.
            labels: labels along an axis, by axis name.
            units: units by measure.

        Raises:
            ValueError: if a shape, type, axis or label differs from the stored array of this name.
        """
        rows = self._rows(members)
        group = f"measures/{schedule}"
        columns = self._columns(group, steps)
        infos: dict[str, ArrayInfo] = {}
        arrays: dict[str, np.ndarray] = {}
        for name, given in values.items():
            value = _as_measure(np.asarray(given))
            extra = tuple((dims or {}).get(name, ()))
            if value.shape[:2] != (len(rows), len(columns)) or value.ndim != 2 + len(extra):
                raise ValueError(
                    f"{name}: shape {value.shape} is not {len(rows)} members x {len(columns)} steps x {extra}"
                )
            attributes: dict[str, Any] = {
                "labels": {dim: list(labels[dim]) for dim in extra if labels and dim in labels},
                "unit": (units or {}).get(name, ""),
            }
            for dim, texts in attributes["labels"].items():
                if len(texts) != value.shape[2 + extra.index(dim)]:
                    raise ValueError(f"{name}: {len(texts)} labels for the axis {dim} of {value.shape}")
            path = f"{group}/{node_name(name)}"
            infos[path] = ArrayInfo.of(value.dtype, ("member", "step", *extra), value.shape[2:], attributes)
            arrays[path] = value
        self._write(infos, arrays, [rows, columns])

    def write_origins(self, members: Indices, leaves: Mapping[str, np.ndarray]) -> None:
        """Write starts and intervention targets of members: leaves [member, ...], with constant names."""
        rows = self._rows(members)
        arrays = _arrays("origins/leaves", leaves)
        self._write(_infos(arrays, 1), arrays, [rows])

    def write_snapshots(
        self,
        members: Indices,
        steps: Sequence[int] | np.ndarray,
        leaves: Mapping[str, np.ndarray],
        recorded: np.ndarray | None = None,
    ) -> None:
        """Write snapshots (the part of the state that prediction needs) of some members at some steps.

        Args:
            members: positions.
            steps: steps of the columns; new steps are appended.
            leaves: arrays [member, step, ...] by name.
            recorded: which entries are valid snapshots, bool [member, step]; None: all.
        """
        rows, columns = self._rows(members), self._columns("snapshots", steps)
        arrays = _arrays("snapshots/leaves", leaves)
        every = np.ones((len(rows), len(columns)), bool)
        arrays["snapshots/recorded"] = (every if recorded is None else recorded).astype(np.uint8)
        self._write(_infos(arrays, 2), arrays, [rows, columns])

    def write_checkpoint(
        self, members: Indices, step: int | np.ndarray, leaves: Mapping[str, np.ndarray]
    ) -> list[str]:
        """Replace the full states of members.

        Args:
            members: positions.
            step: step of the state; one, or one per member.
            leaves: arrays [member, ...] by name; every call has the same names.

        Returns:
            The hash of each member's state, which is also added to the trail.

        Raises:
            ValueError: if the names differ from those of the stored checkpoints.
        """
        rows = self._rows(members)
        at = np.broadcast_to(np.asarray(step, np.int64), rows.shape)
        arrays = _arrays("checkpoints/leaves", leaves)
        infos = _infos(arrays, 1)
        known = {path for path in self._tree.paths if path.startswith("checkpoints/leaves/")}
        if known and known != set(arrays):
            raise ValueError("a checkpoint has the same leaves every time")
        infos["checkpoints/step"] = ArrayInfo.of(np.dtype(np.int64), ("member",), ())
        self._write(infos, {**arrays, "checkpoints/step": at}, [rows])
        hashes = [state_sha256({name: leaf[i] for name, leaf in leaves.items()}) for i in range(len(rows))]
        digests = np.array([list(bytes.fromhex(text)) for text in hashes], np.uint8)
        path = "checkpoints/trail/sha256"
        info = {path: ArrayInfo.of(np.dtype(np.uint8), ("member", "step", "byte"), (32,))}
        for value in np.unique(at):
            here = np.flatnonzero(at == value)
            columns = self._columns("checkpoints/trail", [int(value)])
            self._write(info, {path: digests[here][:, None]}, [rows[here], columns])
        return hashes

    def write_subnetworks(
        self,
        flavor: str,
        members: Indices,
        masks: np.ndarray,
        *,
        steps: int | np.ndarray,
        labels: Sequence[str],
    ) -> None:
        """Write subnetworks of members.

        Args:
            flavor: the method that found them.
            members: positions.
            masks: neurons of each subnetwork, 0 or 1 [member, subnetwork, neuron].
            steps: step of the analyzed state; one, or one per member.
            labels: names of the subnetworks.

        Raises:
            ValueError: if the shape of ``masks`` does not match.
        """
        rows = self._rows(members)
        mask = np.asarray(masks).astype(np.int8)
        if mask.ndim != 3 or mask.shape[:2] != (len(rows), len(labels)):
            raise ValueError(f"masks {mask.shape} are not {len(rows)} members x {len(labels)} subnetworks")
        at = np.broadcast_to(np.asarray(steps, np.int64), rows.shape)
        group = f"subnetworks/{node_name(flavor)}"
        infos = {
            f"{group}/mask": ArrayInfo.of(
                mask.dtype,
                ("member", "subnetwork", "neuron"),
                mask.shape[1:],
                {"labels": {"subnetwork": list(labels)}},
            ),
            f"{group}/step": ArrayInfo.of(at.dtype, ("member",), ()),
        }
        self._write(infos, {f"{group}/mask": mask, f"{group}/step": at}, [rows])

    def identify(self, identity: str) -> None:
        """Set the identity of a run whose identity is known only after all data is written."""
        self.set_attributes(identity=identity)

    def note(self, **facts: Any) -> None:
        """Add remarks about the run (JSON values), for example that other numerics were allowed."""
        notes = {**self._tree.attributes.get("notes", {}), **facts}
        self.set_attributes(notes=notes)

    def note_more(self, **texts: Iterable[str]) -> None:
        """Add texts to lists among the remarks; a text that is there already is not added again."""
        notes = self._tree.attributes.get("notes", {})
        lists = {name: sorted({*notes.get(name, []), *more}) for name, more in texts.items()}
        if any(found and found != notes.get(name) for name, found in lists.items()):
            self.note(**{name: found for name, found in lists.items() if found})

    def set_attributes(self, **attributes: Any) -> None:
        """Set attributes of the root (JSON values); others stay as they are."""
        self._tree.set_attributes({**self._tree.attributes, **attributes})

    @property
    def _n_members(self) -> int:
        return self._tree.info("members/steps_done").shape[0]

    def _rows(self, members: Indices) -> np.ndarray:
        count = self._n_members
        if isinstance(members, slice):
            return np.arange(count)[members]
        rows = np.asarray(members, np.int64)
        if rows.ndim != 1 or np.any((rows < 0) | (rows >= count)) or len(np.unique(rows)) != len(rows):
            raise ValueError(f"members {rows.tolist()} are not positions in 0..{count - 1}, each once")
        return rows

    def _columns(self, group: str, steps: Sequence[int] | np.ndarray) -> np.ndarray:
        """Columns of steps in a group; new steps are appended."""
        path = f"{group}/step"
        wanted = np.asarray(steps, np.int64)
        if wanted.ndim != 1 or np.any(wanted < 0) or len(np.unique(wanted)) != len(wanted):
            raise ValueError(f"{group}: steps must be one row of numbers from 0, each once")
        if group not in self._steps:
            if path not in self._tree.paths:
                info = ArrayInfo.of(np.dtype(np.int64), ("step",), ())
                self._tree.create({path: info})
            self._steps[group] = self._tree.read(path, [])
        known = self._steps[group]
        new = wanted[~np.isin(wanted, known)]
        if len(new):
            self._tree.write(path, [np.arange(len(known), len(known) + len(new))], new)
            known = self._steps[group] = np.concatenate([known, new])
        order = np.argsort(known)
        return order[np.searchsorted(known, wanted, sorter=order)]

    def _write(
        self, infos: dict[str, ArrayInfo], arrays: Mapping[str, np.ndarray], indices: list[np.ndarray]
    ) -> None:
        """Write arrays at the same leading indices; new arrays are created."""
        have = set(self._tree.paths)
        if new := {path: info for path, info in infos.items() if path not in have}:
            self._tree.create(new)
        for path, stored in self._tree.infos(list(arrays)).items():
            given = infos[path]
            if (
                stored.dims != given.dims
                or stored.shape[len(indices) :] != given.shape[len(indices) :]
                or stored.attributes.get("labels", {}) != given.attributes.get("labels", {})
                or not np.can_cast(given.dtype, stored.dtype, "safe")
            ):
                message = f"{path}: its type, axes or labels differ from what is stored"
                # the store alone writes these arrays, so a difference in them is damage
                is_own = path.startswith(("measured/", "members/"))
                raise DamagedError(message) if is_own else ValueError(message)
            self._tree.write(path, indices, arrays[path])


def _as_measure(value: np.ndarray) -> np.ndarray:
    """Convert bools and unsigned integers to signed, so that the fill value differs from every value."""
    if value.dtype.kind == "b":
        return value.astype(np.int8)
    return value.astype(np.int64) if value.dtype.kind == "u" else value


def _arrays(group: str, leaves: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {f"{group}/{node_name(name)}": np.asarray(leaf) for name, leaf in leaves.items()}


def _infos(arrays: Mapping[str, np.ndarray], leading: int) -> dict[str, ArrayInfo]:
    """Metadata of leaves whose first ``leading`` axes are member and step."""
    infos: dict[str, ArrayInfo] = {}
    for path, leaf in arrays.items():
        dims = ("member", "step")[:leading] + tuple(f"axis_{i}" for i in range(leaf.ndim - leading))
        infos[path] = ArrayInfo.of(leaf.dtype, dims, leaf.shape[leading:])
    return infos


def node_name(name: str) -> str:
    """Encode a name as the name of an array: percent-escapes, without slash or leading dot or underscore."""
    node = quote(name, safe="[]'")
    if node[:1] in (".", "_"):
        node = f"%{ord(node[0]):02X}{node[1:]}"
    if not node:
        raise ValueError("a name must not be empty")
    return node
