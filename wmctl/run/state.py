"""The state of a run, which decisions are made on; see :mod:`wmctl.run.fold`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from wmctl.plan.node import Node
from wmctl.run.history import Event
from wmctl.run.prices import Prices
from wmctl.run.spec import RunSpec
from wmctl.run.terms import Terms

Phase = Literal["waiting", "running", "done", "failed", "blocked", "skipped"]

OVER = ("done", "failed", "blocked", "skipped")
"""Phases in which nothing more is expected of a node."""


@dataclass(slots=True)
class NodeState:
    """What the history says of one node."""

    phase: Phase = "waiting"
    attempt: int = 0
    """Number of the newest attempt."""
    failures: int = 0
    """Attempts that ended badly since the newest submission."""
    disruptions: int = 0
    """Attempts that were stopped from outside since the newest submission."""
    memory: str = ""
    """What the newest attempt was given; empty before the first."""
    started: float = 0
    ended: float = 0
    last: Event | None = None
    """The newest ``ended`` event."""
    why: str = ""
    """Why it is blocked or skipped."""
    limit: int | None = None
    """Steps to which it was shortened."""
    given: int = 0
    """Steps that the newest attempt was to reach."""
    since: float = 0
    """When the running attempt's processes began, by the platform's word; 0 before."""
    done: float = 0
    """Units of work done, when that was last observed."""
    total: float = 0
    per_s: float = 0
    """Units a second, as last observed; 0 before."""
    seen: float = 0
    """When it was last observed."""
    hung: bool = False
    """Whether the running attempt gave no sign of life for too long."""
    left_out: str = ""
    """Why a rule, the clock or the budget leaves it out."""
    short: bool = False
    """Whether a gate lets it train for its shortest only."""
    usd: float = 0
    """What its ended attempts have cost."""
    seconds: float = 0
    """What its ended attempts have taken, pods one after the other not counted twice."""

    @property
    def result(self) -> dict[str, Any]:
        """What the node made; empty until it is done."""
        return self.last.detail if self.last and self.phase == "done" else {}

    @property
    def over(self) -> bool:
        """Whether nothing more is expected of it."""
        return self.phase in OVER


@dataclass(slots=True)
class RunState:
    """What the history says of a run."""

    nodes: dict[str, NodeState] = field(default_factory=dict)
    gates: dict[str, Event] = field(default_factory=dict)
    choices: dict[str, Event] = field(default_factory=dict)
    verdicts: dict[str, Event] = field(default_factory=dict)
    cancelled: Event | None = None
    over: Event | None = None
    """That the deadline has passed or the budget is used up."""
    swept: Event | None = None
    finished: Event | None = None
    since: float = 0
    """When the newest submission took the run up."""
    terms: Terms = field(default_factory=Terms)
    """Of the newest submission."""
    prices: list[tuple[float, Prices]] = field(default_factory=list)
    """From when on which hold, oldest first."""
    shortened: float = 0
    """When trainings were shortened last."""

    @property
    def chosen(self) -> dict[str, list[str]]:
        """Choice -> the nodes that it took."""
        return {name: event.detail["chosen"] for name, event in self.choices.items()}

    @property
    def results(self) -> dict[str, dict[str, Any]]:
        """Node -> what it made, of those that are done."""
        return {name: node.result for name, node in self.nodes.items() if node.phase == "done"}

    def usd_of(self, node: Node, start: float, end: float) -> float:
        """What all pods of a node cost from ``start`` to ``end``, at the prices of each moment."""
        usd = 0.0
        for i, (begins, prices) in enumerate(self.prices):
            stops = self.prices[i + 1][0] if i + 1 < len(self.prices) else end
            begins = start if i == 0 else max(begins, start)
            if (seconds := min(stops, end) - begins) > 0:
                usd += seconds * prices.per_second(node, self.terms.on)
        return usd

    def usd(self, spec: RunSpec, now: float) -> float:
        """What the run has cost so far: attempts that have ended, and those under way."""
        return sum(self.usd_of_node(node, now) for node in spec.nodes)

    def usd_of_node(self, node: Node, now: float) -> float:
        """What one node has cost so far."""
        own = self.nodes[node.name]
        if own.phase != "running" or not own.since:
            return own.usd
        return own.usd + self.usd_of(node, own.since, now)

    def done_of(self, name: str, now: float) -> float:
        """Units of work that a running node should have done by now, from when it was seen."""
        own = self.nodes[name]
        return min(own.total, own.done + own.per_s * max(0.0, now - own.seen))
