"""Where raw games lie: on this machine, in a store, or nowhere yet, as games made on the spot."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

from encoder.file import File, Source
from encoder.remote import RawSource, bucket_source
from wm.errors import BadConfig, InputMissing
from wm.store import Store

GENERATION = 1
"""Version of the generators of made games: other games from the same seed need another number."""

MADE = re.compile(r"made:(?P<count>\d+)(\?(?P<query>.*))?")


def open_source(address: str, game: str, scratch: Path, store: Store | None = None) -> Source:
    """The source at ``address``; raises InputMissing or BadConfig.

    ``store`` is where ``raw:NAME`` lies. Made games and downloads go to ``scratch``.
    """
    if address.startswith("made:"):
        return MadeSource(address, game, scratch / "made")
    if address.startswith("raw:"):
        if store is None:
            raise BadConfig(f"{address} lies in a store", hint="say which: wmctl --store …")
        return RawSource(store, address.removeprefix("raw:"), scratch / "source")
    if address.startswith("s3://"):
        return bucket_source(address, scratch / "source")
    path = Path(address).expanduser()
    if not path.exists():
        raise InputMissing(
            f"there is no {address}",
            hint="a source is a folder, a file, an archive, raw:NAME (see wmctl data push), "
            "s3://bucket/prefix or made:COUNT",
        )
    return LocalSource(path)


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
