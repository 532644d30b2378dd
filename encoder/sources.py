"""Where raw games lie: a folder, a file, an archive, an S3 prefix, or games made on the spot."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol
from urllib.parse import parse_qs

from wm.errors import BadConfig, InputMissing
from wm.store import Store, open_store

GENERATION = 1
"""Version of the generators of made games: other games from the same seed need another number."""

MADE = re.compile(r"made:(?P<count>\d+)(\?(?P<query>.*))?")


@dataclass(frozen=True, slots=True)
class File:
    """One file of a source, as a listing shows it."""

    name: str
    """Relative to the source, parts separated by ``/``."""
    size: int
    """Bytes."""
    stamp: str
    """Changes when the file does; equal stamps mean equal content."""
    path: Path | None
    """Where it lies, if on this machine."""


class Source(Protocol):
    """Files in an order that depends on their names only."""

    def files(self) -> Iterator[File]:
        """All files; may be walked more than once."""
        ...

    def local(self, file: File) -> Path:
        """The file's path on this machine; a remote file is downloaded."""
        ...

    def release(self, file: File) -> None:
        """The local copy is no longer needed."""
        ...

    def read(self, file: File) -> bytes:
        """A small file's bytes; may be called from any thread."""
        ...

    def find(self, name: str) -> File | None:
        """The file of that name."""
        ...

    def known(self) -> str | None:
        """The content's identity where it is known without looking at any file."""
        ...


def open_source(address: str, game: str, scratch: Path) -> Source:
    """The source at ``address``; raises InputMissing or BadConfig. Made games go to ``scratch``."""
    if address.startswith("made:"):
        return MadeSource(address, game, scratch / "made")
    if address.startswith("s3://"):
        return _store_source(address, scratch / "source")
    path = Path(address).expanduser()
    if not path.exists():
        raise InputMissing(
            f"there is no {address}",
            hint="a source is a folder, a file, an archive, s3://bucket/prefix or made:COUNT",
        )
    return LocalSource(path)


def _store_source(address: str, scratch: Path) -> StoreSource:
    source = StoreSource(open_store(address), scratch)
    parent, _, name = address.rpartition("/")
    if "." in name and next(source.files(), None) is None:
        return StoreSource(open_store(parent), scratch, only=name)
    return source


class LocalSource:
    """A folder with everything below it, or one file."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def files(self) -> Iterator[File]:
        if self._root.is_file():
            yield self._file(self._root, self._root.name)
        else:
            yield from self._walk(self._root, "")

    def local(self, file: File) -> Path:
        assert file.path is not None
        return file.path

    def release(self, file: File) -> None:
        pass

    def read(self, file: File) -> bytes:
        return self.local(file).read_bytes()

    def find(self, name: str) -> File | None:
        path = self._root / name
        return self._file(path, name) if path.is_file() else None

    def known(self) -> str | None:
        return None

    def _walk(self, folder: Path, prefix: str) -> Iterator[File]:
        with os.scandir(folder) as scan:
            names = sorted((item.name, item.is_dir(follow_symlinks=False)) for item in scan)
        for name, is_folder in names:
            if is_folder:
                yield from self._walk(folder / name, f"{prefix}{name}/")
            elif (folder / name).is_file():
                yield self._file(folder / name, prefix + name)

    def _file(self, path: Path, name: str) -> File:
        stat = path.stat()
        stamp = f"{stat.st_size:x}-{stat.st_mtime_ns:x}-{stat.st_ino:x}"
        return File(name, stat.st_size, stamp, path)


class MadeSource(LocalSource):
    """``made:COUNT?seed=N``: games of our own, written to disk when they are first asked for."""

    def __init__(self, address: str, game: str, folder: Path) -> None:
        match = MADE.fullmatch(address)
        query = parse_qs((match and match["query"]) or "", strict_parsing=False)
        if match is None or set(query) - {"seed"} or not query.get("seed", ["0"])[0].isdigit():
            raise BadConfig(f"{address!r} is no source", hint="made games are made:COUNT?seed=N")
        super().__init__(folder)
        self._game = game
        self._count = int(match["count"])
        self._seed = int(query.get("seed", ["0"])[0])

    def files(self) -> Iterator[File]:
        self._make()
        return super().files()

    def known(self) -> str | None:
        text = f"made {GENERATION} {self._game} {self._count} {self._seed}"
        return hashlib.sha256(text.encode()).hexdigest()

    def _make(self) -> None:
        if self._root.is_dir():
            return
        part = self._root.with_name("part")
        part.mkdir(parents=True)
        if self._game == "melee":
            from wm.games.melee.made import write_replays

            write_replays(part, self._count, self._seed)
        else:
            from wm.games.chess.made import write_games

            write_games(part / "made.pgn", self._count, self._seed)
        part.rename(self._root)


class StoreSource:
    """Everything below a prefix of a bucket, or the object ``only`` there; big files are
    downloaded one at a time."""

    def __init__(self, store: Store, scratch: Path, only: str = "") -> None:
        self._store = store
        self._scratch = scratch
        self._only = only

    def files(self) -> Iterator[File]:
        for entry in self._store.list(self._only):
            if self._only and entry.key != self._only:
                continue
            yield File(entry.key, entry.size, f"{entry.size:x}-{entry.tag}", None)

    def local(self, file: File) -> Path:
        path = self._scratch / PurePosixPath(file.name).name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._store.download(file.name, path)
        return path

    def release(self, file: File) -> None:
        (self._scratch / PurePosixPath(file.name).name).unlink(missing_ok=True)

    def read(self, file: File) -> bytes:
        return self._store.get(file.name)

    def find(self, name: str) -> File | None:
        entry = self._store.head(name)
        return File(name, entry.size, f"{entry.size:x}-{entry.tag}", None) if entry else None

    def known(self) -> str | None:
        return None
