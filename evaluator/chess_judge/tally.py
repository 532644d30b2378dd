"""From games to the figures of pairings and players."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from evaluator.chess_judge.game import Game
from evaluator.chess_judge.player import Turns
from evaluator.config import SprtSettings
from evaluator.rating.elo import elo, los, normalized_elo
from evaluator.rating.intervals import clustered_mean, wilson
from evaluator.rating.scores import pentanomial
from evaluator.rating.sprt import sprt
from wm.artifacts.result import Interval, Pairing

_PENTANOMIAL = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
"""Half points of a pair's worse and better game: LL, LD, WL, DD, WD, WW."""

_BUCKETS = ((0, 20), (20, 40), (40, 80), (80, None))
"""Plies played before a turn; early turns look legal by memory of openings."""

PairedGames = Mapping[tuple[str, str], Sequence[Game]]
"""(a, b) -> games that are over, two neighbours from the same opening with colours reversed."""


def pairing(a: str, b: str, games: Sequence[Game], question: SprtSettings) -> Pairing:
    """Figures of a match from a's side; where all games are copies, none that claims a strength."""
    points = [round(2 * game.score(a)) for game in games]
    pairs = list(zip(points[::2], points[1::2], strict=True))
    kinds = [_PENTANOMIAL.index((min(pair), max(pair))) for pair in pairs]
    counts = [kinds.count(kind) for kind in range(len(_PENTANOMIAL))]
    scores = pentanomial(counts)
    distinct = len({tuple(game.tokens) for game in games})
    counted = Pairing(
        a=a,
        b=b,
        units=len(pairs),
        wins=points.count(2),
        draws=points.count(1),
        losses=points.count(0),
        pentanomial=counts,
        score=scores.mean,
        capped=sum(game.capped for game in games),
        distinct=distinct,
    )
    if copies_only(counted):
        return counted
    return counted.model_copy(
        update={
            "elo": elo(scores),
            "nelo": normalized_elo(scores),
            "los": los(scores),
            "sprt": sprt(scores, **question.model_dump()),
        }
    )


def copies_only(pairing: Pairing) -> bool:
    """Whether both games of every pair were the same moves, so that nothing was compared."""
    return pairing.distinct <= pairing.units


def pair_scores(a: str, games: Sequence[Game]) -> NDArray[np.float64]:
    """Mean score of ``a`` in each pair of games, [pairs]."""
    scores = np.array([game.score(a) for game in games])
    paired: NDArray[np.float64] = (scores[::2] + scores[1::2]) / 2
    return paired


def turn_metrics(turns: Turns) -> dict[str, Interval]:
    """What a model said on its own turns: legality before masking, by ply too."""
    legal, fallback = np.array(turns.raw_legal, bool), np.array(turns.fallback, bool)
    plies = np.array(turns.plies)
    metrics = {
        "raw_legal": wilson(int(legal.sum()), len(legal)),
        "fallback_rate": wilson(int(fallback.sum()), len(fallback)),
        "mean_legal_mass": _mean_by_game(turns),
    }
    for start, stop in _BUCKETS:
        within = (plies >= start) & (plies < (stop or np.inf))
        if within.any():
            name = f"raw_legal@ply={start}-{stop - 1}" if stop else f"raw_legal@ply={start}+"
            metrics[name] = wilson(int(legal[within].sum()), int(within.sum()))
    return metrics


def game_metrics(name: str, games: Sequence[Game]) -> dict[str, Interval]:
    """What the games of a player were like."""
    drawn = sum(game.result == "1/2-1/2" for game in games)
    return {
        "draw_rate": wilson(drawn, len(games)),
        "plies": clustered_mean([len(game.tokens) for game in games], [1] * len(games)),
    }


def _mean_by_game(turns: Turns) -> Interval:
    """Mean legal mass over turns, games being the independent units.

    Summed in an order of the games' own: addresses, or the order of play, would give other last
    digits in another process, or in an arena of another size.
    """
    games = {id(game): game for game in turns.games}
    order = sorted(games, key=lambda i: (games[i].opening, games[i].white, games[i].black))
    row = {game: i for i, game in enumerate(order)}
    rows = [row[id(game)] for game in turns.games]
    return clustered_mean(np.bincount(rows, turns.legal_mass), np.bincount(rows))
