"""Compiled programs kept on disk as a whole: a later process neither traces nor compiles them.

The compile cache of jax is found by the traced program, so that a process must trace and lower a program to
find it there, which takes longer than to read it. A kept executable is found by what the program is made of:
the source of this package, the parts and numbers of the experiment, the shapes of the arguments, the versions
and settings, and the devices. It is the executable that the compiler made, so its results have the same bits.

Kept are programs of the package's own parts on CPU devices, beside the compile cache. Whatever cannot be
described, or read back whole, is traced and compiled as usual. The source is that of the files: a function
that is replaced while the process runs is not seen; ``GROKSCOPE_COMPILE_CACHE=off`` turns the cache off.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import importlib
import json
import sys
import threading
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any
from uuid import uuid4

import equinox as eqx
import jax

from grokscope.errors import StoreError
from grokscope.files import atomic_write
from grokscope.spec.code import is_own
from grokscope.spec.parts import Part
from grokscope.training.cache import kept_folder, say_once
from grokscope.training.numerics import numerics_fingerprint

__all__ = ["KeptProgram", "described", "source_hash", "tree_from_json", "tree_to_json"]

_SIMPLE = (bool, int, float, str, type(None))
_ARRAYS = ("grokscope.", "optax.")  # packages whose classes hold the arrays of a state
_CLOCK_SECONDS = 2.0  # the system says to a second when a process began
# settings of jax that decide where programs are kept and what is said of them, not what they are
_HARMLESS = ("cache", "log", "traceback", "dump", "distributed", "timeout", "color")


class Undescribed(Exception):
    """Something cannot be described in the same words in every process."""


class KeptProgram:
    """A compiled function of arrays whose executables are kept.

    Args:
        function: the function; its constants are all described by ``made_of``.
        made_of: all that it is made of, for `described`.
        arguments: the shardings of its arguments, each for all arrays of the argument.
        results: the sharding of its results.
        donate: the arguments whose buffers it may overwrite.
        options: of the compiler.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        made_of: Any,
        arguments: tuple[Any, ...],
        results: Any,
        *,
        donate: tuple[int, ...] = (),
        options: dict[str, Any] | None = None,
    ) -> None:
        self._function = function
        self._made_of = made_of
        self._arguments = arguments
        self._results = results
        self._jit: dict[str, Any] = {"donate_argnums": donate, "compiler_options": options}
        self._jitted: Any = jax.jit(function, **self._jit)
        self._calls: dict[Any, Callable[..., Any]] = {}
        self._making = threading.RLock()  # a thread that compiles ahead, and the one that needs the program

    def __call__(self, *arguments: Any) -> Any:
        """The results for arguments, pytrees of arrays."""
        folder = _folder()
        if folder is None:
            return self._jitted(*arguments)
        leaves, structure = jax.tree.flatten(arguments)
        shapes = tuple(_shape(leaf) for leaf in leaves)
        signature = (structure, shapes, _setting("jax_enable_x64"))
        call = self._calls.get(signature)
        if call is None:
            with self._making:
                call = self._calls.get(signature) or self._made(folder, arguments, structure, shapes)
                self._calls[signature] = call
        return call(*arguments)

    @property
    def n_compiled(self) -> int:
        """Number of different shapes of arguments that it was called with."""
        return max(len(self._calls), self._jitted._cache_size())

    def _made(
        self, folder: Path, arguments: tuple[Any, ...], structure: Any, shapes: tuple[str, ...]
    ) -> Callable[..., Any]:
        """The function to call with arguments of these shapes; its executable is read, or made and kept."""
        around = f"{_settings()} {self._jit} {self._arguments} {self._results}"
        note = None
        with contextlib.suppress(Undescribed):
            if source := source_hash():
                made_of = [source, around, described(self._made_of), tree_to_json(structure), shapes]
                note = folder / f"{_sha256(json.dumps(made_of))}.json"
                if found := self._noted(note):
                    return found
        lowered, text, name = self._lowered(arguments)
        file = folder / f"{_sha256(around + text)}.executable"
        results = [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(lowered.out_info)]
        executable = self._deserialized(_read(file))
        if executable is None:
            compiled = lowered.compile()
            for copy in folder.parent.glob(f"*{name}*"):  # in the cache of jax, where nobody would find it
                with contextlib.suppress(OSError):
                    copy.unlink()
            if not self._is_plain(compiled):
                return self._jitted
            executable = compiled.runtime_executable()
            if not _write(file, executable.serialize()):
                note = None
        if note is not None:
            with contextlib.suppress(Undescribed):
                tree = tree_to_json(lowered.out_tree)
                shown = [list(shape) for shape, _ in results]
                _write(note, json.dumps({"tree": tree, "shapes": shown, "executable": file.name}).encode())
        return self._runner(executable, lowered.out_tree, [shape for shape, _ in results])

    def _noted(self, note: Path) -> Callable[..., Any] | None:
        """The function that a note of an earlier process tells of; None if it is not there or not whole."""
        if (content := _read(note)) is None:
            return None
        table = json.loads(content)
        structure, shapes = tree_from_json(table["tree"]), [tuple(shape) for shape in table["shapes"]]
        executable = self._deserialized(_read(note.with_name(table["executable"])))
        return None if executable is None else self._runner(executable, structure, shapes)

    def _lowered(self, arguments: tuple[Any, ...]) -> tuple[Any, str, str]:
        """The traced program, its text without its name, and its name.

        The name is used once, so that jax does not take the executable from its own cache: one that was read
        there cannot be written again.
        """
        function, own = self._function, f"{self._function.__name__}_{uuid4().hex}"

        def once(*arguments: Any) -> Any:
            return function(*arguments)

        once.__name__ = once.__qualname__ = own
        lowered = jax.jit(once, keep_unused=True, **self._jit).lower(*arguments)
        return lowered, lowered.as_text().replace(own, function.__name__), own

    def _is_plain(self, compiled: Any) -> bool:
        """Whether an executable takes and gives arrays as they are placed here, and has no others."""
        inputs, outputs = (
            jax.tree.leaves(compiled.input_shardings[0]),
            jax.tree.leaves(compiled.output_shardings),
        )
        leaves, results = jax.tree.leaves(compiled.args_info[0]), jax.tree.leaves(compiled.out_info)
        placed = self._per_leaf(compiled.args_info[0])
        placed += [self._results] * len(results)
        given = [*inputs, *outputs]
        return len(given) == len(placed) and all(
            one.is_equivalent_to(other, len(leaf.shape))
            for one, other, leaf in zip(given, placed, leaves + results, strict=True)
        )

    def _deserialized(self, content: bytes | None) -> Any:
        """The executable of a file's content; None if there is none, or it is not for these devices."""
        if content is None:
            return None
        devices = tuple(sorted(self._results.device_set, key=lambda device: device.id))
        try:
            return devices[0].client.deserialize_executable(content, _xla_client().DeviceList(devices), None)
        except (jax.errors.JaxRuntimeError, TypeError):
            return None

    def _runner(self, executable: Any, structure: Any, shapes: list[tuple[int, ...]]) -> Callable[..., Any]:
        """The function that runs an executable."""

        def call(*arguments: Any) -> Any:
            placed = jax.device_put(jax.tree.leaves(arguments), self._per_leaf(arguments))
            shards = executable.execute_sharded(placed).disassemble_into_single_device_arrays()
            arrays = [
                jax.make_array_from_single_device_arrays(shape, self._results, each)
                for shape, each in zip(shapes, shards, strict=True)
            ]
            return jax.tree.unflatten(structure, arrays)

        return call

    def _per_leaf(self, arguments: Any) -> list[Any]:
        """The sharding of each array of the arguments."""
        return [
            sharding
            for sharding, argument in zip(self._arguments, arguments, strict=True)
            for _ in jax.tree.leaves(argument)
        ]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _shape(leaf: Any) -> str:
    """Shape and type of an argument, as a program sees it."""
    aval = jax.typeof(leaf)
    return f"{aval.dtype}{list(aval.shape)}{'weak' if getattr(aval, 'weak_type', False) else ''}"


