"""A contest: tune each contender over equally many settings, then compare the tuned ones on fresh seeds.

Its folder holds ``contest.json`` (the request), ``tuning/NAME`` (a sweep for each contender) and ``NAME`` (a
run of its chosen setting on the fresh seeds). These are ordinary sweeps and runs, so running a contest again
trains only what is missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.analysis.comparison import Comparison, compare
from grokscope.errors import InputError, StoreError
from grokscope.experiment import Experiment
from grokscope.files import atomic_write
from grokscope.progress import Progress
from grokscope.runs import train
from grokscope.runs.run import Run
from grokscope.spec.streams import Members
from grokscope.spec.toml import parse_toml, read_toml
from grokscope.statistics import Estimate, kaplan_meier
from grokscope.store.folder import CONTEST_FILE, is_run
from grokscope.store.place import shown_as
from grokscope.sweeps._axes import Axis
from grokscope.sweeps._run import Confirm, run_sweep
from grokscope.sweeps._spec import SweepSpec, check_keys, read_sweep_file, settings_text, with_settings
from grokscope.sweeps._sweep import Sweep
from grokscope.sweeps.folder import is_sweep

if TYPE_CHECKING:
    import xarray as xr

    from grokscope.training.rates import Rates

__all__ = [
    "Contender",
    "Contest",
    "ContestSpec",
    "Standing",
    "is_contest",
    "is_contest_file",
    "open_contest",
    "penalized_steps",
    "run_contest",
]

_FILE = CONTEST_FILE
_TUNING = "tuning"
_PENALTY = 2.0  # multiples of the run's length, the score of a member that does not grok
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_RESERVED = (_TUNING, "figures")
_KEYS = ("kind", "contenders", "tuning_seeds", "seeds")
_CONTENDER_KEYS = ("set", "over", "zip")


@dataclass(frozen=True)
class Contender:
    """One of the alternatives that a contest compares.

    Attributes:
        name: short; also the name of its folder.
        over: the axes that it is tuned over, in the syntax of ``--over``.
        settings: what it changes in the base, in the syntax of ``--set``.
    """

    name: str
    over: tuple[str, ...]
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ContestSpec:
    """A fair comparison: each contender is tuned over the same number of settings, seeds and steps.

    Attributes:
        base: the experiment that contenders modify.
        contenders: two or more; the first is the reference.
        tuning: the seeds on which settings are chosen.
        fresh: the seeds on which the chosen settings are compared; disjoint from ``tuning``.

    Raises:
        InputError: if there are fewer than two contenders, their numbers of settings differ, a name is not a
            plain word, or a seed is in both sets.

    Example:
        >>> spec = ContestSpec.of(
        ...     Experiment(task="sparse_parity", epochs=300),
        ...     [Contender("sgd", ("optimizer.learning_rate=0.1,0.2",)),
        ...      Contender("adamw", ("optimizer.learning_rate=0.001,0.01",), ("optimizer.kind=adamw",))],
        ...     tuning=2, fresh="100:110")
        >>> spec.n_settings, spec.n_members
        (2, 28)
    """

    base: Experiment
    contenders: tuple[Contender, ...]
    tuning: Members
    fresh: Members

    def __post_init__(self) -> None:
        names = [one.name for one in self.contenders]
        if len(names) < 2:
            raise InputError("a contest needs two contenders or more: tables [sweep.contenders.NAME].")
        for name in names:
            if not _NAME.fullmatch(name) or name in _RESERVED:
                raise InputError(f"sweep.contenders.{name}: a name is letters, digits, '-' and '_'.")
            if names.count(name) > 1:
                raise InputError(f"sweep.contenders.{name}: is given twice.")
        sizes = {name: grid.n_cells for name, grid in self.grids.items()}
        if len(set(sizes.values())) > 1:
            listed = ", ".join(f"{name} has {size}" for name, size in sizes.items())
            raise InputError(f"contenders need equally many settings, but {listed}.")
        both = [member[0] for member in self.fresh if member in set(self.tuning)]
        if both:
            raise InputError(f"a contest compares on fresh seeds, but {both[0]} is among the tuning seeds.")

    @classmethod
    def of(
        cls, base: Experiment, contenders: Sequence[Contender], tuning: Any = 3, fresh: Any = "100:110"
    ) -> ContestSpec:
        """Build a spec; seeds as for ``--seeds``.

        Raises:
            InputError: see the class.
        """
        return cls(base, tuple(contenders), Members.parse(tuning), Members.parse(fresh))

    @classmethod
    def from_toml(cls, path: str | Path, overrides: Sequence[str] = (), seeds: Any = None) -> ContestSpec:
        """Read a spec file whose table ``[sweep]`` has ``kind = "contest"``.

        Args:
            path: the TOML file.
            overrides: ``--set`` texts, applied to the base experiment.
            seeds: replaces the fresh seeds; None keeps those of the file.

        Raises:
            InputError: if the file or a value in it is not valid.
        """
        base, table = read_sweep_file(path, overrides)
        check_keys(table, _KEYS, "sweep")
        contenders = table.get("contenders", {})
        if not isinstance(contenders, dict):
            raise InputError("sweep.contenders: tables, one for each contender.")
        fresh = table.get("seeds", "100:110") if seeds is None else seeds
        each = [_contender(name, entry) for name, entry in contenders.items()]
        return cls.of(base, each, table.get("tuning_seeds", 3), fresh)

    @cached_property
    def grids(self) -> dict[str, SweepSpec]:
        """By contender, the sweep in which it is tuned."""
        return {
            one.name: SweepSpec.of(self.base.with_(*one.settings), one.over, seeds=self.tuning)
            for one in self.contenders
        }

    @property
    def n_settings(self) -> int:
        """The number of settings that each contender is tuned over."""
        return self.grids[self.contenders[0].name].n_cells

    @property
    def n_members(self) -> int:
        """The number of members of the tuning and the comparison together."""
        return len(self.contenders) * (self.n_settings * len(self.tuning) + len(self.fresh))

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON data."""
        return {
            "base": self.base.to_toml(),
            "contenders": [
                {"name": one.name, "over": list(one.over), "set": list(one.settings)}
                for one in self.contenders
            ],
        }


