"""Networks recorded from inside a training loop: the run, its resumption, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grokscope as gs
from foreign import SPEC, TASK, WIDTH, N, own_data, predicted, sequential, two_circuits
from grokscope.cli import main
from grokscope.errors import InputError, StoreError
from grokscope.report import LiveReport

STEPS = (0, 10, 20, 40)
MEASURED = {**SPEC, "measures": ["train_accuracy", "test_accuracy", "subnetwork_norm"]}
PLAIN = {**SPEC, "measures": []}  # nothing is compiled


def recorder(out: Path, spec: Any = PLAIN, **options: Any) -> gs.Recorder:
    return gs.Recorder(spec, out, **{"data": own_data(), "commit_seconds": 0.0, **options})


def record(out: Path, steps=STEPS, spec: Any = PLAIN) -> gs.Run:
    with recorder(out, spec) as one:
        for step in steps:
            one(step, sequential(step))
    return one.run


def leave(one: gs.Recorder) -> None:
    """What a kill leaves: the commits so far, and no lock."""
    assert one._store is not None
    one._store.close()
    one._is_closed = True


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> gs.Run:
    """A run that was recorded by three processes: one ends by an error, one is killed."""
    out = tmp_path_factory.mktemp("recorded") / "run"

    def script() -> None:
        with recorder(out, MEASURED, commit_seconds=1000) as one:
            one(0, sequential(0))
            one(10, sequential(10), {"lr": 0.5})
            assert one.run.snapshot_steps == [0]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        script()
    one = recorder(out, MEASURED, commit_seconds=1000)
    assert one.run.snapshot_steps == [0, 10]
    assert not one.run.is_complete
    assert one.last_step == 10
    one(20, sequential(20), {"lr": 0.25, "grad_norm": 3})
    one(30, sequential(30))  # waits, and is lost
    leave(one)
    with recorder(out, MEASURED) as one:
        for step in STEPS:
            one(step, sequential(step), {"lr": 9.0} if step < 40 else None)
    return one.run


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> gs.Run:
    out = tmp_path_factory.mktemp("imported") / "run"
    return gs.from_torch({step: sequential(step) for step in STEPS}, MEASURED, data=own_data(), out=out)


@pytest.mark.slow
def test_it_is_the_run_of_an_import_of_the_same_networks(measured: gs.Run, imported: gs.Run) -> None:
    assert measured.is_complete
    assert measured.is_imported
    assert measured.snapshot_steps == imported.snapshot_steps == list(STEPS)
    ours, theirs = measured.measures, imported.measures
    assert set(theirs) == set(ours) - {"lr", "grad_norm"}
    for name in theirs:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    np.testing.assert_array_equal(measured.subnetworks, imported.subnetworks)
    table, other = (run.experiment.model_dump(mode="json") for run in (measured, imported))
    assert table == other


def test_its_measures_are_those_of_the_networks(measured: gs.Run) -> None:
    data = own_data()
    for step in STEPS:
        correct = predicted(sequential(step), data["train_x"])[:, 0] * data["train_y"] > 0
        assert measured.measures.train_accuracy.sel(step=step).item() == pytest.approx(correct.mean())


def test_numbers_of_the_loop_are_measures_of_the_run(measured: gs.Run, tmp_path: Path) -> None:
    found = measured.measures
    # what is logged at a step that is skipped is not kept
    np.testing.assert_array_equal(found.lr.sel(seed=0), [np.nan, 0.5, 0.25, np.nan])
    np.testing.assert_array_equal(found.grad_norm.sel(seed=0), [np.nan, np.nan, 3, np.nan])
    table = measured.export(tmp_path / "m.csv").read_text().splitlines()
    assert "lr" in table[0].split(",")
    assert len(table) == 5


def test_the_commands_read_it(measured: gs.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(measured.path)
    for words in (
        ["show", run],
        ["measure", run, "weight_norm"],
        ["verify", run],
        ["export", run, "--to", str(tmp_path / "w.safetensors"), "--step", "20"],
        ["report", run, "--watch", "--out", str(tmp_path / "page.html")],
    ):
        assert main(words) == 0, capsys.readouterr().err
    shown = capsys.readouterr()
    assert "40 of 40, imported: no replay" in shown.out
    assert "watch it at http://127.0.0.1:" in shown.err
    weights = sequential(20)
    norm = np.sqrt(sum(np.square(array.astype(np.float64)).sum() for array in weights.values()))
    assert gs.open_run(run).measures.weight_norm.sel(step=20).item() == pytest.approx(norm, rel=1e-6)


def test_the_run_is_read_and_watched_while_it_grows(tmp_path: Path, capsys, monkeypatch) -> None:
    out = tmp_path / "run"
    monkeypatch.chdir(tmp_path)
    with LiveReport(out) as live, recorder(Path("run"), SPEC) as one:
        monkeypatch.chdir(tmp_path.parent)  # the folder stays the one of the beginning
        assert live._data() == ("", b"{}")
        one(0, sequential(0))
        early = gs.open_run(out)
        one(5, sequential(5))
        assert one.run.snapshot_steps == [0, 5]
        assert early.snapshot_steps == [0]
        early.reread()
        assert early.snapshot_steps == [0, 5]
        numbers = json.loads(live._data()[1])
        assert (numbers["done"], numbers["steps"], numbers["complete"]) == (5, 5, False)
        assert numbers["curves"]
        assert main(["show", str(out)]) == 0
        assert "imported: unfinished, no replay" in capsys.readouterr().out
        assert main(["verify", str(out)]) == 0
        with pytest.raises(StoreError, match=f"is being written by process {os.getpid()} "):
            recorder(out, SPEC)
        assert main(["measure", str(out), "weight_norm"]) == 1
    assert json.loads(live._data()[1])["complete"]
    assert main(["report", str(out), str(out), "--watch"]) == 2
    assert capsys.readouterr().err.endswith("grokscope: --watch: is for one run.\n")


def test_a_step_is_recorded_once(tmp_path: Path) -> None:
    out = tmp_path / "run"
    record(out)
    before = gs.open_run(out).version
    with recorder(out) as one:
        one(10, sequential(10))
        with pytest.raises(InputError) as error:
            one(20, sequential(3))
        assert str(error.value) == (
            "step 20: is recorded already, with other weights. If the training was resumed from an earlier "
            "step, drop what was recorded after it: recorder.rewind(STEP)."
        )
        with pytest.raises(InputError, match=r"^step 30: comes after step 40 in the recording; steps must"):
            one(30, sequential(30))
    assert gs.open_run(out).version == before  # and its checksums are as they were
    assert gs.open_run(out).is_complete


def test_a_training_that_is_resumed_from_an_earlier_step(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with recorder(out, SPEC) as one:
        for step in STEPS:
            one(step, sequential(step), {"lr": step})
    with recorder(out, SPEC) as one:
        one.rewind(15)
        assert one.last_step == 10
        found = one.run
        assert not found.is_complete
        assert found.snapshot_steps == found.measures.step.values.tolist() == [0, 10]
        one.rewind(10)  # nothing was recorded after it
        one(30, sequential(3))
        one(35, sequential(30))
        one.rewind(30)  # also in the middle
        one(40, sequential(4))
        with pytest.raises(InputError, match=r"^rewind: no network was recorded at step -1 or before\.$"):
            one.rewind(-1)
    again = one.run
    assert again.snapshot_steps == [0, 10, 30, 40]
    states = {0: sequential(0), 10: sequential(10), 30: sequential(3), 40: sequential(4)}
    fresh = gs.from_torch(states, SPEC, data=own_data(), out=tmp_path / "fresh")
    for name in fresh.measures:
        # the columns of steps 20 and 35 are left, without values
        np.testing.assert_array_equal(again.measures[name].sel(step=[*states]), fresh.measures[name])
        assert np.isnan(again.measures[name].sel(step=[20, 35])).all()
    assert np.isnan(again.measures.lr.sel(step=[20, 30, 40])).all()
    with recorder(out, SPEC) as one:
        one.rewind(30)
    assert again.store().complete.all()
    found = gs.open_run(out)
    assert found.experiment.n_steps == found.steps_done[0] == 30
    assert main(["verify", str(out)]) == 0


@pytest.mark.slow
def test_a_script_that_is_killed_goes_on(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import os, sys
        import grokscope as gs
        from foreign import own_data, sequential
        from test_recorder import PLAIN
        recorder = gs.Recorder(PLAIN, "run", data=own_data(), commit_seconds=float(sys.argv[2]))
        for step in range(0, 30, 5):
            if step == 15 and sys.argv[1] == "kill":
                os.kill(os.getpid(), 9)
            recorder(step, sequential(step))
    """)
    paths = os.pathsep.join([*sys.path, str(Path(__file__).parent)])

    def run(*words: str) -> int:
        command = [sys.executable, "-c", script, *words]
        return subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths}).returncode

    assert run("kill", "0") == -signal.SIGKILL
    assert gs.open_run(tmp_path / "run").snapshot_steps == [0, 5, 10]
    assert run("end", "1000") == 0
    found = gs.open_run(tmp_path / "run")
    assert found.snapshot_steps == [0, 5, 10, 15, 20, 25]  # what waited was stored at the end of the process
    assert not found.is_complete
    recorder(tmp_path / "run").close()
    assert found.store().complete.all()


