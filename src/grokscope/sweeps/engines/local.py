"""The interface of engines, which run the work units of a sweep, and the engine that is this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from grokscope.errors import InputError, did_you_mean, option
from grokscope.progress import Progress
from grokscope.sweeps.work_unit import UnitReport, WorkUnit, run_unit

__all__ = ["ENGINES", "Engine", "LocalEngine", "engine_named"]

ENGINES = ("local", "ray")


class Engine(Protocol):
    """Runs work units in any order, each at least once, until all are done.

    A unit is idempotent: its finished members are skipped, and results do not depend on the worker.
    """

    @property
    def workers(self) -> int | None:
        """The number of units that run in parallel; None for this process, whose plan knows its devices."""
        ...

    def limits(self, seconds: float) -> tuple[int | None, float | None]:
        """The largest size of a unit in members, and in seconds on one core; None means no limit.

        Args:
            seconds: predicted for the whole sweep, on one core.
        """
        ...

    def numerics(self, unit: WorkUnit) -> dict[str, Any] | None:
        """The fingerprint required of a new sweep's units; None takes that of the first report."""
        ...

    def run(
        self, units: Sequence[WorkUnit], progress: Progress, on_done: Callable[[WorkUnit, UnitReport], None]
    ) -> None:
        """Run all units.

        Args:
            units: the work.
            progress: its `advance` is called with member-steps done.
            on_done: called for each finished unit, in this process and thread.

        Raises:
            GrokscopeError: if a unit cannot be done.
        """
        ...

    def close(self) -> None:
        """Release the workers. May be called twice."""
        ...


class LocalEngine:
    """This process with all its devices, one unit after the other."""

    workers: int | None = None

    def limits(self, seconds: float) -> tuple[int | None, float | None]:
        """No limits: a unit is as large as the memory allows."""
        return None, None

    def numerics(self, unit: WorkUnit) -> dict[str, Any] | None:
        """None: the first report has the fingerprint of this process."""
        return None

    def run(
        self, units: Sequence[WorkUnit], progress: Progress, on_done: Callable[[WorkUnit, UnitReport], None]
    ) -> None:
        """Run all units in order."""
        for unit in units:
            on_done(unit, run_unit(unit, progress))

    def close(self) -> None:
        """Nothing to release."""


def engine_named(name: str, address: str | None = None) -> Engine:
    """Make an engine.

    Args:
        name: ``local``, this process with all its devices; or ``ray``, a Ray cluster.
        address: of the cluster: ``auto`` or None (the cluster that this machine belongs to), ``HOST:PORT``,
            ``ray://HOST:PORT`` (from a machine outside the cluster), or ``local`` (start a cluster here, and
            stop it with the engine).

    Raises:
        InputError: if the name is unknown, the address is not valid, no cluster answers, or Ray is not
            installed.
    """
    if name == "local":
        if address is not None:
            raise InputError(f"{option('address')} {address}: is for engine ray.")
        return LocalEngine()
    if name != "ray":
        raise InputError(
            f"engine '{name}' is not known.{did_you_mean(name, ENGINES)} Known: {', '.join(ENGINES)}."
        )
    from grokscope.sweeps.engines.ray import RayEngine

    return RayEngine(address or "auto")
