"""Turn UCI moves into movetext that the bulk PGN reader understands.

Nothing is judged here: pieces are only followed from square to square, so that each move can be
written with its piece, both squares and the capture sign. The reader then replays it by the rules.
"""

from __future__ import annotations

from collections.abc import Sequence

from wm.games.chess.vocabulary import MOVES, SQUARES
from wm.games.game import Reason, Rejected

_EMPTY = ""
_START = ["R", "N", "B", "Q", "K", "B", "N", "R", *"P" * 8, *[_EMPTY] * 32, *"P" * 8]
_START += _START[:8]

_NUMBERS = {name: number for number, name in enumerate(SQUARES)}
_SQUARES = {uci: (_NUMBERS[uci[:2]], _NUMBERS[uci[2:4]]) for uci in MOVES}
_ROOKS = {"e1g1": (7, 5), "e1c1": (0, 3), "e8g8": (63, 61), "e8c8": (56, 59)}


def movetext(moves: Sequence[str]) -> str:
    """PGN movetext of a game from the start position, without its result.

    Raises :class:`Rejected` for a string that is no move or a move from an empty square.
    """
    board = _START.copy()
    return " ".join([_play(board, uci, ply) for ply, uci in enumerate(moves, 1)])


def _play(board: list[str], uci: str, ply: int) -> str:
    if uci not in _SQUARES:
        raise Rejected(Reason.UNREADABLE, f"ply {ply}: {uci!r} is not a move in UCI notation")
    origin, target = _SQUARES[uci]
    piece, taken = board[origin], board[target]
    if not piece:
        raise Rejected(Reason.ILLEGAL_MOVE, f"ply {ply}: {uci} is illegal")
    board[origin], board[target] = _EMPTY, piece
    if piece == "K":
        if uci in _ROOKS:
            corner, beside = _ROOKS[uci]
            board[corner], board[beside] = _EMPTY, "R"
            return "O-O" if target > origin else "O-O-O"
    elif piece == "P":
        if len(uci) == 5:
            board[target] = uci[4].upper()
            sign = "x" if taken else ""
            return f"{uci[:2]}{sign}{uci[2:4]}={board[target]}"
        if not taken and (target - origin) % 8:  # en passant
            board[target - 8 if target > origin else target + 8] = _EMPTY
            taken = "P"
        return f"{uci[:2]}x{uci[2:]}" if taken else uci
    return f"{piece}{uci[:2]}x{uci[2:]}" if taken else piece + uci
