"""What gives way to the deadline and the budget, so that arenas and verdicts always have theirs.

Trainings are shortened within the plan's bounds when the forecast is not sure enough that both are
kept; optional ones are left out. At the last call, the moment after which what follows a training
could no longer be done in time or paid, trainings stop where they are, and what there is goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from wmctl.plan.node import Node
from wmctl.plan.rules import keep_count
from wmctl.run.forecast import Forecast, forecast, planned, shortest
from wmctl.run.prices import money
from wmctl.run.spec import RunSpec
from wmctl.run.state import RunState

RESERVE_DOUBT = 0.3
"""Most that is doubted of what follows the trainings (standard deviation of the logarithm): to
reserve for the worst of a mere guess would leave a short night without any training."""
LATE = 0.75
"""Confidence below which what a stopped training has left is not waited for any longer."""
WORTH = 0.05
"""Share of its steps below which shortening a running training is not worth a restart."""
CALM = 300.0
"""Seconds between two shortenings for the same night's sake."""


@dataclass(frozen=True, slots=True)
class Skip:
    """Leave nodes out."""

    stages: list[str]
    text: str


@dataclass(frozen=True, slots=True)
class Shorten:
    """Let trainings end at these steps."""

    steps: Mapping[str, int]
    text: str


def last_call(spec: RunSpec, state: RunState, now: float) -> list[Skip | Shorten]:
    """Trainings that must stop now, because what follows would not fit any more otherwise.

    While nothing has been trained, training on is the only way to something that can be judged; so
    then it is given up only when what follows is not even expected to fit.
    """
    trainings = _trainings(spec, state)
    if not trainings or not _limited(spec, state):
        return []
    steps = {node.name: harvest(state, node, now) for node in trainings}
    bounds = {name: count for name, count in steps.items() if count}
    nothing = [name for name, count in steps.items() if not count]
    out = {*nothing, *alternatives(spec, state)}
    ahead = forecast(spec, state, now, steps=bounds, without=out, most_doubt=RESERVE_DOUBT)
    sure = spec.plan.confidence if _has_contender(spec, state, bounds) else 0.5
    why = misses(spec, state, ahead, sure)
    if not why:
        return []
    text = f"last call: {why} if training went on"
    actions: list[Skip | Shorten] = []
    moved = {n: c for n, c in bounds.items() if c < planned(state, spec.node(n))}
    if moved:
        shown = ", ".join(f"{name} at {count:,}" for name, count in moved.items())
        actions.append(Shorten(moved, f"{text}; trainings stop where they are: {shown}"))
    if nothing:
        have = "has" if len(nothing) == 1 else "have"
        actions.append(Skip(nothing, f"{text}, and {_list(nothing)} {have} made no step"))
    return actions or _give_up(spec, state, ahead, list(bounds))


def _give_up(
    spec: RunSpec, state: RunState, ahead: Forecast, stopped: list[str]
) -> list[Skip | Shorten]:
    """Trainings that were stopped and cannot even publish what they have, while their siblings
    could be judged: an attempt that hangs may cost more than the reserve."""
    stuck = [name for name in stopped if state.nodes[name].phase == "running"]
    why = misses(spec, state, ahead, LATE)
    if not (stuck and why and _has_contender(spec, state, {})):
        return []
    return [Skip(stuck, f"{why} if {_list(stuck)} took any longer; what else there is goes on")]


def _has_contender(spec: RunSpec, state: RunState, steps: Mapping[str, int]) -> bool:
    """Whether something has been trained that an arena waits for."""
    seats = {seat.node for node in spec.nodes for seat in node.seats if seat.node}
    return any(name in steps or state.nodes[name].phase == "done" for name in seats)


def relieve(spec: RunSpec, state: RunState, now: float, ready: list[Node]) -> list[Skip | Shorten]:
    """What to shorten or leave out among the trainings that run and those that are ``ready``."""
    if not _limited(spec, state):
        return []
    running = [n for n in _trainings(spec, state) if state.nodes[n.name].phase == "running"]
    subjects = [n for n in running if _is_seen(state, n)]
    subjects += [n for n in ready if n.kind == "train"]
    if not subjects:
        return []
    whole = {node.name: planned(state, node) for node in subjects}
    least = {node.name: _least(state, node, now) for node in subjects}
    later = _later(spec, state, subjects)
    confidence = spec.plan.confidence

    def ahead(steps: Mapping[str, int], without: set[str]) -> str:
        merged = later.steps | dict(steps)
        seen = forecast(spec, state, now, steps=merged, without=without, most_doubt=RESERVE_DOUBT)
        return misses(spec, state, seen, confidence)

    without = later.without
    why = ahead(whole, without)
    if not why:
        return []
    if dropped := [n.name for n in ready if n.optional and ahead(least, without)]:
        return [Skip(dropped, f"no room for {_list(dropped)}: {why}")]
    if all(least[name] >= whole[name] for name in whole):
        return []  # nothing can give way; the last call will
    steps = _fitting(whole, least, lambda steps: not ahead(steps, without))
    changed = {n: s for n, s in steps.items() if _is_worth(state, n, s, whole[n], now)}
    if not changed:
        return []
    shown = ", ".join(f"{name} to {count:,} of {whole[name]:,}" for name, count in changed.items())
    return [Shorten(changed, f"{why}; shortened {shown} steps")]


