"""Which ends of an attempt are followed by another one, and what that asks for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.runs import PLAN, Script, actions, small_run
from wmctl.run.decide import Finish, Start
from wmctl.run.fold import read_state
from wmctl.run.spec import RunSpec


def submitted() -> Script:
    return Script().add("submitted")


def ended(script: Script, code: int, attempt: int = 1, **detail: Any) -> Script:
    return script.add("ended", stage="enc", attempt=attempt, code=code, detail=detail)


@pytest.mark.parametrize(
    ("code", "reason"), [(143, ""), (137, "Evicted"), (137, "NodeLost"), (137, "Deleted")]
)
def test_a_stage_that_is_stopped_from_outside_is_taken_up_again_and_has_not_failed(
    code: int, reason: str
) -> None:
    spec, script = small_run(attempts=1, disruptions=2), submitted()
    for attempt in (1, 2):
        script.add("started", stage="enc", attempt=attempt)
        ended(script, code, attempt, reason=reason)
        [start] = actions(spec, script)
        assert isinstance(start, Start)
        assert start.attempt == attempt + 1
        assert read_state(spec, script.events).nodes["enc"].failures == 0
    script.add("started", stage="enc", attempt=3)
    ended(script, code, 3, reason=reason)
    assert read_state(spec, script.events).nodes["enc"].phase == "failed"


def oom_run(attempts: int = 3, **resources: str) -> RunSpec:
    stages = PLAN["stages"] | {"enc": {"encode": "chess", "workers": 1, "resources": resources}}
    return small_run(stages=stages, attempts=attempts)


def test_what_was_killed_for_want_of_memory_is_tried_again_with_more() -> None:
    spec, script = oom_run(memory="1Gi", memory_max="3Gi"), submitted()
    for attempt, (given, more) in enumerate([("1Gi", "2048Mi"), ("2048Mi", "3Gi")], 1):
        script.add("started", stage="enc", attempt=attempt, detail={"memory": given})
        [start] = actions(spec, ended(script, 137, attempt, reason="OOMKilled"))
        assert isinstance(start, Start)
        assert start.resources.memory == more
    script.add("started", stage="enc", attempt=3, detail={"memory": "3Gi"})
    ended(script, 137, 3, reason="OOMKilled")
    assert read_state(spec, script.events).nodes["enc"].phase == "failed"


def test_without_more_memory_it_is_not_tried_again() -> None:
    spec, script = oom_run(memory="1Gi"), submitted()
    script.add("started", stage="enc", attempt=1, detail={"memory": "1Gi"})
    ended(script, 137, reason="OOMKilled")
    assert read_state(spec, script.events).nodes["enc"].phase == "failed"
    assert read_state(spec, script.events).nodes["arena"].phase == "blocked"


def test_another_kind_of_end_asks_for_the_same_memory_again() -> None:
    spec, script = oom_run(memory="1Gi", memory_max="3Gi"), submitted()
    script.add("started", stage="enc", attempt=1, detail={"memory": "1Gi"})
    [start] = actions(spec, ended(script, 139))
    assert isinstance(start, Start)
    assert start.resources.memory == "1Gi"


def test_only_want_of_memory_asks_for_more_and_needs_some_to_be_left() -> None:
    spec, script = oom_run(memory="1Gi"), submitted()
    script.add("started", stage="enc", attempt=1, detail={"memory": "1Gi"})
    [start] = actions(spec, ended(script, 139))
    assert isinstance(start, Start)
    assert (start.attempt, start.resources.memory) == (2, "1Gi")


def test_where_nobody_wrote_down_what_it_was_given_it_was_what_the_plan_says() -> None:
    spec, script = oom_run(memory="1Gi", memory_max="3Gi"), submitted()
    script.add("started", stage="enc", attempt=1)
    [start] = actions(spec, ended(script, 137, reason="OOMKilled"))
    assert isinstance(start, Start)
    assert start.resources.memory == "2048Mi"


def test_more_memory_is_no_more_attempts() -> None:
    spec, script = oom_run(1, memory="1Gi", memory_max="3Gi"), submitted()
    script.add("started", stage="enc", attempt=1, detail={"memory": "1Gi"})
    ended(script, 137, reason="OOMKilled")
    assert read_state(spec, script.events).nodes["enc"].phase == "failed"


@pytest.mark.parametrize(
    ("code", "runs_code"),
    [
        (137, 75),  # each attempt that there was ended so
        (65, 65),  # no further one would have helped
        (143, 143),  # it did not fail: it was stopped too often
    ],
)
def test_the_code_of_a_run_whose_stage_is_not_tried_again(code: int, runs_code: int) -> None:
    spec, script = small_run(attempts=1, disruptions=0, verdicts={}), submitted()
    script.add("started", stage="enc", attempt=1)
    [finish] = actions(spec, ended(script, code))
    assert isinstance(finish, Finish)
    assert finish.code == runs_code
    assert finish.text.startswith("enc failed: ")
