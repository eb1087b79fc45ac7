"""Devices: how members are laid out on what the machine has. The one place that chooses.

On a CPU one member after the other on each core (``map``) is twice as fast as batching them (``vmap``) and
makes a member's bits independent of its neighbors. On a GPU one small network at a time is launch-bound;
there hundreds of members are batched in blocks of one fixed width, so that their bits depend on the width
only.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import jax
import numpy as np

__all__ = ["Execution", "choose_execution", "in_precision", "prepare_devices", "usable_cores"]

_GPU_BLOCK = 256


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


def choose_execution(n_members: int, most_slots: int = 64) -> Execution:
    """How to run up to this many members here, with at most ``most_slots`` on a device."""
    devices = jax.devices()
    if devices[0].platform == "cpu":
        n_devices = max(1, min(len(devices), n_members))
        return Execution("map", n_devices, slots=max(1, min(most_slots, -(-n_members // n_devices))))
    n_devices = max(1, min(len(devices), -(-n_members // _GPU_BLOCK)))
    return Execution("vmap", n_devices, slots=_GPU_BLOCK, block=_GPU_BLOCK)
