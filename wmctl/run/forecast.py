"""When a run should be over and what it should cost then, from what is known now."""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from statistics import NormalDist

from wmctl.plan.node import Node, steps_of
from wmctl.run.estimate import Estimate, Pace, estimate_from, guess, pace_of, shape, unit_size
from wmctl.run.spec import RunSpec
from wmctl.run.state import RunState

SEEN_DOUBT = 0.05
"""Standard deviation of the logarithm of what is left of a training that is seen to go on."""
RUN_DOUBT = 0.1
"""The same for a node of a shape that this very run has measured."""
OVERDUE = 0.15
"""Share of its time so far that a stage without visible progress is given when its time is up."""

Span = tuple[float, float]
"""Mean and variance of a time in seconds."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Sums of independent times are spread as their variances say; what is doubtful by a factor is
    skewed to the right, so quantiles are those of a log-normal of that mean and spread."""

    now: float
    seconds: Span
    """From now to the end."""
    usd: Span
    """At the end, what was spent so far included."""
    spent: float
    ends: Mapping[str, Span]
    """Node -> seconds from now to its end."""
    starts: Mapping[str, float]

    def finish(self, confidence: float = 0.5) -> float:
        """The moment by which everything is over with that probability."""
        return self.now + _quantile(self.seconds, confidence)

    def usd_at(self, confidence: float = 0.5) -> float:
        """What is not exceeded with that probability."""
        rest = (max(0.0, self.usd[0] - self.spent), self.usd[1])
        return self.spent + _quantile(rest, confidence)

    def end_of(self, name: str, confidence: float = 0.5) -> float:
        """The moment by which a node is over with that probability."""
        return self.now + _quantile(self.ends[name], confidence)

    def risk(self, deadline: float | None, budget: float | None) -> float:
        """Probability that the deadline is missed or the budget exceeded (the larger of both)."""
        late = 0.0 if deadline is None else 1 - _probability(self.seconds, deadline - self.now)
        rest = (max(0.0, self.usd[0] - self.spent), self.usd[1])
        dear = 0.0 if budget is None else 1 - _probability(rest, budget - self.spent)
        return max(late, dear)


def forecast(
    spec: RunSpec,
    state: RunState,
    now: float,
    *,
    steps: Mapping[str, int] | None = None,
    without: Collection[str] = (),
    most_doubt: float = math.inf,
) -> Forecast:
    """Let every node that is left start as soon as it can, and see when the last one ends.

    ``steps`` are what trainings are to reach, where that is not what they are meant to; ``without``
    names nodes that are left out; ``most_doubt`` bounds how much a single time is doubted.
    """
    left = [
        node for node in spec.nodes if not state.nodes[node.name].over and node.name not in without
    ]
    times: dict[str, Span] = {}
    for node in left:
        mean, variance = remaining(spec, state, node, now, (steps or {}).get(node.name))
        times[node.name] = mean, min(variance, (most_doubt * mean) ** 2)
    starts, ends = _walk(spec, state, left, times)
    last = max(ends.values(), default=(0.0, 0.0))
    spent = state.usd(spec, now)
    usd, doubt = spent, 0.0
    for name, (seconds, spread) in times.items():
        rate = _rate(state, spec.node(name))
        usd += rate * seconds
        doubt += rate * rate * spread
    return Forecast(now, last, (usd, doubt), spent, ends, starts)


def remaining(
    spec: RunSpec, state: RunState, node: Node, now: float, steps: int | None = None
) -> Span:
    """What a node that is not over still takes."""
    own, estimate = state.nodes[node.name], estimate_of(spec, state, node)
    wanted = float(steps if steps is not None else planned(state, node))
    if node.kind != "train":
        if own.phase != "running":
            return _span(estimate.seconds, estimate.doubt)
        return _rest(state, node, estimate, now)
    before = _before(spec, state, node)
    if own.phase != "running":
        return _span(estimate.seconds_of(max(0.0, wanted - before)), estimate.doubt)
    restart = estimate.start_s if wanted < own.given else 0.0
    if own.per_s > 0:
        work = max(0.0, wanted - state.done_of(node.name, now))
        return _span(restart + work / own.per_s + estimate.tail_s, SEEN_DOUBT)
    elapsed = now - own.started
    seconds = estimate.seconds_of(max(0.0, wanted - before)) - min(elapsed, estimate.start_s)
    late = OVERDUE * (elapsed - estimate.start_s)
    return _span(max(seconds, late) + restart, estimate.doubt)


def planned(state: RunState, node: Node) -> int:
    """Steps that a training is to reach, as far as that is known."""
    own = state.nodes[node.name]
    whole = own.given if own.phase == "running" and own.given else steps_of_run(state, node)
    if own.short:
        whole = min(whole, shortest(state, node))
    return whole if own.limit is None else min(whole, own.limit)


