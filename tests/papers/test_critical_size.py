"""The critical data size: claims hold where true and fail where not; evidence against oracles; a run."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy.stats import mannwhitneyu

from grokscope.circuits import least_norm
from grokscope.circuits.support import settings_of
from grokscope.claims import NotTestable
from grokscope.papers import Profile, check_paper, made_up_run
from grokscope.papers import critical_size as study
from grokscope.spec.parts import part_of
from grokscope.starts import FromRun
from paper_tests import judged_alone, reproduce_tiny, tiny_paper

PAPER = study.CriticalSize()
CLAIMS = {claim.id: claim for claim in PAPER.claims}
SEEDS = 12
NU = {k: float(least_norm(settings_of(k).prod(axis=1)).upper) for k in (2, 3, 4, 5)}
LUCK = np.exp(0.03 * np.random.default_rng(0).normal(size=SEEDS))[:, None]


def norm_of_memory(cell: dict[str, Any], exponent: float = 0.75, narrow: float = 1.02) -> np.ndarray:
    """M(N) of each seed, [seed, 1]: 8 at 350 samples."""
    wider = narrow if cell.get("width") == 300 else 1.0
    return LUCK * wider * 8 * (cell["n_train"] / 350) ** exponent


# Narrow networks: another line of random labels, for functions down to a norm of 2.
FUNCTIONS = study._FUNCTIONS
NU_OF = {name: float(least_norm(one.labels).upper) for name, one in FUNCTIONS.items()}
NARROW = {one.name for one in PAPER.experiments if not one.default}
STEPS = np.array([0, 5_000, 15_000, 30_000, 45_000])


def narrow_norm(n_train: float, n: int = 40) -> np.ndarray:
    """M(N) of each seed, [seed, 1]: 8 at 9 samples a bit."""
    return LUCK * 8 * (n_train / (9 * n)) ** 0.7


def narrow(name: str, cell: dict[str, Any], shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Test accuracy rises smoothly and is half way where memory costs as much as the function."""
    function = name.split("-", 1)[1]
    n = int(function[1:]) if function in ("n20", "n80") else 40
    if name.startswith("grokked"):
        return np.ones((SEEDS, 1)), np.full((SEEDS, 1), 8.0)
    if name.startswith("memory"):
        return np.full((SEEDS, 1), 0.5), narrow_norm(cell["n_train"], n)
    if name in ("forget-3", "escape-3"):
        return hysteresis(name, cell), np.full((SEEDS, len(STEPS)), 8.0)
    base, nu = (FUNCTIONS[function].base, NU_OF[function]) if function in FUNCTIONS else (0.5, 8.0)
    cost = narrow_norm(cell["n_train"] / shift, n)
    sharp = 8 if function in FUNCTIONS else 40
    return base + (1 - base) / (1 + (nu / cost) ** sharp), np.minimum(cost, nu)


def hysteresis(name: str, cell: dict[str, Any], *, time: float | None = None) -> np.ndarray:
    """Networks leave their circuit after a time that depends on the size, [seed, step]."""
    n_train = cell["n_train"]
    if name == "escape-3":
        left = 45_000 * np.exp(-0.8 * (narrow_norm(n_train) - 10.2)) if time is None else time
        return np.where(left * LUCK <= STEPS, 1.0, 0.5)
    left = 15_000 * np.exp((n_train - 265) / 25) if time is None else time
    return np.where(left * LUCK <= STEPS, 0.5, 1.0)


World = Callable[[str, dict[str, Any]], tuple[np.ndarray, np.ndarray]]  # -> test accuracy, norm [seed, 1]


