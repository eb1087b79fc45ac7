"""Sweeps: a grid of settings, planned into cohorts, run by an engine, read as one dataset.

A `SweepSpec` is a base experiment, axes and seeds. `run_sweep` plans its cells, hands them to an engine (this
process or a Ray cluster) and keeps a manifest in the sweep's folder. `Sweep` reads the result. A `Contest`
tunes each contender in a sweep and compares the tuned ones. The cells are ordinary runs (`grokscope.runs`);
drawing is in `grokscope.plots`.
"""

from grokscope.sweeps._axes import Axis, parse_axis, point_text
from grokscope.sweeps._contest import (
    Contender,
    Contest,
    ContestSpec,
    Standing,
    is_contest,
    is_contest_file,
    open_contest,
    penalized_steps,
    run_contest,
)
from grokscope.sweeps._dataset import axis_coordinates
from grokscope.sweeps._listing import RunList, list_runs
from grokscope.sweeps._outcomes import PHASES, outcomes_dataset, phases, summary_dataset, times_of
from grokscope.sweeps._overview import (
    CellOverview,
    SweepOverview,
    estimate_text,
    event_columns,
    overview_of_sweep,
    sweep_figures,
)
from grokscope.sweeps._plan import SweepPlan, plan_sweep
from grokscope.sweeps._results import Checked, export_results, open_results, verify_results
from grokscope.sweeps._run import default_place, huge_grid_estimate, plan_for, run_sweep, sweep
from grokscope.sweeps._spec import Cell, SweepSpec, settings_text
from grokscope.sweeps._sweep import Sweep, SweepSummary, list_sweeps, open_sweep, verify_sweep
from grokscope.sweeps.engines.local import Engine, LocalEngine, engine_named
from grokscope.sweeps.folder import is_sweep

__all__ = [
    "PHASES",
    "Axis",
    "Cell",
    "CellOverview",
    "Checked",
    "Contender",
    "Contest",
    "ContestSpec",
    "Engine",
    "LocalEngine",
    "RunList",
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
    "event_columns",
    "export_results",
    "huge_grid_estimate",
    "is_contest",
    "is_contest_file",
    "is_sweep",
    "list_runs",
    "list_sweeps",
    "open_contest",
    "open_results",
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
    "verify_results",
    "verify_sweep",
]
