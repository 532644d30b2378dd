"""Times as the API writes them."""

from __future__ import annotations

from datetime import datetime


def epoch(text: str | None) -> float:
    """RFC 3339 as seconds since the epoch; 0 for none. ``1970-…`` also means none."""
    return datetime.fromisoformat(text).timestamp() if text else 0.0
