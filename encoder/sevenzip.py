"""A .7z as a stream of members, in constant memory."""

from __future__ import annotations

import io
import queue
import threading
from pathlib import Path
from typing import Any, BinaryIO, cast

from encoder.streams import Damaged
from wm.errors import BadConfig


class Unpacking:
    """py7zr pushes members at a writer; this thread turns them into a queue to pull from."""

    def __init__(self, path: Path) -> None:
        self._queue: queue.Queue[str | bytes | BaseException | None] = queue.Queue(maxsize=8)
        self._closed = False
        self._inside = False
        self._thread = threading.Thread(target=self._run, args=(_library(), path), daemon=True)
        self._thread.start()

    def next_name(self) -> str | None:
        """Name of the next member, None behind the last."""
        item = self._get()
        if item is None:
            return None
        self._inside = True
        return cast(str, item)

    def read(self) -> bytes:
        """The next bytes of the member, empty at its end."""
        if not self._inside:
            return b""
        item = self._get()
        self._inside = bool(item)
        return cast(bytes, item)

    def stream(self) -> BinaryIO:
        """The member, to be read once."""
        return cast(BinaryIO, _Stream(self))

    def skip(self) -> None:
        """Drop the rest of the member."""
        while self.read():
            pass

    def close(self) -> None:
        """Stop unpacking, wherever it is."""
        self._closed = True
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.1)
            except queue.Empty:
                continue

    def put(self, item: str | bytes | BaseException | None) -> None:
        """Called by the unpacking thread; waits while the reader is behind."""
        if self._closed:
            raise _Stopped
        self._queue.put(item)

    def _get(self) -> str | bytes | None:
        item = self._queue.get()
        if isinstance(item, BaseException):
            raise Damaged(f"{type(item).__name__} {item}".strip()) from item
        return item

    def _run(self, py7zr: Any, path: Path) -> None:
        try:
            # Given an open file, py7zr unpacks in the archive's order, in this one thread.
            with path.open("rb") as file, py7zr.SevenZipFile(file) as archive:
                archive.extractall(factory=_Factory(self))
            end: BaseException | None = None
        except _Stopped:
            return
        except BaseException as error:  # noqa: BLE001  # it belongs to whoever reads the queue
            end = error
        if not self._closed:
            self._queue.put(end)


class _Stopped(Exception):
    """The reader wants no more members."""


class _Factory:
    """Makes the writers that py7zr fills."""

    def __init__(self, unpacking: Unpacking) -> None:
        self._unpacking = unpacking

    def create(self, filename: str) -> _Writer:
        """Called when a member begins."""
        return _Writer(self._unpacking, filename)


class _Writer:
    """What py7zr fills with one member; it asks for more of a file than it uses."""

    def __init__(self, unpacking: Unpacking, filename: str) -> None:
        self._unpacking = unpacking
        self._size = 0
        unpacking.put(filename)

    def write(self, data: bytes | bytearray) -> int:
        """Hand on the next bytes of the member."""
        if data:
            self._unpacking.put(bytes(data))
            self._size += len(data)
        return len(data)

    def close(self) -> None:
        """The member is complete."""
        self._unpacking.put(b"")

    def seekable(self) -> bool:
        """Nothing that was handed on can be written again."""
        return False

    def size(self) -> int:
        """Bytes handed on."""
        return self._size

    def flush(self) -> None:
        """Nothing is held back."""


class _Stream(io.RawIOBase):
    def __init__(self, unpacking: Unpacking) -> None:
        self._unpacking = unpacking
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._rest = self._rest or self._unpacking.read()
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def _library() -> Any:
    try:
        import py7zr
    except ImportError as error:
        raise BadConfig(
            "a .7z file needs the package py7zr", hint="install wmctl[archives]"
        ) from error
    return py7zr
