"""Rung: PyTorch, one seed after the other, data as tensors on the device, no logging.

The order of the epoch is drawn by ``randperm`` and the batches are slices of it: what a user gains
who throws out the DataLoader. Accuracies are taken once, after the last epoch.

    python benchmarks/rungs/torch_device.py --epochs 300 --seeds 5
"""

from __future__ import annotations

import argparse
import json
import platform
import time

import torch
from torch import nn

N, K, N_TRAIN, N_TEST, WIDTH, BATCH = 40, 3, 1000, 100, 1000, 32


def make_data(samples: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw ``samples`` inputs of {-1, +1}^n and the parity of their first k bits."""
    x = 2.0 * torch.randint(0, 2, (samples, N), generator=generator) - 1.0
    return x, x[:, :K].prod(dim=1)


def make_model(n: int = N, width: int = WIDTH) -> nn.Module:
    """f(x) = u . relu(W x + b), in PyTorch's default initialization."""
    return nn.Sequential(nn.Linear(n, width), nn.ReLU(), nn.Linear(width, 1, bias=False), nn.Flatten(0))


def train(
    model: nn.Module, x: torch.Tensor, y: torch.Tensor, epochs: int, generator: torch.Generator
) -> None:
    """Train in place; the last batch of an epoch is the remainder."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.01)
    for _ in range(epochs):
        order = torch.randperm(len(x), generator=generator).to(x.device)
        for rows in order.split(BATCH):
            optimizer.zero_grad()
            torch.clamp(1 - y[rows] * model(x[rows]), min=0).mean().backward()
            optimizer.step()


@torch.no_grad()
def accuracy_of(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """The share of right signs."""
    return (model(x) * y > 0).double().mean().item()


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
    x_test, y_test = (t.to(device) for t in make_data(N_TEST, torch.Generator().manual_seed(10**6)))
    start = time.perf_counter()
    accuracy: dict[str, list[float]] = {"train": [], "test": []}
    for seed in range(args.seeds):
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        x, y = (t.to(device) for t in make_data(N_TRAIN, generator))
        model = make_model().to(device)
        train(model, x, y, args.epochs, generator)
        accuracy["train"].append(accuracy_of(model, x, y))
        accuracy["test"].append(accuracy_of(model, x_test, y_test))
    result = {
        "train_seconds": time.perf_counter() - start,
        "accuracy": accuracy,
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
