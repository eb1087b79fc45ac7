"""A user's part that fails: one line that names it, its file and what it lacks; exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest

import grokscope as gs
from grokscope.errors import PartError
from grokscope.spec import parts

PLUGIN = Path(__file__).parent.parent / "failing_parts.py"
SPEC = """
epochs = 2
[task]
kind = "sparse_parity"
n = 6
k = 2
n_train = 16
n_test = 8
n_probe = 8
[model]
kind = "fully_connected"
width = 8
"""


pytestmark = pytest.mark.usefixtures("registry")  # what a plug-in defines is forgotten


def line_of(text: str) -> int:
    return next(i for i, line in enumerate(PLUGIN.read_text().splitlines(), 1) if text in line)


MEASURED = 'measures=["train_loss", "{}"]'
FAILURES = {
    "learner.kind=no_update": (
        "learner 'no_update' (failing_parts.py): has no update of its own, and needs one."
    ),
    "learner.kind=raises": (
        f"learner 'raises' (failing_parts.py): update failed in line {line_of('1 / 0')}: "
        "ZeroDivisionError: division by zero."
    ),
    "learner.kind=widens": (
        "learner 'widens' (failing_parts.py): the state after update: network.hidden_weight is "
        "float32[6, 8, 1], and after init is float32[6, 8]."
    ),
    "learner.kind=no_state": (
        "learner 'no_state' (failing_parts.py): init must return a State, not OneHiddenLayer."
    ),
    "model.kind=column": (
        "model 'column' (failing_parts.py): the output for 16 inputs of what network gives must be floats of "
        "shape (16,), not float32[16, 1]."
    ),
    "model.kind=misnamed": (
        f"model 'misnamed' (failing_parts.py): network failed in line {line_of('shape.nothing')}: "
        "AttributeError: 'tuple' object has no attribute 'nothing'."
    ),
    "model.kind=uncounted": (
        "model 'uncounted' (failing_parts.py): has no n_parameters of its own, and needs one."
    ),
    "loss.kind=mean_loss": (
        "loss 'mean_loss' (failing_parts.py): per_sample must be one float per sample, of shape (16,), not "
        "float32[]."
    ),
    "optimizer.kind=no_transform": (
        "optimizer 'no_transform' (failing_parts.py): transform must return an optax transformation, not "
        "NoneType."
    ),
    MEASURED.format("vector"): (
        "measure 'vector' (failing_parts.py): the result must be float32 or int32 of shape (), not "
        "float32[16]."
    ),
    MEASURED.format("nowhere"): (
        "measure 'nowhere': has the axis 'nowhere'; the experiment's are neuron, subnetwork, split, "
        "order, percent, part."
    ),
    MEASURED.format("undeclared"): (
        f"measure 'undeclared' (failing_parts.py): __call__ failed in line {line_of('point.initial')}: "
        "LookupError: point.initial: a measure that uses it must list INITIAL_NETWORK in its needs."
    ),
    "task.kind=no_shape": "task 'no_shape' (failing_parts.py): has no input_shape of its own, and needs one.",
    "task.kind=no_test": (
        "task 'no_test' (failing_parts.py): shared_data and member_data must give test_x; they give train_x, "
        "train_y."
    ),
}


@pytest.mark.parametrize("change", FAILURES)
def test_a_failing_part_is_named_in_one_line(cli, tmp_path, change):
    (tmp_path / "spec.toml").write_text(SPEC)
    out = tmp_path / "run"
    words = (
        "train",
        str(tmp_path / "spec.toml"),
        "--plugin",
        str(PLUGIN),
        "--set",
        change,
        "--out",
        str(out),
    )
    result = cli(*words)
    assert result.code == 2
    assert result.err.removesuffix(" (--debug shows the traceback)\n").removesuffix("\n") == (
        f"grokscope: {FAILURES[change]}"
    )
    assert not out.exists()  # nothing was begun


def test_debug_shows_the_traceback(cli, tmp_path):
    (tmp_path / "spec.toml").write_text(SPEC)
    result = cli(
        *("train", str(tmp_path / "spec.toml"), "--plugin", str(PLUGIN)),
        *("--set", "learner.kind=raises", "--out", str(tmp_path / "run"), "--debug"),
    )
    assert "return 1 / 0" in result.err
    assert result.err.splitlines()[-1].startswith("grokscope: learner 'raises' (failing_parts.py): ")


def test_python_gets_the_error_with_its_cause(tmp_path):
    parts.load_plugin(PLUGIN)
    (tmp_path / "spec.toml").write_text(SPEC)
    made = gs.Experiment.from_toml(tmp_path / "spec.toml", ("learner.kind=raises",))
    with pytest.raises(PartError, match="update failed in line") as caught:
        gs.train(made, out=tmp_path / "run")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_defaults_leave_out_measures_that_the_network_cannot_have(cli, tmp_path):
    (tmp_path / "spec.toml").write_text(SPEC)
    words = ("train", str(tmp_path / "spec.toml"), "--plugin", str(PLUGIN), "--set", "model.kind=promises")
    result = cli(*words, "--out", str(tmp_path / "run"))
    assert result.code == 0, result.err
    names = set(gs.open_run(tmp_path / "run").measures.data_vars)
    assert {"train_accuracy", "weight_norm"} <= names
    assert not names & {"neuron_norm", "effective_sparsity", "faithfulness", "output_share"}
    result = cli(*words, "--set", "measures=['neuron_norm']", "--out", str(tmp_path / "other"))
    assert result.code == 2
    assert result.err == (
        "grokscope: measures: neuron_norm needs a network with hidden neurons, not 'promises'.\n"
    )
