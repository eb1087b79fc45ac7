"""From their names to ours: the map file, its errors, and the arrays that come out."""

from __future__ import annotations

import re

import numpy as np
import pytest

from grokscope.errors import InputError
from grokscope.interop._map import Entry, Op, WeightMap
from grokscope.interop._tensors import of_memory

THEIRS = {
    "enc.w": np.arange(12.0).reshape(4, 3),
    "enc.b": np.arange(4.0),
    "heads.0": np.arange(4.0) + 10,
    "heads.1": np.arange(4.0) + 20,
    "step": np.zeros(()),
}
WANTED = {"hidden_weight": (3, 4), "hidden_bias": (4,), "output_weight": (4, 2), "output_bias": (2,)}
TOML = """
ignore = ["ste*"]
[weights]
hidden_weight = { from = "enc.w", transpose = true }
hidden_bias = "enc.b"
output_weight = { from = ["heads.0", "heads.1"], transpose = [1, 0] }
output_bias = 0.5
"""


def test_a_map_file_makes_our_arrays(tmp_path):
    (tmp_path / "map.toml").write_text(TOML)
    weights = WeightMap.from_toml(tmp_path / "map.toml")
    tensors = of_memory(THEIRS, "here")
    weights.check(tensors, WANTED)
    made = weights.take(tensors, WANTED, "float32")
    assert {name: (array.shape, array.dtype.name) for name, array in made.items()} == {
        name: (shape, "float32") for name, shape in WANTED.items()
    }
    for bit in range(3):
        for neuron in range(4):
            assert made["hidden_weight"][bit, neuron] == THEIRS["enc.w"][neuron, bit]
    assert made["output_weight"][:, 1].tolist() == [20, 21, 22, 23]
    assert made["output_bias"].tolist() == [0.5, 0.5]
    assert all(array.flags.c_contiguous for array in made.values())


def test_dotted_names_need_no_quotation_marks(tmp_path):
    (tmp_path / "map.toml").write_text("[weights]\nblocks.0.W = 'a'\n'blocks.1.W' = { from = 'b' }\n")
    weights = WeightMap.from_toml(tmp_path / "map.toml")
    assert set(weights.entries) == {"blocks.0.W", "blocks.1.W"}


@pytest.mark.parametrize(
    ("ops", "place"),
    [
        # heads of an attention layer: [head, inner, model] as one matrix [model, head x inner], and back
        ([Op("transpose", (2, 0, 1)), Op("reshape", (5, 6))], lambda m, h, i: (m, 2 * h + i)),
        ([Op("reshape", (3, -1))], lambda m, h, i: (h, 5 * i + m)),
        ([Op("transpose")], lambda m, h, i: (m, i, h)),
    ],
)
def test_changes_of_shape(ops, place):
    given = np.arange(30.0).reshape(3, 2, 5)
    entry = Entry(("w",), tuple(ops))
    made = entry.take({"w": given}.__getitem__, entry.shape({"w": (3, 2, 5)}), "float64")
    for h in range(3):
        for i in range(2):
            for m in range(5):
                assert made[place(m, h, i)] == given[h, i, m]


def test_axes_of_length_1_do_not_matter():
    tensors = of_memory({"w": np.arange(3.0).reshape(1, 3), "b": np.ones(1)}, "here")
    weights = WeightMap({"u": Entry(("w",)), "c": Entry(("b",))})
    weights.check(tensors, {"u": (3,), "c": ()})
    assert weights.take(tensors, {"u": (3,), "c": ()}, "float32")["u"].tolist() == [0, 1, 2]


def table(**weights):
    return {"weights": {**dict.fromkeys(WANTED, "enc.b"), **weights}}


BAD_TABLES = [
    ({}, "map: needs a table [weights]"),
    ({"weights": {}}, "map: needs a table [weights]"),
    ({"weight": {}}, "map: no key 'weight' is known. Did you mean 'weights'? Allowed: weights, ignore."),
    ({**table(), "ignore": "a"}, "map: ignore must be a list of names."),
    (table(hidden_bias=True), "map: hidden_bias: write a name, a number, or {"),
    (table(hidden_bias=["a"]), "map: hidden_bias: write a name"),
    (table(hidden_bias={"transpose": True}), "with the key from."),
    (
        table(hidden_bias={"from": "a", "transposed": True}),
        "map: hidden_bias: no key 'transposed' is known. Did you mean 'transpose'? Allowed: from, ",
    ),
    (table(hidden_bias={"from": []}), "hidden_bias: from must be a name or a list of names."),
    (table(hidden_bias={"from": [1]}), "hidden_bias: from must be a name or a list of names."),
    (table(hidden_bias={"from": "a", "transpose": True, "do": []}), "not both."),
    (table(hidden_bias={"from": "a", "do": {"reshape": [1]}}), "do must be a list"),
    (table(hidden_bias={"from": "a", "do": ["transpose"]}), "(got 'transpose')"),
    (table(hidden_bias={"from": "a", "do": [{"permute": [0]}]}), "a change of shape is {"),
    (table(hidden_bias={"from": "a", "transpose": [0.5]}), "a change of shape is {"),
]


