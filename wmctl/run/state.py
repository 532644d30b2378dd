"""What a run's history says: its events folded into the state that decisions are made on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from wm.errors import Exit, retryable
from wm.stage.memory import OOM_KILLED
from wmctl.plan.graph import select
from wmctl.plan.model import Gate, Resources, bytes_of
from wmctl.run.history import Event
from wmctl.run.spec import RunSpec

Phase = Literal["waiting", "running", "done", "failed", "blocked"]

DISRUPTIONS = frozenset({"Preempted", "Evicted", "Deleted", "NodeLost", "ConductorDied"})
"""Reasons of an end that say nothing against the stage."""


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
    """Why it is blocked."""

    @property
    def result(self) -> dict[str, Any]:
        """What the node made; empty until it is done."""
        return self.last.detail if self.last and self.phase == "done" else {}


@dataclass(slots=True)
class RunState:
    """What the history says of a run."""

    nodes: dict[str, NodeState] = field(default_factory=dict)
    gates: dict[str, Event] = field(default_factory=dict)
    verdicts: dict[str, Event] = field(default_factory=dict)
    cancelled: Event | None = None
    swept: Event | None = None
    finished: Event | None = None
    since: float = 0
    """When the newest submission took the run up."""


def read_state(spec: RunSpec, events: Sequence[Event]) -> RunState:
    """Fold the history into the state that decisions are made on."""
    state = RunState(nodes={node.name: NodeState() for node in spec.nodes})
    for event in events:
        match event.event:
            case "submitted" | "resumed":
                state.since = event.time
                state.finished = state.cancelled = state.swept = None
                for node in state.nodes.values():
                    node.failures = node.disruptions = 0
                    if node.phase == "failed":
                        node.phase = "waiting"
                # A verdict that had nothing to judge is open again.
                state.verdicts = {n: v for n, v in state.verdicts.items() if v.outcome != "stop"}
            case "started":
                node = state.nodes[event.stage]
                node.phase, node.attempt, node.started = "running", event.attempt, event.time
                node.memory = event.detail.get("memory", "")
            case "ended":
                _end(spec, state.nodes[event.stage], event)
            case "cancelled":
                state.cancelled = event
            case "swept":
                state.swept = event
            case "gate":
                state.gates[event.name] = event
            case "verdict":
                state.verdicts[event.name] = event
            case "finished":
                state.finished = event
    _block(spec, state)
    return state


def gate_name(gate: Gate) -> str:
    """How a gate is called in the history and in reports."""
    bound = f">= {gate.at_least:g}" if gate.at_least is not None else f"<= {gate.at_most:g}"
    return f"{gate.after}: {gate.metric} {bound}"


def gates_after(spec: RunSpec, name: str) -> list[Gate]:
    """The gates that judge the node of that name."""
    nodes = {node.name: node for node in spec.nodes}
    return [g for g in spec.plan.gates if name in {n.name for n in select(nodes, g.after)}]


def more_memory(resources: Resources, memory: str) -> str:
    """What comes after an attempt that ``memory`` did not suffice for: twice as much at most."""
    if resources.memory_max is None or bytes_of(memory) >= bytes_of(resources.memory_max):
        return memory
    doubled = 2 * bytes_of(memory)
    if doubled >= bytes_of(resources.memory_max):
        return resources.memory_max
    return f"{doubled // 2**20}Mi"


def _end(spec: RunSpec, node: NodeState, event: Event) -> None:
    node.last, node.ended = event, event.time
    if event.code == Exit.OK:
        node.phase = "done"
        return
    reason = event.detail.get("reason")
    if event.code == Exit.PREEMPTED or reason in DISRUPTIONS:
        node.disruptions += 1
        again = node.disruptions <= spec.plan.disruptions
    else:
        node.failures += 1
        again = retryable(event.code or Exit.BUG) and node.failures < spec.plan.attempts
    if reason == OOM_KILLED and node.memory:  # the same again would end the same way
        resources = spec.node(event.stage).resources
        again = again and more_memory(resources, node.memory) != node.memory
    node.phase = "waiting" if again else "failed"


def _block(spec: RunSpec, state: RunState) -> None:
    """Mark what cannot run because of what came before; nodes are in order of need."""
    for node in spec.nodes:
        own = state.nodes[node.name]
        if own.phase != "waiting":
            continue
        for need in node.needs:
            other = state.nodes[need]
            if other.phase == "failed":
                own.phase, own.why = "blocked", f"{need} failed"
            elif other.phase == "blocked":
                own.phase, own.why = "blocked", other.why
            for gate in gates_after(spec, need):
                decided = state.gates.get(gate_name(gate))
                if decided and decided.outcome == "fail" and gate.on_fail == "stop":
                    own.phase, own.why = "blocked", decided.text
