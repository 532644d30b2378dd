"""What to do next, as a pure function of the run's spec, its history and the clock.

Nothing here reads a clock, a store or a process. The conductor carries out what is returned and
appends what happened; so a run survives its conductor, and every decision can be replayed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from wm.errors import Exit, explain, retryable
from wmctl.plan.graph import Node, bind, select
from wmctl.plan.model import Gate
from wmctl.run.history import Event
from wmctl.run.spec import RunSpec

Phase = Literal["waiting", "running", "done", "failed", "blocked"]


@dataclass(frozen=True, slots=True)
class Start:
    """Start an attempt of a node."""

    node: Node
    attempt: int
    config: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stop:
    """Ask a running attempt to save its state and end."""

    stage: str
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class DecideGate:
    """Write down how a gate was decided."""

    name: str
    outcome: Literal["pass", "fail"]
    text: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Judge:
    """Reach the verdict of that name: from its arena's result, or ``stop`` for a reason."""

    name: str
    stopped: str = ""
    """Why there is nothing to judge; empty when the arena is done."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing is left to do."""

    code: int
    text: str


Action = Start | Stop | DecideGate | Judge | Finish


@dataclass(slots=True)
class NodeState:
    """What the history says of one node."""

    phase: Phase = "waiting"
    attempt: int = 0
    """Number of the newest attempt."""
    failures: int = 0
    """Attempts that ended badly since the newest submission."""
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
                state.finished = None
                for node in state.nodes.values():
                    node.failures = 0
                    if node.phase == "failed":
                        node.phase = "waiting"
                # A verdict that had nothing to judge is open again.
                state.verdicts = {n: v for n, v in state.verdicts.items() if v.outcome != "stop"}
            case "started":
                node = state.nodes[event.stage]
                node.phase, node.attempt, node.started = "running", event.attempt, event.time
            case "ended":
                _end(state.nodes[event.stage], event, spec.plan.attempts)
            case "gate":
                state.gates[event.name] = event
            case "verdict":
                state.verdicts[event.name] = event
            case "finished":
                state.finished = event
    _block(spec, state)
    return state


def next_actions(spec: RunSpec, events: Sequence[Event], now: float, *, cpus: int) -> list[Action]:
    """What the conductor should do now; an empty list means wait.

    ``now`` in seconds since the epoch; ``cpus`` is how many processor cores the launcher may keep
    busy at once (one stage always runs, however many it asks for).
    """
    state = read_state(spec, events)
    if state.finished:
        return []
    if gates := _gates(spec, state):
        return gates
    running = [node for node in spec.nodes if state.nodes[node.name].phase == "running"]
    if _is_late(spec, state, now):
        if running:
            reason = "the run's deadline has passed"
            return [Stop(n.name, state.nodes[n.name].attempt, reason) for n in running]
        return _judge(spec, state, late=True) or [_finish(spec, state, late=True)]
    if verdicts := _judge(spec, state, late=False):
        return verdicts
    if starts := _starts(spec, state, running, cpus):
        return starts
    return [] if running else [_finish(spec, state, late=False)]


def gate_name(gate: Gate) -> str:
    """How a gate is called in the history and in reports."""
    bound = f">= {gate.at_least:g}" if gate.at_least is not None else f"<= {gate.at_most:g}"
    return f"{gate.after}: {gate.metric} {bound}"


def _end(node: NodeState, event: Event, attempts: int) -> None:
    node.last, node.ended = event, event.time
    if event.code == Exit.OK:
        node.phase = "done"
        return
    node.failures += 1
    again = retryable(event.code or Exit.BUG) and node.failures < attempts
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
            for gate in _gates_after(spec, need):
                decided = state.gates.get(gate_name(gate))
                if decided and decided.outcome == "fail" and gate.on_fail == "stop":
                    own.phase, own.why = "blocked", decided.text


def _gates_after(spec: RunSpec, name: str) -> list[Gate]:
    nodes = {node.name: node for node in spec.nodes}
    return [g for g in spec.plan.gates if name in {n.name for n in select(nodes, g.after)}]


