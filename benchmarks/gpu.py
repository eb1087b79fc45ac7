"""On a GPU: whole standard runs per second, and how near that is to what the device can do.

A standard run is 9,600 steps at batch B = 32 of a network with P = 40 * 1000 + 1000 + 1000 = 42,000
parameters. With n_runs / seconds = R runs per second, the bounds are

    compute      6 P B flop a step = 8.06 MFLOP; 77 GFLOP a run      share = R * 77.4e9 / peak flops
    needed       4 * 32 * 40 * 1000 + 4 * 32 * 1000 = 5.25 MFLOP a step; 50 GFLOP a run
                 (the gradient with respect to the inputs, a third of 6 P B, is never needed)
    bandwidth    8 P bytes a step, each parameter read and written once; 3.2 GB a run
                                                                     share = R * 3.2e9 / bandwidth

The peaks are the maker's figures for one device, float32 outside the tensor cores; the file also
has what a large product and a copy reach here, in float32 and at JAX's default precision (which may
be TF32, faster and less exact: a share above 1 says so). The bandwidth bound can be passed where
the parameters of a block stay in the cache.

    python benchmarks/gpu.py --members 64 256 1024
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import _machine
import _ours
from _result import Gpu, GpuSize, Machine, today, write

N, WIDTH, BATCH, STEPS = 40, 1000, 32, 9600
PARAMETERS = N * WIDTH + WIDTH + WIDTH
FLOP_PER_RUN = 6 * PARAMETERS * BATCH * STEPS
NEEDED_FLOP_PER_RUN = (4 * BATCH * N * WIDTH + 4 * BATCH * WIDTH) * STEPS
BYTES_PER_RUN = 8 * PARAMETERS * STEPS
GOAL = 400.0

# Name in the device's description: TFLOP/s in float32 without tensor cores, bytes per second.
NOMINAL = {
    "H200": (67.0, 4.8e12),
    "H100 PCIe": (51.0, 2.0e12),
    "H100 NVL": (60.0, 3.9e12),
    "H100": (67.0, 3.35e12),
    "A100-SXM4-40GB": (19.5, 1.555e12),
    "A100-PCIE-40GB": (19.5, 1.555e12),
    "A100": (19.5, 2.0e12),
    "L40S": (91.6, 0.864e12),
    "L4": (30.3, 0.3e12),
    "T4": (8.1, 0.32e12),
}


def nominal(device: str) -> tuple[float, float] | None:
    """The maker's TFLOP/s and bytes per second; the first name that is a word of the device's."""
    found = (peak for name, peak in NOMINAL.items() if re.search(rf"\b{name}\b", device))
    return next(found, None)


def bounds(runs_per_second: float, tflops: float, bandwidth: float) -> tuple[float, float, float]:
    """Shares of the compute bound, of the needed-work bound and of the bandwidth bound."""
    flops = tflops * 1e12
    return (
        runs_per_second * FLOP_PER_RUN / flops,
        runs_per_second * NEEDED_FLOP_PER_RUN / flops,
        runs_per_second * BYTES_PER_RUN / bandwidth,
    )


def _seconds(call: Any, repeats: int = 20) -> float:
    call().block_until_ready()
    start = time.perf_counter()
    for _ in range(repeats):
        last = call()
    last.block_until_ready()
    return (time.perf_counter() - start) / repeats


def measured_peaks(size: int = 8192, members: int = 256) -> dict[str, float]:
    """TFLOP/s of products (large, and a block of networks) and bytes per second of a copy."""
    import jax
    import jax.numpy as jnp

    found: dict[str, float] = {}
    big = jnp.ones((size, size), jnp.float32)
    x = jnp.ones((members, BATCH, N), jnp.float32)
    w = jnp.ones((members, N, WIDTH), jnp.float32)
    for name, precision in (("float32", "highest"), ("default", None)):
        product = jax.jit(lambda a, b, p=precision: jnp.matmul(a, b, precision=p))
        seconds = _seconds(lambda f=product: f(big, big))
        found[f"tflops_{name}_large"] = 2 * size**3 / seconds / 1e12
        seconds = _seconds(lambda f=product: f(x, w))
        found[f"tflops_{name}_block"] = 2 * members * BATCH * N * WIDTH / seconds / 1e12
    copy = jax.jit(lambda a: a + 1)
    found["bytes_per_second_copy"] = 2 * big.nbytes / _seconds(lambda: copy(big))
    return found


def time_size(members: int, epochs: int, repeats: int, peak: tuple[float, float]) -> GpuSize:
    """Train one cohort size: the first call compiles, the others are timed."""
    import jax

    def once() -> float:
        start = time.perf_counter()
        _ours.train_members(members, epochs)
        return time.perf_counter() - start

    first = once()
    times = [once() for _ in range(repeats)]
    rate = members * epochs / 300 / statistics.median(times)
    compute, needed, bandwidth = bounds(rate, *peak)
    stats = jax.devices()[0].memory_stats() or {}
    return GpuSize(
        members=members,
        seconds=times,
        first_call_seconds=first,
        runs_per_second=rate,
        compute_share=compute,
        needed_compute_share=needed,
        bandwidth_share=bandwidth,
        peak_bytes=stats.get("peak_bytes_in_use"),
    )


def gpu_name() -> str | None:
    """The first device's description where JAX finds a GPU, else None."""
    import jax

    device = jax.devices()[0]
    return device.device_kind if device.platform == "gpu" else None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--members", type=int, nargs="+", default=[64, 256, 1024])
    parser.add_argument("--epochs", type=int, default=300, help="rates are scaled to 300")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--nominal-tflops", type=float, help="for a device not in our list")
    parser.add_argument("--nominal-bandwidth", type=float, help="bytes per second, likewise")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    device = gpu_name()
    if device is None:
        sys.exit("gpu.py: JAX sees no GPU here; it needs one, and JAX with its CUDA plug-in.")
    peak = nominal(device)
    source = "the maker's data sheet"
    if args.nominal_tflops and args.nominal_bandwidth:
        peak, source = (args.nominal_tflops, args.nominal_bandwidth), "given on the command line"
    if peak is None:
        sys.exit(
            f"gpu.py: no peaks known for {device!r}; "
            "give --nominal-tflops and --nominal-bandwidth from its data sheet."
        )
    import jax

    if len(jax.devices()) > 1:
        sys.exit("gpu.py: the bounds are of one GPU; show it one only, by CUDA_VISIBLE_DEVICES.")
    sizes: list[GpuSize] = []
    for members in args.members:
        size = time_size(members, args.epochs, args.repeats, peak)
        sizes.append(size)
        print(
            f"{members} members: {size.runs_per_second:.1f} runs/s (goal {GOAL:.0f} on an H200), "
            f"{size.compute_share:.0%} of compute, {size.bandwidth_share:.0%} of bandwidth"
        )
    result = Gpu(
        date=today(),
        machine=Machine.model_validate(_machine.describe()),
        device=device,
        epochs=args.epochs,
        nominal_tflops=peak[0],
        nominal_bytes_per_second=peak[1],
        nominal_source=source,
        measured=measured_peaks(),
        sizes=sizes,
    )
    print(f"written: {write(result, 'gpu', args.out).name}")


if __name__ == "__main__":
    main()