def test_what_a_killed_commit_leaves_is_measured_later(tmp_path: Path, monkeypatch) -> None:
    def killed(*_: Any) -> None:
        raise MemoryError

    out = tmp_path / "run"
    one = recorder(out, SPEC)
    one(0, sequential(0))
    with monkeypatch.context() as patched:
        patched.setattr("grokscope.runs.recorded.measure_snapshots", killed)
        with pytest.raises(MemoryError):
            one(5, sequential(5))
    leave(one)
    assert np.isnan(gs.open_run(out).measures.train_accuracy.reindex(step=[5])).all()
    with recorder(out, {**SPEC, "measures": [*SPEC["measures"], "weight_norm"]}) as one:
        one(8, sequential(8))
    found = one.run
    assert not np.isnan(found.measures.to_array()).any()  # also the new measure, at all steps
    assert found.measures.sizes["step"] == 3
    assert {m.name for m in found.experiment.measures or ()} >= {"weight_norm"}


def test_the_data_are_those_of_the_task(tmp_path: Path) -> None:
    with gs.Recorder(PLAIN, tmp_path / "run", seed=3) as one:
        one(0, two_circuits(0))
    assert one.data["train_x"].shape == (32, N)
    of_run = one.run.data(3)
    assert set(of_run) == set(one.data)
    for name, array in of_run.items():
        np.testing.assert_array_equal(array, one.data[name], err_msg=name)
    y = one.data["train_x"][:, 0] * one.data["train_x"][:, 1]
    np.testing.assert_array_equal(y, one.data["train_y"])
    assert one.notes[0].startswith("no data were given: measured on the samples that task 'sparse_parity'")
    assert one.notes[-1] == "an epoch is taken to be 1 steps (32 training samples, batch_size 32)."
    given = recorder(tmp_path / "other").data
    np.testing.assert_array_equal(given["test_y"], own_data()["test_y"])