def _gates(spec: RunSpec, state: RunState) -> list[Action]:
    """Gates whose stages are all done and that are not decided yet."""
    nodes = {node.name: node for node in spec.nodes}
    actions: list[Action] = []
    for gate in spec.plan.gates:
        name = gate_name(gate)
        judged = select(nodes, gate.after)
        if name in state.gates or any(state.nodes[n.name].phase != "done" for n in judged):
            continue
        values = {n.label: _metric(state.nodes[n.name].result, gate.metric) for n in judged}
        passed = all(_within(gate, value) for value in values.values())
        shown = ", ".join(
            f"{label} {'has none' if value is None else format(value, '.4g')}"
            for label, value in values.items()
        )
        text = f"{name}: {shown}: {'passed' if passed else 'failed'}"
        actions.append(DecideGate(name, "pass" if passed else "fail", text, {"values": values}))
    return actions


def _metric(result: dict[str, Any], name: str) -> float | None:
    value = result.get("metrics", {}).get(name, result.get(name))
    return float(value) if isinstance(value, int | float) else None


def _within(gate: Gate, value: float | None) -> bool:
    """A metric that is not there, or not a number, never passes."""
    if value is None:
        return False
    if gate.at_least is not None:
        return value >= gate.at_least
    return gate.at_most is not None and value <= gate.at_most


def _is_late(spec: RunSpec, state: RunState, now: float) -> bool:
    deadline = spec.plan.deadline
    return deadline is not None and now > state.since + deadline.total_seconds()


def _judge(spec: RunSpec, state: RunState, *, late: bool) -> list[Action]:
    """Verdicts that can be reached, or that can no longer be."""
    actions: list[Action] = []
    for name, verdict in spec.plan.verdicts.items():
        if name in state.verdicts:
            continue
        arena = state.nodes[verdict.arena]
        if arena.phase == "done":
            actions.append(Judge(name))
        elif arena.phase in ("failed", "blocked") or late:
            actions.append(Judge(name, stopped=_why_not(verdict.arena, arena, late=late)))
    return actions


def _why_not(name: str, arena: NodeState, *, late: bool) -> str:
    if arena.phase == "blocked":
        return arena.why
    if arena.phase == "failed" and arena.last:
        return f"{name} failed: {arena.last.text}"
    return f"the deadline passed before {name} was done" if late else f"{name} is not done"


def _starts(spec: RunSpec, state: RunState, running: Sequence[Node], cpus: int) -> list[Action]:
    free = cpus - sum(node.cpus for node in running)
    idle = not running
    actions: list[Action] = []
    for node in spec.nodes:
        own = state.nodes[node.name]
        if own.phase != "waiting" or any(state.nodes[n].phase != "done" for n in node.needs):
            continue
        if _has_open_gate(spec, state, node):
            continue
        if node.cpus <= free or idle:
            results = {need: state.nodes[need].result for need in node.needs}
            actions.append(Start(node, own.attempt + 1, bind(node, results)))
            free -= node.cpus
            idle = False
    return actions


def _has_open_gate(spec: RunSpec, state: RunState, node: Node) -> bool:
    """A gate may judge several variants: wait for it though the one we need is done."""
    return any(
        gate_name(gate) not in state.gates
        for need in node.needs
        for gate in _gates_after(spec, need)
    )


def _finish(spec: RunSpec, state: RunState, *, late: bool) -> Finish:
    failed = [node for node in spec.nodes if state.nodes[node.name].phase == "failed"]
    if not failed:
        return Finish(Exit.OK, "the deadline has passed" if late else "every stage has ended")
    first = state.nodes[failed[0].name]
    code = first.last.code if first.last and first.last.code else int(Exit.BUG)
    if retryable(code) and first.failures >= spec.plan.attempts:
        code = Exit.ATTEMPTS_EXHAUSTED
    text = first.last.text if first.last else ""
    return Finish(code, f"{failed[0].name} failed: {text or explain(code)}")
