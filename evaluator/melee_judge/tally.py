"""From errors to the figures of a pairing, over as many of the first games as it has met in.

Everything is what an arena of just that many games would say, better baseline included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from evaluator.config import ArenaConfig
from evaluator.melee_judge.duel import Errors
from evaluator.melee_judge.scores import first_games, primary_scores
from evaluator.rating.elo import elo
from evaluator.rating.intervals import bootstrap_mean
from evaluator.rating.scores import Scores, trinomial
from evaluator.rating.sprt import sprt
from evaluator.rounds import Pair
from wm.artifacts.result import Pairing, Sprt

Array = NDArray[np.float64]


def scores_in(
    config: ArenaConfig, errors: Mapping[str, Errors], names: Sequence[str], games: int
) -> dict[str, Array]:
    """Primary scores of these players in the first games, [games] each."""
    first = first_games(errors, names, games)
    return {
        name: primary_scores(config.primary, first[name], first, config.horizons) for name in names
    }


def lead(config: ArenaConfig, errors: Mapping[str, Errors], pair: Pair, games: int) -> Array:
    """Primary score of a less that of b in each of the first games, [games]."""
    a, b = pair
    scores = scores_in(config, errors, pair, games)
    return scores[a] - scores[b]


def outcomes(config: ArenaConfig, leads: Array) -> Array:
    """1, 1/2 or 0 for a in each game; leads inside the tie zone are draws."""
    return np.where(np.abs(leads) <= config.tie_zone, 0.5, (leads > 0).astype(float))


def test_of(config: ArenaConfig, leads: Array) -> Sprt:
    """The sequential test of a pairing, over games won, drawn and lost."""
    return _test(config, _counted(outcomes(config, leads)))


def pairing(config: ArenaConfig, pair: Pair, leads: Array) -> Pairing:
    """Figures of a duel from a's side."""
    scores = _counted(outcomes(config, leads))
    losses, draws, wins = map(int, scores.counts)
    bootstrap = bootstrap_mean(leads, samples=config.bootstrap, seed=config.seed)
    return Pairing(
        a=pair[0],
        b=pair[1],
        units=len(leads),
        wins=wins,
        draws=draws,
        losses=losses,
        score=float(outcomes(config, leads).mean()),
        elo=elo(scores),
        los=bootstrap.positive,
        sprt=_test(config, scores),
        difference=bootstrap.interval,
        distinct=len(leads),
    )


def _counted(points: Array) -> Scores:
    wins, draws, losses = (int((points == value).sum()) for value in (1, 0.5, 0))
    return trinomial(wins, draws, losses)


def _test(config: ArenaConfig, scores: Scores) -> Sprt:
    return sprt(scores, **config.sprt.model_dump())
