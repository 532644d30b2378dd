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
    "submitted",  # a conductor took up the run for a submission, on the terms in its detail
    "resumed",  # a later submission took it up again
    "priced",  # machines cost something else from now on
    "started",  # an attempt of a stage
    "observed",  # how far running attempts are, where that is news
    "hung",  # an attempt has given no sign of life for too long
    "ended",  # an attempt of a stage, with its outcome
    "interrupted",  # the conductor was asked to stop
    "cancelled",  # somebody wants the run to end
    "over",  # the deadline has passed, or the budget is used up
    "gate",  # a gate was decided
    "chosen",  # a choice was made
    "skipped",  # stages are left out
    "shortened",  # trainings get fewer steps
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
    """Of a gate, choice or verdict."""
    outcome: str = ""
    """Gate: ``pass`` or ``fail``. Verdict: ``promote``, ``hold`` or ``stop``. ``over``: ``budget``
    or ``deadline``."""
    text: str = ""
    """One sentence for people."""
    hint: str = ""
    detail: dict[str, Any] = {}
    """Result of an attempt; terms of a submission; evidence of a decision."""


class History:
    """The events of one run, appended by one writer (who holds the run's lease)."""

    def __init__(self, store: Store, run: str) -> None:
        self._store = store
        self._key = f"runs/{run}/events.jsonl"
        self._tag: Tag | None = None
        self._data = b""
        self.events: list[Event] = []
        try:
            self._data, self._tag = store.get_tagged(self._key)
        except NotFound:
            return
        try:
            self.events = [Event.model_validate_json(line) for line in self._data.splitlines()]
        except ValidationError as error:
            raise BadData(
                f"{store.url}/{self._key} is damaged or of another version of wmctl",
                hint=f"use that version, or remove the folder runs/{run} from the store",
            ) from error

    def append(self, kind: EventKind, *, at: float | None = None, **fields: Any) -> Event:
        """Write one event, as of ``at`` (now by default). Raises ``Conflict`` where another writer
        was at it."""
        event = Event(time=time.time() if at is None else at, event=kind, **fields)
        data = self._data + event.model_dump_json(exclude_defaults=True).encode() + b"\n"
        self._tag = self._store.put(self._key, data, only_if=self._tag or ABSENT)
        self._data = data
        self.events.append(event)
        return event
