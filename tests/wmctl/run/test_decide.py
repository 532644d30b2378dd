from __future__ import annotations

from typing import Any

import pytest

from tests.support.runs import PLAN, Script, small_run
from wmctl.run.decide import DecideGate, Finish, Judge, Start, Stop, next_actions
from wmctl.run.fold import read_state
from wmctl.run.spec import RunSpec


def actions(spec: RunSpec, script: Script, *, cpus: int = 4, now: float | None = None) -> list[Any]:
    return next_actions(spec, script.events, script.now if now is None else now, cpus=cpus)


def started(found: list[Any]) -> list[tuple[str, int]]:
    assert all(isinstance(a, Start) for a in found), found
    return [(a.node.name, a.attempt) for a in found]


def submitted() -> Script:
    return Script().add("submitted")


def test_a_run_is_walked_from_start_to_verdict() -> None:
    spec, script = small_run(), submitted()
    assert started(actions(spec, script)) == [("enc", 1)]
    script.add("started", stage="enc", attempt=1)
    assert actions(spec, script) == []
    script.add("ended", stage="enc", attempt=1, code=0, detail={"dataset": "datasets/chess/ab"})
    trains = actions(spec, script)
    assert started(trains) == [("train-winner", 1), ("train-loser", 1)]
    assert trains[0].config["data"] == "datasets/chess/ab"
    script.walk("train-winner", "train-loser")
    arena = actions(spec, script)
    assert started(arena) == [("arena", 1)]
    assert [p["model"] for p in arena[0].config["players"]] == [
        "models/chess/w",
        "models/chess/l",
        None,
    ]
    script.walk("arena")
    assert actions(spec, script) == [Judge("chess")]
    script.add("verdict", name="chess", outcome="hold")
    [finish] = actions(spec, script)
    assert finish == Finish(0, "every stage has ended")
    script.add("finished", code=0)
    assert actions(spec, script) == []


def test_no_more_stages_run_at_once_than_there_are_cores() -> None:
    spec, script = small_run(), submitted().walk("enc")
    assert started(actions(spec, script, cpus=1)) == [("train-winner", 1)]
    script.add("started", stage="train-winner", attempt=1)
    assert actions(spec, script, cpus=1) == []
    assert started(actions(spec, script, cpus=2)) == [("train-loser", 1)]


def test_a_stage_that_wants_more_cores_than_there_are_runs_alone() -> None:
    spec = small_run()
    spec.node("enc").cpus = 64
    assert started(actions(spec, submitted(), cpus=1)) == [("enc", 1)]


def test_a_retryable_end_is_tried_again_until_attempts_are_used_up() -> None:
    spec, script = small_run(attempts=2), submitted()
    script.add("started", stage="enc", attempt=1).add("ended", stage="enc", attempt=1, code=137)
    assert started(actions(spec, script)) == [("enc", 2)]
    script.add("started", stage="enc", attempt=2).add("ended", stage="enc", attempt=2, code=137)
    [judge] = actions(spec, script)
    assert judge == Judge("chess", stopped="enc failed")
    script.add("verdict", name="chess", outcome="stop")
    [finish] = actions(spec, script)
    assert finish.code == 75


def test_a_permanent_end_is_not_tried_again_and_its_code_is_the_runs() -> None:
    spec, script = small_run(), submitted()
    script.add("started", stage="enc", attempt=1)
    script.add("ended", stage="enc", attempt=1, code=65, text="no game was accepted")
    script.add("verdict", name="chess", outcome="stop")
    [finish] = actions(spec, script)
    assert finish == Finish(65, "enc failed: no game was accepted")


def test_submitting_again_tries_what_failed_and_judges_again() -> None:
    spec, script = small_run(), submitted()
    script.add("started", stage="enc", attempt=1).add("ended", stage="enc", attempt=1, code=65)
    script.add("verdict", name="chess", outcome="stop").add("finished", code=65).add("resumed")
    assert started(actions(spec, script)) == [("enc", 2)]
    script.walk("enc", "train-winner", "train-loser", "arena")
    assert actions(spec, script) == [Judge("chess")]


