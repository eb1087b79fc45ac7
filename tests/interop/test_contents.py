"""Which table of tensors a file of torch.save holds, and what is said of the rest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from foreign import two_circuits
from grokscope.errors import InputError
from grokscope.interop._checkpoints import find_snapshots
from grokscope.interop._contents import find_states
from grokscope.interop._steps import Pattern, step_of

A, B = two_circuits(1), two_circuits(2)
OPTIMIZER = {
    "state": {0: {"step": np.float32(3), "exp_avg": np.ones((8, 6), np.float32)}},
    "param_groups": [],
}


def steps(found):
    return [step_of("x", state.said_by, 7)[0] for state in found.states]


# what a file holds, the steps (7 to an epoch), and what is not read
READ = [
    (A, [None], ()),
    ({"net": A, "epoch": 3, "lr": 0.1}, [21], ("lr",)),
    ({"a": {"b": {"weights": A, "global_step": 5}}, "optimizer": OPTIMIZER}, [5], ("optimizer",)),
    ({"model": {"state_dict": A}, "step": np.int64(9), "epoch": 1}, [9], ()),
    ({**A, "step": np.array(4), "config": {"lr": 1}}, [4], ("config",)),
    ({"model": A, "losses": {"train": np.ones(9)}, "seen": np.ones((3, 3), int)}, [None], ("losses", "seen")),
    ({"step": 4, "inner": {"step": 6, "net": A}}, [6], ("step",)),
    ({"epoch": -1, "step": 1.5, "net": A}, [None], ("epoch", "step")),
    ({0: A, 100: B}, [0, 100], ()),
    ({"epoch_0": A, "epoch_10": B, "config": 3}, [0, 70], ("config",)),
    ({"by_epoch": {0: A, 2: B}}, [0, 14], ()),
    ([A, B], [0, 1], ()),
    ([{"epoch": 2, "net": A, "acc": 1}, {"epoch": 4, "net": B, "acc": 1}], [14, 28], ("*.acc",)),
    ({"state_dicts": [A, B], "epochs": np.array([0, 5])}, [0, 35], ()),
    ({"model": B, "checkpoints": [A, B], "checkpoint_epochs": [0, 5]}, [0, 35], ("model",)),
    ({"checkpoints": [A, B], "checkpoint_steps": [0, 5], "epochs": [1, 2, 3]}, [0, 5], ("epochs",)),
    ({"checkpoints": [A, B], "epochs": [9, 9], "checkpoint_epochs": [0, 1]}, [0, 7], ("epochs",)),
    ({"checkpoints": [A, A]}, [0, 1], ()),
]


@pytest.mark.parametrize(("content", "wanted", "unread"), READ, ids=range(len(READ)))
def test_the_state_dicts_are_found_by_what_they_are(content, wanted, unread):
    found = find_states(content, "x.pt")
    assert steps(found) == wanted
    assert set(found.unread) == set(unread)
    for state in found.states:
        assert set(state.tensors) == set(A)
        assert any(state.tensors["linear1.weight"] is one["linear1.weight"] for one in (A, B))


def test_numbers_that_only_may_be_steps_are_said():
    [note] = find_states({0: A, 5: B}, "x.pt").notes
    assert note == "the keys 0, 5 are taken for steps; pattern '{epoch}' takes them for epochs."
    assert steps(find_states({0: A, 5: B}, "x.pt", pattern=Pattern("{epoch}"))) == [0, 35]
    [note] = find_states([A, B], "x.pt").notes
    assert note.startswith(
        "nothing tells the steps of the 2 entries of 'the list': they are taken to be 0, 1"
    )


def test_of_several_tables_one_is_named():
    content = {"model": A, "ema": {"net": B}, "runs": [1]}
    with pytest.raises(InputError) as error:
        find_states(content, "x.pt")
    assert str(error.value) == (
        "x.pt: holds several tables of tensors: model (3 tensors), ema.net (3 tensors). Say which is meant, "
        "for example key='model'."
    )
    for key in ("ema", "ema.net"):
        found = find_states(content, "x.pt", key)
        assert found.states[0].tensors["linear1.bias"] is B["linear1.bias"]
        assert found.unread == ("model", "runs")
    assert find_states({"all": {0: A, 5: B}}, "x.pt", "all.5").states[0].tensors == B
    with pytest.raises(
        InputError, match=r"has no table of tensors 'emma' \(key\)\. It has model \(3 tensors"
    ):
        find_states(content, "x.pt", "emma")
    with pytest.raises(InputError, match=r"several tables of tensors: a \(2 tables\), b \(2 tables\)"):
        find_states({"a": [A, B], "b": [A, B]}, "x.pt")


@pytest.mark.slow
def test_lists_in_lists_without_end_are_not_followed():
    inner = [A]
    inner.append(inner)
    assert find_states({"a": inner}, "x.pt").states[0].tensors == A
    wide: list = [A]
    for _ in range(8):
        wide = [wide] * 10
    with pytest.raises(InputError, match="has more than 100000 tables and lists in each other"):
        find_states(wide, "x.pt")
    deep: list = []
    for _ in range(10**5):
        deep = [deep]
    with pytest.raises(InputError, match="no state dict in it"):
        find_states(deep, "x.pt")


# --- folders ---


def hugging_face(folder: Path, state=A, **more: str) -> Path:
    folder.mkdir(parents=True)
    save_file(state, folder / "model.safetensors")
    for name, text in more.items():
        (folder / f"{name}.json").write_text(text)
    return folder


def sharded(folder: Path) -> Path:
    folder.mkdir()
    names = {name: f"model-0000{1 + i // 2}-of-00002.safetensors" for i, name in enumerate(A)}
    for file in set(names.values()):
        save_file({name: A[name] for name in A if names[name] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    return folder


def numbers(found):
    return [step_of("x", one.said_by, 7)[0] for one in found.snapshots]


def test_folders_of_hugging_face(tmp_path):
    for step in (500, 1000):
        hugging_face(tmp_path / "out" / f"checkpoint-{step}")
    assert numbers(find_snapshots(tmp_path / "out")) == [500, 1000]
    assert numbers(find_snapshots(tmp_path / "out" / "checkpoint-500")) == [500]
    assert numbers(find_snapshots(tmp_path / "out" / "checkpoint-500" / "model.safetensors")) == [500]
    named = hugging_face(tmp_path / "best", trainer_state='{"global_step": 70, "epoch": 2.5}')
    (named / "training_args.bin").write_bytes(b"a pickle")
    found = find_snapshots(named)
    assert numbers(found) == [70]
    assert found.notes == ("ignored: training_args.bin.",)
    np.testing.assert_array_equal(found.snapshots[0].open().read("linear1.bias"), A["linear1.bias"])


def test_shards_are_one_network(tmp_path):
    folder = sharded(tmp_path / "net")
    [one] = find_snapshots(folder).snapshots
    tensors = one.open()
    for name, array in A.items():
        np.testing.assert_array_equal(tensors.read(name), array)
    with pytest.raises(InputError, match=r"is shard 1 of 2 of one network; give its folder"):
        find_snapshots(folder / "model-00001-of-00002.safetensors")
    index = folder / "model.safetensors.index.json"
    good = json.loads(index.read_text())["weight_map"]
    for change, text in (
        ({"linear1.weight": "../../outside.safetensors"}, "no file of the folder"),
        ({"linear1.weight": 3}, "no file of the folder"),
        ({"linear1.weight": "gone.safetensors"}, "is not a regular file"),
        ({"more": good["linear1.weight"]}, "lacks 'more', which model.safetensors.index.json says is there"),
        ({"linear1.weight": good["linear2.weight"]}, "lacks 'linear1.weight'"),
    ):
        index.write_text(json.dumps({"weight_map": {**good, **change}}))
        with pytest.raises(InputError, match=text):
            find_snapshots(folder).snapshots[0].open()
    del good["linear1.bias"]
    index.write_text(json.dumps({"weight_map": good}))
    with pytest.raises(InputError, match=r"has 'linear1\.bias' too, which .* does not say"):
        find_snapshots(folder).snapshots[0].open()
    for content, text in (
        (b"[" * 10**5, "is not JSON, or is damaged"),
        (b"[]", "is not a table"),
        (b"{}", "has no table weight_map"),
        (b" " * (2**22 + 1), "at most 4194304 are read"),
    ):
        index.write_bytes(content)
        with pytest.raises(InputError, match=text):
            find_snapshots(folder)
    index.unlink()
    with pytest.raises(InputError, match=r"is shard 1 of 2 of one network"):
        find_snapshots(folder)


def test_a_shard_that_leads_out_of_the_folder(tmp_path):
    folder = sharded(tmp_path / "net")
    shard = folder / "model-00001-of-00002.safetensors"
    shutil.move(shard, tmp_path / "outside.safetensors")
    shard.symlink_to(tmp_path / "outside.safetensors")
    with pytest.raises(InputError, match="is a link that leads out of the folder"):
        find_snapshots(folder)


def test_the_step_inside_counts_more_than_a_name(tmp_path):
    def save(name, array, **texts):
        save_file(array, tmp_path / name, metadata=texts)

    save("best.safetensors", A, step="49", epoch="7")
    assert numbers(find_snapshots(tmp_path / "best.safetensors")) == [49]
    save("last.safetensors", B, step="70")
    found = find_snapshots(tmp_path)
    assert numbers(found) == [49, 70]
    assert found.notes == ()
    save("third.safetensors", B)
    with pytest.raises(
        InputError, match=r"the step is not clear: .* best\.safetensors, last\.safetensors, th"
    ):
        find_snapshots(tmp_path)


def test_pointers_of_git_lfs(tmp_path):
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "a" * 64 + "\nsize 12345\n"
    for name in ("net.pt", "net.safetensors"):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError) as error:
            find_snapshots(tmp_path / name)
        assert str(error.value) == (
            f"{tmp_path / name}: is a Git LFS pointer, not the file itself; get the file by 'git lfs pull'."
        )
