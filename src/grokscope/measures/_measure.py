"""The base of all measures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import SerializeAsAny

from grokscope.errors import InputError
from grokscope.measures.needs import Need
from grokscope.spec.code import Code, code_of
from grokscope.spec.parts import Kind, Part, resolver

if TYPE_CHECKING:
    import jax

    from grokscope.measures._point import Point
    from grokscope.spec.training_spec import TrainingSpec

__all__ = ["Measure", "MeasureField", "Pace"]

Pace = Literal["quick", "slow", "follow", "follow_slow"]


class Measure(Part):
    """A pure function of a network and its data, taken at the points of a schedule.

    Attributes:
        dims: names of the result's axes besides seed and step, e.g. ``("neuron",)``.
        pace: ``quick`` (taken at every point of the schedule), ``slow`` (at fewer, log-spaced points),
            ``follow`` (needs the subnetworks, which are found at the end of a run), or ``follow_slow`` (the
            same, at the points of slow measures).
        unit: for axis labels.
        default: whether it is taken where a spec lists no measures.
        default_with_classes: whether it is also taken then on a task with classes.
        revision: raised by one when the code of one of our own measures is changed so that its values change.
            Values of another revision do not count as measured. A measure of a plug-in does not need it: its
            code is compared.
        default_online: whether it is taken then in online training, if it is not a default elsewhere.
        needs: what the experiment must have (values of `grokscope.measures.needs`). Where it lacks one, the
            measure is not among the defaults, and a spec that asks for it is refused with one line.
    """

    group = "measure"
    dims: ClassVar[tuple[str, ...]] = ()
    pace: ClassVar[Pace] = "quick"
    unit: ClassVar[str] = ""
    default: ClassVar[bool] = True
    default_with_classes: ClassVar[bool] = True
    default_online: ClassVar[bool] = False
    needs: ClassVar[tuple[Need, ...]] = ()
    revision: ClassVar[int] = 1

    kind: Kind

    @property
    def name(self) -> str:
        """The name of the stored result: the kind; options that change the result add to it."""
        return self.kind

    @property
    def code(self) -> Code | None:
        """The code of its class; None for the package's own measures."""
        return code_of(self)

    @property
    def code_version(self) -> str:
        """A text that differs where the code that computes the values does; it is stored with them.

        Empty for the package's own measures at revision 1, ``r2`` and so on later; of a measure of the user's
        own the first digits of the hash of its code, or ``?`` where that is not known.
        """
        code = self.code
        if code is not None:
            return code.sha256[:16] or "?"
        return f"r{self.revision}" if self.revision > 1 else ""

    def __call__(self, point: Point) -> jax.Array:
        """The result at a point: an array with axes `dims`, of a float type or int32. Inside jit."""
        raise NotImplementedError

    @property
    def needs_of_options(self) -> tuple[Need, ...]:
        """Further needs, which depend on its fields."""
        return ()

    def missing(self, spec: TrainingSpec) -> str | None:
        """The reason why the measure does not apply to an experiment (one line), or None."""
        for need in (*self.needs_of_options, *self.needs):
            if (reason := need.missing(spec)) is not None:
                return f"{self.name} needs {reason}"
        return None

    def is_default(self, spec: TrainingSpec) -> bool:
        """Whether it is taken where the spec lists no measures."""
        fits = self.default_with_classes or spec.task.label_kind != "class"
        usual = self.default or (self.default_online and spec.online)
        return usual and fits and self.missing(spec) is None

    def shape(self, spec: TrainingSpec) -> tuple[int, ...]:
        """The shape of the result.

        Raises:
            InputError: if the experiment has no axis of the name of one of `dims`.
        """
        for dim in self.dims:
            if dim != "neuron" and dim not in spec.axes:
                known = ", ".join(["neuron", *spec.axes])
                raise InputError(
                    f"measure '{self.kind}': has the axis '{dim}'; the experiment's are {known}."
                )
        sizes = {dim: len(labels) for dim, labels in spec.axes.items()}
        return tuple(spec.model.n_neurons if dim == "neuron" else sizes[dim] for dim in self.dims)


if TYPE_CHECKING:
    MeasureField = Any  # names and tables are converted, which type checkers do not know
else:
    MeasureField = Annotated[SerializeAsAny[Measure], resolver(Measure)]
