"""A store in a directory: safe between processes, across kills, and on a full disk.

Bytes are written to a temporary file under ``.wm/tmp``, synced, and get their name in one step
under a lock of the key. Each writer holds ``flock`` on its temporary, so one that can be locked
by another belongs to a dead process and is removed by the next writer.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from wm.errors import InputMissing
from wm.store.base import ABSENT, Absent, Conflict, Entry, NotFound, Tag
from wm.store.checksum import check_sha256
from wm.store.disk import disk_error
from wm.store.download import CHUNK, download_to
from wm.store.keys import RESERVED, check_key, check_prefix


class DirectoryStore:
    """:class:`wm.store.Store` whose objects are the files below ``root``.

    A tag is made of modification time, inode and size. Every write sets a time later than that
    of the object it replaces, so no two versions of a key share a tag.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()
        self.url = str(self.root)
        self._swept = False

    def get(self, key: str, *, sha256: str | None = None) -> bytes:
        data, _ = self.get_tagged(key)
        check_sha256(key, hashlib.sha256(data).hexdigest() if sha256 else "", sha256)
        return data

    def get_tagged(self, key: str) -> tuple[bytes, Tag]:
        with self._opened(key) as (file, entry):
            return file.read(), entry.tag

    def put(self, key: str, data: bytes, *, only_if: Absent | Tag | None = None) -> Tag:
        with self._reporting(f"write {key}"), self._temporary(key) as temporary:
            temporary.write(data)
            return self._publish(temporary, key, only_if).tag

    def head(self, key: str) -> Entry | None:
        try:
            with self._opened(key) as (_, entry):
                return entry
        except NotFound:
            return None

    def open_range(self, key: str, start: int, stop: int) -> bytes:
        with self._opened(key) as (file, _):
            file.seek(start)
            return file.read(max(stop - start, 0))

    def list(self, prefix: str) -> Iterator[Entry]:
        folder = check_prefix(prefix).rpartition("/")[0]
        with self._reporting(f"list {prefix or 'the keys'}"):
            yield from self._walk(folder, prefix)

    def download(self, key: str, path: Path, *, sha256: str | None = None) -> None:
        with self._opened(key) as (file, entry):

            def chunks_from(offset: int) -> Iterator[bytes]:
                file.seek(offset)
                while chunk := file.read(CHUNK):
                    yield chunk

            download_to(path, entry, chunks_from, sha256)

    def upload(self, path: Path, key: str) -> Entry:
        if not path.is_file():
            raise InputMissing(f"there is no file {path} to publish as {key}")
        with (
            self._reporting(f"write {key}"),
            path.open("rb") as source,
            self._temporary(key) as temporary,
        ):
            shutil.copyfileobj(source, temporary, CHUNK)
            return self._publish(temporary, key, None)

    def delete(self, key: str) -> None:
        file = self._file(key)
        with self._reporting(f"remove {key}"):
            if file.is_file():
                with self._locked(key):
                    file.unlink(missing_ok=True)

    def path(self, key: str) -> Path:
        file = self._file(key)
        if not file.is_file():
            raise self._missing(key)
        return file

    def presign(self, key: str, seconds: int) -> None:
        check_key(key)

    def _file(self, key: str) -> Path:
        return self.root / check_key(key)

    def _missing(self, key: str) -> NotFound:
        return NotFound(f"there is no {key} in the store {self.url}")

    @contextmanager
    def _reporting(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise disk_error(f"{doing} in the store {self.url}", error) from error

    @contextmanager
    def _opened(self, key: str) -> Iterator[tuple[BinaryIO, Entry]]:
        with self._reporting(f"read {key}"):
            try:
                file = self._file(key).open("rb")
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                raise self._missing(key) from None
            with file:
                yield file, _entry(key, os.fstat(file.fileno()))

    def _walk(self, folder: str, prefix: str) -> Iterator[Entry]:
        try:
            with os.scandir(self.root / folder) as scan:
                # A folder sorts as its keys do: "a-b" < "a/b" < "a0".
                found = sorted((item.name + "/" * item.is_dir(), item) for item in scan)
        except (FileNotFoundError, NotADirectoryError):
            return
        for name, item in found:
            key = f"{folder}/{name}" if folder else name
            if key == f"{RESERVED}/" or not (key.startswith(prefix) or prefix.startswith(key)):
                continue
            if key.endswith("/"):
                yield from self._walk(key[:-1], prefix)
            elif key.startswith(prefix):
                with suppress(FileNotFoundError):  # Removed since the scan.
                    yield _entry(key, item.stat())

    @contextmanager
    def _temporary(self, key: str) -> Iterator[BinaryIO]:
        """An open, locked file that vanishes unless it is published."""
        check_key(key)
        folder = self._own_folder("tmp")
        self._sweep(folder)
        while True:
            path = folder / secrets.token_hex(8)
            file = path.open("xb")
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file.fileno()).st_nlink:
                break
            file.close()  # Another process swept it in the instant before it was locked.
        try:
            yield file
        finally:
            path.unlink(missing_ok=True)
            with suppress(OSError):  # A full disk refuses the buffered rest once more.
                file.close()

    def _sweep(self, folder: Path) -> None:
        if self._swept:
            return
        self._swept = True
        for path in folder.iterdir():
            with suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()

    def _publish(self, temporary: BinaryIO, key: str, only_if: Absent | Tag | None) -> Entry:
        target = self._file(key)
        temporary.flush()
        os.fsync(temporary.fileno())
        _make_folders(target.parent)
        with self._locked(key):
            current = self.head(key)
            if only_if is ABSENT and current:
                raise Conflict(f"{key} is already in the store {self.url}")
            if isinstance(only_if, str) and (current is None or current.tag != only_if):
                raise Conflict(f"{key} in the store {self.url} was changed by another writer")
            _stamp(temporary, target)
            entry = _entry(key, os.fstat(temporary.fileno()))
            Path(temporary.name).replace(target)
            _sync_folder(target.parent)
        return entry

    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        stripe = hashlib.sha256(key.encode()).hexdigest()[:2]
        with (self._own_folder("locks") / stripe).open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                yield
            finally:
                # Closing is not enough where a forked child holds a copy of the descriptor.
                fcntl.flock(lock, fcntl.LOCK_UN)

    def _own_folder(self, name: str) -> Path:
        folder = self.root / RESERVED / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _entry(key: str, stat: os.stat_result) -> Entry:
    tag = Tag(f"{stat.st_mtime_ns:x}-{stat.st_ino:x}-{stat.st_size:x}")
    return Entry(key, stat.st_size, tag, stat.st_mtime)


def _stamp(file: BinaryIO, replaced: Path) -> None:
    """Set a modification time later than that of ``replaced``, however coarse the clock."""
    now = time.time_ns()
    if replaced.exists():
        now = max(now, replaced.stat().st_mtime_ns + 1)
    os.utime(file.fileno(), ns=(now, now))


def _make_folders(folder: Path) -> None:
    if folder.is_dir():
        return
    _make_folders(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
