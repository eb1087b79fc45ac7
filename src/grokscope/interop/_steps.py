"""The step of a snapshot: numbers inside its file, by a pattern, or in its name, in this order of trust."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from grokscope.errors import InputError, option, said
from grokscope.spec.streams import MAX_INT32

__all__ = [
    "MAX_STEP",
    "Numbers",
    "Pattern",
    "check_numbers",
    "has_number",
    "not_clear",
    "numbers_in",
    "numbers_in_names",
    "numbers_inside",
    "step_of",
    "whole",
]

MAX_STEP = 10**12
_STEP_KEYS = ("global_step", "step", "iteration", "iter")
_EPOCH_KEYS = ("epoch", "current_epoch")

_K = r"(?:\d+(?:\.\d+)?[kKmM](?![A-Za-z0-9]))"  # 10k, 1.5k, 2M
_NUMBER = re.compile(rf"{_K}|\d+")
_EPOCH_BEFORE = re.compile(r"(?:epochs?|(?<![a-z0-9])(?:ep|e))[-_=. ]?$", re.IGNORECASE)
_STEP_BEFORE = re.compile(
    r"(?:steps?|iterations?|(?<![a-z0-9])(?:iters?|itr|it|updates?)|(?:^|/)checkpoint(?=-))[-_=. ]?$",
    re.IGNORECASE,
)
_UNIT_AFTER = re.compile(
    r"[-_ ]?(?:(epochs?)|(?:steps?|iters?|iterations?|updates?))(?![a-z0-9=]|[-_. ]\d)", re.IGNORECASE
)
_DAY = r"(?:19|20)\d\d([-_.]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])"
_TIME = r"(?:[-_T ]+(?:[01]\d|2[0-3])([-_:.h]?)[0-5]\d\2[0-5]\d)?"
_DATE = re.compile(rf"(?<!\d){_DAY}{_TIME}(?!\d)")
_METRIC = re.compile(
    r"(?:loss|acc|accuracy|err|error|score|perplexity|ppl|f1|auc)[-_=]?\d+(?:\.\d+(?!\w))?", re.IGNORECASE
)
_OTHER = re.compile(r"(?:seed|fold|rank|lr|wd)[-_=. ]?$", re.IGNORECASE)  # numbers that are no steps
_HIDDEN = "\0"
_IN_PATTERN = re.compile(r"\{(\w*)\}|(\*)")


class Numbers(NamedTuple):
    """What one source says of a snapshot's place.

    Attributes:
        source: the source, for messages, as ``its name``.
        step, epoch, seed: the numbers; None if the source does not say them.
    """

    source: str
    step: int | None = None
    epoch: int | None = None
    seed: int | None = None

    @property
    def is_known(self) -> bool:
        """Whether there is a step or an epoch."""
        return self.step is not None or self.epoch is not None

    def agrees(self, step: int, per_epoch: int) -> bool:
        """Whether a step can be what this source says; epoch e has the steps e x n to (e + 1) x n."""
        if self.step is not None:
            return self.step == step
        return self.epoch is None or self.epoch * per_epoch <= step <= (self.epoch + 1) * per_epoch

    def __str__(self) -> str:
        said_so = [f"{unit} {n}" for unit, n in (("step", self.step), ("epoch", self.epoch)) if n is not None]
        return f"{self.source} says {' and '.join(said_so)}"


def whole(value: Any) -> int | None:
    """A whole number from 0 as an int: also a float, a tensor or an array that holds one; else None."""
    if getattr(value, "shape", None) == () and "object" not in str(value.dtype):
        value = value.item() if hasattr(value, "item") else value.__array__().item()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if value >= 0 and value == value // 1 else None


def numbers_inside(table: Mapping[Any, Any]) -> dict[str, tuple[str, int]]:
    """The key and the number of ``step`` and of ``epoch`` in a table of a file, as far as it has them.

    Example:
        >>> numbers_inside({"epoch": 7, "global_step": 49, "lr": 0.1})
        {'step': ('global_step', 49), 'epoch': ('epoch', 7)}
    """
    found: dict[str, tuple[str, int]] = {}
    for unit, keys in (("step", _STEP_KEYS), ("epoch", _EPOCH_KEYS)):
        for key in keys:
            if unit not in found and (number := whole(table.get(key))) is not None:
                found[unit] = (key, number)
    return found


def numbers_in(name: str) -> Numbers:
    """The numbers in a name that it calls a step or an epoch; the last of each counts.

    Example:
        >>> numbers_in("2024-01-15/epoch=7-step=49.ckpt")[1:3], numbers_in("net_10k_steps.pt").step
        ((49, 7), 10000)
    """
    found: dict[str, int] = {}
    masked = _masked(name)
    for match in _NUMBER.finditer(masked):
        if unit := _unit(masked, match):
            found[unit] = _value(match[0])
    return Numbers("its name", **found)


def numbers_in_names(names: Sequence[str]) -> tuple[list[Numbers], bool] | None:
    """The numbers of names that differ in nothing else; None if it is not clear which number is the step.

    Names differ in their step, their epoch or both, where they say so, or in one other number, which is then
    the step. Dates and metrics (``val_loss=0.23``) do not count.

    Returns:
        the numbers of each name, and whether they are only taken for steps.
    """
    masked = [_masked(name) for name in names]
    columns = [[*_NUMBER.finditer(name)] for name in masked]
    forms = {re.sub(f"{_HIDDEN}+", _HIDDEN, _NUMBER.sub("0", name)) for name in masked}
    if len(forms) != 1:
        return None
    values = [[_value(match[0]) for match in matches] for matches in columns]
    varying = [i for i, column in enumerate(zip(*values, strict=True)) if len(set(column)) > 1]
    units = [_unit(masked[0], columns[0][i]) for i in varying]
    if varying and all(units) and len(set(units)) == len(units):
        return [numbers_in(name) for name in names], False
    if len(varying) != 1 or _OTHER.search(masked[0][: columns[0][varying[0]].start()]):
        return None
    return [Numbers("its name", row[varying[0]]) for row in values], True


def has_number(name: str) -> bool:
    """Whether a name has a number that may be a step."""
    return bool(_NUMBER.search(_masked(name)))


def _value(text: str) -> int:
    factor = {"k": 1000, "m": 10**6}.get(text[-1].lower(), 1)
    return int(Decimal(text.rstrip("kKmM")) * factor)


def _unit(name: str, match: re.Match[str]) -> str | None:
    """``step`` or ``epoch``, if the name calls a number so."""
    before = name[: match.start()]
    if _EPOCH_BEFORE.search(before):
        return "epoch"
    if _STEP_BEFORE.search(before):
        return "step"
    if after := _UNIT_AFTER.match(name, match.end()):
        return "epoch" if after[1] else "step"
    return None


def _masked(name: str) -> str:
    """A name with a letter in place of each character of its dates and metrics."""

    def hidden(match: re.Match[str]) -> str:
        # 20240115 may be a number of steps, where the name says so
        return match[0] if match[0].isdigit() and _unit(name, match) else _HIDDEN * len(match[0])

    return _METRIC.sub(hidden, _DATE.sub(hidden, name))


class Pattern:
    """A pattern of names: ``{step}`` or ``{epoch}``, ``{seed}``, and ``*`` for any text but ``/``.

    Raises:
        InputError: if it names no number, or one twice.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        pieces: list[str] = []
        at = 0
        seen: list[str] = []
        for match in _IN_PATTERN.finditer(text):
            pieces.append(re.escape(text[at : match.start()]))
            at = match.end()
            name = match[1]
            if match[2]:
                pieces.append("[^/]*")
            elif name not in ("step", "epoch", "seed") or name in seen:
                raise InputError(
                    f"{option('pattern')} '{text}': '{{{name}}}' is not known, or is there twice. "
                    "Allowed: {step} or {epoch}, {seed}, and * for anything."
                )
            else:
                seen.append(name)
                pieces.append(
                    rf"(?P<{name}>\d{{1,15}})" if name == "seed" else rf"(?P<{name}>{_K}|\d{{1,15}})"
                )
        if not {"step", "epoch"} & set(seen):
            raise InputError(
                f"{option('pattern')} '{text}': must hold {{step}} or {{epoch}}, as 'model_{{step}}.pt'."
            )
        self._compiled = re.compile("".join([*pieces, re.escape(text[at:])]))

    def match(self, name: str) -> Numbers | None:
        """The numbers of a name, or None if it does not match."""
        match = self._compiled.fullmatch(name)
        if match is None:
            return None
        found = {key: _value(text) for key, text in match.groupdict().items() if text is not None}
        return Numbers("the pattern", **found)


