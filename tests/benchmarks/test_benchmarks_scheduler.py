"""The simulation of the scheduling, where the answer is known; and what the page says of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grokscope.sweeps.engines.ray import longest_first, unit_seconds
from grokscope.sweeps.work_unit import WorkUnit

ROOT = Path(__file__).resolve().parents[2]


def simulate(bench: Any, works: list[float], **changes: Any) -> Any:
    common = {
        "workers": 2, "start": 0.0, "deaths_per_second": 0.0, "commit": 20.0, "replaced_after": 50.0,
        "rng": np.random.default_rng(0), "predicted": works,
    }  # fmt: skip
    return bench("scheduler").simulate(works, **common | changes)


def test_the_longest_goes_first(bench: Any) -> None:
    # two workers: 5 + 1 and 3 + 2, where in the order given the first would have 1 + 3 and the other 2 + 5
    assert simulate(bench, [1.0, 2.0, 3.0, 5.0]).end == 6.0
    # a plan that knows nothing keeps the order
    assert simulate(bench, [1.0, 2.0, 3.0, 5.0], predicted=[1.0] * 4).end == 7.0
    assert simulate(bench, [4.0] * 6, start=10.0).end == 22.0


def test_lost_work_is_what_came_after_the_last_commit(bench: Any) -> None:
    class Once:
        """Deaths as given: the first worker's after 70 s, nobody's else."""

        def __init__(self) -> None:
            self.first = True

        def exponential(self, scale: float, size: int | None = None) -> Any:
            return 1e9 if size is None else np.array([70.0, 1e9])

    options = {"deaths_per_second": 1e-9, "rng": Once()}
    one = simulate(bench, [100.0, 100.0], **options)
    # 60 of its 70 s were committed; the other worker takes up the 40 s that are left at 100
    assert (one.lost, one.deaths) == (10.0, 1)
    assert one.end == 140.0
    anew = simulate(bench, [100.0, 100.0], commit=np.inf, **options)
    assert (anew.lost, anew.end) == (70.0, 200.0)


def test_all_work_is_done_and_no_more_than_the_lost_twice(bench: Any) -> None:
    rng = np.random.default_rng(1)
    works = rng.uniform(50, 150, 400).tolist()
    found = simulate(bench, works, workers=20, deaths_per_second=1 / 500, rng=rng)
    assert found.work == pytest.approx(sum(works))
    assert found.deaths > 10
    assert 0 < found.lost <= found.deaths * 20.0
    assert found.end > sum(works) / 20


def test_the_rules_of_the_engine() -> None:
    tasks = [WorkUnit(i, "", "", (), (), 1, cost) for i, cost in enumerate([3.0, 9.0, 9.0, 1.0])]
    assert [task.number for task in longest_first(tasks)] == [1, 2, 0, 3]  # equal ones as given
    assert unit_seconds(1.0, 1000) == 30.0
    assert unit_seconds(8 * 100.0, 1) == 100.0
    assert unit_seconds(1e12, 1) == 600.0


def test_the_page_has_the_numbers_of_the_latest_result() -> None:
    file = sorted((ROOT / "benchmarks" / "results").glob("scheduler-*.json"))[-1]
    found = json.loads(file.read_text())
    page = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    assert file.name in page
    assert f"{found['cells']['member_steps_per_second']:,.0f}" in page
    for case in found["cases"]:
        row = next(line for line in page.splitlines() if line.startswith(f"| {case['name']} |"))
        for text in (
            f"{case['tasks']:,}",
            f"{case['hours']:.2f}",
            f"{case['share_of_ideal']:.1%}".replace("%", " %"),
            f"{case['lost_share']:.3%}".replace("%", " %"),
        ):
            assert f" {text} " in row
