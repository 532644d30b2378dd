"""Files to objects, as many and as large as they come: read once, checked, in constant memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol

from wm.errors import BadData, InputMissing
from wm.store.base import Entry, Store
from wm.store.checksum import file_sha256
from wm.store.directory import DirectoryStore

Told = Callable[[int, bool], None]
"""Hears of every piece of a file: its bytes, and whether they were sent (or were there already).
Called from several threads."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A file that is in the store now."""

    size: int
    """Bytes."""
    sha256: str


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An upload that was begun and not completed: invisible to readers, but it takes space."""

    name: dict[str, Any]
    """Bucket, key and upload id, as requests want them."""
    started: float
    """Seconds since the epoch."""

    @property
    def key(self) -> str:
        """Within the bucket."""
        return str(self.name["Key"])


class Sender(Protocol):
    """Sends one file after the other; as a context it ends its threads.

    Errors: :class:`InputMissing` (a file cannot be read), :class:`BadData` (it changed while it
    was sent, or the store holds other bytes than were sent) and what the store raises.
    """

    def send(self, path: Path, key: str, there: Entry | None) -> Future[Sent]:
        """Make ``path`` the object ``key``, where ``there`` is what a listing shows now.

        What is there already is not sent again: neither a whole object with the same bytes nor
        the parts of an upload that broke off. Small files may be on their way on return.
        """
        ...

    def unfinished(self, folder: str) -> list[Unfinished]:
        """Uploads to keys below ``folder`` that broke off, or are under way."""
        ...

    def abort(self, upload: Unfinished) -> None:
        """Give up an unfinished upload and the space it takes."""
        ...

    def __enter__(self) -> Sender: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def open_sender(store: Store, told: Told) -> Sender:
    """The way into ``store`` for files."""
    if isinstance(store, DirectoryStore):
        return DirectorySender(store, told)
    from wm.store.s3 import S3Store

    assert isinstance(store, S3Store)
    return store.sender(told)


class SourceFile:
    """An open file that must stay as it is while it is read."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self._file = file
        self._before = os.fstat(file.fileno())
        self.size = self._before.st_size

    def pieces(self, size: int) -> Iterator[bytes]:
        """All bytes from the beginning, ``size`` at a time; an empty file is one empty piece.

        Raises :class:`BadData` at the end if the file was written meanwhile.
        """
        self._file.seek(0)
        for start in range(0, max(self.size, 1), size):
            piece = self._file.read(min(size, self.size - start))
            if start + len(piece) < min(start + size, self.size):
                raise self.changed()
            if start + size >= self.size:
                self._check()
            yield piece

    def _check(self) -> None:
        now, before = self.path.stat(), self._before
        same = now.st_ino == before.st_ino and now.st_mtime_ns == before.st_mtime_ns
        if not same or now.st_size != before.st_size:
            raise self.changed()

    def changed(self) -> BadData:
        """The error for a file that another process wrote."""
        return BadData(
            f"{self.path} changed while it was read",
            hint="push it again when nothing writes it any more",
        )


@contextmanager
def open_file(path: Path) -> Iterator[SourceFile]:
    """``path`` for reading; :class:`InputMissing` where it cannot be read to its end."""
    try:
        with path.open("rb") as file:
            yield SourceFile(path, file)
    except OSError as error:
        raise InputMissing(f"{path} cannot be read: {error.strerror or error}") from error


class DirectorySender:
    """:class:`Sender` into a directory: a copy, whole or not at all."""

    def __init__(self, store: DirectoryStore, told: Told) -> None:
        self._store, self._told = store, told

    def send(self, path: Path, key: str, there: Entry | None) -> Future[Sent]:
        digest = hashlib.sha256()
        with open_file(path) as source:
            for piece in source.pieces(1 << 20):
                digest.update(piece)
        sent: Future[Sent] = Future()
        known = there is not None and there.size == source.size
        is_there = known and file_sha256(self._store.path(key)) == digest.hexdigest()
        if not is_there:
            self._store.upload(path, key)
            if file_sha256(self._store.path(key)) != digest.hexdigest():
                self._store.delete(key)
                raise source.changed()
        self._told(source.size, not is_there)
        sent.set_result(Sent(source.size, digest.hexdigest()))
        return sent

    def unfinished(self, folder: str) -> list[Unfinished]:
        return []  # The directory store's next writer clears away what a killed one left.

    def abort(self, upload: Unfinished) -> None:
        raise AssertionError("a directory has no unfinished uploads")

    def __enter__(self) -> DirectorySender:
        return self

    def __exit__(self, *_: object) -> None:
        pass
