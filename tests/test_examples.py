"""The files in examples/ do what they say, with small settings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from grokscope import open_run
from grokscope.cli import main
from grokscope.spec.parts import load_plugin, lookup
from grokscope.tasks.check import check_task

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SPEC = """
epochs = 3
measures = ["train_accuracy", "test_accuracy"]
task = {kind = "ones_mod_3", n = 8, k = 4, n_train = 64, n_test = 32}
model = {kind = "fully_connected", width = 16}
"""


pytestmark = pytest.mark.usefixtures("registry")


def test_every_example_is_tested() -> None:
    assert sorted(file.name for file in EXAMPLES.glob("*.py")) == [
        "hundred_seeds.py",
        "measure_your_own_pytorch_run.py",
        "own_task.py",
    ]


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


@pytest.mark.torch
def test_a_pytorch_run_is_imported_and_drawn(tmp_cwd: Path) -> None:
    small = ["--epochs", "22", "--bits", "8", "--width", "16", "--out", "own"]
    command = [sys.executable, str(EXAMPLES / "measure_your_own_pytorch_run.py"), *small]
    environment = os.environ | {"PYTHONPATH": str(EXAMPLES.parent / "src")}
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines() == [
        f"Run('{Path('own/run')}', 1 members, complete)",
        "figures: accuracy-loss-sparsity.png, neurons.png, subnetworks.png in own",
    ]
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
