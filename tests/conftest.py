"""What every test runs under: two CPU devices, shape checks, no skipped kind where it is required.

Put here only what the whole suite needs; brute-force references live in ``oracles.py``.

Optional kinds: a test marked ``torch``, ``browser``, ``site``, ``ray``, ``s3``, ``gpu``, ``tables`` or
``digits`` is skipped, with the reason, where that is missing. ``--require torch,browser`` (or
``GROKSCOPE_REQUIRE=torch,browser``) makes it fail instead.
"""

from __future__ import annotations

import atexit
import gc
import importlib.util
import os
import shutil
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import hypothesis
import jaxtyping
import psutil
import pytest

ROOT = Path(__file__).resolve().parent.parent
# Bytes by which a worker may grow before what it compiled is forgotten, and what it may have at most. Little
# is given back to the system, so a fixed limit would, once passed, forget everything after every file.
MOST_GROWTH, MOST_MEMORY = 1.5e9, 6e9

# Before anything imports jax. `setdefault`: the GPU tests are run with JAX_PLATFORMS=cuda,cpu.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "2")
# A program is compiled once in a session, and then read from a cache that lives no longer. It hides no fault
# of ours: an entry is found by the whole program (every operation, shape and constant), the options, the
# devices and the versions, so another program is another entry, and what is read is the executable that the
# compiler made for it minutes ago. That a program has the same bits in every process, with other members
# and on other devices, are comparisons of different programs, each compiled here. Programs that break when
# they are read back are what users would have, who have such a cache too.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="grokscope-test-programs-")
    # commands that are killed have one of their own, which all processes of the tests share
    os.environ["NURSERY_CACHE"] = os.environ["JAX_COMPILATION_CACHE_DIR"] + "/of-commands"
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.05"
# Compiling was three quarters of the suite's time. XLA transforms a program as always, but its code is made
# the quick way: without the fusion emitters and LLVM's optimizations (a quarter of the time). What depends on
# them is tested with the compiler as users have it: by `make torture`, and in part by .ci/run, which sets
# GROKSCOPE_COMPILER=users there. Unknown flags end the process, hence the version.
as_users = os.environ.get("GROKSCOPE_COMPILER") == "users" or "GROKSCOPE_TORTURE" in os.environ
if os.environ["JAX_PLATFORMS"] == "cpu" and not as_users and version("jaxlib").startswith("0.10."):
    os.environ.setdefault(
        "XLA_FLAGS",
        "--xla_cpu_use_fusion_emitters=false --xla_backend_optimization_level=0 "
        "--xla_cpu_parallel_codegen_split_count=1",
    )
# Writing to the medium took a twentieth of the suite. It matters when the power fails, which no test does;
# that it is asked for is tested by counting (tests/store), and commands that tests start do it.
os.fsync = lambda descriptor: None
# What jax has traced is millions of objects that live on. Looking through all of them for cycles at every
# tenth collection of the middle generation took three of a hundred seconds.
gc.set_threshold(50_000, 20, 100)
os.environ["MPLBACKEND"] = "agg"
os.environ["COLUMNS"] = "120"  # tables are as wide wherever the tests run
# The user's own cache folder is neither read nor written, here or by the commands that tests start.
os.environ["XDG_CACHE_HOME"] = str(ROOT / ".pytest_cache" / "user-cache")

