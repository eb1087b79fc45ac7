"""Provenance of a run: versions, machine, command and times. It is for readers; no code depends on it.

Environment variables are not recorded. Passwords and keys in the command are hidden.
"""

from __future__ import annotations

import functools
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grokscope.runs.measure_plan import MeasurePlan
from grokscope.spec.code import Code, code_of

if TYPE_CHECKING:
    from grokscope.experiment import Experiment

__all__ = ["all_code", "collect_provenance", "git_state", "package_version", "safe_command"]

_PACKAGES = (
    "equinox",
    "grokscope",
    "icechunk",
    "jax",
    "jaxlib",
    "matplotlib",
    "numpy",
    "optax",
    "pydantic",
    "scipy",
    "torch",
    "xarray",
    "zarr",
)
_HIDDEN = "***"
_IN_ADDRESS = re.compile(r"(?<=://)[^/\s@]+(?=@)")
_SECRET = re.compile(r"(password|passwd|secret|token|api[-_]?key|access[-_]?key|credential)[\w.-]*$", re.I)


def collect_provenance(
    fingerprint: Mapping[str, Any],
    *,
    argv: Sequence[str] | None = None,
    code: Mapping[str, Code] | None = None,
    project: Path | None = None,
) -> dict[str, Any]:
    """The content of ``provenance.json`` for a run that starts now.

    Args:
        fingerprint: the numerics fingerprint, see `grokscope.training.numerics`.
        argv: the command; None: that of this process.
        code: the code of the parts that are not the package's own (`all_code`).
        project: the checkout whose commit is recorded; None: the one that contains this package, if any.
    """
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "wall_seconds": None,
        "command": safe_command(sys.argv if argv is None else argv),
        "host": platform.node(),
        "system": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: version for name in _PACKAGES if (version := package_version(name))},
        "git": git_state(project or Path(__file__).resolve().parents[3]),
        "fingerprint": dict(fingerprint),
        **({"code": {part: one.to_json() for part, one in code.items()}} if code else {}),
    }


def all_code(experiment: Experiment) -> dict[str, Code]:
    """The code of all parts of an experiment that are not the package's own, by part."""
    parts: list[Any] = [*MeasurePlan.of(experiment).all]
    found = {code.part: code for code in map(code_of, parts) if code is not None}
    return experiment.training_code | found


def git_state(project: Path) -> dict[str, Any] | None:
    """The commit of a checkout and whether it has changes; None without a checkout or without git."""
    if not (project / ".git").exists():
        return None
    commit = _git(project, "rev-parse", "HEAD")
    changes = _git(project, "status", "--porcelain", "--untracked-files=no")
    if commit is None or changes is None:
        return None
    return {"commit": commit, "dirty": bool(changes)}


def safe_command(argv: Sequence[str]) -> list[str]:
    """A command with its secrets hidden: credentials in addresses, and values of options like ``--token``.

    Example:
        >>> safe_command(["sweep", "--address", "ray://me:pw@host:1", "--api-key=abc", "--token", "x"])
        ['sweep', '--address', 'ray://***@host:1', '--api-key=***', '--token', '***']
    """
    safe: list[str] = []
    hide_next = False
    for word in argv:
        name, equals, _ = word.partition("=")
        if hide_next and not word.startswith("-"):
            word = _HIDDEN
        elif equals and _SECRET.search(name):
            word = f"{name}={_HIDDEN}"
        hide_next = word.startswith("-") and not equals and bool(_SECRET.search(word))
        # a path need not be UTF-8; what is not is escaped, so that every file can hold the command
        safe.append(_IN_ADDRESS.sub(_HIDDEN, word).encode("utf-8", "backslashreplace").decode())
    return safe


@functools.cache  # reading a package's metadata takes a millisecond or two, and every run asks for a dozen
def package_version(package: str) -> str | None:
    """The version of an installed package; None if it is not installed.

    Example:
        >>> package_version("no-such-package") is None
        True
    """
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git(project: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(project), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