@dataclass(frozen=True)
class Standing:
    """A contender's result on the fresh seeds.

    Attributes:
        name: of the contender.
        chosen: its setting.
        tuned: penalized steps of that setting on the tuning seeds.
        share: of the fresh seeds that grok.
        step: the median grokking step.
        speedup: the reference's grokking step divided by this one's, the median over seeds, paired; None for
            the reference itself.
        ends: the keys whose chosen number is the smallest or largest one tried, so that a better value may
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
        return f"chosen at an end of the values tried, so a better one may lie beyond: {', '.join(self.ends)}"


class Contest:
    """A contest on disk, read-only.

    Args:
        path: its folder.
        shown: how messages write the path; None: as it is given.

    Attributes:
        path: the path as it was given.
        place: the absolute path: changing the working folder does not change which contest this is.
    """

    def __init__(self, path: str | Path, *, shown: Path | None = None) -> None:
        self.path, self.place = shown or Path(path), Path(path).absolute()
        if not is_contest(self.place):
            raise InputError(f"{self.path}: is not a contest (it has no '{_FILE}').")
        try:
            table = json.loads((self.place / _FILE).read_text(encoding="utf-8"))
            self.contenders = tuple(
                Contender(str(one["name"]), tuple(one["over"]), tuple(one["set"]))
                for one in table["contenders"]
            )
            self._base = str(table["base"])
        except (OSError, ValueError, KeyError, TypeError):
            raise StoreError(f"{self.path / _FILE}: is damaged.") from None

    def __repr__(self) -> str:
        return f"Contest({str(self.path)!r}: {', '.join(one.name for one in self.contenders)})"

    @cached_property
    def experiment(self) -> Experiment:
        """The base experiment, which contenders modify."""
        return Experiment.from_table(parse_toml(self._base))

    @cached_property
    def tuning(self) -> dict[str, Sweep]:
        """By contender, the sweep in which it was tuned."""
        tuning, shown = self.place / _TUNING, self.path / _TUNING
        return {one.name: Sweep(tuning / one.name, shown=shown / one.name) for one in self.contenders}

    @cached_property
    def chosen(self) -> dict[str, tuple[int, ...]]:
        """By contender, the index of its chosen setting in its sweep."""
        return {name: best_index(sweep) for name, sweep in self.tuning.items()}

    @cached_property
    def scores(self) -> dict[str, list[float]]:
        """By contender, the `penalized_steps` of its settings in the order of its sweep."""
        return {name: list(penalized_steps(sweep).values()) for name, sweep in self.tuning.items()}

    @cached_property
    def runs(self) -> dict[str, Run]:
        """By contender, the run of its chosen setting on the fresh seeds."""
        each = [one.name for one in self.contenders]
        return {name: Run(self.place / name, shown=self.path / name) for name in each}

    @cached_property
    def measures(self) -> xr.Dataset:
        """The measures of these runs that are scalars at each step, over (contender, seed, step)."""
        import xarray as xr

        each: list[xr.Dataset] = []
        for run in self.runs.values():
            measures = run.measures
            scalars = [name for name, array in measures.items() if set(array.dims) == {"seed", "step"}]
            each.append(measures[scalars].load())
        names = xr.DataArray(list(self.runs), dims="contender", name="contender")
        return xr.concat(each, names, data_vars="all", coords="different", compat="equals", join="outer")

    @property
    def provenance(self) -> dict[str, Any]:
        """Provenance of the last contender's run, with the wall time of all sweeps and runs."""
        each = [sweep.provenance for sweep in self.tuning.values()]
        each += [run.provenance for run in self.runs.values()]
        spent = sum(float(one.get("wall_seconds") or 0.0) for one in each)
        return {**each[-1], "wall_seconds": round(spent, 3)}

    @cached_property
    def standings(self) -> tuple[Standing, ...]:
        """The result of each contender, in order; speed-ups are against the first."""
        reference = self.contenders[0].name
        standings: list[Standing] = []
        for one in self.contenders:
            result = self.against(one.name, reference)
            sweep, index = self.tuning[one.name], self.chosen[one.name]
            standings.append(
                Standing(
                    one.name,
                    sweep.settings(index),
                    penalized_steps(sweep)[index],
                    result.share_b,
                    kaplan_meier(result.times_b).median("steps"),
                    None if one.name == reference else result.ratio,
                    keys_at_ends(sweep.axes, index),
                )
            )
        return tuple(standings)

    def against(self, name: str, reference: str) -> Comparison:
        """Compare two contenders on the fresh seeds; a ratio above 1 means that ``name`` groks earlier."""
        return compare(self.runs[reference], self.runs[name])


