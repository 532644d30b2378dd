"""ETags of S3, as far as they say something: most are the MD5 of what was sent."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

_MD5 = re.compile('"?([0-9a-f]{32}(-[0-9]+)?)"?')


def md5_of(data: bytes) -> str:
    """Hex digest; against damage on the way, not against malice."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def file_md5(path: Path) -> str:
    """As :func:`md5_of`, of a file, in constant memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, partial(hashlib.md5, usedforsecurity=False)).hexdigest()


def content_md5(md5: str) -> str:
    """A hex digest as the header ``Content-MD5`` wants it."""
    return b64encode(bytes.fromhex(md5)).decode()


def combined(md5s: Sequence[str]) -> str:
    """The ETag of an object made of parts: MD5 over the parts' MD5s, and their number."""
    return f"{md5_of(b''.join(map(bytes.fromhex, md5s)))}-{len(md5s)}"


def said_md5(etag: str) -> str | None:
    """``<md5>`` or ``<md5>-<parts>`` without quotes, or None where it is plainly neither."""
    match = _MD5.fullmatch(etag)
    return match[1] if match else None


def contradicts(answer: Mapping[str, Any], expected: str) -> bool:
    """Whether the ETag of an answer says that the store holds other bytes than ``expected``.

    With keys of a key service (SSE-KMS) it looks like an MD5 but is none, and some vendors give
    objects made of parts an ETag of another form: neither says anything.
    """
    said = said_md5(str(answer["ETag"]))
    if said is None or answer.get("ServerSideEncryption", "AES256") != "AES256":
        return False
    return said != expected and ("-" in said) == ("-" in expected)
