"""The network of a member as a PyTorch module: as a source file without grokscope, or in memory.

The parameters have our names and shapes, so a module loads the weights that ``grokscope export`` writes. To
support another class of network, add it to `_FORWARD` with the source lines that compute its outputs.
"""

from __future__ import annotations

import re
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.errors import InputError, option
from grokscope.interop._torch import import_torch_library

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grokscope.runs import Run

__all__ = ["member_network", "module_source", "named_arrays", "short_list", "to_torch"]

_ACTIVATIONS = {
    "relu": "torch.relu({})",
    "quadratic": "torch.square({})",
    "cubic": "torch.pow({}, 3)",
    "quartic": "torch.pow({}, 4)",
    "gelu": 'nn.functional.gelu({}, approximate="tanh")',
    "gelu_exact": "nn.functional.gelu({})",
    "tanh": "torch.tanh({})",
    "sine": "torch.sin({})",
}
_SOURCE = '''"""{formula}

Made by `grokscope export`. It needs only torch and safetensors:

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
    """Load the weights of a safetensors file into a network in evaluation mode."""
    from safetensors.torch import load_file

    network = Network()
    network.load_state_dict(load_file(path))
    return network.eval()
'''


def to_torch(run: Run, seed: int | None = None, step: int = -1, *, numpy: bool = False) -> Any:
    """The network of a member as an ``nn.Module`` with its weights, in evaluation mode.

    Its state dict has our names and shapes (``hidden_weight`` is [input, neuron]); `from_torch` reads it.

    Args:
        run: a run, trained here or imported.
        seed: the member; required if there are several.
        step: the step (-1: the last).
        numpy: return the weights as numpy arrays by name instead; this does not need PyTorch.

    Raises:
        InputError: if there is no such seed or step, PyTorch is not installed, or this class of network has
            no PyTorch source.

    Example:
        >>> import tempfile
        >>> import grokscope as gs
        >>> experiment = gs.Experiment(task={"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 32},
        ...                            model={"kind": "fully_connected", "width": 8}, epochs=1)
        >>> run = gs.train(experiment, out=tempfile.mkdtemp() + "/run")
        >>> {name: array.shape for name, array in to_torch(run, numpy=True).items()}
        {'hidden_weight': (6, 8), 'hidden_bias': (8,), 'output_weight': (8,)}
    """
    network, _, _ = member_network(run, seed, step)
    arrays = named_arrays(network)
    if numpy:
        return arrays
    torch = import_torch_library("to_torch (without numpy=True)")
    namespace = ModuleType("grokscope_network")
    exec(compile(module_source(network, arrays), "<grokscope network>", "exec"), namespace.__dict__)
    module = namespace.Network()
    module.load_state_dict({name: torch.tensor(np.asarray(array)) for name, array in arrays.items()})
    return module.eval()


def module_source(
    network: Any,
    arrays: Mapping[str, np.ndarray],
    module: str = "network",
    weights: str = "weights.safetensors",
) -> str:
    """Write the source of a PyTorch module that predicts what a network predicts.

    Args:
        network: our network.
        arrays: its arrays by name.
        module: name of the source file without its suffix.
        weights: name of the file of the weights.

    Raises:
        InputError: if this class of network has no PyTorch source.
    """
    kind = type(network).__name__
    if kind not in _FORWARD:
        raise InputError(
            f"there is no PyTorch source for networks of kind '{kind}'; known: {', '.join(sorted(_FORWARD))}."
        )
    formula, forward = _FORWARD[kind](network)
    return _SOURCE.format(
        formula=formula,
        module=module,
        weights=weights,
        parameters="\n".join(f"        {line}" for line in _parameters(arrays)),
        forward="\n".join(f"        {line}" for line in forward),
    )


def member_network(run: Run, seed: int | None, step: int) -> tuple[Any, int, int]:
    """The network of one member at a step (-1: the last), with the seed and the step.

    Raises:
        InputError: if ``seed`` is None and the run has several, or the run has no such seed or step.
    """
    seeds = sorted({member[0] for member in run.members})
    if not run.members.is_plain:
        raise InputError(
            f"{run.path}: weights of a run with crossed streams cannot be chosen by {option('seed')}."
        )
    if seed is None and len(seeds) > 1:
        raise InputError(
            f"{option('seed')} is required: this run has {len(seeds)} members, seeds {short_list(seeds)}."
        )
    seed = seeds[0] if seed is None else seed
    if seed not in seeds:
        raise InputError(f"{option('seed')} {seed}: not in this run; it has seeds {short_list(seeds)}.")
    number = step if step >= 0 else int(run.steps_done[run.position(seed)]) + 1 + step
    return run.model(seed=seed, step=step), seed, number


def named_arrays(network: Any) -> dict[str, np.ndarray]:
    """The arrays of a pytree by path, such as ``hidden_weight`` or ``weights.0``."""
    import jax

    arrays: dict[str, np.ndarray] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(network):
        if hasattr(leaf, "dtype") and hasattr(leaf, "shape"):
            # contiguous, because safetensors writes the memory of an array as it is
            arrays[jax.tree_util.keystr(path, simple=True, separator=".")] = np.asarray(leaf, order="C")
    return arrays


def short_list(numbers: Any) -> str:
    """List numbers in a message; long lists are shortened."""
    items = [str(number) for number in numbers]
    return ", ".join(items) if len(items) <= 6 else f"{', '.join(items[:3])}, ..., {items[-1]}"


def _parameters(arrays: Mapping[str, np.ndarray]) -> list[str]:
    """Source lines that create empty parameters; ``weights.0``, ``weights.1``, ... become a ParameterList."""
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
    lines = ["x = x.reshape(len(x), -1)"]
    if network.scales:
        hidden = _ACTIVATIONS[network.activation].format("x * scale + shift")
        lines += [
            "norms = zip(self.means, self.variances, self.scales, self.shifts)",
            "for weight, bias, (mean, variance, scale, shift) in zip(self.weights, self.biases, norms):",
            "    x = (x @ weight + bias - mean) / torch.sqrt(variance + 1e-5)",
            f"    x = {hidden}",
        ]
    else:
        hidden = _ACTIVATIONS[network.activation].format("x @ weight + bias")
        lines += ["for weight, bias in zip(self.weights, self.biases):", f"    x = {hidden}"]
    lines.append(f"return x @ self.output_weight{bias}")
    return f"A network of {len(network.weights)} hidden layers with activation {network.activation}.", lines


def _linear_product(network: Any) -> tuple[str, list[str]]:
    lines = ["return torch.prod(x.reshape(len(x), -1) @ self.hidden_weight, dim=1)"]
    return f"A product of {network.hidden_weight.shape[-1]} linear functions: f(x) = prod_j <w_j, x>.", lines


_FORWARD = {"OneHiddenLayer": _one_hidden_layer, "Layers": _layers, "LinearProduct": _linear_product}
