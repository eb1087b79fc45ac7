"""What conftest.py promises, tried on a small project of its own in a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

SUMS = '''
"""Sums."""
import numpy as np
from jaxtyping import Float

def total(x: Float[np.ndarray, "row column"]) -> Float[np.ndarray, "row"]:
    return x.sum(axis=0)  # wrong axis
'''
SPEC = '''
"""A spec: its annotations name what does not exist at run time."""
from __future__ import annotations
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import jax

def total(x: jax.Array) -> jax.Array:
    return x.sum()
'''
TESTS = """
import numpy as np
import pytest

def test_shapes_are_checked():
    from grokscope.measures.sums import total
    assert total(np.ones((3, 3))).shape == (3,)  # the wrong axis does not show in a square
    with pytest.raises(Exception, match="row"):
        total(np.ones((2, 3)))

def test_specs_are_left_alone():
    from grokscope.measures.spec import total
    assert total(np.ones(3)) == 3

def test_devices():
    import jax
    assert [device.platform for device in jax.devices()] == ["cpu", "cpu"]

@pytest.mark.browser
def test_page():
    raise RuntimeError("must not run without a browser")

@pytest.mark.slow
@pytest.mark.parametrize("case", range(9))
def test_slow(case):
    pass
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        "src/grokscope/__init__.py": "",
        "src/grokscope/measures/__init__.py": "",
        "src/grokscope/measures/sums.py": SUMS,
        "src/grokscope/measures/spec.py": SPEC,
        "tests/test_it.py": TESTS,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for name in ("pyproject.toml", "tests/conftest.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def run(project: Path, *options: str) -> subprocess.CompletedProcess[str]:
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "PYTEST_", "GROKSCOPE_"))}
    environment = keep | {
        "PYTHONPATH": str(project / "src"),
        "PATH": "",  # so that there is no Chromium
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_calls_are_checked_and_what_is_missing_is_skipped(project: Path) -> None:
    result = run(project)
    assert result.stdout.splitlines()[-1].strip("= ").startswith("12 passed, 1 skipped"), result.stdout
    assert "playwright is not installed" in result.stdout or "no Chromium" in result.stdout


@pytest.mark.slow
def test_a_required_kind_that_is_missing_fails(project: Path) -> None:
    result = run(project, "--require", "browser", "-m", "browser")
    assert result.returncode == 1
    assert "required, but " in result.stdout


def test_an_unknown_required_kind_is_refused(project: Path) -> None:
    result = run(project, "--require", "torhc")
    assert result.returncode == 4
    assert "unknown torhc; allowed: torch, browser, site, ray, s3, gpu, tables" in result.stderr


def test_parts_of_the_slow_tests_are_all_of_them(project: Path) -> None:
    parts = [run(project, "--slow-part", f"{part}/2", "--collect-only", "-q").stdout for part in (0, 1)]
    found = [{line for line in text.splitlines() if "::" in line} for text in parts]
    slow = [{line for line in lines if "test_slow" in line} for lines in found]
    assert min(map(len, slow)) > 0
    assert len(slow[0]) + len(slow[1]) == len(slow[0] | slow[1]) == 9
    assert found[0] - slow[0] == found[1] - slow[1] != set()  # the others are in both


@pytest.mark.parametrize("part", ["2/2", "half"])
def test_a_part_that_there_is_not_is_refused(project: Path, part: str) -> None:
    result = run(project, f"--slow-part={part}")
    assert result.returncode == 4
    assert "allowed: K/N with K from 0 to N - 1" in result.stderr
