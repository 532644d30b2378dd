from __future__ import annotations

import math
from typing import Any

import pytest

from tests.support.runs import arena_result, interval, pairing, small_run
from wm.artifacts.result import Interval, PlayerRow, Sprt
from wmctl.plan.rules import Condition
from wmctl.run.figures import Figures, Outcome, at_confidence, best_player, difference, wilson

SPEC = small_run()


def outcome(name: str, code: int = 0, **result: Any) -> Outcome:
    return Outcome(SPEC.node(name), result, code, usd=2.5, seconds=1800)


def figures(*left: Outcome, **arena: Any) -> Figures:
    return Figures(SPEC.by_name, {each.node.name: each for each in left}, **arena)


def of(found: Figures, metric: str, who: str, **fields: Any) -> Interval | None:
    return found.of(Condition(metric=metric, above=0, **fields), who)


def test_figures_of_a_stage() -> None:
    metrics = {"loss": 0.25, "top1": 0.3, "nothing": None}
    cache = {"train": "hit", "val": "miss"}
    left = outcome("train-winner", 137, metrics=metrics, units=50, step=9, cache=cache, hit=True)
    found = figures(left)

    def value(metric: str) -> float | None:
        figure = of(found, metric, "train/winner")
        return None if figure is None else figure.value

    assert value("exit_code") == 137
    assert value("usd") == 2.5
    assert value("hours") == 0.5
    assert value("loss") == 0.25
    assert value("step") == 9
    assert value("hit") == 1
    assert (value("cache.train"), value("cache.val")) == (1, 0)
    missing = ("nothing", "accuracy", "cache", "cache.test", "step.x")
    assert [value(metric) for metric in missing] == [None] * 5


def test_what_was_counted_is_certain_and_what_was_measured_has_no_interval() -> None:
    found = figures(outcome("enc", 0, metrics={"loss": 0.25}, units=50))
    for metric, value in (("exit_code", 0), ("usd", 2.5), ("hours", 0.5)):
        assert of(found, metric, "enc") == Interval(value=value, low=value, high=value, n=0)
    loss = of(found, "loss", "enc")
    assert loss is not None
    assert (loss.value, loss.n) == (0.25, 50)
    assert math.isnan(loss.low)


def test_shares_of_held_out_games_have_wilsons_interval() -> None:
    found = figures(outcome("enc", metrics={"top1": 0.3, "loss": 1}, units=50))
    assert of(found, "top1", "enc") == wilson(0.3, 50)
    without = of(figures(outcome("enc", metrics={"top1": 0.3})), "top1", "enc")
    assert without is not None
    assert math.isnan(without.low), "without units there is no sample"


@pytest.mark.parametrize(
    ("share", "n", "low", "high"),
    [
        # Newcombe (1998), Statistics in Medicine 17, table I, method 3
        (81 / 263, 263, 0.2553, 0.3662),
        (15 / 148, 148, 0.0624, 0.1605),
        (0.0, 20, 0.0, 0.1611),
        (1 / 29, 29, 0.0061, 0.1718),
    ],
)
def test_wilsons_interval(share: float, n: int, low: float, high: float) -> None:
    made = wilson(share, n)
    assert (made.low, made.high) == pytest.approx((low, high), abs=5e-5)
    assert (made.value, made.n) == (share, n)


def test_the_difference_of_two_figures() -> None:
    # half-widths 3 and 4 make 5; below a's 3 and b's upper 4, above a's 6 and b's lower 8
    a, b = interval(10, 7, 16, 80), interval(4, -4, 8, 50)
    assert difference(a, b) == Interval(value=6, low=1, high=16, n=50)


def test_a_figure_minus_that_of_another() -> None:
    # Newcombe's (1998) hybrid interval of 56/70 - 48/80 is 0.0524 to 0.3339 (his method 10)
    left = [
        outcome("train-winner", metrics={"top1": 56 / 70}, units=70),
        outcome("train-loser", metrics={"top1": 48 / 80}, units=80),
    ]
    made = of(figures(*left), "top1", "train/winner", than="train/loser")
    assert made is not None
    assert (made.low, made.value, made.high) == pytest.approx((0.0524, 0.2, 0.3339), abs=5e-5)
    assert made.n == 70
    for one in left:
        assert of(figures(one), "top1", "train/winner", than="train/loser") is None


def test_an_interval_at_another_confidence_is_that_of_a_normal_distribution() -> None:
    figure = interval(10, 10 - 1.96, 10 + 2 * 1.96, 7)
    wide = at_confidence(figure, 0.99)  # 2.5758 sigma for 1.9600
    assert (wide.low, wide.high) == pytest.approx((10 - 2.5759, 10 + 2 * 2.5759), abs=1e-4)
    narrow = at_confidence(figure, 0.6827)  # one sigma
    assert (narrow.low, narrow.high) == pytest.approx((9, 12), abs=1e-3)
    same = at_confidence(figure, 0.95)
    assert (same.low, same.high, same.n) == (pytest.approx(8.04), pytest.approx(13.92), 7)


