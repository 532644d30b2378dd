"""What can no longer run, or is left out, because of what came before."""

from __future__ import annotations

from wmctl.plan.node import Node, select
from wmctl.run.spec import RunSpec
from wmctl.run.state import NodeState, RunState


def settle(spec: RunSpec, state: RunState) -> None:
    """Mark what cannot run, or is left out, because of what came before; nodes are in order of
    need."""
    for node in spec.nodes:
        own = state.nodes[node.name]
        if own.left_out and own.phase in ("waiting", "failed"):
            own.phase, own.why = "skipped", own.left_out
        if own.phase != "waiting":
            continue
        _settle_by_needs(state, node, own)
        if own.phase == "waiting":
            _settle_by_gates(spec, state, node, own)


def _settle_by_gates(spec: RunSpec, state: RunState, node: Node, own: NodeState) -> None:
    for gate in spec.gates_before[node.name]:
        decided = state.gates.get(gate.title)
        if decided and decided.outcome == "fail" and gate.on_fail == "stop":
            own.phase, own.why = "blocked", decided.text
        if decided is None and gate.guards and gate.on_fail in ("skip", "stop"):
            judged = [state.nodes[n.name] for n in select(spec.by_name, gate.after)]
            if all(other.phase in ("skipped", "blocked") for other in judged):
                own.phase, own.why = "skipped", f"{gate.title} had nothing to judge"


def _settle_by_needs(state: RunState, node: Node, own: NodeState) -> None:
    for name in (node.data, node.continues):
        if name is None:
            continue
        other = state.nodes[name]
        if other.phase == "failed":
            own.phase, own.why = "blocked", f"{name} failed"
        elif other.phase in ("blocked", "skipped"):
            own.phase, own.why = other.phase, other.why
    survivors = state.chosen.get(node.survives or "")
    if survivors is not None and node.continues not in survivors:
        own.phase, own.why = "skipped", f"choice {node.survives} took another"
    for choice in node.adopts:
        # Where all were left out there is nothing to adopt; where they failed, something is wrong.
        failed = any(state.nodes[n].phase == "failed" for n in _among(state, choice))
        if failed and not state.chosen[choice]:
            own.phase, own.why = "blocked", state.choices[choice].text
    if own.phase == "waiting" and node.seats:
        _settle_by_seats(state, node, own)


def _settle_by_seats(state: RunState, node: Node, own: NodeState) -> None:
    trained = [seat for seat in node.seats if seat.node]
    left = [seat for seat in node.seats if not seat.node]
    out = ""
    for seat in trained:
        other = state.nodes[seat.node or ""]
        if seat.choice and seat.choice not in state.choices:
            left.append(seat)
            continue
        if seat.choice and seat.node not in state.chosen[seat.choice]:
            out = out or f"choice {seat.choice} took nobody"
            continue
        if other.phase in ("failed", "blocked") and not seat.optional:
            own.phase = "blocked"
            own.why = f"{seat.node} failed" if other.phase == "failed" else other.why
            return
        if other.phase in ("failed", "blocked", "skipped"):
            out = other.why or f"{seat.node} failed"
        else:
            left.append(seat)
    playing = {seat.name for seat in left}
    # An arena that is about somebody has no point without them.
    wanted = set(node.config.get("decide", [])) or {seat.name for seat in trained}
    if trained and (len(left) < 2 or not playing & wanted):
        own.phase, own.why = "skipped", f"there is nobody to compare: {out}"


def _among(state: RunState, choice: str) -> list[str]:
    """The nodes that a choice was made among; none before it was made."""
    decided = state.choices.get(choice)
    return [*decided.detail["chosen"], *decided.detail["left_out"]] if decided else []
