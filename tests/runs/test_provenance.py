"""Fingerprint and provenance: what is recorded, what is compared, and what must not be there."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jax
import numpy as np

import grokscope
from grokscope.runs import provenance as _provenance
from grokscope.runs.provenance import collect_provenance, git_state, safe_command
from grokscope.store.checksums import state_sha256
from grokscope.store.run_store import fingerprint_difference
from grokscope.training.numerics import (
    compiler_flags,
    cpu_features,
    cpu_model,
    numerics_fingerprint,
)


def fingerprint():
    return numerics_fingerprint(execution="map", block_width=1, precision="float32")


def test_a_fingerprint_is_the_same_twice_and_fits_json():
    assert fingerprint() == fingerprint() == json.loads(json.dumps(fingerprint()))
    assert fingerprint()["jax"] == jax.__version__
    assert fingerprint()["numpy"] == np.__version__
    assert fingerprint()["platform"].startswith(jax.devices()[0].platform)
    assert cpu_model()
    assert list(cpu_features()) == sorted(cpu_features())


def test_what_changes_numbers_changes_the_fingerprint(monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)  # tests have some
    base = fingerprint()
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=2 --xla_dump_to=/tmp/x")
    monkeypatch.setenv("JAX_PLATFORM_NAME", "cpu")
    monkeypatch.setenv("HOSTNAME", "elsewhere")
    assert fingerprint() == base
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    assert fingerprint_difference(base, fingerprint()) == [
        f"xla_flags: {base['xla_flags']} there, --xla_cpu_enable_fast_math=true here"
    ]
    with jax.default_matmul_precision("float32"):
        monkeypatch.setenv("XLA_FLAGS", base["xla_flags"])
        assert [text.split(":")[0] for text in fingerprint_difference(base, fingerprint())] == [
            "jax_default_matmul_precision"
        ]
    wide = numerics_fingerprint(execution="vmap", block_width=256, precision="float64")
    names = [text.split(":")[0] for text in fingerprint_difference(base, wide)]
    assert names == ["execution", "block_width", "precision"]


def test_flags_keep_their_order():
    assert compiler_flags("--xla_b=1 --xla_dump_hlo_as_text --xla_a=2 --xla_b=0") == [
        "--xla_b=1",
        "--xla_a=2",
        "--xla_b=0",
    ]


def test_differences_name_what_is_absent_on_a_side():
    assert fingerprint_difference({"a": 1}, {"b": 1}) == [
        "a: 1 there, absent here",
        "b: absent there, 1 here",
    ]


def test_provenance_says_where_a_run_comes_from():
    found = collect_provenance({"jax": "1"}, argv=["grokscope", "train", "spec.toml"])
    assert json.loads(json.dumps(found)) == found
    assert (found["command"], found["wall_seconds"]) == (["grokscope", "train", "spec.toml"], None)
    assert found["packages"]["jax"] == jax.__version__
    assert found["fingerprint"] == {"jax": "1"}
    assert found["host"] == os.uname().nodename
    assert abs(datetime.fromisoformat(found["started"]) - datetime.now(UTC)) < timedelta(minutes=1)


def test_the_commit_is_that_of_the_package_or_of_a_project_that_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(_provenance, "git_state", lambda project: {"commit": str(project)})
    package = Path(grokscope.__file__).resolve()
    assert package.parts[-3:] == ("src", "grokscope", "__init__.py")
    assert collect_provenance({})["git"] == {"commit": str(package.parents[2])}
    assert collect_provenance({}, project=tmp_path)["git"] == {"commit": str(tmp_path)}


def test_provenance_holds_no_environment_and_no_secrets(monkeypatch):
    monkeypatch.setenv("MY_SETTING", "canary-in-the-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-in-a-secret")
    argv = [
        "grokscope",
        "--token",
        "canary1",
        "--db-password=canary2",
        "s3://key:canary3@bucket/x",
        "--out",
        "shown",
    ]
    text = json.dumps(collect_provenance(fingerprint(), argv=argv))
    assert "canary" not in text
    assert "shown" in text
    assert "s3://***@bucket/x" in text


def test_commands_without_secrets_are_kept_as_they_are():
    argv = ["train", "a.toml", "--set", "optimizer.weight_decay=0.01", "--tokens", "--out", "x@y"]
    assert safe_command(argv) == argv
    argv = ["grokscope", "--out=x", "train", "-q", "name=token", "token", "train"]
    assert safe_command(argv) == argv


def test_only_the_value_of_an_option_with_a_secret_is_hidden():
    argv = ["x", "--token", "a", "shown", "--api-key=b", "shown", "--password", "--out", "shown"]
    assert safe_command(argv) == [
        "x", "--token", "***", "shown", "--api-key=***", "shown", "--password", "--out", "shown"
    ]  # fmt: skip


def test_the_commit_of_a_checkout(tmp_path, monkeypatch):
    assert git_state(tmp_path) is None

    def git(*arguments: str) -> str:
        name = ["-c", "user.name=n", "-c", "user.email=e@x"]
        done = subprocess.run(
            ["git", "-C", str(tmp_path), *name, *arguments], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    git("init", "-q")
    assert git_state(tmp_path) is None  # no commit yet
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-qm", "first")
    assert git_state(tmp_path) == {"commit": git("rev-parse", "HEAD"), "dirty": False}
    (tmp_path / "a").write_text("2")
    assert git_state(tmp_path) == {"commit": git("rev-parse", "HEAD"), "dirty": True}
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(tmp_path) is None  # git is absent


def test_a_state_is_hashed_by_name_type_shape_and_values():
    w, b = np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros(2)
    base = state_sha256({"w": w, "b": b})
    assert (
        base
        == state_sha256({"b": b.copy(), "w": np.asfortranarray(w)})
        == state_sha256({"w": w.astype(">f4"), "b": b})
    )
    others = [
        {"w": w, "c": b},
        {"w": w.astype(np.float64), "b": b},
        {"w": w.reshape(3, 2), "b": b},
        {"w": w, "b": -b},  # -0.0 has other bits
        {"w": w},
    ]
    assert len({base, *(state_sha256(other) for other in others)}) == 6
