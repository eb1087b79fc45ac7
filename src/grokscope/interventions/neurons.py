"""Ways to choose neurons: all, listed, by seed, a run's subnetworks, the largest, random, norm-matched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import numpy as np
from pydantic import AfterValidator, Field, SerializeAsAny, model_validator

from grokscope.errors import InputError, did_you_mean
from grokscope.spec.axes import SUBNETWORK_LABELS
from grokscope.spec.moments import check_moment, parse_moment
from grokscope.spec.parts import Kind, Part, kinds, part_of, resolver
from grokscope.spec.streams import MAX_INT32, Seeds

if TYPE_CHECKING:
    from typing import Self

    from grokscope.interventions._members import MemberView

__all__ = [
    "Active",
    "All",
    "BySeed",
    "Complement",
    "Largest",
    "Listed",
    "Neurons",
    "NeuronsField",
    "NormMatched",
    "Random",
    "Stored",
]


def _checked(at: int | str) -> int | str:
    check_moment(at, "neurons.at")
    return at


At = Annotated[int | str, AfterValidator(_checked)]
By = Literal["incoming_norm", "path_norm", "output_norm", "support_norm"]
# Folded into the noise stream's key, so that random sets are independent of label noise and of the control
# subnetwork.
_RANDOM = 0x72616E64


class Neurons(Part):
    """A way to choose a set of neurons for each member of a run."""

    group = "neurons"

    kind: Kind

    def find(self, members: MemberView) -> np.ndarray:
        """The sets, bool [member, neuron].

        Raises:
            InputError: if a neuron does not exist, or the source run lacks the data for the choice.
        """
        raise NotImplementedError


def _resolve(value: Any) -> Any:
    """Make a set of neurons from any form, also the short ones: name, list, mask, or sets by seed."""
    if isinstance(value, str) and value in SUBNETWORK_LABELS:
        value = {"kind": "subnetwork", "name": value}
    if isinstance(value, str) and value not in (known := kinds("neurons")):
        hint = did_you_mean(value, [*SUBNETWORK_LABELS, *known])
        raise InputError(
            f"neurons '{value}' is not known.{hint} Known: a list, {', '.join(SUBNETWORK_LABELS)}, all, "
            f"or a table with a kind: {', '.join(sorted(known))}."
        )
    mask: Any = value
    if getattr(mask, "ndim", None) == 1 and str(getattr(mask, "dtype", "")) == "bool":
        value = [int(j) for j in mask.nonzero()[0]]
    if isinstance(value, list | tuple):
        value = {"kind": "listed", "neurons": tuple(value)}
    if isinstance(value, Mapping) and value and all(isinstance(key, int | tuple) for key in value):
        value = {"kind": "by_seed", "seeds": tuple(value), "sets": tuple(tuple(s) for s in value.values())}
    return part_of("neurons", value)


NeuronsField = Annotated[SerializeAsAny[Neurons], resolver(Neurons, _resolve)]


class All(Neurons):
    """All neurons.

    Example:
        >>> All().kind
        'all'
    """

    kind: Literal["all"] = "all"

    def find(self, members: MemberView) -> np.ndarray:
        """True for every neuron."""
        return np.ones((len(members.seeds), members.width), bool)


class Listed(Neurons):
    """The same neurons in every member, by index. Short form: ``neurons = [3, 17]``.

    Attributes:
        neurons: indices, counted from 0.

    Example:
        >>> Listed(neurons=[17, 3]).neurons
        (17, 3)
    """

    kind: Literal["listed"] = "listed"
    neurons: tuple[int, ...]

    def find(self, members: MemberView) -> np.ndarray:
        """True for the listed neurons."""
        return np.repeat(_mask(self.neurons, members.width)[None], len(members.seeds), axis=0)


class BySeed(Neurons):
    """A set for each member, by seed. Short form in Python: ``{seed: neurons}``.

    In a branch, a member takes the set of the source member from which it branches.

    Attributes:
        seeds: the seed of each member: one number if all four streams have the same seed, else four numbers
            (init, data, order, noise).
        sets: a list of neuron indices for each entry of ``seeds``.

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

    def find(self, members: MemberView) -> np.ndarray:
        """The set of each member's seed."""
        sets = {
            (s,) * 4 if isinstance(s, int) else s: set_ for s, set_ in zip(self.seeds, self.sets, strict=True)
        }
        rows: list[np.ndarray] = []
        for seeds in map(tuple, members.source_seeds.tolist()):
            if seeds not in sets:
                shown = seeds[0] if len(set(seeds)) == 1 else seeds
                raise InputError(f"neurons.seeds: no set for seed {shown}.")
            rows.append(_mask(sets[cast("Any", seeds)], members.width))
        return np.stack(rows)