def test_what_others_have_in_their_loops(tmp_path: Path) -> None:
    """JAX arrays by our own names; a network that was compiled; float16."""
    import jax.numpy as jnp

    rng = np.random.default_rng(0)
    shapes = {"hidden_weight": (N, WIDTH), "hidden_bias": (WIDTH,), "output_weight": (WIDTH,)}
    own = {name: jnp.asarray(rng.normal(size=shape), jnp.float32) for name, shape in shapes.items()}
    spec = {**PLAIN, "model": {"kind": "fully_connected", "width": WIDTH}}
    with gs.Recorder(spec, tmp_path / "own", data=own_data()) as one:
        one(np.int64(0), own)
    np.testing.assert_array_equal(one.run.model(step=0).hidden_weight, own["hidden_weight"])
    with recorder(tmp_path / "compiled") as one:
        one(0, sequential(1, prefix="_orig_mod."))
        one(1, {name: array.astype(np.float16) for name, array in sequential(2).items()})
    kept = gs.to_torch(one.run, step=1, numpy=True)
    assert all(array.dtype == np.float32 for array in kept.values())


BAD: list[tuple[str, Any, str]] = [
    ("a table", [1, 2], "step 7: is a list, not an nn.Module or a state dict."),
    ("width", sequential(1, (N, 5, 1)), "step 7: '0.weight' [5, 6] gives shape [6, 5], but our"),
    ("layers", sequential(1, (N, 4, 4, 1)), "step 7: has '4.weight' too, which step 0 has not."),
    ("float64", {k: v.astype(np.float64) for k, v in sequential(1).items()}, "has float64 weights"),
    ("nan", {**sequential(1), "0.bias": np.full(WIDTH, np.nan, np.float32)}, "weights must be finite"),
]


