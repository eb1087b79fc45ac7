"""The built wheel: what is in it, and its command in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import grokscope

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "grokscope"
SPEC = """
epochs = 1
measures = ["train_accuracy", "test_accuracy"]
[task]
kind = "sparse_parity"
n = 6
k = 2
n_train = 32
[model]
kind = "fully_connected"
width = 4
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # with the build backend that is pinned and installed; nothing is fetched
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", *options, "--wheel-dir", str(folder), str(ROOT)],
        check=True,
        timeout=300,
    )
    (built,) = folder.glob("*.whl")
    return built


def run(site: Path, cwd: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, str(site / "bin" / "grokscope"), *words],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(site), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    files = (file for file in PACKAGE.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    assert {str(Path("grokscope") / file.relative_to(PACKAGE)) for file in files} <= inside
    assert {"grokscope/py.typed", "grokscope/report/assets/page.js"} <= inside


def test_metadata_names_version_license_and_pythons(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    text = archive.read(name).decode()
    assert f"\nVersion: {grokscope.__version__}\n" in text
    assert "\nLicense-Expression: Apache-2.0\n" in text
    assert "Programming Language :: Python :: 3.14" in text
    assert "# grokscope" in text  # the README


def test_citation_and_changelog_name_the_version() -> None:
    assert f"\nversion: {grokscope.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert versions[0] == grokscope.__version__


@pytest.mark.slow
def test_installed_wheel_works_in_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    site, work = tmp_path / "site", tmp_path / "work"
    work.mkdir()
    options = ["--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", *options, "--target", str(site), str(wheel)],
        check=True,
        timeout=300,
    )
    assert run(site, work, "--version").split() == ["grokscope", grokscope.__version__]
    where = "import grokscope; print(grokscope.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", where],
        cwd=work,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()).is_relative_to(site)
    assert "two-circuits" in run(site, work, "papers", "--json")
    run(site, work, "new", "measure", "own_measure")  # a template
    (work / "spec.toml").write_text(SPEC, encoding="utf-8")
    run(site, work, "train", "spec.toml", "--seeds", "1", "--out", "run")
    run(site, work, "report", "run", "--out", "page.html")  # templates and assets
    assert "<script" in (work / "page.html").read_text(encoding="utf-8")