class Stored(Neurons):
    """One of the subnetworks that the source run has stored. Short form: its name.

    Attributes:
        name: ``generalizing``, ``complementary``, ``memorizing``, ``control`` or ``norm_matched``.
        flavor: the definition of the active subnetwork: ``predictions`` or ``accuracy``.

    Example:
        >>> Stored(name="generalizing").flavor
        'predictions'
    """

    kind: Literal["subnetwork"] = "subnetwork"
    name: Literal["generalizing", "complementary", "memorizing", "control", "norm_matched"]
    flavor: Literal["predictions", "accuracy"] = "predictions"

    def find(self, members: MemberView) -> np.ndarray:
        """The subnetwork found at the end of the source run."""
        return members.subnetwork(self.name, self.flavor)


class Active(Neurons):
    """The active subnetwork at a step: the fewest neurons of largest norm that predict as the whole network.

    Attributes:
        at: a step or event of the source run, ``end`` (its last state), or ``start`` (the state in which the
            branch starts).
        flavor: ``predictions`` or ``accuracy``, as in the measures ``effective_sparsity`` and
            ``effective_sparsity_accuracy``.
        order: the norm by which neurons are ranked.

    Example:
        >>> Active().at
        'end'
    """

    kind: Literal["active"] = "active"
    at: At = "end"
    flavor: Literal["predictions", "accuracy"] = "predictions"
    order: Literal["incoming_norm", "path_norm"] = "incoming_norm"

    def find(self, members: MemberView) -> np.ndarray:
        """The result of the search on each member's training inputs."""
        return members.active(parse_moment(self.at), self.flavor, self.order)


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

    def find(self, members: MemberView) -> np.ndarray:
        """The complement."""
        return ~self.of.find(members)


class _Counted(Neurons):
    count: int | None = Field(default=None, ge=1)
    as_many_as: NeuronsField | None = None
    excluding: NeuronsField | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.count is None) == (self.as_many_as is None):
            raise ValueError("give exactly one of count and as_many_as")
        return self

    def _first(self, members: MemberView, ranks: np.ndarray) -> np.ndarray:
        """The neurons of lowest rank in each member, without the excluded ones."""
        excluded = self.excluding.find(members) if self.excluding is not None else np.zeros(ranks.shape, bool)
        if self.as_many_as is not None:
            counts = self.as_many_as.find(members).sum(axis=1)
        else:
            counts = np.full(len(ranks), self.count or 0)
        free = (~excluded).sum(axis=1)
        if (counts > free).any():
            worst = int(np.argmax(counts > free))
            raise InputError(
                f"neurons: {counts[worst]} are required, and there are {free[worst]} to choose from "
                f"(of {members.width}, {excluded[worst].sum()} excluded)."
            )
        order = np.argsort(np.where(excluded, members.width, ranks), axis=1, kind="stable")
        chosen = np.zeros(ranks.shape, bool)
        for row, count in enumerate(counts):
            chosen[row, order[row, :count]] = True
        return chosen


