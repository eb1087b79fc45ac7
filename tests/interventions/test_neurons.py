"""Sets of neurons, chosen from made-up networks; what is wrong with a choice is said in one line."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from grokscope.errors import InputError
from grokscope.interventions import NetworkArrays
from grokscope.interventions.ablation import Prune
from grokscope.interventions.holding import Clamp, Freeze
from grokscope.interventions.neurons import Largest, Random
from grokscope.interventions.stop_gradient import StopGradient
from grokscope.interventions.swapping import Swap
from grokscope.spec.moments import Moment, parse_moment
from oracles import norm_matched

WIDTH, BITS, MEMBERS = 12, 5, 4


@dataclass
class FakeMembers:
    """Four members with random weights, other ones at the start than at the end."""

    width: int = WIDTH
    n_bits: int = BITS
    asked: list[Moment] = field(default_factory=list)
    seeds: np.ndarray = field(default_factory=lambda: np.array([(s + 100, s, s, s) for s in range(MEMBERS)]))
    source_seeds: np.ndarray = field(default_factory=lambda: np.array([(s,) * 4 for s in range(MEMBERS)]))

    def parameters(self, at: Moment) -> dict[str, np.ndarray]:
        return self.weights(at)._asdict()

    def weights(self, at: Moment) -> NetworkArrays:
        self.asked.append(at)
        rng = np.random.default_rng(0 if at == parse_moment("start") else 1)
        shapes = (MEMBERS, BITS, WIDTH), (MEMBERS, WIDTH), (MEMBERS, WIDTH)
        return NetworkArrays(*(rng.normal(size=shape) for shape in shapes))

    def support(self) -> np.ndarray:
        return np.repeat([[True, False, True, False, False]], MEMBERS, axis=0)

    def active(self, at, flavor, order):
        return np.arange(WIDTH)[None, :] < np.array([[2], [3], [2], [1]])

    def subnetwork(self, name, flavor):
        assert flavor == "predictions"
        return np.arange(WIDTH)[None, :] >= np.array([[9], [10], [8], [11]])


def found(neurons):
    """The sets of each member, by the short forms too."""
    mask = Prune(neurons=neurons).neurons.find(FakeMembers())
    assert mask.shape == (MEMBERS, WIDTH)
    return [np.flatnonzero(row).tolist() for row in mask]


def test_sets_that_are_written_out():
    assert found("all") == [list(range(WIDTH))] * MEMBERS
    assert found([7, 3]) == [[3, 7]] * MEMBERS
    mask = np.zeros(WIDTH, bool)
    mask[[0, 5]] = True
    assert found(mask) == [[0, 5]] * MEMBERS
    by_seed = {0: [1], 1: [2, 3], (2, 2, 2, 2): [], 3: np.array([4])}
    assert found({seed: list(map(int, neurons)) for seed, neurons in by_seed.items()}) == [
        [1],
        [2, 3],
        [],
        [4],
    ]


def test_sets_of_the_source():
    kept = [[9, 10, 11], [10, 11], [8, 9, 10, 11], [11]]
    assert found("generalizing") == kept
    assert found({"kind": "active", "at": "grokking"}) == [[0, 1], [0, 1, 2], [0, 1], [0]]
    others = [[j for j in range(WIDTH) if j not in members] for members in kept]
    assert found({"kind": "complement", "of": "generalizing"}) == others


def test_random_sets_are_as_large_and_leave_out_what_is_excluded():
    members = FakeMembers()
    spec = {"kind": "random", "as_many_as": "generalizing", "excluding": "generalizing"}
    sets = found(spec)
    assert [len(one) for one in sets] == [3, 2, 4, 1]
    assert not any(set(one) & set(kept) for one, kept in zip(sets, found("generalizing"), strict=True))
    assert found(spec) == sets
    other = found({**spec, "seed": 1})
    assert [len(one) for one in other] == [3, 2, 4, 1]
    assert other != sets
    # every neuron is about as likely as any other, and members draw for themselves
    drawn = np.mean([Random(count=3, seed=s).find(members) for s in range(300)], axis=0)
    assert np.abs(drawn - 3 / WIDTH).max() < 5 * np.sqrt(0.25 * 0.75 / 300)
    assert not np.array_equal(*Random(count=6).find(members)[:2])


@pytest.mark.parametrize("by", ["incoming_norm", "path_norm", "output_norm", "support_norm"])
def test_the_largest_and_the_next_best(by):
    members = FakeMembers()
    w, b, u = members.weights(parse_moment("start"))
    size = {
        "incoming_norm": lambda m, j: np.sqrt(sum(w[m, i, j] ** 2 for i in range(BITS))),
        "path_norm": lambda m, j: (
            abs(u[m, j]) * np.sqrt(sum(w[m, i, j] ** 2 for i in range(BITS)) + b[m, j] ** 2)
        ),
        "output_norm": lambda m, j: abs(u[m, j]),
        "support_norm": lambda m, j: abs(u[m, j]) * np.hypot(w[m, 0, j], w[m, 2, j]),  # see support()
    }[by]
    ranked = [sorted(range(WIDTH), key=lambda j, m=m: -size(m, j)) for m in range(MEMBERS)]
    best = {"kind": "largest", "count": 3, "by": by}
    assert found(best) == [sorted(order[:3]) for order in ranked]
    assert found({"kind": "largest", "count": 2, "by": by, "excluding": best}) == [
        sorted(order[3:5]) for order in ranked
    ]
    assert found({**best, "at": "end"}) != found(best)


def test_norm_matched_sets():
    spec = {"kind": "norm_matched", "to": "generalizing"}
    norms = np.linalg.norm(FakeMembers().weights(parse_moment("start")).hidden_weight, axis=1)
    for row, (matched, kept) in enumerate(zip(found(spec), found("generalizing"), strict=True)):
        mask = [j in kept for j in range(WIDTH)]
        assert matched == np.flatnonzero(norm_matched(mask, norms[row].tolist())).tolist()


def test_bits_are_listed_or_known_by_the_task():
    members = FakeMembers()
    for bits, wanted in (("support", [0, 2]), ("others", [1, 3, 4]), ([4], [4]), ("all", [0, 1, 2, 3, 4])):
        for item in (Freeze(bits=bits), Clamp(bits=bits)):
            assert np.flatnonzero(item.select(members).bits[1]).tolist() == wanted


def test_swaps_are_pairs():
    mask, _, more = Swap(neurons=[4, 1], partners=[2, 9], what="scale").select(FakeMembers())
    assert np.flatnonzero(mask[0]).tolist() == [1, 2, 4, 9]
    assert more["partner"][0].tolist() == [0, 2, 1, 3, 9, 5, 6, 7, 8, 4, 10, 11]


def test_groups_see_what_they_are_told():
    item = StopGradient(groups=[[0, 1], [2]], feels=[[1, 0, 0.5], [1, 1, 1], [0, 0, 1]])
    _, _, more = item.select(FakeMembers())
    assert more["own"][0].astype(int).tolist() == [
        [1, 1] + [0] * 10,
        [0, 0, 1] + [0] * 9,
        [0, 0, 0] + [1] * 9,
    ]
    assert more["seen"][0].tolist() == [[1, 1, 0] + [0.5] * 9, [1] * 12, [0, 0, 0] + [1] * 9]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: found([12]), "neurons: 12 does not exist; the network has 12, 0..11."),
        (lambda: found([1, 1]), "neurons: a neuron is listed twice."),
        (lambda: found({0: [1]}), "neurons.seeds: no set for seed 1."),
        (
            lambda: found({"kind": "random", "count": 13}),
            r"neurons: 13 are required, and there are 12 to choose from \(of 12, 0 excluded\).",
        ),
        (
            lambda: found(
                {"kind": "largest", "as_many_as": {"kind": "complement", "of": [1]}, "excluding": [2, 3]}
            ),
            r"neurons: 11 are required, and there are 10 to choose from \(of 12, 2 excluded\).",
        ),
        (
            lambda: Freeze(bits=[5]).select(FakeMembers()),
            r"interventions.bits: 5 is not one of the 5 bits 0..4.",
        ),
        (
            lambda: Swap(neurons=[1, 2], partners=[3], what="scale").select(FakeMembers()),
            "interventions.partners: 2 neurons and 1 partners; the numbers must be equal.",
        ),
        (
            lambda: Swap(neurons=[1], partners=[1], what="scale").select(FakeMembers()),
            "interventions.partners: a neuron cannot be its own or another pair's partner.",
        ),
        (
            lambda: StopGradient(groups=[[1], [1, 2]]).select(FakeMembers()),
            r"interventions.groups: neuron 1 is in two groups \(member 0\).",
        ),
    ],
)
def test_what_cannot_be_chosen(make, message):
    with pytest.raises(InputError, match=f"^{message}$"):
        make()


MOMENTS = [
    (7, [7, 7]),
    ("7", [7, 7]),
    ("start", [3, 4]),
    ("start + 10", [13, 14]),
    ("end", [90, 96]),
    ("0.5 * end - 5", [40, 43]),
    ("memorization", [30, 60]),
    ("memorization - 1", [29, 59]),
    ("0.25 * memorization+2", [9, 17]),
    ("train_accuracy >= 0.7 for 1", [20, np.inf]),
    ("grokking", [np.inf, np.inf]),
    ("0 * grokking + 5", [np.inf, np.inf]),
]


@pytest.mark.parametrize(("text", "wanted"), MOMENTS)
def test_moments(text, wanted):
    import xarray as xr

    steps = np.arange(0, 130, 10)
    train = np.where(steps >= np.array([[30], [60]]), 1.0, 0.5)
    train[0, 2] = 0.7  # a moment's crossing
    train[1, 1:6] = 0.6
    train[1, 6:] = 0.99
    if text == "train_accuracy >= 0.7 for 1":
        train[1] = 0.5
    data = xr.Dataset(
        {"train_accuracy": (("seed", "step"), train), "test_accuracy": (("seed", "step"), 0 * train)},
        {"seed": [0, 1], "step": steps},
    )
    assert parse_moment(text).steps(data, np.array([3, 4]), np.array([90, 96])).tolist() == wanted


def test_events_need_a_run_in_which_they_happened():
    with pytest.raises(
        InputError, match=r"event memorization: .*branch from a run: run\.branch\(STEP or EVENT\)"
    ):
        parse_moment("memorization").steps(None, np.zeros(1), np.zeros(1))


def test_largest_asks_for_the_moment_it_names():
    members = FakeMembers()
    Largest(count=1, at="memorization + 3").find(members)
    assert members.asked == [parse_moment("memorization + 3")]
