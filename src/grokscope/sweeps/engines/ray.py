"""The Ray engine: a work unit is a Ray task, and its results go straight to the stores.

The driver holds only the manifest. Ray reports which nodes are alive and which tasks were lost. This engine
submits lost units again, and sends no more units to nodes with another numerics fingerprint.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from grokscope.errors import GrokscopeError, InputError, StoreError, option
from grokscope.interrupts import raise_if_interrupted
from grokscope.progress import Progress
from grokscope.store.place import BucketPath, as_place
from grokscope.sweeps.engines.ray_address import connect, ray_module
from grokscope.sweeps.folder import is_sweep
from grokscope.sweeps.work_unit import UnitReport, WorkUnit, run_unit, unit_numerics

__all__ = ["RayEngine", "longest_first", "unit_seconds"]

_MAX_TRIES = 5  # of a unit whose worker or node is lost
_MAX_SECONDS, _MIN_SECONDS = 600.0, 30.0  # of a unit on one core
_UNITS_PER_WORKER = 8
_NODE = "ray.io/node-id"  # the label that Ray gives to every node
_MAX_ON_CORE, _MAX_ON_GPU = 64, 256  # members at once, as in `training.devices`
_PROBE_SECONDS = 120.0
_MAX_READY = 64
_WAIT_SECONDS = 10.0  # without an answer, until the state of the cluster is checked


def unit_seconds(total: float, workers: int, shortest: float = _MIN_SECONDS) -> float:
    """The longest time that a work unit should take.

    Short enough that every worker gets several units and all end at about the same time. Long enough that
    starting and compiling are a small part of it. Never long, because a lost worker's work since its last
    commit is repeated.

    Args:
        total: predicted seconds of all units, on one core.
        workers: the number of workers.
        shortest: lower bound of the result.

    Example:
        >>> unit_seconds(36_000.0, workers=10), unit_seconds(3.6e8, workers=1000)
        (450.0, 600.0)
    """
    return min(_MAX_SECONDS, max(shortest, total / (_UNITS_PER_WORKER * max(workers, 1))))


def longest_first(units: Sequence[WorkUnit]) -> list[WorkUnit]:
    """The order in which units are submitted: the most expensive first, so that none of them starts last."""
    return sorted(units, key=lambda unit: -unit.cost)


@dataclass(frozen=True)
class _Answer:
    """A worker's answer: the node, and the report or the error that the store or the spec raised."""

    node: str
    report: UnitReport | None = None
    error: GrokscopeError | None = None


