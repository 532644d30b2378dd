"""A log in the store: chunks ``<prefix>/log/<offset>.txt``, named by where they begin in bytes.

Only the last chunk grows, so that whoever follows the log needs a listing and ranged reads, and no
writer sends a line more often than a chunk is long. Objects cannot be appended to.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator

from wm.store import ABSENT, Conflict, Entry, Store

CHUNK = 256 << 10
"""Bytes at which a chunk is closed and the next is begun."""

_NAME = re.compile(r".*/log/(\d{12,})\.txt")


def chunk_key(prefix: str, offset: int) -> str:
    """Key of the chunk that begins at ``offset``."""
    return f"{prefix}/log/{offset:012d}.txt"


class LogReader:
    """Reads on from where it stopped; memory holds one chunk."""

    def __init__(self, store: Store, prefix: str, start: int = 0) -> None:
        self._store, self._prefix = store, prefix
        self.position = start
        """Offset of the first byte that was not read yet."""

    def new(self) -> Iterator[bytes]:
        """What was written since the last call."""
        for offset, entry in _chunks(self._store, self._prefix):
            if offset + entry.size <= self.position:
                continue
            start = max(self.position, offset)
            data = self._store.open_range(entry.key, start - offset, entry.size)
            self.position = start + len(data)
            yield data


def read_log(store: Store, prefix: str, start: int = 0) -> bytes:
    """Everything from ``start`` on; empty where there is no log."""
    return b"".join(LogReader(store, prefix, start).new())


def log_end(store: Store, prefix: str) -> int:
    """Offset behind the last byte; 0 where there is no log."""
    return max((offset + entry.size for offset, entry in _chunks(store, prefix)), default=0)


def tail_start(store: Store, prefix: str, lines: int) -> int:
    """Offset at which the last ``lines`` lines begin."""
    end = log_end(store, prefix)
    if lines == 0:
        return end
    for offset, entry in reversed(list(_chunks(store, prefix))):
        data = store.open_range(entry.key, 0, entry.size)
        at = len(data) - 1 if offset + len(data) == end else len(data)  # not the last line's end
        while (at := data.rfind(b"\n", 0, at)) >= 0:
            lines -= 1
            if lines == 0:
                return offset + at + 1
    return 0


def append_missing(store: Store, prefix: str, text: bytes) -> None:
    """Complete the log by ``text``, the same process's output as its platform kept it.

    A killed process could not ship its last lines. ``text`` may begin with lines that were
    printed before shipping began, or be cut off in front; no line comes twice.
    """
    end = log_end(store, prefix)
    seen = read_log(store, prefix, max(0, end - len(text)))
    missing = _unseen(seen, text)
    if missing == text and seen and not seen.endswith(b"\n"):
        missing = b"\n" + text
    for start in range(0, len(missing), CHUNK):
        try:
            key = chunk_key(prefix, end + start)
            store.put(key, missing[start : start + CHUNK], only_if=ABSENT)
        except Conflict:  # another completes it with the same bytes
            return


def _unseen(seen: bytes, text: bytes) -> bytes:
    """What of ``text`` comes after the longest run of last lines of ``seen`` that occurs in it."""
    lines = b"\n" + text  # every line has its beginning marked
    starts = [0, *(match.end() for match in re.finditer(b"\n", seen))]
    first = bisect_left(starts, True, key=lambda start: b"\n" + seen[start:] in lines)
    run = seen[starts[first] :] if first < len(starts) else b""
    return text[lines.find(b"\n" + run) + len(run) :] if run.strip() else text


def _chunks(store: Store, prefix: str) -> Iterator[tuple[int, Entry]]:
    for entry in store.list(f"{prefix}/log/"):
        if match := _NAME.fullmatch(entry.key):
            yield int(match[1]), entry
