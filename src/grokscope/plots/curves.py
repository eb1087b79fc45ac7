"""Curves over seeds (mean, 10th to 90th percentile), marks for memorization and grokking, small print.

Bands are percentiles, not standard deviations: a band of shares stays between 0 and 1, and need not be
symmetric where seeds jump at different times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.errors import InputError
from grokscope.plots.style import COLOR, line_style
from grokscope.spec.events import diverged_steps, event_of, events_of, member_curves

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = [
    "EVENT_VERBS",
    "Band",
    "band",
    "chosen_seed",
    "curve",
    "first_seeds",
    "in_steps",
    "mark_events",
    "median_step",
    "seeds_argument",
    "seeds_per_cell",
    "seeds_text",
    "standing",
]

# what members do, by the event; other events: "reach NAME"
EVENT_VERBS = {"memorization": "memorize", "grokking": "grok"}

_LOW, _HIGH = 10, 90


@dataclass(frozen=True)
class Band:
    """Curves of one measure, with their mean and spread over members.

    Attributes:
        taken: booleans [step]: whether it was measured at a step.
        each: each member's curve [member, taken step]; NaN where not measured, and from divergence on.
        mean: over members [taken step].
        low, high: the 10th and the 90th percentile over members [taken step].
    """

    taken: np.ndarray
    each: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def band(values: xr.DataArray) -> Band | None:
    """Mean and spread over members of one measure [seed, step]; None if it was never measured.

    Points that were not measured are left out. A seed that diverged counts up to its divergence.
    """
    array = member_curves(values)
    lost = np.full(len(array), np.inf)
    if "diverged_step" in values.coords:
        recorded = values["diverged_step"].to_numpy().ravel()
        lost = np.where(recorded >= 0, recorded, np.inf)
    array = np.where(np.isfinite(array) & (values["step"].to_numpy() < lost[:, None]), array, np.nan)
    taken = np.asarray(~np.isnan(array).all(axis=0))
    if not taken.any():
        return None
    array = array[:, taken]
    low, high = _percentiles(array)
    return Band(taken, array, np.nanmean(array, axis=0), low, high)


def _percentiles(array: np.ndarray) -> np.ndarray:
    if np.isnan(array).any():  # np.nanpercentile is much slower
        return np.nanpercentile(array, [_LOW, _HIGH], axis=0)
    return np.percentile(array, [_LOW, _HIGH], axis=0)


def curve(axis: Axes, values: xr.DataArray | None, name: str, label: str | None = None, **line: Any) -> None:
    """Draw one measure against epochs: the mean over seeds, and a band if there are several seeds.

    Args:
        axis: to draw on.
        values: the measure [seed, step]; None (the run lacks the measure) draws nothing.
        name: gives the color and line style, see `grokscope.plots.style`.
        label: for the legend; None takes the name.
        line: matplotlib's properties of the line, in place of those of the name.
    """
    drawn = None if values is None else band(values)
    if values is None or drawn is None:
        return
    epochs = values["epoch"].to_numpy()[drawn.taken]
    style: dict[str, Any] = {"color": COLOR.get(name, "black"), "linestyle": line_style(name)}
    style |= {"linewidth": 1.2, **line}
    axis.plot(epochs, drawn.mean, label=label or name, **style)
    if len(drawn.each) > 1:
        axis.fill_between(epochs, drawn.low, drawn.high, color=style["color"], alpha=0.18, linewidth=0)


def in_steps(measures: xr.Dataset) -> xr.Dataset:
    """The measures with the step as their coordinate ``epoch``, for figures against steps."""
    return measures.assign_coords(epoch=("step", measures["step"].to_numpy().astype(np.float64)))


def mark_events(axes: list[Axes], measures: xr.Dataset) -> None:
    """Vertical lines at the median epoch of each event of the run, if half of the seeds reach it."""
    for event in events_of(measures).values():
        if event.measure not in measures:
            continue
        step = median_step(event.times(measures).upper)
        if not np.isfinite(step):
            continue
        epoch = float(np.interp(step, measures["step"].to_numpy(), measures["epoch"].to_numpy()))
        for axis in axes:
            axis.axvline(
                epoch,
                color=COLOR.get(event.name, COLOR["other"]),
                linestyle=line_style(event.name),
                linewidth=1.0 if event.name == "grokking" else 0.7,
                zorder=1,
                label=event.name,
            )


def median_step(steps: np.ndarray) -> float:
    """The step by which half of the seeds [seed] have had the event; inf if fewer have it.

    Example:
        >>> median_step(np.array([300.0, 100.0, np.inf, 200.0])), median_step(np.array([]))
        (200.0, inf)
    """
    return float(np.sort(steps)[(len(steps) - 1) // 2]) if len(steps) else np.inf


def chosen_seed(measures: xr.Dataset, seed: int | None, figure: str) -> int:
    """The seed for a figure of one seed: the given one; for None the first that groks, else the first.

    Raises:
        InputError: if streams are crossed, or the run has no such seed; the message begins with ``figure``.
    """
    if "seed" not in measures.sizes:
        raise InputError(f"{figure}: streams are crossed; choose one member along an axis 'seed'.")
    seeds = [int(one) for one in measures["seed"].to_numpy()]
    if seed is None:
        return seeds[int(np.argmax(event_of(measures, "grokking").times(measures).observed))]
    if seed not in seeds:
        raise InputError(f"{figure}: seed {seed} is not in the run; it has {seeds[0]} to {seeds[-1]}.")
    return seed


def first_seeds(measures: xr.Dataset, most: int) -> list[int]:
    """The first seeds of a run that grok, at most this many; its first seed if none does."""
    chosen_seed(measures, None, "figure")  # or the reason why there are no seeds to choose from
    seeds = measures["seed"].to_numpy()
    grok = event_of(measures, "grokking").times(measures).observed
    return [int(one) for one in (seeds[grok] if grok.any() else seeds)[: most if grok.any() else 1]]


def seeds_text(seeds: Any) -> str:
    """Write seeds as a short text.

    Example:
        >>> seeds_text([0, 1, 2, 3, 4]), seeds_text([7]), seeds_text([0, 1, 5, 9, 10, 11])
        ('0-4', '7', '0, 1, 5, 9-11')
    """
    pieces = [
        f"{group[0]}-{group[-1]}" if len(group) > 2 else ", ".join(map(str, group))
        for group in _consecutive(seeds)
    ]
    text = ", ".join(pieces)
    return text if len(text) <= 60 else f"{text[:57].rsplit(', ', 1)[0]}, ..."


def seeds_argument(seeds: Any) -> str:
    """Write seeds as an argument of ``--seeds``.

    Example:
        >>> seeds_argument(range(5)), seeds_argument([7]), seeds_argument([0, 1, 5, 9, 10, 11])
        ('5', '7,', '0:2,5,9:12')
    """
    groups = _consecutive(seeds)
    if len(groups) == 1 and groups[0][0] == 0:
        return str(len(groups[0]))
    text = ",".join(str(group[0]) if len(group) == 1 else f"{group[0]}:{group[-1] + 1}" for group in groups)
    return f"{text}," if text.isdigit() else text


def seeds_per_cell(summary: xr.Dataset) -> str:
    """The number of seeds in the smallest cell of a sweep's summary, as text."""
    counts = summary["n"].to_numpy()
    return f"{np.nanmin(counts):.0f}" if np.isfinite(counts).any() else "no"


