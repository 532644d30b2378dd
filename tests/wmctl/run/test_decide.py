from __future__ import annotations

from typing import Any

from tests.support.runs import PLAN, Script, actions, estimate, small_run, started, terms
from wmctl.run.decide import Finish, Judge, Over, Start, Stop
from wmctl.run.fold import read_state


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
    [judge] = actions(spec, script)
    assert isinstance(judge, Judge)
    assert judge.judgement is not None
    assert (judge.name, judge.judgement.outcome) == ("chess", "promote")
    script.add("verdict", name="chess", outcome="promote")
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
    [judge] = actions(spec, script)
    assert judge.name == "chess"
    assert judge.judgement.outcome == "promote"


def test_one_failed_variant_lets_the_other_go_on_but_not_the_arena() -> None:
    spec, script = small_run(), submitted().walk("enc")
    script.add("started", stage="train-winner", attempt=1)
    script.add("ended", stage="train-winner", attempt=1, code=70)
    assert actions(spec, script) == [Judge("chess", stopped="train-winner failed")]
    script.add("verdict", name="chess", outcome="stop")
    assert started(actions(spec, script)) == [("train-loser", 1)]


def test_past_the_deadline_running_stages_are_stopped_and_the_verdict_says_so() -> None:
    spec, script = small_run(deadline="1h"), submitted().walk("enc")
    script.add("started", stage="train-winner", attempt=1)
    assert started(actions(spec, script, now=61.0)) == [("train-loser", 1)]
    late = script.events[0].time + 3600
    over = Over("deadline", "the deadline has passed")
    assert over not in actions(spec, script, now=late - 1.1)
    assert actions(spec, script, now=late - 1) == [over], "the verdict is to be there by then"
    script.add("over", outcome="deadline", text=over.text)
    # From now on the clock is not asked any more, and nobody waits for the verdict.
    stop = Stop("train-winner", 1, "the deadline has passed")
    judge = Judge("chess", stopped="the deadline has passed before arena was done")
    assert actions(spec, script) == [judge, stop]
    script.add("verdict", name="chess", outcome="stop")
    assert actions(spec, script) == [stop]
    script.add("ended", stage="train-winner", attempt=1, code=143)
    assert actions(spec, script) == [Finish(0, "the deadline has passed")]


QUICK = {n: estimate(1, 0.01) for n in ("enc", "train-winner", "train-loser", "arena")}


def priced(**changes: Any) -> Script:
    """Submitted on a machine whose cores cost a dollar a second each."""
    return Script().add("submitted", detail=terms(prices={"cpu": 3600.0}, **changes))


def test_when_the_budget_is_used_up_what_runs_is_stopped_and_the_verdict_says_so() -> None:
    spec, script = small_run(budget=10), priced(estimates=QUICK)
    script.walk("enc")  # one second of one core
    script.add("started", stage="train-winner", attempt=1)
    script.add("started", stage="train-loser", attempt=1)
    # At 5 s the winner has run for 1 s and the loser for none: $2 so far, then $2 a second.
    assert actions(spec, script, now=8.9) == []
    over = Over("budget", "the budget is used up: $10.00 of $10")
    assert actions(spec, script, now=9.0) == [over]
    script.at(9.0, "over", outcome="budget", text=over.text)
    stopped = f"{over.text} before arena was done"
    stops = [Stop(f"train-{name}", 1, over.text) for name in ("winner", "loser")]
    assert actions(spec, script) == [Judge("chess", stopped=stopped), *stops]
    script.add("verdict", name="chess", outcome="stop", text=stopped)
    script.end("train-winner", 143)
    assert actions(spec, script) == stops[1:]
    script.end("train-loser", 143)
    assert actions(spec, script) == [Finish(0, over.text)]


def test_an_arena_that_was_done_in_time_is_judged_after_all() -> None:
    spec, script = small_run(deadline="60s"), submitted()
    script.walk("enc", "train-winner", "train-loser", "arena")
    script.at(90, "over", outcome="deadline", text="late")
    [judge] = actions(spec, script)
    assert judge.judgement.outcome == "promote"


def test_a_verdict_is_reached_before_anything_else_starts() -> None:
    stages = PLAN["stages"] | {"zlast": {"arena": "chess", "players": ["greedy", "random"]}}
    spec, script = small_run(stages=stages), submitted()
    script.walk("enc", "train-winner", "train-loser", "arena")
    assert [type(a) for a in actions(spec, script)] == [Judge]


def test_a_submission_after_the_deadline_has_a_new_one() -> None:
    spec, script = small_run(deadline="1h"), submitted()
    script.at(3700, "over", outcome="deadline", text="late").add("finished", code=0)
    script.add("resumed")  # at 3702
    assert started(actions(spec, script)) == [("enc", 1)]
    script.walk("enc", "train-winner", "train-loser")
    assert started(actions(spec, script, now=7300)) == [("arena", 1)]
    assert isinstance(actions(spec, script, now=7301)[0], Over)


