"""Phase of a position by the rule ``material_castling_v1``.

In this order: non-pawn material of both sides (N 3, B 3, R 5, Q 9) of at most 14 is an endgame; at
most 20 with both queens off is an endgame; up to ply 20 with any castling right left is an
opening; anything else is a middlegame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import chess

UNKNOWN, OPENING, MIDDLEGAME, ENDGAME = range(4)
PHASES = ("unknown", "opening", "middlegame", "endgame")

_VALUES = np.array([0, 0, 3, 3, 5, 9, 0, 0, 3, 3, 5, 9, 0], np.uint8)
_WHITE_QUEEN, _BLACK_QUEEN = 5, 11


def phases(
    boards: NDArray[np.uint8], castling: NDArray[np.bool_], plies: NDArray[np.integer]
) -> NDArray[np.uint8]:
    """Phase ids [n] of n positions.

    ``boards`` [n, 64] holds 0 for an empty square, 1-6 for White's PNBRQK, 7-12 for Black's;
    ``castling`` [n, 4] the rights left; ``plies`` [n] the moves played before the position.
    """
    material = _VALUES[boards].sum(axis=1, dtype=np.int32)
    queens = ((boards == _WHITE_QUEEN) | (boards == _BLACK_QUEEN)).any(axis=1)
    endgame = (material <= 14) | ((material <= 20) & ~queens)
    opening = (plies <= 20) & castling.any(axis=1)
    choices = np.array([MIDDLEGAME, OPENING, ENDGAME], np.uint8)
    return choices[np.where(endgame, 2, opening)]


def phase(board: chess.Board) -> int:
    """Phase id of one position that was reached from the start."""
    queens = board.queens.bit_count()
    material = 3 * (board.knights | board.bishops).bit_count() + 5 * board.rooks.bit_count()
    material += 9 * queens
    if material <= 14 or (material <= 20 and not queens):
        return ENDGAME
    return OPENING if board.ply() <= 20 and board.castling_rights else MIDDLEGAME
