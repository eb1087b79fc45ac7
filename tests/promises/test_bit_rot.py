"""Promise 3: one flipped bit in any file of a finished run is found; what is missing is never made up."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import grokscope as gs
from grokscope.cli import main
from grokscope.errors import GrokscopeError
from grokscope.runs import verify
from grokscope.store.open import open_store
from grokscope.tasks.arrays import Arrays
from same_bits import contents

LOCK = ".lock"  # empty: it has no bit to flip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with all that a run can hold: measures, subnetworks, snapshots, arrays of the user's own."""
    rng = np.random.default_rng(0)
    x = rng.choice([-1.0, 1.0], (60, 6)).astype(np.float32)
    y = x[:, 0] * x[:, 1]
    experiment = gs.Experiment(
        task=Arrays.from_numpy(train_x=x[:40], train_y=y[:40], test_x=x[40:], test_y=y[40:]),
        model={"kind": "fully_connected", "width": 300},
        epochs=3,
        batch_size=16,
        measures=["train_accuracy", "neuron_norm", "faithfulness"],
        schedule={"snapshots": "epochs"},
    )
    folder = tmp_path_factory.mktemp("finished") / "run"
    gs.train(experiment, seeds=3, out=folder)
    assert verify(folder) == []
    return folder


def files_of(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file() and file.name != LOCK)


