"""Made-up runs: results with given curves, on which the claims of a paper are tried without training."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.errors import InputError
from grokscope.papers._experiments import PaperExperiment

if TYPE_CHECKING:
    import xarray as xr

    from grokscope.experiment import Experiment

__all__ = ["Curve", "MadeUpRun", "jump", "made_up_run", "made_up_runs"]

# A number; an array [step], [seed, step] or [seed, step, ...]; a labeled array; or a function of the steps,
# and of the cell's settings by the names of the axes, that gives one of these.
Curve = Any

_SEEDS, _POINTS, _WIDTH = 12, 60, 16
_ACCURACIES = ("train_accuracy", "test_accuracy")


@dataclass
class MadeUpRun:
    """A result with made-up measures: the attributes of `grokscope.papers.RunLike`."""

    experiment: Experiment
    measures: xr.Dataset
    subnetworks: xr.DataArray
    provenance: dict[str, Any] = field(default_factory=lambda: {"command": "made up"})


def jump(
    steps: np.ndarray, at: float | Sequence[float] | np.ndarray, before: float = 0.5, after: float = 1.0
) -> np.ndarray:
    """A curve that jumps: the shape of an accuracy at an event.

    Args:
        steps: the steps, [step].
        at: the step of the jump, or one for each seed; infinity for never.
        before: its value before.
        after: its value from there on.

    Returns:
        The curve, [step], or [seed, step].

    Example:
        >>> jump(np.array([0, 10, 20]), 10).tolist()
        [0.5, 1.0, 1.0]
        >>> jump(np.array([0, 10, 20]), [10, np.inf]).tolist()
        [[0.5, 1.0, 1.0], [0.5, 0.5, 0.5]]
    """
    return np.where(np.asarray(steps) >= np.asarray(at)[..., None], after, before)


def made_up_run(
    experiment: PaperExperiment | Experiment,
    curves: Mapping[str, Curve],
    *,
    others: float | None = 0.5,
    seeds: int = _SEEDS,
    steps: Sequence[int] | np.ndarray | None = None,
    profile: str = "paper",
) -> MadeUpRun:
    """A result of an experiment with given curves, as an example for `grokscope.papers.check_paper`.

    Args:
        experiment: the experiment of a paper (with the axes of a sweep, or the contenders of a contest), or a
            plain one.
        curves: by name of the measure, also of measures of your own: a number, an array [step] or
            [seed, step] (then the measure's own axes), an `xarray.DataArray`, or a function of the steps that
            gives one of these. For sweeps and contests it also gets the settings of a cell, by the names of
            the axes. Numbers and arrays [step] are scattered by a millionth over seeds, but for accuracies.
        others: the value of all other measures that the experiment could take; None: they are not measured.
        seeds: number of seeds, from 0.
        steps: the measured steps; by default 60, evenly from 0 to the end.
        profile: of the paper's experiment.

    Raises:
        InputError: if a curve has another shape.

    Example:
        >>> from grokscope import Experiment
        >>> experiment = Experiment(task="sparse_parity", epochs=300)
        >>> run = made_up_run(experiment, {"test_accuracy": lambda steps: jump(steps, 2000), "size": 6.0})
        >>> run.measures.sizes["step"], run.measures["test_accuracy"].values[0, [0, -1]].tolist()
        (60, [0.5, 1.0])
        >>> run.measures["size"].dims
        ('seed', 'step')
    """
    spec = experiment.under(profile)[0] if isinstance(experiment, PaperExperiment) else experiment
    coords = experiment.coordinates(profile) if isinstance(experiment, PaperExperiment) else {}
    known = _measures(experiment, spec)
    every: dict[str, Curve] = dict.fromkeys(known, others) if others is not None else {}
    return _made_up(spec, coords, {**every, **curves}, known, set(curves), seeds, steps)


def made_up_runs(
    experiment: PaperExperiment | Experiment, profile: str = "paper"
) -> Iterator[tuple[str, MadeUpRun]]:
    """Made-up runs with every measure of the experiment; each run has one shape of curve, by its name."""
    rng = np.random.default_rng(0)
    time = np.linspace(0, 1, _POINTS)
    shapes = {
        "nothing measured": np.full(_POINTS, np.nan),
        "zeros": np.zeros(_POINTS),
        "ones": np.ones(_POINTS),
        "a rise": time,
        "a fall": 1 - time,
        "an early jump": (time > 0.1).astype(float),
        "an early drop": (time < 0.1).astype(float),
    }
    spec = experiment.under(profile)[0] if isinstance(experiment, PaperExperiment) else experiment
    coords = experiment.coordinates(profile) if isinstance(experiment, PaperExperiment) else {}
    known = _measures(experiment, spec)

    def made(curve: Callable[[str], np.ndarray]) -> MadeUpRun:
        return _made_up(spec, coords, {name: curve(name) for name in known}, known, set(), _SEEDS, None)

    for name, shape in shapes.items():
        yield name, made(lambda key, s=shape: s)
    for name, scale in (("small noise", 1.0), ("large noise", 100.0)):
        yield name, made(lambda key, k=scale: k * rng.random(_POINTS))
    # Networks that memorize and grok, with everything else flat, falling or rising.
    jumps = {"train_accuracy": (time > 0.2) * 1.0, "test_accuracy": 0.5 + 0.5 * (time > 0.6)}
    for name in ("ones", "a rise", "a fall", "an early drop"):
        other = shapes[name]
        yield f"grokking, and {name}", made(lambda key, o=other: jumps.get(key, o))
        flipped = {"train_accuracy": jumps["train_accuracy"], "test_accuracy": 0.5 + 0 * time}
        yield f"memorization, and {name}", made(lambda key, o=other, f=flipped: f.get(key, o))


def _measures(experiment: PaperExperiment | Experiment, spec: Experiment) -> dict[str, tuple[str, ...]]:
    """The axes of each measure that the experiment takes, or could take, by name."""
    from grokscope.runs.measure_plan import MeasurePlan
    from grokscope.spec.parts import kinds

    known = {name: tuple(getattr(cls, "dims", ())) for name, cls in kinds("measure").items()}
    known |= {measure.name: tuple(measure.dims) for measure in MeasurePlan.of(spec).all}
    if isinstance(experiment, PaperExperiment):
        known |= {name: () for analysis in experiment.analyses for name in analysis.gives}
    labels = {*spec.axes, "neuron"}
    return {name: dims for name, dims in known.items() if set(dims) <= labels}


def _made_up(
    spec: Experiment,
    coords: Mapping[str, tuple[tuple[str, ...], Any]],
    curves: Mapping[str, Curve],
    known: Mapping[str, tuple[str, ...]],
    named: set[str],
    seeds: int,
    steps: Sequence[int] | np.ndarray | None,
) -> MadeUpRun:
    import xarray as xr

    from grokscope.spec.axes import SUBNETWORK_LABELS

    per_epoch = spec.steps_per_epoch
    if steps is None:
        epochs = np.linspace(0, spec.n_steps / per_epoch, _POINTS)
        at = np.round(epochs * per_epoch).astype(np.int64)
    else:
        at = np.asarray(steps, np.int64)
        epochs = at / per_epoch
    rng = np.random.default_rng(1)
    labels = {dim: list(values) for dim, values in spec.axes.items()} | {"neuron": list(range(_WIDTH))}
    axes = {name: list(values) for name, (dims, values) in coords.items() if dims == (name,)}
    places = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]
    data: dict[str, Any] = {}
    for name, curve in curves.items():
        dims = known.get(name, ())
        if axes and dims and name not in named:
            continue  # as of a sweep over widths, whose neurons have no common axis
        if isinstance(curve, xr.DataArray):
            data[name] = curve
            continue
        given = [curve(at, **settings) for settings in places] if callable(curve) else [curve]
        # A little scatter over seeds, so that a mean has an interval; none on shares and events.
        # It differs between runs with other curves: a ratio of two of them has a spread, too.
        what = b"".join(np.asarray(one, np.float64).tobytes() for one in given)
        own = np.random.default_rng([zlib.crc32(name.encode() + what), len(data)])
        scatter = 1 + (0 if name in _ACCURACIES else 1e-6) * own.standard_normal(seeds)
        shape = (seeds, len(at), *(len(labels[dim]) for dim in dims))
        values = [_values(name, one, shape, scatter) for one in given]
        whole = (*map(len, axes.values()), *shape)
        # one curve for all cells is not copied: a map may have a thousand of them
        every = np.stack(values).reshape(whole) if callable(curve) else np.broadcast_to(values[0], whole)
        data[name] = (*axes, "seed", "step", *dims), every
    sets = xr.DataArray(
        rng.random((seeds, len(SUBNETWORK_LABELS), _WIDTH)) < 0.3,
        dims=("seed", "subnetwork", "neuron"),
        coords={"seed": np.arange(seeds), "subnetwork": labels["subnetwork"]},
    )
    coordinates = {
        "seed": np.arange(seeds),
        "step": at,
        "epoch": ("step", epochs),
        **{dim: values for dim, values in labels.items() if dim != "neuron"},
        **{name: (dims, values) for name, (dims, values) in coords.items()},
    }
    # as of a run: claims ask for the spec's own events
    attrs = {"events": spec.events.to_json()} if spec.events.given else {}
    return MadeUpRun(spec, xr.Dataset(data, coords=coordinates, attrs=attrs), sets)


def _values(name: str, given: Any, shape: tuple[int, ...], scatter: np.ndarray) -> np.ndarray:
    """One curve for every seed, [seed, step, ...]."""
    array = np.asarray(given, np.float64)
    own = (1,) * (len(shape) - 2)
    if array.ndim == 1:
        array = array.reshape(1, -1, *own)
    elif array.ndim == 2:
        array = array.reshape(*array.shape, *own)
    if array.ndim not in (0, len(shape)) or any(
        size not in (1, wanted) for size, wanted in zip(array.shape, shape, strict=False)
    ):
        raise InputError(
            f"made-up {name}: a curve is a number or an array of shape {shape[1:2]} or {shape}, "
            f"not {array.shape}."
        )
    if np.ndim(given) < 2:
        array = array * scatter.reshape(-1, 1, *own)
    return np.broadcast_to(array, shape)
