"""The house rules that a program can check: on sources, imports and pinned requirements."""

from __future__ import annotations

import ast
import graphlib
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "grokscope"
SOURCES = sorted(PACKAGE.rglob("*.py"))

# The house, its ground floor first. A file imports from its own floor and from those listed before
# it. `grokscope/__init__.py`, the page of public names, stands over all of them.
LAYERS = (
    ("errors", "forks", "interrupts", "provided"),
    ("progress", "cards", "files"),
    ("statistics",),
    ("spec",),
    ("plots",),
    ("losses", "models", "optimizers", "tasks"),
    ("learners",),
    ("interventions",),
    ("starts",),
    ("measures",),
    ("experiment",),
    ("training",),
    ("store",),
    ("runs",),
    ("interop",),
    ("circuits",),
    ("claims",),
    ("analysis",),
    ("sweeps",),
    ("papers",),
    ("reproduction",),
    ("report",),
    ("cli",),
    ("__main__",),
)
LAYER = {name: height for height, names in enumerate(LAYERS) for name in names}


def ids(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


each_source = pytest.mark.parametrize("path", SOURCES, ids=ids)


def part_of(path: Path) -> str:
    """The name directly under grokscope that a file belongs to; empty for grokscope/__init__.py."""
    first = path.relative_to(PACKAGE).parts[0]
    return "" if first == "__init__.py" else first.removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and dotted name of all that is imported: inside functions and for the type checker alone, too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import; write it in full"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def parts_imported(path: Path) -> list[tuple[int, str]]:
    """Line and part (``runs``, ``measures``, ...) of each import of our own in a file."""
    found = imports(ast.parse(path.read_text(encoding="utf-8")))
    ours = [(line, name.split(".")[1]) for line, name in found if name.startswith("grokscope.")]
    return [(line, part) for line, part in ours if part != "__version__"]


def module_name(path: Path) -> str:
    """``grokscope.runs.run`` for its file; a package's name for its ``__init__.py``."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in SOURCES}


def imported_names(path: Path) -> Iterator[tuple[int, str, str]]:
    """Line, module and name of each import of our own: the module that the name is taken from."""
    for line, dotted in imports(ast.parse(path.read_text(encoding="utf-8"))):
        if dotted in MODULES:
            yield line, dotted, ""
        elif (module := dotted.rpartition(".")[0]) in MODULES:
            yield line, module, dotted.rpartition(".")[2]


def test_imports_are_found_wherever_they_are_written() -> None:
    tree = ast.parse(
        "import a\nif TYPE_CHECKING:\n    import t\nelse:\n    import b\ndef f():\n    from c.d import e\n"
    )
    assert sorted(imports(tree)) == [(1, "a"), (3, "t"), (5, "b"), (7, "c.d.e")]


def test_every_part_has_a_layer() -> None:
    unplaced = {part_of(path) for path in SOURCES} - {""} - set(LAYER)
    assert not unplaced, f"say in LAYERS what these may import: {sorted(unplaced)}"


@each_source
def test_imports_point_down(path: Path) -> None:
    own = LAYER.get(part_of(path), len(LAYERS))
    upward = [
        f"line {line}: {part_of(path)} imports {name}"
        for line, name in parts_imported(path)
        if LAYER.get(name, len(LAYERS)) > own  # what has no layer is a name of the public page
    ]
    assert not upward


def defining(module: str, name: str) -> str:
    """The module that defines a name which a package's face (its ``__init__.py``) hands on."""
    path = MODULES[module]
    if path.name == "__init__.py" and name:
        for _, source, given in imported_names(path):
            if given == name and source != module:
                return defining(source, name)
    return module


def test_files_import_each_other_in_no_circle() -> None:
    graph = {
        module: {defining(source, name) for _, source, name in imported_names(path)} - {module}
        for module, path in MODULES.items()
        if path.name != "__init__.py"
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@each_source
def test_private_modules_and_names_stay_in_their_folder(path: Path) -> None:
    found = [
        f"line {line}: {module}.{name}".rstrip(".")
        for line, module, name in imported_names(path)
        if any(
            part.startswith("_") and not part.startswith("__") for part in (module.rpartition(".")[2], name)
        )
        and MODULES[module].parent != path.parent
    ]
    assert not found, "what another folder imports has no underscore"


def test_a_class_name_stands_for_one_thing() -> None:
    places: dict[str, list[str]] = {}
    for module, path in MODULES.items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(module)
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


@each_source
def test_file_says_what_is_in_it(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring, "no module docstring"
    assert len(docstring.splitlines()[0]) > 10, "the docstring's first line says nothing"


@each_source
def test_nothing_that_is_loaded_can_run_code(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    unsafe = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    for line, name in imports(tree):
        assert name.split(".")[0] not in unsafe, f"line {line}: imports {name}"
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if called == "torch.load":
            assert options.get("weights_only") == "True", f"line {node.lineno}: {called}"
        assert options.get("allow_pickle", "False") == "False", f"line {node.lineno}: {called}"


def shipped_files() -> list[Path]:
    """The files under version control; where there is no git, what stands in the usual places."""
    git = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if git.returncode == 0 and git.stdout:
        return [ROOT / name for name in git.stdout.split("\0") if name and (ROOT / name).is_file()]
    folders = ("src", "tests", "benchmarks", "docs", "examples", "requirements")
    found = (path for name in folders for path in (ROOT / name).rglob("*") if path.is_file())
    return [path for path in found if "__pycache__" not in path.parts]


def test_no_file_names_a_folder_of_one_machine() -> None:
    # Written so that this file does not match itself.
    machine_path = re.compile(rb"(?<![\w./])/(?:root|work|home/\w+|Users/\w+|private/var)/[\w.]")
    assert machine_path.search(b'open("/' + b'work/data")')
    found = [
        f"{path.relative_to(ROOT)}: {match.group().decode()}"
        for path in shipped_files()
        for match in machine_path.finditer(path.read_bytes())
    ]
    assert not found


def test_importing_grokscope_is_cheap() -> None:
    heavy = ("jax", "xarray", "matplotlib", "scipy", "pandas", "zarr", "icechunk", "torch")
    program = f"import sys, grokscope; print(*(m for m in {heavy!r} if m in sys.modules))"
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == []


@pytest.mark.slow
def test_public_names_are_what_they_say() -> None:
    # A module of the same name takes the place of a function once it is imported; `papers` can be called.
    program = (
        "import pkgutil, importlib, grokscope as gs\n"
        "names = [m.name for m in pkgutil.iter_modules(gs.__path__) if m.name != '__main__']\n"
        "for name in names: importlib.import_module('grokscope.' + name)\n"
        "print(sorted(set(names) & set(gs.__all__)), set(gs._HOMES) | {'__version__'} == set(gs.__all__))\n"
        "print(*(getattr(gs, name).__name__.rpartition('.')[2] == name for name in gs._HOMES))\n"
        "print(callable(gs.papers) and 'two-circuits' in gs.papers())"
    )
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    first, second, third = result.stdout.splitlines()
    assert first == "['papers'] True"
    assert set(second.split()) == {third} == {"True"}


def pinned(name: str) -> dict[str, str]:
    """Version of each package in a requirements file."""
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    pins = re.findall(r"^([A-Za-z0-9_.-]+)(?:\[[^]]*\])?==([^\s;\\]+)", text, re.MULTILINE)
    return {canonicalize_name(package): version for package, version in pins}


def test_pins_cover_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    core = [*project["project"]["dependencies"], *extras["tables"]]
    core += project["build-system"]["requires"]
    everything = pinned("core.txt") | pinned("dev.txt")
    for needed, pins in ((core, pinned("core.txt")), (extras["dev"], everything)):
        for requirement in map(Requirement, needed):
            version = pins.get(canonicalize_name(requirement.name))
            assert version, f"{requirement} is not pinned: run requirements/renew"
            assert requirement.specifier.contains(version, prereleases=True), (
                f"{requirement}, but {version} is pinned: run requirements/renew"
            )
    assert not set(pinned("core.txt")) & set(pinned("dev.txt"))


@pytest.mark.parametrize("name", ["core.txt", "dev.txt"])
def test_pins_have_hashes_and_name_no_place(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    assert "://" not in text
    assert "-url" not in text
    entries = re.split(r"\n(?=[A-Za-z0-9])", text)[1:]
    assert len(entries) == len(pinned(name))
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_optional_kinds_are_marked_and_not_skipped_by_hand() -> None:
    # `--require` only reaches a test through its marker; importorskip would skip behind its back.
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("importorskip")
    ]
    assert not found, "mark the test with pytest.mark.torch (or another optional kind) and import inside it"


def test_a_paper_is_found_without_importing_the_others() -> None:
    code = (
        "import sys; from grokscope.papers import find_paper; "
        "print(find_paper('two-circuits').kind, *(m for m in sys.modules if m.startswith('grokscope')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("two-circuits ")
    assert "grokscope.papers.two_circuits" in done.stdout.split()
    assert "grokscope.papers.grokking" not in done.stdout.split()
