"""TrainingSpec: what the parts of an experiment may read of the whole."""

from __future__ import annotations

from typing import Any, Literal, Protocol

__all__ = ["TrainingSpec"]


class TrainingSpec(Protocol):
    """The experiment as its learner, its measures and its interventions see it.

    `grokscope.experiment.Experiment` has all of this. The parts use this type, because the experiment is
    made of them and imports them.
    """

    @property
    def task(self) -> Any:
        """The task (`grokscope.tasks.Task`)."""
        ...

    @property
    def model(self) -> Any:
        """The model (`grokscope.models.Model`)."""
        ...

    @property
    def loss(self) -> Any:
        """The loss (`grokscope.losses.Loss`)."""
        ...

    @property
    def optimizer(self) -> Any:
        """The optimizer (`grokscope.optimizers.Optimizer`)."""
        ...

    @property
    def precision(self) -> Literal["float32", "float64"]:
        """The type of parameters, data and loss."""
        ...

    @property
    def n_steps(self) -> int:
        """Number of updates."""
        ...

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """Labels of the axes of measures, by axis name."""
        ...
