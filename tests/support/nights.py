"""Random nights over the shipped plans: what hypothesis varies, and what must hold of each.

Two families: :func:`cases`, in which anything may go wrong, and :func:`trainings_in_trouble`, in
which arenas go well, so that a real verdict is owed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hypothesis import strategies as st

from wm.artifacts.result import ArenaResult
from wm.store.memory import MemoryStore
from wmctl.launch.profiles import load_profiles, prices_of, tflops_of
from wmctl.launch.simulation.faults import (
    Away,
    ConductorDies,
    Crash,
    Fault,
    Hang,
    PriceChange,
    Reclaim,
    Slow,
    Weather,
)
from wmctl.launch.simulation.night import EVENING, Night, simulate
from wmctl.plan.graph import resolve
from wmctl.plan.load import load_plan
from wmctl.plan.node import Node
from wmctl.run.explain import explain
from wmctl.run.forecast import forecast
from wmctl.run.objections import fresh_state
from wmctl.run.pressure import alternatives
from wmctl.run.spec import RunSpec
from wmctl.run.terms import ANY_CPUS, Terms, make_terms

PROFILES = Path(__file__).parents[2] / "k8s" / "profiles.yaml"
PLANS = ("overnight", "best_model")
INTERVAL = 300.0
"""Seconds between two checkpoints of a simulated training, as expected."""


@cache
def base(plan: str) -> tuple[RunSpec, Terms]:
    """A shipped plan, its trainings scaled so that a night is a matter of two hours."""
    loaded = load_plan(plan)
    nodes = resolve(loaded, lambda game, name: f"models/{game}/{name}")
    profiles = load_profiles(PROFILES)
    terms = make_terms(
        MemoryStore(), loaded, nodes, EVENING,
        on="kubernetes", cpus=ANY_CPUS, prices=prices_of(profiles), tflops=tflops_of(profiles),
    )  # fmt: skip
    for node in nodes:
        estimate = terms.estimates[node.name]
        # An hour at most for one stage: nights of twenty hours differ in nothing but length.
        estimate.unit_s *= min(1.0, 2400.0 / estimate.seconds)
        if node.kind == "train":
            node.config["checkpoint_every"] = max(1, math.ceil(INTERVAL / estimate.unit_s))
    return RunSpec(run="night", plan=loaded, nodes=nodes, created=EVENING, version="0"), terms


@cache
def expected(plan: str) -> tuple[float, float]:
    """Seconds and USD that a night of the plan should take."""
    spec, terms = base(plan)
    state = fresh_state(spec, terms, EVENING)
    ahead = forecast(spec, state, EVENING, without=alternatives(spec, state))
    return ahead.finish() - EVENING, ahead.usd_at()


@dataclass(frozen=True)
class Case:
    """A night that may be: which plan, how tight, in what weather."""

    plan: str
    time: float | None
    """Deadline as a multiple of what should suffice; None for none."""
    money: float | None
    """Budget, the same way."""
    weather: Weather

    def run(self) -> Night:
        """Simulate it and check what is promised."""
        spec, terms = base(self.plan)
        seconds, usd = expected(self.plan)
        budget = None if self.money is None else self.money * usd
        deadline = None if self.time is None else EVENING + self.time * seconds
        plan = spec.plan.model_copy(update={"budget": budget})
        spec = RunSpec(run="night", plan=plan, nodes=spec.nodes, created=EVENING, version="0")
        night = simulate(spec, terms.model_copy(update={"deadline": deadline}), self.weather)
        check(night, self.weather)
        return night


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any night."""
    plan = draw(st.sampled_from(PLANS))
    seconds, _ = expected(plan)
    share = st.none() | st.floats(0.3, 2.5)
    weather = Weather(
        faults=draw(st.lists(faults(seconds), max_size=8)),
        pace=draw(st.lists(st.floats(0.5, 2.5), min_size=1, max_size=12)),
        pending=draw(st.floats(1, 90)),
        save=draw(st.floats(1, 45)),
        seed=draw(st.integers(0, 1000)),
    )
    return Case(plan, draw(share), draw(share), weather)


def faults(seconds: float) -> st.SearchStrategy[Fault]:
    """Any fault at any time of the night."""
    at, part = st.floats(0, 2 * seconds), st.floats(0, 1)
    stage, attempt = st.integers(0, 30), st.integers(1, 3)
    return st.one_of(
        st.builds(Slow, at, st.floats(0.3, 1.0)),
        st.builds(Reclaim, at, st.booleans()),
        st.builds(Hang, stage, attempt, part),
        st.builds(Crash, stage, attempt, part, st.sampled_from([65, 70, 137, 139, 160, 161])),
        st.builds(PriceChange, at, st.floats(0.5, 3.0)),
        st.builds(Away, at, st.floats(5, 120)),
        st.builds(ConductorDies, at, st.floats(10, 60)),
    )


