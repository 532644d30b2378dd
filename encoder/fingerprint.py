"""What a source holds, as one number: found again without reading what has not changed."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from encoder.config import EncodeConfig
from encoder.file import Source
from wm.artifacts.dataset import FORMAT, Inputs
from wm.errors import BadData, InputMissing, Preempted
from wm.store import NotFound, Store
from wm.store.checksum import file_sha256

NAMES = 5
"""How many input names a manifest shows."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a source held when it was looked at."""

    inputs: Inputs
    stamp: str
    """Over names and stamps of all files: another value means that something changed."""


def look(
    source: Source,
    store: Store,
    name: str,
    progress: Callable[[int, int, str], None],
    stopping: threading.Event,
) -> Content:
    """Name, size and content of every file of a source.

    The SHA-256 of a local file is remembered in the store by path, size, modification time and
    inode, so that only new or changed files are read; an object of a bucket is known by its tag.
    """
    known = source.known()
    index = _Index(store, name)
    content, stamp = hashlib.sha256(), hashlib.sha256()
    count = total = 0
    names: list[str] = []
    for file in source.files():
        if stopping.is_set():
            index.save(finished=False)
            raise Preempted("stopped while the inputs were hashed", hint="submit again to go on")
        digest = file.stamp
        if file.path is not None and not known:
            digest = index.sha256(file.path, file.stamp)
        content.update(f"{file.name}\0{digest}\n".encode())
        stamp.update(f"{file.name}\0{file.stamp}\n".encode())
        count += 1
        total += file.size
        if len(names) < NAMES:
            names.append(file.name)
        progress(count, 0, "files hashed")
    index.save(finished=True)
    if not count:
        raise InputMissing("the source holds no file", hint="check its path or prefix")
    sha256 = known or content.hexdigest()
    return Content(Inputs(count=count, bytes=total, sha256=sha256, names=names), stamp.hexdigest())


def fingerprint(sha256: str, config: EncodeConfig) -> str:
    """16 hex digits over the inputs' content, the resolved configuration and the format."""
    text = f"{FORMAT} {sha256} {config.encoding_sha256()}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def check_unchanged(source: Source, content: Content) -> None:
    """Raise BadData if any file of the source changed since :func:`look`."""
    stamp = hashlib.sha256()
    for file in source.files():
        stamp.update(f"{file.name}\0{file.stamp}\n".encode())
    if stamp.hexdigest() != content.stamp:
        raise BadData(
            "the source changed while it was read",
            hint="wait until nothing writes to it, then submit again",
        )


class _Index:
    """``datasets/<name>/inputs.json``: path -> [stamp, SHA-256] of files seen before."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._key = f"datasets/{name}/inputs.json"
        self._known = self._load()
        self._used: dict[str, list[str]] = {}

    def sha256(self, path: Path, stamp: str) -> str:
        """Of the file at ``path``; read only if its stamp is new."""
        entry = self._known.get(str(path))
        if entry is None or entry[0] != stamp:
            entry = [stamp, file_sha256(path)]
        self._used[str(path)] = entry
        return entry[1]

    def save(self, *, finished: bool) -> None:
        """Keep what this walk saw; of a finished walk, only that."""
        kept = self._used if finished else self._known | self._used
        if kept and kept != self._known:
            self._store.put(self._key, json.dumps(kept, separators=(",", ":")).encode())

    def _load(self) -> dict[str, list[str]]:
        try:
            known: dict[str, list[str]] = json.loads(self._store.get(self._key))
        except (NotFound, ValueError):
            return {}
        return known
