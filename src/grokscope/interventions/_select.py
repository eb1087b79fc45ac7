"""The base of all ways to choose neurons, and how they are written in a spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, SerializeAsAny

from grokscope.errors import InputError, did_you_mean
from grokscope.spec.parts import Part, kinds, resolver

if TYPE_CHECKING:
    import numpy as np

    from grokscope.interventions._look import Look

__all__ = ["Neurons", "NeuronsField"]

# Names of subnetworks that every run with measures of subnetworks keeps.
_KEPT = ("generalizing", "complementary", "memorizing", "control", "norm_matched")


class Neurons(Part):
    """A way to choose a set of neurons for each member of a run."""

    group: ClassVar[str] = "neurons"

    kind: str

    def find(self, look: Look) -> np.ndarray:
        """The sets, bool [member, neuron].

        Raises:
            InputError: if there are no such neurons, or what they are chosen by is not there.
        """
        raise NotImplementedError


_from_table = resolver(Neurons)


def _written(value: Any) -> Any:
    """The short forms: a subnetwork's name, a list of neurons, a mask, or sets by seed."""
    if isinstance(value, str) and value in _KEPT:
        value = {"kind": "subnetwork", "name": value}
    if isinstance(value, str) and value not in (known := kinds("neurons")):
        raise InputError(
            f"neurons '{value}' is not known.{did_you_mean(value, [*_KEPT, *known])} Known: a list, "
            f"{', '.join(_KEPT)}, all, or a table with a kind: {', '.join(sorted(known))}."
        )
    mask: Any = value
    if getattr(mask, "ndim", None) == 1 and str(getattr(mask, "dtype", "")) == "bool":
        value = [int(j) for j in mask.nonzero()[0]]
    if isinstance(value, list | tuple):
        value = {"kind": "listed", "neurons": tuple(value)}
    if isinstance(value, Mapping) and value and all(isinstance(key, int | tuple) for key in value):
        value = {"kind": "by_seed", "seeds": tuple(value), "sets": tuple(tuple(s) for s in value.values())}
    return _from_table.func(value)  # type: ignore[call-arg]


NeuronsField = Annotated[SerializeAsAny[Neurons], BeforeValidator(_written)]
