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
from wm.games.chess.players import idle, keen

OPENING_PLIES = 8
"""Random plies at the start of every game."""


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
    while not _over(board):
        board.push(players[board.turn](board, rng))
    result = board.result(claim_draw=True)
    white, black = players[chess.WHITE].__name__, players[chess.BLACK].__name__
    headers = {
        "Event": "made",
        "Site": "?",
        "Date": "????.??.??",
        "Round": str(index + 1),
        "White": white,
        "Black": black,
        "Result": result,
    }
    tags = "".join(f'[{name} "{value}"]\n' for name, value in headers.items())
    return f"{tags}\n{_movetext(board)}{result}\n\n"


def _over(board: chess.Board) -> bool:
    """Whether the rules end the game here; a draw that may be claimed is claimed."""
    return (
        board.halfmove_clock >= 100
        or board.is_insufficient_material()
        or board.is_repetition(3)
        or not any(board.generate_legal_moves())
    )


def _movetext(board: chess.Board) -> str:
    """One full move a line."""
    replay = chess.Board()
    words = []
    for move in board.move_stack:
        if replay.turn:
            words.append(f"{replay.fullmove_number}. {replay.san_and_push(move)} ")
        else:
            words.append(f"{replay.san_and_push(move)}\n")
    return "".join(words)
