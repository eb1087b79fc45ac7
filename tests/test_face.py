"""The face for Python: what `import grokscope as gs` offers, and the words of its messages."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

import numpy as np
import pytest

import grokscope as gs
from grokscope.cards import html_card, html_table
from grokscope.errors import flag, option, said, speaking_commands
from grokscope.experiment import Recording
from grokscope.measures.norms import WeightNorm
from grokscope.optimizers import SGD
from grokscope.spec.stopping import Stopping
from grokscope.sweeps import SweepSpec
from grokscope.tasks.arrays import Arrays

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "grokscope"
EXAMPLE = ROOT / "examples" / "from_python.py"
EXPERIMENT = gs.Experiment(
    name="small",
    task={"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 32, "n_test": 20, "n_probe": 40},
    model={"kind": "fully_connected", "width": 8},
    epochs=6,
    measures=["train_accuracy", "test_accuracy", "train_loss", "weight_norm", "neuron_norm"],
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> gs.Run:
    return gs.train(EXPERIMENT, seeds=[0, 1, 4], out=tmp_path_factory.mktemp("face") / "run")


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> gs.Sweep:
    folder = tmp_path_factory.mktemp("face") / "sweep"
    return gs.sweep(EXPERIMENT, {"optimizer.weight_decay": np.array([0.1, 0.0])}, seeds=2, out=folder)


# The script of a user.


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["standard", "strict"])
def test_a_users_script_has_no_type_errors(mode: str, tmp_path: Path) -> None:
    shutil.copy(EXAMPLE, tmp_path / "script.py")
    config = {"typeCheckingMode": mode, "extraPaths": [str(PACKAGE.parent)]}
    if mode == "strict":  # matplotlib's and xarray's own types have holes
        config |= dict.fromkeys(("reportUnknownMemberType", "reportUnknownArgumentType"), False)
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config))
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "script.py"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "0 errors" in found.stdout, found.stdout + found.stderr


@pytest.mark.slow
def test_type_errors_are_found(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "import grokscope as gs\n"
        "run = gs.open_run('runs/a')\n"
        "gs.Experiment(task=3)\n"
        "run.plot(1)\n"
        "run.times('grokking').shares\n"
        "gs.nonesuch\n"
    )
    config = {"typeCheckingMode": "standard", "extraPaths": [str(PACKAGE.parent)]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config))
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", "script.py"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    lines = [one["range"]["start"]["line"] for one in json.loads(found.stdout)["generalDiagnostics"]]
    assert lines == [2, 3, 4, 5]


@pytest.mark.slow
def test_a_users_script_runs(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, str(EXAMPLE), str(tmp_path)]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert "2 of 2 cells complete" in found.stdout
    assert found.stdout.splitlines()[-1] == f"{tmp_path / 'sweep'} all_equal 2 2"
    for name in ("curves.png", "grid.png", "run.html", "run.csv", "paper/report.html", "paper/claims.json"):
        assert (tmp_path / name).stat().st_size > 100


# Names.


def test_every_name_can_be_completed_and_imported() -> None:
    assert set(gs.__all__) == set(dir(gs))
    space: dict[str, object] = {}
    exec("from grokscope import *", space)
    assert set(gs.__all__) <= set(space)


def test_the_types_of_an_experiments_arguments_are_complete() -> None:
    tree = ast.parse((PACKAGE / "experiment.py").read_text(encoding="utf-8"))
    (made,) = (
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "__init__"
    )
    assert {argument.arg for argument in made.args.kwonlyargs} == set(gs.Experiment.model_fields)


# The words of messages.


def test_messages_say_what_to_do_in_python_or_on_the_command_line() -> None:
    def words() -> list[str]:
        return [option("torch-module"), flag("force"), said(command="grokscope train", python="gs.train")]

    assert words() == ["torch_module", "force=True", "gs.train"]
    with speaking_commands():
        assert words() == ["--torch-module", "--force", "grokscope train"]
    assert words() == ["torch_module", "force=True", "gs.train"]


@pytest.mark.parametrize(
    ("ask", "python", "command"),
    [
        (lambda run: EXPERIMENT.with_("task.kk=3"), "task.kk: no such key", "--set task.kk: no such key"),
        (
            lambda run: gs.sweep(EXPERIMENT, {"task.kk": [3, 4]}),
            "sweep over task.kk: no such key",
            "--over task.kk: no such key",
        ),
        (lambda run: run.export(EXAMPLE.with_suffix(".nc").parent), "cannot be written", "cannot be written"),
        (lambda run: run.export("w.safetensors"), "seed is required", "--seed is required"),
        (
            lambda run: run.subnetworks,
            'example: run.measure("faithfulness")',
            "example: grokscope measure RUN faithfulness",
        ),
    ],
)
def test_a_message(ask, python, command, run: gs.Run) -> None:
    with pytest.raises(gs.InputError) as error:
        ask(run)
    assert python in str(error.value)
    assert "--" not in str(error.value)
    with speaking_commands(), pytest.raises(gs.InputError) as error:
        ask(run)
    assert command in str(error.value)


def test_no_other_message_names_options_or_commands() -> None:
    """In the library an error's text has options and commands only inside `said`, `option` and `flag`."""
    flags = re.compile(r"--[a-z]|\bgrokscope (?:train|show|measure|branch|sweep|report|export|runs|verify)\b")
    found: list[str] = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.relative_to(PACKAGE).parts[0] == "cli":
            continue
        for raised in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(raised, ast.Raise) and raised.exc is not None):
                continue
            calls = [node for node in ast.walk(raised.exc) if isinstance(node, ast.Call)]
            chosen = {
                id(inner)
                for call in calls
                if ast.unparse(call.func) in ("said", "over")
                for inner in ast.walk(call)
            }
            found += [
                f"{path.relative_to(PACKAGE)}:{node.lineno}: {node.value}"
                for node in ast.walk(raised.exc)
                if isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and id(node) not in chosen
                and flags.search(node.value)
            ]
    assert not found


