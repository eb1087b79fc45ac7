"""The base of all tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import SerializeAsAny

from grokscope.spec.parts import Part, resolver

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    import jax

__all__ = ["SPLITS", "Task", "TaskField"]

SPLITS = ("train", "test", "probe")


class Task(Part):
    """What is to be learned: samples, labels, splits, and facts an analysis may need.

    Data are a flat dictionary of arrays named ``<split>_x`` [sample, *input] and ``<split>_y`` [sample]:
    ``train`` (what is learned from), ``test`` (the paper's small held-out set) and, where the task has
    one, ``probe`` (a large held-out set on which fine measures are taken).

    Labels: where ``n_outputs`` is 1 they are +-1 (or real numbers, for regression) as floats; else class
    numbers 0..n_outputs-1 as int32. Floats have JAX's default precision, and the same values in float32
    and float64, so that a run in either precision learns from the same data.

    `check_task` in ``tasks/check.py`` says whether a task keeps to all this.
    """

    group: ClassVar[str] = "task"

    kind: str
    n_train: int = 1000

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        raise NotImplementedError

    @property
    def n_outputs(self) -> int:
        """How many numbers a network must return per input: 1, or the number of classes."""
        return 1

    @property
    def label_kind(self) -> Literal["sign", "real", "class"]:
        """What labels are: signs +-1, real numbers, or class numbers; it decides which losses fit."""
        return "sign" if self.n_outputs == 1 else "class"

    @property
    def has_fixed_test(self) -> bool:
        """Whether the test inputs are the same for every member (not where a finite set is split)."""
        return True

    @property
    def has_binary_inputs(self) -> bool:
        """Whether every input coordinate is +-1 (what sensitivity and exact verification need)."""
        return False

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """Labels of axes that measures of this task have besides the usual ones, by axis name."""
        return {}

    def shared_data(self) -> dict[str, jax.Array]:
        """The arrays that are the same for every member (a fixed test set, say). Called inside jit."""
        return {}

    def member_data(self, data_key: jax.Array, noise_key: jax.Array) -> dict[str, jax.Array]:
        """The arrays of one member, drawn from its data and noise streams. Called inside jit."""
        raise NotImplementedError

    def sample(self, key: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
        """Draw ``count`` fresh labelled samples (online training). Called inside jit.

        Raises:
            InputError: from the spec's check, where the task cannot be sampled online.
        """
        raise NotImplementedError

    @property
    def can_sample(self) -> bool:
        """Whether `sample` works, so that the task can be trained on online."""
        return type(self).sample is not Task.sample

    def written(self, folder: Path | None) -> Self:
        """The task as a spec file can name it; what lies only in memory is written to the folder.

        Raises:
            InputError: if something lies only in memory and there is no folder.
        """
        del folder
        return self

    def facts(self) -> dict[str, Any]:
        """What is known of the task's inside (hidden bits, mirror pairs, ...), for analyses and reports."""
        return {}


TaskField = Annotated[SerializeAsAny[Task], resolver(Task)]