def steps_of_run(state: RunState, node: Node) -> int:
    """Steps by the plan; from epochs, once the games are counted."""
    if node.epochs is None or not (made := state.nodes[node.data or ""].result):
        return node.steps
    return steps_of(node.config, node, made["games"]["train"], made["rows"]["train"])


def shortest(state: RunState, node: Node) -> int:
    """Steps to which the plan allows a training to be shortened."""
    return max(1, math.ceil(node.shorten_to * steps_of_run(state, node)))


def estimate_of(spec: RunSpec, state: RunState, node: Node) -> Estimate:
    """From a node of the same shape that this run has finished, else what was expected."""
    work = (float(planned(state, node)), "step") if node.kind == "train" else None
    expected = state.terms.estimates.get(node.name)
    if work is None:
        return expected or guess(node, (1.0, "game"), state.terms.on, {})
    for like in (False, True):
        for other in spec.nodes:
            own = state.nodes[other.name]
            if other.kind != "train" or own.phase != "done" or other.name == node.name:
                continue
            if shape(other, like=like) != shape(node, like=like):
                continue
            if pace := _pace(spec, other, own.ended - own.started, own.result):
                scale = unit_size(node) / unit_size(other)
                made = estimate_from(node, work, pace, scale=scale)
                doubt = RUN_DOUBT if not like else 2 * RUN_DOUBT
                return made.model_copy(update={"doubt": doubt})
    return expected or guess(node, work, state.terms.on, {})


def _pace(spec: RunSpec, node: Node, seconds: float, result: Mapping[str, object]) -> Pace | None:
    return pace_of(node, (0.0, "step"), seconds, result, spec.run, 0.0)


def _before(spec: RunSpec, state: RunState, node: Node) -> float:
    """Steps that a training need not make: those of its earlier attempts, or of what it
    continues."""
    own = state.nodes[node.name]
    if own.done:
        return own.done
    return float(steps_of_run(state, spec.node(node.continues))) if node.continues else 0.0


def _rest(state: RunState, node: Node, estimate: Estimate, now: float) -> Span:
    """Of an encode or arena stage at work: by its own count, where there is one."""
    own = state.nodes[node.name]
    elapsed = now - own.started
    if own.per_s > 0 and own.total > 0:
        left = (own.total - state.done_of(node.name, now)) / own.per_s
        return _span(max(left, 0.0) + estimate.tail_s, 2 * SEEN_DOUBT)
    rest = estimate.seconds - elapsed
    return _span(max(rest, OVERDUE * elapsed, 0.0), estimate.doubt)


def _walk(
    spec: RunSpec, state: RunState, left: list[Node], times: Mapping[str, Span]
) -> tuple[dict[str, float], dict[str, Span]]:
    """Starts and ends when nodes start in order as soon as they can (list scheduling)."""
    free = state.terms.cpus
    pending = {node.name for node in left}
    blockers = {node.name: spec.waits_for[node.name] & pending for node in left}
    waiting = [node for node in left if state.nodes[node.name].phase != "running"]
    heap: list[tuple[float, str, float, int]] = []
    starts: dict[str, float] = {}
    ends: dict[str, Span] = {}
    for node in left:
        if state.nodes[node.name].phase == "running":
            mean, variance = times[node.name]
            heapq.heappush(heap, (mean, node.name, variance, node.cores))
            starts[node.name], free = 0.0, free - node.cores
    now, spread = 0.0, 0.0
    while waiting or heap:
        for node in list(waiting):
            if blockers[node.name] <= ends.keys() and (node.cores <= free or not heap):
                mean, variance = times[node.name]
                heapq.heappush(heap, (now + mean, node.name, spread + variance, node.cores))
                starts[node.name], free = now, free - node.cores
                waiting.remove(node)
        if not heap:
            break  # the rest waits for what is not to come
        now, name, spread, cores = heapq.heappop(heap)
        ends[name] = (now, spread)
        free += cores
    return starts, ends


def _rate(state: RunState, node: Node) -> float:
    prices = state.prices[-1][1] if state.prices else state.terms.prices
    return prices.per_second(node, state.terms.on)


def _span(seconds: float, doubt: float) -> Span:
    seconds = max(0.0, seconds)
    return seconds, (seconds * doubt) ** 2


def _quantile(span: Span, confidence: float) -> float:
    mean, variance = span
    if mean <= 0 or variance <= 0:
        return mean
    sigma = math.sqrt(math.log1p(variance / mean**2))
    return mean * math.exp(sigma * NormalDist().inv_cdf(confidence))


def _probability(span: Span, limit: float) -> float:
    """That a time or cost stays within ``limit``."""
    mean, variance = span
    if limit <= 0:
        return 0.0
    if mean <= 0 or variance <= 0:
        return float(mean <= limit)
    sigma = math.sqrt(math.log1p(variance / mean**2))
    return NormalDist().cdf(math.log(limit / mean) / sigma)
