"""Every rung does the same work, and running one gives its time, memory and words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from scripts import script

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def rung(name: str) -> ModuleType:
    return script(BENCHMARKS / "rungs" / f"{name}.py")


def naive_train(
    W: Any, b: Any, u: Any, batches: list[tuple[Any, Any]], rate: float = 0.1, decay: float = 0.01
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """SGD on the hinge loss in float64, one sample and one neuron's scalar formula at a time."""
    W, b, u = (np.array(p, dtype=np.float64) for p in (W, b, u))
    for xs, ys in batches:
        gW, gb, gu = np.zeros_like(W), np.zeros_like(b), np.zeros_like(u)
        for x, y in zip(np.asarray(xs, np.float64), np.asarray(ys, np.float64), strict=True):
            z = np.array([sum(W[j] * x) + b[j] for j in range(len(b))])
            f = sum(u[j] * max(z[j], 0.0) for j in range(len(u)))
            if 1 - y * f <= 0:
                continue
            for j in range(len(u)):
                if z[j] > 0:
                    gu[j] += -y * z[j] / len(xs)
                    gb[j] += -y * u[j] / len(xs)
                    gW[j] += -y * u[j] * x / len(xs)
        W, b, u = (p - rate * (g + decay * p) for p, g in ((W, gW), (b, gb), (u, gu)))
    return W, b, u


def small_problem(samples: int, n: int = 8, width: int = 12, seed: int = 0) -> dict[str, Any]:
    """A problem whose outputs are large enough that some samples have a margin above 1."""
    rng = np.random.default_rng(seed)
    x = rng.choice([-1.0, 1.0], size=(samples, n))
    return {
        "x": x,
        "y": x[:, :3].prod(axis=1),
        "W": rng.uniform(-1, 1, (width, n)),
        "b": rng.uniform(-1, 1, width),
        "u": rng.uniform(-1, 1, width),
    }


def batches_of(p: dict[str, Any], orders: list[np.ndarray]) -> list[tuple[Any, Any]]:
    return [
        (p["x"][order[i : i + 32]], p["y"][order[i : i + 32]])
        for order in orders
        for i in range(0, len(order), 32)
    ]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 2e-5)])
def test_numpy_rung_is_plain_sgd(dtype: str, tolerance: float) -> None:
    module, p = rung("numpy_plain"), small_problem(72)
    params = {"W": p["W"].T.astype(dtype).copy(), "b": p["b"].astype(dtype)}
    params["u"] = p["u"].astype(dtype)
    module.train(params, p["x"].astype(dtype), p["y"].astype(dtype), 7, np.random.default_rng(5))
    rng = np.random.default_rng(5)
    batches = batches_of(p, [rng.permutation(72) for _ in range(7)])
    assert [len(y) for _, y in batches] == [32, 32, 8] * 7
    W, b, u = naive_train(p["W"], p["b"], p["u"], batches)
    assert np.abs(W - p["W"]).max() > 0.01  # something was learned, so that it can differ
    for name, want in (("W", W.T), ("b", b), ("u", u)):
        assert params[name].dtype == dtype
        np.testing.assert_allclose(params[name], want, rtol=0, atol=tolerance)


def test_numpy_rung_predicts_with_its_parameters() -> None:
    module, p = rung("numpy_plain"), small_problem(16)
    got = module.predict({"W": p["W"].T, "b": p["b"], "u": p["u"]}, p["x"])
    want = [sum(p["u"] * [max(v, 0.0) for v in p["W"] @ x + p["b"]]) for x in p["x"]]
    np.testing.assert_allclose(got, want, atol=1e-12)


def test_numpy_rung_draws_the_standard_problem() -> None:
    module = rung("numpy_plain")
    x, y = module.make_data(np.random.default_rng(0), 1000)
    assert x.shape == (1000, 40)
    assert set(np.unique(x)) == {-1.0, 1.0}
    assert (y == x[:, 0] * x[:, 1] * x[:, 2]).all()
    params = module.make_params(np.random.default_rng(0))
    for name, shape, bound in (("W", (40, 1000), 40), ("b", (1000,), 40), ("u", (1000,), 1000)):
        assert params[name].shape == shape
        assert 0.95 < np.abs(params[name]).max() * bound**0.5 <= 1