# Values in place of texts.


def test_values_are_merged_into_the_parts() -> None:
    changed = EXPERIMENT.with_(optimizer={"weight_decay": 0.5}, task={"k": 3}, steps=7)
    assert changed == EXPERIMENT.with_("optimizer.weight_decay=0.5", "task.k=3", "steps=7")
    assert (changed.epochs, changed.n_steps, changed.task.n_train) == (None, 7, 32)
    deep = EXPERIMENT.with_(optimizer={"schedule": {"kind": "cosine"}}).with_(
        optimizer={"schedule": {"warmup": 2}}
    )
    assert deep == EXPERIMENT.with_("optimizer.schedule.kind=cosine", "optimizer.schedule.warmup=2")
    assert deep.optimizer.weight_decay == EXPERIMENT.optimizer.weight_decay
    scheduled = EXPERIMENT.with_(schedule={"measures": "log"}, stop={})
    assert (scheduled.schedule, scheduled.stop) == (Recording(measures="log"), Stopping())
    assert EXPERIMENT.with_(measures=None).measures is None
    assert EXPERIMENT.with_(measures=["train_loss"]).measures == (
        gs.Experiment(task="sparse_parity", epochs=1, measures=["train_loss"]).measures or ()
    )


def test_another_kind_a_name_and_a_part_replace_a_part() -> None:
    decayed = EXPERIMENT.with_(optimizer={"weight_decay": 0.5})
    assert decayed.with_(optimizer={"kind": "adam"}) == EXPERIMENT.with_("optimizer.kind=adam")
    assert decayed.with_(optimizer="sgd").optimizer == SGD()
    assert decayed.with_(optimizer=SGD(momentum=0.9)).optimizer == SGD(momentum=0.9)
    same = decayed.with_(optimizer={"kind": "sgd", "learning_rate": 0.2})
    assert same.optimizer == SGD(learning_rate=0.2, weight_decay=0.5)
    # texts are applied to what the values made
    assert decayed.with_("optimizer.momentum=0.5", optimizer="sgd").optimizer == SGD(momentum=0.5)


