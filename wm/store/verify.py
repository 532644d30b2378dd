"""Whether an object still is what a manifest says."""

from __future__ import annotations

import hashlib

from wm.errors import BadData, InputMissing
from wm.store.base import Store
from wm.store.checksum import file_sha256

_CHUNK = 8 << 20


def verify_object(store: Store, key: str, size: int, sha256: str, *, hint: str) -> None:
    """Read the object in constant memory and compare size and SHA-256 (hex).

    Raises :class:`InputMissing` where it is gone and :class:`BadData` where it differs, both with
    ``hint`` as the way out.
    """
    entry = store.head(key)
    if entry is None:
        raise InputMissing(f"{key} is named by its manifest but not there", hint=hint)
    if entry.size != size or _sha256(store, key, size) != sha256:
        raise BadData(f"{key} differs from its manifest", hint=hint)


def _sha256(store: Store, key: str, size: int) -> str:
    if path := store.path(key):
        return file_sha256(path)
    digest = hashlib.sha256()
    for start in range(0, size, _CHUNK):
        digest.update(store.open_range(key, start, min(start + _CHUNK, size)))
    return digest.hexdigest()
