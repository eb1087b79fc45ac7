"""A user's own samples of a known task: the data on which a network was trained elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

from grokscope.errors import InputError
from grokscope.tasks._task import TaskField
from grokscope.tasks.array_files import CheckedArrays
from grokscope.tasks.arrays import Arrays

if TYPE_CHECKING:
    from typing import Self

    import jax

__all__ = ["Samples"]


class Samples(Arrays):
    """User-supplied samples of a known task, which provides the probe and the facts.

    Use it to import networks that were trained elsewhere on a known function. The training and test splits
    come from the arrays; the probe, the facts (such as the hidden bits) and online samples come from the task
    ``of``.

    Attributes:
        of: the task that the samples were drawn from; a table with a ``kind``.
        n_probe: number of probe samples; set from ``probe_x`` or, without it, from the task.

    Raises:
        InputError: as for ``arrays``, or if inputs or labels are of another kind than those of the task.

    Example:
        >>> import numpy as np
        >>> x = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
        >>> own = Arrays.from_numpy(train_x=x, train_y=x[:, 0], test_x=x, test_y=x[:, 0])
        >>> task = Samples(sha256=own.sha256, of={"kind": "sparse_parity", "n": 2, "k": 1})
        >>> task.n_train, task.n_probe, task.facts()["support"]
        (4, 10000, [0])
    """

    kind: Literal["samples"] = "samples"
    not_identifying = ("path",)

    of: TaskField

    @model_validator(mode="after")
    def _fits(self) -> Self:
        checks = (
            ("input_shape", "rows of shape"),
            ("label_kind", "labels of kind"),
            ("n_outputs", "this many outputs:"),
        )
        if isinstance(self.of, Arrays):
            raise InputError("task.of: must be a task with a rule, not arrays.")
        for name, words in checks:
            ours, theirs = getattr(self, name), getattr(self.of, name)
            if ours != theirs:
                raise InputError(
                    f"task.of: the arrays have {words} {ours}, but task '{self.of.kind}' has {theirs}."
                )
        return self

    def _found(self, samples: CheckedArrays) -> dict[str, Any]:
        found = super()._found(samples)
        # if the task draws its function for each data seed, it is not the function of these samples
        if not found["n_probe"] and not getattr(self.of, "is_drawn", False):
            found["n_probe"] = getattr(self.of, "n_probe", 0)
        return found

    def _at(self, path: str) -> Arrays:
        return Samples(path=path, sha256=self.sha256, train_subset=self.train_subset, of=self.of)

    def shared_data(self) -> dict[str, jax.Array]:
        """The arrays, with the task's probe if they have no probe of their own."""
        data = super().shared_data()
        if self.n_probe and "probe_x" not in data:
            rule = self.of.shared_data()
            data |= {name: rule[name] for name in ("probe_x", "probe_y")}
        return data

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """The axes of the task ``of``."""
        return getattr(self.of, "axes", {})

    def sample(self, key: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
        """New samples of the task ``of``."""
        return self.of.sample(key, count)

    @property
    def can_sample(self) -> bool:
        """Whether the task ``of`` can be sampled."""
        return self.of.can_sample

    @property
    def population_names(self) -> tuple[str, ...]:
        """Those of the task ``of``, unless it draws its function for each data seed."""
        return () if getattr(self.of, "is_drawn", False) else self.of.population_names

    def population(self, network: Any, loss: Any, data: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """The expectations of the task ``of``."""
        return self.of.population(network, loss, data)

    def point_facts(self, data: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """The facts, and those that the task ``of`` finds in the arrays."""
        known = {} if getattr(self.of, "is_drawn", False) else self.of.point_facts(data)
        return {**super().point_facts(data), **known}

    def facts(self) -> dict[str, Any]:
        """The facts of the task ``of``, and those of the arrays."""
        return {**self.of.facts(), **super().facts()}
