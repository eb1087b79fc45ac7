"""Training that is stopped again and again, and begun again with the same call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


class Stop(Exception):
    """Raised in the middle of a block."""


def stopped_at_every_segment(
    monkeypatch: pytest.MonkeyPatch, size: int, work: Callable[[], Any], most: int = 20
) -> int:
    """Do ``work``, stopped after each segment of ``size`` points, and begun again; count the stops.

    Every segment is committed.
    """
    from grokscope.runs import trainer as _trainer

    class Impatient(_trainer.StoreSink):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **(options | {"every": -1.0}))

        def segment(self, *arguments: Any) -> None:
            super().segment(*arguments)
            raise Stop

    stops = 0
    with monkeypatch.context() as patched:
        patched.setattr(_trainer, "StoreSink", Impatient)
        patched.setattr("grokscope.training.timeline.Timeline.segment_size", lambda *_: size)
        for _ in range(most):
            try:
                work()
                break
            except Stop:
                stops += 1
    return stops
