"""A contest: contenders tuned over equally many settings, then compared on fresh seeds.

Its folder holds ``contest.json`` (what was asked for), ``tuning/NAME`` (a sweep for each contender) and
``NAME`` (a run of its chosen setting on the fresh seeds). All of these are ordinary sweeps and runs: given
again, only what is missing is done.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.analysis.comparison import Comparison, compare
from grokscope.errors import InputError, StoreError
from grokscope.experiment import Experiment
from grokscope.progress import Progress
from grokscope.runs import train
from grokscope.runs.run import Run
from grokscope.spec.toml import parse_toml
from grokscope.statistics import Estimate, kaplan_meier
from grokscope.store.disk import atomic_write
from grokscope.sweeps._axes import Axis
from grokscope.sweeps._contest_spec import Contender, ContestSpec
from grokscope.sweeps._run import Confirm, run_sweep
from grokscope.sweeps._spec import changed, settings_text
from grokscope.sweeps._sweep import Sweep

if TYPE_CHECKING:
    import xarray as xr

    from grokscope.training.rates import Rates

__all__ = ["CONTEST", "Contest", "Standing", "is_contest", "open_contest", "penalized_steps", "run_contest"]

CONTEST = "contest.json"
TUNING = "tuning"
PENALTY = 2.0  # a member that does not grok counts with so many times the run's length


@dataclass(frozen=True)
class Standing:
    """How a contender did on the fresh seeds.

    Attributes:
        name: of the contender.
        chosen: its setting.
        tuned: penalized steps of that setting on the tuning seeds.
        share: of the fresh seeds that grok.
        step: the median grokking step.
        speedup: the reference's grokking step over its own, the median over seeds, paired; None for the
            reference itself.
        ends: the keys whose chosen number is the least or the largest that was tried: a better one may
            lie beyond.
    """

    name: str
    chosen: dict[str, Any]
    tuned: float
    share: Estimate
    step: Estimate
    speedup: Estimate | None
    ends: tuple[str, ...] = ()

    @property
    def ends_text(self) -> str:
        """A warning that names ``ends``."""
        return f"at an end of what was tried, so that a better one may lie beyond: {', '.join(self.ends)}"


class Contest:
    """A contest on disk. Reading only."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not is_contest(self.path):
            raise InputError(f"{self.path}: is not a contest (it has no '{CONTEST}').")
        try:
            table = json.loads((self.path / CONTEST).read_text(encoding="utf-8"))
            self.contenders = tuple(
                Contender(str(one["name"]), tuple(one["over"]), tuple(one["set"]))
                for one in table["contenders"]
            )
            self._base = str(table["base"])
        except (OSError, ValueError, KeyError, TypeError):
            raise StoreError(f"{self.path / CONTEST}: is damaged.") from None

    def __repr__(self) -> str:
        return f"Contest({str(self.path)!r}: {', '.join(one.name for one in self.contenders)})"

    @cached_property
    def experiment(self) -> Experiment:
        """The base, which contenders change."""
        return Experiment.from_table(parse_toml(self._base))

    @cached_property
    def tuning(self) -> dict[str, Sweep]:
        """The sweep in which each contender was tuned."""
        return {one.name: Sweep(self.path / TUNING / one.name) for one in self.contenders}

    @cached_property
    def chosen(self) -> dict[str, tuple[int, ...]]:
        """The place of each contender's chosen setting in its sweep."""
        return {name: best_place(sweep) for name, sweep in self.tuning.items()}

    @cached_property
    def scores(self) -> dict[str, list[float]]:
        """The `penalized_steps` of each contender's settings, in the order of its sweep."""
        return {name: list(penalized_steps(sweep).values()) for name, sweep in self.tuning.items()}

    @cached_property
    def runs(self) -> dict[str, Run]:
        """The run of each contender's chosen setting on the fresh seeds."""
        return {one.name: Run(self.path / one.name) for one in self.contenders}

    @cached_property
    def measures(self) -> xr.Dataset:
        """The measures of these runs that are one number per step, over (contender, seed, step)."""
        import xarray as xr

        each: list[xr.Dataset] = []
        for run in self.runs.values():
            found = run.measures
            plain = [name for name, array in found.items() if set(array.dims) == {"seed", "step"}]
            each.append(found[plain].load())
        names = xr.DataArray(list(self.runs), dims="contender", name="contender")
        return xr.concat(each, names, data_vars="all", coords="different", compat="equals", join="outer")

    @property
    def provenance(self) -> dict[str, Any]:
        """That of the reference's run, and the wall time of all."""
        each = [sweep.provenance for sweep in self.tuning.values()]
        each += [run.provenance for run in self.runs.values()]
        spent = sum(float(one.get("wall_seconds") or 0.0) for one in each)
        return {**each[-1], "wall_seconds": round(spent, 3)}

    @cached_property
    def standings(self) -> tuple[Standing, ...]:
        """How the contenders did, in their order; speed-ups are against the first."""
        reference = self.contenders[0].name
        found: list[Standing] = []
        for one in self.contenders:
            result = self.against(one.name, reference)
            sweep, place = self.tuning[one.name], self.chosen[one.name]
            found.append(
                Standing(
                    one.name,
                    sweep.settings(place),
                    penalized_steps(sweep)[place],
                    result.share_b,
                    kaplan_meier(result.times_b).median("steps"),
                    None if one.name == reference else result.ratio,
                    at_ends(sweep.axes, place),
                )
            )
        return tuple(found)

    def against(self, name: str, reference: str) -> Comparison:
        """Compare two contenders on the fresh seeds; a ratio above 1 says that ``name`` is the faster one."""
        return compare(self.runs[reference], self.runs[name])


