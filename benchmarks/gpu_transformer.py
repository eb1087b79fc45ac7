"""On a GPU: transformers, 64 members at once against one PyTorch run at a time; and Figure 4 as published.

The work is the step of ``rungs/torch_transformer.py`` in the setting ``power`` (two layers of width 128, 512
pairs of p = 97 a batch). The goal: 64 members at once give at least 10 times the member-steps per second of
one PyTorch run at a time, on the same device. ``--figure-4`` then measures the paper profile of Figure 4, 3
seeds of addition and division, 1e5 updates each, as a user would run it.

    python benchmarks/gpu_transformer.py --figure-4 --torch-python OTHER/bin/python
    # a test of this program:
    python benchmarks/gpu_transformer.py --device cpu --members 2 --steps 2 --blocks 1 --setting quick
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import _machine
import _ours
import gpu
from _process import measure
from _result import GpuTransformer, Machine, today, write
from transformer import OURS, TORCH, Way, run_way

GOAL = 10.0


def rates(
    setting: str, device: str, members: int, steps: int, blocks: int, torch_python: str
) -> tuple[float, dict[str, float]]:
    """Member-steps per second of ours, and of PyTorch by variant, each with the median of its blocks."""
    ours = Way("ours", "", OURS, ("--members", str(members)), members=members)
    (said,) = run_way(ours, sys.executable, setting, steps, blocks)
    theirs: dict[str, float] = {}
    for variant in ("plain", "tuned"):
        way = Way(variant, "", TORCH, ("--variant", variant, "--device", device))
        (one,) = run_way(way, torch_python, setting, 10 * steps, blocks)
        theirs[variant] = 10 * steps / statistics.median(one["seconds"])
    return members * steps / statistics.median(said["seconds"]), theirs


def figure_4(environment: dict[str, str], profile: str = "paper", options: tuple[str, ...] = ()) -> float:
    """Seconds of the reproduction of Figure 4: addition and division, a cold process each with its figures.

    Raises:
        RuntimeError: the command failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        argv = [*_ours.COMMAND, "reproduce", "two-circuits", "addition", "division", "--profile", profile]
        done = measure([*argv, "--yes", "--out", str(Path(folder) / "out"), *options], environment)
        if done.returncode:
            raise RuntimeError(f"exit code {done.returncode}: {(done.stderr or done.stdout).strip()[-800:]}")
        return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--members", type=int, default=64)
    parser.add_argument("--setting", choices=("power", "nanda", "quick"), default="power")
    parser.add_argument("--steps", type=int, default=100, help="of each member in a block")
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--figure-4", action="store_true", help="measure the paper profile of Figure 4, too")
    parser.add_argument("--torch-python", default=sys.executable, help="interpreter with torch for the GPU")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: only a test of this")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    device = gpu.gpu_name() if args.device == "cuda" else "none (a test on the CPU)"
    if device is None:
        sys.exit("gpu_transformer.py: JAX sees no GPU here; it needs one, and JAX with its CUDA plug-in.")
    ours, theirs = rates(args.setting, args.device, args.members, args.steps, args.blocks, args.torch_python)
    result = GpuTransformer(
        date=today(),
        machine=Machine.model_validate(_machine.describe()),
        device=device,
        setting=args.setting,
        members=args.members,
        member_steps_per_second=ours,
        torch_steps_per_second=theirs,
        times_plain=ours / theirs["plain"],
        times_tuned=ours / theirs["tuned"],
        goal=GOAL,
        figure_4_seconds=figure_4(dict(os.environ)) if args.figure_4 else None,
    )
    print(
        f"{args.members} members: {ours:.0f} member-steps/s, {result.times_plain:.1f} times one PyTorch run "
        f"at a time (tuned: {result.times_tuned:.1f}; goal {GOAL:.0f})"
    )
    print(f"written: {write(result, 'gpu-transformer', args.out).name}")


if __name__ == "__main__":
    main()