def check_numbers(label: str, numbers: Numbers) -> None:
    """Refuse numbers that are too large for a step or a seed."""
    for number in (numbers.step, numbers.epoch):
        if number is not None and number > MAX_STEP:
            raise InputError(f"{label}: {number} is too large for a step; at most {MAX_STEP}.")
    if numbers.seed is not None and numbers.seed > MAX_INT32:
        raise InputError(f"{label}: {numbers.seed} is too large for a seed; at most {MAX_INT32}.")


def step_of(label: str, said_by: Sequence[Numbers], per_epoch: int) -> tuple[int | None, str | None]:
    """The step of a snapshot by the first source that knows it, and a note if another one contradicts it.

    An epoch e is e x per_epoch steps. Where a later source gives a step inside of the epoch of the first, the
    step counts.

    Returns:
        the step, or None if no source knows one; and the note, or None.
    """
    known = [one for one in said_by if one.is_known]
    if not known:
        return None, None
    first = known[0]
    exact = [one.step for one in known if one.step is not None and first.agrees(one.step, per_epoch)]
    step = first.step if first.step is not None else exact[0] if exact else (first.epoch or 0) * per_epoch
    for one in known:
        parts = (one, one._replace(step=None))  # a source may contradict itself
        if not all(part.agrees(step, per_epoch) for part in parts):
            by_epoch = "" if one.epoch is None else f" (an epoch is {per_epoch} steps)"
            against = "" if one is first else f"{first}, but "
            return step, f"{label}: {against}{one}{by_epoch}; step {step} is taken"
    return step, None


def not_clear(where: str, listing: str) -> InputError:
    """The error for names that do not tell the step."""
    example = said(command="--pattern 'model_{step}.pt'", python="pattern='model_{step}.pt'")
    return InputError(
        f"{where}: the step is not clear: the names do not differ in exactly one number. Give a pattern, for "
        f"example {example}.{listing}"
    )