class RayEngine:
    """A Ray cluster: one unit at a time on each of its cores, or on each GPU if it has any.

    Attributes:
        address: of the cluster.
        shortest_seconds: units are not cut below this cost on one core.
        lost: the number of units that were lost with their worker and submitted again.

    Raises:
        InputError: if Ray is not installed, or no cluster answers.
    """

    def __init__(self, address: str, shortest_seconds: float = _MIN_SECONDS) -> None:
        self._module = ray_module()
        connect(self._module, address)
        self.address = address
        self.shortest_seconds = shortest_seconds
        self.lost = 0
        self._refusing: set[str] = set()  # ids of nodes with other numerics
        self._disconnected = False
        self._define_tasks()

    @property
    def workers(self) -> int | None:
        """GPUs or cores of the cluster; at least 1, since an autoscaling cluster may have none yet."""
        return max(1, int(self._ray.cluster_resources().get("GPU" if self._on_gpu else "CPU", 0)))

    def limits(self, seconds: float) -> tuple[int | None, float | None]:
        """As many members as one device trains at once, and several units for every worker."""
        most = _MAX_ON_GPU if self._on_gpu else _MAX_ON_CORE
        return most, unit_seconds(seconds, self.workers or 1, self.shortest_seconds)

    def numerics(self, unit: WorkUnit) -> dict[str, Any] | None:
        """The fingerprint of most nodes.

        Raises:
            InputError: if a worker resolves the spec to other experiments.
            GrokscopeError: if no worker answers.
        """
        ray, sent = self._ray, _with_absolute_place(unit)
        nodes = self._nodes()
        if nodes:
            refs = [self._probe.options(label_selector={_NODE: node}).remote(sent) for node in nodes]
        else:  # an autoscaling cluster adds a node when a task is submitted
            refs = [self._probe.remote(sent)]
        ready, _ = ray.wait(refs, num_returns=len(refs), timeout=_PROBE_SECONDS if nodes else None)
        found: list[dict[str, Any]] = []
        failure: Exception | None = None
        for ref in ready:
            try:
                answer = ray.get(ref)
                if isinstance(answer, GrokscopeError):
                    raise answer
                found.append(answer)
            except InputError:
                raise
            except Exception as error:
                failure = error
        if not found:
            why = f": {_first_line(failure)}" if failure is not None else f" within {_PROBE_SECONDS:g} s"
            raise GrokscopeError(
                f"{option('address')} {self.address}: no worker of this Ray cluster answers{why}. Every node "
                "needs the same version of grokscope."
            ) from failure
        texts = [repr(sorted(one.items())) for one in found]
        return found[texts.index(Counter(texts).most_common(1)[0][0])]

    def run(
        self, units: Sequence[WorkUnit], progress: Progress, on_done: Callable[[WorkUnit, UnitReport], None]
    ) -> None:
        """Run all units, the most expensive first; lost ones are submitted again.

        Raises:
            InputError: if a worker cannot use the spec or the place.
            StoreError: if a worker cannot read or write a store.
            GrokscopeError: if a unit is lost again and again, or a worker fails.
        """
        ray = self._ray
        pending: dict[Any, tuple[WorkUnit, int]] = {}
        self._refusing.clear()  # another sweep may have other numerics

        def submit(unit: WorkUnit, tries: int) -> None:
            ref = self._allowed_nodes(self._attempt).remote(_with_absolute_place(unit), float(2**tries - 1))
            pending[ref] = (unit, tries)

        try:
            for unit in longest_first(units):
                submit(unit, 0)
            while pending:
                raise_if_interrupted()
                refs = list(pending)
                if not ray.wait(refs, num_returns=1, timeout=_WAIT_SECONDS)[0]:
                    if self._refusing >= set(self._nodes()) != set():
                        # the last node with the required numerics is gone: let the others answer
                        waiting = list(pending.values())
                        pending.clear()
                        self._refusing.clear()
                        self._disconnect()
                        ray = self._ray
                        for unit, tries in waiting:
                            submit(unit, tries)
                    continue
                ready, _ = ray.wait(refs, num_returns=min(len(refs), _MAX_READY), timeout=0)
                for ref in ready:
                    unit, tries = pending.pop(ref)
                    try:
                        answer: _Answer = ray.get(ref)
                    except ray.exceptions.RayTaskError as error:
                        cause = error.cause if getattr(error, "cause", None) is not None else error
                        raise GrokscopeError(f"a worker failed: {_first_line(cause)}") from error
                    except ray.exceptions.RayError as error:  # the process or the node is gone
                        self.lost += 1
                        self._try_again(unit, tries, error, submit)
                        progress.advance(0, "a worker was lost")
                        continue
                    if isinstance(answer.error, StoreError):
                        # a worker that was counted as lost may still be writing the store
                        self._try_again(unit, tries, answer.error, submit)
                    elif answer.error is not None:
                        raise answer.error
                    elif answer.report is not None and answer.report.refused and self._exclude(answer.node):
                        submit(unit, tries)
                    elif answer.report is not None:
                        on_done(unit, answer.report)
                        progress.advance(answer.report.steps_run + answer.report.steps_saved)
        finally:
            if pending:
                self._disconnect()

    def close(self) -> None:
        """Disconnect from the cluster; one started by ``--address local`` stops."""
        self._disconnect()

    @property
    def _ray(self) -> Any:
        """The Ray module; reconnects after `_disconnect`."""
        if self._disconnected:
            connect(self._module, self.address)
            self._disconnected = False
            self._define_tasks()
        return self._module

    def _define_tasks(self) -> None:
        """Define the remote functions by the resources of the cluster."""
        self._on_gpu = self._module.cluster_resources().get("GPU", 0) >= 1
        options = {"num_cpus": 1, "num_gpus": int(self._on_gpu), "max_retries": 0}
        self._attempt = self._module.remote(**options)(_attempt)
        self._probe = self._module.remote(**options)(_probe)

    def _disconnect(self) -> None:
        """End the Ray job, and with it all its unfinished tasks.

        ``ray.cancel`` of a task that is just returning aborts the whole process (a check in Ray 2.60:
        "Tried to complete task that was not pending"), and tasks that are refused return at once.
        """
        self._module.shutdown()
        self._disconnected = True

    def _allowed_nodes(self, function: Any) -> Any:
        """The remote function, restricted to nodes that have not refused a unit."""
        if not self._refusing:
            return function
        return function.options(label_selector={_NODE: f"!in({','.join(sorted(self._refusing))})"})

    def _exclude(self, node: str) -> bool:
        """Send no more units to a node; return whether there is another node."""
        self._refusing.add(node)
        return bool(set(self._nodes()) - self._refusing)

    def _nodes(self) -> list[str]:
        """The ids of the live nodes with a core."""
        return [
            node["NodeID"]
            for node in self._ray.nodes()
            if node["Alive"] and node["Resources"].get("CPU", 0) >= 1
        ]

    def _try_again(
        self, unit: WorkUnit, tries: int, error: Exception, submit: Callable[[WorkUnit, int], None]
    ) -> None:
        if tries + 1 < _MAX_TRIES:
            submit(unit, tries + 1)
            return
        if isinstance(error, GrokscopeError):
            raise error
        cells = ", ".join(cell.name for cell in unit.cells[:3])
        raise GrokscopeError(
            f"work unit {unit.number} (cells {cells}, ...) was lost {_MAX_TRIES} times: {_first_line(error)}"
        ) from error


