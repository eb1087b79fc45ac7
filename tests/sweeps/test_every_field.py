"""A sweep over any field of a spec can be shown, reported, summarized and opened; no axis collides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grokscope as gs
from grokscope.cli import main
from grokscope.cli.sweep import print_sweep
from grokscope.measures import Measure
from grokscope.report import write_report
from grokscope.spec.parts import kinds
from grokscope.spec.streams import Members
from grokscope.store.arrays import ArrayInfo
from grokscope.store.labeled import MeasureSource
from grokscope.sweeps import Axis, SweepSpec, overview_of_sweep, sweep_figures
from grokscope.sweeps._manifest import Manifest, recording_hash
from small_sweeps import RATES

# also some with axes of their own, where they apply
MEASURES = [
    *("train_accuracy", "test_accuracy", "train_loss", "weight_norm", "neuron_norm", "sensitivity"),
    *("faithfulness", "embedding_fourier", "matrix_norm", "attention_pattern", "subtask_loss"),
]
PARITY = {
    "task": {"kind": "sparse_parity", "n": 8, "k": 2, "n_train": 40, "n_test": 20, "n_probe": 64},
    "model": {"kind": "fully_connected", "width": 8},
    "epochs": 3,
    "batch_size": 16,
}
OPERATOR = {
    "task": {"kind": "modular_operator", "p": 5},
    "model": {"kind": "transformer", "width": 8, "heads": 2, "mlp_width": 8},
    "loss": "cross_entropy",
    "optimizer": "adamw",
    "epochs": 3,
    "batch_size": "full",
}
SUBTASKS = {
    "task": {"kind": "multitask_parity", "n_tasks": 3, "n": 5, "k": 2, "n_train": 40, "n_test": 20},
    "model": {"kind": "fully_connected", "width": 8},
    "loss": "cross_entropy",
    "epochs": 3,
    "batch_size": 16,
}
GATES = {**PARITY, "task": {"kind": "boolean_function", "n": 8, "n_train": 40, "preset": "parity", "k": 2}}
REAL = {**GATES, "loss": "squared", "task": {**GATES["task"], "output": "real"}}
BRANCH = {**PARITY, "init": {"kind": "from_run", "run": "x", "source": "ab" * 32, "at": 0, "clock": "zero"}}
ONLINE = {key: value for key, value in PARITY.items() if key != "epochs"} | {"steps": 6}
PAIRS = {**OPERATOR, "model": {"kind": "embedding_mlp", "embedding": 4, "width": 8}}
ONE_HOT = {**OPERATOR, "model": {"kind": "one_hot_mlp", "widths": [8]}}
PENALIZED = {**PARITY, "penalty": "neuron_norm"}
TEACHER = {
    "task": {"kind": "gaussian_teacher", "d": 4, "n_train": 8, "n_test": 3},
    "model": "linear",
    "loss": "squared",
    "batch_size": "full",
    "epochs": 3,
}
FLOW = {**TEACHER, "learner": "linear_flow", "precision": "float64"}
SCALED = {**TEACHER, "model": {"kind": "scaled", "of": {"kind": "committee", "width": 8}}}
ONE_LABEL = {
    **TEACHER,
    "task": {"kind": "constant_label", "d": 4, "n_train": 8, "n_test": 3},
    "loss": "logistic",
}
KERNEL = {
    "task": {"kind": "modular_operator", "p": 5, "operator_token": False, "equals_token": False},
    "learner": {"kind": "recursive_features", "ridge": 0.1},
    "loss": "squared",
    "batch_size": "full",
    "epochs": 3,
    "precision": "float64",
}
SPARSE = {**PARITY, "model": {"kind": "fully_connected", "width": 8, "init": "sparse", "active_inputs": 2}}
STEPS = {**PARITY, "optimizer": {"kind": "sgd", "schedule": {"kind": "steps", "at": [2]}}}
COSINE = {**PARITY, "optimizer": {"kind": "adamw", "schedule": {"kind": "cosine"}}}


def acted(kind: str, **more: Any) -> dict[str, Any]:
    return {**PARITY, "interventions": [{"kind": kind, **more}]}


def on_neurons(kind: str, **more: Any) -> dict[str, Any]:
    return acted("freeze", neurons={"kind": kind, **more})


BY_SEED = on_neurons("by_seed", seeds=[0, 1], sets=[[0], [1]])
BRANCH_OF_LARGEST = {**BRANCH, **on_neurons("largest", count=2), "init": BRANCH["init"]}


# key -> the base experiment and two values
SWEPT: dict[str, tuple[dict[str, Any], Any, Any]] = {
    "task.n": (PARITY, 8, 9),
    "task.k": (PARITY, 2, 3),
    "task.n_train": (PARITY, 24, 40),
    "task.n_test": (PARITY, 20, 30),
    "task.n_probe": (PARITY, 32, 64),
    "task.labels": (PARITY, "true", "random"),
    "task.noise": ({**PARITY, "task": {**PARITY["task"], "labels": "noisy"}}, 0.1, 0.2),
    "task.support": (PARITY, "first", "drawn"),
    "task.terms": (
        {**GATES, "task": {"kind": "boolean_function", "n": 8, "n_train": 40, "terms": [{"bits": [0, 1]}]}},
        [{"bits": [0, 1]}],
        [{"bits": [0, 1, 2]}],
    ),
    "task.preset": (GATES, "parity", "and"),
    "task.output": (REAL, "sign", "real"),
    "task.train_fraction": (OPERATOR, 0.4, 0.6),
    "task.operator_token": (OPERATOR, True, False),
    "task.equals_token": (OPERATOR, True, False),
    "task.split": (OPERATOR, "seed", "fixed"),
    "task.pairs": (OPERATOR, "ordered", "unordered"),
    "task.operator": (OPERATOR, "addition", "subtraction"),
    "task.p": (OPERATOR, 5, 7),
    "task.n_tasks": (SUBTASKS, 3, 4),
    "task.alpha": (SUBTASKS, 0.4, 0.8),
    "task.subsets": (SUBTASKS, 0, 1),
    "task.probe_per_subtask": (SUBTASKS, 8, 16),
    "task.d": (TEACHER, 4, 5),
    "task.outputs": (TEACHER, 1, 2),
    "task.teacher": (TEACHER, "linear", "quadratic"),
    "task.teacher_scale": (TEACHER, 0.5, 1.0),
    "task.teacher_widths": ({**TEACHER, "task": {**TEACHER["task"], "teacher": "mlp"}}, [3], [3, 2]),
    "task.sigma": (ONE_LABEL, 1.0, 2.0),
    "task.flipped": (ONE_LABEL, 0.0, 0.2),
    "task.degree": ({**OPERATOR, "task": {"kind": "permutation_operator", "degree": 3}}, 3, 4),
    "task": (PARITY, PARITY["task"], GATES["task"]),
    "model": (PARITY, "fully_connected", "mean_field"),
    "model.kind": (OPERATOR, "transformer", "embedding_mlp"),
    "model.width": (PARITY, 8, 16),
    "model.widths": ({**PARITY, "model": {"kind": "mlp", "widths": [8]}}, [8], [8, 4]),
    "model.output_bias": ({**PARITY, "model": {"kind": "mlp", "widths": [8]}}, True, False),
    "model.dropout": ({**PARITY, "model": {"kind": "mlp", "widths": [8]}}, 0.1, 0.5),
    "model.batch_norm": ({**PARITY, "model": {"kind": "mlp", "widths": [8]}}, True, False),
    "model.activation": (PARITY, "relu", "quadratic"),
    "model.init_scale": (PARITY, 0.5, 1.0),
    "model.active_inputs": (SPARSE, 2, 3),
    "model.base_width": ({**PARITY, "model": {"kind": "mean_field", "width": 8}}, 8, 16),
    "model.depth": ({**TEACHER, "model": "diagonal"}, 2, 3),
    "model.curvature": ({**TEACHER, "model": {"kind": "committee", "width": 8}}, 0.1, 1.0),
    "model.output_scale": (SCALED, 0.5, 2.0),
    "model.centered": (SCALED, False, True),
    "model.of": (SCALED, {"kind": "linear"}, {"kind": "diagonal"}),
    "model.degree": ({**PARITY, "model": {"kind": "polynet"}}, 2, 3),
    "model.embedding": (PAIRS, 4, 6),
    "model.combine": (PAIRS, "concatenate", "add"),
    "model.bias": (PAIRS, True, False),
    "model.embedding_init": (PAIRS, "normal", "binary"),
    "model.embedding_scale": (PAIRS, 0.5, 1.0),
    "model.power": (ONE_HOT, 2, 3),
    "model.stds": (ONE_HOT, [1.0], [0.5, 0.1]),
    "model.output_factor": (ONE_HOT, "mean_field", 0.1),
    "model.layers": (OPERATOR, 1, 2),
    "model.heads": (OPERATOR, 2, 4),
    "model.mlp_width": (OPERATOR, 8, 12),
    "model.norm": (OPERATOR, "none", "pre"),
    "model.positions": (OPERATOR, "learned", "none"),
    "model.tied": (OPERATOR, False, True),
    "model.mlp_bias": (OPERATOR, False, True),
    "model.init": (OPERATOR, "normal", "torch"),
    "model.head_width": (OPERATOR, 2, 3),
    "model.attention_bias": (OPERATOR, False, True),
    "model.causal": (OPERATOR, False, True),
    "model.softmax_weight": (OPERATOR, 0.5, 1.0),
    "model.vocabulary": (OPERATOR, "shared", "by_position"),
    "model.norm_epsilon": (OPERATOR, 1e-5, 1e-4),
    "learner.time": (FLOW, "continuous", "discrete"),
    "learner.kernel": (KERNEL, "gaussian", "quadratic"),
    "learner.bandwidth": (KERNEL, 2.0, 2.5),
    "learner.bandwidth_as": (KERNEL, "length", "scale"),
    "learner.power": (KERNEL, 0.5, 1.0),
    "learner.centered": (KERNEL, False, True),
    "learner.ridge": (KERNEL, 0.1, 0.2),
    "learner.start": (KERNEL, "identity", "random_circulant"),
    "loss": (PARITY, "hinge", "logistic"),
    "loss.precision": (OPERATOR, "as_run", "float64"),
    "loss.temperature": (OPERATOR, 1.0, 2.0),
    "penalty": (PARITY, "none", "neuron_norm"),
    "penalty.strength": (PENALIZED, 1e-4, 1e-2),
    "penalty.power": (PENALIZED, 2.0, 3.0),
    "optimizer": (PARITY, "sgd", "muon"),
    "optimizer.learning_rate": (PARITY, 0.1, 0.2),
    "optimizer.weight_decay": (PARITY, 0.0, 0.1),
    "optimizer.no_decay": (PARITY, [], ["*bias*"]),
    "optimizer.clip_norm": (PARITY, 0.5, 1.0),
    "optimizer.decay_towards": (PARITY, "zero", "initial"),
    "optimizer.perpendicular": (PARITY, "none", "rescaled"),
    "optimizer.momentum": (PARITY, 0.5, 0.9),
    "optimizer.decay": (PARITY, "coupled", "decoupled"),
    "optimizer.beta1": (OPERATOR, 0.8, 0.9),
    "optimizer.beta2": (OPERATOR, 0.98, 0.99),
    "optimizer.epsilon": (OPERATOR, 1e-8, 1e-6),
    "optimizer.alpha": ({**PARITY, "optimizer": "grokfast"}, 0.9, 0.98),
    "optimizer.window": ({**PARITY, "optimizer": "grokfast"}, 2, 3),
    "optimizer.lamb": ({**PARITY, "optimizer": "grokfast"}, 1.0, 2.0),
    "optimizer.adam_learning_rate": ({**PARITY, "optimizer": "muon"}, 1e-3, 1e-2),
    "optimizer.schedule": (PARITY, "constant", "linear"),
    "optimizer.schedule.kind": (PARITY, "constant", "cosine"),
    "optimizer.schedule.warmup": (PARITY, 0, 2),
    "optimizer.schedule.warmup_from_zero": (
        {**PARITY, "optimizer": {"kind": "sgd", "schedule": {"kind": "constant", "warmup": 2}}},
        False,
        True,
    ),
    "optimizer.schedule.last": ({**PARITY, "optimizer": {"kind": "sgd", "schedule": "linear"}}, 0.5, 1.0),
    "optimizer.schedule.at": (STEPS, [2], [1, 3]),
    "optimizer.schedule.by": (STEPS, 0.5, 2.0),
    "batch_size": (PARITY, 16, "full"),
    "epochs": (COSINE, 2, 3),
    "steps": ({**{k: v for k, v in COSINE.items() if k != "epochs"}, "steps": 6}, 4, 6),
    "online": (ONLINE, False, True),
    "precision": (PARITY, "float32", "float64"),
    "interventions.0.at": (acted("freeze", at=1), 1, 2),
    "interventions.0.until": (acted("freeze", until=4), 3, 4),
    "interventions.0.bits": (acted("freeze", bits=[0]), [0], [1]),
    "interventions.0.parameters": (
        acted("freeze", parameters=["hidden_bias"]),
        ["hidden_bias"],
        ["output_weight"],
    ),
    "interventions.0.value": (acted("ablate"), "zero", "mean"),
    "interventions.0.once": (acted("ablate"), False, True),
    "interventions.0.factor": (acted("boost", factor=2.0), 2.0, 3.0),
    "interventions.0.norm": (acted("clamp"), "incoming_norm", "path_norm"),
    "interventions.0.limit": (acted("clamp"), 1.0, 2.0),
    "interventions.0.of": (acted("clamp"), "start", "absolute"),
    "interventions.0.exactly": (acted("clamp"), False, True),
    "interventions.0.compensated": (acted("sham"), False, True),
    "interventions.0.neurons": (acted("freeze"), [0], [1]),
    "interventions.0.neurons.neurons": (on_neurons("listed", neurons=[0]), [0], [1]),
    "interventions.0.neurons.count": (on_neurons("random", count=2), 2, 3),
    "interventions.0.neurons.seed": (on_neurons("random", count=2), 0, 1),
    "interventions.0.groups": (acted("stop_gradient", groups=[[0]]), [[0]], [[1]]),
    "interventions.0.feels": (
        acted("stop_gradient", groups=[[0]]),
        [[1.0, 0.0], [0.0, 1.0]],
        [[1.0, 1.0], [0.0, 1.0]],
    ),
    "interventions.0.partners": (acted("swap", neurons=[0], partners=[1], what="scale"), [1], [2]),
    "interventions.0.what": (acted("swap", neurons=[0], partners=[1], what="scale"), "scale", "direction"),
    "interventions.0.source_at": ({**BRANCH, **acted("transplant"), "init": BRANCH["init"]}, "end", 2),
    "interventions.0.others": ({**BRANCH, **acted("transplant"), "init": BRANCH["init"]}, 1.0, 0.5),
    "interventions.0.neurons.by": (on_neurons("largest", count=2), "incoming_norm", "path_norm"),
    "interventions.0.neurons.at": (BRANCH_OF_LARGEST, "start", 2),
    "interventions.0.neurons.as_many_as": (on_neurons("random", as_many_as=[0]), [0], [0, 1]),
    "interventions.0.neurons.excluding": (on_neurons("random", count=2, excluding=[0]), [0], [1]),
    "interventions.0.neurons.flavor": (on_neurons("active"), "predictions", "accuracy"),
    "interventions.0.neurons.order": (on_neurons("active"), "incoming_norm", "path_norm"),
    "interventions.0.neurons.of": (on_neurons("complement", of=[0]), [0], [1]),
    "interventions.0.neurons.to": (on_neurons("norm_matched", to=[0]), [0], [1]),
    "interventions.0.neurons.seeds": (BY_SEED, [0, 1], [1, 0]),
    "interventions.0.neurons.sets": (BY_SEED, [[0], [1]], [[1], [2]]),
    "interventions.0.neurons.name": (on_neurons("subnetwork", name="control"), "control", "memorizing"),
    "init.at": (BRANCH, 0, "memorization"),
    "init.parameters": (BRANCH, ["hidden_bias"], ["output_weight"]),
    "init.neurons": (BRANCH, [0], [1]),
    "init.clock": (BRANCH, "source", "zero"),
    "init.into": (BRANCH, "refuse", "leading"),
    "init.rename": (BRANCH, {"a": "hidden_weight"}, {"b": "hidden_weight"}),
    "interventions.0.each": (acted("hold_norm"), False, True),
    "interventions.0.reference": (acted("hold_norm", of="reference", reference=2.0), 2.0, 3.0),
    "interventions.0.by": (acted("mask", keep=0.5, by="random"), "random", "magnitude"),
    "interventions.0.keep": (acted("mask", keep=0.5, by="random"), 0.5, 0.25),
    "interventions.0.seed": (acted("mask", keep=0.5, by="random"), 0, 1),
    "interventions.0.scale": (acted("noise", scale=0.1), 0.1, 0.2),
}
# fields that cannot have two values in one sweep, and why
NOT_SWEPT = {
    "task.path": "a file; its contents are the task",
    "task.sha256": "the hash of the file that path names",
    "task.train_subset": "needs a file",
    "task.of": "needs a file",
    "model.operator": "networks by hand are not trained",
    "model.construction": "networks by hand are not trained",
    "model.p": "networks by hand are not trained",
    "model.proposition": "networks by hand are not trained",
    "model.bits": "networks by hand are not trained",
    "model.k": "networks by hand are not trained",
    "init.run": "does not determine the numbers",
    "init.source": "is read from the run",
    "interventions.0.name": "does not determine the numbers",
}
# the page of these is written, too: labels of every type, and shapes that differ
PAGES = (
    "task.n",
    "task.n_tasks",
    "task.p",
    "task.terms",
    "model.width",
    "batch_size",
    "online",
    "optimizer.schedule",
)
TABLES = {
    **{group: group for group in ("task", "model", "loss", "penalty", "optimizer", "learner", "init")},
    "rate_schedule": "optimizer.schedule",
    "intervention": "interventions.0",
    "neurons": "interventions.0.neurons",
}


def test_every_field_of_every_part_is_swept_below() -> None:
    fields = {
        f"{table}.{name}"
        for group, table in TABLES.items()
        for part in kinds(group).values()
        if part.__module__.startswith("grokscope.")
        for name in part.model_fields
        if name != "kind"
    }
    fields |= set(gs.Experiment.model_fields) - set(gs.Experiment.not_identifying)
    fields -= {"learner", "init", "interventions"}  # tables whose fields are swept
    assert fields <= SWEPT.keys() | NOT_SWEPT.keys()
    assert not SWEPT.keys() & NOT_SWEPT.keys()


class Memory:
    """What a sweep reads of the store of a cell, without a folder: made-up measures of the right shapes."""

    def __init__(self, one: gs.Experiment, members: Members) -> None:
        self.experiment, self.events, self.seeds, self.steps_per_epoch = (
            one,
            one.events,
            list(members),
            one.steps_per_epoch,
        )
        self.steps = np.array(sorted({0, one.n_steps // 2, one.n_steps}))
        self.steps_done = np.full(len(members), one.n_steps)
        self.diverged_step = np.full(len(members), -1)
        dtype = np.float64 if one.precision == "float64" else np.float32
        rng = np.random.default_rng(0)
        self.values: dict[str, np.ndarray] = {}
        self.found: dict[str, list[MeasureSource]] = {}
        for name in MEASURES:
            measure: Measure = kinds("measure")[name]()  # type: ignore[assignment]
            if measure.missing(one) is None:
                shape = (len(members), len(self.steps), *measure.shape(one))
                self.values[name] = rng.random(shape).astype(dtype)
                labels = {dim: list(one.axes[dim]) for dim in measure.dims if dim in one.axes}
                info = ArrayInfo(
                    shape, shape, np.dtype(dtype), ("member", "step", *measure.dims), {"labels": labels}
                )
                self.found[name] = [MeasureSource(name, info, self.steps)]

    def sources(self) -> dict[str, list[MeasureSource]]:
        return self.found

    def member_facts(self) -> dict[str, np.ndarray]:
        done = {"steps_done": self.steps_done, "diverged_step": self.diverged_step}
        return {**done, "complete": np.ones(len(self.seeds), bool)}

    def read_block(self, name: str, rows: np.ndarray, steps: np.ndarray, key: Any) -> np.ndarray | None:
        """As of a store: NaN at steps and in members that it lacks."""
        if name not in self.values:
            return None
        stored = self.values[name]
        block = np.full((len(rows), len(steps), *stored.shape[2:]), np.nan, stored.dtype)
        at = np.flatnonzero(np.isin(steps, self.steps))
        there = np.flatnonzero(rows >= 0)
        block[np.ix_(there, at)] = stored[np.ix_(rows[there], np.searchsorted(self.steps, steps[at]))]
        if any(isinstance(item, slice) for item in key):
            return block
        return block[np.ix_(*key)]


def fabricate(folder: Path, key: str) -> tuple[gs.Sweep, dict[str, Memory]]:
    """A sweep over a key whose cells have no folders, and its stores by the name of the cell."""
    table, *values = SWEPT[key]
    base = gs.Experiment(**table)
    axis = Axis((key,), tuple((value,) for value in values))
    spec = SweepSpec(base, (axis,), Members.of_seeds([0, 1]))
    manifest = Manifest(spec.identity, spec.base.to_toml(), numerics={})
    stores: dict[str, Memory] = {}
    for cell in spec.cells():
        stores[cell.name] = Memory(cell.experiment, spec.seeds)
        manifest.mark_done(cell.name, recording_hash(cell.experiment), cell.experiment.n_steps, spec.seeds)
    manifest.add(spec, tuple(stores), manifest.base)
    (folder / "sweep.json").write_text(json.dumps(manifest.to_json()))
    return gs.open_sweep(folder), stores


@pytest.mark.parametrize("key", SWEPT)
def test_a_sweep_over_the_field_can_be_shown(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep, stores = fabricate(tmp_path, key)
    monkeypatch.setattr(gs.Sweep, "_open", lambda self, name: stores[name])
    monkeypatch.setattr(gs.Sweep, "remarks", [])
    (name,), (axis,) = sweep.names, sweep.axes
    assert name not in {*MEASURES, *sweep.experiment.axes}
    measures = sweep.measures.load()
    assert measures.sizes[name] == 2
    left_out = set(measures.attrs.get("left_out", ()))
    for (index,), cell in sweep.cells.items():
        for each in stores[cell].values.keys() - left_out:
            own = measures[each].isel({name: index}).sel(step=stores[cell].steps)
            np.testing.assert_array_equal(own, stores[cell].values[each])
    one, other = stores.values()
    different = {
        each
        for each in one.values.keys() & other.values.keys()
        if one.values[each].shape[2:] != other.values[each].shape[2:]
    }
    assert different <= left_out
    assert not {*MEASURES[:3]} & left_out  # these have no axes of their own
    assert sweep.statistics.sizes[name] == 2
    overview = overview_of_sweep(sweep)
    assert overview.axes == (name,)
    assert len(overview.table()[1]) == len(axis)
    print_sweep(overview)
    assert len(sweep_figures(sweep)) == 1
    if key in PAGES:
        assert write_report(tmp_path).is_file()


@pytest.mark.slow
@pytest.mark.parametrize("key", ["task.n", "batch_size"])
def test_a_trained_sweep_over_a_field_can_be_shown(key: str, tmp_path: Path) -> None:
    text = f"{key}={','.join(map(str, SWEPT[key][1:]))}"
    measures = ["train_accuracy", "test_accuracy", "neuron_norm"]
    sweep = gs.sweep(gs.Experiment(**PARITY, measures=measures), [text], seeds=2, out=tmp_path, rates=RATES)
    assert sweep.measures.load().sizes[sweep.names[0]] == 2
    for value in SWEPT[key][1:]:
        (short,) = sweep.names
        assert sweep.cell(**{key: value}).identity == sweep.cell(**{short: value}).identity
    assert main(["show", str(tmp_path)]) == 0
    assert main(["report", str(tmp_path)]) == 0


def test_a_sweep_of_an_earlier_version_has_the_names_that_it_had(tmp_path: Path) -> None:
    fabricate(tmp_path, "model.width")
    file = tmp_path / "sweep.json"
    table = json.loads(file.read_text())
    del table["names"]
    file.write_text(json.dumps(table))
    assert gs.open_sweep(tmp_path).names == ("width",)
