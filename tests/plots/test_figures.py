"""Figures show what was put in: lines, bands, marks, axes; and never fall over what is missing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from grokscope.errors import InputError, StoreError
from grokscope.files import atomic_write
from grokscope.plots.curves import first_seeds, seeds_argument, seeds_text, standing
from grokscope.plots.phases import phase_figure
from grokscope.plots.runs import (
    neuron_figure,
    null_figure,
    sensitivity_figure,
    subnetwork_figure,
    training_figure,
)
from grokscope.plots.save import render, save_figure
from grokscope.plots.style import COLOR, epoch_axis, legend, panels, small_print
from grokscope.plots.sweeps import contest_figure
from grokscope.plots.thresholds import ThresholdPanel, thresholds_figure
from grokscope.spec.parts import kinds
from grokscope.spec.streams import parse_seeds
from grokscope.statistics import clopper_pearson
from synthetic_runs import GROKKED, MEMORIZED, SyntheticRun, changed, synthetic_run, unmeasured

RUN = synthetic_run()


def line(axis: Axes, label: str) -> np.ndarray:
    (found,) = [one for one in axis.get_lines() if one.get_label() == label]
    return np.asarray(found.get_xydata())


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.texts)


def all_figures(run: SyntheticRun) -> dict[str, Figure]:
    return {
        "training": training_figure(run.measures, 150),
        "subnetworks": subnetwork_figure(run.measures),
        "sensitivity": sensitivity_figure(run.measures),
        "neurons": neuron_figure(run.measures, run.subnetworks),
        "null": null_figure(run.measures, run.measures),
    }


def test_thresholds_are_drawn_with_their_intervals_and_the_region_is_shaded() -> None:
    points = [(x, clopper_pearson(k, 10)) for x, k in ((1.0, 9), (2.0, 5), (3.0, 0))]
    panel = ThresholdPanel(
        "Share", "growth", {"a": points, "b": points[:2]}, (0.8, np.inf), (2.0,), (0.0, 1.0)
    )
    (axis,) = thresholds_figure([panel], "10 seeds.").axes
    np.testing.assert_allclose(line(axis, "a"), [(1, 0.9), (2, 0.5), (3, 0)])
    band = axis.collections[0].get_paths()[0].vertices
    for x, one in points:
        at = band[band[:, 0] == x, 1]
        assert (at.min(), at.max()) == pytest.approx((one.low, one.high))
    (shade,) = axis.patches
    box = shade.get_extents().transformed(axis.transData.inverted())
    assert (box.y0, box.y1) == pytest.approx((0.8, 1.0))


def test_the_null_shows_when_each_training_accuracy_is_passed() -> None:
    axis = null_figure(RUN.measures, changed(RUN, train_accuracy=lambda v: v * 0 + 0.97).measures).axes[3]
    true, null = (np.asarray(one.get_xydata()) for one in axis.get_lines()[:2])
    assert true[true[:, 0] == 0.98, 1] == pytest.approx(MEMORIZED, rel=0.1)
    assert null[:, 0].max() == 0.96  # 0.97 is not passed
    assert (null[:, 1] == 0).all()


def test_lines_are_means_over_seeds() -> None:
    accuracy, loss, sparsity = training_figure(RUN.measures).axes
    for axis, label, name in (
        (accuracy, "test", "test_accuracy"),
        (loss, "train", "train_loss"),
        (sparsity, "same predictions", "effective_sparsity"),
    ):
        drawn = line(axis, label)
        truth = RUN.measures[name].mean("seed")
        np.testing.assert_allclose(drawn[:, 0], RUN.measures["epoch"])
        np.testing.assert_allclose(drawn[:, 1], truth, rtol=1e-6)


def test_what_was_not_measured_is_left_out_of_lines() -> None:
    drawn = line(sensitivity_figure(RUN.measures).axes[0], "generalizing")
    taken = RUN.measures["sensitivity"].notnull().all(["seed", "subnetwork", "split"])
    np.testing.assert_array_equal(drawn[:, 0], RUN.measures["epoch"][taken])


def test_bands_are_percentiles_and_one_seed_has_none() -> None:
    (band,) = list(training_figure(RUN.measures).axes[1].collections)[:1]
    vertices = band.get_paths()[0].vertices
    truth = np.percentile(RUN.measures["train_loss"], [10, 90], axis=0)
    assert vertices[:, 1].min() == pytest.approx(truth.min(), rel=1e-6)
    assert vertices[:, 1].max() == pytest.approx(truth.max(), rel=1e-6)
    assert not training_figure(synthetic_run(["groks"]).measures).axes[1].collections


def test_epoch_zero_has_a_place_and_ticks_do_not_collide() -> None:
    for epochs, wanted in ((300, [0, 1, 10, 100, 300]), (2500, [0, 1, 10, 100, 1000]), (5, [0, 1, 5])):
        axis = training_figure(synthetic_run(epochs=epochs, every=max(1, epochs // 100)).measures).axes[0]
        assert axis.get_xticks().tolist() == wanted
        places = axis.transAxes.inverted().transform(
            axis.transData.transform([(tick, 0.5) for tick in wanted])
        )[:, 0]
        assert places[0] == pytest.approx(0)
        assert (np.diff(places) > 0.07).all()


def test_events_are_marked_at_their_medians() -> None:
    axis = training_figure(RUN.measures).axes[0]
    assert line(axis, "memorization")[0, 0] == pytest.approx(MEMORIZED, rel=0.15)
    assert line(axis, "grokking")[0, 0] == pytest.approx(GROKKED, rel=0.15)
    never = training_figure(synthetic_run(["never"] * 3 + ["groks"] * 2).measures).axes[0]
    assert "grokking" not in [one.get_label() for one in never.get_lines()]


def test_small_print_says_what_the_figure_stands_on() -> None:
    run = synthetic_run(["groks", "groks", "never", "diverges"])
    figure = training_figure(run.measures, command="grokscope reproduce $x$")
    text = texts(figure)
    assert "4 seeds: 0-3." in text
    assert "4 of 4 memorize, 2 of 4 grok. 1 diverged." in text
    assert "10th to the 90th percentile" in text
    assert "grokscope reproduce $x$" in text  # not read as mathematics
    assert standing(synthetic_run(["groks"]).measures) == "Seed 0. 1 of 1 memorize, 1 of 1 grok."
    two = xr.concat([synthetic_run(["groks", "groks"]).measures] * 3, dim="width")
    assert standing(two, spread=False).startswith("3 cells of 2 seeds: 0, 1. 6 of 6 memorize")


@pytest.mark.parametrize("lines", [1, 3, 4, 8])
def test_small_print_is_below_the_panels_however_long(lines: int) -> None:
    figure, axes = panels(["one", "two"])
    sizes = [axis.get_window_extent().size.tolist() for axis in axes]
    epoch_axis(axes[0], 100)
    small_print(figure, *map(str, range(lines)))
    (print_,) = figure.texts
    assert print_.get_window_extent().y0 > 0
    assert print_.get_window_extent().y1 < min(axis.get_tightbbox().y0 for axis in axes)
    for axis, size in zip(axes, sizes, strict=True):
        assert axis.get_window_extent().size.tolist() == pytest.approx(size)


def test_each_neuron_is_drawn_in_the_color_of_its_set() -> None:
    figure = neuron_figure(RUN.measures, RUN.subnetworks, seed=2)
    sets = RUN.subnetworks.sel(seed=2)
    generalizing = int(sets.sel(subnetwork="generalizing").sum())
    memorizing = int((sets.sel(subnetwork="memorizing") & ~sets.sel(subnetwork="generalizing")).sum())
    from matplotlib.colors import to_hex

    counts = {to_hex(one.get_color()[0]): len(one.get_segments()) for one in figure.axes[0].collections}
    assert counts[COLOR["generalizing"].lower()] == generalizing
    assert counts[COLOR["memorizing"].lower()] == memorizing
    assert sum(counts.values()) == RUN.subnetworks.sizes["neuron"]
    assert all(one.get_rasterized() for one in figure.axes[0].collections)


def test_marked_neurons_have_a_color_and_growth_is_over_the_least_norm_so_far() -> None:
    from matplotlib.colors import to_hex

    outside = ~RUN.subnetworks.isel(subnetwork=0).to_numpy()
    marked = np.zeros((2, RUN.subnetworks.sizes["neuron"]), bool)
    chosen = [np.flatnonzero(row)[:3] for row in outside[[1, 3]]]
    for row, neurons in zip(marked, chosen, strict=True):
        row[neurons] = True
    figure = neuron_figure(RUN.measures, RUN.subnetworks, [1, 3], marked=marked, label="grow")
    assert len(figure.axes) == 4
    for i, seed in enumerate((1, 3)):
        norms = RUN.measures["neuron_norm"].sel(seed=seed).dropna("step").transpose("neuron", "step")
        for axis, values in (
            (figure.axes[2 * i], norms.to_numpy()),
            (figure.axes[2 * i + 1], norms.to_numpy() / np.minimum.accumulate(norms.to_numpy(), axis=1)),
        ):
            (lines,) = [
                one for one in axis.collections if to_hex(one.get_color()[0]) == COLOR["marked"].lower()
            ]
            drawn = np.array([segment[:, 1] for segment in lines.get_segments()])
            np.testing.assert_allclose(drawn, values[chosen[i]], rtol=1e-6)
    assert "3 grow;" in texts(figure)


def test_the_neurons_drawn_are_of_a_seed_that_groks() -> None:
    run = synthetic_run(["never", "groks", "never"])
    assert "Seed 1." in texts(neuron_figure(run.measures, run.subnetworks))
    assert first_seeds(synthetic_run(["never", "groks", "groks", "groks"]).measures, 2) == [1, 2]
    assert first_seeds(synthetic_run(["never", "never"]).measures, 3) == [0]
    with pytest.raises(InputError, match="seed 7 is not in the run"):
        neuron_figure(run.measures, run.subnetworks, seed=7)


@pytest.mark.slow
@pytest.mark.parametrize(
    "run",
    [
        synthetic_run(["groks"]),
        synthetic_run(["never"] * 3),
        synthetic_run(["diverges"] * 2),
        unmeasured(RUN, "sensitivity", "faithfulness", "neuron_norm", "effective_sparsity"),
        unmeasured(RUN),
        changed(RUN, test_loss=lambda values: values.where(values < 0.1, np.inf)),
        synthetic_run(epochs=1),
    ],
    ids=["one seed", "never", "diverges", "little measured", "nothing measured", "infinite", "one epoch"],
)
def test_every_figure_can_be_drawn_of_every_run(run: SyntheticRun) -> None:
    for name, figure in all_figures(run).items():
        assert render(figure, ("svg",))["svg"].startswith(b"<?xml"), name


def test_measures_that_are_absent_leave_their_panels_empty() -> None:
    few = RUN.measures[["train_accuracy", "test_accuracy", "train_loss"]]
    assert training_figure(few).axes[2].get_lines()  # the marks
    subnetwork_figure(few)
    sensitivity_figure(few)
    with pytest.raises(InputError, match="no measure 'neuron_norm'"):
        neuron_figure(few, RUN.subnetworks)


def test_nothing_overlaps_or_leaves_the_page() -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    for name, figure in all_figures(RUN).items():
        renderer = FigureCanvasAgg(figure).get_renderer()
        page = figure.bbox
        boxes = [axis.get_tightbbox(renderer) for axis in figure.axes]
        boxes += [one.get_window_extent(renderer) for one in (*figure.legends, *figure.texts)]
        for i, one in enumerate(boxes):
            assert one.x0 >= page.x0 - 1, (name, i)
            assert one.x1 <= page.x1 + 1, (name, i)
            assert one.y0 >= page.y0 - 1, (name, i)
            assert one.y1 <= page.y1 + 1, (name, i)
            for j, other in enumerate(boxes[:i]):
                assert not one.overlaps(other), (name, i, j)


def test_the_same_data_give_the_same_bytes() -> None:
    first, second = (render(training_figure(RUN.measures)) for _ in range(2))
    assert first == second
    assert b"Date" not in first["pdf"]
    assert b"<dc:date>" not in first["svg"]


def test_the_users_settings_change_nothing() -> None:
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none", "axes.titlesize": 30, "svg.hashsalt": "x"}):
        changed_settings = render(training_figure(RUN.measures), ("svg",))
    assert changed_settings == render(training_figure(RUN.measures), ("svg",))


def test_saving_leaves_no_half_file(tmp_path: Path) -> None:
    save_figure(training_figure(RUN.measures), tmp_path / "figures", "figure-2")
    names = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert names == ["figure-2.pdf", "figure-2.png", "figure-2.svg"]
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="cannot be written"):
        atomic_write(tmp_path / "folder", "text")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figures", "folder"]


@pytest.mark.parametrize("seeds", [[0], [4], [0, 1, 2], [5, 9, *range(20, 30)], [0, 1], [3, 7], [10, 11, 12]])
def test_seeds_are_written_as_they_are_read(seeds: list[int]) -> None:
    assert parse_seeds(seeds_argument(seeds)) == seeds
    assert str(seeds[0]) in seeds_text(seeds)


def test_colors_can_be_told_apart() -> None:
    """All pairs of one figure differ, also for a viewer without red or green receptors (Vienot 1999)."""
    lms = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]])
    protan = np.array([[0, 2.02344, -2.52581], [0, 1, 0], [0, 0, 1]])
    deutan = np.array([[1, 0, 0], [0.494207, 0, 1.24827], [0, 0, 1]])
    together = ["generalizing", "complementary", "control", "norm_matched", "memorizing"]
    rgb = np.array([[int(COLOR[name][i : i + 2], 16) / 255 for i in (1, 3, 5)] for name in together])
    for seen in (np.eye(3), protan, deutan):
        colors = (np.linalg.inv(lms) @ seen @ lms @ rgb.T).T
        for i in range(len(together)):
            for j in range(i):
                assert np.linalg.norm(colors[i] - colors[j]) > 0.12, (together[i], together[j])


def test_kinds_of_papers_do_not_import_matplotlib() -> None:
    import subprocess
    import sys

    assert "two-circuits" in kinds("paper")
    heavy = ("matplotlib", "jax", "xarray")
    code = f"import grokscope.papers.two_circuits, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_datasets_may_have_their_axes_in_any_order() -> None:
    turned = xr.Dataset({name: RUN.measures[name].transpose() for name in RUN.measures})
    a, b = (training_figure(one).axes[0] for one in (RUN.measures, turned))
    np.testing.assert_allclose(line(a, "test"), line(b, "test"))


def test_a_phase_figure_without_any_delay_says_so_and_turns_long_labels():
    cells = {"start": ["identity", "random_circulant"], "share": [0.2, 0.4]}
    grid = np.ones((2, 2))
    values = {"phase": 0 * grid, "phase_share": grid, "share_grokked": 0 * grid, "delay": np.inf * grid}
    values["n"] = 2 * grid
    summary = xr.Dataset({name: (tuple(cells), array) for name, array in values.items()}, cells)
    figure = phase_figure(summary.assign_attrs(phases=("memorization",)), list(cells))
    first, _, delay, *bars = figure.axes
    assert [text.get_text() for text in delay.texts] == ["not reached in any cell"]
    assert len(bars) == 1  # of the share; a color bar of delays would have no colors
    assert {label.get_rotation() for label in first.get_yticklabels()} == {90}


def test_a_contest_shows_the_share_that_has_grokked_of_members_that_stopped() -> None:
    """Of ten contenders, more than there are colors: each a line, which ends at its share of seeds."""
    steps = np.arange(0, 1001, 10)

    def measures(grokked: tuple[float, ...]) -> xr.Dataset:
        accuracy = np.array([np.where(steps >= at, 1.0, 0.5) for at in grokked])
        stopped = steps[None, :] > np.array(grokked)[:, None] + 50  # five points, then nothing
        curves = (("seed", "step"), np.where(stopped, np.nan, accuracy))
        return xr.Dataset({"test_accuracy": curves}, {"step": steps, "seed": range(len(grokked))})

    names = [f"c{i}" for i in range(10)]
    runs = {
        name: SimpleNamespace(
            measures=measures((100.0, 200.0, 300.0 if i else np.inf, np.inf)),
            experiment=SimpleNamespace(n_steps=1000),
            members=range(4),
        )
        for i, name in enumerate(names)
    }
    contest = SimpleNamespace(
        runs=runs,
        scores={name: [300.0, 100.0] for name in names},
        tuning={"c0": SimpleNamespace(cells=[0, 1], members=range(3))},
        standings=(),
    )
    shares, seen, _ = contest_figure(contest).axes
    assert [one.get_label() for one in shares.get_lines()] == names
    np.testing.assert_allclose(line(shares, "c0"), [(1, 0), (100, 0.25), (200, 0.5), (1000, 0.5)])
    np.testing.assert_allclose(line(shares, "c1")[-1], (1000, 0.75))
    assert [len(one.get_xdata()) for one in seen.get_lines()] == [2, 2] + [3, 1] * 9  # seen, and not


@pytest.mark.parametrize(("count", "rows"), [(2, 1), (9, 3)])
def test_a_legend_has_as_many_rows_as_it_needs(count: int, rows: int) -> None:
    figure, (axis,) = panels(["A"])
    before = figure.get_figheight()
    for i in range(count):
        axis.plot([0, 1], [i, i], label=f"a rather long label {i}")
    legend(figure, axis)
    figure.draw_without_rendering()
    (made,) = figure.legends
    tops = {round(text.get_window_extent().y1) for text in made.get_texts()}
    assert len(tops) == rows
    assert made.get_window_extent().x1 <= figure.bbox.x1
    assert axis.get_window_extent().y1 < made.get_window_extent().y0  # not over the data
    assert (figure.get_figheight() > before) == (rows > 1)
