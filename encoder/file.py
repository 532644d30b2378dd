"""What every source of raw games offers, wherever they lie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


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
