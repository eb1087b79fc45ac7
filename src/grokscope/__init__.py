"""grokscope: a laboratory for grokking.

Train many small networks at once, watch circuits compete inside them, ask questions after the fact, and
check what the papers claim on hundreds of seeds. The names below are the public ones; they are imported
when they are first used, so that ``import grokscope`` is quick.
"""

from grokscope.interrupts import end_on_signals, is_command

if is_command():  # first of all: a signal during the imports below would print a traceback
    end_on_signals()

import importlib
from typing import TYPE_CHECKING, Any

from grokscope.provided import provide

__version__ = "0.1.0"

# module -> the public names that it defines
_MODULES = {
    "analysis.comparison": ("compare",),
    "circuits": ("read_circuit",),
    "claims": ("Claim", "Effect", "NotTestable", "Region"),
    "errors": ("GrokscopeError", "InputError", "StoreError"),
    "experiment": ("Experiment",),
    "interop": ("Recorder", "from_torch", "import_torch", "to_torch"),
    "interventions": ("Intervention", "Neurons"),
    "interventions.check": ("check_intervention",),
    "learners": ("Batch", "Learner", "State"),
    "learners.check": ("check_learner",),
    "losses": ("Loss", "Penalty"),
    "losses.check": ("check_loss", "check_penalty"),
    "measures": ("Measure", "Point"),
    "measures.check": ("check_measure",),
    "measures.needs": ("Need",),
    "models": ("Model",),
    "models.check": ("check_model",),
    "optimizers": ("Optimizer", "RateSchedule"),
    "optimizers.check": ("check_optimizer", "check_rate_schedule"),
    "papers": (
        "Analysis",
        "ContestExperiment",
        "ContestProfile",
        "Figure",
        "Paper",
        "Profile",
        "RunExperiment",
        "SweepExperiment",
        "SweepProfile",
        "check_paper",
        "find_paper",
        "from_experiment",
        "papers",
    ),
    "report": ("reproduce",),
    "runs": ("Run", "open_run", "train"),
    "spec.events": ("Event",),
    "spec.parts": ("Part", "load_plugin"),
    "spec.schedule": ("Schedule",),
    "spec.streams": ("Members",),
    "starts": ("FromRun", "Init"),
    "sweeps": ("Sweep", "list_runs", "open_sweep", "sweep"),
    "tasks": ("Task",),
    "tasks.check": ("check_task",),
}
_HOMES = {name: f"grokscope.{module}" for module, names in _MODULES.items() for name in names}
__all__ = [
    "Analysis",
    "Batch",
    "Claim",
    "ContestExperiment",
    "ContestProfile",
    "Effect",
    "Event",
    "Experiment",
    "Figure",
    "FromRun",
    "GrokscopeError",
    "Init",
    "InputError",
    "Intervention",
    "Learner",
    "Loss",
    "Measure",
    "Members",
    "Model",
    "Need",
    "Neurons",
    "NotTestable",
    "Optimizer",
    "Paper",
    "Part",
    "Penalty",
    "Point",
    "Profile",
    "RateSchedule",
    "Recorder",
    "Region",
    "Run",
    "RunExperiment",
    "Schedule",
    "State",
    "StoreError",
    "Sweep",
    "SweepExperiment",
    "SweepProfile",
    "Task",
    "__version__",
    "check_intervention",
    "check_learner",
    "check_loss",
    "check_measure",
    "check_model",
    "check_optimizer",
    "check_paper",
    "check_penalty",
    "check_rate_schedule",
    "check_task",
    "compare",
    "find_paper",
    "from_experiment",
    "from_torch",
    "import_torch",
    "list_runs",
    "load_plugin",
    "open_run",
    "open_sweep",
    "papers",
    "read_circuit",
    "reproduce",
    "sweep",
    "to_torch",
    "train",
]

# Functions of higher rooms that are methods of objects of lower rooms: `Run.summary`, `Run.report`, ...
provide(
    {
        "export_results": "grokscope.sweeps",
        "export_run": "grokscope.interop",
        "overview_of": "grokscope.analysis.overview",
        "write_report": "grokscope.report",
    }
)

if TYPE_CHECKING:
    from grokscope.analysis.comparison import compare
    from grokscope.circuits import read_circuit
    from grokscope.claims import Claim, Effect, NotTestable, Region
    from grokscope.errors import GrokscopeError, InputError, StoreError
    from grokscope.experiment import Experiment
    from grokscope.interop import Recorder, from_torch, import_torch, to_torch
    from grokscope.interventions import Intervention, Neurons
    from grokscope.interventions.check import check_intervention
    from grokscope.learners import Batch, Learner, State
    from grokscope.learners.check import check_learner
    from grokscope.losses import Loss, Penalty
    from grokscope.losses.check import check_loss, check_penalty
    from grokscope.measures import Measure, Point
    from grokscope.measures.check import check_measure
    from grokscope.measures.needs import Need
    from grokscope.models import Model
    from grokscope.models.check import check_model
    from grokscope.optimizers import Optimizer, RateSchedule
    from grokscope.optimizers.check import check_optimizer, check_rate_schedule
    from grokscope.papers import (
        Analysis,
        ContestExperiment,
        ContestProfile,
        Figure,
        Paper,
        Profile,
        RunExperiment,
        SweepExperiment,
        SweepProfile,
        check_paper,
        find_paper,
        from_experiment,
        papers,
    )
    from grokscope.report import reproduce
    from grokscope.runs import Run, open_run, train
    from grokscope.spec.events import Event
    from grokscope.spec.parts import Part, load_plugin
    from grokscope.spec.schedule import Schedule
    from grokscope.spec.streams import Members
    from grokscope.starts import FromRun, Init
    from grokscope.sweeps import Sweep, list_runs, open_sweep, sweep
    from grokscope.tasks import Task
    from grokscope.tasks.check import check_task
else:  # type checkers would believe that every name is there

    def __getattr__(name: str) -> Any:
        if name in _HOMES:
            return getattr(importlib.import_module(_HOMES[name]), name)
        raise AttributeError(f"module 'grokscope' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
