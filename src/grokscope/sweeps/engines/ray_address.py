"""Connect to a Ray cluster: check the address, and check within seconds that a Ray server answers there.

Ray itself waits for minutes where nothing answers.
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

from grokscope.errors import InputError, option

__all__ = ["connect", "ray_module"]

_FORM = re.compile(r"(?:ray://)?(?P<host>\[[0-9a-fA-F:]+\]|[\w.-]+):(?P<port>\d{1,5})")
_TIMEOUT = 5.0  # seconds, to connect and to get an answer
_START = "start one with: ray start --head"
# The connection preface of HTTP/2 and an empty SETTINGS frame (RFC 9113, section 3.4). A gRPC server, such as
# Ray's, answers with its own SETTINGS, a frame of type 4.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_TYPE_BYTE, _SETTINGS = 3, 4


def ray_module() -> Any:
    """Import Ray, configured by environment variables.

    Raises:
        InputError: if it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # send no usage statistics
    # silences a deprecation warning; our tasks request their resources explicitly
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # A cluster started with a token requires it, but a driver sends it only in this mode; a cluster without
    # one ignores it.
    if _has_token():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise InputError("engine ray: Ray is not installed: pip install grokscope[ray]") from None


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
        address = _own_cluster(address) if address == "auto" else address
        host = _checked_host(address)
        if host.startswith("127.") and not address.startswith("ray://"):
            options["_node_ip_address"] = host  # a cluster on loopback addresses needs its driver there
    try:
        with _keep_sigterm_handler():
            ray.init(address=address, **options)
    except Exception as error:
        if any("InvalidAuthToken" in str(one) for one in _causes(error)):
            raise InputError(
                f"{option('address')} {address}: the Ray cluster requires a token: set RAY_AUTH_TOKEN, or "
                "write it to ~/.ray/auth_token (on the cluster: ray get-auth-token)."
            ) from error
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        why = " ".join(lines[: 2 if lines and lines[0].endswith(":") else 1]) or type(error).__name__
        raise InputError(
            f"{option('address')} {address}: the Ray cluster cannot be used: {why[:200]}"
        ) from error


def _has_token() -> bool:
    """Whether there is a token where Ray looks for one."""
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"):
        return True
    return (Path.home() / ".ray" / "auth_token").is_file()


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and its causes."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _own_cluster(address: str) -> str:
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
        raise InputError(f"{option('address')} {address}: no Ray cluster runs on this machine; {_START}")
    return str(found)


def _checked_host(address: str) -> str:
    """The host of an address, after checking that a gRPC server answers there."""
    match = _FORM.fullmatch(address)
    if match is None or not 0 < int(match["port"]) < 2**16:
        raise InputError(f"{option('address')} {address}: write auto, local, HOST:PORT or ray://HOST:PORT.")
    host, port = match["host"].strip("[]"), int(match["port"])
    start = f"{_START} --{'ray-client-server-' if address.startswith('ray://') else ''}port={port}"
    try:
        with socket.create_connection((host, port), _TIMEOUT) as connection:
            if os.environ.get("RAY_USE_TLS", "0") not in ("", "0"):
                return host  # no answer without a certificate
            connection.settimeout(_TIMEOUT)
            connection.sendall(_PREFACE)
            answer = connection.recv(16)
    except OSError as error:
        why = "" if isinstance(error, ConnectionRefusedError) else f" ({error})"
        raise InputError(f"{option('address')} {address}: no Ray answers there{why}; {start}") from None
    if len(answer) <= _TYPE_BYTE or answer[_TYPE_BYTE] != _SETTINGS:
        raise InputError(f"{option('address')} {address}: the server there is not Ray; {start}")
    return host


@contextlib.contextmanager
def _keep_sigterm_handler() -> Generator[None]:
    """Restore our SIGTERM handler, which ``ray.init`` replaces."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
