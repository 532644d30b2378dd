"""What people are told of a run, and in which words."""

from __future__ import annotations

from collections.abc import Callable

from wmctl.run.history import Event
from wmctl.show import phrases

LONGEST = 2000
"""Characters of a message; chat services cut longer ones in odd places."""


def _always(event: Event) -> bool:
    return True


TOLD: dict[str, Callable[[Event], bool]] = {
    "submitted": _always,
    "resumed": _always,
    "gate": _always,
    "chosen": _always,
    "skipped": _always,
    "shortened": _always,
    "ended": lambda event: event.code != 0,
    "hung": _always,
    "over": _always,
    "priced": _always,
    "verdict": _always,
    "finished": _always,
}
"""Kind of an event -> whether people are told of it. Of other kinds they are not."""

LINKED = {"submitted", "resumed", "verdict", "finished"}
"""Kinds of events whose message has the link of the run's page."""


def is_told(event: Event) -> bool:
    """Whether people are told of this event."""
    wanted = TOLD.get(event.event)
    return wanted is not None and wanted(event)


def message(event: Event, run: str) -> str:
    """The run's name and one sentence."""
    text = f"{run}: {phrases.event(event) or event.text or event.event}"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
