"""A fake `grokscope.runs` for tests of what the commands say, and a way to call them."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import grokscope
import grokscope.analysis.overview  # what is imported later finds a `grokscope.runs` that is no package
import grokscope.runs.glance
import grokscope.runs.provenance
import grokscope.spec.parts
from fake_runs import FakeRun, fake_run
from grokscope.cli import main
from grokscope.errors import InputError


@dataclass
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def cli(capsys):
    """Call the command line in this process."""

    def call(*words: str) -> Result:
        code = main(words)
        seen = capsys.readouterr()
        return Result(code, seen.out, seen.err)

    return call


@dataclass
class FakeStore:
    """What stands in for `grokscope.runs`: opened runs by path, and what was asked of it."""

    opened: dict[str, FakeRun] = field(default_factory=dict)
    trained: list[tuple[Any, ...]] = field(default_factory=list)
    problems: list[Any] = field(default_factory=list)

    def train(self, experiment, seeds=1, *, out=None, progress=None, **allowed):
        run = fake_run(out or "runs/sparse_parity-abababab", seeds)
        self.trained.append((experiment, seeds, out, allowed))
        progress.start(2, "training")
        progress.advance(2)
        return run

    def open_run(self, path):
        if str(path) not in self.opened:
            raise InputError(f"{path}: there is no such folder.")
        return self.opened[str(path)]


@pytest.fixture
def store(monkeypatch):
    fake = FakeStore()
    module = ModuleType("grokscope.runs")
    module.train, module.open_run = fake.train, fake.open_run
    module.verify = lambda path: fake.problems
    module.seconds_to_train = lambda *given, **options: 0.0
    monkeypatch.setitem(sys.modules, "grokscope.runs", module)
    monkeypatch.setattr(grokscope, "runs", module, raising=False)
    return fake


@pytest.fixture
def any_measure(monkeypatch):
    """Every measure is known."""
    known = grokscope.spec.parts.lookup

    def lookup(group, kind):
        return object if group == "measure" else known(group, kind)

    monkeypatch.setattr("grokscope.spec.parts.lookup", lookup)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    file = tmp_path / "parity.toml"
    file.write_text('epochs = 10\n[task]\nkind = "sparse_parity"\n')
    return file
