"""A store in this process's memory: for simulations, which make thousands of runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from wm.errors import InputMissing
from wm.store.base import Absent, Conflict, Entry, NotFound, Tag
from wm.store.checksum import check_sha256
from wm.store.keys import check_key, check_prefix


class MemoryStore:
    """:class:`wm.store.Store` without a disk; gone with the process, and for one thread."""

    def __init__(self, url: str = "memory") -> None:
        self.url = url
        self._objects: dict[str, tuple[bytes, Entry]] = {}
        self._writes = 0

    def get(self, key: str, *, sha256: str | None = None) -> bytes:
        data, _ = self.get_tagged(key)
        check_sha256(key, hashlib.sha256(data).hexdigest() if sha256 else "", sha256)
        return data

    def get_tagged(self, key: str) -> tuple[bytes, Tag]:
        found = self._objects.get(key)
        if found is None:
            raise NotFound(f"there is no {key} in the store {self.url}")
        return found[0], found[1].tag

    def put(self, key: str, data: bytes, *, only_if: Absent | Tag | None = None) -> Tag:
        before = self._objects.get(check_key(key))
        if isinstance(only_if, Absent):
            if before is not None:
                raise Conflict(f"{key} is there already in the store {self.url}")
        elif only_if is not None and (before is None or before[1].tag != only_if):
            raise Conflict(f"{key} was changed by somebody else in the store {self.url}")
        self._writes += 1
        tag = Tag(str(self._writes))
        self._objects[key] = (data, Entry(key, len(data), tag, float(self._writes)))
        return tag

    def head(self, key: str) -> Entry | None:
        found = self._objects.get(key)
        return found[1] if found else None

    def open_range(self, key: str, start: int, stop: int) -> bytes:
        return self.get(key)[start : max(start, stop)]

    def list(self, prefix: str) -> Iterator[Entry]:
        check_prefix(prefix)
        for key in sorted(self._objects):
            if key.startswith(prefix):
                yield self._objects[key][1]

    def download(self, key: str, path: Path, *, sha256: str | None = None) -> None:
        data = self.get(key, sha256=sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.new")
        temporary.write_bytes(data)
        temporary.replace(path)

    def upload(self, path: Path, key: str) -> Entry:
        if not path.is_file():
            raise InputMissing(f"there is no file {path} to publish as {key}")
        self.put(key, path.read_bytes())
        return self._objects[key][1]

    def delete(self, key: str) -> None:
        self._objects.pop(check_key(key), None)

    def path(self, key: str) -> None:
        check_key(key)

    def presign(self, key: str, seconds: int) -> None:
        check_key(key)
