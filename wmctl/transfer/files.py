"""Which files a push means, and what they are called in the raw set."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wm.artifacts.raw import MANIFEST, raw_key
from wm.errors import BadConfig, InputMissing


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file on this machine."""

    name: str
    """Its path in the raw set."""
    path: Path
    size: int
    """Bytes."""


def find_files(sources: list[Path], name: str) -> list[LocalFile]:
    """Every file of ``sources`` for the raw set ``name``, in order of name.

    A file keeps its own name; what lies below a folder is named relative to that folder. Links to
    files are followed, links to folders are not. Raises :class:`InputMissing` for what is not
    there or holds no file, and :class:`BadConfig` for names that a store cannot hold.
    """
    found: dict[str, LocalFile] = {}
    for source in sources:
        files = list(_files(source))
        if not files:
            raise InputMissing(f"there is no file in {source}", hint="nothing was pushed")
        for file in files:
            _check_name(file, name)
            if file.name in found:
                raise BadConfig(
                    f"{found[file.name].path} and {file.path} would both be {file.name}",
                    hint="push them to two names, or the folder that holds both",
                )
            found[file.name] = file
    return sorted(found.values(), key=lambda file: file.name)


def _files(source: Path) -> Iterator[LocalFile]:
    if source.is_file():
        yield LocalFile(source.name, source, source.stat().st_size)
    elif source.is_dir():
        yield from _walk(source, "")
    else:
        raise InputMissing(f"there is no file or folder {source}")


def _walk(folder: Path, prefix: str) -> Iterator[LocalFile]:
    try:
        with os.scandir(folder) as scan:
            items = list(scan)
        for item in items:
            if item.is_dir(follow_symlinks=False):
                yield from _walk(folder / item.name, f"{prefix}{item.name}/")
            elif item.is_file():
                yield LocalFile(prefix + item.name, folder / item.name, item.stat().st_size)
    except OSError as error:
        raise InputMissing(f"{folder} cannot be read: {error.strerror or error}") from error


def _check_name(file: LocalFile, name: str) -> None:
    if file.name == MANIFEST:
        raise BadConfig(
            f"{file.path} cannot be pushed: {MANIFEST} is the raw set's own",
            hint="rename it, or push the folder above it",
        )
    try:
        file.name.encode()
    except UnicodeEncodeError:
        raise BadConfig(
            f"the name of {os.fsencode(file.path)!r} is not UTF-8", hint="rename it and push again"
        ) from None
    raw_key(name, file.name)
