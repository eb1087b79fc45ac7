"""PyTorch's own files and modules, in and out."""

from __future__ import annotations

import gc
import os
import pickle
import re
import resource
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import grokscope as gs
from foreign import SPEC, SPEC_TOML, WIDTH, N, own_data, two_circuits
from grokscope.cli import main
from grokscope.errors import InputError
from grokscope.interop import _archive, _torch

STATE = two_circuits(3)


def tensors(seed=3):
    import torch

    return {name: torch.tensor(array) for name, array in two_circuits(seed).items()}


@pytest.fixture
def folder(tmp_path):
    """A folder with one good checkpoint; the other is up to the test."""
    import torch

    (tmp_path / "them").mkdir()
    torch.save(tensors(1), tmp_path / "them" / "net_1.pt")
    return tmp_path / "them"


def test_without_torch_the_error_says_what_to_install(tmp_cwd, capsys, monkeypatch):
    monkeypatch.setattr("grokscope.interop._torch.importlib.util.find_spec", lambda name: None)
    Path("spec.toml").write_text(SPEC_TOML)
    Path("net_1.pt").write_bytes(b"PK")
    assert main(["import", "torch", "net_1.pt", "--task", "spec.toml", "--out", "run"]) == 2
    assert capsys.readouterr().err == ("grokscope: net_1.pt: needs PyTorch: pip install grokscope[torch]\n")
    run = gs.from_torch(STATE, {**SPEC, "measures": []}, out="run")
    with pytest.raises(InputError) as error:
        gs.to_torch(run)
    assert str(error.value) == "to_torch (without numpy=True) needs PyTorch: pip install grokscope[torch]"
    np.testing.assert_array_equal(gs.to_torch(run, numpy=True)["hidden_bias"], STATE["linear1.bias"])
    assert main(["export", "run", "--to", "w.safetensors", "--torch-module", "net.py"]) == 0
    compile(Path("net.py").read_text(), "net.py", "exec")


def saved_plain(torch, file):
    torch.save(tensors(), file)


def saved_in_a_checkpoint(torch, file):
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))])
    table = {"epoch": 3, "model_state_dict": tensors(), "optimizer_state_dict": optimizer.state_dict()}
    torch.save(table, file)


def saved_as_lightning_does(torch, file):
    torch.save({"state_dict": tensors(), "global_step": 3}, file)


def saved_from_data_parallel(torch, file):
    torch.save({f"module.{name}": tensor for name, tensor in tensors().items()}, file)


def saved_as_parameters(torch, file):
    torch.save({name: torch.nn.Parameter(tensor) for name, tensor in tensors().items()}, file)


def saved_as_views(torch, file):
    """Tensors that lie in one storage, and turned ones."""
    weights = torch.zeros(3, N, WIDTH)
    weights[1] = tensors()["linear1.weight"].T
    torch.save({**tensors(), "linear1.weight": weights[1].T}, file)


SAVED = [
    saved_plain,
    saved_in_a_checkpoint,
    saved_as_lightning_does,
    saved_from_data_parallel,
    saved_as_parameters,
    saved_as_views,
]


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize("save", SAVED)
@pytest.mark.parametrize("suffix", ["pt", "pth"])
def test_what_people_save(folder, tmp_path, save, suffix):
    import torch

    (folder / "net_1.pt").rename(folder / f"net_1.{suffix}")
    save(torch, folder / f"net_3.{suffix}")
    run = gs.import_torch(folder, {**SPEC, "measures": []}, out=tmp_path / "run")
    assert run.snapshot_steps == [1, 3]
    network = run.model()
    np.testing.assert_array_equal(network.hidden_weight, STATE["linear1.weight"].T)
    np.testing.assert_array_equal(network.output_weight, STATE["linear2.weight"][0])