def test_arrays_in_memory_stay() -> None:
    x = np.eye(4, dtype=np.float32)
    y = np.array([1.0, -1.0, 1.0, -1.0], np.float32)
    task = Arrays.from_numpy(train_x=x, train_y=y, test_x=x, test_y=y)
    experiment = gs.Experiment(task=task, model={"kind": "fully_connected", "width": 4}, epochs=1)
    longer = experiment.with_(epochs=3, optimizer={"learning_rate": 0.3})
    assert longer.task == experiment.task
    assert longer.identity == experiment.with_("optimizer.learning_rate=0.3").identity


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epoch": 3}, "epoch: no such key. Did you mean 'epochs'? Allowed: name, epochs, steps, "),
        (
            {"optimizer": {"weight_deca": 1.0}},
            "optimizer.weight_deca: no such key. Did you mean 'weight_decay'?",
        ),
        ({"optimizer": {"weight_decay": -1.0}}, "optimizer.weight_decay: must be at least 0 (got -1.0)."),
        ({"optimizer": {"kind": "sdg"}}, "optimizer 'sdg' is not known. Did you mean 'sgd'?"),
        ({"optimizer": 3}, "optimizer: "),
        ({"stop": {"nonesuch": 1}}, "stop.nonesuch: no such key."),
        ({"epochs": 0}, "epochs: must be at least 1 (got 0)."),
    ],
)
def test_a_wrong_value_is_one_line(values, message: str) -> None:
    with pytest.raises(gs.InputError) as error:
        EXPERIMENT.with_(**values)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_axes_of_values_are_the_axes_of_texts() -> None:
    over = {
        "optimizer.weight_decay": np.array([0.0, 0.1]),
        ("model.width", "optimizer.learning_rate"): [(8, 0.1), (np.int64(16), 0.05)],
        "task.k": "2,3",
        "loss": [{"kind": "hinge"}, gs.Experiment(task="sparse_parity", epochs=1, loss="logistic").loss],
    }
    values = SweepSpec.of(EXPERIMENT, over)
    texts = SweepSpec.of(
        EXPERIMENT,
        ["optimizer.weight_decay=0.0,0.1"],
        ["model.width=8,16;optimizer.learning_rate=0.1,0.05"],
    )
    assert values.axes[:2] == texts.axes
    assert values.axes[2].points == ((2,), (3,))
    assert [type(value) for point in values.axes[1].points for value in point] == [int, float] * 2
    kinds = [cell.experiment.loss.kind for cell in values.cells()]
    assert (kinds[:2], len(kinds)) == (["hinge", "logistic"], 16)


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ({}, "a sweep needs an axis"),
        ({"task.k": []}, "sweep over task.k: needs at least one value."),
        ({"task.k": 3}, "sweep over task.k: give a list of values (got 3)."),
        ({"task.k": [2, 2]}, "sweep over task.k: the value 2 is given twice."),
        ({("task.k", "task.n"): [(2,)]}, "sweep over task.k;task.n: 2 must have one value for each key."),
        ({("task.k", "task.n"): [2]}, "sweep over task.k;task.n: 2 must be a tuple"),
        ({"task.k": [2], ("task.k", "task.n"): [(2, 6)]}, "sweep over task.k: this key is on two axes."),
        ({"name": ["a", "b"]}, "sweep over name: does not determine the numbers"),
    ],
)
def test_a_wrong_axis_is_one_line(over, message: str) -> None:
    with pytest.raises(gs.InputError) as error:
        SweepSpec.of(EXPERIMENT, over)
    assert str(error.value).startswith(message)


# A run.


def test_times_know_their_event_and_members(run: gs.Run) -> None:
    event = gs.Event("low", "train_loss", "<", 0.95, sustained=1)
    loss = run.measures.train_loss.to_numpy()
    first = [float(np.argmax(row < 0.95)) if (row < 0.95).any() else np.inf for row in loss]
    times = run.times(event)
    assert times.upper.tolist() == first
    assert run.times("train_loss < 0.95 for 1").upper.tolist() == first
    assert str(times).startswith("low: train_loss < 0.95 at 1 consecutive measured points\nseen in ")
    data = times.to_xarray()
    assert data.seed.values.tolist() == [0, 1, 4]
    assert data.upper.values.tolist() == first
    assert (times - times).n == 3
    with pytest.raises(gs.InputError, match=r"event 'grok' is not known\. Did you mean 'grokking'\?"):
        run.times("grok")
    with pytest.raises(gs.InputError, match="event test_loss < 1: the run has no measure 'test_loss'"):
        run.times("test_loss < 1")


