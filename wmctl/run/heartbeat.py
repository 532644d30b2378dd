"""How far a running stage is, by its own word."""

from __future__ import annotations

from pydantic import ValidationError

from wm.stage.spec import Heartbeat, attempt_prefix
from wm.store import NotFound, Store


def read_heartbeat(store: Store, run: str, stage: str, attempt: int) -> Heartbeat | None:
    """The newest heartbeat of an attempt, None before its first."""
    try:
        data = store.get(f"{attempt_prefix(run, stage, attempt)}/heartbeat.json")
        return Heartbeat.model_validate_json(data)
    except (NotFound, ValidationError):
        return None
