"""Devices: how members are laid out on what the machine has. The one place that chooses.

On a CPU one member after the other on each core (``map``) is twice as fast as batching them (``vmap``) and
makes a member's bits independent of its neighbors. On a GPU one small network at a time is launch-bound;
there hundreds of members are batched in blocks of one fixed width, so that their bits depend on the width only.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

import jax

__all__ = ["Execution", "choose_execution", "prepare_devices"]

_GPU_BLOCK = 256


@dataclass(frozen=True)
class Execution:
    """How a cohort is run; part of the numerics fingerprint.

    Attributes:
        path: ``map`` (one member at a time per device) or ``vmap`` (blocks of members at once).
        n_devices: devices used.
        block: members per ``vmap`` block and device; 1 with ``map``.
    """

    path: Literal["map", "vmap"] = "map"
    n_devices: int = 1
    block: int = 1

    def padded(self, n_members: int) -> int:
        """The number of members after padding to whole blocks on every device."""
        unit = self.n_devices * self.block
        return -(-n_members // unit) * unit


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


def usable_cores() -> int:
    """Cores this process may run on (its affinity, where the system tells)."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def choose_execution(n_members: int) -> Execution:
    """How to run this many members here."""
    devices = jax.devices()
    if devices[0].platform == "cpu":
        return Execution("map", n_devices=max(1, min(len(devices), n_members)))
    return Execution("vmap", n_devices=min(len(devices), -(-n_members // _GPU_BLOCK)), block=_GPU_BLOCK)
