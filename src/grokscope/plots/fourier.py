"""The Fourier view of a network on modular addition: progress measures over training, spectra at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.errors import InputError
from grokscope.plots.curves import curve, in_steps, mark_events, standing
from grokscope.plots.style import COLOR, LABEL, epoch_axis, legend, panels, small_print

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["progress_figure", "spectra_figure"]

_RESTRICTED, _EXCLUDED = "#009E73", "#CC79A7"
_SMALL = 7.0


def progress_figure(measures: xr.Dataset, command: str = "") -> Figure:
    """Three panels against steps: the losses, the Gini coefficients of the spectra, the norm of all weights.

    Args:
        measures: of one run on addition.
        command: what makes this figure, for the small print.

    Source: Nanda et al. 2023 (arXiv 2301.05217), Figure 7.
    """
    own = in_steps(measures)
    figure, axes = panels(["Loss", "Gini coefficient", "Norm of all weights"])
    for split in ("train", "test"):
        if f"{split}_loss" in own:
            curve(axes[0], own[f"{split}_loss"], split, LABEL[split])
    if "restricted_loss" in own:
        values = own["restricted_loss"].sel(split="test")
        curve(axes[0], values, "restricted", "restricted (test pairs)", color=_RESTRICTED)
    if "excluded_loss" in own:
        curve(axes[0], own["excluded_loss"], "excluded", "excluded (training pairs)", color=_EXCLUDED)
    axes[0].set_yscale("log")
    for name, label, color in (
        ("embedding_gini", "embedding", "black"),
        ("output_gini", "neurons to logits", "#E69F00"),
    ):
        if name in own:
            curve(axes[1], own[name], name, label, color=color)
    axes[1].set_ylim(0, 1)
    if "weight_norm" in own:
        curve(axes[2], own["weight_norm"], "weight_norm", "weights", color="black")
        axes[2].set_ylim(bottom=0)
    for axis in axes:
        epoch_axis(axis, float(own["epoch"].max()), "step")
    mark_events(axes, own)
    axes[1].legend(
        *_without_events(axes[1]), loc="upper left", fontsize=_SMALL, frameon=False, handlelength=1.6
    )
    legend(figure, axes[0])
    small_print(figure, standing(own), command)
    return figure


def _without_events(axis: Any) -> tuple[list[Any], list[str]]:
    pairs = [
        (handle, label)
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
        if label not in ("memorization", "grokking")
    ]
    return [handle for handle, _ in pairs], [label for _, label in pairs]


def spectra_figure(measures: xr.Dataset, seed: int | None = None, command: str = "") -> Figure:
    """Three panels of one seed's final network: spectrum of the embedding, of the logits, and ablations.

    Key frequencies are drawn in color. The ablations are the training loss without one frequency, for each.

    Args:
        measures: of one run on addition.
        seed: which one; None takes the first that groks, else the first.
        command: what makes this figure, for the small print.

    Raises:
        InputError: if streams are crossed, or there is no such seed.

    Source: Nanda et al. 2023 (arXiv 2301.05217), Figures 3 and 6.
    """
    from grokscope.spec.events import GROKKING

    if "seed" not in measures.sizes:
        raise InputError("spectra_figure: streams are crossed; choose one member along an axis 'seed'.")
    seeds = [int(one) for one in measures["seed"].to_numpy()]
    if seed is None:
        seed = seeds[int(np.argmax(GROKKING.times(measures).observed))]
    if seed not in seeds:
        raise InputError(f"spectra_figure: seed {seed} is not in the run; it has {seeds[0]} to {seeds[-1]}.")
    final = measures.sel(seed=seed).isel(step=-1)
    titles = {
        "embedding_fourier": "Norm in the embedding",
        "logit_fourier": "Share of the logits' variance",
        "excluded_loss_by_frequency": "Training loss without it",
    }
    figure, axes = panels(list(titles.values()))
    keys = np.asarray(final["key_frequencies"]) > 0 if "key_frequencies" in final else None
    for axis, name in zip(axes, titles, strict=True):
        if name in final:
            k = final["frequency"].to_numpy()
            key = np.zeros(len(k), bool) if keys is None else keys
            axis.bar(k[~key], final[name].to_numpy()[~key], color="#B5B5B5", width=0.8, label="other")
            axis.bar(k[key], final[name].to_numpy()[key], color=COLOR["test"], width=0.8, label="key")
            axis.set_xlabel("frequency", fontsize=_SMALL, labelpad=1)
    if "train_loss" in final and float(final["train_loss"]) > 0:
        axes[2].set_yscale("log")
        axes[2].axhline(
            float(final["train_loss"]),
            color="black",
            linestyle="dashed",
            linewidth=0.8,
            label="training loss",
        )
    legend(figure, axes[0], axes[2])
    count = "" if keys is None else f" {int(keys.sum())} key frequencies."
    last = int(measures["step"].max())
    small_print(figure, f"Seed {seed}, step {last}.{count} {standing(measures, spread=False)}", command)
    return figure
