"""Exact verification of whole networks: seconds, and how many stay undecided.

The networks are those of the standard run (n = 40, k = 3, width 1,000), one after another in this process:

- ``final``: the last epoch of every seed. Goals: median below 2 s, at most 5 % undecided in 10 s.
- ``transition``: every 20th epoch of the 60 that follow the grokking step, of the first seeds: networks that
  answer 100 test points right, more or less. No goal. Those that were not kept are trained again.

    python benchmarks/verification.py                     # trains 100 seeds first, about a minute
    python benchmarks/verification.py --run DIR           # of a run that is there
    python benchmarks/verification.py --run DIR --only transition --transition 10
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import _machine
import _ours
from _result import Machine, Verification, Verified, today, write

if TYPE_CHECKING:
    from grokscope import Run

GOAL_SECONDS, GOAL_UNDECIDED = 2.0, 0.05
TRANSITION = 60  # epochs
EVERY = 20  # epochs between snapshots


def trained(seeds: int, folder: Path) -> Run:
    """A run with snapshots, and no measures but accuracy."""
    import grokscope as gs

    recording = (
        f'schedule.snapshots="every {EVERY} epochs"',
        'measures=["train_accuracy","test_accuracy"]',
    )
    return gs.train(gs.Experiment.from_toml(_ours.SPEC, recording), seeds, out=folder)


def transition_steps(run: Run, seeds: int) -> dict[int, list[int]]:
    """For each of the first seeds the steps that follow its grokking step closely."""
    from grokscope.spec.events import GROKKING

    every = EVERY * run.experiment.steps_per_epoch
    last = run.experiment.n_steps
    groks = GROKKING.times(run.measures).upper
    found: dict[int, list[int]] = {}
    for seed, at in list(zip(run.measures.seed.values.tolist(), groks.tolist(), strict=True))[:seeds]:
        points = [every * i for i in range(1, last // every)] if at < float("inf") else []
        found[int(seed)] = [step for step in points if at <= step < at + TRANSITION * every / EVERY]
    return found


def verified(run: Run, name: str, steps: dict[int, list[int]], budget: float) -> Verified:
    """Verify networks, one after another."""
    from grokscope.circuits.verification import verify

    verdicts: list[Any] = []
    support = run.experiment.task.facts()["support"]
    for seed, at in steps.items():
        leaves = run.networks(at, [seed]) if at else {}
        for i in range(len(at)):
            arrays = [leaves[name][0, i] for name in ("hidden_weight", "hidden_bias", "output_weight")]
            verdicts.append(verify(tuple(arrays), support, budget=budget))
    count = dict.fromkeys(("proved", "counterexample", "undecided"), 0)
    for verdict in verdicts:
        count[verdict.verdict] += 1
    seconds = [verdict.seconds for verdict in verdicts]
    quantiles = statistics.quantiles(seconds, n=20, method="inclusive") if len(seconds) > 1 else seconds
    return Verified(
        name=name,
        networks=len(verdicts),
        proved=count["proved"],
        refuted=count["counterexample"],
        undecided=count["undecided"],
        share_undecided=count["undecided"] / len(verdicts),
        median_seconds=statistics.median(seconds),
        p95_seconds=quantiles[-1],
        most_seconds=max(seconds),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--run", type=Path, help="of the standard experiment")
    parser.add_argument("--transition", type=int, default=20, help="seeds that are looked at there")
    parser.add_argument("--only", choices=("final", "transition"), help="one of the groups")
    parser.add_argument("--budget", type=float, default=10.0, help="seconds for each network")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    machine = Machine.model_validate(_machine.describe())
    with tempfile.TemporaryDirectory() as folder:
        if args.run:
            import grokscope as gs

            run = gs.open_run(args.run)
        else:
            run = trained(args.seeds, Path(folder) / "run")
        final = {int(seed): [int(run.experiment.n_steps)] for seed in run.measures.seed}
        asked = {"final": final, "transition": transition_steps(run, args.transition)}
        groups = [
            verified(run, name, steps, args.budget)
            for name, steps in asked.items()
            if args.only in (None, name) and any(steps.values())
        ]
    for group in groups:
        print(
            f"{group.name}: {group.networks} networks, {group.proved} proved, {group.refuted} refuted, "
            f"{group.undecided} undecided ({group.share_undecided:.1%}); "
            f"median {group.median_seconds:.2f} s, 95 % below {group.p95_seconds:.2f} s, "
            f"most {group.most_seconds:.2f} s"
        )
    print(f"goals at the last epoch: median {GOAL_SECONDS:g} s, undecided {GOAL_UNDECIDED:.0%}")
    result = Verification(
        date=today(),
        machine=machine,
        seeds=len(final),
        budget_seconds=args.budget,
        goal_seconds=GOAL_SECONDS,
        goal_undecided=GOAL_UNDECIDED,
        groups=groups,
    )
    print(f"written: {write(result, 'verification', args.out).name}")


if __name__ == "__main__":
    main()
