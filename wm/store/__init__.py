"""Objects by key, in a directory or in an S3 bucket: one interface, the same promises."""

from __future__ import annotations

from pathlib import Path

from wm.errors import BadConfig
from wm.store.base import ABSENT, Absent, Conflict, Entry, NotFound, Store, Tag

__all__ = ["ABSENT", "Absent", "Conflict", "Entry", "NotFound", "Store", "Tag", "open_store"]


def open_store(url: str, *, patience: float | None = None) -> Store:
    """The store at ``s3://bucket/prefix`` or at a directory's path; nothing is created yet.

    ``patience``: seconds that trouble on the way to a bucket is waited out, for callers that have
    something better to do; by default what ``WM_STORE_PATIENCE`` says.
    Raises :class:`wm.errors.BadConfig` for an address that is neither.
    """
    # boto3 takes a second to import, which a directory need not pay.
    if url.startswith("s3://"):
        from wm.store.s3 import S3Store

        return S3Store(url, patience=patience)
    if "://" in url or not url:
        raise BadConfig(
            f"{url!r} is not the address of a store",
            hint="give s3://bucket/prefix or the path of a directory",
        )
    from wm.store.directory import DirectoryStore

    return DirectoryStore(Path(url))
