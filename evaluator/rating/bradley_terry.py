"""Ratings of a pool: maximum likelihood of the Bradley-Terry model, draws as half a win each.

With that treatment of draws the rating difference of two players who met only each other is the
Elo of their match, so pool and pairings speak of one scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from wm.artifacts.result import Interval

_PER_LOGIT = 400 / np.log(10)
_PRIOR_DRAWS = 1.0
"""Drawn units added to every pairing that was played: keeps the rating of a clean sweep finite."""
_LARGEST_STEP = 3.0

Array = NDArray[np.float64]


def pool_ratings(
    players: Sequence[str],
    units: Mapping[tuple[str, str], Array],
    *,
    anchor: str,
    samples: int,
    seed: int,
    shared_units: bool = False,
) -> dict[str, Interval]:
    """Elo rating of every player with a 95 % bootstrap interval; ``anchor`` is 0.

    ``units[a, b]`` holds the score in 0..1 of ``a`` in each independent unit (pair of games, or
    held-out game). Units are drawn again for every pairing by itself, or, with ``shared_units``,
    the same ones for all pairings because unit i is one thing that all players met.
    """
    at = {name: i for i, name in enumerate(players)}
    rng = np.random.default_rng(seed)
    played = np.zeros((len(players), len(players)))
    won = np.zeros((samples + 1, len(players), len(players)))
    drawn: dict[int, NDArray[np.int64]] = {}
    for (a, b), scores in units.items():
        n = len(scores)
        rows = drawn.get(n) if shared_units else None
        if rows is None:
            rows = drawn[n] = rng.integers(n, size=(samples, n))
        totals = np.concatenate(([scores.sum()], scores[rows].sum(axis=1)))
        played[at[a], at[b]] = played[at[b], at[a]] = n + _PRIOR_DRAWS
        won[:, at[a], at[b]] = totals + _PRIOR_DRAWS / 2
        won[:, at[b], at[a]] = n - totals + _PRIOR_DRAWS / 2
    ratings = _fit(played, won, at[anchor]) * _PER_LOGIT
    low, high = np.quantile(ratings[1:], (0.025, 0.975), axis=0)
    games = {p: sum(len(s) for pair, s in units.items() if p in pair) for p in players}
    return {
        p: Interval(value=ratings[0, i], low=low[i], high=high[i], n=games[p])
        for p, i in at.items()
    }


def _fit(played: Array, won: Array, anchor: int) -> Array:
    """Logit strengths [S, N] for S sets of results ``won`` [S, N, N], by Newton's method.

    The log-likelihood is concave and, with the prior, has its maximum at finite strengths.
    """
    samples, n, _ = won.shape
    strength = np.zeros((samples, n))
    free = np.array([i for i in range(n) if i != anchor])
    for _ in range(100):
        gap = strength[:, :, None] - strength[:, None, :]
        expected = 1 / (1 + np.exp(-gap))
        gradient = (won - played * expected).sum(axis=2)
        weight = played * expected * (1 - expected)
        hessian = -weight
        hessian[:, range(n), range(n)] += weight.sum(axis=2)
        step = np.linalg.solve(hessian[:, free][:, :, free], gradient[:, free, None])[..., 0]
        step = np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)
        strength[:, free] += step
        if np.abs(step).max() < 1e-9:
            break
    return strength
