"""The arena's games as PGN."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import chess

from evaluator.chess_judge.game import Game


def pgn(games: Sequence[Game], *, event: str, seed: int) -> str:
    """Export-format PGN of games that are over; no dates, so equal games give equal bytes."""
    return "\n".join(_game(game, event, seed) for game in games)


def _game(game: Game, event: str, seed: int) -> str:
    headers = {
        "Event": event,
        "Site": "?",
        "Date": "????.??.??",
        "Round": str(game.opening + 1),
        "White": game.white,
        "Black": game.black,
        "Result": game.result,
        "PlyCount": str(len(game.tokens)),
        "Termination": game.ending.reason if game.ending else "unterminated",
        "OpeningPlies": str(game.opening_plies),
        "Seed": str(seed),
    }
    lines = [f'[{name} "{_escaped(value)}"]' for name, value in headers.items()]
    moves = chess.Board().variation_san(game.board.move_stack)
    return "\n".join([*lines, "", *textwrap.wrap(f"{moves} {game.result}", 80), ""])


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
