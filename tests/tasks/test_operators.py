"""Binary operators: every equation against its definition, splits, mirrors, tokens, bad input."""

import itertools

import jax
import numpy as np
import pytest

from grokscope import InputError
from grokscope.spec.streams import stream_key
from grokscope.tasks.modular_operator import FORMULAS, ModularOperator
from grokscope.tasks.permutation_operator import PermutationOperator


def member(task, seed=0):
    draw = jax.jit(task.member_data)  # operation by operation, each is compiled
    return {**task.shared_data(), **draw(stream_key("data", seed), stream_key("noise", seed))}


def holds(name, x, y, c, p):
    """Whether x o y = c, by multiplying out: nothing here inverts."""
    if name == "division_or_subtraction":
        name = "division" if y % 2 == 1 else "subtraction"
    left, right = {
        "addition": (c, x + y),
        "subtraction": (c + y, x),
        "multiplication": (c, x * y),
        "division": (c * y, x),
        "sum_of_squares": (c, x * x + y * y),
        "square_of_sum": (c, (x + y) * (x + y)),
        "quadratic": (c, x * x + x * y + y * y),
        "quadratic_plus_x": (c, x * x + x * y + y * y + x),
        "cubic_plus_xy": (c, x * x * x + x * y),
        "cubic_plus_xy2_plus_y": (c, x * x * x + x * y * y + y),
    }[name]
    return (left - right) % p == 0


@pytest.mark.parametrize("name", sorted(FORMULAS))
@pytest.mark.parametrize("p", [2, 7, 13])
def test_every_equation_is_true_and_all_are_there(name, p):
    rows = [
        tuple(map(int, row)) for row in ModularOperator(operator=name, p=p, train_fraction=0.5).table.rows
    ]
    from_y = 1 if name == "division" else 0
    assert [row[:2] for row in rows] == list(itertools.product(range(p), range(from_y, p)))
    assert all(0 <= c < p and holds(name, x, y, c, p) for x, y, c in rows)


def test_sizes_of_the_papers_tables():
    sizes = {name: len(ModularOperator(operator=name).table.rows) for name in ("addition", "division")}
    assert sizes == {"addition": 9409, "division": 9312}
    assert len(PermutationOperator().table.rows) == 14400
    # Nanda et al.: 3830 training pairs of 12769 (there the split is cut at int(0.3 * 12769))
    assert ModularOperator(p=113, train_fraction=0.3).n_train in (3830, 3831)


def compose(x, y):
    """First y, then x."""
    return tuple(x[i] for i in y)


def inverse(x):
    return tuple(x.index(i) for i in range(len(x)))


@pytest.mark.parametrize("name", ["composition", "conjugation", "triple_product"])
@pytest.mark.parametrize("degree", [2, 3, 4])
def test_permutations_are_multiplied_as_functions(name, degree):
    elements = list(itertools.permutations(range(degree)))
    for a, b, c in PermutationOperator(operator=name, degree=degree, train_fraction=0.5).table.rows:
        x, y = elements[a], elements[b]
        last = {"composition": None, "conjugation": inverse(x), "triple_product": x}[name]
        product = compose(x, y) if last is None else compose(compose(x, y), last)
        assert elements[c] == product


@pytest.mark.parametrize("pairs", ["ordered", "unordered"])
@pytest.mark.parametrize("name", ["addition", "division"])
def test_splits_are_a_partition_with_true_labels(name, pairs):
    task = ModularOperator(operator=name, p=11, train_fraction=0.4, pairs=pairs)
    data = member(task, seed=3)
    seen = []
    for split, count in (("train", task.n_train), ("test", task.n_test)):
        operands, y = np.asarray(data[f"{split}_operands"]), np.asarray(data[f"{split}_y"])
        assert len(operands) == len(y) == count
        assert all(holds(name, *map(int, pair), int(c), 11) for pair, c in zip(operands, y, strict=True))
        seen += [tuple(map(int, pair)) for pair in operands]
    assert sorted(seen) == [tuple(row[:2]) for row in task.table.rows.tolist()]
    assert abs(task.n_train / len(seen) - 0.4) < 0.01


