"""The examples in the docstrings of errors, statistics and claims run as printed."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = {
    "grokscope.errors": 1,
    "grokscope.statistics._discovery": 1,
    "grokscope.statistics._estimate": 2,
    "grokscope.statistics._times": 4,
    "grokscope.statistics._intervals": 6,
    "grokscope.statistics._kaplan_meier": 1,
    "grokscope.claims._claim": 2,
    "grokscope.claims._evidence": 1,
}


@pytest.mark.parametrize(("module", "least"), MODULES.items())
def test_examples_run(module, least):
    found = doctest.DocTestFinder().find(importlib.import_module(module))
    examples = [one for one in found if one.examples]
    assert len(examples) >= least
    for one in examples:
        result = doctest.DocTestRunner().run(one)
        assert result.failed == 0
