"""Templates: what is written works as a plug-in at once."""

import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokscope import Experiment, InputError
from grokscope.cli.new import TEMPLATES, write_template
from grokscope.measures import Point
from grokscope.models.networks.one_hidden_layer import OneHiddenLayer
from grokscope.spec.parts import load_plugin, lookup
from grokscope.tasks.check import check_task

pytestmark = pytest.mark.usefixtures("registry")


def test_a_new_task_passes_its_check_and_trains_by_its_name(tmp_path):
    file = write_template("task", "last_bits", tmp_path)
    assert file == tmp_path / "last_bits.py"
    load_plugin(file)
    task = lookup("task", "last_bits")()
    check_task(task)
    x, y = task.sample(jax.random.key(0), 50)
    assert np.asarray(y).tolist() == [float(row[-1] * row[-2]) for row in np.asarray(x)]
    experiment = Experiment(task={"kind": "last_bits", "n": 9}, epochs=300)
    assert experiment.task.n == 9
    with pytest.raises(InputError, match=r"^task: k must be at most n = 3, but k = 4\.$"):
        Experiment(task={"kind": "last_bits", "n": 3, "k": 4}, epochs=300)


def test_a_new_task_run_as_a_script_checks_itself(tmp_path):
    file = write_template("task", "last_bits", tmp_path)
    found = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert found.stdout == "last_bits is a valid task.\n"


def test_a_new_measure_measures(tmp_path):
    load_plugin(write_template("measure", "top_share", tmp_path))
    experiment = Experiment(task="sparse_parity", epochs=3, measures=[{"kind": "top_share", "count": 2}])
    (measure,) = experiment.measures
    assert measure.missing(experiment) is None
    assert measure.shape(experiment) == ()
    columns = jnp.array([[3.0, 0.0, 1.0, 0.0], [4.0, 2.0, 0.0, 2.0]])
    network = OneHiddenLayer(columns, jnp.zeros(4), jnp.ones(4))
    # norms 5, 2, 1, 2: the two largest carry 7 of 10
    assert float(measure(Point(network, {}, experiment.loss))) == pytest.approx(0.7)


@pytest.mark.parametrize("what", TEMPLATES)
def test_templates_are_clean_and_filled_in(tmp_path, what):
    text = write_template(what, "some_name", tmp_path).read_text()
    assert not re.findall(r"\$(?:name|class_name|file|\{)|\$\$", text)
    assert "class SomeName(" in text
    compile(text, "some_name.py", "exec")
    assert max(map(len, text.splitlines())) <= 110


BAD = [
    (
        "tasc",
        "x",
        "new 'tasc': no such template. Did you mean 'task'? Allowed: task, model, loss, penalty, "
        "optimizer, rate_schedule, learner, intervention, measure, paper.",
    ),
    (
        "task",
        "My-Task",
        "new task 'My-Task': a name is small letters, digits and underscores. Did you mean 'my_task'?",
    ),
    ("task", "../x", "new task '../x': a name is small letters, digits and underscores. Did you mean 'x'?"),
    ("task", "", "new task '': a name is small letters, digits and underscores."),
    ("task", "3d", "new task '3d': a name is small letters, digits and underscores."),
    ("task", "lambda", "new task 'lambda': a name is small letters, digits and underscores."),
    (
        "task",
        "sparse_parity",
        "new task 'sparse_parity': there is a task of this name already; choose another.",
    ),
]


@pytest.mark.parametrize(("what", "name", "message"), BAD)
def test_bad_names(tmp_path, what, name, message):
    with pytest.raises(InputError) as error:
        write_template(what, name, tmp_path)
    assert str(error.value) == message
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "mine.py").write_text("precious")
    with pytest.raises(InputError) as error:
        write_template("task", "mine", tmp_path)
    assert str(error.value) == f"new task 'mine': {tmp_path / 'mine.py'} exists; it is left as it is."
    assert (tmp_path / "mine.py").read_text() == "precious"


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(InputError, match=r"nowhere/mine\.py cannot be written: No such file or directory\.$"):
        write_template("task", "mine", tmp_path / "nowhere")