def test_the_data_is_what_the_network_was_trained_on(run: gs.Run) -> None:
    data = run.data(4)
    assert {name: array.shape for name, array in data.items() if name.startswith("train")} == {
        "train_x": (32, 6),
        "train_y": (32,),
    }
    network = run.model(seed=4)
    hidden = np.maximum(
        data["train_x"] @ np.asarray(network.hidden_weight) + np.asarray(network.hidden_bias), 0
    )
    right = np.mean(np.sign(hidden @ np.asarray(network.output_weight)) == data["train_y"])
    assert right == pytest.approx(run.measures.train_accuracy.sel(seed=4).values[-1])
    assert not np.array_equal(data["train_x"], run.data(0)["train_x"])


def largest_weight(point: gs.Point):
    """The largest weight of the first layer."""
    return abs(point.layer.hidden_weight).max()


@pytest.mark.slow
def test_a_plain_function_is_a_measure(run: gs.Run) -> None:
    measured = run.measure([largest_weight, "weight_norm"])
    for seed, step in ((0, 0), (4, 6)):
        direct = np.abs(np.asarray(run.model(seed=seed, step=step).hidden_weight)).max()
        assert measured.largest_weight.sel(seed=seed, step=step).item() == pytest.approx(direct)
    assert "largest_weight" in gs.open_run(run.path).measures
    # several forms of one measure; axes by name; truth values are numbers
    run.measure(WeightNorm, steps="ends")
    run.measure(WeightNorm(), steps="ends")
    active = run.measure(lambda point: point.neuron_norm > 0.3, name="active", dims=("neuron",)).active
    expected = run.measures.neuron_norm.sel(step=6).to_numpy() > 0.3
    np.testing.assert_array_equal(active.sel(step=6).to_numpy(), expected)
    pairs = run.measure(lambda point: point.layer.hidden_weight[:2], name="rows", steps="ends").rows
    assert pairs.dims == ("seed", "step", "rows_axis_0", "rows_axis_1")
    assert pairs.shape == (3, 7, 2, 8)


def test_a_changed_function_leaves_no_old_values(run: gs.Run) -> None:
    def first(point: gs.Point):
        return point.neuron_norm.sum()

    def second(point: gs.Point):
        return point.neuron_norm.sum() + 100

    run.measure(first, name="changing")
    changed = run.measure(second, name="changing", steps=[2, 6]).changing
    assert changed.notnull().any("seed").values.tolist() == [True, False, True, False, False, False, True]
    kept = run.measures.changing.to_numpy()
    assert np.nanmin(kept) > 100
    run.measure(second, name="changing", steps=[4])
    assert run.measures.changing.notnull().sum().item() == 3 * 4


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (lambda point: 1.0, {}, "measure: a function without a name of its own"),
        (largest_weight, {"name": "weight_norm"}, "measure 'weight_norm': is the name of another measure"),
        (largest_weight, {"dims": ("neuron",)}, "measure 'largest_weight': its result has shape ()"),
        (lambda point: point.nothing, {"name": "x"}, "measure 'x': AttributeError: 'Point' object has no"),
        (
            lambda point: point.layer.hidden_weight[:, 0],
            {"name": "x", "dims": ("neuron",)},
            "measure 'x': axis 'neuron' has 8 places, its result 6.",
        ),
        ("weight_norm", {"name": "x"}, "name, dims: are for functions; 'weight_norm' is a measure."),
        ([largest_weight, largest_weight], {"name": "x"}, "name, dims: are for one function"),
        (3, {}, "measures: names, tables, measures or functions (got int)."),
        ([3], {}, "measures: 3 is no name, table, measure or function."),
        ("weight_nrm", {}, "measure 'weight_nrm' is not known. Did you mean 'weight_norm'?"),
    ],
)
def test_what_is_no_measure_is_one_line(function, options, message: str, run: gs.Run) -> None:
    with pytest.raises(gs.InputError) as error:
        run.measure(function, **options)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_the_summary_is_what_show_prints(run: gs.Run, capsys: pytest.CaptureFixture[str]) -> None:
    from grokscope.cli import main

    assert main(["show", str(run.path)]) == 0
    assert capsys.readouterr().out.strip() == str(run.summary()).strip()
    assert repr(run.summary()) == str(run.summary())
    assert [event.name for event in run.summary().events] == ["memorization", "grokking"]


