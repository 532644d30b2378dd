from __future__ import annotations

from typing import Any

import pytest

from tests.support.runs import PLAN, estimate, small_run, terms
from wm.errors import BadConfig
from wmctl.run.objections import check, fresh_state, least, objections
from wmctl.run.spec import RunSpec
from wmctl.run.state import RunState
from wmctl.run.terms import Terms

TRAIN: dict[str, Any] = {"train": "lstm", "data": "enc", "threads": 1, "steps": 1000}
NOW = 1000.0


def plan(*, budget: float | None = None, **train: Any) -> RunSpec:
    stages = {
        "enc": PLAN["stages"]["enc"],
        "train": TRAIN | train,
        "arena": {"arena": "chess", "players": ["train?", "greedy", "random"]},
    }
    return small_run(stages=stages, verdicts={}, budget=budget)


def state(spec: RunSpec, left: float | None = None, doubt: float = 0.3) -> RunState:
    """100 s of encoding, a second for each step, 100 s of arena; a second is a dollar."""
    known = {"enc": estimate(100, doubt=doubt), "arena": estimate(100, doubt=doubt)}
    for node in spec.nodes:
        if node.kind == "train":
            known[node.name] = estimate(node.steps, doubt=doubt)
    deadline = None if left is None else NOW + left
    made = terms(deadline=deadline, cpus=2, prices={"cpu": 3600.0}, estimates=known)
    return fresh_state(spec, Terms.model_validate(made), NOW)


def against(spec: RunSpec, left: float | None = None) -> list[str]:
    return objections(spec, state(spec, left), NOW)


def test_what_cannot_be_done_in_time_is_refused() -> None:
    assert against(plan(), 1201) == []
    assert against(plan(), 1000) == [
        "with everything as short as the plan allows the run would end 3 min after the deadline"
    ]


def test_what_cannot_be_paid_is_refused() -> None:
    assert against(plan(budget=1201)) == []
    assert against(plan(budget=1000)) == [
        "with everything as short as the plan allows the run would cost $1,200.00 of $1000"
    ]


def test_without_limits_nothing_is_refused() -> None:
    assert against(plan()) == []


def test_trainings_count_with_their_shortest() -> None:
    assert against(plan(shorten_to=0.5), 701) == []
    assert against(plan(shorten_to=0.5), 699) != []


def test_what_is_optional_does_not_count() -> None:
    stages = plan().plan.model_dump(exclude_unset=True)["stages"] | {"more": TRAIN}
    stages["arena"]["players"] = ["train", "more?"]
    must = small_run(stages=stages, verdicts={})
    assert against(must, 1201) == [], "both at once"
    alone = stages | {"more": TRAIN | {"steps": 5000}}
    assert against(small_run(stages=alone, verdicts={}), 1201) != []
    alone["more"] = alone["more"] | {"optional": True}
    assert against(small_run(stages=alone, verdicts={}), 1201) == []
    assert against(small_run(stages=alone, verdicts={}), 1199) != []


def test_of_bets_the_most_cautious_counts() -> None:
    bet = TRAIN | {"variants": {"safe": {"steps": 300}, "bold": {"steps": 900}}}
    choices = {"bet": {"among": ["bet/safe", "bet/bold"], "fits": True}}
    spec = small_run(
        stages={"enc": PLAN["stages"]["enc"], "bet": bet}, choices=choices, verdicts={}
    )
    assert against(spec, 401) == []
    assert against(spec, 399) != []
    assert least(spec, state(spec), NOW).finish() == NOW + 400


def test_what_may_fit_is_not_refused_however_doubtful() -> None:
    spec = plan()
    assert objections(spec, state(spec, 1201, doubt=0.7), NOW) == []


def test_the_refusal_names_the_way_out() -> None:
    spec = plan(budget=1000)
    with pytest.raises(BadConfig) as error:
        check(against(spec))
    assert error.value.message.startswith("with everything as short as the plan allows the run")
    assert "give more time or money, or a smaller plan" in error.value.hint
    assert "--accept submits all the same" in error.value.hint
    check(against(plan(), 1201))