@pytest.mark.torch
def test_a_step_inside_is_trusted_before_the_name_and_it_is_said(folder, tmp_path):
    import torch

    spec = {**SPEC, "measures": []}
    torch.save({"net": tensors(), "global_step": 7, "lr": 0.1}, folder / "net_3.pt")
    run = gs.import_torch(folder, spec, out=tmp_path / "run")
    assert run.snapshot_steps == [1, 7]
    notes = run.provenance["imported"]["notes"]
    assert f"{folder / 'net_3.pt'}: the file says step 7, but its name says step 3; step 7 is taken." in notes
    assert f"not read of the files of {folder}: lr." in notes
    # what all files say alike is not their step
    torch.save({"net": tensors(), "epoch": 0}, folder / "net_3.pt")
    torch.save({"net": tensors(1), "epoch": 0}, folder / "net_1.pt")
    run = gs.import_torch(folder, {**spec, "batch_size": "full"}, out=tmp_path / "alike")
    assert run.snapshot_steps == [1, 3]
    notes = run.provenance["imported"]["notes"]
    assert "several files say the same step inside: the steps of their names are taken." in notes


@pytest.mark.torch
def test_half_precision_is_widened(folder, tmp_path):
    import torch

    torch.save({name: t.bfloat16() for name, t in tensors().items()}, folder / "net_3.pt")
    run = gs.import_torch(folder, {**SPEC, "measures": []}, out=tmp_path / "run")
    wanted = tensors()["linear1.bias"].bfloat16().float().numpy()
    np.testing.assert_array_equal(run.model().hidden_bias, wanted)


@pytest.mark.torch
def test_many_state_dicts_in_one_file(tmp_path):
    import torch

    listed = {"epochs": [0, 10], "state_dicts": [tensors(0), tensors(10)], "config": {"lr": 0.1}}
    torch.save(listed, tmp_path / "full_run_data.pth")
    flat = {f"epoch_{e}/{k}": v for e in (0, 10) for k, v in tensors(e).items()}
    torch.save({**flat, **{k: torch.tensor(v) for k, v in own_data().items()}}, tmp_path / "flat.pt")
    spec = {**SPEC, "measures": ["train_accuracy"]}
    first = gs.import_torch(tmp_path / "full_run_data.pth", spec, data=own_data(), out=tmp_path / "a")
    second = gs.import_torch(tmp_path / "flat.pt", spec, out=tmp_path / "b")
    assert first.snapshot_steps == second.snapshot_steps == [0, 10]
    assert first.identity == second.identity
    for change, text in (
        ({"epochs": [0]}, "its 2 state_dicts do not have a whole number each in epochs."),
        ({"epochs": [0, 0]}, "is step 0, as "),
        ({"state_dicts": [1, 2]}, "holds a dict, and no state dict in it"),
        ({"state_dicts": [], "epochs": []}, "It has epochs, state_dicts, config."),
    ):
        torch.save({**listed, **change}, tmp_path / "full_run_data.pth")
        with pytest.raises(InputError, match=re.escape(text)):
            gs.import_torch(tmp_path / "full_run_data.pth", spec, out=tmp_path / "c")
    assert not (tmp_path / "c").exists()


@pytest.mark.torch
def test_the_command_asks_which_state_dict_is_meant(folder, tmp_path, capsys):
    import torch

    for step in (1, 3):
        torch.save({"model": tensors(step), "ema": {"net": tensors(step + 10)}}, folder / f"net_{step}.pt")
    (tmp_path / "spec.toml").write_text(SPEC_TOML.replace('"train_accuracy", "test_accuracy"', ""))
    words = ["import", "torch", folder, "--task", tmp_path / "spec.toml", "--out", tmp_path / "run"]
    assert main([str(word) for word in words]) == 2
    [error] = capsys.readouterr().err.splitlines()
    assert error == (
        f"grokscope: {folder / 'net_1.pt'}: holds several tables of tensors: model (3 tensors), ema.net (3 "
        "tensors). Say which is meant, for example --key model."
    )
    assert main([*(str(word) for word in words), "--key", "ema"]) == 0
    assert f"not read of the files of {folder}: model." in capsys.readouterr().err
    network = gs.open_run(tmp_path / "run").model(step=3)
    np.testing.assert_array_equal(network.hidden_bias, two_circuits(13)["linear1.bias"])


# --- hostile files ---


