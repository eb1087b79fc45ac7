"""Contests: unfair ones are refused, the best setting is chosen, and compared on fresh seeds."""

import json

import numpy as np
import pytest

import grokscope as gs
from grokscope.cli import main
from grokscope.errors import InputError
from grokscope.sweeps import (
    Contender,
    ContestSpec,
    open_contest,
    parse_axis,
    penalized_steps,
    run_contest,
)
from grokscope.sweeps._contest import best_index, keys_at_ends
from small_sweeps import RATES, made_up, small

SGD = Contender("sgd", ("optimizer.learning_rate=0.05,0.5",))
ADAM = Contender("adam", ("optimizer.learning_rate=0.01,0.1",), ("optimizer.kind=adamw",))


def spec(*contenders, tuning=2, fresh="100:103", base=None):
    base = small("epochs=2", measures=("train_accuracy", "test_accuracy")) if base is None else base
    return ContestSpec.of(base, contenders, tuning, fresh)


@pytest.mark.parametrize(
    ("contenders", "seeds", "said"),
    [
        ((SGD,), {}, "two contenders"),
        ((SGD, SGD), {}, "contenders.sgd: is given twice"),
        ((SGD, Contender("a b", SGD.over)), {}, "contenders.a b: a name is"),
        ((SGD, Contender("tuning", SGD.over)), {}, "contenders.tuning: a name is"),
        (
            (SGD, Contender("other", ("optimizer.learning_rate=1,2,3",))),
            {},
            "equally many settings, but sgd has 2, other has 3",
        ),
        ((SGD, ADAM), {"tuning": 3, "fresh": "2:5"}, "2 is among the tuning seeds"),
        ((SGD, Contender("x", ("optimizer.alpha=1,2",))), {}, "no such key"),
    ],
)
def test_unfair_contests_are_refused(contenders, seeds, said, tmp_path):
    with pytest.raises(InputError, match=said):
        run_contest(spec(*contenders, **seeds), tmp_path / "c", rates=RATES)
    assert not (tmp_path / "c").exists()


def test_the_setting_with_the_fewest_penalized_steps_is_chosen(tmp_path):
    steps = list(range(0, 1001, 50))
    grok_at = {0.1: (200, 950), 0.2: (400, 450), 0.3: (150, None)}  # the last: one seed never groks

    def curves(settings, seed):
        at = grok_at[settings["optimizer.learning_rate"]][seed]
        test = [1.0 if at is not None and step >= at else 0.5 for step in steps]
        return {"train_accuracy": [1.0] * len(steps), "test_accuracy": test}

    # grokking needs five points in a row: at 950 there are not enough left
    sweep = made_up(tmp_path, ("optimizer.learning_rate=0.1,0.2,0.3",), 2, steps, curves)
    assert penalized_steps(sweep) == {(0,): (200 + 2000) / 2, (1,): 425, (2,): (150 + 2000) / 2}
    assert best_index(sweep) == (1,)


@pytest.mark.slow
def test_a_contest_is_sweeps_and_runs_and_is_resumed(tmp_path):
    asked = spec(SGD, ADAM)
    done = run_contest(asked, tmp_path / "c", rates=RATES)
    assert {name: sweep.shape for name, sweep in done.tuning.items()} == {"sgd": (2,), "adam": (2,)}
    for name, run in done.runs.items():
        place = done.chosen[name]
        scores = penalized_steps(done.tuning[name])
        assert scores[place] == min(scores.values())
        assert (
            run.experiment.optimizer.learning_rate
            == done.tuning[name].settings(place)["optimizer.learning_rate"]
        )
        assert [member[0] for member in run.members] == [100, 101, 102]
        alone = gs.train(run.experiment, "100:103", out=tmp_path / name)
        np.testing.assert_array_equal(alone.measures.test_accuracy.values, run.measures.test_accuracy.values)
        mine = done.measures.test_accuracy.sel(contender=name)
        np.testing.assert_array_equal(mine.values, run.measures.test_accuracy.values)
    first, second = done.standings
    assert (first.name, first.speedup, second.name) == ("sgd", None, "adam")
    # as text: a ratio that is not known is NaN, which Python 3.13 no longer takes for itself in a dataclass
    assert repr(second.speedup) == repr(done.against("adam", "sgd").ratio)
    assert first.ends == second.ends == ("optimizer.learning_rate",)  # of two values both are ends
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "c").rglob("experiment.toml")}
    again = run_contest(asked, tmp_path / "c", rates=RATES)
    assert repr(again.standings) == repr(done.standings)
    assert before == {file: file.stat().st_mtime_ns for file in before}
    with pytest.raises(InputError, match="holds another contest"):
        run_contest(spec(SGD, Contender("adam", ADAM.over)), tmp_path / "c", rates=RATES)
    with pytest.raises(InputError, match="is a run"):
        run_contest(asked, tmp_path / "c" / "sgd", rates=RATES)