def test_a_plot_shows_the_mean_of_each_measure(run: gs.Run) -> None:
    figure = run.plot("train_accuracy", "test_accuracy", "weight_norm", by="step")
    accuracy, norm = figure.axes
    assert (accuracy.get_title(loc="left"), norm.get_title(loc="left")) == ("Accuracy", "Weight norm")
    drawn = {str(line.get_label()): line.get_ydata() for line in accuracy.lines}
    for split in ("train", "test"):
        mean = run.measures[f"{split}_accuracy"].mean("seed").to_numpy()
        np.testing.assert_allclose(np.asarray(drawn[split], float), mean, rtol=1e-6)
    assert [axis.get_title(loc="left") for axis in run.plot().axes] == ["Accuracy"]
    with pytest.raises(gs.InputError, match=r"no measure 'train_acc'\. Did you mean 'train_accuracy'\?"):
        run.plot("train_acc")
    with pytest.raises(gs.InputError, match="'neuron_norm' has the axis 'neuron'"):
        run.plot("neuron_norm")


def test_a_run_writes_its_page_and_its_measures(run: gs.Run, tmp_path: Path) -> None:
    assert run.report(tmp_path / "page.html").read_text().startswith("<!doctype html>")
    table = run.export(tmp_path / "run.csv")
    assert table.read_text().splitlines()[0].startswith("seed,step,")
    with pytest.raises(gs.InputError, match=r"run\.csv: exists; add force=True to replace it\."):
        run.export(table)
    assert run.export(table, seed=4, force=True).read_text().count("\n") == 8


def test_branches_have_the_same_methods(run: gs.Run, tmp_path: Path) -> None:
    branch = run.branch(3, "optimizer.learning_rate=0.05", out=tmp_path / "branch")
    assert type(branch) is type(run) is type(gs.open_run(run.path)) is gs.Run
    assert branch.times("train_loss < 0.95").n == 3


# A sweep.


def test_a_sweep_has_the_same_methods(grid: gs.Sweep, tmp_path: Path) -> None:
    assert grid.measures.weight_decay.values.tolist() == [0.0, 0.1]
    assert type(grid.cell(weight_decay=0.1)) is gs.Run
    loose = grid.times("train_loss < 2 for 1", weight_decay=0.1)
    assert loose.upper.tolist() == [0.0, 0.0]
    assert grid.times("grokking", weight_decay=0.1).n == 2
    assert str(grid.summary()).splitlines()[0] == f"{grid.path}: 2 cells, 4 members, complete"
    assert len(grid.plot().axes) == 3
    assert grid.report(tmp_path / "page.html").stat().st_size > 1000
    rows = grid.export(tmp_path / "sweep.csv").read_text().splitlines()
    assert (rows[0].split(",")[:2], len(rows)) == (["weight_decay", "seed"], 1 + 4 * 7)  # 4 members, 7 steps
    with pytest.raises(gs.InputError, match="weights are those of one run"):
        grid.export(tmp_path / "sweep.safetensors")


@pytest.mark.tables
def test_the_measures_of_a_sweep_are_netcdf(grid: gs.Sweep, tmp_path: Path) -> None:
    import xarray as xr

    with xr.open_dataset(grid.export(tmp_path / "sweep.nc"), engine="h5netcdf") as read:
        np.testing.assert_array_equal(read.train_loss.values, grid.measures.train_loss.values)


# Texts and cards.


def test_a_run_says_what_it_is(run: gs.Run) -> None:
    lines = repr(run).splitlines()
    last = {split: run.measures[f"{split}_accuracy"].values[:, -1].mean() for split in ("train", "test")}
    assert lines == [
        f"Run {run.path}",
        "  experiment  small: sparse_parity, fully_connected, hinge loss, sgd, 6 steps",
        "  members     3 (seeds 0, 1, 4)",
        "  done        complete",
        f"  accuracy    train {last['train']:.4g}, test {last['test']:.4g} (last, mean over members)",
    ]


def cards(run: gs.Run, grid: gs.Sweep) -> dict[str, object]:
    return {"run": run, "sweep": grid, "experiment": EXPERIMENT, "paper": gs.find_paper("two-circuits")}


