"""Objects to files: resumable, verified, visible only when whole."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BufferedRandom
from pathlib import Path

from wm.errors import StoreUnreachable
from wm.store.base import Entry
from wm.store.checksum import check_sha256, file_sha256
from wm.store.disk import disk_error

CHUNK = 1 << 20


def download_to(
    path: Path,
    entry: Entry,
    chunks_from: Callable[[int], Iterable[bytes]],
    sha256: str | None,
) -> None:
    """Fill ``path`` with the object ``entry``, whose bytes from an offset ``chunks_from`` yields.

    What arrived before an error stays beside ``path`` in a hidden part, named by the object's
    tag, and the next call goes on from there. Processes that want the same file take turns, and
    one that finds it there with the right ``sha256`` is done.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _fill(path, entry, chunks_from, sha256)
    except OSError as error:
        raise disk_error(f"copy {entry.key} to {path}", error) from error


def _fill(
    path: Path,
    entry: Entry,
    chunks_from: Callable[[int], Iterable[bytes]],
    sha256: str | None,
) -> None:
    with _locked_part(path, entry) as part:
        if sha256 and path.is_file() and file_sha256(path) == sha256.lower():
            Path(part.name).unlink()
            return
        digest = hashlib.file_digest(part, "sha256")
        for chunk in chunks_from(part.tell()):
            part.write(chunk)
            digest.update(chunk)
        part.flush()
        if part.tell() != entry.size or (sha256 and digest.hexdigest() != sha256.lower()):
            Path(part.name).unlink()
            check_sha256(entry.key, digest.hexdigest(), sha256)
            raise StoreUnreachable(
                f"{entry.key} came with {part.tell()} bytes of {entry.size}",
                hint="it changed while it was read; try again",
            )
        os.fsync(part.fileno())
        Path(part.name).replace(path)


@contextmanager
def _locked_part(path: Path, entry: Entry) -> Iterator[BufferedRandom]:
    version = hashlib.sha256(f"{entry.key} {entry.tag}".encode()).hexdigest()[:16]
    name = path.with_name(f".{path.name}.{version}.part")
    while True:
        with name.open("a+b") as part:
            fcntl.flock(part, fcntl.LOCK_EX)
            if not _still_named(part, name):
                continue  # Another process finished it while this one waited for the lock.
            part.seek(0)
            yield part
            return


def _still_named(file: BufferedRandom, name: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), name.stat())
    except FileNotFoundError:
        return False
