"""The experiment and the members of a branch."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from grokscope.errors import InputError, said
from grokscope.experiment import Experiment
from grokscope.spec.moments import with_conditions
from grokscope.spec.parts import part_of
from grokscope.spec.streams import STREAMS, Members, Seeds, parse_seeds
from grokscope.starts import FromRun
from grokscope.store.place import located

if TYPE_CHECKING:
    from grokscope.store.reader import RunReader

__all__ = ["branch_experiment", "branch_members"]


def branch_experiment(
    source: RunReader,
    at: int | str,
    changes: Sequence[str] = (),
    *,
    interventions: tuple[Any, ...] = (),
    parameters: Any = "all",
    neurons: Any = None,
    clock: Any = "source",
    rename: Any = (),
    into: Any = "refuse",
) -> Experiment:
    """The experiment of a branch: that of the source run, with changes, and a start inside that run.

    Args:
        source: the store of the source run.
        at: the step (-1: the last) or event at which members start.
        changes: changes of the spec, as for ``--set``.
        interventions: interventions of the branch; those of the source are dropped.
        parameters: names of the parameters to copy; see `grokscope.starts.FromRun`, also for the next four.
        neurons: the neurons whose parameters are copied.
        clock: whether steps continue from the source's step or begin at 0.
        rename: other names of parameters in the branch.
        into: the rule for parameters of another shape.

    Raises:
        InputError: if the experiment is not valid, or ends before the branch starts.
    """
    if isinstance(at, str) and at.strip().lstrip("-").isdigit():
        at = int(at)
    if isinstance(at, int) and at < 0:
        at = source.experiment.n_steps + 1 + at
    init = FromRun(
        # as it was given, unless the working folder has changed since
        run=str(source.path if located(source.path) == source.place else source.place),
        source=source.identity,
        at=at,
        parameters=parameters,
        neurons=neurons,
        clock=clock,
        rename=rename,
        into=into,
    )
    events = source.experiment.events
    items = tuple(with_conditions(part_of("intervention", item), events) for item in interventions)
    table: dict[str, Any] = {name: getattr(source.experiment, name) for name in Experiment.model_fields}
    table |= {"init": with_conditions(init, events), "interventions": items}
    experiment = Experiment(**table).with_(*changes)
    start = at if isinstance(at, int) and clock == "source" else 0
    if start >= experiment.n_steps:
        epochs = 2 * max(1, experiment.n_steps // experiment.steps_per_epoch)
        raise InputError(
            f"branch: it starts at step {start}, and its experiment ends at {experiment.n_steps}; make it "
            f"longer, for example: {said(command=f'--set epochs={epochs}', python=repr(f'epochs={epochs}'))}."
        )
    return experiment


def branch_members(source: Members, text: Any) -> Members:
    """The members of a branch: all or some of the source's members, with the same or other seeds.

    Args:
        source: the members of the source run.
        text: None (all members of the source); a count or list of seeds; `Members`; or text with parts
            separated by semicolons: seeds of the source's members, ``STREAM=SEEDS`` (each member with each of
            these seeds), ``STREAM=+N`` (each member's own seed plus N).

    Raises:
        InputError: if the text has another form, or the source has no such member.

    Example:
        >>> branch_members(Members.of_seeds([0, 1]), "1,; order=7,8").seeds
        ((1, 1, 7, 1), (1, 1, 8, 1))
    """
    if text is None:
        return source
    if not isinstance(text, str):
        return text if isinstance(text, Members) else _listed(source, text)
    chosen, streams = source, dict[str, str]()
    for piece in filter(None, (part.strip() for part in text.split(";"))):
        name, equals, values = (part.strip() for part in piece.partition("="))
        if not equals:
            chosen = _select_members(source, parse_seeds(piece))
        elif name in STREAMS and name not in streams and values:
            streams[name] = values
        else:
            raise InputError(
                f"seeds: '{piece}' is not SEEDS, STREAM=SEEDS or STREAM=+N (one of {', '.join(STREAMS)})."
            )
    found: list[Seeds] = []
    for member in chosen:
        each = [
            _stream_seeds(streams[s], own) if s in streams else [own]
            for s, own in zip(STREAMS, member, strict=True)
        ]
        found += [cast("Seeds", seeds) for seeds in itertools.product(*each)]
    return Members(tuple(dict.fromkeys(found)))


def _listed(source: Members, items: int | Iterable[Any]) -> Members:
    """Members from seeds of the source's members, or from four seeds for each member of the branch."""
    if isinstance(items, int):
        return _select_members(source, parse_seeds(items))
    listed = list(items)
    if any(isinstance(item, tuple | list) for item in listed):
        return Members(tuple(cast("Seeds", tuple(item)) for item in listed))
    return _select_members(source, parse_seeds(listed))


def _select_members(source: Members, seeds: list[int]) -> Members:
    if not source.is_plain:
        raise InputError("seeds: the source's members have crossed streams; write STREAM=SEEDS.")
    have = {member[0] for member in source}
    if lacking := [seed for seed in seeds if seed not in have]:
        raise InputError(f"seeds: the source has no seed {lacking[0]}.")
    return Members.of_seeds(seeds)


def _stream_seeds(text: str, own: int) -> list[int]:
    """The seeds that ``SEEDS`` or ``+N,...`` names for a member whose own seed is ``own``."""
    pieces = [piece.strip() for piece in text.split(",")]
    if all(piece.startswith("+") and piece[1:].isdigit() for piece in pieces):
        return [own + int(piece) for piece in pieces]
    return parse_seeds(f"{text},")
