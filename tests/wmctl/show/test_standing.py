"""Cost and finish of a run, against budget and deadline."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.runs import Script, small_run
from wmctl.run.fold import read_state
from wmctl.run.outlook import Outlook
from wmctl.show.decisions import decisions
from wmctl.show.standing import Standing, standing, standing_lines, worked

DAY = 86400.0 * 365


def ahead(**changes: Any) -> Outlook:
    fields = {
        "time": DAY,
        "usd": 1,
        "usd_end": 3,
        "usd_worst": 4,
        "budget": 5,
        "finish": DAY + 7200,
        "finish_worst": DAY + 9000,
        "deadline": DAY + 10000,
        "risk": 0.01,
    }
    return Outlook(**fields | changes)


def how(**changes: Any) -> Standing:
    fields: dict[str, Any] = {
        "now": DAY + 60,
        "usd": 1.5,
        "budget": 5,
        "began": DAY - 60,
        "deadline": DAY + 10000,
        "finished": None,
        "ahead": ahead(),
    }
    return Standing(**fields | changes)


def said(one: Standing) -> list[str]:
    return [line.plain for line in standing_lines(one)]


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wmctl.show.phrases.hour", lambda seconds: f"@{seconds - DAY:g}")


def test_a_run_under_way() -> None:
    assert said(how()) == [
        "cost    $1.50 of $5.00 so far, about $3.00 at the end, at worst $4.00",
        "finish  @7200 (in 1h 59m), at worst @9000, deadline @10000",
    ]


def test_a_run_without_bounds_or_forecast_tells_its_cost() -> None:
    assert said(how(budget=None, deadline=None, ahead=None)) == ["cost    $1.50"]


@pytest.mark.parametrize(("finished", "word"), [(9000, "kept"), (10001, "missed")])
def test_a_finished_run_has_kept_its_deadline_or_not(finished: float, word: str) -> None:
    one = how(finished=DAY + finished, ahead=None)
    assert said(one)[1] == f"finish  @{finished}, deadline @10000, {word}"
    assert one.deadline_kept is (word == "kept")
    assert one.forecast()["finish"] == DAY + finished


def test_a_deadline_is_missed_as_soon_as_it_has_passed() -> None:
    assert how().deadline_kept is None
    assert how(now=DAY + 10001).deadline_kept is False
    assert how(now=DAY + 10001, deadline=None).deadline_kept is None


def test_a_forecast_that_nobody_keeps_current_says_of_when_it_is() -> None:
    assert "forecast of" not in said(how())[1]
    assert said(how(now=DAY + 200))[1].endswith("(forecast of @0)")


@pytest.mark.parametrize(
    ("change", "colour"),
    [({}, ""), ({"finish_worst": DAY + 10001}, "yellow"), ({"finish": DAY + 10001}, "red")],
)
def test_a_deadline_in_danger_is_coloured(change: dict[str, Any], colour: str) -> None:
    lines = list(standing_lines(how(ahead=ahead(**change))))
    assert str(lines[1].spans[-1].style) == colour or not colour


def test_a_budget_in_danger_is_coloured() -> None:
    safe, tight = (next(standing_lines(how(ahead=ahead(usd_worst=w)))) for w in (4, 6))
    assert "yellow" not in map(str, (span.style for span in safe.spans))
    assert "yellow" in map(str, (span.style for span in tight.spans))


def run(*more: str, deadline: float | None = None) -> Script:
    script = Script()
    detail = {"on": "local", "deadline": deadline, "prices": {"cpu": 3600}}
    return script.add("submitted", detail=detail).walk("enc", *more)


def test_cost_counts_what_runs_until_now() -> None:
    script = run().add("started", stage="train-winner", attempt=1)
    spec = small_run(budget=100)
    one = standing(spec, read_state(spec, script.events), None, script.now + 10)
    assert one.usd == pytest.approx(11), "a second of enc, ten of the training"
    assert one.cost() == {
        "usd": pytest.approx(11),
        "usd_end": None,
        "usd_worst": None,
        "budget": 100,
    }


def test_what_is_spent_is_never_more_than_what_is_expected() -> None:
    script, spec = run(), small_run()
    state = read_state(spec, script.events)
    one = standing(spec, state, ahead(usd_end=0.5, usd_worst=0.75), DAY)
    assert one.ahead
    assert one.ahead.usd_end == one.ahead.usd_worst == one.usd == pytest.approx(1)


def test_forecasts_of_earlier_submissions_and_of_finished_runs_do_not_count() -> None:
    spec, script = small_run(), run()
    old = ahead(time=0.5)
    assert standing(spec, read_state(spec, script.events), old, DAY).ahead is None
    script.add("finished", code=0)
    assert standing(spec, read_state(spec, script.events), ahead(), DAY).ahead is None


def test_time_between_submissions_is_no_work() -> None:
    script = Script().add("submitted").walk("enc").add("interrupted")
    script.add("started", stage="train-winner", attempt=1)
    script.add("ended", stage="train-winner", attempt=1, code=143)  # it saved its state
    assert worked(script.events, 1000) == 5
    script.now = 500
    script.add("resumed")
    assert worked(script.events, 601) == 5 + 100
    script.add("finished", code=0)
    assert worked(script.events, 1000) == 5 + 1
    assert worked([], 1000) == 0


def test_decisions_tell_what_has_become_dearer() -> None:
    script = run()
    script.add("priced", text="other prices, by ada@desk", detail={"prices": {"cpu": 3700}})
    script.add("priced", text="other prices, by bob@desk", detail={"prices": {"cpu": 3600}})
    script.add("gate", name="g", outcome="fail", text="top1: failed")
    script.add("finished", code=0)
    lines = decisions(script.events)
    assert [(line.mark, line.text) for line in lines] == [
        ("•", "other prices, by ada@desk: cpu $3,700.00 (was $3,600.00)"),
        ("•", "other prices, by bob@desk: cpu $3,600.00 (was $3,700.00)"),
        ("✗", "gate top1: failed"),
    ]
    assert lines[2].as_json() == {
        "time": script.now - 1,
        "event": "gate",
        "of": "g",
        "outcome": "fail",
        "text": "gate top1: failed",
    }


def test_a_deadline_is_kept_when_the_verdict_is_there_though_pods_take_longer_to_go() -> None:
    late = how(now=DAY + 20000, finished=DAY + 10060.0)
    assert late.deadline_kept is False
    kept = how(now=DAY + 20000, finished=DAY + 10060.0, judged=DAY + 9999.0)
    assert kept.deadline_kept is True
