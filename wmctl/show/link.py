"""Where a person opens a run's page."""

from __future__ import annotations

from wm.store import Store

LINK_FOR = 7 * 24 * 3600
"""Seconds that a link to the page opens it without credentials; what S3 allows at most."""


def page_link(store: Store, run: str) -> str:
    """A link that needs no credentials, or the file's path; the page may be yet to come."""
    key = f"runs/{run}/index.html"
    if link := store.presign(key, LINK_FOR):
        return link
    return str(store.path(key)) if store.head(key) else f"{store.url}/{key}"
