"""Provenance on the page: a run's seeds, command, versions and spec."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from grokscope.statistics import format_number

__all__ = ["RunInfo", "run_info", "summary"]

# Shown at once, in this order; the rest is folded away.
_FIRST = (
    "command",
    "wall_seconds",
    "started",
    "git",
    "git_commit",
    "git_dirty",
    "packages",
    "versions",
    "device",
)


@dataclass(frozen=True)
class RunInfo:
    """Provenance of one run.

    Attributes:
        name: of the experiment.
        seeds: in words.
        spec: the resolved spec as TOML.
        provenance: as recorded: versions, commit, host, command, wall time.
        sentence: what the experiment is.
        remarks: what a reader should know, one line each.
    """

    name: str
    seeds: str
    spec: str
    provenance: Mapping[str, Any]
    sentence: str = ""
    remarks: Sequence[str] = ()

    @property
    def first_facts(self) -> list[tuple[str, str]]:
        """The seeds, and the part of the provenance that is shown at once."""
        remarks = [("note", remark) for remark in self.remarks]
        return [
            ("seeds", self.seeds),
            *remarks,
            *self._facts(key for key in _FIRST if key in self.provenance),
        ]

    @property
    def more_facts(self) -> list[tuple[str, str]]:
        """The rest of the provenance."""
        return self._facts(key for key in self.provenance if key not in _FIRST)

    def _facts(self, keys: Iterable[str]) -> list[tuple[str, str]]:
        return [(key.replace("_", " "), _plain(self.provenance[key], key)) for key in keys]


def run_info(name: str, run: Any, sentence: str = "") -> RunInfo:
    """Provenance of a run (anything with ``experiment``, ``measures`` and ``provenance``)."""
    from grokscope.plots.curves import seeds_text

    text = "crossed streams: " + ", ".join(
        f"{dim} {n}" for dim, n in run.measures_so_far.sizes.items() if "seed" in str(dim)
    )
    if "seed" in run.measures_so_far.sizes:
        seeds = run.measures_so_far["seed"].to_numpy()
        text = f"{len(seeds)} ({seeds_text(seeds)})"
    remarks = tuple(getattr(run, "remarks", ()))
    return RunInfo(name, text, run.experiment.to_toml(), dict(run.provenance), sentence, remarks)


def summary(infos: Sequence[RunInfo]) -> list[str]:
    """Parts of a line for the top: seeds, version, commit and time, as far as all runs have the same."""
    parts: list[str] = []
    for name, get in (("seeds: ", lambda info: info.seeds), ("grokscope ", _version), ("commit ", _commit)):
        values = {get(info) for info in infos}
        if len(values) == 1 and (text := values.pop()):
            parts.append(name + text)
    seconds = [info.provenance.get("wall_seconds") for info in infos]
    known = [float(one) for one in seconds if isinstance(one, int | float)]
    if infos and len(known) == len(infos):
        parts.append(f"{format_number(sum(known))} s")
    return parts


def _version(info: RunInfo) -> str:
    packages = info.provenance.get("packages")
    return str(packages.get("grokscope", "")) if isinstance(packages, Mapping) else ""


def _commit(info: RunInfo) -> str:
    git = info.provenance.get("git")
    if not isinstance(git, Mapping) or not git.get("commit"):
        return ""
    return str(git["commit"])[:10] + (" with changes" if git.get("dirty") else "")


def _plain(value: Any, key: str = "") -> str:
    """A provenance value as text: mappings and lists in one line."""
    if key == "command" and isinstance(value, list | tuple):
        words = [str(word) for word in value]
        # The reader types the program's name, not its file.
        if words and PurePath(words[0]).name in ("__main__.py", "grokscope"):
            words[0] = "grokscope"
        return shlex.join(words)
    if key == "wall_seconds" and isinstance(value, int | float):
        return f"{format_number(float(value))} s"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return " ".join(_plain(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "unknown"
    return format_number(value) if isinstance(value, float) else str(value)
