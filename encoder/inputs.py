"""From files to inputs: archives opened, kinds recognised, tables of parsed-v2 looked up."""

from __future__ import annotations

import io
import json
import re
import sqlite3
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from encoder.archives import Member, is_archive, members
from encoder.file import File, Source
from encoder.read import Kind
from encoder.streams import Damaged, decompressed, stem
from wm.errors import BadData

LARGEST_GAME = 256 << 20
"""Bytes of a file that holds one game; a real replay has 2 to 20 MB."""

_SUFFIXES = {".slp": Kind.SLP, ".pgn": Kind.PGN, ".jsonl": Kind.JSONL}
MANY = (Kind.PGN, Kind.JSONL)
"""Kinds that hold many games."""

_DECODER = json.JSONDecoder()
_NEXT = re.compile(r"\s*[\[,]\s*(?!\])")
_PARSED = re.compile(r"(?P<folder>|.*/)games/(?P<md5>[0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class Input:
    """One file of games, wherever it lies."""

    name: str
    """Relative to the source; a member of an archive is ``archive/member``."""
    kind: Kind | None
    """None if it holds no games of this game, and is ignored."""
    read: Callable[[], int]
    """Bytes of the source read so far, for estimates."""
    open: Callable[[], BinaryIO] | None = None
    """The content as a stream; only until the next input is asked for."""
    path: Path | None = None
    """Where a worker can read it by itself."""
    later: Callable[[], bytes] | None = None
    """The content, at any time and from any thread."""
    meta: dict[str, Any] | None = None
    """Its row of ``meta.json`` (parsed-v2); empty where there is none."""


class Inputs:
    """The inputs of a source; ``kinds`` says which count, the others are ignored. A context
    manager."""

    def __init__(self, source: Source, kinds: Container[Kind], scratch: Path) -> None:
        self._source = source
        self._kinds = kinds
        self._tables = _Tables(scratch)

    def __enter__(self) -> Inputs:
        return self

    def __exit__(self, *_: object) -> None:
        self._tables.close()

    def __iter__(self) -> Iterator[Input]:
        """All of them, in order."""
        before = 0
        for file in self._source.files():
            yield from self.of(file, before)
            before += file.size

    def of(self, file: File, before: int = 0) -> Iterator[Input]:
        """Those in one file, behind ``before`` bytes of the source. An archive that is cut off
        raises BadData."""
        kind = self._kind(file.name)
        if is_archive(file.name) and not _hidden(file.name):
            yield from self._of_archive(file.name, self._source.local(file), before)
            self._source.release(file)
        elif kind in MANY:
            with self._source.local(file).open("rb") as raw:
                stream = partial(decompressed, raw, file.name.lower())
                yield Input(file.name, kind, partial(_position, raw, before), open=stream)
            self._source.release(file)
        else:
            yield self._single(file, kind, partial(int, before + file.size))

    def _single(self, file: File, kind: Kind | None, read: Callable[[], int]) -> Input:
        if kind is None:
            return Input(file.name, None, read)
        meta = self._meta(file.name, partial(_found, self._source))
        if file.path is not None and stem(file.name) == file.name:
            return Input(file.name, kind, read, path=file.path, meta=meta)
        return Input(file.name, kind, read, later=partial(_content, self._source, file), meta=meta)

    def _of_archive(self, name: str, path: Path, before: int) -> Iterator[Input]:
        for member in members(path, name):
            full = _full(name, member)
            kind = self._kind(full)
            read = partial(int, before + member.at)
            if kind is None:
                yield Input(full, None, read)
            else:
                meta = self._meta(full, partial(_found_member, path, name))
                yield Input(full, kind, read, open=partial(_open_member, member), meta=meta)

    def _kind(self, name: str) -> Kind | None:
        kind = kind_of(name)
        return kind if kind is not None and kind in self._kinds else None

    def _meta(self, name: str, find: Callable[[str], BinaryIO | None]) -> dict[str, Any] | None:
        match = _PARSED.fullmatch(name)
        if match is None:
            return None
        return self._tables.row(f"{match['folder']}meta.json", match["md5"], find)


def kind_of(name: str) -> Kind | None:
    """What a file of this name holds."""
    if _hidden(name):
        return None
    if _PARSED.fullmatch(name):
        return Kind.PARSED_V2
    return _SUFFIXES.get(PurePosixPath(stem(name.lower())).suffix)


def _position(raw: BinaryIO, before: int) -> int:
    return before + raw.tell()


def _content(source: Source, file: File) -> bytes:
    return read_limited(decompressed(io.BytesIO(source.read(file)), file.name.lower()))


def read_limited(stream: BinaryIO) -> bytes:
    """All of a stream that holds one game; raises :class:`Damaged` where that cannot be."""
    data = stream.read(LARGEST_GAME + 1)
    if len(data) > LARGEST_GAME:
        raise Damaged(f"larger than {LARGEST_GAME >> 20} MiB, which no game is")
    return data


def _hidden(name: str) -> bool:
    """Such as the ``._x`` that a Mac puts beside every file ``x`` of an archive."""
    return PurePosixPath(name).name.startswith(".")


def _open_member(member: Member) -> BinaryIO:
    return decompressed(member.open(), member.name.lower())


def _found(source: Source, name: str) -> BinaryIO | None:
    file = source.find(name)
    return io.BytesIO(source.read(file)) if file else None


def _found_member(path: Path, name: str, wanted: str) -> BinaryIO | None:
    """A member that may lie behind the one being read: the archive is opened once more."""
    return next(
        (
            io.BytesIO(member.open().read())
            for member in members(path, name)
            if _full(name, member) == wanted
        ),
        None,
    )


def _full(name: str, member: Member) -> str:
    return f"{name}/{member.name.removeprefix('./')}"


class _Tables:
    """Rows of ``meta.json`` files by MD5, on disk: half a million rows are not for memory."""

    def __init__(self, scratch: Path) -> None:
        scratch.mkdir(parents=True, exist_ok=True)
        self._rows = sqlite3.connect(scratch / "meta.sqlite")
        self._rows.execute("create table rows (file text, md5 text, row text)")
        self._rows.execute("create index by_md5 on rows (file, md5)")
        self._loaded: set[str] = set()

    def close(self) -> None:
        """Let go of the file."""
        self._rows.close()

    def row(self, file: str, md5: str, find: Callable[[str], BinaryIO | None]) -> dict[str, Any]:
        """The row of a game, empty where there is none; a table is read when first asked."""
        if file not in self._loaded:
            self._loaded.add(file)
            if (stream := find(file)) is not None:
                rows = ((file, row["slp_md5"], json.dumps(row)) for row in _parse(file, stream))
                self._rows.executemany("insert into rows values (?, ?, ?)", rows)
        query = "select row from rows where file = ? and md5 = ? limit 1"
        found = self._rows.execute(query, (file, md5)).fetchone()
        row: dict[str, Any] = json.loads(found[0]) if found else {}
        return row


def _parse(file: str, stream: BinaryIO) -> Iterator[dict[str, Any]]:
    """Objects of a JSON array one by one: all of them at once take five times the file's size."""
    try:
        text, at = stream.read().decode(), 0
        while match := _NEXT.match(text, at):
            row, at = _DECODER.raw_decode(text, match.end())
            row["slp_md5"]
            yield row
        if text[at:].strip() not in ("]", "[]"):
            raise ValueError(f"it breaks off at character {at}")
    except (ValueError, LookupError, TypeError) as error:
        raise BadData(
            f"{file} is not a whole table of parsed-v2 (an array of rows with slp_md5): {error}",
            hint="copy it again, or remove it from the source if it is something else",
        ) from error
