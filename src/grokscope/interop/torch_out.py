"""Networks as PyTorch modules: as source that stands on its own, or as a module in memory.

The parameters have our names and shapes, so that a module loads what ``grokscope export`` writes. To make
another kind of network known: its class in `_FORWARD`, with the lines that compute its outputs.
"""

from __future__ import annotations

import re
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.errors import InputError
from grokscope.interop._pt import torch_here

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grokscope.runs import Run

__all__ = ["module_source", "to_torch"]

_ACTIVATIONS = {
    "relu": "torch.relu({})",
    "quadratic": "torch.square({})",
    "gelu": 'nn.functional.gelu({}, approximate="tanh")',
    "gelu_exact": "nn.functional.gelu({})",
    "tanh": "torch.tanh({})",
}
_SOURCE = '''"""{formula}

Made by `grokscope export`. It needs torch and safetensors, and nothing else:

    from {module} import load

    network = load("{weights}")
    outputs = network(inputs)  # inputs [sample, ...], in the precision of the weights
"""

import torch
from torch import nn


class Network(nn.Module):
    """{formula}"""

    def __init__(self):
        super().__init__()
{parameters}

    def forward(self, x):
{forward}


def load(path):
    """The network with the weights of a safetensors file, ready to predict."""
    from safetensors.torch import load_file

    network = Network()
    network.load_state_dict(load_file(path))
    return network.eval()
'''


def to_torch(run: Run, seed: int | None = None, step: int = -1, *, numpy: bool = False) -> Any:
    """The network of a member as an ``nn.Module`` with its weights, in evaluation mode.

    Its state dict has our names and shapes (``hidden_weight`` is [input, neuron]), and `from_torch` takes it
    back.

    Args:
        run: trained here or imported.
        seed: which member; may be left out where there is one.
        step: at which step (-1: the last).
        numpy: give the weights as numpy arrays by name instead; this needs no PyTorch.

    Raises:
        InputError: if there is no such seed or step, PyTorch is not installed, or no PyTorch source is known
            for networks of its kind.

    Example:
        >>> import tempfile
        >>> import grokscope as gs
        >>> experiment = gs.Experiment(task={"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 32},
        ...                            model={"kind": "fully_connected", "width": 8}, epochs=1)
        >>> run = gs.train(experiment, out=tempfile.mkdtemp() + "/run")
        >>> {name: array.shape for name, array in to_torch(run, numpy=True).items()}
        {'hidden_weight': (6, 8), 'hidden_bias': (8,), 'output_weight': (8,)}
    """
    from grokscope.interop.export import named_arrays, network_of

    network, _, _ = network_of(run, seed, step)
    arrays = named_arrays(network)
    if numpy:
        return arrays
    torch = torch_here("to_torch (without numpy=True)")
    made = ModuleType("grokscope_network")
    exec(compile(module_source(network, arrays), "<grokscope network>", "exec"), made.__dict__)
    module = made.Network()
    module.load_state_dict({name: torch.tensor(np.asarray(array)) for name, array in arrays.items()})
    return module.eval()


def module_source(
    network: Any,
    arrays: Mapping[str, np.ndarray],
    module: str = "network",
    weights: str = "weights.safetensors",
) -> str:
    """The source of a PyTorch module that predicts what a network predicts.

    Args:
        network: ours.
        arrays: its arrays by name.
        module: name of the file that it is for, without its ending.
        weights: name of the file that holds the weights.

    Raises:
        InputError: if no source is known for this kind of network.
    """
    kind = type(network).__name__
    if kind not in _FORWARD:
        raise InputError(
            f"no PyTorch source is known for networks of kind '{kind}'; known: {', '.join(sorted(_FORWARD))}."
        )
    formula, forward = _FORWARD[kind](network)
    return _SOURCE.format(
        formula=formula,
        module=module,
        weights=weights,
        parameters="\n".join(f"        {line}" for line in _parameters(arrays)),
        forward="\n".join(f"        {line}" for line in forward),
    )


def _parameters(arrays: Mapping[str, np.ndarray]) -> list[str]:
    """Lines that make empty parameters; ``weights.0`` and so on are those of a list."""
    lines: list[str] = []
    lists: dict[str, list[str]] = {}
    for name, array in arrays.items():
        made = f"nn.Parameter(torch.empty({tuple(array.shape)!r}, dtype=torch.{array.dtype}))"
        if found := re.fullmatch(r"(\w+)\.\d+", name):
            lists.setdefault(found[1], []).append(made)
        else:
            lines.append(f"self.{name} = {made}")
    for name, several in lists.items():
        inner = "".join(f"\n                {made}," for made in several)
        lines.append(f"self.{name} = nn.ParameterList(\n            [{inner}\n            ]\n        )")
    return lines


def _one_hidden_layer(network: Any) -> tuple[str, list[str]]:
    bias = " + self.output_bias" if network.output_bias is not None else ""
    hidden = _ACTIVATIONS[network.activation].format("x @ self.hidden_weight + self.hidden_bias")
    lines = ["x = x.reshape(len(x), -1)", f"return {hidden} @ self.output_weight{bias}"]
    return (
        f"A one-hidden-layer network: f(x) = {network.activation}(x W + b) u{' + c' if bias else ''}.",
        lines,
    )


def _layers(network: Any) -> tuple[str, list[str]]:
    bias = " + self.output_bias" if network.output_bias is not None else ""
    hidden = _ACTIVATIONS[network.activation].format("x @ weight + bias")
    lines = [
        "x = x.reshape(len(x), -1)",
        "for weight, bias in zip(self.weights, self.biases):",
        f"    x = {hidden}",
        f"return x @ self.output_weight{bias}",
    ]
    return f"A network of {len(network.weights)} hidden layers with activation {network.activation}.", lines


_FORWARD = {"OneHiddenLayer": _one_hidden_layer, "Layers": _layers}
