"""Places of runs and sweeps: a folder, or a prefix in a bucket of an S3-compatible object store."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from grokscope.errors import GrokscopeError, InputError

__all__ = ["BucketPath", "Place", "as_place", "located", "shown_as"]

_SCHEME = "s3://"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True)
class BucketPath:
    """A prefix in a bucket, with the operations of `Path` that the store uses: ``/``, ``name`` and `str`.

    Example:
        >>> print(as_place("s3://results/sweeps/") / "cells")
        s3://results/sweeps/cells
    """

    bucket: str
    prefix: str

    def __truediv__(self, name: str) -> BucketPath:
        return BucketPath(self.bucket, f"{self.prefix}/{name}" if self.prefix else name)

    def __str__(self) -> str:
        return f"{_SCHEME}{self.bucket}/{self.prefix}".rstrip("/")

    @property
    def name(self) -> str:
        """The last part of the prefix."""
        return self.prefix.rpartition("/")[2] or self.bucket


Place: TypeAlias = Path | BucketPath


def as_place(path: str | Place) -> Place:
    """Parse a path, or an address of the form ``s3://BUCKET/PREFIX``.

    Raises:
        InputError: if an address has no valid bucket name.
    """
    if isinstance(path, BucketPath):
        return path
    text = str(path)
    # pathlib turns two slashes into one
    if not re.match(r"s3:/", text):
        return Path(path)
    bucket, _, prefix = text.removeprefix("s3:").lstrip("/").partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise InputError(f"{text}: has no valid bucket name; write s3://BUCKET/PREFIX.")
    return BucketPath(bucket, prefix.strip("/"))


def located(path: str | Place) -> Place:
    """A place that does not depend on the working folder: a path is made absolute, links in it are kept.

    What is opened keeps this place beside the path that was given, which is shown.

    Raises:
        InputError: see `as_place`; or if the path is relative and the working folder is gone.
    """
    place = as_place(path)
    try:
        return place.absolute() if isinstance(place, Path) else place
    except FileNotFoundError:
        raise InputError(f"{path}: the working folder is gone; change to another folder.") from None


@contextmanager
def shown_as(place: Place, shown: Place) -> Generator[None]:
    """Context manager: errors name a place as it was given.

    Args:
        place: as `located`.
        shown: as it was given.
    """
    try:
        yield
    except GrokscopeError as error:
        error.args = tuple(
            arg.replace(str(place), str(shown)) if isinstance(arg, str) else arg for arg in error.args
        )
        raise