def harvest(state: RunState, node: Node, now: float) -> int:
    """Steps that a training has a checkpoint of, or will have when it is stopped now; 0 for none.

    A stopped training saves its state at once; should it be killed instead, the last regular
    checkpoint is there.
    """
    own = state.nodes[node.name]
    done = int(state.done_of(node.name, now)) if own.phase == "running" else int(own.done)
    every = node.config["checkpoint_every"]
    return done // every * every or done


def alternatives(spec: RunSpec, state: RunState) -> set[str]:
    """Nodes that are not to be expected: all but the most cautious of what is still to be chosen
    from, and the survivors of a halving beyond those that may survive."""
    out: set[str] = set()
    for name, choice in spec.plan.choices.items():
        if name in state.choices:
            continue
        among = spec.among[name]
        if choice.fits:
            out |= {node.name for node in among[1:]}
            continue
        survivors = [node for node in spec.nodes if node.survives == name]
        out |= {node.name for node in survivors[keep_count(choice.keep, len(among)) :]}
    return out


def misses(spec: RunSpec, state: RunState, ahead: Forecast, confidence: float) -> str:
    """Why a forecast does not keep deadline and budget with that confidence; empty if it does."""
    deadline, budget = state.terms.deadline, spec.plan.budget
    late = 0.0 if deadline is None else ahead.finish(confidence) - deadline
    if late > 0:
        return f"the run would end {_duration(late)} after the deadline"
    usd = ahead.usd_at(confidence)
    if budget is not None and usd > budget:
        return f"the run would cost {money(usd)} of ${budget:g}"
    return ""


@dataclass(frozen=True, slots=True)
class _Later:
    steps: dict[str, int]
    without: set[str]


def _later(spec: RunSpec, state: RunState, subjects: list[Node]) -> _Later:
    """What is expected of trainings whose turn has not come: the least, for they can be shortened
    then; optional ones are not counted on."""
    names = {node.name for node in subjects}
    steps, without = {}, alternatives(spec, state)
    for node in _trainings(spec, state):
        if node.name in names or state.nodes[node.name].phase == "running":
            continue
        if node.optional:
            without.add(node.name)
        steps[node.name] = min(shortest(state, node), planned(state, node))
    return _Later(steps, without)


def _fitting(
    whole: Mapping[str, int],
    least: Mapping[str, int],
    fits: Callable[[Mapping[str, int]], bool],
) -> dict[str, int]:
    """The largest common share of what can give way with which everything fits (bisection)."""

    def at(share: float) -> dict[str, int]:
        return {n: least[n] + int(share * max(0, whole[n] - least[n])) for n in whole}

    low, high = 0.0, 1.0
    for _ in range(7):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(at(middle)) else (low, middle)
    return at(low)


def _is_worth(state: RunState, name: str, steps: int, whole: int, now: float) -> bool:
    own = state.nodes[name]
    if steps >= whole:
        return False
    if own.phase != "running":
        return True
    calm = now - state.shortened >= CALM or not state.shortened
    return calm and whole - steps >= WORTH * whole


def _least(state: RunState, node: Node, now: float) -> int:
    """The plan's bound, and at least what has been done already."""
    own = state.nodes[node.name]
    done = int(state.done_of(node.name, now)) + 1 if own.phase == "running" else int(own.done)
    return min(max(shortest(state, node), done), planned(state, node))


def _is_seen(state: RunState, node: Node) -> bool:
    """Whether its pace is known: guesses must not stop what runs."""
    own = state.nodes[node.name]
    return own.per_s > 0 and own.given <= planned(state, node)


def _trainings(spec: RunSpec, state: RunState) -> list[Node]:
    """Train nodes that are not over, and that nobody is about to stop."""
    return [
        node
        for node in spec.nodes
        if node.kind == "train"
        and not state.nodes[node.name].over
        and not state.nodes[node.name].left_out
    ]


def _limited(spec: RunSpec, state: RunState) -> bool:
    return spec.plan.budget is not None or state.terms.deadline is not None


def _duration(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"


def _list(names: list[str]) -> str:
    return " and ".join(names)
