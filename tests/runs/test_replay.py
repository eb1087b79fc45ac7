"""Networks of several members at several steps: kept or trained again, the same bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import grokscope as gs
from grokscope.errors import InputError

SPEC = gs.Experiment(
    task={"kind": "sparse_parity", "n": 8, "k": 2, "n_train": 64, "n_test": 20, "n_probe": 20},
    model={"kind": "fully_connected", "width": 16},
    epochs=6,
    measures=["train_accuracy"],
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> gs.Run:
    return gs.train(SPEC, seeds="3,5,9", out=tmp_path_factory.mktemp("runs") / "plain")


def test_they_are_those_of_single_members_and_steps(run: gs.Run) -> None:
    steps, seeds = [12, 0, 5], [9, 3]
    together = run.networks(steps, seeds)
    assert together["hidden_weight"].shape == (2, 3, 8, 16)
    for i, seed in enumerate(seeds):
        for k, step in enumerate(steps):
            one = run.model(seed, step)
            for name in ("hidden_weight", "hidden_bias", "output_weight"):
                np.testing.assert_array_equal(
                    together[name][i, k], getattr(one, name), err_msg=f"{seed} {step}"
                )


def test_what_is_kept_is_not_trained_again(
    run: gs.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run.kept_steps(3) == [0, 12]
    spec = SPEC.with_("schedule.snapshots='every 2 epochs'")
    kept = gs.train(spec, seeds="3,5,9", out=tmp_path / "kept")
    assert kept.kept_steps(5) == [0, 4, 8, 12]
    again = run.networks([4, 12], [5, 9])

    def refuse(*_: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr("grokscope.runs.replay._replayed", refuse)
    read = kept.networks([4, 12], [5, 9])
    assert read.keys() == again.keys()
    for name, leaf in read.items():
        np.testing.assert_array_equal(leaf, again[name])
    with pytest.raises(AssertionError, match="trained again"):
        kept.networks([3], [5])


def test_steps_and_seeds_that_there_are_not(run: gs.Run) -> None:
    with pytest.raises(InputError, match="has steps 0 to 12, not 13"):
        run.networks([13], [3])
    with pytest.raises(InputError, match="has no seed 4"):
        run.networks([0], [4])


CHANGES = {
    "another rate": (("optimizer.learning_rate=0.05",), ()),
    "pruned": ((), ({"kind": "prune", "neurons": {"kind": "largest", "count": 6}, "at": 8},)),
    "other data": (("task.n_train=40",), ()),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_networks_of_a_branch_are_the_branchs_own(run: gs.Run, tmp_path: Path, change: str) -> None:
    overrides, interventions = CHANGES[change]
    branch = run.branch(5, "epochs=8", *overrides, interventions=interventions, out=tmp_path / "branch")
    starts = branch.origins.steps
    steps = [int(starts.max()), 9, 13, 16]
    seeds = [seeds.init for seeds in branch.members]
    together = branch.networks(steps, seeds)
    plain = run.networks([9], seeds)
    for i, seed in enumerate(seeds):
        for k, step in enumerate(steps):
            one = branch.model(seed, step)
            for name in ("hidden_weight", "hidden_bias", "output_weight"):
                np.testing.assert_array_equal(together[name][i, k], getattr(one, name))
    final = branch.networks([16], seeds)  # from the checkpoint: an independent copy of the last step
    np.testing.assert_array_equal(final["hidden_weight"][:, 0], together["hidden_weight"][:, 3])
    assert not np.array_equal(plain["hidden_weight"][:, 0], together["hidden_weight"][:, 1])
    if change == "pruned":
        assert (np.abs(together["output_weight"][:, 2]) > 0).sum(axis=-1).max() <= 6
        assert (np.abs(together["output_weight"][:, 0]) > 0).sum(axis=-1).min() == 16
    with pytest.raises(InputError, match=f"has steps {starts[0]} to 16, not {starts[0] - 1}"):
        branch.networks([int(starts[0]) - 1], seeds[:1])


def test_more_members_than_fit_the_devices_at_once(run: gs.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from grokscope.runs import replay
    from grokscope.training.devices import Execution

    whole = run.networks([3, 7], [3, 5, 9])
    replay._recently.clear()
    sizes: list[int] = []

    def narrow(n_members: int, *_: object, **__: object) -> Execution:
        sizes.append(n_members)
        return Execution("map", n_devices=1, slots=2)

    monkeypatch.setattr(replay, "choose_execution", narrow)
    cut = run.networks([3, 7], [3, 5, 9])
    assert sizes == [3, 2, 1]
    for name, leaf in whole.items():
        np.testing.assert_array_equal(leaf, cut[name])


@pytest.mark.slow
def test_certify_foresee_and_counts_of_a_branch_see_its_own_networks(tmp_path: Path) -> None:
    from grokscope.circuits import count_gates, foresee
    from grokscope.circuits.arity_over_training import measure_arity
    from grokscope.circuits.verification import certify

    spec = gs.Experiment(
        task={"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 60, "n_test": 20, "n_probe": 20},
        model={"kind": "fully_connected", "width": 12},
        epochs=60,
        batch_size=16,
        optimizer={"kind": "sgd", "learning_rate": 0.3, "weight_decay": 0.003},
        measures=["train_accuracy", "test_accuracy", "faithfulness"],
    )
    run = gs.train(spec, seeds=2, out=tmp_path / "run")
    apart = run.branch("memorization", "optimizer.learning_rate=0.1", out=tmp_path / "apart")
    assert len(set(apart.origins.steps.tolist())) == 2  # each member starts at a step of its own
    step = int(apart.origins.steps.max()) + 3
    together = apart.networks([step], [0, 1])["hidden_weight"][:, 0]
    for seed in (0, 1):
        np.testing.assert_array_equal(together[seed], apart.model(seed, step).hidden_weight)
        np.testing.assert_array_equal(together[seed], apart.networks([step], [seed])["hidden_weight"][0, 0])
    one = run.branch(120, "optimizer.learning_rate=0.1", "schedule.snapshots='ends'", out=tmp_path / "ends")
    other = run.branch(
        120, "optimizer.learning_rate=0.1", "schedule.snapshots='every 4 steps'", out=tmp_path / "kept"
    )
    for branch in (one, other):  # the second one reads what the first one must replay
        certify(branch, steps=[120, 160, 200, 240], budget=60.0)
        count_gates(branch)
        foresee(branch)
        measure_arity(branch)
        branch.reread()
    a, b = one.measures.load(), other.measures.load()
    for name in sorted(set(a.data_vars) & set(b.data_vars)):
        if name.endswith("seconds"):
            continue
        at = sorted(set(a[name].dropna("step", how="all").step.values) & {120, 160, 200, 240})
        np.testing.assert_array_equal(a[name].sel(step=at), b[name].sel(step=at), err_msg=name)


@pytest.mark.slow
def test_the_page_of_a_branch_shows_its_own_networks(tmp_path: Path) -> None:
    from grokscope.report._networks import networks_of

    spec = SPEC.with_("epochs=60", "task.n_train=60", "optimizer.learning_rate=0.3", "batch_size=16")
    spec = spec.with_("measures=['train_accuracy','test_accuracy']")
    run = gs.train(spec, seeds=2, out=tmp_path / "run")
    branch = run.branch(
        "memorization",
        interventions=[{"kind": "prune", "neurons": {"kind": "largest", "count": 6}}],
        out=tmp_path / "branch",
    )
    starts = branch.origins.steps.tolist()
    assert len(set(starts)) == 2
    steps = np.unique([*starts, max(starts) + 7, 240])
    found, note = networks_of(branch, steps, most=2)
    assert note == ""
    for i, seeds in enumerate(branch.members):
        own = steps[steps >= starts[i]]
        np.testing.assert_array_equal(steps[found[i].snapshots], own)
        for k, step in enumerate(own.tolist()):
            one = branch.model(seeds, step)
            np.testing.assert_array_equal(found[i].leaves["hidden_weight"][k], one.hidden_weight)
            assert (np.asarray(one.output_weight) != 0).sum() <= 6
