"""Addresses of engines and clusters that are not right: one line, soon, and what would help."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
import time

import pytest

from grokscope.errors import InputError
from grokscope.sweeps import engine_named
from grokscope.sweeps.engines.ray_address import _has_token, connect

HAS_RAY = importlib.util.find_spec("ray") is not None


def test_engines_and_their_addresses():
    assert engine_named("local").workers is None
    with pytest.raises(
        InputError, match=r"engine 'rya' is not known. Did you mean 'ray'\? Known: local, ray"
    ):
        engine_named("rya")
    with pytest.raises(InputError, match="--address auto: is for --engine ray"):
        engine_named("local", "auto")


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed")
def test_without_ray_the_extra_is_named():
    with pytest.raises(InputError, match=r"pip install grokscope\[ray\]"):
        engine_named("ray", "127.0.0.1:6379")


def test_nobody_meets_ray_who_does_not_ask_for_it():
    code = "import sys, grokscope.sweeps, grokscope.cli; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


@pytest.mark.ray
@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "localhost:{}"])
def test_where_nothing_answers_it_is_said_at_once_with_the_command(form):
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))  # taken, and not listened at
        address = form.format(one.getsockname()[1])
        began = time.monotonic()
        with pytest.raises(
            InputError, match=r"no Ray answers there.*start one with: ray start --head"
        ) as said:
            engine_named("ray", address)
        assert time.monotonic() - began < 15
    assert "\n" not in str(said.value)


@pytest.mark.ray
def test_what_answers_otherwise_is_not_taken_for_ray(monkeypatch):
    monkeypatch.setattr("grokscope.sweeps.engines.ray_address._TIMEOUT", 0.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        with pytest.raises(InputError, match="no Ray answers there"):
            engine_named("ray", f"127.0.0.1:{silent.getsockname()[1]}")


@pytest.mark.ray
@pytest.mark.parametrize("address", ["somewhere", "127.0.0.1", "http://127.0.0.1:1", "127.0.0.1:99999"])
def test_what_is_no_address(address):
    with pytest.raises(InputError, match=r"write auto, local, HOST:PORT or ray://HOST:PORT"):
        engine_named("ray", address)


def test_a_token_for_clusters_is_looked_for_where_ray_does(tmp_path, monkeypatch):
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert not _has_token()
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("0" * 64)
    assert _has_token()
    monkeypatch.setenv("HOME", str(tmp_path / "elsewhere"))
    assert not _has_token()
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    assert _has_token()


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        ("RPC error: InvalidAuthToken: missing", "the Ray cluster requires a token: set RAY_AUTH_TOKEN"),
        ("the moon", "the Ray cluster cannot be used: no connection"),
    ],
)
def test_a_cluster_that_wants_a_token_is_told_apart(cause, said):
    class Ray:
        @staticmethod
        def init(**_):
            try:
                raise RuntimeError(cause)
            except RuntimeError as error:
                raise ConnectionError("no connection") from error

    with pytest.raises(InputError, match=said):
        connect(Ray, "local")
