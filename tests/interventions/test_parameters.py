"""Interventions on parameters by name: against plain numpy loops, on any network, in any order of work."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from scipy import stats

import grokscope as gs
from grokscope.errors import InputError
from grokscope.runs.prepare import member_data
from grokscope.spec.streams import Members
from grokscope.store.open import open_store
from grokscope.training import cohort
from plain_training import N_TRAIN, Act, train

STEPS, SEED, BITS, WIDTH = 20, 4, 12, 24
TOLERANCE = 1e-12  # float64, 20 updates: sums are taken in another order
PLAIN = gs.Experiment(
    task={"kind": "sparse_parity", "n": BITS, "k": 2, "n_train": N_TRAIN, "n_test": 20, "n_probe": 64},
    model={"kind": "fully_connected", "width": WIDTH},
    steps=STEPS,
    batch_size=8,
    precision="float64",
    measures=["weight_norm"],
)
LONG = {"W": "hidden_weight", "b": "hidden_bias", "u": "output_weight"}


def small(model, *overrides, **more):
    """A tiny experiment of a kind of network."""
    if model in ("transformer", "embedding_mlp"):
        task = {"kind": "modular_operator", "operator": "addition", "p": 5}
        sizes = {"width": 8, "heads": 2} if model == "transformer" else {"embedding": 4, "width": 6}
        spec = {
            "task": task,
            "model": {"kind": model, **sizes},
            "loss": "cross_entropy",
            "optimizer": "adamw",
        }
    else:
        task = {"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 24, "n_test": 12}
        spec = {"task": task, "model": {"kind": "mlp", "widths": [8, 5]}}
    return gs.Experiment(**{**spec, "steps": 12, "batch_size": 8, "measures": ["weight_norm"], **more}).with_(
        "schedule.snapshots='every 1 steps'", "schedule.measures='every 1 steps'", *overrides
    )


def spelled(items):
    """Tables as the value of an override."""

    def value(one):
        if isinstance(one, bool):
            return str(one).lower()
        return (
            "[" + ", ".join(map(value, one)) + "]" if isinstance(one, list) else repr(one).replace("'", '"')
        )

    return (
        "["
        + ", ".join("{" + ", ".join(f"{k}={value(v)}" for k, v in item.items()) + "}" for item in items)
        + "]"
    )


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """The initial network and the training set."""
    run = gs.train(PLAIN, seeds=[SEED], out=tmp_path_factory.mktemp("start") / "run")
    leaves = open_store(run.path).read_snapshot(0, 0)
    with jax.enable_x64(True):
        data = member_data(PLAIN, Members.of_seeds([SEED]))
    return {short: leaves[name] for short, name in LONG.items()}, data["train_x"][0], data["train_y"][0]


def trained(interventions, folder):
    run = gs.train(gs.Experiment(**{**dict(PLAIN), "interventions": interventions}), seeds=[SEED], out=folder)
    leaves = open_store(run.path).read_checkpoint(0).leaves
    return {short: leaves[f"state.network.{name}"] for short, name in LONG.items()}


def assert_close(net, other):
    for name in net:
        np.testing.assert_allclose(net[name], other[name], rtol=0, atol=TOLERANCE)


def norm_of(net, names="Wbu"):
    return np.sqrt(sum(np.sum(net[name] ** 2) for name in names))


# --- holding a norm ---


def scaled(net, names, norm):
    factor = norm / norm_of(net, names)
    for name in names:
        net[name] = net[name] * factor


@pytest.mark.slow
def test_a_norm_is_held_as_a_plain_loop_holds_it(start, tmp_path):
    """Each unit of the norm: absolute, at the beginning of the hold, in the first state; and per array."""
    net, x, y = start
    first = {name: value.copy() for name, value in net.items()}
    cases = {
        "absolute": (
            {"of": "absolute", "norm": 3.0},
            Act(4, 15, lambda n: scaled(n, "Wbu", 3.0), lambda before, n, began: scaled(n, "Wbu", 3.0)),
        ),
        "start": (
            {"of": "start", "norm": 0.5, "parameters": ["hidden_*"]},
            Act(
                4,
                15,
                lambda n: scaled(n, "Wb", 0.5 * norm_of(n, "Wb")),
                lambda before, n, began: scaled(n, "Wb", 0.5 * norm_of(began, "Wb")),
            ),
        ),
        "initial": (
            {"of": "initial", "norm": 2.0, "parameters": ["output_weight", "hidden_weight"]},
            Act(
                4,
                15,
                lambda n: scaled(n, "Wu", 2.0 * norm_of(first, "Wu")),
                lambda before, n, began: scaled(n, "Wu", 2.0 * norm_of(first, "Wu")),
            ),
        ),
    }

    def each_at_first(n):
        for name in "Wbu":
            scaled(n, name, norm_of(first, name))

    cases["each"] = (
        {"of": "initial", "each": True},
        Act(4, 15, each_at_first, lambda before, n, began: each_at_first(n)),
    )
    plain = train(net, x, y, STEPS, order_seed=SEED)
    for name, (spec, act) in cases.items():
        expected = train(net, x, y, STEPS, (act,), order_seed=SEED)
        assert max(np.abs(expected[k] - plain[k]).max() for k in "Wbu") > 1e-5, name
        found = trained([{"kind": "hold_norm", "at": 4, "until": 15, **spec}], tmp_path / name)
        assert_close(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "names"),
    [
        ("transformer", ["blocks.*", "embedding"]),
        ("mlp", ["weights.*"]),
        ("embedding_mlp", ["embedding", "output_weight"]),
    ],
)
def test_named_parameters_of_any_network(model, names, tmp_path):
    """The chosen norms stay, a frozen parameter stays, and all else is trained."""
    experiment = small(model)
    probe = gs.train(experiment, seeds=2, out=tmp_path / "plain")
    arrays = probe.networks([0], [0])
    chosen = [n for n in arrays if any(n.startswith(p.removesuffix("*")) for p in names)]
    still = next(n for n in arrays if n not in chosen)
    assert len(chosen) > 1
    items = [
        {"kind": "hold_norm", "parameters": names},
        {"kind": "freeze", "parameters": [still]},
    ]
    run = gs.train(
        experiment.with_(f"interventions={spelled(items)}"),
        seeds=2,
        out=tmp_path / "run",
    )
    found = run.networks(range(13), [0, 1])

    def norms(listed):
        return np.sqrt(sum(np.square(found[n].reshape(2, 13, -1), dtype=float).sum(-1) for n in listed))

    np.testing.assert_allclose(norms(chosen), norms(chosen)[:, :1].repeat(13, 1), rtol=1e-6)
    np.testing.assert_array_equal(found[still], found[still][:, :1].repeat(13, 1))
    # each array on its own is free
    assert all(np.ptp(norms([n]), axis=1).max() > 1e-6 for n in chosen)
    assert run.origins.neurons.sizes["neuron"] == 0
    assert run.origins.neurons["at"].values.tolist() == [[0, 0], [0, 0]]


@pytest.mark.slow
def test_the_norm_that_is_held_is_that_of_the_measure(tmp_path):
    spec = small(
        "transformer", f"interventions={spelled([{'kind': 'hold_norm', 'norm': 4.0, 'of': 'absolute'}])}"
    )
    run = gs.train(spec, seeds=2, out=tmp_path / "run")
    np.testing.assert_allclose(run.measures.weight_norm, 4.0, rtol=1e-6)
    # the same as a multiple of a reference, bit for bit
    item = {"kind": "hold_norm", "norm": 0.5, "of": "reference", "reference": 8.0}
    other = small("transformer", f"interventions={spelled([item])}")
    again = gs.train(other, seeds=2, out=tmp_path / "again")
    one, two = (found.networks([12], [0, 1]) for found in (run, again))
    assert all(two[name].tobytes() == array.tobytes() for name, array in one.items())
    assert other.identity != spec.identity


@pytest.mark.slow
def test_a_held_norm_leaves_the_moments_of_the_optimizer(tmp_path):
    """One update of AdamW: moments bit by bit those of a free run, parameters those of it on the sphere."""
    experiment = small("embedding_mlp", steps=1)
    hold = experiment.with_(f"interventions={spelled([{'kind': 'hold_norm'}])}")

    def state(spec, name):
        run = gs.train(spec, seeds=[0], out=tmp_path / name)
        leaves = open_store(run.path).read_checkpoint(0).leaves
        moments = {key: value for key, value in leaves.items() if key.startswith("state.optimizer_state")}
        return run.networks([0, 1], [0]), moments

    def norm(networks, step):
        return np.sqrt(sum(np.sum(np.square(value[0, step], dtype=float)) for value in networks.values()))

    (free, moments), (held, kept) = state(experiment, "free"), state(hold, "held")
    assert sum(np.size(value) > 1 and bool(np.any(value)) for value in moments.values()) >= 6
    assert moments.keys() == kept.keys()
    for key, value in moments.items():
        np.testing.assert_array_equal(value, kept[key], err_msg=key)
    for key, value in free.items():
        expected = value[0, 1] * (norm(free, 0) / norm(free, 1))
        np.testing.assert_allclose(held[key][0, 1], expected, rtol=1e-6)
    assert norm(held, 1) == pytest.approx(norm(held, 0), rel=1e-6)
    assert abs(norm(free, 1) / norm(free, 0) - 1) > 1e-4


# --- masks ---


@pytest.mark.slow
@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("by", ["magnitude", "random"])
def test_a_mask_keeps_its_share_and_trains_it_as_a_plain_loop_does(start, tmp_path, by, each):
    net, x, y = start
    item = {
        "kind": "mask",
        "keep": 0.25,
        "by": by,
        "each": each,
        "parameters": ["hidden_weight", "output_weight"],
    }
    found = trained([{**item, "at": 3}], tmp_path / "run")
    masks = {name: found[name] != 0 for name in "Wu"}
    counts = [masks[name].sum() for name in "Wu"]
    assert counts == [72, 6] if each else sum(counts) == 78  # of 12 x 24 and 24 numbers
    if by == "magnitude":
        early = train(net, x, y, 3, order_seed=SEED)
        together = np.concatenate([np.abs(early[name]).ravel() for name in "Wu"])
        for name in "Wu":
            sizes = np.abs(early[name])
            limit = np.sort(sizes.ravel() if each else together)[
                -round(0.25 * (sizes if each else together).size)
            ]
            np.testing.assert_array_equal(masks[name], sizes >= limit)

    def cut(n):
        for name in "Wu":
            n[name] = n[name] * masks[name]

    expected = train(
        net, x, y, STEPS, (Act(3, begin=cut, after=lambda before, n, began: cut(n)),), order_seed=SEED
    )
    assert_close(found, expected)


@pytest.mark.slow
def test_random_masks_are_those_of_the_noise_stream(tmp_path):
    item = {"kind": "mask", "keep": 0.5, "by": "random", "parameters": ["weights.*"]}

    def kept(items, seeds, name):
        run = gs.train(small("mlp", f"interventions={spelled(items)}"), seeds=seeds, out=tmp_path / name)
        each = run.networks([12], list(run.members))
        return each["weights.0"][:, 0] != 0

    one = kept([item], "init=0:2;noise=5,6", "one")
    assert (one[0] == one[2]).all()  # another init, the same noise
    assert (one[1] == one[3]).all()
    assert 0.25 < (one[0] == one[1]).mean() < 0.75
    assert (kept([{**item, "seed": 1}], "init=0;noise=5", "two")[0] != one[0]).any()
    shares = one.reshape(4, -1).mean(axis=1)
    np.testing.assert_allclose(shares, 0.5, atol=0.2)  # half of all chosen numbers, not of each array


# --- noise ---


def differences(experiment, item, folder):
    """What an intervention on every array adds to a network that nothing else changes."""
    still = {"kind": "freeze", "parameters": ["*"]}
    items = [still, item]
    run = gs.train(experiment.with_(f"interventions={spelled(items)}"), seeds=2, out=folder)
    arrays = run.networks(range(13), [0, 1])
    return {name: np.diff(array, axis=1) for name, array in arrays.items()}


@pytest.mark.slow
def test_noise_has_the_distribution_that_it_should(tmp_path):
    experiment = small("mlp", "model.widths=[64, 32]")
    steps = differences(experiment, {"kind": "noise", "scale": 0.03, "at": 2, "until": 10}, tmp_path / "run")
    moved = np.concatenate([d.reshape(2, 12, -1) for d in steps.values()], axis=2)
    assert (moved[:, [0, 1, 10, 11]] == 0).all()
    drawn = moved[:, 2:10]
    assert stats.kstest(drawn.ravel() / 0.03, "norm").pvalue > 1e-3
    for one in (drawn[0], drawn[1], drawn[:, 0], drawn[:, 7]):  # of each member, of a step
        assert one.std() == pytest.approx(0.03, rel=0.05)
        assert abs(one.mean()) < 5 * 0.03 / np.sqrt(one.size)
    table = drawn.reshape(16, -1)  # no two members, steps or arrays have the same noise
    correlation = np.corrcoef(table) - np.eye(16)
    assert np.abs(correlation).max() < 6 / np.sqrt(table.shape[1])
    first = [d[0, 2].ravel()[:8] for d in steps.values()]
    assert not any(np.allclose(a, b) for i, a in enumerate(first) for b in first[:i])


@pytest.mark.slow
def test_noise_once_is_added_at_its_step_alone(tmp_path):
    run = differences(small("mlp"), {"kind": "noise", "scale": 0.1, "at": 5, "once": True}, tmp_path / "run")
    for added in run.values():
        assert (np.delete(added, 4, axis=1) == 0).all()
        assert (added[:, 4] != 0).all()


# --- the same bits however the work is cut ---

ITEMS = [
    {"kind": "mask", "keep": 0.6, "by": "magnitude", "at": 3, "parameters": ["weights.*"]},
    {"kind": "noise", "scale": 0.02, "parameters": ["biases.*", "output_weight"]},
    {"kind": "hold_norm", "of": "initial", "at": 5},
    {"kind": "rate", "factor": 0.5, "parameters": ["output_bias"]},
    {"kind": "boost", "factor": 1.5, "at": 7, "parameters": ["biases.*"]},
]


@pytest.mark.slow
def test_resumed_and_replayed_runs_have_the_same_bits(tmp_path):
    whole = gs.train(small("mlp", f"interventions={spelled(ITEMS)}"), seeds=3, out=tmp_path / "whole")
    short = gs.train(
        small("mlp", "steps=6", f"interventions={spelled(ITEMS)}"), seeds=2, out=tmp_path / "short"
    )
    assert short.steps_done.tolist() == [6, 6]
    longer = gs.train(small("mlp", f"interventions={spelled(ITEMS)}"), seeds=3, out=tmp_path / "short")
    sparse = gs.train(
        small("mlp", f"interventions={spelled(ITEMS)}", "schedule.snapshots='ends'"),
        seeds=3,
        out=tmp_path / "sparse",
    )
    kept = whole.networks(range(13), range(3))
    for run in (longer, sparse):  # the second has to replay
        for name, array in run.networks(range(13), range(3)).items():
            assert array.tobytes() == kept[name].tobytes(), name


_BEFORE = """
import sys
sys.path[:0] = sys.argv[3:]
import numpy as np
import grokscope as gs
from test_parameters import ITEMS, small, spelled

