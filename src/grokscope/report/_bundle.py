"""The page's style sheet and script: files of ``assets/``, joined in order."""

from __future__ import annotations

import base64
import functools
import hashlib
from importlib.resources import files

__all__ = ["script", "script_hash", "style"]

# A file may use what those before it define.
_SCRIPTS = (
    "core.js",
    "scale.js",
    "pen.js",
    "plot.js",
    "panel.js",
    "curves.js",
    "sweep.js",
    "neurons.js",
    "weights.js",
    "circuit.js",
    "proof.js",
    "player.js",
    "competition-files.js",
    "competition.js",
    "live.js",
    "page.js",
)


@functools.cache
def style() -> str:
    """The style sheet."""
    return _read("page.css")


@functools.cache
def script() -> str:
    """The script, in a scope of its own."""
    body = "\n".join(_read(name) for name in _SCRIPTS)
    return f'(() => {{\n"use strict";\n{body}\n}})();\n'


@functools.cache
def script_hash() -> str:
    """The script's hash, as a content security policy names it: no other script may run."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script().encode()).digest()).decode()}"


def _read(name: str) -> str:
    return files("grokscope.report").joinpath("assets", name).read_text(encoding="utf-8")
