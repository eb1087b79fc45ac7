"""Broken and hostile files are refused by name, and leave nothing; nor does an import that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

import grokscope as gs
from foreign import SPEC, folder_of, two_circuits
from grokscope.errors import InputError
from grokscope.progress import SilentProgress
from grokscope.runs import run_summaries, verify

GOOD = {1: two_circuits(1), 3: two_circuits(3)}


def changed(**arrays):
    """The second network with tensors changed, added, or (None) left out; names with _ for dots."""
    names = {name.replace("_", ".", 1): array for name, array in arrays.items()}
    return save({k: v for k, v in {**GOOD[3], **names}.items() if v is not None})


def with_nan(value):
    bias = GOOD[3]["linear1.bias"].copy()
    bias[5] = value
    return changed(linear1_bias=bias)


WHOLE = save(GOOD[3])
BAD_FILES = [
    (b"", "has 0 bytes, fewer than a header needs; it is truncated."),
    (WHOLE[: len(WHOLE) // 2], "it is truncated."),
    (WHOLE[:100], "it is truncated or damaged."),
    (b"\xff" * 7 + b"\x7f" + WHOLE[8:], "its header claims 9223372036854775807 bytes of "),
    (WHOLE.replace(b'"data_offsets":[0,', b'"data_offsets":[1,'), "needs 32 bytes, but has 31."),
    (with_nan(np.nan), "'linear1.bias'[5] is nan; weights must be finite."),
    (with_nan(-np.inf), "'linear1.bias'[5] is -inf; weights must be finite."),
    (changed(linear1_bias=np.arange(8)), "'linear1.bias' holds I64; weights must be of float16, bfloat16, "),
    (changed(linear1_bias=np.ones(8, bool)), "'linear1.bias' holds BOOL; weights must be of"),
    (changed(linear1_bias=np.ones(8)), "has float64 weights, unlike "),
    (
        changed(linear1_bias=np.ones(9, np.float32)),
        "'linear1.bias' [9] gives shape [9], but our 'hidden_bias'",
    ),
    (changed(linear1_bias=np.ones((2, 4), np.float32)), "'linear1.bias' [2, 4] gives shape [2, 4], but our"),
    (changed(linear1_bias=None), "lacks 'linear1.bias', which "),
    (changed(linear3_bias=np.ones(1, np.float32)), "has 'linear3.bias' too, which "),
]


def refused(tmp_path: Path, text: str, named: str = "model_3.safetensors") -> None:
    """The import is refused with a line that names the file, and the folder is as it was."""
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError) as error:
        gs.import_torch(tmp_path / "them", SPEC, out=tmp_path / "run")
    assert named in str(error.value)
    assert text in str(error.value)
    assert "\n" not in str(error.value)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(("content", "text"), BAD_FILES, ids=range(len(BAD_FILES)))
def test_a_bad_file_among_good_ones(tmp_path, content, text):
    folder_of(tmp_path / "them", GOOD)
    (tmp_path / "them" / "model_3.safetensors").write_bytes(content)
    refused(tmp_path, text)


@pytest.mark.parametrize(("content", "text"), BAD_FILES[:6], ids=range(6))
def test_a_bad_file_as_the_first(tmp_path, content, text):
    folder_of(tmp_path / "them", {1: GOOD[1], 3: GOOD[3], 7: GOOD[1]})
    (tmp_path / "them" / "model_1.safetensors").write_bytes(content)
    refused(tmp_path, text, "model_1.safetensors")


def test_links_pipes_and_folders(tmp_path):
    folder = folder_of(tmp_path / "them", GOOD)
    outside = folder_of(tmp_path / "outside", {3: GOOD[3]}) / "model_3.safetensors"
    file = folder / "model_3.safetensors"
    file.unlink()
    file.symlink_to(outside)
    refused(tmp_path, "is a link that leads out of the folder; it is not read.")
    file.unlink()
    file.symlink_to("nowhere")
    refused(tmp_path, "is not a regular file (a broken link, a pipe or a device).")
    file.unlink()
    os.mkfifo(file)
    refused(tmp_path, "is not a regular file (a broken link, a pipe or a device).")
    file.unlink()
    file.symlink_to("model_1.safetensors")  # inside: another name of a file
    run = gs.import_torch(folder, SPEC, out=tmp_path / "run")
    assert run.snapshot_steps == [1, 3]


@pytest.mark.parametrize(
    ("tensors", "text"),
    [
        ({"epoch_1/a": 1, "stray": 1}, "'stray' has no prefix like epoch_3/ or step_96/, as others have"),
        ({"epoch_1/a": 1, "epoch_99999999999999999/a": 1}, "has no prefix like epoch_3/ or step_96/"),
        ({"step_9999999999999/linear1.weight": 1}, "9999999999999 is too large for a step"),
        (
            {"step_1/x": 1, "step_2/x": 1},
            "(step_1): the tensor names fit no known layout. Found: x [1].",
        ),
    ],
)
def test_one_file_with_odd_prefixes(tmp_path, tensors, text):
    file = tmp_path / "all.safetensors"
    file.write_bytes(save({name: np.ones(1, np.float32) for name in tensors}))
    with pytest.raises(InputError) as error:
        gs.import_torch(file, SPEC, out=tmp_path / "run")
    assert text in str(error.value)
    assert sorted(tmp_path.iterdir()) == [file]


def test_the_same_step_in_two_spellings_or_units(tmp_path):
    for first, second in (("step_3", "step_03"), ("step_0", "epoch_0")):
        both = {f"{prefix}/{k}": v for prefix in (first, second) for k, v in GOOD[3].items()}
        (tmp_path / "all.safetensors").write_bytes(save(both))
        with pytest.raises(InputError, match=r"\): is step \d, as .* is already; each step once\."):
            gs.import_torch(tmp_path / "all.safetensors", SPEC, out=tmp_path / "run")


class Stopping(SilentProgress):
    """Stops the work, as Ctrl-C or a fault would, at the first tick of a part of it."""

    def __init__(self, at: str, error: type[BaseException]) -> None:
        self._at, self._error, self._label = at, error, ""

    def start(self, total_steps: int, label: str) -> None:
        self._label = label

    def advance(self, steps: int, note: str = "") -> None:
        if self._label == self._at:
            raise self._error


@pytest.mark.parametrize("at", ["reading", "measuring"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_import_that_is_stopped_leaves_nothing(tmp_path, at, error):
    with pytest.raises(error):
        gs.from_torch(GOOD, SPEC, out=tmp_path / "run", progress=Stopping(at, error))
    assert list(tmp_path.iterdir()) == []


KILLED = """
import sys, time
import grokscope as gs
from foreign import SPEC, two_circuits
def networks():
    for i in range(70):  # the first 64 are committed
        yield i, two_circuits(i)
    print("ready", flush=True)
    time.sleep(600)
gs.from_torch(networks(), SPEC, out=sys.argv[1])
"""


@pytest.mark.slow
def test_an_import_that_is_killed_leaves_no_run_and_the_next_one_cleans_up(tmp_path):
    path = os.pathsep.join([str(Path(__file__).parent.parent), *sys.path])
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "run")],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        [at_work] = tmp_path.iterdir()
        # while it is at work another one may come to the same place, and does not disturb it
        assert gs.from_torch(GOOD, SPEC, out=tmp_path / "other" / "run").is_complete
        assert gs.from_torch({0: GOOD[1]}, SPEC, out=tmp_path / "run").is_complete
        assert at_work.is_dir()
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert (at_work / "store").is_dir()
    assert [found.path.name for found in run_summaries(tmp_path)] == ["run", "run"]
    with pytest.raises(InputError, match="holds another run"):
        gs.from_torch(GOOD, SPEC, out=tmp_path / "run")
    assert not at_work.exists()
    assert verify(tmp_path / "run") == []
