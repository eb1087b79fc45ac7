"""Collect the overview of a run: its state, claims, events, curves and last circuits.

What goes elsewhere: the class `grokscope.runs.overview.Overview` and its text, the HTML page
(`grokscope.report`), events (`grokscope.spec.events`).
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.errors import GrokscopeError
from grokscope.runs.overview import CircuitSeen, EventSeen, Overview
from grokscope.spec.events import Event, events_of
from grokscope.spec.streams import on_members
from grokscope.starts import FromRun
from grokscope.statistics import median_interval
from grokscope.store.folder import REPRODUCTION_FILE

if TYPE_CHECKING:
    from grokscope.runs import Run

__all__ = ["claims_beside", "failures_beside", "overview_of"]

# Measures with an axis of subnetworks, of which the curves of these subnetworks on test inputs are shown.
_FOLLOWED = ("subnetwork_norm", "faithfulness")
_SETS = ("generalizing", "complementary", "control")


def overview_of(run: Run, circuits: int = 0) -> Overview:
    """Collect the overview of a run.

    Args:
        run: any run.
        circuits: number of members whose last network is read as a circuit.

    Example:
        >>> overview_of(run).events[0].share  # doctest: +SKIP
        Estimate(value=1.0, low=0.5655, high=1.0, n=5, ...)
    """
    experiment, measures = run.experiment, on_members(run.measures_so_far, run.members)
    parts = {name: getattr(experiment, name) for name in ("task", "model", "loss", "optimizer", "learner")}
    kinds = {name: str(part.kind) for name, part in parts.items()}
    if experiment.has_penalty:
        kinds["penalty"] = str(experiment.penalty.kind)
    if not experiment.states_optimizer:
        kinds["optimizer"] = "none" if experiment.learner.trains else "unknown"
    return Overview(
        start=_start(run),
        interventions=[item.label for item in experiment.interventions],
        stop=experiment.stop.text(experiment.steps_per_epoch, experiment.events["grokking"]),
        path=str(run.path),
        identity=run.identity,
        kinds=kinds,
        seeds=[member[0] if run.members.is_plain else list(member) for member in run.members],
        steps_done=int(min(run.steps_done, default=0)),
        n_steps=experiment.n_steps,
        complete=run.is_complete,
        steps_saved=int(getattr(run, "steps_saved", 0)),
        measures=[str(name) for name in measures.data_vars],
        events=[
            _seen(event, measures) for event in events_of(measures).values() if event.measure in measures
        ],
        curves=dict(_curves(measures)),
        provenance=run.provenance,
        claims=_claims_about(run.place),
        circuits=_circuits(run, circuits) if circuits else [],
        remarks=list(getattr(run, "remarks", ())),
    )


def claims_beside(folder: Path) -> list[dict[str, Any]]:
    """The entries of a reproduction's ``claims.json``; none if the folder has no such valid file."""
    try:
        found = json.loads((folder / "claims.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    known = found if isinstance(found, list) else []
    texts = ("id", "sentence", "verdict", "experiment")
    return [
        one for one in known if isinstance(one, dict) and all(isinstance(one.get(key), str) for key in texts)
    ]


def failures_beside(folder: Path) -> list[str]:
    """What failed in a reproduction, a line each; none if the folder has no valid ``reproduction.json``."""
    try:
        found = json.loads((folder / REPRODUCTION_FILE).read_text(encoding="utf-8"))
        return [f"{one['part']} {one['name']} failed: {one['reason']}" for one in found.get("failures", ())]
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return []


def _claims_about(path: Any) -> list[dict[str, Any]]:
    """The claims about a run that a reproduction keeps beside it."""
    if not isinstance(path, Path):
        return []
    place = path.absolute()
    return [one for one in claims_beside(place.parent) if one["experiment"] == place.name]


def _circuits(run: Run, most: int) -> list[CircuitSeen]:
    """The circuits of the first members; none where networks cannot be read, or do not exist yet."""
    from grokscope.circuits.reading import read_circuit
    from grokscope.circuits.target import check_readable

    found: list[CircuitSeen] = []
    try:
        check_readable(run)
        for member in list(run.members)[:most]:
            reading = read_circuit(run, member.label)
            circuit = reading.circuit
            found.append(
                CircuitSeen(
                    reading.seed if isinstance(reading.seed, int) else list(reading.seed),
                    list(circuit.support.bits),
                    len(circuit.active),
                    circuit.formula,
                    circuit.n_parity,
                    2 ** len(circuit.support.bits),
                    circuit.support.why,
                )
            )
    except GrokscopeError:
        return found
    return found


def _start(run: Run) -> str:
    """The source and the first step of a branch, in words; empty for other runs."""
    init = run.experiment.init
    if not isinstance(init, FromRun):
        return ""
    steps, lost = run.origins.steps, len(run.origins.left_out)
    first, last = (int(steps.min()), int(steps.max())) if len(steps) else (0, 0)
    when = f"step {first}" if first == last else f"steps {first} to {last}"
    at = "" if isinstance(init.at, int) else f" ({init.at})"
    return f"in {init.run} at {when}{at}" + (f"; {lost} members left out" if lost else "")


def _seen(event: Event, measures: Any) -> EventSeen:
    times = event.times(measures)
    step = median_interval(times.lower, upper=times.upper, unit="steps")
    return EventSeen(event.name, str(event), times.share(), step)


def _curves(measures: Any) -> list[tuple[str, list[float]]]:
    """The mean over members of every scalar measure, at the steps at which it was measured."""
    found: list[tuple[str, list[float]]] = []
    for name, array in _scalars(measures):
        values = np.asarray(array.transpose("seed", "step").values, np.float64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a step at which nothing was measured
            mean = np.nanmean(np.where(np.isfinite(values), values, np.nan), axis=0)
        found.append((name, mean[~np.isnan(mean)].tolist()))
    return found


def _scalars(measures: Any) -> Iterator[tuple[str, Any]]:
    """The scalar measures, and some measures of subnetworks for each subnetwork."""
    for name in map(str, measures.data_vars):
        array = measures[name]
        if name in _FOLLOWED and "subnetwork" in array.dims:
            there = {str(label) for label in array["subnetwork"].to_numpy()}
            if "split" in array.dims:
                array = array.sel(split="test")
            for label in _SETS:
                if label in there:
                    yield f"{name} {label}", array.sel(subnetwork=label)
        elif set(array.dims) == {"seed", "step"}:
            yield name, array
