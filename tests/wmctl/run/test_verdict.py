from __future__ import annotations

from typing import Any

import pytest

from wm.artifacts.result import ArenaResult, Interval, Pairing, PlayerRow
from wmctl.plan.model import Verdict
from wmctl.run.verdict import judge


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
