"""Import: networks that were trained elsewhere become a run.

`import_torch` reads files, `from_torch` takes what lies in memory. Both go the same way: a layout or a map
says how our arrays are made of theirs (`_layouts.py`, `_map.py`), the spec and the data make an experiment
(`_asked.py`, `_maker.py`), and the networks go one by one into a run and are measured (`runs/imported.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.interop._asked import Asked, read_data
from grokscope.interop._maker import Maker
from grokscope.interop._map import WeightMap, spoken_shapes
from grokscope.interop._module import check_predictions
from grokscope.interop._sources import Snapshot, Source, open_source
from grokscope.interop._tensors import Tensors, of_memory, plain_array
from grokscope.progress import Progress, SilentProgress

if TYPE_CHECKING:
    from grokscope.runs import Run
    from grokscope.tasks import Task

__all__ = ["from_torch", "import_torch"]


def import_torch(
    path: str | Path,
    task: str | Path | Mapping[str, Any] | Experiment | Task | None = None,
    *,
    data: str | Path | Mapping[str, np.ndarray] | None = None,
    pattern: str | None = None,
    map: str | Path | Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> Run:
    """Make a run of PyTorch checkpoints: ``.pt``, ``.pth`` or ``.safetensors`` files.

    The run has a snapshot of every checkpoint, and all measures that apply, taken at all of them. It cannot
    be replayed. Nothing in a file is ever executed. Files are read one at a time.

    Args:
        path: a folder of files, one state dict each; one file with a prefix ``epoch_E/`` or ``step_S/``
            before every name; or one state dict.
        task: a spec (a file, a table, an experiment) or a task. Needed are only its ``[task]``, and what the
            weights do not tell (``model.activation``, ``batch_size`` where epochs are counted).
        data: what the networks were trained and tested on: arrays ``train_x``, ``train_y``, ``test_x``,
            ``test_y`` (and ``probe_x``, ``probe_y``), or a file of them. Data in the file of the weights are
            taken by themselves. They are samples of the spec's task, where it names one.
        pattern: of the files' names, with ``{step}`` or ``{epoch}``, and ``{seed}`` where there are several.
        map: from their names to ours, a TOML file or table (see docs/your-own-networks.md).
        out: the run's folder; ``runs/<task>-<identity, 8 characters>`` if not given.
        progress: told of the work.

    Raises:
        InputError: naming the file and what is wrong; no run is left behind then.
        StoreError: if the disk does not let us.

    Example:
        >>> import_torch("checkpoints", "parity.toml", data="data.safetensors")  # doctest: +SKIP
        Run('runs/samples-1b2c3d4e', 1 members, complete)
    """
    source = open_source(Path(path), pattern)
    asked = Asked.read(task)
    given = read_data(Path(data)) if isinstance(data, str | Path) else (data or source.data)
    where = f"--data {data}" if isinstance(data, str | Path) else "data" if data else source.label
    maker = Maker.of(asked, given, where, source.snapshots[0].opened(), _map_of(map))
    if source.passed_over:
        maker.notes.append(f"passed over: {', '.join(source.passed_over)}.")
    numbered = _numbered(source, maker)
    return _write(
        maker,
        (_Item(one.seed or 0, step, one.opened()) for step, one in numbered),
        out,
        origin={"source": source.label, "found": source.what},
        name=hashlib.sha256(str(Path(path).absolute()).encode()).hexdigest()[:12],
        progress=progress,
        total=len(numbered),
    )


def from_torch(
    model: Any,
    task: str | Path | Mapping[str, Any] | Experiment | Task | None = None,
    *,
    data: Mapping[str, Any] | str | Path | None = None,
    step: int | None = None,
    map: str | Path | Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> Run:
    """Make a run of networks in memory: PyTorch modules, state dicts, or dictionaries of numpy arrays.

    PyTorch is needed for its own tensors only.

    Args:
        model: an ``nn.Module``, a state dict, or several of either: a table by step, or pairs (step, model)
            that are made one by one. Of modules the activation is known, and that our network predicts what
            the module predicts is checked on the test inputs.
        task: see `import_torch`.
        data: see `import_torch`; arrays may be PyTorch tensors.
        step: of the one model; the spec's length, or 0, if not given.
        map: see `import_torch`.
        out: see `import_torch`.
        progress: see `import_torch`.

    Raises:
        InputError: as `import_torch`, or if our network does not predict what the module predicts.

    Example:
        >>> import os, tempfile
        >>> rng = np.random.default_rng(0)
        >>> x = rng.choice([-1.0, 1.0], (64, 6))
        >>> weights = {"linear1.weight": rng.normal(size=(8, 6)), "linear2.weight": rng.normal(size=(1, 8))}
        >>> own = {"train_x": x, "train_y": x[:, 0], "test_x": x[:9], "test_y": x[:9, 0]}
        >>> spec = {"task": {"kind": "sparse_parity", "n": 6, "k": 1, "n_probe": 50}}
        >>> run = from_torch(weights, spec, data=own, step=320, out=os.path.join(tempfile.mkdtemp(), "run"))
        >>> run.measures.train_accuracy.sel(seed=0, step=320).item() < 1
        True
    """
    asked = Asked.read(task)
    if isinstance(data, str | Path):
        given: Mapping[str, Any] = read_data(Path(data))
    else:
        given = {name: np.array(plain_array(v, f"data: {name}")) for name, v in (data or {}).items()}
    several = _several(model, step)
    first_step, first = next(several, (None, None))
    if first is None:
        raise InputError("from_torch: there is no network to import.")
    number = asked_step(asked, first_step)
    maker = Maker.of(asked, given, "data", _tensors(first, number), _map_of(map), first)

    def items() -> Iterator[_Item]:
        yield _Item(0, number, _tensors(first, number), first)
        for later, one in several:
            if later is None:
                raise InputError("from_torch: say the step of every network: give (step, model) pairs.")
            yield _Item(0, later, _tensors(one, later), one)

    return _write(
        maker,
        items(),
        out,
        origin={"source": "memory", "found": type(first).__name__},
        name="from-memory",
        progress=progress,
    )


def asked_step(asked: Asked, number: int | None) -> int:
    """A step that is given, else the length of the spec where that is in steps, else 0."""
    return number if number is not None else asked.length.get("steps", 0)


@dataclass(frozen=True)
class _Item:
    """A network on its way: its tensors, and the module they are of, if any."""

    seed: int
    step: int
    tensors: Tensors
    module: Any = None


def _write(
    maker: Maker,
    items: Iterable[_Item],
    out: str | Path | None,
    *,
    origin: dict[str, Any],
    name: str,
    progress: Progress | None,
    total: int = 0,
) -> Run:
    from grokscope.runs import Run
    from grokscope.runs.imported import Network, write_imported

    def networks() -> Iterator[Network]:
        for item in items:
            _check_step(item)
            leaves = maker.leaves(item.tensors)
            if item.module is not None:
                check_predictions(
                    item.module,
                    maker.experiment([0]),
                    leaves,
                    item.tensors.label,
                    reads_tokens=maker.reads_tokens,
                )
            yield Network(item.seed, item.step, leaves, item.tensors.label)

    folder = write_imported(
        None if out is None else Path(out),
        name,
        networks(),
        maker.experiment,
        {
            **origin,
            "layout": maker.layout,
            "arrays": spoken_shapes(maker.first.shapes),
            "notes": maker.notes,
        },
        progress or SilentProgress(),
        total,
    )
    return Run(folder)


def _check_step(item: _Item) -> None:
    if type(item.step) is not int or not 0 <= item.step <= 10**12:
        raise InputError(
            f"{item.tensors.label}: {item.step!r} is not a step: a whole number from 0 to 10^12."
        )


def _map_of(given: str | Path | Mapping[str, Any] | None) -> WeightMap | None:
    if given is None:
        return None
    if isinstance(given, Mapping):
        return WeightMap.from_table(given)
    return WeightMap.from_toml(Path(given))


def _numbered(source: Source, maker: Maker) -> list[tuple[int, Snapshot]]:
    """Snapshots with their steps: an epoch has as many as the spec's batches."""
    per_epoch = maker.experiment([0]).steps_per_epoch
    by_epoch = any(one.unit == "epoch" for one in source.snapshots)
    if by_epoch and "batch_size" not in maker.asked.table:
        maker.notes.append(
            f"an epoch is taken to be {per_epoch} steps ({maker.task.n_train} training samples, batch_size "
            "32)."
        )
    found: list[tuple[int, Snapshot]] = []
    seen: dict[tuple[int, int], str] = {}
    for one in source.snapshots:
        if one.number is None:
            length = maker.asked.length
            step = length["epochs"] * per_epoch if "epochs" in length else asked_step(maker.asked, None)
            maker.notes.append(f"nothing tells the step of {one.label}: taken to be {step}.")
        else:
            step = one.number * (per_epoch if one.unit == "epoch" else 1)
        place = one.seed or 0, step
        if place in seen:
            raise InputError(f"{one.label}: is step {step}, as {seen[place]} is already; each step once.")
        seen[place] = one.label
        found.append((step, one))
    return found


def _several(model: Any, step: int | None) -> Iterator[tuple[int | None, Any]]:
    """The networks of what `from_torch` is given, with their steps."""
    if hasattr(model, "state_dict"):
        return iter([(step, model)])
    if isinstance(model, Mapping):
        if model and all(isinstance(key, int | np.integer) for key in model):
            return ((int(key), model[key]) for key in sorted(model))
        return iter([(step, model)])
    if isinstance(model, Iterable):
        return _pairs(model)
    raise InputError(
        f"from_torch: takes an nn.Module, a state dict, a table of them by step, or pairs (step, model), not "
        f"{type(model).__name__}."
    )


def _pairs(several: Iterable[Any]) -> Iterator[tuple[int | None, Any]]:
    for pair in several:
        if not (isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[0], int | np.integer)):
            raise InputError("from_torch: several networks are given as pairs (step, model).")
        yield int(pair[0]), pair[1]


def _tensors(model: Any, step: int) -> Tensors:
    state = model.state_dict() if hasattr(model, "state_dict") else model
    label = f"step {step}"
    if not isinstance(state, Mapping):
        raise InputError(f"{label}: is a {type(state).__name__}, not an nn.Module or a state dict.")
    return of_memory(state, label).unwrapped()
