"""Training with interventions as a plain numpy loop, written from their definitions; used only by tests.

A network is a dict of W [bit, neuron], b [neuron], u [neuron] with relu, hinge loss, SGD with weight decay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np

Network = dict[str, np.ndarray]
N_TRAIN, BATCH, PER_EPOCH = 50, 8, 7
RATE, DECAY = 0.1, 0.01


def nothing(net: Network) -> None:
    del net


@dataclass
class Act:
    """What is done at a step, and after every update from there to another."""

    at: int
    until: int = 10**9
    begin: Callable[[Network], None] = nothing
    after: Callable[[Network, Network, Network], None] = lambda before, net, start: None


def batch_rows(order_seed: int, step: int) -> np.ndarray:
    epoch, place = divmod(step, PER_EPOCH)
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(2), order_seed), epoch)
    return np.array(jax.random.permutation(key, N_TRAIN))[BATCH * place : BATCH * place + BATCH]


def gradient(net: Network, x: np.ndarray, y: np.ndarray, told: np.ndarray | None = None) -> Network:
    """The gradient of the mean hinge loss.

    Args:
        net: the network.
        x: inputs.
        y: labels.
        told: [neuron, neuron]: in the loss that neuron j follows, the output is sum_i told[j, i] f_i.
    """
    z = x @ net["W"] + net["b"]
    h = np.maximum(z, 0)
    grad = {name: np.zeros_like(value) for name, value in net.items()}
    for j in range(len(net["u"])):
        f = (h * net["u"]) @ (np.ones(len(net["u"])) if told is None else told[j])
        slope = np.where(1 - y * f > 0, -y, 0.0) / len(y)
        grad["u"][j] = slope @ h[:, j]
        back = slope * net["u"][j] * (z[:, j] > 0)
        grad["W"][:, j] = back @ x
        grad["b"][j] = back.sum()
    return grad


def train(
    net: Network,
    x: np.ndarray,
    y: np.ndarray,
    n_steps: int,
    acts: tuple[Act, ...] = (),
    *,
    order_seed: int,
    start: int = 0,
    told: Callable[[int], np.ndarray | None] = lambda step: None,
    rate: float = RATE,
) -> Network:
    """The network after updates start..n_steps-1."""
    net = {name: value.copy() for name, value in net.items()}
    began: dict[int, Network] = {}

    def begin(step: int) -> None:
        for i, act in enumerate(acts):
            if act.at == step:
                began[i] = {name: value.copy() for name, value in net.items()}
                act.begin(net)

    begin(start)
    for step in range(start, n_steps):
        rows = batch_rows(order_seed, step)
        before = {name: value.copy() for name, value in net.items()}
        grad = gradient(net, x[rows], y[rows], told(step))
        for name in net:
            net[name] = net[name] - rate * (grad[name] + DECAY * net[name])
        for i, act in enumerate(acts):
            if act.at <= step < act.until:
                act.after(before, net, began[i])
        begin(step + 1)
    return net
