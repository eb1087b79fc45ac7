"""Named tensors of one snapshot, wherever they lie: looked at by name, shape and type, read one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from grokscope.errors import InputError
from grokscope.interop._safetensors import SafetensorsFile

__all__ = ["Tensors", "of_file", "of_memory", "plain_array"]

_READ = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}
_FLOATS = tuple(_READ.values())
# what wrappers of PyTorch put before every name (DataParallel, torch.compile)
_WRAPPERS = ("module.", "_orig_mod.")


@dataclass(frozen=True)
class Tensors:
    """The tensors of one snapshot.

    Attributes:
        label: where they come from, for messages.
        shapes: by name.
        dtypes: by name, as ``float32``.
        reader: from a name to an array.
    """

    label: str
    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, str]
    reader: Callable[[str], np.ndarray]

    def read(self, name: str) -> np.ndarray:
        """A tensor as float32 or float64.

        Raises:
            InputError: if it holds other things than real numbers, or one that is not finite.
        """
        if self.dtypes[name] not in _FLOATS:
            raise InputError(
                f"{self.label}: '{name}' holds {self.dtypes[name]}; weights must be of {', '.join(_FLOATS)}."
            )
        array = self.reader(name)
        if array.dtype == np.float16:
            array = array.astype(np.float32)
        if not np.isfinite(array).all():
            first = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            place = f"[{', '.join(map(str, first))}]" if first else ""
            raise InputError(f"{self.label}: '{name}'{place} is {array[first]}; weights must be finite.")
        return array

    @property
    def precision(self) -> str:
        """``float64`` if any tensor is, else ``float32``."""
        return "float64" if "float64" in self.dtypes.values() else "float32"

    def unwrapped(self) -> Tensors:
        """Without what wrappers of PyTorch put before every name."""
        for wrapper in _WRAPPERS:
            if self.shapes and all(name.startswith(wrapper) for name in self.shapes):
                return self.below(wrapper).unwrapped()
        return self

    def below(self, prefix: str, label: str = "") -> Tensors:
        """Those whose names begin with a prefix, under the rest of their names."""
        names = {name.removeprefix(prefix): name for name in self.shapes if name.startswith(prefix)}
        return Tensors(
            label or self.label,
            {short: self.shapes[name] for short, name in names.items()},
            {short: self.dtypes[name] for short, name in names.items()},
            lambda short: self.reader(names[short]),
        )


def of_file(path: Path) -> Tensors:
    """The tensors of a safetensors file, read when they are asked for."""
    file = SafetensorsFile(path)
    return Tensors(
        str(path),
        {name: info.shape for name, info in file.tensors.items()},
        {name: _READ.get(info.dtype, info.dtype) for name, info in file.tensors.items()},
        file.read,
    )


def of_memory(values: Mapping[Any, Any], label: str) -> Tensors:
    """Numpy arrays or PyTorch tensors by name; PyTorch is not imported for it.

    Raises:
        InputError: if a value is neither, or a tensor claims more numbers than lie in memory.
    """
    for name, value in values.items():
        if not isinstance(name, str):
            raise InputError(f"{label}: names of tensors are texts, but one is {name!r}.")
        if not (hasattr(value, "shape") and hasattr(value, "dtype")):
            kind = type(value).__name__
            raise InputError(
                f"{label}: '{name}' is of type {kind}, not a tensor; save model.state_dict() by itself."
            )
        # a tensor that repeats few numbers by strides of 0 could claim any size
        if hasattr(value, "untyped_storage") and str(getattr(value, "layout", "")) == "torch.strided":
            claimed = value.numel() * value.element_size()
            if claimed > value.untyped_storage().nbytes():
                raise InputError(f"{label}: '{name}' claims {claimed} bytes, more than are there.")
    return Tensors(
        label,
        {name: tuple(int(size) for size in value.shape) for name, value in values.items()},
        {name: str(value.dtype).removeprefix("torch.") for name, value in values.items()},
        lambda name: plain_array(values[name], f"{label}: '{name}'"),
    )


def plain_array(value: Any, where: str) -> np.ndarray:
    """A numpy array, or a PyTorch tensor as one (bfloat16 as float32).

    Raises:
        InputError: if it cannot be one (sparse, quantized or without data).
    """
    if not hasattr(value, "detach"):
        return np.asarray(value)
    try:
        tensor = value.detach().to("cpu")
        return np.asarray((tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy())
    except (TypeError, RuntimeError, NotImplementedError) as error:
        first = str(error).strip().partition("\n")[0]
        raise InputError(f"{where}: cannot be read as an array: {first}") from None
