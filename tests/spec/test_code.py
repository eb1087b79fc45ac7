"""The hash of code: what changes it, and what does not."""

from __future__ import annotations

import functools
import importlib
import linecache
import sys
import types

import pytest

from grokscope.spec.code import Code, code_of, module_source
from grokscope.spec.parts import load_plugin, lookup
from grokscope.tasks.sparse_parity import SparseParity

FILE = '''
"""A module."""
import math
import helper_of_code
from grokscope.losses import Hinge
from typing import Literal

SCALE = 2.0
OTHER = 3.0
TABLE = {}
TABLE["a"] = 1


def used(x):
    """Docstring."""
    return inner(x) * SCALE


def inner(x):
    SENTENCE = 1  # a local name, like that of a top-level one
    return x + SENTENCE


class Base(Hinge):
    def extra(self):
        return TABLE


class Mine(Base):
    """The loss."""

    kind: Literal["mine_of_code"] = "mine_of_code"

    def __call__(self, outputs, labels):
        return used(outputs) + helper_of_code.value()


def unrelated():
    return OTHER


SENTENCE = "a claim"
print(SENTENCE)
'''
HELPER = "import deeper_of_code\ndef value():\n    return deeper_of_code.X\n"


@pytest.fixture(autouse=True)
def forget_modules(registry, monkeypatch):
    """Helpers are imported anew in each test, as in a new process; so is the path."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in [name for name in sys.modules if name.endswith("_of_code")]:
        del sys.modules[name]


def hash_of(folder, text=FILE, helper=HELPER, deeper="X = 1\n", *, kind="mine_of_code"):
    """The hash of the plug-in's class, loaded as in a new process."""
    for name in [name for name in sys.modules if name.endswith("_of_code")]:
        del sys.modules[name]
    importlib.invalidate_caches()
    for name, content in (("plug", text), ("helper_of_code", helper), ("deeper_of_code", deeper)):
        (folder / f"{name}.py").write_text(content)
        for cached in folder.glob("__pycache__/*"):
            cached.unlink()
    load_plugin(folder / "plug.py")
    code = code_of(lookup("loss", kind))
    assert code.part == f"loss {kind}"
    assert code.file == str(folder / "plug.py")
    assert len(code.sha256) == 64
    return code.sha256


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# a local name, like that of a top-level one", "# what it is"),
        ('"""The loss."""', '"""Another text."""'),
        ('"""A module."""', ""),
        ("return inner(x) * SCALE", "return (inner(\n        x) * SCALE)"),
        ("OTHER = 3.0", "OTHER = 4.0"),
        ('SENTENCE = "a claim"', 'SENTENCE = "a claim in other words"'),
        ("def unrelated():\n    return OTHER", "def unrelated():\n    return -OTHER"),
        ("print(SENTENCE)", "print(SENTENCE, used(1))"),
        ("print(SENTENCE)", 'if __name__ == "__main__":\n    print(Mine())'),
    ],
)
def test_the_hash_stays_where_nothing_changes_that_the_class_uses(tmp_path, old, new):
    assert old in FILE
    assert hash_of(tmp_path) == hash_of(tmp_path, FILE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return used(outputs)", "return 2 * used(outputs)"),
        ("SCALE = 2.0", "SCALE = 2.5"),
        ("return inner(x) * SCALE", "return inner(x) / SCALE"),
        ("SENTENCE = 1  #", "SENTENCE = 2  #"),
        ("class Mine(Base)", "class Mine(Hinge)"),
        ("return TABLE\n", "return dict(TABLE)\n"),
        ("TABLE = {}", "TABLE = {1: 2}"),
        ('TABLE["a"] = 1', 'TABLE["a"] = 2'),
        ('TABLE["a"] = 1', 'TABLE["a"] = 1\nTABLE.update(b=2)'),
        ("print(SENTENCE)", "Mine.extra = unrelated"),
        ("import helper_of_code", "import deeper_of_code as helper_of_code"),
    ],
)
def test_the_hash_changes_with_all_that_the_class_uses(tmp_path, old, new):
    assert old in FILE
    deeper = "X = 1\ndef value():\n    return 1\n"
    assert hash_of(tmp_path, deeper=deeper) != hash_of(tmp_path, FILE.replace(old, new), deeper=deeper)


def test_files_beside_it_count_also_where_they_are_imported_by_one_another(tmp_path):
    first = hash_of(tmp_path)
    assert hash_of(tmp_path, helper=HELPER + "# a comment\n") == first
    assert hash_of(tmp_path, helper=HELPER.replace("return", "return 2 *")) != first
    assert hash_of(tmp_path, deeper="X = 2\n") != first
    assert hash_of(tmp_path, deeper="X = 1\n") == first


def test_a_helper_that_the_class_does_not_use_does_not_count(tmp_path):
    text = FILE.replace(" + helper_of_code.value()", "")
    first = hash_of(tmp_path, text)
    assert hash_of(tmp_path, text, helper="def value():\n    return 2\n") == first