def law(name: str, cell: dict[str, Any], shift: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """The world of the claims; ``shift`` multiplies the size at which duels turn."""
    if name in NARROW:
        return narrow(name, cell, shift)
    if name == "width-3":
        cell = {**cell, "width": 300}
    if name.startswith("grokked"):
        return np.ones((SEEDS, 1)), np.full((SEEDS, 1), NU[int(name[-1])])
    memory = norm_of_memory(cell)
    if name in ("memory", "scratch-3", "scratch-4", "scratch-5"):
        return np.full((SEEDS, 1), 0.5), memory
    if name == "scratch-2":
        return np.ones((SEEDS, 1)), np.full((SEEDS, 1), NU[2])
    nu = NU[int(name[-1])]
    cost = norm_of_memory({**cell, "n_train": cell["n_train"] / shift})
    return np.where(cost > nu, 1.0, 0.52), np.minimum(memory, nu)


def world(change: World = law, names: Collection[str] | None = None) -> dict[str, Any]:
    """Made-up results of these experiments, by default of all."""
    runs = {}
    for one in PAPER.experiments:
        if names is not None and one.name not in names:
            continue

        def curve(place: int, name: str = one.name) -> Callable[..., np.ndarray]:
            rng = np.random.default_rng(1)

            def values(steps: np.ndarray, **cell: Any) -> np.ndarray:
                found = change(name, cell)[place]
                found = found * (1 - 0.002 * rng.random(found.shape))
                return found if found.shape[1] == len(steps) else np.repeat(found, len(steps), axis=1)

            return values

        curves: dict[str, Any] = {
            "train_accuracy": 1.0,
            "test_accuracy": curve(0),
            "path_norm_total": curve(1),
        }
        if one.analyses:  # networks that compute the parity are proved right

            def verdict_of(*margins: float, scale: Any = 1.0, name: str = one.name) -> Any:
                def values(steps: np.ndarray, **cell: Any) -> np.ndarray:
                    whole = change(name, cell)[0] > 0.9
                    return np.repeat(np.where(whole, *margins) * scale, len(steps), axis=1)

                return values

            curves |= {
                "proved": verdict_of(1.0, 0.0),
                "worst_margin_lower": verdict_of(0.7, np.nan, scale=LUCK),
            }
            curves |= {"worst_margin_upper": verdict_of(0.8, -1.5, scale=LUCK)}
        at = STEPS if one.name in ("forget-3", "escape-3") else [0, 20_000]
        runs[one.name] = made_up_run(one, curves, others=None, seeds=SEEDS, steps=at)
    return runs


def power(exponent: float, bend: float = 0.0) -> World:
    def changed(name: str, cell: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        if name != "memory":
            return law(name, cell)
        late = 1 + bend * (cell["n_train"] > 600)
        return law(name, cell)[0], norm_of_memory(cell, exponent) * late

    return changed


def moved(where: str, by: float, **settings: float) -> World:
    """Duels of one experiment (in cells with these settings) turn elsewhere."""

    def changed(name: str, cell: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        there = name == where and all(np.isclose(cell[key], value) for key, value in settings.items())
        return law(name, cell, by if there else 1.0)

    return changed


def heavier(where: str, by: float) -> World:
    def changed(name: str, cell: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        accuracy, norm = law(name, cell)
        return accuracy, norm * (by if name == where else 1.0)

    return changed


def unforeseen(name: str, cell: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Who wins has nothing to do with the norm of the data set."""
    accuracy, norm = law(name, cell)
    if name == "duel-3":
        accuracy = np.where((np.arange(SEEDS) + cell["n_train"] / 20)[:, None] % 2 < 1, 1.0, 0.5)
    return accuracy, norm


def timed(where: str, time: Callable[[float], float]) -> World:
    """Networks of one experiment leave their circuit at other times."""

    def changed(name: str, cell: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        accuracy, norm = law(name, cell)
        return (hysteresis(name, cell, time=time(cell["n_train"])) if name == where else accuracy), norm

    return changed


def squared(name: str, cell: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """The critical size grows as the square of the norm."""
    function = name.removeprefix("duel-")
    if name not in NARROW or function not in FUNCTIONS:
        return law(name, cell)
    line = 360 * (NU_OF[function] / 8) ** (1 / 0.7)
    return law(name, cell, 9 * (NU_OF[function] / 2) ** 2.3 / line)


FALSE: dict[str, World] = {
    "L1": power(0.5),
    "L1-law": power(0.75, bend=0.2),
    "L2-3": moved("duel-3", 1.15),
    "L2-4": moved("duel-4", 0.85),
    "L2-5": moved("duel-5", 1.15),
    "L2-3-own": heavier("scratch-3", 0.9),
    "L2-4-own": heavier("scratch-4", 1.1),
    "L2-5-own": moved("duel-5", 1.15),
    "L2-2": heavier("scratch-2", 1.2),
    "L3": moved("decay-3", 1.2, weight_decay=0.003),
    "L4": moved("width-3", 1.2),
    "L5-mixture": moved("mixture-3", 0.85, factor=0.67),
    "L5-neurons": moved("neurons-3", 1.15, count=12),
    "L7-norm": heavier("duel-3", 1.1),
    "L7-foretold": unforeseen,
    "L3-equal": moved("equal-3", 0.85, weight_decay=0.003),
    "L6-above": timed("escape-3", lambda n: 100.0),
    "L6-below": timed("forget-3", lambda n: 100.0),
    "L6-above-time": timed("escape-3", lambda n: 1e9 if n < 550 else 100.0),
    "L6-below-time": timed("forget-3", lambda n: 1e9 if n > 290 else 100.0),
    "L6-escape": timed("escape-3", lambda n: 10_000.0),
    "L8-above": moved("duel-narrow", 1.4),
    "L8-below": moved("duel-narrow", 0.6),
    "L9-efficiency": heavier("grokked-narrow", 1.15),
    "L9-bits": moved("duel-staircase-3", 0.3),
    "L9-bound": squared,
    "L10-curve": moved("duel-nae-3", 1.5),
    "L10-whole": moved("duel-nae-3", 0.45),
    "L10-own": moved("duel-and-3", 1.8),
    "L10-own-and-3": moved("duel-and-3", 1.5),
    "L10-own-random-3a": moved("duel-random-3a", 0.7),
    "L10-own-nae-3": moved("duel-nae-3", 1.5),
    "L11-20": moved("duel-n20", 1.15),
    "L11-80": moved("duel-n80", 0.85),
}


def verdict(claim_id: str, runs: dict[str, Any]) -> Any:
    return judged_alone(CLAIMS[claim_id], runs)


@pytest.fixture(scope="module")
def true_world():
    return world()


@pytest.fixture(scope="module")
def false_worlds():
    return {claim_id: world(change, CLAIMS[claim_id].experiments) for claim_id, change in FALSE.items()}


def test_every_claim_has_a_world_in_which_it_is_false():
    assert set(FALSE) == set(CLAIMS)


@pytest.mark.parametrize("claim_id", FALSE)
def test_a_claim_holds_where_it_is_true_and_fails_where_it_is_false(claim_id, true_world, false_worlds):
    assert verdict(claim_id, true_world).verdict == "holds"
    assert verdict(claim_id, false_worlds[claim_id]).verdict == "fails"


def test_the_paper_passes_the_conformance_suite(false_worlds):
    check_paper(PAPER, examples=false_worlds.values())


def test_the_figures_show_the_prediction_where_the_winner_changes(true_world):
    drawn = {figure.id: figure.draw(true_world, "a command") for figure in PAPER.figures}
    for axis, k in zip(drawn["winners"].axes, (3, 4, 5), strict=True):
        lines = {line.get_label(): np.asarray(line.get_xdata(), float) for line in axis.get_lines()}
        assert lines["predicted, $M(N^*) = \\nu_k$"][0] == pytest.approx(
            350 * (NU[k] / 8) ** (1 / 0.75), rel=0.03
        )
        share = next(line for line in axis.get_lines() if line.get_label().startswith("share"))
        turn = np.interp(0.5, share.get_ydata(), share.get_xdata())
        assert turn == pytest.approx(lines["predicted, $M(N^*) = \\nu_k$"][0], rel=0.05)
    levels = [
        line.get_ydata()[0] for line in drawn["norms"].axes[0].get_lines() if line.get_linestyle() == "--"
    ]
    assert levels == pytest.approx([NU[2], NU[3], NU[5]], rel=1e-6)


# ---------------------------------------------------------------- oracles


def test_predicted_sizes_are_those_of_the_law():
    sizes = np.array([240.0, 280, 320, 360, 400, 440, 520, 680])
    exponents = np.array([0.6, 0.75, 0.9])
    norms = 8 * (sizes[:, None] / 350) ** exponents
    for nu in (7.0, 8.0, 9.0):
        found = study.predicted_sizes(sizes, norms, nu)
        np.testing.assert_allclose(found, 350 * (nu / 8) ** (1 / exponents), rtol=1e-9)
    assert np.isnan(study.predicted_sizes(sizes, norms, 30.0)).all()  # nothing near
    assert np.isnan(study.predicted_sizes(sizes[:4], norms[:4] / 2, 4.6)).all()  # on one side alone


def duels(won: list[list[float]], sizes: list[int]) -> xr.Dataset:
    """Test accuracies [size, seed] at the last step; 0.5 before."""
    last = np.array(won)
    curves = np.stack([np.where(np.isnan(last), np.nan, 0.5), last], axis=-1)
    coords = {"n_train": sizes, "seed": range(last.shape[1]), "step": [0, 10]}
    return xr.Dataset({"test_accuracy": (("n_train", "seed", "step"), curves)}, coords)


def test_turning_points_by_hand():
    """Between 20 and 30; never; always; one exception on each side; not measured."""
    won = [
        [0.5, 0.5, 1.0, 1.0, 0.5],
        [0.6, 0.5, 1.0, 0.5, np.nan],
        [0.8, 0.5, 1.0, 0.5, 1.0],
        [1, 0.5, 1, 1, 1],
    ]
    found, seeds = study.turning_points(duels(won, [10, 20, 30, 40]))
    np.testing.assert_array_equal(found, [25, 45, 5, 25, np.nan])
    assert seeds.tolist() == list(range(5))
    soft = study.turning_points(duels(won, [10, 20, 30, 40]), soft=True)[0]
    np.testing.assert_allclose(soft, [10 + 10 * (1 + 0.8 + 0.4 - 0.5), 45, 5, 25, np.nan])
    backwards = duels(won[::-1], [40, 30, 20, 10])
    np.testing.assert_array_equal(study.turning_points(backwards)[0], found)


def test_crossing_sizes_by_hand():
    reached = [[0.5, 0.6, 0.9, 1.0], [0.8, 0.5, 1.0, 1.0], [0.5, 0.5, 0.6, 0.7], [0.5, 0.7, np.nan, 1.0]]
    data = xr.Dataset(
        {"test_accuracy": (("seed", "n_train", "step"), np.array(reached)[..., None])},
        {"seed": range(4), "n_train": [10, 20, 30, 40], "step": [0]},
    )
    found, seeds = study.crossing_sizes(data, 0.75)
    np.testing.assert_allclose(found, [25, 5, 45, np.nan])
    assert seeds.tolist() == [0, 1, 2, 3]


def test_the_line_of_random_labels_is_inverted():
    """A parabola through log N against log M is exact for a power law; none outside of the norms."""
    sizes = np.array([30.0, 60, 120, 240, 480])
    norms = np.array([1.0, 1.1]) * 2 * (sizes[:, None] / 50) ** 0.7
    np.testing.assert_allclose(study.on_line(sizes, norms, 4.0), 50 * (2 / np.array([1, 1.1])) ** (1 / 0.7))
    assert np.isnan(study.on_line(sizes, norms, 40.0)).all()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_tasks_have_the_labels_whose_norm_is_taken(name):
    """The first bits of 40 in the order of `settings_of`, and the accuracy of the more frequent label."""
    one = FUNCTIONS[name]
    x = np.ones((2**one.bits, 40), np.float32)
    x[:, : one.bits] = settings_of(one.bits)
    assert np.asarray(one.task(10).value(x, None)).tolist() == list(one.labels)
    assert one.base == pytest.approx(max(np.mean(np.array(one.labels) == label) for label in (1, -1)))


def test_the_last_point_counts_and_only_of_complete_members():
    curves = [[0.1, 0.9, np.nan], [0.1, 0.2, 0.3], [0.1, 0.2, 0.4]]  # stopped early; whole; broken off
    data = xr.Dataset(
        {"test_accuracy": (("seed", "step"), curves)},
        {"seed": range(3), "step": [0, 5, 10], "complete": ("seed", [True, True, False])},
    )
    np.testing.assert_array_equal(study.final(data, "test_accuracy"), [0.9, 0.3, np.nan])
    with pytest.raises(NotTestable, match="for no seed"):
        study.final(data.isel(seed=[2]), "test_accuracy")


def test_the_area_under_the_curve_is_that_of_mann_and_whitney(monkeypatch):
    """Of each seed: its data sets against those of other seeds with the other winner, ranked by scipy."""
    rng = np.random.default_rng(3)
    memory = rng.normal(8, 1, (6, 7)).round(1)  # with ties
    won = rng.random((6, 7)) < 0.5
    won[:, 6], memory[:, 6] = True, 12.0
    shape, coords = ("n_train", "seed", "step"), {"n_train": range(6), "seed": range(7), "step": [0]}

    def dataset(**values: np.ndarray) -> xr.Dataset:
        return xr.Dataset({name: (shape, array[..., None]) for name, array in values.items()}, coords)

    by_heart = {"train_accuracy": np.ones((6, 7)), "test_accuracy": np.full((6, 7), 0.5)}
    scratch = dataset(**by_heart, path_norm_total=memory)
    fought = dataset(test_accuracy=np.where(won, 0.9, 0.6), path_norm_total=memory)
    areas = []
    for i in range(7):
        rest = np.delete(np.arange(7), i)
        pairs = [
            (memory[won[:, i], i], memory[:, rest][~won[:, rest]]),
            (memory[:, rest][won[:, rest]], memory[~won[:, i], i]),
        ]
        counts = [(mannwhitneyu(a, b).statistic, len(a) * len(b)) for a, b in pairs if len(a) and len(b)]
        areas.append(sum(right for right, _ in counts) / sum(count for _, count in counts))
    for level in (0.3, 0.45, 0.55, 0.7, 0.95):
        monkeypatch.setattr(study, "_AREA", level)
        np.testing.assert_array_equal(study.foretold(fought, scratch), np.array(areas) >= level)
    assert areas[6] == 1.0


# ---------------------------------------------------------------- a reproduction, from training to figures


@pytest.fixture
def tiny(registry):
    """The same experiments with 8 bits, 16 neurons and 40 steps."""
    profiles = {name: Profile(seeds=3) for name in ("paper", "quick")}
    donors: dict[str, Any] = {}

    def shrunk(one: Any) -> Any:
        spec = one.experiment
        changes: dict[str, Any] = {
            "task": spec.task.model_copy(update={"n": 8, "n_train": 24, "n_test": 40, "n_probe": 16}),
            "model": part_of("model", {"kind": "fully_connected", "width": 16}),
            "steps": 40,
            "epochs": None,
            "schedule": {"measures": "every 10 steps", "slow_measures": "ends", "follow": "ends"},
        }
        if isinstance(spec.init, FromRun):
            source = donors[spec.init.run].experiment.identity
            changes["init"] = spec.init.model_copy(update={"source": source})
            item = spec.interventions[0]
            few = item.neurons.model_copy(update={"count": 4})
            changes["interventions"] = [item.model_copy(update={"at": 15, "neurons": few})]
        small = replace(one, experiment=type(spec)(**{**dict(spec), **changes}), profiles=profiles)
        if not hasattr(one, "over"):
            donors[one.name] = small
            return small
        sizes, *others = one.over
        few_sizes = ",".join(str(24 + 8 * i) for i in range(2))
        over = [f"{sizes.split('=')[0]}={few_sizes}"]
        over += ["model.width=1000,300" if "width" in axis else axis for axis in others]
        return replace(small, over=tuple(over))

    return tiny_paper(PAPER, ("memory", "scratch-3", "grokked-3", "duel-3", "mixture-3"), shrunk)


def test_a_small_reproduction_from_training_to_figures(tiny, tmp_path):
    done = reproduce_tiny(tiny, tmp_path)
    assert done.figures == ["norms"]
    judged = {one["id"]: one for one in done.claims}
    assert judged["L5-mixture"]["seeds"] == 3
    assert done.runs["mixture-3"].measures["factor"].values.tolist() == [0.33, 0.67]
    duel = done.runs["duel-3"]
    assert duel.measures.sizes["n_train"] == 2
    for _, run in duel.runs():
        assert set(run.origins.source_members) == {(1000 + s, 1000 + s, s, s) for s in range(3)}
        assert run.experiment.init.source == done.runs["grokked-3"].identity
    assert reproduce_tiny(tiny, tmp_path).claims == done.claims
