"""From files to inputs: archives opened, kinds recognised, tables of parsed-v2 looked up."""

from __future__ import annotations

import io
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from encoder.archives import Member, is_archive, members
from encoder.read import KINDS, Kind
from encoder.sources import File, Source
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


def inputs(source: Source, game: str, scratch: Path) -> Iterator[Input]:
    """Every input of a source, in order; ``game`` says which kinds count."""
    tables = _Tables(scratch)
    before = 0
    for file in source.files():
        kind = _kind(file.name, game)
        after = partial(int, before + file.size)
        if is_archive(file.name) and not _hidden(file.name):
            yield from _of_archive(file.name, source.local(file), game, tables, before)
            source.release(file)
        elif kind is None:
            yield Input(file.name, None, after)
        elif kind in MANY:
            with source.local(file).open("rb") as raw:
                stream = partial(decompressed, raw, file.name.lower())
                yield Input(file.name, kind, partial(_position, raw, before), open=stream)
            source.release(file)
        else:
            meta = _meta(tables, file.name, partial(_found, source))
            plain = file.path if stem(file.name) == file.name else None
            later = None if plain else partial(_content, source, file)
            yield Input(file.name, kind, after, path=plain, later=later, meta=meta)
        before += file.size


def _of_archive(name: str, path: Path, game: str, tables: _Tables, before: int) -> Iterator[Input]:
    for member in members(path, name):
        full = _full(name, member)
        kind = _kind(full, game)
        after = partial(int, before + member.at)
        if kind is None:
            yield Input(full, None, after)
        else:
            meta = _meta(tables, full, partial(_found_member, path, name))
            yield Input(full, kind, after, open=partial(_open_member, member), meta=meta)


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


def _kind(name: str, game: str) -> Kind | None:
    if _hidden(name):
        return None
    plain = stem(name.lower())
    kind = Kind.PARSED_V2 if _PARSED.fullmatch(name) else _SUFFIXES.get(PurePosixPath(plain).suffix)
    return kind if kind in KINDS[game] else None


def _hidden(name: str) -> bool:
    """Such as the ``._x`` that a Mac puts beside every file ``x`` of an archive."""
    return PurePosixPath(name).name.startswith(".")


def _open_member(member: Member) -> BinaryIO:
    return decompressed(member.open(), member.name.lower())


def _meta(
    tables: _Tables, name: str, find: Callable[[str], BinaryIO | None]
) -> dict[str, Any] | None:
    match = _PARSED.fullmatch(name)
    return tables.row(f"{match['folder']}meta.json", match["md5"], find) if match else None


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
