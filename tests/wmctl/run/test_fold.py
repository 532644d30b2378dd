"""What a history says: attempts, submissions, limits."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.runs import PLAN, Script, estimate, small_run, terms
from wmctl.run.fold import guarded_by, more_memory, read_state
from wmctl.run.spec import RunSpec
from wmctl.run.state import NodeState, RunState

SPEC = small_run()


def state(script: Script, spec: RunSpec = SPEC) -> RunState:
    return read_state(spec, script.events)


def winner(script: Script, spec: RunSpec = SPEC) -> NodeState:
    return state(script, spec).nodes["train-winner"]


def running(steps: int = 5) -> Script:
    script = Script().add("submitted").walk("enc")
    return script.add("started", stage="train-winner", attempt=1, detail={"steps": steps})


def test_an_attempt_under_way() -> None:
    own = winner(running())
    assert (own.phase, own.attempt, own.given, own.started) == ("running", 1, 5, 4)
    assert own.since == 4, "a process of this machine runs as soon as it is started"


def test_on_a_cluster_it_runs_when_the_platform_says_so() -> None:
    script = Script().add("submitted", detail=terms(on="kubernetes"))
    script.add("started", stage="enc", attempt=1)
    assert state(script).nodes["enc"].since == 0
    script.seen(60, "enc", 0, 0, since=30)
    assert state(script).nodes["enc"].since == 30


def test_what_was_observed_is_extrapolated_and_never_beyond_the_end() -> None:
    script = running(1000).seen(10, "train-winner", 100, 2.0)
    made = state(script)
    assert made.done_of("train-winner", 10) == 100
    assert made.done_of("train-winner", 60) == 200
    assert made.done_of("train-winner", 10_000) == 1000
    assert made.done_of("train-winner", 5) == 100


@pytest.mark.parametrize("attempt", [1, 3])
def test_news_of_another_attempt_are_not_of_this_one(attempt: int) -> None:
    script = running(1000).end("train-winner", 137)
    script.add("started", stage="train-winner", attempt=2)
    script.seen(10, "train-winner", 100, 2.0, attempt=attempt)
    assert (winner(script).done, winner(script).per_s) == (0, 0)


@pytest.mark.parametrize(
    ("code", "done"),
    [
        (143, 453),  # seen at 450, three steps before it saved its state
        (137, 400),  # the last of the checkpoints that are made every 200 steps
        (160, 400),
    ],
)
def test_a_training_goes_on_from_its_newest_checkpoint(code: int, done: int) -> None:
    script = running(1000).seen(10, "train-winner", 450, 3.0).end("train-winner", code)
    assert winner(script).done == done
    script.add("started", stage="train-winner", attempt=2)
    assert (winner(script).done, winner(script).per_s, winner(script).seen) == (done, 0, 0)


def test_what_was_never_seen_to_go_on_has_done_nothing() -> None:
    assert winner(running().end("train-winner", 143)).done == 0


def test_another_stage_begins_anew() -> None:
    script = Script().add("submitted").add("started", stage="enc", attempt=1)
    script.seen(10, "enc", 100, 2.0).end("enc", 137).add("started", stage="enc", attempt=2)
    assert state(script).nodes["enc"].done == 0


def test_what_was_shortened_and_stopped_has_neither_failed_nor_been_disrupted() -> None:
    for code in (143, 137):
        script = running().add("shortened", detail={"steps": {"train-winner": 3}}, text="late")
        own = winner(script.end("train-winner", code))
        assert (own.phase, own.limit, own.failures, own.disruptions) == ("waiting", 3, 0, 0)


def test_one_that_failed_by_itself_meanwhile_has_failed() -> None:
    script = running().add("shortened", detail={"steps": {"train-winner": 3}}, text="late")
    own = winner(script.end("train-winner", 139))
    assert (own.phase, own.failures) == ("waiting", 1)
    own = winner(script.add("started", stage="train-winner", attempt=2, detail={"steps": 3}).end(
        "train-winner", 143, 2
    ))  # fmt: skip
    assert (own.failures, own.disruptions) == (1, 1), "it was to end at 3 already"


def test_one_that_was_done_all_the_same_is_done() -> None:
    script = running().add("shortened", detail={"steps": {"train-winner": 3}}, text="late")
    assert winner(script.end("train-winner", 0)).phase == "done"


@pytest.mark.parametrize("code", [143, 137, 160])
def test_a_hung_attempt_has_failed_however_it_was_ended(code: int) -> None:
    spec = small_run(attempts=2, disruptions=20)
    for attempt, phase in ((1, "waiting"), (2, "failed")):
        script = Script().add("submitted").walk("enc")
        for number in range(1, attempt + 1):
            script.add("started", stage="train-winner", attempt=number)
            script.add("hung", stage="train-winner", attempt=number, text="silent")
            script.end("train-winner", code, number, reason="Deleted")
        own = winner(script, spec)
        assert (own.phase, own.failures, own.disruptions) == (phase, attempt, 0)


def test_hung_is_the_attempt_and_not_the_stage() -> None:
    script = running().add("hung", stage="train-winner", attempt=1, text="silent")
    assert winner(script).hung
    script.end("train-winner", 160).add("started", stage="train-winner", attempt=2)
    assert not winner(script).hung


def test_what_is_left_out_while_it_waits_is_skipped_and_while_it_runs_when_it_ends() -> None:
    script = running()
    script.add("skipped", detail={"stages": ["train-winner", "train-loser"]}, text="no time")
    phases = {name: own.phase for name, own in state(script).nodes.items()}
    assert (phases["train-winner"], phases["train-loser"]) == ("running", "skipped")
    for code, phase in ((143, "skipped"), (70, "skipped"), (0, "done")):
        ended = Script()
        ended.events, ended.now = list(script.events), script.now
        assert winner(ended.end("train-winner", code)).phase == phase


def limited() -> Script:
    """Everything that a submission may have to forget."""
    script = running().add("shortened", detail={"steps": {"train-winner": 3}}, text="late")
    script.end("train-winner", 143)
    script.add("skipped", detail={"stages": ["train-loser"]}, text="no time")
    script.add("over", outcome="deadline", text="late")
    script.add("verdict", name="chess", outcome="stop", text="late")
    return script.add("swept").add("finished", code=0)


def test_a_new_submission_gives_what_there_was_no_time_for_another_chance() -> None:
    made = state(limited())
    assert made.nodes["train-loser"].phase == "skipped"
    assert made.finished
    assert made.over
    made = state(limited().add("resumed"))
    nodes = made.nodes
    assert (nodes["train-loser"].phase, nodes["train-loser"].left_out) == ("waiting", "")
    assert (nodes["train-winner"].phase, nodes["train-winner"].limit) == ("waiting", None)
    assert (made.finished, made.over, made.swept, made.cancelled) == (None, None, None, None)
    assert made.verdicts == {}


def test_a_new_submission_forgets_failures_and_disruptions_and_no_verdict() -> None:
    script = running().end("train-winner", 70).add("verdict", name="chess", outcome="hold")
    assert winner(script).phase == "failed"
    made = state(script.add("cancelled", text="enough").add("resumed"))
    own = made.nodes["train-winner"]
    assert (own.phase, own.failures, own.disruptions) == ("waiting", 0, 0)
    assert made.cancelled is None
    assert list(made.verdicts) == ["chess"], "only what had nothing to judge is judged again"


def test_what_rules_have_decided_stays_decided() -> None:
    stages = PLAN["stages"] | {"more": PLAN["stages"]["train"] | {"vary": {}}}
    gate = {
        "after": "enc", "metric": "x", "above": 0, "on_fail": "skip", "guards": ["more"],
        "name": "g",
    }  # fmt: skip
    choices = {"pick": {"among": ["train"], "fits": True}}
    spec = small_run(stages=stages, gates=[gate], choices=choices)
    assert [node.name for node in guarded_by(spec, spec.plan.gates[0])] == ["more"]
    script = Script().add("submitted").walk("enc")
    script.add("gate", name="g", outcome="fail", text="g failed")
    detail = {"chosen": ["train-winner"], "left_out": ["train-loser"]}
    script.add("chosen", name="pick", detail=detail).add("finished", code=0).add("resumed")
    made = state(script, spec)
    assert (made.nodes["more"].phase, made.nodes["more"].why) == ("skipped", "g failed")
    loser = made.nodes["train-loser"]
    assert (loser.phase, loser.why) == ("skipped", "choice pick took another")
    assert (list(made.gates), list(made.choices)) == (["g"], ["pick"])


@pytest.mark.parametrize(
    ("on_fail", "outcome", "phase"),
    [("skip", "fail", "skipped"), ("skip", "pass", "waiting"), ("continue", "fail", "waiting")],
)
def test_only_what_the_rule_itself_left_out_stays_out(
    on_fail: str, outcome: str, phase: str
) -> None:
    stages = PLAN["stages"] | {"more": PLAN["stages"]["train"] | {"vary": {}}}
    gates: list[dict[str, Any]] = [
        {"after": "enc", "metric": "x", "above": 0, "guards": [guarded], "name": guarded}
        | {"on_fail": on_fail}
        for guarded in ("train", "more")
    ]
    spec = small_run(stages=stages, gates=gates)
    script = Script().add("submitted").add("gate", name="more", outcome=outcome, text="gate")
    assert winner(script, spec).phase == "waiting", "the other gate guards the other stages"
    script.add("skipped", detail={"stages": ["more", "train-winner"]}, text="no time")
    script.add("resumed")
    assert state(script, spec).nodes["more"].phase == phase
    assert winner(script, spec).phase == "waiting"


def test_news_that_come_after_the_end_are_none() -> None:
    script = running(1000).end("train-winner", 137).seen(10, "train-winner", 450, 3.0)
    assert (winner(script).done, winner(script).seen) == (0, 0)


def test_what_a_gate_shortened_stays_short() -> None:
    stages = PLAN["stages"] | {"more": PLAN["stages"]["train"] | {"vary": {}}}
    gate: dict[str, Any] = {"after": "train", "metric": "x", "above": 0, "guards": ["more"]}
    spec = small_run(stages=stages, gates=[gate | {"on_fail": "shorten", "name": "g"}])
    script = Script().add("submitted").add("gate", name="g", outcome="fail", text="")
    assert state(script.add("resumed"), spec).nodes["more"].short
    passed = Script().add("submitted").add("gate", name="g", outcome="pass", text="")
    assert not state(passed, spec).nodes["more"].short


def test_terms_are_those_of_the_newest_submission() -> None:
    first = terms(deadline=100.0, cpus=2, estimates={"enc": estimate(1)})
    script = Script().add("submitted", detail=first)
    assert (state(script).terms.deadline, state(script).terms.cpus) == (100.0, 2)
    script.at(50, "resumed", detail=terms(deadline=900.0, cpus=3))
    made = state(script)
    assert (made.terms.deadline, made.terms.cpus, made.since) == (900.0, 3, 50)
    assert made.terms.estimates == {}


def test_a_submission_without_terms_has_the_plans_deadline() -> None:
    script = Script().at(50, "submitted")
    assert state(script, small_run(deadline="90s")).terms.deadline == 140
    assert state(script, small_run()).terms.deadline is None


@pytest.mark.parametrize(
    ("given", "at_most", "next_one"),
    [
        ("1Gi", "8Gi", "2048Mi"),
        ("3Gi", "4Gi", "4Gi"),
        ("4Gi", "4Gi", "4Gi"),
        ("8Gi", "4Gi", "8Gi"),
        ("1Gi", None, "1Gi"),
    ],
)
def test_memory_is_doubled_up_to_the_most(given: str, at_most: str | None, next_one: str) -> None:
    resources = SPEC.node("enc").resources.model_copy(update={"memory_max": at_most})
    assert more_memory(resources, given) == next_one
