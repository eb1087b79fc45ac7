"""Hostile specs, stores and arrays, made by hand or at random from sound ones."""

from __future__ import annotations

import io
import json
import pickle
import random
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from grokscope.store.open import open_store

# --- specs ---

FIELDS = (
    *("epochs", "steps", "batch_size", "online", "precision", "name", "measures", "task", "model", "loss"),
    *("optimizer", "learner", "schedule", "task.kind", "task.n", "task.k", "task.n_train", "task.n_test"),
    *("task.n_probe", "task.label_noise", "task.labels", "model.kind", "model.width", "loss.kind"),
    *("optimizer.kind", "optimizer.learning_rate", "optimizer.weight_decay", "optimizer.momentum"),
    *("optimizer.schedule", "optimizer.schedule.kind", "schedule.measures", "schedule.slow_measures"),
    *("schedule.follow", "schedule.snapshots", "unknown", "task.unknown", "", "task..n", "\u0000", "Ω"),
)


def _nested(depth: int) -> str:
    return "[" * depth + "1" + "]" * depth


def _table(depth: int) -> str:
    return "{a=" * depth + "1" + "}" * depth


def texts() -> st.SearchStrategy[str]:
    """TOML texts of a value, some of which are no TOML."""
    return st.one_of(
        st.sampled_from(
            [
                *("nan", "-nan", "inf", "-inf", "1e308", "-1e308", "1e-320", "0", "-0", "-1", "0.5", "1e400"),
                *(str(2**31), str(2**63), str(-(2**63)), str(10**30), "9" * 400, "9" * 5000, "0x1f", "1_0"),
                *("true", "false", "''", '"\\u0000"', '"\\u202E"', '"\U0001f600"', '"' + "x" * 100_000 + '"'),
                *("1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "[]", "{}", "[[]]", "[1, 'a', 2.0]"),
                *(_nested(50), _nested(2000), _nested(100_000), _table(50), _table(2000)),
                *("{kind = 1}", "{kind = 'sgd'}", "{kind = 'sparse_parity', n = 3}", "{kind = []}"),
                *("'sparse_parity'", "'full'", "'every 0 epochs'", "'every -1 steps'", "'every 1e9 epochs'"),
                *("'log'", "'ends'", "['log', 'ends']", "[0, 1, 2]", "[-1]", "'1:2:3'", "'::'", "''"),
                *("'../../etc/passwd'", "'/etc/passwd'", "'file:///etc/passwd'", "'__import__(\"os\")'"),
                *("", "=", "]", "'", '"""', "# nothing", "1 1", "{", "[1,,2]", "{a=1,a=2}"),
            ]
        ),
        st.integers().map(str),
        st.floats().map(repr),
        st.text(max_size=40).map(lambda text: json.dumps(text, ensure_ascii=False)),
        st.lists(st.integers(-3, 10**20), max_size=5).map(repr),
    )


SOUND = {
    "epochs": "2",
    "batch_size": "16",
    "measures": '["train_accuracy"]',
    "task.kind": '"sparse_parity"',
    "task.n": "6",
    "task.k": "2",
    "task.n_train": "32",
    "task.n_test": "16",
    "model.kind": '"fully_connected"',
    "model.width": "8",
}


def spec_text(changes: list[tuple[str, str]]) -> str:
    """A spec as dotted keys: the sound one, with some keys replaced or added."""
    keys = {**SOUND, **dict(changes)}
    for key, _ in changes:  # a table that is replaced as a whole must not come twice
        for other in [other for other in keys if other.startswith(f"{key}.")]:
            del keys[other]
    return "".join(f"{key} = {value}\n" for key, value in keys.items())


@st.composite
def specs(draw: st.DrawFn) -> bytes:
    """A spec file: a few bad values, a key that comes twice, or no spec at all."""
    changes = draw(st.lists(st.tuples(st.sampled_from(FIELDS), texts()), min_size=1, max_size=3))
    text = spec_text(changes)
    kind = draw(st.sampled_from(["values", "values", "values", "values", "twice", "cut", "bytes", "noise"]))
    if kind == "twice":
        lines = text.splitlines()
        text += draw(st.sampled_from(lines)) + "\n" if lines else ""
    content = text.encode("utf-8", "surrogatepass")
    if kind == "cut":
        content = content[: draw(st.integers(0, len(content)))]
    if kind == "bytes":
        at = draw(st.integers(0, len(content)))
        content = content[:at] + draw(st.binary(min_size=1, max_size=8)) + content[at:]
    if kind == "noise":
        content = draw(st.binary(max_size=200))
    return content


# --- stores ---


def _change(folder: Path, change: Callable[[Any], None]) -> None:
    """Change a store by the library itself, and say that it is finished: every checksum is right."""
    with open_store(folder, "a") as store:
        session = store._repository.writing()
        tree = store._tree.on(session)
        change(tree)
        tree.flush()
        if session.has_uncommitted_changes:  # by chance it may have been what was there
            store._repository.commit(session, "hostile")
        store.finish()


def _info(tree: Any, path: str, **changes: Any) -> None:
    from dataclasses import replace

    tree.info(path)
    tree._documents[f"{path}/zarr.json"] = replace(tree._known[path], **changes).to_json()


def _some(rng: random.Random, tree: Any) -> str:
    return rng.choice([path for path in tree.paths if not path.startswith("members/")])


def _huge_shape(rng: random.Random, tree: Any) -> None:
    path = rng.choice(tree.paths)
    info = tree.info(path)
    big = rng.choice([10**6, 10**9, 10**12, 2**62])
    axis = rng.randrange(len(info.shape)) if info.shape else 0
    shape = tuple(big if i == axis else size for i, size in enumerate(info.shape)) or (big,)
    _info(tree, path, shape=shape)


def _huge_chunks(rng: random.Random, tree: Any) -> None:
    path = rng.choice(tree.paths)
    info = tree.info(path)
    _info(tree, path, chunks=tuple(rng.choice([0, -1, 10**6, 10**12]) for _ in info.chunks))


def _other_type(rng: random.Random, tree: Any) -> None:
    path = rng.choice(tree.paths)
    _info(tree, path, dtype=np.dtype(rng.choice(["<f8", "|i1", "<u8", "|b1"])))


def _document(rng: random.Random, tree: Any) -> None:
    path = rng.choice(tree.paths)
    tree.info(path)
    document = json.loads(tree._known[path].to_json())
    key = rng.choice(list(document))
    document[key] = rng.choice([None, -1, [], {}, "x" * 1000, [[[]]], 1e308, True, "complex128", "object"])
    tree._documents[f"{path}/zarr.json"] = json.dumps(document).encode()


def _bomb(rng: random.Random, tree: Any) -> None:
    """A chunk of a few kilobytes that unfolds to a gigabyte, with a right checksum."""
    import google_crc32c
    from numcodecs.zstd import Zstd

    from grokscope.store.tree import _key

    path = rng.choice(tree.paths)
    info = tree.info(path)
    body = bytes(Zstd(level=1).encode(np.zeros(2**30, np.uint8)))
    content = body + google_crc32c.value(body).to_bytes(4, "little")
    tree._documents[_key(path, (0,) * len(info.chunks))] = content


def _attributes(rng: random.Random, tree: Any) -> None:
    values = (None, -1, 10**30, "x" * 10_000, [], {}, [[]], True, "../../x", float("1e308"))
    key = rng.choice([*tree.attributes, "measured", "notes", "identity", "steps_per_epoch"])
    tree.set_attributes({**tree.attributes, key: rng.choice(values)})


def _paths(rng: random.Random, tree: Any) -> None:
    name = rng.choice(
        ["../../escaped", "/etc/passwd", "measures", "measures/quick", "", "a/../../b", "x" * 5000]
    )
    tree.paths = sorted({*tree.paths, name})
    tree._save_root()


def _labels(rng: random.Random, tree: Any) -> None:
    path = _some(rng, tree)
    info = tree.info(path)
    labels = rng.choice(
        [{"split": ["<script>"] * 2}, {"subnetwork": []}, [], "x", None, {"seed": ["a"] * 10**5}]
    )
    _info(tree, path, attributes={**info.attributes, "labels": labels})


def _dims(rng: random.Random, tree: Any) -> None:
    path = rng.choice(tree.paths)
    info = tree.info(path)
    names = ["member", "step", "seed", "", "x" * 1000, "member", "../x"]
    _info(tree, path, dims=tuple(rng.choice(names) for _ in range(rng.choice([0, len(info.dims), 7]))))


def _members(rng: random.Random, tree: Any) -> None:
    name = rng.choice(["seed_init", "seed_data", "steps_done", "complete", "diverged_step"])
    count = tree.info(f"members/{name}").shape[0]
    values = np.array([rng.choice([-1, -(2**63), 2**63 - 1, 10**12, 0]) for _ in range(count)], np.int64)
    tree.write(f"members/{name}", [np.arange(count)], values)


FORGED = (
    *(
        _huge_shape,
        _huge_chunks,
        _other_type,
        _document,
        _bomb,
        _attributes,
        _paths,
        _labels,
        _dims,
        _members,
    ),
)


def _random_bytes(folder: Path, rng: random.Random) -> None:
    file = rng.choice([f for f in sorted(folder.rglob("*")) if f.is_file() and f.stat().st_size])
    content = bytearray(file.read_bytes())
    for _ in range(rng.choice([1, 1, 3, 50])):
        content[rng.randrange(len(content))] = rng.randrange(256)
    file.write_bytes(content[: rng.randrange(len(content))] if rng.random() < 0.3 else content)


def _replaced(folder: Path, rng: random.Random) -> None:
    files = [f for f in sorted(folder.rglob("*")) if f.is_file() and f.stat().st_size]
    file = rng.choice(files)
    choices = (b"", b"\x00" * 100, b"{}", b"[" * 100_000, rng.randbytes(5000), rng.choice(files).read_bytes())
    file.write_bytes(rng.choice(choices))


def _spec(folder: Path, rng: random.Random) -> None:
    file = folder / "experiment.toml"
    text = file.read_text()
    line = rng.choice(text.splitlines())
    value = rng.choice(["10000000000000", "-1", "nan", "'x'", "[" * 5000, "true", "'../../secret'"])
    key = line.partition("=")[0].strip()
    file.write_text(text.replace(line, f"{key} = {value}") if "=" in line else text.replace(line, value))


def _links(folder: Path, rng: random.Random) -> None:
    """What should be a file or folder of the run leads elsewhere."""
    outside = folder.parent / "outside"
    name = rng.choice(
        ["experiment.toml", "provenance.json", "checksums.json", "store", "store/chunks", ".lock"]
    )
    place = folder / name
    if place.is_dir():
        shutil.copytree(place, outside / place.name, dirs_exist_ok=True)
        shutil.rmtree(place)
        place.symlink_to(outside / place.name)
    else:
        place.unlink(missing_ok=True)
        place.symlink_to(outside / "precious#1")


def _provenance(folder: Path, rng: random.Random) -> None:
    file = folder / "provenance.json"
    table = json.loads(file.read_text())
    table[rng.choice([*table, "format_version"])] = rng.choice([None, [], -1, 10**40, "x" * 10_000, True, {}])
    file.write_text(json.dumps(table) if rng.random() < 0.7 else "[" * 50_000)


MUTATIONS = (_random_bytes, _replaced, _spec, _links, _provenance)


def mutated(sound: Path, folder: Path, rng: random.Random) -> str:
    """Copy a run and make it hostile; returns how."""
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(sound, folder)
        how = rng.choice([*FORGED, *FORGED, *MUTATIONS, *MUTATIONS])
        if rng.random() < 0.3:  # so that it is not the checksums that notice
            (folder / "checksums.json").unlink()
        if how not in FORGED:
            how(folder, rng)
            return how.__name__.strip("_")
        try:
            _change(folder, lambda tree, how=how: how(rng, tree))
        except BaseException as error:  # what the library does not write; its panics are no exceptions
            if isinstance(error, KeyboardInterrupt):
                raise
            continue
        if rng.random() < 0.5:
            (folder / "checksums.json").unlink()
        return how.__name__.strip("_")


# --- arrays ---


def _arrays(rng: random.Random) -> dict[str, np.ndarray]:
    x = np.array([[rng.choice([-1.0, 1.0]) for _ in range(4)] for _ in range(12)], np.float32)
    y = x[:, 0] * x[:, 1]
    return {"train_x": x[:8], "train_y": y[:8], "test_x": x[8:], "test_y": y[8:]}


def _safetensors(header: dict[str, Any] | bytes, body: bytes, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


class _Runs:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("code was run",))


def _npz(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)
    return out.getvalue()


def _npy(array: np.ndarray, **changes: Any) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        out, {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape, **changes}
    )
    return out.getvalue() + array.tobytes()


