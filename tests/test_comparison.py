from __future__ import annotations

import pytest

from fake_runs import fake_run
from grokscope.comparison import compare
from grokscope.errors import InputError
from grokscope.events import MEMORIZATION


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