def _setting(name: str) -> Any:
    return getattr(jax.config, name, None)


def _folder() -> Path | None:
    """The folder of executables; None where none are kept."""
    folder = kept_folder()
    if folder is None or any(map(_setting, ("jax_disable_jit", "jax_debug_nans", "jax_debug_infs"))):
        return None
    return folder if jax.devices()[0].platform == "cpu" and _can_keep() else None


def _xla_client() -> Any:
    """What jax runs executables by; it is private, but the public way needs pickle."""
    try:
        return getattr(importlib.import_module("jax._src.lib"), "xla_client", None)
    except ImportError:
        return None


@functools.cache
def _can_keep() -> bool:
    """Whether this jax has what executables are read and run by, which is not in its public interface."""
    xla_client = _xla_client()
    needed = (
        (xla_client, "DeviceList"),
        (jax.devices()[0].client, "deserialize_executable"),
        (getattr(xla_client, "LoadedExecutable", None), "execute_sharded"),
        (jax.config, "values"),
    )
    return all(hasattr(thing, name) for thing, name in needed)


@functools.cache
def source_hash() -> str:
    """Hash of the package's source; empty if a file is younger than this process.

    What the process has loaded is then not known.
    """
    import psutil

    root = Path(__file__).resolve().parent.parent
    began = psutil.Process().create_time() - _CLOCK_SECONDS
    digest = hashlib.sha256()
    try:
        for file in sorted(root.rglob("*.py")):
            state = file.stat()
            if max(state.st_mtime, state.st_ctime) >= began:
                return ""
            content = file.read_bytes()
            digest.update(f"{file.relative_to(root).as_posix()} {len(content)}\n".encode())
            digest.update(content)
    except OSError:
        return ""
    return digest.hexdigest()


