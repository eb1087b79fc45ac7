"""Neurons of one run put into another while it trains: each weight against a copy made by hand."""

import numpy as np
import pytest

import grokscope as gs
from grokscope.errors import InputError

TASK = {"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 24, "n_test": 12, "n_probe": 16}
DONOR = gs.Experiment(
    task=TASK,
    model={"kind": "fully_connected", "width": 10},
    steps=12,
    batch_size=8,
    measures=["weight_norm"],
)
AT, SEEDS = 5, 2
LARGEST = {"kind": "largest", "count": 3, "by": "path_norm"}


@pytest.fixture(scope="module")
def donor(tmp_path_factory):
    return gs.train(DONOR, seeds=SEEDS, out=tmp_path_factory.mktemp("donor") / "run")


def hosts(donor, out, *changes, **transplant):
    """A run of fresh networks, with the transplant at step 5 if one is given."""
    items = [{"kind": "transplant", "at": AT, **transplant}] if transplant else []
    return donor.branch(
        0,
        "steps=7",
        "schedule.snapshots='every 1 steps'",
        *changes,
        parameters=[],
        seeds="init=+100",
        clock="zero",
        interventions=items,
        out=out,
    )


def arrays(run, step):
    found = run.networks([step], list(run.members.seeds))
    return [{name: leaf[i, 0] for name, leaf in found.items()} for i in range(len(run.members.seeds))]


def path_norm(net):
    return np.abs(net["output_weight"]) * np.sqrt(
        (net["hidden_weight"] ** 2).sum(0) + net["hidden_bias"] ** 2
    )


def by_hand(host, source, taken, factor, others):
    """The host with the source's neurons ``taken`` in place of its smallest ones."""
    places = np.argsort(path_norm(host), kind="stable")[: len(taken)]
    found = {name: leaf.copy() for name, leaf in host.items()}
    found["output_weight"] *= np.float32(others)
    for place, j in zip(places, taken, strict=True):
        found["hidden_weight"][:, place] = source["hidden_weight"][:, j]
        found["hidden_bias"][place] = source["hidden_bias"][j]
        found["output_weight"][place] = np.float32(factor) * source["output_weight"][j]
    return found


def largest(net):
    return sorted(np.argsort(-path_norm(net), kind="stable")[:3])


@pytest.mark.slow
@pytest.mark.parametrize("width", [10, 4, 17])
def test_the_largest_take_the_places_of_the_smallest(donor, tmp_path, width):
    change = f"model.width={width}"
    run = hosts(donor, tmp_path / "run", change, neurons=LARGEST, factor=0.5, others=0.25)
    plain = hosts(donor, tmp_path / "plain", change)
    for ours, host, source in zip(arrays(run, AT), arrays(plain, AT), arrays(donor, 12), strict=True):
        expected = by_hand(host, source, largest(source), 0.5, 0.25)
        for name, leaf in expected.items():
            np.testing.assert_array_equal(ours[name], leaf, err_msg=name)
    for ours, host in zip(arrays(run, AT - 1), arrays(plain, AT - 1), strict=True):
        assert all(ours[name].tobytes() == leaf.tobytes() for name, leaf in host.items())


@pytest.mark.slow
def test_sets_of_other_sizes_and_an_earlier_state(donor, tmp_path):
    sets = {0: [7], 1: [2, 0, 9, 4]}
    run = hosts(donor, tmp_path / "run", neurons=sets, source_at=4)
    plain = hosts(donor, tmp_path / "plain")
    found = zip(arrays(run, AT), arrays(plain, AT), arrays(donor, 4), sets.values(), strict=True)
    for ours, host, source, taken in found:
        expected = by_hand(host, source, sorted(taken), 1.0, 1.0)
        for name, leaf in expected.items():
            np.testing.assert_array_equal(ours[name], leaf, err_msg=name)


@pytest.mark.slow
def test_neurons_are_chosen_by_the_state_that_they_are_taken_from(donor, tmp_path):
    active = {"kind": "active", "at": "start", "order": "path_norm"}
    named = {**active, "at": "end"}
    runs = [hosts(donor, tmp_path / f"{i}", neurons=neurons) for i, neurons in enumerate((active, named))]
    for ours, others in zip(*(arrays(run, AT) for run in runs), strict=True):
        assert all(ours[name].tobytes() == others[name].tobytes() for name in ours)


def test_one_program_for_all_mixtures(donor, tmp_path):
    from grokscope.training import cohort

    hosts(donor, tmp_path / "first", neurons=LARGEST, factor=0.5, others=0.5)
    compiled = cohort._program.cache_info().misses
    hosts(donor, tmp_path / "second", neurons=LARGEST, factor=0.25, others=0.75)
    assert cohort._program.cache_info().misses == compiled


BAD = [
    ({"neurons": {"kind": "largest", "count": 11}}, (), "11 are required, and there are 10"),
    ({"neurons": LARGEST}, ("model.width=2",), "3 neurons are taken, and the network has 2"),
    ({"neurons": LARGEST}, ("task.n=7",), "the source's neurons have 6 inputs, not 7"),
    ({"neurons": [1], "until": 6}, (), "a transplant acts once; leave until out"),
    ({"neurons": [1], "source_at": "start"}, (), "must be a step or an event of the source run, or its end"),
    ({"neurons": [1], "source_at": "grokking"}, (), "the run has no measure 'test_accuracy'"),
]


@pytest.mark.parametrize(("asked", "changes", "message"), BAD)
def test_what_cannot_be_transplanted_is_said_in_one_line(donor, tmp_path, asked, changes, message):
    with pytest.raises(InputError) as refused:
        hosts(donor, tmp_path / "run", *changes, **asked)
    assert message in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_without_a_source_run_there_is_nothing_to_take(tmp_path):
    item = {"kind": "transplant", "neurons": [0], "at": 3}
    with pytest.raises(InputError, match="branch from a run"):
        gs.train(gs.Experiment(**{**dict(DONOR), "interventions": [item]}), seeds=1, out=tmp_path / "run")
