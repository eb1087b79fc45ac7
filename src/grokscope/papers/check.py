"""Conformance check of a paper, for papers outside the package too: ``check_paper(MyPaper())``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.errors import InputError
from grokscope.papers._experiments import ContestExperiment, PaperExperiment, SweepExperiment
from grokscope.papers._paper import Paper, RunLike
from grokscope.spec.checking import Checker

if TYPE_CHECKING:
    import xarray as xr

    from grokscope.experiment import Experiment

__all__ = ["check_paper", "made_up_runs"]

_want = Checker("check_paper")
_SEEDS, _POINTS, _WIDTH = 12, 60, 16


def check_paper(paper: Paper, examples: Iterable[Mapping[str, RunLike]] = ()) -> None:
    """Check that a paper is complete and valid (`Paper`), and that each of its claims can fail.

    Every claim is judged alone on made-up runs: nothing measured; curves that are flat, rise, fall, jump
    early or late; noise. It must never raise, must be "not testable" where nothing was measured, and must
    fail at least once. Claims that fail only on particular curves are given them as ``examples``.

    Args:
        paper: the paper.
        examples: further runs by experiment name, on some of which the remaining claims fail.

    Raises:
        AssertionError: with what is wrong and what is required.
    """
    _check_texts(paper)
    _check_experiments(paper)
    _check_references(paper)
    _check_claims(paper, examples)


def _check_texts(paper: Paper) -> None:
    cls = type(paper)
    _want(
        bool((cls.__doc__ or "").strip()) and cls.__doc__ != Paper.__doc__, f"{cls.__name__} has no docstring"
    )
    for name in ("title", "authors", "bibtex"):
        _want(bool(getattr(paper, name).strip()), f"{paper.kind} has no {name}")
    _want(paper.year > 1900, f"{paper.kind} has no year")
    _want(not paper.arxiv or paper.arxiv in paper.bibtex, "bibtex does not contain the arXiv number")
    _want(bool(paper.experiments), "there are no experiments")
    _want(bool(paper.claims), "there are no claims")
    for kind, ids in (
        ("experiment", [one.name for one in paper.experiments] + list(paper.groups)),
        ("claim", [one.id for one in paper.claims]),
        ("figure", [one.id for one in paper.figures]),
    ):
        twice = sorted({one for one in ids if ids.count(one) > 1})
        _want(not twice, f"{kind} {twice[:1]} comes twice")


def _check_experiments(paper: Paper) -> None:
    for one in paper.experiments:
        _want(bool(one.sentence.strip()), f"experiment {one.name} has no sentence")
        for profile in ("paper", "quick"):
            _want(profile in one.profiles, f"experiment {one.name} has no profile '{profile}'")
            spec, seeds = one.under(profile)
            if isinstance(one, ContestExperiment):
                one.contest(profile)  # raises where it is not fair
            if isinstance(one, SweepExperiment):
                cells = len(list(one.grid(profile).cells()))  # raises for invalid specs, and for equal ones
                _want(cells > 1, f"experiment {one.name} is a sweep of one cell under '{profile}'")
            _want(len(one.members(seeds)) >= 1, f"experiment {one.name} has no seeds under '{profile}'")
            try:
                paper.chosen(one.name)  # raises for a circle, and for a source that the paper does not have
                paper.check_values(one, profile)
            except InputError as error:
                raise AssertionError(f"check_paper: {error}") from error
            same = type(spec).from_table(_table(spec)) == spec
            _want(same, f"experiment {one.name}: the spec made again from its own table differs")


def _table(spec: Experiment) -> dict[str, Any]:
    from grokscope.spec.toml import parse_toml

    return parse_toml(spec.to_toml())


def _check_references(paper: Paper) -> None:
    names = {one.name for one in paper.experiments}
    for claim in paper.claims:
        missing = [name for name in claim.experiments if name not in names]
        _want(not missing, f"claim {claim.id} is on no experiment of the paper: {', '.join(missing)}")
        _want(
            claim.sentence.strip().endswith("."), f"claim {claim.id}: its sentence must end with a full stop"
        )
        _want(bool(claim.source.strip()), f"claim {claim.id} has no source (figure, section, table)")
        _want(bool(claim.estimand.strip()), f"claim {claim.id} has no estimand")
        _want(bool(claim.fixed_on and claim.confirmed_on), f"claim {claim.id} does not say on which seeds")
    for figure in paper.figures:
        _want(bool(figure.needs), f"figure {figure.id} needs no experiment")
        _want(set(figure.needs) <= names, f"figure {figure.id} needs {sorted(set(figure.needs) - names)}")
        _want(bool(figure.title.strip()), f"figure {figure.id} has no title")


def _check_claims(paper: Paper, examples: Iterable[Mapping[str, RunLike]]) -> None:
    from grokscope.claims import gather, judge

    made_up = [
        (name, {one.name: _on_axes(run, one) for one in paper.experiments})
        for name, run in made_up_runs(paper.experiments[0].experiment)
    ]
    given = [(f"example {i}", runs) for i, runs in enumerate(examples)]
    seen: dict[str, set[str]] = {claim.id: set() for claim in paper.claims}
    for name, runs in [*made_up, *given]:
        for claim in paper.claims:
            if not set(claim.experiments) <= runs.keys():
                continue
            try:
                evidence = gather(claim, *(runs[name].measures for name in claim.experiments))
                verdict = judge([(claim, evidence)])[0]
                json.dumps(verdict.to_json(), allow_nan=False)
            except Exception as error:
                message = f"claim {claim.id} on {name}: {type(error).__name__}: {error}"
                raise AssertionError(f"check_paper: {message}") from error
            seen[claim.id].add(verdict.verdict)
            if name == "nothing measured" and claim.kind != "deterministic":
                right = verdict.verdict == "not testable"
                _want(right, f"claim {claim.id} is '{verdict.verdict}' although nothing was measured")
    for claim in paper.claims:
        _want(
            "fails" in seen[claim.id],
            f"claim {claim.id} came out as {sorted(seen[claim.id])}, never as fails",
        )


@dataclass
class MadeUpRun:
    """A run with synthetic measures."""

    experiment: Experiment
    measures: xr.Dataset
    subnetworks: xr.DataArray
    provenance: dict[str, Any] = field(default_factory=lambda: {"command": "check_paper"})


def made_up_runs(experiment: Experiment) -> Iterator[tuple[str, MadeUpRun]]:
    """Synthetic runs with every registered measure; each run has one shape of curve."""
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
    for name, shape in shapes.items():
        yield name, _made_up(experiment, lambda key, s=shape: s)
    for name, scale in (("small noise", 1.0), ("large noise", 100.0)):
        yield name, _made_up(experiment, lambda key, k=scale: k * rng.random(_POINTS))
    # Networks that memorize and grok, with everything else flat, falling or rising.
    jumps = {"train_accuracy": (time > 0.2) * 1.0, "test_accuracy": 0.5 + 0.5 * (time > 0.6)}
    for name in ("ones", "a rise", "a fall", "an early drop"):
        other = shapes[name]
        yield f"grokking, and {name}", _made_up(experiment, lambda key, o=other: jumps.get(key, o))
        flipped = {"train_accuracy": jumps["train_accuracy"], "test_accuracy": 0.5 + 0 * time}
        yield f"memorization, and {name}", _made_up(experiment, lambda key, o=other, f=flipped: f.get(key, o))


def _on_axes(run: MadeUpRun, one: PaperExperiment) -> MadeUpRun:
    """The same curves in every cell of a sweep, for every contender of a contest."""
    coords = one.coordinates("paper")
    if not coords:
        return run
    axes = {name: labels for name, (axis, labels) in coords.items() if axis == (name,)}
    others = {name: coord for name, coord in coords.items() if name not in axes}
    plain = [name for name, array in run.measures.items() if set(array.dims) == {"seed", "step"}]
    measures = run.measures[plain].expand_dims(axes).assign_coords(others)
    return replace(run, experiment=one.experiment, measures=measures)


def _made_up(experiment: Experiment, curve: Any) -> MadeUpRun:
    import xarray as xr

    from grokscope.spec.axes import SUBNETWORK_LABELS
    from grokscope.spec.parts import kinds

    rng = np.random.default_rng(1)
    labels = {dim: list(values) for dim, values in experiment.axes.items()} | {"neuron": list(range(_WIDTH))}
    data: dict[str, Any] = {}
    for name, cls in kinds("measure").items():
        dims: tuple[str, ...] = getattr(cls, "dims", ())
        if not set(dims) <= labels.keys():
            continue
        shape = (_SEEDS, _POINTS, *(len(labels[dim]) for dim in dims))
        values = np.asarray(curve(name)).reshape(1, _POINTS, *(1 for _ in dims))
        # A little scatter over seeds, so that a mean has an interval; none on shares and events.
        scatter = 1 + 1e-6 * rng.standard_normal((_SEEDS, *(1 for _ in shape[1:])))
        exact = name in ("train_accuracy", "test_accuracy")
        data[name] = (
            ("seed", "step", *dims),
            np.broadcast_to(values * (1 if exact else scatter), shape).copy(),
        )
    per_epoch = experiment.steps_per_epoch
    epochs = np.linspace(0, experiment.n_steps / per_epoch, _POINTS)
    coords = {
        "seed": np.arange(_SEEDS),
        "step": np.round(epochs * per_epoch).astype(int),
        "epoch": ("step", epochs),
        **{dim: values for dim, values in labels.items() if dim != "neuron"},
    }
    sets = xr.DataArray(
        rng.random((_SEEDS, len(SUBNETWORK_LABELS), _WIDTH)) < 0.3,
        dims=("seed", "subnetwork", "neuron"),
        coords={"seed": np.arange(_SEEDS), "subnetwork": labels["subnetwork"]},
    )
    return MadeUpRun(experiment, xr.Dataset(data, coords=coords), sets)
