"""Which measures share a plot, in which order, color and scale: the panels of the time axis."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = ["COUNTED", "Line", "Panel", "panels_for"]

Scale = Literal["unit", "log", "zero", "auto"]
_SETS = {
    "generalizing": "generalizing",
    "complementary": "complementary",
    "memorizing": "memorizing",
    "control": "random control",
    "norm_matched": "norm-matched control",
}


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
        main: whether it is shown at once.
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
        ),
        main=True,
    ),
    Panel(
        "loss",
        "Loss",
        "zero",
        (Line("train_loss", "train", "train"), Line("test_loss", "test", "test")),
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
# Measures that a panel draws, or that are no curve to look at; what else a run has gets a panel of its own.
COUNTED = frozenset({"proof_budget", *(name for panel in _KNOWN for name in panel.measures)})
_COLORS = ("test", "train", "norm-matched", "memorizing", "ink", "control", "large", "other")


def panels_for(measures: Iterable[tuple[str, str, tuple[tuple[tuple[str, str], ...], ...]]]) -> list[Panel]:
    """The panels for which a run has a measure: those known here, then one for each other measure.

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
        if name in COUNTED:
            continue
        lines = tuple(
            Line(
                name,
                ", ".join(_SETS.get(label, label) for _, label in select) or name,
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
