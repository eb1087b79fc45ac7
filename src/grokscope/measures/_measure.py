"""The base of all measures."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from grokscope.spec.parts import Part

if TYPE_CHECKING:
    import jax

    from grokscope.experiment import Experiment
    from grokscope.measures._point import Point

__all__ = ["Measure", "Pace"]

Pace = Literal["quick", "slow", "follow", "follow_slow"]


class Measure(Part):
    """A pure function of a network and data, taken at the points of a schedule.

    The kind is the name under which the result is stored, unless `name` says otherwise. A measure declares
    what it needs; where that is missing `missing` says so in one line, and the measure is left out of the
    defaults.

    Attributes:
        dims: names of the result's axes besides seed and step, e.g. ``("neuron",)``.
        pace: ``quick`` (taken at every point), ``slow`` (on the log-spaced schedule), ``follow`` (needs the
            subnetworks, which are known only at the end of a run), or ``follow_slow`` (the same, but only
            at the points where slow measures are taken).
        unit: for axis labels.
        default: whether it is measured when a spec does not say what to measure.
        default_with_classes: whether also on a task with classes.
    """

    group: ClassVar[str] = "measure"
    dims: ClassVar[tuple[str, ...]] = ()
    pace: ClassVar[Pace] = "quick"
    unit: ClassVar[str] = ""
    default: ClassVar[bool] = True
    default_with_classes: ClassVar[bool] = True
    # what it needs, checked by `missing`
    needs_signs: ClassVar[bool] = False  # one output and labels +-1
    needs_hidden: ClassVar[bool] = False  # a one-hidden-layer network
    needs_neurons: ClassVar[bool] = False  # a network of any kind with hidden neurons
    needs_binary_inputs: ClassVar[bool] = False
    needs_key_frequencies: ClassVar[bool] = False  # of the final network (pace ``follow``)
    needs_frequencies: ClassVar[bool] = False  # a + b or a - b mod p, over all pairs
    needs_splits: ClassVar[tuple[str, ...]] = ()

    kind: str

    @property
    def name(self) -> str:
        """The name under which the result is stored (overridden where options change what is measured)."""
        return self.kind

    def __call__(self, point: Point) -> jax.Array:
        """The measure at a point, inside jit: an array with axes `dims`, of the network's float or int32."""
        raise NotImplementedError

    def missing(self, experiment: Experiment) -> str | None:
        """What of the measure's needs the experiment lacks (one line), or None."""
        task = experiment.task
        if self.needs_signs and task.n_outputs != 1:
            return f"{self.name} needs one output with labels +-1; task '{task.kind}' has classes"
        if self.needs_hidden and not experiment.model.has_one_hidden_layer:
            return f"{self.name} needs a one-hidden-layer network, not '{experiment.model.kind}'"
        if self.needs_neurons and not experiment.model.n_neurons:
            return f"{self.name} needs a network with hidden neurons, not '{experiment.model.kind}'"
        if self.needs_binary_inputs and not task.has_binary_inputs:
            return f"{self.name} needs inputs +-1; those of task '{task.kind}' are not"
        if self.needs_frequencies and "frequency" not in task.axes:
            return f"{self.name} needs addition or subtraction mod p; task '{task.kind}' is not"
        for split in self.needs_splits:
            if not getattr(task, f"n_{split}", 0):
                return f"{self.name} needs a {split} split; task '{task.kind}' has none"
        return None

    def is_default(self, experiment: Experiment) -> bool:
        """Whether it is measured where the spec does not say what to measure."""
        fits = self.default_with_classes or experiment.task.n_outputs == 1
        return self.default and fits and self.missing(experiment) is None

    def shape(self, experiment: Experiment) -> tuple[int, ...]:
        """The result's shape, from the experiment alone."""
        sizes = {dim: len(labels) for dim, labels in experiment.axes.items()}
        return tuple(experiment.model.n_neurons if dim == "neuron" else sizes[dim] for dim in self.dims)
