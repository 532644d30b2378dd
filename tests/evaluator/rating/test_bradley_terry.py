"""Pool ratings recover what was planted."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from evaluator.rating.bradley_terry import pool_ratings
from evaluator.rating.elo import elo, score_of_elo
from evaluator.rating.scores import trinomial

PLANTED = {"random": 0.0, "weak": 120.0, "middle": 200.0, "strong": 420.0}


def simulated(seed: int, n: int) -> dict[tuple[str, str], np.ndarray]:
    """Scores of n units a pairing whose expectation is that of the planted ratings, with draws."""
    rng = np.random.default_rng(seed)
    units = {}
    for a, b in combinations(PLANTED, 2):
        expected = score_of_elo(PLANTED[a] - PLANTED[b])
        drawn = min(expected, 1 - expected)
        win = expected - drawn / 2
        units[a, b] = rng.choice([1.0, 0.5, 0.0], n, p=[win, drawn, 1 - win - drawn])
    return units


def test_planted_ratings_lie_within_their_intervals() -> None:
    inside = 0
    for seed in range(20):
        ratings = pool_ratings(
            list(PLANTED), simulated(seed, 150), anchor="random", samples=200, seed=seed
        )
        inside += sum(
            ratings[name].low <= PLANTED[name] <= ratings[name].high
            for name in PLANTED
            if name != "random"
        )
    assert inside >= 0.88 * 60


def test_the_anchor_is_zero() -> None:
    ratings = pool_ratings(list(PLANTED), simulated(0, 50), anchor="middle", samples=50, seed=0)
    assert (ratings["middle"].low, ratings["middle"].value, ratings["middle"].high) == (0, 0, 0)
    assert ratings["strong"].value > 0 > ratings["weak"].value


def test_two_players_are_rated_as_their_match() -> None:
    units = {("a", "b"): np.repeat([1.0, 0.5, 0.0], [1360, 1110, 960])}
    ratings = pool_ratings(["a", "b"], units, anchor="b", samples=200, seed=0)
    assert ratings["a"].value == pytest.approx(elo(trinomial(1360, 1110, 960)).value, abs=0.1)


def test_a_clean_sweep_stays_finite() -> None:
    ratings = pool_ratings(["a", "b"], {("a", "b"): np.ones(100)}, anchor="b", samples=100, seed=0)
    assert 500 < ratings["a"].value < 1200


def test_shared_units_cancel_what_all_players_share() -> None:
    """Two players that always do alike differ by nothing, however games are drawn again."""
    scores = np.random.default_rng(0).integers(2, size=30).astype(float)
    units = {("a", "c"): scores, ("b", "c"): scores, ("a", "b"): np.full(30, 0.5)}

    def gap(shared: bool) -> float:
        ratings = pool_ratings(
            ["a", "b", "c"], units, anchor="a", samples=200, seed=0, shared_units=shared
        )
        return ratings["b"].high - ratings["b"].low

    assert gap(shared=True) == pytest.approx(0, abs=1e-6)
    assert gap(shared=False) > 10
