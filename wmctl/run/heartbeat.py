"""How far a running stage is, by its own word."""

from __future__ import annotations

from pydantic import ValidationError

from wm.stage.spec import Heartbeat, attempt_prefix, member_prefix
from wm.store import NotFound, Store


def read_heartbeat(
    store: Store, run: str, stage: str, attempt: int, member: int = 0
) -> Heartbeat | None:
    """The newest heartbeat of an attempt's member, None before its first."""
    prefix = member_prefix(attempt_prefix(run, stage, attempt), member)
    try:
        data = store.get(f"{prefix}/heartbeat.json")
        return Heartbeat.model_validate_json(data)
    except (NotFound, ValidationError):
        return None
