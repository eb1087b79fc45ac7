"""Where the numbers come from: a run's seeds, command, versions and spec, and how to cite."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import PurePath
from typing import Any

from grokscope.statistics import format_number

__all__ = ["RunInfo", "block", "run_html", "run_info", "summary_html", "table_html"]

# What a reader asks for first, in this order; the rest is a click away.
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
    """What the page says of one run.

    Attributes:
        name: of the experiment.
        seeds: in words.
        spec: the resolved spec as TOML.
        provenance: whatever is known of where the numbers come from.
        sentence: what the experiment is.
    """

    name: str
    seeds: str
    spec: str
    provenance: Mapping[str, Any]
    sentence: str = ""


def run_info(name: str, run: Any, sentence: str = "") -> RunInfo:
    """What the page says of a run (anything with ``experiment``, ``measures`` and ``provenance``)."""
    from grokscope.plots.curves import seeds_text

    text = "crossed streams: " + ", ".join(
        f"{dim} {n}" for dim, n in run.measures.sizes.items() if "seed" in str(dim)
    )
    if "seed" in run.measures.sizes:
        seeds = run.measures["seed"].to_numpy()
        text = f"{len(seeds)} ({seeds_text(seeds)})"
    return RunInfo(name, text, run.experiment.to_toml(), dict(run.provenance), sentence)


def run_html(info: RunInfo) -> str:
    """A run's seeds, provenance and spec."""
    first = [key for key in _FIRST if key in info.provenance]
    rest = [key for key in info.provenance if key not in _FIRST]
    rows, more = (
        [(key.replace("_", " "), _plain(info.provenance[key], key)) for key in keys] for keys in (first, rest)
    )
    rows.insert(0, ("seeds", info.seeds))
    further = f"<details><summary>all that was recorded</summary>{_rows_html(more)}</details>" if more else ""
    sentence = f"<p>{escape(info.sentence)}</p>" if info.sentence else ""
    return (
        f"<h3>{escape(info.name)}</h3>{sentence}{_rows_html(rows)}{further}"
        f"<details><summary>the resolved spec (TOML)</summary>{block(info.spec, 'the spec')}</details>"
    )


def summary_html(infos: Sequence[RunInfo]) -> str:
    """A line for the top: seeds, version, commit and time, as far as they are those of all runs."""
    parts: list[str] = []
    for name, tell in (("seeds: ", lambda info: info.seeds), ("grokscope ", _version), ("commit ", _commit)):
        told = {tell(info) for info in infos}
        if len(told) == 1 and (text := told.pop()):
            parts.append(name + text)
    seconds = [info.provenance.get("wall_seconds") for info in infos]
    known = [float(one) for one in seconds if isinstance(one, int | float)]
    if len(known) == len(infos):
        parts.append(f"{format_number(sum(known))} s")
    text = "".join(f"{escape(part)} &middot; " for part in parts)
    return f'<p class="soft">{text}<a href="#numbers">spec and all versions</a></p>'


def _version(info: RunInfo) -> str:
    packages = info.provenance.get("packages")
    return str(packages.get("grokscope", "")) if isinstance(packages, Mapping) else ""


def _commit(info: RunInfo) -> str:
    git = info.provenance.get("git")
    if not isinstance(git, Mapping) or not git.get("commit"):
        return ""
    return str(git["commit"])[:10] + (" with changes" if git.get("dirty") else "")


def block(text: str, what: str) -> str:
    """Text to be copied: a command, a spec, a citation."""
    return f'<div class="block"><pre data-copy="{escape(what)}">{escape(text.strip())}</pre></div>'


def table_html(heading: str, rows: Sequence[tuple[str, str]]) -> str:
    """A heading and a table of names and texts."""
    return f"<h2>{escape(heading)}</h2>{_rows_html(rows)}"


def _rows_html(rows: Sequence[tuple[str, str]]) -> str:
    cells = "".join(
        f'<tr><th scope="row">{escape(key)}</th><td>{escape(value)}</td></tr>' for key, value in rows
    )
    return f'<table class="facts">{cells}</table>'


def _plain(value: Any, key: str = "") -> str:
    """A provenance value as text: mappings and lists in one line."""
    if key == "command" and isinstance(value, list | tuple):
        words = [str(word) for word in value]
        # The program's file says nothing to a reader; its name is what they type.
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