@pytest.mark.parametrize(("what", "model", "message"), BAD, ids=[one[0] for one in BAD])
def test_a_network_that_the_run_cannot_have(tmp_path: Path, what: str, model: Any, message: str) -> None:
    with recorder(tmp_path / "run") as one:
        one(0, sequential(0))
        with pytest.raises(InputError) as error:
            one(7, model)
        assert message in str(error.value)
        assert "\n" not in str(error.value)
        one(8, sequential(8))  # the recorder goes on
    assert one.run.snapshot_steps == [0, 8]


def test_bad_calls(tmp_path: Path) -> None:
    one = recorder(tmp_path / "run")
    for step in (-1, 1.5, True, "3", 10**13):
        with pytest.raises(InputError, match=r"is not a step: a whole number from 0 to 10\^12\.$"):
            one(step, sequential(0))  # type: ignore[arg-type]
    for metrics, message in (
        ({"train_loss": 0.1}, "metrics: 'train_loss' has a meaning in grokscope; choose another name."),
        ({"epoch": 0.1}, "metrics: 'epoch' has a meaning in grokscope; choose another name."),
        ({"a b": 0.1}, "metrics: 'a b' is not a name: letters, digits and _."),
        ({"mine": "high"}, "metrics: mine must be a number, not str."),
    ):
        with pytest.raises(InputError) as error:
            one(0, sequential(0), metrics)  # type: ignore[arg-type]
        assert str(error.value) == message
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match="the tensor names fit no known layout"):
        one(0, {"conv.weight": np.zeros((3, 3, 3, 3), np.float32)})
    with pytest.raises(InputError, match="needs the network at the start, and the first of the imported"):
        recorder(tmp_path / "run", {**SPEC, "measures": ["start_distance"]})(4, sequential(0))
    one.close()  # nothing was recorded
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match="this recorder is closed"):
        one(0, sequential(0))
    with pytest.raises(InputError, match=r"^seeds: -1 is not in 0..2147483647\.$"):
        recorder(tmp_path / "run", seed=-1)
    with pytest.raises(InputError, match=r"^s3://bucket/run: a recording is written to a folder"):
        gs.Recorder(PLAIN, "s3://bucket/run")
    with pytest.raises(InputError, match=r"^Recorder: the task is not known: give a spec with a \[task\]"):
        gs.Recorder(None, tmp_path / "run")


def test_a_folder_that_holds_something_else(tmp_path: Path, measured: gs.Run, imported: gs.Run) -> None:
    with pytest.raises(InputError, match="holds an imported run, or a recording of another seed; choose"):
        recorder(Path(imported.path))
    with pytest.raises(InputError, match="another seed; choose another folder"):
        recorder(Path(measured.path), seed=1)
    other = recorder(Path(measured.path), {"task": {**TASK, "k": 3}}, data=None)
    with pytest.raises(
        InputError, match=r"holds another recording \(its task, data or settings are others\)"
    ):
        other(50, sequential(50))
    other._leave()
    with (
        recorder(Path(measured.path)) as other,
        pytest.raises(InputError, match=r"recording \(of 0\.weight \[8, 6\], .*, not 0\.weight \[5, 6\]"),
    ):
        other(50, sequential(50, (N, 5, 1)))
    assert gs.open_run(measured.path).is_complete
    trained = {**PLAIN, "model": {"kind": "fully_connected", "width": 4}, "steps": 1}
    gs.train(gs.Experiment(**trained), out=tmp_path / "trained")
    with pytest.raises(InputError, match="holds a run that was trained here; choose another folder"):
        recorder(tmp_path / "trained")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="holds other files; choose an empty or a new folder"):
        recorder(tmp_path)


# PyTorch


def torch_parts(seed: int = 0) -> tuple[Any, Any, Any]:
    """A model with dropout, one part of which its user keeps in evaluation mode; its optimizer and inputs."""
    import torch

    torch.manual_seed(seed)
    hidden = torch.nn.Sequential(torch.nn.Linear(N, WIDTH), torch.nn.ReLU(), torch.nn.Dropout(0.2))
    model = torch.nn.Sequential(*hidden, torch.nn.Linear(WIDTH, 1))
    model[1].eval()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    return model, optimizer, {name: torch.tensor(array) for name, array in own_data().items()}


def update(model: Any, optimizer: Any, data: Any) -> float:
    import torch

    loss = torch.relu(1 - data["train_y"] * model(data["train_x"])[:, 0]).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@pytest.mark.slow