@pytest.mark.parametrize(("given", "text"), BAD_TABLES, ids=range(len(BAD_TABLES)))
def test_a_map_that_is_none(given, text):
    with pytest.raises(InputError, match=re.escape(text)):
        WeightMap.from_table(given)


def test_a_map_file_that_is_none(tmp_path):
    file = tmp_path / "map.toml"
    with pytest.raises(InputError, match=r"map\.toml: cannot be read: No such file"):
        WeightMap.from_toml(file)
    file.write_text("[weights")
    with pytest.raises(InputError, match=r"map\.toml: not valid TOML"):
        WeightMap.from_toml(file)
    file.write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"map\.toml: is not UTF-8 text"):
        WeightMap.from_toml(file)


LISTS = (
    " Found: enc.w [4, 3], enc.b [4], heads.0 [4], heads.1 [4], step []. Expected: hidden_weight [3, 4], "
    "hidden_bias [4], output_weight [4, 2], output_bias [2]."
)
GOOD = {
    "hidden_weight": {"from": "enc.w", "transpose": True},
    "hidden_bias": "enc.b",
    "output_weight": {"from": ["heads.0", "heads.1"], "transpose": True},
    "output_bias": 0,
}
MISFITS = [
    ({**GOOD, "hidden_bais": "enc.b"}, "map: 'hidden_bais' is no array of the model."),
    ({k: v for k, v in GOOD.items() if k != "hidden_bias"}, "map: says nothing of our 'hidden_bias'."),
    ({**GOOD, "hidden_bias": "enc.bias"}, "here: lacks 'enc.bias'. Did you mean 'enc.b'?"),
    (
        {**GOOD, "hidden_weight": "enc.w"},
        "here: 'enc.w' [4, 3] gives shape [4, 3], but our 'hidden_weight' has [3, 4].",
    ),
    (
        {**GOOD, "hidden_weight": {"from": "enc.w", "transpose": [0, 0]}},
        "here: for our 'hidden_weight': transpose = [0, 0] does not fit shape [4, 3].",
    ),
    (
        {**GOOD, "hidden_weight": {"from": "enc.w", "do": [{"reshape": [5, -1]}]}},
        "here: for our 'hidden_weight': reshape = [5, -1] does not fit shape [4, 3].",
    ),
    (
        {**GOOD, "output_weight": {"from": ["heads.0", "heads.1", "enc.w"]}},
        "here: for our 'output_weight': tensors of shapes [4], [4], [4, 3] cannot be stacked.",
    ),
]


@pytest.mark.parametrize(("weights", "text"), MISFITS, ids=range(len(MISFITS)))
def test_what_does_not_fit_is_listed_with_what_is_expected(weights, text):
    made = WeightMap.from_table({"weights": weights, "ignore": ["step"]})
    with pytest.raises(InputError) as error:
        made.check(of_memory(THEIRS, "here"), WANTED)
    assert str(error.value) == text + LISTS


def test_what_is_left_over_must_be_ignored_by_name():
    made = WeightMap.from_table({"weights": GOOD})
    with pytest.raises(InputError) as error:
        made.check(of_memory(THEIRS, "here"), WANTED)
    assert str(error.value) == (
        "here: has 'step' too; name it in the map's 'ignore' if it is not needed." + LISTS
    )


def test_later_snapshots_are_like_the_first():
    made = WeightMap.from_table({"weights": GOOD, "ignore": ["step"]})
    first = of_memory(THEIRS, "first.pt")
    for change, text in (
        ({"new": np.ones(1)}, "second.pt: has 'new' too, which first.pt has not."),
        ({"enc.b": None}, "second.pt: lacks 'enc.b', which first.pt has."),
        ({"enc.b": np.ones(5)}, "second.pt: 'enc.b' [5] gives shape [5], but our 'hidden_bias' has [4]."),
    ):
        changed = {name: array for name, array in {**THEIRS, **change}.items() if array is not None}
        with pytest.raises(InputError) as error:
            made.check(of_memory(changed, "second.pt"), WANTED, like=first)
        assert str(error.value) == text