def _consecutive(seeds: Any) -> list[list[int]]:
    groups: list[list[int]] = []
    for seed in sorted(int(seed) for seed in seeds):
        if groups and seed == groups[-1][-1] + 1:
            groups[-1].append(seed)
        else:
            groups.append([seed])
    return groups


def standing(measures: xr.Dataset, spread: bool = True) -> str:
    """Small print on a run or sweep: its seeds, and how many members memorized, grokked and diverged.

    Args:
        measures: of the run, or of all cells of the sweep.
        spread: whether the figure shows means and bands over seeds; they are then explained too.
    """
    n = len(diverged_steps(measures))
    text = f"{n} members of crossed streams."
    if "seed" in measures.sizes:
        seeds = measures.sizes["seed"]
        text = f"{'Seed' if seeds == 1 else f'{seeds} seeds:'} {seeds_text(measures['seed'].to_numpy())}."
        if n != seeds:  # a sweep: every cell has these seeds
            text = f"{n // seeds} cells of {text[0].lower()}{text[1:]}"
    if spread and n > 1:
        text = f"Mean and band from the {_LOW}th to the {_HIGH}th percentile over seeds. {text}"
    for event in events_of(measures).values():
        if event.measure in measures:
            verb = EVENT_VERBS.get(event.name, f"reach {event.name.replace('_', ' ')}")
            text += f" {int(event.times(measures).observed.sum())} of {n} {verb}"
            text += "," if event.name == "memorization" else "."
    lost = int(np.isfinite(diverged_steps(measures)).sum())
    marks = " Vertical lines: medians." if spread and n > 1 else ""
    return text + (f" {lost} diverged." if lost else "") + marks
