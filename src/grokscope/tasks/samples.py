"""Samples of the user's own of a known task: what a network was really trained on, and what it is of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import model_validator

from grokscope.errors import InputError
from grokscope.tasks._task import TaskField
from grokscope.tasks.array_files import Samples as Checked
from grokscope.tasks.arrays import Arrays

if TYPE_CHECKING:
    from typing import Self

    import jax

__all__ = ["Samples"]


class Samples(Arrays):
    """Arrays of your own that are samples of another task, which gives the probe and the facts.

    Networks that were trained elsewhere saw samples that only files hold, yet what they learned is a known
    function: the training and test sets come from the arrays, and all else (a large probe, the hidden bits,
    fresh samples) from the task ``of``.

    Attributes:
        path, sha256, train_subset: as in ``arrays``.
        of: the task that the arrays are samples of, a table with a ``kind``.
        n_train, n_test, n_probe: found from the arrays; without ``probe_x``, the probe is that of the task.

    Raises:
        InputError: as ``arrays``, or if inputs or labels are of another kind than those of the task.

    Example:
        >>> import numpy as np
        >>> x = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
        >>> own = Arrays.from_numpy(train_x=x, train_y=x[:, 0], test_x=x, test_y=x[:, 0])
        >>> task = Samples(sha256=own.sha256, of={"kind": "sparse_parity", "n": 2, "k": 1})
        >>> task.n_train, task.n_probe, task.facts()["support"]
        (4, 10000, [0])
    """

    kind: Literal["samples"] = "samples"
    not_identifying: ClassVar[tuple[str, ...]] = ("path",)

    of: TaskField

    @model_validator(mode="after")
    def _fits(self) -> Self:
        checks = (
            ("input_shape", "rows of shape"),
            ("label_kind", "labels of kind"),
            ("n_outputs", "this many outputs:"),
        )
        if isinstance(self.of, Arrays):
            raise InputError("task.of: these are samples of a rule, not of other arrays.")
        for name, words in checks:
            ours, theirs = getattr(self, name), getattr(self.of, name)
            if ours != theirs:
                raise InputError(
                    f"task.of: the arrays have {words} {ours}, but task '{self.of.kind}' has {theirs}."
                )
        return self

    def _found(self, samples: Checked) -> dict[str, Any]:
        found = super()._found(samples)
        # where the function itself is drawn, its labels are not those of these samples
        if not found["n_probe"] and not getattr(self.of, "is_drawn", False):
            found["n_probe"] = getattr(self.of, "n_probe", 0)
        return found

    def _at(self, path: str) -> Arrays:
        return Samples(path=path, sha256=self.sha256, train_subset=self.train_subset, of=self.of)

    def shared_data(self) -> dict[str, jax.Array]:
        """The arrays, and the probe of the task where they have none."""
        data = super().shared_data()
        if self.n_probe and "probe_x" not in data:
            rule = self.of.shared_data()
            data |= {name: rule[name] for name in ("probe_x", "probe_y")}
        return data

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """Those of the task."""
        return getattr(self.of, "axes", {})

    def sample(self, key: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
        """Fresh samples of the task."""
        return self.of.sample(key, count)

    @property
    def can_sample(self) -> bool:
        """Whether the task can."""
        return self.of.can_sample

    def facts(self) -> dict[str, Any]:
        """Those of the task, and of the arrays."""
        return {**self.of.facts(), **super().facts()}
