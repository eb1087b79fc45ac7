"""Interventions in the compiled loop against a plain numpy loop, in float64."""

import jax
import numpy as np
import pytest

import grokscope as gs
from grokscope.runs.prepare import member_data
from grokscope.spec.streams import Members
from grokscope.store.open import open_store
from plain_training import N_TRAIN, Act, train

STEPS, SEED, BITS, WIDTH = 20, 4, 12, 24
TOLERANCE = 1e-12  # float64, 20 updates: sums are taken in another order
SMALL = gs.Experiment(
    task={"kind": "sparse_parity", "n": BITS, "k": 2, "n_train": N_TRAIN, "n_test": 20, "n_probe": 64},
    model={"kind": "fully_connected", "width": WIDTH},
    steps=STEPS,
    batch_size=8,
    precision="float64",
    measures=["train_loss"],
)


def ours(interventions, folder):
    run = gs.train(experiment(interventions), seeds=[SEED], out=folder)
    return network(open_store(run.path).read_checkpoint(0).leaves)


def experiment(interventions):
    return gs.Experiment(**{**dict(SMALL), "interventions": interventions})


def network(leaves):
    names = {"W": "hidden_weight", "b": "hidden_bias", "u": "output_weight"}
    return {short: leaves[f"state.network.{name}"] for short, name in names.items()}


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """The initial network and the training set."""
    run = gs.train(SMALL, seeds=[SEED], out=tmp_path_factory.mktemp("start") / "run")
    leaves = open_store(run.path).read_snapshot(0, 0)
    net = {"W": leaves["hidden_weight"], "b": leaves["hidden_bias"], "u": leaves["output_weight"]}
    with jax.enable_x64(True):
        data = member_data(SMALL, Members.of_seeds([SEED]))
    return net, data["train_x"][0], data["train_y"][0]


def assert_close(net, other):
    for name in net:
        np.testing.assert_allclose(net[name], other[name], rtol=0, atol=TOLERANCE)


def path_norm(net, j):
    return abs(net["u"][j]) * np.sqrt(np.sum(net["W"][:, j] ** 2) + net["b"][j] ** 2)


def vector(net, j):
    return np.append(net["W"][:, j], net["b"][j])


def set_vector(net, j, v):
    net["W"][:, j], net["b"][j] = v[:-1], v[-1]