class Runs:
    """What leaves a trace if it is ever unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


def code(torch, file, trace):
    torch.save({**tensors(), "x": Runs(trace)}, file)


def code_in_the_old_format(torch, file, trace):
    torch.save({**tensors(), "x": Runs(trace)}, file, _use_new_zipfile_serialization=False)


def a_bare_pickle(torch, file, trace):
    file.write_bytes(pickle.dumps(Runs(trace)))


def a_pickle_in_an_archive(torch, file, trace):
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("net/data.pkl", pickle.dumps(Runs(trace)))
        archive.writestr("net/version", "3\n")


def a_whole_module(torch, file, trace):
    torch.save(torch.nn.Linear(N, WIDTH), file)


def a_list(torch, file, trace):
    torch.save([1, 2], file)


def truncated(torch, file, trace):
    torch.save(tensors(), file)
    file.write_bytes(file.read_bytes()[:-100])


def nothing(torch, file, trace):
    file.touch()


def rezipped(torch, file, change):
    torch.save(tensors(), file)
    with zipfile.ZipFile(file) as archive:
        members = [(info, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(file, "w") as archive:
        for info, content in members:
            change(archive, info, content)


def going_up(torch, file, trace):
    def change(archive, info, content):
        archive.writestr(info.filename.replace("/data/0", f"/../../../{trace.name}"), content)

    rezipped(torch, file, change)


def absolute(torch, file, trace):
    def change(archive, info, content):
        archive.writestr(f"{trace}" if info.filename.endswith("/data/0") else info.filename, content)

    rezipped(torch, file, change)


def with_a_link(torch, file, trace):
    def change(archive, info, content):
        if info.filename.endswith("/data/0"):
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            content = b"/etc/passwd"
        archive.writestr(info, content)

    rezipped(torch, file, change)


def compressed(torch, file, trace):
    rezipped(torch, file, lambda a, i, c: a.writestr(i.filename, c, compress_type=zipfile.ZIP_DEFLATED))


def a_member_twice(torch, file, trace):
    def change(archive, info, content):
        archive.writestr(info.filename, content)
        if info.filename.endswith("data.pkl"):
            with pytest.warns(UserWarning, match="Duplicate name"):
                archive.writestr(info.filename, content)

    rezipped(torch, file, change)


def fewer_bytes_than_it_says(torch, file, trace):
    rezipped(torch, file, lambda a, i, c: a.writestr(i.filename, c[:8] if "/data/0" in i.filename else c))


def more_numbers_than_bytes(torch, file, trace):
    torch.save({**tensors(), "linear1.bias": torch.zeros(1).expand(10**12)}, file)


def sparse(torch, file, trace):
    torch.save({**tensors(), "linear1.bias": torch.ones(WIDTH).to_sparse()}, file)


def complex_numbers(torch, file, trace):
    torch.save({**tensors(), "linear1.bias": torch.ones(WIDTH, dtype=torch.complex64)}, file)


def not_a_number(torch, file, trace):
    torch.save({**tensors(), "linear1.bias": torch.full((WIDTH,), float("nan"))}, file)


def numbers_for_names(torch, file, trace):
    torch.save({0: torch.ones(3)}, file)


def code_in_a_list(torch, file, trace):
    torch.save({"checkpoints": [tensors(), {**tensors(), "x": Runs(trace)}], "epochs": [0, 1]}, file)


def torch_script(torch, file, trace):
    with zipfile.ZipFile(file, "w") as archive:  # as torch.jit.save does, which is deprecated
        for member in ("data.pkl", "constants.pkl", "version"):
            archive.writestr(f"net/{member}", b"")
        code = "class Net(Module):\n"
        archive.writestr("net/code/__torch__.py", code, compress_type=zipfile.ZIP_DEFLATED)


def one_storage_by_many_names(torch, file, trace):
    torch.save(dict.fromkeys((f"{i}.weight" for i in range(500)), torch.zeros(1000, 1000)), file)


def pickled(file, content):
    """An archive whose pickle is given, byte by byte."""
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("net/data.pkl", b"\x80\x02" + content + b".")
        archive.writestr("net/version", "3\n")
        archive.writestr("net/byteorder", "little")


def a_bytearray(torch, file, trace):
    pickled(file, b"cbuiltins\nbytearray\n" + b"J" + (2**31 - 1).to_bytes(4, "little") + b"\x85R")


def empty_lists_without_end(torch, file, trace):
    pickled(file, b"]" * 2**25)


def text(characters):
    return b"X" + len(characters).to_bytes(4, "little") + characters


def a_text_encoded_again_and_again(torch, file, trace):
    start = b"c_codecs\nencode\nq\x00" + text(b"x" * 2**20) + text(b"latin1") + b"\x86q\x01R"
    pickled(file, b"]" + b"(" + start + b"h\x00h\x01R" * 2**12 + b"e")


def bytes_encoded_again_and_again(torch, file, trace):
    start = b"c_codecs\nencode\nq\x00" + text(b"x" * 2**10) + text(b"latin1") + b"\x86R"
    pickled(file, b"c_codecs\nencode\n" * 30 + start + (text(b"hex") + b"\x86R") * 30)


def a_set_of_a_list_again_and_again(torch, file, trace):
    numbers = b"".join(b"M" + i.to_bytes(2, "little") for i in range(2**15))
    start = b"cbuiltins\nset\nq\x00](" + numbers + b"e"
    pickled(file, b"(" + start + b"\x85q\x01R" + b"h\x00h\x01R" * 2**12 + b"t")


NOT_SAVED = "is not a file of torch.save (a zip archive), or is truncated."
RUNS = "and loading it would run code from the file; that is never done. Save model.state_dict() instead."
HOSTILE = [
    (code, RUNS),
    (code_in_the_old_format, NOT_SAVED),
    (a_bare_pickle, NOT_SAVED),
    (a_pickle_in_an_archive, RUNS),
    (a_whole_module, "holds more than tensors (torch.nn.modules.linear.Linear), " + RUNS),
    (a_list, "holds a list, and no state dict in it"),
    (truncated, NOT_SAVED),
    (nothing, NOT_SAVED),
    (going_up, "points out of the archive; it is not read."),
    (absolute, "points out of the archive; it is not read."),
    (with_a_link, "/data/0' is a link; it is not read."),
    (compressed, "is compressed or encrypted; it is not read."),
    (a_member_twice, "data.pkl' is there twice; it is not read."),
    (fewer_bytes_than_it_says, "cannot be loaded: "),
    (more_numbers_than_bytes, "'linear1.bias' claims 4000000000000 bytes, more than are there."),
    (sparse, "'linear1.bias': cannot be read as an array: "),
    (
        complex_numbers,
        "'linear1.bias' holds complex64; weights must be of float16, bfloat16, float32, float64",
    ),
    (not_a_number, "'linear1.bias'[0] is nan; weights must be finite."),
    (code_in_a_list, RUNS),
    (torch_script, "is TorchScript (torch.jit.save), which holds code; code is never run."),
    (one_storage_by_many_names, "its tensors claim 2000000000 bytes, more than twice those of the file."),
    (a_bytearray, "holds a bytearray, as no state dict does; it is not read."),
    (empty_lists_without_end, "what is not a tensor in it needs more than 128 MB"),
    (a_text_encoded_again_and_again, "what is not a tensor in it needs more than 128 MB"),
    (bytes_encoded_again_and_again, "what is not a tensor in it needs more than 128 MB"),
    (a_set_of_a_list_again_and_again, "what is not a tensor in it needs more than 128 MB"),
    (numbers_for_names, "tensor names must be strings, but one is 0."),
]


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize(("write", "text"), HOSTILE, ids=lambda item: getattr(item, "__name__", ""))
def test_hostile_files_run_nothing_and_leave_nothing(folder, tmp_path, write, text):
    import torch

    trace = tmp_path / "trace"
    write(torch, folder / "net_3.pt", trace)
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError) as error:
        gs.import_torch(folder, SPEC, out=tmp_path / "run")
    rose = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024  # bytes, on Linux
    assert rose < 2 * (folder / "net_3.pt").stat().st_size + 2**28 or sys.platform != "linux"
    assert str(error.value).startswith(f"{folder / 'net_3.pt'}: ")
    assert text in str(error.value)
    assert "\n" not in str(error.value)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["them"]  # no trace, no run, nothing unpacked


@pytest.mark.torch
def test_the_trace_would_be_seen(tmp_path):
    """The test above can fail: unpickling makes the folder that it looks for."""
    pickle.loads(pickle.dumps(Runs(tmp_path / "trace")))
    assert (tmp_path / "trace").is_dir()


@pytest.mark.torch
def test_a_table_of_contents_without_end_is_not_read(folder, monkeypatch):
    monkeypatch.setattr(_archive, "_MAX_PICKLE_BYTES", 10)
    with pytest.raises(InputError, match=r"net_1\.pt: its table of contents has \d+ bytes; it is not read"):
        _torch.load_pt(folder / "net_1.pt")


@pytest.mark.torch
def test_large_files_are_mapped(folder, monkeypatch):
    monkeypatch.setattr(_torch, "_MMAP_BYTES", 0)
    found = _torch.load_pt(folder / "net_1.pt")
    np.testing.assert_array_equal(found["linear1.bias"].numpy(), two_circuits(1)["linear1.bias"])


# --- modules ---


def net(*activations, width=WIDTH):
    import torch

    torch.manual_seed(0)
    layers = [torch.nn.Linear(N, width)]
    for activation in activations:
        layers += [activation, torch.nn.Linear(width, width)]
    layers[-1] = torch.nn.Linear(width, 1)
    return torch.nn.Sequential(*layers)


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize("activation", ["ReLU", "Tanh", "GELU", "GELU-tanh"])
@pytest.mark.parametrize("layers", [1, 2])
def test_a_module_comes_in_and_goes_out_and_predicts_the_same(tmp_path, activation, layers):
    import torch

    kind, _, approximate = activation.partition("-")
    options = {"approximate": approximate or "none"} if kind == "GELU" else {}
    module = net(*(getattr(torch.nn, kind)(**options) for _ in range(layers))).double()
    module.train()
    run = gs.from_torch(module, {**SPEC, "measures": ["weight_norm"]}, step=5, out=tmp_path / "run")
    assert module.training
    assert run.experiment.model.kind == "mlp"
    out = gs.to_torch(run, seed=0, step=5)
    assert isinstance(out, torch.nn.Module)
    assert not out.training
    x = torch.randn(50, N, dtype=torch.float64)
    torch.testing.assert_close(out(x), module(x)[:, 0], rtol=1e-12, atol=1e-12)
    again = gs.from_torch(out, run.experiment, step=5, out=tmp_path / "again")
    assert again.identity == run.identity


@pytest.mark.slow
@pytest.mark.torch
def test_modules_by_step_and_what_they_predict(tmp_path):
    import torch

    module = net(torch.nn.ReLU())
    kept = {}

    def trained():
        """A training loop that yields the module that it goes on to change."""
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        x = torch.tensor(own_data()["train_x"])
        for step in range(3):
            kept[step] = module[0].bias.detach().clone()
            yield step, module
            module(x).square().mean().backward()
            optimizer.step()

    data = {name: torch.tensor(array) for name, array in own_data().items()}
    run = gs.from_torch(trained(), SPEC, data=data, out=tmp_path / "run")
    assert run.snapshot_steps == [0, 1, 2]
    for step, bias in kept.items():
        np.testing.assert_array_equal(run.model(step=step).hidden_bias, bias)
    assert not np.array_equal(kept[0], kept[2])


def twice(torch):
    class Twice(torch.nn.Sequential):
        """Its layers are not all that it does."""

        def forward(self, x):
            return 2 * super().forward(x)

    return Twice(*net(torch.nn.ReLU()))


BAD_MODULES = [
    (lambda torch: net(torch.nn.ReLU(), torch.nn.Tanh()), {}, "has several activations (relu, tanh)"),
    (
        lambda torch: net(torch.nn.SiLU()),
        {},
        "our network does not predict what the module does (they differ by",
    ),
    (twice, {}, "our network does not predict what the module does"),
    (lambda torch: net(torch.nn.Tanh()), {"model": {"activation": "relu"}}, "Is its activation another"),
    (
        lambda torch: torch.nn.Bilinear(N, N, 1),
        {},
        "the tensor names fit no known layout. Found: weight",
    ),
]


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize(("make", "spec", "text"), BAD_MODULES, ids=range(len(BAD_MODULES)))
def test_a_module_that_ours_does_not_equal(tmp_path, make, spec, text):
    import torch

    with pytest.raises(InputError) as error:
        gs.from_torch(make(torch), {**SPEC, **spec}, out=tmp_path / "run")
    assert text in str(error.value)
    assert list(tmp_path.iterdir()) == []


LOADED = """
import sys, numpy as np, torch
from net import load
network = load("w.safetensors")
assert "grokscope" not in sys.modules and "jax" not in sys.modules
x = torch.from_numpy(np.load("x.npy"))
with torch.no_grad():
    np.save("single.npy", network(x).numpy())
    np.save("double.npy", network.double()(x.double()).numpy())