@pytest.mark.parametrize("name", ["run", "sweep", "experiment", "paper"])
def test_a_card_is_a_small_piece_of_html(name: str, run: gs.Run, grid: gs.Sweep) -> None:
    thing = cards(run, grid)[name]
    card = thing._repr_html_()
    tree = ElementTree.fromstring(f"<div>{card}</div>")  # well-formed
    assert {one.tag for one in tree.iter()} <= {"div", "table", "tr", "td", "svg", "path", "polyline", "text"}
    assert ("src=" in card, "http" in card, "<script" in card) == (False, False, False)
    assert len(card) < 20_000
    if name == "run":
        curves = [one.get("points", "") for one in tree.iter("polyline")]
        heights = [float(places.split()[-1].split(",")[1]) for places in curves]
        last = [run.measures[f"{split}_accuracy"].values[:, -1].mean() for split in ("train", "test")]
        np.testing.assert_allclose(heights, [60 * (1 - value) + 2 for value in last], atol=0.06)


def test_cards_escape_what_they_quote() -> None:
    bad = '<script>alert("x")</script>'
    for text in (html_card(bad, [(bad, bad)], {bad: ([0, 1], [0.0, 1.0])}), html_table([bad], [[bad]])):
        assert "<script" not in text
        assert "&lt;script&gt;" in text
    assert "<script" not in gs.Experiment(name=bad, task="sparse_parity", epochs=1)._repr_html_()


def test_a_damaged_run_has_a_repr(run: gs.Run, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "run")
    damaged = gs.open_run(tmp_path / "run")
    before = repr(damaged)
    (tmp_path / "run" / "experiment.toml").write_text("task = 3")
    assert repr(damaged) == before  # a run reads as it was when it was opened
    shutil.rmtree(tmp_path / "run")
    assert "cannot be read: " in repr(damaged)
    assert "cannot be read: " in damaged._repr_html_()


def test_a_repr_imports_nothing_slow(run: gs.Run) -> None:
    program = (
        "import sys, time, grokscope as gs\n"
        f"run = gs.open_run({str(run.path)!r})\n"
        "repr(run), run._repr_html_()\n"
        "print([name for name in ('xarray', 'jax', 'matplotlib', 'scipy.stats') if name in sys.modules])\n"
        "began = time.process_time(); repr(run); print(time.process_time() - began < 0.1)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    found = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.splitlines() == ["[]", "True"]


def test_runs_are_listed_as_the_command_lists_them(
    run: gs.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from grokscope.cli import main

    shutil.copytree(run.path, tmp_path / "a")
    (tmp_path / "b" / "store").mkdir(parents=True)
    (tmp_path / "b" / "experiment.toml").write_text("task = 3")
    listed = gs.list_runs(tmp_path)
    whole = next(one for one in listed if one.path == tmp_path / "a")
    assert (whole.task, whole.members, whole.complete, whole.problem) == ("sparse_parity", 3, 3, None)
    assert main(["runs", str(tmp_path)]) == 0
    assert capsys.readouterr().out.rstrip("\n") == repr(listed)
    assert "<table>" in listed._repr_html_()
    assert repr(gs.list_runs(tmp_path / "a" / "store")) == "no runs"
    with pytest.raises(gs.InputError, match="there is no such folder"):
        gs.list_runs(tmp_path / "nonesuch")


def test_papers_are_listed() -> None:
    found = gs.papers()
    assert repr(found).splitlines()[0].split() == ["paper", "title", "experiments", "claims"]
    assert "two-circuits " in repr(found)
    assert repr(found["two-circuits"]).startswith("Paper two-circuits\n  title ")
    import grokscope.papers  # takes the function's place, and can be called, too

    assert gs.papers()["width"].kind == "width"
    assert grokscope.papers.check_paper is gs.check_paper


class Doubling(gs.Measure):
    """Twice the norm of all weights."""

    kind: Literal["doubled_norm"] = "doubled_norm"
    default = False

    def __call__(self, point: gs.Point):
        """The measure."""
        return 2 * WeightNorm()(point)


def test_base_classes_register_what_is_derived_from_them(run: gs.Run) -> None:
    doubled = run.measure("doubled_norm", steps="ends").doubled_norm
    single = run.measures.weight_norm.sel(step=[0, 6])
    np.testing.assert_allclose(doubled.sel(step=[0, 6]).values, 2 * single.values, rtol=1e-6)
