"""Which differences between a run and this process the user accepts."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["NOTHING", "Allow"]


@dataclass(frozen=True)
class Allow:
    """Accepted differences; a run that is changed in spite of one is marked in its notes.

    Attributes:
        numerics: another numerics fingerprint (``--allow-other-numerics``).
        code: parts of the user's own whose code has changed (``--allow-changed-code``).
    """

    numerics: bool = False
    code: bool = False


NOTHING = Allow()
