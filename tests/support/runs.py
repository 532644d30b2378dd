"""Runs without stages' work: specs and histories for the run logic."""

from __future__ import annotations

from typing import Any

from wmctl.plan.graph import resolve
from wmctl.plan.model import Plan
from wmctl.run.history import Event
from wmctl.run.spec import RunSpec

PLAN: dict[str, Any] = {
    "name": "small",
    "data": {"chess": {"game": "chess", "source": "made:8"}},
    "stages": {
        "enc": {"encode": "chess", "workers": 1},
        "train": {
            "train": "lstm",
            "data": "enc",
            "steps": 5,
            "threads": 1,
            "vary": {"labels": ["winner", "loser"]},
        },
        "arena": {"arena": "chess", "players": ["train/*", "random"]},
    },
    "verdicts": {
        "chess": {
            "arena": "arena",
            "candidate": "train/winner",
            "criteria": [{"metric": "elo", "against": "train/loser", "above": 0}],
        }
    },
}

RESULTS: dict[str, dict[str, Any]] = {
    "enc": {"dataset": "datasets/chess/ab"},
    "train-winner": {"model": "models/chess/w", "step": 5, "metrics": {"top1": 0.3}},
    "train-loser": {"model": "models/chess/l", "step": 5, "metrics": {"top1": 0.1}},
    "arena": {"result": "runs/r/arena/01/result.json"},
}
"""What each node's attempt leaves when it ends well."""


def small_run(**changes: Any) -> RunSpec:
    """A run of one encode stage, two trainings and an arena."""
    plan = Plan.model_validate(PLAN | changes)
    nodes = resolve(plan, lambda game, name: None)
    return RunSpec(run="r", plan=plan, nodes=nodes, created=0.0, version="0")


class Script:
    """A history, written event by event."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.now = 0.0

    def add(self, kind: str, **fields: Any) -> Script:
        """Append an event one second after the one before."""
        self.now += 1
        self.events.append(Event.model_validate({"time": self.now, "event": kind} | fields))
        return self

    def walk(self, *stages: str) -> Script:
        """Start every stage and end it well."""
        for stage in stages:
            self.add("started", stage=stage, attempt=1)
            self.add("ended", stage=stage, attempt=1, code=0, detail=RESULTS[stage])
        return self
