"""Norms of single neurons over the training of one seed (Figure 5 of the two-circuits paper)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grokscope.errors import InputError
from grokscope.plots.curves import mark_events, standing
from grokscope.plots.style import COLOR, epoch_axis, legend, panels, small_print

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["neuron_figure"]


def neuron_figure(
    measures: xr.Dataset, subnetworks: xr.DataArray, seed: int | None = None, command: str = ""
) -> Figure:
    """Two panels: the norm of every neuron against log epochs, all of them, and enlarged before grokking.

    Neurons in both the memorizing and the generalizing set are drawn as generalizing.

    Args:
        measures: of one run, with ``neuron_norm``.
        subnetworks: booleans [seed, subnetwork, neuron].
        seed: which one; None takes the first seed that groks, else the first.
        command: what makes this figure, for the small print.

    Raises:
        InputError: if the run has no such seed, or no ``neuron_norm``.

    Source: Merrill, Tsilivis, Shukla 2023 (arXiv 2303.11873), Figure 5.
    """
    from grokscope.spec.events import GROKKING

    if "neuron_norm" not in measures:
        raise InputError("neuron_figure: the run has no measure 'neuron_norm'.")
    if "seed" not in measures.sizes:
        raise InputError("neuron_figure: streams are crossed; choose one member along an axis 'seed'.")
    seeds = [int(one) for one in measures["seed"].to_numpy()]
    if seed is None:
        seen = GROKKING.times(measures).observed
        seed = seeds[int(np.argmax(seen))]
    if seed not in seeds:
        raise InputError(f"neuron_figure: seed {seed} is not in the run; it has {seeds[0]} to {seeds[-1]}.")
    one = measures.sel(seed=[seed])
    norms = one["neuron_norm"].isel(seed=0).transpose("neuron", "step").to_numpy()
    taken = ~np.isnan(norms).all(axis=0)
    norms, epochs = norms[:, taken], one["epoch"].to_numpy()[taken]
    sets = subnetworks.sel(seed=seed)
    generalizing = sets.sel(subnetwork="generalizing").to_numpy().astype(bool)
    memorizing = sets.sel(subnetwork="memorizing").to_numpy().astype(bool) & ~generalizing

    figure, axes = panels([f"Norm of each neuron (seed {seed})", "The same, enlarged"], height=1.9)
    for axis in axes:
        _bundle(axis, epochs, norms[~(generalizing | memorizing)], "other", "other", 0.3)
        _bundle(axis, epochs, norms[memorizing], "memorizing", "memorizing", 0.3)
        _bundle(axis, epochs, norms[generalizing], "generalizing", "generalizing", 1.1)
        epoch_axis(axis, float(measures["epoch"].max()))
        axis.set_ylim(0, float(np.nanmax(norms, initial=1e-3)) * 1.03)
    start = float(np.nanmax(norms[:, 0], initial=1e-3)) if norms.shape[1] else 1.0
    axes[1].set_ylim(0, start * 1.1)
    mark_events(axes, one)
    legend(figure, axes[0])
    counts = f"{int(generalizing.sum())} generalizing, {int(memorizing.sum())} memorizing only,"
    counts += f" {int((~(generalizing | memorizing)).sum())} other neurons."
    small_print(figure, f"{standing(one, spread=False)} {counts}", command)
    return figure


def _bundle(axis: Axes, epochs: np.ndarray, norms: np.ndarray, name: str, label: str, width: float) -> None:
    """Many thin lines as one artist, drawn as pixels: a thousand paths would make files of megabytes."""
    from matplotlib.collections import LineCollection
    from matplotlib.lines import Line2D

    if not norms.size:
        return
    points = np.stack([np.broadcast_to(epochs, norms.shape), norms], axis=-1)
    # Alpha falls with the number of lines, so that the density of a thousand can still be seen.
    alpha = 1.0 if len(norms) < 50 else 0.35
    order = {"other": 1.0, "memorizing": 2.0, "generalizing": 3.0}[name]
    lines = LineCollection(
        list(points), colors=COLOR[name], linewidths=width, alpha=alpha, rasterized=True, zorder=order
    )
    axis.add_collection(lines)
    axis.add_line(Line2D([], [], color=COLOR[name], linewidth=max(width, 0.9), label=label))
