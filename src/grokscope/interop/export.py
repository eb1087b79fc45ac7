"""Write the measures of runs and sweeps as a table or netCDF, or the weights of a member as safetensors.

The suffix of the file decides. A table has one row per member and step, and one column per measure; an axis
with labels (subnetwork, split) becomes one column per label, as ``faithfulness_generalizing_test``. Measures
with an axis of neurons or of numbers (frequencies) do not fit into a table and are left out; ``.nc`` has
them.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.errors import InputError, StoreError, did_you_mean, flag, option
from grokscope.interop.torch_out import member_network, module_source, named_arrays, short_list
from grokscope.spec.streams import on_members

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from grokscope.runs import Run

__all__ = ["SUFFIXES", "Exported", "export_measures", "export_run", "is_for_weights", "measures_table"]

SUFFIXES = (".csv", ".nc", ".parquet", ".safetensors")
_REQUIRED = {".parquet": ("pyarrow",), ".nc": ("h5netcdf", "h5py")}
_ROWS = ("seed", "step")
_WEIGHTS = ".safetensors"


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Attributes:
        path: the file.
        what: its content, in one line.
        left_out: measures that the format cannot hold.
    """

    path: Path
    what: str
    left_out: tuple[str, ...] = ()


def export_run(
    run: Run,
    to: str | Path,
    seed: int | None = None,
    step: int | None = None,
    *,
    torch_module: str | Path | None = None,
    force: bool = False,
) -> Exported:
    """Write a run's measures (.csv, .parquet, .nc) or one member's weights (.safetensors).

    The file is written under a temporary name and then renamed, so it is never incomplete.

    Args:
        run: the run.
        to: the file; its suffix decides the format.
        seed: only this member. Required for weights if the run has several members.
        step: only this step (-1: the last). Default: all steps of measures, the last step of weights.
        torch_module: a ``.py`` file to write beside the weights: a PyTorch module that loads them, predicts
            the same, and does not need grokscope.
        force: replace files that exist.

    Raises:
        InputError: for an unknown suffix, seed or step, a target that exists, or a missing extra.
        StoreError: if the file cannot be written.

    Example:
        >>> export_run(run, "standard.csv").what  # doctest: +SKIP
        '1505 rows of 9 columns'
    """
    target = Path(to)
    _check_target(target, force)
    if torch_module is not None:
        _check_module(Path(torch_module), target, force)
    if target.suffix == ".safetensors":
        network, seed, number = member_network(run, seed, -1 if step is None else step)
        if torch_module is None:
            return _write(target, _weights(run, network, seed, number))
        module = Path(torch_module)
        source = module_source(network, named_arrays(network), module.stem, target.name)
        exported = _write(target, _weights(run, network, seed, number))
        _write(module, lambda file: (str(file.write_text(source, encoding="utf-8")), ()))
        return Exported(target, f"{exported.what}; {module}: the PyTorch module that loads them")
    return _write(target, _measures(run, target.suffix, seed, step))


def is_for_weights(to: str | Path) -> bool:
    """Whether a file is for weights (.safetensors) and not for measures."""
    return Path(to).suffix == _WEIGHTS


def export_measures(
    datasets: Mapping[str, tuple[xr.Dataset, tuple[str, ...]]],
    to: str | Path,
    seed: int | None = None,
    step: int | None = None,
    *,
    facts: Mapping[str, Mapping[str, str]],
    force: bool = False,
) -> Exported:
    """Write the measures of several results into one table or netCDF file.

    A table has a column for each axis and, if there are several results, a column ``experiment`` with the
    name; rows without any measure are left out. netCDF has a group for each of several results.

    Args:
        datasets: by name, the measures, and the axes that are rows.
        to: the file; its suffix (.csv, .parquet, .nc) decides the format.
        seed: only this seed.
        step: only this step; -1: the last of each result.
        facts: by name, the attributes of the netCDF file or group.
        force: replace the file if it exists.

    Raises:
        InputError: for an unknown suffix, seed or step, or a target that exists.
        StoreError: if the file cannot be written.
    """
    target = Path(to)
    _check_target(target, force)
    chosen = {name: (_chosen(data, seed, step), rows) for name, (data, rows) in datasets.items()}

    def write(file: Path) -> tuple[str, tuple[str, ...]]:
        if target.suffix == ".nc":
            for i, (name, (data, _)) in enumerate(chosen.items()):
                group = {"group": name, "mode": "a" if i else "w"} if len(chosen) > 1 else {}
                _to_netcdf(data, facts[name], file, **group)
            measures = {str(measure) for data, _ in chosen.values() for measure in data.data_vars}
            return f"{len(measures)} measures of {len(chosen)} result{'s' * (len(chosen) > 1)}", ()
        import pandas as pd

        tables: list[pd.DataFrame] = []
        left_out: dict[str, None] = {}
        for name, (data, rows) in chosen.items():
            table, lacking = measures_table(data, rows)
            left_out |= dict.fromkeys(lacking)
            values = [column for column in table.columns if _is_of_measure(column, data)]
            table = table.dropna(subset=values, how="all")
            if len(chosen) > 1:
                table.insert(0, "experiment", name)
            tables.append(table)
        _write_table(pd.concat(tables, ignore_index=True), target.suffix, file)
        rows_written = sum(map(len, tables))
        columns = len({column for table in tables for column in table.columns})
        return f"{rows_written} rows of {columns} columns", tuple(left_out)

    return _write(target, write)


