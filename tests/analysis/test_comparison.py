from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from fake_runs import fake_run
from grokscope.analysis.comparison import compare
from grokscope.errors import InputError
from grokscope.spec.events import MEMORIZATION


def test_members_are_paired_by_seed_whatever_their_order():
    # seeds 4, 7, 9 grok in a at 160, in b at 64, 64, 160; a seed that only one run has does not count
    a = fake_run("a", seeds="9,4,7", groks_at={4: 160, 7: 160, 9: 160})
    b = fake_run("b", seeds="4,7,8,9", groks_at={4: 64, 7: 64, 8: 32, 9: 160})
    result = compare(a, b)
    assert result.n == 3
    assert result.unpaired == (0, 1)
    times = dict(zip((member[0] for member in result.members), result.times_b.upper.tolist(), strict=True))
    assert times == {4: 64.0, 7: 64.0, 9: 160.0}
    assert result.times_a.upper.tolist() == [160.0] * 3
    assert result.ratio.value == pytest.approx(160 / 64)
    assert (result.share_a.value, result.share_b.value) == (1.0, 1.0)


def test_a_seed_that_never_groks_lowers_the_share():
    result = compare(
        fake_run("a", seeds=4, groks_at={0: 64}), fake_run("b", seeds=4, groks_at={0: 64, 1: 64})
    )
    assert (result.share_a.value, result.share_b.value) == (0.25, 0.5)


def test_memorization_can_be_compared_too():
    assert compare(fake_run(), fake_run(), MEMORIZATION).ratio.value == 1.0


def test_nothing_in_common_is_an_error():
    with pytest.raises(InputError, match=r"no member in common.* a has seeds 0, 1, b has seeds 5"):
        compare(fake_run("a", seeds=2), fake_run("b", seeds="5,6"))


def branch_of(source, seeds, groks_at, start=0, clock="source"):
    """A made-up branch: each member branches from the source's member of its init seed."""
    run = fake_run("branch", seeds=[member[0] for member in seeds], groks_at=groks_at)
    spec = run.experiment
    init = {"kind": "from_run", "run": "source", "source": source.identity, "at": start, "clock": clock}
    experiment = type(spec)(**{**dict(spec), "init": init})
    origins = SimpleNamespace(
        steps=np.full(len(seeds), start), source_members=tuple((member[1],) * 4 for member in seeds)
    )
    measures = run.measures.sel(seed=[member[0] for member in seeds])
    measures = measures.assign_coords(diverged_step=("seed", np.full(len(seeds), -1)))
    branch = replace(
        run, experiment=experiment, identity="cd" * 32, measures=measures.sel(step=slice(start, None))
    )
    branch.origins = origins
    return branch


def test_a_branch_is_paired_with_its_source_member_by_member():
    source = fake_run("source", seeds=3, groks_at={0: 160, 1: 160, 2: 64})
    # members 10, 11, 12 branch from the source's 0, 1, 2
    branch = branch_of(source, [(10, 0), (11, 1), (12, 2)], {10: 320 - 160, 11: 96, 12: 64})
    result = compare(branch, source)
    assert result.pairing == "each member of A with the one of B that it branches from"
    assert (result.n, result.unpaired) == (3, (0, 0))
    assert result.times_a.upper.tolist() == [160.0, 96.0, 64.0]
    assert result.times_b.upper.tolist() == [160.0, 160.0, 64.0]
    assert compare(source, branch).ratio.value == pytest.approx(1.0)
    assert compare(source, branch).pairing.startswith("each member of B")


def test_twins_count_as_one_pair_with_their_median():
    source = fake_run("source", seeds=2, groks_at={0: 64, 1: 64})
    # three twins of 0 grok at 32, 128 and never; two of 1 at 96 and never: the median of those is not known
    branch = branch_of(source, [(10, 0), (11, 0), (12, 0), (13, 1), (14, 1)], {10: 32, 11: 128, 13: 96})
    result = compare(branch, source)
    assert result.n == 2
    assert result.members == ((0,) * 4, (1,) * 4)
    assert result.times_a.upper.tolist() == [128.0, math.inf]
    # members never seen to grok did not until the last point at which they could not have begun to: 320
    assert result.times_a.lower.tolist() == [96.0, (64 + 320) / 2]
    assert result.share_a.value == 0.5


def test_two_branches_of_one_run_are_paired_by_their_source():
    source = fake_run("source", seeds=2)
    one = branch_of(source, [(10, 0), (11, 1)], {10: 64, 11: 64})
    other = branch_of(source, [(20, 1), (21, 0)], {20: 32, 21: 128})
    result = compare(one, other)
    assert result.pairing == "members that branch from the same member of one run"
    assert result.times_a.upper.tolist() == [64.0, 64.0]
    assert result.times_b.upper.tolist() == [128.0, 32.0]


def test_what_happened_before_a_branch_began_happened_to_it_too():
    source = fake_run("source", seeds=2, groks_at={0: 64, 1: 192})
    branch = branch_of(source, [(10, 0), (11, 1)], {10: 0, 11: 192}, start=128)
    result = compare(branch, source)
    assert result.times_a.lower.tolist() == [32.0, 160.0]
    assert result.times_a.upper.tolist() == [64.0, 192.0]
    own_past = compare(branch_of(source, [(10, 0), (11, 1)], {10: 128, 11: 192}, 128, "zero"), source)
    assert own_past.times_a.lower.tolist() == [0.0, 160.0]
