from __future__ import annotations

import math
from typing import Any

import pytest

from tests.support.runs import interval, small_run
from wm.artifacts.result import Interval
from wmctl.plan.rules import Condition
from wmctl.run.conditions import Evidence, plain, weigh
from wmctl.run.figures import Figures


class Known(Figures):
    """One figure, whosever it is."""

    __slots__ = ("figure",)

    def __init__(self, figure: Interval | None) -> None:
        super().__init__({}, {})
        object.__setattr__(self, "figure", figure)

    def of(self, condition: Condition, who: str) -> Interval | None:
        return self.figure  # type: ignore[attr-defined, no-any-return]


def hold(figure: Interval | None, named: bool = True, **condition: Any) -> Evidence:
    made = Condition.model_validate({"metric": "top1"} | condition)
    return weigh(made, "train", Known(figure), named=named)


@pytest.mark.parametrize(
    ("side", "below", "equal", "above"),
    [
        ("above", False, False, True),
        ("at_least", False, True, True),
        ("below", True, False, False),
        ("at_most", True, True, False),
    ],
)
def test_comparators(side: str, below: bool, equal: bool, above: bool) -> None:
    held = [hold(interval(value), **{side: 0.5}).holds for value in (0.4, 0.5, 0.6)]
    assert held == [below, equal, above]


@pytest.mark.parametrize(
    ("side", "low", "high", "surely", "plausibly"),
    [
        ("above", 0.6, 0.8, True, True),
        ("above", 0.4, 0.8, False, True),
        ("above", 0.3, 0.5, False, False),
        ("at_least", 0.5, 0.8, True, True),
        ("at_least", 0.3, 0.5, False, True),
        ("below", 0.3, 0.4, True, True),
        ("below", 0.3, 0.6, False, True),
        ("below", 0.5, 0.6, False, False),
        ("at_most", 0.3, 0.5, True, True),
        ("at_most", 0.5, 0.6, False, True),
    ],
)
def test_the_whole_interval_or_some_of_it(
    side: str, low: float, high: float, surely: bool, plausibly: bool
) -> None:
    figure = interval((low + high) / 2, low, high)
    bound = {side: 0.5, "confidence": 0.95}
    assert hold(figure, **bound).holds is surely
    assert hold(figure, holds="surely", **bound).holds is surely
    assert hold(figure, holds="plausibly", **bound).holds is plausibly


def test_more_confidence_asks_for_more() -> None:
    """0 lies 2.2 standard errors below: outside 95 % (1.96) and 90 %, inside 99 % (2.58)."""
    figure = interval(2.2, 2.2 - 1.96, 2.2 + 1.96)
    held = {c: hold(figure, above=0, confidence=c) for c in (0.9, 0.95, 0.99)}
    assert [held[c].holds for c in (0.9, 0.95, 0.99)] == [True, True, False]
    assert held[0.99].figure is not None
    assert held[0.99].figure.low == pytest.approx(2.2 - 2.5759, abs=1e-4)


def test_without_confidence_the_figure_counts_as_it_was_measured() -> None:
    wide = interval(0.6, 0.1, 0.9)
    assert hold(wide, at_least=0.5).holds
    assert not hold(wide, at_least=0.5, confidence=0.95).holds


@pytest.mark.parametrize("n", [99, 100])
def test_too_small_a_sample_never_holds(n: int) -> None:
    made = hold(interval(0.6, n=n), above=0.5, min_sample=100)
    assert made.holds is (n == 100)
    assert ("; 99 independent units are fewer than 100" in made.text) is (n == 99)


@pytest.mark.parametrize("figure", [None, interval(math.nan), interval(math.inf)])
@pytest.mark.parametrize("bound", [{"above": 0}, {"below": 0}])
def test_what_is_not_there_never_holds(figure: Interval | None, bound: dict[str, float]) -> None:
    for holds in ("surely", "plausibly"):
        made = hold(figure, holds=holds, **bound)
        assert not made.holds
        assert made.figure is None
        assert made.text == "train: top1: no such figure"


@pytest.mark.parametrize("bounds", [(math.nan, math.nan), (0.5, math.inf), (-math.inf, 0.7)])
def test_confidence_in_a_figure_without_an_interval_never_holds(
    bounds: tuple[float, float],
) -> None:
    for holds in ("surely", "plausibly"):
        made = hold(interval(0.6, *bounds), above=0, confidence=0.95, holds=holds)
        assert (made.holds, made.figure) == (False, None)
        assert made.text == "train: top1 is 0.6, and has no interval"


def test_sentences() -> None:
    figure = interval(0.61234, 0.4, 0.8, 50)
    assert hold(figure, above=0.5).text == "train: top1 is 0.6123, above 0.5"
    assert hold(figure, below=0.5).text == "train: top1 is 0.6123, not below 0.5"
    sure = hold(figure, named=False, at_least=0.5, confidence=0.95)
    assert sure.text == "top1 is 0.612 (95 % 0.4 to 0.8, n=50), not at least 0.5"
    counted = interval(2, 2, 2, 0)
    assert hold(counted, at_most=3, confidence=0.95).text == "train: top1 is 2, at most 3"
    assert hold(interval(1, 1, 1, 40), above=0, confidence=0.95).text.endswith("1 (n=40), above 0")
    may = hold(figure, at_most=0.5, confidence=0.95, holds="plausibly")
    assert may.text.endswith("n=50), plausibly at most 0.5")
    measured = hold(figure, above=0.5, holds="plausibly")
    assert measured.text == "train: top1 is 0.6123, above 0.5", (
        "there is no interval to be unsure of"
    )
    relation = hold(figure, metric="elo", against="old", than="base", above=0)
    assert relation.text == "train: elo against old minus base's is 0.6123, above 0"
    assert relation.criterion == "elo against old minus base's above 0"


def test_evidence_survives_json_whatever_its_figure() -> None:
    made = hold(interval(0.6), above=0.5)
    again = Evidence.model_validate_json(made.model_dump_json())
    assert again.figure is not None
    assert math.isnan(again.figure.low)
    assert plain(made) == plain(again), "what is decided again can be compared"


def test_it_is_the_figure_of_whom_was_asked() -> None:
    spec = small_run()
    made = weigh(Condition(metric="top1", above=0), "train/winner", Figures(spec.by_name, {}))
    assert made.text == "train/winner: top1: no such figure"
