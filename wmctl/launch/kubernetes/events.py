"""Events of the cluster: when they happened, and what they are about."""

from __future__ import annotations

from typing import Any

Body = dict[str, Any]


def event_time(event: Body) -> str:
    """When an event happened last, in RFC 3339 (which sorts as text)."""
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return next((t for t in times if t), event["metadata"].get("creationTimestamp") or "")
