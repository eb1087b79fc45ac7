"""The manifest of a sweep: what was asked for so far, and which cells are done. One JSON document.

A sweep's folder holds ``sweep.json`` (this), ``cells/`` with a run in each folder, the arrays of a task that
lay only in memory, and whatever figures and pages are made of it. The cells' stores are the truth; what is
done is written here too, so that a sweep that is given again need not open thousands of them.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from grokscope.errors import InputError, StoreError
from grokscope.experiment import Experiment
from grokscope.spec.streams import Members, Seeds
from grokscope.sweeps._axes import Axis, axis_names, canonical
from grokscope.sweeps._spec import SweepSpec

__all__ = ["FORMAT_VERSION", "Manifest", "Request", "compact", "members_of", "wanted_of"]

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Request:
    """One ``grokscope sweep``: a grid, the names of its cells, and the seeds of each.

    Attributes:
        axes: of the grid; their keys are those of all requests of the sweep, in the same order.
        cells: the name of each cell, the last axis fastest.
        seeds: of every cell, as `compact` writes them.
    """

    axes: tuple[Axis, ...]
    cells: tuple[str, ...]
    seeds: str

    def places(self) -> Iterator[tuple[tuple[tuple[Any, ...], ...], str]]:
        """Each cell: its point along every axis, and its name."""
        points = itertools.product(*(axis.points for axis in self.axes))
        return zip(points, self.cells, strict=True)


@dataclass
class Manifest:
    """What a sweep's folder holds.

    Attributes:
        identity: of the sweep, see `SweepSpec.identity`.
        base: the base experiment of the latest request, as TOML.
        requests: all so far.
        done: by a cell's name, what of it is finished: ``wanted`` (see `wanted_of`), ``steps``, ``seeds``.
        numerics: the fingerprint that all cells are made under; None before the first.
        notes: remarks, for example that other numerics were allowed.
        files: names of files beside the manifest that the base names.
        history: what each request took.
    """

    identity: str
    base: str
    requests: list[Request] = field(default_factory=list[Request])
    done: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    numerics: dict[str, Any] | None = None
    notes: dict[str, Any] = field(default_factory=dict[str, Any])
    files: list[str] = field(default_factory=list[str])
    history: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The axes with the values of all requests."""
        axes = self.requests[0].axes
        for request in self.requests[1:]:
            axes = tuple(one.joined(other) for one, other in zip(axes, request.axes, strict=True))
        return tuple(axis.ordered() for axis in axes)

    @property
    def names(self) -> tuple[str, ...]:
        """The dimensions of the result."""
        return axis_names(self.requests[0].axes)

    @property
    def cells(self) -> dict[str, tuple[int, ...]]:
        """The cells of all requests: by name the place along every axis."""
        axes = self.axes
        places = [{canonical(point): i for i, point in enumerate(axis.points)} for axis in axes]
        return {
            name: tuple(place[canonical(point)] for place, point in zip(places, points, strict=True))
            for request in self.requests
            for points, name in request.places()
        }

    def add(self, spec: SweepSpec, names: tuple[str, ...], base: str) -> Request:
        """Take a request into the manifest; the same again changes nothing.

        Raises:
            InputError: if its keys are paired otherwise.
        """
        axes = spec.axes
        if self.requests:
            by_keys = {axis.keys: axis for axis in axes}
            order = [axis.keys for axis in self.requests[0].axes]
            if set(order) != set(by_keys):
                raise InputError("holds a sweep whose keys are paired otherwise")
            axes = tuple(by_keys[keys] for keys in order)
            moved = [spec.axes.index(axis) for axis in axes]
            names = _reordered(names, spec.shape, moved)
        request = Request(axes, names, compact(spec.seeds))
        self.base = base
        if request not in self.requests:
            self.requests.append(request)
        return request

    def missing(self, name: str, wanted: str, steps: int, seeds: Members) -> int:
        """How many members of a cell are not finished, as far as the manifest knows."""
        entry = self.done.get(name)
        if entry is None or entry["wanted"] != wanted or entry["steps"] < steps:
            return len(seeds)
        if entry["seeds"] == compact(seeds):
            return 0
        return len(seeds.without(_members(entry["seeds"])))

    def mark_done(self, name: str, wanted: str, steps: int, seeds: Members) -> None:
        """Write down that members of a cell are finished."""
        entry = self.done.get(name)
        everyone = seeds
        if entry is not None and entry["wanted"] == wanted and entry["steps"] == steps:
            before = _members(entry["seeds"])
            everyone = Members((*before, *seeds.without(before)))
        self.done[name] = {"wanted": wanted, "steps": steps, "seeds": compact(everyone)}

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "format_version": FORMAT_VERSION,
            "identity": self.identity,
            "keys": [list(axis.keys) for axis in self.requests[0].axes] if self.requests else [],
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
        }

    @classmethod
    def from_json(cls, table: Mapping[str, Any], where: str) -> Manifest:
        """Read what `to_json` made.

        Raises:
            InputError: if it is of a newer format.
            StoreError: if it is damaged.
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
                        Axis(names, tuple(tuple(_plain(v) for v in point) for point in points))
                        for names, points in zip(keys, one["points"], strict=True)
                    ),
                    tuple(map(str, one["cells"])),
                    str(one["seeds"]),
                )
                for one in table["requests"]
            ]
            return cls(
                str(table["identity"]),
                str(table["base"]),
                requests,
                {str(name): dict(entry) for name, entry in table["done"].items()},
                table["numerics"],
                dict(table["notes"]),
                list(table["files"]),
                list(table["history"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StoreError(f"{where}: is damaged ({error}).") from None


def wanted_of(experiment: Experiment) -> str:
    """A hash of what a cell's run is to hold: its measures and when they are taken."""
    measures = experiment.measures
    table: list[Any] = [
        None if measures is None else [measure.model_dump(mode="json") for measure in measures],
        experiment.schedule.model_dump(mode="json"),
    ]
    if experiment.stop.is_on:
        table.append(experiment.stop.model_dump(mode="json"))
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()[:16]


def compact(members: Members) -> str:
    """Members as ``Members.parse`` reads them where each has one seed for all streams; else as JSON.

    Example:
        >>> compact(Members.parse("0:20,25"))
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


def members_of(text: str) -> Members:
    """Read what `compact` wrote."""
    return Members(tuple(_members(text)))


def _members(text: str) -> list[Seeds]:
    if text.startswith("["):
        return [Seeds(*each) for each in json.loads(text)]
    return list(Members.parse(text))


def _reordered(names: tuple[str, ...], shape: tuple[int, ...], moved: list[int]) -> tuple[str, ...]:
    import numpy as np

    grid = np.array(names, dtype=object).reshape(shape)
    return tuple(grid.transpose(moved).ravel().tolist())


def _plain(value: Any) -> Any:
    return tuple(_plain(v) for v in value) if isinstance(value, list) else value