def test_a_hung_attempt_is_stopped() -> None:
    spec, script = small_run(), submitted().add("started", stage="enc", attempt=1)
    assert actions(spec, script) == []
    script.add("hung", stage="enc", attempt=1, text="no sign of life")
    assert actions(spec, script) == [Stop("enc", 1, "it gives no sign of life")]
    script.end("enc", 160)
    assert started(actions(spec, script)) == [("enc", 2)]


def test_a_training_that_was_shortened_stops_and_goes_on_for_what_is_left() -> None:
    spec, script = small_run(), submitted().walk("enc")
    script.add("started", stage="train-winner", attempt=1, detail={"steps": 5})
    script.add("started", stage="train-loser", attempt=1, detail={"steps": 5})
    script.add("shortened", detail={"steps": {"train-winner": 3, "train-loser": 5}}, text="late")
    assert actions(spec, script) == [Stop("train-winner", 1, "it ends at step 3 now")]
    script.end("train-winner", 143)
    [start] = actions(spec, script)
    assert (start.node.name, start.attempt, start.config["steps"]) == ("train-winner", 2, 3)
    script.add("started", stage="train-winner", attempt=2, detail={"steps": 3})
    assert actions(spec, script) == []


def test_what_is_left_out_while_it_runs_is_stopped_and_skipped() -> None:
    spec, script = small_run(), submitted().walk("enc")
    script.add("started", stage="train-winner", attempt=1)
    script.add("skipped", detail={"stages": ["train-winner"]}, text="last call")
    assert Stop("train-winner", 1, "last call") in actions(spec, script)
    script.end("train-winner", 143)
    own = read_state(spec, script.events).nodes["train-winner"]
    assert (own.phase, own.why) == ("skipped", "last call")


def test_two_bets_are_placed_one_after_the_other() -> None:
    """The second knows which one the first has taken; both at once would overspend."""
    bet = {"train": "lstm", "data": "enc", "threads": 1, "vary": {"steps": [10, 30]}}
    stages = {"enc": PLAN["stages"]["enc"], "one": bet, "two": bet}
    fits = {name: {"among": [f"{name}/10", f"{name}/30"], "fits": True} for name in ("one", "two")}
    spec = small_run(stages=stages, choices=fits, verdicts={}, budget=50)
    names = [node.name for node in spec.nodes if node.kind == "train"]
    known = {name: estimate(1, doubt=0.01) for name in names}
    script = priced(estimates=known).walk("enc")
    first = script.decide(spec)
    second = script.decide(spec)
    assert [[a.detail["chosen"] for a in made] for made in (first, second)] == [  # type: ignore[union-attr]
        [["one-30"]],
        [["two-10"]],
    ]


def test_decisions_depend_on_nothing_but_their_arguments() -> None:
    spec, script = small_run(), submitted().walk("enc")
    assert actions(spec, script) == actions(spec, script)
    assert read_state(spec, script.events) == read_state(spec, list(script.events))


def test_a_cancelled_run_stops_its_stages_and_ends_until_it_is_submitted_again() -> None:
    spec, script = small_run(), submitted()
    script.add("started", stage="enc", attempt=1).add("cancelled", text="cancelled by ada@desk")
    assert actions(spec, script) == [
        Judge("chess", stopped="cancelled by ada@desk before arena was done"),
        Stop("enc", 1, "cancelled by ada@desk"),
    ]
    script.add("verdict", name="chess", outcome="stop", text="")
    assert actions(spec, script) == [Stop("enc", 1, "cancelled by ada@desk")]
    script.end("enc", 143)
    assert actions(spec, script) == [Finish(143, "cancelled by ada@desk")]
    script.add("finished", code=143).add("resumed")
    [start] = actions(spec, script)
    assert isinstance(start, Start)
    assert start.attempt == 2


def test_what_waits_for_what_is_not_to_come_is_not_waited_for() -> None:
    """A bet whose data cannot be made is never placed, and so its arena never comes."""
    stages = PLAN["stages"] | {
        "arena": {"arena": "chess", "players": ["chosen(bet)", "train/loser?", "random"]}
    }
    fits = {"bet": {"among": ["train/winner"], "fits": True}}
    verdict = PLAN["verdicts"]["chess"] | {
        "criteria": [{"metric": "elo", "against": "random", "above": 0}]
    }
    spec = small_run(stages=stages, choices=fits, verdicts={"chess": verdict})
    script = submitted().add("started", stage="enc", attempt=1).end("enc", 65)
    [judge] = script.decide(spec)
    assert judge == Judge("chess", stopped="the run had ended before arena was done")
    [finish] = script.decide(spec)
    assert finish.code == 65
