"""The code of parts and functions that are not the package's own: the file, and a hash that notices changes.

The hash covers what a class or function uses, and nothing else of its file: its own definition, all top-level
definitions, assignments and imports of the module that it names, directly or through others, the top-level
statements that change one of these, and every file beside the module (or in its package) that one of them
imports. Comments, docstrings and formatting do not count, so a file with a task and a paper can have a claim
reworded without another hash of the task.

A hash is that of the code that this process has loaded: the text of a module is read once for each time that
it is imported.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import linecache
import sys
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

__all__ = [
    "Code",
    "code_of",
    "edited_beside",
    "is_own",
    "module_source",
    "original_path",
    "short",
    "source_file",
]

_PACKAGE = __name__.partition(".")[0]
_INSTALLED = ("site-packages", "dist-packages")
_REFLECTION = {"globals", "eval", "exec", "vars"}  # what these use cannot be seen in the text
_SIMPLE = (int, float, complex, str, bytes, bool, type(None))
_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


@dataclass(frozen=True)
class Code:
    """The code of a part or a function.

    Attributes:
        part: what it is: ``optimizer my_adam``, or ``function take``.
        file: the path of its file; empty where it has none, as in a notebook.
        sha256: the hash; empty where the source is not known.
    """

    part: str
    file: str
    sha256: str

    def to_json(self) -> dict[str, str]:
        """File and hash, as a run records them."""
        return {"file": self.file, "sha256": self.sha256}


def code_of(thing: Any) -> Code | None:
    """The code of a class or function; None for the package's own.

    Args:
        thing: a class, an instance of a class, or a function (also a partial one, or a bound method).

    Example:
        >>> import textwrap
        >>> from grokscope.tasks.sparse_parity import SparseParity
        >>> code_of(SparseParity) is None
        True
        >>> code_of(textwrap.dedent).part
        'function dedent'
    """
    if isinstance(thing, functools.partial):
        return _partial(thing)
    target = _target(thing)
    if is_own(target):
        return None
    try:
        known = _known.get(target)
    except TypeError:  # it cannot be referred to weakly
        known = None
    if known is None:
        known = Code(_label(target), original_path(source_file(target)), _sha256(target))
        with suppress(TypeError):
            _known[target] = known
    return known


def is_own(thing: Any) -> bool:
    """Whether a class or function is defined in this package."""
    return f"{getattr(thing, '__module__', '')}.".startswith(f"{_PACKAGE}.")


def source_file(thing: Any) -> Path | None:
    """The file in which a class or function is defined; None where it is in no file."""
    module = sys.modules.get(getattr(thing, "__module__", None) or "")
    name = getattr(module, "__file__", None)
    return Path(name).resolve() if name else None


def short(sha256: str) -> str:
    """A hash as messages show it: its first 12 digits.

    Example:
        >>> short("0123456789abcdef"), short("")
        ('0123456789ab', 'source not known')
    """
    return sha256[:12] or "source not known"


# Copies of files (of plug-ins sent to a worker) -> the path of the original, which is what a run records.
_originals: dict[Path, str] = {}


def original_path(file: Path | None, original: str | None = None) -> str:
    """The path of a file as runs record it; empty for None.

    Args:
        file: the file.
        original: where the file is a copy: the path of the original, from now on.
    """
    if file is None:
        return ""
    if original is not None:
        _originals[file] = original
    return _originals.get(file, str(file))


_known: weakref.WeakKeyDictionary[Any, Code] = weakref.WeakKeyDictionary()
_texts: dict[str, tuple[Any, str]] = {}  # module -> its spec, which every import makes anew, and its text


def _target(thing: Any) -> Any:
    """The class or plain function that decides what a thing does."""
    thing = getattr(thing, "__func__", thing)
    if isinstance(thing, type):
        return thing
    thing = inspect.unwrap(thing) if callable(thing) and hasattr(thing, "__wrapped__") else thing
    return thing if isinstance(thing, FunctionType) else type(thing)


def _partial(thing: functools.partial[Any]) -> Code | None:
    code = code_of(thing.func)
    if code is None:
        return None
    values = [
        _value(item) for item in (*thing.args, *(x for pair in sorted(thing.keywords.items()) for x in pair))
    ]
    return Code(code.part, code.file, _digest([code.sha256, *values]) if code.sha256 else "")


def _label(target: Any) -> str:
    group = getattr(target, "group", "") if isinstance(target, type) else ""
    fields = getattr(target, "model_fields", {}) if group else {}
    kind = getattr(fields.get("kind"), "default", None)
    if group and isinstance(kind, str):
        return f"{group} {kind}"
    return f"{'class' if isinstance(target, type) else 'function'} {getattr(target, '__qualname__', target)}"


def _sha256(target: Any) -> str:
    """The hash of a class or function; empty where its source cannot be had."""
    try:
        pieces = list(_pieces(target, set()))
    except (OSError, SyntaxError, ValueError, RecursionError):
        return ""
    return _digest(pieces) if pieces else ""


def _digest(pieces: Iterable[str]) -> str:
    sha = hashlib.sha256()
    for piece in pieces:
        sha.update(piece.encode())
        sha.update(b"\0")
    return sha.hexdigest()


def _pieces(target: Any, seen: set[int]) -> Iterator[str]:
    """The texts that the hash of a class or function is of; none where its source cannot be had."""
    seen.add(id(target))
    text, in_file = _text_of(target)
    if text is None:
        return
    tree = ast.parse(text)
    root = _root(tree, target)
    if root is None:
        return
    used, names = _closure(tree, root)
    yield from (_dump(statement) for statement in used)
    yield from _closed_over(target, seen)
    module = sys.modules.get(target.__module__)
    if in_file:
        folder, beside = _files_beside(used, module)
        yield from (
            f"{path.relative_to(folder).as_posix()}:{_normal(beside[path])}" for path in sorted(beside)
        )
        return
    # a cell of a notebook: what the others define is found by its value
    space: Mapping[str, Any] = vars(module) if module is not None else {}
    for name in sorted(names & set(space)):
        item = space[name]
        if id(item) in seen or getattr(item, "__module__", None) != target.__module__:
            yield f"{name}={_value(item)}" if isinstance(item, (*_SIMPLE, tuple)) else name
        elif isinstance(item, type | FunctionType):
            yield from _pieces(item, seen)


def _text_of(target: Any) -> tuple[str | None, bool]:
    """The source that a class or function is in, and whether that is the whole file of its module."""
    module = sys.modules.get(target.__module__)
    file = source_file(target)
    if module is not None and file is not None and file.suffix == ".py":
        return _file_text(module.__name__, file), True
    for code in _codes(target):
        if lines := linecache.getlines(code.co_filename):
            return "".join(lines), False
    return None, False


def _codes(target: Any) -> Iterator[CodeType]:
    """The compiled code of a function, or of the methods of a class."""
    if isinstance(target, FunctionType):
        yield target.__code__
        return
    for item in vars(target).values():
        item = getattr(item, "__func__", None) or getattr(item, "fget", None) or item
        if isinstance(item, FunctionType) and item.__module__ == target.__module__:
            yield item.__code__


def _root(tree: ast.Module, target: Any) -> int | None:
    """The index of the top-level statement that a class or function is defined in."""
    name = target.__qualname__.partition(".")[0]
    for i in reversed(range(len(tree.body))):  # of several of one name the last one counts
        if name in _stored([tree.body[i]]):
            return i
    line = next((code.co_firstlineno for code in _codes(target)), 0)
    for i, statement in enumerate(tree.body):
        if statement.lineno <= line <= (statement.end_lineno or statement.lineno):
            return i
    return None


def _closure(tree: ast.Module, root: int) -> tuple[list[ast.stmt], set[str]]:
    """The top-level statements that one uses, in the order of the file; and all names that they use."""
    binding: dict[str, list[int]] = {}
    for i, statement in enumerate(tree.body):
        for name in _stored([statement]):
            binding.setdefault(name, []).append(i)
    imported = {
        name
        for statement in tree.body
        if isinstance(statement, ast.Import | ast.ImportFrom)
        and not (getattr(statement, "module", None) or statement.names[0].name).startswith(_PACKAGE)
        for name in _stored([statement])
    }
    local = {
        name
        for name, places in binding.items()
        if not all(isinstance(tree.body[i], ast.Import | ast.ImportFrom) for i in places)
    }
    stars = [i for i, s in enumerate(tree.body) if isinstance(s, ast.ImportFrom) and s.names[0].name == "*"]
    used, new, names = set[int](), {root, *stars}, set[str]()
    while new:
        used |= new
        names = names.union(*(_free(tree.body[i]) for i in new))
        if names & _REFLECTION - binding.keys():
            return [s for s in tree.body if not _is_text(s)], names | set(binding)
        reached = names | _stored(tree.body[i] for i in used)
        new = {i for name in names for i in binding.get(name, ())} - used
        new |= {
            i
            for i, statement in enumerate(tree.body)
            if i not in used and _changes(statement, reached & local, reached & imported)
        }
    return [tree.body[i] for i in sorted(used)], names


def _changes(statement: ast.stmt, local: set[str], imported: set[str]) -> bool:
    """Whether a top-level statement may change a module's own names, or settings of imported modules.

    ``TABLE["a"] = 1``, ``MyTask.n = 3``, ``TABLE.append(1)``, ``register(MyTask)`` and
    ``jax.config.update(...)`` may; what a script does with its parts (``run = gs.train(...)``) does not.
    """
    match statement:
        case ast.Assign(targets=targets) | ast.Delete(targets=targets):
            return any(_owner(target) in local for target in targets if not isinstance(target, ast.Name))
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
            return not isinstance(target, ast.Name) and _owner(target) in local
        case ast.Expr(value=ast.Call(func=ast.Attribute() as function)):
            return _owner(function) in local | imported
        case ast.Expr(value=ast.Call(func=ast.Name(id=name), args=arguments)):
            given = {item.id for item in arguments if isinstance(item, ast.Name)}
            return name != "print" and bool(given & local)
        case ast.If(test=test) if "__name__" in _free(test):
            return False
        case ast.If() | ast.For() | ast.While() | ast.With() | ast.Try():
            inner = [
                item for item in ast.walk(statement) if isinstance(item, ast.stmt) and item is not statement
            ]
            return any(_changes(item, local, imported) for item in inner)
        case _:
            return False


def _owner(node: ast.expr) -> str:
    """The name at the start of ``name.attribute[item]``."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _is_text(statement: ast.AST) -> bool:
    """Whether a statement is only a text: a docstring."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _dump(node: Any) -> str:
    """A node as text, without texts that are statements; the same in all versions of Python."""
    if isinstance(node, list):
        return "[" + ",".join(_dump(item) for item in node if not _is_text(item)) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = [
        f"{name}={_dump(value)}"
        for name, value in ast.iter_fields(node)
        if value is not None and value != [] and name not in ("type_comment", "ctx")
    ]
    return f"{type(node).__name__}({','.join(fields)})"


def _free(node: ast.AST) -> set[str]:
    """The names that a statement or expression looks up outside itself."""
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Load) else set()
    if isinstance(node, _FUNCTIONS):
        body = node.body if isinstance(node.body, list) else [node.body]
        arguments = node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        every += [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
        outside: list[ast.AST] = [
            *arguments.defaults,
            *(one for one in arguments.kw_defaults if one is not None),
        ]
        found = set().union(*(_annotated(one.annotation) for one in every))
        if not isinstance(node, ast.Lambda):
            outside += node.decorator_list
            found |= _annotated(node.returns)
        walked = (one for item in body for one in ast.walk(item) if isinstance(one, ast.Global))
        elsewhere = {name for one in walked for name in one.names}
        own = ({one.arg for one in every} | _stored(body)) - elsewhere
        inside = set[str]().union(*(_free(item) for item in body)) - own
        return found | inside | elsewhere | set[str]().union(*(_free(item) for item in outside))
    if isinstance(node, _COMPREHENSIONS):
        own = {
            one.id
            for generator in node.generators
            for one in ast.walk(generator.target)
            if isinstance(one, ast.Name)
        }
        return set[str]().union(*(_free(child) for child in ast.iter_child_nodes(node))) - own
    if isinstance(node, ast.AnnAssign):
        rest = _free(node.target) | (set() if node.value is None else _free(node.value))
        return rest | _annotated(node.annotation)
    found = set[str]().union(*(_free(child) for child in ast.iter_child_nodes(node)))
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        found.add(node.target.id)
    return found


def _annotated(annotation: ast.expr | None) -> set[str]:
    """The names in an annotation, also in one that is a text."""
    if annotation is None:
        return set()
    found = _free(annotation)
    for item in ast.walk(annotation):
        if isinstance(item, ast.Constant) and isinstance(item.value, str):
            try:
                found |= _free(ast.parse(item.value, mode="eval"))
            except SyntaxError:  # the text of a Literal
                continue
    return found


def _stored(body: Iterable[ast.AST]) -> set[str]:
    """The names that statements bind in their own scope."""
    found: set[str] = set()
    todo = list(body)
    while todo:
        node = todo.pop()
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
                continue
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                found |= {alias.asname or alias.name.partition(".")[0] for alias in names}
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                found.add(name)
            case (
                ast.ExceptHandler(name=str(name))
                | ast.MatchAs(name=str(name))
                | ast.MatchStar(name=str(name))
            ):
                found.add(name)
            case ast.Lambda():
                continue
            case _ if isinstance(node, _COMPREHENSIONS):
                continue
            case _:
                pass
        todo += ast.iter_child_nodes(node)
    return found - {"*"}


def _closed_over(target: Any, seen: set[int]) -> Iterator[str]:
    """The values that a function made by another one keeps of it."""
    if not isinstance(target, FunctionType):
        return
    for name, cell in zip(target.__code__.co_freevars, target.__closure__ or (), strict=True):
        try:
            item = cell.cell_contents
        except ValueError:  # not bound yet
            continue
        if isinstance(item, FunctionType) and not is_own(item):
            if id(item) not in seen:
                yield from _pieces(item, seen)
        else:
            yield f"{name}={_value(item)}"


def _value(item: Any) -> str:
    """A value as text that is the same in every process: plain values; of others, their type."""
    if isinstance(item, tuple | list):
        return f"({','.join(map(_value, item))})"
    if isinstance(item, _SIMPLE):
        return repr(item)
    if isinstance(item, type | FunctionType) and not is_own(item):
        return f"{item.__qualname__}:{_sha256(item)}"
    return type(item).__qualname__


def module_source(module: Any) -> tuple[str, dict[str, str]]:
    """The text of a module, and of the files beside it that it imports, by their path relative to its folder.

    Raises:
        OSError: if its file cannot be read.
    """
    text = _file_text(module.__name__, Path(module.__file__))
    folder, beside = _files_beside(ast.parse(text).body, module)
    return text, {path.relative_to(folder).as_posix(): found for path, found in beside.items()}


def edited_beside(module: Any) -> list[str]:
    """The loaded modules of the files beside a module, if one of these files was edited since its import.

    Args:
        module: a module that is about to be executed.
    """
    _, beside = _files_beside(_parsed(Path(module.__file__).read_text(encoding="utf-8")).body, module)
    if all(_read(path) == text for path, text in beside.items()):
        return []
    files = {name: getattr(one, "__file__", None) for name, one in list(sys.modules.items())}
    return [
        name for name, file in files.items() if file and Path(file).resolve() in beside and name != "__main__"
    ]


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _files_beside(used: Iterable[ast.stmt], module: Any) -> tuple[Path, dict[Path, str]]:
    """The texts of the files beside a module that statements import, and of those that these import.

    Returns:
        The folder below which they lie, and the text of each.
    """
    file = Path(module.__file__).resolve()
    folder = file.parent
    for _ in range((module.__package__ or "").count(".")):
        folder = folder.parent
    if folder.name in _INSTALLED:
        return folder, {}
    # names are looked up from here: of a package's modules, they begin with the package's name
    base = folder.parent if module.__package__ else folder
    found: dict[Path, str] = {}
    todo = [(tuple(used), module.__package__ or "")]
    while todo:
        statements, package = todo.pop()
        for name in _imported(statements, package):
            path = _module_file(name, folder, base)
            if path is None or path in found or path == file:
                continue
            found[path] = _file_text(name, path)
            inside = name if path.name == "__init__.py" else name.rpartition(".")[0]
            todo.append((tuple(_parsed(found[path]).body), inside))
    return folder, found


def _parsed(text: str) -> ast.Module:
    """A file's tree; an empty one where it is not Python."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return ast.Module([], [])