def _is_of_measure(column: str, data: xr.Dataset) -> bool:
    return column not in data.coords and column not in data.dims


def _chosen(data: xr.Dataset, seed: int | None, step: int | None) -> xr.Dataset:
    if seed is not None:
        data = _selected(data, "seed", seed)
    if step is not None:
        data = _selected(data, "step", int(data["step"].values[-1]) if step == -1 else step)
    return data


def _write_table(table: pd.DataFrame, suffix: str, file: Path) -> None:
    if suffix == ".csv":
        table.to_csv(file, index=False)
    else:
        table.to_parquet(file, engine="pyarrow", index=False)


# Writes a temporary file; returns a description of its content and the measures left out.
_Writer = Callable[[Path], tuple[str, tuple[str, ...]]]


def _measures(run: Run, suffix: str, seed: int | None, step: int | None) -> _Writer:
    data = _chosen(run.measures, seed, step)
    if suffix == ".nc":
        facts = {"grokscope_identity": run.identity, "experiment": run.experiment.to_toml()}
        return lambda file: _to_netcdf(data, facts, file)
    members = [member for member in run.members if seed in (None, member[0])]

    def write(file: Path) -> tuple[str, tuple[str, ...]]:
        table, left_out = measures_table(on_members(data, sorted(members)))
        _write_table(table, suffix, file)
        return f"{len(table)} rows of {len(table.columns)} columns", left_out

    return write


