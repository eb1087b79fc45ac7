"""Branches: members that start inside another run, at a step or at an event."""

import shutil

import jax
import numpy as np
import pytest
import xarray as xr

import grokscope as gs
from grokscope.errors import GrokscopeError, InputError
from grokscope.runs import verify
from grokscope.runs.prepare import member_data
from grokscope.spec.streams import Members
from grokscope.store.open import open_store
from interrupted import stopped_at_every_segment
from plain_training import N_TRAIN, train
from small_sweeps import small

MEASURES = ["train_accuracy", "test_accuracy", "train_loss"]
START = 34  # in the middle of an epoch of 3 steps
SEEDS = 3


def experiment(*overrides, measures=MEASURES):
    return small("epochs=40", measures=measures).with_(*overrides)


def hashes(run):
    """By member: the hash of its whole final state."""
    store = open_store(run.path)
    return {seeds: store.read_checkpoint(i).sha256 for i, seeds in enumerate(store.seeds)}


def states(run):
    store = open_store(run.path)
    return [store.read_checkpoint(i).leaves for i in range(len(store.seeds))]


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    spec = experiment(f"schedule.snapshots=[{START + 5}]")
    return gs.train(spec, seeds=SEEDS, out=tmp_path_factory.mktemp("parent") / "run")


@pytest.fixture(scope="module")
def child(parent):
    """A branch without a change."""
    return parent.branch(START, "schedule.snapshots='ends'", out=parent.path.parent / "child")


@pytest.mark.slow
def test_a_branch_without_a_change_equals_its_parent(parent, child):
    assert hashes(child) == hashes(parent)
    assert child.identity != parent.identity
    assert child.origins.steps.tolist() == [START] * SEEDS
    assert child.origins.source_members == parent.members.seeds
    assert verify(child.path) == []


def test_a_branch_is_measured_from_where_it_starts(parent, child):
    assert child.measures.step.values[0] == START
    later = parent.measures.step.values[parent.measures.step.values > START]
    assert child.measures.step.values.tolist() == [START, *later.tolist()]
    for name in MEASURES:
        np.testing.assert_array_equal(
            child.measures[name].sel(step=later), parent.measures[name].sel(step=later)
        )
    assert not child.measures.train_loss.isnull().any()


def test_the_networks_of_a_branch_are_there_from_its_start(parent, child):
    one, other = (run.model(seed=1, step=START + 5) for run in (parent, child))  # the child's by replay
    assert all(map(np.array_equal, jax.tree.leaves(one), jax.tree.leaves(other)))
    assert not np.array_equal(child.model(seed=1, step=START).hidden_weight, one.hidden_weight)
    with pytest.raises(InputError, match=r"seed 1 has steps 34 to 120, not 33"):
        child.model(seed=1, step=33)


def first_of_five(curve, threshold):
    """The first place from which on five values in a row exceed a threshold."""
    for i in range(len(curve) - 4):
        if all(value > threshold for value in curve[i : i + 5]):
            return i
    return None


def test_at_an_event_each_member_branches_at_its_own_step(parent, tmp_path):
    curves = parent.measures.train_accuracy.values
    at = [first_of_five(curve, 0.98) for curve in curves]
    assert None not in at
    assert len(set(at)) > 1
    branch = parent.branch("memorization", out=tmp_path / "run")
    assert branch.origins.steps.tolist() == [3 * i for i in at]
    assert hashes(branch) == hashes(parent)
    steps = branch.measures.step.values
    for seed, i in enumerate(at):
        measured = branch.measures.train_loss.sel(seed=seed)
        assert measured.isnull().values.tolist() == [step < 3 * i for step in steps]
        kept = [step for step in steps if step >= 3 * i]
        np.testing.assert_array_equal(
            measured.sel(step=kept), parent.measures.train_loss.sel(seed=seed, step=kept)
        )
    # between two measured points of the schedule only the member that starts there is measured
    early = parent.branch("memorization - 1", out=tmp_path / "early")
    assert hashes(early) == hashes(parent)
    for seed, i in enumerate(at):
        own = early.measures.train_loss.sel(seed=seed)
        others = [3 * j - 1 for j in at if j != i]
        assert own.sel(step=others).isnull().all()
        assert not own.sel(step=3 * i - 1).isnull()


