"""A plain function of a point as a measure: `Run.measure` makes one of what it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import jax.numpy as jnp
from pydantic import Field

from grokscope.errors import GrokscopeError, InputError
from grokscope.measures._measure import Measure
from grokscope.measures._point import Point
from grokscope.measures.needs import INITIAL_NETWORK, Need
from grokscope.spec.code import Code, code_of
from grokscope.spec.parts import kinds

if TYPE_CHECKING:
    from grokscope.spec.training_spec import TrainingSpec

__all__ = ["FunctionMeasure", "MeasureLike"]

# What stands for a measure: a name, a table with a kind, a measure or its class, or a function of a point.
MeasureLike: TypeAlias = str | Mapping[str, Any] | Measure | type[Measure] | Callable[[Point], Any]


class FunctionMeasure(Measure):
    """A function of a point as a measure. It has no registered kind, so that no spec can name it.

    Attributes:
        function: the function; JAX traces it.
        sizes: the shape of its result.
        axes: names of the axes of its result.
        uses_initial: whether it uses the network at the member's start.
    """

    kind: str
    function: Any = Field(exclude=True)
    sizes: tuple[int, ...] = ()
    axes: tuple[str, ...] = ()
    uses_initial: bool = False

    @classmethod
    def of(
        cls,
        function: Callable[[Point], Any],
        spec: TrainingSpec,
        network: Any,
        data: Mapping[str, Any],
        *,
        name: str | None = None,
        dims: tuple[str, ...] | None = None,
    ) -> FunctionMeasure:
        """The measure of a function on an experiment.

        Args:
            function: of a point.
            spec: the experiment.
            network: its network, with shapes in place of arrays.
            data: a member's data, with shapes in place of arrays.
            name: the name of the values; None takes the function's.
            dims: names of the axes of the result; None numbers them: ``NAME_axis_0``.

        Raises:
            InputError: if the function has no name, or another measure has it; if it cannot be traced; if the
                result is no array of numbers, or has not these axes.
        """
        name = _checked_name(function, name)
        result, uses_initial = _traced(function, spec, network, data, name)
        shape = tuple(int(size) for size in result.shape)
        axes = tuple(f"{name}_axis_{i}" for i in range(len(shape))) if dims is None else tuple(dims)
        if len(axes) != len(shape):
            raise InputError(
                f"measure '{name}': its result has shape {shape}, so dims needs {len(shape)} names."
            )
        sizes = {dim: len(labels) for dim, labels in spec.axes.items()} | {"neuron": spec.model.n_neurons}
        for axis, size in zip(axes, shape, strict=True):
            if sizes.get(axis, size) != size:
                raise InputError(
                    f"measure '{name}': axis '{axis}' has {sizes[axis]} places, its result {size}."
                )
        return cls(kind=name, function=function, sizes=shape, axes=axes, uses_initial=uses_initial)

    @property
    def dims(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Names of the result's axes; those of a measure are its class's."""
        return self.axes

    @property
    def needs(self) -> tuple[Need, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The network at the member's start, if the function uses it; those of a measure are its class's."""
        return (INITIAL_NETWORK,) if self.uses_initial else ()

    @property
    def code(self) -> Code | None:
        """The code of the function."""
        return code_of(self.function)

    def __call__(self, point: Point) -> jax.Array:
        """The function's result; truth values become 0 and 1."""
        return _as_number(self.function(point))

    def shape(self, spec: TrainingSpec) -> tuple[int, ...]:
        """The shape of the result."""
        del spec
        return self.sizes


def _checked_name(function: Callable[[Point], Any], name: str | None) -> str:
    found = getattr(function, "__name__", "") if name is None else name
    if not found.isidentifier():
        raise InputError(
            f"measure: a function without a name of its own ({found or function!r}) needs name=."
        )
    if found in kinds("measure"):
        raise InputError(f"measure '{found}': is the name of another measure; give name=.")
    return found


def _traced(
    function: Callable[[Point], Any], spec: TrainingSpec, network: Any, data: Mapping[str, Any], name: str
) -> tuple[Any, bool]:
    """Shape and type of the function's result, and whether it uses the network at the start."""
    points: list[Point] = []

    def result(network: Any, data: dict[str, jax.Array]) -> jax.Array:
        points.append(Point(network, data, spec.loss, task=spec.task, initial=network))
        return _as_number(function(points[-1]))

    try:
        shape = jax.eval_shape(result, network, dict(data))
        return shape, any(point.used_initial for point in points)
    except GrokscopeError:
        raise
    except Exception as error:  # the function is the user's
        first = str(error).strip().partition("\n")[0]
        raise InputError(f"measure '{name}': {type(error).__name__}: {first}") from error


def _as_number(value: Any) -> jax.Array:
    array = jnp.asarray(value)
    if array.dtype == bool:
        return array.astype(jnp.float32)
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(jnp.int32)
