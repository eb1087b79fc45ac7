"""The base of all tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import SerializeAsAny

from grokscope.spec.parts import Kind, Part, resolver

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    import jax

__all__ = ["SPLITS", "Task", "TaskField"]

SPLITS = ("train", "test", "probe")


class Task(Part):
    """The data and the labels: samples, labels, splits, and facts for analyses.

    Data are a dictionary of arrays ``<split>_x`` [sample, *input] and ``<split>_y``. The splits are
    ``train``, ``test`` (a small held-out set, as in the paper) and, if the task has one, ``probe`` (a large
    held-out set for fine measures). A split without samples is an empty array, and its ``n_<split>`` is 0;
    measures of it do not apply then.

    Labels are of one of three kinds (`label_kind`): signs, +-1 as floats [sample], with one output; classes,
    0..n_outputs-1 as int32 [sample], with one output per class; real numbers, floats [sample] with one
    output and [sample, output] with more. Floats have JAX's default precision and the same values in float32
    and float64, so that runs in both precisions learn from the same data.

    `check_task` in ``tasks/check.py`` checks this contract.

    Attributes:
        n_train: number of training samples.
        population_is_affine: whether `population` is for affine networks only: those with a property
            ``affine``, such as that of `grokscope.models.networks.linear_network.LinearNetwork`.
        population_losses: kinds of the losses that `population` is for; None: any.
    """

    group = "task"
    population_is_affine: ClassVar[bool] = False
    population_losses: ClassVar[tuple[str, ...] | None] = None

    kind: Kind
    n_train: int = 1000

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        raise NotImplementedError

    @property
    def n_outputs(self) -> int:
        """The number of outputs of a network: 1, the number of classes, or the length of real labels."""
        return 1

    @property
    def label_kind(self) -> Literal["sign", "real", "class"]:
        """The kind of labels: signs +-1, real numbers, or class numbers. Losses are for some kinds only.

        By default signs with one output, else classes; a task with real labels overrides it.
        """
        return "sign" if self.n_outputs == 1 else "class"

    @property
    def has_fixed_test(self) -> bool:
        """Whether all members have the same test inputs (not where each member splits a finite set)."""
        return True

    @property
    def has_binary_inputs(self) -> bool:
        """Whether every input coordinate is +-1 (needed for sensitivity and exact verification)."""
        return False

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """Labels of further axes that measures of this task can have, by axis name."""
        return {}

    def shared_data(self) -> dict[str, jax.Array]:
        """The arrays that all members share (a fixed test set, say). Called inside jit."""
        return {}

    def member_data(self, data_key: jax.Array, noise_key: jax.Array) -> dict[str, jax.Array]:
        """The arrays of one member, drawn from its data and noise streams. Called inside jit."""
        raise NotImplementedError

    def sample(self, key: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
        """Draw ``count`` new labelled samples, for online training. Called inside jit.

        Raises:
            NotImplementedError: if the task cannot be trained on online.
        """
        raise NotImplementedError

    @property
    def can_sample(self) -> bool:
        """Whether `sample` works (online training)."""
        return type(self).sample is not Task.sample

    def written(self, folder: Path | None) -> Self:
        """The task for a spec file; arrays that exist only in memory are written to the folder.

        Raises:
            InputError: if arrays exist only in memory and no folder is given.
        """
        del folder
        return self

    @property
    def events(self) -> dict[str, str]:
        """Conditions of events by name, as in ``[events]``: of memorization, say, where labels are noisy."""
        return {}

    def facts(self) -> dict[str, Any]:
        """Facts about the task (hidden bits, formula, ...), as JSON values, for analyses and reports."""
        return {}

    def point_facts(self, data: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """The facts of one member as arrays, for measures (``point.facts``). Called inside jit.

        By default the entries of `facts` that are numbers or lists of numbers. A task whose facts differ
        between members, or that knows more from a member's arrays (which labels are noise), overrides it.

        Args:
            data: the member's and the shared arrays.
        """
        import jax.numpy as jnp

        del data
        arrays = {name: np.asarray(value) for name, value in self.facts().items() if _is_numeric(value)}
        return {name: jnp.asarray(array) for name, array in arrays.items()}

    @property
    def population_names(self) -> tuple[str, ...]:
        """Names of the exact expectations that `population` gives, such as ``loss``; () for none."""
        return ()

    @property
    def population_of_quadratic(self) -> tuple[str, ...]:
        """Names of `population_names` given for quadratic functions, too, where `population_is_affine`.

        Such are networks with a property ``quadratic_form``, such as that of
        `grokscope.models.networks.committee.CommitteeNetwork`.
        """
        return ()

    def population(self, network: Any, loss: Any, data: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """Exact expectations of a network over the task's distribution of inputs. Called inside jit.

        For tasks whose inputs can all be listed, or whose expectations have a closed form. Labels are the
        true ones. The names are those of `population_names`; measures use ``point.population(name)``.

        Args:
            network: the predictor.
            loss: the experiment's loss (`grokscope.losses.Loss`).
            data: the member's and the shared arrays.
        """
        raise NotImplementedError


def _is_numeric(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return len({np.shape(item) for item in value}) <= 1 and all(map(_is_numeric, value))
    return isinstance(value, bool | int | float)


TaskField = Annotated[SerializeAsAny[Task], resolver(Task)]
