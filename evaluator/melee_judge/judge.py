"""A Melee arena from its settings to its result."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray

from evaluator.config import ArenaConfig
from evaluator.melee_judge.duel import Errors, Tick, anchor, duel, model
from evaluator.melee_judge.scores import player_metrics, primary_scores
from evaluator.melee_judge.starts import HeldOut, held_out
from evaluator.rating.bradley_terry import pool_ratings
from evaluator.rating.elo import elo
from evaluator.rating.intervals import bootstrap_mean
from evaluator.rating.scores import trinomial
from wm.artifacts.dataset import Dataset
from wm.artifacts.result import ArenaResult, Pairing, PlayerRow
from wm.errors import BadData
from wm.models.melee_model import WorldModel

logger = logging.getLogger("wm.evaluator")

FEW_GAMES = 20
"""Games below which percentile intervals are known to be too narrow."""

_SHORTEST_CONTEXT = 2
"""Frames that the baselines may look at."""


def judge(
    config: ArenaConfig,
    dataset: Dataset,
    models: Mapping[str, WorldModel],
    tick: Tick,
    device: torch.device,
) -> tuple[ArenaResult, str]:
    """Fight the duels; returns the result and one JSON line for every held-out game.

    ``models`` holds the world model, on ``device``, of every player that is no anchor.
    """
    contexts = [m.context for m in models.values()]
    context = max([_SHORTEST_CONTEXT, *contexts])
    games = _games(config, dataset, context)
    players = {
        p.name: anchor(p.anchor) if p.anchor else model(models[p.name]) for p in config.players
    }
    started = time.perf_counter()
    errors = duel(
        players,
        games,
        context=context,
        horizons=config.horizons,
        rollouts=config.rollouts,
        device=device,
        tick=tick,
    )
    starts = sum(len(game.starts) for game in games)
    logger.info(
        "%d players predicted %d frames from %d starts in %d games in %.1f s",
        len(players),
        config.horizons[-1],
        starts,
        len(games),
        time.perf_counter() - started,
    )
    scores = {
        name: primary_scores(config.primary, errors[name], errors, config.horizons)
        for name in players
    }
    result = _result(config, dataset, games, errors, scores)
    return result, _lines(games, scores)


def _games(config: ArenaConfig, dataset: Dataset, context: int) -> list[HeldOut]:
    split = dataset.split(config.split)
    games = held_out(
        split,
        games=config.games,
        starts=config.starts_per_game,
        gap=config.start_gap,
        context=context,
        horizon=config.horizons[-1],
        seed=config.seed,
    )
    if not games:
        raise BadData(
            f"none of the {split.games} games in split {config.split} of {config.data} has the "
            f"{context + config.horizons[-1]} frames that a duel needs",
            hint="encode more games, raise the split's share, or lower horizons",
        )
    return games


def _result(
    config: ArenaConfig,
    dataset: Dataset,
    games: Sequence[HeldOut],
    errors: Mapping[str, Errors],
    scores: Mapping[str, NDArray[np.float64]],
) -> ArenaResult:
    pairs = list(combinations(scores, 2))
    outcomes = {(a, b): _outcomes(scores[a] - scores[b], config.tie_zone) for a, b in pairs}
    ratings = pool_ratings(
        list(scores),
        outcomes,
        anchor=config.anchor,
        samples=config.bootstrap,
        seed=config.seed,
        shared_units=True,
    )
    rows = []
    for player in config.players:
        metrics = player_metrics(
            errors[player.name],
            errors,
            config.horizons,
            samples=config.bootstrap,
            seed=config.seed,
        )
        overall = bootstrap_mean(scores[player.name], samples=config.bootstrap, seed=config.seed)
        rows.append(
            PlayerRow(
                name=player.name,
                model=player.model,
                rating=ratings[player.name],
                metrics={config.primary: overall.interval} | metrics,
            )
        )
    return ArenaResult(
        game="melee",
        judge="melee-duel",
        primary=config.primary,
        players=rows,
        pairings=[_pairing(config, a, b, scores[a] - scores[b], outcomes[a, b]) for a, b in pairs],
        settings={
            **config.model_dump(mode="json"),
            "anchor": config.anchor,
            "games_used": len(games),
            "starts_used": sum(len(game.starts) for game in games),
        },
        notes=_notes(config, dataset, games, rows),
    )


def _outcomes(difference: NDArray[np.float64], tie_zone: float) -> NDArray[np.float64]:
    """1, 1/2 or 0 for a in each game; differences inside the tie zone are draws."""
    return np.where(np.abs(difference) <= tie_zone, 0.5, (difference > 0).astype(float))


def _pairing(
    config: ArenaConfig,
    a: str,
    b: str,
    difference: NDArray[np.float64],
    outcomes: NDArray[np.float64],
) -> Pairing:
    wins, draws, losses = (int((outcomes == value).sum()) for value in (1, 0.5, 0))
    bootstrap = bootstrap_mean(difference, samples=config.bootstrap, seed=config.seed)
    return Pairing(
        a=a,
        b=b,
        units=len(outcomes),
        wins=wins,
        draws=draws,
        losses=losses,
        score=float(outcomes.mean()),
        elo=elo(trinomial(wins, draws, losses)),
        los=bootstrap.positive,
        difference=bootstrap.interval,
        distinct=len(outcomes),
    )


def _notes(
    config: ArenaConfig, dataset: Dataset, games: Sequence[HeldOut], rows: Sequence[PlayerRow]
) -> list[str]:
    notes = []
    short = min(dataset.split(config.split).games, config.games) - len(games)
    if len(games) < FEW_GAMES:
        notes.append(
            f"{len(games)} held-out games: with fewer than {FEW_GAMES} the intervals are too "
            "narrow; take them as hints"
        )
    if short > 0:
        notes.append(f"{short} held-out games were too short to be used")
    for row in rows:
        if row.model is None:
            continue
        behind = [h for h in config.horizons if row.metrics[f"skill@h={h}"].value <= 0]
        if behind:
            notes.append(
                f"{row.name} does not beat the better of copying and constant velocity at h = "
                + ", ".join(map(str, behind))
            )
    if "percent" in dataset.manifest.missing:
        notes.append(
            f"percent is missing or truncated in {dataset.manifest.missing['percent']} games of "
            "the data set"
        )
    if config.horizons[-1] > 60:
        notes.append("beyond 60 frames recorded inputs no longer fit what a model has predicted")
    if len(config.pairings) > 1:
        notes.append(
            f"intervals are for each of the {len(config.pairings)} pairings by itself, without a "
            "correction for their number"
        )
    return notes


def _lines(games: Sequence[HeldOut], scores: Mapping[str, NDArray[np.float64]]) -> str:
    return "".join(
        json.dumps(
            {
                "identity": game.identity,
                "frames": len(game.frames),
                "starts": game.starts.tolist(),
                "scores": {name: round(float(own[g]), 6) for name, own in scores.items()},
            }
        )
        + "\n"
        for g, game in enumerate(games)
    )