def measures_table(
    measures: xr.Dataset, along: tuple[str, ...] = _ROWS
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Turn measures into a table with a row for each point of some axes; also return the names left out.

    A measure is left out if it has another axis without labels, such as ``neuron``. A missing value is NaN
    here and an empty cell in a file.

    Args:
        measures: of a run, a sweep or a contest.
        along: the axes; the columns of a run are those of ``seed`` and ``step``.

    Example:
        >>> import xarray as xr
        >>> data = xr.Dataset(
        ...     {"test_accuracy": (("seed", "step"), [[0.5, 1.0]])}, {"seed": [7], "step": [0, 32]}
        ... )
        >>> measures_table(data)[0].to_dict("list")
        {'seed': [7, 7], 'step': [0, 32], 'test_accuracy': [0.5, 1.0]}
    """
    import pandas as pd
    import xarray as xr

    rows = list(along)
    grid = xr.DataArray(np.zeros([measures.sizes[axis] for axis in rows]), dims=rows)
    columns: dict[str, Any] = {}
    left_out: list[str] = []

    def add(name: str, values: xr.DataArray) -> None:
        bare = values.reset_coords(drop=True).drop_vars([axis for axis in rows if axis in values.coords])
        full = bare if bare.dims == along else bare.broadcast_like(grid).transpose(*rows)
        columns[name] = full.values.ravel()

    places = {name: i for i, name in enumerate(rows)}
    coordinates = sorted(map(str, measures.coords), key=lambda name: places.get(name, len(rows)))
    for name in coordinates:  # seed and step first, then the coordinates that depend on them
        if set(measures[name].dims) <= set(rows):
            add(name, measures[name].copy())
    for name in (str(key) for key in measures.data_vars):
        values = measures[name]
        inner = [str(axis) for axis in values.dims if axis not in rows]
        if any(measures[axis].dtype.kind not in "UOT" if axis in measures.coords else True for axis in inner):
            left_out.append(name)
            continue
        for labels in itertools.product(*(measures[axis].values.tolist() for axis in inner)):
            add("_".join([name, *labels]), values.sel(dict(zip(inner, labels, strict=True))))
    return pd.DataFrame(columns), tuple(left_out)


def _to_netcdf(
    data: xr.Dataset, facts: Mapping[str, str], file: Path, **group: Any
) -> tuple[str, tuple[str, ...]]:
    plain = data.drop_encoding()
    attributes = {key: _netcdf_value(value) for key, value in plain.attrs.items()}
    plain.attrs = {**attributes, **facts}
    for name in plain.variables:
        plain[name].attrs = {key: _netcdf_value(value) for key, value in plain[name].attrs.items()}
    plain.to_netcdf(file, engine="h5netcdf", **group)
    return f"{len(plain.data_vars)} measures", ()


def _netcdf_value(value: Any) -> Any:
    """Convert an attribute to a type of netCDF: text and numbers stay, anything else becomes JSON."""
    if isinstance(value, str | int | float | np.number | np.ndarray) and not isinstance(value, bool):
        return value
    return json.dumps(value, default=str)


def _weights(run: Run, network: Any, seed: int, step: int) -> _Writer:
    def write(file: Path) -> tuple[str, tuple[str, ...]]:
        import safetensors.numpy

        import grokscope

        arrays = named_arrays(network)
        metadata = {
            "format": "grokscope",
            "grokscope_version": grokscope.__version__,
            "identity": run.identity,
            "seed": str(seed),
            "step": str(step),
            "experiment": run.experiment.to_toml(),
        }
        file.write_bytes(safetensors.numpy.save(arrays, metadata=metadata))
        return f"{len(arrays)} arrays of seed {seed}, step {step}: {', '.join(arrays)}", ()

    return write


def _selected(data: xr.Dataset, axis: str, value: int) -> xr.Dataset:
    if axis not in data.dims:
        raise InputError(
            f"{option(axis)} {value}: this run has no axis '{axis}'; its axes: "
            f"{', '.join(map(str, data.dims))}."
        )
    known = data[axis].values
    if value not in known:
        near = known[np.abs(known - value).argmin()]
        raise InputError(
            f"{option(axis)} {value}: not recorded in this run; the nearest is {near} (of "
            f"{short_list(known)})."
        )
    return data.sel({axis: [value]})


def _check_target(target: Path, force: bool) -> None:
    suffix = target.suffix
    if suffix not in SUFFIXES:
        raise InputError(
            f"{target}: a file that ends in '{suffix}' cannot be written."
            f"{did_you_mean(suffix, SUFFIXES)} Allowed: {', '.join(SUFFIXES)}."
        )
    if target.is_dir():
        raise InputError(f"{target}: is a folder.")
    if not target.parent.is_dir():
        raise InputError(f"{target}: the folder '{target.parent}' does not exist.")
    if target.exists() and not force:
        raise InputError(f"{target}: exists; add {flag('force')} to replace it.")
    for needed in _REQUIRED.get(suffix, ()):
        if importlib.util.find_spec(needed) is None:
            raise InputError(f"{target}: {suffix} needs {needed}: pip install grokscope[tables]")


def _check_module(file: Path, target: Path, force: bool) -> None:
    if target.suffix != ".safetensors":
        raise InputError(f"{option('torch-module')} {file}: is for weights; write a .safetensors file.")
    if file.suffix != ".py" or not file.stem.isidentifier():
        raise InputError(
            f"{option('torch-module')} {file}: must be a Python file that can be imported, as net.py."
        )
    if not file.parent.is_dir() or file.is_dir():
        raise InputError(
            f"{option('torch-module')} {file}: its folder does not exist, or it is a folder itself."
        )
    if file.exists() and not force:
        raise InputError(f"{option('torch-module')} {file}: exists; add {flag('force')} to replace it.")


def _write(target: Path, writer: _Writer) -> Exported:
    temporary = target.with_name(f".{target.stem}.{os.getpid()}{target.suffix}")
    try:
        what, left_out = writer(temporary)
        os.replace(temporary, target)
    except OSError as error:
        raise StoreError(f"{target}: cannot be written: {error.strerror or error}.") from error
    finally:
        temporary.unlink(missing_ok=True)
    return Exported(target, what, left_out)
