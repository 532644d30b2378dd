"""What to do next, as a pure function of the run's spec, its history and the clock.

Nothing here reads a clock, a store or a process. The conductor carries out what is returned and
appends what happened; so a run survives its conductor, and every decision can be replayed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from wm.errors import Exit, explain, retryable
from wm.stage.memory import OOM_KILLED
from wmctl.plan.graph import Node, bind, select
from wmctl.plan.model import Gate, Resources
from wmctl.run.history import Event
from wmctl.run.spec import RunSpec
from wmctl.run.state import NodeState, RunState, gate_name, gates_after, more_memory, read_state


@dataclass(frozen=True, slots=True)
class Start:
    """Start an attempt of a node."""

    node: Node
    attempt: int
    config: dict[str, Any]
    resources: Resources


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
    if over := _over(spec, state, now):
        if running:
            return [Stop(n.name, state.nodes[n.name].attempt, over) for n in running]
        return _judge(spec, state, over) or [_finish(spec, state, over)]
    if verdicts := _judge(spec, state):
        return verdicts
    if starts := _starts(spec, state, running, cpus):
        return starts
    return [] if running else [_finish(spec, state)]


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


def _over(spec: RunSpec, state: RunState, now: float) -> str:
    """Why no stage may go on; empty while they may."""
    if state.cancelled:
        return state.cancelled.text
    deadline = spec.plan.deadline
    if deadline is not None and now > state.since + deadline.total_seconds():
        return "the deadline has passed"
    return ""


def _judge(spec: RunSpec, state: RunState, over: str = "") -> list[Action]:
    """Verdicts that can be reached, or that can no longer be."""
    actions: list[Action] = []
    for name, verdict in spec.plan.verdicts.items():
        if name in state.verdicts:
            continue
        arena = state.nodes[verdict.arena]
        if arena.phase == "done":
            actions.append(Judge(name))
        elif arena.phase in ("failed", "blocked") or over:
            actions.append(Judge(name, stopped=_why_not(verdict.arena, arena, over)))
    return actions


def _why_not(name: str, arena: NodeState, over: str) -> str:
    if arena.phase == "blocked":
        return arena.why
    if arena.phase == "failed" and arena.last:
        return f"{name} failed: {arena.last.text}"
    return f"{over} before {name} was done"


def _starts(spec: RunSpec, state: RunState, running: Sequence[Node], cpus: int) -> list[Action]:
    free = cpus - sum(node.cores for node in running)
    idle = not running
    actions: list[Action] = []
    for node in spec.nodes:
        own = state.nodes[node.name]
        if own.phase != "waiting" or any(state.nodes[n].phase != "done" for n in node.needs):
            continue
        if _has_open_gate(spec, state, node):
            continue
        if node.cores <= free or idle:
            results = {need: state.nodes[need].result for need in node.needs}
            actions.append(Start(node, own.attempt + 1, bind(node, results), _resources(node, own)))
            free -= node.cores
            idle = False
    return actions


def _resources(node: Node, own: NodeState) -> Resources:
    """What the next attempt asks for."""
    memory = own.memory or node.resources.memory
    if own.last and own.last.detail.get("reason") == OOM_KILLED:
        memory = more_memory(node.resources, memory)
    cpus = node.resources.cpus or node.cpus
    return node.resources.model_copy(update={"cpus": float(cpus), "memory": memory})


def _has_open_gate(spec: RunSpec, state: RunState, node: Node) -> bool:
    """A gate may judge several variants: wait for it though the one we need is done."""
    return any(
        gate_name(gate) not in state.gates
        for need in node.needs
        for gate in gates_after(spec, need)
    )


def _finish(spec: RunSpec, state: RunState, over: str = "") -> Finish:
    if state.cancelled:
        return Finish(Exit.PREEMPTED, over)
    failed = [node for node in spec.nodes if state.nodes[node.name].phase == "failed"]
    if not failed:
        return Finish(Exit.OK, over or "every stage has ended")
    first = state.nodes[failed[0].name]
    code = first.last.code if first.last and first.last.code else int(Exit.BUG)
    if retryable(code) and first.failures >= spec.plan.attempts:
        code = Exit.ATTEMPTS_EXHAUSTED
    text = first.last.text if first.last else ""
    return Finish(code, f"{failed[0].name} failed: {text or explain(code)}")
