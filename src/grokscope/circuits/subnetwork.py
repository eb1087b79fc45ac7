"""A subnetwork as a value: a set of neurons, and how it was found.

How the five that are followed through a run are found: ``measures/_subnetworks.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Subnetwork"]


@dataclass(frozen=True, eq=False)
class Subnetwork:
    """A set of neurons, and how it was found.

    Attributes:
        mask: members, bool [neuron]; a copy that cannot be written.
        found: how, for people: ``generalizing: predictions, by incoming norm, step 9600``.

    Raises:
        ValueError: if the mask is not a vector of booleans.

    Example:
        >>> part = Subnetwork(np.array([True, False, True]), found="by hand")
        >>> part.neurons, part.size, part.complement.neurons
        ([0, 2], 2, [1])
    """

    mask: np.ndarray
    found: str

    def __post_init__(self) -> None:
        mask = np.array(self.mask)  # a copy: the value must not change with the caller's array
        if mask.ndim != 1 or mask.dtype != np.bool_:
            raise ValueError(f"a mask is a vector of booleans, not {mask.dtype} of shape {mask.shape}")
        mask.flags.writeable = False
        object.__setattr__(self, "mask", mask)

    @property
    def neurons(self) -> list[int]:
        """The members' indices, rising."""
        return [int(j) for j in np.flatnonzero(self.mask)]

    @property
    def size(self) -> int:
        """The number of members."""
        return int(self.mask.sum())

    @property
    def complement(self) -> Subnetwork:
        """All other neurons."""
        return Subnetwork(~self.mask, found=f"complement of ({self.found})")
