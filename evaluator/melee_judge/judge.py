"""A Melee arena from its settings to its result."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from evaluator.config import ArenaConfig
from evaluator.melee_judge.duel import Errors, Predict, Tick, anchor, duel, model
from evaluator.melee_judge.scores import first_games, joined, player_metrics
from evaluator.melee_judge.starts import HeldOut, held_out
from evaluator.melee_judge.tally import lead, outcomes, pairing, scores_in, test_of
from evaluator.rating.bradley_terry import pool_ratings
from evaluator.rating.intervals import bootstrap_mean
from evaluator.rounds import Pair, Rounds, after, notes_on_stops
from wm.artifacts.dataset import Dataset
from wm.artifacts.result import ArenaResult, Pairing, PlayerRow, Sprt
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
    rounds = Rounds(config, len(games), "games")
    started = time.perf_counter()
    errors = _fight(config, players, games, context, rounds, tick, device)
    played = games[: rounds.start]
    logger.info(
        "%d players predicted %d frames from %d starts in %d games in %.1f s",
        len(players),
        config.horizons[-1],
        sum(len(game.starts) for game in played),
        len(played),
        time.perf_counter() - started,
    )
    scores = {name: scores_in(config, errors, [name], _met(rounds, name))[name] for name in players}
    result = _result(config, dataset, games, errors, scores, rounds)
    return result, _lines(played, scores)


def _fight(
    config: ArenaConfig,
    players: Mapping[str, Predict],
    games: Sequence[HeldOut],
    context: int,
    rounds: Rounds,
    tick: Tick,
    device: torch.device,
) -> dict[str, Errors]:
    """Errors of every player in the games that it met somebody in, and of the baselines in all."""
    errors: dict[str, Errors] = {}

    def test(pair: Pair) -> Sprt | None:
        return test_of(config, lead(config, errors, pair, rounds.start))

    while not rounds.over:
        still = {name for pair in rounds.playing for name in pair}
        fresh = duel(
            {name: predict for name, predict in players.items() if name in still},
            games[rounds.start : rounds.stop],
            context=context,
            horizons=config.horizons,
            rollouts=config.rollouts,
            device=device,
            tick=after(tick, rounds.start, len(games)),
        )
        for name, own in fresh.items():
            errors[name] = joined([errors[name], own] if name in errors else [own])
        rounds.finish(test)
    tick(rounds.start, rounds.start)
    return errors


def _met(rounds: Rounds, player: str) -> int:
    """Games in which a player met somebody."""
    return max(games for pair, games in rounds.played.items() if player in pair)


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
    rounds: Rounds,
) -> ArenaResult:
    leads = {pair: lead(config, errors, pair, units) for pair, units in rounds.played.items()}
    pairings = [
        pairing(config, pair, own).model_copy(update={"stopped": pair in rounds.stopped})
        for pair, own in leads.items()
    ]
    ratings = pool_ratings(
        list(scores),
        {pair: outcomes(config, own) for pair, own in leads.items()},
        anchor=config.anchor,
        samples=config.bootstrap,
        seed=config.seed,
        shared_units=True,
    )
    rows = []
    for player in config.players:
        own = first_games(errors, [player.name], len(scores[player.name]))
        metrics = player_metrics(
            own[player.name],
            own,
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
        pairings=pairings,
        settings={
            **config.model_dump(mode="json"),
            "anchor": config.anchor,
            "games_used": rounds.start,
            "starts_used": sum(len(game.starts) for game in games[: rounds.start]),
        },
        notes=_notes(config, dataset, len(games), rows, pairings),
    )


def _notes(
    config: ArenaConfig,
    dataset: Dataset,
    games: int,
    rows: Sequence[PlayerRow],
    pairings: Sequence[Pairing],
) -> list[str]:
    notes = []
    short = min(dataset.split(config.split).games, config.games) - games
    fewest = min(p.units for p in pairings)
    if fewest < FEW_GAMES:
        notes.append(
            f"{fewest} held-out games: with fewer than {FEW_GAMES} the intervals are too "
            "narrow; take them as hints"
        )
    notes += notes_on_stops(config, pairings, games, "games")
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
                "scores": {
                    name: round(float(own[g]), 6) for name, own in scores.items() if g < len(own)
                },
            }
        )
        + "\n"
        for g, game in enumerate(games)
    )
