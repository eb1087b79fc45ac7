"""Functions that need PyTorch: loading files of torch.save, and comparing a module with our network.

A file is loaded by ``torch.load(weights_only=True)`` and in no other way, after the checks of
``_archive.py``.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.errors import InputError
from grokscope.interop._archive import check_archive

if TYPE_CHECKING:
    from grokscope.experiment import Experiment

__all__ = ["activation_of", "check_predictions", "import_torch_library", "load_pt"]

_MMAP_BYTES = 2**28  # larger files are memory-mapped
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


def load_pt(path: Path, *, mapped: bool = False) -> Any:
    """Load a file written by `torch.save`, without running any code in it.

    numpy arrays and numbers in it are read by `_PickledArray`, which checks that they have as many bytes as
    they claim.

    Args:
        path: the file.
        mapped: whether the tensors stay in the file until they are used.

    Raises:
        InputError: naming the file, if `torch.save` did not write it, it is damaged, or loading it would run
            code; or if PyTorch is not installed.
    """
    torch = import_torch_library(f"{path}:")
    check_archive(path)
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_NUMPY_PICKLES):
            warnings.simplefilter("ignore")  # about old storage formats
            mmap = mapped or path.stat().st_size > _MMAP_BYTES
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}.") from None
    except Exception as error:
        raise InputError(f"{path}: {_load_error(error)}") from None


class _PickledType:
    """The type of a pickled numpy array; only plain numbers are known."""

    def __init__(self, code: str, *_: Any) -> None:
        self._code = code
        self._order = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._order = state[1]

    @property
    def numpy(self) -> np.dtype[Any] | None:
        """The type, or None if it is not one of plain numbers."""
        known = re.fullmatch(r"[biuf][1248]", str(self._code)) and self._order in ("=", "<", ">", "|")
        return np.dtype(f"{self._order}{self._code}") if known else None


class _PickledArray:
    """A numpy array in a pickle, made from its bytes without numpy's own unpickling.

    Attributes:
        array: the array; None if it does not hold plain numbers.
    """

    array: np.ndarray | None = None

    def __setstate__(self, state: tuple[int, tuple[int, ...], _PickledType, bool, Any]) -> None:
        _, shape, kind, is_fortran, content = state
        if (dtype := kind.numpy) is None or not isinstance(content, bytes):
            return
        array = np.frombuffer(content, dtype).reshape(shape, order="F" if is_fortran else "C")
        self.array = array.astype(dtype.newbyteorder("="), copy=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return () if self.array is None else self.array.shape

    @property
    def dtype(self) -> str:
        """Type of the array; ``object`` if it does not hold plain numbers."""
        return "object" if self.array is None else str(self.array.dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self.array is None:
            raise TypeError("an array of Python objects")
        return self.array if dtype is None else self.array.astype(dtype)


def _pickled_array(*_: Any) -> _PickledArray:
    return _PickledArray()


def _pickled_number(kind: _PickledType, content: Any) -> Any:
    """A numpy scalar; None if it is no plain number."""
    if kind.numpy is None or not isinstance(content, bytes):
        return None
    return np.frombuffer(content, kind.numpy)[0].item()


# what numpy's pickles name, and what is called instead; numpy 1 has them in ``numpy.core``
_NUMPY_PICKLES = [
    (_PickledType, "numpy.dtype"),
    (_PickledArray, "numpy.ndarray"),
    *((_pickled_array, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
    *((_pickled_number, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
]


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
    network: Any = getattr(module, "_orig_mod", module)  # of torch.compile, which would compile it again
    torch = import_torch_library("comparing predictions")
    import jax.numpy as jnp

    from grokscope.runs.networks import network_of
    from grokscope.training.devices import in_precision, prepare_devices

    prepare_devices()
    with in_precision(experiment.precision):
        x = np.asarray(experiment.task.shared_data()["test_x"], experiment.precision)[:_MAX_INPUTS]
        ours = np.asarray(network_of(experiment, leaves)(jnp.asarray(x)))
    weights = next(iter(network.parameters()))
    modes = [(part, part.training) for part in network.modules()]
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
        for part, is_training in modes:
            part.training = is_training
    if theirs.size != ours.size:
        raise InputError(f"{label}: the module's outputs are {theirs.shape}, but ours {ours.shape}.")
    error = float(np.max(np.abs(theirs.reshape(ours.shape) - ours), initial=0.0))
    scale = max(1.0, float(np.max(np.abs(theirs), initial=0.0)))
    if not error <= _TOLERANCE[experiment.precision] * scale:
        raise InputError(
            f"{label}: our network does not predict what the module does (they differ by up to {error:.3g}). "
            "Is its activation another (model.activation), or does it do more than its layers?"
        )