def test_members_to_which_the_event_did_not_come_are_left_out(parent, tmp_path):
    final = np.sort(parent.measures.train_loss.isel(step=slice(-5, None)).max("step").values)
    level = f"train_loss < {(final[0] + final[1]) / 2:.9f}"
    curves = parent.measures.train_loss.values
    seen = [first_of_five(-curve, -float(level.split()[-1])) for curve in curves]
    left = [(s,) * 4 for s in range(SEEDS) if seen[s] is None]
    assert 0 < len(left) < SEEDS
    branch = parent.branch(level, "epochs=41", out=tmp_path / "run")
    assert set(branch.origins.left_out) == set(left)
    assert "was not seen" in branch.origins.left_out[left[0]]
    assert len(branch.members) == SEEDS - len(left)
    again = parent.branch(level, "epochs=41", out=tmp_path / "run")
    assert again.origins.left_out == branch.origins.left_out
    with pytest.raises(InputError, match=r"no member of 3 can start: seed 0: train_loss > 99: was not seen"):
        parent.branch("train_loss > 99", out=tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_a_member_left_out_comes_in_when_its_source_has_gone_on(tmp_path):
    short = gs.train(experiment("epochs=20"), seeds=1, out=tmp_path / "parent")
    other = gs.train(experiment(), seeds=1, out=tmp_path / "other")
    event = gs.Experiment.from_toml(short.path / "experiment.toml").n_steps + 6
    level = float(other.measures.train_loss.sel(seed=0, step=event))
    text = f"train_loss <= {level:.9f} for 1"
    if first := np.flatnonzero(other.measures.train_loss.sel(seed=0, step=slice(0, 60)).values <= level).size:
        pytest.fail(f"the loss was as low before: {first}")
    with pytest.raises(InputError, match="was not seen"):
        short.branch(text, out=tmp_path / "branch")
    long = gs.train(experiment(), seeds=1, out=tmp_path / "parent")
    branch = long.branch(text, out=tmp_path / "branch")
    assert branch.origins.steps.tolist() == [event]


@pytest.mark.slow
def test_a_stopped_branch_goes_on_with_the_same_bits(parent, tmp_path, monkeypatch):
    def branch(folder):
        actions = [{"kind": "clamp", "neurons": "all", "at": "memorization", "bits": "support"}]
        return parent.branch("memorization - 30", interventions=actions, out=folder)

    whole = branch(tmp_path / "whole")
    stops = stopped_at_every_segment(monkeypatch, 7, lambda: branch(tmp_path / "run"), most=10)
    assert stops > 2
    run = branch(tmp_path / "run")
    assert hashes(run) == hashes(whole)
    xr.testing.assert_identical(run.measures.load(), whole.measures.load())
    xr.testing.assert_identical(run.origins.neurons, whole.origins.neurons)


@pytest.mark.slow
def test_a_branch_needs_its_source_for_new_members_only(parent, tmp_path):
    shutil.copytree(parent.path, tmp_path / "source")
    source = gs.open_run(tmp_path / "source")
    run = source.branch(START, seeds="0,1", out=tmp_path / "run")
    spec = run.experiment
    shutil.move(tmp_path / "source", tmp_path / "gone")
    longer = gs.train(spec.with_("epochs=42"), seeds=2, out=run.path)
    assert longer.steps_done.tolist() == [126, 126]
    longer.measure(["weight_norm"])
    with pytest.raises(InputError, match=r"source: there is no such folder"):
        gs.train(spec.with_("epochs=42"), seeds=3, out=run.path)
    shutil.move(tmp_path / "gone", tmp_path / "source")
    assert len(gs.train(spec.with_("epochs=42"), seeds=3, out=run.path).members) == 3


def test_a_branch_and_its_source_can_be_moved_together(parent, tmp_path):
    shutil.copytree(parent.path, tmp_path / "a" / "source")
    gs.open_run(tmp_path / "a" / "source").branch(START, seeds=1, out=tmp_path / "a" / "branch")
    shutil.move(tmp_path / "a", tmp_path / "b")
    moved = gs.open_run(tmp_path / "b" / "branch")
    assert len(gs.train(moved.experiment, seeds=2, out=moved.path).members) == 2


@pytest.mark.slow
def test_measures_asked_for_later_are_the_same(parent, tmp_path):
    asked = ["train_loss", "neuron_norm", "faithfulness"]
    whole = gs.open_run(parent.path).branch(
        "memorization", "measures=['train_loss', 'neuron_norm', 'faithfulness']", out=tmp_path / "whole"
    )
    later = parent.branch("memorization", "measures=['train_loss']", out=tmp_path / "later")
    later.measure(asked[1:])
    xr.testing.assert_identical(later.measures.load(), whole.measures[list(later.measures)].load())
    xr.testing.assert_identical(later.subnetworks, whole.subnetworks)
    assert whole.measures.faithfulness.sel(seed=0, step=slice(0, whole.origins.steps[0] - 1)).isnull().all()


@pytest.mark.slow
def test_a_state_that_is_kept_is_not_made_again(parent, tmp_path, monkeypatch):
    kept = gs.train(experiment(f"schedule.snapshots=[{START}]"), seeds=SEEDS, out=tmp_path / "kept")

    def no(*_):
        raise AssertionError("there is nothing to replay")

    monkeypatch.setattr("grokscope.runs.replay._replayed", no)
    branch = kept.branch(START, out=tmp_path / "branch")
    assert hashes(branch) == hashes(parent)
    final = kept.branch(-1, "epochs=42", out=tmp_path / "final")
    monkeypatch.undo()
    longer = gs.train(experiment("epochs=42"), seeds=SEEDS, out=tmp_path / "kept")
    assert hashes(final) == hashes(longer)


@pytest.mark.slow
def test_the_optimizer_is_taken_over_too(tmp_path):
    moving = experiment("optimizer.momentum=0.9", "epochs=10", measures=["train_loss"])
    run = gs.train(moving, seeds=2, out=tmp_path / "run")
    assert hashes(run.branch(13, out=tmp_path / "same")) == hashes(run)
    fresh = run.branch(
        13, parameters=["hidden_weight", "hidden_bias", "output_weight"], out=tmp_path / "fresh"
    )
    assert hashes(fresh) != hashes(run)
    with pytest.raises(InputError, match=r"optimizer state does not fit.*init.parameters"):
        run.branch(13, "optimizer={kind='adam'}", out=tmp_path / "other")


def test_a_branch_of_a_branch(parent, child, tmp_path):
    grandchild = child.branch(70, out=tmp_path / "run")
    assert hashes(grandchild) == hashes(parent)
    with pytest.raises(InputError, match=r"has steps 34 to 120, not 20"):
        child.branch(20, out=tmp_path / "early")


def test_the_source_is_replayed_past_its_checkpoints_only_if_they_agree(parent, tmp_path):
    shutil.copytree(parent.path, tmp_path / "source")
    gs.train(experiment("epochs=41"), seeds=SEEDS, out=tmp_path / "source")
    with open_store(tmp_path / "source", "a") as store, store.transaction("lie") as t:
        leaves = store.read_checkpoint(1).leaves
        t.write_checkpoint([1], 60, {name: leaf[None] for name, leaf in leaves.items()})
        t.write_checkpoint([1], 123, {name: leaf[None] for name, leaf in leaves.items()})
    source = gs.open_run(tmp_path / "source")
    assert len(source.branch(59, out=tmp_path / "before").members) == SEEDS
    with pytest.raises(GrokscopeError, match=r"a replay of seed 1 does not pass .* step 60"):
        source.branch(61, out=tmp_path / "after")


def test_other_numerics_are_refused_or_marked(parent, tmp_path, monkeypatch):
    from grokscope.runs import prepare, same
    from grokscope.runs import trainer as _trainer

    real = _trainer.numerics_here
    for module in (prepare, same, _trainer):
        monkeypatch.setattr(module, "numerics_here", lambda e: real(e) | {"jax": "0.0.1"})
    with pytest.raises(InputError, match=r"other numerics \(jax"):
        parent.branch(START, out=tmp_path / "run")
    run = parent.branch(START, out=tmp_path / "run", allow_other_numerics=True)
    assert "jax" in str(run.notes["other_numerics"])


@pytest.mark.slow
def test_transplants_and_fresh_parameters(parent, tmp_path):
    short = ("epochs=1", "measures=['train_loss']")
    grafted = parent.branch(
        60,
        *short,
        neurons={0: [1, 2], 1: [3], 2: [4]},
        seeds="init=+1000",
        clock="zero",
        out=tmp_path / "graft",
    )
    assert grafted.members.seeds == tuple((s + 1000, s, s, s) for s in range(SEEDS))
    assert grafted.origins.steps.tolist() == [0] * SEEDS
    fresh = gs.train(experiment(*short), seeds=grafted.members, out=tmp_path / "fresh")
    for seed, taken in ((0, [1, 2]), (1, [3]), (2, [4])):
        there = parent.model(seed=seed, step=60)
        elsewhere = fresh.model(seed=(seed + 1000, seed, seed, seed), step=0)
        ours = grafted.model(seed=(seed + 1000, seed, seed, seed), step=0)
        others = np.setdiff1d(np.arange(16), taken)
        for name in ("hidden_weight", "hidden_bias", "output_weight"):
            mine = np.asarray(getattr(ours, name))
            np.testing.assert_array_equal(mine[..., taken], np.asarray(getattr(there, name))[..., taken])
            np.testing.assert_array_equal(
                mine[..., others], np.asarray(getattr(elsewhere, name))[..., others]
            )
    none = parent.branch(0, *short, parameters=[], seeds="init=+1000", out=tmp_path / "none")
    assert hashes(none) == hashes(fresh)
    weights = parent.branch(60, *short, parameters=["hidden_weight"], clock="zero", out=tmp_path / "weights")
    np.testing.assert_array_equal(weights.model(0, 0).hidden_weight, parent.model(0, 60).hidden_weight)
    np.testing.assert_array_equal(weights.model(0, 0).output_weight, parent.model(0, 0).output_weight)


# --- what changes from there on, against a plain loop ---

DOUBLE = gs.Experiment(
    task={"kind": "sparse_parity", "n": 12, "k": 2, "n_train": N_TRAIN, "n_test": 20, "n_probe": 64},
    model={"kind": "fully_connected", "width": 24},
    steps=24,
    batch_size=8,
    precision="float64",
    measures=["train_loss"],
)


def data_of(spec, data_seed):
    with jax.enable_x64(True):
        data = member_data(spec, Members(((0, data_seed, 0, 0),)))
    return data["train_x"][0], data["train_y"][0]


@pytest.fixture(scope="module")
def double(tmp_path_factory):
    """A run in float64, and the network of seed 4 at step 10 by a plain loop."""
    run = gs.train(DOUBLE, seeds=[4], out=tmp_path_factory.mktemp("double") / "run")
    leaves = open_store(run.path).read_snapshot(0, 0)
    net = {"W": leaves["hidden_weight"], "b": leaves["hidden_bias"], "u": leaves["output_weight"]}
    return run, train(net, *data_of(DOUBLE, 4), 10, order_seed=4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "seeds", "plain"),
    [
        ((), None, {}),
        ((), "order=9", {"order_seed": 9}),
        ((), "data=+3", {"data_seed": 7}),
        (("optimizer.learning_rate=0.02",), None, {"rate": 0.02}),
    ],
    ids=["nothing", "order", "data", "rate"],
)
def test_what_is_changed_from_a_step_on(double, tmp_path, changes, seeds, plain):
    run, at_ten = double
    branch = run.branch(10, *changes, seeds=seeds, out=tmp_path / "run")
    data = data_of(DOUBLE, plain.pop("data_seed", 4))
    expected = train(at_ten, *data, 24, start=10, **({"order_seed": 4} | plain))
    found = states(branch)[0]
    for short, name in {"W": "hidden_weight", "b": "hidden_bias", "u": "output_weight"}.items():
        np.testing.assert_allclose(found[f"state.network.{name}"], expected[short], rtol=0, atol=1e-12)


