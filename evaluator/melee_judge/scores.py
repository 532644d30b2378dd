"""From errors per game to skills, and to the one primary score that decides.

Skill is 1 - error / error of the better baseline: 1 is perfect, 0 as good as the baseline.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from evaluator.melee_judge.duel import BASELINES, Errors
from evaluator.rating.intervals import resampled_games
from wm.artifacts.result import Interval

FLOOR = 0.01
"""Game units added to both errors of a game's skill: where even the baseline is exact, as when
nobody moves, a hundredth of a unit is no failure."""

_TINY = 1e-6
"""Stands in for a baseline without any error, so that a skill stays a number."""

Array = NDArray[np.float64]


def primary_scores(
    primary: str, player: Errors, errors: Mapping[str, Errors], horizons: Sequence[int]
) -> Array:
    """A player's primary score in each game, [G] in -1..1.

    Its position skill at each horizon in that game, clipped to -1..1, averaged over the horizons,
    or that of the one horizon which ``primary`` names.
    """
    own, baseline = player["position"], better_baseline(errors)
    skill = np.clip(1 - (own + FLOOR) / (baseline + FLOOR), -1, 1)
    _, _, horizon = primary.partition("@h=")
    if horizon:
        skill = skill[:, [list(horizons).index(int(horizon))]]
    return _mean(skill, axis=1)


def first_games(
    errors: Mapping[str, Errors], names: Iterable[str], games: int
) -> dict[str, Errors]:
    """Errors of these players in the first ``games`` games only, and those of the baselines."""
    return {
        name: {family: values[:games] for family, values in errors[name].items()}
        for name in {*names, *BASELINES}
    }


def joined(rounds: Sequence[Errors]) -> Errors:
    """Errors of one player over the games of several rounds."""
    return {family: np.concatenate([own[family] for own in rounds]) for family in rounds[0]}


def better_baseline(errors: Mapping[str, Errors]) -> Array:
    """Position errors [G, horizons] of the baseline that is better at each horizon over all games.

    One baseline for all games: the better one of each game would need to know the future.
    """
    candidates = [errors[name]["position"] for name in BASELINES]
    best = np.argmin([_mean(c, axis=0) for c in candidates], axis=0)
    chosen: Array = np.choose(best, candidates)
    return chosen


def player_metrics(
    player: Errors,
    errors: Mapping[str, Errors],
    horizons: Sequence[int],
    *,
    samples: int,
    seed: int,
) -> dict[str, Interval]:
    """Figures at each horizon over all games, with percentile intervals over resampled games.

    ``skill`` and ``pos_mae`` (game units per axis), ``percent_mae``, ``velocity_mae`` (units per
    frame), ``action_acc`` and ``flags_acc``.
    """
    games = len(player["position"])
    # The first row is the sample itself, the others are its resamples.
    draws = np.vstack([np.arange(games), resampled_games(games, samples=samples, seed=seed)])
    baseline = better_baseline(errors)
    metrics: dict[str, Interval] = {}
    for i, horizon in enumerate(horizons):
        at = f"@h={horizon}"
        own, best = (_mean(column[draws, i], axis=1) for column in (player["position"], baseline))
        skill = np.where(own == best, 0.0, 1 - own / np.maximum(best, _TINY))
        metrics["skill" + at] = _interval(skill, games)
        metrics["pos_mae" + at] = _interval(own, games)
        for family in ("percent", "velocity"):
            metrics[f"{family}_mae{at}"] = _interval(player[family][draws, i].mean(axis=1), games)
        for family in ("action", "flags"):
            right = 1 - player[family][draws, i].mean(axis=1)
            metrics[f"{family}_acc{at}"] = _interval(right, games)
    return metrics


def _mean(errors: Array, axis: int) -> Array:
    """Mean over the figures that are there; 0 where none is."""
    counts = np.isfinite(errors).sum(axis=axis)
    means: Array = np.nansum(errors, axis=axis) / np.maximum(counts, 1)
    return means


def _interval(values: Array, games: int) -> Interval:
    low, high = np.quantile(values[1:], (0.025, 0.975))
    return Interval(value=float(values[0]), low=float(low), high=float(high), n=games)
