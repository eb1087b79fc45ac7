"""Rung: Equinox's idiom, all seeds at once as an ensemble by ``eqx.filter_vmap``, no logging.

The network is a module of ``eqx.nn.Linear`` layers, the ensemble is ``filter_vmap`` of its constructor, and
a step is a function of model and optimizer state under ``filter_jit``. The epoch's order is drawn on the
device; the host calls a step for each batch, as in Equinox's own examples.

    python benchmarks/rungs/equinox_ensemble.py --epochs 300 --seeds 5
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

N, K, N_TRAIN, N_TEST, WIDTH, BATCH = 40, 3, 1000, 100, 1000, 32

optimizer = optax.chain(optax.add_decayed_weights(0.01), optax.sgd(0.1))


class Network(eqx.Module):
    """f(x) = u . relu(W x + b); a Linear layer draws U(-1/sqrt(fan in), 1/sqrt(fan in)) as PyTorch does."""

    hidden: eqx.nn.Linear
    output: eqx.nn.Linear

    def __init__(self, key: jax.Array):
        first, second = jax.random.split(key)
        self.hidden = eqx.nn.Linear(N, WIDTH, key=first)
        self.output = eqx.nn.Linear(WIDTH, "scalar", use_bias=False, key=second)

    def __call__(self, x: jax.Array) -> jax.Array:
        """f(x) for one input."""
        return self.output(jax.nn.relu(self.hidden(x)))


def make_data(key: jax.Array, samples: int) -> tuple[jax.Array, jax.Array]:
    """Draw ``samples`` inputs of {-1, +1}^n and the parity of their first k bits."""
    x = jax.random.rademacher(key, (samples, N), jnp.float32)
    return x, x[:, :K].prod(axis=1)


def loss(model: Network, x: jax.Array, y: jax.Array) -> jax.Array:
    """Mean hinge loss."""
    return jax.nn.relu(1 - y * jax.vmap(model)(x)).mean()


@eqx.filter_jit(donate="all-except-first")
def step(batch: tuple[jax.Array, jax.Array, jax.Array], model: Network, state: Any) -> tuple[Network, Any]:
    """One SGD step of every member on its own rows."""

    def one(model: Network, state: Any, x: jax.Array, y: jax.Array, rows: jax.Array) -> tuple[Network, Any]:
        gradients = eqx.filter_grad(loss)(model, x[rows], y[rows])
        updates, state = optimizer.update(gradients, state, eqx.filter(model, eqx.is_array))
        return eqx.apply_updates(model, updates), state

    return eqx.filter_vmap(one)(model, state, *batch)


@eqx.filter_jit
def orders(keys: jax.Array, epoch: jax.Array) -> jax.Array:
    """The order of an epoch, [member, sample]."""
    return jax.vmap(lambda key: jax.random.permutation(jax.random.fold_in(key, epoch), N_TRAIN))(keys)


def accuracy_of(model: Network, x: jax.Array, y: jax.Array) -> jax.Array:
    """The share of right signs."""
    return (jax.vmap(model)(x) * y > 0).mean()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    x_test, y_test = make_data(jax.random.key(10**6), N_TEST)
    start = time.perf_counter()
    keys = jax.vmap(lambda seed: jax.random.split(jax.random.key(seed), 3))(jnp.arange(args.seeds))
    x, y = jax.vmap(lambda key: make_data(key, N_TRAIN))(keys[:, 0])
    model = eqx.filter_vmap(Network)(keys[:, 1])
    state = eqx.filter_vmap(optimizer.init)(eqx.filter(model, eqx.is_array))
    for epoch in range(args.epochs):
        order = orders(keys[:, 2], jnp.int32(epoch))
        for first in range(0, N_TRAIN, BATCH):
            model, state = step((x, y, order[:, first : first + BATCH]), model, state)
    accuracy = {
        "train": eqx.filter_vmap(accuracy_of)(model, x, y).tolist(),
        "test": eqx.filter_vmap(accuracy_of, in_axes=(eqx.if_array(0), None, None))(
            model, x_test, y_test
        ).tolist(),
    }
    result = {
        "train_seconds": time.perf_counter() - start,
        "accuracy": accuracy,
        "versions": {
            "python": platform.python_version(),
            "jax": jax.__version__,
            "equinox": eqx.__version__,
            "optax": optax.__version__,
        },
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
