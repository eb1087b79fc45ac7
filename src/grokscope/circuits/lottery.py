"""Lottery tickets: retrain a run's final subnetwork alone from its initial weights, with controls."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grokscope.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from grokscope.progress import Progress
    from grokscope.runs import Run

__all__ = ["CONTROLS", "lottery_ticket"]

CONTROLS = ("random", "norm_matched", "fresh_weights", "other_data")
# Added to a seed to get one that the run does not use.
_OFFSET = 1_000_000


def lottery_ticket(
    run: Run,
    neurons: Any = "generalizing",
    *changes: str,
    controls: Sequence[str] = CONTROLS,
    seeds: Any = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Run]:
    """Retrain only some neurons of each member from its own initial weights, and run the controls.

    Each run is a branch from step 0 in which all other neurons are held at 0:

    - ``ticket``: the neurons, with the member's initial weights, data and batches;
    - ``random``: as many other neurons, drawn at random;
    - ``norm_matched``: for each of the neurons, another one of similar initial norm;
    - ``fresh_weights``: the same neurons with the initial weights of another init seed (+1,000,000);
    - ``other_data``: the same neurons and weights with the data of another data seed (+1,000,000).

    Args:
        run: finished.
        neurons: to retrain; by default the generalizing subnetwork found at the run's end (see
            `grokscope.interventions.neurons`).
        changes: of the experiment, as for ``--set``.
        controls: names of the controls to run.
        seeds: of the members, as for `Run.branch`; None: all.
        out: folder of the runs; by default ``runs/lottery-<identity>``.
        progress: of the training.

    Returns:
        The runs by name, ``ticket`` first; compare them with `grokscope.compare`.

    Raises:
        InputError: if a control does not exist, or the run has no such subnetwork.

    Source: Frankle and Carbin 2019 (arXiv 1803.03635), and the official code of Merrill, Tsilivis, Shukla
        2023 (arXiv 2303.11873), which retrains the final subnetwork.

    Example:
        >>> runs = lottery_ticket(run)  # doctest: +SKIP
        >>> print(gs.compare(runs["random"], runs["ticket"]).share_a)  # doctest: +SKIP
        0 [0, 0.0370] (95 %, n = 100)
    """
    if unknown := [name for name in controls if name not in CONTROLS]:
        raise InputError(
            f"control '{unknown[0]}' is not known.{did_you_mean(unknown[0], CONTROLS)} "
            f"Known: {', '.join(CONTROLS)}."
        )
    sets: dict[str, Any] = {
        "random": {"kind": "random", "as_many_as": neurons, "excluding": neurons},
        "norm_matched": {"kind": "norm_matched", "to": neurons},
    }
    shifts = {"fresh_weights": f"init=+{_OFFSET}", "other_data": f"data=+{_OFFSET}"}
    folder = Path(out) if out is not None else Path("runs") / f"lottery-{run.identity[:8]}"
    runs: dict[str, Run] = {}
    for name in ("ticket", *controls):
        runs[name] = run.branch(
            0,
            *changes,
            interventions=[{"kind": "prune", "neurons": sets.get(name, neurons)}],
            seeds=_with_shift(seeds, shifts.get(name)),
            parameters=() if name == "fresh_weights" else "all",
            out=folder / name,
            progress=progress,
        )
    return runs


def _with_shift(seeds: Any, shift: str | None) -> Any:
    """The seeds of a branch, with those of one stream shifted (``init=+1000000``)."""
    if shift is None:
        return seeds
    if seeds is None:
        return shift
    if isinstance(seeds, int):
        return f"0:{seeds};{shift}"
    text = seeds if isinstance(seeds, str) else ",".join(str(seed) for seed in seeds) + ","
    return f"{text};{shift}"
