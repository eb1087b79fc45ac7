"""Runs: training to a folder and back.

The store (`_store.py` and what it stands on), identity, provenance, commit and resume, replay, checksums.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from grokscope.experiment import Experiment
from grokscope.progress import Progress
from grokscope.runs._branch import branch_members
from grokscope.runs.folders import RunSummary, default_folder, list_runs, open_run, verify
from grokscope.runs.run import Run
from grokscope.spec.streams import Members
from grokscope.store.checksums import Problem

__all__ = [
    "Problem",
    "Run",
    "RunSummary",
    "branch_members",
    "default_folder",
    "list_runs",
    "open_run",
    "train",
    "verify",
]


def train(
    experiment: Experiment,
    seeds: Any = 1,
    *,
    out: str | Path | None = None,
    progress: Progress | None = None,
    allow_other_numerics: bool = False,
    commit_seconds: float = 20.0,
) -> Run:
    """Train members of an experiment into a run folder; the same call again resumes, extends, or is done.

    Args:
        experiment: what to train. More seeds, epochs or measures extend the run of the same identity.
        seeds: a count (seeds 0..N-1), a list, a text like ``5,9,20:30``, or `Members`.
        out: the run folder; by default ``runs/<task>-<identity, 8 characters>``.
        progress: told of the work (see `grokscope.progress`).
        allow_other_numerics: go on with a run that was made under another numerics fingerprint, and mark it.
        commit_seconds: how often what is done is kept; what a crash can cost, and how fresh others see it.

    Returns:
        The run.

    Raises:
        InputError: if the folder holds another run, the model does not fit the memory, or the numerics are
            others.
        StoreError: if the disk does not let us.

    Example:
        >>> import tempfile
        >>> small = {"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 32}
        >>> experiment = Experiment(task=small, model={"kind": "fully_connected", "width": 8}, epochs=2)
        >>> train(experiment, seeds=3, out=tempfile.mkdtemp() + "/run").is_complete
        True
    """
    from grokscope.runs.trainer import train_into
    from grokscope.training.cache import use_compile_cache
    from grokscope.training.devices import in_precision, prepare_devices

    members = Members.parse(seeds)
    folder = Path(out) if out is not None else default_folder(experiment)
    prepare_devices()
    use_compile_cache()
    with in_precision(experiment.precision):
        train_into(
            folder,
            experiment,
            members,
            progress,
            allow_other_numerics=allow_other_numerics,
            commit_seconds=commit_seconds,
        )
    return Run(folder)