@pytest.mark.parametrize("pairs", ["ordered", "unordered"])
@pytest.mark.parametrize("name", ["addition", "division"])
def test_held_out_pairs_are_told_by_their_mirror(name, pairs):
    task = ModularOperator(operator=name, p=11, train_fraction=0.4, pairs=pairs)
    data = member(task)
    learned = {tuple(pair) for pair in np.asarray(data["train_operands"]).tolist()}
    expected = [int((b, a) in learned) for a, b in np.asarray(data["test_operands"]).tolist()]
    assert np.asarray(data["test_mirrored"]).tolist() == expected
    assert any(expected) == (pairs == "ordered")


def test_the_expected_share_of_mirrors_is_the_mean_over_splits():
    task = ModularOperator(p=7, train_fraction=0.4)
    keys = jax.vmap(lambda seed: stream_key("data", seed))(np.arange(2000))
    shares = np.asarray(jax.jit(jax.vmap(lambda key: task.member_data(key, key)["test_mirrored"]))(keys))
    means = shares.mean(axis=1)
    assert abs(means.mean() - task.facts()["expected_mirror_share"]) < 5 * means.std() / 2000**0.5
    assert ModularOperator(p=7, pairs="unordered").facts()["expected_mirror_share"] == 0


def test_symmetric_operators_are_those_without_order():
    commutative = {name for name in FORMULAS if ModularOperator(operator=name, p=11).facts()["commutative"]}
    assert commutative == {"addition", "multiplication", "sum_of_squares", "square_of_sum", "quadratic"}
    # x - y = y - x mod 6 where 2 (x - y) = 0: x - y = 3, in 6 of the 30 pairs x != y
    facts = ModularOperator(operator="subtraction", p=6).facts()
    assert (facts["symmetric_share"], facts["commutative"]) == (pytest.approx(6 / 30), False)


def test_smaller_training_sets_lie_in_larger_ones():
    def learned(fraction):
        operands = member(ModularOperator(p=11, train_fraction=fraction), seed=5)["train_operands"]
        return {tuple(pair) for pair in np.asarray(operands).tolist()}

    assert learned(0.3) < learned(0.5) < learned(0.8)


def test_a_fixed_split_is_the_same_for_all_and_a_drawn_one_is_not():
    fixed = ModularOperator(p=7, split="fixed")
    assert fixed.member_data(stream_key("data", 0), stream_key("noise", 0)) == {}
    assert fixed.has_fixed_test
    drawn = [np.asarray(member(ModularOperator(p=7), seed)["train_operands"]) for seed in (0, 1)]
    assert not np.array_equal(*drawn)


@pytest.mark.parametrize(("operator", "equals"), [(True, True), (False, True), (True, False), (False, False)])
def test_tokens_are_one_hot_in_the_order_of_the_equation(operator, equals):
    task = ModularOperator(p=5, operator_token=operator, equals_token=equals)
    data = member(task)
    x = np.asarray(data["train_x"])
    assert x.shape == (task.n_train, *task.input_shape)
    assert set(np.unique(x)) == {0.0, 1.0}
    assert (x.sum(axis=-1) == 1).all()
    tokens = x.argmax(axis=-1)
    for row, (a, b) in zip(tokens.tolist(), np.asarray(data["train_operands"]).tolist(), strict=True):
        expected = [a, *([5] if operator else []), b, *([5 + operator] if equals else [])]
        assert row == expected
    assert task.vocabulary == tokens.max() + 1 if equals or operator else 5


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"operator": "division", "p": 6}, "operator 'division' divides, so p must be prime, but p = 6"),
        (
            {"operator": "division_or_subtraction", "p": 91},
            "operator 'division_or_subtraction' divides, so p must be prime, but p = 91",
        ),
        (
            {"p": 3, "train_fraction": 0.01},
            "train_fraction = 0.01 leaves the training split empty: there are 9",
        ),
        ({"p": 3, "train_fraction": 0.99}, "train_fraction = 0.99 leaves the test split empty"),
        ({"train_fraction": 1.1}, r"train_fraction: must be at most 1 \(got 1\.1\)"),
        ({"operator": "divison"}, "Did you mean 'division'"),
        ({"n_train": 10}, r"n_train follows from train_fraction: 4704 \(got 10\); leave it out"),
    ],
)
def test_bad_input(fields, message):
    with pytest.raises(InputError, match=message):
        ModularOperator(**fields)


