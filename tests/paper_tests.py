"""For tests of papers: one claim judged alone, and papers made small, to be reproduced in seconds."""

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from grokscope.claims import Claim, Judged, gather, judge
from grokscope.papers import Paper
from grokscope.reproduction import Reproduction, plan, reproduce
from grokscope.training.rates import Rates

RATES = Rates("cpu", cores=2, large=200.0, at_shape=100.0, free=1.0, seconds=0.0)


def judged_alone(claim: Claim, runs: Mapping[str, Any] | Iterable[Any]) -> Judged:
    """A claim judged on runs of its experiments, in their order or by name, in a table of its own."""
    found = [runs[name] for name in claim.experiments] if isinstance(runs, Mapping) else runs
    return judge([(claim, gather(claim, *(one.measures for one in found)))])[0]


def assert_decides(claim: Claim, true: Iterable[Any], false: Iterable[Any]) -> None:
    """Assert that a claim holds on the first runs, and fails on the others."""
    for runs, wanted in ((true, "holds"), (false, "fails")):
        judged = judged_alone(claim, runs)
        assert judged.verdict == wanted, judged


def false_runs(
    claims: Mapping[str, Claim], cases: Mapping[str, tuple[Iterable[Any], Iterable[Any]]]
) -> list[dict[str, Any]]:
    """The runs on which each claim is false, by experiment: the examples of `check_paper`."""
    return [dict(zip(claims[name].experiments, false, strict=True)) for name, (_, false) in cases.items()]


def tiny_paper(
    paper: Paper, wanted: Collection[str], shrunk: Callable[[Any], Any], *, draw: bool = True
) -> Paper:
    """A paper with some of its experiments, made small, and the claims and figures that need no others.

    It is a kind of its own: use it with the fixture `registry`.
    """
    name = f"tiny-{paper.kind}"

    class Tiny(type(paper)):
        """A small version for tests."""

        kind: Literal[name] = name
        experiments: ClassVar[Any] = tuple(shrunk(one) for one in paper.experiments if one.name in wanted)
        claims: ClassVar[Any] = tuple(one for one in paper.claims if set(one.experiments) <= set(wanted))
        figures: ClassVar[Any] = tuple(one for one in paper.figures if draw and set(one.needs) <= set(wanted))

    return Tiny()


def reproduce_tiny(paper: Paper, out: Path) -> Reproduction:
    """What `grokscope reproduce PAPER --profile quick` does; fails if a part of it failed."""
    done = reproduce(plan(paper, rates=RATES, profile="quick"), out=out)
    if done.failures:
        pytest.fail("\n".join(str(one) for one in done.failures))
    return done
