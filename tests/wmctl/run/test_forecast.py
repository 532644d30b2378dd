from __future__ import annotations

import math
from typing import Any

import pytest

from tests.support.runs import PLAN, Script, estimate, small_run, terms
from wmctl.run.fold import read_state
from wmctl.run.forecast import Forecast, forecast, planned, shortest
from wmctl.run.spec import RunSpec

SPEC = small_run()
TIMES = {
    "enc": estimate(100, doubt=0.0),
    "train-winner": estimate(5, 40.0, doubt=0.0),
    "train-loser": estimate(5, 20.0, doubt=0.0),
    "arena": estimate(50, doubt=0.0),
}
"""Encode 100 s, trainings of 200 and 100 s, arena 50 s, without any doubt."""


def submitted(doubt: float = 0.0, **changes: Any) -> Script:
    known = {n: e.model_copy(update={"doubt": doubt}) for n, e in TIMES.items()}
    made = terms(**{"estimates": known, "cpus": 4, "prices": {"cpu": 3600.0}} | changes)
    return Script().at(0, "submitted", detail=made)


def ahead(script: Script, now: float = 0.0, spec: RunSpec = SPEC, **changes: Any) -> Forecast:
    return forecast(spec, read_state(spec, script.events), now, **changes)


@pytest.mark.parametrize(
    ("cpus", "finish", "loser"),
    [
        (4, 100 + 200 + 50, 200),  # both trainings at once
        (1, 100 + 200 + 100 + 50, 400),  # one after the other, in the plan's order
    ],
)
def test_stages_start_as_soon_as_they_can(cpus: int, finish: float, loser: float) -> None:
    made = ahead(submitted(cpus=cpus), 1000.0)
    assert made.finish() == 1000 + finish
    assert made.end_of("train-loser") == 1000 + loser
    assert made.starts["train-winner"] == 100
    assert made.usd_at() == 450, "each second of a core is a dollar, however many at once"


def test_a_stage_that_wants_more_cores_than_there_are_runs_alone() -> None:
    wide = PLAN["stages"]["train"] | {"threads": 3}
    spec = small_run(stages=PLAN["stages"] | {"train": wide})
    assert ahead(submitted(cpus=2), spec=spec).finish() == 450
    assert ahead(submitted(cpus=6), spec=spec).finish() == 350


def test_what_is_after_a_stage_waits_for_it() -> None:
    more = PLAN["stages"]["train"] | {"vary": {}, "after": ["arena"]}
    spec = small_run(stages=PLAN["stages"] | {"more": more})
    script = submitted(estimates=TIMES | {"more": estimate(5, 6.0, doubt=0.0)})
    assert ahead(script, spec=spec).starts["more"] == 350


def test_what_is_left_out_takes_no_time_and_is_not_waited_for() -> None:
    made = ahead(submitted(), without={"train-winner"})
    assert made.finish() == 100 + 100 + 50
    assert made.usd_at() == 250
    assert "train-winner" not in made.ends


def test_trainings_may_be_thought_shorter() -> None:
    assert ahead(submitted(), steps={"train-winner": 3}).finish() == 100 + 120 + 50


def test_what_is_over_is_paid_and_takes_no_more_time() -> None:
    script = submitted().at(10, "started", stage="enc", attempt=1)
    script.at(90, "ended", stage="enc", attempt=1, code=0, detail={"dataset": "datasets/c/a"})
    made = ahead(script, 90)
    assert made.finish() == 90 + 250
    assert (made.spent, made.usd_at()) == (80, 80 + 350)


