"""Gates, choices and verdicts: what can be decided now, from what stages have left."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from wmctl.plan.node import Node, select
from wmctl.plan.rules import Choice, Gate, keep_count
from wmctl.run.conditions import plain, weigh
from wmctl.run.figures import Figures, Outcome, ReadResult
from wmctl.run.forecast import forecast
from wmctl.run.pressure import alternatives, misses
from wmctl.run.prices import money
from wmctl.run.spec import RunSpec
from wmctl.run.state import RunState
from wmctl.run.verdict import Judgement, judge


@dataclass(frozen=True, slots=True)
class DecideGate:
    """Write down how a gate was decided."""

    name: str
    outcome: Literal["pass", "fail"]
    text: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Choose:
    """Write down which variants go on."""

    name: str
    text: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Judge:
    """Reach the verdict of that name: from its arena's result, or ``stop`` for a reason."""

    name: str
    judgement: Judgement | None = None
    stopped: str = ""
    """Why there is nothing to judge; empty when the arena is done."""


def gates(spec: RunSpec, state: RunState, read: ReadResult) -> list[DecideGate]:
    """Gates whose stages are over and that are not decided yet."""
    made = []
    for gate in spec.plan.gates:
        if gate.title in state.gates:
            continue
        judged = judged_by(spec, state, gate)
        if judged and all(state.nodes[n.name].over for n in judged):
            made.append(_decide(spec, state, gate, judged, read))
    return made


def judged_by(spec: RunSpec, state: RunState, gate: Gate) -> list[Node]:
    """The nodes whose outcome a gate is about, without those that never ran."""
    judged = select(spec.by_name, gate.after)
    return [n for n in judged if state.nodes[n.name].phase not in ("blocked", "skipped")]


def choices(spec: RunSpec, state: RunState, now: float) -> list[Choose]:
    """Choices that can be made now."""
    made = []
    for name, choice in spec.plan.choices.items():
        if name in state.choices:
            continue
        among = spec.among[name]
        if choice.fits:
            if _is_due(spec, state, among):
                made.append(_boldest(spec, state, name, among, now))
        elif all(state.nodes[n.name].over for n in among):
            made.append(_best(spec, state, name, choice, among))
    return made


def verdicts(spec: RunSpec, state: RunState, read: ReadResult, over: str = "") -> list[Judge]:
    """Verdicts that can be reached, or that can no longer be."""
    made = []
    for name, verdict in spec.plan.verdicts.items():
        if name in state.verdicts:
            continue
        arena = state.nodes[verdict.arena]
        if arena.phase == "done":
            result = read(arena.result["result"])
            trained = [s.name for s in spec.node(verdict.arena).seats if s.node]
            figures = Figures(spec.by_name, outcomes(spec, state), result)
            made.append(Judge(name, judge(verdict, figures, trained)))
        elif arena.over or over:
            made.append(Judge(name, stopped=_why_not(state, verdict.arena, over)))
    return made


def outcomes(spec: RunSpec, state: RunState) -> dict[str, Outcome]:
    """What every node that has ended left."""
    found = {}
    for node in spec.nodes:
        own = state.nodes[node.name]
        if own.last and own.phase in ("done", "failed"):
            code = own.last.code or 0
            found[node.name] = Outcome(node, own.last.detail, code, own.usd, own.seconds)
    return found


def _decide(
    spec: RunSpec, state: RunState, gate: Gate, judged: list[Node], read: ReadResult
) -> DecideGate:
    arena = next((n for n in judged if n.kind == "arena" and state.nodes[n.name].result), None)
    result = read(state.nodes[arena.name].result["result"]) if arena else None
    figures = Figures(spec.by_name, outcomes(spec, state), result)
    evidence = [
        weigh(condition, who, figures)
        for condition in gate.require
        for who in ([condition.of] if condition.of else [node.label for node in judged])
    ]
    passed = all(one.holds for one in evidence)
    shown = "; ".join(one.text for one in evidence)
    follows = "" if passed else f": {_CONSEQUENCE[gate.on_fail]}"
    name = f"{gate.name}: " if gate.name else ""
    text = f"{name}{shown}: {'passed' if passed else 'failed'}{follows}"
    detail = {"evidence": [plain(one) for one in evidence]}
    return DecideGate(gate.title, "pass" if passed else "fail", text, detail)