@pytest.mark.slow
def test_what_is_done_to_neurons_is_what_a_plain_loop_does(start, tmp_path):
    """All kinds at once, each on neurons of its own, beginning and ending at different steps."""
    net, x, y = start
    support, others = [0, 1], list(range(2, BITS))

    def boost(n):
        n["W"][:, [0, 1]] *= 2.5
        n["b"][[0, 1]] *= 2.5

    def boost_support(n):
        n["W"][support, 2] *= 0.5

    def freeze(before, n, start):
        n["W"][:, 3], n["b"][3], n["u"][3] = before["W"][:, 3], before["b"][3], before["u"][3]

    def freeze_others(before, n, start):
        n["W"][others, 4] = before["W"][others, 4]

    def slow(before, n, start):
        n["u"][5] = before["u"][5] + 0.25 * (n["u"][5] - before["u"][5])

    def zero(n, j):
        n["W"][:, j], n["b"][j], n["u"][j] = 0.0, 0.0, 0.0

    def mute(n):
        n["u"][7] = 0.0

    def mean(n):
        activation = np.mean(np.maximum(x @ n["W"][:, 8] + n["b"][8], 0))
        n["W"][:, 8], n["b"][8], n["u"][8] = 0.0, 1.0, n["u"][8] * activation

    def hold_mean(before, n, start):
        n["W"][:, 8], n["b"][8], n["u"][8] = before["W"][:, 8], before["b"][8], before["u"][8]

    def at_most(n, j, limit, bits):
        norm = np.linalg.norm(n["W"][bits, j])
        if norm > limit:
            n["W"][bits, j] *= limit / norm

    def exactly(n, j, limit):
        scale = np.sqrt(limit / path_norm(n, j))
        set_vector(n, j, vector(n, j) * scale)
        n["u"][j] *= scale

    def swap_direction(n):
        a, b = vector(n, 12), vector(n, 13)
        set_vector(n, 12, b / np.linalg.norm(b) * np.linalg.norm(a))
        set_vector(n, 13, a / np.linalg.norm(a) * np.linalg.norm(b))

    def swap_scale(n):
        a, b = vector(n, 14), vector(n, 16)
        set_vector(n, 14, a / np.linalg.norm(a) * np.linalg.norm(b))
        set_vector(n, 16, b / np.linalg.norm(b) * np.linalg.norm(a))

    def swap_output(n):
        n["u"][[15, 17]] = n["u"][[17, 15]]

    def sham(n):
        n["W"][:, 18] *= 3.0
        n["b"][18] *= 3.0
        n["u"][18] /= 3.0

    acts = (
        Act(3, begin=boost),
        Act(4, begin=boost_support),
        Act(5, 14, after=freeze),
        Act(0, after=freeze_others),
        Act(2, after=slow),
        Act(6, 12, begin=lambda n: zero(n, 6), after=lambda before, n, start: zero(n, 6)),
        Act(7, begin=mute),
        Act(8, begin=mean, after=hold_mean),
        Act(
            5,
            begin=lambda n: at_most(n, 9, 0.5 * np.linalg.norm(n["W"][support, 9]), support),
            after=lambda before, n, start: at_most(
                n, 9, 0.5 * np.linalg.norm(start["W"][support, 9]), support
            ),
        ),
        Act(
            1,
            begin=lambda n: at_most(n, 10, 0.4, slice(None)),
            after=lambda before, n, start: at_most(n, 10, 0.4, slice(None)),
        ),
        Act(
            9,
            begin=lambda n: exactly(n, 11, 1.5 * path_norm(n, 11)),
            after=lambda before, n, start: exactly(n, 11, 1.5 * path_norm(start, 11)),
        ),
        Act(10, begin=swap_direction),
        Act(11, begin=swap_scale),
        Act(12, begin=swap_output),
        Act(13, begin=sham),
    )
    spec = [
        {"kind": "boost", "at": 3, "neurons": [0, 1], "factor": 2.5},
        {"kind": "boost", "at": 4, "neurons": [2], "factor": 0.5, "bits": "support", "name": "halved"},
        {"kind": "freeze", "at": 5, "until": 14, "neurons": [3]},
        {"kind": "freeze", "neurons": [4], "bits": "others"},
        {"kind": "rate", "at": 2, "neurons": [5], "factor": 0.25, "parameters": ["output_weight"]},
        {"kind": "ablate", "at": 6, "until": 12, "neurons": [6]},
        {"kind": "ablate", "at": 7, "neurons": [7], "once": True, "parameters": ["output_weight"]},
        {"kind": "ablate", "at": 8, "neurons": [8], "value": "mean"},
        {"kind": "clamp", "at": 5, "neurons": [9], "bits": [0, 1], "limit": 0.5},
        {"kind": "clamp", "at": 1, "neurons": [10], "limit": 0.4, "of": "absolute"},
        {"kind": "clamp", "at": 9, "neurons": [11], "norm": "path_norm", "limit": 1.5, "exactly": True},
        {"kind": "swap", "at": 10, "neurons": [12], "partners": [13], "what": "direction"},
        {"kind": "swap", "at": 11, "neurons": [14], "partners": [16], "what": "scale"},
        {"kind": "swap", "at": 12, "neurons": [15], "partners": [17], "what": "output"},
        {"kind": "sham", "at": 13, "neurons": [18], "factor": 3.0},
    ]
    expected = train(net, x, y, STEPS, acts, order_seed=SEED)
    assert_close(ours(spec, tmp_path / "run"), expected)
    untouched = train(net, x, y, STEPS, order_seed=SEED)
    for j in range(19):  # each of them did something
        alone = [np.abs(expected[name][..., j] - untouched[name][..., j]).max() for name in expected]
        assert max(alone) > 1e-6, j


def test_groups_follow_the_loss_that_they_are_told(start, tmp_path):
    net, x, y = start
    groups, feels = [[0, 1, 2], [7, 8, 9, 10]], [[1.0, 0.0, 1.0], [0.5, 1.0, 0.0], [1.0, 1.0, 1.0]]
    spec = [
        # else every margin is below 1, and the hinge loss feels the same whatever it is told
        {"kind": "boost", "factor": 4.0, "parameters": ["hidden_weight", "hidden_bias", "output_weight"]},
        {"kind": "stop_gradient", "at": 4, "until": 15, "groups": groups, "feels": feels},
    ]
    group = np.full(WIDTH, 2)
    group[groups[0]], group[groups[1]] = 0, 1
    told = np.array([[feels[group[j]][group[i]] for i in range(WIDTH)] for j in range(WIDTH)])
    large = {name: 4 * value for name, value in net.items()}
    expected = train(large, x, y, STEPS, order_seed=SEED, told=lambda step: told if 4 <= step < 15 else None)
    assert_close(ours(spec, tmp_path / "run"), expected)
    plain = train(large, x, y, STEPS, order_seed=SEED)
    for part in (*groups, [15, 20]):
        assert np.abs(expected["W"][:, part] - plain["W"][:, part]).max() > 1e-4


def test_pruning_trains_what_is_left_alone(start, tmp_path):
    net, x, y = start
    kept = [1, 5, 20]
    spec = [{"kind": "prune", "at": 3, "neurons": kept}]
    early = train(net, x, y, 3, order_seed=SEED)
    small = {name: value[..., kept] for name, value in early.items()}
    expected = train(small, x, y, STEPS, order_seed=SEED, start=3)
    found = ours(spec, tmp_path / "run")
    assert_close({name: value[..., kept] for name, value in found.items()}, expected)
    gone = np.setdiff1d(np.arange(WIDTH), kept)
    assert all((value[..., gone] == 0).all() for value in found.values())
