"""Networks of others become runs: what is in them, where they lie, and what they refuse."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import grokscope as gs
from foreign import SPEC, SPEC_TOML, TASK, WIDTH, folder_of, own_data, predicted, sequential, two_circuits
from grokscope.cli import main
from grokscope.errors import InputError
from grokscope.runs import run_summaries, verify

STEPS = (0, 5, 40)


@pytest.fixture(scope="module")
def states():
    return {step: two_circuits(step) for step in STEPS}


@pytest.fixture(scope="module")
def run(tmp_path_factory, states):
    folder = tmp_path_factory.mktemp("imported")
    return gs.import_torch(folder_of(folder / "them", states), SPEC, data=own_data(), out=folder / "run")


def accuracy(state, x, y):
    f = predicted(state, x)[:, 0]
    return float(np.mean((np.sign(f) == y)[f != 0]))  # an output of 0 is no prediction


def test_every_snapshot_is_there_with_its_measures(run, states):
    assert run.is_imported
    assert run.is_complete
    assert run.snapshot_steps == list(STEPS)
    assert run.measures.step.values.tolist() == list(STEPS)
    assert run.measures.epoch.values.tolist() == [0, 5, 40]  # 24 samples are one batch of 32
    data = own_data()
    for step, state in states.items():
        network = run.model(step=step)
        np.testing.assert_array_equal(network.hidden_weight, state["linear1.weight"].T)
        np.testing.assert_array_equal(network.hidden_bias, state["linear1.bias"])
        np.testing.assert_array_equal(network.output_weight, state["linear2.weight"][0])
        for split in ("train", "test"):
            found = run.measures[f"{split}_accuracy"].sel(seed=0, step=step).item()
            assert found == pytest.approx(accuracy(state, data[f"{split}_x"], data[f"{split}_y"]))
    np.testing.assert_array_equal(run.model().hidden_bias, states[40]["linear1.bias"])


def test_the_spec_says_what_is_known(run):
    spec = (run.path / "experiment.toml").read_text()
    assert "[optimizer]" not in spec
    experiment = run.experiment
    assert (experiment.learner.kind, experiment.n_steps) == ("imported", 40)
    assert (experiment.task.kind, experiment.task.of.kind) == ("samples", "sparse_parity")
    assert (experiment.model.kind, experiment.model.width) == ("fully_connected", WIDTH)
    facts = run.provenance["imported"]
    assert facts["layout"].startswith("linear1, linear2")
    assert any("activation relu (model.activation)" in note for note in facts["notes"])
    assert verify(run.path) == []


def test_what_needs_a_replay_says_so(run):
    with pytest.raises(InputError) as error:
        run.model(step=30)
    assert str(error.value) == (
        f"{run.path}: was imported and cannot be replayed; it has the steps 0, 5, 40, and the nearest to "
        "30 is 40."
    )
    with pytest.raises(InputError, match=r"seed 0 has steps 0 to 40, not 41"):
        run.model(step=41)
    with pytest.raises(InputError, match="these networks were trained elsewhere; nothing can be trained"):
        gs.train(run.experiment, out=run.path)
    with pytest.raises(InputError, match="holds another run"):
        gs.train(gs.Experiment(task=TASK, epochs=1), out=run.path)


@pytest.mark.slow
def test_measures_are_added_from_the_snapshots(tmp_path, states):
    run = gs.from_torch(states, SPEC, data=own_data(), out=tmp_path / "run")
    added = run.measure(["weight_norm", "faithfulness"])
    assert added.weight_norm.step.values.tolist() == list(STEPS)
    for step, state in states.items():
        norm = np.sqrt(sum(float(np.sum(array.astype(np.float64) ** 2)) for array in state.values()))
        assert added.weight_norm.sel(seed=0, step=step).item() == pytest.approx(norm, rel=1e-6)
    at_end = added.faithfulness.sel(seed=0, step=40, subnetwork="generalizing", split="train").item()
    assert at_end == 1.0  # by definition of the active subnetwork
    run.measure(["path_norm_total"], steps=[5])
    taken = run.read_measure("path_norm_total").dropna("step")
    assert taken.step.values.tolist() == [0, 5, 40]  # the ends are always among the points
    run.measure(["train_loss"], steps="log")
    assert verify(run.path) == []
    with pytest.raises(InputError, match="cannot be replayed; it has the steps 0, 5, 40"):
        run.measure(["test_loss"], steps=[7, 8])


def test_the_memorizing_network_is_looked_for_at_all_snapshots(tmp_path):
    data = own_data()
    good = {  # relu(x1+x2) + relu(-x1-x2) - 1 is the parity of two bits; the third neuron is the constant
        "linear1.weight": np.zeros((WIDTH, 6), np.float32),
        "linear1.bias": np.zeros(WIDTH, np.float32),
        "linear2.weight": np.zeros((1, WIDTH), np.float32),
    }
    good["linear1.weight"][:2, :2] = [[1, 1], [-1, -1]]
    good["linear1.bias"][2] = 1
    good["linear2.weight"][0, :3] = [1, 1, -1]
    run = gs.from_torch(
        {0: two_circuits(0), 3: good, 9: two_circuits(9)}, SPEC, data=data, out=tmp_path / "r"
    )
    run.measure(["subnetwork_norm"], steps=[9])
    found = run.subnetworks.sel(seed=0, subnetwork="memorizing").values
    assert np.flatnonzero(found).tolist() == [0, 1, 2]


# --- where they lie ---


def one_file(states, file, unit="step", **more):
    tensors = {f"{unit}_{step}/{k}": v for step, state in states.items() for k, v in state.items()}
    save_file({k: np.ascontiguousarray(v) for k, v in {**tensors, **more}.items()}, file)
    return file


def test_one_file_of_prefixes_is_the_same_run_as_a_folder(run, states, tmp_path):
    file = one_file(states, tmp_path / "all.safetensors", **own_data())
    again = gs.import_torch(file, SPEC, out=tmp_path / "run")
    assert again.identity == run.identity
    changed = {step: {**state, "linear1.bias": state["linear1.bias"] + 1} for step, state in states.items()}
    file = one_file(changed, tmp_path / "other.safetensors", **own_data())
    other = gs.import_torch(file, SPEC, out=tmp_path / "other")
    assert other.identity != run.identity
    assert other.experiment.identity == run.experiment.identity


def test_epochs_are_as_many_steps_as_the_spec_says(states, tmp_path):
    few = {1: states[0], 3: states[5]}
    file = one_file(few, tmp_path / "all.safetensors", "epoch", **own_data())
    run = gs.import_torch(file, {**SPEC, "batch_size": 5}, out=tmp_path / "run")
    assert run.snapshot_steps == [5, 15]  # 24 samples in batches of 5
    assert run.measures.epoch.values.tolist() == [1, 3]
    folder_of(tmp_path / "them", few, "at-epoch={:04d}.safetensors")
    run = gs.import_torch(tmp_path / "them", SPEC, data=own_data(), out=tmp_path / "run2")
    assert run.snapshot_steps == [1, 3]
    assert "an epoch is taken to be 1 steps" in str(run.provenance["imported"]["notes"])


def test_seeds_by_a_pattern(states, tmp_path):
    for seed in (3, 12):
        mine = {step: two_circuits(100 * seed + step) for step in STEPS}
        folder_of(tmp_path / "them" / f"seed-{seed}", mine, "net_{}_final.safetensors")
    (tmp_path / "them" / "seed-3" / "notes.txt").write_text("mine")
    pattern = "seed-{seed}/net_{step}_*.safetensors"
    run = gs.import_torch(tmp_path / "them", SPEC, pattern=pattern, out=tmp_path / "run")
    assert run.measures.train_accuracy.sizes == {"seed": 2, "step": 3}
    assert run.measures.seed.values.tolist() == [3, 12]
    np.testing.assert_array_equal(run.model(seed=12, step=5).hidden_bias, two_circuits(1205)["linear1.bias"])
    (tmp_path / "them" / "seed-3" / "net_5_final.safetensors").unlink()
    with pytest.raises(InputError, match=r"seeds 3 and 12 do not have the same steps \(step 5 is there"):
        gs.import_torch(tmp_path / "them", SPEC, pattern=pattern, out=tmp_path / "odd")


def test_a_state_dict_alone(states, tmp_path):
    save_file(states[5], tmp_path / "net.safetensors")
    run = gs.import_torch(tmp_path / "net.safetensors", SPEC, out=tmp_path / "a")
    assert run.snapshot_steps == [0]
    assert run.is_complete
    assert "taken to be 0" in str(run.provenance["imported"]["notes"])
    run = gs.import_torch(tmp_path / "net.safetensors", {**SPEC, "epochs": 7}, out=tmp_path / "b")
    assert run.snapshot_steps == [7]
    (tmp_path / "net.safetensors").rename(tmp_path / "net-step_30.safetensors")
    run = gs.import_torch(tmp_path / "net-step_30.safetensors", SPEC, out=tmp_path / "c")
    assert run.snapshot_steps == [30]


@pytest.mark.parametrize(
    ("names", "pattern", "text"),
    [
        ([], None, "holds no .pt, .pth, .ckpt, .bin, .safetensors file. It has no files."),
        (["a.txt"], None, "holds no .pt, .pth, .ckpt, .bin, .safetensors file. It has a.txt."),
        (
            ["a1.safetensors", "b2.safetensors"],
            None,
            "the step is not clear: the names do not differ in exactly one number",
        ),
        (
            ["a1-1.safetensors", "a2-2.safetensors"],
            None,
            "Give a pattern, for example pattern='model_{step}.pt'.",
        ),
        (["a.safetensors", "b.safetensors"], None, "the step is not clear: the names do not"),
        (["a1.safetensors"], "b{step}.pt", "no file matches pattern 'b{step}.pt'. It has a1.safetensors."),
        (["a1.safetensors"], "a*.safetensors", "must hold {step} or {epoch}, as 'model_{step}.pt'."),
        (["a1.safetensors"], "{seed}*", "must hold {step} or {epoch}"),
        (["a1.safetensors"], "a{stp}.safetensors", "'{stp}' is not known, or is there twice."),
        (["a1.safetensors"], "{step}{step}", "'{step}' is not known, or is there twice."),
        (["a1.txt"], "a{step}.txt", "a1.txt: must end in .pt, .pth, .ckpt, .bin, .safetensors."),
        (["a01.safetensors", "a1.safetensors"], "a{step}.safetensors", "is step 1, as "),
        (["a9999999999999.safetensors"], "a{step}.safetensors", "is too large for a step"),
        (["a9999999999999.safetensors"], "a{seed}.safetensors{step}", "no file matches"),
        (["9999999999-1.safetensors"], "{seed}-{step}.safetensors", "is too large for a seed"),
    ],
)
def test_names_that_do_not_tell_the_step(states, tmp_path, names, pattern, text):
    folder = folder_of(tmp_path / "them", {})
    for name in names:
        save_file(states[0], folder / name)
    with pytest.raises(InputError) as error:
        gs.import_torch(folder, SPEC, pattern=pattern, out=tmp_path / "run")
    assert text in str(error.value)
    assert sorted(tmp_path.iterdir()) == [folder]


def test_files_without_a_number_are_passed_over(states, tmp_path):
    folder = folder_of(tmp_path / "them", {1: states[0], 2: states[5]})
    save_file(own_data(), folder / "data.safetensors")
    run = gs.import_torch(folder, SPEC, data=folder / "data.safetensors", out=tmp_path / "run")
    assert run.snapshot_steps == [1, 2]
    assert "ignored: data.safetensors." in run.provenance["imported"]["notes"]


@pytest.mark.slow
def test_thousands_of_files_take_no_more_memory_than_a_few(tmp_path):
    """Nothing is measured here: what is looked at is the way of the weights into the store."""
    few, many = 70, 200
    state = {name: np.repeat(array, 100, axis=0) for name, array in two_circuits(0).items()}
    state["linear2.weight"] = np.ones((1, 100 * WIDTH), np.float32)
    peaks: list[int] = []
    gs.from_torch({0: state}, {**SPEC, "measures": []}, out=tmp_path / "first")  # imports and compiles
    for count in (few, many):
        pairs = ((i, {name: array + i for name, array in state.items()}) for i in range(count))
        tracemalloc.start()
        gs.from_torch(pairs, {**SPEC, "measures": []}, out=tmp_path / f"run-{count}")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    added = (many - few) * sum(array.nbytes for array in state.values())
    assert peaks[1] - peaks[0] < 0.1 * added


# --- data ---


@pytest.mark.parametrize("name", ["data.npz", "data.safetensors"])
def test_data_of_a_file(run, states, tmp_path, name):
    data = own_data()
    if name.endswith("npz"):
        np.savez(tmp_path / name, more=np.ones(3), **data)
    else:
        save_file({**data, "more": np.ones(3)}, tmp_path / name)
    again = gs.import_torch(
        folder_of(tmp_path / "them", states), SPEC, data=tmp_path / name, out=tmp_path / "run"
    )
    assert again.identity == run.identity
    # the run holds its data, wherever it goes and whatever becomes of the file
    (tmp_path / name).unlink()
    (tmp_path / "run").rename(tmp_path / "moved")
    assert gs.open_run(tmp_path / "moved").experiment.task.n_train == 24


def test_data_without_a_task_are_a_task(states, tmp_path):
    run = gs.from_torch(states[5], data=own_data(), out=tmp_path / "run")
    assert run.experiment.task.kind == "arrays"
    assert "effective_sparsity" in run.measures
    assert "effective_sparsity_probe" not in run.measures  # there is no probe


def test_without_data_the_task_draws_them_and_it_is_said(states, tmp_path):
    run = gs.from_torch(states[5], SPEC, step=3, out=tmp_path / "run")
    assert "no data were given: measured on the samples that task" in str(run.provenance["imported"])


@pytest.mark.parametrize("coded", [np.float32, np.int64, np.bool_])
def test_labels_0_and_1_of_one_output_are_signs(run, states, tmp_path, coded):
    data = {name: (a > 0).astype(coded) if name[-1] == "y" else a for name, a in own_data().items()}
    data["train_y"] = data["train_y"][:, None]
    again = gs.from_torch(states, SPEC, data=data, out=tmp_path / "run")
    np.testing.assert_array_equal(again.measures.train_accuracy, run.measures.train_accuracy)


def test_class_numbers(tmp_path):
    state = sequential(4, (6, 8, 3))
    x = own_data()["train_x"]
    y = predicted(state, x).argmax(axis=1)
    y[:6] = (y[:6] + 1) % 3
    data = {"train_x": x, "train_y": y.astype(np.float32), "test_x": x, "test_y": y.astype(np.float32)}
    run = gs.from_torch(state, {"measures": SPEC["measures"]}, data=data, out=tmp_path / "run")
    assert (run.experiment.task.label_kind, run.experiment.loss.kind) == ("class", "cross_entropy")
    assert run.measures.train_accuracy.item() == pytest.approx(18 / 24)


BAD_DATA = [
    (
        {"test_y": -own_data()["test_y"]},
        "data: the labels in test_y are those of the spec's task 'sparse_parity' with the other sign",
    ),
    ({"test_x": None}, "data: array 'test_x' is missing"),
    ({"train_x": own_data()["train_x"][:, :5]}, "data: test_x: rows must have the shape of train_x's"),
    ({"train_y": np.full(24, np.nan)}, "data: train_y: [0] is nan; numbers must be finite."),
    ({"train_y": np.arange(24) / 7}, "task.of: the arrays have labels of kind real, but task"),
]


@pytest.mark.parametrize(("change", "text"), BAD_DATA, ids=range(len(BAD_DATA)))
def test_data_that_cannot_be_right(states, tmp_path, change, text):
    data = {name: array for name, array in {**own_data(), **change}.items() if array is not None}
    with pytest.raises(InputError) as error:
        gs.from_torch(states, SPEC, data=data, out=tmp_path / "run")
    assert text in str(error.value)
    assert list(tmp_path.iterdir()) == []


# --- targets ---


def test_the_same_import_again_changes_nothing_and_another_is_refused(states, tmp_path):
    first = gs.from_torch(states, SPEC, out=tmp_path / "run")
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "run").rglob("*")}
    assert gs.from_torch(states, SPEC, out=tmp_path / "run").identity == first.identity
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "run").rglob("*")} == before
    with pytest.raises(InputError, match=r"holds another run \(identity"):
        gs.from_torch({0: states[5]}, SPEC, out=tmp_path / "run")
    assert [file.name for file in tmp_path.iterdir()] == ["run"]


def test_places_that_are_taken(states, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine").touch()
    experiment = gs.Experiment(
        task=TASK, model={"kind": "fully_connected", "width": 4}, epochs=1, measures=[]
    )
    gs.train(experiment, out=tmp_path / "trained")
    for name, text in (
        ("file", "file: is a file; choose a folder."),
        ("folder", "folder: holds other files; choose an empty or a new folder."),
        ("trained", "trained: holds a run that was trained here; choose another folder."),
    ):
        with pytest.raises(InputError) as error:
            gs.from_torch(states, SPEC, out=tmp_path / name)
        assert str(error.value) == f"{tmp_path / name}"[: -len(name)] + text
    (tmp_path / "empty").mkdir()
    assert gs.from_torch(states, SPEC, out=tmp_path / "empty" / "new" / "run").is_complete
    assert sorted(file.name for file in tmp_path.iterdir()) == ["empty", "file", "folder", "trained"]


def test_the_default_place(states, tmp_cwd):
    run = gs.from_torch(states, SPEC)
    assert run.path == Path("runs") / f"sparse_parity-{run.identity[:8]}"
    assert [found.path for found in run_summaries("runs")] == [run.path]
    assert [file.name for file in Path("runs").iterdir()] == [run.path.name]


# --- the command ---


def test_the_command_says_what_it_found(run, states, tmp_cwd, capsys):
    folder_of(Path("them"), states)
    Path("spec.toml").write_text(SPEC_TOML)
    np.savez("data.npz", **own_data())
    words = ["import", "torch", "them", "--task", "spec.toml", "--data", "data.npz", "--out", "run"]
    assert main(words) == 0
    out = capsys.readouterr().out.splitlines()
    assert out == [
        "recognized: linear1, linear2 (as in the two-circuits code); fully_connected, width 8, "
        "activation relu",
        "run: 1 members, 3 snapshots, steps 0 to 40",
    ]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["identity"], found["steps"], found["members"]) == (run.identity, [0, 5, 40], 1)
    for words in (["verify", "run"], ["report", "run"], ["show", "run"], ["runs", "."]):
        assert main(words) == 0
    shown = capsys.readouterr().out
    assert "optimizer not known" in shown
    assert "40 of 40, imported: no replay" in shown
    page = Path("run/report.html").read_text(encoding="utf-8")
    assert "Imported \u00b7 samples \u00b7 fully_connected, 8 neurons \u00b7 " in page
    assert "sgd" not in page
    assert main(["export", "run", "--to", "w.safetensors", "--step", "5"]) == 0
    np.testing.assert_array_equal(load_file("w.safetensors")["hidden_bias"], states[5]["linear1.bias"])
    assert main(["export", "run", "--to", "x.safetensors", "--step", "6"]) == 2
    assert "cannot be replayed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["jax", "them"], "import jax: not known. Allowed: torch."),
        (["tourch", "them"], "import tourch: not known. Did you mean 'torch'?"),
        (["torch", "nowhere", "--task", "spec.toml"], "nowhere: there is no such file or folder."),
        (["torch", "spec.toml", "--task", "spec.toml"], "spec.toml: must be a folder, or end in .pt"),
        (["torch", "them"], "the task of the networks is not known: give a spec with a [task] (--task)"),
        (["torch", "them", "--task", "none.toml"], "none.toml: cannot be read: No such file or directory."),
        (["torch", "them", "--task", "bad.toml"], "bad.toml: not valid TOML"),
        (["torch", "them", "--task", "odd.toml"], "model.widht: no such key. Did you mean 'width'?"),
        (
            ["torch", "them", "--task", "spec.toml", "--data", "no.npz"],
            "--data no.npz: is not an existing file.",
        ),
        (
            ["torch", "them", "--task", "spec.toml", "--data", "spec.toml"],
            "must end in .safetensors or .npz.",
        ),
        (["torch", "them", "--task", "spec.toml", "--data", "x.npz"], "--data x.npz: has none of train_x"),
        (["torch", "them", "--task", "spec.toml", "--map", "no.toml"], "no.toml: cannot be read"),
    ],
)
def test_bad_commands_end_with_one_line(states, tmp_cwd, capsys, words, text):
    folder_of(Path("them"), {0: states[0]})
    Path("spec.toml").write_text(SPEC_TOML)
    Path("bad.toml").write_text("[task")
    Path("odd.toml").write_text(SPEC_TOML + '[model]\nkind = "fully_connected"\nwidht = 3\n')
    np.savez("x.npz", other=np.ones(3))
    before = sorted(Path().iterdir())
    assert main(["import", *words, "--out", "run"]) == 2
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 1
    assert text in err[0]
    assert sorted(Path().iterdir()) == before
