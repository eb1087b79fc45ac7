"""Rung: grokscope, the training step of the papers' transformers, without measures.

The members are one compiled program, at most one of them per core at a time. Prints the seconds of blocks
of steps, after one block that is not counted, of the wall clock and of all threads together.

    python benchmarks/rungs/ours_transformer.py --setting quick --members 4 --steps 50 --blocks 5
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import _ours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--setting", choices=("power", "nanda", "quick"), default="quick")
    parser.add_argument("--members", type=int, default=4)
    parser.add_argument("--steps", type=int, default=50, help="of each member in a block")
    parser.add_argument("--blocks", type=int, default=5)
    args = parser.parse_args()
    wall, cpu, first, loss = _ours.transformer_blocks(
        _ours.transformer(args.setting), args.members, args.steps, args.blocks
    )
    result = {
        "seconds": wall,
        "cpu_seconds": cpu,
        "first_seconds": first,
        "loss": loss,
        "versions": {
            "python": platform.python_version(),
            "jax": metadata.version("jax"),
            "optax": metadata.version("optax"),
        },
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