def _with_absolute_place(unit: WorkUnit) -> WorkUnit:
    """The unit with a place that does not depend on the working directory."""
    place = as_place(unit.place)
    return unit if isinstance(place, BucketPath) else replace(unit, place=str(place.absolute()))


def _attempt(unit: WorkUnit, wait: float) -> _Answer:
    """Run a unit in a worker, after waiting so many seconds."""
    time.sleep(wait)
    node = _prepare_worker()
    try:
        _check_place(unit)
        return _Answer(node, report=run_unit(unit))
    except (InputError, StoreError) as error:
        return _Answer(node, error=type(error)(str(error)))


def _probe(unit: WorkUnit) -> dict[str, Any] | GrokscopeError:
    """The fingerprint of a worker; runs there."""
    _prepare_worker()
    try:
        return unit_numerics(unit)
    except GrokscopeError as error:
        return type(error)(str(error))


def _prepare_worker() -> str:
    """Limit jax to the one core that Ray assigned, and return the id of the node."""
    import jax

    if not os.environ.get("JAX_NUM_CPU_DEVICES"):
        jax.config.update("jax_num_cpu_devices", 1)
        os.environ["JAX_NUM_CPU_DEVICES"] = "1"
    return str(ray_module().get_runtime_context().get_node_id())


def _check_place(unit: WorkUnit) -> None:
    place = as_place(unit.place)
    if isinstance(place, Path) and not is_sweep(place):
        import platform

        raise InputError(
            f"{place}: is not visible on {platform.node()}; workers on other machines need a shared folder, "
            f"or {option('out')} s3://BUCKET/PREFIX."
        )


def _first_line(error: BaseException | None) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
