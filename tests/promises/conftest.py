"""How often a promise is tested, and where the results go.

The suite tests each promise a few times; ``make torture`` (``GROKSCOPE_TORTURE=full``) in full, and
writes what it saw to ``benchmarks/results/torture-NAME-SEED-DATE.json``, from which `docs/make_promises.py`
makes the table of ``docs/promises.md``; runs with other seeds on one day are added up there.
``GROKSCOPE_TORTURE_SEED`` changes the random choices,
``GROKSCOPE_TORTURE_SECONDS`` ends every part after so many seconds; the counts written are those that
were done.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import nursery as nurseries
from torture_commands import COMMANDS, prepare

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Torture:
    """One part: counts, seed, and what was seen.

    Attributes:
        name: of the test, without ``test_``.
        promise: of the module: its number and first line.
    """

    name: str
    module: str
    full: bool = os.environ.get("GROKSCOPE_TORTURE") == "full"
    seed: int = int(os.environ.get("GROKSCOPE_TORTURE_SEED", "0"))
    limit: float = float(os.environ.get("GROKSCOPE_TORTURE_SECONDS", "inf"))
    failures: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def count(self, few: int, many: int) -> int:
        """``few`` in the suite, ``many`` in full."""
        return many if self.full else few

    def rng(self, *names: Any) -> random.Random:
        """Random choices that depend on the seed, this part, and names."""
        return random.Random(repr((self.seed, self.name, *names)))

    @property
    def in_time(self) -> bool:
        """Whether there is time for more."""
        return time.monotonic() - self.began < self.limit

    def check(self, right: bool, text: str) -> None:
        """Remember a failure, and go on."""
        if not right:
            self.failures.append(text)

    def done(self, count: int, what: str, result: str, **facts: Any) -> None:
        """Write down what was seen (in full only); then fail if anything failed."""
        assert count > 0, "nothing was tested"
        if self.full:
            self._write(count, what, result, facts)
        print(f"\n{self.name}: seed {self.seed}: {count} {what}: {result}; {facts}")
        shown = "\n".join(self.failures[:60])
        assert not self.failures, f"seed {self.seed}: {len(self.failures)} failed:\n{shown}"

    def _write(self, count: int, what: str, result: str, facts: dict[str, Any]) -> None:
        sys.path.insert(0, str(ROOT / "benchmarks"))
        import _machine
        import _result

        record = _result.Torture.model_validate(
            {
                "date": _result.today(),
                "name": self.name,
                "test": self.module,
                "seed": self.seed,
                "count": count,
                "what": what,
                "result": result,
                "failures": self.failures[:50],
                "seconds": round(time.monotonic() - self.began, 2),
                "facts": facts,
                "commit": _commit(),
                "machine": _machine.describe(),
            }
        )
        _result.write(record, f"torture-{self.name.replace('_', '-')}-{self.seed}")


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def torture(request: pytest.FixtureRequest) -> Torture:
    name = re.sub(r"\W+", "_", request.node.name.removeprefix("test_")).strip("_")
    return Torture(name, Path(str(request.node.path)).relative_to(ROOT).as_posix())


@pytest.fixture(scope="session")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library of faults, or a skip that says why there is none."""
    if reason := nurseries.missing_faults():
        pytest.skip(reason)
    return nurseries.build_faults(tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="session")
def nursery(
    tmp_path_factory: pytest.TempPathFactory, faults: Path
) -> Generator[nurseries.Nursery, None, None]:
    """One for all tests that start many commands."""
    with nurseries.Nursery(tmp_path_factory.mktemp("nursery"), faults) as found:
        yield found


class Prepare:
    """Commands that were left alone, each prepared once for all tests."""

    def __init__(self, nursery: nurseries.Nursery, folder: Path) -> None:
        self._nursery, self._folder, self._known = nursery, folder, dict[str, Any]()

    def __call__(self, name: str) -> Any:
        if name not in self._known:
            known = self._folder / COMMANDS[name].after / "whole"
            before = known if COMMANDS[name].after in self._known else None
            self._known[name] = prepare(name, self._nursery, self._folder / name, before)
        return self._known[name]


@pytest.fixture(scope="session")
def prepared_command(nursery: nurseries.Nursery, tmp_path_factory: pytest.TempPathFactory) -> Prepare:
    return Prepare(nursery, tmp_path_factory.mktemp("commands"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is marked ``torture`` takes minutes, and is left to ``make torture``."""
    if os.environ.get("GROKSCOPE_TORTURE") != "full":
        for item in items:
            if item.get_closest_marker("torture"):
                item.add_marker(pytest.mark.skip(reason="only in full: make torture"))


_PASSED: pytest.StashKey[bool] = pytest.StashKey()  # whether the test itself has passed


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.when == "call":
        item.stash[_PASSED] = report.passed
    return report


@pytest.fixture(scope="module")
def _tries(request: pytest.FixtureRequest) -> Generator[dict[str, bool], None, None]:
    tries: dict[str, bool] = {}
    began = time.monotonic()
    yield tries
    torture = Torture("as_people_live_with_it", Path(str(request.node.path)).relative_to(ROOT).as_posix())
    torture.began = began
    torture.failures += [name for name, passed in tries.items() if not passed]
    if torture.full:
        torture.done(len(tries), "things that happen around a command", f"{len(torture.failures)} went wrong")


@pytest.fixture
def tried(request: pytest.FixtureRequest, _tries: dict[str, bool]) -> Generator[None, None, None]:
    """Counts a test: all tests of a module that use this are one part."""
    yield
    if (passed := request.node.stash.get(_PASSED, None)) is not None:
        _tries[request.node.name] = passed