# `quick` for working, `ci` the same examples every time, `thorough` for a night.
hypothesis.settings.register_profile("quick", max_examples=25, deadline=None)
hypothesis.settings.register_profile("ci", max_examples=100, deadline=None, derandomize=True)
hypothesis.settings.register_profile("thorough", max_examples=2000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

# Packages of numerical code, whose functions are checked at every call in tests: types by beartype,
# shapes by jaxtyping. A file that imports its array types only for the type checker is left out
# (specs do, to import quickly): their names do not exist when the program runs.
NUMERIC = ("circuits", "losses", "measures", "models", "training")


def checked_modules(package: Path) -> list[str]:
    """Names of the modules under the folder of grokscope whose calls are to be checked."""
    files = [package / f"{name}.py" for name in NUMERIC]
    files += [file for name in NUMERIC for file in package.glob(f"{name}/**/*.py")]
    return [
        ".".join(("grokscope", *file.relative_to(package).with_suffix("").parts))
        for file in sorted(files)
        if file.is_file()
        and file.name != "__init__.py"  # its name would stand for the whole package
        and "TYPE_CHECKING" not in file.read_text(encoding="utf-8")
    ]


jaxtyping.install_import_hook(checked_modules(ROOT / "src" / "grokscope"), "beartype.beartype")


def share_layouts() -> None:
    """Lay out one to four members as four are, so that they share their programs.

    Half of the suite's time would be compiling the same experiment for one member, for two, and for three.
    That bits do not depend on the layout is tested on layouts by name (tests/training/test_cohort.py), and by
    the command line, which has its own (tests/promises/test_determinism.py, in full).
    """
    if not (ROOT / "src" / "grokscope" / "training").is_dir():  # the small project of tests/test_conftest.py
        return
    from grokscope.training import devices  # before others take the function from there

    choose = devices.choose_execution
    devices.choose_execution = lambda n_members, *more, **options: choose(max(4, n_members), *more, **options)


share_layouts()


@pytest.fixture(autouse=True, scope="module")
def _small_process() -> Iterator[None]:
    """After a file, forget what jax has traced and compiled, where that has grown to gigabytes."""
    yield
    if "jax" in sys.modules and resident() > min(_forgotten_at[0] + MOST_GROWTH, MOST_MEMORY):
        import jax

        jax.clear_caches()
        gc.collect()
        _forgotten_at[0] = resident()


@pytest.fixture(autouse=True, scope="module")
def _forget_parts() -> Iterator[None]:
    """After a file, forget the parts that its tests have defined: others would try them, in some order."""
    parts = sys.modules.get("grokscope.spec.parts")
    before = {group: set(table) for group, table in parts._kinds.items()} if parts else {}
    yield
    if parts:
        from grokscope.spec import code

        for group, table in parts._kinds.items():
            for kind in set(table) - before.get(group, set()):
                if not code.is_own(table[kind]):
                    del table[kind]


def resident() -> int:
    """Bytes of memory that this process has."""
    return psutil.Process().memory_info().rss


_forgotten_at = [
    int(1e9)
]  # what there was when it was last forgotten; to begin with, about what imports take


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the built-in parts are known, and those that the test defines, which are forgotten after it."""
    from grokscope.spec import code, parts

    for group in parts._HOMES:  # what is found during the test would be forgotten, too
        parts.kinds(group)
    known = {
        group: {kind: cls for kind, cls in table.items() if code.is_own(cls)}
        for group, table in parts._kinds.items()
    }
    monkeypatch.setattr(parts, "_kinds", known)


def _missing_torch() -> str | None:
    return None if importlib.util.find_spec("torch") else "PyTorch is not installed"


def _missing_browser() -> str | None:
    if not importlib.util.find_spec("playwright"):
        return "playwright is not installed"
    names = ("chromium", "chromium-browser", "google-chrome")
    return None if any(map(shutil.which, names)) else "there is no Chromium on the PATH"


def _missing_site() -> str | None:
    absent = [name for name in ("marimo", "mkdocs", "mkdocstrings") if not importlib.util.find_spec(name)]
    return f"{absent[0]} is not installed (requirements/site.txt)" if absent else None


def _missing_gpu() -> str | None:
    import jax

    if any(device.platform == "gpu" for device in jax.devices()):
        return None
    return f"jax sees no GPU (JAX_PLATFORMS={os.environ['JAX_PLATFORMS']})"


def _missing_tables() -> str | None:
    absent = [name for name in ("h5netcdf", "h5py", "pyarrow") if not importlib.util.find_spec(name)]
    return f"{absent[0]} is not installed (pip install grokscope[tables])" if absent else None


def _missing_digits() -> str | None:
    if importlib.util.find_spec("sklearn"):
        return None
    return "scikit-learn is not installed (pip install grokscope[digits])"


def _missing_ray() -> str | None:
    if importlib.util.find_spec("ray"):
        return None
    return "Ray is not installed (pip install grokscope[ray], or requirements/ray.txt)"


def _missing_s3() -> str | None:
    from s3_server import command

    return None if command() else "moto's server is not installed (requirements/s3.txt, into .venv-s3)"


OPTIONAL: dict[str, Callable[[], str | None]] = {
    "torch": _missing_torch,
    "browser": _missing_browser,
    "site": _missing_site,
    "ray": _missing_ray,
    "s3": _missing_s3,
    "gpu": _missing_gpu,
    "tables": _missing_tables,
    "digits": _missing_digits,
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require",
        default=os.environ.get("GROKSCOPE_REQUIRE", ""),
        metavar="KINDS",
        help=f"comma-separated kinds whose tests must not be skipped: {', '.join(OPTIONAL)}",
    )
    parser.addoption(
        "--slow-part",
        default="0/1",
        metavar="K/N",
        help="of the tests marked slow run only part K (0 to N - 1) of N; a test is always in the same part",
    )


def pytest_configure(config: pytest.Config) -> None:
    unknown = _required(config) - set(OPTIONAL)
    if unknown:
        raise pytest.UsageError(
            f"--require: unknown {', '.join(sorted(unknown))}; allowed: {', '.join(OPTIONAL)}"
        )
    _slow_part(config)


def _required(config: pytest.Config) -> set[str]:
    return {kind.strip() for kind in config.getoption("--require").split(",") if kind.strip()}


def _slow_part(config: pytest.Config) -> tuple[int, int]:
    given = config.getoption("--slow-part")
    part, _, parts = given.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and int(part) < int(parts)):
        raise pytest.UsageError(f"--slow-part: {given!r}; allowed: K/N with K from 0 to N - 1, as 0/6")
    return int(part), int(parts)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    part, parts = _slow_part(config)
    left = {
        item
        for item in items
        if item.get_closest_marker("slow") and zlib.crc32(item.nodeid.encode()) % parts != part
    }
    if left:
        config.hook.pytest_deselected(items=list(left))
        items[:] = [item for item in items if item not in left]
    required = _required(config)
    for kind, missing in OPTIONAL.items():
        marked = [item for item in items if item.get_closest_marker(kind)]
        reason = missing() if marked else None
        for item in marked if reason else ():
            if kind in required:
                item.add_marker(pytest.mark.required_but_missing(reason))
            else:
                item.add_marker(pytest.mark.skip(reason=reason))
    # Files with the most slow tests go first, so that two processes end at about the same time.
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


def pytest_runtest_setup(item: pytest.Item) -> None:
    marker = item.get_closest_marker("required_but_missing")
    if marker:
        pytest.fail(f"required, but {marker.args[0]}", pytrace=False)


@pytest.fixture
def tmp_cwd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the current one, for code that writes to default places."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def float64() -> Iterator[None]:
    """jax computes in float64, for comparisons with formulas in numpy."""
    import jax

    with jax.enable_x64(True):
        yield
