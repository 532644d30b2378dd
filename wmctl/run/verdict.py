"""Promote or hold: a verdict's criteria against an arena's result, with the evidence for each."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict

from wm.artifacts.result import ArenaResult, Interval, Pairing
from wmctl.plan.model import Criterion, Verdict


class Evidence(BaseModel):
    """One criterion, the figure it was judged on, and whether it holds."""

    model_config = ConfigDict(extra="forbid")

    criterion: str
    """``elo against train-chess/loser above 0``."""
    holds: bool
    figure: Interval | None
    """None where the arena has no such figure."""
    text: str
    """The criterion with its numbers, for people."""


class Judgement(BaseModel):
    """The outcome of a verdict."""

    model_config = ConfigDict(extra="forbid")

    outcome: Literal["promote", "hold"]
    candidate: str
    model: str | None
    """Key of the candidate's model."""
    evidence: list[Evidence]
    text: str
    """One sentence for people."""


def judge(verdict: Verdict, result: ArenaResult) -> Judgement:
    """Promote when every criterion holds and the arena was large enough, else hold."""
    evidence = [_weigh(criterion, verdict.candidate, result) for criterion in verdict.criteria]
    if verdict.min_units:
        evidence.append(_size(verdict, evidence))
    failed = [e for e in evidence if not e.holds]
    player = next(p for p in result.players if p.name == verdict.candidate)
    outcome: Literal["promote", "hold"] = "hold" if failed else "promote"
    reason = "; ".join(e.text for e in failed or evidence)
    return Judgement(
        outcome=outcome,
        candidate=verdict.candidate,
        model=player.model,
        evidence=evidence,
        text=f"{outcome} {verdict.candidate}: {reason}",
    )


def _weigh(criterion: Criterion, candidate: str, result: ArenaResult) -> Evidence:
    figure = _figure(criterion, candidate, result)
    bound = criterion.above if criterion.above is not None else criterion.below
    side = "above" if criterion.above is not None else "below"
    against = f" against {criterion.against}" if criterion.against else ""
    name = f"{criterion.metric}{against} {side} {bound:g}"
    if figure is None:
        return Evidence(criterion=name, holds=False, figure=None, text=f"{name}: no such figure")
    low, high = figure.low, figure.high
    holds = low > bound if side == "above" else high < bound  # type: ignore[operator]
    shown = f"{figure.value:.3g} (95 % {low:.3g} to {high:.3g}, n={figure.n})"
    text = f"{criterion.metric}{against} is {shown}, {'' if holds else 'not '}{side} {bound:g}"
    return Evidence(criterion=name, holds=holds, figure=figure, text=text)


def _figure(criterion: Criterion, candidate: str, result: ArenaResult) -> Interval | None:
    if criterion.against is None:
        player = next(p for p in result.players if p.name == candidate)
        return player.metrics.get(criterion.metric)
    found = _pairing(candidate, criterion.against, result)
    if found is None:
        return None
    pairing, sign = found
    figure = {
        "elo": pairing.elo,
        "nelo": pairing.nelo,
        "difference": pairing.difference,
    }.get(criterion.metric)
    if figure is None or math.isnan(figure.value) or sign > 0:
        return figure
    return Interval(value=-figure.value, low=-figure.high, high=-figure.low, n=figure.n)


def _pairing(a: str, b: str, result: ArenaResult) -> tuple[Pairing, int] | None:
    if found := result.pairing(a, b):
        return found, 1
    if found := result.pairing(b, a):
        return found, -1
    return None


def _size(verdict: Verdict, evidence: list[Evidence]) -> Evidence:
    """The smallest sample among the figures that the verdict rests on."""
    units = min((e.figure.n for e in evidence if e.figure), default=0)
    holds = units >= verdict.min_units
    plural = "" if units == 1 else "s"
    few = "" if holds else f", fewer than {verdict.min_units}"
    text = f"{units} independent unit{plural}{few}"
    figure = Interval(value=units, low=units, high=units, n=units)
    name = f"at least {verdict.min_units} units"
    return Evidence(criterion=name, holds=holds, figure=figure, text=text)
