"""Layouts that are recognized by names and shapes; what our network predicts is what theirs does."""

from __future__ import annotations

import tomllib

import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

import grokscope as gs
from foreign import SPEC, WIDTH, N, own_data, predicted, sequential, two_circuits
from grokscope.errors import InputError
from grokscope.interop._layouts import recognize
from grokscope.runs.networks import network_shapes

X = own_data()["test_x"]


def outputs(run):
    return np.asarray(run.model()(jnp.asarray(X)))


def without(state, *names):
    return {name: array for name, array in state.items() if name not in names}


def named(state, old, new):
    return {name.replace(old, new): array for name, array in state.items()}


DEEP = sequential(3, (N, 7, 5, 1))
# state dict, kind of model, its widths, whether there is an output bias
KNOWN = [
    (two_circuits(1), "fully_connected", 8, False),
    (without(two_circuits(1), "linear1.bias"), "fully_connected", 8, False),
    ({**two_circuits(1), "linear2.bias": np.ones(1, np.float32)}, "mlp", (8,), True),
    ({f"module.{name}": array for name, array in two_circuits(1).items()}, "fully_connected", 8, False),
    ({f"_orig_mod.module.{n}": a for n, a in two_circuits(1).items()}, "fully_connected", 8, False),
    (sequential(2), "mlp", (8,), True),
    (without(sequential(2), "2.bias"), "fully_connected", 8, False),
    (sequential(2, prefix="net.layers."), "mlp", (8,), True),
    (named(sequential(2), "2.", "4."), "mlp", (8,), True),  # an activation and a dropout between
    (dict(reversed(sequential(2).items())), "mlp", (8,), True),
    (DEEP, "mlp", (7, 5), True),
    (without(DEEP, "2.bias", "4.bias"), "mlp", (7, 5), False),
    # ten layers and more are in the order of their numbers, not of their names
    (sequential(5, (N, *[4] * 6, 1)), "mlp", (4,) * 6, True),
]


def renamed(state, *layers):
    """The layers of a stack under other names."""
    old = list(dict.fromkeys(name.partition(".")[0] for name in state))
    return {
        f"{layers[old.index(layer)]}.{part}": state[f"{layer}.{part}"]
        for layer, part in (name.split(".") for name in state)
    }


