"""A kernel machine is trained, resumed, kept, measured later, shown, reported and exported like a network."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file

import grokscope as gs
from grokscope.cli import main
from grokscope.errors import InputError
from grokscope.interop.export import export_run
from grokscope.runs import verify
from grokscope.tasks.arrays import Arrays
from kernel_ridge import KernelMachine, KernelRidge

PARITY = {"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 16, "n_test": 10, "n_probe": 10}


def experiment(task=PARITY, **more) -> gs.Experiment:
    table = {"epochs": 6, "batch_size": "full", "loss": "squared"} | more
    return gs.Experiment(task=task, learner=KernelRidge(), **table)


def test_its_numbers_are_those_of_numpy(tmp_path):
    run = gs.train(experiment(precision="float64"), seeds=1, out=tmp_path / "run")
    start = run.model(seed=0, step=0)
    x = np.asarray(start.x)
    y = x[:, :2].prod(axis=1)
    kernel = np.exp(-((x[:, None] - x) ** 2).sum(axis=-1) / 6)
    alpha = np.zeros(16)
    losses = [np.mean((kernel @ alpha - y) ** 2)]
    for _ in range(6):
        alpha -= 0.1 * (kernel @ alpha + 0.01 * alpha - y)
        losses.append(np.mean((kernel @ alpha - y) ** 2))
    np.testing.assert_allclose(run.measures.train_loss.sel(seed=0), losses, rtol=1e-9)
    machine = run.model(seed=0)
    assert isinstance(machine, KernelMachine)
    np.testing.assert_allclose(machine.alpha, alpha, rtol=1e-9)


@pytest.mark.slow
def test_defaults_leave_out_what_is_measured_of_networks(tmp_path, capsys):
    made = experiment(schedule={"snapshots": [2]})
    run = gs.train(made, seeds=2, out=tmp_path / "run")
    names = set(run.measures.data_vars)
    assert {"train_accuracy", "train_loss", "test_accuracy_large", "train_zero_outputs"} <= names
    assert not names & {"weight_norm", "neuron_norm", "path_norm", "effective_sparsity", "faithfulness"}
    for name, said in {
        "weight_norm": "weight_norm needs a network with parameters; learner 'kernel_ridge' has none",
        "neuron_norm": "neuron_norm needs a network with hidden neurons, not 'none'",
    }.items():
        with pytest.raises(InputError, match=said):
            run.measure([name])
    assert "batch_loss" in run.measure(["batch_loss"])
    np.testing.assert_allclose(run.measures.batch_loss, run.measures.train_loss, rtol=1e-5)  # full batch
    longer = gs.train(made.with_("epochs=9"), seeds=2, out=run.path)
    at_once = gs.train(made.with_("epochs=9"), seeds=2, out=tmp_path / "at_once")
    np.testing.assert_array_equal(longer.measures.train_loss, at_once.measures.train_loss)
    assert longer.model(1, 2).alpha.shape == longer.model(1, 5).alpha.shape == (16,)
    assert verify(longer.path) == []
    export_run(longer, tmp_path / "one.safetensors", seed=1)
    assert set(load_file(tmp_path / "one.safetensors")) == {"alpha", "x"}
    assert main(["show", str(longer.path)]) == 0
    assert "sparse_parity, learner kernel_ridge, squared loss\n" in capsys.readouterr().out
    assert main(["report", str(longer.path)]) == 0


def test_it_trains_on_arrays_that_all_members_share_and_on_vectors(tmp_path):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(12, 3))
    made = experiment(Arrays.from_numpy(train_x=x, train_y=x[:, :2] ** 2), epochs=50)
    run = gs.train(made, seeds=1, out=tmp_path / "run")
    assert set(run.measures.data_vars) == {"train_loss"}
    assert run.measures.train_loss[0, -1] < 0.5 * run.measures.train_loss[0, 0]
    assert run.model().alpha.shape == (12, 2)


def test_its_spec_has_neither_model_nor_optimizer(tmp_path):
    made = experiment(model={"kind": "fully_connected", "width": 3})
    assert made.identity == experiment().identity
    text = made.to_toml()
    assert '[model]\nkind = "none"' in text
    assert "[optimizer]" not in text
    (tmp_path / "spec.toml").write_text(text)
    assert gs.Experiment.from_toml(tmp_path / "spec.toml") == made