def test_quantiles_of_one_node() -> None:
    """A log-normal time of 100 s with a spread of 70 %: sigma = sqrt(ln 1.49) = 0.63149."""
    spec = small_run(stages={"enc": PLAN["stages"]["enc"]}, verdicts={})
    made = ahead(submitted(0.7), spec=spec)
    assert made.finish(0.5) == pytest.approx(100)
    assert made.finish(0.9) == pytest.approx(100 * math.exp(0.631489 * 1.281552), rel=1e-5)
    assert made.finish(0.95) == pytest.approx(282.6, abs=0.1)
    assert made.usd_at(0.95) == pytest.approx(282.6, abs=0.1)
    # ln 2 / 0.63149 = 1.0976 sigma: 13.6 %
    assert made.risk(200, None) == pytest.approx(0.1362, abs=2e-4)
    assert made.risk(None, 200) == pytest.approx(0.1362, abs=2e-4)
    assert made.risk(200, 100) == pytest.approx(0.5)
    assert made.risk(None, None) == 0
    assert made.risk(0, None) == made.risk(None, 0) == 1


def test_spreads_of_a_chain_add_up_as_variances_do() -> None:
    made = ahead(submitted(0.1))
    # 100, 200 and 50 s, each +- 10 %
    assert made.seconds == (350, pytest.approx(10**2 + 20**2 + 5**2))
    assert made.usd == (450, pytest.approx(10**2 + 20**2 + 10**2 + 5**2))


def test_money_spent_is_not_doubted() -> None:
    script = submitted(0.5).at(1, "started", stage="enc", attempt=1)
    script.at(1001, "ended", stage="enc", attempt=1, code=0, detail={"dataset": "datasets/c/a"})
    made = ahead(script, 1001)
    assert made.spent == 1000
    assert made.usd_at(0.01) > 1000
    assert made.risk(None, 1000) == 1


@pytest.mark.parametrize("doubt", [0.1, 0.7])
def test_more_certainty_takes_longer_and_a_later_deadline_is_less_risky(doubt: float) -> None:
    made = ahead(submitted(doubt))
    levels = (0.05, 0.5, 0.9, 0.95, 0.99)
    finishes = [made.finish(level) for level in levels]
    assert finishes == sorted(finishes)
    assert len(set(finishes)) == len(levels)
    risks = [made.risk(deadline, None) for deadline in (100, 300, 350, 400, 1000)]
    assert risks == sorted(risks, reverse=True)
    for level in levels:
        assert made.risk(made.finish(level), None) == pytest.approx(1 - level)


def training(steps: int = 5, **changes: Any) -> Script:
    script = submitted(**changes).at(0, "started", stage="enc", attempt=1)
    script.at(100, "ended", stage="enc", attempt=1, code=0, detail={"dataset": "datasets/c/a"})
    detail = {"steps": steps}
    return script.at(100, "started", stage="train-winner", attempt=1, detail=detail)


def test_what_runs_is_extrapolated_by_the_pace_that_was_seen() -> None:
    script = training().seen(200, "train-winner", 1, 0.01, total=5)
    made = ahead(script, 300)
    # Two steps are done by now, three are left at 100 s each; then the arena.
    assert made.end_of("train-winner") == pytest.approx(300 + 300)
    assert made.finish() == pytest.approx(300 + 300 + 50, rel=1e-3)
    assert made.ends["train-winner"][1] == pytest.approx((300 * 0.05) ** 2)


def test_what_runs_and_was_not_seen_yet_takes_what_was_expected() -> None:
    """Time that it has spent on its start is over; its steps are not believed before they are
    seen."""
    known = TIMES | {"train-winner": estimate(5, 40.0, start_s=30.0)}
    assert ahead(training(estimates=known), 110).end_of("train-winner") == pytest.approx(330, 0.01)
    assert ahead(training(estimates=known), 500).end_of("train-winner") == pytest.approx(700, 0.01)