@pytest.mark.torch
def test_a_plain_loop(tmp_path: Path) -> None:
    import torch

    spec = {**SPEC, "measures": ["train_accuracy", "test_accuracy", "test_loss"], "loss": "hinge"}
    model, optimizer, data = torch_parts()
    wanted: dict[int, list[float]] = {}
    with recorder(tmp_path / "run", spec, commit_seconds=1000) as one:
        for step in range(6):
            one(step, model, {"train_loss_with_dropout": 0.0})
            assert [part.training for part in model] == [True, False, True, True]
            with torch.no_grad():
                outputs = torch.nn.Sequential(*model[:2], model[3])(data["test_x"])[:, 0]
            margins = data["test_y"] * outputs
            wanted[step] = [(margins > 0).float().mean().item(), torch.relu(1 - margins).mean().item()]
            update(model, optimizer, data)
    found = one.run.measures.sel(seed=0)
    np.testing.assert_allclose(found.test_accuracy, [w[0] for w in wanted.values()], atol=1e-6)
    np.testing.assert_allclose(found.test_loss, [w[1] for w in wanted.values()], rtol=1e-6)
    assert one.run.experiment.model.activation == "relu"
    alone, optimizer, data = torch_parts()
    for _ in range(6):
        update(alone, optimizer, data)
    for ours, theirs in zip(model.parameters(), alone.parameters(), strict=True):
        assert torch.equal(ours, theirs)  # recording changes no bit of the training


@pytest.mark.torch
def test_a_compiled_model(tmp_path: Path) -> None:
    """With a backend that runs the graph as it is: no C++ compiler is needed, the wrapper is the same."""
    import torch

    torch._dynamo.reset()
    model, optimizer, data = torch_parts()
    graphs: list[Any] = []

    def eager(graph: Any, inputs: Any) -> Any:
        del inputs
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(model, backend=eager)
    update(compiled, optimizer, data)
    before = len(graphs)
    assert before
    with recorder(tmp_path / "run", PLAIN) as one:
        for step in range(3):
            one(step, compiled)
            update(compiled, optimizer, data)
    assert one.run.snapshot_steps == [0, 1, 2]
    assert len(graphs) == before  # comparing the predictions compiles nothing
    weights = one.run.model(step=2)
    assert weights.activation == "relu"


@pytest.mark.torch
def test_a_callback_as_lightning_calls_it(tmp_path: Path) -> None:
    import torch

    class Record:
        """A ``lightning.Callback``, but for its base class."""

        def __init__(self, one: gs.Recorder, every: int) -> None:
            self.one, self.every = one, every

        def on_train_start(self, trainer: Any, module: Any) -> None:
            self.one(trainer.global_step, module)

        def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, i: int) -> None:
            if trainer.global_step % self.every == 0:
                self.one(trainer.global_step, module, {"batch_loss_seen": outputs["loss"]})

        def on_train_end(self, trainer: Any, module: Any) -> None:
            self.one.close()

    class Module(torch.nn.Module):
        """A ``LightningModule``: the network is one of its attributes."""

        def __init__(self, network: Any) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Any) -> Any:
            return self.network(x)

    class Trainer:
        global_step = 0

        def fit(self, module: Any, optimizer: Any, data: Any, callback: Any) -> None:
            callback.on_train_start(self, module)
            for i in range(6):
                loss = update(module, optimizer, data)
                self.global_step += 1
                callback.on_train_batch_end(self, module, {"loss": torch.tensor(loss)}, data, i)
            callback.on_train_end(self, module)

    network, optimizer, data = torch_parts()
    one = recorder(tmp_path / "run")
    Trainer().fit(Module(network), optimizer, data, Record(one, every=3))
    assert one.run.is_complete
    assert one.run.snapshot_steps == [0, 3, 6]
    assert one.run.measures.batch_loss_seen.sizes["step"] == 2
    kept = gs.to_torch(one.run, step=6, numpy=True)
    assert any(np.array_equal(array, network[0].weight.detach().T) for array in kept.values())


@pytest.mark.torch
def test_a_module_that_computes_something_else_is_refused(tmp_path: Path) -> None:
    import torch

    class Other(torch.nn.Sequential):
        def forward(self, x: Any) -> Any:
            return super().forward(x) + 1

    with pytest.raises(InputError, match=r"^step 0: our network does not predict what the module does"):
        recorder(tmp_path / "run")(
            0, Other(torch.nn.Linear(N, WIDTH), torch.nn.ReLU(), torch.nn.Linear(WIDTH, 1))
        )
    assert not (tmp_path / "run").exists()