def test_the_hash_is_that_of_the_code_that_runs_not_of_the_file_as_it_is_now(tmp_path):
    first = hash_of(tmp_path)
    (tmp_path / "helper_of_code.py").write_text("def value():\n    return 2\n")
    (tmp_path / "plug.py").write_text(FILE.replace("SCALE = 2.0", "SCALE = 2.5"))
    code_of.__globals__["_known"].clear()
    assert code_of(lookup("loss", "mine_of_code")).sha256 == first
    load_plugin(tmp_path / "plug.py")  # loads what was edited beside it, too
    assert sys.modules["helper_of_code"].value() == 2
    assert code_of(lookup("loss", "mine_of_code")).sha256 != first


def test_code_that_looks_at_its_own_module_depends_on_all_of_it(tmp_path):
    text = FILE.replace("return used(outputs)", "return globals()['used'](outputs)")
    assert hash_of(tmp_path, text) != hash_of(tmp_path, text.replace("OTHER = 3.0", "OTHER = 4.0"))


def test_our_own_parts_have_no_code():
    assert code_of(SparseParity) is None
    assert code_of(SparseParity()) is None
    assert code_of(load_plugin) is None


FUNCTIONS = """
import functools
LIMIT = 3
def make(power):
    def take(x):
        return x ** power + LIMIT
    return take
square, cube = make(2), make(3)
short = lambda x: x + LIMIT
def two(x, y):
    return x * y
twice, thrice = functools.partial(two, y=2), functools.partial(two, y=3)
"""


def functions(folder, text=FUNCTIONS):
    name = "functions_of_code"
    (folder / f"{name}.py").write_text(text)
    for cached in folder.glob("__pycache__/*"):
        cached.unlink()
    sys.modules.pop(name, None)
    sys.path.append(str(folder))
    importlib.invalidate_caches()
    return importlib.import_module(name)


def test_functions_closures_lambdas_and_partial_functions(tmp_path):
    old = functions(tmp_path)
    hashes = {
        name: code_of(getattr(old, name)).sha256
        for name in ("square", "cube", "short", "two", "twice", "thrice")
    }
    assert len(set(hashes.values())) == 6
    assert code_of(old.two) == Code("function two", str(tmp_path / "functions_of_code.py"), hashes["two"])
    new = functions(tmp_path, FUNCTIONS.replace("LIMIT = 3", "LIMIT = 4"))
    changed = {name for name, sha in hashes.items() if code_of(getattr(new, name)).sha256 != sha}
    assert changed == {"square", "cube", "short"}
    assert functools.partial(new.two, y=2).keywords == {"y": 2}


def notebook(cells):
    """Run cells as a notebook does: in one module without a file, each cell's text known by its name."""
    module = types.ModuleType("notebook_of_code")
    sys.modules[module.__name__] = module
    for i, text in enumerate(cells):
        name = f"<cell {i} {hash(text)}>"
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        exec(compile(text, name, "exec"), vars(module))
    return module


def test_a_class_of_a_notebook_depends_on_what_it_uses_of_other_cells():
    cells = [
        "LIMIT = 3\ndef used(x):\n    return x + LIMIT\n",
        "class A:\n    def f(self):\n        return used(1)\n",
    ]
    first = code_of(notebook(cells).A)
    assert (first.file, len(first.sha256)) == ("", 64)
    assert code_of(notebook(cells).A).sha256 == first.sha256
    assert code_of(notebook([cells[0].replace("x +", "x -"), cells[1]]).A).sha256 != first.sha256
    assert code_of(notebook([cells[0].replace("= 3", "= 4"), cells[1]]).A).sha256 != first.sha256
    assert code_of(notebook([cells[0] + "OTHER = 1\n", cells[1]]).A).sha256 == first.sha256


def test_a_source_that_cannot_be_had_is_no_error():
    space = {"__name__": "nowhere_of_code"}
    exec("class A:\n    def f(self): pass\n", space)
    assert code_of(space["A"]) == Code("class A", "", "")


def test_modules_of_a_package_count_installed_libraries_do_not(tmp_path):
    package = tmp_path / "package_of_code"
    (package / "inner").mkdir(parents=True)
    files = {
        "__init__.py": "",
        "common.py": "Y = 1\n",
        "inner/__init__.py": "",
        "inner/part.py": "import numpy\nfrom .. import common\ndef f():\n    return common.Y, numpy.pi\n",
    }
    for name, text in files.items():
        (package / name).write_text(text)
    sys.path.append(str(tmp_path))
    importlib.invalidate_caches()
    module = importlib.import_module("package_of_code.inner.part")
    text, beside = module_source(module)
    assert text == files["inner/part.py"]
    assert beside == {"__init__.py": "", "common.py": "Y = 1\n"}
    for name in [name for name in sys.modules if name.startswith("package_of_code")]:
        del sys.modules[name]


def test_functions_and_lambdas_inside_one_function_differ() -> None:
    def first(point):
        return point.x

    def second(point):
        return point.x + 1

    third = lambda point: point.x  # noqa: E731
    fourth = lambda point: point.y  # noqa: E731
    codes = [code_of(function) for function in (first, second, third, fourth)]
    assert len({code.sha256 for code in codes if code is not None}) == 4