def is_contest(place: str | Path) -> bool:
    """Whether there is a contest in a folder."""
    return (Path(place) / _FILE).is_file()


def is_contest_file(path: str | Path) -> bool:
    """Whether a spec file specifies a contest."""
    table = read_toml(Path(path)).get("sweep", {})
    kind = table.get("kind", "grid") if isinstance(table, dict) else "grid"
    if kind not in ("grid", "contest"):
        raise InputError(f"sweep.kind: '{kind}' is not one of grid, contest.")
    return kind == "contest"


def open_contest(path: str | Path) -> Contest:
    """Open a contest.

    Raises:
        InputError: if there is none.
        StoreError: if ``contest.json`` is damaged.
    """
    return Contest(path)


def penalized_steps(sweep: Sweep) -> Mapping[tuple[int, ...], float]:
    """The mean grokking step of each cell; a member that does not grok counts as twice the run's length.

    Source: the score PAR2 of algorithm configuration (Hutter et al. 2009, JAIR 36, Section 2).
    """
    penalty = _PENALTY * sweep.experiment.n_steps
    scores: dict[tuple[int, ...], float] = {}
    for index in sorted(sweep.cells):
        part = sweep.outcomes.isel(dict(zip(sweep.names, index, strict=True)))
        steps = part["grokking_upper"].to_numpy().ravel()
        steps = steps[~np.isnan(steps)]
        scores[index] = float(np.where(np.isfinite(steps), steps, penalty).mean())
    return scores


