"""The small sweep, trained once per session."""

from __future__ import annotations

import pytest

import grokscope as gs
from small_sweeps import OVER, RATES, small


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory) -> gs.Sweep:
    return gs.sweep(small(), OVER, seeds=3, out=tmp_path_factory.mktemp("swept") / "sweep", rates=RATES)