def is_contest(place: str | Path) -> bool:
    """Whether there is a contest in a folder."""
    return (Path(place) / CONTEST).is_file()


def open_contest(path: str | Path) -> Contest:
    """Open a contest.

    Raises:
        InputError: if there is none.
        StoreError: if its record is damaged.
    """
    return Contest(path)


def penalized_steps(sweep: Sweep) -> Mapping[tuple[int, ...], float]:
    """The mean grokking step of each cell, where a member that does not grok counts with twice the length.

    Source: the score PAR2 of algorithm configuration (Hutter et al. 2009, JAIR 36, Section 2).
    """
    lost = PENALTY * sweep.experiment.n_steps
    scores: dict[tuple[int, ...], float] = {}
    for place in sorted(sweep.cells):
        part = sweep.outcomes.isel(dict(zip(sweep.names, place, strict=True)))
        seen = part["grokking_upper"].to_numpy().ravel()
        seen = seen[~np.isnan(seen)]
        scores[place] = float(np.where(np.isfinite(seen), seen, lost).mean())
    return scores


def best_place(sweep: Sweep) -> tuple[int, ...]:
    """The cell with the fewest penalized steps; of equals the first."""
    if "grokking_upper" not in sweep.outcomes:
        raise InputError(
            "a contest is about grokking steps: measure train_accuracy and test_accuracy in the base."
        )
    scores = penalized_steps(sweep)
    return min(scores, key=lambda place: (scores[place], place))


def at_ends(axes: Sequence[Axis], place: tuple[int, ...]) -> tuple[str, ...]:
    """The keys whose number at a place is the least or the largest of several on its axis.

    Example:
        >>> from grokscope.sweeps._axes import parse_axis
        >>> axes = [parse_axis("optimizer.learning_rate=0.1,0.3,1"), parse_axis("model.width=10,20,40")]
        >>> at_ends(axes, (2, 1))
        ('optimizer.learning_rate',)
    """
    found: list[str] = []
    for axis, at in zip(axes, place, strict=True):
        for key, values in zip(axis.keys, zip(*axis.points, strict=True), strict=True):
            numbers = all(isinstance(value, int | float) for value in values)
            if numbers and min(values) < max(values) and values[at] in (min(values), max(values)):
                found.append(key)
    return tuple(found)


def run_contest(
    spec: ContestSpec,
    out: str | Path,
    *,
    progress: Progress | None = None,
    confirm: Confirm | None = None,
    rates: Rates | None = None,
    allow_other_numerics: bool = False,
) -> Contest:
    """Tune every contender, choose its setting, and train that on the fresh seeds.

    Chosen is the setting with the fewest `penalized_steps` on the tuning seeds.

    Args:
        spec: what is asked for.
        out: the folder.
        progress: told of the work.
        confirm: as for `run_sweep`, asked before each contender's tuning.
        rates: of this machine; None measures them.
        allow_other_numerics: go on with cells and runs that were made under other numerics, and mark them.

    Raises:
        InputError: if a setting is not valid, or the folder holds another contest or other things.
        StoreError: if the store does not let us.
    """
    from grokscope.store.folder import is_run
    from grokscope.sweeps._home import is_sweep

    folder = Path(out)
    if is_contest(folder):
        if Contest(folder).experiment.identity != spec.base.identity or [
            (one.name, one.settings) for one in Contest(folder).contenders
        ] != [(one.name, one.settings) for one in spec.contenders]:
            raise InputError(f"{folder}: holds another contest; choose another folder.")
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        what = "a sweep" if is_sweep(folder) else "a run" if is_run(folder) else "not an empty folder"
        raise InputError(f"{folder}: is {what}; choose an empty or a new folder.")
    for grid in spec.grids.values():
        for _ in grid.cells():  # a setting that is not valid is said before hours of work
            pass
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / CONTEST, f"{json.dumps(spec.to_json(), indent=1)}\n".encode())
    for name, grid in spec.grids.items():
        sweep = run_sweep(
            grid,
            out=folder / TUNING / name,
            progress=progress,
            confirm=confirm,
            rates=rates,
            allow_other_numerics=allow_other_numerics,
        )
        place = best_place(sweep)
        chosen = changed(grid.base, sweep.settings(place))
        if progress is not None:
            progress.plan(f"{name}: {settings_text(sweep.settings(place))}")
        train(
            chosen,
            spec.fresh,
            out=folder / name,
            progress=progress,
            allow_other_numerics=allow_other_numerics,
        )
    return Contest(folder)
