"""The page of a run that goes on: who may read it, what it says, and that it follows the run."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import grokscope as gs
from grokscope.progress import SilentProgress
from grokscope.report import LiveReport
from grokscope.report._page import script_hash

SMALL = gs.Experiment(
    name="small",
    task={"kind": "sparse_parity", "n": 8, "k": 2, "n_train": 64, "n_test": 20, "n_probe": 20},
    model={"kind": "fully_connected", "width": 16},
    epochs=10,
    measures=["train_accuracy", "test_accuracy", "test_loss", "neuron_norm", "output_share"],
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("runs") / "small"
    gs.train(SMALL, seeds=2, out=place)
    return place


@pytest.fixture
def live(folder: Path) -> Iterator[LiveReport]:
    server = LiveReport(folder)
    yield server
    server.close()


def ask(live: LiveReport, path: str = "", method: str = "GET", **headers: str) -> http.client.HTTPResponse:
    """Ask for something beside the page; the body is read."""
    address = urlsplit(live.address)
    connection = http.client.HTTPConnection("127.0.0.1", int(address.port or 0), timeout=20)
    place = path if path.startswith("/") else address.path + path
    connection.request(
        method, place, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    answer = connection.getresponse()
    answer.text = answer.read().decode()  # type: ignore[attr-defined]
    connection.close()
    return answer


def test_the_page_and_its_numbers(live: LiveReport) -> None:
    page = ask(live)
    assert page.status == 200
    assert "grokscope: live" in page.text
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert script_hash() in policy
    assert page.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    numbers = ask(live, "data")
    data = json.loads(numbers.text)
    assert (data["name"], data["done"], data["steps"], data["complete"]) == ("small", 20, 20, True)
    assert data["curves"]["runs"][0]["members"] == ["0", "1"]
    assert data["competition"]["runs"][0]["neurons"] == 16
    again = ask(live, "data", If_None_Match=numbers.headers["ETag"])
    assert (again.status, again.text) == (304, "")


@pytest.mark.parametrize(
    ("path", "method", "host"),
    [
        ("/", "GET", None),
        ("/data", "GET", None),
        ("/wrong-token/data", "GET", None),
        ("../../etc/passwd", "GET", None),
        ("experiment.toml", "GET", None),
        ("", "GET", "evil.example"),
        ("data", "GET", "evil.example:80"),
    ],
)
def test_nothing_else_is_served(live: LiveReport, path: str, method: str, host: str | None) -> None:
    answer = ask(live, path, method, **({"Host": host} if host else {}))
    assert (answer.status, answer.text) == (404, "")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_written(live: LiveReport, method: str) -> None:
    assert ask(live, "data", method).status == 501


def test_it_listens_on_this_machine_alone(live: LiveReport) -> None:
    listening = live._server.socket.getsockname()
    assert listening[0] == "127.0.0.1"
    other = LiveReport(live.folder)
    try:
        assert urlsplit(other.address).path != urlsplit(live.address).path
        assert len(urlsplit(live.address).path) > 20
    finally:
        other.close()
    live.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(listening, timeout=1)


def test_a_run_that_has_not_begun_has_no_numbers_yet(tmp_path: Path) -> None:
    with LiveReport(tmp_path / "later") as live:
        assert ask(live, "data").text == "{}"
        gs.train(SMALL, out=tmp_path / "later")
        assert json.loads(ask(live, "data").text)["members"] == 1


def test_it_does_not_wait_for_nobody(live: LiveReport) -> None:
    import time

    began = time.monotonic()
    live.let_it_end(20)
    assert time.monotonic() - began < 10


class Held(SilentProgress):
    """Lets a training go on only when it is told to."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def advance(self, steps: int, note: str = "") -> None:
        self.go_on.wait(60)


@pytest.mark.slow
@pytest.mark.browser
def test_a_page_that_is_open_follows_the_run(visit: Callable[..., Any], tmp_path: Path) -> None:
    held, long = Held(), SMALL.with_("epochs=140")
    with LiveReport(tmp_path / "run") as live, ThreadPoolExecutor(1) as pool:
        page = visit(live.address)
        status = page.locator("#live")
        assert status.text_content() == "waiting for the first numbers"
        begun = pool.submit(gs.train, long, seeds=2, out=tmp_path / "run", progress=held, commit_seconds=0)
        try:
            page.wait_for_selector("#panel-accuracy canvas")  # the first commit; the training is held there
            done = gs.open_run(tmp_path / "run").steps_done.min()
            assert 0 < done < 280
            assert f"step {done} of 280 ({100 * done // 280} %), 2 members" in status.text_content()
            group = page.get_by_role("group", name="seed shown alone")
            group.get_by_role("button", name="1", exact=True).click()
        finally:
            held.go_on.set()
        run = begun.result()
        page.wait_for_selector("#live:has-text('complete, 280 steps')")
        live.let_it_end(1)
        page.wait_for_timeout(100)
        # the new numbers, of the seed that was chosen before
        value = page.locator("#panel-loss .legend b").first.evaluate("b => b.firstChild.textContent")
        assert float(value) == pytest.approx(float(run.measures["test_loss"].sel(seed=1)[-1]), rel=6e-4)
        last = len(run.read_measure("neuron_norm").step) - 1
        assert page.get_by_label("snapshot").get_attribute("max") == str(last)
