"""Rung: JAX and optax, written plainly, all seeds at once by vmap, no logging.

What a JAX user writes: parameters in a dict, an optax chain, an epoch as one ``lax.scan`` over batches, and
``vmap`` over the seeds around it. The last batch of an epoch is the remainder, so it is a step of its own.

    python benchmarks/rungs/jax_optax.py --epochs 300 --seeds 5
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from typing import Any

import jax
import jax.numpy as jnp
import optax

N, K, N_TRAIN, N_TEST, WIDTH, BATCH = 40, 3, 1000, 100, 1000, 32
Params = dict[str, jax.Array]

optimizer = optax.chain(optax.add_decayed_weights(0.01), optax.sgd(0.1))


def make_data(key: jax.Array, samples: int) -> tuple[jax.Array, jax.Array]:
    """Draw ``samples`` inputs of {-1, +1}^n and the parity of their first k bits."""
    x = jax.random.rademacher(key, (samples, N), jnp.float32)
    return x, x[:, :K].prod(axis=1)


def make_params(key: jax.Array) -> Params:
    """Draw PyTorch's default initialization: U(-1/sqrt(fan in), 1/sqrt(fan in))."""
    keys, a, c = jax.random.split(key, 3), N**-0.5, WIDTH**-0.5
    return {
        "W": jax.random.uniform(keys[0], (N, WIDTH), minval=-a, maxval=a),
        "b": jax.random.uniform(keys[1], (WIDTH,), minval=-a, maxval=a),
        "u": jax.random.uniform(keys[2], (WIDTH,), minval=-c, maxval=c),
    }


def predict(params: Params, x: jax.Array) -> jax.Array:
    """f(x) = relu(x W + b) . u for each row of x."""
    return jax.nn.relu(x @ params["W"] + params["b"]) @ params["u"]


def loss(params: Params, x: jax.Array, y: jax.Array) -> jax.Array:
    """Mean hinge loss."""
    return jax.nn.relu(1 - y * predict(params, x)).mean()


def step(params: Params, state: Any, x: jax.Array, y: jax.Array) -> tuple[Params, Any]:
    """One SGD step."""
    updates, state = optimizer.update(jax.grad(loss)(params, x, y), state, params)
    params = optax.apply_updates(params, updates)  # pyright: ignore[reportAssignmentType]
    return params, state


def train_epoch(params: Params, state: Any, x: jax.Array, y: jax.Array, key: jax.Array) -> tuple[Params, Any]:
    """One pass over the samples, in an order of its own."""
    order = jax.random.permutation(key, len(x))
    whole = len(x) // BATCH * BATCH

    def body(carry: tuple[Params, Any], rows: jax.Array) -> tuple[tuple[Params, Any], None]:
        return step(*carry, x[rows], y[rows]), None

    (params, state), _ = jax.lax.scan(body, (params, state), order[:whole].reshape(-1, BATCH))
    if whole < len(x):
        params, state = step(params, state, x[order[whole:]], y[order[whole:]])
    return params, state


def accuracy_of(params: Params, x: jax.Array, y: jax.Array) -> jax.Array:
    """The share of right signs."""
    return (predict(params, x) * y > 0).mean()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    x_test, y_test = make_data(jax.random.key(10**6), N_TEST)
    start = time.perf_counter()
    keys = jax.vmap(lambda seed: jax.random.split(jax.random.key(seed), 3))(jnp.arange(args.seeds))
    x, y = jax.vmap(lambda key: make_data(key, N_TRAIN))(keys[:, 0])
    params = jax.vmap(make_params)(keys[:, 1])
    state = jax.vmap(optimizer.init)(params)
    run = jax.jit(jax.vmap(train_epoch), donate_argnums=(0, 1))
    fold_in = jax.vmap(jax.random.fold_in, in_axes=(0, None))
    for epoch in range(args.epochs):
        params, state = run(params, state, x, y, fold_in(keys[:, 2], epoch))
    accuracy = {
        "train": jax.vmap(accuracy_of)(params, x, y).tolist(),
        "test": jax.vmap(accuracy_of, in_axes=(0, None, None))(params, x_test, y_test).tolist(),
    }
    result = {
        "train_seconds": time.perf_counter() - start,
        "accuracy": accuracy,
        "versions": {
            "python": platform.python_version(),
            "jax": jax.__version__,
            "optax": optax.__version__,
        },
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
