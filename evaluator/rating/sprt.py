"""Sequential probability ratio test with the generalized likelihood ratio.

Under each hypothesis the likeliest distribution of unit scores is found among those that satisfy
it; the log-likelihood ratio compares the two. Source: M. Van den Bergh, "A practical introduction
to the GSPRT" (2020) and "Normalized Elo"; the figures of fastchess are the tests.
"""

from __future__ import annotations

from math import ceil, log, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaluator.rating.elo import NELO_PER_SIGMA, score_of_elo
from evaluator.rating.scores import Scores
from wm.artifacts.result import Sprt

EloModel = Literal["normalized", "logistic"]

_ABSENT_COUNT = 1e-3
"""Stands in for a count of 0, so that every score keeps some likelihood."""

_LARGEST_STEP = 0.1
"""Of (mean - 1/2) / sigma; 35 normalized Elo."""

Array = NDArray[np.float64]


def sprt(
    scores: Scores,
    *,
    elo0: float,
    elo1: float,
    model: EloModel = "normalized",
    alpha: float = 0.05,
    beta: float = 0.05,
) -> Sprt:
    """Test H1 "the difference is ``elo1``" against H0 "it is ``elo0``" at error rates alpha, beta.

    >>> from evaluator.rating.scores import trinomial
    >>> round(sprt(trinomial(36433, 68692, 36027), elo0=0, elo1=2).llr, 2)
    0.92
    """
    lower, upper = log(beta / (1 - alpha)), log((1 - beta) / alpha)
    llr = log_likelihood_ratio(scores, elo0, elo1, model)
    decision = "accept_h1" if llr >= upper else "accept_h0" if llr <= lower else "continue"
    return Sprt(
        elo0=elo0, elo1=elo1, model=model, llr=llr, lower=lower, upper=upper, decision=decision
    )


def log_likelihood_ratio(scores: Scores, elo0: float, elo1: float, model: EloModel) -> float:
    """ln of the likelihood of ``scores`` under ``elo1`` over that under ``elo0``."""
    counts = np.asarray(scores.counts, float)
    counts[counts == 0] = _ABSENT_COUNT
    n = counts.sum()
    observed, values = counts / n, np.asarray(scores.values)
    if model == "logistic":
        p0, p1 = (_with_mean(observed, values, score_of_elo(e)) for e in (elo0, elo1))
    else:
        per_unit = sqrt(scores.games_per_unit) / NELO_PER_SIGMA
        p0, p1 = (_with_t_value(observed, values, e * per_unit) for e in (elo0, elo1))
    return float(n * (observed * np.log(p1 / p0)).sum())


def _with_mean(observed: Array, values: Array, mean: float) -> Array:
    """Likeliest distribution with that mean."""
    return _with_expectation_zero(observed, values - mean)


def _with_t_value(observed: Array, values: Array, t: float) -> Array:
    """Likeliest distribution with (mean - 1/2) / sigma = ``t``.

    The constraint is not linear in p; each round linearises it at the last p. From far away that
    would diverge, so ``t`` is approached from 0 in steps; those of real matches need one.
    """
    p = np.full_like(observed, 1 / len(observed))
    for nearer in np.linspace(t, 0, ceil(abs(t) / _LARGEST_STEP) or 1, endpoint=False)[::-1]:
        for _ in range(200):
            mean = (p * values).sum()
            sigma = sqrt((p * (values - mean) ** 2).sum())
            tangent = values - 0.5 - 0.5 * nearer * sigma * (1 + ((mean - values) / sigma) ** 2)
            last, p = p, _with_expectation_zero(observed, tangent)
            if np.abs(p - last).max() < 1e-10:
                break
    return p


def _with_expectation_zero(observed: Array, x: Array) -> Array:
    """Likeliest p with sum(p x) = 0: p = observed / (1 + theta x), theta by bisection.

    sum(p x) falls monotonically in theta between the poles at -1/max(x) and -1/min(x).
    """
    low, high = -1 / x.max(), -1 / x.min()
    for _ in range(200):
        theta = (low + high) / 2
        if theta in (low, high):
            break
        if (observed * x / (1 + theta * x)).sum() > 0:
            low = theta
        else:
            high = theta
    p: Array = observed / (1 + theta * x)
    return p
