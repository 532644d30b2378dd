"""What gives way to the deadline and the budget."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.runs import PLAN, small_run
from tests.wmctl.run.pressed import TRAIN, called, history, night, pressed, running
from wmctl.run.fold import read_state
from wmctl.run.forecast import forecast
from wmctl.run.pressure import (
    CALM,
    RESERVE_DOUBT,
    Shorten,
    Skip,
    alternatives,
    misses,
    relieve,
)
from wmctl.run.state import RunState


def test_what_is_ready_is_shortened_to_what_fits() -> None:
    [made] = pressed(night(), history(deadline=1000), 100, "t")
    assert isinstance(made, Shorten)
    # 900 s are left, of which the arena takes 100; 1/128 of what can give way is 6 steps
    assert made.steps["t"] == pytest.approx(800, abs=7)
    assert made.steps["t"] <= 800
    assert made.text == (
        "the run would end 3 min after the deadline; "
        f"shortened t to {made.steps['t']:,} of 1,000 steps"
    )


def test_the_budget_shortens_as_the_deadline_does() -> None:
    [made] = pressed(night(budget=601), history(deadline=None), 100, "t")
    assert isinstance(made, Shorten)
    assert made.steps["t"] == pytest.approx(500, abs=7)  # a dollar is spent, the arena costs 100
    # $1101 and 1.28 standard deviations: sqrt(1^2 + 0.1^2) for the two
    assert "the run would cost $1,102.29 of $601" in made.text


def test_what_fits_is_left_alone() -> None:
    assert pressed(night(), history(deadline=1250), 100, "t") == []
    assert pressed(night(budget=1150), history(deadline=None), 100, "t") == []


def test_without_limits_nothing_gives_way() -> None:
    script = running(history(deadline=None), 10, 0.001)
    assert pressed(night(), script, 10_000, "t") == []
    assert called(night(), script, 10_000) == []


def test_the_less_sure_the_forecast_the_shorter() -> None:
    sure = pressed(night(), history(deadline=1000, doubt=0.01), 100, "t")
    unsure = pressed(night(), history(deadline=1000, doubt=0.5), 100, "t")
    steps = [made[0].steps["t"] for made in (sure, unsure)]  # type: ignore[union-attr]
    assert steps[1] < 0.75 * steps[0]


def test_a_mere_guess_is_doubted_up_to_a_bound() -> None:
    """To reserve for the worst of a guess would leave a short night without any training."""
    bound, beyond = (
        pressed(night(), history(deadline=1000, doubt=doubt), 100, "t") for doubt in (0.3, 0.7)
    )
    assert bound == beyond


def test_trainings_give_way_by_the_same_share() -> None:
    spec = night(u={"steps": 500, "shorten_to": 0.6})
    [made] = pressed(spec, history(deadline=700), 100, "t", "u")
    assert isinstance(made, Shorten)
    # t has 500 s: 3/8 of what it can give way (200 to 1000), and so u 3/8 of 300 to 500
    assert made.steps["t"] == pytest.approx(500, abs=7)
    assert made.steps["u"] == pytest.approx(375, abs=2)


def test_what_cannot_give_way_is_left_to_the_last_call() -> None:
    stiff = night(u={"shorten_to": 1.0})
    assert pressed(stiff, history(deadline=1000), 100, "u") == []
    assert pressed(night(), history(deadline=1000), 100, "t") != []


def test_at_its_bound_a_training_goes_no_lower() -> None:
    [made] = pressed(night(), history(deadline=210), 100, "t")
    assert isinstance(made, Shorten)
    assert made.steps == {"t": 200}


@settings(max_examples=60, deadline=None)
@given(
    left=st.floats(50, 3000),
    paces=st.tuples(st.floats(0.2, 5), st.floats(0.2, 5)),
    doubt=st.floats(0.01, 0.7),
    bound=st.floats(0.05, 1),
)
def test_after_it_gave_way_it_fits_or_is_at_its_bound(
    left: float, paces: tuple[float, float], doubt: float, bound: float
) -> None:
    spec = night(t={"shorten_to": bound}, u={"shorten_to": bound})
    script = history(deadline=100 + left, doubt=doubt, t=paces[0], u=paces[1])
    ready = [spec.node("t"), spec.node("u")]
    made = relieve(spec, read_state(spec, script.events), 100, ready)
    for action in made:
        assert isinstance(action, Shorten)
        script.at(100, "shortened", detail={"steps": dict(action.steps)}, text=action.text)
    state = read_state(spec, script.events)
    ahead = forecast(spec, state, 100, most_doubt=RESERVE_DOUBT)
    late = misses(spec, state, ahead, spec.plan.confidence)
    limits = [state.nodes[n].limit or 1000 for n in ("t", "u")]
    least = -int(-bound * 1000 // 1)
    assert all(limit >= least for limit in limits)
    assert not late or all(limit == least for limit in limits)


def test_what_runs_is_shortened_by_the_pace_that_was_seen() -> None:
    """At half a step a second, 40 of 1,000 done, 700 s left less 100 for the arena: 340 steps."""
    script = running(history(deadline=800), 40, 0.5)
    [made] = pressed(night(), script, 100)
    assert isinstance(made, Shorten)
    # its forecast is 5 % unsure, at 90 % confidence 6.6 % of what it takes
    assert made.steps["t"] == pytest.approx(40 + 300 / 1.066, abs=10)


def test_never_below_what_is_done() -> None:
    script = running(history(deadline=195), 600, 0.5)
    [made] = pressed(night(), script, 100)
    assert isinstance(made, Shorten)
    assert made.steps == {"t": 601}


def test_guesses_never_stop_what_runs() -> None:
    script = history(deadline=800).at(10, "started", stage="t", attempt=1, detail={"steps": 1000})
    assert pressed(night(), script, 100) == [], "its pace was not seen yet"


def test_what_is_about_to_be_stopped_is_not_shortened_again() -> None:
    script = running(history(deadline=800), 40, 0.5)
    script.at(100, "shortened", detail={"steps": {"t": 500}}, text="late")
    assert pressed(night(), script, 100) == []
    assert pressed(night(), script, 150 + CALM) == [], "it was not heard yet"


def test_a_few_steps_are_not_worth_a_restart() -> None:
    # 900 left at a step a second: 5 % of 1,000 steps are 50 s; 59 s is what 90 % sure needs more
    assert pressed(night(), running(history(deadline=1100 + 45), 100), 100) == []
    assert pressed(night(), running(history(deadline=1100 - 45), 100), 100) != []


def test_a_running_training_is_not_shortened_again_and_again() -> None:
    script = running(history(deadline=800), 40, 0.5)
    script.at(90, "shortened", detail={"steps": {"t": 1000}}, text="late")
    assert pressed(night(), script, 90 + CALM - 1) == []
    assert pressed(night(), script, 90 + CALM) != []


def test_what_is_ready_need_not_be_calm() -> None:
    script = history(deadline=1000).at(90, "shortened", detail={"steps": {"t": 950}}, text="late")
    assert pressed(night(), script, 100, "t") != []


OPTIONAL = {"optional": True, "shorten_to": 0.5}


def test_what_is_optional_is_left_out_when_not_even_its_shortest_fits() -> None:
    spec = night(u=OPTIONAL)
    [made] = pressed(spec, history(deadline=650), 100, "u")
    assert isinstance(made, Skip)
    assert made.stages == ["u"]
    assert made.text == "no room for u: the run would end 9 min after the deadline"


def test_what_is_optional_is_shortened_when_that_is_enough() -> None:
    spec = night(u=OPTIONAL)
    [made] = pressed(spec, history(deadline=850), 100, "u")
    assert isinstance(made, Shorten)
    assert 500 <= made.steps["u"] < 1000


def test_only_what_is_ready_is_left_out_and_later_ones_are_not_counted_on() -> None:
    spec = night(u=OPTIONAL | {"after": ["t"]})
    assert pressed(spec, history(deadline=1250), 100, "t") == [], "u does not press on t"
    must = night(u={"shorten_to": 0.5, "after": ["t"]})
    [made] = pressed(must, history(deadline=1250), 100, "t")
    assert isinstance(made, Shorten)
    assert made.steps["t"] == pytest.approx(550, abs=7), "u is expected at its shortest"


def test_what_runs_unseen_is_expected_to_take_what_it_was_meant_to() -> None:
    spec = night(budget=1500, u={})
    script = history(deadline=None).at(10, "started", stage="u", attempt=1)
    [made] = pressed(spec, script, 10, "t")
    assert isinstance(made, Shorten)
    assert made.steps == {"t": pytest.approx(400, abs=8)}, "$1000 are for u and $100 for the arena"


def test_hours_are_said_as_hours() -> None:
    [made] = pressed(night(), history(deadline=1000, t=5.0), 100, "t")
    assert made.text.startswith("the run would end 1 h 1")
    assert " min after the deadline" in made.text


def test_other_stages_do_not_give_way() -> None:
    assert pressed(night(), history(deadline=150), 100, "arena") == []


def test_what_waits_to_go_on_keeps_what_it_had_done() -> None:
    script = running(history(deadline=5010), 650, 1.0)
    script.at(110, "ended", stage="t", attempt=1, code=143)  # at step 660, long ago
    [made] = pressed(night(), script, 5000, "t")
    assert isinstance(made, Shorten)
    assert made.steps == {"t": 660}


def test_what_must_run_is_not_left_out() -> None:
    spec = night(u={"shorten_to": 0.5})
    assert all(isinstance(a, Shorten) for a in pressed(spec, history(deadline=650), 100, "u"))


def test_alternatives_are_not_expected_but_for_the_most_cautious() -> None:
    bets = {"among": ["t", "u", "v"], "fits": True}
    stages = {"enc": PLAN["stages"]["enc"]} | dict.fromkeys("tuv", TRAIN)
    spec = small_run(stages=stages, verdicts={}, choices={"bet": bets})
    script = history(deadline=None)

    def state() -> RunState:
        return read_state(spec, script.events)

    assert alternatives(spec, state()) == {"u", "v"}
    script.add("chosen", name="bet", detail={"chosen": ["u"], "left_out": ["t", "v"]})
    assert alternatives(spec, state()) == set()
