"""Figures and page of a sweep, from made-up curves."""

import json
import re

import numpy as np
import pytest

from grokscope.plots.phases import PHASE_COLOR
from grokscope.plots.save import render
from grokscope.report import write_report
from grokscope.sweeps import PHASES, sweep_figures
from small_sweeps import made_up

STEPS = [*range(0, 3001, 100)]
DECAYS = "optimizer.weight_decay=0.0,0.01,0.1"
SAMPLES = "task.n_train=20,40"


def curves(settings, seed):
    """More decay and more samples grok earlier; without decay, never."""
    decay = settings.get("optimizer.weight_decay", 0.1)
    speed = decay * settings.get("task.n_train", 40) / 40
    grokked = 200 / speed if speed else np.inf
    steps = np.array(STEPS)
    return {
        "train_accuracy": np.where(steps >= 200, 1.0, 0.6).tolist(),
        "test_accuracy": np.where(steps >= min(grokked, 2500 + 10**6 * (speed == 0)), 1.0, 0.5).tolist(),
    }


def figures(tmp_path, *over):
    return sweep_figures(made_up(tmp_path, over, 3, STEPS, curves), "grokscope sweep x")


def test_two_axes_are_a_phase_diagram(tmp_path):
    sweep = made_up(tmp_path, (DECAYS, SAMPLES), 3, STEPS, curves)
    ((name, _, figure),) = sweep_figures(sweep)
    assert name == "phase-diagram"
    phase, share, delay = figure.axes[:3]
    image = phase.images[0].get_array()
    assert image.shape == (3, 2, 4)
    for place in np.ndindex(3, 2):
        color = PHASE_COLOR[PHASES[int(sweep.statistics.phase.values[place])]]
        rgb = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        np.testing.assert_allclose(image[place][:3], rgb, atol=1e-6)  # all seeds alike: full color
    np.testing.assert_array_equal(share.images[0].get_array(), sweep.statistics.share_grokked.values)
    assert np.ma.getmaskarray(delay.images[0].get_array())[0].all()  # not reached: left gray
    assert phase.get_xlabel() == "n train"
    assert [tick.get_text() for tick in phase.get_xticklabels()] == ["20", "40"]


def test_one_axis_is_curves_with_bands(tmp_path):
    sweep = made_up(tmp_path, (DECAYS,), 3, STEPS, curves)
    ((name, _, figure),) = sweep_figures(sweep)
    assert name == "curves"
    shares, steps, _ = figure.axes
    (grokked,) = [line for line in shares.get_lines() if line.get_label() == "grokked"]
    np.testing.assert_allclose(grokked.get_xydata(), [[0, 0], [0.01, 1], [0.1, 1]])
    (drawn,) = [line for line in steps.get_lines() if line.get_label() == "grokked"]
    assert drawn.get_xydata().tolist() == [[0.01, 2500], [0.1, 2000]]  # the one not reached is left out


@pytest.mark.slow
def test_three_axes_are_small_multiples(tmp_path):
    ((name, title, figure),) = figures(tmp_path, "model.width=8,9,10", DECAYS, SAMPLES)
    assert name == "phase-diagrams"
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["width 8", "width 9", "width 10"]
    assert "by width" in title


def test_axes_with_one_value_are_dropped(tmp_path):
    ((name, _, _),) = figures(tmp_path, DECAYS, "task.n_train=20")
    assert name == "curves"
    assert figures(tmp_path / "one", "task.n_train=20") == []


@pytest.mark.slow
def test_figures_of_the_same_sweep_have_the_same_bytes(tmp_path):
    sweep = made_up(tmp_path, (DECAYS, SAMPLES), 2, STEPS, curves)
    one, other = (render(sweep_figures(sweep)[0][2])["svg"] for _ in range(2))
    assert one == other


@pytest.mark.slow
@pytest.mark.parametrize("over", [(DECAYS,), (DECAYS, SAMPLES)])
def test_the_page_shows_every_cell(tmp_path, over):
    sweep = made_up(tmp_path / "sweep", over, 3, STEPS, curves)
    page = write_report(sweep.path).read_text(encoding="utf-8")
    table = re.findall("<caption>The cells.*?</table>", page, re.DOTALL)[0]
    assert table.count("<tr><td>") == len(sweep.cells)
    assert len(re.findall("<figure ", page)) == 1
    data = json.loads(re.findall('<script type="application/json" id="page-data">(.*?)</script>', page)[0])
    assert [cell["place"] for cell in data["sweep"]["cells"]] == [
        list(place) for place in sorted(sweep.cells)
    ]
    # each cell leads to its own curves
    names = [data["curves"]["runs"][cell["curves"]]["name"] for cell in data["sweep"]["cells"]]
    assert names == [cell["name"] for cell in data["sweep"]["cells"]]
    other = write_report(sweep.path, out=tmp_path / "page.html")
    assert other == tmp_path / "page.html"
