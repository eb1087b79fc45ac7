"""Doctor: what this machine has, whether it is set up well, and how long the papers would take on it.

What goes elsewhere: the measuring of its speed (`grokscope.training.rates`), and the choice of devices and
of the compile cache's folder (`grokscope.training`).
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grokscope.training.rates import Rates, measure_rates, predict_seconds

__all__ = [
    "Expected",
    "Rates",
    "compile_cache",
    "examine",
    "expected_times",
    "measure_rates",
    "predict_seconds",
]

_PACKAGES = (
    "jax", "jaxlib", "equinox", "optax", "numpy", "scipy", "xarray", "zarr", "icechunk",
    "matplotlib", "pyarrow", "h5netcdf", "h5py", "safetensors", "torch",
)  # fmt: skip


@dataclass(frozen=True)
class Expected:
    """How long an experiment of a paper will take.

    Attributes:
        paper, experiment: their names.
        members: how many members, as in the paper.
        seconds: the prediction; None where the experiment is hopeless without a GPU and there is none.
    """

    paper: str
    experiment: str
    members: int
    seconds: float | None


def expected_times(rates: Rates) -> list[Expected]:
    """The expected time of every experiment of every paper, at full size.

    Example:
        >>> expected_times(Rates("cpu", 2, 220.0, 158.0, 1.0, 0.5))[0].experiment  # doctest: +SKIP
        'standard'
    """
    from grokscope.papers import papers

    found: list[Expected] = []
    for name, paper in papers().items():
        for one in paper.experiments:
            cost = one.cost("paper", None, rates)
            hopeless = one.needs_gpu and rates.device == "cpu"
            found.append(Expected(name, one.name, cost.members, None if hopeless else cost.seconds))
    return found


def compile_cache() -> dict[str, Any]:
    """Where compiled programs are kept between processes, and whether that works.

    Returns:
        ``path``, ``usable`` (bool) and ``why`` (empty, or why not).

    Example:
        >>> sorted(compile_cache())
        ['path', 'usable', 'why']
    """
    from grokscope.training.cache import cache_folder

    folder = Path(_setting("jax_compilation_cache_dir") or cache_folder())
    why = ""
    if not _setting("jax_enable_compilation_cache"):
        why = "switched off by JAX_ENABLE_COMPILATION_CACHE"
    elif os.environ.get("GROKSCOPE_COMPILE_CACHE") == "off":
        why = "switched off by GROKSCOPE_COMPILE_CACHE"
    else:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            why = f"cannot be written: {error.strerror}"
    return {"path": str(folder), "usable": not why, "why": why}


def examine() -> dict[str, Any]:
    """What this machine has, without measuring: ready to be printed as JSON.

    Example:
        >>> sorted(examine())
        ['cache', 'cores', 'devices', 'machine', 'memory', 'versions']
    """
    import jax
    import psutil

    import grokscope
    from grokscope.training.devices import prepare_devices, usable_cores

    prepare_devices()  # before jax looks at them
    memory = psutil.virtual_memory()
    return {
        "machine": {"system": platform.platform(), "cpu": _cpu_name(), "python": platform.python_version()},
        "cores": usable_cores(),
        "memory": {"total": memory.total, "available": memory.available},
        "devices": [{"kind": device.device_kind, "platform": device.platform} for device in jax.devices()],
        "versions": {"grokscope": grokscope.__version__, **{name: _version(name) for name in _PACKAGES}},
        "cache": compile_cache(),
    }


def _setting(name: str) -> Any:
    """A setting of jax, by its documented name."""
    import jax

    return getattr(jax.config, name)


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
