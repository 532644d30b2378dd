"""How two runs differ: in what they were to do, and in what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from wm.artifacts.result import Interval
from wmctl.plan.model import Plan
from wmctl.plan.node import Node
from wmctl.report.collect import Report

T = TypeVar("T")

OF_RULES = ("scale", "budget", "deadline", "confidence", "gates", "choices", "verdicts")
"""Parts of a plan that no stage's settings hold."""
LEFT_OUT = frozenset({"data", "players", "decide"})
"""Settings that earlier stages fill in: they differ between any two runs, or say what is compared
as such."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The same thing in both runs; None where a run has none."""

    of: str
    """Stage, or ``plan``."""
    name: str
    a: Any
    b: Any

    def difference(self) -> float | None:
        """b - a of two numbers."""
        numbers = [v for v in (self.a, self.b) if isinstance(v, int | float)]
        return numbers[1] - numbers[0] if len(numbers) == 2 else None

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        values = [v.model_dump(mode="json") if isinstance(v, Interval) else v
                  for v in (self.a, self.b)]  # fmt: skip
        return {"of": self.of, "name": self.name, "a": values[0], "b": values[1]}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Pairs by what they are about."""

    settings: list[Pair]
    """Only those that differ."""
    stages: list[Pair]
    """Phase, seconds and USD of each stage."""
    metrics: list[Pair]
    """Held-out figures of trainings."""
    ratings: list[Pair]
    """Intervals, by arena and player."""
    verdicts: list[Pair]
    """``promote``, ``hold``, ``stop``, or None while open."""
    totals: list[Pair]
    """Seconds and USD of the runs."""

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            name: [pair.as_json() for pair in getattr(self, name)]
            for name in ("settings", "stages", "metrics", "ratings", "verdicts", "totals")
        }


def compare(a: Report, b: Report, *, seconds: tuple[float, float], now: float) -> Comparison:
    """``seconds`` that each run has been under way; costs of what still runs are those at
    ``now``."""
    nodes = _both({n.label: n for n in a.spec.nodes}, {n.label: n for n in b.spec.nodes})
    usd = [report.state.usd(report.spec, now) for report in (a, b)]
    return Comparison(
        settings=[*_plans(a, b), *_settings(nodes)],
        stages=[
            Pair(label, name, first.get(name), second.get(name))
            for label, (one, other) in nodes.items()
            for first, second in [(_facts(a, one, now), _facts(b, other, now))]
            for name in ("phase", "seconds", "usd")
        ],
        metrics=[
            Pair(label, name, *values)
            for label, (one, other) in nodes.items()
            for name, values in _both(_metrics(a, one), _metrics(b, other)).items()
        ],
        ratings=[
            Pair(arena, player, *values)
            for arena in _both(a.arenas, b.arenas)
            for player, values in _both(_ratings(a, arena), _ratings(b, arena)).items()
        ],
        verdicts=[
            Pair(arena, name, *(_verdict(report, name) for report in (a, b)))
            for name, arena in (_judged(b.spec.plan) | _judged(a.spec.plan)).items()
        ],
        totals=[Pair("run", "seconds", *seconds), Pair("run", "usd", *usd)],
    )


def flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of nested mappings; lists are values."""
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _both(a: Mapping[str, T], b: Mapping[str, T]) -> dict[str, tuple[T | None, T | None]]:
    """Values of both under each key; keys in the order of the first, then what only b has."""
    return {key: (a.get(key), b.get(key)) for key in [*a, *(k for k in b if k not in a)]}


def _plans(a: Report, b: Report) -> Iterator[Pair]:
    plans = [report.spec.plan.model_dump(mode="json", include=set(OF_RULES)) for report in (a, b)]
    plans = [{"name": r.spec.plan.name} | p for r, p in zip((a, b), plans, strict=True)]
    yield from _differences("plan", *(dict(flat(plan)) for plan in plans))


def _settings(nodes: Mapping[str, tuple[Node | None, Node | None]]) -> Iterator[Pair]:
    for label, (one, other) in nodes.items():
        if one and other:
            yield from _differences(label, _resolved(one), _resolved(other))
        else:
            yield Pair(label, "", one and "there", other and "there")


def _resolved(node: Node) -> dict[str, Any]:
    config = {key: value for key, value in node.config.items() if key not in LEFT_OUT}
    own = node.model_dump(
        mode="json",
        include={"epochs", "share", "shorten_to", "optional", "continues", "after", "adopts"},
    )
    if node.seats:
        own["players"] = [seat.name for seat in node.seats]
    resources = {"resources": node.resources.model_dump(mode="json")}
    return dict(flat({"kind": node.kind} | config | own | resources))


def _differences(of: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Pair]:
    for name, (one, other) in _both(a, b).items():
        if one != other:
            yield Pair(of, name, one, other)


def _facts(report: Report, node: Node | None, now: float) -> dict[str, Any]:
    if node is None:
        return {}
    own = report.state.nodes[node.name]
    # Attempts that have ended; where none was seen to run, from its start to its end.
    seconds = own.seconds or max(0.0, own.ended - own.started)
    return {
        "phase": own.phase,
        "seconds": seconds,
        "usd": report.state.usd_of_node(node, now),
    }


def _metrics(report: Report, node: Node | None) -> dict[str, Any]:
    if node is None:
        return {}
    metrics: dict[str, Any] = report.state.nodes[node.name].result.get("metrics", {})
    return metrics


def _ratings(report: Report, arena: str) -> dict[str, Interval]:
    result = report.arenas.get(arena)
    return {p.name: p.rating for p in result.players if p.rating} if result else {}


def _judged(plan: Plan) -> dict[str, str]:
    """Verdict -> the arena that it is about."""
    return {name: verdict.arena for name, verdict in plan.verdicts.items()}


def _verdict(report: Report, name: str) -> str | None:
    event = report.state.verdicts.get(name)
    return event.outcome if event else None