def _normal(text: str) -> str:
    """A file's text without comments, docstrings and formatting."""
    return _dump(_parsed(text).body) if _parsed(text).body else text


def _imported(statements: Iterable[ast.AST], package: str) -> Iterator[str]:
    """All modules that statements may import: ``a`` and ``a.b`` for ``from a import b``."""
    for statement in statements:
        for node in ast.walk(statement):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
                start = ".".join([*filter(None, above), *filter(None, [node.module])])
                names = [start, *(f"{start}.{alias.name}".lstrip(".") for alias in node.names)]
            else:
                continue
            for name in names:
                pieces = name.split(".")
                yield from (".".join(pieces[: i + 1]) for i in range(len(pieces)))


def _module_file(name: str, folder: Path, base: Path) -> Path | None:
    """The file of a module that lies in or below a folder; None for other modules."""
    if not name or name.partition(".")[0] == _PACKAGE:
        return None
    loaded = getattr(sys.modules.get(name), "__file__", None)
    stem = base.joinpath(*name.split("."))
    places = [Path(loaded)] if loaded else [stem.with_name(f"{stem.name}.py"), stem / "__init__.py"]
    for place in places:
        path = place.resolve()
        if path.is_relative_to(folder) and path.is_file() and path.suffix == ".py":
            inside = path.relative_to(folder).parts
            lives_in = [
                prefix for prefix in map(Path, (sys.prefix, sys.base_prefix)) if prefix.is_relative_to(folder)
            ]
            if not set(inside) & set(_INSTALLED) and not any(path.is_relative_to(one) for one in lives_in):
                return path
    return None


def _file_text(name: str, path: Path) -> str:
    """The text of a module as it was loaded; of one that is not loaded yet, as it is."""
    module = sys.modules.get(name)
    if module is None:
        return path.read_text(encoding="utf-8")
    spec = getattr(module, "__spec__", None)
    kept = _texts.get(name)
    if kept is None or kept[0] is not spec:
        kept = _texts[name] = (spec, path.read_text(encoding="utf-8"))
    return kept[1]
