"""Elo, normalized Elo and likelihood of superiority of one match.

Formulas: M. Van den Bergh, "Normalized Elo" and "Comments on Normalized Elo" (2020), as used by
fishtest and fastchess; whose published figures are the tests.
"""

from __future__ import annotations

from math import erf, log, log10, sqrt

from evaluator.rating.intervals import Z95
from evaluator.rating.scores import Scores
from wm.artifacts.result import Interval

NELO_PER_SIGMA = 800 / log(10)
"""Normalized Elo of a match whose mean lies one standard deviation of a game above one half."""


def elo(scores: Scores) -> Interval:
    """Logistic Elo difference with its 95 % interval, half-width = half of Elo(mu+d) - Elo(mu-d).

    Means are kept half a game away from 0 and 1, where the Elo would be infinite.
    """
    d = Z95 * scores.standard_error
    value = elo_of_score(_inside(scores.mean, scores))
    upper, lower = (elo_of_score(_inside(scores.mean + s, scores)) for s in (d, -d))
    half = (upper - lower) / 2
    return _interval(value, half, scores)


def normalized_elo(scores: Scores) -> Interval:
    """Elo in units of a single game's standard deviation: (mu - 1/2) / sigma x 800 / ln 10."""
    scale = NELO_PER_SIGMA / sqrt(scores.games_per_unit * scores.variance)
    return _interval((scores.mean - 0.5) * scale, Z95 * scores.standard_error * scale, scores)


def los(scores: Scores) -> float:
    """Likelihood of superiority in 0..1: Phi((mu - 1/2) / standard error)."""
    return 0.5 * (1 + erf((scores.mean - 0.5) / scores.standard_error / sqrt(2)))


def elo_of_score(score: float) -> float:
    """Elo difference at which the stronger player scores ``score`` (0..1, exclusive)."""
    return 400 * log10(score / (1 - score))


def score_of_elo(elo: float) -> float:
    """Expected score in 0..1 at an Elo difference."""
    return float(1 / (1 + 10 ** (-elo / 400)))


def _inside(mean: float, scores: Scores) -> float:
    margin = 0.5 / (scores.n * scores.games_per_unit)
    # A single game would leave no room between the margins.
    margin = min(margin, 0.25)
    return min(max(mean, margin), 1 - margin)


def _interval(value: float, half: float, scores: Scores) -> Interval:
    return Interval(value=value, low=value - half, high=value + half, n=round(scores.n))
