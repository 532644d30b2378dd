"""What goes wrong in an ordinary night, drawn at random."""

from __future__ import annotations

import math
from random import Random

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
from wmctl.plan.node import Node
from wmctl.run.terms import Terms

HOUR = 3600.0

RECLAIMS_PER_HOUR = 0.1
"""Times that a spot node is taken away."""
RARE_PER_HOUR = 0.02
"""Each of: a slow node, another price, an API server that is away, a conductor that dies."""
CRASHES = 0.02
"""Share of attempts that are killed (137, 161)."""
HANGS = 0.01
"""Share of attempts that hang."""


def draw(luck: Random, nodes: list[Node], terms: Terms, seconds: float) -> Weather:
    """The weather of a night that should take ``seconds``; how fast each stage really is, is drawn
    from what its estimate is doubted by."""
    faults: list[Fault] = []
    faults += [
        Reclaim(at, luck.random() < 0.2) for at in _moments(luck, seconds, RECLAIMS_PER_HOUR)
    ]
    faults += [Slow(at, luck.uniform(0.5, 1)) for at in _moments(luck, seconds, RARE_PER_HOUR)]
    faults += [
        PriceChange(at, luck.uniform(0.7, 2)) for at in _moments(luck, seconds, RARE_PER_HOUR)
    ]
    faults += [Away(at, luck.uniform(5, 120)) for at in _moments(luck, seconds, RARE_PER_HOUR)]
    faults += [
        ConductorDies(at, luck.uniform(10, 60)) for at in _moments(luck, seconds, RARE_PER_HOUR)
    ]
    for number in range(len(nodes)):
        if luck.random() < CRASHES:
            faults.append(Crash(number, 1, luck.random(), luck.choice([137, 161])))
        if luck.random() < HANGS:
            faults.append(Hang(number, 1, luck.random()))
    pace = [math.exp(luck.gauss(0, terms.estimates[node.name].doubt)) for node in nodes]
    return Weather(
        faults=faults,
        pace=pace,
        pending=luck.uniform(2, 60),
        save=luck.uniform(1, 30),
        seed=luck.randrange(10**6),
    )


def _moments(luck: Random, seconds: float, per_hour: float) -> list[float]:
    """When something happens that happens so often (a Poisson process)."""
    at, moments = 0.0, []
    while (at := at + luck.expovariate(per_hour / HOUR)) < 2 * seconds:
        moments.append(at)
    return moments
