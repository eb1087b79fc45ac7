"""The numbers behind the plots as plain tables: for readers without scripts, and whoever wants numbers."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from grokscope.report._competition import GROUPS, Competition
from grokscope.report._curves import Curves
from grokscope.report._panels import Panel
from grokscope.statistics import format_number

__all__ = ["competition_tables", "curve_tables", "folded", "table"]

_ROWS = 14
_NEURONS = 12


def curve_tables(curves: Sequence[Curves]) -> str:
    """Mean and spread of every curve at some times, a table for each panel of each run."""
    parts: list[str] = []
    for one in curves:
        heading = f"<h4>{escape(one.name)}</h4>" if len(curves) > 1 else ""
        tables = "".join(_curve_table(one, panel) for panel in one.panels)
        parts.append(heading + _events_table(one) + tables)
    return folded("".join(parts))


def _events_table(one: Curves) -> str:
    rows = [
        [label, *(_epoch(event["steps"][i], one.steps_per_epoch) for event in one.events())]
        for i, label in enumerate(one.labels)
    ]
    names = [f"{event['name']} (epoch)" for event in one.events()]
    if not names:
        return ""
    return table("Events: the first epoch at which each was seen", ["seed", *names], rows)


def _curve_table(one: Curves, panel: Panel) -> str:
    columns: list[tuple[str, dict[int, str]]] = []
    times: set[int] = set()
    for line in panel.lines:
        for split in one.splits(line):
            band = one.band(line, split)
            if band is None:
                continue
            steps = one.steps[band.taken]
            chosen = _some(steps)
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
        return ""
    rows = [
        [_epoch(step, one.steps_per_epoch), *(cells.get(step, "") for _, cells in columns)]
        for step in sorted(times)
    ]
    spread = ": mean [10th, 90th percentile] over seeds" if len(one.labels) > 1 else ""
    unit = f" ({panel.unit})" if panel.unit else ""
    return table(f"{panel.title}{unit}{spread}", ["epoch", *(name for name, _ in columns)], rows)


def _some(steps: np.ndarray) -> list[int]:
    """Positions of some steps, log-spaced; the first and the last are among them."""
    if len(steps) <= _ROWS:
        return list(range(len(steps)))
    targets = np.geomspace(max(steps[1], 1), steps[-1], _ROWS - 1)
    return sorted({0, *(int(np.argmin(np.abs(steps - target))) for target in targets)})


def competition_tables(competitions: Sequence[Competition]) -> str:
    """What each group of neurons has of the output over time, and the largest neurons at the end."""
    parts: list[str] = []
    for one in competitions:
        for i, label in enumerate(one.labels[:5]):
            name = f"{one.name}, seed {label}"
            shares = one.group_share[i]
            rows = [
                [str(int(one.steps[k])), *(format_number(float(share)) for share in shares[k])]
                for k in _some(one.steps)
            ]
            parts.append(table(f"{name}: {one.share_is}, by group", ["step", *GROUPS], rows))
            last = np.nan_to_num(one.share[i, -1])
            rows = [
                [
                    str(int(j)),
                    GROUPS[one.group[i, j]],
                    format_number(float(one.norm[i, -1, j])),
                    format_number(float(one.share[i, -1, j])),
                ]
                for j in np.argsort(-last, kind="stable")[:_NEURONS]
            ]
            title = f"{name}: the {len(rows)} neurons with the largest share at the end"
            parts.append(table(title, ["neuron", "group", "norm", "share"], rows))
    return folded("".join(parts))


def folded(tables: str) -> str:
    """Tables behind a line that opens them."""
    return f'<details class="numbers"><summary>The numbers as tables</summary>{tables}</details>'


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts, that scrolls sideways where there is no room."""
    columns = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    cells = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f'<div class="scroll"><table class="data"><caption>{escape(title)}</caption>'
        f"<thead><tr>{columns}</tr></thead><tbody>{cells}</tbody></table></div>"
    )


def _epoch(step: int | None, per_epoch: int) -> str:
    return "not seen" if step is None else format_number(step / per_epoch)
