"""``grokscope doctor``: the hardware of this machine, its speed, and predicted times of the papers."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grokscope.cli import options
from grokscope.cli import output as out

if TYPE_CHECKING:
    from grokscope.training.rates import Rates

_PACKAGES = (
    "jax", "jaxlib", "equinox", "optax", "numpy", "scipy", "xarray", "zarr", "icechunk",
    "matplotlib", "pyarrow", "h5netcdf", "h5py", "safetensors", "torch",
)  # fmt: skip


@dataclass(frozen=True)
class Expected:
    """Expected time of one experiment of a paper.

    Attributes:
        paper, experiment: the names.
        members: number of members in the paper's profile.
        seconds: the prediction; None if the experiment needs a GPU and this machine has none.
    """

    paper: str
    experiment: str
    members: int
    seconds: float | None


def doctor(json: options.Json = False) -> None:
    """Show what this machine has and how fast it is.

    Devices, versions, the measured matrix rate, and the expected time of each experiment of each paper.
    """
    with out.json_only(json):
        from grokscope.progress import duration
        from grokscope.training import rates as speed

        found = examine()
        rates = speed.measure_rates()
        expected = expected_times(rates)
        if json:
            out.document({**found, "rates": rates, "expected": expected})
            return
        machine, memory, cache = found["machine"], found["memory"], found["cache"]
        devices = ", ".join(f"{item['kind']} ({item['platform']})" for item in found["devices"])
        facts = [
            ("machine", f"{machine['cpu']}, {found['cores']} cores, {machine['system']}"),
            ("memory", f"{memory['total'] / 2**30:.1f} GiB, {memory['available'] / 2**30:.1f} GiB free"),
            ("devices", devices),
            ("matrix rate, large", f"{rates.large:.0f} GFLOP/s (float32, {rates.device}, all cores)"),
            ("matrix rate, 32x40x1000", f"{rates.at_shape:.0f} GFLOP/s (the default network's shape)"),
            ("share free now", f"{100 * rates.free:.0f} %"),
            ("compile cache", cache["path"] + (f": {cache['why']}" if cache["why"] else ", usable")),
            ("python", machine["python"]),
            *((name, version or "not installed") for name, version in found["versions"].items()),
        ]
        out.table(("what", "found"), facts)
        out.line()
        rows = [
            (
                *(item.paper, item.experiment, item.members),
                "needs a GPU" if item.seconds is None else f"about {duration(item.seconds)}",
            )
            for item in expected
        ]
        out.table(("paper", "experiment", "seeds", "time on this machine"), rows)


def expected_times(rates: Rates) -> list[Expected]:
    """Predict the time of every experiment of every paper, at full size.

    Example:
        >>> from grokscope.training.rates import Rates
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
    """Find the folder of jax's compilation cache and whether it can be used.

    Returns:
        ``path``, ``usable`` (bool) and ``why`` (the reason if it is not usable, else empty).

    Example:
        >>> sorted(compile_cache())
        ['path', 'usable', 'why']
    """
    import tempfile

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
    """Describe this machine without measuring its speed, as a table that JSON can hold.

    Example:
        >>> sorted(examine())
        ['cache', 'cores', 'devices', 'machine', 'memory', 'versions']
    """
    import psutil

    import grokscope
    from grokscope.runs.provenance import package_version
    from grokscope.training.devices import devices, prepare_devices, usable_cores

    prepare_devices()  # before jax lists them
    memory = psutil.virtual_memory()
    return {
        "machine": {"system": platform.platform(), "cpu": _cpu_name(), "python": platform.python_version()},
        "cores": usable_cores(),
        "memory": {"total": memory.total, "available": memory.available},
        "devices": [{"kind": device.device_kind, "platform": device.platform} for device in devices()],
        "versions": {
            "grokscope": grokscope.__version__,
            **{name: package_version(name) for name in _PACKAGES},
        },
        "cache": compile_cache(),
    }


def _setting(name: str) -> Any:
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