ELO = interval(50, 10, 100, 40)


def arena(**fields: Any) -> Figures:
    duel = pairing("a", "b", units=40, score=0.75, elo=ELO, **fields)
    fallback = interval(0.02, 0.01, 0.04, 900)
    rows = [
        PlayerRow(name="a", rating=interval(120, 100, 140), metrics={"fallback_rate": fallback}),
        PlayerRow(name="b"),
        PlayerRow(name="train/winner", metrics={}),
    ]
    left = outcome("train-winner", metrics={"top1": 0.3})
    return figures(left, outcome("arena"), arena=arena_result(duel, players=rows))


def test_figures_of_a_player() -> None:
    found = arena()
    assert of(found, "fallback_rate", "a") == interval(0.02, 0.01, 0.04, 900)
    assert of(found, "rating", "a") == interval(120, 100, 140)
    assert of(found, "rating", "b") is None
    assert of(found, "fallback_rate", "b") is None
    assert of(found, "fallback_rate", "nobody") is None
    assert of(found, "rating", "nobody") is None
    assert of(found, "exit_code", "arena") == interval(0, 0, 0, 0)


def test_a_player_that_the_run_has_trained_has_its_trainings_figures_too() -> None:
    figure = of(arena(), "top1", "train/winner")
    assert figure is not None
    assert figure.value == 0.3


def test_figures_of_two_from_both_sides() -> None:
    found = arena(nelo=interval(5, 1, 9, 40), difference=interval(0.1, -0.1, 0.2, 40))
    assert of(found, "elo", "a", against="b") == ELO
    assert of(found, "elo", "b", against="a") == interval(-50, -100, -10, 40)
    assert of(found, "nelo", "b", against="a") == interval(-5, -9, -1, 40)
    assert of(found, "difference", "b", against="a") == interval(-0.1, -0.2, 0.1, 40)
    for who, value in (("a", 0.75), ("b", 0.25)):
        score = of(found, "score", who, against=({"a", "b"} - {who}).pop())
        assert score is not None
        assert (score.value, score.n) == (value, 40)
        assert math.isnan(score.low)


def test_no_figure_of_two() -> None:
    assert of(arena(), "nelo", "a", against="b") is None
    assert of(arena(), "nelo", "b", against="a") is None
    assert of(arena(), "elo", "a", against="nobody") is None
    assert of(arena(), "elo", "a", against="train/winner") is None
    assert of(figures(), "elo", "a", against="b") is None


@pytest.mark.parametrize(
    ("decision", "value"), [("accept_h1", 1), ("accept_h0", -1), ("continue", 0)]
)
def test_a_sequential_test_speaks_of_the_side_that_was_tested(decision: str, value: int) -> None:
    sprt = Sprt(
        elo0=0, elo1=10, model="normalized", llr=0, lower=-2.9, upper=2.9, decision=decision
    )
    found = arena(sprt=sprt)
    assert of(found, "sprt", "a", against="b") == interval(value, value, value, 40)
    assert of(found, "sprt", "b", against="a") is None
    assert of(arena(), "sprt", "a", against="b") is None, "no test was made"


def test_a_measure_is_a_plain_value_of_what_it_cost_or_took() -> None:
    found = figures(outcome("train-winner", metrics={"top1": 0.3, "bad": math.nan}))
    assert found.measure("top1", "train/winner", None) == 0.3
    assert found.measure("top1", "train/winner", "usd") == pytest.approx(0.12)
    assert found.measure("top1", "train/winner", "hour") == pytest.approx(0.6)
    assert found.measure("bad", "train/winner", None) is None
    assert found.measure("bad", "train/winner", "usd") is None
    assert found.measure("top1", "train/loser", None) is None


def test_what_no_stage_made_has_cost_nothing_that_is_known() -> None:
    assert arena().measure("fallback_rate", "a", None) == 0.02
    assert arena().measure("fallback_rate", "a", "usd") is None


def test_what_cost_nothing_has_no_figure_by_the_dollar() -> None:
    free = Outcome(SPEC.node("enc"), {"metrics": {"top1": 0.3}}, 0, usd=0, seconds=0)
    assert figures(free).measure("top1", "enc", "usd") is None
    assert figures(free).measure("top1", "enc", "hour") is None


def test_a_stage_of_several_variants_has_no_figure_of_its_own() -> None:
    left = [outcome(f"train-{n}", metrics={"top1": 0.3}) for n in ("winner", "loser")]
    assert of(figures(*left), "top1", "train") is None
    assert of(figures(left[0]), "top1", "train") is not None, "only one of them has ended"


def test_the_best_is_the_highest_rated_of_those_that_were_trained() -> None:
    ratings = {"old": 200, "a": 50, "b": 90, "c": None}
    rows = [
        PlayerRow(name=name, rating=None if value is None else interval(value))
        for name, value in ratings.items()
    ]
    result = arena_result(players=rows)
    assert best_player(result, ["a", "b", "c"]) == "b"
    assert best_player(result, ["c"]) is None
    assert best_player(result, []) is None
