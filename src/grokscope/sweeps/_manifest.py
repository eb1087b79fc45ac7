"""The manifest of a sweep: one JSON document with all requests so far and the finished cells.

A sweep's folder holds ``sweep.json`` (the manifest), ``cells/`` with one run folder per cell, the arrays of a
task that exist only in memory, and figures and pages. The cells' stores are authoritative. The manifest
repeats which cells are finished, so that running a sweep again does not open thousands of stores.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from grokscope.errors import InputError, StoreError
from grokscope.experiment import Experiment
from grokscope.runs.measure_plan import MeasurePlan
from grokscope.spec.code import code_of
from grokscope.spec.parts import kinds
from grokscope.spec.streams import Members, Seeds
from grokscope.sweeps._axes import Axis, axis_names, canonical_text
from grokscope.sweeps._spec import SweepSpec

if TYPE_CHECKING:
    from grokscope.measures import Measure

__all__ = ["FORMAT_VERSION", "Manifest", "Request", "members_from_text", "members_text", "recording_hash"]

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Request:
    """One call of ``grokscope sweep``: a grid and the seeds of its cells.

    Attributes:
        axes: of the grid; every request of a sweep has the same keys in the same order.
        cells: the name of each cell; the last axis varies fastest.
        seeds: of every cell, in the form of `members_text`.
    """

    axes: tuple[Axis, ...]
    cells: tuple[str, ...]
    seeds: str

    def points(self) -> Iterator[tuple[tuple[tuple[Any, ...], ...], str]]:
        """For each cell its point on every axis, and its name."""
        return zip(itertools.product(*(axis.points for axis in self.axes)), self.cells, strict=True)


@dataclass
class Manifest:
    """State of a sweep.

    Attributes:
        identity: see `SweepSpec.identity`.
        base: the base experiment of the latest request, as TOML.
        requests: all requests, oldest first.
        names: the dimension name of each axis.
        done: the finished part of each cell, by the cell's name: ``wanted`` (see `recording_hash`), ``steps``
            and ``seeds``.
        numerics: the fingerprint of all cells; None before the first is trained.
        notes: remarks, for example that other numerics were allowed.
        files: names of the files beside the manifest that the base refers to.
        history: command, counts and seconds of each request.
        code: file and hash of each part that trains and is not the package's own, by part, as first trained.
        keep: what is kept of a finished cell: ``all``, or only the ``outcomes`` of its members.
    """

    identity: str
    base: str
    requests: list[Request] = field(default_factory=list[Request])
    names: tuple[str, ...] = ()
    done: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    numerics: dict[str, Any] | None = None
    notes: dict[str, Any] = field(default_factory=dict[str, Any])
    files: list[str] = field(default_factory=list[str])
    history: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    code: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    keep: str = "all"

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The axes with the points of all requests."""
        axes = self.requests[0].axes
        for request in self.requests[1:]:
            axes = tuple(one.joined(other) for one, other in zip(axes, request.axes, strict=True))
        return tuple(axis.ordered() for axis in axes)

    @property
    def cells(self) -> dict[str, tuple[int, ...]]:
        """The index along every axis of each cell of all requests, by the cell's name."""
        axes = self.axes
        positions = [{canonical_text(point): i for i, point in enumerate(axis.points)} for axis in axes]
        return {
            name: tuple(where[canonical_text(point)] for where, point in zip(positions, points, strict=True))
            for request in self.requests
            for points, name in request.points()
        }

    def add(self, spec: SweepSpec, names: tuple[str, ...], base: str) -> Request:
        """Add a request, unless the manifest has it already.

        Args:
            spec: the requested sweep.
            names: of its cells; the last axis varies fastest.
            base: the base experiment as TOML.

        Raises:
            InputError: if the sweep's earlier requests group the keys into other axes.
        """
        axes = spec.axes
        if self.requests:
            by_keys = {axis.keys: axis for axis in axes}
            order = [axis.keys for axis in self.requests[0].axes]
            if set(order) != set(by_keys):
                raise InputError("holds a sweep that pairs its keys differently")
            axes = tuple(by_keys[keys] for keys in order)
            names = _transposed(names, spec.shape, [spec.axes.index(axis) for axis in axes])
        else:
            self.names = spec.names
        request = Request(axes, names, members_text(spec.seeds))
        self.base = base
        if request not in self.requests:
            self.requests.append(request)
        return request

    def n_missing(self, name: str, wanted: str, steps: int, seeds: Members) -> int:
        """The number of a cell's members that are not finished according to the manifest."""
        entry = self.done.get(name)
        if entry is None or entry["wanted"] != wanted or entry["steps"] < steps:
            return len(seeds)
        if entry["seeds"] == members_text(seeds):
            return 0
        return len(seeds.without(members_from_text(entry["seeds"])))

    def mark_done(self, name: str, wanted: str, steps: int, seeds: Members) -> None:
        """Record members of a cell as finished."""
        entry = self.done.get(name)
        if entry is not None and entry["wanted"] == wanted and entry["steps"] == steps:
            before = members_from_text(entry["seeds"])
            seeds = Members((*before, *seeds.without(before)))
        self.done[name] = {"wanted": wanted, "steps": steps, "seeds": members_text(seeds)}

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON data."""
        return {
            "format_version": FORMAT_VERSION,
            "identity": self.identity,
            "keys": [list(axis.keys) for axis in self.requests[0].axes] if self.requests else [],
            "names": list(self.names),
            "requests": [
                {
                    "points": [[list(point) for point in axis.points] for axis in request.axes],
                    "seeds": request.seeds,
                    "cells": list(request.cells),
                }
                for request in self.requests
            ],
            "base": self.base,
            "numerics": self.numerics,
            "notes": self.notes,
            "files": self.files,
            "history": self.history,
            "done": self.done,
            **({"code": self.code} if self.code else {}),
            **({"keep": self.keep} if self.keep != "all" else {}),
        }

    @classmethod
    def from_json(cls, table: Mapping[str, Any], where: str) -> Manifest:
        """Convert from the JSON data of `to_json`.

        Args:
            table: the data.
            where: the file or address, for error messages.

        Raises:
            InputError: if the format is newer.
            StoreError: if the data is damaged.
        """
        try:
            version = table["format_version"]
            if isinstance(version, int) and version > FORMAT_VERSION:
                raise InputError(
                    f"{where}: is from a newer format version ({version}; this version of grokscope reads up "
                    f"to {FORMAT_VERSION}). Update grokscope."
                )
            keys = [tuple(str(key) for key in one) for one in table["keys"]]
            requests = [
                Request(
                    tuple(
                        Axis(names, tuple(tuple(_as_tuples(v) for v in point) for point in points))
                        for names, points in zip(keys, one["points"], strict=True)
                    ),
                    tuple(map(str, one["cells"])),
                    str(one["seeds"]),
                )
                for one in table["requests"]
            ]
            # sweeps of earlier versions do not state the names
            names = table.get("names") or (axis_names(requests[0].axes) if requests else ())
            return cls(
                str(table["identity"]),
                str(table["base"]),
                requests,
                tuple(map(str, names)),
                {str(name): dict(entry) for name, entry in table["done"].items()},
                table["numerics"],
                dict(table["notes"]),
                list(table["files"]),
                list(table["history"]),
                {str(part): dict(one) for part, one in table.get("code", {}).items()},
                str(table.get("keep", "all")),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StoreError(f"{where}: is damaged ({error}).") from None


def recording_hash(experiment: Experiment) -> str:
    """Hash of what decides what is recorded: measures, with their code, schedule, early stop and events."""
    measures = experiment.measures
    table: list[Any] = [
        None if measures is None else [measure.model_dump(mode="json") for measure in measures],
        experiment.schedule.model_dump(mode="json"),
    ]
    if experiment.stop.is_on:
        table.append(experiment.stop.model_dump(mode="json"))
    if experiment.events.unusual:
        table.append(experiment.events.unusual)
    # our own measures at their first revision, without a version, leave the hash as it was before
    if measures is not None or any(
        code_of(kind) is not None or kind.revision > 1 for kind in _measure_kinds()
    ):
        plan = MeasurePlan.of(experiment)
        if versions := {one.name: one.code_version for one in plan.all if one.code_version}:
            table.append(versions)
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()[:16]


def _measure_kinds() -> list[type[Measure]]:
    return cast("list[type[Measure]]", list(kinds("measure").values()))


def members_text(members: Members) -> str:
    """Members as a text for `Members.parse` if each has one seed for all streams; otherwise as JSON.

    Example:
        >>> members_text(Members.parse("0:20,25"))
        '0:20,25'
    """
    if not members.is_plain:
        return json.dumps([list(member) for member in members])
    seeds = sorted(member[0] for member in members)
    pieces: list[str] = []
    for _, group in itertools.groupby(enumerate(seeds), key=lambda pair: pair[1] - pair[0]):
        run = [seed for _, seed in group]
        pieces.append(f"{run[0]}:{run[-1] + 1}" if len(run) > 1 else str(run[0]))
    return ",".join(pieces) if len(pieces) > 1 or ":" in pieces[0] else f"{pieces[0]},"


def members_from_text(text: str) -> Members:
    """Parse the result of `members_text`."""
    if text.startswith("["):
        return Members(tuple(Seeds(*each) for each in json.loads(text)))
    return Members.parse(text)


def _transposed(names: tuple[str, ...], shape: tuple[int, ...], order: list[int]) -> tuple[str, ...]:
    grid = np.array(names, dtype=object).reshape(shape)
    return tuple(grid.transpose(order).ravel().tolist())


def _as_tuples(value: Any) -> Any:
    return tuple(_as_tuples(v) for v in value) if isinstance(value, list) else value
