"""The user's own arrays: what labels are, files, identity by content, and every kind of bad file."""

import pickle
import struct
import tomllib
import zipfile

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from grokscope import Experiment, InputError
from grokscope.tasks import array_files as _arrays
from grokscope.tasks.arrays import Arrays


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """Arrays of one test are not known to the next."""
    monkeypatch.setattr(_arrays, "remembered", memory := {})
    monkeypatch.setattr("grokscope.tasks.arrays.remembered", memory)
    monkeypatch.setattr(_arrays, "_stamps", {})
    return memory


def some(seed=0, labels="sign", probe=False):
    rng = np.random.default_rng(seed)
    arrays = {}
    for split, count in (("train", 12), ("test", 6), ("probe", 5))[: 3 if probe else 2]:
        arrays[f"{split}_x"] = rng.normal(size=(count, 2, 3)).astype(np.float32)
        arrays[f"{split}_y"] = {
            "sign": rng.choice([-1, 1], count),
            "class": np.arange(count) % 4,
            "real": rng.normal(size=count),
        }[labels]
    return arrays


def save(file, arrays):
    if file.suffix == ".npz":
        np.savez(file, **arrays)
    else:
        save_file(arrays, file)
    return file


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize(("labels", "n_outputs"), [("sign", 1), ("class", 4), ("real", 1)])
def test_arrays_of_a_file_are_served(tmp_path, suffix, labels, n_outputs):
    arrays = some(labels=labels, probe=True)
    task = Arrays(path=str(save(tmp_path / f"data{suffix}", arrays)))
    assert (task.n_train, task.n_test, task.n_probe) == (12, 6, 5)
    assert (task.input_shape, task.n_outputs, task.label_kind) == ((2, 3), n_outputs, labels)
    shared = task.shared_data()
    assert shared.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_allclose(shared[name], array, rtol=1e-6)
        assert shared[name].dtype == (np.int32 if labels == "class" and name.endswith("_y") else np.float32)
    assert task.member_data(jax.random.key(0), jax.random.key(0)) == {}
    assert task.sha256 == Arrays.from_numpy(**arrays).sha256


@pytest.mark.parametrize(
    ("y", "kind", "n_outputs"),
    [
        ([1, -1, 1], "sign", 1),
        ([1.0, -1.0, 1.0], "sign", 1),
        ([0, 1, 0], "class", 2),
        ([0, 0, 0], "class", 2),
        ([0, 2, 5], "class", 6),
        ([0.0, 1.0, 0.0], "real", 1),
        ([True, False, True], "class", 2),
    ],
)
def test_what_labels_are(y, kind, n_outputs):
    if kind == "class" and isinstance(y[0], bool):
        y = np.array(y, dtype=np.uint8)
    x = np.eye(3)
    task = Arrays.from_numpy(train_x=x, train_y=np.array(y), test_x=x, test_y=np.array(y))
    assert (task.label_kind, task.n_outputs) == (kind, n_outputs)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_labels_of_two_dimensions_are_real_vectors(tmp_path, dtype):
    x = np.eye(4)
    y = np.sign(np.random.default_rng(0).normal(size=(4, 3))).astype(dtype)  # signs, and vectors all the same
    file = save(tmp_path / "data.safetensors", {"train_x": x, "train_y": y, "test_x": x[:2], "test_y": y[:2]})
    task = Arrays(path=str(file))
    assert (task.label_kind, task.n_outputs, task.n_test) == ("real", 3, 2)
    np.testing.assert_array_equal(task.shared_data()["train_y"], y)


def test_the_test_arrays_may_be_left_out():
    x, y = np.eye(4), np.array([0, 1, 2, 0])
    task = Arrays.from_numpy(train_x=x, train_y=y)
    shared = task.shared_data()
    assert task.n_test == 0
    assert shared["test_x"].shape == (0, 4)
    assert shared["test_y"].shape == (0,)
    subset = Arrays.from_numpy(train_x=x, train_y=y, train_subset=2)
    assert set(subset.shared_data()) == {"test_x", "test_y"}
    assert set(subset.member_data(jax.random.key(0), jax.random.key(0))) == {"train_x", "train_y"}


