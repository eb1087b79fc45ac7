from __future__ import annotations

import dataclasses
import os
import subprocess
import sys

import pytest

from grokscope.errors import GrokscopeError
from grokscope.experiment import Experiment
from grokscope.training import rates as module
from grokscope.training.rates import Rates, measure_rates, predict_seconds

TWO_CORES = Rates(device="cpu", cores=2, large=220.0, at_shape=158.0, free=1.0, seconds=0.0)


def work(members, rates=TWO_CORES, **changes):
    experiment = Experiment(**{"task": "sparse_parity", "epochs": 300, **changes})
    return predict_seconds(experiment, members, rates) - module.START_SECONDS


def test_the_prediction_is_operations_over_the_rate():
    # 9,600 updates: 300 epochs of 31 batches of 32 and one that is padded from 8; 301 measured points
    flops = 4 * (40 + 1) * 1000
    updates, points = 9600 * 32, 301 * 1000 * module.PASSES_PER_POINT
    seconds = (updates + points) * flops / (module.TRAINING_SHARE * 158e9)
    assert work(2) == pytest.approx(2 * seconds)


def test_members_go_in_rounds_of_the_cores():
    assert work(1) == work(2)
    assert work(5) == pytest.approx(3 * work(2))


def test_an_accelerator_takes_members_as_they_come():
    gpu = dataclasses.replace(TWO_CORES, device="gpu", cores=16)
    assert work(5, gpu) == pytest.approx(5 * work(1, gpu))


def test_it_grows_with_the_work_and_with_what_others_take():
    standard = work(2)
    assert work(2, dataclasses.replace(TWO_CORES, free=0.5)) == pytest.approx(2 * standard)
    assert work(2, epochs=600) == pytest.approx(2 * standard, rel=0.01)
    assert work(2, model={"kind": "fully_connected", "width": 2000}) == pytest.approx(2 * standard)
    assert work(2, precision="float64") == pytest.approx(module.DOUBLE_COST * standard)
    assert work(2, schedule={"measures": "log"}) < 0.7 * standard
    # an update per epoch with 1,000 samples, where the default passes over 32 x 32, padding included
    assert work(2, batch_size="full") == pytest.approx(standard, rel=0.03)


def test_rates_are_measured_on_every_core_within_the_budget():
    found = measure_rates(0.3)
    assert found.device == "cpu"
    linux = hasattr(os, "sched_getaffinity")
    assert found.cores == (len(os.sched_getaffinity(0)) if linux else os.cpu_count())
    # a core of any machine that this can run on does between 0.5 GFLOP/s and 2 TFLOP/s
    assert 0.5 * found.cores < found.at_shape < 2000 * found.cores
    assert 0.5 * found.cores < found.large < 2000 * found.cores
    assert 0 < found.free <= 1


def test_measuring_asks_for_all_cores_before_jax_starts():
    # a process of its own, because here jax has long started
    code = (
        "from grokscope.training.rates import measure_rates; cores = measure_rates(0.1).cores\n"
        "import jax; print(cores, len(jax.devices()))"
    )
    environment = {key: value for key, value in os.environ.items() if key != "JAX_NUM_CPU_DEVICES"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=True)
    cores, devices = done.stdout.split()
    assert cores == devices


def test_a_worker_that_does_not_start_is_an_error_and_not_a_hang(monkeypatch):
    monkeypatch.setattr(module, "_WORKER", "raise SystemExit(3)")
    with pytest.raises(GrokscopeError, match="the matrix rate could not be measured"):
        measure_rates(0.1)


def test_accelerator_rates_are_measured_with_jax():
    large, block = module._accelerator_rates(0.05, size=128, block=4)
    assert large > 0
    assert block > 0
