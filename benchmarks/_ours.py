"""The one place that knows grokscope's interface; the other benchmark files only time it.

Here: the command line as an argument list, training without measures, the final accuracies of a
run folder. Run as a script, it trains one cohort in a fresh process:

    python benchmarks/_ours.py --members 5 --epochs 300
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grokscope.experiment import Experiment

SPEC = Path(__file__).resolve().parent / "standard.toml"
STEPS_PER_EPOCH = 32
# The same as the console script, and works from a checkout that is not installed.
COMMAND = [sys.executable, "-m", "grokscope"]


def train_command(seeds: int, epochs: int, out: Path) -> list[str]:
    """``grokscope train`` of the standard spec, with the measures it takes by default."""
    options = ["--set", f"epochs={epochs}", "--seeds", str(seeds), "--out", str(out)]
    return [*COMMAND, "train", str(SPEC), *options]


def sweep_command(side: int, seeds: int, epochs: int, out: Path, every: int = 1) -> list[str]:
    """``grokscope sweep`` of the standard spec over weight decay and rate.

    Accuracies and norms are measured every so many epochs.
    """
    axes = [
        f"optimizer.weight_decay=log:1e-3:3e-2:{side}",
        f"optimizer.learning_rate=log:3e-2:3e-1:{side}",
    ]
    over = [word for axis in axes for word in ("--over", axis)]
    measures = "['train_accuracy','test_accuracy','neuron_norm','path_norm_total']"
    points = f"schedule.measures='every {every} epochs'"
    options = ["--set", f"epochs={epochs}", "--set", f"measures={measures}", "--set", points]
    options += ["--seeds", str(seeds)]
    return [*COMMAND, "sweep", str(SPEC), *over, *options, "--yes", "--out", str(out)]


def reproduce_command(seeds: int, out: Path) -> list[str]:
    """``grokscope reproduce`` of the paper's standard experiment, at full length."""
    options = ["--seeds", str(seeds), "--profile", "paper", "--yes", "--out", str(out)]
    return [*COMMAND, "reproduce", "two-circuits", "standard", *options]


def bare_command(seeds: int, epochs: int) -> list[str]:
    """A fresh process that trains without measures and keeps nothing."""
    options = ["--members", str(seeds), "--epochs", str(epochs)]
    return [sys.executable, str(Path(__file__).resolve()), *options]


def empty_cache_environment(cache: Path) -> dict[str, str]:
    """This environment, but with every cache of compiled programs under ``cache``."""
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    environment["XDG_CACHE_HOME"] = str(cache)
    return environment


def train_members(n_members: int, epochs: int = 300) -> list[Any]:
    """Train ``n_members`` seeds of the standard run, without measures, in the compiled loop.

    Members that do not fit the layout at once (64 a core, a block on a GPU) follow in the same
    program. Returns the members' carries when the last step is done, not when it has been handed to
    the device. Called again with the same arguments it does not compile again.
    """
    from grokscope.training.cache import use_compile_cache
    from grokscope.training.devices import choose_execution, prepare_devices

    prepare_devices()
    use_compile_cache()
    import jax

    from grokscope.experiment import Experiment
    from grokscope.spec.streams import Members
    from grokscope.training.cohort import Cohort
    from grokscope.training.loop import MemberLoop

    experiment = Experiment.model_validate(tomllib.loads(SPEC.read_text()) | {"epochs": epochs})
    execution = choose_execution(n_members, experiment=experiment)
    plan = _unmeasured(0, experiment.n_steps)
    trained = []
    for first in range(0, n_members, execution.capacity):
        seeds = range(first, min(first + execution.capacity, n_members))
        cohort = Cohort(MemberLoop(experiment), Members.of_seeds(seeds), execution)
        carry, data = cohort.start()
        trained.append(cohort.segment(carry, data, plan)[0])
    return jax.block_until_ready(trained)


def _unmeasured(start: int, stop: int) -> Any:
    """A segment from one step to another, with no measures."""
    import numpy as np

    from grokscope.training.loop import SegmentPlan

    never = np.zeros(1, dtype=bool)
    return SegmentPlan(np.int32(start), np.array([stop], dtype=np.int32), quick=never, slow=never)


def transformer(setting: str) -> Experiment:
    """The experiment of a setting of ``rungs/torch_transformer.py``; there it is written out."""
    from grokscope.papers import find_paper

    paper, name, profile = {
        "power": ("two-circuits", "addition", "paper"),
        "nanda": ("progress-measures", "mainline", "paper"),
        "quick": ("two-circuits", "addition", "quick"),
    }[setting]
    spec = find_paper(paper).experiment(name).under(profile)[0]
    return spec.with_("loss.precision='as_run'")  # as the loss is there


def transformer_blocks(
    experiment: Experiment, members: int, steps: int, blocks: int
) -> tuple[list[float], list[float], float, list[list[float]]]:
    """Train without measures in blocks of ``steps`` updates of every member, after one that is not counted.

    Returns:
        The seconds of each block; those of all threads together; the seconds of the first block, which
        compiles; every member's training loss before and after.
    """
    from grokscope.training.devices import choose_execution, prepare_devices

    prepare_devices()
    import jax
    import jax.numpy as jnp

    from grokscope.spec.streams import Members
    from grokscope.training.cohort import Cohort
    from grokscope.training.loop import MemberLoop

    execution = choose_execution(members, experiment=experiment)
    cohort = Cohort(MemberLoop(experiment), Members.of_seeds(range(members)), execution)
    carry, data = cohort.start()

    def losses() -> list[float]:
        def one(state: Any, own: Any, shared: Any) -> Any:
            both = own | shared
            return jnp.mean(experiment.loss.per_sample(state.network(both["train_x"]), both["train_y"]))

        return cohort.trim(cohort.each(one, carry.state, data)).tolist()

    before = losses()
    wall: list[float] = []
    cpu: list[float] = []
    for block in range(blocks + 1):
        began, used = time.perf_counter(), time.process_time()
        carry, _, _ = cohort.segment(carry, data, _unmeasured(block * steps, (block + 1) * steps))
        jax.block_until_ready(carry)
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - used)
    return wall[1:], cpu[1:], wall[0], [before, losses()]


def final_accuracy(folder: Path) -> dict[str, list[float]]:
    """Each seed's accuracies at the last step of the run in ``folder``."""
    import grokscope as gs

    measures = gs.open_run(folder).measures
    return {
        split: [float(v) for v in measures[f"{split}_accuracy"].isel(step=-1).values.ravel()]
        for split in ("train", "test")
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=300)
    args = parser.parse_args()
    train_members(args.members, args.epochs)
