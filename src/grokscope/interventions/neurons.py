"""Ways to choose neurons: listed, by seed, a run's subnetworks, the largest, random or norm-matched ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from pydantic import Field, field_validator, model_validator

from grokscope.errors import InputError
from grokscope.interventions._select import Neurons, NeuronsField
from grokscope.spec.moments import parse_moment
from grokscope.spec.streams import Seeds

if TYPE_CHECKING:
    from typing import Self

    from grokscope.interventions._look import Look

__all__ = [
    "Active",
    "All",
    "BySeed",
    "Complement",
    "Largest",
    "Listed",
    "NormMatched",
    "Random",
    "Stored",
]

By = Literal["incoming_norm", "path_norm", "output_norm"]
# Folded into the noise stream's key, so that random sets share no draw with label noise or the control set.
_RANDOM = 0x72616E64


class All(Neurons):
    """All neurons.

    Example:
        >>> All().kind
        'all'
    """

    kind: Literal["all"] = "all"

    def find(self, look: Look) -> np.ndarray:
        """True everywhere."""
        return np.ones((len(look.seeds), look.width), bool)


class Listed(Neurons):
    """The same neurons in every member, by number; ``neurons = [3, 17]`` is short for it.

    Attributes:
        neurons: numbers from 0.

    Example:
        >>> Listed(neurons=[17, 3]).neurons
        (17, 3)
    """

    kind: Literal["listed"] = "listed"
    neurons: tuple[int, ...]

    def find(self, look: Look) -> np.ndarray:
        """True at the listed places."""
        return np.repeat(_mask(self.neurons, look.width)[None], len(look.seeds), axis=0)


class BySeed(Neurons):
    """A set of its own for each member; in Python ``{seed: neurons}`` is short for it.

    Members of a branch have the set of the source's member that they branch from.

    Attributes:
        seeds: of the members: a seed (all four streams alike), or four (init, data, order, noise).
        sets: for each of them, numbers of neurons.

    Example:
        >>> BySeed(seeds=[0, 1], sets=[[3, 17], [5]]).sets[1]
        (5,)
    """

    kind: Literal["by_seed"] = "by_seed"
    seeds: tuple[int | Seeds, ...]
    sets: tuple[tuple[int, ...], ...]

    @model_validator(mode="after")
    def _paired(self) -> Self:
        if len(self.seeds) != len(self.sets):
            raise ValueError(f"{len(self.seeds)} seeds and {len(self.sets)} sets; give one set per seed")
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("a seed is given twice")
        return self

    def find(self, look: Look) -> np.ndarray:
        """The set of each member's seed."""
        sets = {
            (s,) * 4 if isinstance(s, int) else s: set_ for s, set_ in zip(self.seeds, self.sets, strict=True)
        }
        rows: list[np.ndarray] = []
        for seeds in map(tuple, look.source_seeds.tolist()):
            if seeds not in sets:
                shown = seeds[0] if len(set(seeds)) == 1 else seeds
                raise InputError(f"neurons.seeds: there is no set for seed {shown}.")
            rows.append(_mask(sets[cast("Any", seeds)], look.width))
        return np.stack(rows)


class Stored(Neurons):
    """A subnetwork that the source run keeps; its name alone is short for it.

    Attributes:
        name: ``generalizing``, ``complementary``, ``memorizing``, ``control`` or ``norm_matched``.
        flavor: how it was found: ``predictions`` or ``accuracy``.

    Example:
        >>> Stored(name="generalizing").flavor
        'predictions'
    """

    kind: Literal["subnetwork"] = "subnetwork"
    name: Literal["generalizing", "complementary", "memorizing", "control", "norm_matched"]
    flavor: Literal["predictions", "accuracy"] = "predictions"

    def find(self, look: Look) -> np.ndarray:
        """As it was found when the source run ended."""
        return look.subnetwork(self.name, self.flavor)


class Active(Neurons):
    """The active subnetwork at a moment of the source run: the fewest largest neurons that predict as all do.

    Attributes:
        at: a step or event of the source run, ``end`` (its last state), or ``start`` (where the branch
            begins).
        flavor: ``predictions`` or ``accuracy`` (see the measures ``effective_sparsity...``).
        order: which norm ranks the neurons.

    Example:
        >>> Active().at
        'end'
    """

    kind: Literal["active"] = "active"
    at: int | str = "end"
    flavor: Literal["predictions", "accuracy"] = "predictions"
    order: Literal["incoming_norm", "path_norm"] = "incoming_norm"

    @field_validator("at", mode="after")
    @classmethod
    def _moment(cls, value: Any) -> Any:
        parse_moment(value, "neurons.at")
        return value

    def find(self, look: Look) -> np.ndarray:
        """Searched for on each member's training inputs."""
        return look.active(parse_moment(self.at), self.flavor, self.order)


class Complement(Neurons):
    """All neurons that are not in another set.

    Attributes:
        of: the other set.

    Example:
        >>> Complement(of=[0, 1]).of.neurons
        (0, 1)
    """

    kind: Literal["complement"] = "complement"
    of: NeuronsField

    def find(self, look: Look) -> np.ndarray:
        """The others."""
        return ~self.of.find(look)


