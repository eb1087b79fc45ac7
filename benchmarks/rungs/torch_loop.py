"""Rung: a PyTorch script as most people write it: one seed after the other, DataLoader, logging.

After every epoch it logs loss and accuracy on the training and on the test samples.

    python benchmarks/rungs/torch_loop.py --epochs 300 --seeds 5
"""

from __future__ import annotations

import argparse
import json
import platform
import time

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

N, K, N_TRAIN, N_TEST, WIDTH = 40, 3, 1000, 100, 1000


def make_data(samples: int, generator: torch.Generator) -> TensorDataset:
    """Draw ``samples`` inputs of {-1, +1}^n and the parity of their first k bits."""
    x = 2.0 * torch.randint(0, 2, (samples, N), generator=generator) - 1.0
    return TensorDataset(x, x[:, :K].prod(dim=1))


class Net(nn.Module):
    """f(x) = u . relu(W x + b), in PyTorch's default initialization."""

    def __init__(self, n: int = N, width: int = WIDTH):
        super().__init__()
        self.hidden = nn.Linear(n, width)
        self.out = nn.Linear(width, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The network's output for each row of x."""
        return self.out(torch.relu(self.hidden(x))).squeeze(-1)


def hinge(f: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The mean of max(0, 1 - y f)."""
    return torch.clamp(1 - y * f, min=0).mean()


@torch.no_grad()
def evaluate(model: nn.Module, loader: DataLoader) -> dict[str, float]:
    """Loss and accuracy over a loader."""
    model.eval()
    loss, correct, total = 0.0, 0, 0
    for x, y in loader:
        f = model(x)
        loss += hinge(f, y).item() * len(y)
        correct += int((f * y > 0).sum())
        total += len(y)
    return {"loss": loss / total, "accuracy": correct / total}


def train(
    model: nn.Module, train_loader: DataLoader, logged: dict[str, DataLoader], epochs: int
) -> list[dict[str, dict[str, float]]]:
    """Train, and log each of the ``logged`` loaders after every epoch."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.01)
    log = []
    for _ in range(epochs):
        model.train()
        for x, y in train_loader:
            optimizer.zero_grad()
            hinge(model(x), y).backward()
            optimizer.step()
        log.append({name: evaluate(model, loader) for name, loader in logged.items()})
    return log


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0, help="0: PyTorch's own choice")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    test = make_data(N_TEST, torch.Generator().manual_seed(10**6))
    start = time.perf_counter()
    accuracy: dict[str, list[float]] = {"train": [], "test": []}
    for seed in range(args.seeds):
        torch.manual_seed(seed)
        data = make_data(N_TRAIN, torch.Generator().manual_seed(seed))
        logged = {
            "train": DataLoader(data, batch_size=N_TRAIN),
            "test": DataLoader(test, batch_size=N_TEST),
        }
        log = train(Net(), DataLoader(data, batch_size=32, shuffle=True), logged, args.epochs)
        for name, values in accuracy.items():
            values.append(log[-1][name]["accuracy"])
    result = {
        "train_seconds": time.perf_counter() - start,
        "accuracy": accuracy,
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
