"""Sweeps: a grid of settings, planned into cohorts, run by an engine, seen as one dataset.

What is here: axes and grids (`SweepSpec`), the planner, the engines (this process; many machines), the
manifest of a sweep's folder, `Sweep`, which reads it, and contests (`Contest`), which tune each contender in
a sweep of its own. What goes elsewhere: the cells, which are ordinary runs (`grokscope.runs`), and figures
(`grokscope.plots`).
"""

from grokscope.sweeps._axes import Axis, parse_axis, point_text
from grokscope.sweeps._contest import (
    Contest,
    Standing,
    is_contest,
    open_contest,
    penalized_steps,
    run_contest,
)
from grokscope.sweeps._contest_spec import Contender, ContestSpec, is_contest_file
from grokscope.sweeps._dataset import axis_coordinates
from grokscope.sweeps._figures import sweep_figures
from grokscope.sweeps._home import is_sweep
from grokscope.sweeps._list import SweepSummary, list_sweeps, verify_sweep
from grokscope.sweeps._outcomes import PHASES, outcomes_dataset, phases, times_of
from grokscope.sweeps._overview import CellOverview, SweepOverview, estimate_text, overview_of_sweep
from grokscope.sweeps._plan import SweepPlan, plan_sweep
from grokscope.sweeps._run import default_place, many_cells, plan_for, run_sweep, sweep
from grokscope.sweeps._spec import Cell, SweepSpec, settings_text
from grokscope.sweeps._summary import summary_dataset
from grokscope.sweeps._sweep import Sweep, open_sweep
from grokscope.sweeps.engines.local import Engine, LocalEngine, engine_named

__all__ = [
    "PHASES",
    "Axis",
    "Cell",
    "CellOverview",
    "Contender",
    "Contest",
    "ContestSpec",
    "Engine",
    "LocalEngine",
    "Standing",
    "Sweep",
    "SweepOverview",
    "SweepPlan",
    "SweepSpec",
    "SweepSummary",
    "axis_coordinates",
    "default_place",
    "engine_named",
    "estimate_text",
    "is_contest",
    "is_contest_file",
    "is_sweep",
    "list_sweeps",
    "many_cells",
    "open_contest",
    "open_sweep",
    "outcomes_dataset",
    "overview_of_sweep",
    "parse_axis",
    "penalized_steps",
    "phases",
    "plan_for",
    "plan_sweep",
    "point_text",
    "run_contest",
    "run_sweep",
    "settings_text",
    "summary_dataset",
    "sweep",
    "sweep_figures",
    "times_of",
    "verify_sweep",
]
