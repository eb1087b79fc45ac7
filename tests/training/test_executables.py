"""Kept executables: the same bits, nothing traced or compiled a second time, and never a wrong program."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

import grokscope as gs
from grokscope.experiment import Experiment
from grokscope.measures import Measure
from grokscope.measures.accuracy import TrainAccuracy
from grokscope.training import cohort, executables
from grokscope.training.executables import (
    KeptProgram,
    Undescribed,
    described,
    source_hash,
    tree_from_json,
    tree_to_json,
)
from grokscope.training.loop import MemberLoop

TINY = {"task": {"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 24, "n_test": 8, "n_probe": 8}}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of executables, as in a process of a user."""
    monkeypatch.setattr(executables, "kept_folder", lambda: tmp_path / "executables")
    monkeypatch.setattr(executables, "source_hash", lambda: "this source")
    return tmp_path / "executables"


def program(made_of="sum", *, traced=None, donate=()):
    """A program over two devices; ``traced`` collects a note for each trace."""

    def weighted(x, y):
        if traced is not None:
            traced.append(made_of)
        return {"a": jnp.tanh(x["b"]) * y.sum(), "c": (x["b"] + 1, None)}

    mesh = Mesh(np.array(jax.devices()[:2]), ("member",))
    member, shared = NamedSharding(mesh, PartitionSpec("member")), NamedSharding(mesh, PartitionSpec())
    mapped = jax.shard_map(
        weighted,
        mesh=mesh,
        in_specs=(PartitionSpec("member"), PartitionSpec()),
        out_specs=PartitionSpec("member"),
    )
    return KeptProgram(mapped, made_of, (member, shared), member, donate=donate), member


X = {"b": np.linspace(-2, 2, 12, dtype=np.float32).reshape(4, 3)}
Y = np.arange(5, dtype=np.float32)


