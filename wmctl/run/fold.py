"""A run's history folded into its state, event by event."""

from __future__ import annotations

from collections.abc import Sequence

from wm.errors import Exit, retryable
from wm.stage.memory import OOM_KILLED
from wmctl.plan.model import Resources
from wmctl.plan.node import Node
from wmctl.plan.quantities import bytes_of, deadline_after
from wmctl.plan.rules import Gate
from wmctl.run.history import Event
from wmctl.run.prices import Prices
from wmctl.run.settle import settle
from wmctl.run.spec import RunSpec
from wmctl.run.state import NodeState, RunState
from wmctl.run.terms import Terms

DISRUPTIONS = frozenset({"Preempted", "Evicted", "Deleted", "NodeLost", "ConductorDied"})
"""Reasons of an end that say nothing against the stage."""


def read_state(spec: RunSpec, events: Sequence[Event]) -> RunState:
    """Fold the history into the state that decisions are made on."""
    state = RunState(nodes={node.name: NodeState() for node in spec.nodes})
    for event in events:
        _fold(spec, state, event)
    settle(spec, state)
    return state


def guarded_by(spec: RunSpec, gate: Gate) -> list[Node]:
    """The nodes that wait for a gate."""
    return [node for node in spec.nodes if gate in spec.gates_before[node.name]]


def more_memory(resources: Resources, memory: str) -> str:
    """What comes after an attempt that ``memory`` did not suffice for: twice as much at most."""
    if resources.memory_max is None or bytes_of(memory) >= bytes_of(resources.memory_max):
        return memory
    doubled = 2 * bytes_of(memory)
    if doubled >= bytes_of(resources.memory_max):
        return resources.memory_max
    return f"{doubled // 2**20}Mi"


def _fold(spec: RunSpec, state: RunState, event: Event) -> None:
    match event.event:
        case "submitted" | "resumed":
            _submit(spec, state, event)
        case "priced":
            since = event.detail.get("since", event.time)
            state.prices.append((since, Prices.model_validate(event.detail["prices"])))
        case "started":
            node = state.nodes[event.stage]
            node.phase, node.attempt, node.started = "running", event.attempt, event.time
            node.memory = event.detail.get("memory", "")
            node.given = event.detail.get("steps", 0)
            node.hung, node.seen, node.per_s = False, 0, 0
            if spec.node(event.stage).kind != "train":
                node.done = 0  # only a training goes on where the attempt before it ended
            # A process of this machine runs as soon as it is started.
            node.since = event.time if state.terms.on == "local" else 0
        case "observed":
            for name, seen in event.detail.items():
                node = state.nodes[name]
                if node.phase == "running" and node.attempt == seen["attempt"]:
                    node.since = seen["since"]
                    node.done, node.total, node.per_s = seen["done"], seen["total"], seen["per_s"]
                    node.seen = event.time
        case "hung":
            state.nodes[event.stage].hung = True
        case "ended":
            _end(spec, state, event)
        case "cancelled":
            state.cancelled = event
        case "over":
            state.over = event
        case "swept":
            state.swept = event
        case "gate":
            state.gates[event.name] = event
            _gate(spec, state, event)
        case "chosen":
            state.choices[event.name] = event
            for name in event.detail.get("left_out", []):
                if state.nodes[name].phase == "waiting":
                    state.nodes[name].left_out = f"choice {event.name} took another"
        case "skipped":
            for name in event.detail["stages"]:
                state.nodes[name].left_out = event.text
        case "shortened":
            state.shortened = event.time
            for name, steps in event.detail["steps"].items():
                state.nodes[name].limit = steps
        case "verdict":
            state.verdicts[event.name] = event
        case "finished":
            state.finished = event


