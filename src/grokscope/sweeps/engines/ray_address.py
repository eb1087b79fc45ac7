"""Connecting to a Ray cluster: what an address may be, and whether something answers there.

Ray itself waits for minutes where nothing answers; here that is found out first, by a greeting.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import signal
import socket
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from grokscope.errors import InputError

__all__ = ["connect", "ray_module"]

_FORM = re.compile(r"(?:ray://)?(?P<host>\[[0-9a-fA-F:]+\]|[\w.-]+):(?P<port>\d{1,5})")
_PATIENCE = 5.0  # seconds, for each of the two steps of the greeting
_START = "start one with: ray start --head"
# The connection preface of HTTP/2 and an empty frame of settings (RFC 9113, section 3.4); a server of gRPC,
# which Ray's are, answers with its own settings, a frame of type 4.
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_TYPE, _SETTINGS = 3, 4


def ray_module() -> Any:
    """Ray.

    Raises:
        InputError: if it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    # Ray says on stderr what it will do otherwise in times to come; our tasks ask for all that they need
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # A cluster that is started where there is a token wants it, but a driver offers it only if told to; one
    # that wants none does not mind.
    if _has_token():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise InputError("--engine ray: Ray is not installed: pip install grokscope[ray]") from None


def connect(ray: Any, address: str) -> None:
    """Connect this process to a cluster, or start one.

    Args:
        ray: the module.
        address: see `grokscope.sweeps.engine_named`.

    Raises:
        InputError: if the address is not one, or no cluster answers there.
    """
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    if address == "local":
        options |= {"include_dashboard": False}
    else:
        address = _found(address) if address == "auto" else address
        host = _greeted(address)
        if host.startswith("127.") and not address.startswith("ray://"):
            options["_node_ip_address"] = host  # a cluster on the loopback addresses wants its driver there
    try:
        with _signals_kept():
            ray.init(address=address, **options)
    except Exception as error:
        if any("InvalidAuthToken" in str(one) for one in _causes(error)):
            raise InputError(
                f"--address {address}: the Ray there wants a token: give it in RAY_AUTH_TOKEN, or in "
                "~/.ray/auth_token (there: ray get-auth-token)."
            ) from error
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = " ".join(lines[: 2 if lines and lines[0].endswith(":") else 1]) or type(error).__name__
        raise InputError(f"--address {address}: the Ray there cannot be used: {said[:200]}") from error


def _has_token() -> bool:
    """Whether this machine has a token for clusters, where Ray looks for one."""
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"):
        return True
    return (Path.home() / ".ray" / "auth_token").is_file()


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _found(address: str) -> str:
    """The address of the cluster that this machine belongs to."""
    given = os.environ.get("RAY_ADDRESS", "")
    if given and given != "auto":
        return given
    services = importlib.import_module("ray._private.services")
    try:
        found = services.get_ray_address_from_environment("auto", None)
    except ConnectionError:
        found = None
    if not found or found == "auto":
        raise InputError(f"--address {address}: no Ray runs on this machine; {_START}")
    return str(found)


def _greeted(address: str) -> str:
    """The host of an address at which a server of Ray's kind answers."""
    match = _FORM.fullmatch(address)
    if match is None or not 0 < int(match["port"]) < 2**16:
        raise InputError(f"--address {address}: write auto, local, HOST:PORT or ray://HOST:PORT.")
    host, port = match["host"].strip("[]"), int(match["port"])
    usual = "ray://" if address.startswith("ray://") else ""
    start = f"{_START} --port={port}" if not usual else f"{_START} --ray-client-server-port={port}"
    try:
        with socket.create_connection((host, port), _PATIENCE) as connection:
            if os.environ.get("RAY_USE_TLS", "0") not in ("", "0"):
                return host  # it greets nobody without a certificate
            connection.settimeout(_PATIENCE)
            connection.sendall(_GREETING)
            answer = connection.recv(16)
    except OSError as error:
        why = "" if isinstance(error, ConnectionRefusedError) else f" ({error})"
        raise InputError(f"--address {address}: no Ray answers there{why}; {start}") from None
    if len(answer) <= _TYPE or answer[_TYPE] != _SETTINGS:
        raise InputError(f"--address {address}: what answers there is not Ray; {start}")
    return host


@contextlib.contextmanager
def _signals_kept() -> Generator[None]:
    """Ray takes SIGTERM for itself; here it ends the work as everywhere else."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