def _settings() -> tuple[Any, ...]:
    """Versions, devices and settings that enter a program or its executable."""
    device = jax.devices()[0]
    numerics = numerics_fingerprint(execution="", block_width=0, precision="")
    settings = {
        name: repr(_setting(name))
        for name in sorted(jax.config.values)
        if not any(word in name for word in _HARMLESS)
    }
    return (
        tuple(sorted(numerics.items())),
        tuple(settings.items()),
        (sys.version, device.client.platform_version, len(jax.devices()), jax.process_count()),
    )


def described(value: Any) -> str:
    """A value in words that are the same in every process, and differ for different values.

    Args:
        value: plain values, lists and tuples of them, the package's own parts, dataclasses and functions.

    Raises:
        Undescribed: for anything else; also for parts of arrays, which lie in files, and for users' parts.
    """
    if type(value) in _SIMPLE:
        return repr(value)
    if type(value) in (tuple, list):
        return f"({','.join(map(described, value))},)"
    if isinstance(value, FunctionType):
        return _described_function(value)
    if isinstance(value, Mapping) and (type(value) is dict or is_own(type(value))):
        return f"{_class_name(type(value))}{described(list(value.items()))}"
    if not is_own(type(value)) or isinstance(value, type):
        raise Undescribed(repr(type(value)))
    if isinstance(value, Part):
        names: Iterable[str] = type(value).model_fields
        privates = {n: p.get_default() for n, p in type(value).__private_attributes__.items()}
        if "path" in value.not_identifying or any(getattr(value, n) != p for n, p in privates.items()):
            raise Undescribed(repr(value))
    elif dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        names = value._fields  # pyright: ignore[reportAttributeAccessIssue]
    else:
        raise Undescribed(repr(type(value)))
    fields = ",".join(f"{name}={described(getattr(value, name))}" for name in names)
    return f"{_class_name(type(value))}({fields})"


def _described_function(function: FunctionType) -> str:
    name = function.__qualname__
    if not is_own(function) or name.endswith("<lambda>") or function.__defaults__ or function.__kwdefaults__:
        raise Undescribed(name)
    cells = function.__closure__ or ()
    closed = ",".join(
        f"{free}={described(cell.cell_contents)}"
        for free, cell in zip(function.__code__.co_freevars, cells, strict=True)
    )
    return f"{function.__module__}:{name}:{function.__code__.co_firstlineno}({closed})"


