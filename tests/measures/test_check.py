"""`check_measure` finds each fault. Every kind of measure passes in ``test_conformance.py``."""

from typing import ClassVar, Literal

import jax.numpy as jnp
import pytest

from grokscope.measures import Measure
from grokscope.measures.check import check_measure

pytestmark = pytest.mark.usefixtures("registry")


def assert_faulty(cls: type[Measure], fault: str) -> None:
    with pytest.raises(AssertionError, match=f"measure 'faulty': .*{fault}"):
        check_measure(cls)


def test_no_docstring_is_found():
    class Faulty(Measure):
        kind: Literal["faulty"] = "faulty"

    Faulty.__doc__ = None
    assert_faulty(Faulty, "no docstring")


def test_a_wrong_shape_is_found():
    class Faulty(Measure):
        """One number, it says."""

        kind: Literal["faulty"] = "faulty"

        def __call__(self, point):
            return point.neuron_norm

    assert_faulty(Faulty, r"gives shape \(8,\), says \(\)")


def test_a_wrong_dtype_is_found():
    class Faulty(Measure):
        """A truth value."""

        kind: Literal["faulty"] = "faulty"

        def __call__(self, point):
            return point.outputs("train")[0] > 0

    assert_faulty(Faulty, "gives bool")


@pytest.mark.parametrize(("value", "fault"), [(jnp.inf, "infinity"), (jnp.nan, "gives NaN")])
def test_values_that_are_no_numbers_are_found(value, fault):
    class Faulty(Measure):
        """A constant."""

        kind: Literal["faulty"] = "faulty"

        def __call__(self, point):
            return jnp.float32(value)

    assert_faulty(Faulty, fault)


def test_a_measure_that_depends_on_others_is_found():
    class Faulty(Measure):
        """How much has been asked before."""

        kind: Literal["faulty"] = "faulty"

        def __call__(self, point):
            return jnp.float32(len(point._cache))

    assert_faulty(Faulty, "gives other numbers after other measures")


def test_a_measure_that_counts_its_calls_is_found():
    class Faulty(Measure):
        """How often it was traced."""

        kind: Literal["faulty"] = "faulty"
        calls: ClassVar[list[int]] = []

        def __call__(self, point):
            self.calls.append(1)
            return jnp.float32(len(self.calls))

    assert_faulty(Faulty, "gives other numbers under vmap")


def test_a_missing_that_says_too_much_is_found():
    class Faulty(Measure):
        """A constant."""

        kind: Literal["faulty"] = "faulty"

        def __call__(self, point):
            return jnp.float32(1)

        def missing(self, experiment):
            return None if experiment.task.n_outputs == 1 else "two\nlines"

    assert_faulty(Faulty, "instead of one line")


def test_an_unknown_pace_is_found():
    class Faulty(Measure):
        """A constant."""

        kind: Literal["faulty"] = "faulty"
        pace = "sometimes"

    assert_faulty(Faulty, "pace 'sometimes'")
