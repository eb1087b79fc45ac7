"""The page as a person uses it, in a real browser; the numbers shown are those of the store."""

from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grokscope as gs
from grokscope.claims import Claim, Effect, Region, gather, judge
from grokscope.report import view_of, write_page, write_report
from synthetic_runs import synthetic_run

pytestmark = pytest.mark.browser
EVIL = '</script><img src=x onerror="alert(1)"><script>alert(2)</script>'
Visit = Callable[..., Any]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> gs.Run:
    """Three seeds that learn a parity of two bits in seconds."""
    experiment = gs.Experiment(
        name="small",
        task={"kind": "sparse_parity", "n": 8, "k": 2, "n_train": 200, "n_test": 60, "n_probe": 60},
        model={"kind": "fully_connected", "width": 48},
        epochs=60,
    )
    return gs.train(experiment, seeds=3, out=tmp_path_factory.mktemp("runs") / "small")


@pytest.fixture(scope="module")
def report(run: gs.Run) -> Path:
    """Its page."""
    return write_report(run.path)


@pytest.fixture(scope="module")
def claims_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with two claims, and two experiments of which one never groks."""
    standard, null = synthetic_run(["groks"] * 4, every=3), synthetic_run(["never"] * 4, every=3)
    share = partial(
        Claim,
        paper_value="yes",
        estimand="the share of seeds that do",
        region=Region.at_least(0.8),
        smallest_effect=Effect(0.1, "one seed in ten behaves otherwise"),
        kind="share",
    )
    claims = [
        share(
            id="A1",
            sentence="Loss falls.",
            source="Fig. 2",
            experiment="standard",
            evidence=lambda m: m["test_loss"][:, -1] < 0.5,
        ),
        share(
            id="A2",
            sentence="It does not.",
            source="Fig. 3",
            experiment="null",
            evidence=lambda m: m.sensitivity[:, 0, 0, 0] > 9,
        ),
    ]
    evidence = {
        claim.id: gather(claim, run.measures) for claim, run in zip(claims, (standard, null), strict=True)
    }
    return write_page(
        tmp_path_factory.mktemp("page") / "claims.html",
        "Claims",
        judged=judge((claim, evidence[claim.id]) for claim in claims),
        evidence=evidence,
        views=[view_of(standard, "standard"), view_of(null, "null")],
    )


def shown(page: Any, panel: str, label: str, run: str = "") -> float:
    """The number in a panel's legend."""
    of = f"[data-run={run}]" if run else ""
    entry = page.locator(f"#panel-{panel} .legend li{of} button").filter(
        has=page.get_by_text(label, exact=True)
    )
    return number(entry.locator("b").evaluate("b => b.firstChild.textContent"))


def number(text: str) -> float:
    return float(text.replace("\N{MINUS SIGN}", "-"))


def close(value: float, expected: Any) -> bool:
    """Whether a number that is shown with four digits is the one that is stored."""
    return value == pytest.approx(float(expected), rel=6e-4, abs=1e-12)


def saved(page: Any, button: Any) -> tuple[str, str]:
    """Name and text of the file that a button gives."""
    with page.expect_download() as download:
        button.click()
    return download.value.suggested_filename, Path(download.value.path()).read_text(encoding="utf-8")


def slide(page: Any, to: int) -> None:
    page.get_by_label("snapshot").evaluate(
        "(slider, to) => { slider.value = to; slider.dispatchEvent(new Event('input', { bubbles: true })); }",
        to,
    )
    page.wait_for_timeout(80)


def until(page: Any, true: Callable[[], bool]) -> None:
    """Wait for up to ten seconds (the page's policy forbids what Playwright's own waiting does)."""
    for _ in range(200):
        if true():
            return
        page.wait_for_timeout(50)
    pytest.fail("it did not happen within ten seconds")


def stored_steps(run: gs.Run) -> np.ndarray:
    """The steps at which neurons were looked at."""
    norms = run.read_measure("neuron_norm")
    return norms["step"].to_numpy()


