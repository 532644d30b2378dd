from __future__ import annotations

from typing import Any

import pytest

from tests.support.runs import PLAN, Script, arena_result, reader, run_of, small_run
from wm.artifacts.result import ArenaResult, Interval, Pairing, PlayerRow
from wmctl.plan.rules import Verdict
from wmctl.run.figures import Figures, Outcome
from wmctl.run.rules import Judge
from wmctl.run.verdict import Judgement
from wmctl.run.verdict import judge as judge_figures


def arena(elo: tuple[float, float, float], fallback: tuple[float, float, float]) -> ArenaResult:
    def interval(values: tuple[float, float, float]) -> Interval:
        return Interval(value=values[1], low=values[0], high=values[2], n=100)

    pairing = Pairing(
        a="new", b="old", units=100, wins=1, draws=1, losses=1, score=0.5, elo=interval(elo)
    )
    new = PlayerRow(name="new", model="models/chess/n", metrics={"fallback": interval(fallback)})
    return ArenaResult(
        game="chess",
        judge="chess-pairs",
        primary="elo",
        players=[new, PlayerRow(name="old", model="models/chess/o")],
        pairings=[pairing],
        settings={},
    )


def verdict(candidate: str = "new", **changes: Any) -> Verdict:
    against = "old" if candidate == "new" else "new"
    criteria = [{"metric": "elo", "against": against, "above": 0}]
    return Verdict.model_validate(
        {"arena": "arena", "candidate": candidate, "criteria": criteria} | changes
    )


NO_FALLBACK = (0.0, 0.0, 0.01)


def judge(given: Verdict, result: ArenaResult, trained: tuple[str, ...] = ()) -> Judgement:
    return judge_figures(given, Figures({}, {}, result), trained)


def test_promote_when_the_interval_excludes_the_bound() -> None:
    made = judge(verdict(), arena((5, 40, 75), NO_FALLBACK))
    assert made.outcome == "promote"
    assert made.model == "models/chess/n"
    assert "elo against old is 40 (95 % 5 to 75, n=100), above 0" in made.text


def test_hold_when_the_interval_holds_the_bound() -> None:
    made = judge(verdict(), arena((-5, 40, 85), NO_FALLBACK))
    assert made.outcome == "hold"
    assert "not above 0" in made.text


def test_a_pairing_is_seen_from_the_candidates_side() -> None:
    made = judge(verdict("old"), arena((-75, -40, -5), NO_FALLBACK))
    assert made.outcome == "promote"
    assert made.evidence[0].figure == Interval(value=40, low=5, high=75, n=100)


def test_below_uses_the_upper_bound() -> None:
    below = {"metric": "fallback", "below": 0.05}
    good = judge(verdict(criteria=[below]), arena((5, 40, 75), (0.0, 0.02, 0.04)))
    bad = judge(verdict(criteria=[below]), arena((5, 40, 75), (0.0, 0.02, 0.06)))
    assert (good.outcome, bad.outcome) == ("promote", "hold")


def test_every_criterion_must_hold() -> None:
    criteria = [
        {"metric": "elo", "against": "old", "above": 0},
        {"metric": "fallback", "below": 0.01},
    ]
    made = judge(verdict(criteria=criteria), arena((5, 40, 75), (0.0, 0.02, 0.04)))
    assert made.outcome == "hold"
    assert [e.holds for e in made.evidence] == [True, False]


@pytest.mark.parametrize("metric", ["nothing", "difference"])
def test_a_figure_that_is_not_there_does_not_hold(metric: str) -> None:
    criteria = [{"metric": metric, "against": "old", "above": 0}]
    made = judge(verdict(criteria=criteria), arena((5, 40, 75), NO_FALLBACK))
    assert made.outcome == "hold"
    assert "no such figure" in made.text


def test_too_small_an_arena_never_promotes() -> None:
    made = judge(verdict(min_units=200), arena((5, 40, 75), NO_FALLBACK))
    assert made.outcome == "hold"
    assert "100 independent units, fewer than 200" in made.text


def test_the_smallest_sample_counts_whatever_the_metric() -> None:
    criteria = [{"metric": "fallback", "below": 0.05}]
    result = arena((5, 40, 75), NO_FALLBACK)
    result.players[0].metrics["fallback"].n = 3
    assert judge(verdict(criteria=criteria, min_units=4), result).outcome == "hold"
    assert judge(verdict(criteria=criteria, min_units=3), result).outcome == "promote"


def test_the_best_of_those_that_were_trained_is_the_candidate() -> None:
    result = arena((5, 40, 75), NO_FALLBACK)
    ratings = {"new": 30.0, "old": 90.0}
    for row in result.players:
        row.rating = Interval(value=ratings[row.name], low=0, high=99, n=100)
    best = verdict("best", criteria=[{"metric": "elo", "against": "old", "above": 0}])
    made = judge(best, result, ("new",))
    assert (made.outcome, made.candidate, made.model) == ("promote", "new", "models/chess/n")
    assert judge(best, result, ("new", "old")).candidate == "old"
    nobody = judge(best, result)
    assert (nobody.outcome, nobody.model) == ("hold", None)
    assert nobody.text == "hold: best did not play in arena"


def test_a_candidate_that_did_not_play_is_not_promoted() -> None:
    made = judge(verdict("left-out"), arena((5, 40, 75), NO_FALLBACK))
    assert (made.outcome, made.evidence) == ("hold", [])
    assert made.text == "hold: left-out did not play in arena"


SPEC = small_run()