"""


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize("kind", ["fully_connected", "mlp"])
def test_the_exported_module_stands_alone_and_predicts_the_same_on_10000_inputs(tmp_cwd, kind):
    import jax
    import jax.numpy as jnp

    width = 300
    rng = np.random.default_rng(5)
    state = {
        "linear1.weight": rng.uniform(-0.16, 0.16, (width, 40)).astype(np.float32),
        "linear1.bias": rng.uniform(-0.16, 0.16, width).astype(np.float32),
        "linear2.weight": rng.uniform(-0.06, 0.06, (1, width)).astype(np.float32),
    }
    if kind == "mlp":
        state["linear2.bias"] = np.full(1, 0.3, np.float32)
    spec = {"task": {"kind": "sparse_parity", "n": 40, "k": 3}, "measures": []}
    run = gs.from_torch(state, spec, step=9, out="run")
    words = ["--seed", "0", "--step", "9", "--to", "w.safetensors", "--torch-module", "net.py"]
    assert main(["export", "run", *words]) == 0
    x = rng.choice(np.array([-1.0, 1.0], np.float32), (10_000, 40))
    np.save("x.npy", x)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", LOADED], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    network = run.model(step=9)
    ours = np.asarray(network(jnp.asarray(x)))
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf), jnp.float64), network)
        exact = np.asarray(wide(jnp.asarray(x, jnp.float64)))
    np.testing.assert_allclose(np.load("double.npy"), exact, rtol=0, atol=1e-12)
    # 300 terms are summed in another order
    np.testing.assert_allclose(np.load("single.npy"), ours, rtol=0, atol=1e-6)


def test_targets_of_the_module_are_checked_first(tmp_cwd, capsys):
    gs.from_torch(STATE, {**SPEC, "measures": []}, out="run")
    Path("there.py").write_text("mine")
    Path("w.safetensors").unlink(missing_ok=True)
    for words, text in (
        (["--to", "a.csv", "--torch-module", "a.py"], "--torch-module a.py: is for weights; write a"),
        (["--to", "w.safetensors", "--torch-module", "a.txt"], "must be a Python file that can be imported"),
        (["--to", "w.safetensors", "--torch-module", "a-b.py"], "must be a Python file that can be imported"),
        (["--to", "w.safetensors", "--torch-module", "no/a.py"], "its folder does not exist"),
        (
            ["--to", "w.safetensors", "--torch-module", "there.py"],
            "there.py: exists; add --force to replace it.",
        ),
    ):
        assert main(["export", "run", *words]) == 2
        assert text in capsys.readouterr().err
    assert sorted(file.name for file in Path().iterdir()) == ["run", "there.py"]
    words = ["--to", "w.safetensors", "--torch-module", "there.py", "--force"]
    assert main(["export", "run", *words]) == 0
    assert "class Network(nn.Module):" in Path("there.py").read_text()


def test_a_network_that_no_source_is_known_for():
    from grokscope.interop.torch_out import module_source

    with pytest.raises(
        InputError, match="there is no PyTorch source for networks of kind 'dict'; known: Lay"
    ):
        module_source({}, {})


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize(
    "model",
    [
        {"kind": "fully_connected", "width": 3, "activation": "sine"},
        {"kind": "fully_connected", "width": 3, "activation": "cubic"},
        {"kind": "mlp", "widths": [3], "activation": "quartic"},
        {"kind": "polynet", "degree": 3},
    ],
    ids=str,
)
def test_the_module_of_a_network_predicts_the_same(model):
    import jax
    import torch

    from grokscope.interop.torch_out import module_source, named_arrays
    from grokscope.spec.parts import part_of

    network = part_of("model", model).network(jax.random.key(0), (5,), 1)
    arrays, space = named_arrays(network), {}
    exec(module_source(network, arrays), space)
    module = space["Network"]()
    module.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()})
    x = np.sign(np.random.default_rng(0).normal(size=(9, 5))).astype(np.float32)
    np.testing.assert_allclose(
        module(torch.tensor(x)).detach().numpy(), network(jax.numpy.asarray(x)), rtol=1e-5, atol=1e-6
    )
