"""What to do next, as a pure function of the run's spec, its history and the clock.

Nothing here reads a clock, a store or a process; ``read`` looks into arenas' results, which never
change. The conductor carries out what is returned and appends what happened; so a run survives its
conductor, and every decision can be replayed (:mod:`wmctl.run.explain`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from wm.artifacts.result import ArenaResult
from wm.errors import Exit, explain, retryable
from wm.stage.memory import OOM_KILLED
from wmctl.plan.model import Resources
from wmctl.plan.node import Node, bind
from wmctl.run.figures import ReadResult
from wmctl.run.fold import more_memory, read_state
from wmctl.run.forecast import planned
from wmctl.run.history import Event
from wmctl.run.pressure import Shorten, Skip, last_call, relieve
from wmctl.run.prices import money
from wmctl.run.rules import Choose, DecideGate, Judge, choices, gates, judged_by, verdicts
from wmctl.run.spec import RunSpec
from wmctl.run.state import NodeState, RunState


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
class Over:
    """Say that no stage may go on."""

    outcome: Literal["budget", "deadline"]
    text: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing is left to do."""

    code: int
    text: str


EVE = 1.0
"""Seconds before the deadline at which it counts as passed: by then the verdict is to be there."""

Action = Start | Stop | Over | DecideGate | Choose | Skip | Shorten | Judge | Finish


def next_actions(
    spec: RunSpec, events: Sequence[Event], now: float, *, cpus: int, read: ReadResult | None = None
) -> list[Action]:
    """What the conductor should do now; an empty list means wait.

    ``now`` in seconds since the epoch; ``cpus`` is how many processor cores the launcher may keep
    busy at once (one stage always runs, however many it asks for).
    """
    return decide(spec, read_state(spec, events), now, cpus=cpus, read=read or _no_results)


def decide(
    spec: RunSpec, state: RunState, now: float, *, cpus: int, read: ReadResult
) -> list[Action]:
    """The same, from the state that the history folds into."""
    if state.finished:
        return []
    if made := gates(spec, state, read):
        return [*made]
    running = [node for node in spec.nodes if state.nodes[node.name].phase == "running"]
    if over := _over(spec, state, now):
        if isinstance(over, Over):
            return [over]
        # Nobody waits for a verdict until the last pod has gone.
        stops = [Stop(n.name, state.nodes[n.name].attempt, over) for n in running]
        return [*verdicts(spec, state, read, over), *stops] or [_finish(spec, state, over)]
    if chosen := choices(spec, state, now):
        return [chosen[0]]  # what is chosen next depends on what this one has taken
    if judged := verdicts(spec, state, read):
        return [*judged]
    if called := last_call(spec, state, now):
        return [*called]
    starts = _starts(spec, state, running, cpus)
    if relief := relieve(spec, state, now, [start.node for start in starts]):
        return [*relief]
    if starts or running:
        return [*starts, *_stops(state, running)]
    # Whatever is left waits for what is not to come; nobody is to wait for its verdict.
    return [*verdicts(spec, state, read, "the run had ended")] or [_finish(spec, state)]


def _over(spec: RunSpec, state: RunState, now: float) -> str | Over:
    """Why no stage may go on; empty while they may."""
    if state.cancelled:
        return state.cancelled.text
    if state.over:
        return state.over.text
    deadline, budget = state.terms.deadline, spec.plan.budget
    if deadline is not None and now >= deadline - EVE:
        return Over("deadline", "the deadline has passed")
    if budget is not None and (usd := state.usd(spec, now)) >= budget:
        return Over("budget", f"the budget is used up: {money(usd)} of ${budget:g}")
    return ""


def _starts(spec: RunSpec, state: RunState, running: Sequence[Node], cpus: int) -> list[Start]:
    free = cpus - sum(node.cores for node in running)
    idle = not running
    actions: list[Start] = []
    for node in spec.nodes:
        own = state.nodes[node.name]
        if own.phase != "waiting" or not _is_ready(spec, state, node):
            continue
        if node.cores <= free or idle:
            config = _config(spec, state, node, own)
            actions.append(Start(node, own.attempt + 1, config, _resources(node, own)))
            free -= node.cores
            idle = False
    return actions


def _is_ready(spec: RunSpec, state: RunState, node: Node) -> bool:
    """What it takes is there, what it waits for is over, and the rules before it are decided."""
    taken = [name for name in (node.data, node.continues) if name]
    if any(state.nodes[name].phase != "done" for name in taken):
        return False
    if any(not state.nodes[name].over for name in spec.waits_for[node.name]):
        return False
    if any(choice not in state.choices for choice in node.choices):
        return False
    for gate in spec.gates_before[node.name]:
        if gate.title not in state.gates and judged_by(spec, state, gate):
            return False
    bet = spec.bet_of.get(node.name)
    return bet is None or bet in state.choices


def _config(spec: RunSpec, state: RunState, node: Node, own: NodeState) -> dict[str, Any]:
    steps = planned(state, node) if own.short or own.limit is not None else None
    return bind(node, spec.by_name, state.results, chosen=state.chosen, steps=steps)


def _stops(state: RunState, running: Sequence[Node]) -> list[Stop]:
    """Running attempts that are to end: hung ones, and trainings whose end was moved."""
    actions = []
    for node in running:
        own = state.nodes[node.name]
        if own.hung:
            actions.append(Stop(node.name, own.attempt, "it gives no sign of life"))
        elif own.left_out:
            actions.append(Stop(node.name, own.attempt, own.left_out))
        elif own.limit is not None and own.given > own.limit:
            actions.append(Stop(node.name, own.attempt, f"it ends at step {own.limit:,} now"))
    return actions


def _resources(node: Node, own: NodeState) -> Resources:
    """What the next attempt asks for."""
    memory = own.memory or node.resources.memory
    if own.last and own.last.detail.get("reason") == OOM_KILLED:
        memory = more_memory(node.resources, memory)
    cpus = node.resources.cpus or node.cpus
    return node.resources.model_copy(update={"cpus": float(cpus), "memory": memory})


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


def _no_results(key: str) -> ArenaResult:
    raise KeyError(key)
