"""The curves of a run as the page has them: every measure over time, with its spread over members."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.plots.curves import Band, band
from grokscope.report._arrays import packed
from grokscope.report._panels import Line, panels_for
from grokscope.spec.events import GROKKING, MEMORIZATION
from grokscope.spec.streams import STREAMS, on_members

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Curves", "member_labels"]

# What the members' own curves of one run may take in the page, before they are written in base 64.
_MOST_BYTES = 2_500_000
_MOST_LABELS = 12  # curves of one measure; axes with more labels (neurons) are not curves
_OWN_SPLIT = "split"


class Curves:
    """The curves of one run, reduced for a page.

    Args:
        run: anything with ``experiment``, ``measures`` and ``members``.
        name: of the experiment.
        only: names of measures; None takes all.
        points: of a curve, at most, spread evenly over the logarithm of time; None takes all. Means and
            spreads are those of the points that are left.

    Attributes:
        labels: of the members.
        panels: those for which the run has measures.
        measures: [seed, step, ...], the members in order.
    """

    def __init__(
        self, run: Any, name: str, only: frozenset[str] | None = None, points: int | None = None
    ) -> None:
        self.name = name
        measures = run.measures
        if only is not None:
            measures = measures[[one for one in map(str, measures.data_vars) if one in only]]
        self.measures: xr.Dataset = on_members(measures, run.members)
        self._points = points
        self.labels = member_labels(run.members)
        self.steps = self.measures["step"].to_numpy().astype(np.int64)
        self.steps_per_epoch = int(run.experiment.steps_per_epoch)
        self.last_step = int(run.experiment.n_steps)
        self.panels = panels_for(self._listed())
        self._bands: dict[tuple[Line, str], Band | None] = {}

    def splits(self, line: Line) -> tuple[str, ...]:
        """The splits on which a line's measure was taken; one empty name if it has no such axis."""
        if line.measure not in self.measures or _OWN_SPLIT not in self.measures[line.measure].dims:
            return ("",)
        return tuple(map(str, self.measures[_OWN_SPLIT].to_numpy()))

    def band(self, line: Line, split: str = "") -> Band | None:
        """A line's curves; None if there is nothing to draw."""
        key = (line, split)
        if key not in self._bands:
            self._bands[key] = self._band(line, split)
        return self._bands[key]

    def events(self) -> list[dict[str, Any]]:
        """When each member memorizes, groks, and is certified: steps, null where it was not seen."""
        from grokscope.circuits.verification import CERTIFIED

        found: list[dict[str, Any]] = []
        for event in (MEMORIZATION, GROKKING, CERTIFIED):
            if event.measure not in self.measures:
                continue
            seen = event.times(self.measures).upper
            half = float(np.sort(seen)[(len(seen) - 1) // 2]) if len(seen) else np.inf
            found.append(
                {
                    "name": event.name,
                    "definition": str(event),
                    "steps": [_step(one) for one in seen],
                    "median": _step(half),
                }
            )
        return found

    def data(self) -> dict[str, Any]:
        """What the page's script is given."""
        grids: dict[bytes, int] = {}
        kept: list[np.ndarray] = []
        shown = self._members_shown()
        panels: list[dict[str, Any]] = []
        for panel in self.panels:
            lines: list[dict[str, Any]] = []
            for line in panel.lines:
                variants: dict[str, Any] = {}
                for split in self.splits(line):
                    drawn = self.band(line, split)
                    if drawn is None:
                        continue
                    steps = self.steps[drawn.taken]
                    rows = _spread(steps, self._points)
                    steps = steps[rows]
                    grid = grids.setdefault(steps.tobytes(), len(kept))
                    if grid == len(kept):
                        kept.append(steps)
                    variants[split] = {
                        "grid": grid,
                        "mean": packed(drawn.mean[rows], "f4"),
                        "low": packed(drawn.low[rows], "f4"),
                        "high": packed(drawn.high[rows], "f4"),
                        "each": packed(drawn.each[:shown, rows], "f4"),
                    }
                if variants:
                    lines.append(
                        {
                            "measure": line.measure,
                            "label": line.label,
                            "color": line.color,
                            "variants": variants,
                        }
                    )
            if lines:
                panels.append(
                    {
                        "id": panel.id,
                        "title": panel.title,
                        "unit": panel.unit,
                        "scale": panel.scale,
                        "main": panel.main,
                        "lines": lines,
                    }
                )
        return {
            "name": self.name,
            "stepsPerEpoch": self.steps_per_epoch,
            "lastStep": self.last_step,
            "members": self.labels,
            "shown": shown,
            "events": self.events(),
            "grids": [packed(steps, "f8") for steps in kept],
            "panels": panels,
        }

    def _listed(self) -> list[tuple[str, str, tuple[tuple[tuple[str, str], ...], ...]]]:
        found: list[tuple[str, str, tuple[tuple[tuple[str, str], ...], ...]]] = []
        for name, values in self.measures.data_vars.items():
            axes = [str(dim) for dim in values.dims if dim not in ("seed", "step", _OWN_SPLIT)]
            size = int(np.prod([values.sizes[axis] for axis in axes]))
            if size > _MOST_LABELS or not {"seed", "step"} <= set(values.dims):
                continue
            labels = [[(axis, str(label)) for label in _labels(values, axis)] for axis in axes]
            unit = str(values.attrs.get("units", ""))
            found.append((str(name), unit, tuple(itertools.product(*labels))))
        return found

    def _band(self, line: Line, split: str) -> Band | None:
        if line.measure not in self.measures:
            return None
        values = self.measures[line.measure]
        wanted = (*line.select, *([(_OWN_SPLIT, split)] if split else ()))
        for axis, label in wanted:
            have = [str(one) for one in _labels(values, axis)] if axis in values.dims else []
            if label not in have:
                return None
            values = values.isel({axis: have.index(label)})
        return band(values) if set(values.dims) == {"seed", "step"} else None

    def _members_shown(self) -> int:
        """How many members' own curves fit the page; the bands are over all of them."""
        points = sum(
            int(drawn.taken.sum())
            for panel in self.panels
            for line in panel.lines
            for split in self.splits(line)
            if (drawn := self.band(line, split)) is not None
        )
        return max(1, min(len(self.labels), _MOST_BYTES // max(4 * points, 1)))


def member_labels(members: Any) -> list[str]:
    """How members are called: by their seed, or by the streams in which they differ.

    Example:
        >>> from grokscope.spec.streams import Members
        >>> member_labels(Members.of_seeds([3, 8])), member_labels(Members.crossed(data=[0, 1]))
        (['3', '8'], ['data 0', 'data 1'])
    """
    if all(len(set(member)) == 1 for member in members):
        return [str(member[0]) for member in members]
    columns = list(zip(*members, strict=True))
    varying = [i for i, column in enumerate(columns) if len(set(column)) > 1] or list(range(len(STREAMS)))
    return [", ".join(f"{STREAMS[i]} {member[i]}" for i in varying) for member in members]


def _spread(steps: np.ndarray, most: int | None) -> np.ndarray:
    """Positions of at most so many steps, the first and the last among them, denser where time is young."""
    if most is None or len(steps) <= most:
        return np.arange(len(steps))
    targets = np.geomspace(max(float(steps[1]), 1.0), float(steps[-1]), most - 1)
    return np.unique([0, *np.searchsorted(steps, targets).clip(max=len(steps) - 1)])


def _labels(values: xr.DataArray, axis: str) -> list[Any]:
    return values[axis].to_numpy().tolist() if axis in values.coords else list(range(values.sizes[axis]))


def _step(value: float) -> int | None:
    return int(value) if np.isfinite(value) else None