def accepted(code: int = 0, train: str = "hit", val: str = "hit") -> Judgement:
    """On exit code and cache, as the data set's stage left them."""
    left = Outcome(SPEC.node("enc"), {"cache": {"train": train, "val": val}}, code, 0.0, 0.0)
    figures = Figures(SPEC.by_name, {"enc": left}, arena((5, 40, 75), NO_FALLBACK))
    criteria = [
        {"metric": "exit_code", "of": "enc", "at_most": 0},
        {"metric": "cache.train", "of": "enc", "at_least": 1, "confidence": None},
        {"metric": "cache.val", "of": "enc", "at_least": 1, "confidence": None},
    ]
    return judge_figures(verdict(criteria=criteria), figures)


def test_exit_code_and_cache_are_criteria() -> None:
    made = accepted()
    assert made.outcome == "promote"
    assert made.text == "promote new: exit_code is 0, at most 0; cache.train is 1, at least 1; " + (
        "cache.val is 1, at least 1"
    )
    failed = accepted(code=70)
    assert (failed.outcome, failed.text) == ("hold", "hold new: exit_code is 70, not at most 0")
    for missed in (accepted(train="miss"), accepted(val="miss")):
        assert missed.outcome == "hold"
        assert "is 0, not at least 1" in missed.text


def test_a_criterion_against_one_who_may_be_missing() -> None:
    elo = {"metric": "elo", "above": 0}
    criteria = [elo | {"against": "old"}, elo | {"against": "champion?"}]
    made = judge(verdict(criteria=criteria), arena((5, 40, 75), NO_FALLBACK))
    assert (made.outcome, len(made.evidence)) == ("promote", 1)
    there = judge(verdict(criteria=[elo | {"against": "old?"}]), arena((-5, 40, 75), NO_FALLBACK))
    assert there.outcome == "hold"
    assert "elo against old is 40" in there.text
    named = judge(
        verdict(criteria=[elo | {"against": "champion"}]), arena((5, 40, 75), NO_FALLBACK)
    )
    assert named.outcome == "hold", "without the question mark it must be there"


def test_counted_figures_are_no_sample() -> None:
    """0 of an exit code says nothing of the size of an arena."""
    left = Outcome(SPEC.node("enc"), {}, 0, 0.0, 0.0)
    figures = Figures(SPEC.by_name, {"enc": left}, arena((5, 40, 75), NO_FALLBACK))
    code = {"metric": "exit_code", "of": "enc", "at_most": 0}
    elo = {"metric": "elo", "against": "old", "above": 0}
    both = judge_figures(verdict(criteria=[code, elo], min_units=100), figures)
    assert both.outcome == "promote"
    alone = judge_figures(verdict(criteria=[code], min_units=1), figures)
    assert alone.outcome == "hold"
    assert "0 independent units, fewer than 1" in alone.text


@pytest.mark.parametrize(
    ("kinds", "stopped"),
    [
        ([("skipped", {"detail": {"stages": ["arena"]}, "text": "no room"})], "no room"),
        (
            [
                ("started", {"stage": "arena", "attempt": 1}),
                ("ended", {"stage": "arena", "attempt": 1, "code": 65, "text": "bad games"}),
            ],
            "arena failed: bad games",
        ),
        ([("cancelled", {"text": "cancelled by ada"})], "cancelled by ada before arena was done"),
        (
            [
                ("started", {"stage": "arena", "attempt": 1}),
                ("ended", {"stage": "arena", "attempt": 1, "code": 143}),
                ("cancelled", {"text": "cancelled by ada"}),
            ],
            "cancelled by ada before arena was done",
        ),
    ],
)
def test_why_there_is_nothing_to_judge(
    kinds: list[tuple[str, dict[str, Any]]], stopped: str
) -> None:
    script = Script().add("submitted").walk("enc", "train-winner", "train-loser")
    for kind, fields in kinds:
        script.add(kind, **fields)
    assert script.decide(SPEC) == [Judge("chess", stopped=stopped)]
    [event] = [e for e in script.events if e.event == "verdict"]
    assert (event.outcome, event.text) == ("stop", stopped)


def test_a_reference_is_never_the_best_of_those_that_were_trained() -> None:
    plan = PLAN | {"stages": PLAN["stages"] | {
        "arena": {"arena": "chess", "players": ["train/*", "base"]}
    }}  # fmt: skip
    plan["verdicts"] = {"chess": PLAN["verdicts"]["chess"] | {"candidate": "best"}}
    spec = run_of(plan, {"base": "models/chess/b"})
    ratings = {"train/winner": 30, "train/loser": 0, "base": 90}
    rows = [
        PlayerRow(name=name, rating=Interval(value=value, low=0, high=99))
        for name, value in ratings.items()
    ]
    script = Script().add("submitted").walk("enc", "train-winner", "train-loser", "arena")
    [made] = script.decide(spec, read=reader(arena_result(players=rows)))
    assert isinstance(made, Judge)
    assert made.judgement is not None
    assert made.judgement.candidate == "train/winner"


def test_a_missing_figure_and_a_small_arena_are_both_said() -> None:
    criteria = [{"metric": "nothing", "above": 0}]
    made = judge(verdict(criteria=criteria, min_units=1), arena((5, 40, 75), NO_FALLBACK))
    assert (made.outcome, [e.holds for e in made.evidence]) == ("hold", [False, False])


def test_one_unit_is_one_unit() -> None:
    result = arena((5, 40, 75), NO_FALLBACK)
    result.players[0].metrics["fallback"].n = 1
    made = judge(verdict(criteria=[{"metric": "fallback", "below": 1}], min_units=1), result)
    assert made.text.endswith("; 1 independent unit")
