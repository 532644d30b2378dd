"""Every decision of a run, decided again from the store alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from wm.errors import Exit
from wmctl.run.decide import Action, Start, decide
from wmctl.run.events import event_of
from wmctl.run.figures import ReadResult
from wmctl.run.fold import read_state
from wmctl.run.history import Event
from wmctl.run.spec import RunSpec
from wmctl.run.state import RunState

DECISIONS = ("started", "gate", "chosen", "skipped", "shortened", "over", "verdict", "finished")
"""Events that say what was decided, not what was seen."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision, and whether the same comes out again."""

    event: Event
    same: bool
    again: str
    """What is decided now, in sentences, where it differs."""


def explain(spec: RunSpec, events: list[Event], read: ReadResult) -> Iterator[Decision]:
    """Replay the history: each decision is taken again on what was known before it.

    A decision is a function of the events before it, the moment in its event, the plan, and the
    arenas' results, which never change.
    """
    for number, event in enumerate(events):
        if event.event not in DECISIONS:
            continue
        state = read_state(spec, events[: _decided_at(events, number)])
        actions = decide(spec, state, event.time, cpus=state.terms.cpus, read=read)
        made = [_outline(state, action) for action in actions]
        same = _wanted(event) in made
        again = "" if same else "; ".join(map(_sentence, made)) or "nothing is decided"
        yield Decision(event, same, again)


def _decided_at(events: list[Event], number: int) -> int:
    """How many events were known when one was decided: stages that start together are decided on
    together, before any of them runs."""
    event = events[number]
    if event.event == "started":
        while number and _is_start(events[number - 1], event.time):
            number -= 1
    return number


def _is_start(event: Event, at: float) -> bool:
    return event.event == "started" and event.time == at


def _wanted(event: Event) -> tuple[str, Any]:
    if event.event == "started":
        return "started", (event.stage, event.attempt, event.detail.get("steps", 0))
    if event.event == "finished":
        return "finished", event.code or Exit.OK
    fields = event.model_dump(include={"name", "outcome", "text", "detail"})
    return event.event, {key: value for key, value in fields.items() if value}


def _outline(state: RunState, action: Action) -> tuple[str, Any]:
    if isinstance(action, Start):
        steps = action.config.get("steps", 0)
        return "started", (action.node.name, action.attempt, steps)
    try:
        kind, fields = event_of(action)
    except TypeError:  # a wish to stop is no event
        return "stop", None
    if kind == "finished":
        return kind, fields["code"]
    return kind, {key: value for key, value in fields.items() if value}


def _sentence(made: tuple[str, Any]) -> str:
    """What would be decided, for people."""
    kind, what = made
    match what:
        case (stage, attempt, steps):
            return f"{stage} would start, attempt {attempt}" + (f", {steps:,} steps" * bool(steps))
        case {"text": str(text)}:
            return f"{kind} {text}"
    return "a stage would be stopped" if kind == "stop" else f"{kind} {what}"
