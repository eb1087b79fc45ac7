"""Parsing of axes and sweep specs."""

import itertools

import pytest

from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.sweeps import Axis, SweepSpec, parse_axis
from grokscope.sweeps._axes import axis_names, split_values

BASE = Experiment(task="sparse_parity", epochs=2)


def values(text):
    return [point[0] for point in parse_axis(text, BASE).points]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a.b=1,2,3", [1, 2, 3]),
        ("a.b=0.5", [0.5]),
        ("a.b = hinge , 'x,y', logistic", ["hinge", "x,y", "logistic"]),
        ("a.b=true,false", [True, False]),
        ("a.b=[1,2],[3]", [[1, 2], [3]]),
        ("a.b=lin:0:1:5", [0.0, 0.25, 0.5, 0.75, 1.0]),
        ("a.b=log:1e-3:10:5", [0.001, 0.01, 0.1, 1.0, 10.0]),
        ("a.b=0.0,log:1e-2:1:3", [0.0, 0.01, 0.1, 1.0]),
        ("task.n_train=log:100:1000:3", [100, 316, 1000]),  # whole numbers stay whole
        ("task.n_train=lin:10:20:3", [10, 15, 20]),
    ],
)
def test_values(text, wanted):
    found = values(text)
    assert found == wanted
    assert [type(v) for v in found] == [type(v) for v in wanted]


def test_a_logarithmic_range_has_equal_factors():
    found = values("optimizer.weight_decay=log:3e-4:3e-1:13")
    factors = [b / a for a, b in itertools.pairwise(found)]
    assert factors == pytest.approx([1000 ** (1 / 12)] * 12, rel=1e-5)  # six digits are kept


def test_paired_keys_share_one_axis():
    axis = parse_axis("model.width=10,100;optimizer.learning_rate=1.0,0.1")
    assert axis.keys == ("model.width", "optimizer.learning_rate")
    assert axis.settings(1) == {"model.width": 100, "optimizer.learning_rate": 0.1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("task.n_train", "write a.b=1,2,3"),
        ("=1,2", "write a.b=1,2,3"),
        ("task.=1", "write a.b=1,2,3"),
        ("task.k=", "sweep over task.k: needs at least one value"),
        ("task.k=1,,2", "is empty"),
        ("task.k=1,2,1", "the value 1 is given twice"),
        ("task.k=1,1.0", "given twice"),
        ("task.k=log:0:1:3", "must be positive"),
        ("task.k=log:1:2", "LOW:HIGH:COUNT"),
        ("task.k=lin:1:x:3", "LOW:HIGH:COUNT"),
        ("task.k=lin:1:inf:3", "must be finite"),
        ("task.k=lin:1:2:0", "count from 1"),
        ("task.k=lin:1:2:1", "LOW equal to HIGH"),
        ("a.b=1,2;c.d=1,2,3", "equally many values, but a.b has 2, c.d has 3"),
        ("a.b=1,2;a.b=3,4", "given twice"),
        ("task.n_train=lin:1:3:9", "given twice"),  # rounded to whole numbers
    ],
)
def test_invalid_axes_are_refused(text, said):
    with pytest.raises(InputError, match=said):
        parse_axis(text, BASE)


def test_an_axis_needs_a_point():
    with pytest.raises(InputError, match="needs at least one value"):
        Axis(("task.k",), ())


def test_separators_inside_brackets_and_quotes_do_not_count():
    assert split_values("a='1;2';b={c=[1;2]}", ";") == ["a='1;2'", "b={c=[1;2]}"]


def test_names_are_short_unless_ambiguous_or_reserved():
    axes = [
        parse_axis(f"{key}=1") for key in ("optimizer.weight_decay", "model.kind", "a.x", "b.x", "c.step")
    ]
    assert axis_names(axes) == ("weight_decay", "model", "a_x", "b_x", "c_step")


def test_joined_axes_are_sorted_without_repeats():
    joined = parse_axis("task.k=4,2").joined(parse_axis("task.k=3,2"))
    assert [point[0] for point in joined.points] == [2, 3, 4]
    names = parse_axis("loss.kind=logistic,hinge").joined(parse_axis("loss.kind=squared"))
    assert [point[0] for point in names.points] == ["logistic", "hinge", "squared"]


def spec(*over, base=BASE, **options):
    return SweepSpec.of(base, over, **options)


def test_cells_are_the_product_of_the_axes_with_the_last_fastest():
    cells = list(spec("task.n_train=500,700", "optimizer.weight_decay=0.1,0.2,0.3").cells())
    found = [(c.experiment.task.n_train, c.experiment.optimizer.weight_decay) for c in cells]
    assert found == [(n, d) for n in (500, 700) for d in (0.1, 0.2, 0.3)]
    assert [cell.index for cell in cells] == [(i, j) for i in range(2) for j in range(3)]


