"""The moment after which what follows the trainings would not fit any more."""

from __future__ import annotations

import pytest

from tests.wmctl.run.pressed import called, history, night, running
from wmctl.run.fold import read_state
from wmctl.run.pressure import Shorten, Skip, harvest


def test_the_last_call_is_when_what_follows_would_not_fit_any_more() -> None:
    script = running(history(deadline=500), 300)  # it ends at 800, 500 is for the arena at 400
    assert called(night(), script, 350) == []
    [made] = called(night(), script, 410)
    assert isinstance(made, Shorten)
    assert made.steps == {"t": 600}, "610 are done; of 600 there is a checkpoint"
    assert made.text == (
        "last call: the run would end 1 min after the deadline if training went on; "
        "trainings stop where they are: t at 600"
    )


def test_the_last_call_of_the_budget() -> None:
    script = running(history(deadline=None), 300)
    spec = night(budget=600)
    assert called(spec, script, 400) == []  # 1 + 390 + 100
    [made] = called(spec, script, 520)  # 1 + 510 + 100
    assert isinstance(made, Shorten)
    assert made.text.startswith("last call: the run would cost $611.")


def test_a_guess_of_what_follows_is_reserved_for_up_to_a_bound() -> None:
    """90 % of an arena's 100 s at a doubt of 0.3 is 145 s; at 0.7 it would be 225 s."""
    script = running(history(deadline=1000, doubt=0.7), 300, 0.5)
    assert called(night(), script, 1000 - 150) == []
    assert called(night(), script, 1000 - 140) != []


def test_the_first_training_goes_on_as_long_as_there_is_hope() -> None:
    """Nothing has been trained: then the arena must only be expected to fit, and not surely."""
    script = history(deadline=1000, doubt=0.7).at(10, "started", stage="t", attempt=1)
    assert called(night(), script, 890) == []
    [made] = called(night(), script, 901)
    assert isinstance(made, Skip)
    assert made.text.endswith("if training went on, and t has made no step")


def test_what_was_told_to_stop_is_not_called_again() -> None:
    spec, script = night(u={}), history(deadline=1000)
    for name in ("t", "u"):
        script.at(10, "started", stage=name, attempt=1)
    [made] = called(spec, script, 901)
    assert isinstance(made, Skip)
    assert made.text.endswith("and t and u have made no step")
    script.at(901, "skipped", detail={"stages": made.stages}, text=made.text)
    assert called(spec, script, 902) == []


def test_with_a_model_at_hand_what_was_not_begun_is_given_up_in_time() -> None:
    spec = night(u={"after": ["t"]})
    script = running(history(deadline=1000, doubt=0.7), 300)
    script.at(800, "ended", stage="t", attempt=1, code=0, detail={"model": "models/c/x"})
    assert called(spec, script, 850) == []
    [made] = called(spec, script, 860)
    assert isinstance(made, Skip)
    assert made.stages == ["u"]


def test_once_called_there_is_no_second_call() -> None:
    script = running(history(deadline=500), 300)
    [made] = called(night(), script, 410)
    assert isinstance(made, Shorten)
    script.at(410, "shortened", detail={"steps": dict(made.steps)}, text=made.text)
    assert called(night(), script, 411) == []


def test_what_has_made_no_step_is_left_out() -> None:
    script = running(history(deadline=500), 300)
    spec = night(u={"after": ["t"]})
    shorten, skip = called(spec, script, 410)
    assert isinstance(shorten, Shorten)
    assert isinstance(skip, Skip)
    assert (dict(shorten.steps), skip.stages) == ({"t": 600}, ["u"])
    assert skip.text.endswith("if training went on, and u has made no step")
    script.at(410, "skipped", detail={"stages": ["u"]}, text=skip.text)
    assert [type(a) for a in called(spec, script, 411)] == [Shorten]


def test_without_trainings_there_is_no_last_call() -> None:
    script = running(history(deadline=500), 300)
    script.at(400, "ended", stage="t", attempt=1, code=0, detail={"model": "models/c/x"})
    assert called(night(), script, 490) == []


@pytest.mark.parametrize(
    ("done", "kept"), [(0, 0), (60, 60), (100, 100), (199, 100), (650, 600), (999, 900)]
)
def test_what_a_training_leaves_is_its_newest_checkpoint(done: float, kept: int) -> None:
    spec = night()
    running_one = running(history(deadline=None), done, 0.0)
    assert harvest(read_state(spec, running_one.events), spec.node("t"), 100) == kept


def test_what_waits_again_leaves_what_it_had() -> None:
    spec, script = night(), running(history(deadline=None), 650, 1.0)
    script.at(110, "ended", stage="t", attempt=1, code=143)
    assert harvest(read_state(spec, script.events), spec.node("t"), 10_000) == 600
