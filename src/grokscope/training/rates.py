"""Matrix rates of this machine, and the prediction of an experiment's wall time from them.

Other facts about the machine are in `grokscope.cli.doctor`, comparisons with other programs in
``benchmarks/``.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grokscope.errors import GrokscopeError

if TYPE_CHECKING:
    import jax

    from grokscope.experiment import Experiment

__all__ = ["Rates", "measure_rates", "predict_seconds"]

# The product of the default network's first layer: a batch of 32 inputs of 40 bits, 1,000 neurons.
NETWORK_SHAPE = (32, 40, 1000)
# Large enough for the peak rate, short enough to finish between time slices of other programs.
LARGE_SHAPE = (512, 512, 512)

# Calibration, from standard two-circuits runs of 2 to 100 members (see docs/performance.md).
# The compiled training step reaches this share of the matrix rate at the network's shape.
TRAINING_SHARE = 0.85
# The measures of a point (mean over all points, every measure of the paper) cost as much as this number of
# training passes over the training set: a member of the standard run takes 3.9 core-seconds, 0.9 of them for
# training.
PASSES_PER_POINT = 3.4
# Imports, tracing, compilation with an empty cache, the last commit: once per experiment.
START_SECONDS = 8.0
# Float64 products run at half the rate of float32.
DOUBLE_COST = 2.0

# Program of a measuring process. There is one process per core with one thread each, like the members of a
# cohort; threads of one process would compete for the library's pool. For every shape it prints the products
# per second of the best millisecond, and over the whole time.
_WORKER = """
import json, sys, time
import numpy as np
shapes, seconds = json.loads(sys.argv[1]), float(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for a, b, c in shapes:
    x, w, out = np.ones((a, b), np.float32), np.ones((b, c), np.float32), np.empty((a, c), np.float32)
    np.matmul(x, w, out=out)
    chunk = max(1, round(5e7 / (a * b * c)))
    best, done, first = 0.0, 0, time.perf_counter()
    before = first
    while before < first + seconds:
        for _ in range(chunk):
            np.matmul(x, w, out=out)
        now = time.perf_counter()
        best, done, before = max(best, chunk / (now - before)), done + chunk, now
    print(best, done / (before - first))
"""
_ONE_THREAD = dict.fromkeys(
    ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)


@dataclass(frozen=True)
class Rates:
    """Rates of float32 matrix products on the training device, in GFLOP/s.

    Attributes:
        device: jax's default device: ``cpu``, ``gpu`` or ``tpu``.
        cores: CPU cores this process may use.
        large: best rate at large square matrices, one product per core at a time, summed over cores. On an
            accelerator: one large product.
        at_shape: best rate at the network's shape (32 x 40 x 1000), summed over cores. On an accelerator: a
            block of 256 products of that shape.
        free: mean rate over the whole time as a share of ``at_shape``; less than 1 if other programs run or
            the container limits CPU time.
        seconds: duration of the measurement.
    """

    device: str
    cores: int
    large: float
    at_shape: float
    free: float
    seconds: float


def measure_rates(budget: float = 2.0) -> Rates:
    """Measure the matrix rates in about ``budget`` seconds.

    Raises:
        GrokscopeError: if a measuring process cannot be started.

    Example:
        >>> measure_rates(0.2).at_shape > 0
        True
    """
    import jax

    from grokscope.training.devices import prepare_devices, usable_cores

    prepare_devices()  # before jax initializes: this process may train next
    began = time.perf_counter()
    device, cores = jax.default_backend(), usable_cores()
    if device == "cpu":
        (large, _), (at_shape, steady) = _rates_of_workers(cores, (LARGE_SHAPE, NETWORK_SHAPE), budget / 3)
    else:
        large, at_shape = _accelerator_rates(budget / 3)
        steady = at_shape
    return Rates(device, cores, large, at_shape, steady / at_shape, time.perf_counter() - began)


def predict_seconds(experiment: Experiment, n_members: int, rates: Rates) -> float:
    r"""Predict the wall time of training and measuring a cohort.

    $t = t_0 + r\,\frac{T B F + c P N F}{s R}$ with F operations per sample (`Model.flops_per_sample`), T
    updates of B samples, P measured points on N training samples, R the free part of one core's rate at the
    network's shape, s and c the calibrated `TRAINING_SHARE` and `PASSES_PER_POINT`, $t_0$ = `START_SECONDS`,
    and r rounds of one member per core. B F is that of `Learner.update_flops`, if the learner says it.

    Args:
        experiment: the experiment to run.
        n_members: number of members.
        rates: result of `measure_rates`.

    Example:
        >>> from grokscope import Experiment
        >>> standard = Experiment(task="sparse_parity", epochs=300)
        >>> predict_seconds(standard, 5, Rates("cpu", 2, 220.0, 158.0, 1.0, 0.5)) < 60
        True
    """
    task = experiment.task
    flops = experiment.model.flops_per_sample(task.input_shape, task.n_outputs)
    if experiment.precision == "float64":
        flops *= DOUBLE_COST
    batch = task.n_train if experiment.batch_size == "full" else int(experiment.batch_size)
    points = experiment.points("measures")
    update = experiment.learner.update_flops(experiment)
    update = flops * batch if update is None else update
    per_member = experiment.n_steps * update + flops * len(points) * PASSES_PER_POINT * task.n_train
    lanes = rates.cores if rates.device == "cpu" else 1
    rounds = math.ceil(n_members / lanes)
    rate = TRAINING_SHARE * rates.free * rates.at_shape * 1e9
    return START_SECONDS + rounds * lanes * per_member / rate


def _rates_of_workers(
    workers: int, shapes: tuple[tuple[int, int, int], ...], seconds: float
) -> list[tuple[float, float]]:
    """Best and mean rate for each shape in GFLOP/s, summed over one process per core."""
    command = [sys.executable, "-c", _WORKER, json.dumps(shapes), str(seconds)]
    environment = {**os.environ, **_ONE_THREAD}
    started: list[subprocess.Popen[str]] = []
    pipe = subprocess.PIPE
    try:
        for _ in range(workers):  # one by one: if one cannot start, `finally` ends the others
            worker = subprocess.Popen(
                command, env=environment, text=True, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL
            )
            started.append(worker)
        for worker in started:
            assert worker.stdout is not None
            worker.stdout.readline()
        for worker in started:  # all at the same time: they compete like members
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        tables = [[line.split() for line in worker.communicate()[0].splitlines()] for worker in started]
        return [
            (scale * sum(float(table[i][0]) for table in tables), scale * sum(float(t[i][1]) for t in tables))
            for i, scale in enumerate(2e-9 * math.prod(shape) for shape in shapes)
        ]
    except (OSError, ValueError, IndexError) as error:
        raise GrokscopeError(f"doctor: the matrix rate could not be measured: {error}.") from error
    finally:
        for worker in started:
            _end(worker)


def _end(worker: subprocess.Popen[str]) -> None:
    worker.kill()
    worker.wait()
    for pipe in (worker.stdin, worker.stdout):
        with contextlib.suppress(OSError):  # unwritten input of a process that has ended
            if pipe is not None:
                pipe.close()


def _accelerator_rates(seconds: float, size: int = 8192, block: int = 256) -> tuple[float, float]:
    """Rates of jax's default device in GFLOP/s: a large product, and a block at the network's shape."""
    import jax
    import jax.numpy as jnp

    rows, inner, columns = NETWORK_SHAPE
    shapes = (((size, size), (size, size)), ((block, rows, inner), (block, inner, columns)))
    product = jax.jit(jnp.matmul)
    rates: list[float] = []
    for left, right in shapes:
        a, b = jnp.ones(left, jnp.float32), jnp.ones(right, jnp.float32)
        flops = 2.0 * math.prod(left) * right[-1]

        def once(a: jax.Array = a, b: jax.Array = b) -> None:
            jax.block_until_ready(product(a, b))

        rates.append(flops / _median_time(once, seconds) / 1e9)
    return rates[0], rates[1]


def _median_time(action: Callable[[], None], seconds: float) -> float:
    action()  # compiles
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return statistics.median(times)