def _class_name(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def tree_to_json(structure: Any) -> Any:
    """A tree's structure as JSON, leaves numbered from 0.

    Nodes can be None, dicts, lists, tuples, named tuples and equinox modules (this package's and optax's).

    Raises:
        Undescribed: if it has other nodes, or would not be the same after `tree_from_json`.

    Example:
        >>> structure = jax.tree.structure({"a": (1, None), "b": [2]})
        >>> tree_to_json(structure)
        {'dict': [['a', {'tuple': [0, None]}], ['b', {'list': [1]}]]}
        >>> tree_from_json(tree_to_json(structure)) == structure
        True
    """
    found = _node_to_json(jax.tree.unflatten(structure, range(structure.num_leaves)))
    if tree_from_json(found) != structure:
        raise Undescribed(str(structure))
    return found


def _node_to_json(node: Any) -> Any:
    kind = type(node)
    if node is None or kind is int:
        return node
    if kind is dict and all(isinstance(key, str) for key in node):
        return {"dict": [[key, _node_to_json(child)] for key, child in node.items()]}
    if kind in (list, tuple):
        return {kind.__name__: [_node_to_json(child) for child in node]}
    if not kind.__module__.startswith(_ARRAYS) or "<" in kind.__qualname__:
        raise Undescribed(repr(kind))
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return {"named": _class_name(kind), "fields": [_node_to_json(child) for child in node]}
    if issubclass(kind, eqx.Module):
        children, static = {}, {}
        for field in dataclasses.fields(kind):
            value = getattr(node, field.name)
            if not field.metadata.get("static", False):
                children[field.name] = _node_to_json(value)
            elif isinstance(value, _SIMPLE):
                static[field.name] = value
            else:
                raise Undescribed(f"{kind.__name__}.{field.name}")
        return {"module": _class_name(kind), "fields": children, "static": static}
    raise Undescribed(repr(kind))


def tree_from_json(node: Any) -> Any:
    """The structure of which `tree_to_json` made a node.

    Raises:
        ValueError: if it is no such node.
    """
    return jax.tree.structure(_node_from_json(node))


def _node_from_json(node: Any) -> Any:
    match node:
        case None | int():
            return node
        case {"dict": list(items)}:
            return {key: _node_from_json(child) for key, child in items}
        case {"list": list(items)}:
            return [_node_from_json(child) for child in items]
        case {"tuple": list(items)}:
            return tuple(_node_from_json(child) for child in items)
        case {"named": str(name), "fields": list(items)}:
            return _class(name, tuple)(*map(_node_from_json, items))
        case {"module": str(name), "fields": dict(children), "static": dict(static)}:
            module = object.__new__(_class(name, eqx.Module))
            values = {field: _node_from_json(child) for field, child in children.items()} | static
            for field, value in values.items():
                object.__setattr__(module, field, value)
            return module
        case _:
            raise ValueError(f"no node of a tree: {str(node)[:60]}")


def _class(name: str, base: type) -> Any:
    """A class by name, one of those that hold the arrays of a state."""
    module, _, qualname = name.partition(":")
    if not module.startswith(_ARRAYS):
        raise ValueError(f"no class of a tree: {name}")
    found: Any = importlib.import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ValueError(f"no class of a tree: {name}")
    return found


def _write(file: Path, content: bytes) -> bool:
    """Write a file with the hash of its content; whether that was possible."""
    packed = zlib.compress(content, level=1)
    try:
        atomic_write(file, hashlib.sha256(packed).digest() + packed, parents=True)
    except StoreError as error:
        why = getattr(error.__cause__, "strerror", None)
        say_once(file.parent.parent, "cannot be written" + (f": {why}" if why else ""))
        return False
    return True


def _read(file: Path) -> bytes | None:
    """The content of a file; None if there is no such file, or it is not whole."""
    try:
        stored = file.read_bytes()
    except OSError:
        return None
    digest, packed = stored[:32], stored[32:]
    return zlib.decompress(packed) if hashlib.sha256(packed).digest() == digest else None
