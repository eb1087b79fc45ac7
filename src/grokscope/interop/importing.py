"""Make a run from networks that were trained elsewhere.

`import_torch` reads files (``_checkpoints.py``); `from_torch` takes networks in memory. Then both do the
same: make a plan from the spec, the data and the first network (``_plan.py``), turn each network's tensors
into our arrays (``_weight_map.py``), and write and measure the run (``runs/imported.py``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.errors import InputError, option
from grokscope.experiment import Experiment
from grokscope.interop._checkpoints import ForeignSnapshot, ForeignSnapshots, find_snapshots
from grokscope.interop._data import read_data
from grokscope.interop._logged import ForwardCheck, LoggedValue, in_percent
from grokscope.interop._plan import ImportPlan, PartialSpec, UnknownLayoutError
from grokscope.interop._steps import MAX_STEP, step_of
from grokscope.interop._tensors import Tensors, plain_array, tensors_in_memory
from grokscope.interop._torch import check_predictions
from grokscope.interop._weight_map import WeightMap, map_to_start_from, shapes_text
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
    key: str | None = None,
    map: str | Path | Mapping[str, Any] | None = None,
    write_map: str | Path | None = None,
    out: str | Path | None = None,
    allow_other_forward: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Make a run from PyTorch checkpoints: ``.pt``, ``.pth``, ``.ckpt``, ``.bin`` or ``.safetensors`` files.

    The run has a snapshot for every checkpoint, and all measures that apply, at every snapshot. It cannot be
    replayed. No code in a file is executed. Files are read one at a time.

    Args:
        path: a folder of files with one state dict each; a folder of Hugging Face's libraries, or one with
            their ``checkpoint-N``; or one file, with a state dict, a list or table of them, or a prefix
            ``epoch_E/`` or ``step_S/`` before every name (docs/your-own-networks.md).
        task: a spec (a file, a table, an experiment) or a task. Only ``[task]`` is required, and what the
            weights do not determine (``model.activation``; ``batch_size`` if checkpoints count epochs).
        data: the training and test data: arrays ``train_x``, ``train_y``, ``test_x``, ``test_y`` (and
            ``probe_x``, ``probe_y``), or a file of them. By default those in the file of the weights. If the
            spec has a task, they must be samples of it.
        pattern: pattern of the file names (or of the keys in the one file), with ``{step}`` or ``{epoch}``,
            and ``{seed}`` for several seeds. A step or epoch inside a file is trusted more.
        key: the keys that lead to the state dict in each file, joined by dots, if it has several.
        map: how our arrays are made from their tensors, a TOML file or table (docs/your-own-networks.md).
        write_map: where a map to start from is written, if the layout is not known.
        out: the run folder; default ``runs/<task>-<identity, 8 characters>``.
        allow_other_forward: go on if the losses or accuracies that the files have logged are not those of our
            forward pass, and mark the run.
        progress: shows the progress.

    Raises:
        InputError: naming the file and what is wrong; then no run is left behind.
        StoreError: if the run cannot be written.

    Example:
        >>> import_torch("checkpoints", "parity.toml", data="data.safetensors")  # doctest: +SKIP
        Run runs/samples-1b2c3d4e
          experiment  samples, fully_connected, hinge loss, learner imported, 9600 steps
          ...
    """
    files = find_snapshots(Path(path), pattern, key)
    spec = PartialSpec.read(task)
    arrays = read_data(Path(data)) if isinstance(data, str | Path) else (data or files.data)
    data_label = (
        f"{option('data')} {data}" if isinstance(data, str | Path) else "data" if data else files.label
    )
    try:
        plan = ImportPlan.make(spec, arrays, data_label, files.snapshots[0].open(), read_map(map))
    except UnknownLayoutError as error:
        if write_map is None:
            raise
        _write_new(Path(write_map), map_to_start_from(error.tensors, error.wanted))
        raise InputError(
            f"{error.tensors.label}: the tensor names fit no known layout; a map to start from is in "
            f"{write_map}."
        ) from None
    plan.notes.extend(files.notes)
    steps = _steps_of(files, plan)
    percent = in_percent(one.logged for one in files.snapshots)
    return _write(
        plan,
        (
            _ForeignNetwork(
                one.seed,
                step,
                one.open(),
                logged=tuple(v.as_fraction if v.measure in percent else v for v in one.logged),
            )
            for step, one in steps
        ),
        out,
        origin={"source": files.label, "found": files.found},
        name=hashlib.sha256(str(Path(path).absolute()).encode()).hexdigest()[:12],
        progress=progress,
        total=len(steps),
        allow_other_forward=allow_other_forward,
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
    """Make a run from networks in memory: PyTorch modules, state dicts, or dictionaries of numpy arrays.

    PyTorch is needed only for its own tensors.

    Args:
        model: an ``nn.Module``, a state dict, or several of either: a table by step, or an iterable of pairs
            (step, model), taken one at a time. A module also gives its activation, and on the test inputs it
            is checked that our network predicts what the module predicts.
        task: see `import_torch`.
        data: see `import_torch`; arrays may be PyTorch tensors.
        step: the step of a single model; default the length of the spec, else 0.
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
    spec = PartialSpec.read(task)
    arrays = arrays_of(data)
    models = _step_model_pairs(model, step)
    given_step, first = next(models, (None, None))
    if first is None:
        raise InputError("from_torch: there is no network to import.")
    first_step = spec.table.get("steps", 0) if given_step is None else given_step
    plan = ImportPlan.make(spec, arrays, "data", tensors_of(first, first_step), read_map(map), first)

    def networks() -> Iterator[_ForeignNetwork]:
        yield _ForeignNetwork(0, first_step, tensors_of(first, first_step), first)
        for later, one in models:
            if later is None:
                raise InputError("from_torch: give the step of every network, as (step, model) pairs.")
            yield _ForeignNetwork(0, later, tensors_of(one, later), one)

    return _write(
        plan,
        networks(),
        out,
        origin={"source": "memory", "found": type(first).__name__},
        name="from-memory",
        progress=progress,
    )


@dataclass(frozen=True)
class _ForeignNetwork:
    """A network to import: seed, step, tensors, their module, if any, and what its file has logged."""

    seed: int
    step: int
    tensors: Tensors
    module: Any = None
    logged: tuple[LoggedValue, ...] = ()


def _write(
    plan: ImportPlan,
    foreign: Iterable[_ForeignNetwork],
    out: str | Path | None,
    *,
    origin: dict[str, Any],
    name: str,
    progress: Progress | None,
    total: int = 0,
    allow_other_forward: bool = False,
) -> Run:
    from grokscope.runs import Run
    from grokscope.runs.imported import Network, write_imported

    forward = ForwardCheck(
        plan.experiment([0]), has_data=plan.has_data, assumed=plan.assumed, allowed=allow_other_forward
    )
    facts = {**origin, "layout": plan.layout, "arrays": shapes_text(plan.first.shapes), "notes": plan.notes}

    def networks() -> Iterator[Network]:
        for one in foreign:
            label = one.tensors.label
            if type(one.step) is not int or not 0 <= one.step <= MAX_STEP:
                raise InputError(f"{label}: {one.step!r} is not a step: a whole number from 0 to 10^12.")
            leaves = plan.leaves(one.tensors)
            if one.module is not None:
                experiment = plan.experiment([0])
                check_predictions(one.module, experiment, leaves, label, reads_tokens=plan.reads_tokens)
            forward.compare(label, one.step, leaves, one.logged)
            yield Network(one.seed, one.step, leaves, label)
        plan.notes.extend(forward.notes)
        if forward.differences:
            facts["other_forward"] = forward.differences

    folder = write_imported(
        None if out is None else Path(out),
        name,
        networks(),
        plan.experiment,
        facts,
        progress or SilentProgress(),
        total,
    )
    return Run(folder)


def _write_new(file: Path, text: str) -> None:
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise InputError(f"{option('write-map')} {file}: cannot be written: {error.strerror}.") from None


def arrays_of(data: Mapping[str, Any] | str | Path | None) -> dict[str, np.ndarray]:
    """Copies of the arrays (or PyTorch tensors) of a table, or those of a file."""
    if isinstance(data, str | Path):
        return read_data(Path(data))
    return {name: np.array(plain_array(value, f"data: {name}")) for name, value in (data or {}).items()}


def read_map(given: str | Path | Mapping[str, Any] | None) -> WeightMap | None:
    """The user's map, from a file or a table; None without one."""
    if given is None:
        return None
    if isinstance(given, Mapping):
        return WeightMap.from_table(given)
    return WeightMap.from_toml(Path(given))


def _steps_of(files: ForeignSnapshots, plan: ImportPlan) -> list[tuple[int, ForeignSnapshot]]:
    """Each snapshot with its step; an epoch has as many steps as the spec has batches."""
    per_epoch = plan.experiment([0]).steps_per_epoch
    by_epoch = any(
        one.said_by and all(numbers.step is None for numbers in one.said_by) for one in files.snapshots
    )
    if by_epoch and "batch_size" not in plan.spec.table:
        plan.notes.append(
            f"an epoch is taken to be {per_epoch} steps ({plan.task.n_train} training samples, batch_size "
            "32)."
        )
    placed, contradictions = _placed(files, per_epoch)
    inside = [(one.seed, n) for one in files.snapshots for n in one.said_by if n.source == "the file"]
    is_twice = len({(one.seed, step) for step, one in placed}) < len(placed)
    if len(set(inside)) < len(inside) and (is_twice or contradictions):
        # a number that is the same in several files counts something else
        outer = replace(
            files,
            snapshots=[
                replace(one, said_by=tuple(n for n in one.said_by if n.source != "the file"))
                for one in files.snapshots
            ],
        )
        again, others = _placed(outer, per_epoch)
        if all(step is not None for step, _ in again) and len({(o.seed, s) for s, o in again}) == len(again):
            placed, contradictions = again, others
            plan.notes.append("several files say the same step inside: the steps of their names are taken.")
    if contradictions:
        more = f" (and {len(contradictions) - 1} more like this)" if len(contradictions) > 1 else ""
        plan.notes.append(f"{contradictions[0]}{more}.")
    steps: list[tuple[int, ForeignSnapshot]] = []
    for found, one in placed:
        step = found
        if step is None:
            spec = plan.spec.table
            step = spec["epochs"] * per_epoch if "epochs" in spec else spec.get("steps", 0)
            plan.notes.append(f"the step of {one.label} is not known: taken to be {step}.")
        steps.append((step, one))
    return steps


def _placed(
    files: ForeignSnapshots, per_epoch: int
) -> tuple[list[tuple[int | None, ForeignSnapshot]], list[str]]:
    """The snapshots with their steps (None: nothing tells it), and what contradicts itself."""
    found = [(*step_of(one.label, one.said_by, per_epoch), one) for one in files.snapshots]
    return [(step, one) for step, _, one in found], [note for _, note, _ in found if note is not None]


def _step_model_pairs(model: Any, step: int | None) -> Iterator[tuple[int | None, Any]]:
    """The models that `from_torch` was given, with their steps."""
    if isinstance(model, Mapping) and model and all(isinstance(key, int | np.integer) for key in model):
        yield from ((int(key), model[key]) for key in sorted(model))
    elif hasattr(model, "state_dict") or isinstance(model, Mapping):
        yield step, model
    elif isinstance(model, Iterable):
        for pair in model:
            if not (
                isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[0], int | np.integer)
            ):
                raise InputError("from_torch: several networks are given as pairs (step, model).")
            yield int(pair[0]), pair[1]
    else:
        raise InputError(
            "from_torch: takes an nn.Module, a state dict, a table of them by step, or pairs (step, model), "
            f"not {type(model).__name__}."
        )


def tensors_of(model: Any, step: int) -> Tensors:
    """The tensors of an ``nn.Module``, a state dict or a table of numpy arrays.

    Raises:
        InputError: if it is none of these.
    """
    state = model.state_dict() if hasattr(model, "state_dict") else model
    label = f"step {step}"
    if not isinstance(state, Mapping):
        raise InputError(f"{label}: is a {type(state).__name__}, not an nn.Module or a state dict.")
    return tensors_in_memory(state, label).unwrapped()
