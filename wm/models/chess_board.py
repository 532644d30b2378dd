"""The board after every ply of a batch of games, from the moves alone and on their device.

Labels of the policy's auxiliary head. The games are taken to be legal: nothing is checked.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wm.games.chess import vocabulary
from wm.games.chess.vocabulary import MOVES, SIZE

SQUARES = 64
CLASSES = 13
"""Empty, then pawn, knight, bishop, rook, queen and king, first White's, then Black's."""

_PAWN, _ROOK, _KING = 1, 4, 6
_BLACK = 6
"""What a black piece's class is above the white one's."""
_BACK_RANK = [4, 2, 3, 5, 6, 3, 2, 4]
_CASTLING = {"e1g1": "h1f1", "e1c1": "a1d1", "e8g8": "h8f8", "e8c8": "a8d8"}
"""King's move -> rook's move."""
_NONE = SQUARES
"""A square beside the board, for what a move does not touch."""


def boards(moves: Tensor) -> Tensor:
    """Piece on each square after each ply: uint8 [B, T, 64], squares in the order a1, b1, ..., h8.

    ``moves`` is int64 [B, T] of vocabulary ids from the first move on. Specials change nothing, so
    after the end of a game its last board stays. For the classes see :data:`CLASSES`.
    """
    batch, length = moves.shape
    tables = _tables(moves.device)
    columns = moves.T
    squares, rooks = tables.squares[columns], tables.rooks[columns]
    passed, promotions = tables.passed[columns], tables.promotions[columns]
    found = torch.empty(length, batch, SQUARES + 1, dtype=torch.uint8, device=moves.device)
    board = tables.start.expand(batch, -1)
    for t in range(length):
        piece, taken = board.gather(1, squares[t]).unbind(1)
        colour = (piece > _BLACK) * _BLACK
        kind = piece - colour
        placed = torch.where(promotions[t] > 0, promotions[t] + colour, piece)
        # A rook that goes e1g1 does not castle; a pawn that takes what is there takes only that.
        rook = torch.where((kind == _KING)[:, None], rooks[t], _NONE)
        pawn = torch.where((kind == _PAWN) & (taken == 0), passed[t], _NONE)
        empty = torch.zeros_like(piece)
        board = found[t].copy_(board)
        board.scatter_(
            1,
            torch.cat([squares[t], rook, pawn[:, None]], dim=1),
            torch.stack([empty, placed, empty, _ROOK + colour, empty], dim=1).to(torch.uint8),
        )
    return found[:, :, :SQUARES].transpose(0, 1)


class _Tables(NamedTuple):
    """What a move touches, by its id, and the board at the start, on one device."""

    squares: Tensor
    """int64 [V, 2]: origin and target."""
    rooks: Tensor
    """int64 [V, 2]: origin and target of the rook, where a king's move is castling."""
    passed: Tensor
    """int64 [V]: square of the pawn taken, where a pawn's move is en passant."""
    promotions: Tensor
    """uint8 [V]: the white piece that a pawn becomes, else 0."""
    start: Tensor
    """uint8 [65]."""


@cache
def _tables(device: torch.device) -> _Tables:
    squares = np.full((SIZE, 2), _NONE)
    rooks = np.full((SIZE, 2), _NONE)
    passed = np.full(SIZE, _NONE)
    promotions = np.zeros(SIZE, np.uint8)
    for token, move in enumerate(MOVES, SIZE - len(MOVES)):
        origin, target, promotion = vocabulary.squares(move)
        squares[token] = origin, target
        if move in _CASTLING:
            rooks[token] = vocabulary.squares(_CASTLING[move])[:2]
        if abs(origin % 8 - target % 8) == 1 and (origin // 8, target // 8) in {(4, 5), (3, 2)}:
            passed[token] = origin // 8 * 8 + target % 8
        promotions[token] = max(promotion, 0)
    tables = (squares, rooks, passed, promotions, _start())
    return _Tables(*(torch.from_numpy(table).to(device) for table in tables))


def _start() -> NDArray[np.uint8]:
    board = np.zeros(SQUARES + 1, np.uint8)
    back = np.array(_BACK_RANK, np.uint8)
    board[0:8], board[8:16] = back, _PAWN
    board[56:64], board[48:56] = back + _BLACK, _PAWN + _BLACK
    return board