def _submit(spec: RunSpec, state: RunState, event: Event) -> None:
    state.since = event.time
    if event.detail:
        state.terms = Terms.model_validate(event.detail)
    else:
        deadline = spec.plan.deadline
        at = deadline_after(deadline, event.time) if deadline else None
        state.terms = state.terms.model_copy(update={"deadline": at})
    state.prices.append((event.time, state.terms.prices))
    state.finished = state.cancelled = state.swept = state.over = None
    for node in state.nodes.values():
        node.failures = node.disruptions = 0
        if node.phase == "failed":
            node.phase = "waiting"
        if node.phase == "waiting":
            node.limit = None
    # What there was no time or money for has another chance; what a rule decided stays.
    ruled = {n for e in state.choices.values() for n in e.detail.get("left_out", [])}
    for gate in spec.plan.gates:
        decided = state.gates.get(gate.title)
        if decided and decided.outcome == "fail" and gate.on_fail == "skip":
            ruled |= {node.name for node in guarded_by(spec, gate)}
    for name, node in state.nodes.items():
        if name not in ruled:
            node.left_out = ""
    # A verdict that had nothing to judge is open again.
    state.verdicts = {n: v for n, v in state.verdicts.items() if v.outcome != "stop"}


def _gate(spec: RunSpec, state: RunState, event: Event) -> None:
    gate = next((g for g in spec.plan.gates if g.title == event.name), None)
    if gate is None or event.outcome != "fail":
        return
    for node in guarded_by(spec, gate):
        own = state.nodes[node.name]
        if gate.on_fail == "skip" and own.phase == "waiting":
            own.left_out = event.text
        if gate.on_fail == "shorten":
            own.short = True


def _end(spec: RunSpec, state: RunState, event: Event) -> None:
    node, own = spec.node(event.stage), state.nodes[event.stage]
    _charge(state, node, own, event)
    if node.kind == "train" and own.seen:
        own.done = int(state.done_of(node.name, event.time))
        if event.code not in (Exit.OK, Exit.PREEMPTED):  # it goes on from the last checkpoint
            own.done = own.done // node.config["checkpoint_every"] * node.config["checkpoint_every"]
    own.last, own.ended, own.since = event, event.time, 0
    if event.code == Exit.OK:
        own.phase = "done"
        return
    reason = event.detail.get("reason")
    if own.limit is not None and own.given > own.limit and event.code in (Exit.PREEMPTED, 137):
        again = True  # it was stopped in order to go on for fewer steps
    elif (event.code == Exit.PREEMPTED or reason in DISRUPTIONS) and not own.hung:
        own.disruptions += 1
        again = own.disruptions <= spec.plan.disruptions
    else:
        own.failures += 1
        again = retryable(event.code or Exit.BUG) and own.failures < spec.plan.attempts
    if reason == OOM_KILLED and own.memory:  # the same again would end the same way
        again = again and more_memory(node.resources, own.memory) != own.memory
    own.phase = "waiting" if again else "failed"


def _charge(state: RunState, node: Node, own: NodeState, event: Event) -> None:
    """Add what the attempt that has ended took and cost: by its containers' times, where they are
    known, else from when it was seen to run."""
    pods = [pod for pod in event.detail.get("pods", []) if pod.get("started")]
    if pods:
        spans = [(pod["started"], pod.get("ended") or event.time) for pod in pods]
        own.usd += sum(state.usd_of(node, a, b) for a, b in spans) / node.pods
        own.seconds += max(b for _, b in spans) - min(a for a, _ in spans)
    elif own.since:
        own.usd += state.usd_of(node, own.since, event.time)
        own.seconds += event.time - own.since
    prices = state.prices[-1][1] if state.prices else Prices()
    if prices.gb_month and event.detail.get("dataset") and not event.detail.get("hit"):
        own.usd += event.detail.get("bytes", 0) / 1e9 * prices.gb_month
    if prices.gb_read and node.data and state.terms.on != "local":
        own.usd += state.nodes[node.data].result.get("bytes", 0) / 1e9 * prices.gb_read
