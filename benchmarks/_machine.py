"""What machine this is: processor, cores, memory, system, versions. No names, no paths."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

_PACKAGES = ("grokscope", "numpy", "scipy", "jax", "jaxlib", "equinox", "optax", "xarray")


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_model() -> str:
    """The processor's name as the system gives it."""
    if sys.platform == "darwin":
        argv = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    fields = (line.partition(":") for line in lines)
    named = [value.strip() for key, _, value in fields if key.strip() == "model name"]
    return named[0] if named else platform.machine()


def system() -> str:
    """The operating system with its version."""
    if sys.platform == "darwin":
        return f"macOS {platform.mac_ver()[0]}"
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        name = platform.system()
    return f"{name}, kernel {platform.release()}"


def blas() -> str:
    """The linear algebra library that numpy was built with."""
    import numpy as np

    built: Any = np.show_config(mode="dicts")
    found = built["Build Dependencies"]["blas"]
    return f"{found['name']} {found['version']}"


def versions() -> dict[str, str]:
    """Python and the packages that matter here, those that are installed."""
    found = {"python": platform.python_version(), "blas": blas()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def describe() -> dict[str, Any]:
    """The machine as it goes into each result file; the load says whether it was quiet."""
    return {
        "cpu": cpu_model(),
        "architecture": platform.machine(),
        "cores": cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": system(),
        "load_before": psutil.getloadavg()[0],
        "versions": versions(),
    }
