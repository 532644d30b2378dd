"""``metrics.jsonl`` of a training's attempt, as the trainer writes it."""

from __future__ import annotations

import json
from typing import Any

from wm.stage.spec import attempt_prefix
from wm.store import NotFound, Store


def read_metrics(store: Store, run: str, stage: str, attempt: int) -> list[dict[str, Any]]:
    """Its lines, none where the attempt has written none."""
    try:
        text = store.get(f"{attempt_prefix(run, stage, attempt)}/metrics.jsonl")
    except NotFound:
        return []
    return [json.loads(line) for line in text.splitlines()]