def test_a_kind_is_set_before_the_keys_of_its_table():
    cells = list(spec("optimizer.learning_rate=0.5", "optimizer.kind=adamw,sgd").cells())
    assert [(c.experiment.optimizer.kind, c.experiment.optimizer.learning_rate) for c in cells] == [
        ("adamw", 0.5),
        ("sgd", 0.5),
    ]


def test_a_whole_table_may_be_a_value():
    cells = list(spec("optimizer={kind='sgd', momentum=0.9},adamw").cells())
    assert [cell.experiment.optimizer.kind for cell in cells] == ["sgd", "adamw"]
    assert cells[0].experiment.optimizer.momentum == 0.9


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ((), "needs an axis"),
        (("task.n_train=5", "task.n_train=6"), "on two axes"),
        (("epochs=1,2",), "does not determine the numbers"),
        (("name=a,b",), "does not determine the numbers"),
        (("schedule.measures=log,epochs",), "does not determine the numbers"),
    ],
)
def test_invalid_grids_are_refused(over, said):
    with pytest.raises(InputError, match=said):
        spec(*over)


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ("task.n_trian=5", r"sweep over task.n_trian: no such key. Did you mean 'n_train'"),
        ("model.width=0,5", r"sweep over model.width: must be at least 1"),
        ("model.width=5,wide", r"sweep over model.width: must be a whole number"),
        ("task.k=3,50", "k must be at most n"),
        ("model=gradient", "gradient"),
    ],
)
def test_invalid_cells_are_refused(over, said):
    with pytest.raises(InputError, match=said):
        list(spec(over).cells())


def test_two_cells_must_not_be_the_same_experiment():
    # 'full' and 2000 are two spellings of different experiments, 1 and 1.0 of one
    assert len(list(spec("batch_size='full',2000").cells())) == 2
    with pytest.raises(InputError, match="the same experiment"):
        list(spec("optimizer={kind='sgd'},sgd").cells())


def test_the_length_is_an_axis_where_it_determines_the_numbers():
    falling = BASE.with_("optimizer.schedule='linear'")
    assert len({c.experiment.identity for c in spec("epochs=2,3", base=falling).cells()}) == 2


def test_identity_depends_on_the_base_and_the_keys_of_the_axes():
    one = spec("optimizer.weight_decay=0.1", "task.k=2,3")
    more = spec(
        "task.k=4", "optimizer.weight_decay=0.1,0.5", seeds=9, base=BASE.with_("epochs=7", "task.k=9")
    )
    assert one.identity == more.identity
    assert one.identity != spec("optimizer.weight_decay=0.1").identity
    assert (
        one.identity
        != spec(*("optimizer.weight_decay=0.1", "task.k=2"), base=BASE.with_("task.n=9")).identity
    )


TOML = """
epochs = 2
[task]
kind = "sparse_parity"
[sweep]
seeds = "3,5:7"
over.optimizer.weight_decay = "log:1e-3:1e-1:3"
over.task.k = [2, 3]
[[sweep.zip]]
model.width = [10, 20]
optimizer.learning_rate = [0.1, 0.2]
"""


def test_the_sweep_table_equals_the_options(tmp_path):
    file = tmp_path / "sweep.toml"
    file.write_text(TOML)
    found = SweepSpec.from_toml(file, overrides=["epochs=5"])
    assert found.base.epochs == 5
    assert found.names == ("weight_decay", "k", "width")
    assert found.shape == (3, 2, 2)
    assert [member[0] for member in found.seeds] == [3, 5, 6]
    command = SweepSpec.from_toml(file, over=["task.k=5", "task.n_train=10,20"], seeds=2)
    assert command.shape == (3, 2, 1, 2)
    assert command.names == ("weight_decay", "width", "k", "n_train")
    assert len(command.seeds) == 2


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("sweep = 3", "must be a table"),
        ("[sweep]\nover.task.k = 3", "sweep.over.task.k: a list of values"),
        ("[sweep]\nover = 3", "are tables of keys"),
        ("[sweep]\novr.task.k = [3]", "sweep.ovr: no such key. Did you mean 'over'"),
        ("[sweep]\nseeds = 1.5\nover.task.k = [3]", "sweep.seeds: a count"),
        ("[sweep]\nover.task.k = [3, 3]", "given twice"),
    ],
)
def test_invalid_sweep_tables_are_refused(tmp_path, table, said):
    file = tmp_path / "sweep.toml"
    file.write_text(f"epochs=2\ntask='sparse_parity'\n{table}\n")
    with pytest.raises(InputError, match=said):
        SweepSpec.from_toml(file)
