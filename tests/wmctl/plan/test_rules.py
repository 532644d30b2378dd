from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from wmctl.plan.rules import Choice, Condition, Criterion, Gate, Verdict


def problem(part: type, **tree: Any) -> str:
    with pytest.raises(ValidationError) as error:
        part.model_validate(tree)  # type: ignore[attr-defined]
    return str(error.value.errors()[0]["msg"])


@pytest.mark.parametrize(
    ("bound", "side", "shown"),
    [
        ({"above": 0.3}, "above", "top1 > 0.3"),
        ({"at_least": 0.3}, "at_least", "top1 >= 0.3"),
        ({"below": 0.3}, "below", "top1 < 0.3"),
        ({"at_most": 0.3}, "at_most", "top1 <= 0.3"),
        ({"above": 0}, "above", "top1 > 0"),
    ],
)
def test_a_condition_has_one_bound(bound: dict[str, float], side: str, shown: str) -> None:
    condition = Condition.model_validate({"metric": "top1"} | bound)
    assert condition.side == side
    assert condition.bound == bound[side]
    assert str(condition) == shown


@pytest.mark.parametrize("bounds", [{}, {"above": 0, "below": 1}, {"at_least": 0, "at_most": 0}])
def test_no_bound_and_two_are_refused(bounds: dict[str, float]) -> None:
    says = problem(Condition, metric="top1", **bounds)
    assert "top1: give one of above, at_least, below, at_most" in says


def test_a_condition_says_whose_figure_and_against_whom() -> None:
    condition = Condition(metric="elo", of="new", against="old", than="base", above=10)
    assert str(condition) == "new elo against old minus base's > 10"


@pytest.mark.parametrize(
    "wrong", [{"confidence": 1.0}, {"confidence": 0}, {"min_sample": -1}, {"holds": "maybe"}]
)
def test_what_a_condition_may_not_hold(wrong: dict[str, Any]) -> None:
    assert problem(Condition, metric="top1", above=0, **wrong)


def test_a_gate_takes_a_figure_as_it_was_measured_and_a_verdict_wants_it_shown() -> None:
    assert Condition(metric="top1", above=0).confidence is None
    assert Criterion(metric="elo", above=0).confidence == 0.95
    assert Criterion(metric="exit_code", at_most=0, confidence=None).confidence is None


def test_the_short_form_of_a_gate_is_one_condition() -> None:
    short = {"metric": "top1", "of": "train/a", "at_least": 0.2, "confidence": 0.9}
    gate = Gate.model_validate(
        {"after": "train", "name": "learns", "on_fail": "skip", "guards": ["more"]} | short
    )
    assert gate.require == [Condition(metric="top1", of="train/a", at_least=0.2, confidence=0.9)]
    assert (gate.after, gate.on_fail, gate.guards) == ("train", "skip", ["more"])
    assert gate.title == "learns"


def test_a_gate_is_called_by_its_conditions_and_stops_by_default() -> None:
    require = [{"metric": "top1", "at_least": 0.2}, {"metric": "raw_legal", "above": 0.5}]
    gate = Gate.model_validate({"after": "train", "require": require})
    assert gate.title == "train: top1 >= 0.2 and raw_legal > 0.5"
    assert gate.on_fail == "stop"


def test_what_is_wrong_with_a_gate() -> None:
    one = {"metric": "top1", "at_least": 0.2}
    assert "either require, or the one condition" in problem(Gate, after="t", require=[one], **one)
    assert "at least 1 item" in problem(Gate, after="t", require=[])
    assert "Extra inputs" in problem(Gate, after="t", metrics="top1", require=[one])
    assert "'stop', 'skip', 'continue' or 'shorten'" in problem(
        Gate, after="t", on_fail="halt", **one
    )


def test_a_choice_is_by_figures_or_by_what_fits_and_not_both() -> None:
    by = [{"metric": "top1"}]
    says = "either by figures, or it fits"
    assert says in problem(Choice, among=["a"])
    assert says in problem(Choice, among=["a"], by=by, fits=True)
    assert Choice.model_validate({"among": ["a"], "by": by}).keep == 1
    assert Choice(among=["a"], fits=True).by == []


def test_of_what_fits_one_is_chosen() -> None:
    assert "one is chosen" in problem(Choice, among=["a", "b"], fits=True, keep=2)


@pytest.mark.parametrize("keep", [0, -1, 0.0, 1.5])
def test_as_many_are_kept_as_can_be(keep: float) -> None:
    assert problem(Choice, among=["a"], by=[{"metric": "top1"}], keep=keep)


def test_a_verdict_has_criteria_and_a_choice_alternatives() -> None:
    assert "at least 1 item" in problem(Verdict, arena="a", candidate="b", criteria=[])
    assert "at least 1 item" in problem(Choice, among=[], fits=True)
    assert problem(Choice, among=["a"], by=[{"metric": "top1", "tie": -1}])
