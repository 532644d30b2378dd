"""A whole night: the conductor as it is, on a simulated cluster and a virtual clock."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

from wm.store.lease import Lease
from wm.store.memory import MemoryStore
from wmctl.launch.simulation.clock import ConductorDied, VirtualClock
from wmctl.launch.simulation.cluster import SimulatedCluster
from wmctl.launch.simulation.faults import ConductorDies, PriceChange, Weather
from wmctl.run.conductor import Conductor
from wmctl.run.history import Event, History
from wmctl.run.price_list import PriceList
from wmctl.run.spec import RunSpec
from wmctl.run.terms import ANY_CPUS, Terms

EVENING = 1_795_550_400.0
"""When simulated nights begin, seconds since the epoch."""
LAST_LOOKS = (*range(600, 60, -20), 60, 30, 15, 5, 1)
"""Seconds before the deadline at which the conductor looks, whatever happens: a real one looks all
the time, and what it keeps for the end is not kept for its sleep."""
LIVES = 40
"""Conductors of a night at most."""


@dataclass(frozen=True, slots=True)
class Night:
    """What came of it."""

    spec: RunSpec
    store: MemoryStore
    terms: Terms
    events: list[Event]
    code: int
    usd: float
    """Really spent."""
    cluster: SimulatedCluster


def simulate(spec: RunSpec, terms: Terms, weather: Weather) -> Night:
    """Submit a run, and let its conductors walk it to the end."""
    store, clock = MemoryStore(), VirtualClock(EVENING)
    cluster = SimulatedCluster(spec, store, clock, terms, weather)
    if terms.deadline is not None:
        clock.alarms += [terms.deadline - seconds for seconds in LAST_LOOKS]
    deaths = sorted(weather.of(ConductorDies), key=lambda fault: fault.at)
    clock.deaths = [EVENING + fault.at for fault in deaths]
    lease = cast(Lease, SimpleNamespace(record=SimpleNamespace(expires_at=float("inf"))))
    prices = sorted(weather.of(PriceChange), key=lambda fault: fault.at)
    code, submitted = 0, True
    for life in range(LIVES):
        conductor = Conductor(
            spec, store, cluster, cpus=ANY_CPUS, clock=clock,
            tick=lambda state: _change_prices(spec, store, clock, terms, prices),
        )  # fmt: skip
        try:
            code = conductor.run(lease, submitted=submitted, terms=terms)
            break
        except ConductorDied:
            submitted = False
            clock.set(clock.time() + deaths[min(life, len(deaths) - 1)].seconds)
    return Night(spec, store, terms, History(store, spec.run).events, code, cluster.usd(), cluster)


def _change_prices(
    spec: RunSpec, store: MemoryStore, clock: VirtualClock, terms: Terms, left: list[Any]
) -> None:
    """Somebody tells the run of other prices as soon as they hold."""
    while left and EVENING + left[0].at <= clock.time():
        fault = left.pop(0)
        prices = terms.prices.model_copy(
            update={
                "cpu": terms.prices.cpu * fault.factor,
                "gpus": {name: usd * fault.factor for name, usd in terms.prices.gpus.items()},
            }
        )
        listed = PriceList(since=EVENING + fault.at, by="the market", prices=prices)
        store.put(f"runs/{spec.run}/prices.json", listed.model_dump_json().encode())
