"""Memory of an experiment, predicted from shapes before anything is allocated."""

from __future__ import annotations

import functools
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.errors import InputError
from grokscope.learners import abstract_predictor
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

# Limit for the networks kept of one block: a fraction of a laptop's memory, enough for a dozen members of the
# standard run at all 301 points.
HISTORY_BYTES = 7e8

_CONTAINER = Path("/sys/fs/cgroup")


def predicted_bytes(
    experiment: Experiment, n_members: int = 1, n_snapshots: int = 0, workers: int | None = None
) -> int:
    r"""Bytes of a cohort: $M (S + D + s P) + D_0 + w (P + A)$.

    Per member: the learner's state S (parameters and optimizer), its data D and s snapshots of its
    parameters P; once: the shared data $D_0$; per worker: a gradient P and the activations A of the largest
    split, estimated as one number per sample and neuron (parameters / inputs). No array is allocated, so
    any size can be predicted.

    Args:
        experiment: the experiment to train.
        n_members: M, members in memory at once.
        n_snapshots: s, kept copies of each member's parameters.
        workers: w, members trained at the same time (None: number of cores).

    Example:
        >>> from grokscope import Experiment
        >>> experiment = Experiment(task="sparse_parity", epochs=300)
        >>> predicted_bytes(experiment, workers=1) > 4 * 42_000
        True
    """
    hashable: Any = experiment  # frozen, which a type checker cannot see
    held, parameters, data, shared, rows = _sizes(hashable)
    activations = rows * math.ceil(parameters / max(1, math.prod(experiment.task.input_shape)))
    active = min(n_members, workers or os.cpu_count() or 1)
    per_member = held + data + n_snapshots * parameters
    return n_members * per_member + shared + active * (parameters + activations)


@functools.lru_cache(maxsize=4)  # few entries: an experiment may hold the user's arrays
def _sizes(experiment: Any) -> tuple[int, int, int, int, int]:
    """Bytes of a member's state, its parameters, its data and the shared data; rows of the largest split."""
    import jax

    task = experiment.task
    # shapes are evaluated in float32; bytes are counted in the experiment's precision
    size = 8 if experiment.precision == "float64" else 4
    key = jax.eval_shape(lambda: jax.random.key(0))
    shared = jax.eval_shape(task.shared_data)
    member = jax.eval_shape(task.member_data, key, key)

    def start(key: Any, data: Any) -> Any:
        return experiment.learner.init(experiment, key, data)

    try:
        state = jax.eval_shape(start, key, {**shared, **member})
        held, parameters = _count(state) * size, _count(state.network) * size
    except (OverflowError, ValueError, TypeError):
        # a shape exceeds the limits of jax: count only the parameters
        held = parameters = experiment.model.n_parameters(task.input_shape, task.n_outputs) * size
    rows = max(
        (leaf.shape[0] for name, leaf in {**shared, **member}.items() if name.endswith("_x")), default=0
    )
    return held, parameters, _count(member) * size, _count(shared) * size, rows


def available_bytes() -> int:
    """Free memory in bytes: of the machine, or of this process's container if that has less."""
    import psutil

    free = int(psutil.virtual_memory().available)
    try:
        limit = int((_CONTAINER / "memory.max").read_text())  # "max" without a limit
        # memory in use, without the file cache (which can be reclaimed)
        lines = (_CONTAINER / "memory.stat").read_text().splitlines()
        held = next(int(line.split()[1]) for line in lines if line.startswith("anon "))
        return min(free, max(0, limit - held))
    except (OSError, ValueError, StopIteration):
        return free


def check_memory(
    experiment: Experiment, n_members: int = 1, n_snapshots: int = 0, workers: int | None = None
) -> int:
    """Return `predicted_bytes` if that much memory is free.

    Raises:
        InputError: if it is not; the message states both sizes and what to reduce.
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
    """Check memory and number of steps of an experiment before a run is created.

    Raises:
        InputError: if one block of members does not fit into free memory, or steps exceed `MAX_INT32`.
    """
    if experiment.n_steps > MAX_INT32:
        raise InputError(f"steps: {experiment.n_steps} are too many; at most {MAX_INT32}.")
    check_memory(experiment, 1)
    timeline = Timeline.of(experiment)
    execution = block_execution(experiment, n_members, len(timeline))
    check_memory(experiment, min(n_members, execution.capacity))


def block_execution(experiment: Experiment, n_members: int, n_kept: int) -> Execution:
    """Choose the execution such that the networks kept of one block fit into `HISTORY_BYTES`."""
    task = experiment.task
    width = np.dtype(experiment.precision).itemsize
    if experiment.learner.uses_model:
        size = experiment.model.n_parameters(task.input_shape, task.n_outputs)
    else:
        size = _count(abstract_predictor(experiment))
    per_member = width * n_kept * size
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
