"""Which names objects may have: those that mean the same in a bucket and in a directory."""

from __future__ import annotations

from wm.errors import BadConfig

RESERVED = ".wm"
"""First part of what a directory store keeps for itself: locks and temporaries."""

MAX_KEY = 900
"""Bytes; S3 allows 1,024 for the prefix and the key together."""

MAX_PART = 255
"""Bytes; what common file systems allow for one name."""


def check_key(key: str) -> str:
    """``key`` itself, or :class:`wm.errors.BadConfig` saying what is wrong with it."""
    parts = key.split("/")
    if "" in parts:
        raise _bad(key, "it needs non-empty parts between single slashes, none at the ends")
    _check_parts(key, parts)
    return key


def check_prefix(prefix: str) -> str:
    """``prefix`` itself: the beginning of keys, so its last part may be cut off or empty."""
    *parts, last = prefix.split("/")
    if "" in parts:
        raise _bad(prefix, "it needs non-empty parts between single slashes, none in front")
    _check_parts(prefix, [*parts, last])
    return prefix


def _check_parts(key: str, parts: list[str]) -> None:
    if ".." in parts or "." in parts:
        raise _bad(key, "it must not contain the parts '.' or '..'")
    if parts[0] == RESERVED:
        raise _bad(key, f"{RESERVED!r} belongs to the store itself")
    if not all(part.isprintable() for part in parts):
        raise _bad(key, "it holds a control character")
    if len(key.encode()) > MAX_KEY or any(len(part.encode()) > MAX_PART for part in parts):
        raise _bad(key, f"it may have {MAX_KEY} bytes, and {MAX_PART} between slashes")


def _bad(key: str, why: str) -> BadConfig:
    return BadConfig(f"{key!r} cannot name an object: {why}")
