"""What a contest is asked for: contenders that are each tuned over equally many settings, and seeds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from grokscope.errors import InputError, did_you_mean
from grokscope.experiment import Experiment
from grokscope.spec.parts import looking_in
from grokscope.spec.streams import Members
from grokscope.spec.toml import read_toml
from grokscope.sweeps._spec import SweepSpec

__all__ = ["Contender", "ContestSpec", "is_contest_file"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_RESERVED = ("tuning", "figures")
_KEYS = ("kind", "contenders", "tuning_seeds", "seeds")
_CONTENDER_KEYS = ("set", "over", "zip")


@dataclass(frozen=True)
class Contender:
    """One of those that are compared.

    Attributes:
        name: short; of its folder, too.
        over: the settings that it is tuned over, as for ``--over``.
        settings: what it sets in the base, as for ``--set``.
    """

    name: str
    over: tuple[str, ...]
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ContestSpec:
    """A fair comparison: each contender gets the same number of settings, seeds and steps to be tuned with.

    Attributes:
        base: the experiment that contenders change.
        contenders: two or more; the first is the reference.
        tuning: the seeds on which a setting is chosen.
        fresh: the seeds on which the chosen settings are compared; none of them was tuned on.

    Raises:
        InputError: if there are fewer than two contenders, their numbers of settings differ, a name is not a
            plain word, or a seed is in both sets.

    Example:
        >>> spec = ContestSpec.of(
        ...     Experiment(task="sparse_parity", epochs=300),
        ...     [Contender("sgd", ("optimizer.learning_rate=0.1,0.2",)),
        ...      Contender("adamw", ("optimizer.learning_rate=0.001,0.01",), ("optimizer.kind=adamw",))],
        ...     tuning=2, fresh="100:110")
        >>> spec.n_settings, spec.n_members
        (2, 28)
    """

    base: Experiment
    contenders: tuple[Contender, ...]
    tuning: Members
    fresh: Members

    def __post_init__(self) -> None:
        names = [one.name for one in self.contenders]
        if len(names) < 2:
            raise InputError("a contest needs two contenders or more: tables [sweep.contenders.NAME].")
        for name in names:
            if not _NAME.fullmatch(name) or name in _RESERVED:
                raise InputError(f"sweep.contenders.{name}: a name is letters, digits, '-' and '_'.")
            if names.count(name) > 1:
                raise InputError(f"sweep.contenders.{name}: is there twice.")
        sizes = {name: grid.n_cells for name, grid in self.grids.items()}
        if len(set(sizes.values())) > 1:
            listed = ", ".join(f"{name} has {size}" for name, size in sizes.items())
            raise InputError(f"a contest is fair only over equally many settings, but {listed}.")
        both = [member[0] for member in self.fresh if member in set(self.tuning)]
        if both:
            raise InputError(f"a contest compares on fresh seeds, but {both[0]} is among the tuning seeds.")

    @classmethod
    def of(
        cls, base: Experiment, contenders: Sequence[Contender], tuning: Any = 3, fresh: Any = "100:110"
    ) -> ContestSpec:
        """Make a spec; seeds as for ``--seeds``.

        Raises:
            InputError: see the class.
        """
        return cls(base, tuple(contenders), Members.parse(tuning), Members.parse(fresh))

    @classmethod
    def from_toml(cls, path: str | Path, overrides: Sequence[str] = (), seeds: Any = None) -> ContestSpec:
        """Read a spec file whose table ``[sweep]`` has ``kind = "contest"``.

        Args:
            path: of the file.
            overrides: of the base, as for ``--set``.
            seeds: fresh ones, in place of those in the file.

        Raises:
            InputError: if the file or a value in it is not valid.
        """
        file = Path(path)
        table = read_toml(file)
        own = table.pop("sweep", {})
        _only(own, _KEYS, "sweep")
        found = own.get("contenders", {})
        if not isinstance(found, dict):
            raise InputError("sweep.contenders: tables, one for each contender.")
        with looking_in(file.parent):
            base = Experiment.from_table(table, tuple(overrides))
        asked = own.get("seeds", "100:110") if seeds is None else seeds
        listed = [_contender(name, entry) for name, entry in found.items()]
        return cls.of(base, listed, own.get("tuning_seeds", 3), asked)

    @cached_property
    def grids(self) -> dict[str, SweepSpec]:
        """By contender, the sweep in which it is tuned."""
        return {
            one.name: SweepSpec.of(self.base.with_(*one.settings), one.over, seeds=self.tuning)
            for one in self.contenders
        }

    @property
    def n_settings(self) -> int:
        """How many settings each contender is tuned over."""
        return self.grids[self.contenders[0].name].n_cells

    @property
    def n_members(self) -> int:
        """All members: of the tuning, and of the comparison."""
        return len(self.contenders) * (self.n_settings * len(self.tuning) + len(self.fresh))

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "base": self.base.to_toml(),
            "contenders": [
                {"name": one.name, "over": list(one.over), "set": list(one.settings)}
                for one in self.contenders
            ],
        }


def is_contest_file(path: str | Path) -> bool:
    """Whether a spec file asks for a contest."""
    own = read_toml(Path(path)).get("sweep", {})
    kind = own.get("kind", "grid") if isinstance(own, dict) else "grid"
    if kind not in ("grid", "contest"):
        raise InputError(f"sweep.kind: '{kind}' is not one of grid, contest.")
    return kind == "contest"


def _contender(name: str, table: Any) -> Contender:
    where = f"sweep.contenders.{name}"
    if not isinstance(table, dict):
        raise InputError(f"{where}: a table with set, over and zip.")
    _only(table, _CONTENDER_KEYS, where)
    lists: dict[str, tuple[str, ...]] = {}
    for key in _CONTENDER_KEYS:
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise InputError(f"{where}.{key}: a list of texts like 'optimizer.learning_rate=0.1,0.2'.")
        lists[key] = tuple(value)
    return Contender(name, lists["over"] + lists["zip"], lists["set"])


def _only(table: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for key in table:
        if key not in known:
            hint = did_you_mean(key, known)
            raise InputError(f"{where}.{key}: no such key.{hint} Allowed: {', '.join(known)}.")