folder, model = sys.argv[1:3]
items = [item for item in ITEMS if model == "mlp" or "parameters" not in item]
items += [{"kind": "mask", "keep": 0.5, "by": "random"}]
later = spelled([{**item, "at": 8} for item in items])
runs = [
    gs.train(small(model, *change), seeds=1, out=f"{folder}/{name}")
    for name, change in (("plain", ()), ("later", (f"interventions={later}",)))
]
plain, held = (run.networks(range(13), [0]) for run in runs)
for name in plain:
    assert plain[name][:, :8].tobytes() == held[name][:, :8].tobytes(), name
assert any(plain[name][:, 9].tobytes() != held[name][:, 9].tobytes() for name in plain)
print("same")
"""


@pytest.mark.skipif("GROKSCOPE_TORTURE" not in os.environ, reason="a minute of compiling: make torture")
@pytest.mark.parametrize("model", ["mlp", "transformer"])
def test_until_they_begin_nothing_changes(tmp_path, model):
    """With the compiler as users have it: the quick one of the tests rounds some programs in another way."""
    tests = Path(__file__).resolve().parent
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    done = subprocess.run(
        [sys.executable, "-c", _BEFORE, str(tmp_path), model, str(tests), str(tests.parent)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.stdout.endswith("same\n"), done.stderr


@pytest.mark.slow
def test_strengths_and_steps_share_one_program(tmp_path):
    def run(name, norm, keep, scale, at, seed):
        items = [
            {"kind": "hold_norm", "norm": norm},
            {"kind": "mask", "keep": keep, "by": "random", "seed": seed, "at": at},
            {"kind": "noise", "scale": scale, "seed": seed},
        ]
        return gs.train(small("mlp", f"interventions={spelled(items)}"), seeds=2, out=tmp_path / name)

    run("one", 1.0, 0.5, 0.1, 2, 0)
    compiled = cohort._program.cache_info().misses
    run("two", 0.7, 0.2, 0.3, 5, 9)
    assert cohort._program.cache_info().misses == compiled


# --- bad input ---


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (
            {"kind": "hold_norm", "parameters": ["layers.*"]},
            "hold_norm: parameters: 'layers.*' is no parameter of this network. It has: "
            "weights.0, weights.1, "
            "biases.0, biases.1, output_weight, output_bias",
        ),
        (
            {"kind": "freeze", "parameters": ["weights.0", "output_weigth"]},
            "'output_weigth' is no parameter of this network. Did you mean 'output_weight'? It "
            "has: weights.0",
        ),
        ({"kind": "noise", "scale": 1.0, "parameters": []}, "name at least one parameter, and none twice"),
        ({"kind": "noise", "scale": -1.0}, "interventions.scale: must be at least 0 (got -1.0)"),
        ({"kind": "noise", "scale": 1.0, "once": True, "until": 5}, "once = true allows no until"),
        ({"kind": "mask", "keep": 1.5, "by": "random"}, "interventions.keep: must be at most 1 (got 1.5)"),
        ({"kind": "mask", "keep": 0.5}, "interventions.by: this key must be given"),
        (
            {"kind": "hold_norm", "of": "end"},
            "must be 'start', 'initial', 'absolute' or 'reference' (got 'end')",
        ),
    ],
)
def test_bad_input_is_named_in_one_line(item, message):
    with pytest.raises(InputError) as refused:
        gs.Experiment(**{**dict(small("mlp")), "interventions": [item]})
    assert message in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_module_of_the_user():
    """Nested equinox modules, without a run: the names are the paths of the arrays."""
    import equinox as eqx
    import jax.numpy as jnp

    from grokscope.interventions import Target
    from grokscope.interventions.holding import Freeze, HoldNorm

    class Layer(eqx.Module):
        weight: jax.Array
        bias: jax.Array

    class Net(eqx.Module):
        layers: list[Layer]
        readout: jax.Array

    net = Net(
        [Layer(jnp.full((2, 2), 3.0), jnp.ones(2)), Layer(jnp.full((2, 2), 4.0), jnp.ones(2))], jnp.ones(3)
    )
    none = jnp.zeros(0, bool)
    target = Target(none, none, 0, 9, {}, 0)
    held = HoldNorm(parameters=["layers.*.weight"], norm=5.0, of="absolute").begin(net, target, {})
    np.testing.assert_allclose(held.layers[0].weight, 1.5)  # the norm was 10
    np.testing.assert_allclose(held.layers[1].weight, 2.0)
    np.testing.assert_array_equal(held.layers[1].bias, net.layers[1].bias)
    moved = jax.tree.map(lambda leaf: leaf + 1, net)
    still = Freeze(parameters=["layers.1.*"]).after_update(net, moved, target, ())
    np.testing.assert_array_equal(still.layers[1].weight, net.layers[1].weight)
    np.testing.assert_array_equal(still.layers[0].weight, moved.layers[0].weight)
    np.testing.assert_array_equal(still.readout, moved.readout)
