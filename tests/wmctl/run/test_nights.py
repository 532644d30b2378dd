"""Whole nights on a simulated cluster: the same conductor, another launcher, another clock.

``benchmarks/nights.py`` runs ten thousand of them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings

from tests.support.nights import Case, base, cases, check_judged, expected, trainings_in_trouble
from wmctl.launch.simulation.faults import (
    ConductorDies,
    Crash,
    Hang,
    PriceChange,
    Reclaim,
    Slow,
    Weather,
)
from wmctl.launch.simulation.night import EVENING, Night

FEW = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """A conductor tells of trouble; here there is plenty."""
    logging.getLogger("wm.conductor").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("wm.conductor").setLevel(logging.NOTSET)


@FEW
@given(cases())
def test_every_night_keeps_its_promises(case: Case) -> None:
    case.run()


@FEW
@given(trainings_in_trouble())
def test_whatever_happens_to_trainings_there_is_a_real_verdict(case: Case) -> None:
    check_judged(case.run())


def kinds(night: Night) -> list[str]:
    return [event.event for event in night.events]


def stage(plan: str, name: str) -> int:
    return [node.name for node in base(plan)[0].nodes].index(name)


def test_a_night_without_trouble_trains_everything_and_shortens_nothing() -> None:
    night = Case("overnight", 2.5, 2.5, Weather()).run()
    assert {"shortened", "skipped", "over", "hung"}.isdisjoint(kinds(night))
    ended = [event.stage for event in night.events if event.event == "ended"]
    assert "large-aggressive" in ended
    assert len(ended) == len(set(ended))


def test_a_slow_cluster_shortens_trainings_within_their_bounds_and_is_in_time() -> None:
    night = Case("overnight", 1.05, None, Weather(faults=[Slow(2500, 0.85)], seed=3)).run()
    check_judged(night)
    shortened = [event for event in night.events if event.event == "shortened"]
    assert shortened
    assert night.events[-1].text == "every stage has ended"


def test_at_the_cap_training_stops_and_what_there_is_is_judged() -> None:
    night = Case("overnight", None, 0.75, Weather(seed=3)).run()
    check_judged(night)
    texts = [event.text for event in night.events if event.event == "shortened"]
    assert any("would cost" in text for text in texts)
    assert night.usd <= (night.spec.plan.budget or 0)


def test_a_training_that_hangs_is_ended_and_goes_on_from_its_checkpoint() -> None:
    number = stage("overnight", "large-aggressive")
    night = Case("overnight", 2.5, None, Weather(faults=[Hang(number, 1, 0.5)])).run()
    [hung] = [event for event in night.events if event.event == "hung"]
    ends = [e for e in night.events if e.event == "ended" and e.stage == hung.stage]
    assert [end.code for end in ends] == [160, 0]


def test_what_hangs_at_the_last_call_is_given_up_for_its_siblings() -> None:
    number = stage("overnight", "large-conservative")
    pace = [1.0] * (number - 1) + [2.0, 3.0, 1.0]
    weather = Weather(faults=[Hang(number, 2, 0.0)], pace=pace, pending=1.0, save=1.0)
    night = Case("overnight", None, 1.0, weather).run()
    [skipped] = [event for event in night.events if event.event == "skipped"]
    assert "took any longer; what else there is goes on" in skipped.text
    [verdict] = [event for event in night.events if event.event == "verdict"]
    assert verdict.outcome == "hold"


def test_reclaimed_trainings_are_taken_up_again_and_that_is_no_failure() -> None:
    calm = Case("overnight", 2.5, None, Weather()).run()
    [start] = [e for e in calm.events if e.event == "started" and e.stage == "large-aggressive"]
    blow = Reclaim(start.time - EVENING + 600, killed=False)
    night = Case("overnight", 2.5, None, Weather(faults=[blow])).run()
    assert any(e.event == "ended" and e.code == 143 for e in night.events)
    assert night.code == 0


def test_other_prices_are_counted_from_when_they_hold() -> None:
    night = Case("overnight", None, 2.5, Weather(faults=[PriceChange(3000, 2.0)])).run()
    [priced] = [event for event in night.events if event.event == "priced"]
    assert priced.detail["since"] == EVENING + 3000
    cheap = Case("overnight", None, 2.5, Weather()).run()
    assert night.usd > cheap.usd


def test_an_arena_that_fails_for_good_ends_in_a_verdict_all_the_same() -> None:
    number = stage("overnight", "duel")
    crashes = [Crash(number, attempt, 0.5, 137) for attempt in (1, 2, 3)]
    night = Case("overnight", 2.5, None, Weather(faults=[*crashes])).run()
    [verdict] = [event for event in night.events if event.event == "verdict"]
    assert (verdict.outcome, night.code) == ("stop", 75)


def test_a_conductor_that_dies_is_followed_by_one_that_starts_nothing_twice() -> None:
    seconds, _ = expected("best_model")
    deaths = [ConductorDies(part * seconds, 30) for part in (0.1, 0.3, 0.5, 0.7)]
    night = Case("best_model", 2.5, None, Weather(faults=[*deaths])).run()
    started = [(e.stage, e.attempt) for e in night.events if e.event == "started"]
    assert len(started) == len(set(started))


def test_the_same_night_comes_out_the_same() -> None:
    case = Case("best_model", 1.0, 1.0, Weather(faults=[Reclaim(4000, True)], seed=5))
    assert case.run().events == case.run().events
