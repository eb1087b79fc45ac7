"""The files in examples/ do what they say, with small settings."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest

import grokscope as gs
from grokscope import open_run
from grokscope.cli import main
from grokscope.cli.new import TEMPLATES
from grokscope.losses import Hinge
from grokscope.measures import Point
from grokscope.models.networks.one_hidden_layer import OneHiddenLayer
from grokscope.papers import Profile
from grokscope.reproduction import reproduce
from grokscope.spec.parts import PLUGIN_PREFIX, load_plugin, lookup
from grokscope.tasks.check import check_task

OWN = ("intervention", "learner", "loss", "measure", "model", "optimizer", "paper", "task")
EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SPEC = """
epochs = 3
measures = ["train_accuracy", "test_accuracy"]
task = {kind = "ones_mod_3", n = 8, k = 4, n_train = 64, n_test = 32}
model = {kind = "fully_connected", width = 16}
"""


pytestmark = pytest.mark.usefixtures("registry")


def test_every_example_is_tested() -> None:
    others = ["from_python.py", "hundred_seeds.py", "measure_your_own_pytorch_run.py"]
    own = [f"own_{name}.py" for name in OWN]
    assert sorted(file.name for file in EXAMPLES.glob("*.py")) == sorted(others + own)


def test_there_is_an_example_of_every_kind() -> None:
    # a rate schedule is in the file of the optimizer; of a penalty the template is the example
    assert {*OWN, "penalty", "rate_schedule"} == set(TEMPLATES)


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN)
def test_an_example_runs_its_own_check(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / f"own_{name}.py"), run_name="__main__")
    assert f" is a valid {name}" in capsys.readouterr().out


def own(name: str) -> Any:
    """The module of an example, loaded as a plug-in."""
    before = set(sys.modules)
    load_plugin(EXAMPLES / f"own_{name}.py")
    (module,) = (sys.modules[one] for one in set(sys.modules) - before if one.startswith(PLUGIN_PREFIX))
    return module


@pytest.fixture(autouse=True)
def modules_are_forgotten() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith(PLUGIN_PREFIX):
            del sys.modules[name]


def test_the_parts_train_together(tmp_path: Path) -> None:
    for name in ("model", "loss", "optimizer", "measure"):
        own(name)
    experiment = gs.Experiment(
        task={"kind": "modular_operator", "operator": "addition", "p": 5, "operator_token": False},
        model={"kind": "weight_norm", "width": 8},
        loss="smoothed_cross_entropy",
        optimizer={
            "kind": "grokfast_window",
            "window": 4,
            "learning_rate": 0.05,
            "schedule": {"kind": "drop", "at": 30},
        },
        batch_size="full",
        steps=60,
        measures=["train_loss"],
    )
    run = gs.train(experiment, seeds=2, out=tmp_path / "run")
    loss = run.measures["train_loss"]
    assert (loss[:, -1] < 0.8 * loss[:, 0]).all()


def test_the_length_of_a_direction_is_not_in_the_function() -> None:
    network = own("model").WeightNorm(width=4).network(jax.random.key(0), (6,), 1)
    x = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
    longer = eqx.tree_at(lambda one: one.direction, network, network.direction * 7.0)
    np.testing.assert_allclose(network(x), longer(x), rtol=1e-4, atol=1e-6)


def test_smoothed_cross_entropy_is_its_formula() -> None:
    rng = np.random.default_rng(1)
    f, y = 3 * rng.normal(size=(7, 4)), rng.integers(0, 4, 7)
    p = np.exp(f) / np.exp(f).sum(axis=1, keepdims=True)
    q = 0.8 * np.eye(4)[y] + 0.2 / 4
    found = own("loss").SmoothedCrossEntropy(smoothing=0.2).per_sample(f.astype(np.float32), y)
    np.testing.assert_allclose(found, -(q * np.log(p)).sum(axis=1), rtol=1e-4, atol=1e-5)


def test_the_window_is_a_mean_of_the_last_gradients() -> None:
    step = own("optimizer").mean_of_window(3, 2.0)
    state, found = step.init(jax.numpy.zeros(())), []
    for g in (1.0, 2.0, 6.0, 1.0):
        update, state = step.update(jax.numpy.float32(g), state)
        found.append(float(update))
    assert found == [1.0, 2.0, 6.0 + 2 * 3.0, 1.0 + 2 * 3.0]


def test_the_quantile_of_margins_is_its_formula() -> None:
    columns, x, y = (
        jax.numpy.asarray(rows, "float32") for rows in ([[3, 0], [0, 4]], [[1, 1], [1, -1]], [1, -1])
    )
    network = OneHiddenLayer(columns, jax.numpy.zeros(2), jax.numpy.ones(2))
    # outputs 7 and 3, margins 7 and -3; squares of all parameters: 9 + 16 + 2
    point = Point(network, {"train_x": x, "train_y": y}, Hinge())
    measure = own("measure").MarginQuantile
    assert float(measure()(point)) == pytest.approx(-3 / 27)
    assert float(measure(quantile=1.0)(point)) == pytest.approx(7 / 27)


@pytest.mark.slow
def test_rewound_neurons_are_what_they_were(tmp_path: Path) -> None:
    own("intervention")
    small = gs.Experiment(
        task={"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 16, "n_test": 10, "n_probe": 10},
        model={"kind": "fully_connected", "width": 8},
        batch_size="full",
        steps=6,
        measures=["train_accuracy"],
    )
    run = gs.train(small, seeds=1, out=tmp_path / "run")
    rewind = {"kind": "rewind", "neurons": [1, 2], "to": 0}
    branch = run.branch(4, "schedule.snapshots=[4]", interventions=[rewind], out=tmp_path / "branch")
    first, then, now = run.model(step=0), run.model(step=4), branch.model(step=4)
    for name in ("hidden_bias", "output_weight"):
        wanted = np.array(getattr(then, name))
        wanted[[1, 2]] = np.array(getattr(first, name))[[1, 2]]
        np.testing.assert_array_equal(getattr(now, name), wanted)


@pytest.mark.slow
def test_the_study_of_decay_is_reproduced(tmp_path: Path) -> None:
    module = own("paper")
    tiny = replace(
        module.SWEEP,
        experiment=module.SWEEP.experiment.with_("epochs=3", "model.width=8", "task.n_train=32"),
        profiles={"paper": Profile(seeds=3), "quick": Profile(seeds=3)},
    )
    module.DecayStudy.experiments = (tiny,)
    done = reproduce(module.DecayStudy(), profile="quick", out=tmp_path)
    assert [one["id"] for one in done.claims] == ["D1", "D2"]
    second = done.claims[1]
    assert second["seeds"] == 3
    ranks = done.runs["decays"].measures["effective_rank"].isel(step=-1)
    assert ranks.dims == ("weight_decay", "seed")
    assert second["value"] == pytest.approx(float((ranks[0] - ranks[1]).mean()))


def test_own_task_is_what_it_says() -> None:
    load_plugin(EXAMPLES / "own_task.py")
    task = lookup("task", "ones_mod_3")(n=9, k=5)
    check_task(task)
    x, y = task.sample(jax.random.key(3), 200)
    ones = [sum(bit < 0 for bit in row[:5]) for row in np.asarray(x)]
    assert np.asarray(y).tolist() == [1.0 if count in (0, 3) else -1.0 for count in ones]


def test_own_task_trains_and_reports_by_plugin(tmp_cwd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_cwd / "spec.toml").write_text(SPEC)
    plugin = ["--plugin", str(EXAMPLES / "own_task.py")]
    assert main(["train", "spec.toml", "--seeds", "2", "--out", "run", *plugin]) == 0
    run = open_run(tmp_cwd / "run")
    assert (run.experiment.task.kind, run.is_complete, len(run.members)) == ("ones_mod_3", True, 2)
    assert run.measures.test_accuracy.sizes == {"seed": 2, "step": 4}
    assert main(["report", "run", *plugin]) == 0
    assert "<html" in (tmp_cwd / "run" / "report.html").read_text()[:200]
    assert main(["verify", "run"]) == 0, capsys.readouterr()


@pytest.mark.slow
def test_hundred_seeds_answers(tmp_cwd: Path) -> None:
    small = ["--seeds", "6", "--epochs", "2", "--bits", "8", "--width", "16", "--out", "run"]
    command = [sys.executable, str(EXAMPLES / "hundred_seeds.py"), *small]
    environment = os.environ | {"PYTHONPATH": str(EXAMPLES.parent / "src")}
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    first, second, delay, sparsity = found.stdout.splitlines()
    assert first.startswith("memorization (train_accuracy > 0.98")
    # two epochs are too few for five points in a row
    assert "share of seeds 0 [0, " in second
    assert delay.startswith("delay: ")
    assert sparsity.startswith("effective sparsity at the end: ")
    assert "n = 6" in sparsity


@pytest.mark.slow
@pytest.mark.torch
def test_a_pytorch_run_is_imported_and_drawn(tmp_cwd: Path) -> None:
    small = ["--epochs", "22", "--bits", "8", "--width", "16", "--out", "own"]
    command = [sys.executable, str(EXAMPLES / "measure_your_own_pytorch_run.py"), *small]
    environment = os.environ | {"PYTHONPATH": str(EXAMPLES.parent / "src")}
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    first, *facts, last = found.stdout.splitlines()
    assert first == f"Run {Path('own/run')}"
    assert "  members     1 (seed 0)" in facts
    assert last == "figures: accuracy-loss-sparsity.png, neurons.png, subnetworks.png in own"
    run = open_run("own/run")
    # the last of 22 epochs is not saved; 1,000 samples are 32 batches
    assert run.snapshot_steps == [32 * epoch for epoch in range(21)]
    import torch

    state = torch.load("own/checkpoints/epoch_20.pt", weights_only=True)
    np.testing.assert_array_equal(run.model(step=640).hidden_weight, state["0.weight"].numpy().T)


def test_the_pytorch_loop_knows_nothing_of_us() -> None:
    """Its training is plain PyTorch: what comes from grokscope is used behind it only."""
    text = (EXAMPLES / "measure_your_own_pytorch_run.py").read_text(encoding="utf-8")
    loop = text[text.index("def train(") : text.index("def look(")]
    ours = [word for line in text.splitlines() if "grokscope" in line for word in line.split()[-1:]]
    assert not [word for word in ("gs.", *ours) if word in loop]
    assert len(loop.splitlines()) <= 40
