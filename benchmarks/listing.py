"""How long ``grokscope runs`` takes on a folder of 10,000 finished runs; the goal is 20 s.

One run is trained and copied. What the list does not read (the arrays of the store) is linked, so that the
folder takes 300 MB; the files are in the system's cache.

    python benchmarks/listing.py
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path

import _machine
import _ours
from _process import last_line, measure, processor_seconds
from _result import Listing, Machine, today, write

GOAL = 20.0
SPEC = """
epochs = 2
batch_size = 10
measures = ["train_accuracy", "test_accuracy"]
[task]
kind = "sparse_parity"
n = 6
k = 2
n_train = 20
n_test = 10
[model]
kind = "fully_connected"
width = 8
"""
READ = ("checksums.json", "experiment.toml", "ref.json")


def copy_or_link(source: str, target: str) -> None:
    """Copy what a list reads, link the rest."""
    (shutil.copyfile if os.path.basename(source) in READ else os.link)(source, target)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    machine = Machine.model_validate(_machine.describe())
    with tempfile.TemporaryDirectory() as name:
        folder, spec = Path(name) / "runs", Path(name) / "spec.toml"
        spec.write_text(SPEC)
        last_line(measure([*_ours.COMMAND, "train", str(spec), "--out", str(folder / "0")]))
        for i in range(1, args.runs):
            shutil.copytree(folder / "0", folder / str(i), copy_function=copy_or_link)
        before = processor_seconds()
        measured = measure([*_ours.COMMAND, "runs", str(folder)])
        cpu_seconds = processor_seconds() - before
        last_line(measured)
    result = Listing(
        date=today(),
        machine=machine,
        runs=args.runs,
        seconds=measured.seconds,
        cpu_seconds=cpu_seconds,
        goal=GOAL,
    )
    print(f"grokscope runs: {args.runs:,} runs in {measured.seconds:.1f} s (goal {GOAL:.0f} s)")
    print(f"written: {write(result, 'listing', args.out).name}")


if __name__ == "__main__":
    main()
