"""Cut a stream of many games into pieces of whole games, so that workers can share it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from encoder.read import Kind

PIECE = 1 << 20
"""Bytes of a piece; part of the data set's format, for blocks end between pieces."""

LARGEST = 16 * PIECE
"""Where no game ends within this many bytes the text is cut anyway: it is something else."""

_MARKS = {Kind.PGN: (b"\n\n[Event ", b"\n\r\n[Event "), Kind.JSONL: (b"\n",)}
"""What a cut may lie in: behind the last line feed of such a mark."""


def pieces(stream: BinaryIO, kind: Kind) -> Iterator[tuple[int, bytes]]:
    """(number of the first line, bytes) of every piece; an empty stream is one empty piece.

    ``stream.read(n)`` must return n bytes unless it ends.
    """
    line, data = 1, b""
    while len(block := stream.read(PIECE)) == PIECE:
        data += block
        cut = _last(data, kind, len(data))
        if not cut and len(data) >= LARGEST:
            cut = data.rfind(b"\n") + 1 or len(data)
        if cut:
            yield line, data[:cut]
            line += data.count(b"\n", 0, cut)
            data = data[cut:]
    data += block
    if data or line == 1:
        yield line, data


def halve(data: bytes, kind: Kind) -> tuple[bytes, bytes] | None:
    """Two pieces of about the same size; None where there is only one game."""
    middle = len(data) // 2
    cut = _last(data, kind, middle) or _first(data, kind)  # which then lies behind the middle
    return (data[:cut], data[cut:]) if 0 < cut < len(data) else None


def _last(data: bytes, kind: Kind, stop: int) -> int:
    return max(_behind(mark, data.rfind(mark, 0, stop)) for mark in _MARKS[kind])


def _first(data: bytes, kind: Kind) -> int:
    found = [_behind(mark, at) for mark in _MARKS[kind] if (at := data.find(mark)) >= 0]
    return min(found, default=0)


def _behind(mark: bytes, at: int) -> int:
    return at + mark.rfind(b"\n") + 1 if at >= 0 else 0
