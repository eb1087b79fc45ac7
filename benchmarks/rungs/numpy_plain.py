"""Rung: plain numpy, one seed after the other, float32, gradients by hand, no logging.

It also gives the unit U of all our timings: the time of one SGD step of the standard network at
batch 32, with the drawing of the batch in it (``--unit``). Set the number of BLAS threads by
``--threads``: it must be fixed before numpy is imported, which is why numpy is imported late.

    python benchmarks/rungs/numpy_plain.py --epochs 300 --seeds 5 --threads 1
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

N, K, N_TRAIN, N_TEST, WIDTH = 40, 3, 1000, 100, 1000
BATCH, RATE, DECAY = 32, 0.1, 0.01


def make_data(rng: np.random.Generator, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw ``samples`` inputs of {-1, +1}^n and the parity of their first k bits."""
    x = (2 * rng.integers(0, 2, size=(samples, N)) - 1).astype("float32")
    return x, x[:, :K].prod(axis=1)


def make_params(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw PyTorch's default initialization: U(-1/sqrt(fan in), 1/sqrt(fan in)).

    W is kept as (inputs, neurons), in which both of its products are fastest.
    """
    a, c = N**-0.5, WIDTH**-0.5
    return {
        "W": rng.uniform(-a, a, size=(N, WIDTH)).astype("float32"),
        "b": rng.uniform(-a, a, size=WIDTH).astype("float32"),
        "u": rng.uniform(-c, c, size=WIDTH).astype("float32"),
    }


def predict(params: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """f(x) = relu(x W + b) . u for each row of x."""
    return (x @ params["W"] + params["b"]).clip(min=0) @ params["u"]


class Buffers:
    """Work space of one batch size, so that a step allocates nothing large."""

    def __init__(self, params: dict[str, np.ndarray], size: int):
        import numpy as np

        n, width = params["W"].shape
        dtype = params["W"].dtype
        self.x = np.empty((size, n), dtype)
        self.h = np.empty((size, width), dtype)
        self.on = np.empty((size, width), bool)
        self.d = np.empty((size, width), dtype)
        self.dW = np.empty((n, width), dtype)


def step(
    params: dict[str, np.ndarray], x: np.ndarray, y: np.ndarray, rows: np.ndarray, work: Buffers
) -> None:
    """One SGD step on the hinge loss of the samples ``rows``, in place.

    Coupled decay, p - r (g + d p), is the shrinking by 1 - r d that is done here. The rate and the
    derivative of the loss, one number per sample, are multiplied into the inputs (32 x 40), not
    into the neurons' activity (32 x 1000).
    """
    import numpy as np

    W, b, u = params["W"], params["b"], params["u"]
    xb, yb = np.take(x, rows, axis=0, out=work.x, mode="clip"), y[rows]
    h, on, d = work.h, work.on, work.d
    np.matmul(xb, W, out=h)
    h += b
    np.greater(h, 0, out=on)
    h *= on  # relu; numpy's maximum takes longer
    g = yb * (yb * (h @ u) < 1)
    g *= -RATE / len(rows)
    du = g @ h
    np.multiply(on, u, out=d)
    db = g @ d
    xb *= g[:, None]
    np.matmul(xb.T, d, out=work.dW)
    shrink = 1 - RATE * DECAY
    for p, change in ((W, work.dW), (b, db), (u, du)):
        p *= shrink
        p -= change


def train(
    params: dict[str, np.ndarray],
    x: np.ndarray,
    y: np.ndarray,
    epochs: int,
    rng: np.random.Generator,
) -> None:
    """Train in place; the order is drawn anew each epoch, the last batch is the remainder."""
    sizes = {min(BATCH, len(x) - i) for i in range(0, len(x), BATCH)}
    buffers = {size: Buffers(params, size) for size in sizes}
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for i in range(0, len(x), BATCH):
            rows = order[i : i + BATCH]
            step(params, x, y, rows, buffers[len(rows)])


def unit_seconds(blocks: int, steps: int) -> list[float]:
    """Seconds per step at batch 32, one number for each block of ``steps`` steps."""
    import numpy as np

    rng = np.random.default_rng(0)
    (x, y), params = make_data(rng, N_TRAIN), make_params(rng)
    work, rows = Buffers(params, BATCH), rng.integers(0, N_TRAIN, size=(steps, BATCH))
    times = []
    for block in range(blocks + 1):
        start = time.perf_counter()
        for r in rows:
            step(params, x, y, r, work)
        if block:  # the first warms the caches and the BLAS threads
            times.append((time.perf_counter() - start) / steps)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--unit", action="store_true", help="measure U instead of training")
    parser.add_argument("--blocks", type=int, default=9)
    parser.add_argument("--steps", type=int, default=1000, help="steps in a block of --unit")
    args = parser.parse_args()
    for name in ("OPENBLAS", "OMP", "MKL", "VECLIB"):
        variable = f"{name}_MAXIMUM_THREADS" if name == "VECLIB" else f"{name}_NUM_THREADS"
        os.environ[variable] = str(args.threads)
    import numpy as np

    versions = {"python": platform.python_version(), "numpy": np.__version__}
    result: dict[str, Any] = {"threads": args.threads, "versions": versions}
    if args.unit:
        times = unit_seconds(args.blocks, args.steps)
        result |= {"unit_seconds": statistics.median(times), "blocks": times}
        print(json.dumps(result))
        return
    x_test, y_test = make_data(np.random.default_rng(10**6), N_TEST)
    start = time.perf_counter()
    accuracy = {"train": [], "test": []}
    for seed in range(args.seeds):
        rng = np.random.default_rng(seed)
        (x, y), params = make_data(rng, N_TRAIN), make_params(rng)
        train(params, x, y, args.epochs, rng)
        accuracy["train"].append(float((predict(params, x) * y > 0).mean()))
        accuracy["test"].append(float((predict(params, x_test) * y_test > 0).mean()))
    result |= {"train_seconds": time.perf_counter() - start, "accuracy": accuracy}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