def same_bits(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for leaf, twin in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert leaf.dtype == twin.dtype
        assert leaf.sharding == twin.sharding
        assert np.asarray(leaf).tobytes() == np.asarray(twin).tobytes()


def test_a_second_program_is_read_and_has_the_bits_of_the_compiler_s(folder, monkeypatch):
    traced = []
    first, _ = program(traced=traced)
    made = first(X, Y)
    again, _ = program(traced=traced)
    read = again(X, Y)
    assert traced == ["sum"]
    assert sorted(file.suffix for file in folder.iterdir()) == [".executable", ".json"]
    monkeypatch.setattr(executables, "kept_folder", lambda: None)
    plain, _ = program()
    same_bits(made, plain(X, Y))
    same_bits(read, plain(X, Y))


def test_other_shapes_types_and_makings_are_other_programs(folder):
    traced = []
    one, _ = program(traced=traced)
    one(X, Y)
    one(X, Y[:3])
    one(X, Y.astype(np.int32))
    assert len(traced) == 3
    other, _ = program("another sum", traced=traced)
    other(X, Y)
    assert len(traced) == 4
    assert len(list(folder.glob("*.json"))) == 4
    assert len(list(folder.glob("*.executable"))) == 3  # found by what is computed, once it is traced


def test_another_source_traces_anew_and_finds_the_executable(folder, monkeypatch):
    traced = []
    program(traced=traced)[0](X, Y)
    monkeypatch.setattr(executables, "source_hash", lambda: "another source")
    program(traced=traced)[0](X, Y)
    assert len(traced) == 2
    assert len(list(folder.glob("*.executable"))) == 1
    monkeypatch.setattr(executables, "source_hash", lambda: "")  # not known: no note is read or written
    program(traced=traced)[0](X, Y)
    assert len(traced) == 3
    assert len(list(folder.glob("*.json"))) == 2


@pytest.mark.parametrize("suffix", [".executable", ".json"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_file_is_made_again(folder, suffix, damage):
    first = program()[0](X, Y)
    (file,) = folder.glob(f"*{suffix}")
    content = file.read_bytes()
    half = len(content) // 2
    flipped = content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :]
    file.write_bytes({"cut": content[:half], "flipped": flipped, "empty": b""}[damage])
    same_bits(program()[0](X, Y), first)
    traced = []
    same_bits(program(traced=traced)[0](X, Y), first)
    assert not traced


def test_a_folder_that_cannot_be_written_costs_the_keeping_alone(folder):
    folder.write_text("a file")
    with pytest.warns(UserWarning, match="compile cache .*: cannot be written: ") as said:
        first, again = (program()[0](X, Y) for _ in range(2))
    assert len(said) == 1
    same_bits(first, again)


def test_donated_buffers_are_used_up_as_by_the_compiler_s(folder):
    for _ in range(2):  # made, then read
        kept, member = program("donated", donate=(0,))
        x = jax.device_put(X, {"b": member})
        kept(x, Y)
        assert x["b"].is_deleted()


def test_values_on_one_device(folder):
    def values():
        return {"x": jax.random.normal(jax.random.key(1), (3,)), "n": jnp.int32(4)}

    device = SingleDeviceSharding(jax.devices()[0])
    made, read = (KeptProgram(values, "values", (), device)() for _ in range(2))
    same_bits(made, read)
    assert int(read["n"]) == 4


@pytest.mark.slow
def test_a_whole_training_is_read_and_has_the_same_bits(folder, monkeypatch, tmp_path):
    """Programs of two members on two devices, with the measures of subnetworks."""
    experiment = Experiment(
        **TINY,
        model={"kind": "fully_connected", "width": 8},
        epochs=2,
        batch_size=8,
        measures=["train_accuracy", "subnetwork_norm"],
    )
    made = gs.train(experiment, seeds=2, out=tmp_path / "made")
    cohort._program.cache_clear()
    cohort._shared.cache_clear()

    def not_again(*_, **__):
        raise AssertionError("traced again")

    with monkeypatch.context() as forbidding:
        for name in ("start", "segment", "follow"):
            forbidding.setattr(MemberLoop, name, not_again)
        read = gs.train(experiment, seeds=2, out=tmp_path / "read")
    monkeypatch.setattr(executables, "kept_folder", lambda: None)
    cohort._program.cache_clear()
    cohort._shared.cache_clear()
    plain = gs.train(experiment, seeds=2, out=tmp_path / "plain")
    for run in (read, plain):
        for name, array in made.measures.data_vars.items():
            assert run.measures[name].to_numpy().tobytes() == array.to_numpy().tobytes(), name
        networks, others = (one.networks([made.experiment.n_steps], made.members) for one in (made, run))
        for name, array in networks.items():
            assert others[name].tobytes() == array.tobytes(), name


# --- what a program is made of ---


def closing(value):
    def inner():
        return value

    return inner


def test_different_things_are_described_differently():
    base = Experiment(**TINY, epochs=2)
    others = [
        base.with_(model={"width": 9}),
        base.with_(model={"activation": "gelu"}),
        base.with_(precision="float64"),
        base.with_("optimizer.momentum=0.9"),
        base.with_(loss="squared"),
        base.with_(online=True, steps=4, epochs=None),
    ]
    values = [base, *others, (1,), [1], ((1,),), 1, 1.0, True, "1", None, -0.0, 0.0, TrainAccuracy()]
    texts = [str(described(value)) for value in values]
    assert len({*texts}) == len(values) - 1  # a tuple and a list alone are alike


MADE_OF = """
from grokscope.experiment import Experiment
from grokscope.training import executables
from grokscope.training.devices import prepare_devices
prepare_devices()
experiment = Experiment(task={"kind": "sparse_parity", "n": 6, "k": 2}, optimizer="adamw", epochs=2)
print(executables.described([experiment.shape, experiment.chosen_measures]), executables._settings())
"""


@pytest.mark.slow
def test_other_processes_describe_a_program_in_the_same_words():
    said = [
        subprocess.run(
            [sys.executable, "-c", MADE_OF],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert said[0] == said[1]
    assert "effective_sparsity" in said[0]


def test_length_and_seeds_are_not_part_of_a_program():
    one, other = (Experiment(**TINY, epochs=n, name=f"run {n}").shape for n in (2, 3))
    assert described(one) == described(other)


@pytest.mark.usefixtures("registry")
@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_described_is_refused(tmp_path):
    class Mine(Measure):
        kind: str = "mine_of_test_executables"

    x = np.ones((4, 2), np.float32)
    np.savez(tmp_path / "a.npz", train_x=x, train_y=x[:, 0], test_x=x, test_y=x[:, 0])
    arrays = Experiment(task={"kind": "arrays", "path": str(tmp_path / "a.npz")}, epochs=1)
    for thing in (Mine(), closing(1), lambda: 1, np.float32(1), object(), {1}, arrays.task, int):
        with pytest.raises(Undescribed):
            described((1, thing))


@pytest.mark.parametrize(
    "optimizer",
    ["sgd", {"kind": "sgd", "momentum": 0.9}, "adam", "adamw", {"kind": "adamw", "clip_norm": 1.0}, "muon"],
)
@pytest.mark.parametrize("model", ["fully_connected", "mlp", "transformer"])
def test_states_of_training_are_written_as_json(optimizer, model):
    task = {"kind": "modular_operator", "p": 5} if model == "transformer" else TINY["task"]
    loss = "cross_entropy" if model == "transformer" else "hinge"
    experiment = Experiment(task=task, model=model, loss=loss, optimizer=optimizer, epochs=1)

    def init(key, noise):
        data = {**experiment.task.shared_data(), **experiment.task.member_data(key, noise)}
        return experiment.learner.init(experiment, key, data)

    key = jax.eval_shape(lambda: jax.random.key(0))
    structure = jax.tree.structure(jax.eval_shape(init, key, key))
    assert tree_from_json(tree_to_json(structure)) == structure


def test_a_tree_names_no_class_but_those_of_states():
    for name in (
        "os:system",
        "builtins:tuple",
        "grokscope.files:atomic_write",
        "grokscope.errors:InputError",
    ):
        with pytest.raises(ValueError, match="no class of a tree"):
            tree_from_json({"named": name, "fields": []})
    with pytest.raises(ValueError, match="no node"):
        tree_from_json({"reduce": ["os.system", "true"]})


def test_a_source_that_changed_while_the_process_runs_is_not_known(monkeypatch):
    import psutil

    monkeypatch.setattr(psutil.Process, "create_time", lambda _: 0.0)  # files younger than the process
    assert source_hash.__wrapped__() == ""
    monkeypatch.setattr(psutil.Process, "create_time", lambda _: 1e11)
    assert len(source_hash.__wrapped__()) == 64
