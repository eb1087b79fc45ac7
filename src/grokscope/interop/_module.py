"""What an ``nn.Module`` tells beyond its state dict: its activation, and what it predicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.errors import InputError
from grokscope.interop._pt import torch_here

if TYPE_CHECKING:
    from grokscope.experiment import Experiment

__all__ = ["activation_of", "check_predictions"]

_ROWS = 1000
# float32 sums over some thousand neurons in another order; a wrong activation is off by far more
_CLOSE = {"float32": 1e-4, "float64": 1e-9}


def activation_of(module: Any) -> str | None:
    """Our name of a module's activation, where it has one kind of activation layer that we know.

    Raises:
        InputError: if it has activation layers of several kinds.
    """
    if not hasattr(module, "modules"):
        return None
    found: set[str] = set()
    for part in module.modules():
        name = type(part).__name__
        if name == "GELU":
            found.add("gelu" if getattr(part, "approximate", "none") == "tanh" else "gelu_exact")
        elif name in ("ReLU", "Tanh"):
            found.add(name.lower())
    if len(found) > 1:
        raise InputError(
            f"the module has several activations ({', '.join(sorted(found))}); a model of ours has one."
        )
    return next(iter(found), None)


def check_predictions(
    module: Any,
    experiment: Experiment,
    leaves: dict[str, np.ndarray],
    label: str,
    *,
    reads_tokens: bool = False,
) -> None:
    """Check that our network predicts what a module predicts, on the first test inputs.

    Args:
        module: an ``nn.Module``; anything else has no predictions to compare with.
        experiment: of our network.
        leaves: our network's arrays.
        label: the network's, for messages.
        reads_tokens: whether the module takes token numbers where ours takes ones among zeros.

    Raises:
        InputError: if the outputs differ.
    """
    if not (hasattr(module, "state_dict") and callable(module)):
        return
    network: Any = module
    torch = torch_here("comparing predictions")
    import jax.numpy as jnp

    from grokscope.runs.networks import network_of
    from grokscope.training.devices import in_precision, prepare_devices

    prepare_devices()
    with in_precision(experiment.precision):
        x = np.asarray(experiment.task.shared_data()["test_x"], experiment.precision)[:_ROWS]
        ours = np.asarray(network_of(experiment, leaves)(jnp.asarray(x)))
    weights = next(iter(network.parameters()))
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            if reads_tokens:
                given = torch.tensor(x.argmax(axis=-1), device=weights.device)
            else:
                given = torch.tensor(x, dtype=weights.dtype, device=weights.device)
            theirs = np.asarray(network(given).detach().to("cpu").double().numpy())
        if theirs.ndim == 3:  # logits at every position; the answer is read at the last one
            theirs = theirs[:, -1, : ours.shape[-1]]
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        first = str(error).strip().partition("\n")[0]
        raise InputError(f"{label}: the module cannot be called on the test inputs: {first}") from None
    finally:
        network.train(was_training)
    if theirs.size != ours.size:
        raise InputError(f"{label}: the module's outputs are {theirs.shape}, but ours {ours.shape}.")
    off = float(np.max(np.abs(theirs.reshape(ours.shape) - ours), initial=0.0))
    scale = max(1.0, float(np.max(np.abs(theirs), initial=0.0)))
    if not off <= _CLOSE[experiment.precision] * scale:
        raise InputError(
            f"{label}: our network does not predict what the module does (they differ by up to {off:.3g}). "
            "Is its activation another (model.activation), or does it do more than its layers?"
        )
