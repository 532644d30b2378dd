"""Make chess games: real rules, two simple players of unequal strength.

``keen`` (see :mod:`wm.games.chess.players`) is the planted stronger player, and its style shows in
the bare moves: it lands on the square of the last move and walks forward, ``idle`` walks to and
fro. So a model of moves alone can learn the difference.
"""

from __future__ import annotations

from pathlib import Path

import chess
import numpy as np

from wm.games.chess.openings import draw
from wm.games.chess.players import VALUES, idle, keen

OPENING_PLIES = 8
MAX_PLIES = 200
"""A game this long is adjudicated by material, and its Termination header says so."""
DECISIVE_LEAD = 5
"""Lead in pawns that wins an adjudicated game."""


def write_games(path: Path, count: int, seed: int) -> None:
    """Write ``count`` games as PGN; game i depends on ``seed`` and i only."""
    with path.open("w", encoding="ascii") as file:
        for index in range(count):
            file.write(make_game(seed, index))


def make_game(seed: int, index: int) -> str:
    """PGN of one game from a random opening; ``keen`` is White in every other game."""
    rng = np.random.default_rng([seed, index])
    board = draw(rng, OPENING_PLIES)
    players = (idle, keen) if index % 2 == 0 else (keen, idle)
    while board.ply() < MAX_PLIES and not _over(board):
        board.push(players[board.turn](board, rng))
    result, termination = _result(board)
    white, black = players[chess.WHITE].__name__, players[chess.BLACK].__name__
    headers = {
        "Event": "made",
        "Site": "?",
        "Date": "????.??.??",
        "Round": str(index + 1),
        "White": white,
        "Black": black,
        "Result": result,
        "Termination": termination,
    }
    tags = "".join(f'[{name} "{value}"]\n' for name, value in headers.items())
    return f"{tags}\n{_movetext(board)}{result}\n\n"


def _over(board: chess.Board) -> bool:
    return (
        board.halfmove_clock >= 100
        or board.is_insufficient_material()
        or board.is_repetition(3)
        or not any(board.generate_legal_moves())
    )


def _result(board: chess.Board) -> tuple[str, str]:
    outcome = board.outcome(claim_draw=True)
    if outcome is not None:
        return outcome.result(), "normal"
    lead = sum(
        VALUES[piece.piece_type] * (1 if piece.color else -1)
        for piece in board.piece_map().values()
    )
    if abs(lead) < DECISIVE_LEAD:
        return "1/2-1/2", "adjudication"
    return "1-0" if lead > 0 else "0-1", "adjudication"


def _movetext(board: chess.Board) -> str:
    replay = chess.Board()
    lines = []
    for move in board.move_stack:
        number = f"{replay.fullmove_number}. " if replay.turn else ""
        lines.append(f"{number}{replay.san_and_push(move)}{' ' if replay.turn == 0 else chr(10)}")
    return "".join(lines)
