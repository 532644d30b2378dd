"""Results of a match as counts of unit scores, the form that every statistic here takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from wm.errors import BadData

_PAIR_SCORES = (0.0, 0.25, 0.5, 0.75, 1.0)
_GAME_SCORES = (0.0, 0.5, 1.0)
_LARGEST_VARIANCE = 0.25


@dataclass(frozen=True, slots=True)
class Scores:
    """How often each score was reached, from one player's side."""

    values: tuple[float, ...]
    """Possible scores of one independent unit, ascending in 0..1."""
    counts: tuple[float, ...]
    """How many units reached each of them."""
    games_per_unit: int
    """2 for pairs of games with colours reversed, 1 for single games."""

    @property
    def n(self) -> float:
        """Independent units."""
        return sum(self.counts)

    @property
    def mean(self) -> float:
        """Mean score in 0..1."""
        return sum(v * c for v, c in zip(self.values, self.counts, strict=True)) / self.n

    @property
    def variance(self) -> float:
        """Mean squared deviation of a unit's score.

        Where every unit scored alike the sample shows none; the largest possible variance, 1/4,
        stands in, so that a short clean sweep does not claim an interval of width 0.
        """
        mean = self.mean
        squares = sum(c * (v - mean) ** 2 for v, c in zip(self.values, self.counts, strict=True))
        return squares / self.n or _LARGEST_VARIANCE

    @property
    def standard_error(self) -> float:
        """Of the mean score."""
        return sqrt(self.variance / self.n)


def pentanomial(counts: Sequence[int]) -> Scores:
    """Scores of game pairs from (LL, LD, WL, DD, WD, WW); WL and DD both score one half."""
    ll, ld, wl, dd, wd, ww = counts
    return _scores(_PAIR_SCORES, (ll, ld, wl + dd, wd, ww), games_per_unit=2)


def trinomial(wins: int, draws: int, losses: int) -> Scores:
    """Scores of single games."""
    return _scores(_GAME_SCORES, (losses, draws, wins), games_per_unit=1)


def _scores(values: tuple[float, ...], counts: tuple[float, ...], *, games_per_unit: int) -> Scores:
    if min(counts) < 0 or not any(counts):
        raise BadData(
            f"no match can have the results {counts}", hint="counts are at least 0, and one is more"
        )
    return Scores(values, counts, games_per_unit)
