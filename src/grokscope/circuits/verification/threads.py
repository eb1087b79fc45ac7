"""One thread for matrix products, while a verification runs.

Its products are small. Split over two threads they are no faster, and on a machine that has other work the
threads wait for each other: one verification took eight times as long. Several at once, each on a
thread of its own, use all cores.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

__all__ = ["one_blas_thread"]

_lock = threading.Lock()
_inside: list[Any] = []  # an entry for each caller; the first one holds the limit


@functools.cache
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def one_blas_thread() -> Generator[None]:
    """Limit numpy's matrix products to one thread each, until the last caller has left.

    The limit is the process's: callers in several threads share it.
    """
    with _lock:
        _inside.append(_controller().limit(limits=1, user_api="blas") if not _inside else None)
    try:
        yield
    finally:
        with _lock:
            limit = _inside[0]
            if len(_inside) == 1:
                limit.restore_original_limits()
            # the limit stays in front, whoever leaves first
            _inside.pop()
