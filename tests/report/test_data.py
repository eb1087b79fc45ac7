"""The numbers on their way into the page: what is packed is what was measured."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import grokscope as gs
from grokscope.claims import Claim, Effect, Judged, Region
from grokscope.report._arrays import embedded_json, log_code, packed
from grokscope.report._circuits import circuit_of
from grokscope.report._claims import evidence_svg, measures_read, panels_of_claims
from grokscope.report._competition import GROUPS, competition_of
from grokscope.report._curves import Curves, member_labels, panels_for
from grokscope.report._networks import networks_of
from grokscope.report._runs import view_of
from grokscope.spec.streams import Members
from synthetic_runs import synthetic_run


def unpacked(written: dict[str, Any]) -> np.ndarray:
    data = base64.b64decode(written["data"])
    return np.frombuffer(data, np.dtype(written["type"]).newbyteorder("<")).reshape(written["shape"])


@pytest.mark.parametrize("kind", ["f4", "f8", "i4", "i2", "u2", "u1"])
def test_arrays_come_back(kind: str) -> None:
    values = np.arange(24).reshape(2, 3, 4)
    np.testing.assert_array_equal(unpacked(packed(values, kind)), values)


def test_codes_are_as_exact_as_they_say() -> None:
    values = 10.0 ** np.random.default_rng(0).uniform(-4, 3, 1000)
    code = log_code(values, decades=7)
    codes = code.codes(values).astype(float)
    back = code.low * (code.high / code.low) ** (codes / 65534)
    assert np.abs(back / values - 1).max() <= code.relative_error * 1.0001 < 2e-4


def test_text_cannot_leave_its_element() -> None:
    text = embedded_json({"a": "</script><!-- <script>"})
    assert "<" not in text
    assert json.loads(text) == {"a": "</script><!-- <script>"}
    with pytest.raises(ValueError, match="Out of range"):
        embedded_json(float("nan"))


def test_curves_are_the_mean_and_percentiles_of_the_members() -> None:
    run = synthetic_run(["groks", "never", "diverges"], every=10)
    data = Curves(run, "name").data()
    (panel,) = [one for one in data["panels"] if one["id"] == "loss"]
    (line,) = [one for one in panel["lines"] if one["measure"] == "test_loss"]
    variant = line["variants"][""]
    stored = run.measures["test_loss"].to_numpy()  # NaN from where a seed is lost
    for name, expected in (
        ("mean", np.nanmean(stored, axis=0)),
        ("low", np.nanpercentile(stored, 10, axis=0)),
        ("high", np.nanpercentile(stored, 90, axis=0)),
        ("each", stored),
    ):
        np.testing.assert_allclose(unpacked(variant[name]), expected, rtol=1e-6, err_msg=name)
    np.testing.assert_array_equal(unpacked(data["grids"][variant["grid"]]), run.measures["step"])
    assert data["events"][1]["steps"][1:] == [None, None]  # one never groks, one is lost before


def test_measures_are_drawn_once_and_on_their_own_grid() -> None:
    run = synthetic_run(["groks"], every=5)
    data = Curves(run, "name").data()
    drawn = [line["measure"] for panel in data["panels"] for line in panel["lines"]]
    assert {"faithfulness", "sensitivity", "train_loss"} <= set(drawn)
    assert "neuron_norm" not in drawn  # no curve: as many values as neurons
    (panel,) = [one for one in data["panels"] if one["id"] == "sensitivity"]
    assert set(panel["lines"][0]["variants"]) == {"train", "test"}
    slow = unpacked(data["grids"][panel["lines"][0]["variants"]["test"]["grid"]])
    assert 2 < len(slow) < run.measures.sizes["step"]


def test_of_many_members_the_first_are_on_the_page_and_the_bands_are_of_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = synthetic_run(["groks"] * 6, every=20)
    whole = Curves(run, "name").data()
    points = sum(
        unpacked(variant["mean"]).size
        for panel in whole["panels"]
        for line in panel["lines"]
        for variant in line["variants"].values()
    )
    monkeypatch.setattr("grokscope.report._curves._MOST_BYTES", 4 * points * 2)
    data = Curves(run, "name").data()
    assert (whole["shown"], data["shown"]) == (6, 2)
    for panel, other in zip(data["panels"], whole["panels"], strict=True):
        for line, same in zip(panel["lines"], other["lines"], strict=True):
            for split, variant in line["variants"].items():
                assert variant["mean"] == same["variants"][split]["mean"]
                assert unpacked(variant["each"]).shape[0] == 2


def test_fewer_points_are_some_of_the_same() -> None:
    run = synthetic_run(["groks"])
    few = Curves(run, "name", only=frozenset(["test_loss"]), points=20).data()
    assert [panel["id"] for panel in few["panels"]] == ["loss"]
    steps = unpacked(few["grids"][0])
    assert len(steps) <= 20
    assert {0, 9600} <= set(steps)
    mean = unpacked(few["panels"][0]["lines"][0]["variants"][""]["mean"])
    np.testing.assert_allclose(mean, run.measures["test_loss"].sel(seed=0, step=steps), rtol=1e-6)


def test_a_measure_of_ones_own_has_a_panel_and_a_curve_for_each_label() -> None:
    run = synthetic_run(["groks"], every=30)
    own = xr.DataArray(
        np.random.default_rng(0).random((1, run.measures.sizes["step"], 3)),
        dims=("seed", "step", "head"),
        attrs={"units": "nats"},
    )
    run.measures = run.measures.assign(entropy=own)
    data = Curves(run, "name").data()
    (panel,) = [one for one in data["panels"] if one["id"] == "measure-entropy"]
    assert (panel["unit"], [line["label"] for line in panel["lines"]]) == ("nats", ["0", "1", "2"])
    np.testing.assert_allclose(unpacked(panel["lines"][2]["variants"][""]["mean"]), own[0, :, 2], rtol=1e-6)


def test_of_many_subtasks_some_are_shown_and_the_panel_says_so() -> None:
    run = synthetic_run(["groks"], every=30)
    losses = xr.DataArray(
        np.random.default_rng(0).random((1, run.measures.sizes["step"], 20)),
        dims=("seed", "step", "subtask"),
        coords={"subtask": np.arange(1, 21)},
        attrs={"units": "bits"},
    )
    run.measures = run.measures.assign(subtask_loss=losses)
    (panel,) = [one for one in Curves(run, "name").data()["panels"] if one["id"] == "measure-subtask_loss"]
    assert panel["unit"] == "bits, 8 of 20 subtasks"
    ranks = [int(line["label"].removeprefix("subtask ")) for line in panel["lines"]]
    assert ranks == sorted(set(ranks))
    assert (ranks[0], ranks[-1], len(ranks)) == (1, 20, 8)
    for line, rank in zip(panel["lines"], ranks, strict=True):
        drawn = unpacked(line["variants"][""]["mean"])
        np.testing.assert_allclose(drawn, losses[0].sel(subtask=rank), rtol=1e-6)


def test_panels_come_in_their_own_order() -> None:
    found = panels_for([("train_loss", "", ((),)), ("other", "", ((),)), ("train_accuracy", "", ((),))])
    assert [panel.id for panel in found] == ["accuracy", "loss", "measure-other"]


def test_members_are_called_by_what_tells_them_apart() -> None:
    assert member_labels(Members.of_seeds([4, 7])) == ["4", "7"]
    crossed = Members.crossed(init=[1], data=[0, 2], order=[5, 6])
    assert member_labels(crossed) == [
        "data 0, order 5",
        "data 0, order 6",
        "data 2, order 5",
        "data 2, order 6",
    ]


def test_groups_of_neurons_share_the_output() -> None:
    run = synthetic_run(["groks", "never"], width=40)
    found = competition_of(run, "name")
    assert found is not None
    assert found.share_is == "share of the output on test inputs"
    np.testing.assert_allclose(found.group_share.sum(axis=-1), 1, rtol=1e-12)
    sets = run.subnetworks.sel(seed=0)
    own = sets.sel(subnetwork="generalizing").to_numpy()
    np.testing.assert_array_equal(found.group[0] == GROUPS.index("generalizing"), own)
    stored = run.measures["output_share"].sel(seed=0, step=found.steps).to_numpy()
    np.testing.assert_allclose(found.group_share[0, :, 0], stored[:, own].sum(axis=1), rtol=1e-12)
    data = found.data()
    codes = unpacked(data["norm"]["codes"]).astype(float)
    back = data["norm"]["low"] * (data["norm"]["high"] / data["norm"]["low"]) ** (codes / 65534)
    np.testing.assert_allclose(back, found.norm, rtol=2e-4)


def test_without_shares_of_the_output_those_of_the_path_norm_are_shown() -> None:
    run = synthetic_run(["groks"], width=40)
    run.measures = run.measures.drop_vars("output_share")
    found = competition_of(run, "name")
    assert found is not None
    assert found.share_is == "share of the path norm"
    np.testing.assert_allclose(found.share.sum(axis=-1), 1, rtol=1e-12)
    run.measures = run.measures.drop_vars("neuron_norm")
    assert competition_of(run, "name") is None


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> gs.Run:
    experiment = gs.Experiment(
        task={"kind": "sparse_parity", "n": 8, "k": 2, "n_train": 120, "n_test": 30, "n_probe": 30},
        model={"kind": "fully_connected", "width": 32},
        epochs=60,
        measures=["train_accuracy", "test_accuracy", "neuron_norm", "output_share", "faithfulness"],
    )
    return gs.train(experiment, seeds=2, out=tmp_path_factory.mktemp("runs") / "small")


@pytest.mark.slow
def test_weights_and_circuits_are_those_of_the_networks(trained: gs.Run) -> None:
    from grokscope.circuits import read_circuit

    found = competition_of(trained, "name")
    assert found is not None
    assert (list(found.weights), list(found.circuits), found.note) == ([0, 1], [0, 1], "")
    weights = found.weights[1]
    assert weights.bits.tolist() == list(range(8))
    assert weights.n_support == 2
    for k in (0, len(found.steps) // 2, -1):
        network = trained.model(1, int(found.steps[k]))
        np.testing.assert_array_equal(
            weights.hidden[k], np.asarray(network.hidden_weight)[:, weights.neurons].T
        )
        np.testing.assert_array_equal(weights.output[k], np.asarray(network.output_weight)[weights.neurons])
    circuit = read_circuit(trained, 1).circuit
    shown = found.circuits[1]
    assert (shown.formula, shown.support) == (circuit.formula, circuit.support.bits)
    assert shown.right[-1] == circuit.n_parity
    own = {j for gate in shown.gates[-1] for j in gate["neurons"]}
    assert own == {j for gate in circuit.gates for j in gate.neurons}


def test_what_takes_too_long_is_not_trained_again(trained: gs.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = np.array([0, 5, int(trained.steps_done[0])])
    found, note = networks_of(trained, steps, 2)
    assert ([len(one.snapshots) for one in found.values()], note) == ([3, 3], "")
    monkeypatch.setattr("grokscope.report._networks._REPLAY_FLOPS", 1.0)
    found, note = networks_of(trained, steps, 2)
    assert [one.snapshots.tolist() for one in found.values()] == [[0, 2], [0, 2]]  # the ends are kept
    assert "schedule.snapshots=log" in note
    view = circuit_of(trained, 0, found[0])
    assert view is not None
    assert view.snapshots == (0, 2)


def claim(evidence: Any, **changes: Any) -> Claim:
    asked: dict[str, Any] = {
        "id": "C1", "sentence": "So.", "source": "Fig. 1", "paper_value": None, "unit": "", "estimand": "it",
        "region": Region.at_least(0.5), "smallest_effect": Effect(0.1, "some"), "kind": "mean",
        "experiment": "standard", "evidence": evidence,
    }  # fmt: skip
    return Claim(**{**asked, **changes})


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (lambda m: m["test_loss"] - m["train_loss"], ["test_loss", "train_loss"]),
        (lambda m: m.faithfulness.sel(split="test") + m["faithfulness"], ["faithfulness"]),
        (lambda m: m["seed"], []),
        (lambda m: m["train_loss"] + m["no such"], ["train_loss"]),
        (lambda m: xr.merge([m, m]), []),  # cannot be followed, and does not fail
    ],
)
def test_what_a_claim_looks_at(evidence: Any, expected: list[str]) -> None:
    assert measures_read(claim(evidence), synthetic_run(["groks"], every=50).measures) == expected


def test_the_papers_claims_lead_to_their_plots() -> None:
    from grokscope.papers import find_paper

    view = view_of(synthetic_run(["groks"] * 3, every=10), "standard")
    claims = [one for one in find_paper("two-circuits").claims if one.experiment == "standard"]
    panels = panels_of_claims([Judged(one, None, None, 0, "not testable") for one in claims], [view.curves])
    first = {name: found[0] for name, found in panels.items()}
    expected = {"C1b": "accuracy", "C2": "loss", "C3a": "sparsity", "C4a": "norms", "C5a": "kappa",
                "C7a": "competition"}  # fmt: skip
    assert {name: first[name] for name in expected} == expected


def places(svg: str) -> dict[str, float]:
    """Where the parts of a small plot stand."""
    found = {name: float(x) for name, x in re.findall(r'class="ev-(value)" cx="([\d.]+)"', svg)}
    region = re.search(r'class="ev-region" x="([\d.]+)" y="2" width="([\d.]+)"', svg)
    bar = re.search(r'class="ev-bar" d="M([\d.]+) \d+H([\d.]+)"', svg)
    assert region is not None
    found |= {"region low": float(region[1]), "region high": float(region[1]) + float(region[2])}
    if bar is not None:
        found |= {"low": float(bar[1]), "high": float(bar[2])}
    return found


def test_the_small_plot_shows_where_our_number_lies() -> None:
    inside = Judged(claim(None, region=Region.between(0, 1)), 0.6, (0.2, 0.9), 4, "holds")
    at = places(evidence_svg(inside, np.array([0.1, 0.5, 0.9, np.nan])))
    assert at["region low"] < at["low"] < at["value"] < at["high"] < at["region high"]
    assert evidence_svg(inside, np.array([0.1, 0.5, 0.9, np.nan])).count("ev-seed") == 3
    outside = Judged(claim(None, region=Region.at_least(2)), 0.6, (0.2, 0.9), 4, "fails")
    at = places(evidence_svg(outside, np.array([0.1, 0.5])))
    assert at["high"] < at["region low"]
    assert at["region high"] == 168  # to the end of the plot
    share = Judged(claim(None, kind="share"), 0.5, (0.1, 0.9), 2, "undecided")
    svg = evidence_svg(share, np.array([1.0, 0.0]))
    assert (svg.count("ev-seed yes"), svg.count("ev-seed no")) == (1, 1)
    assert evidence_svg(Judged(claim(None), None, None, 0, "not testable"), None) == ""


def test_a_page_of_a_run_is_small_enough(trained: gs.Run, tmp_path: Path) -> None:
    from grokscope.report import write_report

    assert write_report(trained.path, out=tmp_path / "page.html").stat().st_size < 1_000_000


def test_the_times_of_a_cell_are_counted_by_hand() -> None:
    """Two of five seeds grok by step 20, one by 30; one is followed to 40, one diverges at 10."""
    from grokscope.report._sweeps import cell_times

    nan, inf = np.nan, np.inf
    outcomes = xr.Dataset(
        {
            "grokking_lower": ("seed", [10.0, 10.0, 20.0, 40.0, 10.0, nan]),
            "grokking_upper": ("seed", [20.0, 20.0, 30.0, inf, inf, nan]),
            "diverged": ("seed", [inf, inf, inf, inf, 10.0, nan]),
            "delay_upper": ("seed", [1.0] * 6),
        }
    )
    found = cell_times(outcomes)
    assert list(found) == ["grokking"]
    one = found["grokking"]
    assert (one["n"], one["time"], one["seen"]) == (5, [20.0, 30.0], [2, 1])
    assert one["survival"] == pytest.approx([3 / 5, 2 / 5])  # the one that diverged stays without
    assert one["lost"] == [[10.0, 1.0], [40.0, 1.0]]
    assert all(
        low < value < high for low, value, high in zip(one["low"], one["survival"], one["high"], strict=True)
    )
