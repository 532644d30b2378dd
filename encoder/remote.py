"""Raw games in a store: a prefix of any bucket, or a raw set of the run's own store.

Archives and files of many games are downloaded one at a time, whole, and by every member.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from encoder.file import File, Source
from wm.artifacts.raw import RawFile, load_raw
from wm.errors import BadData, InputMissing
from wm.store import NotFound, Store, open_store


def bucket_source(address: str, scratch: Path) -> Source:
    """Everything below ``s3://bucket/prefix``, or the one object of that name."""
    source = StoreSource(open_store(address), scratch)
    parent, _, name = address.rpartition("/")
    if "." in name and next(source.files(), None) is None:
        return StoreSource(open_store(parent), scratch, only=name)
    return source


class StoreSource:
    """Everything below a prefix of a bucket, or the object ``only`` there."""

    def __init__(self, store: Store, scratch: Path, only: str = "") -> None:
        self._store = store
        self._scratch = scratch
        self._only = only

    def files(self) -> Iterator[File]:
        for entry in self._store.list(self._only):
            if self._only and entry.key != self._only:
                continue
            yield File(entry.key, entry.size, f"{entry.size:x}-{entry.tag}", None)

    def local(self, file: File) -> Path:
        path = self._scratch / PurePosixPath(file.name).name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._store.download(file.name, path)
        return path

    def release(self, file: File) -> None:
        (self._scratch / PurePosixPath(file.name).name).unlink(missing_ok=True)

    def read(self, file: File) -> bytes:
        return self._store.get(file.name)

    def find(self, name: str) -> File | None:
        entry = self._store.head(name)
        return File(name, entry.size, f"{entry.size:x}-{entry.tag}", None) if entry else None

    def known(self) -> str | None:
        return None


class RawSource:
    """``raw:NAME``: the files that the raw set's manifest names, each checked against it.

    They come in the order of a folder, and their content is known by the manifest alone: the same
    files in a folder of this machine make the same data set.
    """

    def __init__(self, store: Store, name: str, scratch: Path) -> None:
        self._store = store
        self._scratch = scratch
        self._manifest = load_raw(store, name)
        self._files = {file.path: file for file in self._manifest.files}

    def files(self) -> Iterator[File]:
        for path in sorted(self._files, key=lambda path: path.split("/")):
            yield _file(self._files[path])

    def local(self, file: File) -> Path:
        path = self._scratch / PurePosixPath(file.name).name
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = self._files[file.name]
        with self._naming(raw):
            self._store.download(self._manifest.key(raw), path, sha256=raw.sha256)
        return path

    def release(self, file: File) -> None:
        (self._scratch / PurePosixPath(file.name).name).unlink(missing_ok=True)

    def read(self, file: File) -> bytes:
        raw = self._files[file.name]
        with self._naming(raw):
            return self._store.get(self._manifest.key(raw), sha256=raw.sha256)

    def find(self, name: str) -> File | None:
        return _file(self._files[name]) if name in self._files else None

    def known(self) -> str:
        content = hashlib.sha256()
        for file in self.files():
            content.update(f"{file.name}\0{file.stamp}\n".encode())
        return content.hexdigest()

    @contextmanager
    def _naming(self, raw: RawFile) -> Iterator[None]:
        key = self._manifest.key(raw)
        hint = f"push it again: wmctl data push FILES {self._manifest.name} --replace"
        try:
            yield
        except NotFound:
            raise InputMissing(f"{key} is named by its manifest but not there", hint) from None
        except BadData as error:
            raise BadData(f"{key} differs from its manifest", hint) from error


def _file(raw: RawFile) -> File:
    return File(raw.path, raw.size, raw.sha256, None)