class Random(_Counted):
    """Random neurons, drawn from each member's noise stream.

    Attributes:
        count: number of neurons (or give ``as_many_as``).
        as_many_as: a set of neurons; as many are drawn as it has.
        excluding: a set of neurons that are not drawn.
        seed: another number gives another draw from the same stream.

    Example:
        >>> Random(as_many_as="generalizing", excluding="generalizing").seed
        0
    """

    kind: Literal["random"] = "random"
    seed: int = Field(default=0, ge=0, le=MAX_INT32)

    def find(self, members: MemberView) -> np.ndarray:
        """The first neurons of a random order."""
        import jax

        from grokscope.spec.streams import STREAMS, stream_key

        def shuffled(noise: jax.Array) -> jax.Array:
            key = jax.random.fold_in(jax.random.fold_in(stream_key("noise", noise), _RANDOM), self.seed)
            return jax.random.permutation(key, members.width)

        noise = members.source_seeds[:, STREAMS.index("noise")].astype(np.uint32)
        return self._first(members, np.asarray(jax.vmap(shuffled)(jax.numpy.asarray(noise))))


class Largest(_Counted):
    """The neurons of largest norm at a step of the source run.

    Attributes:
        count: number of neurons (or give ``as_many_as``).
        as_many_as: a set of neurons; as many are taken as it has.
        excluding: a set of neurons to skip; the next largest are taken instead.
        by: the norm: ``incoming_norm``, ``path_norm``, ``output_norm`` (of the output weights), or
            ``support_norm`` (of the weights from the hidden bits, times that of the output weights).
        at: a step or event of the source run, ``end``, or ``start`` (the state in which the branch starts).

    Example:
        >>> Largest(count=8, by="path_norm").at
        'start'
    """

    kind: Literal["largest"] = "largest"
    by: By = "incoming_norm"
    at: At = "start"

    def find(self, members: MemberView) -> np.ndarray:
        """The neurons of largest norm; of equal ones those with lower numbers."""
        norm = norms(members, self.at, self.by)
        order = np.argsort(-norm, axis=1, kind="stable")
        ranks = np.empty_like(order)
        np.put_along_axis(ranks, order, np.arange(members.width)[None], axis=1)
        return self._first(members, ranks)


class NormMatched(Neurons):
    """For each neuron of a set, a neuron outside the set with nearly the same norm.

    Attributes:
        to: the set to match.
        by: the norm to match, as for ``largest``.
        at: when the norms are taken: a step or event of the source run, ``end``, or ``start``.

    Example:
        >>> NormMatched(to="generalizing").by
        'incoming_norm'
    """

    kind: Literal["norm_matched"] = "norm_matched"
    to: NeuronsField
    by: By = "incoming_norm"
    at: At = "start"

    def find(self, members: MemberView) -> np.ndarray:
        """Greedy, the largest neuron first; see `grokscope.measures.norm_matched`."""
        masks, norm = self.to.find(members), norms(members, self.at, self.by)
        return np.stack([_matched(mask, size) for mask, size in zip(masks, norm, strict=True)])


def norms(members: MemberView, at: int | str, by: By) -> np.ndarray:
    """A norm of every neuron at a moment, [member, neuron]."""
    weights = members.weights(parse_moment(at))
    if by == "incoming_norm":
        return np.linalg.norm(weights.hidden_weight, axis=1)
    u = weights.output_weight
    out = np.abs(u) if u.ndim == 2 else np.linalg.norm(u, axis=2)
    if by == "output_norm":
        return out
    squares = np.square(weights.hidden_weight)
    if by == "support_norm":
        return out * np.sqrt((squares * members.support()[:, :, None]).sum(axis=1))
    return out * np.sqrt(squares.sum(axis=1) + np.square(weights.hidden_bias))


def _matched(mask: np.ndarray, norm: np.ndarray) -> np.ndarray:
    """As `grokscope.measures.norm_matched`, in numpy, for one member."""
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
        raise InputError("neurons: a neuron is listed twice.")
    mask = np.zeros(width, bool)
    mask[list(neurons)] = True
    return mask
