"""Runs without stages' work: specs, histories and results for the run logic."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from wm.artifacts.result import ArenaResult, Interval, Pairing, PlayerRow
from wmctl.plan.graph import resolve
from wmctl.plan.model import Plan
from wmctl.run.decide import Action, Start, Stop, next_actions
from wmctl.run.estimate import Estimate
from wmctl.run.events import event_of
from wmctl.run.figures import ReadResult
from wmctl.run.history import Event
from wmctl.run.spec import RunSpec
from wmctl.run.terms import Terms

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
    return run_of(PLAN | changes)


def run_of(tree: Mapping[str, Any], models: Mapping[str, str] | None = None) -> RunSpec:
    """The run of a plan; ``models`` are registered: name -> key."""
    plan = Plan.model_validate(tree)
    nodes = resolve(plan, lambda game, name: (models or {}).get(name))
    return RunSpec(run="r", plan=plan, nodes=nodes, created=0.0, version="0")


def interval(value: float, low: float = math.nan, high: float = math.nan, n: int = 100) -> Interval:
    """A figure; without bounds it has no interval."""
    return Interval(value=value, low=low, high=high, n=n)


def pairing(a: str, b: str, *, units: int = 100, score: float = 0.6, **figures: Any) -> Pairing:
    """``a`` against ``b``, by default an Elo of 50 (10 to 90)."""
    figures = {"elo": interval(50, 10, 90, units)} | figures
    return Pairing(a=a, b=b, units=units, wins=60, draws=0, losses=40, score=score, **figures)


def arena_result(
    *pairings: Pairing, players: list[PlayerRow] | None = None, game: str = "chess"
) -> ArenaResult:
    """What an arena left, by default ``train/winner`` against ``train/loser``."""
    pairings = pairings or (pairing("train/winner", "train/loser"),)
    names = dict.fromkeys(name for each in pairings for name in (each.a, each.b))
    return ArenaResult(
        game=game,
        judge="chess-pairs" if game == "chess" else "melee-duel",
        primary="elo",
        players=players or [PlayerRow(name=name, model=f"models/{name}/1") for name in names],
        pairings=list(pairings),
        settings={},
    )


def reader(result: ArenaResult | None = None) -> ReadResult:
    """Reads this result for every arena."""
    found = result or arena_result()
    return lambda key: found


def estimate(work: float, unit_s: float = 1.0, **changes: Any) -> Estimate:
    """So much work at so many seconds, measured and hardly doubted."""
    fields = {"unit": "step", "start_s": 0.0, "doubt": 0.1, "source": "r0"} | changes
    return Estimate(work=work, unit_s=unit_s, **fields)


def terms(**changes: Any) -> dict[str, Any]:
    """Terms of a submission, as its event holds them; ``prices`` and ``estimates`` may be models
    or plain."""
    return Terms.model_validate(changes).model_dump(mode="json")


class Script:
    """A history, written event by event."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.now = 0.0

    def add(self, kind: str, **fields: Any) -> Script:
        """Append an event one second after the one before."""
        return self.at(self.now + 1, kind, **fields)

    def at(self, now: float, kind: str, **fields: Any) -> Script:
        """Append an event at that moment."""
        self.now = now
        self.events.append(Event.model_validate({"time": now, "event": kind} | fields))
        return self

    def walk(self, *stages: str) -> Script:
        """Start every stage and end it well."""
        for stage in stages:
            self.add("started", stage=stage, attempt=1)
            self.end(stage, **RESULTS[stage])
        return self

    def end(self, stage: str, code: int = 0, attempt: int = 1, **detail: Any) -> Script:
        """End an attempt of a stage."""
        return self.add("ended", stage=stage, attempt=attempt, code=code, detail=detail)

    def seen(self, now: float, stage: str, done: float, per_s: float, **facts: Any) -> Script:
        """A running attempt is so far at that moment."""
        news = {"attempt": 1, "since": now, "done": done, "total": 1000, "per_s": per_s} | facts
        return self.at(now, "observed", detail={stage: news})

    def decide(
        self, spec: RunSpec, *, cpus: int = 4, read: ReadResult | None = None
    ) -> list[Action]:
        """What is to be done now; whatever leaves an event, or starts, is entered."""
        made = next_actions(spec, self.events, self.now, cpus=cpus, read=read or reader())
        for action in made:
            if isinstance(action, Start):
                detail = {"steps": action.config["steps"]} if "steps" in action.config else {}
                name, attempt = action.node.name, action.attempt
                self.at(self.now, "started", stage=name, attempt=attempt, detail=detail)
            elif not isinstance(action, Stop):
                kind, fields = event_of(action)
                self.at(self.now, kind, **fields)
        return made


def actions(
    spec: RunSpec,
    script: Script,
    *,
    cpus: int = 4,
    now: float | None = None,
    read: ReadResult | None = None,
) -> list[Any]:
    """What is to be done by the script's history, at its last moment."""
    moment = script.now if now is None else now
    return next_actions(spec, script.events, moment, cpus=cpus, read=read or reader())


def started(found: list[Any]) -> list[tuple[str, int]]:
    """Stage and attempt of actions that are all starts."""
    assert all(isinstance(a, Start) for a in found), found
    return [(a.node.name, a.attempt) for a in found]
