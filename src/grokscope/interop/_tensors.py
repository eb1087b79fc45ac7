"""The named tensors of one snapshot, in a file or in memory: listed by shape and type, read one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from grokscope.errors import InputError
from grokscope.interop._safetensors import SafetensorsFile

__all__ = ["Tensors", "plain_array", "tensors_in_file", "tensors_in_memory"]

_NUMPY_NAMES = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}
_FLOATS = tuple(_NUMPY_NAMES.values())
_COUNTER = "n_averaged"  # of torch.optim.swa_utils.AveragedModel
_WRAPPERS = ("module.", "_orig_mod.")  # prefixes added by DataParallel and torch.compile


@dataclass(frozen=True)
class Tensors:
    """The tensors of one snapshot.

    Attributes:
        label: names the snapshot in messages.
        shapes: by name.
        dtypes: by name, such as ``float32``.
        reader: reads the tensor of a name.
        metadata: texts that stand in the file beside the tensors.
    """

    label: str
    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, str]
    reader: Callable[[str], np.ndarray]
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])

    def read(self, name: str) -> np.ndarray:
        """Read a tensor as float32 or float64.

        Raises:
            InputError: if it has another type, or a value that is not finite.
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
        """``float64`` if any tensor has that type, else ``float32``."""
        return "float64" if "float64" in self.dtypes.values() else "float32"

    def unwrapped(self) -> Tensors:
        """Remove what PyTorch's wrappers add: prefixes of all names, and the counter of `AveragedModel`."""
        if self.wrapping:
            return self.subset(name for name in self.shapes if name not in self.wrapping).unwrapped()
        for wrapper in _WRAPPERS:
            if self.shapes and all(name.startswith(wrapper) for name in self.shapes):
                return self.below(wrapper).unwrapped()
        return self

    @property
    def wrapping(self) -> list[str]:
        """Names of the tensors that belong to a wrapper: the number of networks that are averaged."""
        others = [name for name in self.shapes if name != _COUNTER]
        is_average = len(others) < len(self.shapes) and all(name.startswith("module.") for name in others)
        return [_COUNTER] if is_average and others else []

    def subset(self, names: Iterable[str]) -> Tensors:
        """Keep only the given names."""
        return Tensors(self.label, {name: self.shapes[name] for name in names}, self.dtypes, self.reader)

    def below(self, prefix: str, label: str = "") -> Tensors:
        """Keep the names that begin with a prefix, and remove the prefix."""
        names = {name.removeprefix(prefix): name for name in self.shapes if name.startswith(prefix)}
        return Tensors(
            label or self.label,
            {short: self.shapes[name] for short, name in names.items()},
            {short: self.dtypes[name] for short, name in names.items()},
            lambda short: self.reader(names[short]),
        )


def tensors_in_file(path: Path) -> Tensors:
    """The tensors of a safetensors file, each read when it is needed."""
    file = SafetensorsFile(path)
    return Tensors(
        str(path),
        {name: info.shape for name, info in file.tensors.items()},
        {name: _NUMPY_NAMES.get(info.dtype, info.dtype) for name, info in file.tensors.items()},
        file.read,
        file.metadata,
    )


def tensors_in_memory(values: Mapping[Any, Any], label: str, *, most: int | None = None) -> Tensors:
    """The tensors of a table of numpy arrays or PyTorch tensors. PyTorch is not imported.

    Args:
        values: the table.
        label: names it in messages.
        most: bytes that all tensors may claim together (several may share their storage); default any.

    Raises:
        InputError: if a value is neither, or tensors claim more bytes than there are.
    """
    together = 0
    for name, value in values.items():
        if not isinstance(name, str):
            raise InputError(f"{label}: tensor names must be strings, but one is {name!r}.")
        if not (hasattr(value, "shape") and hasattr(value, "dtype")):
            kind = type(value).__name__
            raise InputError(
                f"{label}: '{name}' is of type {kind}, not a tensor; save model.state_dict() by itself."
            )
        # by strides of 0 a tensor of a few numbers can claim any size
        if hasattr(value, "untyped_storage") and str(getattr(value, "layout", "")) == "torch.strided":
            claimed = value.numel() * value.element_size()
            if claimed > value.untyped_storage().nbytes():
                raise InputError(f"{label}: '{name}' claims {claimed} bytes, more than are there.")
            together += claimed
    if most is not None and together > most:
        raise InputError(f"{label}: its tensors claim {together} bytes, more than twice those of the file.")
    return Tensors(
        label,
        {name: tuple(int(size) for size in value.shape) for name, value in values.items()},
        {name: str(value.dtype).removeprefix("torch.") for name, value in values.items()},
        lambda name: plain_array(values[name], f"{label}: '{name}'"),
    )


def plain_array(value: Any, where: str) -> np.ndarray:
    """Convert a numpy array or a PyTorch tensor to a numpy array (bfloat16 becomes float32).

    Raises:
        InputError: if the tensor is sparse, quantized or without data.
    """
    if not hasattr(value, "detach"):
        return np.asarray(value)
    try:
        tensor = value.detach().to("cpu")
        return np.asarray((tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy())
    except (TypeError, RuntimeError, NotImplementedError) as error:
        first = str(error).strip().partition("\n")[0]
        raise InputError(f"{where}: cannot be read as an array: {first}") from None
