"""Functions that need PyTorch: loading ``.pt`` and ``.pth`` files, and comparing a module with our network.

A file is loaded by ``torch.load(weights_only=True)`` and in no other way. Before that the zip archive is
checked for what `torch.save` writes: plain names, no links, no compression, no more bytes than the file has.
"""

from __future__ import annotations

import importlib
import importlib.util
import stat
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.errors import InputError

if TYPE_CHECKING:
    from grokscope.experiment import Experiment

__all__ = ["activation_of", "check_predictions", "import_torch_library", "load_pt"]

_MMAP_BYTES = 2**28  # larger files are memory-mapped
_MAX_PICKLE_BYTES = 2**26
_MAX_INPUTS = 1000
# Relative tolerance: float32 sums over thousands of neurons in another order differ by less, and a wrong
# activation by far more.
_TOLERANCE = {"float32": 1e-4, "float64": 1e-9}


def import_torch_library(purpose: str) -> Any:
    """Import and return the module ``torch``.

    Args:
        purpose: begins the error message.

    Raises:
        InputError: if PyTorch is not installed.
    """
    if importlib.util.find_spec("torch") is None:
        raise InputError(f"{purpose} needs PyTorch: pip install grokscope[torch]")
    return importlib.import_module("torch")


def load_pt(path: Path) -> Mapping[Any, Any]:
    """Load a file written by `torch.save`, without running any code in it.

    Raises:
        InputError: naming the file, if `torch.save` did not write it, it is damaged, loading it would run
            code, or it is not a table; or if PyTorch is not installed.
    """
    torch = import_torch_library(f"{path}:")
    _check_archive(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old storage formats
            mmap = path.stat().st_size > _MMAP_BYTES
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}.") from None
    except Exception as error:
        raise InputError(f"{path}: {_load_error(error)}") from None
    if not isinstance(loaded, Mapping):
        raise InputError(f"{path}: holds a {type(loaded).__name__}, not a state dict.")
    return loaded


def _check_archive(path: Path) -> None:
    """Raise an error for an archive that `torch.save` would not write."""
    try:
        size = path.stat().st_size
        if not zipfile.is_zipfile(path):
            raise InputError(
                f"{path}: is not a file of torch.save (a zip archive), or is truncated. Bare pickles and "
                "files from before PyTorch 1.6 are not read; save its state_dict() where it was made."
            )
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise InputError(f"{path}: is damaged: {error}.") from None
    seen: set[str] = set()
    for member in members:
        name = member.filename
        place = PurePosixPath(name)
        if place.is_absolute() or ".." in place.parts or "\\" in name or "\0" in name:
            raise InputError(f"{path}: its member {name!r} points out of the archive; it is not read.")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise InputError(f"{path}: its member {name!r} is a link; it is not read.")
        if name in seen:
            raise InputError(f"{path}: its member {name!r} is there twice; it is not read.")
        seen.add(name)
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
            raise InputError(f"{path}: its member {name!r} is compressed or encrypted; it is not read.")
        if place.name == "data.pkl" and member.file_size > _MAX_PICKLE_BYTES:
            raise InputError(f"{path}: its table of contents has {member.file_size} bytes; it is not read.")
    claimed = sum(member.file_size for member in members)
    if claimed > size:
        raise InputError(f"{path}: its members claim {claimed} bytes, but it has {size}; it is not read.")


def _load_error(error: Exception) -> str:
    """Turn an error of torch.load into a one-line message."""
    text = " ".join(str(error).split())
    if "Weights only load failed" in text or "Unsupported" in text or "GLOBAL" in text:
        name = text.partition("GLOBAL ")[2].split(" ")[0]
        named = f" ({name})" if name and len(name) < 80 else ""
        return (
            f"holds more than tensors{named}, and loading it would run code from the file; that is never "
            "done. Save model.state_dict() instead."
        )
    return f"cannot be loaded: {text[:200] or type(error).__name__}"


def activation_of(module: Any) -> str | None:
    """Our name of the activation layers of an ``nn.Module``, or None if it has none that we know.

    Raises:
        InputError: if it has several kinds.
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
    """Check that our network and a module have the same outputs on the first test inputs.

    Args:
        module: an ``nn.Module``; anything else is not checked.
        experiment: the experiment of our network.
        leaves: the arrays of our network, by name.
        label: names the network in messages.
        reads_tokens: whether the module takes token numbers where our network takes one-hot vectors.

    Raises:
        InputError: if the outputs differ, or the module cannot be called.
    """
    if not (hasattr(module, "state_dict") and callable(module)):
        return
    network: Any = module
    torch = import_torch_library("comparing predictions")
    import jax.numpy as jnp

    from grokscope.runs.networks import network_of
    from grokscope.training.devices import in_precision, prepare_devices

    prepare_devices()
    with in_precision(experiment.precision):
        x = np.asarray(experiment.task.shared_data()["test_x"], experiment.precision)[:_MAX_INPUTS]
        ours = np.asarray(network_of(experiment, leaves)(jnp.asarray(x)))
    weights = next(iter(network.parameters()))
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            if reads_tokens:
                inputs = torch.tensor(x.argmax(axis=-1), device=weights.device)
            else:
                inputs = torch.tensor(x, dtype=weights.dtype, device=weights.device)
            theirs = np.asarray(network(inputs).detach().to("cpu").double().numpy())
        if theirs.ndim == 3:  # logits at every position; the last one has the answer
            theirs = theirs[:, -1, : ours.shape[-1]]
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        first = str(error).strip().partition("\n")[0]
        raise InputError(f"{label}: the module cannot be called on the test inputs: {first}") from None
    finally:
        network.train(was_training)
    if theirs.size != ours.size:
        raise InputError(f"{label}: the module's outputs are {theirs.shape}, but ours {ours.shape}.")
    error = float(np.max(np.abs(theirs.reshape(ours.shape) - ours), initial=0.0))
    scale = max(1.0, float(np.max(np.abs(theirs), initial=0.0)))
    if not error <= _TOLERANCE[experiment.precision] * scale:
        raise InputError(
            f"{label}: our network does not predict what the module does (they differ by up to {error:.3g}). "
            "Is its activation another (model.activation), or does it do more than its layers?"
        )
