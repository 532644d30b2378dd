"""How a decision stands in the history; so that it can be compared with what is decided again."""

from __future__ import annotations

from typing import Any

from wmctl.run.conditions import plain
from wmctl.run.decide import Action, Finish, Over
from wmctl.run.history import EventKind
from wmctl.run.pressure import Shorten, Skip
from wmctl.run.rules import Choose, DecideGate, Judge


def event_of(action: Action) -> tuple[EventKind, dict[str, Any]]:
    """Kind and fields of the event that a decision leaves."""
    match action:
        case DecideGate(name, outcome, text, detail):
            return "gate", {"name": name, "outcome": outcome, "text": text, "detail": detail}
        case Choose(name, text, detail):
            return "chosen", {"name": name, "text": text, "detail": detail}
        case Skip(stages, text):
            return "skipped", {"text": text, "detail": {"stages": stages}}
        case Shorten(steps, text):
            return "shortened", {"text": text, "detail": {"steps": dict(steps)}}
        case Over(outcome, text):
            return "over", {"outcome": outcome, "text": text}
        case Judge(name, None, stopped):
            return "verdict", {"name": name, "outcome": "stop", "text": stopped}
        case Judge(name, judgement):
            assert judgement is not None
            return "verdict", {
                "name": name,
                "outcome": judgement.outcome,
                "text": judgement.text,
                "detail": plain(judgement),
            }
        case Finish(code, text):
            return "finished", {"code": code, "text": text}
    raise TypeError(f"{type(action).__name__} leaves no event of its own")
