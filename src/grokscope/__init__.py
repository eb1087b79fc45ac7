"""grokscope: a laboratory for grokking.

Train many small networks at once, watch circuits compete inside them, ask questions after the fact, and
check what the papers claim on hundreds of seeds. The names below are the public ones; they are imported
when they are first used, so that ``import grokscope`` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "Experiment": "grokscope.experiment",
    "Members": "grokscope.spec.streams",
    "Schedule": "grokscope.spec.schedule",
    "GrokscopeError": "grokscope.errors",
    "InputError": "grokscope.errors",
    "StoreError": "grokscope.errors",
    "train": "grokscope.runs",
    "compare": "grokscope.analysis.comparison",
    "from_torch": "grokscope.interop",
    "import_torch": "grokscope.interop",
    "to_torch": "grokscope.interop",
    "open_run": "grokscope.runs",
    "read_circuit": "grokscope.circuits",
    "Run": "grokscope.runs",
    "Sweep": "grokscope.sweeps",
    "open_sweep": "grokscope.sweeps",
    "sweep": "grokscope.sweeps",
}
__all__ = [
    "Experiment",
    "GrokscopeError",
    "InputError",
    "Members",
    "Run",
    "Schedule",
    "StoreError",
    "Sweep",
    "__version__",
    "compare",
    "from_torch",
    "import_torch",
    "open_run",
    "open_sweep",
    "read_circuit",
    "sweep",
    "to_torch",
    "train",
]

if TYPE_CHECKING:
    from grokscope.analysis.comparison import compare
    from grokscope.circuits import read_circuit
    from grokscope.errors import GrokscopeError, InputError, StoreError
    from grokscope.experiment import Experiment
    from grokscope.interop import from_torch, import_torch, to_torch
    from grokscope.runs import Run, open_run, train
    from grokscope.spec.schedule import Schedule
    from grokscope.spec.streams import Members
    from grokscope.sweeps import Sweep, open_sweep, sweep


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'grokscope' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