@pytest.mark.slow
def test_it_opens_from_disk_and_shows_the_mean_over_seeds(report: Path, run: gs.Run, visit: Visit) -> None:
    page = visit(report)
    assert page.title() == "small"
    for label, name in (("train", "train_accuracy"), ("test", "test_accuracy")):
        assert close(shown(page, "accuracy", label), run.measures[name][:, -1].mean())
    assert close(
        shown(page, "norms", "generalizing"),
        run.measures["subnetwork_norm"].sel(subnetwork="generalizing")[:, -1].mean(),
    )
    assert page.locator("canvas").first.evaluate(
        "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v)"
    )


def test_a_click_on_a_seed_shows_it_alone(report: Path, run: gs.Run, visit: Visit) -> None:
    page = visit(report)
    group = page.get_by_role("group", name="seed shown alone")
    group.get_by_role("button", name="2", exact=True).click()
    page.wait_for_timeout(80)
    assert close(shown(page, "loss", "test"), run.measures["test_loss"].sel(seed=2)[-1])
    assert page.locator("#competition .seeds button[aria-pressed=true]").text_content() == "2"
    group.get_by_role("button", name="all").click()
    page.wait_for_timeout(80)
    assert close(shown(page, "loss", "test"), run.measures["test_loss"][:, -1].mean())


