"""Shared code of the conformance checks of parts (``check.py`` in the folder of each kind)."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from grokscope.errors import InputError
from grokscope.spec.axes import measure_axes
from grokscope.spec.parts import Part, lookup

__all__ = [
    "Checker",
    "SmallSpec",
    "as_arrays",
    "from_arrays",
    "is_one_line",
    "same_bits",
    "same_numbers",
]

_MOST_CHARACTERS = 200


@dataclass(frozen=True)
class SmallSpec:
    """A minimal `grokscope.spec.training_spec.TrainingSpec`, on which parts are checked.

    Example:
        >>> from grokscope.tasks.sparse_parity import SparseParity
        >>> SmallSpec(SparseParity(n=6, k=2)).n_steps
        1
    """

    task: Any
    model: Any = None
    loss: Any = None
    optimizer: Any = None
    learner: Any = None
    precision: Literal["float32", "float64"] = "float32"
    n_steps: int = 1
    online: bool = False
    penalty: Any = None

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """Labels of the axes of measures, by axis name."""
        return measure_axes(self.task, self.model)


@dataclass(frozen=True)
class Checker:
    """Raises `AssertionError` with messages that begin with the name of the check.

    Attributes:
        name: of the check, or what is checked.

    Example:
        >>> check = Checker("check_loss")
        >>> check(1 + 1 == 2, "never said")
        >>> check(1 + 1 == 3, "a sum is wrong")
        Traceback (most recent call last):
        AssertionError: check_loss: a sum is wrong.
    """

    name: str

    def __call__(self, holds: object, violation: str) -> None:
        """Raise unless it holds; the violation is said in one line, without a full stop."""
        if not holds:
            raise AssertionError(f"{self.name}: {violation}.")

    def part(self, part: Part, base: type[Part]) -> None:
        """Check what all parts have: a registered kind, a docstring, a table, names of traced fields."""
        cls = type(part)
        kind = str(getattr(part, "kind", ""))
        self(isinstance(part, base), f"{cls.__name__} is not a subclass of {base.__name__}")
        self(bool((cls.__dict__.get("__doc__") or "").strip()), f"{cls.__name__} has no docstring")
        summary = (inspect.getdoc(cls) or "").split("\n\n")[0]
        self("\n" not in summary, f"the docstring of {cls.__name__} does not begin with a line of its own")
        try:
            registered = lookup(base.group, kind)
        except InputError:
            registered = None
        self(registered is cls, f"kind '{kind}' is registered for another class")
        table = part.model_dump(mode="json")
        again = cls(**{name: value for name, value in table.items() if value is not None})
        self(again == part, f"the {base.group} made again from its own table differs")
        unknown = [name for name in part.traced if name not in cls.model_fields]
        self(not unknown, f"traced names '{', '.join(unknown)}', which is no field")
        texts = [
            name
            for name in part.traced
            if (value := getattr(part, name)) is not None and not isinstance(value, int | float)
        ]
        self(not texts, f"traced names '{', '.join(texts)}', which is not a number")

    @contextlib.contextmanager
    def calling(self, what: str) -> Generator[None]:
        """Context manager for a call of the part: its exceptions become one line."""
        try:
            yield
        except AssertionError:
            raise
        except NotImplementedError:
            raise AssertionError(f"{self.name}: {what} is not defined.") from None
        except Exception as error:
            first = next(iter(str(error).strip().splitlines()), "")[:_MOST_CHARACTERS].rstrip(".")
            raise AssertionError(f"{self.name}: {what} failed: {type(error).__name__}: {first}.") from error

    def tree(self, found: Any, wanted: Any, what: str) -> None:
        """Check that a pytree has the structure, shapes and types of another."""
        import jax

        (given, one), (expected, other) = (
            jax.tree_util.tree_flatten_with_path(tree) for tree in (found, wanted)
        )
        self(one == other, f"{what} has another structure")
        for (path, leaf), (_, right) in zip(given, expected, strict=True):
            name = jax.tree_util.keystr(path, simple=True, separator=".") or "it"
            same = np.shape(leaf) == np.shape(right) and leaf.dtype == right.dtype
            shown = [f"{array.dtype}{list(np.shape(array))}" for array in (leaf, right)]
            self(same, f"{what}: {name} is {shown[0]}, not {shown[1]}")

    def finite(self, tree: Any, what: str) -> None:
        """Check that all numbers of a pytree are finite."""
        import jax

        for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
            name = jax.tree_util.keystr(path, simple=True, separator=".")
            self(_all_finite(leaf), f"{what}{f': {name}' if name else ''} is not finite")

    def traced(self, part: Part) -> dict[str, float]:
        """The numbers of a part that the compiled program takes as traced values."""
        return {name: float(value) for name in part.traced if (value := getattr(part, name)) is not None}


def is_one_line(text: Any) -> bool:
    """Whether a value is a text of exactly one line."""
    return isinstance(text, str) and bool(text.strip()) and "\n" not in text


def same_bits(one: Any, other: Any) -> bool:
    """Whether two pytrees of arrays have the same bits."""
    import jax

    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)


def same_numbers(one: Any, other: Any, rtol: float = 1e-5, atol: float = 1e-6) -> bool:
    """Whether two pytrees of arrays have the same shapes, and numbers that are equal up to rounding."""
    import jax

    pairs = [(np.asarray(a), np.asarray(b)) for a, b in zip(*map(jax.tree.leaves, (one, other)), strict=True)]
    return all(
        a.shape == b.shape
        and (
            np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=True)
            if a.dtype.kind == "f"
            else np.array_equal(a, b)
        )
        for a, b in pairs
    )


def as_arrays(tree: Any) -> list[np.ndarray]:
    """The leaves of a pytree as a checkpoint stores them: plain arrays."""
    import jax

    return [np.array(leaf) for leaf in jax.tree.leaves(tree)]


def from_arrays(arrays: list[np.ndarray], like: Any) -> Any:
    """The pytree of stored leaves, with the structure of another."""
    import jax

    return jax.tree.unflatten(jax.tree.structure(like), [jax.numpy.asarray(array) for array in arrays])


def _all_finite(leaf: Any) -> bool:
    values = np.asarray(leaf)
    return values.dtype.kind != "f" or bool(np.isfinite(values).all())
