"""Rates of single-precision matrix products: large ones, and at the network's own shapes.

The shape 32 x 40 x 1000 is the forward product of a batch, 1000 x 32 x 40 the gradient's. "All
cores" at those shapes means one independent stream of products per core, since one product is too
small to share. ``measure_sgemm`` starts fresh processes; run as a script this file is one of them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import _machine
from _process import last_line, measure
from _result import Rate

FORWARD, GRADIENT = (32, 40, 1000), (1000, 32, 40)


def _best_rate(call: Any, flop: float, seconds: float) -> float:
    """The best of three blocks that together take about ``seconds``, in GFLOP/s."""
    call()
    start = time.perf_counter()
    call()
    repeats = max(1, int(seconds / 3 / (time.perf_counter() - start)))
    rates = []
    for _ in range(3):
        start = time.perf_counter()
        for _ in range(repeats):
            call()
        rates.append(flop * repeats / (time.perf_counter() - start) / 1e9)
    return max(rates)


def numpy_rate(shape: tuple[int, int, int], seconds: float) -> float:
    """One stream of products, with the BLAS threads that the environment asks for."""
    import numpy as np

    m, k, n = shape
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(s, dtype=np.float32) for s in ((m, k), (k, n)))
    c = np.empty((m, n), np.float32)
    return _best_rate(lambda: np.matmul(a, b, out=c), 2.0 * m * k * n, seconds)


def jax_rate(shape: tuple[int, int, int], seconds: float, streams: int) -> float:
    """``streams`` chains of dependent products, one on each CPU device, in one program.

    Each product goes back into the next one's left factor, scaled so that nothing overflows; the
    compiler can neither drop nor hoist it.
    """
    import jax
    import jax.numpy as jnp
    from jax.sharding import NamedSharding, PartitionSpec

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", streams)
    m, k, n = shape
    length = max(1, int(2e8 / (2 * m * k * n)))

    def chain(a: Any, b: Any) -> Any:
        def body(_: int, a: Any) -> Any:
            c = jax.lax.optimization_barrier(jnp.matmul(a[0], b[0]))
            rows, columns = min(m, c.shape[0]), min(k, c.shape[1])
            return a.at[0, :rows, :columns].set(c[:rows, :columns] * 0.1 / k**0.5)

        return jax.lax.fori_loop(0, length, body, a)

    mesh = jax.make_mesh((streams,), ("stream",))
    spec = PartitionSpec("stream")
    program = jax.jit(jax.shard_map(chain, mesh=mesh, in_specs=(spec, spec), out_specs=spec, check_vma=False))
    keys = jax.random.split(jax.random.key(0))
    place = NamedSharding(mesh, spec)
    a = jax.device_put(jax.random.normal(keys[0], (streams, m, k)), place)
    b = jax.device_put(jax.random.normal(keys[1], (streams, k, n)), place)
    flop = 2.0 * m * k * n * length * streams
    return _best_rate(lambda: program(a, b).block_until_ready(), flop, seconds)


def _argv(library: str, shape: tuple[int, int, int], seconds: float, streams: int) -> list[str]:
    argv = [sys.executable, str(Path(__file__).resolve()), "--library", library]
    argv += ["--shape", *map(str, shape), "--seconds", str(seconds), "--streams", str(streams)]
    return argv


def _with_threads(threads: int) -> dict[str, str]:
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    return os.environ | dict.fromkeys(names, str(threads))


def _numpy_streams(shape: tuple[int, int, int], seconds: float, streams: int) -> float:
    """The sum of the rates of one single-threaded process per core, all at the same time."""
    argv = [*_argv("numpy", shape, seconds, 1), "--at", str(time.time() + 1.5)]
    processes = [
        subprocess.Popen(argv, env=_with_threads(1), stdout=subprocess.PIPE, text=True)
        for _ in range(streams)
    ]
    outputs = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise RuntimeError("a matrix-product process failed; its message is above")
    return sum(json.loads(text)["gflops"] for text in outputs)


def measure_sgemm(seconds: float = 2.0, size: int = 3072) -> list[Rate]:
    """All rates, each measured for about ``seconds``."""
    cores = _machine.cores()
    big = (size, size, size)
    rates: list[tuple[str, tuple[int, int, int], str, float]] = []
    for library, streams in (("numpy", 1), ("jax", 1)):
        line = last_line(measure(_argv(library, big, seconds, streams), _with_threads(cores)))
        rates.append((library, big, f"one product, {cores} threads", json.loads(line)["gflops"]))
    for shape in (FORWARD, GRADIENT):
        how = f"{cores} processes of one thread"
        rates.append(("numpy", shape, how, _numpy_streams(shape, seconds, cores)))
        line = last_line(measure(_argv("jax", shape, seconds, cores)))
        rates.append(("jax", shape, f"{cores} CPU devices", json.loads(line)["gflops"]))
    return [
        Rate.model_validate({"library": a, "shape": " x ".join(map(str, b)), "how": c, "gflops": d})
        for a, b, c, d in rates
    ]


def reference(rates: list[Rate]) -> float:
    """The rate that training is held against: the best library at 32 x 40 x 1000."""
    shape = " x ".join(map(str, FORWARD))
    return max(rate.gflops for rate in rates if rate.shape == shape)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", choices=("numpy", "jax"), required=True)
    parser.add_argument("--shape", type=int, nargs=3, default=FORWARD)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--at", type=float, default=0.0, help="begin at this time of day")
    args = parser.parse_args()
    if args.library == "numpy":
        import numpy as np  # noqa: F401  (loaded before the streams begin together)
    time.sleep(max(0.0, args.at - time.time()))
    m, k, n = args.shape
    if args.library == "numpy":
        rate = numpy_rate((m, k, n), args.seconds)
    else:
        rate = jax_rate((m, k, n), args.seconds, args.streams)
    print(json.dumps({"gflops": rate}))


if __name__ == "__main__":
    main()
