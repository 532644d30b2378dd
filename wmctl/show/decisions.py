"""What was decided in a run, as sentences: gates, choices, and what gave way to time and money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wmctl.run.history import Event
from wmctl.run.prices import Prices
from wmctl.show import phrases

DECIDED = frozenset(
    {"gate", "chosen", "skipped", "shortened", "hung", "over", "priced", "cancelled"}
)
"""Kinds of events that people look for; verdicts are shown by themselves."""


@dataclass(frozen=True, slots=True)
class Line:
    """One of them."""

    event: Event
    text: str

    @property
    def mark(self) -> str:
        """``✓`` or ``✗`` of a gate, a dot of everything else."""
        if self.event.event == "gate":
            return "✓" if self.event.outcome == "pass" else "✗"
        return "•"

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        one = self.event
        subject = one.name or one.stage
        return {"time": one.time, "event": one.event, "of": subject, "outcome": one.outcome,
                "text": self.text}  # fmt: skip


def decisions(events: Sequence[Event]) -> list[Line]:
    """The decisions of a history, the oldest first."""
    lines: list[Line] = []
    prices: Prices | None = None
    for event in events:
        text = phrases.priced(event, prices) if event.event == "priced" else phrases.event(event)
        if "prices" in event.detail and event.event in ("submitted", "resumed", "priced"):
            prices = Prices.model_validate(event.detail["prices"])
        if event.event in DECIDED:
            lines.append(Line(event, text))
    return lines
