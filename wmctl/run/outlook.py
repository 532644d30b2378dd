"""``runs/<run>/forecast.json``: when the run should be over and what it should cost, kept current.

For people who look at the run; decisions are made on the history.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

from wm.store import NotFound, Store
from wmctl.run.forecast import forecast
from wmctl.run.pressure import alternatives
from wmctl.run.spec import RunSpec
from wmctl.run.state import RunState

SURE = 0.95
"""Probability of the worst case that is shown."""


class Outlook(BaseModel):
    """A forecast as people see it; times in seconds since the epoch."""

    model_config = ConfigDict(extra="forbid")

    time: float
    """When it was made."""
    usd: float
    """Spent so far."""
    usd_end: float
    """Expected at the end."""
    usd_worst: float
    """Not exceeded with a probability of 95 %."""
    budget: float | None
    finish: float
    finish_worst: float
    deadline: float | None
    risk: float
    """Probability that deadline or budget would be exceeded if nothing gave way."""


def outlook(spec: RunSpec, state: RunState, now: float) -> Outlook:
    """The forecast of a run at ``now``; of one that has ended, what it was."""
    at = state.finished.time if state.finished else now
    ahead = forecast(spec, state, at, without=alternatives(spec, state))
    return Outlook(
        time=at,
        usd=ahead.spent,
        usd_end=ahead.usd_at(),
        usd_worst=ahead.usd_at(SURE),
        budget=spec.plan.budget,
        finish=at if state.finished else ahead.finish(),
        finish_worst=at if state.finished else ahead.finish(SURE),
        deadline=state.terms.deadline,
        risk=ahead.risk(state.terms.deadline, spec.plan.budget),
    )


def write_outlook(store: Store, run: str, made: Outlook) -> None:
    """Publish it."""
    store.put(_key(run), made.model_dump_json(indent=1).encode())


def read_outlook(store: Store, run: str) -> Outlook | None:
    """The newest forecast of a run, None where there is none."""
    try:
        return Outlook.model_validate_json(store.get(_key(run)))
    except (NotFound, ValidationError):
        return None


def _key(run: str) -> str:
    return f"runs/{run}/forecast.json"
