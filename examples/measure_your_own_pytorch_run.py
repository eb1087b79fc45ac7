"""Measure a PyTorch run of your own: a plain training loop, then five lines that draw the figures of a paper.

    python examples/measure_your_own_pytorch_run.py

`train` is PyTorch and knows nothing of grokscope: it writes a state dict now and then, and its data. `look`
makes a run of them and draws what "A Tale of Two Circuits" draws, into ``own/``. It needs
``pip install grokscope[torch]`` and takes a minute or two. ``--epochs 20`` is quick, and too short to grok.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import nn

import grokscope as gs
from grokscope.plots.runs import neuron_figure, subnetwork_figure, training_figure
from grokscope.plots.save import save_figure


def train(folder: Path, epochs: int, n: int, width: int) -> None:
    """Learn the parity of three of n bits, and save checkpoints ``epoch_0.pt``, ``epoch_1.pt``, ..."""
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    x = torch.randint(0, 2, (1100, n)).float() * 2 - 1
    y = x[:, :3].prod(dim=1)
    train_x, train_y, test_x, test_y = x[:1000], y[:1000], x[1000:], y[1000:]
    np.savez(folder / "data.npz", train_x=train_x, train_y=train_y, test_x=test_x, test_y=test_y)

    model = nn.Sequential(nn.Linear(n, width), nn.ReLU(), nn.Linear(width, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.01)
    for epoch in range(epochs + 1):
        if epoch <= 20 or epoch % 5 == 0:
            torch.save(model.state_dict(), folder / f"epoch_{epoch}.pt")
        for rows in torch.randperm(len(train_x)).split(32):
            margin = train_y[rows] * model(train_x[rows]).squeeze(1)
            loss = torch.relu(1 - margin).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def look(folder: Path, out: Path, n: int) -> gs.Run:
    """Import the checkpoints, and draw the two-circuits figures."""
    task = {"kind": "sparse_parity", "n": n, "k": 3}
    run = gs.import_torch(folder, task, data=folder / "data.npz", pattern="epoch_{epoch}.pt", out=out / "run")
    save_figure(training_figure(run.measures, run.experiment.model.width), out, "accuracy-loss-sparsity")
    save_figure(subnetwork_figure(run.measures), out, "subnetworks")
    save_figure(neuron_figure(run.measures, run.subnetworks), out, "neurons")
    return run


def main() -> None:
    """Read the command, train, and draw."""
    parser = argparse.ArgumentParser(description="Measure a PyTorch run of your own.")
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--bits", type=int, default=40)
    parser.add_argument("--width", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path("own"))
    given = parser.parse_args()
    train(given.out / "checkpoints", given.epochs, given.bits, given.width)
    print(look(given.out / "checkpoints", given.out, given.bits))
    print(f"figures: {', '.join(sorted(file.name for file in given.out.glob('*.png')))} in {given.out}")


if __name__ == "__main__":
    main()