STACKS = [
    (renamed(sequential(2), "fc1", "fc2"), ["fc1", "fc2"]),
    (renamed(sequential(2), "lin1", "lin2"), ["lin1", "lin2"]),
    (renamed(sequential(2), "output", "hidden"), ["output", "hidden"]),  # names do not tell, shapes do
    (renamed(sequential(2), "layers.0", "layers.1"), ["layers.0", "layers.1"]),
    (renamed(DEEP, "net.out", "net.a", "net.in"), ["net.out", "net.a", "net.in"]),
    (
        renamed(sequential(6, (N, *[4] * 11, 1)), *(f"fc{i}" for i in range(12))),
        [f"fc{i}" for i in range(12)],
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(("state", "order"), STACKS, ids=range(len(STACKS)))
def test_layers_that_chain_by_their_shapes(state, order, tmp_path):
    shuffled = dict(sorted(state.items()))
    run = gs.from_torch(shuffled, {**SPEC, "measures": []}, out=tmp_path / "run")
    assert run.provenance["imported"]["layout"] == f"linear layers {', '.join(order)}"
    assert any(note.startswith("the layers ") for note in run.provenance["imported"]["notes"])
    np.testing.assert_allclose(outputs(run), predicted(state, X)[:, 0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("state", "kind", "widths", "bias"), KNOWN, ids=range(len(KNOWN)))
def test_it_is_recognized_and_predicts_the_same(state, kind, widths, bias, tmp_path):
    run = gs.from_torch(state, {**SPEC, "measures": []}, out=tmp_path / "run")
    model = run.experiment.model
    assert model.kind == kind
    assert (model.width if kind == "fully_connected" else model.widths) == widths
    assert getattr(model, "output_bias", False) == bias
    network = run.model()
    found = {name: array.shape for name, array in gs.to_torch(run, numpy=True).items()}
    assert found == network_shapes(run.experiment)  # also that of the output bias, a single number
    assert not bias or network.output_bias.shape == ()
    by_layer = dict(sorted(state.items(), key=lambda item: [len(item[0]), item[0]]))
    np.testing.assert_allclose(outputs(run), predicted(by_layer, X)[:, 0], rtol=1e-5, atol=1e-5)


def test_several_outputs(tmp_path):
    state = sequential(4, (N, 8, 3))
    labels = np.arange(10) % 3
    data = {"train_x": X, "train_y": labels, "test_x": X, "test_y": labels}
    run = gs.from_torch(state, {"measures": []}, data=data, out=tmp_path / "run")
    np.testing.assert_allclose(outputs(run), predicted(state, X), rtol=1e-5, atol=1e-5)


def test_what_grokscope_exports_comes_back(tmp_path):
    for i, state in enumerate((two_circuits(1), sequential(2), DEEP)):
        first = gs.from_torch(state, {**SPEC, "measures": []}, out=tmp_path / f"a{i}")
        spec = {**SPEC, "measures": []} if i < 2 else first.experiment
        again = gs.from_torch(gs.to_torch(first, numpy=True), spec, step=0, out=tmp_path / f"b{i}")
        assert again.identity == first.identity


UNKNOWN = [
    {},
    {"w": np.ones(3)},
    without(two_circuits(1), "linear2.weight"),
    {**two_circuits(1), "linear3.weight": np.ones((1, 2), np.float32)},
    {**two_circuits(1), "linear2.weight": np.ones((1, 9), np.float32)},
    {**two_circuits(1), "linear1.bias": np.ones(9, np.float32)},
    {**sequential(2), "head.weight": np.ones((1, 2), np.float32)},
    {"a.weight": np.ones((6, 6), np.float32), "b.weight": np.ones((6, 6), np.float32)},  # in which order?
    # two layers that could be the next
    {f"{n}.weight": np.ones(s, np.float32) for n, s in {"a": (8, 6), "b": (4, 8), "c": (5, 8)}.items()},
    named(sequential(2), "2.", "1."),  # nothing between the layers
    without(sequential(2), "2.weight", "2.bias"),  # one layer
    {**sequential(2), "1.weight": np.ones(8, np.float32), "1.bias": np.ones(8, np.float32)},  # a norm between
    {**sequential(2), "0.weight": np.ones((8, 6, 1), np.float32)},
]


@pytest.mark.parametrize("state", UNKNOWN, ids=range(len(UNKNOWN)))
def test_what_is_not_recognized_is_listed(state, tmp_path):
    assert recognize({name: array.shape for name, array in state.items()}) is None
    with pytest.raises(InputError) as error:
        gs.from_torch(state, {**SPEC, "model": "fully_connected"}, out=tmp_path / "run")
    assert str(error.value).startswith("step 0: the tensor names fit no known layout. Found: ")
    for name, array in state.items():
        assert f"{name} {list(array.shape)}" in str(error.value)
    assert "Expected: hidden_weight [6, 1000], hidden_bias [1000], output_weight [1000]." in str(error.value)
    assert "give a map (map='FILE.toml'); write_map='FILE.toml' writes one to start from" in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_map_makes_anything_of_it(tmp_path):
    state = two_circuits(1)
    theirs = {
        "enc.kernel": state["linear1.weight"].T,
        "enc.offset": state["linear1.bias"][:, None],
        "dec": state["linear2.weight"][0],
        "steps_taken": np.array(7),
    }
    weights = {"hidden_weight": "enc.kernel", "hidden_bias": "enc.offset", "output_weight": "dec"}
    table = {"weights": weights, "ignore": ["steps*"]}
    run = gs.from_torch(theirs, SPEC, map=table, out=tmp_path / "run")
    np.testing.assert_array_equal(run.model().hidden_weight, state["linear1.weight"].T)
    assert run.experiment.model.width == WIDTH
    (tmp_path / "map.toml").write_text(
        'ignore = ["steps_taken"]\n[weights]\nhidden_weight = "enc.kernel"\nhidden_bias = "enc.offset"\n'
        'output_weight = "dec"\noutput_bias = 0.25\n'
    )
    run = gs.from_torch(theirs, SPEC, map=tmp_path / "map.toml", out=tmp_path / "run2")
    np.testing.assert_allclose(outputs(run), predicted(state, X)[:, 0] + 0.25, rtol=1e-5)
    deep = {f"w{i}": DEEP[f"{2 * i}.weight"] for i in range(3)}
    table = {
        "weights": {
            **{f"weights.{i}": {"from": f"w{i}", "transpose": True} for i in range(2)},
            **{f"biases.{i}": 0.5 for i in range(2)},
            "output_weight": "w2",
        }
    }
    with pytest.raises(InputError, match=r"map: the model is not known: give a spec with a \[model\]. Fo"):
        gs.from_torch(deep, SPEC, map=table, out=tmp_path / "run3")
    spec = {**SPEC, "model": {"kind": "mlp", "widths": [7, 5], "output_bias": False}, "measures": []}
    run = gs.from_torch(deep, spec, map=table, out=tmp_path / "run3")
    halves = {f"{2 * i}.bias": np.full(width, 0.5) for i, width in enumerate((7, 5))}
    whole = {n: halves.get(n, DEEP[n]) for n in DEEP if n != "4.bias"}
    np.testing.assert_allclose(outputs(run), predicted(whole, X)[:, 0], rtol=1e-5, atol=1e-5)


def test_a_map_to_start_from(tmp_path):
    state = two_circuits(1)
    theirs = {
        "enc.kernel": state["linear1.weight"],
        "enc.offset": state["linear1.bias"],
        'a "dec"': state["linear2.weight"],
        "steps_taken": np.ones((3, 3), np.float32),
    }
    save_file(theirs, tmp_path / "net.safetensors")
    draft = tmp_path / "map.toml"

    def take(**more):
        return gs.import_torch(
            tmp_path / "net.safetensors", {**SPEC, "measures": []}, out=tmp_path / "run", **more
        )

    with pytest.raises(InputError, match=r"fit no known layout; a map to start from is in .*map\.toml\.$"):
        take(write_map=draft)
    text = draft.read_text()
    table = tomllib.loads(text)
    assert table["weights"] == {
        "hidden_weight": {"from": "enc.kernel", "transpose": True},
        "hidden_bias": "",
        "output_weight": "",
        "output_bias": "",
    }
    assert r'hidden_bias has shape [8]; "a \"dec\"", "enc.offset" fit' in text
    assert '"steps_taken" [3, 3]' in text
    with pytest.raises(InputError, match=r"map\.toml: cannot be written: File exists\."):
        take(write_map=draft)
    # what is left is written by hand
    weights = {
        **table["weights"],
        "hidden_bias": "enc.offset",
        "output_weight": 'a "dec"',
        "output_bias": 0.0,
    }
    run = take(map={"weights": weights, "ignore": ["steps_taken"]})
    np.testing.assert_allclose(outputs(run), predicted(state, X)[:, 0], rtol=1e-5)


def test_the_spec_has_the_last_word_on_the_model(tmp_path):
    spec = {**SPEC, "model": {"activation": "tanh"}}
    run = gs.from_torch(sequential(2), spec, out=tmp_path / "run")
    assert (run.experiment.model.kind, run.experiment.model.activation) == ("mlp", "tanh")
    assert not any("activation" in note for note in run.provenance["imported"]["notes"])
    for model, text in (
        (
            {"kind": "fully_connected", "width": 8},
            "layout nn.Sequential: the model has no array 'output_bias'",
        ),
        ({"kind": "mlp", "widths": [9]}, "'0.weight' [8, 6] gives shape [6, 8], but our 'hidden_weight' has"),
        ("mlpp", "model 'mlpp' is not known. Did you mean 'mlp'?"),
        (3, "model: must be a table."),
    ):
        with pytest.raises(InputError) as error:
            gs.from_torch(sequential(2), {**SPEC, "model": model}, out=tmp_path / "other")
        assert text in str(error.value)


def test_expected_names_are_those_of_snapshots():
    experiment = gs.Experiment(task=SPEC["task"], model={"kind": "mlp", "widths": [4, 3]}, epochs=1)
    assert network_shapes(experiment) == {
        "weights.0": (6, 4),
        "weights.1": (4, 3),
        "biases.0": (4,),
        "biases.1": (3,),
        "output_weight": (3,),
        "output_bias": (),
    }


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            3,
            "from_torch: takes an nn.Module, a state dict, a table of them by step, or pairs (step",
        ),
        ([], "from_torch: there is no network to import."),
        ([two_circuits(0)], "from_torch: several networks are given as pairs (step, model)."),
        (
            [(0, two_circuits(0)), (0, two_circuits(1))],
            "step 0: is step 0, as step 0 is already; each step once.",
        ),
        ([(-1, two_circuits(0))], "step -1: -1 is not a step: a whole number from 0 to 10^12."),
        ({10**13: two_circuits(0)}, "is not a step"),
        ([(0, 3)], "step 0: is a int, not an nn.Module or a state dict."),
        ({"linear1.weight": 3}, "step 0: 'linear1.weight' is of type int, not a tensor"),
        ({"a": np.ones(1), 2: np.ones(1)}, "step 0: tensor names must be strings, but one is 2."),
    ],
)
def test_what_is_no_network(given, text, tmp_path):
    with pytest.raises(InputError) as error:
        gs.from_torch(given, SPEC, out=tmp_path / "run")
    assert text in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_float64_stays_float64(tmp_path):
    state = two_circuits(1, np.float64)
    run = gs.from_torch(state, SPEC, out=tmp_path / "run")
    assert run.experiment.precision == "float64"
    assert run.model().hidden_weight.dtype == np.float64
    np.testing.assert_array_equal(run.model().hidden_bias, state["linear1.bias"])
    with pytest.raises(InputError, match="the weights are float64; set precision = 'float64'"):
        gs.from_torch(state, {**SPEC, "precision": "float32"}, out=tmp_path / "other")
    with pytest.raises(InputError, match="step 3: has float64 weights, unlike step 0"):
        gs.from_torch({0: two_circuits(0), 3: state}, SPEC, out=tmp_path / "other")
    half = two_circuits(1, np.float16)
    run = gs.from_torch(half, SPEC, out=tmp_path / "half")
    np.testing.assert_array_equal(run.model().hidden_bias, half["linear1.bias"].astype(np.float32))