def flip(file: Path, bit: int) -> bytes:
    """Flip a bit; returns what was there."""
    sound = file.read_bytes()
    damaged = bytearray(sound)
    damaged[bit // 8] ^= 1 << bit % 8
    file.write_bytes(damaged)
    return sound


@pytest.mark.slow
def test_flipped_bits(torture, finished):
    """Every file in turn, a bit drawn from all of its bits."""
    files = files_of(finished)
    rng, silent, by_file = torture.rng(), [], dict.fromkeys(files, 0)
    total = torture.count(3 * len(files), 1000)
    flips = 0
    while flips < total and torture.in_time:
        file = files[flips % len(files)]
        bit = rng.randrange(8 * file.stat().st_size)
        sound = flip(file, bit)
        name = file.relative_to(finished).as_posix()
        found = verify(finished)
        file.write_bytes(sound)
        if [(problem.file, problem.is_damage) for problem in found] != [(name, True)]:
            silent.append(f"bit {bit} of {name}: {[str(problem) for problem in found]}")
        by_file[file] += 1
        flips += 1
    torture.failures += silent
    assert verify(finished) == []
    torture.done(
        flips,
        f"single-bit flips over {len(files)} files",
        f"{len(silent)} silent",
        fewest=min(by_file.values()),
    )


def test_flipped_bits_through_the_command(torture, finished, capsys):
    """`grokscope verify`: exit code 1 and the file's name."""
    files, rng, total = files_of(finished), torture.rng(), torture.count(5, 50)
    for _ in range(total):
        file = rng.choice(files)
        sound = flip(file, rng.randrange(8 * file.stat().st_size))
        code, said = main(["verify", str(finished)]), capsys.readouterr()
        file.write_bytes(sound)
        name = str(file.relative_to(finished))
        torture.check(code == 1 and name in said.out and "Traceback" not in said.err, f"{name}: {code}")
    torture.done(total, "flips, verified by the command", f"{len(torture.failures)} not found")


def test_flipped_bits_and_reading(torture, finished):
    """Without `verify` too, what is read is what was written, or an error."""
    files, rng, whole = files_of(finished), torture.rng(), contents(finished)
    total, refused, flips = torture.count(15, 300), 0, 0
    while flips < total and torture.in_time:
        file = files[flips % len(files)]
        bit = rng.randrange(8 * file.stat().st_size)
        sound = flip(file, bit)
        try:
            same = contents(finished) == whole
            torture.check(same, f"bit {bit} of {file.relative_to(finished)}: other numbers, and no error")
        except GrokscopeError:
            refused += 1
        finally:
            file.write_bytes(sound)
        flips += 1
    torture.done(
        flips, "flips, then everything read", f"{len(torture.failures)} wrong numbers", refused=refused
    )


def test_other_damage_to_files(torture, finished, tmp_path):
    """Cut short, longer, empty, missing, two exchanged; a file more."""
    files = files_of(finished)
    total, tried = torture.count(18, 400), 0
    rng = torture.rng()
    while tried < total and torture.in_time:
        file, how = rng.choice(files), ("cut", "longer", "empty", "missing", "exchanged", "extra")[tried % 6]
        other = rng.choice([f for f in files if f != file])
        sound, others = file.read_bytes(), other.read_bytes()
        extra = finished / "store" / "chunks" / "EXTRA"
        if how == "cut":
            file.write_bytes(sound[: rng.randrange(len(sound))])
        elif how == "longer":
            file.write_bytes(sound + rng.randbytes(rng.randint(1, 9)))
        elif how == "empty":
            file.write_bytes(b"")
        elif how == "missing":
            file.unlink()
        elif how == "exchanged":
            file.write_bytes(others), other.write_bytes(sound)
        else:
            extra.write_bytes(sound)
        found = [problem for problem in verify(finished) if problem.is_damage]
        name = file.relative_to(finished).as_posix()
        # without its checksums a run says that it is not finished; then what protects itself is compared
        unfinished = how == "missing" and name == "checksums.json"
        torture.check(bool(found) != unfinished, f"{name} {how}: {[str(problem) for problem in found]}")
        file.write_bytes(sound), other.write_bytes(others), extra.unlink(missing_ok=True)
        tried += 1
    assert verify(finished) == []
    torture.done(
        tried, "files cut, lengthened, emptied, removed, exchanged, added", f"{len(torture.failures)} silent"
    )


@pytest.mark.slow
def test_missing_chunks(torture, finished, tmp_path):
    """Reading what needs a chunk that is gone is an error, never a fill value; also of an unfinished run."""
    unfinished = tmp_path / "unfinished"
    shutil.copytree(finished, unfinished)
    with open_store(unfinished, "a") as store, store.transaction("a remark") as t:
        t.note(remark="not finished any more")
    tried = 0
    for folder in (finished, unfinished):
        whole = contents(folder)
        for chunk in sorted((folder / "store" / "chunks").iterdir()):
            sound = chunk.read_bytes()
            chunk.unlink()
            try:
                contents(folder)
                torture.failures.append(f"{chunk.name}: everything could be read without it")
            except GrokscopeError as error:
                torture.check("Traceback" not in str(error), str(error))
            torture.check(any(problem.is_damage for problem in verify(folder)), f"{chunk.name}: not found")
            chunk.write_bytes(sound)
            tried += 1
        assert contents(folder) == whole
    torture.done(tried, "chunks removed", f"{len(torture.failures)} read as fill values")


def test_flipped_bits_of_an_unfinished_run(torture, finished, tmp_path):
    """Before it is finished only chunks protect themselves. Measured, to be said: not promised."""
    folder = tmp_path / "unfinished"
    shutil.copytree(finished, folder)
    with open_store(folder, "a") as store, store.transaction("a remark") as t:
        t.note(remark="not finished any more")
    whole, rng = contents(folder), torture.rng()
    seen = {"found": 0, "no change": 0, "silent": 0}
    files = files_of(folder / "store")
    total, flips = torture.count(10, 300), 0
    while flips < total and torture.in_time:
        file = files[flips % len(files)]
        bit = rng.randrange(8 * file.stat().st_size)
        sound = flip(file, bit)
        if any(problem.is_damage for problem in verify(folder)):
            seen["found"] += 1
        else:
            try:
                same = contents(folder) == whole
            except GrokscopeError:
                same = False
            seen["no change" if same else "silent"] += 1
            in_chunk = file.parent.name == "chunks"
            torture.check(not in_chunk, f"bit {bit} of {file.relative_to(folder)}: in a chunk, and not found")
        file.write_bytes(sound)
        flips += 1
    torture.done(flips, "flips in an unfinished store", str(seen).strip("{}").replace("'", ""), **seen)
