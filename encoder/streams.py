"""Compressed streams whose end is checked: a stream that is cut off raises, and never just ends."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Sequence
from typing import BinaryIO, cast

from wm.errors import BadConfig

SUFFIXES = (".gz", ".xz", ".zst", ".bz2")
"""Compressions known by a file's name."""

_CHUNK = 1 << 20


class Damaged(Exception):
    """A stream ends before its end, or its checksum is wrong."""


_BROKEN = (EOFError, OSError, lzma.LZMAError, zlib.error, Damaged)


def stem(name: str) -> str:
    """A file's name without the suffix of its compression."""
    return next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), name)


def decompressed(stream: BinaryIO, name: str) -> BinaryIO:
    """The content of ``stream`` as the suffix of ``name`` says; reading raises :class:`Damaged`."""
    if name.endswith(".gz"):
        return guarded(cast(BinaryIO, gzip.GzipFile(fileobj=stream)))
    if name.endswith(".xz"):
        return guarded(cast(BinaryIO, lzma.LZMAFile(stream)))
    if name.endswith(".bz2"):
        return guarded(cast(BinaryIO, bz2.BZ2File(stream)))
    if name.endswith(".zst"):
        return guarded(cast(BinaryIO, _Zstd(stream)))
    return guarded(stream)


def guarded(
    stream: BinaryIO, report: Callable[[str], Exception] = Damaged, *more: type[Exception]
) -> BinaryIO:
    """``stream``, with every way in which content can be broken raised as ``report(why)``.

    ``more`` names further exceptions that mean so. Errors of the disk stay what they are.
    """
    return cast(BinaryIO, io.BufferedReader(_Guarded(stream, report, more), _CHUNK))


class _Guarded(io.RawIOBase):
    def __init__(
        self,
        stream: BinaryIO,
        report: Callable[[str], Exception],
        more: Sequence[type[Exception]],
    ) -> None:
        self._stream = stream
        # One step at a time, so that what lies before a break is not lost with it.
        self._read = getattr(stream, "read1", stream.read)
        self._report = report
        self._errors: tuple[type[Exception], ...] = (*_BROKEN, *more)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            data = self._read(len(buffer))
        except self._errors as error:
            if isinstance(error, OSError) and error.errno:
                raise
            raise self._report(str(error)) from error
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


class _Zstd(io.RawIOBase):
    """zstandard's own reader takes a cut-off frame for the end of the stream; this one does not."""

    def __init__(self, stream: BinaryIO) -> None:
        try:
            import zstandard
        except ImportError as error:
            raise BadConfig(
                "a .zst file needs the package zstandard", hint="install wmctl[archives]"
            ) from error
        self._error = zstandard.ZstdError
        self._new = zstandard.ZstdDecompressor().decompressobj
        self._stream = stream
        self._frame = self._new()
        self._begun = False
        self._input = b""
        self._output = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._output:
            if not self._fill():
                return 0
        size = min(len(buffer), len(self._output))
        buffer[:size] = self._output[:size]
        self._output = self._output[size:]
        return size

    def _fill(self) -> bool:
        data = self._input or self._stream.read(_CHUNK // 8)
        self._input = b""
        if not data:
            if self._begun:
                raise Damaged("the last frame is cut off")
            return False
        try:
            self._output = self._frame.decompress(data)
        except self._error as error:
            raise Damaged(str(error)) from error
        self._begun = True
        if self._frame.eof:
            self._input = self._frame.unused_data
            self._frame, self._begun = self._new(), False
        return True
