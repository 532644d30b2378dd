"""A chess arena from its settings to its result."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Collection, Mapping
from itertools import chain
from pathlib import Path

from evaluator.chess_judge.game import Game
from evaluator.chess_judge.match import Tick, paired_games, play
from evaluator.chess_judge.pgn import pgn
from evaluator.chess_judge.player import ANCHORS, AnchorPlayer, ModelPlayer, Player, Policy
from evaluator.chess_judge.tally import (
    PairedGames,
    copies_only,
    game_metrics,
    pair_scores,
    pairing,
    turn_metrics,
)
from evaluator.config import ArenaConfig
from evaluator.rating.bradley_terry import pool_ratings
from evaluator.rounds import Pair, Rounds, after, notes_on_stops
from wm.artifacts.result import ArenaResult, Pairing, PlayerRow, Sprt
from wm.errors import BadConfig
from wm.games.chess.openings import book, read_openings

logger = logging.getLogger("wm.evaluator")

FEWEST_PAIRS = 100
"""Pairs below which a pairing carries no verdict (one standard error is then over 2.5 points)."""


def judge(
    config: ArenaConfig, policies: Mapping[str, Policy], tick: Tick, event: str = "arena"
) -> tuple[ArenaResult, str]:
    """Play the arena; returns its result and the PGN of all games.

    ``policies`` holds a model's view of the games for every player that is no anchor.
    """
    openings = load_openings(config)
    players = _players(config, policies)
    rounds = Rounds(config, config.pairs, "pairs")
    started = time.perf_counter()
    games = _play(config, openings, players, rounds, tick)
    everything = list(chain.from_iterable(games.values()))
    _log_speed(everything, time.perf_counter() - started)
    result = _result(config, openings[: rounds.start], games, players, rounds.stopped)
    return result, pgn(everything, event=event, seed=config.seed)


def load_openings(config: ArenaConfig) -> list[list[str]]:
    """As many openings as the arena has pairs, as UCI lists; no opening is used twice."""
    if config.openings is None:
        try:
            return book(config.pairs, config.seed, config.opening_plies)
        except ValueError as error:
            raise BadConfig(str(error), hint="raise opening_plies or lower pairs") from error
    lines = read_openings(Path(config.openings), config.opening_plies)
    usable = [moves for moves in lines if len(moves) < config.max_plies]
    if len(usable) < config.pairs:
        raise BadConfig(
            f"{config.openings} holds {len(usable)} different openings of at least "
            f"{config.opening_plies} plies, and {config.pairs} pairs need as many",
            hint="lower pairs, or leave openings out to generate them",
        )
    return usable[: config.pairs]


def _play(
    config: ArenaConfig,
    openings: list[list[str]],
    players: Mapping[str, Player],
    rounds: Rounds,
    tick: Tick,
) -> dict[Pair, list[Game]]:
    """Every pairing's games, round by round, all undecided pairings in lock-step."""
    games: dict[Pair, list[Game]] = {pair: [] for pair in rounds.played}

    def test(pair: Pair) -> Sprt | None:
        return pairing(*pair, games[pair], config.sprt).sprt

    while not rounds.over:
        drawn = paired_games(
            rounds.playing,
            openings[rounds.start : rounds.stop],
            max_plies=config.max_plies,
            margin=config.adjudicate_margin if config.adjudicate == "material" else None,
            first=rounds.start,
        )
        played = sum(map(len, games.values()))
        play(
            list(chain.from_iterable(drawn.values())),
            players,
            after(tick, played, played + 2 * rounds.left),
        )
        for pair, own in drawn.items():
            games[pair] += own
        rounds.finish(test)
    played = sum(map(len, games.values()))
    tick(played, played)
    return games


def _players(config: ArenaConfig, policies: Mapping[str, Policy]) -> dict[str, Player]:
    return {
        player.name: AnchorPlayer(ANCHORS[player.anchor], config.seed)
        if player.anchor
        else ModelPlayer(
            policies[player.name],
            topk=config.topk,
            temperature=config.temperature,
            seed=config.seed,
        )
        for player in config.players
    }


def _result(
    config: ArenaConfig,
    openings: list[list[str]],
    games: PairedGames,
    players: Mapping[str, Player],
    stopped: Collection[Pair],
) -> ArenaResult:
    pairings = [
        pairing(a, b, own, config.sprt).model_copy(update={"stopped": (a, b) in stopped})
        for (a, b), own in games.items()
    ]
    ratings = pool_ratings(
        list(players),
        {(a, b): pair_scores(a, own) for (a, b), own in games.items()},
        anchor=config.anchor,
        samples=config.bootstrap,
        seed=config.seed,
    )
    rows = []
    for player in config.players:
        own = [game for pair, played in games.items() if player.name in pair for game in played]
        metrics = game_metrics(player.name, own)
        judged = players[player.name]
        if isinstance(judged, ModelPlayer):
            metrics = turn_metrics(judged.turns) | metrics
        rows.append(
            PlayerRow(
                name=player.name,
                model=player.model,
                rating=ratings[player.name],
                metrics=metrics,
            )
        )
    digest = hashlib.sha256("\n".join(" ".join(moves) for moves in openings).encode())
    return ArenaResult(
        game="chess",
        judge="chess-pairs",
        primary="score",
        players=rows,
        pairings=pairings,
        settings={
            **config.model_dump(mode="json"),
            "anchor": config.anchor,
            "winner_side": "?",
            "openings_sha256": digest.hexdigest(),
        },
        notes=_notes(config, pairings),
    )


def _notes(config: ArenaConfig, pairings: list[Pairing]) -> list[str]:
    notes = []
    fewest = min(p.units for p in pairings)
    if fewest < FEWEST_PAIRS:
        notes.append(f"{fewest} pairs a pairing: below {FEWEST_PAIRS} pairs no verdict is possible")
    for p in pairings:
        played = 2 * p.units
        if copies_only(p):
            notes.append(
                f"{p.a} v {p.b}: no verdict possible, both games of every pair are copies "
                f"({p.distinct} distinct of {played}); the two players move alike"
            )
        elif p.distinct < played:
            notes.append(f"{p.a} v {p.b}: only {p.distinct} of {played} games are distinct")
    notes += notes_on_stops(config, pairings, config.pairs, "pairs")
    if capped := sum(p.capped for p in pairings):
        how = (
            f"won by whoever led by {config.adjudicate_margin} or more in material, else drawn"
            if config.adjudicate == "material"
            else "counted as draws"
        )
        games = sum(2 * p.units for p in pairings)
        notes.append(f"{capped} of {games} games reached {config.max_plies} plies, {how}")
    if len(pairings) > 1:
        notes.append(
            f"intervals are for each of the {len(pairings)} pairings by itself, "
            "without a correction for their number"
        )
    return notes


def _log_speed(games: list[Game], seconds: float) -> None:
    plies = sum(len(game.tokens) - game.opening_plies for game in games)
    logger.info(
        "played %d games, %d plies in %.1f s (%.0f plies/s)",
        len(games),
        plies,
        seconds,
        plies / seconds,
    )
