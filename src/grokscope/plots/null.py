"""A run beside its null: the same networks, data and batches, with random labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grokscope.plots.curves import curve, mark_events, standing
from grokscope.plots.style import COLOR, count_axis, epoch_axis, legend, panels, small_print

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["null_figure"]

_PANELS = {
    "train_accuracy": "Training accuracy",
    "test_accuracy": "Test accuracy",
    "effective_sparsity": "Effective sparsity (neurons)",
}


def null_figure(
    measures: xr.Dataset, null: xr.Dataset, width: int | None = None, command: str = ""
) -> Figure:
    """Three panels against log epochs: training and test accuracy, and effective sparsity, for both runs.

    Args:
        measures: of the run with true labels.
        null: of the run with random labels.
        width: number of hidden neurons, the top of the sparsity axis; None takes the largest size seen.
        command: what makes this figure, for the small print.
    """
    figure, axes = panels(list(_PANELS.values()))
    top = float(width or 1)
    for axis, name in zip(axes, _PANELS, strict=True):
        epoch_axis(axis, max(float(measures["epoch"].max()), float(null["epoch"].max())))
        for run, label, color, dash in (
            (measures, "true labels", COLOR["test"], "solid"),
            (null, "random labels", COLOR["null"], "dashed"),
        ):
            if name in run:
                curve(axis, run[name], name, label, color=color, linestyle=dash)
                if name == "effective_sparsity":
                    top = max(top, float(run[name].max()))
        if name != "effective_sparsity":
            axis.set_ylim(0.35, 1.03)
    count_axis(axes[2], top)
    mark_events(axes, measures)
    legend(figure, *axes)
    random = f"With random labels: {standing(null, spread=False)}"
    small_print(figure, standing(measures), random, command)
    return figure
