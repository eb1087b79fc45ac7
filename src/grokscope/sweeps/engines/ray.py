"""The engine of many machines: a task is a task of Ray, and its results go straight to the store.

The driver holds the manifest and nothing else. Ray says which workers there are, and when one is lost; that
a lost task is given to another worker, and that a machine with other numerics gets none, is decided here.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from grokscope.errors import GrokscopeError, InputError, StoreError
from grokscope.progress import Progress
from grokscope.store.place import BucketPath, as_place
from grokscope.sweeps._home import is_sweep
from grokscope.sweeps.engines.ray_address import connect, ray_module
from grokscope.sweeps.engines.schedule import MOST_TRIES, longest_first, task_seconds
from grokscope.sweeps.task import Report, Task
from grokscope.sweeps.work import do_task, numerics_for

__all__ = ["RayEngine"]

_NODE = "ray.io/node-id"  # the label that Ray gives to every node
_AT_ONCE_ON_CORE, _AT_ONCE_ON_GPU = 64, 256  # members, as in `training.devices`
_PROBE_SECONDS = 120.0
_MOST_READY = 64
_LOOK_SECONDS = 10.0  # without an answer, until we look at what there is


@dataclass(frozen=True)
class _Outcome:
    """What a worker sends back: the report, or the error that the store or the spec gave."""

    node: str
    report: Report | None = None
    error: GrokscopeError | None = None


class RayEngine:
    """A Ray cluster: one task on each of its cores, or GPUs where it has any.

    Attributes:
        address: of the cluster.
        shortest_seconds: a task is not made shorter, on one core.
        lost: how many tasks were lost under way and given to another worker.
    """

    def __init__(self, ray: Any, address: str, shortest_seconds: float = 30.0) -> None:
        self._module = ray
        self.address = address
        self.shortest_seconds = shortest_seconds
        self.lost = 0
        self._refusing: set[str] = set()  # nodes whose numerics are others
        self._has_left = False
        self._joined()

    def _joined(self) -> None:
        """Look at a cluster that this process has just been connected to."""
        self._on_gpu = self._module.cluster_resources().get("GPU", 0) >= 1
        each = {"num_cpus": 1, "num_gpus": int(self._on_gpu), "max_retries": 0}
        self._attempt = self._module.remote(**each)(_attempt)
        self._probe = self._module.remote(**each)(_probe)

    @property
    def _ray(self) -> Any:
        """Ray, connected: again, where `_leave` was called."""
        if self._has_left:
            connect(self._module, self.address)
            self._has_left = False
            self._joined()
        return self._module

    def _leave(self) -> None:
        """Drop all tasks that are not done: they end with the job that asked for them.

        ``ray.cancel`` of a task that is just being answered aborts the whole process (a check in Ray 2.60:
        "Tried to complete task that was not pending"), and tasks that are refused are answered at once.
        """
        self._module.shutdown()
        self._has_left = True

    @classmethod
    def connected(cls, address: str) -> RayEngine:
        """Connect to the cluster at an address; see `grokscope.sweeps.engine_named`.

        Raises:
            InputError: if Ray is not installed, or no cluster answers.
        """
        ray = ray_module()
        connect(ray, address)
        return cls(ray, address)

    @property
    def workers(self) -> int | None:
        """Cores of the cluster, or its GPUs; at least 1, since a cluster may grow when it is asked."""
        return max(1, int(self._ray.cluster_resources().get("GPU" if self._on_gpu else "CPU", 0)))

    def limits(self, seconds: float) -> tuple[int | None, float | None]:
        """As many members as one device takes at once, and a task for every worker several times."""
        most = _AT_ONCE_ON_GPU if self._on_gpu else _AT_ONCE_ON_CORE
        return most, task_seconds(seconds, self.workers or 1, self.shortest_seconds)

    def numerics(self, task: Task) -> dict[str, Any] | None:
        """The fingerprint that most of the nodes have.

        Raises:
            InputError: if a worker reads the spec otherwise.
            GrokscopeError: if no worker answers.
        """
        ray, sent = self._ray, _sent(task)
        nodes = self._nodes()
        if nodes:
            refs = [self._probe.options(label_selector={_NODE: node}).remote(sent) for node in nodes]
        else:  # a cluster that grows when something is asked of it
            refs = [self._probe.remote(sent)]
        ready, _ = ray.wait(refs, num_returns=len(refs), timeout=_PROBE_SECONDS if nodes else None)
        found: list[dict[str, Any]] = []
        trouble: Exception | None = None
        for ref in ready:
            try:
                found.append(self._opened(ray.get(ref)))
            except InputError:
                raise
            except Exception as error:
                trouble = error
        if not found:
            said = f": {_first_line(trouble)}" if trouble is not None else f" within {_PROBE_SECONDS:g} s"
            raise GrokscopeError(
                f"--address {self.address}: no worker of this Ray answers{said}. Every node needs grokscope, "
                "of the same version."
            ) from trouble
        counts = Counter(repr(sorted(one.items())) for one in found)
        most = counts.most_common(1)[0][0]
        return next(one for one in found if repr(sorted(one.items())) == most)

    def run(self, tasks: Sequence[Task], progress: Progress, done: Callable[[Task, Report], None]) -> None:
        """Do all tasks, those that take longest first; lost ones again.

        Raises:
            InputError: if the spec or its place is not what a worker can use.
            StoreError: if the store does not let a worker.
            GrokscopeError: if a task is lost again and again, or a worker fails.
        """
        ray = self._ray  # connected
        pending: dict[Any, tuple[Task, int]] = {}
        self._refusing.clear()  # another sweep has other numerics

        def submit(task: Task, tries: int) -> None:
            pending[self._free(self._attempt).remote(_sent(task), float(2**tries - 1))] = (task, tries)

        try:
            for task in longest_first(tasks):
                submit(task, 0)
            while pending:
                refs = list(pending)
                if not ray.wait(refs, num_returns=1, timeout=_LOOK_SECONDS)[0]:
                    if self._refusing >= set(self._nodes()) != set():
                        # the last machine with the right numerics is gone: the others may say so
                        stuck = list(pending.values())
                        pending.clear()
                        self._refusing.clear()
                        self._leave()
                        ray = self._ray
                        for task, tries in stuck:
                            submit(task, tries)
                    continue
                ready, _ = ray.wait(refs, num_returns=min(len(refs), _MOST_READY), timeout=0)
                for ref in ready:
                    task, tries = pending.pop(ref)
                    try:
                        outcome: _Outcome = ray.get(ref)
                    except ray.exceptions.RayTaskError as error:
                        cause = error.cause if getattr(error, "cause", None) is not None else error
                        raise GrokscopeError(f"a worker failed: {_first_line(cause)}") from error
                    except ray.exceptions.RayError as error:  # the process or the node is gone
                        self.lost += 1
                        self._try_again(task, tries, error, submit)
                        progress.advance(0, "a worker was lost")
                        continue
                    if isinstance(outcome.error, StoreError):
                        # perhaps one that was given up for lost still has it in hand
                        self._try_again(task, tries, outcome.error, submit)
                    elif outcome.error is not None:
                        raise outcome.error
                    elif outcome.report is not None and outcome.report.refused and self._another(outcome):
                        submit(task, tries)
                    elif outcome.report is not None:
                        done(task, outcome.report)
                        progress.advance(outcome.report.steps_run + outcome.report.steps_saved)
        finally:
            if pending:
                self._leave()

    def close(self) -> None:
        """Leave the cluster; one that was started by ``--address local`` stops."""
        self._leave()

    def _free(self, function: Any) -> Any:
        """A remote function that goes to none of the nodes with other numerics."""
        if not self._refusing:
            return function
        return function.options(label_selector={_NODE: f"!in({','.join(sorted(self._refusing))})"})

    def _another(self, outcome: _Outcome) -> bool:
        """Keep tasks from a node that refused one; whether there is another node."""
        self._refusing.add(outcome.node)
        return bool(set(self._nodes()) - self._refusing)

    def _nodes(self) -> list[str]:
        """The ids of the nodes that can work."""
        return [
            node["NodeID"]
            for node in self._ray.nodes()
            if node["Alive"] and node["Resources"].get("CPU", 0) >= 1
        ]

    def _try_again(
        self, task: Task, tries: int, error: Exception, submit: Callable[[Task, int], None]
    ) -> None:
        if tries + 1 < MOST_TRIES:
            submit(task, tries + 1)
            return
        if isinstance(error, GrokscopeError):
            raise error
        cells = ", ".join(cell.name for cell in task.cells[:3])
        raise GrokscopeError(
            f"task {task.number} (cells {cells}, ...) was lost {MOST_TRIES} times: {_first_line(error)}"
        ) from error

    @staticmethod
    def _opened(answer: dict[str, Any] | GrokscopeError) -> dict[str, Any]:
        if isinstance(answer, GrokscopeError):
            raise answer
        return answer


def _sent(task: Task) -> Task:
    """The task with a place that means the same wherever it is done."""
    place = as_place(task.place)
    return task if isinstance(place, BucketPath) else replace(task, place=str(place.absolute()))


def _attempt(task: Task, wait: float) -> _Outcome:
    """Do a task; runs in a worker.

    Args:
        task: what to do.
        wait: seconds to wait first.
    """
    import time

    time.sleep(wait)
    node = _prepared()
    try:
        _check_place(task)
        return _Outcome(node, report=do_task(task))
    except (InputError, StoreError) as error:
        return _Outcome(node, error=type(error)(str(error)))


def _probe(task: Task) -> dict[str, Any] | GrokscopeError:
    """The fingerprint of a worker; runs in it."""
    _prepared()
    try:
        return numerics_for(task)
    except GrokscopeError as error:
        return type(error)(str(error))


def _prepared() -> str:
    """Give jax the one core that Ray gave us, and say on which node this is."""
    import jax

    if not os.environ.get("JAX_NUM_CPU_DEVICES"):
        jax.config.update("jax_num_cpu_devices", 1)
        os.environ["JAX_NUM_CPU_DEVICES"] = "1"
    return str(ray_module().get_runtime_context().get_node_id())


def _check_place(task: Task) -> None:
    place = as_place(task.place)
    if isinstance(place, Path) and not is_sweep(place):
        import platform

        raise InputError(
            f"{place}: is not to be seen on {platform.node()}; workers on other machines need a folder that "
            "all share, or --out s3://BUCKET/PREFIX."
        )


def _first_line(error: BaseException | None) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
