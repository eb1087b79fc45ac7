"""Memory and store of a cell with many seeds: everything kept, and only outcomes kept.

A sweep with one small cell (parity of 2 of 20 bits, 32 neurons, 100 epochs, accuracies at every epoch), each
size in a process of its own. It prints a table: the peak memory of that process, and the bytes that the sweep
leaves on disk. With ``keep = "outcomes"`` both should hardly depend on the number of seeds.

    python benchmarks/many_seeds.py                     # 100 and 1,000 seeds: half a minute
    python benchmarks/many_seeds.py --seeds 1000 10000
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
from pathlib import Path

from _process import last_line, measure


def train(keep: str, seeds: int, out: Path) -> None:
    """Train the cell in this process, write the page, and print the peak memory in MB."""
    import grokscope as gs

    base = gs.Experiment(
        task={"kind": "sparse_parity", "n": 20, "k": 2, "n_train": 100, "n_test": 256},
        model={"kind": "fully_connected", "width": 32},
        measures=["train_accuracy", "test_accuracy"],
        epochs=100,
    ).with_("schedule.measures='epochs'", "schedule.slow_measures='ends'")
    swept = gs.sweep(base, ["optimizer.learning_rate=0.05"], seeds=seeds, out=out, keep=keep)
    swept.report(out / "report.html")
    unit = 1e6 if sys.platform == "darwin" else 1e3
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--one", nargs=3, metavar=("KEEP", "SEEDS", "DIR"), help="one size, in this process")
    args = parser.parse_args()
    if args.one:
        return train(args.one[0], int(args.one[1]), Path(args.one[2]))
    print("kept       seeds   peak memory     on disk")
    with tempfile.TemporaryDirectory() as folder:
        for keep in ("all", "outcomes"):
            for seeds in args.seeds:
                out = Path(folder) / f"{keep}-{seeds}"
                done = measure([sys.executable, __file__, "--one", keep, str(seeds), str(out)])
                peak = float(last_line(done))
                results = [out / "sweep.json", *(out / "cells").rglob("*"), *(out / "outcomes").rglob("*")]
                on_disk = sum(file.stat().st_size for file in results if file.is_file()) / 1e3
                print(f"{keep:9} {seeds:6,} {peak:10,.0f} MB {on_disk:9,.0f} kB", flush=True)
    return None


if __name__ == "__main__":
    main()
