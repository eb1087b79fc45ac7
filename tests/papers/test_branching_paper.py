"""A paper whose experiments branch from another experiment of it."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import pytest

from grokscope.claims import Claim, Effect, Region
from grokscope.experiment import Experiment
from grokscope.papers import Figure, Paper, PaperExperiment, Profile, RunExperiment
from grokscope.reproduction import plan, reproduce
from grokscope.starts import FromRun
from paper_tests import RATES

MAIN = Experiment(
    task={"kind": "sparse_parity", "n": 8, "k": 2, "n_train": 40, "n_test": 20, "n_probe": 64},
    model={"kind": "fully_connected", "width": 16},
    epochs=6,
    batch_size=16,
    measures=["train_accuracy", "test_accuracy"],
)
AT_TEN = FromRun(run="main", source=MAIN.identity, at=10)
PROFILES = {"paper": Profile(seeds=2), "quick": Profile(seeds=1, overrides=("model.width=8",))}


def branched(**changes: Any) -> Experiment:
    return Experiment(**{**dict(MAIN), "init": AT_TEN, **changes})


def some(measures: Any) -> np.ndarray:
    return np.ones(measures.sizes["seed"] if "seed" in measures.dims else 1)


def claim(name: str) -> Claim:
    return Claim(
        id=name,
        sentence=f"{name} is measured.",
        source="Section 1",
        paper_value=None,
        unit="",
        estimand="a number",
        region=Region.at_least(0.5),
        smallest_effect=Effect(0.1, "it"),
        kind="share",
        experiment=name,
        evidence=some,
    )


@pytest.fixture
def paper(registry):

    class Branching(Paper):
        """A paper for tests."""

        kind: Literal["branching"] = "branching"
        title: ClassVar[str] = "Branches"
        experiments: ClassVar[tuple[PaperExperiment, ...]] = (
            RunExperiment("main", "The source.", MAIN, PROFILES),
            RunExperiment("frozen", "Nothing moves.", branched(interventions=[{"kind": "freeze"}]), PROFILES),
            RunExperiment("twins", "Other orders.", branched(), PROFILES, streams="order=70,71"),
        )
        claims: ClassVar[tuple[Claim, ...]] = tuple(map(claim, ("main", "frozen", "twins")))
        figures: ClassVar[tuple[Figure, ...]] = ()

    return Branching()


def test_a_source_is_planned_before_its_branches(paper):
    planned = plan(paper, "twins", seeds="3,5", rates=RATES, profile="paper")
    assert [(row.name, row.members) for row in planned.rows] == [("main", 2), ("twins", 4)]
    assert [row.name for row in plan(paper, rates=RATES).rows] == ["main", "frozen", "twins"]


@pytest.mark.parametrize("profile", ["paper", "quick"])
def test_branches_start_in_the_run_beside_them(paper, tmp_path, profile):
    done = reproduce(plan(paper, seeds="3,5", rates=RATES, profile=profile), out=tmp_path)
    runs = done.runs
    assert done.notes == []
    for name in ("frozen", "twins"):
        assert runs[name].experiment.init.source == runs["main"].identity
        assert set(runs[name].origins.source_members) == {(3,) * 4, (5,) * 4}
    assert sorted(runs["twins"].members) == [(s, s, order, s) for s in (3, 5) for order in (70, 71)]
    frozen = runs["frozen"].measures.train_accuracy.values
    assert (frozen == frozen[:, :1]).all()
    again = reproduce(plan(paper, seeds="3,5", rates=RATES, profile=profile), out=tmp_path)
    assert again.claims == done.claims
