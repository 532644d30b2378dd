"""Figures that rules look at: taken from what stages left, with their intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from wm.artifacts.result import ArenaResult, Interval, Pairing
from wmctl.plan.node import Node, select
from wmctl.plan.rules import Condition

ReadResult = Callable[[str], ArenaResult]
"""Key of an arena's ``result.json`` -> what it says; results never change."""

SHARES = frozenset(
    {"top1", "top5", "raw_legal", "change_accuracy", "action_accuracy", "fallback_rate"}
)
"""Held-out figures of a training that are shares, so that Wilson's interval is theirs. They count
positions, but the games are the independent units: the interval is that of so many games."""

SURE = 0.95
"""Confidence of the intervals in an arena's result."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a node that is over has left, as rules see it."""

    node: Node
    result: Mapping[str, Any]
    code: int
    usd: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Looks figures up: of the players of an arena, else of the nodes of the run."""

    nodes: Mapping[str, Node]
    outcomes: Mapping[str, Outcome]
    """Node -> what it left, of those that are over."""
    arena: ArenaResult | None = None
    """The arena that is judged, where it is one."""

    def of(self, condition: Condition, who: str) -> Interval | None:
        """The condition's figure of ``who``; None where there is none."""
        figure = self._one(condition.metric, who, condition.against)
        if condition.than is None or figure is None:
            return figure
        other = self._one(condition.metric, condition.than, condition.against)
        return None if other is None else difference(figure, other)

    def measure(self, metric: str, who: str, per: str | None) -> float | None:
        """A plain value to rank by, of what it cost or of the hours it took."""
        figure = self._one(metric, who, None)
        if figure is None or not math.isfinite(figure.value) or per is None:
            return figure.value if figure and math.isfinite(figure.value) else None
        outcome = self._outcome(who)
        spent = (outcome.usd if per == "usd" else outcome.seconds / 3600) if outcome else 0
        return figure.value / spent if spent > 0 else None

    def _one(self, metric: str, who: str, against: str | None) -> Interval | None:
        if against is not None:
            return _of_pairing(self.arena, metric, who, against)
        if self.arena:
            player = next((p for p in self.arena.players if p.name == who), None)
            if player and metric == "rating":
                return player.rating
            if player and metric in player.metrics:
                return player.metrics[metric]
        outcome = self._outcome(who)
        return of_outcome(metric, outcome) if outcome else None

    def _outcome(self, who: str) -> Outcome | None:
        found = [self.outcomes[n.name] for n in select(self.nodes, who) if n.name in self.outcomes]
        return found[0] if len(found) == 1 else None


def of_outcome(metric: str, outcome: Outcome) -> Interval | None:
    """A figure of a node: exit code, cost and hours, or what its outcome holds."""
    builtin = {
        "exit_code": float(outcome.code),
        "usd": outcome.usd,
        "hours": outcome.seconds / 3600,
    }
    if metric in builtin:
        return exact(builtin[metric])
    value: Any = outcome.result.get("metrics", {}).get(metric)
    if value is None:
        value = outcome.result
        for part in metric.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
    if value in ("hit", "miss"):
        value = value == "hit"
    if isinstance(value, int):  # a count, or yes and no
        return exact(float(value))
    if not isinstance(value, float):
        return None
    units = int(outcome.result.get("units", 0))
    if metric in SHARES and units:
        return wilson(float(value), units)
    return Interval(value=value, low=math.nan, high=math.nan, n=units)


def exact(value: float) -> Interval:
    """A figure that was counted, not measured: no sample stands behind it."""
    return Interval(value=value, low=value, high=value, n=0)


def wilson(share: float, n: int) -> Interval:
    """Wilson's 95 % score interval of a share of ``n`` units (Wilson 1927)."""
    z = NormalDist().inv_cdf((1 + SURE) / 2)
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(value=share, low=max(0.0, middle - half), high=min(1.0, middle + half), n=n)


def difference(a: Interval, b: Interval) -> Interval:
    """a - b of independent figures: half-widths add up as variances do."""
    value = a.value - b.value
    low = value - math.hypot(a.value - a.low, b.high - b.value)
    high = value + math.hypot(a.high - a.value, b.value - b.low)
    return Interval(value=value, low=low, high=high, n=min(a.n, b.n))


def at_confidence(figure: Interval, confidence: float) -> Interval:
    """The interval at another confidence, as that of a normal distribution would be."""
    scale = NormalDist().inv_cdf((1 + confidence) / 2) / NormalDist().inv_cdf((1 + SURE) / 2)
    return Interval(
        value=figure.value,
        low=figure.value - scale * (figure.value - figure.low),
        high=figure.value + scale * (figure.high - figure.value),
        n=figure.n,
    )


def best_player(result: ArenaResult, trained: Sequence[str]) -> str | None:
    """The highest rated of the players that the run has trained."""
    rows = [p for p in result.players if p.name in trained and p.rating]
    rows.sort(key=lambda p: p.rating.value if p.rating else -math.inf, reverse=True)
    return rows[0].name if rows else None


def _of_pairing(arena: ArenaResult | None, metric: str, a: str, b: str) -> Interval | None:
    if arena is None:
        return None
    if found := arena.pairing(a, b):
        return _figure(found, metric, 1)
    if found := arena.pairing(b, a):
        return _figure(found, metric, -1)
    return None


def _figure(pairing: Pairing, metric: str, sign: int) -> Interval | None:
    if metric == "sprt":
        words = {"accept_h1": 1, "accept_h0": -1}
        # Of b, nothing but the opposite of "a is not better" could be said: that is no test.
        if pairing.sprt is None or sign < 0:
            return None
        decided = exact(words.get(pairing.sprt.decision, 0))
        return decided.model_copy(update={"n": pairing.units})
    if metric == "score":
        value = pairing.score if sign > 0 else 1 - pairing.score
        return Interval(value=value, low=math.nan, high=math.nan, n=pairing.units)
    figures = {"elo": pairing.elo, "nelo": pairing.nelo, "difference": pairing.difference}
    figure = figures.get(metric)
    if figure is None or math.isnan(figure.value) or sign > 0:
        return figure
    return Interval(value=-figure.value, low=-figure.high, high=-figure.low, n=figure.n)
