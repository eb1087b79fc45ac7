"""Small changes of a source file, one at a time, that its tests should notice.

What is changed: a comparison, an arithmetic or logical operator, a number, a truth value, a `not`, a
condition, a default, a returned value, a statement that is left out. Strings, type hints and what only a
type checker reads are left alone, as are messages of errors (a test that pins every word is no better),
decorators, and the ``strict`` of a ``zip``, which guards against what no input can bring about.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

_COMPARED = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_COMPUTED = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div,
    ast.Mod: ast.Add, ast.Pow: ast.Mult, ast.MatMult: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd, ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip
Change = Callable[[], None]


def _skipped(tree: ast.AST) -> set[int]:
    """Nodes that are left alone, by id."""
    left: set[int] = set()

    def leave(node: ast.AST | None) -> None:
        left.update(id(inner) for inner in ast.walk(node)) if node is not None else None

    for node in ast.walk(tree):
        if isinstance(node, ast.Raise):
            leave(node)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            leave(node)
        if isinstance(node, ast.AnnAssign | ast.arg):
            leave(node.annotation)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            leave(node.returns)
            if node.name in ("__repr__", "__str__"):
                leave(node)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for decorator in node.decorator_list:
                leave(decorator)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "zip":
            for keyword in node.keywords:
                leave(keyword)
        if isinstance(node, ast.JoinedStr | ast.Import | ast.ImportFrom):
            leave(node)
        if isinstance(node, ast.Assign) and "__all__" in ast.dump(node.targets[0]):
            leave(node)
    return left


def _changes(node: ast.AST, parent_body: list[ast.stmt] | None) -> Iterator[tuple[str, Change]]:
    """What can be changed about a node: a word for it, and how."""
    if isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            other = _COMPARED[type(op)]
            yield (
                f"{type(op).__name__} to {other.__name__}",
                lambda i=i, o=other: node.ops.__setitem__(i, o()),
            )
    elif isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in _COMPUTED:
        other = _COMPUTED[type(node.op)]
        yield f"{type(node.op).__name__} to {other.__name__}", lambda: setattr(node, "op", other())
    elif isinstance(node, ast.BoolOp):
        other = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield f"{type(node.op).__name__} to {other.__name__}", lambda: setattr(node, "op", other())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield (
            "not taken away",
            lambda: (
                setattr(node, "op", ast.UAdd())
                or setattr(node, "operand", ast.Call(ast.Name("bool", ast.Load()), [node.operand], []))
            ),
        )
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "minus to plus", lambda: setattr(node, "op", ast.UAdd())
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield f"{node.value} to {not node.value}", lambda: setattr(node, "value", not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield f"{node.value} to {node.value + 1}", lambda: setattr(node, "value", node.value + 1)
    elif isinstance(node, ast.IfExp | ast.If | ast.While):
        if isinstance(node, ast.While):
            return
        negated = ast.UnaryOp(ast.Not(), node.test)
        yield "condition negated", lambda: setattr(node, "test", negated)
    elif isinstance(node, ast.Return) and node.value is not None and ast.unparse(node.value) != "None":
        yield "None returned", lambda: setattr(node, "value", ast.Constant(None))
    if (
        parent_body is not None
        and isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call | ast.Await)
    ):
        at = parent_body.index(node)
        yield "call left out", lambda: parent_body.__setitem__(at, ast.Pass())
    if parent_body is not None and isinstance(node, ast.AugAssign):
        at = parent_body.index(node)
        yield "assignment left out", lambda: parent_body.__setitem__(at, ast.Pass())


def _all(tree: ast.Module) -> list[tuple[int, str, Change]]:
    left = _skipped(tree)
    found: list[tuple[int, str, Change]] = []
    bodies: dict[int, list[ast.stmt]] = {}
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            body = getattr(node, name, None)
            if isinstance(body, list):
                bodies.update((id(statement), body) for statement in body)
        if id(node) not in left and hasattr(node, "lineno"):
            found += [(node.lineno, word, change) for word, change in _changes(node, bodies.get(id(node)))]
    return found


def count(file: Path) -> int:
    """How many mutants a file has."""
    return len(_all(ast.parse(file.read_text(encoding="utf-8"))))


def mutant(file: Path, number: int) -> tuple[str, str]:
    """The source of a mutant, and what is changed: ``line 30: Lt to LtE``."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    line, word, change = _all(tree)[number]
    change()
    ast.fix_missing_locations(tree)
    return ast.unparse(tree), f"line {line}: {word}"
