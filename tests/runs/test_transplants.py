"""Parameters copied by name into branches: into other shapes, under other names, into other models."""

import pytest

import grokscope as gs
from grokscope.errors import InputError
from grokscope.starts import FromRun

TASK = {"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 24, "n_test": 12}
MLP = gs.Experiment(
    task=TASK, model={"kind": "mlp", "widths": [8, 5]}, steps=8, batch_size=8, measures=["weight_norm"]
)
SHALLOW = MLP.with_("model={kind='fully_connected', width=8}")
LIMITS = ("steps=2", "schedule.snapshots='every 1 steps'")


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    return gs.train(MLP, seeds=2, out=tmp_path_factory.mktemp("parent") / "run")


@pytest.fixture(scope="module")
def shallow(tmp_path_factory):
    return gs.train(SHALLOW, seeds=2, out=tmp_path_factory.mktemp("shallow") / "run")


def start_of(run, seeds=(0, 1)):
    """The arrays of the first networks, [seed, ...] by name."""
    return {name: array[:, 0] for name, array in run.networks([0], list(seeds)).items()}


def fresh(experiment, folder):
    return start_of(gs.train(experiment.with_(*LIMITS), seeds=2, out=folder))


def at(run, step):
    return {name: array[:, 0] for name, array in run.networks([step], [0, 1]).items()}


@pytest.mark.slow
def test_named_parameters_are_copied_and_the_others_are_fresh(parent, tmp_path):
    run = parent.branch(
        6, *LIMITS, parameters=["weights.*", "output_bias"], clock="zero", out=tmp_path / "run"
    )
    ours, theirs, new = start_of(run), at(parent, 6), fresh(MLP, tmp_path / "fresh")
    for name, array in ours.items():
        source = theirs if name.startswith("weights") or name == "output_bias" else new
        assert array.tobytes() == source[name].tobytes(), name
        assert theirs[name].tobytes() != new[name].tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("widths", [(12, 7), (4, 9)])
def test_other_shapes_take_the_leading_entries(parent, tmp_path, widths):
    change = (f"model.widths={list(widths)}",)
    run = parent.branch(6, *change, *LIMITS, into="leading", clock="zero", out=tmp_path / "run")
    ours, theirs = start_of(run), at(parent, 6)
    new = fresh(MLP.with_(*change), tmp_path / "fresh")
    for name, array in ours.items():
        expected = new[name].copy()
        place = tuple(slice(0, min(pair)) for pair in zip(expected.shape, theirs[name].shape, strict=True))
        expected[place] = theirs[name][place]
        assert array.tobytes() == expected.tobytes(), name
    assert ours["weights.0"].shape == (2, 6, widths[0])


@pytest.mark.slow
def test_other_names_in_another_model(shallow, tmp_path):
    names = {"hidden_weight": "weights.0", "hidden_bias": "biases.0"}
    spec = MLP.with_(*LIMITS).model_copy(
        update={
            "init": FromRun(
                run=str(shallow.path),
                source=shallow.identity,
                at=5,
                clock="zero",
                parameters=["hidden_*"],
                rename=names,
            )
        }
    )
    run = gs.train(spec, seeds=2, out=tmp_path / "run")
    ours, theirs, new = start_of(run), at(shallow, 5), fresh(MLP, tmp_path / "fresh")
    there = {here: name for name, here in names.items()}
    for name, array in ours.items():
        expected = theirs[there[name]] if name in there else new[name]
        assert array.tobytes() == expected.tobytes(), name
    # read again from its file, it is the same experiment; the names are part of it
    again = gs.Experiment.from_toml(run.path / "experiment.toml")
    assert again.identity == run.identity
    assert again.init.rename == tuple(names.items())
    other = run.experiment.with_("init.rename={hidden_bias='biases.0'}")
    assert other.identity != run.identity


def test_an_override_and_a_branch_in_another_model(shallow, tmp_path):
    run = shallow.branch(
        5,
        "model={kind='mlp', widths=[8, 5]}",
        *LIMITS,
        parameters=["hidden_weight"],
        rename={"hidden_weight": "weights.0"},
        clock="zero",
        out=tmp_path / "run",
    )
    assert start_of(run)["weights.0"].tobytes() == at(shallow, 5)["hidden_weight"].tobytes()
    assert start_of(run)["weights.1"].shape == (2, 8, 5)
    longer = gs.train(run.experiment.with_("steps=4"), seeds=2, out=run.path)
    whole = shallow.branch(
        5,
        "model={kind='mlp', widths=[8, 5]}",
        *LIMITS,
        "steps=4",
        parameters=["hidden_weight"],
        rename={"hidden_weight": "weights.0"},
        clock="zero",
        out=tmp_path / "whole",
    )
    for name, array in at(longer, 4).items():
        assert array.tobytes() == at(whole, 4)[name].tobytes()


@pytest.mark.slow
def test_decay_towards_the_start_pulls_to_what_was_copied(parent, tmp_path):
    ends = []
    for decay in (0.0, 0.9):
        optimizer = f"optimizer={{kind='sgd', weight_decay={decay}, decay_towards='initial'}}"
        options = {"parameters": ["weights.*"], "clock": "zero", "out": tmp_path / f"{decay}"}
        ends.append(at(parent.branch(6, optimizer, *LIMITS, "steps=1", **options), 1))
    for name, array in ends[0].items():  # the first update is made at the start, where nothing is decayed
        assert array.tobytes() == ends[1][name].tobytes(), name


BAD = [
    (
        {"parameters": ["weight.*"]},
        "init.parameters: 'weight.*' is no parameter of the source.",
        "It has: weights.0",
    ),
    (
        {"rename": {"weights.7": "weights.0"}},
        "init.rename: 'weights.7' is not copied from the source: weights.0, weights.1, biases.0",
        "",
    ),
    (
        {"parameters": ["weights.0"], "rename": {"weights.0": "wieghts.0"}},
        "init.rename: 'wieghts.0' is no parameter of this experiment's network. Did you mean 'weights.0'?",
        "It has: weights.0, weights.1",
    ),
    (
        {"parameters": ["weights.*"], "rename": {"weights.0": "weights.1"}},
        "init.rename: two parameters of the source would be copied to 'weights.1'",
        "",
    ),
    (
        {"change": "model.widths=[9, 5]", "parameters": ["weights.0"]},
        "the source's network.weights.0 is float32 of shape (6, 8); this experiment's is "
        "float32 of shape (6, 9)",
        "init.into = 'leading' copies the leading entries",
    ),
    (
        {"parameters": ["weights.0"], "rename": {"weights.0": "output_weight"}, "into": "leading"},
        "the source's network.weights.0 is float32 of shape (6, 8); this experiment's "
        "network.output_weight is "
        "float32 of shape (5,)",
        "",
    ),
    (
        {"change": "model={kind='fully_connected', width=8}", "parameters": ["output_bias"]},
        "init.parameters: 'output_bias' is no parameter of this experiment's network.",
        "Give it another name with init.rename",
    ),
    (
        {"change": "model={kind='fully_connected', width=8}"},
        "init: the source's network has the parameters weights.0, weights.1",
        "name those to copy with init.parameters, and their names here with init.rename",
    ),
    ({"neurons": [1]}, "init.neurons: needs one-hidden-layer networks; name init.parameters instead", ""),
    ({"neurons": [1], "into": "leading"}, "leave rename and into out", ""),
    ({"into": "middle"}, "init.into: must be 'refuse' or 'leading' (got 'middle')", ""),
    ({"rename": {"a": "c", "b": "c"}}, "rename gives two parameters the same name", ""),
]


@pytest.mark.parametrize(("asked", "message", "more"), BAD)
def test_what_cannot_be_copied_is_said_in_one_line(parent, tmp_path, asked, message, more):
    change = [asked["change"]] if "change" in asked else []
    options = {name: value for name, value in asked.items() if name != "change"}
    with pytest.raises(InputError) as refused:
        parent.branch(5, *change, out=tmp_path / "run", **options)
    assert message in str(refused.value)
    assert more in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_the_identity_of_a_branch_without_the_new_keys_has_none_of_them():
    init = FromRun(run="x", source="ab" * 32, at=3)
    assert init.identifying().keys() == {"kind", "source", "at", "parameters", "neurons", "clock"}
    changed = FromRun(run="x", source="ab" * 32, at=3, into="leading", rename={"a": "b"})
    assert changed.identifying()["rename"] == {"a": "b"}
    assert changed.identifying()["into"] == "leading"
