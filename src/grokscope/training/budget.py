"""How much memory an experiment will take, predicted from shapes before anything is allocated."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.errors import InputError
from grokscope.spec.streams import MAX_INT32
from grokscope.training.devices import Execution, choose_execution
from grokscope.training.timeline import Timeline

if TYPE_CHECKING:
    from grokscope.experiment import Experiment

__all__ = [
    "HISTORY_BYTES",
    "available_bytes",
    "block_execution",
    "check_memory",
    "predicted_bytes",
    "refuse_too_large",
]

# What the kept networks of one block may take: a part of what a laptop has, and enough for a dozen
# members of the standard run at all 301 points.
HISTORY_BYTES = 7e8

_CONTAINER = Path("/sys/fs/cgroup")


def predicted_bytes(
    experiment: Experiment, n_members: int = 1, n_snapshots: int = 0, workers: int | None = None
) -> int:
    r"""Bytes of a cohort: $M (S + D + s P) + D_0 + w (P + A)$.

    Per member: the learner's state S (parameters and optimizer), its data D and s snapshots of its
    parameters P; once: the shared data $D_0$; per worker: a gradient P and the activations A of the largest
    split, taken as one number per sample and neuron (parameters / inputs). Arrays are only described, so
    any size can be asked about.

    Args:
        experiment: what is trained.
        n_members: M, how many members are in memory at once.
        n_snapshots: s, how many copies of each member's parameters are kept.
        workers: w, how many members are worked on at the same time (None: the cores).

    Example:
        >>> from grokscope import Experiment
        >>> experiment = Experiment(task="sparse_parity", epochs=300)
        >>> predicted_bytes(experiment, workers=1) > 4 * 42_000
        True
    """
    import jax

    task, wide = experiment.task, experiment.precision == "float64"
    # Arrays are described in float32 and counted by the precision.
    size = 8 if wide else 4

    def described(function: Any, *arguments: Any) -> Any:
        return jax.eval_shape(function, *arguments)

    key = described(lambda: jax.random.key(0))
    shared = described(task.shared_data)
    member = described(task.member_data, key, key)

    def start(key: Any, data: Any) -> Any:
        return experiment.learner.init(experiment, key, data)

    try:
        state = described(start, key, {**shared, **member})
        held, parameters = _count(state) * size, _count(state.network) * size
    except (OverflowError, ValueError, TypeError):
        # more numbers than an array can be described with: count the parameters alone
        held = parameters = experiment.model.n_parameters(task.input_shape, task.n_outputs) * size
    rows = max(
        (leaf.shape[0] for name, leaf in {**shared, **member}.items() if name.endswith("_x")), default=0
    )
    activations = rows * math.ceil(parameters / max(1, math.prod(task.input_shape)))
    active = min(n_members, workers or os.cpu_count() or 1)
    per_member = held + _count(member) * size + n_snapshots * parameters
    return n_members * per_member + _count(shared) * size + active * (parameters + activations)


def available_bytes() -> int:
    """Memory that is free for this process: of the machine, or of its container where that has less."""
    import psutil

    free = int(psutil.virtual_memory().available)
    try:
        limit = int((_CONTAINER / "memory.max").read_text())  # "max" where there is none
        # what the container holds besides the file cache, which gives way
        lines = (_CONTAINER / "memory.stat").read_text().splitlines()
        held = next(int(line.split()[1]) for line in lines if line.startswith("anon "))
        return min(free, max(0, limit - held))
    except (OSError, ValueError, StopIteration):
        return free


def check_memory(
    experiment: Experiment, n_members: int = 1, n_snapshots: int = 0, workers: int | None = None
) -> int:
    """Return `predicted_bytes`, or refuse.

    Raises:
        InputError: if it is more than is free; the message says how much, and what can be made smaller.
    """
    needed, free = predicted_bytes(experiment, n_members, n_snapshots, workers), available_bytes()
    if needed <= free:
        return needed
    one = predicted_bytes(experiment, 1, 0, 1)
    if one > free:
        remedy = "choose a smaller model or task (model.width, task.n_train, task.n_probe)"
        shown, needed = "one member", one
    else:
        remedy = "train fewer members at once, or keep fewer snapshots"
        shown = f"{n_members} member{'s' if n_members > 1 else ''}"
    raise InputError(
        f"memory: {shown} of this experiment would take {_size(needed)}, "
        f"and {_size(free)} are free; {remedy}."
    )


def refuse_too_large(experiment: Experiment, n_members: int) -> None:
    """Check that a block of members fits the memory, and that steps can be counted, before anything is made.

    Raises:
        InputError: if it does not (the message says how much it would take), or there are too many steps.
    """
    if experiment.n_steps > MAX_INT32:
        raise InputError(f"steps: {experiment.n_steps} are too many; at most {MAX_INT32}.")
    check_memory(experiment, 1)
    timeline = Timeline.of(experiment)
    execution = block_execution(experiment, n_members, len(timeline))
    check_memory(experiment, min(n_members, execution.capacity))


def block_execution(experiment: Experiment, n_members: int, n_kept: int) -> Execution:
    """How to lay out members so that the networks kept of one block fit `HISTORY_BYTES`."""
    task = experiment.task
    width = np.dtype(experiment.precision).itemsize
    per_member = width * n_kept * experiment.model.n_parameters(task.input_shape, task.n_outputs)
    fit = choose_execution(n_members, most_slots=64, experiment=experiment)
    most = max(1, int(HISTORY_BYTES / max(per_member, 1)) // fit.n_devices)
    return choose_execution(n_members, most_slots=min(64, most), experiment=experiment)


def _count(tree: Any) -> int:
    import jax

    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def _size(count: int) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count} bytes"
