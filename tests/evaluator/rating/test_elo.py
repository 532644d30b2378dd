"""Elo, nElo and LOS against fastchess' published figures, and what must hold for any result."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.rating.elo import elo, elo_of_score, los, normalized_elo, score_of_elo
from evaluator.rating.scores import Scores, pentanomial, trinomial
from wm.artifacts.result import Interval
from wm.errors import BadData

EVEN = (34, 54, 31, 32, 64, 75)
WEAKER = (332, 433, 457, 41, 333, 334)

counts = st.lists(st.integers(0, 500), min_size=6, max_size=6).filter(any)


def half_width(interval: Interval) -> float:
    return (interval.high - interval.low) / 2


@pytest.mark.parametrize(
    ("scores", "value", "half"),
    [
        (pentanomial(EVEN), 55.58, 27.65),
        (pentanomial(WEAKER), -8.64, 10.33),
        (trinomial(136, 111, 96), 40.70, 30.43),
    ],
)
def test_elo_of_published_matches(scores: Scores, value: float, half: float) -> None:
    assert elo(scores).value == pytest.approx(value, abs=0.005)
    assert half_width(elo(scores)) == pytest.approx(half, abs=0.005)


@pytest.mark.parametrize(
    ("scores", "value", "half"),
    [
        (pentanomial(EVEN), 57.94, 28.28),
        (pentanomial(WEAKER), -9.17, 10.96),
        (trinomial(136, 111, 96), 49.77, 36.77),
    ],
)
def test_normalized_elo_of_published_matches(scores: Scores, value: float, half: float) -> None:
    assert normalized_elo(scores).value == pytest.approx(value, abs=0.005)
    assert half_width(normalized_elo(scores)) == pytest.approx(half, abs=0.005)


@pytest.mark.parametrize(
    ("scores", "likelihood"),
    [
        (pentanomial(EVEN), 0.99997),
        (pentanomial(WEAKER), 0.0505),
        (trinomial(136, 111, 96), 0.9960),
    ],
)
def test_los_of_published_matches(scores: Scores, likelihood: float) -> None:
    assert los(scores) == pytest.approx(likelihood, abs=5e-5)


def test_score_of_a_published_match() -> None:
    assert pentanomial(EVEN).mean == pytest.approx(0.579, abs=5e-4)


def test_wl_and_dd_score_alike() -> None:
    assert elo(pentanomial((5, 6, 7, 0, 8, 9))) == elo(pentanomial((5, 6, 0, 7, 8, 9)))


@settings(deadline=None)
@given(counts)
def test_swapping_the_players_changes_only_the_sign(results: list[int]) -> None:
    mine, theirs = pentanomial(results), pentanomial(results[::-1])
    for figure in (elo, normalized_elo):
        assert figure(mine).value == pytest.approx(-figure(theirs).value, abs=1e-6)
        assert figure(mine).low == pytest.approx(-figure(theirs).high, abs=1e-6)
    assert los(mine) == pytest.approx(1 - los(theirs), abs=1e-9)


@settings(deadline=None)
@given(st.floats(-800, 800))
def test_score_and_elo_are_inverse(difference: float) -> None:
    assert elo_of_score(score_of_elo(difference)) == pytest.approx(difference, abs=1e-6)


@pytest.mark.parametrize(
    "results", [(0, 0, 0, 0, 0, 100), (0, 0, 0, 100, 0, 0), (1, 0, 0, 0, 0, 0)]
)
def test_a_clean_sweep_is_finite_and_has_a_width(results: tuple[int, ...]) -> None:
    interval = elo(pentanomial(results))
    assert abs(interval.value) < 1200
    assert half_width(interval) > 30


def test_a_hundred_drawn_pairs_show_no_superiority() -> None:
    scores = pentanomial((0, 0, 0, 100, 0, 0))
    assert los(scores) == 0.5
    assert elo(scores).low < 0 < elo(scores).high


@pytest.mark.parametrize("results", [(0, 0, 0), (-1, 2, 3)])
def test_results_that_no_match_can_have(results: tuple[int, int, int]) -> None:
    with pytest.raises(BadData):
        trinomial(*results)
