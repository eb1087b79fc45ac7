"""A Ray cluster of several nodes on this machine, each with a loopback address of its own, for tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

HEAD = "127.0.0.2"
_PATIENCE = 300.0
# Nothing is told to anybody, workers do not yield to other processes, a slow machine is no error, and what
# others take of its memory is no reason to kill a worker.
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",  # whatever token whoever runs the tests has
    "RAY_worker_niceness": "0",
    "RAY_memory_monitor_refresh_ms": "0",
    "RAY_raylet_start_wait_time_s": "280",
    "JAX_NUM_CPU_DEVICES": "1",
}


def until(what: Callable[[], bool], name: str) -> None:
    """Wait for something."""
    end = time.monotonic() + _PATIENCE
    while not what():
        assert time.monotonic() < end, f"not within {_PATIENCE:g} s: {name}"
        time.sleep(0.1)


def free_port(host: str = HEAD) -> int:
    with socket.socket() as one:
        one.bind((host, 0))
        return one.getsockname()[1]


class Cluster:
    """A head without work of its own, and nodes of one core each."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # names of sockets must be short
        self._nodes: dict[str, subprocess.Popen[bytes]] = {}
        self.port = free_port()
        self.address = f"{HEAD}:{self.port}"
        # the proxy for ray:// is not started: its port would have to be outside those of the workers
        self._start(HEAD, "--head", f"--port={self.port}", "--num-cpus=0", f"--temp-dir={self._folder}")
        until(self._works, "the head works")

    def _works(self) -> bool:
        """Whether the head says that it does; it is an error if it has ended."""
        text = (self._folder / f"{HEAD}.log").read_text(errors="replace")
        assert self._nodes[HEAD].poll() is None, f"the head has ended:\n{text[-2000:]}"
        return "Ray runtime started" in text

    def add(self, number: int, **environment: str) -> str:
        """Start a node at 127.0.0.NUMBER."""
        host = f"127.0.0.{number}"
        self._start(host, f"--address={self.address}", "--num-cpus=1", **environment)
        return host

    def _start(self, host: str, *options: str, **environment: str) -> None:
        ray = shutil.which("ray", path=str(Path(sys.executable).parent))
        assert ray is not None
        log = (self._folder / f"{host}.log").open("wb")
        self._nodes[host] = subprocess.Popen(
            [
                *(ray, "start", "--block", f"--node-ip-address={host}", *options),
                *("--object-store-memory=80000000", "--include-log-monitor=False", "--disable-usage-stats"),
                *(("--include-dashboard=False",) if "--head" in options else ()),
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **_ENVIRONMENT, **environment},
        )
        log.close()

    def pids(self, host: str) -> list[int]:
        """The processes of a node: Ray's, and the workers."""
        top = psutil.Process(self._nodes[host].pid)
        return [top.pid, *(child.pid for child in top.children(recursive=True))]

    def kill_at_work(self, host: str) -> None:
        """Kill a node while a worker of its is doing a task: Ray gives the process the name of the task."""

        def works() -> bool:
            children = psutil.Process(self._nodes[host].pid).children(recursive=True)
            return any("ray::_attempt" in " ".join(child.cmdline()) for child in children)

        until(works, "the node is doing a task")
        self.kill(host)

    def kill(self, host: str) -> None:
        """Kill all processes of a node, as if the machine were gone; the workers first."""
        processes = [psutil.Process(pid) for pid in self.pids(host)[::-1] if psutil.pid_exists(pid)]
        for process in processes:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(processes, timeout=30)
        self._nodes.pop(host).wait()

    def stop(self) -> None:
        for host in list(self._nodes)[::-1]:
            self.kill(host)
        shutil.rmtree(self._folder, ignore_errors=True)