def test_the_cursor_shows_the_values_of_its_step(report: Path, run: gs.Run, visit: Visit) -> None:
    page = visit(report)
    plot = page.locator("#panel-loss .plot")
    plot.focus()
    for key in ("Home", "ArrowRight", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    page.wait_for_timeout(80)
    epoch = round(float(plot.get_attribute("aria-valuenow")), 9)
    assert epoch == 3
    row = int(np.flatnonzero(run.measures["epoch"] == epoch)[0])
    assert close(shown(page, "loss", "train"), run.measures["train_loss"][:, row].mean())
    assert "epoch 3 (step 21)" in page.locator(".when").text_content()
    page.keyboard.press("Escape")
    page.wait_for_timeout(80)
    assert close(shown(page, "loss", "train"), run.measures["train_loss"][:, -1].mean())


def test_a_drag_zooms_and_a_double_click_undoes_it(report: Path, visit: Visit) -> None:
    page = visit(report)
    plot = page.locator("#panel-accuracy .plot")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    page.mouse.move(box["x"] + 150, box["y"] + 80)
    page.mouse.down()
    page.mouse.move(box["x"] + 250, box["y"] + 90, steps=4)
    page.mouse.up()
    page.wait_for_timeout(80)
    low, high = (
        float(page.locator("#panel-loss .plot").get_attribute(f"aria-value{end}")) for end in ("min", "max")
    )
    assert 0 < low < high < 60  # the other panels have the same axis
    plot.dblclick(position={"x": 200, "y": 80})
    page.wait_for_timeout(80)
    assert [plot.get_attribute(f"aria-value{end}") for end in ("min", "max")] == ["0", "60"]


def test_the_slider_shows_the_snapshot_it_stands_at(report: Path, run: gs.Run, visit: Visit) -> None:
    page = visit(report)
    steps = stored_steps(run)
    shares = run.read_measure("output_share").sel(seed=0)
    generalizing = run.subnetworks.sel(seed=0, subnetwork="generalizing").to_numpy()
    for k in (0, 7, len(steps) - 1):
        slide(page, k)
        words = page.locator(".readout")
        assert number(words.locator("[data-name=step]").text_content()) == steps[k]
        accuracy = run.measures["test_accuracy"].sel(seed=0, step=steps[k])
        assert close(number(words.locator("[data-name='test accuracy']").text_content()), accuracy)
        percent = page.locator("[data-group=generalizing]").text_content().removesuffix(" %")
        expected = 100 * float(shares[k].to_numpy()[generalizing].sum())
        assert number(percent) == pytest.approx(expected, rel=6e-3)
        # the time axis has gone along
        epoch = page.locator("#panel-loss .plot").get_attribute("aria-valuenow")
        assert float(epoch) == pytest.approx(steps[k] / run.experiment.steps_per_epoch)


@pytest.mark.slow
def test_play_goes_on_to_the_end_and_can_be_paused(report: Path, visit: Visit) -> None:
    page = visit(report)
    slider = page.get_by_label("snapshot")
    last = int(slider.get_attribute("max"))
    page.get_by_role("button", name="2\N{MULTIPLICATION SIGN}").click()
    slide(page, 0)
    page.get_by_role("button", name="play").click()
    until(page, lambda: int(slider.input_value()) >= 2)
    page.get_by_role("button", name="pause").click()
    page.wait_for_timeout(100)
    stopped = int(slider.input_value())
    page.wait_for_timeout(400)
    assert int(slider.input_value()) == stopped < last
    slide(page, last - 2)
    page.get_by_role("button", name="play").click()
    until(page, lambda: int(slider.input_value()) == last)
    page.get_by_role("button", name="play").wait_for()  # it has stopped by itself


def test_neurons_and_weights_can_be_taken_away(report: Path, run: gs.Run, visit: Visit) -> None:
    page = visit(report)
    steps = stored_steps(run)
    slide(page, 9)
    name, text = saved(page, page.get_by_role("button", name="every neuron: download as CSV"))
    assert name == f"small-small-seed-0-step-{steps[9]}-neurons.csv"
    rows = list(csv.DictReader(io.StringIO(text)))
    norms = run.read_measure("neuron_norm").sel(seed=0)[9].to_numpy()
    assert [int(row["neuron"]) for row in rows] == list(range(48))
    np.testing.assert_allclose([float(row["norm"]) for row in rows], norms, rtol=1e-3)
    members = run.subnetworks.sel(seed=0, subnetwork="generalizing").to_numpy()
    assert [row["group"] == "generalizing" for row in rows] == members.tolist()

    slide(page, len(steps) - 1)
    _, text = saved(page, page.get_by_role("button", name="weights: download as CSV"))
    rows = list(csv.DictReader(io.StringIO(text)))
    network = run.model(seed=0)
    largest = float(np.abs(network.hidden_weight).max())
    for row in rows:
        j = int(row["neuron"])
        found = [float(row[f"x{bit}"]) for bit in range(8)]
        np.testing.assert_allclose(found, network.hidden_weight[:, j], atol=largest / 3e4, rtol=1e-3)
        assert float(row["output weight"]) == pytest.approx(float(network.output_weight[j]), abs=1e-3)
    assert list(rows[0])[2:4] == ["x0", "x1"]  # the task's own bits come first


def test_the_circuit_is_that_of_the_store(report: Path, run: gs.Run, visit: Visit) -> None:
    from grokscope.circuits import read_circuit

    page = visit(report)
    circuit = read_circuit(run, 0).circuit
    assert circuit.gates, "the small run has learned its task"
    slide(page, len(stored_steps(run)) - 1)
    assert page.locator(".formula").text_content() == circuit.formula
    settings = 2 ** len(circuit.support.bits)
    assert page.locator("[data-name=parity]").text_content() == f"{circuit.n_parity} of {settings}"


def test_a_panels_data_are_those_of_the_store(report: Path, run: gs.Run, visit: Visit) -> None:
    page = visit(report)
    name, text = saved(page, page.get_by_role("button", name="Accuracy: download the data as CSV"))
    assert name == "small-accuracy.csv"
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [int(row["step"]) for row in rows] == run.measures["step"].to_numpy().tolist()
    for seed in range(3):
        column = np.array([np.float32(row[f"test seed {seed}"]) for row in rows])
        np.testing.assert_array_equal(column, run.measures["test_accuracy"].sel(seed=seed).to_numpy())
    mean = run.measures["test_accuracy"].mean("seed").to_numpy()
    np.testing.assert_allclose([float(row["test mean"]) for row in rows], mean, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "button",
    [
        "Loss: download as SVG",
        "every neuron: download as SVG",
        "weights: download as SVG",
        "circuit: download as SVG",
    ],
)
def test_pictures_are_svg(report: Path, visit: Visit, button: str) -> None:
    page = visit(report)
    name, text = saved(page, page.get_by_role("button", name=button))
    assert name.endswith(".svg")
    root = ElementTree.fromstring(text)
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags <= {"svg", "title", "rect", "path", "text", "clipPath", "g", "circle"}
    assert len(list(root.iter())) > 20


@pytest.mark.slow
def test_a_claim_leads_to_what_it_is_judged_by(claims_page: Path, visit: Visit) -> None:
    page = visit(claims_page)
    page.get_by_role("link", name="A1").first.click()
    assert page.locator(".panel.lit").evaluate_all("nodes => nodes.map((n) => n.id)") == ["panel-loss"]
    assert page.locator("#panel-loss .plot").evaluate("node => node === document.activeElement")
    page.get_by_role("link", name="A2").first.click()
    page.wait_for_timeout(100)
    assert page.locator(".panel.lit").evaluate_all("nodes => nodes.map((n) => n.id)") == ["panel-sensitivity"]
    assert page.locator("#panel-sensitivity").is_visible()  # it was folded away
    chosen = page.get_by_role("group", name="experiment").locator("[aria-pressed=true]")
    assert chosen.text_content() == "null"  # the claim's own experiment


@pytest.mark.slow
def test_colors_follow_the_system_and_the_button(report: Path, visit: Visit) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    light, dark = visit(report), visit(report, dark=True)
    assert light.evaluate(background) != dark.evaluate(background)
    before = dark.locator("#panel-loss canvas").first.evaluate("c => c.toDataURL()")
    dark.get_by_role("button", name="light colors").click()
    dark.wait_for_timeout(100)
    assert dark.evaluate(background) == light.evaluate(background)
    assert dark.locator("#panel-loss canvas").first.evaluate("c => c.toDataURL()") != before


@pytest.mark.slow
@pytest.mark.parametrize("width", [380, 1280])
def test_nothing_sticks_out_at_the_side(report: Path, claims_page: Path, visit: Visit, width: int) -> None:
    for file in (report, claims_page):
        page = visit(file, width=width)
        page.locator("details").evaluate_all("nodes => nodes.forEach((node) => (node.open = true))")
        page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_scripts_there_are_tables(report: Path, run: gs.Run, visit: Visit) -> None:
    page = visit(report, scripts=False)
    page.locator("#curves summary").click()
    table = page.locator("#curves table").filter(has_text="Loss")
    last = table.locator("tr").last.locator("td").all_text_contents()
    assert last[0] == "60"
    assert close(float(last[1].split()[0]), run.measures["train_loss"][:, -1].mean())
    assert not page.locator("canvas").count()


@pytest.mark.slow
def test_everything_can_be_reached_by_keyboard(claims_page: Path, visit: Visit) -> None:
    page = visit(claims_page)
    reached: set[str] = set()
    for _ in range(140):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.className + ' ' + document.activeElement.tagName"))
    for wanted in ("plot DIV", "tool BUTTON", "play BUTTON", " INPUT", " SUMMARY", " A"):
        assert wanted in reached, wanted


def test_names_from_files_are_only_names(visit: Visit, tmp_path: Path) -> None:
    made = synthetic_run(["groks", "never"], every=10)
    made.provenance["command"] = EVIL
    made.measures = made.measures.assign({EVIL: made.measures["train_loss"] + 1})
    page = visit(write_page(tmp_path / "evil.html", EVIL, views=[view_of(made, EVIL, EVIL)], command=EVIL))
    assert page.title() == EVIL
    assert page.locator("img").count() == 0
    page.get_by_text("More measures").click()
    name, text = saved(page, page.get_by_role("button", name=f"{EVIL}: download as SVG"))
    assert "<script" not in text
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")


@pytest.mark.slow
def test_two_runs_are_drawn_over_each_other(run: gs.Run, visit: Visit, tmp_path: Path) -> None:
    slower = run.experiment.with_(
        "optimizer.learning_rate=0.05",
        "name='slower'",
        "measures=['train_accuracy', 'test_accuracy', 'test_loss']",
    )
    other = gs.train(slower, seeds=2, out=tmp_path / "slower")
    page = visit(write_report(run.path, other.path, out=tmp_path / "two.html"))
    assert close(shown(page, "loss", "test", "slower"), other.measures["test_loss"][:, -1].mean())
    assert close(shown(page, "loss", "test", "small"), run.measures["test_loss"][:, -1].mean())
    _, text = saved(page, page.get_by_role("button", name="Loss: download the data as CSV"))
    assert {line.split(",")[0] for line in text.splitlines()} == {"run", "small", "slower"}


@pytest.mark.slow
def test_a_cell_of_a_sweep_leads_to_its_curves(run: gs.Run, visit: Visit, tmp_path: Path) -> None:
    base = run.experiment.with_("epochs=6", "measures=['train_accuracy', 'test_accuracy', 'train_loss']")
    swept = gs.sweep(
        base, ["optimizer.learning_rate=0.05,0.1", "task.n_train=40,80,120"], seeds=2, out=tmp_path / "sweep"
    )
    page = visit(write_report(tmp_path / "sweep"))
    cells = page.locator(".map .cell")
    assert cells.count() == 6
    for chosen in page.locator(".map .cell[aria-pressed=true]").all():
        chosen.click()  # none is left
    page.get_by_role("button", name="learning_rate 0.05, n_train 120").click()
    page.get_by_role("button", name="learning_rate 0.1, n_train 40").click()
    page.wait_for_timeout(100)
    for name, settings in (
        ("learning_rate 0.05, n_train 120", {"learning_rate": 0.05, "n_train": 120}),
        ("learning_rate 0.1, n_train 40", {"learning_rate": 0.1, "n_train": 40}),
    ):
        own = page.locator(f"#panel-loss .legend li[data-run='{name}'] b").evaluate(
            "b => b.firstChild.textContent"
        )
        assert close(number(own), swept.cell(**settings).measures["train_loss"][:, -1].mean())
    page.get_by_role("button", name="final test accuracy").click()
    text = page.get_by_role("button", name="learning_rate 0.1, n_train 40").text_content()
    final = float(swept.cell(learning_rate=0.1, n_train=40).measures["test_accuracy"][:, -1].mean())
    assert number(text) == pytest.approx(final, rel=6e-3)
    _, table = saved(page, page.get_by_role("button", name="cells: download as CSV"))
    rows = list(csv.DictReader(io.StringIO(table)))
    assert len(rows) == 6
    found = next(row for row in rows if (row["learning_rate"], row["n_train"]) == ("0.1", "40"))
    assert float(found["final_test_accuracy"]) == pytest.approx(final, rel=1e-6)
    # luck: the shares of all cells, and when the seeds of the chosen ones memorize
    page.get_by_role("button", name="memorization", exact=True).click()
    page.wait_for_timeout(100)
    assert "of 2 seeds" in page.locator("#luck-survival .plot").get_attribute("aria-label")
    _, table = saved(page, page.get_by_role("button", name="download the times as CSV"))
    rows = [
        row for row in csv.DictReader(io.StringIO(table)) if row["cell"] == "learning_rate 0.1, n_train 40"
    ]
    times = swept.times("memorization", learning_rate=0.1, n_train=40)
    assert sum(int(row["seen"]) for row in rows) == times.observed.sum()
    assert sum(int(row["censored"]) for row in rows) == (~times.observed).sum()
    drawing, _ = saved(page, page.get_by_role("button", name="Seeds that succeed: download as SVG"))
    assert drawing.endswith("memorization-shares.svg")