def test_binary_inputs_are_noticed():
    x, y = np.array([[1, -1], [1, 1]], dtype=np.int8), np.array([1, -1])
    assert Arrays.from_numpy(train_x=x, train_y=y, test_x=x, test_y=y).has_binary_inputs
    assert not Arrays.from_numpy(train_x=x, train_y=y, test_x=x * 0, test_y=y).has_binary_inputs


def test_float64_arrays_keep_their_digits_in_float64():
    x, y = np.full((2, 1), 1 / 3), np.array([1, -1])
    task = Arrays.from_numpy(train_x=x, train_y=y, test_x=x, test_y=y)
    with jax.enable_x64(True):
        assert float(task.shared_data()["train_x"][0, 0]) == 1 / 3
    assert task.shared_data()["train_x"].dtype == np.float32


def test_subset_is_drawn_without_replacement_per_data_seed():
    arrays = some()
    arrays["train_x"] = np.arange(12.0)[:, None]
    arrays["test_x"] = np.arange(6.0)[:, None]
    arrays["train_y"] = np.arange(12.0) * 10
    arrays["test_y"] = np.arange(6.0)
    task = Arrays.from_numpy(**arrays, train_subset=5)
    assert task.n_train == 5
    assert set(task.shared_data()) == {"test_x", "test_y"}
    seen = set()
    for seed in range(40):
        data = task.member_data(jax.random.key(seed), jax.random.key(0))
        rows = np.asarray(data["train_x"])[:, 0].tolist()
        assert len(set(rows)) == 5
        np.testing.assert_array_equal(data["train_y"], np.array(rows) * 10)
        seen.update(rows)
    assert seen == set(range(12))
    with pytest.raises(
        InputError, match=r"^task\.train_subset: at most the 12 rows of train_x \(got 13\)\.$"
    ):
        Arrays.from_numpy(**arrays, train_subset=13)
    Arrays.from_numpy(**arrays, train_subset=12)


def experiment(task):
    return Experiment(task=task, epochs=3, loss="squared")


def test_identity_is_by_content_not_by_path(tmp_path, forgotten):
    arrays = some()
    one = Arrays(path=str(save(tmp_path / "one.npz", arrays)))
    two = Arrays(path=str(save(tmp_path / "two.safetensors", arrays)))
    assert experiment(one).identity == experiment(two).identity
    assert experiment(one).identity == experiment(Arrays.from_numpy(**arrays)).identity
    changed = {**arrays, "test_y": -arrays["test_y"]}
    three = Arrays(path=str(save(tmp_path / "three.npz", changed)))
    assert experiment(one).identity != experiment(three).identity
    assert experiment(one).identity != experiment(Arrays(path=one.path, train_subset=5)).identity


