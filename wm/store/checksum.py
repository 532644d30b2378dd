"""SHA-256 of what was read, against what a manifest says."""

from __future__ import annotations

import hashlib
from pathlib import Path

from wm.errors import BadData


def check_sha256(key: str, actual: str, expected: str | None) -> None:
    """Raise :class:`BadData` unless the hex digests agree; None as ``expected`` agrees."""
    if expected is None or actual == expected.lower():
        return
    raise BadData(
        f"{key} is damaged: its SHA-256 begins with {actual[:12]}, expected {expected[:12]}",
        hint="remove the object and let the stage that made it run again",
    )


def file_sha256(path: Path) -> str:
    """Hex digest of a file, in constant memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