def best_index(sweep: Sweep) -> tuple[int, ...]:
    """The index of the cell with the fewest penalized steps; the first one of equals."""
    if "grokking_upper" not in sweep.outcomes:
        raise InputError(
            "a contest compares grokking steps: measure train_accuracy and test_accuracy in the base."
        )
    scores = penalized_steps(sweep)
    return min(scores, key=lambda index: (scores[index], index))


def keys_at_ends(axes: Sequence[Axis], index: tuple[int, ...]) -> tuple[str, ...]:
    """The keys whose number at an index is the smallest or largest of several on its axis.

    Example:
        >>> from grokscope.sweeps import parse_axis
        >>> axes = [parse_axis("optimizer.learning_rate=0.1,0.3,1"), parse_axis("model.width=10,20,40")]
        >>> keys_at_ends(axes, (2, 1))
        ('optimizer.learning_rate',)
    """
    found: list[str] = []
    for axis, i in zip(axes, index, strict=True):
        for key, values in zip(axis.keys, zip(*axis.points, strict=True), strict=True):
            numbers = all(isinstance(value, int | float) for value in values)
            if numbers and min(values) < max(values) and values[i] in (min(values), max(values)):
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
    allow_changed_code: bool = False,
) -> Contest:
    """Tune every contender, choose the setting with the fewest `penalized_steps`, train it on fresh seeds.

    Args:
        spec: the contest.
        out: the folder.
        progress: receives the plans and the member-steps done.
        confirm: as for `run_sweep`; called before each contender's tuning.
        rates: of this machine; None measures them.
        allow_other_numerics: continue cells and runs made under other numerics, and mark them.
        allow_changed_code: continue cells and runs although the code of a part has changed, and mark them.

    Raises:
        InputError: if a setting is not valid, or the folder holds another contest or other files.
        StoreError: if a store cannot be read or written.
    """
    shown = Path(out)
    folder = shown.absolute()
    with shown_as(folder, shown):
        _check_folder(folder, spec)
        for grid in spec.grids.values():
            for _ in grid.cells():  # raises for an invalid setting before hours of work
                pass
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write(folder / _FILE, f"{json.dumps(spec.to_json(), indent=1)}\n".encode())
        for name, grid in spec.grids.items():
            sweep = run_sweep(
                grid,
                out=folder / _TUNING / name,
                progress=progress,
                confirm=confirm,
                rates=rates,
                allow_other_numerics=allow_other_numerics,
                allow_changed_code=allow_changed_code,
            )
            chosen = sweep.settings(best_index(sweep))
            if progress is not None:
                progress.plan(f"{name}: {settings_text(chosen)}")
            train(
                with_settings(grid.base, chosen),
                spec.fresh,
                out=folder / name,
                progress=progress,
                allow_other_numerics=allow_other_numerics,
                allow_changed_code=allow_changed_code,
            )
    return Contest(folder, shown=shown)


def _check_folder(folder: Path, spec: ContestSpec) -> None:
    """Check that a folder holds this contest, is empty, or does not exist."""
    if is_contest(folder):
        stored = Contest(folder)
        if stored.experiment.identity != spec.base.identity or [
            (one.name, one.settings) for one in stored.contenders
        ] != [(one.name, one.settings) for one in spec.contenders]:
            raise InputError(f"{folder}: holds another contest; choose another folder.")
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        what = "a sweep" if is_sweep(folder) else "a run" if is_run(folder) else "not an empty folder"
        raise InputError(f"{folder}: is {what}; choose an empty or a new folder.")


def _contender(name: str, table: Any) -> Contender:
    where = f"sweep.contenders.{name}"
    if not isinstance(table, dict):
        raise InputError(f"{where}: a table with set, over and zip.")
    check_keys(table, _CONTENDER_KEYS, where)
    lists: dict[str, tuple[str, ...]] = {}
    for key in _CONTENDER_KEYS:
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise InputError(f"{where}.{key}: a list of texts like 'optimizer.learning_rate=0.1,0.2'.")
        lists[key] = tuple(value)
    return Contender(name, lists["over"] + lists["zip"], lists["set"])