def test_chosen_numbers_at_an_end_of_their_axis_are_listed():
    axes = [
        parse_axis("optimizer.learning_rate=0.1,0.3,1"),
        parse_axis("model.activation=relu,quadratic"),
        parse_axis("optimizer.alpha=0.9,0.95,0.98;optimizer.lamb=1.0,5.0,2.0"),
        parse_axis("model.width=40"),
    ]
    assert keys_at_ends(axes, (1, 0, 2, 0)) == ("optimizer.alpha",)
    assert keys_at_ends(axes, (0, 1, 1, 0)) == ("optimizer.learning_rate", "optimizer.lamb")


TOML = """
epochs = 2
measures = ["train_accuracy", "test_accuracy"]
[task]
kind = "sparse_parity"
n = 8
k = 2
n_train = 40
[model]
kind = "fully_connected"
width = 16
[sweep]
kind = "contest"
tuning_seeds = 1
[sweep.contenders.sgd]
over = ["optimizer.learning_rate=0.1,0.2"]
[sweep.contenders.grokfast]
set = ["optimizer.kind=grokfast"]
zip = ["optimizer.alpha=0.9,0.98;optimizer.lamb=5.0,2.0"]
"""


@pytest.mark.slow
def test_a_spec_file_by_the_command_line(tmp_cwd, capsys):
    (tmp_cwd / "contest.toml").write_text(TOML)
    assert main(["sweep", "contest.toml", "--seeds", "100:102", "--out", "c", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in told["standings"]] == ["sgd", "grokfast"]
    assert told["standings"][1]["chosen"].keys() == {"optimizer.alpha", "optimizer.lamb"}
    assert open_contest("c").contenders[1].settings == ("optimizer.kind=grokfast",)
    page = (tmp_cwd / "c" / "report.html").read_text(encoding="utf-8")
    assert "Standings on fresh seeds" in page
    assert "at an end of the values tried" in page
    assert main(["report", "c", "--out", "page.html"]) == 0
    assert (tmp_cwd / "page.html").is_file()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('kind = "contest"', 'kind = "race"', "sweep.kind: 'race' is not one of grid, contest"),
        ("tuning_seeds", "tune_seeds", "sweep.tune_seeds: no such key. Did you mean 'tuning_seeds'"),
        ("zip = [", "zap = [", "sweep.contenders.grokfast.zap: no such key. Did you mean 'zip'"),
        ("=0.1,0.2", "=0.1,0.1", "given twice"),
        ('set = ["', 'set = ["x', "no such key"),
    ],
)
def test_invalid_contest_files_are_refused(tmp_cwd, capsys, old, new, said):
    (tmp_cwd / "contest.toml").write_text(TOML.replace(old, new))
    assert main(["sweep", "contest.toml", "--out", "c"]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_cwd / "c").exists()


def test_axes_of_a_contest_are_in_its_spec(tmp_cwd, capsys):
    (tmp_cwd / "contest.toml").write_text(TOML)
    assert main(["sweep", "contest.toml", "--over", "task.k=2,3"]) == 2
    assert "has its axes in the spec" in capsys.readouterr().err
