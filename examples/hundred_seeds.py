"""A question to a hundred seeds, in Python: how long is the delay, and how many neurons are left?

    python examples/hundred_seeds.py

trains the paper's standard network 100 times (minutes on two cores; again: nothing is trained anew) and
prints shares and medians with their intervals. ``--seeds 5 --epochs 200`` asks less.
"""

from __future__ import annotations

import argparse

import grokscope as gs
from grokscope.progress import RichProgress
from grokscope.spec.events import grokking_delay, member_curves
from grokscope.statistics import median_interval


def ask(seeds: int, epochs: int, n: int, width: int, out: str) -> list[str]:
    """Train, and answer in lines."""
    experiment = gs.Experiment(
        task={"kind": "sparse_parity", "n": n, "k": 3},
        model={"kind": "fully_connected", "width": width},
        optimizer={"kind": "sgd", "learning_rate": 0.1, "weight_decay": 0.01},
        measures=["train_accuracy", "test_accuracy", "effective_sparsity"],
        epochs=epochs,
    )
    with RichProgress() as progress:
        run = gs.train(experiment, seeds=seeds, out=out, progress=progress)

    lines = [
        f"{event.name} ({event}): share of seeds {event.times(run.measures).share()}"
        for event in run.experiment.events.values()
    ]
    delay = grokking_delay(run.measures) * (1 / experiment.steps_per_epoch)
    # What is not known exactly is an interval, and what has not happened yet has no upper end.
    lower, upper = delay.bounds()
    lines.append(f"delay: {median_interval(lower, upper=upper, unit='epochs')}")
    final = member_curves(run.measures["effective_sparsity"])[:, -1]
    lines.append(f"effective sparsity at the end: {median_interval(final, unit='neurons')}")
    return lines


def main() -> None:
    """Read the command and print the answers."""
    parser = argparse.ArgumentParser(description="A question to a hundred seeds.")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--bits", type=int, default=40)
    parser.add_argument("--width", type=int, default=1000)
    parser.add_argument("--out", default="runs/hundred-seeds")
    given = parser.parse_args()
    print("\n".join(ask(given.seeds, given.epochs, given.bits, given.width, given.out)))


if __name__ == "__main__":
    main()