def test_an_arena_at_work_goes_by_its_own_count_else_by_the_clock() -> None:
    script = submitted()
    for name in ("enc", "train-winner", "train-loser"):
        detail = {"dataset": "datasets/c/a", "model": "models/c/x"}
        script.at(0, "started", stage=name, attempt=1)
        script.at(0, "ended", stage=name, attempt=1, code=0, detail=detail)
    script.at(100, "started", stage="arena", attempt=1)
    assert ahead(script, 120).finish() == 120 + 30
    assert ahead(script, 300).finish() == 300 + 0.15 * 200, "overdue, but not done"
    script.seen(120, "arena", 10, 0.5, total=100)
    assert ahead(script, 140).finish() == pytest.approx(140 + 160)


def test_a_training_that_was_shortened_ends_where_it_was_told() -> None:
    script = training().seen(200, "train-winner", 1, 0.01, total=5)
    script.at(200, "shortened", detail={"steps": {"train-winner": 3}}, text="late")
    # Two steps are left at 100 s; and its restart, which takes no time here.
    assert ahead(script, 200).end_of("train-winner") == pytest.approx(400)
    state = read_state(SPEC, script.events)
    assert planned(state, SPEC.node("train-winner")) == 3
    known = TIMES | {"train-winner": estimate(5, 40.0, start_s=30.0, tail_s=7.0)}
    script = training(estimates=known).seen(200, "train-winner", 1, 0.01, total=5)
    script.at(200, "shortened", detail={"steps": {"train-winner": 3}}, text="late")
    assert ahead(script, 200).end_of("train-winner") == pytest.approx(200 + 200 + 30 + 7, rel=0.01)


def test_steps_are_not_made_twice() -> None:
    script = training().seen(200, "train-winner", 3, 0.01, total=5)
    script.at(200, "ended", stage="train-winner", attempt=1, code=143)
    assert ahead(script, 200).end_of("train-winner") == 200 + 2 * 40
    state = read_state(SPEC, script.events)
    assert planned(state, SPEC.node("train-winner")) == 5


def test_what_continues_a_training_makes_only_the_rest() -> None:
    more = PLAN["stages"]["train"] | {"vary": {}, "steps": 8, "continues": "train/winner"}
    spec = small_run(stages=PLAN["stages"] | {"more": more})
    known = TIMES | {"more": estimate(8, 10.0, doubt=0.0)}
    made = ahead(submitted(estimates=known), spec=spec)
    assert made.end_of("more") - made.end_of("train-winner") == 3 * 10


def test_epochs_are_counted_again_when_the_games_are_there() -> None:
    train = {"train": "lstm", "data": "enc", "epochs": 2, "batch": 4, "threads": 1}
    stages = {"enc": PLAN["stages"]["enc"], "train": train | {"shorten_to": 0.3}}
    spec = small_run(stages=stages, verdicts={})
    script = submitted()
    node = spec.node("train")
    assert planned(read_state(spec, script.events), node) == 4  # of 8 games 7 to train on
    script.at(1, "started", stage="enc", attempt=1)
    counted = {"dataset": "d", "games": {"train": 80}, "rows": {"train": 1}}
    script.at(2, "ended", stage="enc", attempt=1, code=0, detail=counted)
    state = read_state(spec, script.events)
    assert (planned(state, node), shortest(state, node)) == (40, 12)


def test_what_runs_reaches_what_it_was_given() -> None:
    """Adopted settings may make other steps of its epochs than the plan had expected."""
    state = read_state(SPEC, training(steps=8).events)
    assert planned(state, SPEC.node("train-winner")) == 8
    assert planned(state, SPEC.node("train-loser")) == 5


def test_what_runs_keeps_its_cores_until_it_ends() -> None:
    script = training(cpus=1).seen(200, "train-winner", 2, 0.01, total=5)
    made = ahead(script, 200)
    assert made.starts["train-loser"] == pytest.approx(300)
    assert made.end_of("train-loser") == pytest.approx(200 + 300 + 100, rel=1e-3)


def test_what_is_to_come_costs_what_it_costs_now() -> None:
    script = submitted().at(1, "priced", detail={"prices": {"cpu": 7200.0}}, text="dearer")
    assert ahead(script, 1).usd_at() == 900
