"""Gates: how they are decided, and what follows from it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.runs import (
    PLAN,
    RESULTS,
    Script,
    actions,
    arena_result,
    interval,
    pairing,
    reader,
    small_run,
    started,
)
from wm.artifacts.result import PlayerRow
from wmctl.run.decide import DecideGate, Finish, Judge
from wmctl.run.fold import read_state
from wmctl.run.spec import RunSpec

GATE: dict[str, Any] = {"after": "train", "metric": "top1", "at_least": 0.2}


def trained() -> Script:
    return Script().add("submitted").walk("enc", "train-winner", "train-loser")


def decided(spec: RunSpec, script: Script) -> DecideGate:
    """The one gate that is to be decided now; it is entered."""
    [gate] = script.decide(spec)
    assert isinstance(gate, DecideGate)
    return gate


def phases(spec: RunSpec, script: Script) -> dict[str, str]:
    return {n: own.phase for n, own in read_state(spec, script.events).nodes.items()}


def test_a_gate_waits_for_all_that_it_judges_and_shows_each_figure() -> None:
    spec = small_run(gates=[GATE])
    script = Script().add("submitted").walk("enc", "train-winner")
    assert started(actions(spec, script)) == [("train-loser", 1)]
    gate = decided(spec, script.walk("train-loser"))
    assert (gate.name, gate.outcome) == ("train: top1 >= 0.2", "fail")
    assert gate.text == (
        "train/winner: top1 is 0.3, at least 0.2; train/loser: top1 is 0.1, not at least 0.2: "
        "failed: what follows does not run"
    )
    assert [one["holds"] for one in gate.detail["evidence"]] == [True, False]
    assert gate.detail["evidence"][1]["figure"]["value"] == 0.1


def test_stop_keeps_what_follows_from_running_and_is_no_error() -> None:
    spec, script = small_run(gates=[GATE]), trained()
    gate = decided(spec, script)
    assert phases(spec, script)["arena"] == "blocked"
    assert script.decide(spec) == [Judge("chess", stopped=gate.text)]
    assert script.decide(spec) == [Finish(0, "every stage has ended")]


@pytest.mark.parametrize(
    "gate", [GATE | {"at_least": 0.1}, GATE | {"on_fail": "continue"}, GATE | {"metric": "step"}]
)
def test_one_that_passes_or_only_warns_lets_the_run_go_on(gate: dict[str, Any]) -> None:
    spec, script = small_run(gates=[gate]), trained()
    made = decided(spec, script)
    if gate.get("on_fail"):
        assert made.text.endswith(": failed: the run goes on all the same")
    else:
        assert made.text.endswith(": passed")
    assert started(actions(spec, script)) == [("arena", 1)]


def test_a_metric_that_is_missing_never_passes() -> None:
    for bound in ({"at_least": 0.2}, {"at_most": 0.2, "at_least": None}):
        spec = small_run(gates=[GATE | {"metric": "nothing"} | bound])
        assert decided(spec, trained()).outcome == "fail"


@pytest.mark.parametrize(("of", "outcome"), [("train/winner", "pass"), ("train/loser", "fail")])
def test_a_gate_may_be_about_one_of_them(of: str, outcome: str) -> None:
    assert decided(small_run(gates=[GATE | {"of": of}]), trained()).outcome == outcome


def test_all_conditions_must_hold() -> None:
    ten = {"metric": "step", "at_most": 10}
    for second, outcome in (({"metric": "step", "at_least": 10}, "fail"), (ten, "pass")):
        gate = {"after": "train", "require": [ten, second], "name": "steps"}
        made = decided(small_run(gates=[gate]), trained())
        assert (made.name, made.outcome) == ("steps", outcome)
        assert made.text.startswith("steps: train/winner: step is 5, at most 10; ")


MORE = {"train": "lstm", "data": "enc", "steps": 10, "threads": 1, "shorten_to": 0.3}
STAGES = PLAN["stages"] | {
    "more": MORE,
    "arena": {"arena": "chess", "players": ["train/*", "more", "random"]},
}


def guarding(on_fail: str, **changes: Any) -> RunSpec:
    gate = GATE | {"guards": ["more"], "on_fail": on_fail} | changes
    return small_run(stages=STAGES, gates=[gate])


def test_what_is_guarded_waits_and_nothing_else_does() -> None:
    spec = guarding("stop")
    script = Script().add("submitted").walk("enc")
    assert started(actions(spec, script)) == [("train-winner", 1), ("train-loser", 1)]
    assert spec.waits_for["more"] == {"enc", "train-winner", "train-loser"}
    assert [g.title for g in spec.gates_before["more"]] == ["train: top1 >= 0.2"]
    assert spec.gates_before["arena"] == [], "it guards more, and so only that"


def test_stop_blocks_what_it_guards_and_what_needs_that() -> None:
    spec, script = guarding("stop"), trained()
    gate = decided(spec, script)
    assert phases(spec, script) | {"enc": ""} == {
        "enc": "", "train-winner": "done", "train-loser": "done", "more": "blocked",
        "arena": "blocked",
    }  # fmt: skip
    assert read_state(spec, script.events).nodes["arena"].why == gate.text


def test_skip_leaves_out_what_it_guards_and_the_arena_goes_on_without_it() -> None:
    spec, script = guarding("skip"), trained()
    gate = decided(spec, script)
    assert gate.text.endswith(": failed: what it guards is left out")
    assert phases(spec, script)["more"] == "skipped"
    [arena] = actions(spec, script)
    assert started([arena]) == [("arena", 1)]
    names = [player["name"] for player in arena.config["players"]]
    assert names == ["train/winner", "train/loser", "random"]


def test_continue_lets_what_it_guards_run() -> None:
    spec, script = guarding("continue"), trained()
    decided(spec, script)
    assert started(actions(spec, script)) == [("more", 1)]


@pytest.mark.parametrize(("bound", "steps"), [(0.2, 3), (0.1, 10)])
def test_shorten_trains_for_the_shortest_that_the_plan_allows(bound: float, steps: int) -> None:
    spec, script = guarding("shorten", at_least=bound), trained()
    gate = decided(spec, script)
    assert gate.text.endswith("trains for its shortest") is (steps == 3)
    [start] = actions(spec, script)
    assert (start.node.name, start.config["steps"]) == ("more", steps)


def test_a_stage_that_failed_is_judged_by_its_exit_code() -> None:
    ok = {"after": "train", "metric": "exit_code", "at_most": 0, "on_fail": "continue"}
    spec = small_run(gates=[ok])
    script = Script().add("submitted").walk("enc", "train-winner")
    script.add("started", stage="train-loser", attempt=1).end("train-loser", 70)
    gate = decided(spec, script)
    assert gate.outcome == "fail"
    assert "train/loser: exit_code is 70, not at most 0" in gate.text


@pytest.mark.parametrize("on_fail", ["stop", "skip"])
def test_what_a_gate_guards_is_left_out_where_there_was_nothing_to_judge(on_fail: str) -> None:
    spec = guarding(on_fail, after="train/loser")
    script = Script().add("submitted").walk("enc", "train-winner")
    script.add("skipped", detail={"stages": ["train-loser"]}, text="no time")
    more = read_state(spec, script.events).nodes["more"]
    assert more.phase == "skipped"
    assert more.why.endswith("had nothing to judge")


@pytest.mark.parametrize("on_fail", ["continue", "shorten"])
def test_a_gate_that_only_warns_keeps_nothing_waiting_for_what_never_ran(on_fail: str) -> None:
    spec = guarding(on_fail, after="train/loser")
    script = Script().add("submitted").walk("enc", "train-winner")
    script.add("skipped", detail={"stages": ["train-loser"]}, text="no time")
    assert started(actions(spec, script)) == [("more", 1)]


def test_those_that_ran_are_judged_without_those_that_did_not() -> None:
    spec = small_run(gates=[GATE])
    script = Script().add("submitted").walk("enc", "train-winner")
    script.add("skipped", detail={"stages": ["train-loser"]}, text="no time")
    assert decided(spec, script).outcome == "pass"


def judged(gate: dict[str, Any], *players: PlayerRow) -> DecideGate:
    last = {"arena": "chess", "players": ["train/*", "random"]}
    stages = PLAN["stages"] | {"last": last | {"after": ["arena"]}}
    spec = small_run(
        stages=stages, gates=[{"after": "arena", "guards": ["last"]} | gate], verdicts={}
    )
    script = trained().walk("arena")
    result = arena_result(pairing("train/winner", "train/loser"), players=list(players) or None)
    [made] = script.decide(spec, read=reader(result))
    assert isinstance(made, DecideGate)
    return made


def test_a_gate_behind_an_arena_judges_its_players() -> None:
    elo = {"metric": "elo", "of": "train/loser", "against": "train/winner", "above": 0}
    made = judged(elo | {"confidence": 0.95})
    assert made.outcome == "fail"
    assert "elo against train/winner is -50 (95 % -90 to -10, n=100), not above 0" in made.text
    assert judged(elo | {"of": "train/winner", "against": "train/loser"}).outcome == "pass"


def test_no_regression_beyond_the_interval() -> None:
    """The fallback rate of the winner, 0.03 (0.02 to 0.04), minus the loser's, 0.025."""
    rows = [
        PlayerRow(name=name, metrics={"fallback_rate": interval(value, value - d, value + d, 900)})
        for name, value, d in (("train/winner", 0.03, 0.01), ("train/loser", 0.025, 0.005))
    ]
    gate = {
        "metric": "fallback_rate",
        "of": "train/winner",
        "than": "train/loser",
        "at_most": 0,
        "confidence": 0.95,
    }
    assert judged(gate | {"holds": "plausibly"}, *rows).outcome == "pass"
    assert judged(gate | {"holds": "surely"}, *rows).outcome == "fail"
    assert judged(gate | {"confidence": None}, *rows).outcome == "fail"


