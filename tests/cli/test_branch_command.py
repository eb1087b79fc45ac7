"""grokscope branch: what it prints, what it leaves, and what it says of bad input."""

import json

import pytest

import grokscope as gs
from grokscope.store.open import open_store

SPEC = gs.Experiment(
    task={"kind": "sparse_parity", "n": 8, "k": 2, "n_train": 40, "n_test": 20, "n_probe": 64},
    model={"kind": "fully_connected", "width": 16},
    epochs=10,
    batch_size=16,
    measures=["train_accuracy", "test_accuracy"],
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return gs.train(SPEC, seeds=2, out=tmp_path_factory.mktemp("source") / "run").path


@pytest.mark.slow
def test_a_branch_is_made_and_made_only_once(cli, run, tmp_path):
    words = ("branch", str(run), "--at", "12", "--out", str(tmp_path / "b"))
    result = cli(*words)
    assert result.code == 0, result.err
    assert result.out == f"{tmp_path / 'b'}: 2 members, from step 12 to 30, complete\n"
    stores = [open_store(path) for path in (run, tmp_path / "b")]
    assert len({store.read_checkpoint(1).sha256 for store in stores}) == 1
    again = cli(*words, "--json")
    told = json.loads(again.out)
    assert (told["source"], told["members"], told["first_steps"]) == (str(run), 2, [12, 12])
    shown = json.loads(cli("show", str(tmp_path / "b"), "--json").out)
    assert shown["complete"]
    assert shown["start"].endswith("source0/run at step 12")
    lines = cli("show", str(tmp_path / "b")).out.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("starts ")] == ["in"]
    compared = cli("compare", str(tmp_path / "b"), str(run))
    assert compared.code == 0, compared.err
    assert "2 pairs: each member of A with the one of B that it branches from" in compared.out
    assert cli("report", str(tmp_path / "b"), "--out", str(tmp_path / "r.html")).code == 0


@pytest.mark.slow
def test_interventions_seeds_and_members_left_out(cli, run, tmp_path):
    done = cli(
        *("branch", str(run), "--at", "3", "--seeds", "0,; order=+5,+6", "--out", str(tmp_path / "b")),
        *(
            "--set",
            'interventions=[{kind="boost", factor=2.0, neurons=[1, 2]}]',
            "--set",
            "interventions.0.factor=4.0",
        ),
    )
    assert done.code == 0, done.err
    branch = gs.open_run(tmp_path / "b")
    assert branch.members.seeds == ((0, 0, 5, 0), (0, 0, 6, 0))
    assert branch.experiment.interventions[0].factor == 4.0
    curves = gs.open_run(run).measures.train_accuracy.values
    levels = sorted(curve.max() for curve in curves)
    if levels[0] < levels[1]:
        level = f"train_accuracy > {(levels[0] + levels[1]) / 2} for 1"
        some = cli("branch", str(run), "--at", level, "--set", "epochs=11", "--out", str(tmp_path / "c"))
        assert "not branched: 1 members (seeds " in some.out
        told = json.loads(
            cli(
                "branch",
                str(run),
                "--at",
                level,
                "--set",
                "epochs=11",
                "--out",
                str(tmp_path / "c"),
                "--json",
            ).out
        )
        assert len(told["left_out"]) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--at", "grokkin"), "init.at: event 'grokkin' is not known. Did you mean 'grokking'?"),
        (("--at", "30"), "branch: it starts at step 30, and its experiment ends at 30;"),
        (
            ("--at", "3", "--set", "interventions=[{kind='bost'}]"),
            "intervention 'bost' is not known. Did you mean",
        ),
        (
            ("--at", "3", "--set", "interventions=[{kind='freeze', neurons=[99]}]"),
            "neurons: 99 does not exist; the network has 16, 0..15.",
        ),
        (("--at", "test_accuracy > 2"), "no member of 2 can start: seed 0: test_accuracy > 2: was not seen"),
        (("--at", "3", "--set", "interventions.0.factor=2"), "--set interventions.0: index out of range;"),
        ((), "Missing option '--at'."),
    ],
)
def test_bad_input_is_one_line(cli, run, tmp_path, words, message):
    result = cli("branch", str(run), *words, "--out", str(tmp_path / "b"))
    assert result.code == 2
    errors = [line for line in result.err.splitlines() if not line.startswith("states of the source")]
    assert message in errors[0]
    assert len(errors) == (1 if words else 2)  # where to read on
    assert not (tmp_path / "b").exists()
