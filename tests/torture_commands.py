"""The commands that are killed, starved of disk, run twice at once: one line each. New ones come here.

A command is begun again after whatever happened to it, with the same words, and must come to the same
end as one that was left alone.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from foreign import SPEC_TOML, folder_of, two_circuits
from grokscope.cli.new import write_template
from nursery import Fault, How, Nursery
from same_bits import assert_same, contents

SPEC = """
epochs = {epochs}
batch_size = 16
measures = ["train_accuracy", "test_accuracy", "neuron_norm", "faithfulness"]
[schedule]
snapshots = "every 2 epochs"
[task]
kind = "sparse_parity"
n = 8
k = 2
n_train = 40
n_test = 20
n_probe = 64
[model]
kind = "fully_connected"
width = 16
"""


@dataclass(frozen=True)
class Command:
    """A command that makes or changes runs.

    Attributes:
        words: with ``SPEC`` (a spec file), ``PAPER`` (a plug-in), ``WEIGHTS`` (a folder of
            them), ``TASK`` (a spec), ``OUT`` (the folder) and ``BRANCH`` (a folder in it) to be filled in.
        after: the command whose result it changes, if any.
        runs: the runs that it makes, below OUT; none: all that there are at the end.
        files: other results, below OUT, of which every byte is compared.
    """

    words: tuple[str, ...]
    after: str = ""
    runs: tuple[str, ...] = (".",)
    files: tuple[str, ...] = ()


COMMANDS = {
    "train": Command(("train", "SPEC", "--seeds", "5,0:2", "--out", "OUT")),
    "measure": Command(("measure", "OUT", "path_norm_total", "sensitivity"), after="train"),
    "extend": Command(
        ("train", "SPEC", "--seeds", "5,0:4", "--out", "OUT", "--set", "epochs=6"), after="train"
    ),
    "branch": Command(
        (
            *("branch", "OUT", "--at", "train_accuracy > 0.4 for 1", "--out", "BRANCH"),
            *("--set", 'interventions=[{kind="clamp", bits="support", at="start + 3"}]'),
        ),
        after="train",
        runs=("branch",),
    ),
    "reproduce": Command(
        ("reproduce", "my_paper", "--plugin", "PAPER", "--profile", "quick", "--seeds", "2", "--out", "OUT"),
        runs=("main",),
        files=("claims.json", "figures/figure-1.svg"),
    ),
    "sweep": Command(
        (*("sweep", "SPEC", "--over", "optimizer.weight_decay=0.01,0.02"), *("--seeds", "2", "--out", "OUT")),
        runs=(),
    ),
    "import": Command(("import", "torch", "WEIGHTS", "--task", "TASK", "--out", "OUT")),
}


@dataclass
class Prepared:
    """A command that was left alone, and how long it took.

    Attributes:
        command: what it is.
        folder: with the files that its words name.
        whole: what each run holds at the end.
        bytes: of the other results.
        seconds: from the beginning of the work to its end, with programs compiled before.
        operations: file operations below OUT.
    """

    name: str
    command: Command
    folder: Path
    whole: dict[str, dict[str, str]]
    bytes: dict[str, bytes]
    seconds: float
    operations: int

    def words(self, out: Path) -> tuple[str, ...]:
        names = {"SPEC": "spec.toml", "TASK": "task.toml", "PAPER": "my_paper.py", "WEIGHTS": "weights"}
        places = {name: str(self.folder / place) for name, place in names.items()}
        places |= {"OUT": str(out), "BRANCH": str(out / "branch")}
        return tuple(places.get(word, word) for word in self.command.words)

    def start_of(self, out: Path) -> Path:
        """An OUT as the command finds it when it is begun for the first time."""
        shutil.rmtree(out, ignore_errors=True)
        if self.command.after:
            shutil.copytree(self.folder / "before", out)
        return out

    def assert_same(self, out: Path) -> None:
        """The results are those of the command that was left alone, and nothing is damaged."""
        for name, whole in self.whole.items():
            assert_same(out / name, whole)
        for name, content in self.bytes.items():
            assert (out / name).read_bytes() == content, name


def prepare(name: str, nursery: Nursery, folder: Path, before: Path | None = None) -> Prepared:
    """Run a command twice without disturbing it: its results, which are the same, and its time.

    Args:
        name: of the command.
        nursery: that runs it.
        folder: for its files.
        before: what the command before it made, if that is known.
    """
    command = COMMANDS[name]
    folder.mkdir(exist_ok=True)
    (folder / "spec.toml").write_text(SPEC.format(epochs=4))
    if not (folder / "my_paper.py").exists():
        write_template("paper", "my_paper", folder)
    found = Prepared(name, command, folder, {}, {}, 0.0, 0)
    (folder / "task.toml").write_text(SPEC_TOML)
    folder_of(folder / "weights", {step: two_circuits(step) for step in (0, 5, 40)})
    if command.after and before is not None:
        shutil.copytree(before, folder / "before")
    elif command.after:
        first = Prepared(command.after, COMMANDS[command.after], folder, {}, {}, 0.0, 0)
        ended = nursery.run(*first.words(folder / "before"))
        assert ended.code == 0, ended.err
    for out in (folder / "whole", folder / "again"):
        found.start_of(out)
        fault = Fault(out.parent, -1, How.FAIL_ONCE) if nursery.faults else None
        ended = nursery.run(*found.words(out), fault=fault)
        assert ended.code == 0, ended.err
        if not found.whole:
            stores = sorted(out.rglob("store"))
            names = command.runs or tuple(str(store.parent.relative_to(out)) for store in stores)
            assert names
            found.whole = {run: contents(out / run) for run in names}
            found.bytes = {file: (out / file).read_bytes() for file in command.files}
    found.assert_same(folder / "again")
    found.seconds, found.operations = ended.seconds, ended.counted
    return found
