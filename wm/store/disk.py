"""What a disk refuses, in one sentence with the way out."""

from __future__ import annotations

import errno

from wm.errors import StoreUnreachable

HINTS = {
    errno.ENOSPC: "free space on that disk, then submit again; nothing half-written is visible",
    errno.EDQUOT: "free some of the quota on that disk, then submit again",
    errno.EROFS: "the file system is read-only; choose a directory that can be written",
    errno.EACCES: "choose a directory that this user may read and write",
    errno.EPERM: "choose a directory that this user may read and write",
    errno.ENOTDIR: "a file stands where a folder is needed; choose another place or remove it",
    errno.EEXIST: "a file stands where a folder is needed; choose another place or remove it",
    errno.EISDIR: "a folder has that name; an object cannot have it as well",
}


def disk_error(doing: str, error: OSError) -> StoreUnreachable:
    """The error for people when a disk did not let us do ``doing``."""
    hint = HINTS.get(error.errno or 0, "check that disk, then submit again")
    return StoreUnreachable(f"cannot {doing}: {error.strerror or error}", hint=hint)
