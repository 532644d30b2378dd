"""What speaks against submitting a plan: deadlines and budgets that nothing could keep."""

from __future__ import annotations

from collections.abc import Sequence

from wm.errors import BadConfig
from wmctl.run.fold import read_state
from wmctl.run.forecast import Forecast, forecast, shortest
from wmctl.run.history import Event
from wmctl.run.pressure import alternatives, misses
from wmctl.run.spec import RunSpec
from wmctl.run.state import RunState
from wmctl.run.terms import Terms


def fresh_state(spec: RunSpec, terms: Terms, now: float) -> RunState:
    """The state of a run that has just been submitted on these terms."""
    submitted = Event(time=now, event="submitted", detail=terms.model_dump(mode="json"))
    return read_state(spec, [submitted])


def least(spec: RunSpec, state: RunState, now: float) -> Forecast:
    """The forecast of as little as the plan allows: trainings at their shortest, nothing optional,
    the most cautious bets."""
    steps = {node.name: shortest(state, node) for node in spec.nodes if node.kind == "train"}
    optional = {node.name for node in spec.nodes if node.optional}
    return forecast(spec, state, now, steps=steps, without=alternatives(spec, state) | optional)


def objections(spec: RunSpec, state: RunState, now: float) -> list[str]:
    """Why a run should not be submitted: even as little as the plan allows is expected not to
    fit."""
    why = misses(spec, state, least(spec, state, now), 0.5)
    return [f"with everything as short as the plan allows {why}"] if why else []


def check(objections: Sequence[str]) -> None:
    """Raises :class:`BadConfig` with the first objection, if there is any."""
    if objections:
        raise BadConfig(
            objections[0],
            hint="give more time or money, or a smaller plan (wmctl plan shows each stage); "
            "--accept submits all the same",
        )
