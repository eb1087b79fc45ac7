"""The documentation site can be built without a warning, and the notebook runs from its top to its end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.site
ROOT = Path(__file__).resolve().parent.parent


def run(*words: str, folder: Path) -> str:
    """Run a Python program; it must end well."""
    paths = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    run("-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site"), folder=ROOT)
    api = (tmp_path / "site" / "api" / "index.html").read_text(encoding="utf-8")
    assert "Train members of an experiment into a run folder" in api
    # examples of docstrings are shown as code
    assert '<span class="gp">&gt;&gt;&gt; </span>' in api
    assert (tmp_path / "site" / "report" / "index.html").is_file()
    pages = (tmp_path / "site").rglob("*.html")
    assert not [page for page in pages if "<p>```" in page.read_text(encoding="utf-8")]  # fences not rendered


@pytest.mark.slow
def test_the_notebook_runs_as_a_script(tmp_path: Path) -> None:
    said = run(str(ROOT / "notebooks" / "two_circuits.py"), folder=tmp_path)
    assert said.count("grokking: epoch") == 3
    assert "bits (0, 1, 2): the parity at 8 of 8 settings" in said
    assert "sign(" in said
    assert (tmp_path / "runs" / "two-circuits-notebook" / "report.html").is_file()