@pytest.mark.parametrize("name", ["torch_loop", "torch_device"])
@pytest.mark.torch
def test_torch_loop_rungs_are_plain_sgd(name: str) -> None:
    import torch

    module, p = rung(name), small_problem(72)
    x, y = torch.tensor(p["x"]), torch.tensor(p["y"])
    model = module.Net(8, 12) if name == "torch_loop" else module.make_model(8, 12)
    model.double()
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), (p["W"], p["b"], p["u"]), strict=True):
            parameter.copy_(torch.tensor(value).reshape(parameter.shape))
    if name == "torch_loop":
        loader = module.DataLoader(module.TensorDataset(x, y), batch_size=32)
        log = module.train(model, loader, {"train": loader}, 7)
        orders = [np.arange(72)] * 7
        f = model(x).detach().numpy()
        assert len(log) == 7
        assert log[-1]["train"]["accuracy"] == pytest.approx((f * p["y"] > 0).mean())
        assert log[-1]["train"]["loss"] == pytest.approx(np.maximum(0, 1 - f * p["y"]).mean())
    else:
        module.train(model, x, y, 7, torch.Generator().manual_seed(3))
        generator = torch.Generator().manual_seed(3)
        orders = [torch.randperm(72, generator=generator).numpy() for _ in range(7)]
    want = naive_train(p["W"], p["b"], p["u"], batches_of(p, orders))
    for parameter, value in zip(model.parameters(), want, strict=True):
        got = parameter.detach().numpy().reshape(value.shape)
        np.testing.assert_allclose(got, value, rtol=0, atol=1e-10)


@pytest.mark.torch
def test_torch_ensemble_is_plain_sgd_of_each_member() -> None:
    import torch

    module = rung("torch_func")
    problems = [small_problem(72, seed=seed) for seed in range(3)]
    models = []
    for p in problems:
        models.append(module.make_model(8, 12).double())
        with torch.no_grad():
            for parameter, value in zip(models[-1].parameters(), (p["W"], p["b"], p["u"]), strict=True):
                parameter.copy_(torch.tensor(value).reshape(parameter.shape))
    x, y = (torch.tensor(np.stack([p[name] for p in problems])) for name in ("x", "y"))
    params = module.train(models, x, y, 7, [torch.Generator().manual_seed(s) for s in range(3)])
    for member, p in enumerate(problems):
        generator = torch.Generator().manual_seed(member)
        orders = [torch.randperm(72, generator=generator).numpy() for _ in range(7)]
        want = naive_train(p["W"], p["b"], p["u"], batches_of(p, orders))
        for value, stacked in zip(want, params.values(), strict=True):
            got = stacked[member].numpy().reshape(value.shape)
            np.testing.assert_allclose(got, value, rtol=0, atol=1e-10)


def test_jax_rung_is_plain_sgd_of_each_member() -> None:
    import jax

    module = rung("jax_optax")
    problems = [small_problem(72, seed=seed) for seed in range(2)]
    x, y = (np.stack([p[name] for p in problems]).astype("float32") for name in ("x", "y"))
    params = {name: np.stack([p[name] for p in problems]).astype("float32") for name in ("b", "u")}
    params["W"] = np.stack([p["W"].T for p in problems]).astype("float32")
    state, keys = jax.vmap(module.optimizer.init)(params), jax.random.split(jax.random.key(3), (3, 2))
    for epoch in range(3):
        params, state = jax.jit(jax.vmap(module.train_epoch))(params, state, x, y, keys[epoch])
    for member, p in enumerate(problems):
        orders = [np.asarray(jax.random.permutation(key[member], 72)) for key in keys]
        W, b, u = naive_train(p["W"], p["b"], p["u"], batches_of(p, orders))
        for name, want in (("W", W.T), ("b", b), ("u", u)):
            np.testing.assert_allclose(params[name][member], want, rtol=0, atol=2e-5)  # float32


def test_equinox_rung_is_plain_sgd_of_each_member(monkeypatch: pytest.MonkeyPatch) -> None:
    import equinox as eqx
    import jax

    module = rung("equinox_ensemble")
    monkeypatch.setattr(module, "N", 8)
    monkeypatch.setattr(module, "WIDTH", 12)
    problems = [small_problem(72, seed=seed) for seed in range(2)]
    x, y, W, b, u = (
        np.stack([p[name] for p in problems]).astype("float32") for name in ("x", "y", "W", "b", "u")
    )
    model = eqx.filter_vmap(module.Network)(jax.random.split(jax.random.key(0), 2))
    layers = model.hidden.weight, model.hidden.bias, model.output.weight
    new = W, b, u[:, None, :]
    assert [one.shape for one in layers] == [one.shape for one in new]
    model = eqx.tree_at(lambda m: (m.hidden.weight, m.hidden.bias, m.output.weight), model, new)
    state = eqx.filter_vmap(module.optimizer.init)(eqx.filter(model, eqx.is_array))
    rng = np.random.default_rng(4)
    order = np.stack([rng.permutation(72) for _ in problems])
    for first in (0, 32, 64):
        model, state = module.step((x, y, order[:, first : first + 32]), model, state)
    for member, p in enumerate(problems):
        want = naive_train(p["W"], p["b"], p["u"], batches_of(p, [order[member]]))
        got = model.hidden.weight, model.hidden.bias, model.output.weight[:, 0]
        for value, one in zip(want, got, strict=True):
            np.testing.assert_allclose(one[member], value, rtol=0, atol=2e-5)  # float32


@pytest.mark.slow
@pytest.mark.torch
def test_torch_rungs_end_with_one_json_line() -> None:
    for name in ("torch_loop", "torch_device", "torch_func"):
        argv = [sys.executable, BENCHMARKS / "rungs" / f"{name}.py", "--epochs", "1"]
        done = subprocess.run([*argv, "--seeds", "2"], capture_output=True, text=True, check=True)
        said = json.loads(done.stdout)
        assert {"train_seconds", "accuracy", "threads", "versions"} == said.keys()
        assert all(len(values) == 2 for values in said["accuracy"].values())


