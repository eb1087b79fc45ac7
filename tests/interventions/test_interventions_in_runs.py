"""Interventions in runs: what they leave alone, whom they act on, one program for all, and bad input."""

import jax
import numpy as np
import pytest

import grokscope as gs
from grokscope.errors import InputError
from grokscope.store.open import open_store
from grokscope.training import cohort

STEP = 30
SEEDS = 2


def experiment(*overrides, measures=("train_accuracy", "train_loss", "test_accuracy", "faithfulness")):
    return gs.Experiment(
        task={"kind": "sparse_parity", "n": 8, "k": 2, "n_train": 40, "n_test": 20, "n_probe": 64},
        model={"kind": "fully_connected", "width": 16},
        epochs=40,
        batch_size=16,
        measures=list(measures),
    ).with_(*overrides)


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    return gs.train(
        experiment(f"schedule.snapshots=[{STEP}]"), seeds=SEEDS, out=tmp_path_factory.mktemp("parent") / "run"
    )


SHORT = ("measures=['train_loss']", "steps=60", "schedule.snapshots=[60]")


def final(run, position=0):
    leaves = open_store(run.path).read_checkpoint(position).leaves
    return {name.removeprefix("state.network."): leaf for name, leaf in leaves.items() if "network" in name}


@pytest.mark.slow
def test_a_sham_changes_no_output_and_every_norm(parent, tmp_path):
    """Bit for bit with a power of two; with 3, but for the rounding of 3 w, 3 b and u / 3 to 24 bits."""
    for factor, tolerance in ((4.0, 0.0), (3.0, 1e-5)):
        sham = [{"kind": "sham", "factor": factor, "neurons": list(range(8))}]
        run = parent.branch(STEP, *SHORT, interventions=sham, out=tmp_path / f"{factor}")
        for seed in range(SEEDS):
            before, after = parent.model(seed, STEP), run.model(seed, STEP)
            x = jax.numpy.asarray(np.random.default_rng(seed).choice([-1.0, 1.0], (200, 8)), "float32")
            np.testing.assert_allclose(after(x), before(x), rtol=tolerance, atol=tolerance)
            ratio = np.linalg.norm(after.hidden_weight, axis=0) / np.linalg.norm(before.hidden_weight, axis=0)
            np.testing.assert_allclose(ratio, [factor] * 8 + [1.0] * 8, rtol=1e-6)
        at_start = parent.measures.train_loss.sel(step=STEP)
        np.testing.assert_allclose(run.measures.train_loss.sel(step=STEP), at_start, rtol=tolerance)


@pytest.mark.slow
def test_a_compensated_sham_changes_no_training_either(parent, tmp_path):
    sham = [{"kind": "sham", "factor": 4.0, "neurons": list(range(8)), "compensated": True}]
    run = parent.branch(STEP, *SHORT, interventions=sham, out=tmp_path / "run")
    plain = parent.branch(STEP, *SHORT, out=tmp_path / "plain")
    ours, theirs = final(run), final(plain)
    scale = np.where(np.arange(16) < 8, 4.0, 1.0).astype(np.float32)
    np.testing.assert_array_equal(ours["hidden_weight"], theirs["hidden_weight"] * scale)
    np.testing.assert_array_equal(ours["hidden_bias"], theirs["hidden_bias"] * scale)
    np.testing.assert_array_equal(ours["output_weight"], theirs["output_weight"] / scale)
    np.testing.assert_array_equal(run.measures.train_loss, plain.measures.train_loss)


@pytest.mark.slow
def test_until_it_begins_a_member_has_the_bits_of_one_that_is_left_alone(parent, tmp_path):
    items = [
        {"kind": "boost", "factor": 3.0, "neurons": [1]},
        {"kind": "clamp", "bits": "support"},
        {"kind": "stop_gradient", "groups": [[1, 2]]},
        {"kind": "swap", "neurons": [1], "partners": [2], "what": "scale"},
        {"kind": "freeze", "neurons": [4]},
        {"kind": "ablate", "value": "mean", "neurons": [5]},
        {"kind": "sham", "compensated": True, "neurons": [6]},
    ]
    changes = ("measures=['weight_norm']", "steps=60", "schedule.snapshots=[49, 50]")
    later = [{**item, "at": 50} for item in items]
    run = parent.branch(STEP, *changes, interventions=later, out=tmp_path / "run")
    plain = parent.branch(STEP, *changes, out=tmp_path / "plain")
    stores = [open_store(one.path) for one in (run, plain)]
    for step, same in ((49, True), (50, False)):
        one, other = (store.read_snapshot(0, step) for store in stores)
        assert [one[name].tobytes() == other[name].tobytes() for name in one] == [same] * 3


