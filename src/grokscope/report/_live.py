"""The page of a run while it trains: a read-only web server for this machine only.

The page is on 127.0.0.1 at an address that cannot be guessed. All other paths are refused, and so are
requests with another host's name (DNS rebinding). The page asks for the newest numbers every few seconds;
they are computed again after each commit of the run.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from grokscope.errors import GrokscopeError, StoreError
from grokscope.report._page import page_html, policy
from grokscope.report._runs import facts_of, view_of

__all__ = ["LiveReport"]

_HOST = "127.0.0.1"
_OPEN_SECONDS = 12.0  # a page that is open has sent a request within these
_POLL = 0.1


class LiveReport:
    """Serves the page of a run, which may not have begun yet, from a thread of its own.

    Attributes:
        folder: of the run.
        address: of the page.

    Raises:
        StoreError: if no port is available.

    Example:
        >>> import tempfile
        >>> with LiveReport(Path(tempfile.mkdtemp())) as live:
        ...     live.address.startswith("http://127.0.0.1:")
        True
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._token = secrets.token_urlsafe(18)
        self._lock = threading.Lock()
        self._kept: tuple[str, bytes] = ("", b"{}")
        self._sent = ""  # the version that was sent last
        self._last_request = float("-inf")
        try:
            self._server = ThreadingHTTPServer((_HOST, 0), self._handler(), bind_and_activate=True)
        except OSError as error:
            raise StoreError(f"the page cannot be served on {_HOST}: {error.strerror}.") from error
        self._server.daemon_threads = True
        port = self._server.server_address[1]
        self._hosts = {f"{_HOST}:{port}", f"localhost:{port}"}
        self.address = f"http://{_HOST}:{port}/{self._token}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL,), daemon=True)
        self._thread.start()

    def __enter__(self) -> LiveReport:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def let_it_end(self, seconds: float = 6.0) -> None:
        """Wait until an open page has got the last numbers; return at once if none is open."""
        until = time.monotonic() + seconds
        last = self._data()[0]
        while time.monotonic() < until and self._sent != last and self._is_open:
            time.sleep(_POLL)

    @property
    def _is_open(self) -> bool:
        return time.monotonic() - self._last_request < _OPEN_SECONDS

    def answer(self, path: str, host: str, known: str) -> tuple[HTTPStatus, str, bytes, str]:
        """The answer to a request: status, content type, body and version.

        Args:
            path: of the request.
            host: its header ``Host``.
            known: its header ``If-None-Match``: the version that the page has already.
        """
        first, _, rest = path.removeprefix("/").partition("/")
        right = secrets.compare_digest(first.encode(), self._token.encode())
        if host not in self._hosts or not right or rest not in ("", "data"):
            return HTTPStatus.NOT_FOUND, "text/plain", b"", ""
        self._last_request = time.monotonic()
        version, data = self._data()
        if rest == "":
            return HTTPStatus.OK, "text/html", self._page().encode("utf-8", "backslashreplace"), ""
        self._sent = version
        if known and known == version:
            return HTTPStatus.NOT_MODIFIED, "application/json", b"", version
        return HTTPStatus.OK, "application/json", data, version

    def _data(self) -> tuple[str, bytes]:
        """The version of the run and its numbers; computed once for each version."""
        with self._lock:
            try:
                from grokscope.runs import open_run

                run = open_run(self.folder)
                version = f"{run.version}-{run.is_complete}"
                if version != self._kept[0]:
                    text = json.dumps(
                        _numbers_of(run, run.experiment.name or self.folder.name), allow_nan=False
                    )
                    self._kept = (version, text.encode("utf-8", "backslashreplace"))
            except GrokscopeError:
                pass  # not begun yet, or between two commits: keep the last numbers
            return self._kept

    def _page(self) -> str:
        return page_html(self.folder.name, kicker="grokscope: live", live=True)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        live = self

        class Handler(BaseHTTPRequestHandler):
            timeout: ClassVar[float] = 10.0
            server_version = "grokscope"
            sys_version = ""
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                host, known = self.headers.get("Host", ""), self.headers.get("If-None-Match", "")
                status, kind, body, version = live.answer(self.path, host, known.strip('"'))
                self.send_response(status)
                for name, value in (
                    ("Content-Type", f"{kind}; charset=utf-8"),
                    ("Content-Length", str(len(body))),
                    ("Content-Security-Policy", policy(live=True) + "; frame-ancestors 'none'"),
                    ("Cross-Origin-Resource-Policy", "same-origin"),
                    ("X-Content-Type-Options", "nosniff"),
                    ("Referrer-Policy", "no-referrer"),
                    ("Cache-Control", "no-store"),
                ):
                    self.send_header(name, value)
                if version:
                    self.send_header("ETag", f'"{version}"')
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                del format, args  # the terminal belongs to the training

        return Handler


def _numbers_of(run: Any, name: str) -> dict[str, Any]:
    """The numbers of a run for its page, as far as it has been trained."""
    found: dict[str, Any] = {
        "name": name,
        "done": int(min(run.steps_done, default=0)),
        "steps": run.experiment.n_steps,
        "members": len(run.members),
        "complete": run.is_complete,
    }
    if not run.measures_so_far.data_vars:
        return found
    view = view_of(run, name, with_networks=False)
    found["glance"] = facts_of(view)
    found["curves"] = {"runs": [view.curves.data()], "overlay": False}
    if view.competition is not None:
        found["competition"] = {"runs": [view.competition.data()]}
    return found
