"""A run's history: the events that a conductor has written, in order, in ``events.jsonl``.

The history and the outcomes in the store are all that is known of a run. A conductor that dies is
followed by one that reads them and goes on.
"""

from __future__ import annotations

import time
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from wm.errors import BadData
from wm.store import ABSENT, NotFound, Store, Tag

EventKind = Literal[
    "submitted",  # a conductor took up the run for a submission
    "resumed",  # a later submission took it up again
    "started",  # an attempt of a stage
    "ended",  # an attempt of a stage, with its outcome
    "interrupted",  # the conductor was asked to stop
    "cancelled",  # somebody wants the run to end
    "gate",  # a gate was decided
    "verdict",  # a verdict was reached
    "swept",  # what of the run still held the cluster was counted and cleared away
    "finished",  # nothing is left to do
]


class Event(BaseModel):
    """One line of a run's history."""

    model_config = ConfigDict(extra="forbid")

    time: float
    """Seconds since the epoch, by the conductor's clock."""
    event: EventKind
    stage: str = ""
    """Name of the node, for ``started`` and ``ended``."""
    attempt: int = 0
    code: int | None = None
    """Exit code, for ``ended`` and ``finished``."""
    name: str = ""
    """Of a gate or verdict."""
    outcome: str = ""
    """Gate: ``pass`` or ``fail``. Verdict: ``promote``, ``hold`` or ``stop``."""
    text: str = ""
    """One sentence for people."""
    hint: str = ""
    detail: dict[str, Any] = {}
    """Result of an attempt; evidence of a gate or verdict."""


class History:
    """The events of one run, appended by one writer (who holds the run's lease)."""

    def __init__(self, store: Store, run: str) -> None:
        self._store = store
        self._key = f"runs/{run}/events.jsonl"
        self._tag: Tag | None = None
        self.events: list[Event] = []
        try:
            data, self._tag = store.get_tagged(self._key)
        except NotFound:
            return
        try:
            self.events = [Event.model_validate_json(line) for line in data.splitlines()]
        except ValidationError as error:
            raise BadData(
                f"{store.url}/{self._key} is damaged or of another version of wmctl",
                hint=f"use that version, or remove the folder runs/{run} from the store",
            ) from error

    def append(self, kind: EventKind, **fields: Any) -> Event:
        """Write one event. Raises ``Conflict`` where another writer was at it."""
        event = Event(time=time.time(), event=kind, **fields)
        lines = [e.model_dump_json(exclude_defaults=True) for e in [*self.events, event]]
        data = "".join(line + "\n" for line in lines).encode()
        self._tag = self._store.put(self._key, data, only_if=self._tag or ABSENT)
        self.events.append(event)
        return event
