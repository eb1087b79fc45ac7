"""An S3 server on this machine for tests: moto's, a process with an environment of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def command() -> str | None:
    """The server's program: in ``.venv-s3`` (what it needs does not go with our own pins), or on the PATH."""
    own = ROOT / ".venv-s3" / "bin" / "moto_server"
    return str(own) if own.is_file() else shutil.which("moto_server")


class Server:
    """The server, at 127.0.0.1, with everything in its memory.

    Args:
        open_requests: after so many requests it looks at who asks; None: never.
    """

    def __init__(self, open_requests: int | None = None) -> None:
        program = command()
        assert program is not None
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        limits = {} if open_requests is None else {"INITIAL_NO_AUTH_ACTION_COUNT": str(open_requests)}
        self._process = subprocess.Popen(
            [program, "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **limits},
        )
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                assert self._process.poll() is None, "the server has ended"
                assert time.monotonic() < end, "the server does not start"
                time.sleep(0.05)

    def make_bucket(self, name: str) -> None:
        """Make a bucket."""
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/{name}", method="PUT")).close()

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
