"""Wilson, cluster-robust and bootstrap intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.rating.intervals import bootstrap_mean, clustered_mean, wilson


def test_wilson_of_a_textbook_case() -> None:
    """Newcombe (1998), table I: 81 of 263 gives 0.2553 to 0.3662."""
    interval = wilson(81, 263)
    assert (interval.low, interval.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)


@settings(deadline=None)
@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_lies_inside_0_and_1_around_the_share(case: tuple[int, int]) -> None:
    hits, n = case
    interval = wilson(hits, n)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1
    assert interval.high > interval.low


def test_wilson_of_nothing_is_anything() -> None:
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0, 1)


def test_items_that_move_together_widen_the_interval() -> None:
    alone = clustered_mean([0.0, 1.0] * 50, [1] * 100)
    together = clustered_mean([0.0, 10.0] * 5, [10] * 10)
    assert alone.value == together.value == 0.5
    assert together.high - together.low > 3 * (alone.high - alone.low)


def test_bootstrap_covers_the_true_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for trial in range(200):
        interval = bootstrap_mean(rng.normal(0.3, 1, 60), samples=300, seed=trial).interval
        covered += interval.low < 0.3 < interval.high
    assert 0.88 <= covered / 200 <= 0.99


def test_bootstrap_of_no_difference_is_a_coin_toss() -> None:
    result = bootstrap_mean(np.zeros(10), samples=100, seed=0)
    assert (result.interval.low, result.interval.value, result.interval.high) == (0, 0, 0)
    assert result.positive == 0.5


def test_bootstrap_repeats_itself() -> None:
    values = np.random.default_rng(0).normal(size=20)
    first, again = (bootstrap_mean(values, samples=200, seed=3) for _ in range(2))
    assert first == again
    assert first != bootstrap_mean(values, samples=200, seed=4)