def check(night: Night, weather: Weather) -> None:
    """What is promised of every night."""
    events = night.events
    assert events[-1].event == "finished", "the night has an end"
    assert night.code == events[-1].code or 0
    assert not night.cluster.twice, f"two attempts at once: {night.cluster.twice}"
    _check_money(night, weather)
    _check_time(night, weather)
    _check_explained(night)


def _check_money(night: Night, weather: Weather) -> None:
    budget = night.spec.plan.budget
    if budget is None:
        return
    dearest = max([1.0, *(f.factor for f in weather.of(PriceChange))])
    rates = [night.terms.prices.per_second(node, "kubernetes") for node in _at_once(night)]
    assert night.usd <= budget + dearest * sum(rates) * INTERVAL, (night.usd, budget)


def _at_once(night: Night) -> list[Node]:
    """The dearest set of nodes that ran at the same time."""
    jobs = night.cluster.jobs.values()
    best: list[Node] = []
    for one in jobs:
        alive = [o.node for o in jobs if o.runs_at <= one.runs_at < (o.ended or math.inf)]
        if _rate(night, alive) > _rate(night, best):
            best = alive
    return best


def _rate(night: Night, nodes: list[Node]) -> float:
    return sum(night.terms.prices.per_second(node, "kubernetes") for node in nodes)


def _check_time(night: Night, weather: Weather) -> None:
    verdicts = [event for event in night.events if event.event == "verdict"]
    assert {v.name for v in verdicts} == set(night.spec.plan.verdicts), "every verdict is reached"
    deadline = night.terms.deadline
    if deadline is None:
        return
    # While no conductor lives nobody can decide; its successor does so at once.
    gap = max(
        (
            f.seconds
            for f in weather.of(ConductorDies)
            if EVENING + f.at - 60 <= deadline <= EVENING + f.at + f.seconds + 60
        ),
        default=0.0,
    )
    for verdict in verdicts:
        assert verdict.time <= deadline + gap, (verdict.time - deadline, verdict.text)


def _check_explained(night: Night) -> None:
    def read(key: str) -> ArenaResult:
        return ArenaResult.model_validate_json(night.store.get(key))

    for decision in explain(night.spec, night.events, read):
        assert decision.same, (decision.event, decision.again)


@st.composite
def trainings_in_trouble(draw: st.DrawFn) -> Case:
    """Nights in which only trainings meet trouble: there must be a real verdict in the end."""
    plan = draw(st.sampled_from(PLANS))
    spec, _ = base(plan)
    seconds, _ = expected(plan)
    trains = [i for i, node in enumerate(spec.nodes) if node.kind == "train"]
    at, stage = st.floats(0, seconds), st.sampled_from(trains)
    trouble = st.one_of(
        st.builds(Reclaim, at, st.booleans()),
        st.builds(Hang, stage, st.integers(1, 2), st.floats(0, 1)),
        st.builds(Crash, stage, st.integers(1, 2), st.floats(0, 1), st.sampled_from([137, 161])),
        st.builds(PriceChange, at, st.floats(0.5, 1.0)),
    )
    pace = st.floats(0.5, 3.0)
    weather = Weather(
        faults=draw(st.lists(trouble, max_size=6)),
        pace=[draw(pace) if i in trains else 1.0 for i in range(len(spec.nodes))],
        pending=draw(st.floats(1, 10)),
        save=draw(st.floats(1, 30)),
        seed=draw(st.integers(0, 1000)),
    )
    share = st.none() | st.floats(0.7, 1.5)
    return Case(plan, draw(share), draw(share), weather)


def check_judged(night: Night) -> None:
    """Where there was a checkpoint, arenas had their time and money: verdicts are real ones.

    But for nights in which nothing that an arena waits for had been trained until the last call, or
    in which what was stopped then hung: to find that out may take longer than what was kept.
    """
    calls = [e.time for e in night.events if e.text.startswith("last call")]
    late = night.cluster.first_checkpoint > calls[0] - 120 if calls else False
    if math.isinf(night.cluster.first_checkpoint) or late or _hung_at_last(night, calls):
        return
    for event in night.events:
        if event.event == "verdict" and event.outcome == "stop":
            over = [e.text for e in night.events if e.event == "over"]
            assert not over, (event.text, over)


def _hung_at_last(night: Night, calls: list[float]) -> bool:
    jobs = night.cluster.jobs.values()
    return any(one.freezes < math.inf and one.runs_at >= calls[0] for one in jobs if calls)
