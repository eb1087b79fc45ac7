"""TrainingSpec: read access to an experiment for its own parts."""

from __future__ import annotations

from typing import Any, Literal, Protocol

__all__ = ["TrainingSpec"]


class TrainingSpec(Protocol):
    """The attributes of an experiment that its learner, measures and interventions may read.

    `grokscope.experiment.Experiment` implements it. The parts cannot import that class, because it imports
    them.
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
    def penalty(self) -> Any:
        """What is added to the loss of a batch (`grokscope.losses.Penalty`)."""
        ...

    @property
    def optimizer(self) -> Any:
        """The optimizer (`grokscope.optimizers.Optimizer`)."""
        ...

    @property
    def learner(self) -> Any:
        """The learner (`grokscope.learners.Learner`)."""
        ...

    @property
    def online(self) -> bool:
        """Whether every update has fresh samples, instead of batches of a training set."""
        ...

    @property
    def precision(self) -> Literal["float32", "float64"]:
        """The float type of parameters, data and loss."""
        ...

    @property
    def n_steps(self) -> int:
        """Number of updates."""
        ...

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """Labels of the axes of measures, by axis name."""
        ...
