from __future__ import annotations

from typing import Any

import pytest

from tests.support.nights import Case
from tests.support.runs import RESULTS, Script, estimate, reader, small_run, terms
from wmctl.launch.simulation.faults import Slow, Weather
from wmctl.run.explain import DECISIONS, explain
from wmctl.run.history import Event
from wmctl.run.spec import RunSpec

SPEC = small_run(
    budget=10_000,
    gates=[
        {"after": "train", "metric": "top1", "at_least": 0.05, "name": "learns"},
        # a figure without an interval: NaN must come back as itself
        {"after": "enc", "metric": "size", "above": 0, "on_fail": "continue", "name": "size"},
    ],
    choices={"pick": {"among": ["train"], "by": [{"metric": "top1"}]}},
)


def night(spec: RunSpec = SPEC) -> list[Event]:
    """A whole night by the rules, as it comes back from the store."""
    known = {node.name: estimate(5) for node in spec.nodes}
    detail = terms(estimates=known, cpus=2, deadline=100_000.0)
    script = Script().at(100, "submitted", detail=detail)
    while script.events[-1].event != "finished":
        before = len(script.events)
        made = script.decide(spec, cpus=2)
        assert made, "nothing happens any more"
        for event in script.events[before:]:
            if event.event == "started":
                left = RESULTS[event.stage] | {"size": 3}
                script.end(event.stage, **left)
    return [
        Event.model_validate_json(e.model_dump_json(exclude_defaults=True)) for e in script.events
    ]


def differing(events: list[Event], spec: RunSpec = SPEC) -> list[Event]:
    return [made.event for made in explain(spec, events, reader()) if not made.same]


def test_a_night_explains_itself_from_the_store_alone() -> None:
    events = night()
    made = list(explain(SPEC, events, reader()))
    assert [one.event for one in made] == [e for e in events if e.event in DECISIONS]
    assert [one.again for one in made if not one.same] == []
    kinds = {one.event.event for one in made}
    assert kinds == {"started", "gate", "chosen", "verdict", "finished"}


def changed(events: list[Event], kind: str, **fields: Any) -> list[Event]:
    """The history with the first event of a kind tampered with."""
    at = next(i for i, event in enumerate(events) if event.event == kind)
    return [*events[:at], events[at].model_copy(update=fields), *events[at + 1 :]]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("gate", {"outcome": "fail"}),
        ("gate", {"text": "it was fine"}),
        ("verdict", {"outcome": "hold"}),
        ("verdict", {"text": "promote!"}),
        ("chosen", {"text": "train/loser taken"}),
        ("finished", {"code": 70}),
    ],
)
def test_a_decision_that_was_tampered_with_is_found(kind: str, fields: dict[str, Any]) -> None:
    events = changed(night(), kind, **fields)
    assert kind in {event.event for event in differing(events)}


def test_a_number_that_was_tampered_with_is_found() -> None:
    events = night()
    gate = next(e for e in events if e.name == "learns")
    detail = gate.model_copy(deep=True).detail
    detail["evidence"][0]["figure"]["value"] = 0.9
    at = events.index(gate)
    tampered = [*events[:at], gate.model_copy(update={"detail": detail}), *events[at + 1 :]]
    assert [event.name for event in differing(tampered)] == ["learns"]


def test_a_start_that_was_not_due_is_found() -> None:
    events = night()
    at = next(i for i, e in enumerate(events) if e.stage == "arena" and e.event == "started")
    early = [*events[:1], events[at].model_copy(update={"time": 100.0}), *events[1:]]
    [wrong] = [made for made in explain(SPEC, early, reader()) if not made.same][:1]
    assert wrong.event.stage == "arena"
    assert "enc would start, attempt 1" in wrong.again


def test_another_result_would_have_been_another_verdict() -> None:
    from tests.support.runs import arena_result, interval, pairing

    worse = arena_result(pairing("train/winner", "train/loser", elo=interval(-5, -50, 40)))
    made = list(explain(SPEC, night(), reader(worse)))
    assert [one.event.event for one in made if not one.same] == ["verdict"]


def test_what_the_clock_and_the_money_decided_is_explained_too() -> None:
    """Shortened when its turn came, called at last, over, and stopped before a verdict."""
    train = {"train": "lstm", "data": "enc", "steps": 1000, "threads": 1, "shorten_to": 0.5}
    stages = {
        "enc": {"encode": "chess", "workers": 1},
        "t": train,
        "arena": {"arena": "chess", "players": ["t", "random"]},
    }
    verdict = {
        "v": {
            "arena": "arena",
            "candidate": "t",
            "criteria": [{"metric": "elo", "against": "random", "above": 0}],
        }
    }
    spec = small_run(stages=stages, verdicts=verdict)
    known = {"enc": estimate(10), "t": estimate(1000), "arena": estimate(100)}
    script = Script().at(1, "submitted", detail=terms(estimates=known, cpus=2, deadline=900.0))
    script.decide(spec, cpus=2)
    script.end("enc", **RESULTS["enc"])
    script.decide(spec, cpus=2)  # shortened
    script.decide(spec, cpus=2)  # started
    steps = script.events[-1].detail["steps"]
    assert 500 < steps < 900
    script.seen(300, "t", 10, 0.1, total=steps)
    for now in (300.0, 700.0, 800.0, 850.0, 905.0):
        script.now = now
        script.decide(spec, cpus=2)
    script.end("t", 143)
    while script.events[-1].event != "finished":
        script.decide(spec, cpus=2)
    kinds = [e.event for e in script.events if e.event in DECISIONS]
    assert kinds[:3] == ["started", "shortened", "started"]
    assert kinds[-3:] == ["over", "verdict", "finished"]
    assert kinds.count("shortened") >= 2
    assert differing(script.events, spec) == []


def test_stages_that_start_together_were_decided_together() -> None:
    """Once the first of two trainings runs again, to stop it costs more: the second would be given
    up if it were decided on then, and was not."""
    slow = Slow(536.0, 0.3)
    weather = Weather(faults=[slow], pace=[2.25, 0.9375], pending=2.0, save=18.0, seed=73)
    night = Case("best_model", None, 2.375, weather).run()
    again = [e for e in night.events if e.event == "started" and e.attempt == 2]
    assert len({event.time for event in again}) == 1 < len(again)
