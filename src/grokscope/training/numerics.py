"""The numerics fingerprint: versions, hardware and settings that affect the last bits of a run.

With equal fingerprints a run is a function of (experiment, member), bit for bit. With different ones only its
statistics are reproducible, so resume and replay compare fingerprints. The fingerprint contains no host name
and no environment variable except the compiler's flags.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grokscope.training.devices import choose_execution

if TYPE_CHECKING:
    from grokscope.experiment import Experiment

__all__ = [
    "cpu_features",
    "cpu_model",
    "numerics_fingerprint",
    "numerics_here",
]


_PACKAGES = ("jax", "jaxlib", "numpy", "equinox", "optax")
# settings of jax (each also an environment variable JAX_...) that change numbers
_SETTINGS = (
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
    "jax_disable_jit",
    "jax_numpy_dtype_promotion",
    "jax_threefry_partitionable",
)
# compiler flags that set output folders and the number of emulated devices, and do not affect results
_HARMLESS = re.compile(r"--?xla_(dump_\w+|force_host_platform_device_count|hlo_profile)(=|$)")
# CPU features that select vector and matrix code
_VECTOR = re.compile(r"(sse|ssse|avx|fma|f16c|amx|bmi|asimd|neon|sve|sme|fp|i8mm|bf16|popcnt|arm\.)", re.I)


def numerics_here(experiment: Experiment) -> dict[str, Any]:
    """The fingerprint of this process for an experiment."""
    execution = choose_execution(1, experiment=experiment)
    return numerics_fingerprint(
        execution=execution.path, block_width=execution.block, precision=experiment.precision
    )


def numerics_fingerprint(*, execution: str, block_width: int, precision: str) -> dict[str, Any]:
    """The fingerprint of this process.

    Args:
        execution: ``map`` or ``vmap`` (`Execution.path`).
        block_width: members per block (1 for ``map``).
        precision: ``float32`` or ``float64``.

    Returns:
        JSON values (strings and integers) by name.
    """
    import jax

    device = jax.devices()[0]
    return {
        **{package: metadata.version(package) for package in _PACKAGES},
        "platform": f"{device.platform} {device.device_kind}",
        "cpu": cpu_model(),
        "cpu_features": hashlib.sha256(" ".join(cpu_features()).encode()).hexdigest()[:16],
        "xla_flags": " ".join(compiler_flags(os.environ.get("XLA_FLAGS", ""))),
        **{name: str(getattr(jax.config, name, None)) for name in _SETTINGS},
        "execution": execution,
        "block_width": block_width,
        "precision": precision,
    }


def compiler_flags(text: str) -> list[str]:
    """The flags of an ``XLA_FLAGS`` text that may affect results, in their order."""
    return [flag for flag in text.split() if not _HARMLESS.match(flag)]


@functools.cache
def cpu_model() -> str:
    """Name of the processor; the machine type if it is unknown."""
    if platform.system() == "Darwin":
        return _sysctl("machdep.cpu.brand_string") or platform.machine()
    return _cpuinfo("model name") or _cpuinfo("CPU part") or platform.machine()


@functools.cache
def cpu_features() -> tuple[str, ...]:
    """Vector and matrix instruction sets of the processor, sorted."""
    if platform.system() == "Darwin":
        lines = (_sysctl("hw.optional") or "").splitlines()
        on = [line.split(":")[0].removeprefix("hw.optional.") for line in lines if line.endswith(": 1")]
    else:
        on = (_cpuinfo("flags") or _cpuinfo("Features") or "").split()
    return tuple(sorted({feature for feature in on if _VECTOR.match(feature)}))


def _cpuinfo(key: str) -> str | None:
    """The first value of a key in /proc/cpuinfo."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(rf"^{re.escape(key)}\s*:\s*(.*)$", text, re.MULTILINE)
    return found[1].strip() if found else None


def _sysctl(name: str) -> str | None:
    command = ["/usr/sbin/sysctl", name] if name == "hw.optional" else ["/usr/sbin/sysctl", "-n", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