FAKE_CLI = """
import os, pathlib, sys
import json
def main():
    cache = pathlib.Path(os.environ["XDG_CACHE_HOME"])
    line = json.dumps({"argv": sys.argv, "warm": cache.exists(),
                       "jax": "JAX_COMPILATION_CACHE_DIR" in os.environ})
    with open(os.environ["FAKE_LOG"], "a") as log:
        log.write(line + chr(10))
    cache.mkdir(exist_ok=True)
    return int(os.environ.get("FAKE_EXIT", "0"))
sys.exit(main())
"""
FAKE_INIT = """
import numpy as np
class _Last:
    values = np.array([0.25, 0.75])
    def isel(self, step):
        assert step == -1
        return self
class open_run:
    def __init__(self, folder):
        self.measures = {"train_accuracy": _Last(), "test_accuracy": _Last()}
"""


@pytest.fixture
def fake_grokscope(tmp_path: Path) -> dict[str, str]:
    """An environment in which ``grokscope`` only writes down how it was called."""
    package = tmp_path / "fake" / "grokscope"
    package.mkdir(parents=True)
    (package / "__main__.py").write_text(FAKE_CLI)
    (package / "__init__.py").write_text(FAKE_INIT)
    environment = {"PYTHONPATH": str(package.parent), "FAKE_LOG": str(tmp_path / "log")}
    return os.environ | environment | {"JAX_COMPILATION_CACHE_DIR": "elsewhere"}


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("train", ["--set epochs=6", "--seeds 2", "train"]),
        ("reproduce", ["reproduce two-circuits standard", "--seeds 2", "--profile paper"]),
    ],
)
def test_our_rung_runs_cold_then_warm(mode: str, words: list[str], fake_grokscope: dict[str, str]) -> None:
    argv = [sys.executable, BENCHMARKS / "rungs" / "ours.py", "--mode", mode]
    argv += ["--seeds", "2", "--epochs", "6"]
    done = subprocess.run(argv, env=fake_grokscope, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout.splitlines()[-1])
    calls = [json.loads(line) for line in Path(fake_grokscope["FAKE_LOG"]).read_text().splitlines()]
    assert [call["warm"] for call in calls] == [False, True]
    assert not any(call["jax"] for call in calls)
    for call in calls:
        assert all(word in " ".join(call["argv"]) for word in words)
    outs = [call["argv"][call["argv"].index("--out") + 1] for call in calls]
    assert outs[0] != outs[1]
    assert said["compile_seconds"] == pytest.approx(said["wall_seconds"] - said["warm_seconds"])
    assert said["accuracy"] == {"train": [0.25, 0.75], "test": [0.25, 0.75]}


def test_our_rung_fails_where_the_command_fails(fake_grokscope: dict[str, str]) -> None:
    argv = [sys.executable, BENCHMARKS / "rungs" / "ours.py", "--mode", "train"]
    environment = fake_grokscope | {"FAKE_EXIT": "2"}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "grokscope exited with 2" in done.stderr


def test_peak_memory_counts_the_whole_tree(bench: Any) -> None:
    process = bench("_process")
    child = "import time; a = bytearray(80_000_000); a[::4096] = b'x' * len(a[::4096]); time.sleep(.8)"
    parent = (
        f"import subprocess, sys; c = [sys.executable, '-c', {child!r}];"
        "ps = [subprocess.Popen(c) for _ in range(2)]; [p.wait() for p in ps]; print('done')"
    )
    measured = process.measure([sys.executable, "-c", parent])
    assert measured.stdout == "done\n"
    assert measured.returncode == 0
    assert 160_000_000 < measured.peak_bytes < 300_000_000
    assert measured.seconds > 0.8


def test_a_failed_command_is_told_with_its_last_words(bench: Any) -> None:
    process = bench("_process")
    measured = process.measure([sys.executable, "-c", "import sys; sys.exit('no such luck')"])
    with pytest.raises(RuntimeError, match="exit code 1: no such luck"):
        process.last_line(measured)


@pytest.mark.slow
def test_all_benchmarks_are_started_by_one_command() -> None:
    def said(*words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "benchmarks", *words]
        return subprocess.run(argv, cwd=BENCHMARKS.parent, capture_output=True, text=True)

    wrong = said("laddr")
    assert wrong.returncode == 1
    names = (
        "ladder",
        "training",
        "end_to_end",
        "help_time",
        "latency",
        "verification",
        "sweep",
        "transformer",
    )
    assert wrong.stderr == f"benchmarks: 'laddr' is not one of {', '.join(names)}.\n"
    for name in names:
        shown = said(name, "--help")
        assert shown.returncode == 0, shown.stderr
        assert shown.stdout.startswith(f"== {name}\n")
        assert f"usage: {name}.py" in shown.stdout
