"""Devices: choice of the layout of members on CPU cores or GPUs.

On a CPU, running one member after the other on each core (``map``) is twice as fast as batching (``vmap``)
and makes a member's bits independent of the other members. On a GPU, one small network at a time is bound by
kernel launches; members run in blocks of a fixed width, and their bits depend on this width only. The width
is 256 for networks as small as the standard one, and less if a step of one member is more work
(`gpu_block`), because a block is always computed in full.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import jax
import numpy as np

try:
    import resource
except ImportError:  # Windows
    resource = None

from grokscope.errors import InputError
from grokscope.forks import uses_threads

if TYPE_CHECKING:
    from grokscope.experiment import Experiment

__all__ = [
    "Execution",
    "choose_execution",
    "device_fault",
    "devices",
    "gpu_block",
    "in_precision",
    "prepare_devices",
    "usable_cores",
]

_GPU_BLOCK = 256
# Work that occupies a GPU as long as the kernel launches of a step: about a millisecond at 50 TFLOP/s.
_GPU_BLOCK_FLOPS = 5e10
# Address space that libraries and compiler map: 1.63 GiB at most in a small training with 25 threads. With
# less, jax's compiler aborts the process where it cannot start a thread.
_LEAST_ADDRESS_SPACE = 1.75 * 2**30


@dataclass(frozen=True)
class Execution:
    """Layout of a cohort on the devices; ``path`` and ``block`` are part of the numerics fingerprint.

    Attributes:
        path: ``map`` (one member at a time per device) or ``vmap`` (blocks of members at once).
        n_devices: number of devices used.
        slots: places for members on each device. With ``map`` only occupied slots are computed; with
            ``vmap`` all slots, in blocks of ``block``.
        block: members per ``vmap`` block; 1 with ``map``.
    """

    path: Literal["map", "vmap"] = "map"
    n_devices: int = 1
    slots: int = 1
    block: int = 1

    def __post_init__(self) -> None:
        if self.slots % self.block:
            raise ValueError(f"{self.slots} slots are not a multiple of the block width {self.block}")

    @property
    def capacity(self) -> int:
        """Largest number of members."""
        return self.n_devices * self.slots

    def counts(self, n_members: int) -> np.ndarray:
        """Members per device, distributed evenly: int32 [device]."""
        each, more = divmod(n_members, self.n_devices)
        return np.array([each + (i < more) for i in range(self.n_devices)], dtype=np.int32)

    def rows(self, n_members: int) -> np.ndarray:
        """Row of each member in arrays [device x slot, ...]."""
        counts = self.counts(n_members)
        return np.concatenate([i * self.slots + np.arange(count) for i, count in enumerate(counts)])


def prepare_devices() -> None:
    """Configure one CPU device per usable core. Call it before jax initializes its devices.

    Idempotent; after jax has initialized, it changes nothing.

    Raises:
        InputError: if jax has no device of the platform that JAX_PLATFORMS names, the process may not map
            enough memory (``ulimit -v``), or it was forked from one in which jax has started.
    """
    _check_address_space()
    if not os.environ.get("JAX_NUM_CPU_DEVICES"):
        with suppress(RuntimeError):  # jax is already initialized
            jax.config.update("jax_num_cpu_devices", usable_cores())
    devices()


def _check_address_space() -> None:
    if resource is None:
        return
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY and limit < _LEAST_ADDRESS_SPACE:
        raise InputError(
            f"this process may map {limit / 2**30:.2g} GiB of memory (ulimit -v), and jax needs about 2 GiB "
            "to start; raise the limit, or limit what is resident in another way (a container, a cgroup)."
        )


def devices() -> list[Any]:
    """The devices of this process; jax initializes them at the first call.

    Raises:
        InputError: if jax has none of the platform that JAX_PLATFORMS names, or this process was forked from
            one in which jax has started.
    """
    uses_threads("jax")
    try:
        return jax.devices()
    except Exception as error:
        raise device_fault(error) or error from error


def device_fault(error: BaseException) -> InputError | None:
    """The error as one about JAX_PLATFORMS, if it was raised while jax set up its devices; else None.

    jax initializes them at its first operation, wherever that is, and says "AssertionError" for a platform
    that it knows but does not find.
    """
    named = os.environ.get("JAX_PLATFORMS")
    frames = traceback.extract_tb(error.__traceback__)
    if not named or not any(at.name == "backends" and "xla_bridge" in at.filename for at in frames):
        return None
    return InputError(
        f"JAX_PLATFORMS={named}: jax finds no such device here. Unset it to take what there is, or install "
        "jax for the device (docs/gpu.md)."
    )


@contextmanager
def in_precision(precision: str) -> Generator[None]:
    """Enable float64 arrays in jax if the precision is ``float64``."""
    with jax.enable_x64(precision == "float64"):
        yield


def usable_cores() -> int:
    """Number of cores this process may use (CPU affinity, where the system provides it)."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def gpu_block(experiment: Experiment) -> int:
    r"""Members per block on a GPU: about $5 \cdot 10^{10}$ operations per step of a block.

    $2^{\lfloor \log_2 (5 \cdot 10^{10} / (B F)) \rfloor}$, at least 1 and at most 256, with F operations per
    sample (`Model.flops_per_sample`) and B samples in a batch. It depends only on the experiment.

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
    """Choose the layout of up to ``n_members`` members on this machine's devices.

    Args:
        n_members: number of members.
        most_slots: largest number of slots per device on a CPU.
        experiment: sets the block width on a GPU (`gpu_block`); None: 256.
    """
    found = devices()
    if found[0].platform == "cpu":
        n_devices = max(1, min(len(found), n_members))
        return Execution("map", n_devices, slots=max(1, min(most_slots, -(-n_members // n_devices))))
    block = _GPU_BLOCK if experiment is None else gpu_block(experiment)
    blocks = max(1, -(-n_members // block))
    n_devices = min(len(found), blocks)
    # consecutive blocks on one device: at most 256 members
    each = min(-(-blocks // n_devices), _GPU_BLOCK // block)
    return Execution("vmap", n_devices, slots=each * block, block=block)
