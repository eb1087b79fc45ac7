"""All results in a folder together: runs, sweeps, contests, and the reproduction of a paper."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from grokscope.errors import GrokscopeError, InputError
from grokscope.interop.export import Exported, export_measures, is_for_weights
from grokscope.runs.folders import verify
from grokscope.runs.run import Run
from grokscope.store.checksums import Problem
from grokscope.store.folder import find_run, holding, results_in, runs_in
from grokscope.store.place import Place, as_place
from grokscope.sweeps._contest import Contest
from grokscope.sweeps._sweep import Sweep
from grokscope.sweeps.folder import CELLS, is_sweep

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Checked", "export_results", "open_results", "verify_results"]


def open_results(path: str | Place) -> dict[str, Run | Sweep | Contest]:
    """Open the results in a folder: of a run, a sweep, a contest, a reproduction, or a folder of these.

    Returns:
        The results by their paths relative to the folder; a single one that is the folder itself by ``.``.

    Raises:
        InputError: if there is none.
        StoreError: if one is damaged.

    Example:
        >>> open_results("two-circuits")  # doctest: +SKIP
        {'random-labels': Run('two-circuits/random-labels', ...), 'standard': Run(...)}
    """
    place = as_place(path)
    if not isinstance(place, Path):
        return {".": Sweep(place) if is_sweep(place) else Run(place)}
    found = results_in(place)
    if not found:
        find_run(place)  # raises, and says what is there
    return {str(one.relative_to(place)): _open(one) for one in found}


def _open(folder: Path) -> Run | Sweep | Contest:
    kind = holding(folder)
    return Sweep(folder) if kind == "sweep" else Contest(folder) if kind == "contest" else Run(folder)


@dataclass(frozen=True)
class Checked:
    """A run that was compared with its checksums.

    Attributes:
        path: of the run, relative to the folder that was checked.
        problems: what was found; empty if all is as it was.
    """

    path: str
    problems: tuple[Problem, ...]

    @property
    def state(self) -> str:
        """``intact``, ``unfinished`` or ``damaged``."""
        if any(problem.is_damage for problem in self.problems):
            return "damaged"
        return "unfinished" if self.problems else "intact"


def verify_results(path: str | Path) -> list[Checked]:
    """Check every run in a folder (see `grokscope.runs.verify`); a damaged one does not hide the others.

    Args:
        path: the folder of a run, a sweep, a contest, a reproduction, or of several of these.

    Raises:
        InputError: if there is no run.

    Example:
        >>> [one.state for one in verify_results("two-circuits")]  # doctest: +SKIP
        ['intact', 'intact']
    """
    folder = Path(path)
    runs = runs_in(folder)
    checked = [Checked(str(run.relative_to(folder)), tuple(_verify(run))) for run in runs]
    for sweep in _sweeps_in(folder):
        relative = sweep.relative_to(folder)
        try:
            cells = {sweep / CELLS / name for name in Sweep(sweep).cells.values()}
        except GrokscopeError as error:
            checked.append(Checked(str(relative), (Problem("sweep.json", "unreadable", str(error)),)))
            continue
        for cell in sorted(cells - set(runs)):
            problem = Problem("", "unfinished", "has not been started")
            checked.append(Checked(str(cell.relative_to(folder)), (problem,)))
    if not checked:
        find_run(folder)  # raises, and says what is there
    return checked


def _verify(run: Path) -> list[Problem]:
    try:
        return verify(run)
    except GrokscopeError as error:
        return [Problem("", "unreadable", str(error))]


def _sweeps_in(folder: Path) -> Iterator[Path]:
    """The sweeps at or below a folder, also those of contests."""
    for result in results_in(folder):
        kind = holding(result)
        if kind == "sweep":
            yield result
        elif kind == "contest":
            yield from (one.parent for one in sorted(result.glob("*/*/sweep.json")))


def export_results(
    path: str | Place,
    to: str | Path,
    seed: int | None = None,
    step: int | None = None,
    *,
    force: bool = False,
) -> Exported:
    """Write the measures of all results in a folder into one table (.csv, .parquet) or netCDF file (.nc).

    The axes of a sweep are columns, and so are the contender of a contest and, if there are several results,
    the ``experiment``; netCDF has a group for each of several results.

    Args:
        path: the folder of a run, a sweep, a contest, a reproduction, or of several of these.
        to: the file; its suffix decides the format.
        seed: only this seed.
        step: only this step; -1: the last of each result.
        force: replace the file if it exists.

    Raises:
        InputError: for a suffix of weights, which are those of one run; see also `export_run`.
        StoreError: if the file cannot be written.
    """
    results = open_results(path)
    if is_for_weights(to):
        place = as_place(path)
        names = [str(run.relative_to(place)) for run in runs_in(place)] if isinstance(place, Path) else []
        some = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        raise InputError(f"{to}: weights are those of one run; {path} holds {len(names)}: {some}.")
    datasets: dict[str, tuple[xr.Dataset, tuple[str, ...]]] = {}
    facts: dict[str, Mapping[str, str]] = {}
    for name, result in results.items():
        measures = result.measures
        own = result.names if isinstance(result, Sweep) else ("contender",) * isinstance(result, Contest)
        members = measures["complete"].dims if "complete" in measures.coords else ("seed",)
        rows = (*own, *(str(dim) for dim in members if dim not in own), "step")
        datasets[name] = (measures, rows)
        spec = result.experiment.to_toml() if isinstance(result.path, Path) else ""
        facts[name] = {"grokscope_identity": getattr(result, "identity", ""), "experiment": spec}
    return export_measures(datasets, to, seed, step, facts=facts, force=force)
