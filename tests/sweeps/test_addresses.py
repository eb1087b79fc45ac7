"""Invalid engine names and cluster addresses: a one-line error within seconds that says what to do."""

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
    with pytest.raises(InputError, match="address auto: is for engine ray"):
        engine_named("local", "auto")


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed")
def test_without_ray_the_error_names_the_extra():
    with pytest.raises(InputError, match=r"pip install grokscope\[ray\]"):
        engine_named("ray", "127.0.0.1:6379")


@pytest.mark.slow
def test_ray_is_imported_only_on_request():
    code = "import sys, grokscope.sweeps, grokscope.cli; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


@pytest.mark.ray
@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "localhost:{}"])
def test_an_address_without_a_server_fails_within_seconds_and_names_the_command(form):
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))  # bound, but not listening
        address = form.format(one.getsockname()[1])
        began = time.monotonic()
        with pytest.raises(
            InputError, match=r"no Ray answers there.*start one with: ray start --head"
        ) as said:
            engine_named("ray", address)
        assert time.monotonic() - began < 15
    assert "\n" not in str(said.value)


@pytest.mark.ray
def test_a_server_that_is_not_ray_is_refused(monkeypatch):
    monkeypatch.setattr("grokscope.sweeps.engines.ray_address._TIMEOUT", 0.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        with pytest.raises(InputError, match="no Ray answers there"):
            engine_named("ray", f"127.0.0.1:{silent.getsockname()[1]}")


@pytest.mark.ray
@pytest.mark.parametrize("address", ["somewhere", "127.0.0.1", "http://127.0.0.1:1", "127.0.0.1:99999"])
def test_invalid_addresses_are_refused(address):
    with pytest.raises(InputError, match=r"write auto, local, HOST:PORT or ray://HOST:PORT"):
        engine_named("ray", address)


def test_a_token_is_found_where_ray_looks_for_it(tmp_path, monkeypatch):
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
def test_a_missing_token_has_an_error_of_its_own(cause, said):
    class Ray:
        @staticmethod
        def init(**_):
            try:
                raise RuntimeError(cause)
            except RuntimeError as error:
                raise ConnectionError("no connection") from error

    with pytest.raises(InputError, match=said):
        connect(Ray, "local")