def test_fewer_samples_are_the_first_of_them():
    many, few = (data_of(DOUBLE.with_(f"task.n_train={count}"), 4) for count in (50, 20))
    for all_of_them, some in zip(many, few, strict=True):
        np.testing.assert_array_equal(all_of_them[:20], some)


def test_twins_share_the_past_and_nothing_else(parent, tmp_path):
    twins = parent.branch(START, seeds="0,1; order=0,1,77", out=tmp_path / "run")
    assert len(twins.members) == 6
    ended, whole = hashes(twins), hashes(parent)
    for seed in (0, 1):
        assert ended[seed, seed, seed, seed] == whole[seed, seed, seed, seed]
        assert len({ended[seed, seed, order, seed] for order in (0, 1, 77)}) == 3
    sources = dict(zip(twins.members, twins.origins.source_members, strict=True))
    assert all(source == (m[0],) * 4 for m, source in sources.items())
    at_start = twins.measures.train_loss.sel(step=START)
    assert at_start.dims == ("init_seed", "order_seed")
    assert (at_start == at_start.isel(order_seed=0)).all()


BAD = [
    ({"at": 121}, r"at step 121, and its experiment ends at 120; .*'epochs=80'"),
    ({"at": -200}, r"init.at: must be a step from 0 on"),
    ({"at": "grokkin"}, r"event 'grokkin' is not known. Did you mean 'grokking'"),
    ({"at": "tset_accuracy > 0.9"}, r"the run has no measure 'tset_accuracy'. Did you mean 'test_accuracy'"),
    ({"at": 5, "seeds": "7,"}, r"seeds: the source has no seed 7"),
    ({"at": 5, "seeds": "odrer=7"}, r"'odrer=7' is not SEEDS, STREAM=SEEDS or STREAM=\+N"),
    ({"at": 5, "seeds": Members(((9, 9, 9, 9),))}, r"seed 9: .* has no member that shares a seed with it"),
    (
        {"at": 5, "change": "model.width=20"},
        r"network.hidden_weight is float32 of shape \(8, 16\); .* of shape \(8, 20\)",
    ),
    ({"at": 5, "change": "precision=float64"}, r"is float32 of shape .*; this experiment's is float64"),
    ({"at": 5, "neurons": [16]}, r"neurons: 16 does not exist; the network has 16, 0..15"),
    ({"at": 5, "neurons": "generalizing"}, r"keeps no subnetworks .*run.measure\(.faithfulness.\)"),
]


@pytest.mark.parametrize(("asked", "message"), BAD)
def test_a_branch_that_cannot_be_made_says_why(parent, tmp_path, asked, message):
    change = [asked["change"]] if "change" in asked else []
    options = {name: value for name, value in asked.items() if name not in ("at", "change")}
    with pytest.raises(InputError, match=message) as refused:
        parent.branch(asked["at"], *change, out=tmp_path / "run", **options)
    assert len(str(refused.value).splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_another_source_is_refused(parent, tmp_path):
    spec = parent.branch(START, seeds=1, out=tmp_path / "run").experiment
    other = gs.train(experiment("optimizer.learning_rate=0.2"), seeds=1, out=tmp_path / "other")
    wrong = spec.with_(f"init.run='{other.path}'")
    with pytest.raises(InputError, match=r"is another run \(identity"):
        gs.train(wrong, seeds=2, out=tmp_path / "run")
