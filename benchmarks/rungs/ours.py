"""Rung: grokscope, from the command line, in a cold process with an empty compile cache.

``--mode bare`` trains only (like the plain rungs), ``train`` takes the default measures at every
epoch, ``reproduce`` is the whole paper: every measure, claims, figures and report. The same command
runs once more with the cache it has filled: the difference is the compile time, stated apart.

    python benchmarks/rungs/ours.py --mode reproduce --seeds 5
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import _ours


def run_once(argv: list[str], cache: Path) -> float:
    """Seconds that the command takes; the rung fails where the command does."""
    start = time.perf_counter()
    done = subprocess.run(
        argv,
        env=_ours.empty_cache_environment(cache),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"grokscope exited with {done.returncode}: {done.stdout[-800:].strip()}")
    return seconds


def command(mode: str, seeds: int, epochs: int, out: Path) -> list[str]:
    """The command line of a mode."""
    if mode == "bare":
        return _ours.bare_command(seeds, epochs)
    if mode == "train":
        return _ours.train_command(seeds, epochs, out)
    return _ours.reproduce_command(seeds, out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=300, help="ignored by --mode reproduce")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--mode", choices=("bare", "train", "reproduce"), default="train")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        cold, warm = (
            run_once(command(args.mode, args.seeds, args.epochs, here / name), here / "cache")
            for name in ("cold", "warm")
        )
        accuracy = None
        if args.mode != "bare":
            run = here / "cold" / ("standard" if args.mode == "reproduce" else "")
            accuracy = _ours.final_accuracy(run)
    result = {
        "wall_seconds": cold,
        "warm_seconds": warm,
        "compile_seconds": cold - warm,
        "accuracy": accuracy,
        "versions": {
            "python": platform.python_version(),
            "jax": metadata.version("jax"),
            "numpy": metadata.version("numpy"),
        },
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
