"""The benchmarks of the transformer's training step: one work on both sides, rates, ratios, a toy sitting."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def bench(bench: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """As in the other files, and with the folder of the rungs on the path."""
    monkeypatch.syspath_prepend(str(BENCHMARKS / "rungs"))
    return bench


@pytest.mark.torch
@pytest.mark.parametrize("setting", ["quick", "power", "nanda"])
def test_both_sides_do_the_same_work(bench: Any, setting: str) -> None:
    import torch

    experiment = bench("_ours").transformer(setting)
    there = bench("torch_transformer")
    task, spec = experiment.task, experiment.model
    run = there.Run(there.SETTINGS[setting], 0, False, torch.device("cpu"))
    assert tuple(run.x.shape) == (task.n_train, task.input_shape[0])
    assert run.batch == (task.n_train if experiment.batch_size == "full" else experiment.batch_size)
    learned = sum(p.numel() for p in run.model.parameters() if p.requires_grad)
    assert learned == spec.n_parameters(task.input_shape, task.n_outputs)
    table = experiment.optimizer.model_dump()
    group = run.optimizer.param_groups[0]
    assert (table["weight_decay"], table["beta2"]) == (group["weight_decay"], group["betas"][1])


@pytest.mark.torch
def test_what_is_tuned_computes_what_is_plain(bench: Any) -> None:
    import torch

    there = bench("torch_transformer")
    for setting in there.SETTINGS.values():
        torch.manual_seed(0)
        plain, tuned = there.Net(setting, False), there.Net(setting, True)
        own = plain.state_dict()
        for i in range(setting.layers):
            parts = [own.pop(f"layers.{i}.{name}.weight") for name in ("query", "key", "value")]
            own[f"layers.{i}.qkv.weight"] = torch.cat(parts)
        tuned.load_state_dict(own)
        tokens = torch.randint(0, setting.p, (7, setting.tokens))
        torch.testing.assert_close(plain(tokens), tuned(tokens), rtol=1e-4, atol=1e-4)


def said(seconds: float, cpu: float) -> dict[str, Any]:
    return {
        "seconds": [seconds] * 3,
        "cpu_seconds": [cpu] * 3,
        "loss": [[3.0], [1.0]],
        "versions": {"x": "1"},
    }


def test_rates_add_up_over_processes_and_ratios_take_the_best(bench: Any) -> None:
    transformer = bench("transformer")
    ways = {way.name: way for way in transformer.ways(2)}
    assert set(ways) == {
        *(f"torch_{variant}_{how}" for variant in ("plain", "tuned") for how in ("1", "2", "each")),
        "ours",
    }
    assert {way.name for way in transformer.ways(1)} == {"torch_plain_1", "torch_tuned_1", "ours"}
    one = transformer.rung(ways["torch_plain_1"], 10, [[said(2.0, 2.0)]])
    each = transformer.rung(ways["torch_plain_each"], 10, [[said(2.5, 2.0), said(2.5, 2.0)]])
    ours = transformer.rung(ways["ours"], 10, [[said(2.0, 4.0)], [said(4.0, 4.0)], [said(2.0, 4.0)]])
    assert one.member_steps_per_second == 5
    assert (each.member_steps_per_second, each.members) == (8, 2)
    assert ours.rates == [20, 10, 20]
    assert (ours.member_steps_per_second, ours.cpu_seconds_per_step) == (20, 0.1)
    found = transformer.compared("quick", [one, each, ours])
    assert (found.times_plain, found.times_tuned) == (2.5, None)
    assert found.times_plain_by_cpu == pytest.approx(2.0)
    assert "| grokscope, 4 members, one program | 20 | 100 |" in transformer.table(found)


def test_gpu_benchmark_says_so_where_there_is_none(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module = bench("gpu_transformer")
    monkeypatch.setattr(module.gpu, "gpu_name", lambda: None)
    monkeypatch.setattr(sys, "argv", ["gpu_transformer.py"])
    with pytest.raises(SystemExit, match="JAX sees no GPU"):
        module.main()


@pytest.mark.torch
@pytest.mark.slow
def test_toy_sittings(bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = bench("_result")
    argv = ["x", "--device", "cpu", "--setting", "quick", "--members", "2", "--steps", "1", "--blocks", "1"]
    monkeypatch.setattr(sys, "argv", [*argv, "--out", str(tmp_path / "gpu.json")])
    bench("gpu_transformer").main()
    found = result.GpuTransformer.model_validate_json((tmp_path / "gpu.json").read_text())
    assert found.members == 2
    assert found.times_plain == pytest.approx(
        found.member_steps_per_second / found.torch_steps_per_second["plain"]
    )