_CONSEQUENCE = {
    "stop": "what follows does not run",
    "skip": "what it guards is left out",
    "continue": "the run goes on all the same",
    "shorten": "what it guards trains for its shortest",
}


def _is_due(spec: RunSpec, state: RunState, among: list[Node]) -> bool:
    """Whether any of them could start, but for the choice itself."""
    waiting = [n for n in among if state.nodes[n.name].phase == "waiting"]
    return bool(waiting) and all(
        state.nodes[name].over for node in waiting for name in spec.waits_for[node.name]
    )


def _boldest(spec: RunSpec, state: RunState, name: str, among: list[Node], now: float) -> Choose:
    """The last in the plan's order whose forecast keeps deadline and budget."""
    bets = weigh_bets(spec, state, name, now)
    fitting = [bet for bet in bets if not bet["misses"]]
    taken = (fitting or bets[:1])[-1]
    others = [node.name for node in among if node.name != taken["node"]]
    why = "; ".join(
        f"{bet['label']}: {bet['misses'] or 'fits, ' + bet['text']}" for bet in reversed(bets)
    )
    note = "" if fitting else " and will be shortened"
    text = f"{taken['label']} is taken{note}: {why}"
    return Choose(name, text, {"chosen": [taken["node"]], "left_out": others, "bets": bets})


def weigh_bets(spec: RunSpec, state: RunState, name: str, now: float) -> list[dict[str, Any]]:
    """Each alternative's cost, risk and finish, from the most cautious to the boldest."""
    among = spec.among[name]
    names = {node.name for node in among}
    expected_out = alternatives(spec, state) - names
    bets = []
    for node in among:
        out = expected_out | (names - {node.name})
        ahead = forecast(spec, state, now, without=out)
        risk = ahead.risk(state.terms.deadline, spec.plan.budget)
        usd = ahead.usd_at(0.5)
        why = misses(spec, state, ahead, spec.plan.confidence)
        bets.append(
            {
                "node": node.name,
                "label": node.label,
                "usd": round(usd, 4),
                "finish": round(ahead.finish(), 1),
                "risk": round(risk, 4),
                "misses": why,
                "text": f"{money(usd)}, risk {100 * risk:.0f} %",
            }
        )
    return bets


def _best(spec: RunSpec, state: RunState, name: str, choice: Choice, among: list[Node]) -> Choose:
    """The best by the plan's measures among those that have ended well."""
    figures = Figures(spec.by_name, outcomes(spec, state))
    well = [node for node in among if state.nodes[node.name].phase == "done"]
    values = {
        node.name: [figures.measure(m.metric, node.label, m.per) for m in choice.by]
        for node in well
    }
    ranked = rank(choice, values)
    chosen = ranked[: keep_count(choice.keep, len(well))] if well else []
    rows = "; ".join(
        f"{spec.node(n).label} "
        + ", ".join(
            f"{_measure_name(m.metric, m.per)} {'none' if v is None else format(v, '.4g')}"
            for m, v in zip(choice.by, values[n], strict=True)
        )
        for n in ranked
    )
    labels = " and ".join(spec.node(n).label for n in chosen)
    text = f"{labels or 'none'} taken: {rows or 'none of them has ended well'}"
    detail = {
        "chosen": chosen,
        "left_out": [node.name for node in among if node.name not in chosen],
        "values": values,
    }
    return Choose(name, text, detail)


def rank(choice: Choice, values: Mapping[str, list[float | None]]) -> list[str]:
    """Names from the best to the worst: the first measure decides, the next its ties, at last the
    given order. What has no value comes last."""
    if not values:
        return []
    left = list(values)
    ordered: list[str] = []
    while left:
        best = left
        for i, measure in enumerate(choice.by):
            sign = -1.0 if measure.least else 1.0
            scores = {n: sign * v for n in best if (v := values[n][i]) is not None}
            if not scores:
                continue
            top = max(scores.values())
            best = [n for n in best if scores.get(n, -math.inf) >= top - measure.tie]
        ordered.append(best[0])
        left.remove(best[0])
    return ordered


def _measure_name(metric: str, per: str | None) -> str:
    return f"{metric} per {per.upper() if per == 'usd' else per}" if per else metric


def _why_not(state: RunState, name: str, over: str) -> str:
    arena = state.nodes[name]
    if arena.phase in ("blocked", "skipped"):
        return arena.why
    if arena.phase == "failed" and arena.last:
        return f"{name} failed: {arena.last.text}"
    return f"{over} before {name} was done"
