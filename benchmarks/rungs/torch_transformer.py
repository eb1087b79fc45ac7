"""Rung: the papers' transformers in PyTorch, one run after the other, no logging.

``--variant plain`` is what most people write: every position is computed in every layer, and the logits are
read at the last one. ``--variant tuned`` is what one gains who knows the task: queries, keys and values are
one product, the last layer is computed at the last position only, and the optimizer is fused.

Prints the seconds of blocks of steps, after one block that is not counted, of the wall clock and of all
threads together.

    python benchmarks/rungs/torch_transformer.py --setting quick --steps 50 --blocks 5
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional


@dataclass(frozen=True)
class Setting:
    """What is trained: addition mod p from a share of the table. ``batch`` 0: all of it."""

    p: int
    share: float
    tokens: int
    layers: int
    width: int
    hidden: int
    batch: int
    norm: bool
    heads: int = 4
    first: int = 1  # the rate of the first update, in tenths


SETTINGS = {
    "power": Setting(97, 0.5, 4, layers=2, width=128, hidden=512, batch=512, norm=True),
    "nanda": Setting(113, 0.3, 3, layers=1, width=128, hidden=512, batch=0, norm=False, first=0),
    "quick": Setting(31, 0.6, 4, layers=1, width=64, hidden=256, batch=0, norm=True),
}


class Layer(nn.Module):
    """Attention and a perceptron, each added to its input, with a layer norm after each sum, or none.

    With ``norm`` there are no biases, fixed positions and PyTorch's initialization; without it biases in the
    perceptron, and a normal one.
    """

    def __init__(self, s: Setting, tuned: bool, last: bool):
        super().__init__()
        self.heads, self.only_last, self.tuned = s.heads, tuned and last, tuned
        self.qkv = nn.Linear(s.width, 3 * s.width, bias=False)
        if not tuned:
            self.query, self.key, self.value = (nn.Linear(s.width, s.width, bias=False) for _ in range(3))
            del self.qkv
        self.out = nn.Linear(s.width, s.width, bias=False)
        self.up = nn.Linear(s.width, s.hidden, bias=not s.norm)
        self.down = nn.Linear(s.hidden, s.width, bias=not s.norm)
        self.norms = nn.ModuleList(nn.LayerNorm(s.width) if s.norm else nn.Identity() for _ in range(2))

    def attend(self, x: torch.Tensor) -> torch.Tensor:
        """Causal attention; where only the last position is asked for, it may look at all."""
        n, t, d = x.shape
        parts = self.qkv(x).chunk(3, -1) if self.tuned else (self.query(x), self.key(x), self.value(x))
        q, k, v = (m.view(n, t, self.heads, d // self.heads).transpose(1, 2) for m in parts)
        if self.only_last:
            q = q[:, :, -1:]
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=not self.only_last)
        return self.out(mixed.transpose(1, 2).reshape(n, -1, d))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The stream [sample, position, feature] after the layer."""
        kept = x[:, -1:] if self.only_last else x
        x = self.norms[0](kept + self.attend(x))
        return self.norms[1](x + self.down(torch.relu(self.up(x))))


class Net(nn.Module):
    """Token and position embeddings, layers, logits at the last position."""

    def __init__(self, s: Setting, tuned: bool):
        super().__init__()
        vocabulary = s.p + s.tokens - 2
        self.embed = nn.Embedding(vocabulary, s.width)
        place = torch.arange(s.tokens)[:, None] * 1e4 ** (-torch.arange(0, s.width, 2) / s.width)
        fixed = torch.stack([place.sin(), place.cos()], -1).flatten(1)
        self.position = nn.Parameter(fixed, requires_grad=not s.norm)
        self.layers = nn.Sequential(*(Layer(s, tuned, i + 1 == s.layers) for i in range(s.layers)))
        self.unembed = nn.Linear(s.width, s.p, bias=False)
        if not s.norm:
            for name, p in self.named_parameters():
                std = (vocabulary if name == "unembed.weight" else s.width) ** -0.5
                nn.init.zeros_(p) if name.endswith("bias") else nn.init.normal_(p, std=std)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits [sample, residue]."""
        return self.unembed(self.layers(self.embed(tokens) + self.position)[:, -1])


class Run:
    """One run: its data, its network, its optimizer; `steps` goes on where it stopped."""

    def __init__(self, s: Setting, seed: int, tuned: bool, device: torch.device):
        torch.manual_seed(seed)
        self.generator = torch.Generator().manual_seed(seed)
        a, b = torch.cartesian_prod(torch.arange(s.p), torch.arange(s.p)).T
        signs = [torch.full_like(a, s.p + i) for i in range(s.tokens - 2)]
        columns = [a, b, *signs] if len(signs) < 2 else [a, signs[0], b, signs[1]]
        rows = torch.randperm(len(a), generator=self.generator)[: round(s.share * len(a))]
        self.x, self.y = (t[rows].to(device) for t in (torch.stack(columns, 1), (a + b) % s.p))
        self.batch = s.batch or len(rows)
        self.model = Net(s, tuned).to(device)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=1.0, fused=tuned or None
        )
        self.warm_up = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda i: min(1.0, (i + s.first) / 10)
        )
        self.order: list[torch.Tensor] = []

    def steps(self, count: int) -> None:
        """Do this many updates."""
        for _ in range(count):
            x, y = self.x, self.y
            if self.batch < len(self.x):
                if not self.order:
                    drawn = torch.randperm(len(self.x), generator=self.generator).to(self.x.device)
                    self.order = list(drawn.split(self.batch))
                rows = self.order.pop()
                x, y = x[rows], y[rows]
            self.optimizer.zero_grad()
            functional.cross_entropy(self.model(x), y).backward()
            self.optimizer.step()
            self.warm_up.step()

    @torch.no_grad()
    def loss(self) -> float:
        """On the training set: it shows that something was learned."""
        return float(functional.cross_entropy(self.model(self.x), self.y))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--setting", choices=SETTINGS, default="quick")
    parser.add_argument("--variant", choices=("plain", "tuned"), default="plain")
    parser.add_argument("--members", type=int, default=1, help="runs, one after the other")
    parser.add_argument("--steps", type=int, default=50, help="of each run in a block")
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0, help="0: PyTorch's own choice")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    runs = [
        Run(SETTINGS[args.setting], seed, args.variant == "tuned", device) for seed in range(args.members)
    ]
    before = [run.loss() for run in runs]
    seconds: list[float] = []
    cpu: list[float] = []
    for _ in range(args.blocks + 1):
        wall, used = time.perf_counter(), time.process_time()
        for run in runs:
            run.steps(args.steps)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - wall)
        cpu.append(time.process_time() - used)
    result = {
        "seconds": seconds[1:],
        "cpu_seconds": cpu[1:],
        "loss": [before, [run.loss() for run in runs]],
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