def test_what_ends_lets_go(parent, tmp_path):
    freeze = [{"kind": "freeze", "until": "memorization"}]
    kept = ("measures=['train_loss']", "schedule.snapshots='every 1 steps'")
    run = parent.branch("memorization - 20", *kept, interventions=freeze, out=tmp_path / "run")
    start = run.origins.steps
    assert run.origins.neurons["at"].values[:, 0].tolist() == start.tolist()
    assert run.origins.neurons["until"].values[:, 0].tolist() == (start + 20).tolist()
    for seed in range(SEEDS):
        first = run.model(seed, int(start[seed])).hidden_weight
        np.testing.assert_array_equal(run.model(seed, int(start[seed]) + 20).hidden_weight, first)
        assert not np.array_equal(run.model(seed, int(start[seed]) + 21).hidden_weight, first)


@pytest.mark.slow
def test_doses_sets_and_steps_share_one_program(parent, tmp_path):
    def branch(name, at, factor, neurons, begins):
        item = {"kind": "boost", "factor": factor, "neurons": neurons, "at": begins}
        return parent.branch(at, *SHORT, interventions=[item], out=tmp_path / name)

    # the source is replayed by programs of its own, which are not what is counted
    parent.branch("memorization - 60", *SHORT, out=tmp_path / "plain")
    branch("first", STEP, 2.0, [1, 2], 40)
    compiled = cohort._program.cache_info().misses
    branch("kept", 12, 2.0, "generalizing", 13)
    branch("all", "memorization - 60", 1.5, "all", "start")
    weights = [
        final(branch(f"{dose}", STEP, dose, [5], "start"))["hidden_weight"] for dose in (0.0, 1.0, 4.0)
    ]
    assert cohort._program.cache_info().misses == compiled
    assert len({w.tobytes() for w in weights}) == 3


@pytest.mark.slow
def test_the_generalizing_subnetwork_is_the_one_that_the_run_keeps(parent, tmp_path):
    prune = [{"kind": "prune", "neurons": "generalizing"}]
    run = parent.branch(STEP, *SHORT, interventions=prune, out=tmp_path / "run")
    kept = parent.subnetworks.sel(subnetwork="generalizing").values
    np.testing.assert_array_equal(run.origins.neurons.sel(intervention="prune").values, kept)
    for seed in range(SEEDS):
        alive = np.asarray(run.model(seed, 60).output_weight) != 0
        assert not alive[~kept[seed]].any()
    found = [{"kind": "prune", "neurons": {"kind": "active"}}]
    again = parent.branch(STEP, *SHORT, interventions=found, out=tmp_path / "found")
    np.testing.assert_array_equal(again.origins.neurons.values, run.origins.neurons.values)


@pytest.mark.slow
def test_hidden_bits_that_are_drawn_are_those_of_each_member(tmp_path):
    spec = experiment("task.support=drawn", "steps=9", measures=["train_loss"])
    freeze = {"kind": "freeze", "bits": "support"}
    run = gs.train(gs.Experiment(**{**dict(spec), "interventions": [freeze]}), seeds=4, out=tmp_path / "run")
    seen = set()
    for seed in range(4):
        moved = np.asarray(run.model(seed, 9).hidden_weight) != np.asarray(run.model(seed, 0).hidden_weight)
        still = tuple(np.flatnonzero(~moved.any(axis=1)).tolist())
        assert len(still) == 2
        seen.add(still)
    assert len(seen) > 1


