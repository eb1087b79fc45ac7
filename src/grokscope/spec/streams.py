"""Random streams: the seeds of a member, and the random keys made from them.

A member has one seed in each of four named streams: ``init`` (initial parameters), ``data`` (samples),
``order`` (batches) and ``noise`` (label noise, random subnetworks, anything else that is drawn).
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from grokscope.errors import InputError

if TYPE_CHECKING:
    import jax
    import xarray as xr

__all__ = [
    "MAX_INT32",
    "MEMBER_DIMS",
    "STREAMS",
    "Lineup",
    "Members",
    "Seeds",
    "on_members",
    "parse_seeds",
    "stream_key",
]

STREAMS = ("init", "data", "order", "noise")
# The axes of measures along which members lie: one of the first two, or those of crossed streams.
MEMBER_DIMS = ("seed", "member", *(f"{stream}_seed" for stream in STREAMS))
# The largest seed or step: both are int32 in the compiled program. As a step it means "never".
MAX_INT32 = 2**31 - 1
_MOST_MEMBERS = 10_000_000


class Seeds(NamedTuple):
    """The seeds of one member, one for each random stream.

    Attributes:
        init: seed of the initial parameters.
        data: seed of the samples.
        order: seed of the batches.
        noise: seed of label noise, random subnetworks and everything else that is drawn.

    Example:
        >>> Seeds(3, 3, 3, 3), Seeds(3, 3, 3, 3).label, Seeds.same(3) == (3, 3, 3, 3)
        ((3, 3, 3, 3), 3, True)
    """

    init: int
    data: int
    order: int
    noise: int

    @classmethod
    def same(cls, seed: int) -> Seeds:
        """The same seed in all four streams."""
        return cls(seed, seed, seed, seed)

    @property
    def label(self) -> int | Seeds:
        """The seed if all four are equal, else the four seeds; for messages and labels."""
        return self.init if len(set(self)) == 1 else self

    def __repr__(self) -> str:
        return f"({self.init}, {self.data}, {self.order}, {self.noise})"


@dataclass(frozen=True)
class Members:
    """Members, each with its seeds in the four streams.

    Attributes:
        seeds: the seeds of each member; no member twice.

    Example:
        >>> Members.of_seeds([0, 1]).seeds
        ((0, 0, 0, 0), (1, 1, 1, 1))
        >>> len(Members.crossed(init=[0], data=range(50)))
        50
    """

    seeds: tuple[Seeds, ...]

    def __post_init__(self) -> None:
        if not self.seeds:
            raise InputError("seeds: at least one is needed.")
        if len(set(self.seeds)) != len(self.seeds):
            raise InputError("seeds: a member is given twice.")
        for seed in itertools.chain.from_iterable(self.seeds):
            if not 0 <= seed <= MAX_INT32:
                raise InputError(f"seeds: {seed} is not in 0..{MAX_INT32}.")
        _as_seeds(self)

    @classmethod
    def of_seeds(cls, seeds: Iterable[int]) -> Members:
        """One member per seed, with the same seed in all four streams (as in the paper)."""
        return cls(tuple(map(Seeds.same, seeds)))

    @classmethod
    def crossed(
        cls,
        *,
        init: Iterable[int] = (0,),
        data: Iterable[int] = (0,),
        order: Iterable[int] = (0,),
        noise: Iterable[int] = (0,),
    ) -> Members:
        """Every combination of the given seeds; the last stream varies fastest."""
        return cls(tuple(itertools.starmap(Seeds, itertools.product(init, data, order, noise))))

    @classmethod
    def parse(cls, text: int | str | Iterable[int] | Members) -> Members:
        """Read ``--seeds``: ``5`` (0..4), ``5,9,20:30``, or crossed streams ``init=0;data=0:50``.

        Raises:
            InputError: if the text is none of these.
        """
        if isinstance(text, Members):
            return text
        if isinstance(text, str) and "=" in text:
            streams: dict[str, list[int]] = {}
            for piece in text.split(";"):
                name, _, values = piece.partition("=")
                if name.strip() not in STREAMS or name.strip() in streams:
                    raise InputError(
                        f"seeds: '{piece}' is not STREAM=SEEDS with one of {', '.join(STREAMS)}."
                    )
                streams[name.strip()] = _listed(values)
            return cls.crossed(**streams)
        return cls.of_seeds(parse_seeds(text))

    def __len__(self) -> int:
        return len(self.seeds)

    def __iter__(self) -> Iterator[Seeds]:
        return iter(self.seeds)

    def __getitem__(self, index: slice) -> Members:
        return type(self)(self.seeds[index])

    @property
    def is_plain(self) -> bool:
        """Whether every member has the same seed in all four streams."""
        return all(len(set(member)) == 1 for member in self.seeds)

    def without(self, done: Iterable[Seeds]) -> list[Seeds]:
        """The members that are not in ``done``, in order."""
        skip = set(done)
        return [member for member in self.seeds if member not in skip]


@dataclass(frozen=True)
class Lineup(Members):
    """Members of several experiments side by side; the same seeds may occur more than once.

    Example:
        >>> len(Lineup(((0, 0, 0, 0), (0, 0, 0, 0))))
        2
    """

    def __post_init__(self) -> None:
        if not self.seeds:
            raise InputError("seeds: at least one is needed.")
        _as_seeds(self)


def _as_seeds(members: Members) -> None:
    """Convert the tuples of four seeds into `Seeds`, in the frozen dataclass, while it is made."""
    object.__setattr__(members, "seeds", tuple(itertools.starmap(Seeds, members.seeds)))


def parse_seeds(text: int | str | Iterable[int]) -> list[int]:
    """Read a count (``5``: 0..4) or a list of seeds and half-open ranges (``5,9,20:30``; ``7,``: seed 7).

    Raises:
        InputError: if it is neither.
    """
    if isinstance(text, bool):
        raise InputError(f"seeds: {text!r} is not a count or a list like 5,9,20:30.")
    if isinstance(text, int) or (isinstance(text, str) and text.strip().lstrip("-").isdigit()):
        count = int(text)
        if count < 1:
            raise InputError(f"seeds: the count must be at least 1 (got {count}).")
        return list(_some(range(count)))
    if isinstance(text, str):
        return _listed(text)
    return [operator.index(seed) for seed in text]


def _some(seeds: range) -> range:
    # checked before the range is expanded
    if len(seeds) > _MOST_MEMBERS:
        raise InputError(f"seeds: {len(seeds)} are too many; at most {_MOST_MEMBERS}.")
    return seeds


def _listed(text: str) -> list[int]:
    seeds: list[int] = []
    for piece in filter(None, (item.strip() for item in text.split(","))):
        low, colon, high = piece.partition(":")
        try:
            listed = range(int(low), int(high)) if colon else range(int(low), int(low) + 1)
        except ValueError:
            raise InputError(f"seeds: '{piece}' is neither a seed nor a range like 20:30.") from None
        if not listed:
            raise InputError(f"seeds: the range '{piece}' is empty; its end is excluded.")
        seeds.extend(_some(listed))
    if not seeds:
        raise InputError(f"seeds: '{text}' has no seed; write a count (5) or a list (5,9,20:30).")
    return seeds


def stream_key(stream: str, seed: jax.Array | int) -> jax.Array:
    """The random key of a stream: ``fold_in(key(position of the stream), seed)``."""
    import jax

    return jax.random.fold_in(jax.random.key(STREAMS.index(stream)), seed)


def on_members(measures: xr.Dataset, members: Iterable[Seeds]) -> xr.Dataset:
    """Select members of a run: their measures, in this order, along one axis ``seed``.

    Args:
        measures: of a run, with the axis ``seed``, or with an axis for each crossed stream (``init_seed``,
            ``data_seed``, ...).
        members: the seeds of members of the run.

    Example:
        >>> import xarray as xr
        >>> data = xr.Dataset({"m": (("seed",), [0.5, 0.7])}, {"seed": [3, 8]})
        >>> on_members(data, [(8, 8, 8, 8)])["m"].to_numpy().tolist()
        [0.7]
    """
    import xarray as xr

    wanted = np.array(list(members), np.int64).reshape(-1, len(STREAMS))
    if "seed" in measures.dims:
        return measures.sel(seed=wanted[:, 0])
    columns = {f"{stream}_seed": wanted[:, i] for i, stream in enumerate(STREAMS)}
    if "member" in measures.dims:
        varying = [name for name in columns if measures[name].dims == ("member",)]
        table = np.stack([measures[name].to_numpy() for name in varying], axis=1)
        rows = {tuple(row): i for i, row in enumerate(table.tolist())}
        asked = np.stack([columns[name] for name in varying], axis=1).tolist()
        return measures.isel(member=xr.DataArray([rows[tuple(row)] for row in asked], dims="seed"))
    axes = [name for name in columns if name in measures.dims]
    return measures.sel({name: xr.DataArray(columns[name], dims="seed") for name in axes})
