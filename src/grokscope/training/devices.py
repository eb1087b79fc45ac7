"""Devices: how members are laid out on what the machine has. The one place that chooses.

On a CPU one member after the other on each core (``map``) is twice as fast as batching them (``vmap``) and
makes a member's bits independent of its neighbors. On a GPU one small network at a time is launch-bound;
there members are batched in blocks, so that their bits depend on the width of the block only. It is 256 for
networks as small as the standard one, and less where a step of one member is more work (`gpu_block`): a
block is computed in full, however few members there are.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import jax
import numpy as np

if TYPE_CHECKING:
    from grokscope.experiment import Experiment

__all__ = ["Execution", "choose_execution", "gpu_block", "in_precision", "prepare_devices", "usable_cores"]

_GPU_BLOCK = 256
# Work enough to fill a GPU for the time of a step's launches: about a millisecond at 50 TFLOP/s.
_GPU_BLOCK_FLOPS = 5e10


@dataclass(frozen=True)
class Execution:
    """How a cohort is run; part of the numerics fingerprint.

    Attributes:
        path: ``map`` (one member at a time per device) or ``vmap`` (blocks of members at once).
        n_devices: devices used.
        slots: places for members on each device. With ``map`` only those that are taken cost time; with
            ``vmap`` all are computed, in blocks of ``block``.
        block: members per ``vmap`` block; 1 with ``map``.
    """

    path: Literal["map", "vmap"] = "map"
    n_devices: int = 1
    slots: int = 1
    block: int = 1

    def __post_init__(self) -> None:
        if self.slots % self.block:
            raise ValueError(f"{self.slots} slots are not whole blocks of {self.block}")

    @property
    def capacity(self) -> int:
        """How many members fit."""
        return self.n_devices * self.slots

    def counts(self, n_members: int) -> np.ndarray:
        """How many members each device takes, as even as can be: int32 [device]."""
        each, more = divmod(n_members, self.n_devices)
        return np.array([each + (i < more) for i in range(self.n_devices)], dtype=np.int32)

    def rows(self, n_members: int) -> np.ndarray:
        """The row of each member in arrays [device x slot, ...]."""
        counts = self.counts(n_members)
        return np.concatenate([i * self.slots + np.arange(count) for i, count in enumerate(counts)])


def prepare_devices() -> None:
    """Give the CPU one device per usable core. Must come before jax first looks for devices.

    Idempotent; where jax has already started, its devices are taken as they are.
    """
    if os.environ.get("JAX_NUM_CPU_DEVICES"):
        return
    try:
        jax.config.update("jax_num_cpu_devices", usable_cores())
    except RuntimeError:
        return  # the backend is up already


@contextmanager
def in_precision(precision: str) -> Generator[None]:
    """Let jax make float64 arrays where the experiment's precision is float64."""
    with jax.enable_x64(precision == "float64"):
        yield


def usable_cores() -> int:
    """Cores this process may run on (its affinity, where the system tells)."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def gpu_block(experiment: Experiment) -> int:
    r"""How many members a GPU trains at once: as many as make about $5 \cdot 10^{10}$ operations a step.

    $2^{\lfloor \log_2 (5 \cdot 10^{10} / (B F)) \rfloor}$, at least 1 and at most 256, with F operations per
    sample (`Model.flops_per_sample`) and B samples in a batch. It follows from the experiment alone.

    Example:
        >>> from grokscope import Experiment
        >>> gpu_block(Experiment(task="sparse_parity", epochs=300))
        256
    """
    task, batch = experiment.task, experiment.batch_size
    samples = task.n_train if batch == "full" else int(batch)
    work = max(1.0, samples * experiment.model.flops_per_sample(task.input_shape, task.n_outputs))
    block = _GPU_BLOCK
    while block > 1 and block * work > _GPU_BLOCK_FLOPS:
        block //= 2
    return block


def choose_execution(
    n_members: int, most_slots: int = 64, *, experiment: Experiment | None = None
) -> Execution:
    """How to run up to this many members here.

    Args:
        n_members: how many.
        most_slots: on a CPU, places for members on each device, at most.
        experiment: what they run, which sets the block of a GPU; None: of 256, as for the smallest networks.
    """
    devices = jax.devices()
    if devices[0].platform == "cpu":
        n_devices = max(1, min(len(devices), n_members))
        return Execution("map", n_devices, slots=max(1, min(most_slots, -(-n_members // n_devices))))
    block = _GPU_BLOCK if experiment is None else gpu_block(experiment)
    blocks = max(1, -(-n_members // block))
    n_devices = min(len(devices), blocks)
    # as many blocks one after another as make 256 members
    each = min(-(-blocks // n_devices), _GPU_BLOCK // block)
    return Execution("vmap", n_devices, slots=each * block, block=block)
