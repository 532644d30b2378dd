"""The members of .zip, .tar(.gz|.xz|.zst|.bz2) and .7z, one after the other in constant memory.

A tar or 7z that breaks anywhere ends in one :class:`wm.errors.BadData` that names it and says how
many members were whole: what lies behind the break is lost, and half a source is not the source. In
a zip every member stands for itself, so a broken one is only :class:`encoder.streams.Damaged`.
"""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from encoder.sevenzip import Unpacking
from encoder.streams import SUFFIXES, Damaged, decompressed, guarded
from wm.errors import BadData

ARCHIVES = (".zip", ".7z", ".tar", ".tgz", *(f".tar{suffix}" for suffix in SUFFIXES))

_BLOCK = 512
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive."""

    name: str
    size: int
    """Bytes; 0 where the archive does not tell before reading."""
    open: Callable[[], BinaryIO]
    """To be called and read before the next member is asked for."""
    at: int
    """Bytes of the archive before it, for estimates; 0 where unknown."""


def is_archive(name: str) -> bool:
    """Whether :func:`members` reads a file of this name."""
    return name.lower().endswith(ARCHIVES)


def members(path: Path, name: str) -> Iterator[Member]:
    """The files of an archive in its own order; ``name`` is what people call it."""
    lower = path.name.lower()
    if lower.endswith(".zip"):
        return _zip(path, name)
    if lower.endswith(".7z"):
        return _seven(path, name)
    return _tar(path, name)


def _cut_off(name: str, whole: int, why: object) -> BadData:
    return BadData(
        f"{name} is cut off or damaged: {whole} of its files could be read before {why}",
        hint="copy or download it again; nothing was published",
    )


def _zip(path: Path, name: str) -> Iterator[Member]:
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise _cut_off(name, 0, f"the end: {error}") from error
    with archive:
        for info in archive.infolist():
            if not info.is_dir():
                yield Member(
                    info.filename,
                    info.file_size,
                    partial(_member, archive, info),
                    info.header_offset,
                )


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> BinaryIO:
    errors = (zipfile.BadZipFile, NotImplementedError, RuntimeError)  # checksum, method, password
    try:
        return guarded(cast(BinaryIO, archive.open(info)), Damaged, *errors)
    except errors as error:
        raise Damaged(str(error)) from error


def _tar(path: Path, name: str) -> Iterator[Member]:
    whole = 0

    def report(why: str) -> BadData:
        return _cut_off(name, whole, why)

    with path.open("rb") as raw:
        content = _Tail(guarded(decompressed(raw, _tar_name(path)), report))
        try:
            with tarfile.open(fileobj=cast(BinaryIO, content), mode="r|") as archive:
                for info in archive:
                    if info.isfile():
                        data = cast(BinaryIO, archive.extractfile(info))
                        stream = partial(guarded, data, report, tarfile.TarError)
                        yield Member(info.name, info.size, stream, raw.tell())
                    whole += info.isfile()
        except tarfile.TarError as error:
            raise report(str(error)) from error
        if not content.ends_with_zeros():
            raise report("its end mark")


def _tar_name(path: Path) -> str:
    return path.name.lower().replace(".tgz", ".tar.gz")


class _Tail:
    """A stream that remembers its last block: tarfile takes any end for the end of the archive."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._last = b""

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._last = (self._last + data)[-_BLOCK:]
        return data

    def ends_with_zeros(self) -> bool:
        """Read what is left; whether the archive ends with its mark, a block of zeros."""
        while self.read(_CHUNK):
            pass
        return self._last == bytes(_BLOCK)


def _seven(path: Path, name: str) -> Iterator[Member]:
    whole = 0

    def report(why: str) -> BadData:
        return _cut_off(name, whole, why)

    with closing(Unpacking(path)) as unpacking:
        try:
            while (member := unpacking.next_name()) is not None:
                yield Member(member, 0, partial(guarded, unpacking.stream(), report), 0)
                unpacking.skip()
                whole += 1
        except Damaged as error:
            raise report(str(error)) from error