class _Counted(Neurons):
    count: int | None = Field(default=None, ge=1)
    as_many_as: NeuronsField | None = None
    excluding: NeuronsField | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.count is None) == (self.as_many_as is None):
            raise ValueError("give exactly one of count and as_many_as")
        return self

    def _first(self, look: Look, ranks: np.ndarray) -> np.ndarray:
        """The first neurons of each member by rank, those left out aside."""
        barred = self.excluding.find(look) if self.excluding is not None else np.zeros(ranks.shape, bool)
        if self.as_many_as is not None:
            counts = self.as_many_as.find(look).sum(axis=1)
        else:
            counts = np.full(len(ranks), self.count or 0)
        free = (~barred).sum(axis=1)
        if (counts > free).any():
            worst = int(np.argmax(counts > free))
            raise InputError(
                f"neurons: {counts[worst]} are asked for, and there are {free[worst]} to choose from "
                f"(of {look.width}, {barred[worst].sum()} left out)."
            )
        order = np.argsort(np.where(barred, look.width, ranks), axis=1, kind="stable")
        chosen = np.zeros(ranks.shape, bool)
        for row, count in enumerate(counts):
            chosen[row, order[row, :count]] = True
        return chosen


class Random(_Counted):
    """Random neurons, drawn from each member's noise stream.

    Attributes:
        count: how many; or
        as_many_as: as many as this set has.
        excluding: neurons that are not drawn.
        seed: another seed draws another set.

    Example:
        >>> Random(as_many_as="generalizing", excluding="generalizing").seed
        0
    """

    kind: Literal["random"] = "random"
    seed: int = Field(default=0, ge=0, lt=2**31)

    def find(self, look: Look) -> np.ndarray:
        """The first of a random order."""
        import jax

        from grokscope.spec.streams import STREAMS, stream_key

        def shuffled(noise: jax.Array) -> jax.Array:
            key = jax.random.fold_in(jax.random.fold_in(stream_key("noise", noise), _RANDOM), self.seed)
            return jax.random.permutation(key, look.width)

        noise = look.source_seeds[:, STREAMS.index("noise")].astype(np.uint32)
        return self._first(look, np.asarray(jax.vmap(shuffled)(jax.numpy.asarray(noise))))


class Largest(_Counted):
    """The largest neurons at a moment of the source run.

    Attributes:
        count: how many; or
        as_many_as: as many as this set has.
        excluding: neurons that are passed over (so that the next best are taken).
        by: incoming norm, path norm, or norm of the output weights.
        at: a step or event of the source run, ``end``, or ``start`` (where the branch begins).

    Example:
        >>> Largest(count=8, by="path_norm").at
        'start'
    """

    kind: Literal["largest"] = "largest"
    by: By = "incoming_norm"
    at: int | str = "start"

    @field_validator("at", mode="after")
    @classmethod
    def _moment(cls, value: Any) -> Any:
        parse_moment(value, "neurons.at")
        return value

    def find(self, look: Look) -> np.ndarray:
        """The first by falling norm; equal ones by number."""
        norm = norms(look, self.at, self.by)
        order = np.argsort(-norm, axis=1, kind="stable")
        ranks = np.empty_like(order)
        np.put_along_axis(ranks, order, np.arange(look.width)[None], axis=1)
        return self._first(look, ranks)


class NormMatched(Neurons):
    """For each neuron of a set another one of like norm, not in the set.

    Attributes:
        to: the set.
        by: which norm.
        at: when they are matched: a step or event of the source run, ``end``, or ``start``.

    Example:
        >>> NormMatched(to="generalizing").by
        'incoming_norm'
    """

    kind: Literal["norm_matched"] = "norm_matched"
    to: NeuronsField
    by: By = "incoming_norm"
    at: int | str = "start"

    @field_validator("at", mode="after")
    @classmethod
    def _moment(cls, value: Any) -> Any:
        parse_moment(value, "neurons.at")
        return value

    def find(self, look: Look) -> np.ndarray:
        """Greedy, the largest neuron first; see `grokscope.measures._subnetworks.norm_matched`."""
        masks, norm = self.to.find(look), norms(look, self.at, self.by)
        return np.stack([_matched(mask, size) for mask, size in zip(masks, norm, strict=True)])


def norms(look: Look, at: int | str, by: By) -> np.ndarray:
    """A norm of every neuron at a moment, [member, neuron]."""
    weights = look.weights(parse_moment(at))
    if by == "incoming_norm":
        return np.linalg.norm(weights.hidden_weight, axis=1)
    u = weights.output_weight
    out = np.abs(u) if u.ndim == 2 else np.linalg.norm(u, axis=2)
    if by == "output_norm":
        return out
    into = np.sqrt(np.square(weights.hidden_weight).sum(axis=1) + np.square(weights.hidden_bias))
    return into * out


def _matched(mask: np.ndarray, norm: np.ndarray) -> np.ndarray:
    """As `norm_matched`, of numpy arrays: it is served one by one, and members are few."""
    taken = np.zeros(len(mask), bool)
    members = [j for j in np.argsort(-norm, kind="stable") if mask[j]]
    for j in members[: int((~mask).sum())]:
        distance = np.where(mask | taken, np.inf, np.abs(norm - norm[j]))
        taken[int(np.argmin(distance))] = True
    return taken


def _mask(neurons: tuple[int, ...], width: int) -> np.ndarray:
    if wrong := [j for j in neurons if not 0 <= j < width]:
        raise InputError(f"neurons: {wrong[0]} does not exist; the network has {width}, 0..{width - 1}.")
    if len(set(neurons)) != len(neurons):
        raise InputError("neurons: one is named twice.")
    mask = np.zeros(width, bool)
    mask[list(neurons)] = True
    return mask
