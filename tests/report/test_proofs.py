"""What the page says of all inputs, against every input there is."""

from __future__ import annotations

import itertools
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grokscope as gs
from grokscope.circuits.verification import certify
from grokscope.report import ReportFigure, _circuits, page_html, view_of, write_page
from grokscope.report._competition import competition_of
from grokscope.report._curves import Curves
from grokscope.report._networks import networks_of
from grokscope.report._provenance import RunInfo
from grokscope.report._runs import RunView, facts_of

N = 8
ALL = np.array(list(itertools.product((-1.0, 1.0), repeat=N)))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> gs.Run:
    """Two seeds that learn the parity of two of eight bits."""
    experiment = gs.Experiment(
        task={"kind": "sparse_parity", "n": N, "k": 2, "n_train": 200, "n_test": 40, "n_probe": 40},
        model={"kind": "fully_connected", "width": 48},
        epochs=60,
        measures=["train_accuracy", "test_accuracy", "neuron_norm", "output_share"],
        schedule={"snapshots": "log", "slow_measures": "log"},
    )
    return gs.train(experiment, seeds=2, out=tmp_path_factory.mktemp("runs") / "small")


@pytest.fixture(scope="module")
def view(run: gs.Run) -> RunView:
    """What the page shows of it, with time for all proofs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_circuits, "_SECONDS", 600.0)
        return view_of(run, "name")


def worst_margin(run: gs.Run, seed: int, step: int) -> float:
    """The smallest y f(x) over all inputs."""
    network = run.model(seed, step)
    W, b, u = (
        np.asarray(a, np.float64) for a in (network.hidden_weight, network.hidden_bias, network.output_weight)
    )
    return float((ALL[:, 0] * ALL[:, 1] * (np.maximum(ALL @ W + b, 0) @ u)).min())


def right_at(run: gs.Run, seed: int, step: int, x: tuple[int, ...]) -> bool:
    network = run.model(seed, step)
    hidden = np.maximum(np.array(x) @ np.asarray(network.hidden_weight) + np.asarray(network.hidden_bias), 0)
    return bool(x[0] * x[1] * float(hidden @ np.asarray(network.output_weight)) > 0)


@pytest.mark.slow
def test_verdicts_are_those_of_trying_every_input(run: gs.Run, view: RunView) -> None:
    found = view.competition
    assert found is not None
    told: set[str] = set()
    for seed, proofs in found.proofs.items():
        assert (proofs.bits, proofs.is_parity, proofs.n) == ((0, 1), True, N)
        assert sorted(proofs.verdicts) == list(range(len(found.steps)))
        for k in range(0, len(found.steps), 3):
            one, step = proofs.verdicts[k], int(found.steps[k])
            worst = worst_margin(run, seed, step)
            told.add(one.verdict)
            assert one.verdict == ("proved" if worst > 0 else "counterexample")
            assert one.margin is not None
            if one.verdict == "proved":
                assert 0 < one.margin <= worst
            else:
                assert one.input is not None
                assert not right_at(run, seed, step, one.input)
                assert worst <= one.margin + 1e-5
    assert told == {"proved", "counterexample"}


def test_without_time_the_last_networks_are_tried_all_the_same(
    run: gs.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_circuits, "_SECONDS", -1.0)
    monkeypatch.setattr(_circuits, "_INPUTS", 1)
    found = competition_of(run, "name")
    assert found is not None
    for seed, proofs in found.proofs.items():
        last = len(found.steps) - 1
        assert proofs.verdicts[last].verdict == (
            "proved" if worst_margin(run, seed, int(found.steps[-1])) > 0 else "counterexample"
        )
        assert len(proofs.verdicts) < len(found.steps)


def test_what_was_certified_is_taken_from_the_run_and_marked(
    run: gs.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(run.path, tmp_path / "run")
    own = gs.open_run(tmp_path / "run")
    certified = certify(own, steps=[int(step) for step in own.kept_steps(0)[::6]])
    monkeypatch.setattr(_circuits, "_verified", lambda *args: pytest.fail("was decided before"))
    monkeypatch.setattr(_circuits, "_wrong", lambda *args: None)
    monkeypatch.setattr(_circuits, "_SECONDS", -1.0)
    steps = certified["step"].to_numpy()
    networks, _ = networks_of(own, steps, 2)
    proofs = _circuits.proofs_of(own, steps, networks)
    for seed in (0, 1):
        for k, step in enumerate(steps):
            refuted = bool(certified["refuted"].sel(seed=seed, step=step))
            assert proofs[seed].verdicts[k].verdict == ("counterexample" if refuted else "proved")
    events = {event["name"]: event["steps"] for event in Curves(own, "name").data()["events"]}
    right = [[worst_margin(own, seed, int(step)) > 0 for step in steps] for seed in (0, 1)]
    first = [next((int(steps[k]) for k in range(len(steps)) if all(row[k:])), None) for row in right]
    assert events["certified"] == first
    panels = {panel["id"]: panel for panel in Curves(own, "name").data()["panels"]}
    assert [line["measure"] for line in panels["proofs"]["lines"]] == ["proved", "refuted"]
    assert "measure-proof_budget" not in panels


def test_the_top_says_how_many_are_right(run: gs.Run, view: RunView) -> None:
    facts = {what: (value, more) for what, value, more in facts_of(view)}
    right = [worst_margin(run, seed, -1) > 0 for seed in (0, 1)]
    value, more = facts["right for all inputs"]
    assert value == f"{sum(right)} of 2"
    assert f"2^{N}; {2 - sum(right)} refuted" in more


@pytest.mark.slow
@pytest.mark.browser
def test_the_page_shows_the_verdict_of_the_snapshot(
    run: gs.Run, view: RunView, visit: Any, tmp_path: Path
) -> None:
    assert view.competition is not None
    page = visit(write_page(tmp_path / "page.html", "proofs", views=[view]))
    for k in (0, len(view.competition.steps) - 1):
        page.get_by_label("snapshot").evaluate(
            "(s, k) => { s.value = k; s.dispatchEvent(new Event('input', { bubbles: true })); }", k
        )
        page.wait_for_timeout(100)
        step = int(view.competition.steps[k])
        right = worst_margin(run, 0, step) > 0
        assert page.locator("[data-name=proof]").text_content() == ("proved" if right else "refuted")
        if not right:
            signs = page.locator("[data-input]").get_attribute("data-input")
            assert not right_at(run, 0, step, tuple(1 if sign == "+" else -1 for sign in signs))


def info(**provenance: Any) -> RunInfo:
    return RunInfo("name", "2 (0-1)", "", provenance)


def text_of(*infos: RunInfo) -> str:
    """The line at the top of the page of these runs."""
    line = re.search('<p class="soft">(.*?)</p>', page_html("Title", runs=infos))
    assert line is not None
    return re.sub("<[^>]+>", "", line[1])


def test_the_top_says_what_was_run() -> None:
    one = info(
        packages={"grokscope": "1.2"}, git={"commit": "0123456789abcdef", "dirty": True}, wall_seconds=2
    )
    assert text_of(one) == (
        "seeds: 2 (0-1) &middot; grokscope 1.2 &middot; commit 0123456789 with changes &middot; 2 s &middot; "
        "spec and all versions"
    )
    other = info(packages={"grokscope": "1.3"}, git=None, wall_seconds=5)
    # what differs is not said
    assert text_of(one, other) == "seeds: 2 (0-1) &middot; 7 s &middot; spec and all versions"


def figure_html(data: bytes) -> str:
    """The figure on a page."""
    page = page_html("Title", figures=[ReportFigure("a", "A", data)])
    return page[page.index('<figure class="picture" id="a">') : page.index("</figure>")]


def test_pictures_tell_their_size_before_they_are_drawn() -> None:
    svg = (
        b'<?xml version="1.0"?><svg width="9pt" viewBox="0 0 486 201.6" xmlns="http://www.w3.org/2000/svg"/>'
    )
    assert ' width="486" height="202" ' in figure_html(svg)
    png = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (640).to_bytes(4, "big") + (48).to_bytes(4, "big")
    assert ' width="640" height="48" ' in figure_html(png)
    assert " width=" not in figure_html(b"<svg/>")
