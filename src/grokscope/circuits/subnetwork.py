"""`Subnetwork`: a set of neurons. ``measures/_subnetworks.py`` finds the five subnetworks of a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Subnetwork"]


@dataclass(frozen=True, eq=False)
class Subnetwork:
    """A set of neurons, and how it was found.

    Attributes:
        mask: True for neurons in the set, bool [neuron]; a read-only copy.
        found: how, as text: ``generalizing: predictions, by incoming norm, step 9600``.

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
        """The indices of the neurons in the set, rising."""
        return [int(j) for j in np.flatnonzero(self.mask)]

    @property
    def size(self) -> int:
        """The number of neurons in the set."""
        return int(self.mask.sum())

    @property
    def complement(self) -> Subnetwork:
        """All other neurons."""
        return Subnetwork(~self.mask, found=f"complement of ({self.found})")