def test_the_cost_of_an_arena_can_be_judged() -> None:
    assert judged({"metric": "hours", "at_most": 1}).outcome == "pass"
    assert judged({"metric": "exit_code", "at_most": -1}).outcome == "fail"


def test_a_data_set_that_must_be_there_already() -> None:
    gate = {"after": "enc", "metric": "hit", "at_least": 1}
    for hit, outcome in ((True, "pass"), (False, "fail")):
        spec = small_run(gates=[gate])
        script = Script().add("submitted").add("started", stage="enc", attempt=1)
        script.end("enc", **RESULTS["enc"], hit=hit)
        assert decided(spec, script).outcome == outcome
        assert phases(spec, script)["train-winner"] == {"pass": "waiting"}.get(outcome, "blocked")


def test_a_stage_that_is_not_over_has_no_figure() -> None:
    gate = {"after": "train/winner", "metric": "exit_code", "of": "train/loser", "at_most": 200}
    script = Script().add("submitted").walk("enc", "train-winner")
    script.add("started", stage="train-loser", attempt=1).end("train-loser", 143)
    made = decided(small_run(gates=[gate]), script)
    assert (made.outcome, made.detail["evidence"][0]["figure"]) == ("fail", None)


def test_an_arena_that_failed_has_an_exit_code_and_no_players() -> None:
    last = {"arena": "chess", "players": ["train/*", "random"], "after": ["arena"]}
    gate = {"after": "arena", "metric": "exit_code", "at_most": 0, "guards": ["last"]}
    spec = small_run(stages=PLAN["stages"] | {"last": last}, gates=[gate], verdicts={})
    script = trained().add("started", stage="arena", attempt=1).end("arena", 70)
    assert decided(spec, script).text.startswith("arena: exit_code is 70, not at most 0")
