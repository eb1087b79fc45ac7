"""All benchmarks of a machine without a GPU, one after another, each in a process of its own.

    python -m benchmarks                  # all of them: about half an hour
    python -m benchmarks ladder --quick   # one of them, with its own options

What each measures, and its options: ``benchmarks/README.md``.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAMES = ("ladder", "training", "end_to_end", "help_time", "latency", "verification", "sweep", "transformer")


def commands(words: Sequence[str]) -> list[list[str]]:
    """What is run for the words of the command line; exits where the first is no benchmark."""
    if words and words[0] in ("-h", "--help"):
        sys.exit(__doc__)
    if words and words[0] not in NAMES:
        sys.exit(f"benchmarks: '{words[0]}' is not one of {', '.join(NAMES)}.")
    chosen, options = (words[:1], words[1:]) if words else (NAMES, ())
    return [[sys.executable, str(HERE / f"{name}.py"), *options] for name in chosen]


def main() -> None:
    for command in commands(sys.argv[1:]):
        print(f"== {Path(command[1]).stem}", flush=True)
        code = subprocess.run(command).returncode
        if code:
            sys.exit(code)


if __name__ == "__main__":
    main()
