"""Runs tests on one mutant after another: copies itself, so that the heavy libraries are imported once."""

from __future__ import annotations

import json
import os
import signal
import sys
import time


def main() -> None:
    # as tests/conftest.py does, before jax is imported
    os.environ.update({"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "2", "MPLBACKEND": "agg"})
    # what a mutant did not change is compiled once, down to single operations
    os.environ["JAX_COMPILATION_CACHE_DIR"] = sys.argv[1]
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"

    import hypothesis
    import icechunk
    import jax
    import jax.numpy
    import lifelines
    import matplotlib.figure
    import optax
    import pydantic
    import pytest
    import scipy.optimize
    import scipy.stats
    import xarray
    import zarr

    del hypothesis, icechunk, jax, lifelines, matplotlib, optax, pydantic, scipy, xarray, zarr
    print("ready", flush=True)
    for line in sys.stdin:
        source, root, tests, seconds = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)
            os.chdir(root)
            null = os.open(os.devnull, os.O_RDWR)
            for number in range(3):
                os.dup2(null, number)
            sys.path.insert(0, source)
            os.environ["PYTHONPATH"] = source
            os.environ["TMPDIR"] = os.path.dirname(source)
            options = ["-x", "-q", "--assert=plain", "-p", "no:cacheprovider", "--no-header"]
            os._exit(int(pytest.main([*options, *tests])))
        began, status = time.monotonic(), None
        while status is None:
            done, code = os.waitpid(pid, os.WNOHANG)
            if done:
                status = os.waitstatus_to_exitcode(code)
            elif time.monotonic() - began > seconds:
                os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                status = -9
            else:
                time.sleep(0.02)
        print(json.dumps([status, time.monotonic() - began]), flush=True)


if __name__ == "__main__":
    main()