def test_a_spec_read_from_a_folder_can_be_changed_elsewhere(tmp_path, monkeypatch, forgotten):
    (tmp_path / "run").mkdir()
    text = experiment(Arrays.from_numpy(**some())).to_toml(tmp_path / "run")
    (tmp_path / "run" / "experiment.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    read = Experiment.from_toml(tmp_path / "run" / "experiment.toml")
    changed = read.with_("epochs=7")
    assert (changed.epochs, changed.task.n_train) == (7, read.task.n_train)
    assert changed.to_toml(tmp_path / "other").count("arrays-") == 1
    with pytest.raises(InputError, match="is not a file that exists"):
        read.with_(f"task.sha256={'0' * 64}")


def test_a_file_that_changed_is_noticed(tmp_path):
    file = save(tmp_path / "data.npz", some(0))
    text = experiment(Arrays(path=str(file))).to_toml()
    save(file, some(1, probe=True))
    with pytest.raises(InputError) as error:
        Experiment.from_table(tomllib.loads(text))
    assert str(error.value).startswith(
        f"task.sha256: the arrays in '{file}' are not those of the spec (theirs begins "
    )


def test_sizes_that_a_spec_gives_must_be_the_found_ones(tmp_path):
    file = str(save(tmp_path / "data.npz", some()))
    assert Arrays(path=file, n_train=12) == Arrays(path=file)
    with pytest.raises(
        InputError, match=r"^task\.n_test: found from the arrays: 6 \(got 7\); leave it out\.$"
    ):
        Arrays(path=file, n_test=7)


def test_relative_path_is_found_from_the_working_folder_and_beside_the_spec(tmp_path, monkeypatch, forgotten):
    spec_folder, elsewhere = tmp_path / "spec", tmp_path / "elsewhere"
    spec_folder.mkdir()
    elsewhere.mkdir()
    save(spec_folder / "data.npz", some())
    monkeypatch.chdir(spec_folder)
    first = experiment(Arrays(path="data.npz"))
    (spec_folder / "spec.toml").write_text(first.to_toml())
    monkeypatch.chdir(elsewhere)
    again = Experiment.from_toml(spec_folder / "spec.toml")
    assert again.identity == first.identity
    # another process, which has the task but not the arrays
    packed = pickle.dumps(again)
    forgotten.clear()
    _arrays._stamps.clear()
    np.testing.assert_allclose(pickle.loads(packed).task.shared_data()["train_x"], some()["train_x"])
    with pytest.raises(InputError, match=r"^task\.path: 'data\.npz' is not a file that exists\.$"):
        Arrays(path="data.npz")


def test_arrays_in_memory_need_a_file_for_a_spec(tmp_path, forgotten):
    first = experiment(Arrays.from_numpy(**some(), train_subset=5))
    assert first.with_("epochs=5").task == first.task
    with pytest.raises(InputError) as error:
        first.to_toml()
    assert str(error.value) == (
        "task: these arrays exist only in memory, and a spec needs them in a file: "
        "use task.save('data.safetensors'), or to_toml(folder)."
    )
    for _ in range(2):  # the second time the file is there
        (tmp_path / "experiment.toml").write_text(first.to_toml(tmp_path))
    assert len(list(tmp_path.glob("*.safetensors"))) == 1
    forgotten.clear()
    _arrays._stamps.clear()
    again = Experiment.from_toml(tmp_path / "experiment.toml")
    assert again.identity == first.identity
    assert again.task.train_subset == 5
    forgotten.clear()
    with pytest.raises(InputError, match=r"were in the memory of another process; save them there"):
        Arrays(sha256=first.task.sha256)
    with pytest.raises(InputError, match=r"^task\.path: this key must be given"):
        Arrays()


@pytest.mark.parametrize("name", ["data.npz", "deep/data.safetensors"])
def test_save_and_the_task_that_names_it(tmp_path, name):
    first = Arrays.from_numpy(**some(labels="class"), train_subset=4)
    saved = first.save(tmp_path / name)
    assert (saved.sha256, saved.train_subset, saved.path) == (first.sha256, 4, str(tmp_path / name))
    assert tomllib.loads(experiment(saved).to_toml())["task"]["path"] == saved.path
    first.save(tmp_path / name)
    with pytest.raises(InputError, match="exists and holds other arrays; choose another name"):
        Arrays.from_numpy(**some(1)).save(tmp_path / name)
    with pytest.raises(InputError, match=r"must end in \.safetensors or \.npz"):
        first.save(tmp_path / "data.pt")


def with_(**changes):
    return {name: array for name, array in {**some(), **changes}.items() if array is not None}


NAN = some()["train_x"].copy()
NAN[3, 1, 2] = np.nan
BAD_ARRAYS = [
    (with_(test_y=None), "array 'test_y' is missing; needed: train_x, train_y, test_x, test_y."),
    (
        with_(probe_x=some()["test_x"]),
        "array 'probe_y' is missing; needed: train_x, train_y, test_x, test_y, probe_x, probe_y.",
    ),
    (
        with_(trian_x=some()["test_x"]),
        "array 'trian_x' is not known. Did you mean 'train_x'? "
        "Allowed: train_x, train_y, test_x, test_y, probe_x, probe_y.",
    ),
    (with_(train_x=NAN), "train_x: [3, 1, 2] is nan; numbers must be finite."),
    (with_(test_y=np.array([np.inf] * 6)), "test_y: [0] is inf; numbers must be finite."),
    (with_(train_x=np.ones((12, 2, 3), complex)), "train_x: must hold real numbers, not complex128."),
    (with_(train_y=np.array(["a"] * 12)), "train_y: must hold real numbers, not <U1."),
    (with_(train_y=np.ones(11)), "train_y: must have shape (12,), one label per row of train_x (got (11,))."),
    (
        with_(train_y=np.ones((12, 1))),
        "train_y: must have shape (12,), one label per row of train_x (got (12, 1)).",
    ),
    (
        with_(train_y=np.ones((12, 2))),
        "test_y: must have shape (6, 2), one label per row of test_x (got (6,)).",
    ),
    (
        with_(train_y=np.ones((12, 2), np.int32)),
        "train_y: must have shape (12,), one label per row of train_x (got (12, 2)).",
    ),
    (
        with_(train_x=np.ones(12)),
        "train_x: must have shape (samples, ...) with at least one number (got (12,)).",
    ),
    (
        with_(test_x=np.ones((0, 2, 3)), test_y=np.ones(0)),
        "test_x: must have shape (samples, ...) with at least one number (got (0, 2, 3)).",
    ),
    (with_(test_x=np.ones((6, 3, 2))), "test_x: rows must have the shape of train_x's, (2, 3) (got (3, 2))."),
    (
        with_(train_y=np.arange(12) - 5),
        "train_y: class numbers must be 0..999999 (got -5).",
    ),
    (with_(train_y=np.arange(12) + 10**9), "train_y: class numbers must be 0..999999 (got 1000000011)."),
    (
        with_(train_y=np.ones(12) / 3),
        "train_y: labels must all be +-1, or all class numbers of an integer type, "
        "or all real numbers (got float64).",
    ),
    (
        with_(test_y=np.arange(6)),
        "train_y: class numbers must be 0..999999 (got -1).",
    ),
    (
        with_(train_y=np.ones(12) / 3, test_y=np.arange(6)),
        "train_y: labels must all be +-1, or all class numbers of an integer type, "
        "or all real numbers (got float64).",
    ),
]


@pytest.mark.parametrize(("arrays", "said"), BAD_ARRAYS)
def test_bad_arrays(arrays, said):
    with pytest.raises(InputError) as error:
        Arrays.from_numpy(**arrays)
    assert str(error.value) == f"from_numpy: {said}"


def test_bad_array_in_a_file_names_the_file(tmp_path):
    file = save(tmp_path / "data.npz", with_(train_x=NAN))
    with pytest.raises(InputError) as error:
        Arrays(path=str(file))
    assert str(error.value) == f"{file}: train_x: [3, 1, 2] is nan; numbers must be finite."


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a file ran code",))


def huge_npy(file):
    """A header that claims 8 TB, with 8 bytes behind it."""
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(
            "train_x.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + b"\0" * 8
        )


FILES = [
    ("a.txt", lambda f: f.write_text("x"), "task.path: '{}' must end in .safetensors or .npz."),
    ("a.npz", lambda f: None, "task.path: '{}' is not a file that exists."),
    ("a.npz", lambda f: f.mkdir(), "task.path: '{}' is not a file that exists."),
    ("a.npz", lambda f: f.write_bytes(b""), "{}: not a readable .npz file: "),
    ("a.npz", lambda f: f.write_bytes(b"PK\x03\x04 nothing more"), "{}: not a readable .npz file: "),
    ("a.safetensors", lambda f: f.write_bytes(b""), "{}: not a readable .safetensors file: "),
    (
        "a.safetensors",
        lambda f: f.write_bytes(b"\x10" + b"\0" * 7 + b"not json at all!"),
        "{}: not a readable",
    ),
    (
        "a.safetensors",
        lambda f: f.write_bytes(struct.pack("<Q", 2**60) + b"{}"),
        "a.safetensors: its header claims 1152921504606846976 bytes; the file is damaged.",
    ),
    (
        "a.npz",
        lambda f: np.savez(f, train_x=np.array([Bomb()], dtype=object), allow_pickle=True),
        "a.npz: train_x holds Python objects, which could run code; save numbers.",
    ),
    ("a.npz", huge_npy, "a.npz: the header of train_x claims 8000000000000 bytes, but it has "),
]


@pytest.mark.parametrize(("name", "write", "message"), FILES)
def test_bad_files(tmp_path, name, write, message):
    file = tmp_path / name
    write(file)
    with pytest.raises(InputError) as error:
        Arrays(path=str(file))
    assert str(error.value).startswith(message.format(file))
    assert "\n" not in str(error.value)


def test_a_truncated_file_is_noticed(tmp_path):
    for name in ("a.npz", "a.safetensors"):
        file = save(tmp_path / name, some())
        whole = file.read_bytes()
        for length in range(0, len(whole), 97):
            file.write_bytes(whole[:length])
            with pytest.raises(InputError):
                Arrays(path=str(file))
