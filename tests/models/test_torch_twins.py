"""The same networks written plainly in PyTorch: a forward pass and 50 AdamW steps, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokscope import Experiment
from grokscope.learners._learner import Batch

pytestmark = pytest.mark.torch

N_STEPS, BATCH = 50, 20
CASES = {
    "nanda": {"kind": "nanda_transformer", "width": 16, "heads": 4, "mlp_width": 24},
    "power": {"kind": "power_transformer", "width": 16, "heads": 4, "mlp_width": 24},
    "pre, tied": {
        "kind": "transformer",
        "layers": 2,
        "width": 12,
        "heads": 3,
        "mlp_width": 10,
        "norm": "pre",
        "tied": True,
        "activation": "gelu",
        "init": "torch",
    },
    "relu": {"kind": "embedding_mlp", "embedding": 8, "width": 24},
    "quadratic": {
        "kind": "embedding_mlp",
        "embedding": 8,
        "width": 24,
        "activation": "quadratic",
        "combine": "add",
        "bias": False,
    },
}


def made(case):
    return Experiment(
        task={"kind": "modular_operator", "p": 7, "train_fraction": 0.6},
        model=CASES[case],
        loss="cross_entropy",
        optimizer={
            "kind": "adamw",
            "learning_rate": 0.003,
            "weight_decay": 1.0,
            "beta2": 0.98,
            "schedule": {"kind": "constant", "warmup": 10},
        },
        batch_size=BATCH,
        steps=N_STEPS,
        precision="float64",
    )


def twin_of(experiment, network):
    """A torch module with the same parameters; each with the number of our leaf, and whether transposed."""
    import torch
    from torch import nn
    from torch.nn import functional

    spec = experiment.model
    sigma = {
        "relu": functional.relu,
        "quadratic": torch.square,
        "gelu": lambda z: functional.gelu(z, approximate="tanh"),
    }[spec.activation]
    pairs, leaves = [], jax.tree.leaves(network)

    def parameter(leaf, transposed=False):
        value = torch.tensor(np.asarray(leaf).T.copy() if transposed else np.asarray(leaf).copy())
        made = nn.Parameter(value)
        pairs.append((made, next(i for i, one in enumerate(leaves) if one is leaf), transposed))
        return made

    def linear(weight, bias=None):
        layer = nn.Linear(weight.shape[0], weight.shape[1], bias=bias is not None, dtype=torch.float64)
        layer.weight = parameter(weight, transposed=True)
        if bias is not None:
            layer.bias = parameter(bias)
        return layer

    def norm(ours):
        if ours is None:
            return nn.Identity()
        layer = nn.LayerNorm(spec.width, dtype=torch.float64)
        layer.weight, layer.bias = parameter(ours.scale), parameter(ours.shift)
        return layer

    class Layer(nn.Module):
        def __init__(self, block):
            super().__init__()
            self.qkv = nn.ModuleList(linear(w) for w in (block.query, block.key, block.value))
            self.out = linear(block.attention_out)
            self.up = linear(block.mlp_in, block.mlp_bias)
            self.down = linear(block.mlp_out, block.mlp_out_bias)
            self.norms = nn.ModuleList([norm(block.attention_norm), norm(block.mlp_norm)])

        def attend(self, x):
            n, t, d = x.shape
            q, k, v = (m(x).view(n, t, spec.heads, d // spec.heads).transpose(1, 2) for m in self.qkv)
            mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.out(mixed.transpose(1, 2).reshape(n, t, d))

        def forward(self, x):
            for part, normed in zip(
                (self.attend, lambda x: self.down(sigma(self.up(x)))), self.norms, strict=True
            ):
                x = x + part(normed(x)) if spec.norm == "pre" else normed(x + part(x))
            return x

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(*network.embedding.shape, dtype=torch.float64)
            self.embed.weight = parameter(network.embedding)
            if experiment.model.kind == "embedding_mlp":
                self.v, self.u = parameter(network.hidden_weight), linear(network.output_weight)
                self.b = None if network.hidden_bias is None else parameter(network.hidden_bias)
                return
            self.position = None if network.position is None else parameter(network.position)
            self.layers = nn.Sequential(*(Layer(block) for block in network.blocks))
            self.final = norm(network.final_norm)
            self.unembed = None if network.unembedding is None else linear(network.unembedding)

        def forward(self, tokens):
            x = self.embed(tokens)
            if experiment.model.kind == "embedding_mlp":
                z = x.sum(1) @ self.v[0] if spec.combine == "add" else torch.einsum("ntf,tfh->nh", x, self.v)
                return self.u(sigma(z if self.b is None else z + self.b))
            if self.position is not None:
                x = x + self.position
            elif spec.positions == "sinusoidal":
                x = x + fixed_positions(x.shape[1], spec.width)
            x = self.final(self.layers(x))[:, -1]
            if self.unembed is None:
                return x @ self.embed.weight[: experiment.task.n_outputs].T
            return self.unembed(x)

    return Net(), pairs


def fixed_positions(length, width):
    import torch

    places = torch.arange(length, dtype=torch.float64)[:, None]
    rate = 10000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    table = torch.zeros(length, width, dtype=torch.float64)
    table[:, 0::2], table[:, 1::2] = torch.sin(places * rate), torch.cos(places * rate)
    return table


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_forward_and_50_steps_of_adamw_equal_pytorchs(case):
    import torch

    with jax.enable_x64(True):
        experiment = made(case)
        task, learner = experiment.task, experiment.learner
        data = task.member_data(jax.random.key(4), jax.random.key(4))
        state = learner.init(experiment, jax.random.key(5), data)
        net, pairs = twin_of(experiment, state.network)
        assert sum(p.numel() for p in net.parameters()) == sum(a.size for a in jax.tree.leaves(state.network))

        tokens = torch.tensor(np.asarray(data["train_x"]).argmax(-1))
        labels = torch.tensor(np.asarray(data["train_y"]), dtype=torch.int64)
        ours = np.asarray(state.network(data["train_x"]))
        np.testing.assert_allclose(ours, net(tokens).detach().numpy(), rtol=0, atol=1e-8)

        optimizer = torch.optim.AdamW(net.parameters(), lr=0.003, betas=(0.9, 0.98), weight_decay=1.0)
        warm_up = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 10))
        rng = np.random.default_rng(0)
        rows = np.stack([rng.permutation(task.n_train)[:BATCH] for _ in range(N_STEPS)])

        @jax.jit
        def run(state):
            def advance(state, item):
                rows, step = item
                batch = Batch(data["train_x"][rows], data["train_y"][rows])
                return learner.update(experiment, state, batch, jax.random.key(1), step)

            return jax.lax.scan(advance, state, (jnp.asarray(rows), jnp.arange(N_STEPS)))

        state, losses = run(state)
        theirs = []
        for batch in rows:
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(net(tokens[batch]), labels[batch])
            loss.backward()
            optimizer.step()
            warm_up.step()
            theirs.append(float(loss.detach()))
        np.testing.assert_allclose(losses, theirs, rtol=0, atol=1e-8)
        assert theirs[-1] < theirs[0] - 0.1  # something was learned
        final = jax.tree.leaves(state.network)
        assert sorted(number for _, number, _ in pairs) == list(range(len(final)))
        for parameter, number, transposed in pairs:
            value = parameter.detach().numpy()
            np.testing.assert_allclose(final[number], value.T if transposed else value, rtol=0, atol=1e-8)