def test_a_member_without_such_neurons_is_left_out(parent, tmp_path):
    prune = [{"kind": "prune", "neurons": {0: [], 1: [3]}}]
    run = parent.branch(STEP, *SHORT, interventions=prune, out=tmp_path / "run")
    assert run.members.seeds == ((1, 1, 1, 1),)
    assert run.origins.left_out == {(0, 0, 0, 0): "prune: has no neurons to act on"}


BAD = [
    ({"kind": "freeze", "neurons": [16]}, STEP, "neurons: 16 does not exist; the network has 16, 0..15."),
    ({"kind": "freeze", "at": 12}, STEP, "freeze: 12 lies before its start"),
    ({"kind": "freeze", "at": 40, "until": 40}, STEP, "freeze: it would end before it begins"),
    ({"kind": "freeze", "at": "train_loss > 99"}, STEP, "freeze: train_loss > 99 was not seen in the source"),
    ({"kind": "freeze", "neurons": {"kind": "active", "at": 400}}, STEP, "has steps 0 to 120, not 400"),
    (
        {"kind": "freeze", "neurons": {"kind": "largest", "count": 1, "at": "train_loss > 99"}},
        STEP,
        "was not seen in seeds",
    ),
]


@pytest.mark.parametrize(("item", "at", "message"), BAD)
def test_an_intervention_that_cannot_be_done_says_why(parent, tmp_path, item, at, message):
    with pytest.raises(InputError, match=message) as refused:
        parent.branch(at, *SHORT, interventions=[item], out=tmp_path / "run")
    assert len(str(refused.value).splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (
            {"kind": "freeze", "at": "memorization"},
            "event memorization: needs a source run, and there is none",
        ),
        ({"kind": "freeze", "neurons": "generalizing"}, "neurons: this set is chosen by a source run"),
        ({"kind": "freeze", "neurons": {"kind": "largest", "count": 2, "at": 7}}, "chosen by a source run"),
    ],
)
def test_without_a_source_there_is_nothing_to_choose_by(tmp_path, item, message):
    spec = experiment("steps=9", measures=["train_loss"])
    with pytest.raises(InputError, match=message):
        gs.train(gs.Experiment(**{**dict(spec), "interventions": [item]}), seeds=1, out=tmp_path / "run")


@pytest.mark.parametrize(
    ("model", "item", "message"),
    [
        (
            {"kind": "mlp", "widths": [8, 8]},
            {"kind": "prune"},
            "prune needs a one-hidden-layer network, not 'mlp'",
        ),
        (
            {"kind": "mlp", "widths": [8, 8]},
            {"kind": "freeze", "neurons": [1]},
            "freeze: neurons and bits need a one-hidden-layer network, not 'mlp'; name parameters instead",
        ),
        (
            {"kind": "mlp", "widths": [8, 8]},
            {"kind": "ablate", "value": "mean"},
            "ablate needs a one-hidden-layer network, not 'mlp'",
        ),
        (
            {"kind": "mlp", "widths": [8]},
            {"kind": "freeze", "neurons": [1], "parameters": ["output_bias"]},
            "freeze: output_bias belongs to no neuron; leave neurons and bits out",
        ),
        (
            {"kind": "fully_connected", "width": 8},
            {"kind": "hold_norm", "parameters": ["hidden_weigth"]},
            "hold_norm: parameters: 'hidden_weigth' is no parameter of this network. Did you mean "
            "'hidden_weight'\\? It has: hidden_weight, hidden_bias, output_weight",
        ),
        (
            {"kind": "fully_connected", "width": 8, "activation": "gelu"},
            {"kind": "sham"},
            "sham needs activation relu or quadratic, not 'gelu'",
        ),
    ],
)
def test_a_network_that_it_cannot_act_on(model, item, message):
    with pytest.raises(InputError, match=f"^interventions: {message}.$"):
        gs.Experiment(task="sparse_parity", epochs=1, model=model, interventions=[item])


def test_one_stop_gradient_is_enough():
    stop = {"kind": "stop_gradient", "groups": [[0]]}
    with pytest.raises(InputError, match="at most one stop_gradient; give all groups in it"):
        gs.Experiment(task="sparse_parity", epochs=1, interventions=[stop, stop])
