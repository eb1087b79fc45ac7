"""Rung: PyTorch, all seeds at once as a torch.func ensemble, no logging.

``stack_module_state`` stacks the members' parameters, ``vmap(grad(...))`` of a ``functional_call``
gives all gradients in one call, and every member has its own data and its own order.

    python benchmarks/rungs/torch_func.py --epochs 300 --seeds 5
"""

from __future__ import annotations

import argparse
import json
import platform
import time

import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap

N, K, N_TRAIN, N_TEST, WIDTH, BATCH = 40, 3, 1000, 100, 1000, 32
RATE, DECAY = 0.1, 0.01
Params = dict[str, torch.Tensor]


def make_data(samples: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw ``samples`` inputs of {-1, +1}^n and the parity of their first k bits."""
    x = 2.0 * torch.randint(0, 2, (samples, N), generator=generator) - 1.0
    return x, x[:, :K].prod(dim=1)


def make_model(n: int = N, width: int = WIDTH) -> nn.Module:
    """f(x) = u . relu(W x + b), in PyTorch's default initialization."""
    return nn.Sequential(nn.Linear(n, width), nn.ReLU(), nn.Linear(width, 1, bias=False), nn.Flatten(0))


def train(
    models: list[nn.Module],
    x: torch.Tensor,
    y: torch.Tensor,
    epochs: int,
    generators: list[torch.Generator],
) -> Params:
    """Train all members; x is (member, sample, input). Returns the stacked parameters."""
    params, _ = stack_module_state(models)
    params = {name: p.detach().clone() for name, p in params.items()}
    base = models[0]

    def loss(p: Params, xb: torch.Tensor, yb: torch.Tensor) -> torch.Tensor:
        return torch.clamp(1 - yb * functional_call(base, p, (xb,)), min=0).mean()

    gradients = vmap(grad(loss))
    member = torch.arange(len(models), device=x.device)[:, None]
    with torch.no_grad():
        for _ in range(epochs):
            orders = [torch.randperm(x.shape[1], generator=g) for g in generators]
            for rows in torch.stack(orders).to(x.device).split(BATCH, dim=1):
                change = gradients(params, x[member, rows], y[member, rows])
                for name, p in params.items():
                    p.mul_(1 - RATE * DECAY).sub_(change[name], alpha=RATE)
    return params


@torch.no_grad()
def accuracy_of(base: nn.Module, params: Params, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Each member's share of right signs."""
    f = vmap(lambda p, a: functional_call(base, p, (a,)))(params, x)
    return (f * y > 0).double().mean(dim=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0, help="0: PyTorch's own choice")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    x_test, y_test = (
        t.to(device).expand(args.seeds, *t.shape)
        for t in make_data(N_TEST, torch.Generator().manual_seed(10**6))
    )
    start = time.perf_counter()
    models, data, generators = [], [], []
    for seed in range(args.seeds):
        torch.manual_seed(seed)
        generators.append(torch.Generator().manual_seed(seed))
        data.append(make_data(N_TRAIN, generators[-1]))
        models.append(make_model().to(device))
    x, y = (torch.stack(parts).to(device) for parts in zip(*data, strict=True))
    params = train(models, x, y, args.epochs, generators)
    accuracy = {
        "train": accuracy_of(models[0], params, x, y).tolist(),
        "test": accuracy_of(models[0], params, x_test, y_test).tolist(),
    }
    result = {
        "train_seconds": time.perf_counter() - start,
        "accuracy": accuracy,
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
