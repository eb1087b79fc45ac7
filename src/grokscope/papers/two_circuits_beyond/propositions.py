"""C10 to C12: the paper's propositions on how few neurons suffice, proved on all 2^40 inputs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from grokscope.claims import Claim, Effect, NotTestable, Region
from grokscope.experiment import Experiment, Recording
from grokscope.learners.still import Still
from grokscope.models.construction import Construction
from grokscope.papers import PaperExperiment, RunExperiment
from grokscope.papers.two_circuits_beyond.members import MemberTable
from grokscope.papers.two_circuits_beyond.sizes import four_gates_proved
from grokscope.papers.two_circuits_beyond.standard import PROFILES, PROOFS_AT_THE_END, STANDARD
from grokscope.spec.streams import Seeds

if TYPE_CHECKING:
    import xarray as xr


def _construction(proposition: Literal[1, 2, 3]) -> PaperExperiment:
    name = f"proposition-{proposition}"
    return RunExperiment(
        name,
        f"The network of Proposition {proposition} for 3 of 40 bits; nothing is trained.",
        Experiment(
            name=name,
            steps=1,
            batch_size="full",
            task=STANDARD.task,
            model=Construction(proposition=proposition, k=3),
            learner=Still(),
            measures=("train_accuracy", "test_accuracy"),
            schedule=Recording(measures="ends", slow_measures="ends", follow="ends"),
        ),
        PROFILES,
        group="constructions",
        most_seeds=1,
        analyses=(PROOFS_AT_THE_END,),
    )


EXPERIMENTS = (_construction(1), _construction(2), _construction(3))

# ---------------------------------------------------------------- evidence


def share_right(k: int) -> float:
    """Share of the 2^k settings of k bits that Proposition 1 labels right; 0 if it has not 2^k neurons."""
    from grokscope.circuits import proposition_1
    from grokscope.circuits.relu_network import as_relu_network
    from grokscope.circuits.support import settings_of

    weights, settings = as_relu_network(proposition_1(n=k, k=k)), settings_of(k)
    if len(weights.u) != 2**k:
        return 0.0
    return float((np.sign(weights.outputs(settings)) == settings.prod(axis=1)).mean())


def is_proved(ks: tuple[int, ...] = ()) -> Callable[[xr.Dataset], np.ndarray]:
    """Shares right of Proposition 1 for these k, and 1 if the construction that was run is proved."""

    def evidence(measures: xr.Dataset) -> np.ndarray:
        proved = MemberTable(measures).final("proved")
        return np.concatenate([[share_right(k) for k in ks], proved])

    return evidence


def four_is_found(standard: xr.Dataset, annealed: xr.Dataset) -> np.ndarray:
    """Of each seed whose circuit was read: 1 if it ends with four proved gates in one of the runs."""
    found: dict[Seeds, float] = {}
    for measures in (standard, annealed):
        for seeds, value in zip(MemberTable(measures).seeds, four_gates_proved(measures), strict=True):
            if not np.isnan(value):
                found[seeds] = max(value, found.get(seeds, 0.0))
    if not found:
        raise NotTestable("no circuit was read")
    return np.array(list(found.values()))


# ---------------------------------------------------------------- claims

_proposition = partial(
    Claim,
    paper_value="yes",
    kind="deterministic",
    region=Region.at_least(1.0),
    estimand="1 if the construction is proved on all 2^40 inputs",
    evidence=is_proved(),
)

CLAIMS = (
    _proposition(
        id="C10",
        name="2^k neurons suffice",
        sentence="2^k neurons suffice for the parity of k bits.",
        source="Prop. 1",
        estimand="for k = 1 to 8, the share of the 2^k settings at which the construction is right; and 1 if "
        "that for 3 of 40 bits is proved on all 2^40 inputs",
        experiment="proposition-1",
        evidence=is_proved(tuple(range(1, 9))),
    ),
    _proposition(
        id="C11",
        name="6 neurons suffice for 3 bits",
        sentence="6 neurons suffice for 3 bits.",
        source="Prop. 2",
        experiment="proposition-2",
    ),
    _proposition(
        id="C12a",
        name="4 neurons suffice for 3 bits",
        sentence="4 neurons suffice for 3 bits.",
        source="Prop. 3",
        experiment="proposition-3",
    ),
    # One proved network of four refutes the sentence, whatever the share. No number of seeds can show that
    # there is none, so the claim fails or is undecided. Its region is the sentence itself.
    Claim(
        id="C12b",
        name="SGD does not find 4",
        sentence="SGD does not find 4.",
        source="Prop. 3; issue N1",
        setting="own",
        paper_value="yes",
        estimand="the share of seeds that end, in the standard or the annealed run, with 4 gates whose "
        "network of 4 neurons is proved on all 2^40 inputs",
        kind="share",
        region=Region.at_most(0.0),
        smallest_effect=Effect(0.02, "one seed in fifty"),
        experiment="standard",
        evidence=four_is_found,
        beside=("annealed",),
        fixed_on="none: the paper's sentence",
    ),
)