def test_one_failed_variant_lets_the_other_go_on_but_not_the_arena() -> None:
    spec, script = small_run(), submitted().walk("enc")
    script.add("started", stage="train-winner", attempt=1)
    script.add("ended", stage="train-winner", attempt=1, code=70)
    assert actions(spec, script) == [Judge("chess", stopped="train-winner failed")]
    script.add("verdict", name="chess", outcome="stop")
    assert started(actions(spec, script)) == [("train-loser", 1)]


GATE = {"after": "train", "metric": "top1", "at_least": 0.2}


def test_a_failed_gate_stops_what_depends_on_it_and_is_no_error() -> None:
    spec = small_run(gates=[GATE])
    script = submitted().walk("enc", "train-winner")
    assert started(actions(spec, script)) == [("train-loser", 1)]
    script.walk("train-loser")
    [gate] = actions(spec, script)
    assert isinstance(gate, DecideGate)
    assert gate.outcome == "fail"
    assert gate.text == "train: top1 >= 0.2: train/winner 0.3, train/loser 0.1: failed"
    script.add("gate", name=gate.name, outcome=gate.outcome, text=gate.text)
    assert actions(spec, script) == [Judge("chess", stopped=gate.text)]
    script.add("verdict", name="chess", outcome="stop")
    assert actions(spec, script) == [Finish(0, "every stage has ended")]


@pytest.mark.parametrize(
    "gate", [GATE | {"at_least": 0.1}, GATE | {"on_fail": "continue"}, GATE | {"metric": "step"}]
)
def test_a_gate_that_passes_or_only_warns_lets_the_run_go_on(gate: dict[str, Any]) -> None:
    spec = small_run(gates=[gate])
    script = submitted().walk("enc", "train-winner", "train-loser")
    [decided] = actions(spec, script)
    script.add("gate", name=decided.name, outcome=decided.outcome, text=decided.text)
    assert started(actions(spec, script)) == [("arena", 1)]


def test_a_metric_that_is_missing_or_no_number_never_passes() -> None:
    spec = small_run(gates=[GATE | {"metric": "nothing"}])
    script = submitted().walk("enc", "train-winner", "train-loser")
    [decided] = actions(spec, script)
    assert decided.outcome == "fail"


def test_past_the_deadline_running_stages_are_stopped_and_the_verdict_says_so() -> None:
    spec, script = small_run(deadline="60s"), submitted().walk("enc")
    script.add("started", stage="train-winner", attempt=1)
    assert actions(spec, script, now=61.0) != []
    late = script.events[0].time + 61
    assert actions(spec, script, now=late) == [Stop("train-winner", 1, "the deadline has passed")]
    script.add("ended", stage="train-winner", attempt=1, code=143)
    [judge] = actions(spec, script, now=late)
    assert judge == Judge("chess", stopped="the deadline has passed before arena was done")
    script.add("verdict", name="chess", outcome="stop")
    assert actions(spec, script, now=late) == [Finish(0, "the deadline has passed")]


def test_decisions_depend_on_nothing_but_their_arguments() -> None:
    spec, script = small_run(), submitted().walk("enc")
    assert actions(spec, script) == actions(spec, script)
    assert read_state(spec, script.events) == read_state(spec, list(script.events))


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


def oom_run(**resources: str) -> RunSpec:
    stages = PLAN["stages"] | {"enc": {"encode": "chess", "workers": 1, "resources": resources}}
    return small_run(stages=stages)


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


def test_a_cancelled_run_stops_its_stages_and_ends_until_it_is_submitted_again() -> None:
    spec, script = small_run(), submitted()
    script.add("started", stage="enc", attempt=1).add("cancelled", text="cancelled by ada@desk")
    assert actions(spec, script) == [Stop("enc", 1, "cancelled by ada@desk")]
    ended(script, 143)
    [judge] = actions(spec, script)
    assert judge == Judge("chess", stopped="cancelled by ada@desk before arena was done")
    script.add("verdict", name="chess", outcome="stop", text="")
    assert actions(spec, script) == [Finish(143, "cancelled by ada@desk")]
    script.add("finished", code=143).add("resumed")
    [start] = actions(spec, script)
    assert isinstance(start, Start)
    assert start.attempt == 2
