"""What every store can do, whatever holds the bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NewType, Protocol

from wm.errors import Exit, InputMissing, WmError

Tag = NewType("Tag", str)
"""Opaque version of an object; changes whenever its bytes do."""


class Absent:
    """``put(..., only_if=ABSENT)``: write only where no object is yet."""


ABSENT = Absent()


@dataclass(frozen=True, slots=True)
class Entry:
    """An object as a listing shows it."""

    key: str
    size: int
    """Bytes."""
    tag: Tag
    modified: float
    """Seconds since the epoch, by the store's clock."""


class NotFound(InputMissing):
    """No object of that key."""


class Conflict(WmError):
    """A conditional write lost its race; nothing was written."""

    code = Exit.BAD_CONFIG


class Store(Protocol):
    """Objects under one root, named by relative keys with ``/`` between parts.

    Every write is atomic: a reader sees the whole object or none. Errors: :class:`NotFound`,
    :class:`Conflict`, :class:`wm.errors.BadData` (a checksum differs), and
    :class:`wm.errors.StoreUnreachable` (after retries).
    """

    url: str
    """Address of the root: ``s3://bucket/prefix`` or an absolute path; ``open_store`` reads it."""

    def get(self, key: str, *, sha256: str | None = None) -> bytes:
        """All bytes of an object, checked against ``sha256`` (hex) where one is given."""
        ...

    def get_tagged(self, key: str) -> tuple[bytes, Tag]:
        """The bytes and their tag, for a compare-and-swap ``put``."""
        ...

    def put(self, key: str, data: bytes, *, only_if: Absent | Tag | None = None) -> Tag:
        """Publish ``data``; with ``only_if`` raise :class:`Conflict` unless it holds."""
        ...

    def head(self, key: str) -> Entry | None:
        """The object's entry, or None where there is none."""
        ...

    def open_range(self, key: str, start: int, stop: int) -> bytes:
        """Bytes ``[start, stop)`` of an object."""
        ...

    def list(self, prefix: str) -> Iterator[Entry]:
        """Every object whose key starts with ``prefix``, in order of key; never temporaries."""
        ...

    def download(self, key: str, path: Path, *, sha256: str | None = None) -> None:
        """Copy an object to a file: resumable, verified, visible only when whole."""
        ...

    def upload(self, path: Path, key: str) -> Entry:
        """Publish a file; constant memory at any size."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; removing what is not there is no error."""
        ...

    def path(self, key: str) -> Path | None:
        """A file on this machine that holds the object, to memory-map; None on remote stores."""
        ...

    def presign(self, key: str, seconds: int) -> str | None:
        """A link that shows the object in a browser, without credentials, for ``seconds``, of which
        a bucket grants a week at most; None where the store has no such links. Nobody looks whether
        the object is there. Who knows the link can read the object: it is a secret.
        """
        ...