def array_files() -> dict[str, bytes]:
    """The fixed list: by name with suffix."""
    rng = random.Random(0)
    arrays = _arrays(rng)
    one = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
    bomb = _npy(np.zeros((2**27,), np.float64))  # a gigabyte of zeros, a megabyte when packed
    objects = io.BytesIO()
    np.save(objects, np.array([_Runs()], object), allow_pickle=True)
    sound = io.BytesIO()
    np.savez(sound, **arrays)
    return {
        "header-of-10-GB.safetensors": _safetensors(b"{}", b"", 10**10),
        "header-negative.safetensors": _safetensors(b"{}", b"", 2**64 - 1),
        "header-not-json.safetensors": _safetensors(b"{" * 5000, b""),
        "header-not-utf8.safetensors": _safetensors(b"\xff\xfe{}", b""),
        "header-deep.safetensors": _safetensors(b'{"a":' * 50_000, b""),
        "overlapping.safetensors": _safetensors({"train_x": one, "train_y": one}, bytes(16)),
        "beyond-the-end.safetensors": _safetensors({"train_x": {**one, "data_offsets": [0, 10**12]}}, b""),
        "10-GB-claimed.safetensors": _safetensors(
            {"train_x": {"dtype": "F32", "shape": [50_000, 50_000], "data_offsets": [0, 16]}}, bytes(16)
        ),
        "twice.safetensors": _safetensors(
            b'{"train_x":' + json.dumps(one).encode() + b',"train_x":' + json.dumps(one).encode() + b"}",
            bytes(16),
        ),
        "path-as-name.safetensors": _safetensors({"../../escaped": one}, bytes(16)),
        "nan.npz": _npz(**{f"{k}.npy": _npy(v * np.nan if k == "train_x" else v) for k, v in arrays.items()}),
        "infinite.npz": _npz(
            **{f"{k}.npy": _npy(v * np.inf if k == "train_x" else v) for k, v in arrays.items()}
        ),
        "10-GB-claimed.npz": _npz(**{"train_x.npy": _npy(arrays["train_x"], shape=(50_000, 50_000))}),
        "negative-shape.npz": _npz(**{"train_x.npy": _npy(arrays["train_x"], shape=(-1, 4))}),
        "bomb.npz": _npz(**{"train_x.npy": bomb, "train_y.npy": bomb}),
        "path-as-name.npz": _npz(**{"..__..__escaped.npy": _npy(arrays["train_x"])}),
        "objects.npz": _npz(**{"train_x.npy": objects.getvalue()}),
        "pickle.npz": pickle.dumps(_Runs()),
        "pickle.safetensors": pickle.dumps(_Runs()),
        "empty.npz": b"",
        "empty.safetensors": b"",
        "text.npz": b"hello\n" * 1000,
        "half.npz": sound.getvalue()[:300],
    }


def mutated_arrays(rng: random.Random, suffix: str) -> bytes:
    """A sound file with some bytes changed, or cut."""
    out = io.BytesIO()
    arrays = _arrays(rng)
    if suffix == ".npz":
        np.savez(out, **arrays)
        content = bytearray(out.getvalue())
    else:
        from safetensors.numpy import save

        content = bytearray(save(arrays))
    for _ in range(rng.choice([1, 2, 10])):
        content[rng.randrange(len(content))] = rng.randrange(256)
    return bytes(content[: rng.randrange(len(content))] if rng.random() < 0.3 else content)
