"""Whether a condition holds, with its numbers and a sentence."""

from __future__ import annotations

import json
import math
from typing import Any

from pydantic import BaseModel, ConfigDict

from wm.artifacts.result import Interval
from wmctl.plan.rules import BOUNDS, Condition
from wmctl.run.figures import Figures, at_confidence

_WORDS = {"above": "above", "at_least": "at least", "below": "below", "at_most": "at most"}


class Evidence(BaseModel):
    """One condition, the figure it was judged on, and whether it holds."""

    # A figure without an interval has NaN for bounds; plain JSON would lose it.
    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="strings")

    criterion: str
    """``elo against train-chess/loser above 0``."""
    holds: bool
    figure: Interval | None
    """None where there is no such figure; its interval is that of the condition's confidence."""
    text: str
    """The condition with its numbers, for people."""


def plain(model: BaseModel) -> dict[str, Any]:
    """A model as plain JSON values, by way of text: JSON has no NaN, so that it is a word."""
    made: dict[str, Any] = json.loads(model.model_dump_json())
    return made


def weigh(condition: Condition, who: str, figures: Figures, *, named: bool = True) -> Evidence:
    """Hold the figure of ``who`` against the condition. ``named``: the sentence says whose it is.

    A figure that is not there, is not finite, or has no interval where one is asked for never
    holds.
    """
    name = f"{condition.metric}{_relation(condition)}"
    criterion = f"{name} {_WORDS[condition.side]} {condition.bound:g}"
    subject = f"{who}: {name}" if named else name
    figure = figures.of(condition, who)
    if figure is None or not math.isfinite(figure.value):
        return Evidence(
            criterion=criterion, holds=False, figure=None, text=f"{subject}: no such figure"
        )
    shown = f"{figure.value:.4g}"
    seen = [figure.value]
    if condition.confidence is not None:
        if not (math.isfinite(figure.low) and math.isfinite(figure.high)):
            text = f"{subject} is {shown}, and has no interval"
            return Evidence(criterion=criterion, holds=False, figure=None, text=text)
        figure = at_confidence(figure, condition.confidence)
        seen = [figure.low, figure.high]
        shown = _shown(figure, condition.confidence)
    fits = [_compare(condition, value) for value in seen]
    holds = all(fits) if condition.holds == "surely" else any(fits)
    side = f"{_WORDS[condition.side]} {condition.bound:g}"
    text = f"{subject} is {shown}, {'' if holds else 'not '}{_manner(condition)}{side}"
    if figure.n < condition.min_sample:
        holds = False
        text += f"; {figure.n} independent units are fewer than {condition.min_sample}"
    return Evidence(criterion=criterion, holds=holds, figure=figure, text=text)


def _shown(figure: Interval, confidence: float) -> str:
    """``40 (95 % 5 to 75, n=100)``; what was counted or decided has no interval to show."""
    if figure.low == figure.high:
        return f"{figure.value:.4g}" + (f" (n={figure.n})" if figure.n else "")
    span = f"{100 * confidence:g} % {figure.low:.3g} to {figure.high:.3g}, n={figure.n}"
    return f"{figure.value:.3g} ({span})"


def _compare(condition: Condition, value: float) -> bool:
    match BOUNDS[condition.side]:
        case ">":
            return value > condition.bound
        case ">=":
            return value >= condition.bound
        case "<":
            return value < condition.bound
    return value <= condition.bound


def _relation(condition: Condition) -> str:
    against = f" against {condition.against}" if condition.against else ""
    than = f" minus {condition.than}'s" if condition.than else ""
    return against + than


def _manner(condition: Condition) -> str:
    return "plausibly " if condition.confidence and condition.holds == "plausibly" else ""
