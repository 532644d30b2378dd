"""Promote or hold: a verdict's criteria against an arena's result, with the evidence for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from wm.artifacts.result import ArenaResult, Interval
from wmctl.plan.rules import Verdict
from wmctl.run.conditions import Evidence, weigh
from wmctl.run.figures import Figures, best_player


class Judgement(BaseModel):
    """The outcome of a verdict."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="strings")

    outcome: Literal["promote", "hold"]
    candidate: str
    model: str | None
    """Key of the candidate's model."""
    evidence: list[Evidence]
    text: str
    """One sentence for people."""


def judge(verdict: Verdict, figures: Figures, trained: Sequence[str] = ()) -> Judgement:
    """Promote when every criterion holds and the arena was large enough, else hold.

    ``trained`` names the players that the run has trained.
    """
    assert figures.arena is not None
    result: ArenaResult = figures.arena
    candidate = verdict.candidate
    if candidate == "best":
        candidate = best_player(result, trained) or "best"
    player = next((p for p in result.players if p.name == candidate), None)
    if player is None:
        text = f"hold: {candidate} did not play in {verdict.arena}"
        return Judgement(outcome="hold", candidate=candidate, model=None, evidence=[], text=text)
    players = {p.name for p in result.players}
    evidence = [
        weigh(c.definite(), c.of or candidate, figures, named=False)
        for c in verdict.criteria
        if c.concerns(players)
    ]
    if verdict.min_units:
        evidence.append(_size(verdict, evidence))
    failed = [e for e in evidence if not e.holds]
    outcome: Literal["promote", "hold"] = "hold" if failed or not evidence else "promote"
    reason = "; ".join(e.text for e in failed or evidence) or "nobody played to compare it with"
    return Judgement(
        outcome=outcome,
        candidate=candidate,
        model=player.model,
        evidence=evidence,
        text=f"{outcome} {candidate}: {reason}",
    )


def _size(verdict: Verdict, evidence: list[Evidence]) -> Evidence:
    """The smallest sample among the measured figures that the verdict rests on."""
    units = min((e.figure.n for e in evidence if e.figure and e.figure.n), default=0)
    holds = units >= verdict.min_units
    plural = "" if units == 1 else "s"
    few = "" if holds else f", fewer than {verdict.min_units}"
    text = f"{units} independent unit{plural}{few}"
    figure = Interval(value=units, low=units, high=units, n=units)
    name = f"at least {verdict.min_units} units"
    return Evidence(criterion=name, holds=holds, figure=figure, text=text)
