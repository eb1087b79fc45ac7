"""Result files are complete, tables right, and what is extrapolated or missing is said."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def example_ladder(bench: Any, **changes: Any) -> Any:
    result = bench("_result")
    common = {"epochs": 300, "seeds": 5, "threads": 1, "extrapolated": False}
    slow = result.Rung(
        name="torch_loop", title="PyTorch loop", logs="all", seconds=[50.0, 48.0, 52.0],
        median=50.0, minimum=48.0, units=500_000, compile_seconds=None, peak_bytes=300_000_000,
        accuracy={"train": [1.0], "test": [1.0]}, versions={"torch": "2.13.0"}, **common,
    )  # fmt: skip
    fast = slow.model_copy(
        update={"name": "ours_train", "title": "ours", "median": 4.0, "compile_seconds": 1.5,
                "units": 40_000.0, "minimum": 3.5}
    )  # fmt: skip
    machine = {
        "cpu": "Z80", "architecture": "z80", "cores": 2, "memory_bytes": 2**34, "system": "CP/M",
        "load_before": 0.1, "versions": {"python": "3.11.7", "numpy": "2.4.6"},
    }  # fmt: skip
    fields = {
        "date": "2031-02-03", "quick": False, "repeats": 3, "machine": machine,
        "unit": {"seconds": 1e-4, "threads": 1, "blocks": [1e-4], "by_threads": {"1": 1e-4}},
        "sgemm": [{"library": "numpy", "shape": "32 x 40 x 1000", "how": "x", "gflops": 158.0}],
        "rungs": [slow, fast],
        "skipped": [{"name": "torch_func", "reason": "torch cannot be imported"}],
    }  # fmt: skip
    return result.Ladder.model_validate(fields | changes)


def test_result_file_is_read_back_as_written(bench: Any, tmp_path: Path) -> None:
    result, ladder = bench("_result"), example_ladder(bench)
    path = result.write(ladder, "ladder", tmp_path / "deep" / "x.json")
    assert result.Ladder.model_validate_json(path.read_text()) == ladder
    data = json.loads(path.read_text())
    assert data["kind"] == "ladder"
    assert data["rungs"][0]["seconds"] == [50.0, 48.0, 52.0]


def test_result_file_refuses_what_it_does_not_know(bench: Any) -> None:
    with pytest.raises(pydantic.ValidationError, match="surprise"):
        example_ladder(bench, surprise=1)
    bad = {"seconds": float("nan"), "threads": 1, "blocks": [1.0], "by_threads": {}}
    with pytest.raises(pydantic.ValidationError, match="finite"):
        example_ladder(bench, unit=bad)


def test_committed_results_are_complete(bench: Any) -> None:
    result = bench("_result")
    kinds = {
        model.model_fields["kind"].default: model
        for model in (
            result.Ladder, result.Training, result.EndToEndFile, result.HelpTime, result.Gpu,
            result.Torture, result.SweepCost, result.TransformerFile, result.GpuTransformer,
            result.ReportPage, result.Verification, result.Scheduler, result.Latency,
            result.Listing,
        )
    }  # fmt: skip
    assert len(kinds) == 14
    for path in sorted(result.RESULTS.glob("*.json")):
        text = path.read_text()
        kinds[json.loads(text)["kind"]].model_validate_json(text)


def test_table_has_every_rung(bench: Any) -> None:
    text = bench("_table").render(example_ladder(bench))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in rows}) == 1
    assert rows[2] == "| PyTorch loop | all | 50 | 48 | 500,000 | 1 | - | 300 |"
    assert rows[3] == "| ours | all | 4 | 3.5 | 40,000 | 12.5 | 1.5 | 300 |"
    assert rows[4].startswith("| torch_func | not run: torch cannot be imported |")
    assert "U = 100 us" in text
    assert "torch 2.13.0" in text
    assert "extrapolated" not in text


def test_table_marks_what_is_extrapolated(bench: Any) -> None:
    ladder = example_ladder(bench)
    scaled = [r.model_copy(update={"extrapolated": True}) for r in ladder.rungs]
    text = bench("_table").render(ladder.model_copy(update={"quick": True, "rungs": scaled}))
    assert text.count("(extrapolated)") == 2
    assert "Do not quote" in text


def test_more_seeds_have_a_table_of_their_own(bench: Any) -> None:
    ladder = example_ladder(bench)
    many = ladder.rungs[1].model_copy(update={"seeds": 100, "median": 50.0, "units": 500_000.0})
    text = bench("_table").render(ladder.model_copy(update={"rungs": [*ladder.rungs, many]}))
    assert "| ours | 100 | 50 | 0.5 | 5,000 | 48.5 | 300 |" in text.splitlines()
    assert sum(line.startswith("| ours |") for line in text.splitlines()) == 2
    assert text.startswith("5 seeds")


def test_readme_block_is_replaced_and_nothing_else(bench: Any, tmp_path: Path) -> None:
    table = bench("_table")
    readme = tmp_path / "README.md"
    readme.write_text(f"above\n{table.BEGIN}\nold\n{table.END}\nbelow\n")
    for _ in range(2):
        table.update_readme(readme, "new")
        assert readme.read_text() == f"above\n{table.BEGIN}\nnew\n{table.END}\nbelow\n"
    with pytest.raises(ValueError, match="ladder:begin"):
        table.replace_block("no markers here", "new")


def test_quick_runs_are_scaled_along_a_line(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ladder = bench("ladder")

    def fake_run(plan: Any, python: str, seeds: int, epochs: int, threads: int) -> Any:
        return 2.0 + 0.5 * epochs, 1000 + epochs, {"accuracy": None, "versions": {}}

    monkeypatch.setattr(ladder, "run_rung", fake_run)
    tally = ladder.Tally(ladder.PLANS[0], 1, 5)
    ladder.timed(tally, "python", 300, quick=True)
    ladder.timed(tally, "python", 300, quick=False)
    assert tally.seconds == pytest.approx([152.0, 152.0])
    whole = ladder.Tally(next(p for p in ladder.PLANS if not p.takes_epochs), None, 5)
    ladder.timed(whole, "python", 300, quick=True)
    unit = bench("_result").Unit(seconds=1e-3, threads=1, blocks=[1e-3], by_threads={})
    assert ladder.finished(tally, unit, 300, quick=True).extrapolated
    assert not ladder.finished(whole, unit, 300, quick=True).extrapolated
    assert ladder.finished(tally, unit, 300, quick=True).units == pytest.approx(152_000)


def test_a_rung_without_its_library_is_skipped_with_a_reason(
    bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ladder = bench("ladder")
    (tmp_path / "torch.py").write_text("raise ImportError('not here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert "--torch-python" in ladder.why_not(ladder.PLANS[0], sys.executable)
    numpy = next(plan for plan in ladder.PLANS if plan.name == "numpy_plain")
    assert ladder.why_not(numpy, sys.executable) is None


def test_every_rung_of_the_plan_is_a_file(bench: Any) -> None:
    plans = bench("ladder").PLANS
    assert len({plan.name for plan in plans}) == len(plans)
    steps = {way.script for way in bench("transformer").ways(2)}
    assert {plan.script for plan in plans} | steps == {p.name for p in BENCHMARKS.glob("rungs/*.py")}


def test_machine_is_described_without_names_or_paths(bench: Any) -> None:
    described = bench("_machine").describe()
    bench("_result").Machine.model_validate(described)
    values = {str(v) for v in [*described.values(), *described["versions"].values()]}
    assert socket.gethostname() not in values
    assert not any(str(Path.cwd()) in value or sys.prefix in value for value in values)
    assert described["versions"]["numpy"] == np.__version__
    assert described["versions"]["blas"].split()[1][0].isdigit()


def test_unit_is_pooled_from_both_ends_of_a_sitting(bench: Any) -> None:
    make, pooled = bench("_result").Unit, bench("_unit").pooled
    a = make(seconds=2.0, threads=1, blocks=[1.0, 2.0, 3.0], by_threads={"1": 2.0})
    b = make(seconds=5.0, threads=1, blocks=[4.0, 5.0, 6.0], by_threads={"1": 5.0})
    assert pooled(a, b).seconds == 3.5


def test_matrix_rates_count_what_is_multiplied(bench: Any) -> None:
    sgemm = bench("_sgemm")
    calls = []
    assert sgemm._best_rate(lambda: calls.append(1), 1e9, 1e-4) > 0
    assert len(calls) >= 5
    rate = bench("_result").Rate
    rates = [
        rate(library="numpy", shape="32 x 40 x 1000", how="", gflops=100.0),
        rate(library="jax", shape="32 x 40 x 1000", how="", gflops=120.0),
        rate(library="jax", shape="1000 x 32 x 40", how="", gflops=500.0),
    ]
    assert sgemm.reference(rates) == 120.0


def test_gpu_bounds_are_the_stated_work(bench: Any) -> None:
    gpu, training = bench("gpu"), bench("training")
    assert pytest.approx(5.25e6, rel=1e-3) == training.FLOP_PER_STEP
    assert training.FLOP_PER_STEP * 9600 == gpu.NEEDED_FLOP_PER_RUN
    assert pytest.approx(77e9, rel=0.01) == gpu.FLOP_PER_RUN
    compute, needed, bandwidth = gpu.bounds(870.0, *gpu.nominal("NVIDIA H200"))
    assert compute == pytest.approx(1.0, rel=0.01)
    assert needed < compute
    assert bandwidth == pytest.approx(870 * 42_000 * 8 * 9600 / 4.8e12)
    assert gpu.nominal("NVIDIA H100 80GB HBM3") == (67.0, 3.35e12)
    assert gpu.nominal("NVIDIA H100 PCIe") == (51.0, 2.0e12)
    assert gpu.nominal("NVIDIA L40") is None


def test_gpu_benchmark_says_so_where_there_is_none(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = bench("gpu")
    monkeypatch.setattr(gpu, "gpu_name", lambda: None)
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    with pytest.raises(SystemExit, match="JAX sees no GPU"):
        gpu.main()
    monkeypatch.setattr(gpu, "gpu_name", lambda: "Unheard-of 9")
    with pytest.raises(SystemExit, match="no peaks known for 'Unheard-of 9'"):
        gpu.main()