@pytest.mark.parametrize("name", sorted(set(FORMULAS) - {"division", "division_or_subtraction"}))
def test_moduli_need_not_be_prime_where_nothing_is_inverted(name):
    rows = ModularOperator(operator=name, p=6).table.rows
    assert all(holds(name, *map(int, row), 6) for row in rows)


def test_changing_the_fraction_of_a_spec_changes_its_counts():
    from grokscope import Experiment

    spec = Experiment(
        task={"kind": "modular_operator", "p": 7}, model="embedding_mlp", loss="cross_entropy", steps=1
    )
    assert (spec.task.n_train, spec.with_("task.train_fraction=0.25").task.n_train) == (24, 12)
    assert "n_train" not in spec.to_toml()
    assert Experiment.from_table({**spec.model_dump(mode="json", exclude_none=True)}) == spec


NOISY = {"p": 11, "train_fraction": 0.6, "labels": "noisy", "noise": 0.35}


@pytest.mark.parametrize("labels", ["random", "noisy"])
def test_drawn_labels_are_marked_and_uniform_and_the_rest_is_true(labels):
    task = ModularOperator(**{**NOISY, "labels": labels, "noise": 0.35 if labels == "noisy" else 0.0})
    data = {name: np.asarray(array) for name, array in member(task, seed=3).items()}
    plain = {
        name: np.asarray(array)
        for name, array in member(ModularOperator(p=11, train_fraction=0.6), 3).items()
    }
    for name in plain.keys() - {"train_y"}:
        np.testing.assert_array_equal(data[name], plain[name])
    drawn, y = data["train_group"] == 1, data["train_y"]
    assert drawn.sum() == (round(0.35 * task.n_train) if labels == "noisy" else task.n_train)
    true = data["train_operands"].sum(axis=1) % 11
    np.testing.assert_array_equal(y[~drawn], true[~drawn])
    np.testing.assert_array_equal(data["test_y"], data["test_operands"].sum(axis=1) % 11)
    facts = {name: np.asarray(array) for name, array in task.point_facts(data).items()}
    np.testing.assert_array_equal(facts["true_labels"], true)
    np.testing.assert_array_equal(facts["wrong_labels"], y != true)
    np.testing.assert_array_equal(facts["train_group"], drawn)


def test_drawn_labels_come_from_their_own_streams():
    noisy, random = ModularOperator(**NOISY), ModularOperator(p=11, labels="random")

    def labels(task, data, noise):
        keys = (
            jax.vmap(lambda seed, s=s: stream_key(s, seed))(np.asarray(v))
            for s, v in (("data", data), ("noise", noise))
        )
        found = jax.jit(jax.vmap(task.member_data))(*keys)
        return np.asarray(found["train_y"]), np.asarray(found["train_group"]), np.asarray(found["train_x"])

    y, group, x = labels(noisy, [0, 0, 1], [0, 1, 0])
    assert (x[0] == x[1]).all()
    assert (group[0] != group[1]).any()
    assert (x[0] != x[2]).any()
    assert (group[0] == group[2]).all()
    y, _, _ = labels(random, [0, 0, 1], [0, 1, 0])
    assert (y[0] == y[1]).all()
    assert (y[0] != y[2]).any()
    # uniform: 1,000 draws of 60 labels, each class within 5 standard deviations of 1/11
    y, _, _ = labels(random, np.arange(1000), np.zeros(1000, int))
    counts = np.bincount(y.ravel(), minlength=11)
    assert np.abs(counts / y.size - 1 / 11).max() < 5 * (10 / 121 / y.size) ** 0.5


def test_noise_in_a_fixed_split_is_the_members_own():
    fixed = ModularOperator(**NOISY, split="fixed")
    one, other = member(fixed, 0), member(fixed, 1)
    assert (one["train_y"] != other["train_y"]).any()
    assert "train_y" not in fixed.shared_data()
    assert "train_x" in fixed.shared_data()


def test_true_labels_have_the_identity_and_the_arrays_of_before():
    plain = ModularOperator(p=11)
    assert not {"labels", "noise"} & plain.identifying().keys()
    noisy = ModularOperator(p=11, labels="noisy", noise=0.2).identifying()
    assert (noisy["labels"], noisy["noise"]) == ("noisy", 0.2)
    assert "train_group" not in jax.eval_shape(plain.member_data, *[stream_key("data", 0)] * 2)
    with pytest.raises(InputError, match="noise needs labels = 'noisy'"):
        ModularOperator(p=11, noise=0.2)
