"""Plays every game of an arena in lock-step: one forward pass per model and ply."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from evaluator.chess_judge.game import Game
from evaluator.chess_judge.player import Player

Tick = Callable[[int, int], None]
"""Told (games over, games in all) after every ply; may raise to stop."""


def paired_games(
    pairings: Sequence[tuple[str, str]],
    openings: Sequence[Sequence[str]],
    *,
    max_plies: int,
    margin: int | None,
    first: int = 0,
) -> dict[tuple[str, str], list[Game]]:
    """Two games for every pairing (a, b) and opening: a as White, then a as Black.

    ``first`` is the number in the book of the first of these openings.
    """
    return {
        (a, b): [
            Game(white, black, number, moves, max_plies=max_plies, margin=margin)
            for number, moves in enumerate(openings, first)
            for white, black in ((a, b), (b, a))
        ]
        for a, b in pairings
    }


def play(games: Sequence[Game], players: Mapping[str, Player], tick: Tick) -> None:
    """Play all games to their ends, each player choosing for all of its games at once."""
    live = [game for game in games if game.ending is None]
    for name, player in players.items():
        own = [game for game in live if name in (game.white, game.black)]
        if own:
            player.start(own)
    while live:
        turns: dict[str, list[Game]] = {name: [] for name in players}
        for game in live:
            turns[game.to_move].append(game)
        for name, own in turns.items():
            if own:
                for game, move in zip(own, players[name].choose(own), strict=True):
                    game.push(move)
        for player in players.values():
            player.follow()
        live = [game for game in live if game.ending is None]
        tick(len(games) - len(live), len(games))
