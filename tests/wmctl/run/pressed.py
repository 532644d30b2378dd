"""A night for what gives way to the deadline and the budget.

An encoding that is done, trainings of a step a second and a dollar a second, and an arena of 100 s.
"""

from __future__ import annotations

from typing import Any

from tests.support.runs import PLAN, Script, estimate, small_run, terms
from wmctl.run.fold import read_state
from wmctl.run.pressure import Shorten, Skip, last_call, relieve
from wmctl.run.spec import RunSpec

TRAIN: dict[str, Any] = {
    "train": "lstm",
    "data": "enc",
    "threads": 1,
    "steps": 1000,
    "checkpoint_every": 100,
    "shorten_to": 0.2,
}


def night(*, budget: float | None = None, **trainings: dict[str, Any]) -> RunSpec:
    """One training called t, and those that are given."""
    own = {"t": TRAIN} | {name: TRAIN | changes for name, changes in trainings.items()}
    players = [f"{name}?" for name in own]
    arena = {"arena": "chess", "players": [*players, "random"]}
    stages = {"enc": PLAN["stages"]["enc"]} | own | {"arena": arena}
    return small_run(stages=stages, verdicts={}, budget=budget)


def history(deadline: float | None, *, doubt: float = 0.001, **unit_s: float) -> Script:
    names = ("t", "u", "v", "enc")
    known = {n: estimate(1000, unit_s.get(n, 1.0), doubt=doubt) for n in names}
    known["arena"] = estimate(100, doubt=doubt)
    made = terms(deadline=deadline, cpus=8, prices={"cpu": 3600.0}, estimates=known)
    return Script().at(1, "submitted", detail=made).at(2, "started", stage="enc", attempt=1).at(
        3, "ended", stage="enc", attempt=1, code=0, detail={"dataset": "datasets/c/a"}
    )  # fmt: skip


def running(script: Script, done: float, per_s: float = 1.0, name: str = "t") -> Script:
    """The training has begun at 10 and is so far at 100."""
    script.at(10, "started", stage=name, attempt=1, detail={"steps": 1000})
    return script.seen(100, name, done, per_s, since=10)


def pressed(spec: RunSpec, script: Script, now: float, *ready: str) -> list[Skip | Shorten]:
    state = read_state(spec, script.events)
    return relieve(spec, state, now, [spec.node(name) for name in ready])


def called(spec: RunSpec, script: Script, now: float) -> list[Skip | Shorten]:
    return last_call(spec, read_state(spec, script.events), now)
