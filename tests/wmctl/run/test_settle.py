from __future__ import annotations

from typing import Any

import pytest

from tests.support.runs import PLAN, RESULTS, Script, actions, small_run
from wmctl.run.decide import Start
from wmctl.run.fold import read_state
from wmctl.run.spec import RunSpec

TRAIN = {"train": "lstm", "data": "enc", "threads": 1, "steps": 5}


def run_with(players: list[str], **stages: dict[str, Any]) -> RunSpec:
    arena = {"arena": "chess", "players": players}
    return small_run(stages=PLAN["stages"] | {"arena": arena} | stages, verdicts={})


def fail(script: Script, stage: str, code: int = 70) -> Script:
    return script.add("started", stage=stage, attempt=1).end(stage, code)


def phase(spec: RunSpec, script: Script, name: str = "arena") -> tuple[str, str]:
    own = read_state(spec, script.events).nodes[name]
    return own.phase, own.why


def test_what_failed_blocks_all_that_needs_it() -> None:
    more = TRAIN | {"continues": "train/winner"}
    spec = run_with(["more", "random"], more=more)
    script = fail(Script().add("submitted"), "enc", 65)
    assert phase(spec, script, "train-winner") == ("blocked", "enc failed")
    assert phase(spec, script, "more") == ("blocked", "enc failed")
    assert phase(spec, script) == ("blocked", "enc failed")


def test_what_continues_a_training_that_failed_or_was_left_out() -> None:
    spec = run_with(["more", "random"], more=TRAIN | {"continues": "train/winner"})
    failed = fail(Script().add("submitted").walk("enc"), "train-winner")
    assert phase(spec, failed, "more") == ("blocked", "train-winner failed")
    skipped = Script().add("submitted").walk("enc")
    skipped.add("skipped", detail={"stages": ["train-winner"]}, text="no time")
    assert phase(spec, skipped, "more") == ("skipped", "no time")


def names(spec: RunSpec, script: Script) -> list[str]:
    [arena] = actions(spec, script)
    return [player["name"] for player in arena.config["players"]]


def test_an_arena_goes_on_without_optional_players_that_failed() -> None:
    spec = run_with(["train/winner", "train/loser?", "random"])
    script = fail(Script().add("submitted").walk("enc", "train-winner"), "train-loser")
    assert names(spec, script) == ["train/winner", "random"]
    must = run_with(["train/winner", "train/loser", "random"])
    assert phase(must, script) == ("blocked", "train-loser failed")


def test_an_arena_goes_on_without_players_that_a_rule_has_left_out() -> None:
    spec = run_with(["train/*", "random"])
    script = Script().add("submitted").walk("enc", "train-winner")
    script.add("skipped", detail={"stages": ["train-loser"]}, text="no time")
    assert names(spec, script) == ["train/winner", "random"]


def test_an_optional_player_that_is_blocked_is_left_out_too() -> None:
    more = TRAIN | {"continues": "train/loser"}
    spec = run_with(["train/winner", "more?", "random"], more=more)
    script = fail(Script().add("submitted").walk("enc", "train-winner"), "train-loser")
    assert names(spec, script) == ["train/winner", "random"]


@pytest.mark.parametrize("players", [["train/*", "random"], ["train/*"]])
def test_where_nobody_trained_is_left_there_is_nobody_to_compare(players: list[str]) -> None:
    spec = run_with([*players, "greedy"])
    script = Script().add("submitted").walk("enc")
    script.add("skipped", detail={"stages": ["train-winner", "train-loser"]}, text="no time")
    assert phase(spec, script) == ("skipped", "there is nobody to compare: no time")


def test_one_player_alone_compares_with_nobody() -> None:
    spec = run_with(["train/*"])
    script = Script().add("submitted").walk("enc", "train-winner")
    script.add("skipped", detail={"stages": ["train-loser"]}, text="no time")
    assert phase(spec, script)[0] == "skipped"


def test_an_arena_of_those_who_need_no_training_is_played() -> None:
    spec = run_with(["greedy", "random"])
    script = Script().add("submitted").walk("enc", "train-winner", "train-loser")
    assert names(spec, script) == ["greedy", "random"]


CHOICES = {"pick": {"among": ["train"], "by": [{"metric": "top1"}]}}


def choosing(**stages: dict[str, Any]) -> RunSpec:
    return small_run(stages=PLAN["stages"] | stages, choices=CHOICES, verdicts={})


def test_adopting_a_choice_that_took_nobody_is_blocked() -> None:
    spec = choosing(more=TRAIN | {"adopt": ["pick"]})
    script = fail(fail(Script().add("submitted").walk("enc"), "train-winner"), "train-loser")
    script.decide(spec)
    assert phase(spec, script, "more") == (
        "blocked",
        "none taken: none of them has ended well",
    )


def test_adopting_what_a_choice_took() -> None:
    spec = choosing(more=TRAIN | {"adopt": ["pick"]})
    script = Script().add("submitted").walk("enc", "train-winner", "train-loser")
    assert phase(spec, script, "more") == ("waiting", "")
    script.decide(spec)
    more = script.decide(spec)[0]
    assert isinstance(more, Start)
    assert (more.node.name, more.config["labels"]) == ("more", "winner")


def test_what_a_choice_did_not_take_does_not_survive() -> None:
    vary = {"vary": {"labels": ["winner", "loser"]}}
    spec = choosing(more=TRAIN | vary | {"continues": "train", "survivors": "pick"})
    script = Script().add("submitted").walk("enc", "train-winner", "train-loser")
    script.decide(spec)
    assert phase(spec, script, "more-winner") == ("waiting", "")
    assert phase(spec, script, "more-loser") == ("skipped", "choice pick took another")


@pytest.mark.parametrize("player", ["chosen(bet)", "chosen(bet)?"])
def test_a_bet_that_was_taken_and_failed_is_no_player(player: str) -> None:
    """It was chosen before it ran. An arena of references alone would compare nothing."""
    bets = {"among": ["train/winner", "train/loser"], "fits": True}
    stages = PLAN["stages"] | {"arena": {"arena": "chess", "players": [player, "greedy", "random"]}}
    spec = small_run(stages=stages, choices={"bet": bets}, verdicts={})
    script = Script().add("submitted").walk("enc")
    script.decide(spec)
    fail(script, "train-loser")
    made, why = phase(spec, script)
    if player.endswith("?"):
        assert (made, why) == ("skipped", "there is nobody to compare: train-loser failed")
    else:
        assert (made, why) == ("blocked", "train-loser failed")


def test_what_is_done_stays_done_whatever_is_said_later() -> None:
    spec, script = small_run(), Script().add("submitted").walk("enc", "train-winner")
    script.add("skipped", detail={"stages": ["train-winner"]}, text="no time")
    own = read_state(spec, script.events).nodes["train-winner"]
    assert (own.phase, own.result) == ("done", RESULTS["train-winner"])


def test_an_arena_about_somebody_has_no_point_without_them() -> None:
    arena = {"arena": "chess", "players": ["train/*", "random"], "decide": ["train/winner"]}
    spec = small_run(stages=PLAN["stages"] | {"arena": arena}, verdicts={})
    script = Script().add("submitted").walk("enc", "train-winner")
    script.add("skipped", detail={"stages": ["train-loser"]}, text="no time")
    assert names(spec, script) == ["train/winner", "random"]
    script = Script().add("submitted").walk("enc", "train-loser")
    script.add("skipped", detail={"stages": ["train-winner"]}, text="no time")
    assert phase(spec, script) == ("skipped", "there is nobody to compare: no time")
