"""Intervals of shares, means and paired differences."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wm.artifacts.result import Interval

Z95 = 1.959964
"""Two-sided 95 % quantile of the normal distribution."""


def wilson(successes: int, n: int, z: float = Z95) -> Interval:
    """Share of successes with Wilson's score interval (1927); 0..1 where nothing was tried."""
    if n == 0:
        return Interval(value=0.0, low=0.0, high=1.0, n=0)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # Rounding must not push a bound past the share itself.
    low, high = min(max(0.0, centre - half), share), max(min(1.0, centre + half), share)
    return Interval(value=share, low=low, high=high, n=n)


def clustered_mean(totals: ArrayLike, sizes: ArrayLike, z: float = Z95) -> Interval:
    """Mean over all items of several clusters, with the cluster-robust interval of a ratio.

    ``totals[g]`` is the sum over the ``sizes[g]`` items of cluster g; ``n`` of the result counts
    clusters, because items of one game are not independent.
    """
    total, size = np.asarray(totals, np.float64), np.asarray(sizes, np.float64)
    mean = float(total.sum() / size.sum())
    half = z * float(np.sqrt(np.square(total - mean * size).sum()) / size.sum())
    return Interval(value=mean, low=mean - half, high=mean + half, n=len(size))


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """A mean over games and how it varies when games are drawn again."""

    interval: Interval
    """Mean with its 95 % percentile interval; n counts games."""
    positive: float
    """P(mean > 0): share of the resamples above 0, those at 0 counting half."""


def bootstrap_mean(per_game: NDArray[np.float64], *, samples: int, seed: int) -> Bootstrap:
    """Percentile bootstrap of a mean, games ([G]) being the independent units.

    For a paired comparison pass the differences per game. The same seed and number of games draw
    the same games, so intervals of several columns are over the same resamples.
    """
    games = len(per_game)
    means = per_game[resampled_games(games, samples=samples, seed=seed)].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    positive = float((means > 0).mean() + 0.5 * (means == 0).mean())
    interval = Interval(value=float(per_game.mean()), low=float(low), high=float(high), n=games)
    return Bootstrap(interval, positive)


def resampled_games(games: int, *, samples: int, seed: int) -> NDArray[np.int64]:
    """Indices [samples, games], drawn with replacement."""
    return np.random.default_rng(seed).integers(games, size=(samples, games))
