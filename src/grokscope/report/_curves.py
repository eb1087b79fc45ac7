"""The curves of a run on the page: panels of measures over time, with their spread over members."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from grokscope.plots.curves import Band, band, median_step
from grokscope.report._arrays import Table, log_spaced, packed
from grokscope.spec.events import events_of
from grokscope.spec.streams import STREAMS, on_members
from grokscope.statistics import format_number

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Curves", "Line", "Panel", "curve_tables", "member_labels", "panels_for"]

# What the members' own curves of one run may take in the page, before they are written in base 64.
_MOST_BYTES = 2_500_000
_MOST_LABELS = 12  # curves of one measure; axes with more labels (neurons) are not curves
_RANKED = "subtask"  # an axis of ranks: of many, some are shown, closer together among the first
_SHOWN_RANKS = 8
_SETS = {
    "generalizing": "generalizing",
    "complementary": "complementary",
    "memorizing": "memorizing",
    "control": "random control",
    "norm_matched": "norm-matched control",
}
Scale = Literal["unit", "log", "zero", "auto"]


@dataclass(frozen=True)
class Line:
    """One curve of a panel.

    Attributes:
        measure: its name.
        label: in the legend.
        color: name of a color of the style sheet.
        select: labels of further axes, e.g. ``(("subnetwork", "control"),)``.
    """

    measure: str
    label: str
    color: str
    select: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Panel:
    """One plot over the time axis.

    Attributes:
        id: its anchor.
        title: what is plotted.
        scale: ``unit`` (shares: 0 to 1), ``log`` (counts from 1), ``zero`` (from 0), ``auto``.
        lines: in the order of the legend; those that a run does not have are left out.
        unit: of the values, or what they are of.
        main: whether it is shown before "More measures" is opened.
    """

    id: str
    title: str
    scale: Scale
    lines: tuple[Line, ...]
    unit: str = ""
    main: bool = False

    @property
    def measures(self) -> tuple[str, ...]:
        """The names of its measures, each once."""
        return tuple(dict.fromkeys(line.measure for line in self.lines))


def _of_sets(measure: str, more: tuple[Line, ...] = ()) -> tuple[Line, ...]:
    lines = (
        Line(measure, label, name.replace("_", "-"), (("subnetwork", name),)) for name, label in _SETS.items()
    )
    return (*lines, *more)


_KNOWN = (
    Panel(
        "accuracy",
        "Accuracy",
        "unit",
        (
            Line("train_accuracy", "train", "train"),
            Line("test_accuracy", "test", "test"),
            Line("test_accuracy_large", "held out, many", "large"),
            Line("population_accuracy", "all inputs", "norm-matched"),
        ),
        main=True,
    ),
    Panel(
        "tolerance",
        "Accuracy",
        "unit",
        (
            Line("train_tolerance_accuracy", "train", "train"),
            Line("test_tolerance_accuracy", "test", "test"),
            Line("population_tolerance_accuracy", "all inputs", "norm-matched"),
        ),
        "share within the tolerance",
        main=True,
    ),
    Panel(
        "loss",
        "Loss",
        "zero",
        (
            Line("train_loss", "train", "train"),
            Line("test_loss", "test", "test"),
            Line("population_loss", "all inputs", "norm-matched"),
        ),
        main=True,
    ),
    Panel(
        "sparsity",
        "Effective sparsity",
        "log",
        (
            Line("effective_sparsity", "same predictions", "ink"),
            Line("effective_sparsity_accuracy", "same accuracy", "norm-matched"),
            Line("effective_sparsity_probe", "same predictions, probe", "memorizing"),
            Line("effective_sparsity_99", "99 % agreement, probe", "large"),
        ),
        "neurons",
        main=True,
    ),
    Panel("norms", "Subnetwork norm", "zero", _of_sets("subnetwork_norm"), "per neuron", main=True),
    Panel("faithfulness", "Faithfulness", "unit", _of_sets("faithfulness"), "agreement", main=True),
    Panel("kappa", "Beyond chance", "auto", _of_sets("faithfulness_kappa"), "faithfulness, κ", main=True),
    Panel("ablation", "Faithfulness", "unit", _of_sets("faithfulness_mean_ablation"), "others at their mean"),
    Panel(
        "sensitivity",
        "Sensitivity",
        "zero",
        _of_sets("sensitivity", (Line("sensitivity_full", "whole network", "ink"),)),
        "bits",
    ),
    Panel("weights", "Norm of all weights", "zero", (Line("weight_norm", "whole network", "ink"),)),
    Panel("paths", "Path norm", "zero", (Line("path_norm_total", "whole network", "ink"),)),
    Panel(
        "margins",
        "Margin below 1",
        "unit",
        (Line("train_margin_below_1", "train", "train"),),
        "share of samples",
    ),
    Panel(
        "zeros",
        "Output is 0",
        "zero",
        (
            Line("train_zero_outputs", "train", "train"),
            Line("test_zero_outputs", "test", "test"),
            Line("test_zero_outputs_large", "held out, many", "large"),
        ),
        "inputs",
    ),
    Panel(
        "proofs",
        "For all inputs",
        "unit",
        (Line("proved", "proved", "test"), Line("refuted", "refuted", "train")),
        "share of networks",
    ),
    Panel(
        "worst-margin",
        "Worst margin",
        "auto",
        (
            Line("worst_margin_lower", "proved: at least", "test"),
            Line("worst_margin_upper", "found: at most", "train"),
        ),
        "over all inputs",
    ),
)
# Measures that these panels draw, or that are not drawn; every other measure gets a panel of its own.
_DRAWN = frozenset({"proof_budget", *(name for panel in _KNOWN for name in panel.measures)})
_COLORS = ("test", "train", "norm-matched", "memorizing", "ink", "control", "large", "other")


def panels_for(measures: Iterable[tuple[str, str, tuple[tuple[tuple[str, str], ...], ...]]]) -> list[Panel]:
    """The panels of a run's measures: the known ones, then one for each other measure.

    Args:
        measures: name, unit and all selections of labels of its further axes (``((),)`` if it has none).

    Example:
        >>> found = panels_for([("test_loss", "", ((),)), ("mine", "bits", ((),))])
        >>> [(panel.id, panel.title, panel.unit) for panel in found]
        [('loss', 'Loss', ''), ('measure-mine', 'mine', 'bits')]
    """
    listed = list(measures)
    names = {name for name, _, _ in listed}
    found = [panel for panel in _KNOWN if names & set(panel.measures)]
    for name, unit, selections in listed:
        if name in _DRAWN:
            continue
        lines = tuple(
            Line(
                name,
                ", ".join(
                    f"{axis} {label}" if axis == _RANKED else _SETS.get(label, label)
                    for axis, label in select
                )
                or name,
                _color(select, i),
                select,
            )
            for i, select in enumerate(selections)
        )
        found.append(Panel(f"measure-{name}", name.replace("_", " "), "auto", lines, unit))
    return found


def _color(select: tuple[tuple[str, str], ...], i: int) -> str:
    for _, label in select:
        if label in _SETS:
            return label.replace("_", "-")
    return _COLORS[i % len(_COLORS)]


class Curves:
    """The curves of one run, reduced for a page.

    Args:
        run: anything with ``experiment``, ``measures`` and ``members``.
        name: of the experiment.
        only: names of measures; None takes all.
        points: of a curve, at most, evenly spaced in the logarithm of time; None takes all.

    Attributes:
        labels: of the members.
        steps: [step].
        panels: those for which the run has measures.
        measures: [seed, step, ...], the members in order.
    """

    def __init__(
        self, run: Any, name: str, only: frozenset[str] | None = None, points: int | None = None
    ) -> None:
        self.name = name
        measures = run.measures_so_far
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
        if line.measure not in self.measures or "split" not in self.measures[line.measure].dims:
            return ("",)
        return tuple(map(str, self.measures["split"].to_numpy()))

    def band(self, line: Line, split: str = "") -> Band | None:
        """A line's curves; None if there is nothing to draw."""
        key = (line, split)
        if key not in self._bands:
            self._bands[key] = self._band(line, split)
        return self._bands[key]

    def events(self) -> list[dict[str, Any]]:
        """Steps at which each member has the events of the run, and is certified; None where it does not."""
        from grokscope.circuits.verification import CERTIFIED

        found: list[dict[str, Any]] = []
        for event in (*events_of(self.measures).values(), CERTIFIED):
            if event.measure not in self.measures:
                continue
            seen = event.times(self.measures).upper
            found.append(
                {
                    "name": event.name,
                    "definition": str(event),
                    "steps": [_step(one) for one in seen],
                    "median": _step(median_step(seen)),
                }
            )
        return found

    def data(self) -> dict[str, Any]:
        """The numbers for the page's script."""
        grids: dict[bytes, np.ndarray] = {}
        shown = self._members_shown()
        panels: list[dict[str, Any]] = []
        for panel in self.panels:
            lines: list[dict[str, Any]] = []
            for line in panel.lines:
                bands = {split: self.band(line, split) for split in self.splits(line)}
                variants = {
                    split: self._variant(one, shown, grids) for split, one in bands.items() if one is not None
                }
                if variants:
                    names = {"measure": line.measure, "label": line.label, "color": line.color}
                    lines.append({**names, "variants": variants})
            if lines:
                names = {name: getattr(panel, name) for name in ("id", "title", "unit", "scale", "main")}
                panels.append({**names, "lines": lines})
        return {
            "name": self.name,
            "stepsPerEpoch": self.steps_per_epoch,
            "lastStep": self.last_step,
            "members": self.labels,
            "shown": shown,
            "events": self.events(),
            "grids": [packed(steps, "f8") for steps in grids.values()],
            "panels": panels,
        }

    def _variant(self, drawn: Band, shown: int, grids: dict[bytes, np.ndarray]) -> dict[str, Any]:
        """A line on one split; its steps are added to the grids, each grid once."""
        steps = self.steps[drawn.taken]
        rows = _spread(steps, self._points)
        key = steps[rows].tobytes()
        grids.setdefault(key, steps[rows])
        return {
            "grid": list(grids).index(key),
            "mean": packed(drawn.mean[rows], "f4"),
            "low": packed(drawn.low[rows], "f4"),
            "high": packed(drawn.high[rows], "f4"),
            "each": packed(drawn.each[:shown, rows], "f4"),
        }

    def _listed(self) -> list[tuple[str, str, tuple[tuple[tuple[str, str], ...], ...]]]:
        found: list[tuple[str, str, tuple[tuple[tuple[str, str], ...], ...]]] = []
        for name, values in self.measures.data_vars.items():
            axes = [str(dim) for dim in values.dims if dim not in ("seed", "step", "split")]
            labels = [[(axis, str(label)) for label in _labels(values, axis)] for axis in axes]
            unit = str(values.attrs.get("units", ""))
            if axes == [_RANKED] and len(labels[0]) > _MOST_LABELS:
                count = len(labels[0])
                labels = [[labels[0][i] for i in _spread(np.arange(count), _SHOWN_RANKS)]]
                unit = f"{unit + ', ' if unit else ''}{len(labels[0])} of {count} {_RANKED}s"
            size = int(np.prod([len(each) for each in labels]))
            if size > _MOST_LABELS or not {"seed", "step"} <= set(values.dims):
                continue
            found.append((str(name), unit, tuple(itertools.product(*labels))))
        return found

    def _band(self, line: Line, split: str) -> Band | None:
        if line.measure not in self.measures:
            return None
        values = self.measures[line.measure]
        wanted = (*line.select, *([("split", split)] if split else ()))
        for axis, label in wanted:
            have = [str(one) for one in _labels(values, axis)] if axis in values.dims else []
            if label not in have:
                return None
            values = values.isel({axis: have.index(label)})
        return band(values) if set(values.dims) == {"seed", "step"} else None

    def _members_shown(self) -> int:
        """Number of members whose own curves fit into the page; the bands are over all members."""
        points = sum(
            int(drawn.taken.sum())
            for panel in self.panels
            for line in panel.lines
            for split in self.splits(line)
            if (drawn := self.band(line, split)) is not None
        )
        return max(1, min(len(self.labels), _MOST_BYTES // max(4 * points, 1)))


def member_labels(members: Any) -> list[str]:
    """Names of members: their seed, or the streams in which they differ.

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
    """Positions of at most so many steps, log-spaced, the first and the last among them."""
    if most is None or len(steps) <= most:
        return np.arange(len(steps))
    targets = np.geomspace(max(float(steps[1]), 1.0), float(steps[-1]), most - 1)
    return np.unique([0, *np.searchsorted(steps, targets).clip(max=len(steps) - 1)])


def _labels(values: xr.DataArray, axis: str) -> list[Any]:
    return values[axis].to_numpy().tolist() if axis in values.coords else list(range(values.sizes[axis]))


def _step(value: float) -> int | None:
    return int(value) if np.isfinite(value) else None


def curve_tables(curves: Sequence[Curves]) -> list[Table]:
    """Mean and spread of every curve at some times: a table for each panel of each run."""
    tables: list[Table] = []
    for one in curves:
        own = [*_events_table(one), *(table for panel in one.panels for table in _curve_table(one, panel))]
        if len(curves) > 1 and own:
            own[0] = own[0]._replace(heading=one.name)
        tables += own
    return tables


def _events_table(one: Curves) -> list[Table]:
    events = one.events()
    rows = [
        [label, *(_epoch(event["steps"][i], one.steps_per_epoch) for event in events)]
        for i, label in enumerate(one.labels)
    ]
    names = [f"{event['name']} (epoch)" for event in events]
    return [Table("Events: the first epoch at which each was seen", ["seed", *names], rows)] if names else []


def _curve_table(one: Curves, panel: Panel) -> list[Table]:
    columns: list[tuple[str, dict[int, str]]] = []
    times: set[int] = set()
    for line in panel.lines:
        for split in one.splits(line):
            band = one.band(line, split)
            if band is None:
                continue
            steps = one.steps[band.taken]
            chosen = log_spaced(steps)
            several = len(band.each) > 1
            cells = {
                int(steps[i]): format_number(float(band.mean[i]))
                + (
                    f" [{format_number(float(band.low[i]))}, {format_number(float(band.high[i]))}]"
                    if several
                    else ""
                )
                for i in chosen
            }
            columns.append((f"{line.label}{f', {split} inputs' if split else ''}", cells))
            times |= set(cells)
    if not columns:
        return []
    rows = [
        [_epoch(step, one.steps_per_epoch), *(cells.get(step, "") for _, cells in columns)]
        for step in sorted(times)
    ]
    spread = ": mean [10th, 90th percentile] over seeds" if len(one.labels) > 1 else ""
    unit = f" ({panel.unit})" if panel.unit else ""
    return [Table(f"{panel.title}{unit}{spread}", ["epoch", *(name for name, _ in columns)], rows)]


def _epoch(step: int | None, per_epoch: int) -> str:
    return "not seen" if step is None else format_number(step / per_epoch)
